"""Taking a camera in, against the real vault: what is read, what is skipped, what is kept when
something fails.
"""

from datetime import timedelta
from pathlib import Path

import pytest

from dockd.card.contract import CardGoneError, CardTrouble
from dockd.docking.bay import Phase
from dockd.docking.halt import StoppingError
from dockd.docking.pull import SENTENCES_MAX
from tests.support.card_maker import BOOT, CardMaker
from tests.support.dock import GRACE_S, Quay, card_with, segments_of
from tests.support.memory_card import Medium, path_of
from vault.errors import Reaction, UnknownCamera, VaultFull
from vault.recording import EDGE_BYTES

ONE, TWO, THREE = (f"BWC0042-00000{counter}" for counter in (1, 2, 3))


def segment(name: str, index: int) -> tuple[str, ...]:
    return path_of(f"RECORDINGS/{name}/{index:04d}.mp4")


def test_a_camera_is_taken_in_proven_and_erased(quay: Quay, tmp_path: Path) -> None:
    """The whole way, twice n lanes: I1, I2, the chain is noted as whole, the clock is set. P29."""
    maker, medium = card_with(tmp_path / "card", count=3)
    quay.register(maker)
    contents = {name: segments_of(medium, name) for name in (ONE, TWO, THREE)}
    report = quay.run(medium, reads=2)
    assert report.done
    assert report.phase is Phase.SAFE
    assert report.reaction is None
    assert quay.states() == {ONE: "erased", TWO: "erased", THREE: "erased"}
    assert all(quay.holds(row, contents[row.name]) for row in quay.rows())
    assert medium.names() == ["DEVICE/device.json"]
    assert medium.clocks == [quay.clock.now()]
    assert report.remarks == ()
    assert all(not outcome.broken for outcome in report.outcomes)
    assert quay.findings() == ()


def test_of_an_unknown_camera_nothing_is_read(quay: Quay, tmp_path: Path) -> None:
    """P25: only device.json, to learn who it is. The refusal stands in the log, once a docking."""
    _, medium = card_with(tmp_path / "card")
    before = dict(medium.contents)
    pull = quay.pull(medium)
    for _ in range(3):
        with pytest.raises(UnknownCamera):
            pull.run()
    assert set(medium.read_bytes) == {path_of("DEVICE/device.json")}
    assert medium.contents == before
    assert quay.said("camera.refused") == [
        "The camera BWC0042 is not registered. Nothing of it was read."
    ]
    assert "camera.docked" not in quay.actions()


def test_a_camera_of_another_kind_than_registered_is_refused(quay: Quay, tmp_path: Path) -> None:
    """A card without device.json that calls itself by a signing camera's serial must not get round
    the signatures.
    """
    maker, _ = card_with(tmp_path / "card")
    quay.register(maker)
    medium = Medium({path_of("DCIM/100/A.MP4"): b"footage"})
    with pytest.raises(UnknownCamera, match="registered as a manifest camera"):
        quay.run(medium, volume_id="BWC0042")
    assert not medium.read_bytes


def test_a_registered_serial_with_another_key_gives_nothing(quay: Quay, tmp_path: Path) -> None:
    """Identity is the enrolled key: recordings that it did not sign stay on the camera, and an
    alarm says so.
    """
    real, _ = card_with(tmp_path / "card")
    quay.register(real)
    fake = CardMaker(tmp_path / "fake", "BWC0042")
    fake.key = CardMaker(tmp_path / "other", "BWC0099").key
    fake.public_key = CardMaker(tmp_path / "other", "BWC0099").public_key
    fake.write_device()
    fake.write(fake.make(1))
    medium = Medium.of_folder(tmp_path / "fake")
    before = dict(medium.contents)
    report = quay.run(medium)
    assert [problem.code for problem in report.problems] == ["manifest.signature_wrong"]
    assert medium.contents == before
    assert quay.said("camera.alarm") == [
        "BWC0042 shows another public key than the registered one."
    ]
    assert quay.rows() == []


def test_the_offset_is_measured_once_a_docking(quay: Quay, tmp_path: Path) -> None:
    """Later looks at the same device.json would measure our own waiting."""
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    quay.erase = False
    card_utc = BOOT + timedelta(hours=1)
    offset_ms = round((card_utc - quay.clock.now()) / timedelta(milliseconds=1))
    pull = quay.pull(medium)
    pull.run()
    quay.hand.pass_time(90)
    pull.run()
    dockings = [entry["details"] for entry in quay.entries() if entry["action"] == "camera.docked"]
    assert [(docking["offset_ms"], docking["offset_source"]) for docking in dockings] == [
        (offset_ms, "card")
    ]


