"""Cameras on the USB that get something wrong: each fault by its name, through the whole pull, on a
real vault.

After each, whatever else happened: every recording is whole on the camera or whole in the vault,
and what is gone from the camera is in the vault (I1, I2). And a good docking afterwards finishes
the work.
"""

import errno
import os
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import usb.core

from device_sim.usb.faults import Fault, Kind
from dockd.card.contract import CardGoneError
from dockd.card.transport import USB
from dockd.docking.bay import Bay, Phase
from dockd.docking.halt import StoppingError
from dockd.docking.outcome import PullReport
from dockd.docking.pull import Port, Pull
from dockd.usb.pipes import CardBusyError, CardForbiddenError, DeviceRefusedError
from tests.support.card_maker import CardMaker
from tests.support.usb_dock import UsbQuay, contents_of, lost
from vault.errors import Failure

PARTIAL_64, PARTIAL, GET_OBJECT, DELETE, OBJECT_INFO = 0x95C1, 0x101B, 0x1009, 0x100B, 0x1008
DATE_TIME, OBJECT_PROP_VALUE = 0x5011, 0x9803
ALL_WAYS, NO_64, ONLY_WHOLE = (
    frozenset({DATE_TIME} | lacking) for lacking in (set(), {PARTIAL_64}, {PARTIAL_64, PARTIAL})
)
SERIAL = "BWC0042"
SEGMENT = f"RECORDINGS/{SERIAL}-000001/0001.mp4"
GIB = 1 << 30
ORIGINALS: dict[Path, dict[str, list[bytes]]] = {}
"""What stood on each camera when it was docked first."""


@pytest.fixture
def dock(tmp_path: Path) -> Iterator[UsbQuay]:
    dock = UsbQuay(tmp_path)
    yield dock
    dock.close()


def docked(
    dock: UsbQuay, maker: CardMaker, *faults: Fault, without: frozenset[int] = ALL_WAYS
) -> PullReport | Failure:
    """One docking with these faults, and what came of it; nothing that the camera ever held may be
    lost by it.
    """
    before = ORIGINALS.setdefault(maker.root, contents_of(maker.root))
    device = dock.plug(maker.root, maker.serial, faults, without=without, port=1)
    ended: PullReport | Failure
    try:
        ended = dock.run()
    except Failure as failure:
        ended = failure
    dock.unplug(device)
    assert lost(dock, before, maker.root) == []
    return ended


def finished(dock: UsbQuay, maker: CardMaker) -> None:
    """A docking of the camera as it should be: everything is in the vault, and the camera empty."""
    report = docked(dock, maker)
    assert isinstance(report, PullReport)
    assert report.phase is Phase.SAFE, report.message
    assert contents_of(maker.root) == {}
    assert dock.quay.findings() == ()


def is_safe(ended: PullReport | Failure) -> bool:
    return isinstance(ended, PullReport) and ended.phase is Phase.SAFE


BOUNDARIES = (0, 1, 511, 512, 513, 1023, 1024, 4096, 17_920)


@pytest.mark.parametrize("at", BOUNDARIES)
def test_a_read_that_ends_early_without_an_error_is_read_on(dock: UsbQuay, at: int) -> None:
    """Fault A2. pyusb gives a read that timed out half-way as a success."""
    maker = dock.camera(SERIAL)
    assert is_safe(docked(dock, maker, Fault(Kind.SHORT_READ, at)))
    assert contents_of(maker.root) == {}


@pytest.mark.parametrize("at", BOUNDARIES)
def test_a_packet_that_is_lost_is_never_data(dock: UsbQuay, at: int) -> None:
    """Fault A2. The bytes are fewer than announced: another way brings them."""
    maker = dock.camera(SERIAL)
    assert is_safe(docked(dock, maker, Fault(Kind.DROP, at, PARTIAL_64, times=2)))
    assert contents_of(maker.root) == {}


