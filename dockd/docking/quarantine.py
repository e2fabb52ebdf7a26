"""Ports at which cameras killed their readers, or dockd itself."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import structlog
from pydantic import TypeAdapter

from vault.clock import Clock

log = structlog.get_logger()

DEATHS_MAX = 3
"""So many readers may die at one port, with nothing done well between, before nothing is opened
there any more.
"""
TURN_S = 300.0
"""For so long a suspect is served with no other one beside it: a camera with much to pull, or a
slow one, keeps nobody longer.

It doubles after each death that tells nothing, as one was served beside a suspect whose turn was
over: a camera that kills dockd late is found as well.
"""
DOUBLED_MAX = 6


@dataclass(frozen=True, slots=True)
class _Memory:
    """What a next life of dockd has to know: deaths by bay, the bays that are being served now, and
    those under suspicion.
    """

    deaths: dict[str, int]
    served: tuple[str, ...]
    suspects: tuple[str, ...] = ()
    undecided: int = 0
    """So many deaths one after another kept nothing, as several were served although all were
    suspects.
    """


_MEMORY = TypeAdapter(_Memory)


class Quarantine:
    """Counts deaths by bay, from docking to docking, until dockd is stopped in order. Shared by all
    bays; any thread.

    With a file to remember in, which a crash and the watchdog leave as it is, what kills the dock
    itself is found (fault G3): each bay that was being served when dockd died is a suspect until it
    was served well. Suspects have turns, those with fewer deaths first, and a death of dockd counts
    for a bay that was served alone. A camera that only stood beside a deadly one is taken in.
    """

    def __init__(self, clock: Clock, memory: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._memory = memory
        self._deaths: dict[str, int] = {}
        self._served: dict[str, float] = {}
        """Each bay that is being served, and since when, by the monotonic clock."""
        self._suspects: set[str] = set()
        self._deferred: set[str] = set()
        self._undecided = 0
        if memory is not None and memory.exists():
            self._recall(memory)

    @classmethod
    def from_environment(cls, clock: Clock, environment: Mapping[str, str]) -> Self:
        """One that remembers, where the service manager keeps a folder from life to life
        (`RuntimeDirectory=`).
        """
        folder = environment.get("RUNTIME_DIRECTORY")
        return cls(clock, Path(folder) / "quarantine.json" if folder else None)

    @contextmanager
    def serving(self, bay: str) -> Iterator[bool]:
        """Whether it is this bay's turn. While it is entered in its turn, and no other bay is, a
        death of dockd counts for it.
        """
        with self._lock:
            turn = self._is_turn(bay)
            if turn:
                self._served[bay] = self._clock.monotonic_s()
                self._remember()
        try:
            yield turn
        finally:
            if turn:
                with self._lock:
                    self._served.pop(bay, None)
                    self._remember()

    def died(self, bay: str) -> None:
        """A reader died there."""
        with self._lock:
            self._deaths[bay] = self._deaths.get(bay, 0) + 1
            self._remember()

    def well(self, bay: str) -> None:
        """A camera was served there from start to end."""
        with self._lock:
            if self._deaths.pop(bay, None) is not None or bay in self._suspects:
                self._suspects.discard(bay)
                self._remember()

    def holds(self, bay: str) -> bool:
        with self._lock:
            return self._deaths.get(bay, 0) >= DEATHS_MAX

    def forget(self) -> None:
        """dockd stops because it was kept to: all ports are open again at its next start."""
        with self._lock:
            self._deaths.clear()
            self._served.clear()
            self._suspects.clear()
            self._remember()
            self._memory = None

    def _recall(self, memory: Path) -> None:
        try:
            kept = _MEMORY.validate_json(memory.read_bytes())
        except (OSError, ValueError) as error:
            log.error("quarantine unreadable", why=str(error))
            return
        self._deaths = dict(kept.deaths)
        if len(kept.served) == 1:
            alone = kept.served[0]
            self._deaths[alone] = self._deaths.get(alone, 0) + 1
        elif kept.suspects and kept.served:
            self._undecided = kept.undecided + 1
        self._suspects = {*kept.suspects, *kept.served}
        for bay in kept.served:
            log.error(
                "dockd died while it served this bay", bay=bay, deaths=self._deaths.get(bay, 0)
            )
        self._remember()

    def _is_turn(self, bay: str) -> bool:
        """A suspect waits for the turn of another one to be over. One with more deaths than another
        lets it go first, once.
        """
        others = self._suspects - {bay}
        if bay not in self._suspects or not others:
            return True
        deaths = self._deaths.get(bay, 0)
        if bay not in self._deferred and any(
            self._deaths.get(other, 0) < deaths for other in others
        ):
            self._deferred.add(bay)
            return False
        turn_from_s = self._clock.monotonic_s() - TURN_S * 2 ** min(self._undecided, DOUBLED_MAX)
        return not any(
            bay in others and since_s > turn_from_s for bay, since_s in self._served.items()
        )

    def _remember(self) -> None:
        if self._memory is None:
            return
        try:
            memory = _Memory(
                self._deaths, tuple(self._served), tuple(self._suspects), self._undecided
            )
            self._memory.write_bytes(_MEMORY.dump_json(memory))
        except OSError as error:
            # The cameras are served all the same; a deadly one is then found within one life only.
            log.error("quarantine unwritable", why=str(error))
