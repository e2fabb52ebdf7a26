"""A slice of the clock histories; the whole of it is `make clocks`."""

from collections import Counter
from datetime import timedelta

import pytest

from tests.campaigns.crash import clocks
from tests.campaigns.crash.clocks import play
from vault.rules.clock_guard import Look, Seen, judge


def test_no_clock_history_destroys_early_or_under_hold() -> None:
    """Proves P31, P32 against faults F1 and F2 (I7): 60 histories of 120 days."""
    histories = [play(seed) for seed in range(1, 61)]
    assert [violation for history in histories for violation in history.violations] == []
    met = sum((history.met for history in histories), Counter[str]())
    assert len(met) == 11
    assert sum(history.destroyed for history in histories) > 300


def test_without_the_guard_the_campaign_finds_early_destruction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The check can fail: with a guard that believes everything, recordings go early."""

    def believes(seen: Seen | None, look: Look) -> object:
        trust = judge(seen, look)
        return type(trust)(True, "believed", trust.seen)

    monkeypatch.setattr(clocks, "judge", believes)
    assert any("early" in violation for seed in range(1, 61) for violation in play(seed).violations)


def test_without_the_running_time_the_campaign_finds_nothing_to_save_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A day between mark and destruction is what a lying network time within a restart's month
    meets: it is waited for.
    """
    monkeypatch.setattr("vault.rules.sweep_plan.RUNNING", timedelta(0))
    monkeypatch.setattr("vault.rules.clock_guard.TOLERANCE", timedelta(days=3650))
    assert any("early" in violation for seed in range(1, 61) for violation in play(seed).violations)
