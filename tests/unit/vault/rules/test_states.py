"""States: every combination of moments that can occur has the state that a reader expects, in the
order in which the moments come.
"""

from dataclasses import dataclass, replace

import pytest

from vault.rules.purposes import PURPOSES, Purpose
from vault.rules.states import (
    VIEWING_PENDING,
    VIEWING_WATCHED,
    CaseState,
    ReceiptState,
    RecordingState,
    ViewingState,
    case_state,
    is_destroyed,
    receipt_state,
    recording_state,
    viewing_state,
)

T1, T2, T3, T4, T5 = (f"2026-11-{day}T09:00:00.000Z" for day in (2, 3, 4, 5, 6))


@dataclass(frozen=True)
class Viewing:
    purpose: str
    approved_by: str | None = None
    refused_utc: str | None = None
    opened_utc: str | None = None
    ended_utc: str | None = None


@dataclass(frozen=True)
class Case:
    granted: bool | None = None
    decided_utc: str | None = None
    objected_utc: str | None = None
    objection_decided_utc: str | None = None
    objection_upheld: bool | None = None
    closed_utc: str | None = None


@dataclass(frozen=True)
class Recording:
    archived_utc: str | None = None
    destroyed_utc: str | None = None


@dataclass(frozen=True)
class Report:
    received_utc: str | None = None


def test_a_viewing_to_learn_waits_for_approval() -> None:
    asked = Viewing("learning")
    assert viewing_state(asked) is ViewingState.AWAITING_APPROVAL
    assert viewing_state(replace(asked, refused_utc=T1)) is ViewingState.REFUSED
    approved = replace(asked, approved_by="p-1")
    assert viewing_state(approved) is ViewingState.READY
    assert viewing_state(replace(approved, opened_utc=T1)) is ViewingState.OPENED
    assert viewing_state(replace(approved, opened_utc=T1, ended_utc=T2)) is ViewingState.ENDED


@pytest.mark.parametrize("purpose", [one for one in Purpose if PURPOSES[one].case is not None])
def test_a_viewing_that_rests_on_a_case_is_ready_at_once(purpose: Purpose) -> None:
    asked = Viewing(purpose.value)
    assert viewing_state(asked) is ViewingState.READY
    assert viewing_state(replace(asked, opened_utc=T1)) is ViewingState.OPENED
    assert viewing_state(replace(asked, opened_utc=T1, ended_utc=T2)) is ViewingState.ENDED


def test_a_viewing_is_pending_refused_or_watched() -> None:
    assert not VIEWING_PENDING & VIEWING_WATCHED
    assert set(ViewingState) == VIEWING_PENDING | VIEWING_WATCHED | {ViewingState.REFUSED}


def test_a_case_that_is_never_decided() -> None:
    assert case_state(Case()) is CaseState.OPEN
    assert case_state(Case(closed_utc=T1)) is CaseState.CLOSED


def test_an_access_request_from_receipt_to_end() -> None:
    granted = Case(granted=True, decided_utc=T1)
    assert case_state(granted) is CaseState.GRANTED
    assert case_state(replace(granted, closed_utc=T2)) is CaseState.CLOSED
    refused = Case(granted=False, decided_utc=T1)
    assert case_state(refused) is CaseState.REFUSED
    objected = replace(refused, objected_utc=T2)
    assert case_state(objected) is CaseState.OBJECTED
    rejected = replace(objected, objection_decided_utc=T3, objection_upheld=False)
    assert case_state(rejected) is CaseState.REJECTED
    upheld = replace(rejected, objection_upheld=True)
    assert case_state(upheld) is CaseState.UPHELD
    for granted_then, state in ((True, CaseState.GRANTED), (False, CaseState.REFUSED)):
        again = replace(upheld, granted=granted_then, decided_utc=T4)
        assert case_state(again) is state
        assert case_state(replace(again, closed_utc=T5)) is CaseState.CLOSED


def test_a_recording_is_kept_archived_or_destroyed() -> None:
    assert recording_state(Recording()) is RecordingState.KEPT
    assert recording_state(Recording(archived_utc=T1)) is RecordingState.ARCHIVED
    gone = Recording(archived_utc=T1, destroyed_utc=T2)
    assert recording_state(gone) is RecordingState.DESTROYED
    assert [is_destroyed(row) for row in (Recording(), Recording(T1), gone)] == [False, False, True]


def test_a_report_is_sent_then_received() -> None:
    assert receipt_state(Report()) is ReceiptState.SENT
    assert receipt_state(Report(T1)) is ReceiptState.RECEIVED
