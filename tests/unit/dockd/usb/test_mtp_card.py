"""A card over PTP/MTP on a camera that does everything right. What goes wrong stands in
test_usb_faults.py.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_sim.clock import SystemClock as CameraClock
from device_sim.usb.usb import UsbCamera
from dockd.card.contract import Card, CardFile, CardFileChangedError, CardGoneError
from tests.support.usb_dock import UsbQuay

PARTIAL, PARTIAL_64, GET_OBJECT = 0x101B, 0x95C1, 0x1009
WAYS = {
    PARTIAL_64: frozenset[int](),
    PARTIAL: frozenset({PARTIAL_64}),
    GET_OBJECT: frozenset({PARTIAL_64, PARTIAL}),
}
"""The way that is taken, and what the camera must lack for it."""
MIB = 1 << 20
SIZES = (
    0,
    1,
    499,
    500,
    501,
    511,
    512,
    513,
    1012,
    2 * MIB - 13,
    2 * MIB - 12,
    2 * MIB - 11,
    2 * MIB,
    2 * MIB + 500,
    5 * MIB + 7,
)


@pytest.fixture
def dock(tmp_path: Path) -> Iterator[UsbQuay]:
    dock = UsbQuay(tmp_path)
    yield dock
    dock.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A card with a file of each size."""
    folder = tmp_path / "card" / "DCIM" / "100TEST"
    folder.mkdir(parents=True)
    for size in SIZES:
        (folder / f"{size:07d}.mp4").write_bytes(os.urandom(size))
    return tmp_path / "card"


def read(card: Card, file: CardFile, offset: int = 0, block: int = MIB) -> bytes:
    buffer, content = memoryview(bytearray(block)), b""
    with card.open(file, offset) as reader:
        while count := reader.readinto(buffer):
            content += bytes(buffer[:count])
    return content


def on_disk(root: Path, file: CardFile) -> bytes:
    return root.joinpath(*file.path).read_bytes()


@pytest.mark.parametrize("way", WAYS)
def test_every_size_comes_whole_by_each_way(dock: UsbQuay, root: Path, way: int) -> None:
    """Sizes at which a packet, a chunk, or either with the header before it, is exactly full (fault
    A3).
    """
    device = dock.plug(root, "CAM1", without=WAYS[way])
    card = dock.card()
    for file in card.files():
        assert read(card, file) == on_disk(root, file)
        assert way in device.calls or file.size_bytes == 0
    card.close()
    assert set(WAYS) & set(device.calls) == {way}


@pytest.mark.parametrize("way", WAYS)
def test_reading_from_an_offset_and_giving_up_half_way(dock: UsbQuay, root: Path, way: int) -> None:
    dock.plug(root, "CAM1", without=WAYS[way])
    card = dock.card()
    large = card.files()[-1]
    assert read(card, large, 4 * MIB + 3) == on_disk(root, large)[4 * MIB + 3 :]
    with card.open(large) as reader:
        assert reader.readinto(memoryview(bytearray(1000)))
    assert read(card, large) == on_disk(root, large)
    card.close()


def test_a_second_reading_goes_another_way(dock: UsbQuay, root: Path) -> None:
    """Two readings that agree, as a camera without digests needs, then agree over two ways (fault
    A4).
    """
    device = dock.plug(root, "CAM1")
    card = dock.card()
    file = card.files()[-1]
    ways = []
    for _ in range(3):
        before = len(device.calls)
        assert read(card, file) == on_disk(root, file)
        ways.append({call for call in device.calls[before:] if call in WAYS})
    card.close()
    assert ways == [{PARTIAL_64}, {PARTIAL}, {GET_OBJECT}]


def test_what_is_deleted_is_gone_and_a_full_folder_stays(dock: UsbQuay, root: Path) -> None:
    dock.plug(root, "CAM1")
    card = dock.card()
    files = card.files()
    assert not card.delete_folder(("DCIM", "100TEST"))
    for file in files:
        card.delete(file)
        assert not root.joinpath(*file.path).exists()
    with pytest.raises(CardFileChangedError):
        card.delete(files[0])
    assert card.delete_folder(("DCIM", "100TEST"))
    assert card.delete_folder(("DCIM", "100TEST"))
    assert list((root / "DCIM").iterdir()) == []
    card.close()


def test_each_opening_is_a_session_of_its_own_and_the_older_card_goes_on(
    dock: UsbQuay, root: Path
) -> None:
    """Faults A6, A7: handles of the older session are worth nothing, so it looks for its files by
    their paths again.
    """
    device = dock.plug(root, "CAM1")
    where = dock.device()
    older = where.open()
    files = older.files()
    newer = where.open()
    assert device.calls.count(0x1002) == 2
    assert newer.files() == files
    newer.close()
    assert read(older, files[3]) == on_disk(root, files[3])
    older.close()
    older.close()
    assert device.calls[-1] == 0x1003


def test_a_file_that_grew_since_it_was_listed_is_another(dock: UsbQuay, root: Path) -> None:
    """Faults A16, B6."""
    dock.plug(root, "CAM1")
    card = dock.card()
    file = card.files()[5]
    with card.open(file) as reader:
        buffer = memoryview(bytearray(MIB))
        assert reader.readinto(buffer) == file.size_bytes
        with root.joinpath(*file.path).open("ab") as more:
            more.write(b"more")
        with pytest.raises(CardFileChangedError):
            reader.readinto(buffer)
    with pytest.raises(CardFileChangedError):
        card.delete(file)
    card.close()


def camera_with_clock(dock: UsbQuay, root: Path, ahead_ms: int) -> UsbCamera:
    clock = CameraClock()
    device = UsbCamera.of_folder(root, "CAM1", clock)
    device.set_clock(clock.utc_ms() + ahead_ms)
    dock.hub.plug(device)
    return device


@pytest.mark.parametrize("ahead_ms", [-3_600_000, -70, 0, 4321])
def test_the_clock_is_measured_to_50_ms_at_its_tick(
    dock: UsbQuay, root: Path, ahead_ms: int
) -> None:
    """What the card says of its bound holds however slow this machine is: it says nothing rather
    than something less sure.
    """
    camera_with_clock(dock, root, ahead_ms)
    card = dock.card()
    measured = next(
        offset for offset in (card.clock_offset_ms() for _ in range(100)) if offset is not None
    )
    assert abs(measured - ahead_ms) <= 50 + 1
    card.close()


def test_the_clock_is_set_in_the_cameras_own_form(dock: UsbQuay, root: Path) -> None:
    device = camera_with_clock(dock, root, 3_600_000)
    card = dock.card()
    assert card.set_clock(dock.clock.now())
    assert 0x1016 in device.calls
    measured = next(
        offset for offset in (card.clock_offset_ms() for _ in range(100)) if offset is not None
    )
    assert abs(measured) < 5_000
    card.close()


def test_a_camera_without_a_clock_has_none(dock: UsbQuay, root: Path) -> None:
    dock.plug(root, "CAM1", without=frozenset({0x5011}))
    card = dock.card()
    assert card.clock_offset_ms() is None
    assert not card.set_clock(dock.clock.now())
    card.close()


def test_a_card_that_was_let_go_says_so(dock: UsbQuay, root: Path) -> None:
    dock.plug(root, "CAM1")
    card = dock.card()
    files = card.files()
    card.close()
    with pytest.raises(CardGoneError):
        card.open(files[0])
