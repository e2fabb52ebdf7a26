"""Cameras on the USB that get something wrong, each fault by its name, through the whole pull, on a
real vault.

After each: every recording stands whole on the camera or whole in the vault, the vault holds
nothing else under its name, and a docking of the camera as it should be finishes the work. Here is
what a camera answers; all else stands in `test_usb_faults.py`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from device_sim.usb.faults import Fault, Kind
from dockd.docking.bay import Phase
from tests.support.card_maker import CardMaker
from tests.support.usb_dock import DATE_TIME, Docked, UsbQuay, contents_of, lost

SERIAL = "BWC0042"
PARTIAL_64, PARTIAL, GET_OBJECT = 0x95C1, 0x101B, 0x1009
WAYS = (PARTIAL_64, PARTIAL, GET_OBJECT)
CAMERAS = pytest.mark.parametrize(
    "lacking", [WAYS[:count] for count in range(3)], ids=["all ways", "no 64", "whole only"]
)
DATASETS = (0x1001, 0x1004, 0x1005, 0x1007, 0x1008)
"""DeviceInfo, StorageIDs, StorageInfo, ObjectHandles, ObjectInfo."""

SIZE = 5000
LAST = (12 + SIZE) // 512 * 512
"""Where the last packet of such an object's data phase begins."""


@pytest.fixture
def dock(tmp_path: Path) -> Iterator[UsbQuay]:
    dock = UsbQuay(tmp_path)
    yield dock
    dock.close()


def segment(counter: int, number: int = 0) -> str:
    return f"RECORDINGS/{SERIAL}-{counter:06d}/{number:04d}.mp4"


def docked(
    dock: UsbQuay, maker: CardMaker, faults: Sequence[Fault] = (), lacking: Sequence[int] = ()
) -> Docked:
    """One docking, which may lose nothing."""
    docked = dock.docking(
        maker.root, maker.serial, faults, without=frozenset({DATE_TIME, *lacking})
    )
    assert docked.lost == []
    return docked


def finish(dock: UsbQuay, maker: CardMaker, lacking: Sequence[int] = ()) -> None:
    """A docking of the camera as it should be."""
    again = docked(dock, maker, (), lacking)
    assert again.phase is Phase.SAFE, again.said
    assert contents_of(maker.root) == {}


def taken_in(dock: UsbQuay) -> set[int]:
    """The recordings that the vault has, by number."""
    return {int(name[-6:]) for name in dock.quay.states()}


@CAMERAS
def test_a_read_that_ends_early_is_not_the_end(dock: UsbQuay, lacking: Sequence[int]) -> None:
    """Fault A2. pyusb gives a read that timed out half-way as a success: whole packets, and the
    rest comes with the next read.
    """
    at = [*range(0, LAST + 1, 512)]
    maker = dock.footage(SERIAL, [[SIZE] * len(at)])
    faults = [
        Fault(Kind.SHORT_READ, at[number], way, segment(1, number))
        for number in range(len(at))
        for way in WAYS
    ]
    faults += [Fault(Kind.SPLIT, 12, way, segment(1, 0)) for way in WAYS]
    assert docked(dock, maker, faults, lacking).phase is Phase.SAFE
    assert contents_of(maker.root) == {}


@CAMERAS
@pytest.mark.parametrize("kind", [Kind.SPLIT, Kind.DROP])
def test_what_a_way_leaves_out_the_next_way_brings(
    dock: UsbQuay, lacking: Sequence[int], kind: Kind
) -> None:
    """Fault A2. A transfer that ends with a short packet too early, and one that lacks a packet,
    are no data; a camera that has but one way keeps its recording.
    """
    at = [1, 11, 13, 511, 513, 1023, 1025, LAST - 1, LAST + 1, 12 + SIZE - 1]
    if kind is Kind.DROP:
        at = [*range(0, LAST + 1, 512)]
    maker = dock.footage(SERIAL, [[SIZE] * len(at), [SIZE], [16]])
    way = WAYS[len(lacking)]
    faults = [Fault(kind, at[number], way, segment(1, number)) for number in range(len(at))]
    # A last packet as long as a response is: what comes in its place must not be taken for it.
    faults += [Fault(Kind.DROP, 0, way, segment(3))]
    ended = docked(dock, maker, faults, lacking)
    assert taken_in(dock) == ({1, 2, 3} if way != GET_OBJECT else {2})
    assert ended.phase is (Phase.SAFE if way != GET_OBJECT else Phase.BROKEN), ended.said
    finish(dock, maker, lacking)


