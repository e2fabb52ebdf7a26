"""Deletion over real files: by time, by hand, under crashes; and what a camera brings back (P26,
P31, P32; F4, F5; ruling 9).
"""

import threading
from datetime import timedelta

import pytest

from tests.campaigns.crash.custody import Died, dying
from tests.support.office import CAMERA, Office
from tests.support.vault_world import claim_of
from vault.catalogue import deletion_rows
from vault.custody import cases
from vault.custody.cases import NewCase
from vault.custody.papers import Paper, read_paper
from vault.custody.retention import clock_confirmation, deletion, disposition, sweep
from vault.custody.retention.deletion import Held, ReasonMissing
from vault.errors import Failure, NotAllowed, UnknownRecording
from vault.log.tombstones import read_tombstones
from vault.operations import verify as verify_module
from vault.operations.verify import verify, verify_daily
from vault.recording import State
from vault.rules.case_kinds import CaseKind
from vault.vault import Vault


def case_for(here: Office, *recordings: str) -> str:
    return cases.register(
        here.vault,
        here.actor("Petra"),
        NewCase(CaseKind.COMPLAINT, "K-1", here.clock.now(), recordings),
    )


def sound(here: Office) -> tuple[str, ...]:
    return tuple(finding.code for finding in verify(here.vault, lambda _: None).findings)


def test_on_day_28_it_stands_and_then_it_goes_with_its_keys(here: Office) -> None:
    """Proves P31, P32: marked the day before, destroyed at the first sweep once due, seen to be
    gone; the record of it stands.
    """
    recording = here.record()
    here.days(26)
    here.hours(47)
    assert here.stands(recording)
    here.hours(2)
    assert not here.stands(recording)
    assert 28 <= here.age_days(recording) < 28.1
    (gone,) = here.told("recording.destroyed")
    assert (gone["subject"], gone["details"]["because"]) == (recording, "retention")
    assert len(here.told("destruction.confirmed")) == 1
    assert not {"officer", "started_utc"} & set(gone["details"])
    assert sound(here) == ()


def test_the_clock_is_doubted_and_nothing_goes(here: Office) -> None:
    """I7: forty days ahead in a moment: nothing is even marked; intake goes on; put right, it goes
    on its day.
    """
    recording = here.record()
    here.hours(1)
    here.clock.moment += timedelta(days=40)
    here.hours(30)
    assert here.stands(recording)
    another = here.record()
    assert here.stands(another)
    assert [entry["action"] for entry in here.told("clock.doubted", "retention.marked")] == [
        "clock.doubted"
    ]
    here.clock.moment -= timedelta(days=40)
    here.days(26)
    here.hours(50)
    assert not here.stands(recording)


def test_what_came_in_while_the_clock_was_wrong_starts_its_28_days_when_it_was_put_right(
    here: Office,
) -> None:
    """Fault F2: docked under a clock eighty days behind, or ten years ahead, it is destroyed
    neither early nor in ten years.
    """
    here.hours(1)
    for wrong in (timedelta(days=-80), timedelta(days=3650)):
        here.clock.moment += wrong
        recording = here.record()
        here.hours(2)
        here.clock.moment -= wrong
        clock_confirmation.confirm_clock(
            here.vault, here.clock, here.actor("Carel"), here.actor("Petra")
        )
        here.hours(30)
        here.days(25)
        here.hours(30)
        assert here.stands(recording)
        here.days(1)
        here.hours(30)
        assert not here.stands(recording)


