"""Ports at which cameras killed their readers, or dockd itself."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import structlog
from pydantic import TypeAdapter

log = structlog.get_logger()

DEATHS_MAX = 3
"""So many readers may die at one port, with nothing done well between, before nothing is opened there any more."""


@dataclass(frozen=True, slots=True)
class _Memory:
    """What a next life of dockd has to know: deaths by bay, and the bays that are being served now."""

    deaths: dict[str, int]
    served: tuple[str, ...]


_MEMORY = TypeAdapter(_Memory)


class Quarantine:
    """Counts deaths by bay, from docking to docking, until dockd is stopped in order. Shared by all bays; any thread.

    With a file to remember in, which a crash and the watchdog leave as it is, dockd's own death counts for each bay that was
    being served then: what kills the dock is found after its third death (fault G3). A camera that was being served beside it
    each time waits for a person as well.
    """

    def __init__(self, memory: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._memory = memory
        self._deaths: dict[str, int] = {}
        self._served: set[str] = set()
        if memory is not None and memory.exists():
            self._recall(memory)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """One that remembers, where the service manager keeps a folder from life to life (`RuntimeDirectory=`)."""
        folder = environment.get("RUNTIME_DIRECTORY")
        return cls(Path(folder) / "quarantine.json" if folder else None)

    @contextmanager
    def serving(self, bay: str) -> Iterator[None]:
        """While it is entered, a death of dockd counts for this bay."""
        with self._lock:
            self._served.add(bay)
            self._remember()
        try:
            yield
        finally:
            with self._lock:
                self._served.discard(bay)
                self._remember()

    def died(self, bay: str) -> None:
        """A reader died there."""
        with self._lock:
            self._deaths[bay] = self._deaths.get(bay, 0) + 1
            self._remember()

    def well(self, bay: str) -> None:
        """A camera was served there from start to end."""
        with self._lock:
            if self._deaths.pop(bay, None) is not None:
                self._remember()

    def holds(self, bay: str) -> bool:
        with self._lock:
            return self._deaths.get(bay, 0) >= DEATHS_MAX

    def forget(self) -> None:
        """dockd stops because it was told to: all ports are open again at its next start."""
        with self._lock:
            self._deaths.clear()
            self._served.clear()
            self._remember()
            self._memory = None

    def _recall(self, memory: Path) -> None:
        try:
            told = _MEMORY.validate_json(memory.read_bytes())
        except (OSError, ValueError) as error:
            log.error("quarantine unreadable", why=str(error))
            return
        self._deaths = dict(told.deaths)
        for bay in told.served:
            self._deaths[bay] = self._deaths.get(bay, 0) + 1
            log.error("dockd died while it served this bay", bay=bay, deaths=self._deaths[bay])
        self._remember()

    def _remember(self) -> None:
        if self._memory is None:
            return
        try:
            self._memory.write_bytes(_MEMORY.dump_json(_Memory(self._deaths, tuple(self._served))))
        except OSError as error:
            # The cameras are served all the same; a deadly one is then found within one life only.
            log.error("quarantine unwritable", why=str(error))