@pytest.mark.parametrize("without", [ALL_WAYS, ONLY_WHOLE], ids=["partial", "whole"])
@pytest.mark.parametrize("kind", [None, Kind.NO_ZLP, Kind.EXTRA_ZLP, Kind.HEADER_APART])
def test_empty_packets_missing_and_too_many(
    dock: UsbQuay, tmp_path: Path, kind: Kind | None, without: frozenset[int]
) -> None:
    """Fault A3, at 3 x 64 sizes around full packets."""
    folder = tmp_path / "card" / "DCIM"
    folder.mkdir(parents=True)
    sizes = [count * 512 - 12 + beside for count in range(1, 65) for beside in (-1, 0, 1)]
    for size in sizes:
        (folder / f"{size:05d}.MP4").write_bytes(random.Random(size).randbytes(size))
    dock.plug(tmp_path / "card", "CAM1", [Fault(kind)] if kind is not None else [], without=without)
    card = dock.card()
    files = card.files()
    assert [file.size_bytes for file in files] == sizes
    buffer = memoryview(bytearray(1 << 16))
    for file in files:
        with card.open(file) as reader:
            count = reader.readinto(buffer)
            assert bytes(buffer[:count]) == (folder / file.path[-1]).read_bytes()
            assert reader.readinto(buffer) == 0
    card.close()


LIES = [
    Fault(Kind.STALL, path=SEGMENT),
    Fault(Kind.SHORT_ANSWER, 1, path=SEGMENT),
    Fault(Kind.SHORT_ANSWER, 512, path=SEGMENT),
    Fault(Kind.LONG_ANSWER, 1, path=SEGMENT),
    Fault(Kind.LONG_ANSWER, 512, path=SEGMENT),
    Fault(Kind.GARBAGE_TAIL, 1, path=SEGMENT),
    Fault(Kind.GARBAGE_TAIL, 700, path=SEGMENT),
    Fault(Kind.WRONG_BYTES, 5000, path=SEGMENT),
    Fault(Kind.NO_ANSWER, path=SEGMENT),
    Fault(Kind.WRONG_TRANSACTION, path=SEGMENT),
    Fault(Kind.UNREADABLE, path=SEGMENT),
    Fault(Kind.BUSY, operation=PARTIAL_64),
]


@pytest.mark.parametrize("without", [ALL_WAYS, NO_64, ONLY_WHOLE], ids=["64", "32", "whole"])
@pytest.mark.parametrize("lie", LIES, ids=lambda lie: f"{lie.kind} {lie.at}")
def test_wrong_short_long_and_missing_answers(
    dock: UsbQuay, lie: Fault, without: frozenset[int]
) -> None:
    """Fault A4. Never a byte in the vault that is not the camera's, whichever ways
    the camera has.
    """
    maker = dock.camera(SERIAL)
    docked(dock, maker, lie, without=without)
    finished(dock, maker)


@pytest.mark.parametrize(
    "lie",
    [lie for lie in LIES if lie.kind is not Kind.WRONG_BYTES],
    ids=lambda lie: f"{lie.kind} {lie.at}",
)
def test_a_lie_of_one_way_is_met_by_the_next(dock: UsbQuay, lie: Fault) -> None:
    """Fault A4. The camera gets it wrong in GetPartialObject64 alone: the same
    docking ends well.
    """
    maker = dock.camera(SERIAL)
    only = Fault(lie.kind, lie.at, PARTIAL_64, lie.path)
    assert is_safe(docked(dock, maker, only))


def test_a_partial_read_that_hangs_at_a_size(dock: UsbQuay) -> None:
    """Fault A4: at size - 512 N + 500, as some cameras do."""
    maker = dock.camera(SERIAL)
    modulo = (maker.root / SEGMENT).stat().st_size % 512
    assert is_safe(docked(dock, maker, Fault(Kind.HANG, modulo)))