def test_by_hand_it_takes_a_reason_and_both(here: Office) -> None:
    """Proves P26 with Q8."""
    recording = here.record()
    carel, petra = here.actor("Carel"), here.actor("Petra")
    with pytest.raises(ReasonMissing):
        deletion.delete(here.vault, carel, petra, recording, " ")
    for one, other in (
        (carel, carel),
        (carel, here.actor("Geert")),
        (here.actor("Bea"), petra),
        (here.actor("Tim"), petra),
    ):
        with pytest.raises(NotAllowed):
            deletion.delete(here.vault, one, other, recording, "made in the dressing room")
    deletion.delete(here.vault, carel, petra, recording, "made in the dressing room")
    assert not here.stands(recording)
    (gone,) = here.told("recording.destroyed")
    assert (gone["actor"], gone["details"]["second"]) == (here.id("Carel"), here.id("Petra"))
    paper = Paper(gone["details"]["paper"], gone["details"]["paper_sha256"])
    assert read_paper(here.vault, paper) == {"reason": "made in the dressing room"}
    with pytest.raises(UnknownRecording):
        deletion.delete(here.vault, carel, petra, recording, "once more")
    assert sound(here) == ()


def test_by_hand_it_never_goes_under_hold(here: Office) -> None:
    recording = here.record()
    case_for(here, recording)
    with pytest.raises(Held, match="K-1"):
        deletion.delete(
            here.vault, here.actor("Carel"), here.actor("Petra"), recording, "made by mistake"
        )
    assert here.stands(recording)


def test_who_made_it_does_not_delete_it(here: Office) -> None:
    recording = here.record()
    cases.name_present(here.vault, here.actor("Carel"), recording, "Carel", "present")
    with pytest.raises(NotAllowed, match="concerned"):
        deletion.delete(
            here.vault, here.actor("Carel"), here.actor("Petra"), recording, "I am on it"
        )


def test_a_hold_that_comes_while_it_is_deleted_is_before_or_after_and_never_between(
    here: Office,
) -> None:
    """Fault F5: two threads, again and again: either the hold stands and the recording too, or both
    are refused.
    """
    for _ in range(12):
        recording = here.record()
        outcome: list[str] = []

        def hold(recording: str = recording, outcome: list[str] = outcome) -> None:
            try:
                case_for(here, recording)
                outcome.append("held")
            except UnknownRecording:
                outcome.append("gone")

        racing = threading.Thread(target=hold)
        racing.start()
        try:
            deletion.delete(
                here.vault, here.actor("Carel"), here.actor("Petra"), recording, "made by mistake"
            )
            deleted = True
        except Held:
            deleted = False
        racing.join()
        assert (deleted, outcome) in ((True, ["gone"]), (False, ["held"]))
        assert here.stands(recording) != deleted


@pytest.mark.parametrize("after", range(16))
def test_a_process_that_dies_while_destroying_is_finished_by_the_next(
    here: Office, after: int
) -> None:
    """Killed before each flush in turn: afterwards it stands whole, or is gone with its keys; never
    a key without its entry.
    """
    recording = here.record()
    try:
        with dying(after):
            deletion.delete(
                here.vault, here.actor("Carel"), here.actor("Petra"), recording, "made by mistake"
            )
    except Died:
        pass
    here.reopen()
    deletion.finish(here.vault)
    entries = [leaf for leaf in here.vault.leaves() if b"recording.destroyed" in leaf]
    assert here.stands(recording) == (not entries)
    if entries:
        with here.vault.reading() as tx:
            assert deletion_rows.unconfirmed_destructions(tx) == []
    assert set(sound(here)) <= {"tombstone.without_entry", "log.register"}


