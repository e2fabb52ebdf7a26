"""The clock guard, rule by rule (faults F1, F2; ruling 14)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from vault.rules.clock_guard import Look, Seen, Trust, confirm, judge

WALL = datetime(2026, 11, 24, 9, tzinfo=UTC)
LOOK = Look(WALL, 1000.0, 1000.0, "one", synced=True)


def later(look: Look, length: timedelta, wall: timedelta | None = None, **changes: object) -> Look:
    """The clocks after a while; `wall`: how far the wall moved meanwhile, where it was
    not as far.
    """
    moved = replace(
        look,
        wall=look.wall + (length if wall is None else wall),
        monotonic_s=look.monotonic_s + length.total_seconds(),
        boot_s=look.boot_s + length.total_seconds(),
    )
    return replace(moved, **changes)  # type: ignore[arg-type]


def seen_at(look: Look = LOOK) -> Seen:
    return confirm(None, look)


HOUR = timedelta(hours=1)


def judged(look: Look, seen: Seen | None = None) -> Trust:
    return judge(seen or seen_at(), look)


def test_network_time_vouches_for_a_clock_that_runs_as_it_should() -> None:
    week = timedelta(days=8)
    assert judged(later(LOOK, week)).trusted
    assert not judged(later(LOOK, week, synced=False)).trusted


def test_a_catalogue_made_anew_takes_two_persons_word_before_network_times() -> None:
    trust = judge(None, LOOK)
    assert not trust.trusted
    assert not judge(trust.seen, later(LOOK, HOUR)).trusted
    assert judge(confirm(trust.seen, LOOK), later(LOOK, HOUR)).trusted


@pytest.mark.parametrize(
    "jump", [timedelta(minutes=6), timedelta(days=40), -timedelta(minutes=6), -timedelta(days=400)]
)
def test_a_jump_is_not_believed_on_network_times_word(jump: timedelta) -> None:
    """F1: and when the clock comes back to the truth it is believed again."""
    jumped = later(LOOK, HOUR, wall=HOUR + jump)
    trust = judged(jumped)
    assert not trust.trusted
    assert not judge(trust.seen, later(jumped, HOUR)).trusted
    assert judge(trust.seen, later(LOOK, 2 * HOUR)).trusted


def test_small_steps_do_not_add_up() -> None:
    seen, look = seen_at(), LOOK
    verdicts = []
    for _ in range(4):
        look = later(look, HOUR, wall=HOUR + timedelta(minutes=2))
        trust = judge(seen, look)
        verdicts.append(trust.trusted)
        seen = trust.seen
    assert verdicts == [True, True, False, False]


def test_suspended_time_is_time() -> None:
    asleep = timedelta(days=3)
    woken = replace(
        later(LOOK, HOUR), wall=WALL + HOUR + asleep, boot_s=1000.0 + 3600 + asleep.total_seconds()
    )
    trust = judged(woken)
    assert trust.trusted
    assert trust.seen.running_s == 3600.0


@pytest.mark.parametrize(
    "wall",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2025, 12, 31, tzinfo=UTC),
        datetime(2100, 1, 1, tzinfo=UTC),
    ],
)
def test_a_time_that_cannot_be_is_not_believed_by_anybody(wall: datetime) -> None:
    assert not judged(replace(later(LOOK, HOUR), wall=wall)).trusted
    assert not judge(None, replace(LOOK, wall=wall)).trusted


def restarted(off: timedelta, **changes: object) -> Look:
    return replace(LOOK, wall=WALL + off, monotonic_s=20.0, boot_s=20.0, boot_id="two", **changes)  # type: ignore[arg-type]


def test_after_a_restart_network_time_is_believed_within_a_month_ahead() -> None:
    """F2."""
    assert judged(restarted(timedelta(days=3))).trusted
    assert judged(restarted(timedelta(days=31))).trusted
    assert not judged(restarted(timedelta(days=32))).trusted
    assert not judged(restarted(-timedelta(hours=1))).trusted
    assert not judged(restarted(timedelta(hours=1), synced=False)).trusted


def test_running_time_is_not_counted_across_a_restart() -> None:
    trust = judged(later(LOOK, HOUR))
    after = judge(trust.seen, restarted(timedelta(days=3)))
    assert after.seen.running_s == trust.seen.running_s == 3600.0


def test_without_network_two_persons_vouch_for_a_week() -> None:
    """Ruling 14: an offline PC deletes on time as well, with a weekly confirmation."""
    look = replace(LOOK, synced=False)
    seen = confirm(None, look)
    assert judge(seen, later(look, timedelta(days=7))).trusted
    assert not judge(seen, later(look, timedelta(days=7, seconds=1))).trusted
    again = confirm(seen, later(look, timedelta(days=8)))
    assert judge(again, later(look, timedelta(days=9))).trusted
    assert not judge(again, restarted(timedelta(days=9), synced=False)).trusted


def test_two_persons_vouch_for_a_clock_that_was_put_right() -> None:
    jumped = later(LOOK, HOUR, wall=HOUR + timedelta(days=2))
    seen = confirm(judged(jumped).seen, jumped)
    assert judge(seen, later(jumped, HOUR)).trusted
