"""What one sweep decides: mark, wait, destroy, stop before a landslide (faults F1, F4)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from vault.rules.due import MARK_AHEAD, RETENTION, Facts, Hold
from vault.rules.sweep_plan import Candidate, Mark, Plan, Situation, cap, falls_due, plan

STOP = datetime(2026, 11, 1, tzinfo=UTC)
DUE = STOP + RETENTION
DAY_S = 86400.0
SECOND = timedelta(seconds=1)
NOW = Situation(DUE, 100 * DAY_S, None, (), False, frozenset())
HELD = (Hold("complaint", "K", STOP, None),)


def one(name: str = "r", marked: Mark | None = None, holds: tuple[Hold, ...] = ()) -> Candidate:
    return Candidate(name, Facts(STOP, STOP, holds), marked)


def ripe(name: str = "r") -> Candidate:
    return one(name, Mark(DUE - MARK_AHEAD, NOW.running_s - DAY_S))


def test_marked_a_day_before_it_falls_due() -> None:
    assert plan([one()], replace(NOW, now=DUE - MARK_AHEAD - SECOND)) == Plan()
    assert plan([one()], replace(NOW, now=DUE - MARK_AHEAD)).mark == ("r",)


def test_destroyed_once_due_and_a_day_of_running_after_the_mark() -> None:
    """Proves P31, P32: both, and to the second."""
    assert plan([ripe()], NOW).destroy == ("r",)
    assert plan([ripe()], replace(NOW, now=DUE - SECOND)).destroy == ()
    assert plan([ripe()], replace(NOW, running_s=NOW.running_s - 1)).destroy == ()
    assert plan([one()], replace(NOW, now=DUE + timedelta(days=3650))).destroy == ()


def test_a_hold_takes_the_mark_away() -> None:
    marked = one(marked=Mark(DUE, 0.0), holds=HELD)
    assert plan([marked], NOW) == Plan(unmark=("r",))
    assert plan([marked], replace(NOW, blocked="the clock jumped")) == Plan(
        unmark=("r",), because="the clock jumped"
    )


def test_while_something_is_in_doubt_nothing_is_marked_or_destroyed() -> None:
    assert plan([one("new"), ripe()], replace(NOW, blocked="doubt")) == Plan(because="doubt")


@pytest.mark.parametrize(
    ("history", "allowed"),
    [((), 20), ((0,) * 28, 20), ((6,) * 28, 20), ((7,) * 28, 21), ((100,) * 28, 300)],
)
def test_the_cap_is_three_times_the_median_day_and_at_least_twenty(
    history: tuple[int, ...], allowed: int
) -> None:
    assert cap(history) == allowed
    many = [ripe(f"r{at}") for at in range(allowed + 1)]
    assert len(plan(many[:-1], replace(NOW, history=history)).destroy) == allowed
    over = plan(many, replace(NOW, history=history))
    assert (over.destroy, len(over.awaiting)) == ((), allowed + 1)
    assert over.because is not None


def test_two_persons_approve_the_very_list() -> None:
    many = [ripe(f"r{at}") for at in range(21)]
    names = frozenset(candidate.recording for candidate in many)
    assert len(plan(many, replace(NOW, approved=names)).destroy) == 21
    assert plan([*many, ripe("one more")], replace(NOW, approved=names)).destroy == ()


def test_after_the_rules_changed_the_first_run_asks() -> None:
    changed = plan([ripe()], replace(NOW, policy_changed=True))
    assert (changed.destroy, changed.awaiting) == ((), ("r",))
    assert plan([ripe()], replace(NOW, policy_changed=True, approved=frozenset({"r"}))).destroy == (
        "r",
    )


def test_what_falls_due_within_seven_days_is_listed() -> None:
    """Q2."""
    assert falls_due([one(), one("held", holds=HELD)], DUE - timedelta(days=7)) == [(DUE, "r")]
    assert falls_due([one()], DUE - timedelta(days=7, seconds=1)) == []
