"""Fault A1: the camera is pulled out at every moment there is. `python -m
tests.campaigns.crash.unplug --points all`.

Nothing half-done becomes final, the other bay is not disturbed, and the next docking finishes what
was begun. Every moment is each transfer that a whole pull makes, and within the data of each read
the bytes at which something begins or ends: the header's, the packet's, the last ones.
"""

import logging
import os
import random
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click
import structlog
from rich.console import Console
from rich.progress import track

from device_sim.usb.faults import Fault, Kind
from dockd.card.contract import CardGoneError
from dockd.docking.bay import Phase
from dockd.usb.bus import UsbDevice
from tests.support.usb_dock import UsbQuay, contents_of, lost

IN_OBJECT, IN_DATASET = (0, 1, 11, 12, 511, 512, 513, -1, -2), (0, 1, 11, 12, -1, -2)
READS = {0x95C1: IN_OBJECT, 0x101B: IN_OBJECT} | dict.fromkeys(
    (0x1008, 0x1007, 0x1005, 0x1004, 0x1001), IN_DATASET
)
"""Operations with a data phase; the datasets are shorter than a packet."""
SEED = int(os.environ.get("CRASH_SEED", "1"))
"""Which moments a part of them is."""
NEIGHBOUR_EVERY = 8
"""Another camera is taken in beside every so many of the points."""


def whole_pull(dock: UsbQuay, serial: str, faults: tuple[Fault, ...] = ()) -> tuple[int, list[int]]:
    """One docking from end to end; how many transfers it took, and the operations in order."""
    maker = dock.camera(serial)
    device = dock.plug(maker.root, serial, faults, port=1)
    report = dock.run()
    dock.unplug(device)
    assert report.phase is Phase.SAFE, report.message
    return device.urbs, device.calls


def pulled_out_at(dock: UsbQuay, serial: str, fault: Fault, *, with_neighbour: bool) -> bool:
    """Dock, be pulled out, dock again; if wanted, while another camera is taken in. False if the
    moment never came.
    """
    maker = dock.camera(serial)
    before = contents_of(maker.root)
    device = dock.plug(maker.root, serial, (fault,), port=1)
    beside = _Neighbour(dock, f"Z{serial}") if with_neighbour else None
    seen = {each.bay: each for each in dock.devices()}
    if beside is not None:
        beside.start(seen["usb 1-2"])
    ours = seen.get("usb 1-1")
    try:
        # Pulled out while it was looked at, it is not there, or could not say what it is.
        came = ours is None or ours.refusal is not None
        if ours is not None and not came:
            dock.run_on(ours)
    except CardGoneError:
        came = True
    if beside is not None:
        assert beside.phase() is Phase.SAFE, f"{fault}: the other bay was disturbed"
    assert lost(dock, before, maker.root) == [], fault
    dock.unplug(device)
    if came:
        again = dock.plug(maker.root, serial, port=1)
        assert dock.run().phase is Phase.SAFE, fault
        dock.unplug(again)
    assert lost(dock, before, maker.root) == [], fault
    assert contents_of(maker.root) == {}, fault
    return came


class _Neighbour:
    """Another camera, taken in from another bay meanwhile."""

    def __init__(self, dock: UsbQuay, serial: str) -> None:
        self._dock = dock
        self._device = dock.plug(dock.camera(serial).root, serial, port=2)
        self._phases: list[Phase] = []

    def start(self, device: UsbDevice) -> None:
        self._thread = threading.Thread(
            target=lambda: self._phases.append(self._dock.run_on(device).phase)
        )
        self._thread.start()

    def phase(self) -> Phase | None:
        """How it ended; None where it did not."""
        self._thread.join()
        self._dock.unplug(self._device)
        return self._phases[0] if self._phases else None


def moments(dock: UsbQuay) -> list[Fault]:
    """All there are, by a whole pull that nothing disturbs."""
    urbs, calls = whole_pull(dock, "A00000")
    within = [
        Fault(Kind.UNPLUG_IN_DATA, at, operation, after=number, times=1)
        for operation, bytes_at in READS.items()
        for number in range(calls.count(operation))
        for at in bytes_at
    ]
    return [Fault(Kind.UNPLUG_AT_URB, at) for at in range(urbs)] + within


def chosen(faults: Sequence[Fault], count: int | None) -> list[Fault]:
    """`count` of them, spread evenly over the transfers and over the moments within data; None:
    all.
    """
    if count is None or count >= len(faults):
        return list(faults)
    first = random.Random(SEED).random()
    return [faults[int((number + first) * len(faults) / count)] for number in range(count)]


def campaign(
    folder: Path,
    count: int | None,
    shown: Callable[[Sequence[Fault]], Iterable[Fault]] = lambda faults: faults,
) -> int:
    """How many moments came; an AssertionError at the first violation."""
    dock = UsbQuay(folder)
    try:
        faults = chosen(moments(dock), count)
        came = 0
        for number, fault in enumerate(shown(faults), 1):
            came += pulled_out_at(
                dock, f"A{number:05d}", fault, with_neighbour=number % NEIGHBOUR_EVERY == 0
            )
        assert dock.quay.findings() == ()
        return came
    finally:
        dock.close()


@click.command()
@click.option("--points", default="all", show_default=True, help="How many moments, or `all`.")
def main(points: str) -> None:
    """Pull a camera out of its dock at every moment of its stay."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        count = None if points == "all" else int(points)
        came = campaign(
            Path(folder), count, lambda faults: track(faults, "pulling out", console=console)
        )
    console.print(
        f"{came} times pulled out: nothing lost, nothing half-done kept, every camera "
        f"finished at its next docking."
    )


if __name__ == "__main__":
    sys.exit(main())