@pytest.mark.parametrize("at", [0, 2560, LAST])
def test_what_no_way_brings_whole_is_not_taken_in(dock: UsbQuay, at: int) -> None:
    """Fault A2, and A4."""
    maker = dock.footage(SERIAL, [[SIZE], [SIZE, SIZE]])
    ended = docked(dock, maker, [Fault(Kind.DROP, at, way, segment(2, 1)) for way in WAYS])
    assert (ended.phase, ended.codes, taken_in(dock)) == (Phase.BROKEN, {"card.read_failed"}, {1})
    finish(dock, maker)


HICCUPS = [
    (Kind.SHORT_READ, 0),
    (Kind.SPLIT, 13),
    (Kind.DROP, 0),
    (Kind.STALL, 0),
    (Kind.NO_ANSWER, 0),
    (Kind.GARBAGE_TAIL, 600),
]


@pytest.mark.parametrize("operation", DATASETS, ids=hex)
@pytest.mark.parametrize(("kind", "at"), HICCUPS, ids=str)
def test_a_dataset_that_is_not_whole_is_asked_for_again(
    dock: UsbQuay, operation: int, kind: Kind, at: int
) -> None:
    """Faults A2, A4, in what a camera says of itself and of its objects, now and then."""
    maker = dock.footage(SERIAL, [[700], [700]])
    moments = (0, 4) if kind is Kind.NO_ANSWER else (0, 4, 9, 15)
    ended = docked(
        dock, maker, [Fault(kind, at, operation, after=after, times=1) for after in moments]
    )
    assert ended.phase is Phase.SAFE, ended.said
    assert contents_of(maker.root) == {}


@pytest.mark.parametrize("operation", DATASETS, ids=hex)
def test_a_dataset_that_never_comes_whole_is_the_end_of_the_docking(
    dock: UsbQuay, operation: int
) -> None:
    """Faults A2, A4. A camera that can't say who it is is not called unregistered."""
    maker = dock.footage(SERIAL, [[700], [700]])
    ended = docked(dock, maker, [Fault(Kind.DROP, 0, operation)])
    assert ended.codes <= {"card.stuck", "card.read_failed"}, ended.said
    assert taken_in(dock) == set()
    finish(dock, maker)


def test_what_could_not_be_looked_at_is_not_called_missing(dock: UsbQuay) -> None:
    """Faults A4, A8. The vault's log is no place for a gap that is only in a listing."""
    maker = dock.footage(SERIAL, [[700]] * 4)
    for number, path in enumerate(("RECORDINGS/BWC0042-000002", "RECORDINGS", "DEVICE"), 1):
        ended = docked(dock, maker, [Fault(Kind.STALL, 0, 0x1008, path)])
        assert "card.read_failed" in ended.codes, (number, ended.said)
        assert dock.quay.said("camera.finding") == dock.quay.said("camera.refused") == []
    assert taken_in(dock) == {1, 3, 4}
    finish(dock, maker)


SIZES = [count * 512 - 12 + beside for count in range(1, 65) for beside in (-1, 0, 1)]


