"""The dock: which cameras stand where, and a thread for each.

The watchers say what stands there *now*; what came and what left is the difference to what was
served until now. So no event can be lost, only seen later.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from dockd.card.contract import NO_LEASE, Card, Lease
from dockd.card.transport import MOUNTED, USB, Transport
from dockd.docking.bay import Board, Heartbeat
from dockd.docking.docking import Docking, Pause
from dockd.docking.pull import Port, Workplace
from dockd.mounted.erasable import Writable
from dockd.mounted.volumes import Volume
from dockd.usb.bus import UsbDevice

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Docked:
    """A camera that stands there now.

    `key` is this camera at this docking, `slot` the place: one docking at a time serves it. `bay` is
    the place's name for people. `writable` opens the card for its erase, where `open` does not.
    """

    key: Hashable
    slot: Hashable
    bay: str
    volume_id: str
    open: Callable[[], Card]
    transport: Transport
    writable: Writable | None = None
    lease: Lease = NO_LEASE


def mounted(
    volume: Volume,
    open_card: Callable[[Path], Card],
    writable: Writable | None = None,
    lease: Lease = NO_LEASE,
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
        lease,
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
        device.lease,
    )


class Dock:
    """All dockings. One thread calls it; `on_change` is called from a docking's thread, when a turn is
    worth taking.
    """

    def __init__(
        self,
        docked_now: Callable[[], Sequence[Docked]],
        workplace: Workplace,
        board: Board,
        pause: Pause,
        on_change: Callable[[], None],
    ) -> None:
        self._docked_now = docked_now
        self._work = workplace
        self._board = board
        self._pause = pause
        self._on_change = on_change
        self._dockings: dict[Docked, Docking] = {}
        self._arrived_s: dict[Hashable, float | None] = {}
        """When each camera that stands there was first seen to; None for what
        stood there before.
        """
        self._looked_before = False

    def turn(self) -> None:
        """Hold what stands there against what is served. A place is given anew once the thread that
        served it has ended.
        """
        present = {docked.key: docked for docked in self._docked_now()}
        now_s = self._work.clock.monotonic_s() if self._looked_before else None
        self._arrived_s = {key: self._arrived_s.get(key, now_s) for key in present}
        for docked, docking in list(self._dockings.items()):
            if docked.key not in present:
                docking.note_gone()
            if docking.ended:
                del self._dockings[docked]
        served = {docked.slot for docked in self._dockings}
        for docked in present.values():
            if docked.slot not in served:
                self._dockings[docked] = self._begin(docked)
        self._looked_before = True

    def look_again(self) -> None:
        """Cards that were done with may show something new: a watched folder into which somebody
        still copies.
        """
        for docked, docking in self._dockings.items():
            if docked.transport.may_change:
                docking.look_again()

    def heartbeats(self) -> tuple[Heartbeat, ...]:
        return tuple(docking.heartbeat() for docking in self._dockings.values())

    def stop(self, seconds: float) -> bool:
        """After the halt was requested: wait so long for all threads. False if one of them is
        stuck.
        """
        until_s = self._work.clock.monotonic_s() + seconds
        for docking in self._dockings.values():
            docking.wake()
        stuck = [
            docking
            for docking in self._dockings.values()
            if not docking.join(max(0.0, until_s - self._work.clock.monotonic_s()))
        ]
        return not stuck

    def _begin(self, docked: Docked) -> Docking:
        taken = {docking.bay.name for docking in self._dockings.values()}
        name = docked.bay if docked.bay not in taken else str(docked.slot)
        arrived_s = self._arrived_s[docked.key]
        port = Port(
            docked.volume_id,
            docked.open,
            docked.transport,
            arrived_s,
            writable=docked.writable,
            lease=docked.lease,
        )
        docking = Docking(name, port, self._work, self._board, self._pause, self._on_change)
        log.info("camera arrived", bay=name)
        docking.start()
        return docking