def test_a_camera_that_waited_is_measured_by_when_it_came(quay: Quay, tmp_path: Path) -> None:
    """Its card shows the time at which it entered the dock. It stood there unregistered, or waited
    for its turn, and for a moment the dock's clock was put right.
    """
    maker, medium = card_with(tmp_path / "card", count=1)
    came = quay.clock.now()
    pull = quay.pull(medium)
    with pytest.raises(UnknownCamera):
        pull.run()
    quay.hand.pass_time(40 * 60)
    quay.hand.moment += timedelta(seconds=90)
    quay.register(maker)
    pull.run()
    docked = next(
        entry["details"] for entry in quay.entries() if entry["action"] == "camera.docked"
    )
    offset = BOOT + timedelta(hours=1) - (came + timedelta(seconds=90))
    assert (docked["offset_ms"], docked["offset_source"]) == (
        round(offset / timedelta(milliseconds=1)),
        "card",
    )


def test_a_camera_that_nobody_saw_arriving_states_no_offset(quay: Quay, tmp_path: Path) -> None:
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    quay.run(medium, seen=False)
    docked = next(
        entry["details"] for entry in quay.entries() if entry["action"] == "camera.docked"
    )
    assert docked["offset_ms"] is None


def test_a_card_that_comes_back_with_the_same_time_is_not_measured_again(
    quay: Quay, tmp_path: Path
) -> None:
    """A reader that lost its card for a moment: the camera has not looked at
    its clock meanwhile.
    """
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    quay.run(medium)
    quay.hand.pass_time(60)
    quay.run(medium)
    offsets = [
        entry["details"]["offset_ms"]
        for entry in quay.entries()
        if entry["action"] == "camera.docked"
    ]
    assert offsets[0] is not None
    assert offsets[1] is None


def test_a_hostile_card_can_not_fill_the_log(quay: Quay, tmp_path: Path) -> None:
    """Fault A13."""
    maker, medium = card_with(tmp_path / "card", count=0)
    quay.register(maker)
    for number in range(1, 2 * SENTENCES_MAX):
        medium.contents[path_of(f"RECORDINGS/BWC0042-{number:06d}/recording.json")] = b"{}"
    before = len(quay.entries())
    assert len(quay.run(medium).problems) == 2 * SENTENCES_MAX - 1
    assert len(quay.entries()) - before == SENTENCES_MAX + 2
    assert quay.said("camera.alarm") == [
        f"More is wrong with BWC0042 than the {SENTENCES_MAX} things that are told."
    ]


def test_what_is_held_is_not_read_again(quay: Quay, tmp_path: Path) -> None:
    """Fault E1, and I3: no second store of the same content."""
    maker, medium = card_with(tmp_path / "card")
    quay.register(maker)
    quay.erase = False
    first = quay.run(medium)
    assert first.done
    assert "switched off" in first.message
    medium.forget_readings()
    quay.restart()
    assert quay.run(medium).done
    assert medium.segment_bytes_read() == 0
    assert len(quay.rows()) == 2


def test_the_same_name_with_other_content_is_a_new_recording_and_an_alarm(
    quay: Quay, tmp_path: Path
) -> None:
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    quay.erase = False
    first = segments_of(medium, ONE)
    quay.run(medium)
    quay.hand.pass_time(60)
    maker.write(maker.make(1, seconds=50))
    other = Medium.of_folder(tmp_path / "card")
    second = segments_of(other, ONE)
    report = quay.run(other)
    assert report.done
    old, new = quay.rows()
    assert (old.name, new.name) == (ONE, ONE)
    assert quay.holds(old, first)
    assert quay.holds(new, second)
    assert quay.said("camera.alarm") == [
        f"{ONE} has other content than the vault holds under this name. Both are kept."
    ]


@pytest.mark.parametrize("reads", [1, 2])
@pytest.mark.parametrize("taken", range(4))
def test_taken_out_half_way_it_goes_on_with_the_first_missing_segment(
    quay: Quay, tmp_path: Path, taken: int, reads: int
) -> None:
    """Fault A1. Nothing that stands is read twice, and the timeline knows all segments."""
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    contents = segments_of(medium, ONE)

    def pull_out(path: tuple[str, ...], position: int) -> None:
        if path == segment(ONE, taken):
            medium.gone = True

    medium.before_read = pull_out
    with pytest.raises(CardGoneError):
        quay.run(medium, reads=reads)
    assert quay.rows() == []
    assert medium.deleted == []

    medium.gone, medium.before_read = False, lambda path, position: None
    medium.forget_readings()
    quay.erase = False
    report = quay.run(medium, bay="bay 2", reads=reads)
    assert report.done
    assert not report.outcomes[0].broken
    # What the reads had in hand is dropped; what stood is not read again, and nothing twice.
    # Another lane may have been a segment ahead, or behind.
    again = {
        int(path[-1][:4]): count
        for path, count in medium.read_bytes.items()
        if path[-1].endswith(".mp4")
    }
    assert again == {index: len(contents[index]) for index in again}
    assert taken in again
    assert len(set(range(taken, 4)) - set(again)) <= reads - 1
    assert len(set(again) - set(range(taken, 4))) <= reads - 1
    assert quay.holds(quay.rows()[0], contents)
    assert quay.findings() == ()


