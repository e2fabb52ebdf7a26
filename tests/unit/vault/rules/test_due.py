"""When a recording falls due: to the second, and in a citizen's words."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.rules.due import LATE, MEND, RETENTION, Because, Facts, Hold, due, why

STOP = datetime(2026, 11, 23, 17, 3, tzinfo=UTC)
DOCKED = STOP + timedelta(hours=2)
ZONE = ZoneInfo("Europe/Amsterdam")
SECOND = timedelta(seconds=1)


def hold(lifted: datetime | None, kind: str = "complaint") -> Hold:
    return Hold(kind, "K-7", STOP + timedelta(days=3), lifted)


def test_a_recording_falls_due_28_days_after_its_stop() -> None:
    """Proves P31 and Q1: from the recording, not from the docking."""
    assert due(Facts(STOP, DOCKED, ())) == due(Facts(STOP, STOP + RETENTION - SECOND, ()))
    assert due(Facts(STOP, DOCKED, ())).due == STOP + timedelta(days=28)


def test_docked_when_the_28_days_are_over_it_gets_seven_more() -> None:
    """Q1, late docking; the boundary is the very second."""
    late = due(Facts(STOP, STOP + RETENTION, ()))
    assert (late.due, late.because) == (STOP + RETENTION + LATE, Because.LATE)
    assert due(Facts(STOP, STOP + RETENTION - SECOND, ())).because is Because.RETENTION


@pytest.mark.parametrize("kind", ["complaint", "access_request", "police_report", "demand"])
def test_a_standing_hold_has_no_date(kind: str) -> None:
    """Proves P32, P33, P34, P35: each of the four holds it, however old it is."""
    held = due(Facts(STOP, DOCKED, (hold(STOP + timedelta(days=5)), hold(None, kind))))
    assert (held.due, held.because, [one.kind for one in held.standing]) == (
        None,
        Because.HELD,
        [kind],
    )


def test_a_hold_lifted_after_day_28_leaves_a_day_to_mend() -> None:
    """Q2."""
    lifted = STOP + timedelta(days=40)
    assert due(Facts(STOP, DOCKED, (hold(lifted),))).due == lifted + MEND
    assert due(Facts(STOP, DOCKED, (hold(STOP + timedelta(days=20)),))).due == STOP + RETENTION


@given(
    st.integers(0, 400_000_000),
    st.timedeltas(timedelta(0), timedelta(days=60)),
    st.lists(st.timedeltas(timedelta(0), timedelta(days=90)), max_size=4),
)
def test_nothing_falls_due_before_its_28_days(
    start_s: int, docked: timedelta, lifted: list[timedelta]
) -> None:
    """Whatever was held and lifted, and whenever it was docked: never early, and never earlier for
    one more hold.
    """
    stop = STOP + timedelta(seconds=start_s)
    holds = tuple(hold(stop + length) for length in lifted)
    decided = due(Facts(stop, stop + docked, holds)).due
    plain = due(Facts(stop, stop + docked, ())).due
    assert decided is not None
    assert plain is not None
    assert decided >= plain >= stop + RETENTION


def test_a_citizen_understands_why() -> None:
    facts = Facts(STOP, DOCKED, ())
    assert why(facts, ZONE) == (
        "Deze opname wordt na 21 december 2026 om 18:03 uur automatisch verwijderd, omdat zij "
        "dan 28 dagen oud is en geen "
        "aangifte, klacht of verzoek tot inzage haar vasthoudt."
    )
    assert why(facts, ZONE, "en").startswith(
        "This recording is deleted automatically after 21 December 2026 at 18:03, as it is then 28"
    )
    held = Facts(STOP, DOCKED, (hold(None), hold(None, "demand")))
    assert why(held, ZONE) == (
        "Deze opname wordt niet verwijderd zolang een klacht (K-7) en een vordering van het "
        "Openbaar "
        "Ministerie (K-7) haar vasthoudt."
    )
    assert "7 dagen bewaard" in why(Facts(STOP, STOP + RETENTION, ()), ZONE)
    assert "laatste zaak" in why(Facts(STOP, DOCKED, (hold(STOP + timedelta(days=40)),)), ZONE)
