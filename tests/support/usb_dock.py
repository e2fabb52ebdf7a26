"""A dock with a USB in software: the simulator's responders, the real backend, the real vault, all
in this process.
"""

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import usb.core

from device_sim.clock import ManualClock
from device_sim.usb.faults import Fault
from device_sim.usb.hub import Hub
from device_sim.usb.usb import UsbCamera
from dockd.card.contract import Card, CardFile, CardTrouble, FileStream, shown
from dockd.card.transport import USB
from dockd.docking.bay import Bay, Phase
from dockd.docking.outcome import PullReport
from dockd.docking.pull import Port, Pull
from dockd.usb.bus import UsbDevice, UsbWatcher
from dockd.usb.pipes import Patience
from dockd.usb.usbip import UsbipBackend
from tests.support.card_maker import CardMaker
from tests.support.dock import Quay, card_with
from vault.clock import Clock, SystemClock
from vault.errors import Failure

HASTE = Patience(transfer_ms=400, drain_ms=20)
"""Long for a simulator in the same process, and short where a test has to wait for nothing."""
DATE_TIME = 0x5011
LOOKS_MAX = 100_000


Contents = dict[str, list[bytes]]
"""The segments of a card's recordings, by name."""


@dataclass(frozen=True, slots=True)
class Docked:
    """How a docking ended: with a report, or with what stopped it. `lost` is what it broke of I1
    and I2, for whatever stood on this card at its first docking.
    """

    device: UsbCamera
    lost: list[str]
    report: PullReport | None = None
    failure: Failure | None = None

    @property
    def phase(self) -> Phase | None:
        return None if self.report is None else self.report.phase

    @property
    def said(self) -> str:
        """The bay's words."""
        return self.report.message if self.report is not None else f"{self.failure}"

    @property
    def codes(self) -> set[str]:
        """Of whatever went wrong."""
        if self.report is None:
            return set() if self.failure is None else {self.failure.code}
        return {problem.code for problem in self.report.problems}


class UsbQuay:
    """`close` it."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.folder = folder
        self._stood: dict[Path, Contents] = {}
        self.clock = clock or SystemClock()
        self.quay = Quay(folder / "quay", self.clock)
        self.hub = Hub()
        self.backend = UsbipBackend(self.hub.connect)
        self.watcher = UsbWatcher(
            lambda: usb.core.find(find_all=True, backend=self.backend), self.clock, patience=HASTE
        )

    def close(self) -> None:
        self.hub.close()
        self.backend.close()
        self.quay.close()

    def camera(self, serial: str, count: int = 1, *, seconds: int = 40) -> CardMaker:
        """A registered camera's card, with so many recordings of `seconds` / 10 segments each."""
        maker, _ = card_with(self.folder / serial, count, serial, seconds)
        self.quay.register(maker)
        return maker

    def footage(self, serial: str, recordings: Sequence[Sequence[int]]) -> CardMaker:
        """A registered camera's card: for each recording segments of these sizes, of bytes that are
        no video.
        """
        maker = CardMaker(self.folder / serial, serial)
        maker.write_device()
        previous = None
        for counter, sizes in enumerate(recordings, 1):
            made = maker.make(
                counter, previous=previous, seconds=len(sizes), segment_s=1, preroll_ms=0
            )
            noise = random.Random(f"{serial} {counter}")
            made.segments = {
                name: noise.randbytes(size) for name, size in zip(made.segments, sizes, strict=True)
            }
            made.restate()
            maker.write(made)
            previous = made.sha256()
        self.quay.register(maker)
        return maker

    def clips(self, serial: str, sizes: Mapping[str, int]) -> Path:
        """A registered DCIM camera's card with files of these names and sizes."""
        root = self.folder / serial
        folder = root / "DCIM" / "100TEST"
        folder.mkdir(parents=True)
        for name, size in sizes.items():
            (folder / name).write_bytes(random.Random(f"{serial} {name}").randbytes(size))
        self.quay.register_dcim(f"USB-1209-0007-{serial}")
        return root

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
        device = UsbCamera.of_folder(
            root, serial, ManualClock(0), faults=faults, without=without, **how
        )  # type: ignore[arg-type]
        self.hub.plug(device, port)
        return device

    def unplug(self, device: UsbCamera) -> None:
        """Pull it out, and look until the bus shows it no more: the news travels
        through a socket.
        """
        bay = f"usb {device.device.busid}"
        self.hub.unplug(device)
        for _ in range(LOOKS_MAX):
            if all(each.bay != bay for each in self.devices()):
                return
        raise AssertionError(f"{bay} is still there")

    def devices(self) -> tuple[UsbDevice, ...]:
        self.watcher.look()
        return self.watcher.devices()

    def device(self, bay: str = "usb 1-1") -> UsbDevice:
        return next(device for device in self.devices() if device.bay == bay)

    def card(self, bay: str = "usb 1-1") -> Card:
        return self.device(bay).open()

    def pull(self, bay: str = "usb 1-1", reads: int = 1) -> Pull:
        """One camera's stay."""
        device = self.device(bay)
        port = Port(
            device.volume_id,
            device.open,
            replace(USB, parallel_reads=reads),
            self.clock.monotonic_s(),
        )
        self.bay = Bay(bay, self.quay.board, self.clock)
        return Pull(port, self.quay.workplace(), self.bay, threading.Event())

    def docking(
        self,
        root: Path,
        serial: str,
        faults: Sequence[Fault] = (),
        *,
        reads: int = 1,
        **how: object,
    ) -> "Docked":
        """A camera's stay from plugging it in to taking it out, with one pull."""
        stood = self._stood.setdefault(root, contents_of(root))
        device = self.plug(root, serial, faults, port=1, **how)  # type: ignore[arg-type]
        report: PullReport | None = None
        stopped: Failure | None = None
        try:
            report = self.run(reads=reads)
        except Failure as failure:
            stopped = failure
        finally:
            self.unplug(device)
        return Docked(device, lost(self, stood, root), report, stopped)

    def run(self, bay: str = "usb 1-1", reads: int = 1) -> PullReport:
        """A docking that lasts one pull."""
        return self.run_on(self.device(bay), reads)

    def run_on(self, device: UsbDevice, reads: int = 1) -> PullReport:
        """The same, of a device that was seen before."""
        port = Port(
            device.volume_id,
            device.open,
            replace(USB, parallel_reads=reads),
            self.clock.monotonic_s(),
        )
        bay = Bay(device.bay, self.quay.board, self.clock)
        try:
            return Pull(port, self.quay.workplace(), bay, threading.Event()).run()
        finally:
            self.quay.docked_cameras.remove(device.bay)


