"""The dock: which cameras stand where, and a thread for each.

The watcher says what stands there *now*; what came and what left is the difference to what was served until now. So no event
can be lost, only seen later.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from dockd.bay import Board, Pulse
from dockd.card import Card
from dockd.pull import Port, Workplace
from dockd.visit import Pause, Visit
from dockd.volumes import Volume

log = structlog.get_logger()

MOUNTED_LANES = 4
"""How many files of a mounted card are read at once: measured, more give no more."""


class Volumes(Protocol):
    """What stands there now; `MountWatcher` in the daemon."""

    def volumes(self) -> tuple[Volume, ...]: ...


class Dock:
    """All visits. One thread calls it; `stirred` is called from a visit's thread, when a turn is worth taking."""

    def __init__(
        self,
        volumes: Volumes,
        open_card: Callable[[Path], Card],
        workplace: Workplace,
        board: Board,
        pause: Pause,
        stirred: Callable[[], None],
    ) -> None:
        self._volumes = volumes
        self._open_card = open_card
        self._work = workplace
        self._board = board
        self._pause = pause
        self._stirred = stirred
        self._visits: dict[tuple[Path, str], Visit] = {}
        self._looked_before = False

    def turn(self) -> None:
        """Hold what stands there against what is served. A place is given anew once the thread that served it has ended."""
        present = {(volume.mountpoint, volume.volume_id): volume for volume in self._volumes.volumes()}
        for place, visit in list(self._visits.items()):
            if place not in present:
                visit.leave()
            if visit.ended:
                del self._visits[place]
        served = {mountpoint for mountpoint, _ in self._visits}
        for place, volume in present.items():
            if place not in self._visits and volume.mountpoint not in served:
                self._visits[place] = self._arrived(volume)
        self._looked_before = True

    def look_again(self) -> None:
        """Cards that were done with may show something new: a watched folder into which somebody still copies."""
        for visit in self._visits.values():
            visit.look_again()

    def pulses(self) -> tuple[Pulse, ...]:
        return tuple(visit.pulse() for visit in self._visits.values())

    def stop(self, seconds: float) -> bool:
        """After the halt was requested: wait so long for all threads. False if one of them is stuck."""
        until_s = self._work.clock.monotonic_s() + seconds
        for visit in self._visits.values():
            visit.wake()
        stuck = [visit for visit in self._visits.values() if not visit.join(max(0.0, until_s - self._work.clock.monotonic_s()))]
        return not stuck

    def _arrived(self, volume: Volume) -> Visit:
        taken = {visit.bay.name for visit in self._visits.values()}
        name = volume.bay if volume.bay not in taken else str(volume.mountpoint)
        port = Port(
            volume_id=volume.volume_id,
            open=lambda: self._open_card(volume.mountpoint),
            lanes=MOUNTED_LANES,
            seen_arriving=self._looked_before,
        )
        visit = Visit(name, port, self._work, self._board, self._pause, self._stirred)
        log.info("camera arrived", bay=name, filesystem=volume.filesystem, read_only=volume.read_only)
        visit.start()
        return visit
