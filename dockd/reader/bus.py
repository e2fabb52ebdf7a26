"""What stands on the USB, as a reader sees it: the dock itself asks no device who it is."""

import socket
import threading
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import structlog

from dockd.card.contract import CardStuckError
from dockd.reader.processes import WorkerAbsentError, WorkerProcess, Workers
from dockd.reader.remote_card import CameraWorker
from dockd.reader.wire import Deadline, Line, LineBrokenError, frozen, printable_text
from dockd.usb.bus import UsbDevice
from dockd.usb.pipes import DeviceRefusedError
from vault.clock import Clock

log = structlog.get_logger()

DEVICES_MAX = 128
"""More than any dock has sockets. Each one that is told has a thread here."""
SILENCE_S = 60.0
"""How long the reader of the bus may be silent. It tells what stands there every 10 s, if it can
still look.
"""
STEADY = 2
"""A reader that has told so often what stands there is not killed by it."""
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0


class RemoteBus:
    """Follows a bus through a reader of its own. `devices` may be called by any thread, and shows
    what was told last.

    A reader that dies or falls silent is replaced, after a wait that doubles. What stood there
    stands there for as long as nobody says otherwise.
    """

    def __init__(
        self, workers: Workers, setting: str, clock: Clock, *, silence_s: float = SILENCE_S
    ) -> None:
        self._workers = workers
        self._setting = setting
        self._clock = clock
        self._silence_s = silence_s
        self._greeting = {"place": "bus", "bus": setting}
        self._lock = threading.Lock()
        self._known: dict[Hashable, UsbDevice] = {}
        self._process: WorkerProcess | None = None
        self._absent = ""
        self._died = ""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, on_change: Callable[[], None]) -> None:
        """Follow from now on; call `on_change` from a thread of its own whenever devices came or
        left.
        """
        self._thread = threading.Thread(
            target=self._follow, args=(on_change,), name="usb", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the following. `on_change` is not called after this returns."""
        with self._lock:
            self._stopping.set()
            process = self._process
        if process is not None:
            process.end()
        if self._thread is not None:
            self._thread.join()

    def devices(self) -> tuple[UsbDevice, ...]:
        """Cameras, and what is refused, sorted by bay."""
        with self._lock:
            return tuple(sorted(self._known.values(), key=lambda device: device.bay))

    @property
    def absent(self) -> str:
        """Why there is no USB, as it was told last; empty where there is one."""
        with self._lock:
            return self._absent

    @property
    def trouble(self) -> str:
        """Why nobody looks at the USB, or why it can't be counted on; empty while it
        is looked at.
        """
        with self._lock:
            return self._died or self._absent

    def look(self) -> None:
        """One look. Its reader stays for whoever opens what it saw, until
        `stop`. Raises CardStuckError.
        """
        self._process = self._workers.start(self._greeting)
        try:
            self._heard(self._process)
        except (LineBrokenError, TimeoutError) as error:
            self._process.end()
            raise CardStuckError(f"The USB can't be looked at: {error}.") from error

    def _follow(self, on_change: Callable[[], None]) -> None:
        wait_s = FIRST_WAIT_S
        while not self._stopping.is_set():
            try:
                process = self._workers.start(self._greeting)
            except CardStuckError as failure:
                log.error("no reader for the USB", sentence=failure.sentence)
                self._say_died(failure.sentence)
            else:
                heard = self._listen(process, on_change)
                wait_s = FIRST_WAIT_S if heard else wait_s
            self._stopping.wait(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def lodge(self, greeting: dict[str, Any]) -> WorkerProcess:
        """A connection to the bus's own reader, as that to a reader of the camera. Raises
        WorkerAbsentError.
        """
        near, far = socket.socketpair()
        with far, self._lock:
            line = Line(near)
            try:
                if self._process is None:
                    raise LineBrokenError("it is not there")
                self._process.line.send(greeting, far.fileno())
            except LineBrokenError as error:
                line.close()
                raise WorkerAbsentError(
                    f"The reader of the bus does not answer: {error}."
                ) from error
        return WorkerProcess(line, line.close)

    def _listen(self, process: WorkerProcess, on_change: Callable[[], None]) -> bool:
        """Until the reader is gone. Whether it said anything at all."""
        with self._lock:
            self._process = process
            if self._stopping.is_set():
                process.end()
        heard = 0
        try:
            while True:
                changed = self._heard(process)
                heard += 1
                if heard == STEADY:
                    self._say_died("")
                if changed and not self._stopping.is_set():
                    on_change()
        except (LineBrokenError, TimeoutError) as error:
            if not self._stopping.is_set():
                log.error("the reader of the USB died", why=str(error))
                self._say_died(f"its reader died: {error}")
        finally:
            process.end()
        return heard > 0

    def _say_died(self, why: str) -> None:
        with self._lock:
            self._died = why

    def _heard(self, process: WorkerProcess) -> bool:
        """Whether what the reader tells is new. Raises LineBrokenError, and TimeoutError where it tells
        nothing.
        """
        match process.line.receive_answer(Deadline(self._clock, self._silence_s)):
            case {"devices": [*words], "absent": str(absent)} if len(words) <= DEVICES_MAX:
                devices = [self._device(each) for each in words]
            case _:
                raise LineBrokenError("devices that are none")
        with self._lock:
            before = (set(self._known), self._absent)
            self._absent = printable_text(absent)
            # Who stands there still keeps the reader that it has.
            self._known = {device.key: self._known.get(device.key, device) for device in devices}
            return before != (set(self._known), self._absent)

    def _device(self, words: Any) -> UsbDevice:
        match words:
            case [
                [int(), None | [*_] as ports, int()] as key,
                str(bay),
                str(volume_id),
                None | str() as refusal,
            ] if all(isinstance(port, int) for port in ports or ()):
                bay, volume_id = printable_text(bay), printable_text(volume_id)
            case _:
                raise LineBrokenError("a device that is none")
        if refusal is not None:
            refusal = printable_text(refusal)
            return UsbDevice(frozen(key), bay, volume_id, refusal, partial(_refuse, refusal))
        workers = _Lodgings(self) if self._setting.startswith("usbip:") else self._workers
        worker = CameraWorker(
            workers, {"place": "usb", "bus": self._setting, "key": key}, self._clock
        )
        return UsbDevice(frozen(key), bay, volume_id, None, worker.open, worker)


class _Lodgings:
    """Readers that live in the bus's own: USB/IP lends a device to one process only."""

    def __init__(self, bus: RemoteBus) -> None:
        self._bus = bus

    def start(self, greeting: dict[str, Any]) -> WorkerProcess:
        return self._bus.lodge(greeting)


def _refuse(refusal: str) -> Any:
    raise DeviceRefusedError(refusal)
