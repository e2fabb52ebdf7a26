"""The erase against the real vault: it may never be wrong, whatever the camera does between any two
of its steps.
"""

from pathlib import Path

import pytest

from dockd.card.contract import CardGoneError, CardTrouble
from dockd.docking.bay import Phase
from dockd.docking.outcome import PullReport
from tests.support.dock import Quay, card_with, segments_of
from tests.support.memory_card import Medium, path_of
from vault.errors import Reaction

ONE, TWO = "BWC0042-000001", "BWC0042-000002"
ORDER = ["0000.mp4", "0001.mp4", "0002.mp4", "0003.mp4", "recording.sig", "recording.json"]


def segment(name: str, index: int) -> tuple[str, ...]:
    return path_of(f"RECORDINGS/{name}/{index:04d}.mp4")


def altered(content: bytes) -> bytes:
    """Another clip of the same length."""
    return bytes([content[0] ^ 1]) + content[1:]


def test_it_deletes_in_the_order_of_the_contract(quay: Quay, tmp_path: Path) -> None:
    """Segments, then signature, then manifest: a stop anywhere leaves what proves what is left."""
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    assert quay.run(medium).done
    assert medium.deleted == [f"RECORDINGS/{ONE}/{name}" for name in ORDER]
    assert quay.actions()[-2:] == ["erase.intended", "erase.done"]


def test_nothing_is_deleted_before_the_vault_owns_it(quay: Quay, tmp_path: Path) -> None:
    """I2, seen from the camera: at each deletion its recording has a row, and the intent is
    written.
    """
    maker, medium = card_with(tmp_path / "card", count=2)
    quay.register(maker)
    states: list[str] = []
    medium.before_delete = lambda path: states.append(quay.states()[path[1]])
    assert quay.run(medium).done
    assert states == ["erasing"] * len(medium.deleted)


def test_a_stop_between_store_and_erase_is_mended(quay: Quay, tmp_path: Path) -> None:
    """Fault E1: the next process finds the same content held, stores nothing twice, and erases
    once.
    """
    maker, medium = card_with(tmp_path / "card", count=2)
    quay.register(maker)

    def crash(path: tuple[str, ...]) -> None:
        raise KeyboardInterrupt

    medium.before_delete = crash
    with pytest.raises(KeyboardInterrupt):
        quay.run(medium)
    assert quay.states() == {ONE: "erasing", TWO: "stored"}
    quay.restart()
    medium.before_delete = lambda path: None
    medium.forget_readings()
    assert quay.run(medium).done
    assert quay.states() == {ONE: "erased", TWO: "erased"}
    assert len(quay.rows()) == 2
    assert quay.actions().count("erase.done") == 2


@pytest.mark.parametrize("position", range(4))
def test_a_clip_replaced_before_the_erase_stops_it(
    quay: Quay, tmp_path: Path, position: int
) -> None:
    """Fault E4: same name, same size, same time, other content. Nothing at all of that recording is
    deleted.
    """
    maker, medium = card_with(tmp_path / "card", count=2)
    quay.register(maker)
    target = segment(ONE, position)

    def replace() -> None:
        if quay.states().get(ONE) == "erasing" and not medium.deleted:
            medium.replace(target, altered(original))

    original = medium.contents[target]
    medium.before_listing = replace
    report = quay.run(medium)
    assert [problem.code for problem in report.problems] == ["dock.object_differs"]
    assert report.reaction is Reaction.ALARM
    assert quay.states() == {ONE: "erasing", TWO: "erased"}
    assert not [name for name in medium.deleted if ONE in name]
    assert len(quay.said("erase.failed")) == 1


@pytest.mark.parametrize("position", range(1, 4))
def test_a_clip_replaced_during_the_erase_is_not_deleted(
    quay: Quay, tmp_path: Path, position: int
) -> None:
    """Fault E4, later: each object is identified once more right before it goes."""
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    target = segment(ONE, position)
    original = medium.contents[target]

    def replace(path: tuple[str, ...]) -> None:
        if path == segment(ONE, position - 1):
            medium.replace(target, altered(original))

    medium.before_delete = replace
    report = quay.run(medium)
    assert not report.done
    assert medium.deleted == [f"RECORDINGS/{ONE}/{name}" for name in ORDER[:position]]
    assert medium.contents[target] == altered(original)
    assert quay.states() == {ONE: "erasing"}


def test_a_replaced_dcim_clip_is_a_new_recording(quay: Quay) -> None:
    """Faults A6, E4 for a camera that signs nothing: what took the place is taken in, then both are
    erased.
    """
    path = path_of("DCIM/100/A.MP4")
    medium = Medium({path: b"a" * 1000})
    quay.register_dcim("VOL-1")

    def replace() -> None:
        if quay.rows() and len(quay.rows()) == 1 and not medium.deleted:
            medium.replace(path, b"b" * 1000)

    medium.before_listing = replace
    assert not quay.run(medium).done
    assert medium.contents == {path: b"b" * 1000}
    assert quay.run(medium).done
    contents = sorted(row.identity for row in quay.rows())
    assert len(set(contents)) == 2
    assert [
        quay.holds(row, [b"a" * 1000]) or quay.holds(row, [b"b" * 1000]) for row in quay.rows()
    ] == [True, True]
    assert medium.contents == {}