def test_a_size_that_is_a_lie_is_not_taken_in(dock: UsbQuay) -> None:
    """Fault A4, A5."""
    for more in (-1, 1, 512):
        maker = dock.camera(f"{SERIAL}{more + 1}")
        path = f"RECORDINGS/{maker.serial}-000001/0001.mp4"
        assert not is_safe(docked(dock, maker, Fault(Kind.SIZE_LIES, more, path=path)))
        finished(dock, maker)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A card with objects around 4 GiB, all holes but for a few bytes at their ends and at the
    border.
    """
    folder = tmp_path / "large" / "DCIM"
    folder.mkdir(parents=True)
    for name, size in (("A", 4 * GIB - 1), ("B", 4 * GIB), ("C", 4 * GIB + 1), ("D", 11 * 10**9)):
        with (folder / f"{name}.MP4").open("wb") as file:
            for at in (0, 4 * GIB - 13, size - 7):
                file.seek(at)
                file.write(os.urandom(min(7, size - at)))
            file.truncate(size)
    return tmp_path / "large"


@pytest.mark.parametrize("without", [ALL_WAYS, NO_64, ONLY_WHOLE], ids=["64", "32", "whole"])
def test_objects_of_4_gib_and_more_have_their_true_size(
    dock: UsbQuay, large: Path, without: frozenset[int]
) -> None:
    """Fault A5. Head and tail of each; that all of it comes whole is `make usb-big`."""
    dock.plug(large, "CAM1", without=without)
    card = dock.card()
    files = card.files()
    assert [file.size_bytes for file in files] == [4 * GIB - 1, 4 * GIB, 4 * GIB + 1, 11 * 10**9]
    seen = files if PARTIAL_64 not in without else files[:1]
    for file in seen:
        tail = memoryview(bytearray(64))
        with card.open(file, file.size_bytes - 64) as reader:
            count = reader.readinto(tail)
        with (large / "DCIM" / file.path[-1]).open("rb") as true:
            true.seek(file.size_bytes - 64)
            assert bytes(tail[:count]) == true.read()
    card.close()


def test_what_has_no_known_size_is_left_on_the_camera_and_said(dock: UsbQuay, large: Path) -> None:
    """Fault A5: 4 GiB and more without ObjectSize."""
    dock.plug(large, "CAM1", without=ALL_WAYS | {OBJECT_PROP_VALUE})
    card = dock.card()
    assert card.files() == ()
    assert {trouble.code for trouble in card.trouble} == {"card.unknown_size"}
    card.close()


def test_handles_that_move_between_sessions_erase_nothing_else(dock: UsbQuay) -> None:
    """Fault A6. Each opening gives the handles to other objects."""
    maker = dock.camera(SERIAL, 3)
    assert is_safe(docked(dock, maker, Fault(Kind.HANDLES_MOVE)))
    assert contents_of(maker.root) == {}


@pytest.mark.parametrize("name", ["0000.mp4", "0002.mp4", "recording.sig", "recording.json"])
def test_a_deletion_that_is_a_lie_is_found_by_the_next_session(dock: UsbQuay, name: str) -> None:
    """Fault A7: OK, and still there."""
    maker = dock.camera(SERIAL)
    ended = docked(dock, maker, Fault(Kind.DELETE_LIES, path=f"RECORDINGS/{SERIAL}-000001/{name}"))
    assert isinstance(ended, PullReport)
    assert ended.phase is Phase.NOT_ERASED
    assert set(dock.quay.states().values()) == {"erasing"}
    finished(dock, maker)


@pytest.mark.parametrize("name", ["0001.mp4", "recording.json"])
def test_a_deletion_that_was_done_and_denied_is_taken_up_again(dock: UsbQuay, name: str) -> None:
    """Fault A7, the other way round."""
    maker = dock.camera(SERIAL)
    assert not is_safe(
        docked(dock, maker, Fault(Kind.DELETE_UNSAID, path=f"RECORDINGS/{SERIAL}-000001/{name}"))
    )
    finished(dock, maker)
    assert set(dock.quay.states().values()) == {"erased"}


@pytest.mark.parametrize("counter", [1, 2, 3])
@pytest.mark.parametrize("name", ["0000.mp4", "0003.mp4", "recording.json"])
def test_one_object_that_can_never_be_read_blocks_no_other(
    dock: UsbQuay, counter: int, name: str
) -> None:
    """Fault A8, at every position."""
    maker = dock.camera(SERIAL, 3)
    ended = docked(
        dock, maker, Fault(Kind.UNREADABLE, path=f"RECORDINGS/{SERIAL}-{counter:06d}/{name}")
    )
    assert isinstance(ended, PullReport)
    assert not is_safe(ended)
    assert f"{SERIAL}-{counter:06d}" in ended.message + str(ended.outcomes)
    others = {f"{SERIAL}-{each:06d}" for each in (1, 2, 3)} - {f"{SERIAL}-{counter:06d}"}
    assert set(dock.quay.states()) == others
    finished(dock, maker)


def test_a_busy_interface_says_who_may_hold_it(dock: UsbQuay) -> None:
    """Fault A9."""
    maker = dock.camera(SERIAL)
    dock.plug(maker.root, SERIAL)
    where = dock.device()
    (link,) = dock.backend.enumerate_devices()
    holder = dock.backend.open_device(link)
    dock.backend.claim_interface(holder, 0)
    with pytest.raises(CardBusyError, match="gvfs"):
        where.open()
    dock.backend.close_device(holder)
    where.open().close()


def test_a_device_that_may_not_be_opened_names_the_udev_rule(
    dock: UsbQuay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault A9."""
    maker = dock.camera(SERIAL)
    dock.plug(maker.root, SERIAL)
    where = dock.device()

    def forbidden(device: object) -> object:
        raise usb.core.USBError("Access denied", -3, errno.EACCES)

    monkeypatch.setattr(dock.backend, "open_device", forbidden)
    with pytest.raises(CardForbiddenError, match="udev rule"):
        where.open()


