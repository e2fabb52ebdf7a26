"""A dock with a USB in software: the simulator's responders, the real backend, the real vault, all in this process."""

import threading
from collections.abc import Sequence
from pathlib import Path

import usb.core

from device_sim.clock import ManualClock
from device_sim.faults import Fault
from device_sim.hub import Hub
from device_sim.usb import UsbCamera
from dockd.bay import Bay
from dockd.card import Card
from dockd.outcome import PullReport
from dockd.pipes import Patience
from dockd.pull import Port, Pull
from dockd.usb import UsbDevice, UsbWatcher
from dockd.usbip import UsbipBackend
from tests.dockd.card_maker import CardMaker
from tests.dockd.quay import Quay, card_with
from vault.clock import Clock, SystemClock

HASTE = Patience(transfer_ms=400, drain_ms=20)
"""Long for a simulator in the same process, and short where a test has to wait for nothing."""
DATE_TIME = 0x5011


class UsbQuay:
    """`close` it."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.folder = folder
        self.clock = clock or SystemClock()
        self.quay = Quay(folder / "quay", self.clock)
        self.hub = Hub()
        self.backend = UsbipBackend(self.hub.connect)
        self.watcher = UsbWatcher(lambda: usb.core.find(find_all=True, backend=self.backend), self.clock, patience=HASTE)

    def close(self) -> None:
        self.hub.close()
        self.backend.close()
        self.quay.close()

    def camera(self, serial: str, count: int = 1, *, seconds: int = 40) -> CardMaker:
        """A registered camera's card, with so many recordings of `seconds` / 10 segments each."""
        maker, _ = card_with(self.folder / serial, count, serial, seconds)
        self.quay.register(maker)
        return maker

    def plug(
        self,
        root: Path,
        serial: str,
        faults: Sequence[Fault] = (),
        *,
        without: frozenset[int] = frozenset({DATE_TIME}),
        port: int | None = None,
        **how: object,
    ) -> UsbCamera:
        """Cameras have no clock unless a test is about it: looking for a tick takes its time."""
        device = UsbCamera.of_folder(root, serial, ManualClock(0), faults=faults, without=without, **how)  # type: ignore[arg-type]
        self.hub.plug(device, port)
        return device

    def devices(self) -> tuple[UsbDevice, ...]:
        self.watcher.look()
        return self.watcher.devices()

    def device(self, bay: str = "usb 1-1") -> UsbDevice:
        return next(device for device in self.devices() if device.bay == bay)

    def card(self, bay: str = "usb 1-1") -> Card:
        return self.device(bay).open()

    def pull(self, bay: str = "usb 1-1", lanes: int = 1) -> Pull:
        """One camera's stay."""
        device = self.device(bay)
        port = Port(device.volume_id, device.open, lanes, seen_arriving=True)
        self.bay = Bay(bay, self.quay.board, self.clock)
        return Pull(port, self.quay.workplace(), self.bay, threading.Event())

    def run(self, bay: str = "usb 1-1", lanes: int = 1) -> PullReport:
        """A docking that lasts one pull."""
        return self.run_on(self.device(bay), lanes)

    def run_on(self, device: UsbDevice, lanes: int = 1) -> PullReport:
        """The same, of a device that was seen before."""
        port = Port(device.volume_id, device.open, lanes, seen_arriving=True)
        bay = Bay(device.bay, self.quay.board, self.clock)
        try:
            return Pull(port, self.quay.workplace(), bay, threading.Event()).run()
        finally:
            self.quay.roster.leave(device.bay)


def contents_of(root: Path) -> dict[str, list[bytes]]:
    """The segments of each recording on a card, in order."""
    folders = sorted((root / "RECORDINGS").iterdir()) if (root / "RECORDINGS").is_dir() else []
    return {folder.name: [path.read_bytes() for path in sorted(folder.glob("*.mp4"))] for folder in folders}