@pytest.mark.parametrize("kept", ORDER)
def test_deleted_says_the_camera_and_still_it_stands(quay: Quay, tmp_path: Path, kept: str) -> None:
    """Fault A7: only a fresh listing says "erased". The state stays, the lamp and the
    log say so.
    """
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    medium.keeps = {path_of(f"RECORDINGS/{ONE}/{kept}")}
    report = quay.run(medium)
    assert report.phase is Phase.NOT_ERASED
    assert report.phase.lamp == "red"
    assert quay.states() == {ONE: "erasing"}
    assert len(quay.said("erase.failed")) == 1
    assert "erase.done" not in quay.actions()


@pytest.mark.parametrize("path", ["RECORDINGS", f"RECORDINGS/{ONE}", f"recordings/{ONE}/0002.MP4"])
def test_what_can_not_be_listed_after_the_erase_is_not_called_gone(
    quay: Quay, tmp_path: Path, path: str
) -> None:
    """Fault B4: a folder that became unreadable may hold anything."""
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)

    def damage() -> None:
        if len(medium.deleted) == len(ORDER):
            medium.trouble = (
                CardTrouble(path_of(path), "card.read_failed", "It can't be listed."),
            )

    medium.before_listing = damage
    report = quay.run(medium)
    assert report.phase is Phase.NOT_ERASED
    assert quay.states() == {ONE: "erasing"}
    assert "erase.done" not in quay.actions()


def test_a_file_that_can_not_be_deleted_blocks_no_other_recording(
    quay: Quay, tmp_path: Path
) -> None:
    maker, medium = card_with(tmp_path / "card", count=2)
    quay.register(maker)
    medium.refuses = {segment(ONE, 0)}
    report = quay.run(medium)
    assert quay.states() == {ONE: "erasing", TWO: "erased"}
    assert [problem.code for problem in report.problems] == ["card.delete_failed"]


def test_a_write_protected_card_is_told_once(quay: Quay, tmp_path: Path) -> None:
    maker, medium = card_with(tmp_path / "card", count=2)
    quay.register(maker)
    medium.read_only = True
    report = quay.run(medium)
    assert report.phase is Phase.NOT_ERASED
    assert report.reaction is Reaction.REFUSE
    assert quay.states() == {ONE: "erasing", TWO: "stored"}
    assert medium.deleted == []
    medium.read_only = False
    assert quay.run(medium).done


@pytest.mark.parametrize("at", range(6))
def test_taken_out_during_the_erase_it_is_finished_at_the_next_dock(
    quay: Quay, tmp_path: Path, at: int
) -> None:
    """Faults A1, E2: a manifest whose segments are gone in part is no new recording and no damage,
    but an erase to finish.
    """
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)

    def pull_out(path: tuple[str, ...]) -> None:
        medium.gone = path[-1] == ORDER[at]

    medium.before_delete = pull_out
    with pytest.raises(CardGoneError):
        quay.run(medium)
    assert [name.rpartition("/")[2] for name in medium.deleted] == ORDER[:at]
    medium.gone, medium.before_delete = False, lambda path: None
    quay.restart()
    assert quay.run(medium).done
    assert medium.names() == ["DEVICE/device.json"]
    assert quay.states() == {ONE: "erased"}
    assert len(quay.rows()) == 1


def test_taken_out_between_the_last_delete_and_the_entry_it_is_confirmed_later(
    quay: Quay, tmp_path: Path
) -> None:
    """The card shows nothing of it any more, so no claim leads back to the receipt: the vault is
    asked what it waits for.
    """
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    listings_after_delete = 0

    def pull_out() -> None:
        nonlocal listings_after_delete
        if len(medium.deleted) == len(ORDER):
            listings_after_delete += 1
            medium.gone = listings_after_delete == 1

    medium.before_listing = pull_out
    with pytest.raises(CardGoneError):
        quay.run(medium)
    assert quay.states() == {ONE: "erasing"}
    medium.gone = False
    quay.restart()
    assert quay.run(medium).done
    assert quay.states() == {ONE: "erased"}


def test_another_content_in_a_half_erased_recording_stops_the_rest(
    quay: Quay, tmp_path: Path
) -> None:
    """What differs at the re-dock was never taken in: not one object more is deleted."""
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)

    def pull_out(path: tuple[str, ...]) -> None:
        medium.gone = path == segment(ONE, 1)

    medium.before_delete = pull_out
    with pytest.raises(CardGoneError):
        quay.run(medium)
    medium.gone, medium.before_delete = False, lambda path: None
    medium.replace(segment(ONE, 3), altered(medium.contents[segment(ONE, 3)]))
    left = dict(medium.contents)
    report = quay.run(medium)
    assert [problem.code for problem in report.problems] == ["dock.object_differs"]
    assert medium.contents == left
    assert quay.states() == {ONE: "erasing"}