def test_stopped_in_the_middle_of_a_transfer_at_many_moments(dock: UsbQuay) -> None:
    """Fault A10. The thread lets go between two blocks; nobody closes under its hands, and no
    thread is left.
    """
    for number in range(60):
        maker = dock.camera(f"A{number:05d}")
        before = contents_of(maker.root)
        device = dock.plug(maker.root, maker.serial, port=1)
        (where,) = dock.devices()
        gone = threading.Event()
        pull = Pull(
            Port(where.volume_id, where.open, USB, dock.clock.monotonic_s()),
            dock.quay.workplace(),
            Bay(where.bay, dock.quay.board, dock.clock),
            gone,
        )
        ended: list[object] = []

        def run(pull: Pull = pull, ended: list[object] = ended) -> None:
            try:
                ended.append(pull.run())
            except (CardGoneError, StoppingError) as failure:
                ended.append(failure)

        thread = threading.Thread(target=run)
        thread.start()
        while thread.is_alive() and device.urbs < 5 * number:
            thread.join(0.0005)
        gone.set()
        thread.join()
        assert ended
        dock.quay.docked_cameras.remove(where.bay)
        assert lost(dock, before, maker.root) == []
        dock.unplug(device)
        finished(dock, maker) if contents_of(maker.root) else None


@pytest.mark.parametrize("wire", [("", ""), ("SAME", "SAME"), ("A", "B")])
@pytest.mark.parametrize("names", ["same", "others"])
def test_two_cameras_of_one_serial_are_taken_in_and_neither_is_erased(
    dock: UsbQuay, tmp_path: Path, wire: tuple[str, str], names: str
) -> None:
    """Fault A11: whatever the wire says of them."""
    maker = dock.camera(SERIAL)
    twin = CardMaker(tmp_path / "twin", SERIAL)
    twin.key = maker.key
    twin.root.mkdir()
    twin.write_device()
    twin.write(
        twin.make(1 if names == "same" else 2, previous=None if names == "same" else "0" * 64)
    )
    for port, (root, serial) in enumerate(zip((maker.root, twin.root), wire, strict=True), 1):
        dock.plug(root, SERIAL, port=port, usb_serial=serial)
    before = {root: contents_of(root) for root in (maker.root, twin.root)}
    first, second = dock.devices()
    at_work = threading.Event()
    pulls = [
        Pull(
            Port(
                each.volume_id, each.open, replace(USB, parallel_reads=1), dock.clock.monotonic_s()
            ),
            dock.quay.workplace(),
            Bay(each.bay, dock.quay.board, dock.clock),
            at_work,
        )
        for each in (first, second)
    ]
    for each in (first, second):
        dock.quay.docked_cameras.add(each.bay, SERIAL)
    for pull in (*pulls, pulls[0]):
        pull.run()
    assert {root: contents_of(root) for root in before} == before
    assert set(dock.quay.states().values()) == {"stored"}
    for root, contents in before.items():
        assert lost(dock, contents, root) == []


CONFIGURATION = bytes.fromhex(
    "09 02 27 00 01 01 00 80 32  09 04 00 00 03 06 01 01 00  07 05 81 02 00 02 00  07 05 02 "
    "02 00 02 00  07 05 83 03 1c 00 06"
)


def hostile_configurations() -> list[bytes]:
    good = bytearray(CONFIGURATION)
    spoiled = [bytes(good[:length]) for length in range(0, len(good), 4)]
    for at, value in [
        (0, 0),
        (0, 1),
        (0, 255),
        (2, 0),
        (2, 255),
        (3, 255),
        (4, 0),
        (4, 255),
        (9, 0),
        (9, 1),
        (9, 255),
        (13, 0),
        (13, 255),
    ]:
        changed = bytearray(good)
        changed[at] = value
        spoiled.append(bytes(changed))
    for at in (18, 25, 32):
        for length in (0, 1, 2, 6, 8, 255):
            changed = bytearray(good)
            changed[at] = length
            spoiled.append(bytes(changed))
    spoiled.append(bytes(good[:9]) + bytes(good[18:]))
    spoiled.append(bytes(9) * 5000)
    return spoiled


