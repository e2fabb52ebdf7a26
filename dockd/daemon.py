"""dockd as a service: looks, serves, tells the service manager, and stops in bounded time."""

import contextlib
import queue
import signal
from enum import Enum, auto
from types import FrameType

import structlog

from dockd.config import DockSettings
from dockd.display.status import StatusServer
from dockd.docking.approach import Approach
from dockd.docking.bay import Bay, Board, Phase, Vigil
from dockd.docking.dock import Dock, Docked, plugged
from dockd.docking.docking import pause
from dockd.docking.pull import Workplace
from dockd.mounted.volumes import MountWatcher
from dockd.reader.bus import RemoteBus
from dockd.reader.processes import Workers
from dockd.service.notify import ServiceManager

log = structlog.get_logger()

GRACE_S = 10.0
"""How long a segment in hand may go on after a stop was asked for."""
STOP_S = 30.0
"""How long the bays' threads are waited for in all; `TimeoutStopSec` in the unit is longer."""
TICK_S = 10.0
"""How often the loop turns at least, to tell how far the bays are."""
USB_BAY = "usb"


class _Wake(Enum):
    LOOK = auto()
    """Something may have changed on what is mounted."""
    CHANGED = auto()
    """A bay has something to tell, or is free."""
    STOP = auto()


class Daemon:
    """The main loop. Everything that wakes it goes through one queue whose `put` a signal handler
    may call.
    """

    def __init__(
        self,
        settings: DockSettings,
        workplace: Workplace,
        manager: ServiceManager,
        workers: Workers,
        *,
        stop_s: float = STOP_S,
    ) -> None:
        self._workplace = workplace
        self._stop_s = stop_s
        self._manager = manager
        self._wakes: queue.SimpleQueue[_Wake] = queue.SimpleQueue()
        self._board = Board()
        self._watcher = MountWatcher(
            settings.mount_roots,
            filesystems=settings.filesystems,
            watched_folder=settings.watched_folder,
            rescan_s=settings.rescan_seconds,
        )
        clock = workplace.clock
        self._usb = (
            RemoteBus(workers, settings.usb_backend, clock)
            if settings.usb_backend != "off"
            else None
        )
        self._approach = Approach(settings, workers, clock)
        self._usb_message = ""
        self._dock = Dock(self._docked_now, workplace, self._board, pause, self._note_change)
        self._status = StatusServer(settings.status_socket, self._board, clock)
        self._vigil = Vigil(manager.watchdog_s, clock) if manager.watchdog_s is not None else None
        self._tick_s = (
            min(TICK_S, manager.watchdog_s / 4) if manager.watchdog_s is not None else TICK_S
        )

    def run(self) -> bool:
        """Serve until a signal asks to stop. False if a thread is stuck in a device and could not
        be waited for.

        The recovery is done before. Raises StatusRefusedError.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        self._status.start()
        self._watcher.start(lambda: self._wakes.put(_Wake.LOOK))
        if self._usb is not None:
            self._usb.start(self._note_change)
        self._dock.turn()
        self._manager.ready()
        log.info("dockd ready")
        self._tell()
        while True:
            wakes = self._sleep()
            if _Wake.STOP in wakes:
                break
            if wakes:
                self._dock.turn()
            if _Wake.LOOK in wakes:
                self._dock.look_again()
            self._tell()
        return self._stop()

    def _docked_now(self) -> list[Docked]:
        mounted = [self._approach.volume(volume) for volume in self._watcher.volumes()]
        return mounted + [
            plugged(device) for device in (self._usb.devices() if self._usb is not None else ())
        ]

    def _note_change(self) -> None:
        self._wakes.put(_Wake.CHANGED)

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._wakes.put(_Wake.STOP)

    def _sleep(self) -> set[_Wake]:
        wakes: set[_Wake] = set()
        with contextlib.suppress(queue.Empty):
            wakes.add(self._wakes.get(timeout=self._tick_s))
            while True:
                wakes.add(self._wakes.get_nowait())
        return wakes

    def _tell_of_usb(self) -> None:
        """While nobody can look at the USB it is a bay by itself: a camera that stands there would
        show nowhere.
        """
        trouble = self._usb.trouble if self._usb is not None else ""
        message = (
            f"The USB can't be looked at: {trouble}. Cameras on it keep their recordings: "
            f"call for help."
            if trouble
            else ""
        )
        if message == self._usb_message:
            return
        self._usb_message = message
        if message:
            Bay(USB_BAY, self._board, self._workplace.clock).enter(Phase.FAULT, message)
        else:
            self._board.remove(USB_BAY)

    def _tell(self) -> None:
        """STATUS, and the watchdog's sign of life: this loop has turned, and no busy bay stands
        still.
        """
        self._tell_of_usb()
        self._manager.status(summary(self._board))
        if self._vigil is None:
            return
        heartbeats = self._dock.heartbeats()
        if self._vigil.all_is_well(heartbeats):
            self._manager.alive()
        else:
            log.error(
                "a bay stands still",
                bays=[heartbeat.bay for heartbeat in heartbeats if heartbeat.busy],
            )

    def _stop(self) -> bool:
        self._manager.stopping()
        self._manager.extend(self._stop_s)
        self._manager.status("Stopping.")
        log.info("dockd stopping")
        self._workplace.halt.request()
        self._watcher.stop()
        if self._usb is not None:
            self._usb.stop()
        ended = self._dock.stop(self._stop_s)
        self._workplace.quarantine.forget()
        self._status.stop()
        log.info("dockd stopped", ended=ended)
        return ended


def summary(board: Board) -> str:
    """One line for `systemctl status`."""
    states = board.states()
    if not states:
        return "No camera is docked."
    words = []
    for state in states:
        count = (
            f" {state.recording_number} of {state.recording_count}" if state.recording_count else ""
        )
        words.append(f"{state.bay}: {state.camera or 'camera'} {state.phase.value}{count}")
    return "; ".join(words)
