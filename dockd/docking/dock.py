"""The dock: which cameras stand where, and a thread for each.

The watchers say what stands there *now*; what came and what left is the difference to what was
served until now. So no event can be lost, only seen later.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from dockd.card.contract import NOBODY, Card, Keeper
from dockd.card.transport import MOUNTED, USB, Transport
from dockd.docking.bay import Board, Pulse
from dockd.docking.pull import Port, Workplace
from dockd.docking.visit import Pause, Visit
from dockd.mounted.erasable import Writable
from dockd.mounted.volumes import Volume
from dockd.usb.bus import UsbDevice

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Docked:
    """A camera that stands there now.

    `key` is this camera at this docking, `slot` the place: one visit at a time serves it. `bay` is
    the place's name for people. `writable` opens the card for its erase, where `open` does not.
    """

    key: Hashable
    slot: Hashable
    bay: str
    volume_id: str
    open: Callable[[], Card]
    transport: Transport
    writable: Writable | None = None
    keeper: Keeper = NOBODY


def mounted(
    volume: Volume,
    open_card: Callable[[Path], Card],
    writable: Writable | None = None,
    keeper: Keeper = NOBODY,
) -> Docked:
    """A camera whose card is a mounted volume."""
    place = volume.mountpoint
    key = (place, volume.volume_id)
    return Docked(
        key,
        place,
        volume.bay,
        volume.volume_id,
        lambda: open_card(place),
        MOUNTED,
        writable,
        keeper,
    )


def plugged(device: UsbDevice) -> Docked:
    """A camera on the USB."""
    return Docked(
        device.key,
        device.bay,
        device.bay,
        device.volume_id,
        device.open,
        USB,
        None,
        device.keeper,
    )


class Dock:
    """All visits. One thread calls it; `stirred` is called from a visit's thread, when a turn is
    worth taking.
    """

    def __init__(
        self,
        standing: Callable[[], Sequence[Docked]],
        workplace: Workplace,
        board: Board,
        pause: Pause,
        stirred: Callable[[], None],
    ) -> None:
        self._standing = standing
        self._work = workplace
        self._board = board
        self._pause = pause
        self._stirred = stirred
        self._visits: dict[Docked, Visit] = {}
        self._arrived_s: dict[Hashable, float | None] = {}
        """When each camera that stands there was first seen to; None for what
        stood there before.
        """
        self._looked_before = False

    def turn(self) -> None:
        """Hold what stands there against what is served. A place is given anew once the thread that
        served it has ended.
        """
        present = {docked.key: docked for docked in self._standing()}
        now_s = self._work.clock.monotonic_s() if self._looked_before else None
        self._arrived_s = {key: self._arrived_s.get(key, now_s) for key in present}
        for docked, visit in list(self._visits.items()):
            if docked.key not in present:
                visit.leave()
            if visit.ended:
                del self._visits[docked]
        served = {docked.slot for docked in self._visits}
        for docked in present.values():
            if docked.slot not in served:
                self._visits[docked] = self._visit(docked)
        self._looked_before = True

    def look_again(self) -> None:
        """Cards that were done with may show something new: a watched folder into which somebody
        still copies.
        """
        for docked, visit in self._visits.items():
            if docked.transport.may_change:
                visit.look_again()

    def pulses(self) -> tuple[Pulse, ...]:
        return tuple(visit.pulse() for visit in self._visits.values())

    def stop(self, seconds: float) -> bool:
        """After the halt was requested: wait so long for all threads. False if one of them is
        stuck.
        """
        until_s = self._work.clock.monotonic_s() + seconds
        for visit in self._visits.values():
            visit.wake()
        stuck = [
            visit
            for visit in self._visits.values()
            if not visit.join(max(0.0, until_s - self._work.clock.monotonic_s()))
        ]
        return not stuck

    def _visit(self, docked: Docked) -> Visit:
        taken = {visit.bay.name for visit in self._visits.values()}
        name = docked.bay if docked.bay not in taken else str(docked.slot)
        arrived_s = self._arrived_s[docked.key]
        port = Port(
            docked.volume_id,
            docked.open,
            docked.transport,
            arrived_s,
            writable=docked.writable,
            keeper=docked.keeper,
        )
        visit = Visit(name, port, self._work, self._board, self._pause, self._stirred)
        log.info("camera arrived", bay=name)
        visit.start()
        return visit
