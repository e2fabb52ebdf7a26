"""The one session with a docked USB camera, shared by the cards that are opened on it.

A card that is opened while another one is still open begins a **new** session: what a camera said
in an old one may be what it remembers, not what it holds (fault A7). `epoch` tells the older card
that its object handles are worth nothing any more (A6). One thread at a time is in a transaction;
nobody closes under another one's transfer (A10).
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dockd.card.contract import CardGoneError
from dockd.usb.initiator import Initiator
from dockd.usb.pipes import Pipes
from dockd.usb.ptp import DeviceInfo
from vault.clock import Clock

Epoch = tuple[int, int]
NEVER: Epoch = (0, 0)
"""Before the first session."""


class PtpSession:
    """Opened by the first card and closed by the last. Any thread."""

    def __init__(self, connect: Callable[[], Pipes], clock: Clock, where: str) -> None:
        self.where = where
        self._connections = 0
        self._connect = connect
        self._clock = clock
        self._lock = threading.RLock()
        self._initiator: Initiator | None = None
        self._users = 0
        self._readings: dict[tuple[str, ...], int] = {}

    @property
    def epoch(self) -> Epoch:
        """Another one for every session that was begun, also where a camera had to be reset in
        between.
        """
        initiator = self._initiator
        return (self._connections, 0 if initiator is None else initiator.sessions)

    def begin_session(self) -> DeviceInfo:
        """One user more, and a session that nobody used before. Raises CardGoneError, CardStuckError and what
        opening a device raises.
        """
        with self._lock:
            initiator = self._initiator
            if initiator is None:
                initiator = Initiator(self._connect(), self._clock)
                self._connections += 1
            else:
                initiator.close_session()
            try:
                device = initiator.open_session()
            except BaseException:
                self._initiator = None
                initiator.close()
                raise
            self._initiator = initiator
            self._users += 1
            return device

    def end_session(self) -> None:
        """One user less; after the last the camera is let go."""
        with self._lock:
            self._users -= 1
            initiator = self._initiator
            if self._users <= 0 and initiator is not None:
                self._users = 0
                self._initiator = None
                initiator.close_session()
                initiator.close()

    @contextmanager
    def held(self) -> Iterator[Initiator]:
        """The initiator, for this thread alone. Raises CardGoneError where there is none any more."""
        with self._lock:
            if self._initiator is None:
                raise CardGoneError(f"The camera at {self.where} was let go.")
            yield self._initiator

    def hold_wire(self) -> Initiator:
        """As `held`, over several calls: until `release_wire` by the same thread."""
        self._lock.acquire()
        if self._initiator is None:
            self._lock.release()
            raise CardGoneError(f"The camera at {self.where} was let go.")
        return self._initiator

    def release_wire(self) -> None:
        self._lock.release()

    def readings(self, path: tuple[str, ...]) -> int:
        """How often a file was read from its first byte to its end, or to a failure, since the
        camera was docked.
        """
        with self._lock:
            return self._readings.get(path, 0)

    def note_reading(self, path: tuple[str, ...]) -> None:
        with self._lock:
            self._readings[path] = self._readings.get(path, 0) + 1