def test_hostile_descriptors_are_refused_and_the_other_camera_is_not_disturbed(
    dock: UsbQuay,
) -> None:
    """Fault A12: at least 40 of them, each in a port of its own while a good camera stands in the
    first.
    """
    maker = dock.camera(SERIAL)
    good = dock.plug(maker.root, SERIAL, port=1)
    spoiled = hostile_configurations()
    assert len(spoiled) >= 40
    for config in spoiled:
        device = dock.plug(maker.root, "EVIL", port=2, config=config)
        refused = next((each for each in dock.devices() if each.bay == "usb 1-2"), None)
        assert refused is not None
        if refused.refusal is None:
            with pytest.raises((DeviceRefusedError, CardGoneError)):
                refused.open()
        else:
            with pytest.raises(DeviceRefusedError):
                refused.open()
        dock.unplug(device)
    assert dock.run().phase is Phase.SAFE
    dock.unplug(good)


@pytest.mark.parametrize(
    ("triple", "word"),
    [
        ((3, 1, 1), "keyboard"),
        ((2, 2, 1), "serial or network"),
        ((10, 0, 0), "serial or network"),
        ((224, 1, 3), "network"),
    ],
)
def test_a_camera_that_is_more_than_a_camera_is_refused(
    dock: UsbQuay, triple: tuple[int, int, int], word: str
) -> None:
    """Fault A12: a keyboard, a network or a serial interface beside the camera's."""
    maker = dock.camera(SERIAL)
    device = dock.plug(maker.root, SERIAL, beside=[triple])
    with pytest.raises(DeviceRefusedError, match=word):
        dock.card()
    assert device.calls == []
    dock.unplug(device)
    dock.plug(maker.root, SERIAL, beside=[(8, 6, 80), (255, 66, 1)])
    assert dock.run().phase is Phase.SAFE


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_tree_without_an_end_has_bounds(dock: UsbQuay, at: int) -> None:
    """Fault A13: folders in folders, 2³²-1 handles, folders that hold their own parents."""
    maker = dock.camera(SERIAL)
    before = contents_of(maker.root)
    device = dock.plug(maker.root, SERIAL, (Fault(Kind.ENDLESS, at),))
    ended: list[PullReport | Failure] = []
    try:
        ended.append(dock.run())
    except Failure as failure:
        ended.append(failure)
    dock.unplug(device)
    assert not is_safe(ended[0])
    now = contents_of(maker.root)
    assert now == before or set(dock.quay.states().values()) <= {"erasing", "erased"}
    if now != before:
        (row,) = dock.quay.rows()
        assert dock.quay.holds(row, before[row.name])


@pytest.mark.parametrize("seed", range(4))
def test_hostile_names_are_told_and_become_no_path(
    dock: UsbQuay, tmp_path: Path, seed: int
) -> None:
    """Fault A14."""
    maker = dock.camera(SERIAL)
    before = {path for path in tmp_path.rglob("*") if "quay" not in path.parts}
    docked(dock, maker, Fault(Kind.NAMES, seed))
    after = {path for path in tmp_path.rglob("*") if "quay" not in path.parts}
    assert after <= before
    for sentence in dock.quay.said("recording.refused"):
        assert sentence.isprintable()
    if contents_of(maker.root):
        finished(dock, maker)


@pytest.mark.parametrize(
    "content", [b"[" * 60_000, b"{" + b" " * 70_000 + b"}", b'{"a":' * 2000, b"\xff\xfe", b""]
)
def test_papers_that_are_none_refuse_the_camera_or_the_recording(
    dock: UsbQuay, content: bytes
) -> None:
    """Fault A15, over USB."""
    maker = dock.camera(SERIAL, 2)
    papers = maker.root / "RECORDINGS" / f"{SERIAL}-000001" / "recording.json"
    true = papers.read_bytes()
    papers.write_bytes(content)
    assert not is_safe(docked(dock, maker))
    assert set(dock.quay.states()) == {f"{SERIAL}-000002"}
    papers.write_bytes(true)
    finished(dock, maker)


def test_an_object_that_grows_is_not_taken_in(dock: UsbQuay) -> None:
    """Fault A16: the camera is still writing it."""
    maker = dock.camera(SERIAL)
    assert not is_safe(docked(dock, maker, Fault(Kind.GROWS, 100, path=SEGMENT)))
    assert dock.quay.states() == {}
    finished(dock, maker)
