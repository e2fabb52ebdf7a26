"""Which cameras stand on the bus: bays that keep their names, arrivals and leavings, what is not
opened.
"""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import usb.core

from dockd.card.contract import CardGoneError
from dockd.usb.bus import UsbAbsentError, UsbWatcher, bus_of, watcher_of
from tests.support.usb_dock import UsbQuay
from vault.clock import SystemClock

ENOUGH_S = 60.0


@pytest.fixture
def dock(tmp_path: Path) -> Iterator[UsbQuay]:
    (tmp_path / "card").mkdir()
    dock = UsbQuay(tmp_path)
    yield dock
    dock.close()


def test_a_bay_is_a_port_whoever_stands_in_it(dock: UsbQuay, tmp_path: Path) -> None:
    first, second = (
        dock.plug(tmp_path / "card", "CAM1", port=3),
        dock.plug(tmp_path / "card", "CAM2", port=1),
    )
    seen = dock.devices()
    assert [(device.bay, device.volume_id) for device in seen] == [
        ("usb 1-1", "USB-1209-0007-CAM2"),
        ("usb 1-3", "USB-1209-0007-CAM1"),
    ]
    dock.unplug(first)
    dock.unplug(second)
    assert dock.devices() == ()
    dock.hub.plug(second, 3)
    (again,) = dock.devices()
    assert (again.bay, again.volume_id) == ("usb 1-3", "USB-1209-0007-CAM2")
    assert again.key not in {device.key for device in seen}


def test_the_same_camera_plugged_anew_is_another_docking(dock: UsbQuay, tmp_path: Path) -> None:
    device = dock.plug(tmp_path / "card", "CAM1", port=2)
    (before,) = dock.devices()
    card = before.open()
    dock.hub.unplug(device)
    with pytest.raises(CardGoneError):
        card.files()
    card.close()
    with pytest.raises(CardGoneError):
        before.open()
    dock.unplug(device)
    dock.hub.plug(device, 2)
    (after,) = dock.devices()
    assert (after.bay, after.key == before.key) == (before.bay, False)
    after.open().close()


def test_arrival_and_leaving_are_told(dock: UsbQuay, tmp_path: Path) -> None:
    told = threading.Semaphore(0)
    watcher = UsbWatcher(
        lambda: usb.core.find(find_all=True, backend=dock.backend), SystemClock(), look_s=0.01
    )
    watcher.start(told.release)
    try:
        device = dock.plug(tmp_path / "card", "CAM1")
        assert told.acquire(timeout=ENOUGH_S)
        assert [each.bay for each in watcher.devices()] == ["usb 1-1"]
        dock.hub.unplug(device)
        assert told.acquire(timeout=ENOUGH_S)
        assert watcher.devices() == ()
    finally:
        watcher.stop()
    assert not told.acquire(blocking=False)


def test_a_machine_without_usb_has_no_cameras_and_is_asked_again() -> None:
    answers: list[Exception | tuple[usb.core.Device, ...]] = [
        UsbAbsentError("no bus"),
        usb.core.USBError("none", -1, 5),
        (),
    ]

    def bus() -> Iterable[usb.core.Device]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watcher = UsbWatcher(bus, SystemClock())
    assert [watcher.look() for _ in range(3)] == [False, False, False]
    assert watcher.devices() == ()
    assert answers == []


def test_a_device_that_the_kernel_knows_is_not_opened_for_its_serial(
    dock: UsbQuay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who follows the bus may open none."""
    told = tmp_path / "sys" / "1-2"
    told.mkdir(parents=True)
    (told / "serial").write_bytes(b"CAM \xff\n")
    monkeypatch.setattr("dockd.usb.bus.KERNEL_DEVICES", told.parent)
    monkeypatch.setattr(
        "dockd.usb.bus._libusb", lambda: usb.core.find(find_all=True, backend=dock.backend)
    )
    cameras = [
        dock.plug(tmp_path / "card", "CAM1", port=2),
        dock.plug(tmp_path / "card", "CAM2", port=3),
    ]
    watcher = watcher_of("libusb", SystemClock())
    watcher.look()
    names = [device.volume_id for device in watcher.devices()]
    assert names == ["USB-1209-0007-CAM \\udcff", "USB-1209-0007"]
    assert [camera.calls for camera in cameras] == [[], []]


def test_off_is_no_bus_at_all() -> None:
    assert bus_of("off") is None
    assert bus_of("libusb") is not None
    assert bus_of("usbip:127.0.0.1:3240") is not None


def test_a_server_that_is_not_there_shows_no_cameras() -> None:
    bus = bus_of("usbip:127.0.0.1:9")
    assert bus is not None
    watcher = UsbWatcher(bus, SystemClock())
    assert not watcher.look()
    assert watcher.devices() == ()