class NudgedCard:
    """A `Card` that calls `nudge` with what it is about to be asked, each time."""

    def __init__(self, card: Card, nudge: Callable[[str], None]) -> None:
        self._card = card
        self._nudge = nudge

    @property
    def where(self) -> str:
        return self._card.where

    @property
    def trouble(self) -> tuple[CardTrouble, ...]:
        return self._card.trouble

    def files(self, below: tuple[str, ...] = ()) -> tuple[CardFile, ...]:
        self._nudge("files")
        return self._card.files(below)

    def open(self, file: CardFile, offset: int = 0) -> "NudgedReader":
        self._nudge(f"open {file.shown}")
        return NudgedReader(
            self._card.open(file, offset), lambda: self._nudge(f"read {file.shown}")
        )

    def delete(self, file: CardFile) -> None:
        self._nudge(f"delete {file.shown}")
        self._card.delete(file)

    def delete_folder(self, path: tuple[str, ...]) -> bool:
        self._nudge(f"delete folder {shown(path)}")
        return self._card.delete_folder(path)

    def clock_offset_ms(self) -> int | None:
        return self._card.clock_offset_ms()

    def set_clock(self, moment: datetime) -> bool:
        return self._card.set_clock(moment)

    def close(self) -> None:
        self._card.close()


class NudgedReader:
    """A `FileStream` of a `NudgedCard`."""

    def __init__(self, reader: FileStream, nudge: Callable[[], None]) -> None:
        self._reader = reader
        self._nudge = nudge

    def readinto(self, buffer: memoryview) -> int:
        self._nudge()
        return self._reader.readinto(buffer)

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def contents_of(root: Path) -> Contents:
    """The recordings on a card by name, with their segments in order; a DCIM camera's files, each a
    recording of one.
    """
    folders = sorted((root / "RECORDINGS").iterdir()) if (root / "RECORDINGS").is_dir() else []
    found = {
        folder.name: [path.read_bytes() for path in sorted(folder.glob("*.mp4"))]
        for folder in folders
    }
    clips = (path for path in (root / "DCIM").rglob("*") if path.is_file())
    return found | {shown(path.relative_to(root).parts): [path.read_bytes()] for path in clips}


def lost(dock: UsbQuay, before: Contents, root: Path) -> list[str]:
    """I1 and I2, for each recording that stood on the camera when it was docked: intact there, or
    whole in the vault.

    Nor does the vault hold anything else under its name.
    """
    now = contents_of(root)
    broken = []
    for name, contents in before.items():
        rows = [row for row in dock.quay.rows() if row.name == name]
        held = [dock.quay.holds(row, contents) for row in rows]
        if not all(held):
            broken.append(f"{name} has a row and is not held")
        if now.get(name) != contents and not any(held):
            broken.append(f"{name} is nowhere whole")
        if name in now and any(row.state == "erased" for row in rows):
            broken.append(f"{name} has a row that calls it erased and stands on the camera")
    return broken