@pytest.mark.parametrize("bad", [1, 2, 3])
def test_one_unreadable_object_blocks_nothing_else(quay: Quay, tmp_path: Path, bad: int) -> None:
    """Fault A8: its recording stays on the camera, whole; all others are taken in and erased."""
    maker, medium = card_with(tmp_path / "card", count=3)
    quay.register(maker)
    name = f"BWC0042-00000{bad}"
    kept = {path: content for path, content in medium.contents.items() if name in path}
    medium.unreadable = {segment(name, 2)}
    report = quay.run(medium, reads=2)
    assert report.phase is Phase.BROKEN
    assert report.reaction is Reaction.ALARM
    assert [problem.code for problem in report.problems] == ["card.read_failed"]
    assert set(quay.states().values()) == {"erased"}
    assert len(quay.rows()) == 2
    assert {path: content for path, content in medium.contents.items() if name in path} == kept


def test_content_that_differs_from_the_manifest_is_thrown_away_and_stays(
    quay: Quay, tmp_path: Path
) -> None:
    """Step 6: held against the camera's digest, not against a read without error."""
    maker, medium = card_with(tmp_path / "card", count=2)
    quay.register(maker)
    whole = medium.contents[segment(ONE, 1)]
    medium.replace(segment(ONE, 1), whole[:-1] + bytes([whole[-1] ^ 1]))
    report = quay.run(medium)
    assert [problem.code for problem in report.problems] == ["vault.content_differs"]
    assert quay.states() == {TWO: "erased"}
    assert segment(ONE, 1) in medium.contents
    assert quay.findings() == ()
    assert quay.docked_cameras.facts_of("any") == {}


def test_a_full_vault_stops_the_pull_with_the_camera_untouched(tmp_path: Path) -> None:
    """Fault C5."""
    quay = Quay(tmp_path / "quay", reserve_mb=10**9)
    maker, medium = card_with(tmp_path / "card")
    quay.register(maker)
    before = dict(medium.contents)
    with pytest.raises(VaultFull):
        quay.run(medium)
    assert medium.contents == before
    assert medium.segment_bytes_read() == 0
    quay.close()


def test_a_gap_in_the_chain_is_noted(quay: Quay, tmp_path: Path) -> None:
    maker = CardMaker(tmp_path / "card")
    maker.write_device()
    first = maker.make(1)
    maker.write(first)
    maker.write(maker.make(3))
    quay.register(maker)
    report = quay.run(Medium.of_folder(tmp_path / "card"))
    assert report.done
    assert quay.said("camera.finding") == [
        "Recording 2 is missing: neither the vault nor the camera holds it."
    ]
    assert report.remarks == tuple(quay.said("camera.finding"))


def test_an_unfinished_recording_waits_for_the_camera(quay: Quay, tmp_path: Path) -> None:
    """Without recording.json it is neither read nor erased, and the camera is not safe to take."""
    maker, medium = card_with(tmp_path / "card", count=2)
    quay.register(maker)
    del medium.contents[path_of(f"RECORDINGS/{TWO}/recording.json")]
    report = quay.run(medium)
    assert report.phase is Phase.WAITING
    assert quay.states() == {ONE: "erased"}
    assert len(segments_of(medium, TWO)) == 4


def test_what_a_listing_had_to_leave_out_is_not_safe_to_take(quay: Quay, tmp_path: Path) -> None:
    """Fault B4: an unreadable folder may hold a recording."""
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    medium.trouble = (
        CardTrouble(("LOST.DIR",), "card.read_failed", "The folder /LOST.DIR can't be listed."),
    )
    report = quay.run(medium)
    assert quay.states() == {ONE: "erased"}
    assert not report.done
    assert report.phase is Phase.BROKEN


