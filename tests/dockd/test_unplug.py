"""Fault A1: the camera is pulled out at every moment there is. Nothing half-done becomes final, the other bay is not disturbed,
and the next docking finishes what was begun.

Every moment: each transfer that a whole pull makes, and within the data of each read the bytes at which something begins or ends:
the header's, the packet's, the last ones.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_sim.faults import Fault, Kind
from dockd.bay import Phase
from dockd.card import CardGone
from tests.dockd.usb_quay import UsbQuay, contents_of

IN_DATA = (0, 1, 11, 12, 511, 512, 513, -1, -2)
READS = (0x95C1, 0x1008, 0x1007, 0x1004, 0x1001)
POINTS_MIN = 500


@pytest.fixture
def dock(tmp_path: Path) -> Iterator[UsbQuay]:
    dock = UsbQuay(tmp_path)
    yield dock
    dock.close()


def lost(dock: UsbQuay, before: dict[str, list[bytes]], root: Path) -> list[str]:
    """I1 and I2, for each recording that stood on the camera when it was docked: intact there, or whole in the vault."""
    now = contents_of(root)
    rows = {row.name: row for row in dock.quay.rows()}
    broken = []
    for name, contents in before.items():
        row = rows.get(name)
        on_camera = now.get(name) == contents
        in_vault = row is not None and dock.quay.holds(row, contents)
        if row is not None and not in_vault:
            broken.append(f"{name} has a row and is not held")
        if not on_camera and not in_vault:
            broken.append(f"{name} is nowhere whole")
    return broken


def whole_pull(dock: UsbQuay, serial: str, faults: tuple[Fault, ...] = ()) -> tuple[int, list[int]]:
    """One docking from end to end; how many transfers it took, and the operations in order."""
    maker = dock.camera(serial)
    device = dock.plug(maker.root, serial, faults, port=1)
    report = dock.run()
    dock.hub.unplug(device)
    assert report.phase is Phase.SAFE, report.message
    return device.urbs, device.calls


def pulled_out_at(dock: UsbQuay, serial: str, fault: Fault) -> bool:
    """Dock, be pulled out, dock again, while another camera is taken in. False if the moment never came."""
    maker, other = dock.camera(serial), dock.camera(f"Z{serial}")
    before = contents_of(maker.root)
    device, neighbour = dock.plug(maker.root, serial, (fault,), port=1), dock.plug(other.root, other.serial, port=2)
    dock.watcher.look()
    reports: list[Phase] = []
    beside = threading.Thread(target=lambda: reports.append(dock.run("usb 1-2").phase))
    beside.start()
    try:
        dock.run()
        came = False
    except CardGone:
        came = True
    beside.join()
    dock.hub.unplug(neighbour)
    assert reports == [Phase.SAFE], "the other bay was disturbed"
    assert lost(dock, before, maker.root) == []
    if came:
        dock.plug(maker.root, serial, port=1)
        assert dock.run().phase is Phase.SAFE
    dock.hub.unplug(device)
    for plugged in list(dock.hub.plugged):
        dock.hub.unplug(plugged)
    assert lost(dock, before, maker.root) == []
    assert contents_of(maker.root) == {}
    return came


def test_pulled_out_at_every_moment(dock: UsbQuay) -> None:
    urbs, calls = whole_pull(dock, "A00000")
    faults = [Fault(Kind.UNPLUG_AT_URB, at) for at in range(urbs)]
    faults += [
        Fault(Kind.UNPLUG_IN_DATA, at, operation, after=number, times=1)
        for operation in READS
        for number in range(calls.count(operation))
        for at in IN_DATA
    ]
    came = sum(pulled_out_at(dock, f"A{number:05d}", fault) for number, fault in enumerate(faults, 1))
    assert len(faults) >= POINTS_MIN
    assert came >= POINTS_MIN
    assert dock.quay.findings() == ()