@pytest.mark.parametrize("lacking", [(), (PARTIAL_64, PARTIAL)], ids=["partial", "whole"])
@pytest.mark.parametrize("kind", [None, Kind.NO_ZLP, Kind.EXTRA_ZLP])
def test_empty_packets_right_missing_and_too_many(
    dock: UsbQuay, kind: Kind | None, lacking: Sequence[int]
) -> None:
    """Fault A3, at the sizes at which a data phase fills its last packet, and a byte beside. What
    is read to be stored comes in the first way, what is read to be erased in the second.
    """
    maker = dock.footage(SERIAL, [SIZES])
    ended = docked(dock, maker, [Fault(kind)] if kind is not None else [], lacking)
    assert ended.phase is Phase.SAFE, ended.said
    assert {way for way in WAYS if way in ended.device.calls} == (
        {GET_OBJECT} if lacking else {PARTIAL_64, PARTIAL}
    )
    assert contents_of(maker.root) == {}


LIES = [
    (Kind.HANG, SIZE % 512),
    (Kind.SHORT_ANSWER, 1),
    (Kind.SHORT_ANSWER, 512),
    (Kind.SHORT_ANSWER, SIZE),
    (Kind.LONG_ANSWER, 1),
    (Kind.LONG_ANSWER, 512),
    (Kind.GARBAGE_TAIL, 1),
    (Kind.GARBAGE_TAIL, 700),
    (Kind.STALL, 0),
    (Kind.NO_ANSWER, 0),
    (Kind.WRONG_TRANSACTION, 0),
    (Kind.UNREADABLE, 0),
    (Kind.HEADER_APART, 0),
    (Kind.WRONG_BYTES, 0),
    (Kind.WRONG_BYTES, SIZE - 1),
]


@pytest.mark.parametrize("lacking", [(), (PARTIAL_64,)], ids=["all ways", "no 64"])
def test_a_way_that_lies_is_left_for_the_next(dock: UsbQuay, lacking: Sequence[int]) -> None:
    """Fault A4. All but wrong bytes are met in the same round, and those in the next one, which
    goes another way.
    """
    maker = dock.footage(SERIAL, [[SIZE] * (len(LIES) - 2), [SIZE], [SIZE]])
    before = contents_of(maker.root)
    way = WAYS[len(lacking)]
    places = [segment(1, number) for number in range(len(LIES) - 2)] + [segment(2), segment(3)]
    faults = [Fault(kind, at, way, path) for (kind, at), path in zip(LIES, places, strict=True)]
    dock.plug(maker.root, SERIAL, faults, without=frozenset({DATE_TIME, *lacking}))
    pull = dock.pull()
    first = pull.run()
    assert {problem.code for problem in first.problems} == {"vault.content_differs"}
    assert taken_in(dock) == {1}
    assert lost(dock, before, maker.root) == []
    second = pull.run()
    assert taken_in(dock) == {1, 2, 3}
    assert lost(dock, before, maker.root) == []
    # Where there are but two ways the liar's turn comes again when the recording is identified
    # before its erase.
    assert second.phase is (Phase.NOT_ERASED if lacking else Phase.SAFE)


@CAMERAS
def test_where_every_way_lies_the_recording_stays_on_the_camera(
    dock: UsbQuay, lacking: Sequence[int]
) -> None:
    """Fault A4. Each lie has a recording, and touches no other's."""
    lies = [lie for lie in LIES if not lacking or lie[0] not in (Kind.HANG, Kind.NO_ANSWER)]
    maker = dock.footage(SERIAL, [[SIZE]] * (len(lies) + 1))
    faults = [
        Fault(*lie, way, segment(counter)) for counter, lie in enumerate(lies, 1) for way in WAYS
    ]
    ended = docked(dock, maker, faults, lacking)
    honest = {
        counter
        for counter, (kind, _) in enumerate(lies, 1)
        if kind in (Kind.HEADER_APART, Kind.HANG)
    }
    assert taken_in(dock) == honest | {len(lies) + 1}
    assert ended.phase is Phase.BROKEN
    assert ended.codes == {"card.read_failed", "vault.content_differs"}
    finish(dock, maker, lacking)


def test_two_readings_of_a_camera_without_digests_go_two_ways(
    dock: UsbQuay, tmp_path: Path
) -> None:
    """Fault A4. Only the second reading can tell that the first has a wrong byte."""