def test_a_dcim_camera_is_read_twice(quay: Quay, tmp_path: Path) -> None:
    """Nothing is signed, so two complete readings have to agree before it is owned."""
    medium = Medium(
        {path_of("DCIM/100/A.MP4"): b"a" * 200_000, path_of("DCIM/100/B.MP4"): b"b" * 1000}
    )
    quay.register_dcim("VOL-1")
    report = quay.run(medium)
    assert report.done
    assert medium.names() == []
    # Edges for the identity and before the erase; the file itself two times.
    assert medium.read_bytes[path_of("DCIM/100/A.MP4")] >= 2 * 200_000
    assert [
        quay.holds(row, [content])
        for row, content in zip(quay.rows(), [b"a" * 200_000, b"b" * 1000], strict=True)
    ]
    assert report.outcomes[0].claim is not None


def test_a_dcim_file_that_reads_differently_the_second_time_stays(quay: Quay) -> None:
    path = path_of("DCIM/100/A.MP4")
    # The middle changes: neither size nor time nor the edges that make its identity tell.
    first, second = b"a" * 300_000, b"a" * 150_000 + b"!" + b"a" * 149_999
    medium = Medium({path: first})
    quay.register_dcim("VOL-1")
    seen = {"whole": 0}

    def change(read: tuple[str, ...], position: int) -> None:
        if position >= len(first):
            seen["whole"] += 1
            medium.replace(path, second)

    medium.before_read = change
    report = quay.run(medium)
    assert [problem.code for problem in report.problems] == ["vault.content_differs"]
    assert quay.rows() == []
    assert medium.contents == {path: second}


def test_a_dcim_camera_taken_out_during_the_second_reading_is_not_read_a_third_time(
    quay: Quay,
) -> None:
    """Fault A1: the first reading stands; on return only the second is made."""
    path, content = path_of("DCIM/100/A.MP4"), b"a" * 200_000
    medium = Medium({path: content})
    quay.register_dcim("VOL-1")
    quay.erase = False

    def pull_out(read: tuple[str, ...], position: int) -> None:
        medium.gone = quay.bay.state.phase is Phase.CHECKING

    medium.before_read = pull_out
    with pytest.raises(CardGoneError):
        quay.run(medium)
    medium.gone, medium.before_read = False, lambda path, position: None
    medium.forget_readings()
    assert quay.run(medium).done
    edges_for_the_identity = 2 * EDGE_BYTES
    assert medium.read_bytes[path] == edges_for_the_identity + len(content)


def test_a_stop_finishes_what_is_in_hand_and_begins_nothing(quay: Quay, tmp_path: Path) -> None:
    """Fault G1: the last segment's recording is committed; the next recording is not begun; nothing
    is erased any more.
    """
    maker, medium = card_with(tmp_path / "card", count=2)
    quay.register(maker)

    def stop(path: tuple[str, ...], position: int) -> None:
        if path == segment(ONE, 3):
            quay.halt.request()

    medium.before_read = stop
    with pytest.raises(StoppingError):
        quay.run(medium)
    assert quay.states() == {ONE: "stored"}
    assert medium.deleted == []
    quay.restart()
    medium.before_read = lambda path, position: None
    assert quay.run(medium).done
    assert quay.states() == {ONE: "erased", TWO: "erased"}


def test_a_stop_lets_go_of_a_segment_that_outlasts_the_grace(quay: Quay, tmp_path: Path) -> None:
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)

    def stop(path: tuple[str, ...], position: int) -> None:
        if path == segment(ONE, 3) and position == 0:
            quay.halt.request()
            quay.hand.pass_time(GRACE_S)

    medium.before_read = stop
    with pytest.raises(StoppingError):
        quay.run(medium)
    assert quay.rows() == []
    quay.restart()
    assert quay.recovery.dropped_folders + quay.recovery.dropped_parts >= 0
    assert not list((quay.folder / "vault" / "incoming").iterdir())
    medium.before_read = lambda path, position: None
    assert quay.run(medium).done


def test_the_bay_shows_how_far_it_is(quay: Quay, tmp_path: Path) -> None:
    maker, medium = card_with(tmp_path / "card", count=2)
    quay.register(maker)
    total = sum(len(content) for name in (ONE, TWO) for content in segments_of(medium, name))
    seen: list[tuple[Phase, int, int]] = []

    def look(path: tuple[str, ...], position: int) -> None:
        state = quay.bay.state
        seen.append((state.phase, state.recording_number, state.recording_count))

    medium.before_read = look
    quay.run(medium)
    assert (Phase.PULLING, 1, 2) in seen
    assert (Phase.PULLING, 2, 2) in seen
    assert (Phase.ERASING, 2, 2) in seen
    assert (quay.bay.state.bytes_done, quay.bay.state.bytes_total) == (total, total)
    assert quay.bay.state.officer == "boa-7"
    counters = quay.board.counters()
    assert (counters.recordings_stored, counters.recordings_erased, counters.bytes_stored) == (
        2,
        2,
        total,
    )