def test_what_is_destroyed_while_the_vault_is_checked_is_no_finding(
    here: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep goes on beside the check: after the log was read, and between the tombstone and its
    entry.
    """
    gone, half = here.record(), here.record()
    real, calls = verify_module._logged, list[object]()

    def logged(vault: Vault) -> object:
        told = real(vault)
        if not calls:
            deletion.delete(
                here.vault, here.actor("Carel"), here.actor("Petra"), gone, "made by mistake"
            )
        calls.append(told)
        return told

    monkeypatch.setattr(verify_module, "_logged", logged)
    assert sound(here) == ("record.unreadable",)
    assert len(calls) == 2
    calls.clear()
    monkeypatch.setattr(verify_module, "_logged", real)
    tombstones = here.vault.settings.root / "register" / "tombstones"
    (written,) = [path for path in tombstones.rglob("*") if gone in path.name]
    (written.parent / written.name.replace(gone, half)).write_text(
        written.read_text().replace(gone, half)
    )
    assert sound(here) == ("tombstone.without_entry",)
    assert verify_daily(here.vault, lambda _: None).findings == ()


def test_more_than_the_cap_waits_for_two(here: Office) -> None:
    """Fault F4."""
    recordings = [here.record(contents=(b"x",)) for _ in range(21)]
    here.days(27.5)
    here.hours(1)
    here.days(1.2)
    swept = here.hours(1)[-1]
    assert (len(swept.awaiting), swept.destroyed) == (21, ())
    with pytest.raises(NotAllowed):
        sweep.approve(here.vault, here.actor("Petra"), here.actor("Petra"), swept.awaiting)
    sweep.approve(here.vault, here.actor("Petra"), here.actor("Carel"), swept.awaiting)
    assert set(here.hours(1)[-1].destroyed) == set(recordings)


def test_what_comes_back_on_a_camera_is_known_by_its_tombstone(here: Office) -> None:
    """Ruling 9: destroyed content is erased on the camera and never taken in again; its edges know
    it, and then go too.
    """
    contents = (b"one" * 50,)
    recording = here.record(contents=contents)
    with here.vault.reading() as tx:
        row = next(row for row in deletion_rows.ageing(tx, "9999") if row.id == recording)
    deletion.delete(
        here.vault, here.actor("Carel"), here.actor("Petra"), recording, "made by mistake"
    )
    claim = claim_of(contents, here.counter, identity=row.identity)
    receipt = here.intake.receipt_for(claim)
    assert receipt is not None
    assert (receipt.recording_id, receipt.state) == (recording, State.STORED)
    assert [segment.size_bytes for segment in receipt.segments] == [150]
    here.intake.erased(here.intake.intend_erase(receipt))
    gone = here.intake.receipt_for(claim)
    assert gone is not None
    assert (gone.state, gone.segments) == (State.ERASED, ())
    assert here.intake.camera(CAMERA) is not None


def test_why_says_when_and_why(here: Office) -> None:
    recording = here.record()
    fate = disposition.disposition(here.vault, here.actor("Petra"), recording)
    assert fate.nl.startswith(
        "Deze opname wordt na 21 december 2026 om 19:00 uur automatisch verwijderd"
    )
    case_for(here, recording)
    held = disposition.disposition(here.vault, here.actor("Petra"), recording)
    assert ("een klacht (K-1)" in held.nl, held.regime) == (True, "AVG")
    demand = NewCase(CaseKind.DEMAND, "OM-1", here.clock.now(), (recording,))
    cases.register(here.vault, here.actor("Petra"), demand)
    assert disposition.disposition(here.vault, here.actor("Petra"), recording).regime == "Wpg"
    with pytest.raises(NotAllowed):
        disposition.disposition(here.vault, here.actor("Mo"), recording)
    with pytest.raises(UnknownRecording):
        disposition.disposition(here.vault, here.actor("Petra"), "none")


def test_what_falls_due_is_listed_a_week_ahead(here: Office) -> None:
    """Q2."""
    recording = here.record()
    here.days(20)
    assert disposition.soon_due(here.vault, here.actor("Carel")) == []
    here.days(1.5)
    assert [one for _, one in disposition.soon_due(here.vault, here.actor("Carel"))] == [recording]


def test_a_tombstone_tells_of_no_person_and_no_time_on_the_street(here: Office) -> None:
    recording = here.record()
    deletion.delete(
        here.vault, here.actor("Carel"), here.actor("Petra"), recording, "made by mistake"
    )
    (tombstone, _) = read_tombstones(here.settings.root / "register")[recording]
    assert not {"officer", "officer_person", "started_utc", "triggered_utc", "stopped_utc"} & set(
        tombstone.row
    )
    with pytest.raises(Failure):
        (here.settings.root / f"register/tombstones/{recording}.json").write_bytes(b"{")
        read_tombstones(here.settings.root / "register")