def test_a_half_erased_recording_that_the_vault_does_not_hold_is_left_alone(
    quay: Quay, tmp_path: Path
) -> None:
    """Fault E2: another dock, with another vault, began that erase. This one proves
    nothing of it.
    """
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    del medium.contents[segment(ONE, 0)]
    left = dict(medium.contents)
    report = quay.run(medium)
    assert [problem.code for problem in report.problems] == ["manifest.segments_missing"]
    assert medium.contents == left
    assert quay.rows() == []


def test_files_that_come_back_after_an_erase_are_erased_again(quay: Quay, tmp_path: Path) -> None:
    """Fault B9: FAT has no journal, a card that is pulled at once may show its files again. Nothing
    is stored twice.
    """
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    before = dict(medium.contents)
    assert quay.run(medium).done
    medium.contents = dict(before)
    assert quay.run(medium).done
    assert medium.names() == ["DEVICE/device.json"]
    assert len(quay.rows()) == 1
    assert quay.said("camera.finding") == [
        f"{ONE} was erased before and stands on the camera again."
    ]


def test_a_stray_file_stays_and_so_does_its_folder(quay: Quay, tmp_path: Path) -> None:
    """What nobody vouched for is not deleted with the rest."""
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    medium.contents[path_of(f"RECORDINGS/{ONE}/stray.mp4")] = b"?"
    report = quay.run(medium)
    assert medium.names() == ["DEVICE/device.json", f"RECORDINGS/{ONE}/stray.mp4"]
    assert quay.states() == {ONE: "erased"}
    assert not report.done


def test_two_cameras_of_one_serial_are_both_taken_in_and_neither_is_erased(
    quay: Quay, tmp_path: Path
) -> None:
    """Fault A11."""
    maker, first = card_with(tmp_path / "one", count=1)
    quay.register(maker)
    second_maker, _ = card_with(tmp_path / "two", count=2)
    second = Medium.of_folder(second_maker.root)
    contents = segments_of(second, TWO)
    quay.erase = True
    quay.docked_cameras.add("bay 9", "BWC0042")
    report = quay.pull(first, "bay 1").run()
    other = quay.pull(second, "bay 2").run()
    assert report.phase is other.phase is Phase.NOT_ERASED
    assert report.reaction is Reaction.ALARM
    assert first.deleted == second.deleted == []
    assert quay.states() == {ONE: "stored", TWO: "stored"}
    assert quay.holds(quay.rows()[1], contents)
    assert "Neither is erased" in quay.said("camera.alarm")[0]


def test_two_cameras_of_one_serial_share_no_recording_in_hand(quay: Quay, tmp_path: Path) -> None:
    """Fault A11: what one bay has in hand the other leaves to it, and what the other brought in
    meanwhile is not stored twice.
    """
    maker, first = card_with(tmp_path / "one", count=2)
    _, second = card_with(tmp_path / "two", count=2)
    quay.register(maker)
    one, two = quay.pull(first, "bay 1"), quay.pull(second, "bay 2")
    reports: list[PullReport] = []

    def meanwhile(path: tuple[str, ...], position: int) -> None:
        if path == segment(ONE, 2) and not reports:
            reports.append(two.run())

    first.before_read = meanwhile
    reports.append(one.run())
    assert [problem.code for problem in reports[0].problems] == ["dock.in_hand"]
    assert [outcome.stored for outcome in reports[0].outcomes] == [False, True]
    assert [outcome.stored for outcome in reports[1].outcomes] == [True, True]
    assert [row.name for row in quay.rows()] == [ONE, TWO]
    assert first.deleted == second.deleted == []
    assert quay.findings() == ()


def test_a_twin_that_comes_during_the_erase_stops_what_has_not_begun(
    quay: Quay, tmp_path: Path
) -> None:
    maker, medium = card_with(tmp_path / "card", count=2)
    quay.register(maker)
    medium.before_delete = lambda path: quay.docked_cameras.add("bay 9", "BWC0042") and None
    report = quay.run(medium)
    assert quay.states() == {ONE: "erased", TWO: "stored"}
    assert report.phase is Phase.NOT_ERASED


def test_erase_switched_off_touches_nothing_and_says_so(quay: Quay, tmp_path: Path) -> None:
    """Fault E5."""
    maker, medium = card_with(tmp_path / "card", count=2)
    quay.register(maker)
    quay.erase = False
    before = dict(medium.contents)
    report = quay.run(medium)
    assert report.phase is Phase.SAFE
    assert "The erase is switched off" in report.message
    assert medium.contents == before
    assert "erase.intended" not in quay.actions()
