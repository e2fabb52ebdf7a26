"""The board that everyone looks at, and the watchdog's judgement of who stands still."""

import pytest

from dockd.docking.bay import LEFTOVERS_MAX, Bay, Board, Heartbeat, Lamp, Phase, Vigil
from tests.support.hand_clock import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def test_every_phase_has_a_lamp_and_only_one_says_that_it_may_be_taken() -> None:
    assert [phase for phase in Phase if phase.lamp is Lamp.GREEN] == [Phase.SAFE]


def test_rate_and_time_left_follow_the_bytes(clock: HandClock) -> None:
    board = Board()
    bay = Bay("1", board, clock)
    bay.enter(Phase.PULLING, count=2)
    bay.plan(10_000_000)
    bay.already(4_000_000)
    assert bay.state.seconds_left is None
    clock.pass_time(2)
    bay.advance(2_000_000)
    (state,) = board.states()
    assert (state.bytes_done, state.bytes_per_s, state.seconds_left) == (6_000_000, 1_000_000, 4)


def test_a_moment_that_was_read_never_changes(clock: HandClock) -> None:
    bay = Bay("1", Board(), clock)
    before = bay.state
    bay.enter(Phase.SAFE, "done")
    assert before.phase is Phase.IDENTIFYING
    assert bay.state.since_utc == clock.now()


def test_what_was_taken_too_early_stays_until_it_is_back(clock: HandClock) -> None:
    board = Board()
    bay = Bay("1", board, clock)
    bay.camera_is("BWC0042")
    bay.enter(Phase.TAKEN_EARLY, "Dock it again.")
    board.forget_early("BWC0043")
    assert len(board.states()) == 1
    board.forget_early("BWC0042")
    assert board.states() == ()


def test_leftovers_are_bounded(clock: HandClock) -> None:
    board = Board()
    for number in range(LEFTOVERS_MAX + 10):
        Bay(f"{number:03d}", board, clock).enter(Phase.TAKEN_EARLY)
    assert len(board.states()) == LEFTOVERS_MAX
    assert board.states()[0].bay == "010"


def test_progress_moves_with_bytes_and_steps(clock: HandClock) -> None:
    bay = Bay("1", Board(), clock)
    bay.enter(Phase.PULLING, count=1)
    seen = [bay.heartbeat().progress]
    for move in (
        lambda: bay.advance(1),
        bay.step,
        lambda: bay.recording(1),
        lambda: bay.enter(Phase.CHECKING),
    ):
        move()
        seen.append(bay.heartbeat().progress)
    assert seen == sorted(set(seen))


def test_who_waits_for_a_lane_is_queued_until_one_of_its_segments_is_read(clock: HandClock) -> None:
    bay = Bay("1", Board(), clock)
    assert not bay.heartbeat().queued
    bay.buffer_asked(+1)
    assert bay.heartbeat().queued
    bay.buffer_reading(+1)
    assert not bay.heartbeat().queued
    bay.buffer_reading(-1)
    bay.buffer_asked(-1)
    assert not bay.heartbeat().queued


class TestVigil:
    """Fault G2."""

    def test_a_busy_bay_that_does_not_move_for_the_period_withholds_the_ping(
        self, clock: HandClock
    ) -> None:
        vigil = Vigil(10, clock)
        still = Heartbeat("1", busy=True, progress=7)
        assert vigil.all_is_well([still])
        clock.pass_time(10)
        assert vigil.all_is_well([still])
        clock.pass_time(1)
        assert not vigil.all_is_well([still])
        assert vigil.all_is_well([Heartbeat("1", busy=True, progress=8)])

    def test_one_that_rests_owes_nothing(self, clock: HandClock) -> None:
        vigil = Vigil(10, clock)
        vigil.all_is_well([Heartbeat("1", busy=False, progress=7)])
        clock.pass_time(10_000)
        assert vigil.all_is_well([Heartbeat("1", busy=False, progress=7)])
        assert vigil.all_is_well([Heartbeat("1", busy=True, progress=7)])

    def test_one_that_moves_does_not_speak_for_one_that_stands_still(
        self, clock: HandClock
    ) -> None:
        vigil = Vigil(10, clock)
        for progress in range(12):
            well = vigil.all_is_well(
                [
                    Heartbeat("1", busy=True, progress=7),
                    Heartbeat("2", busy=True, progress=progress),
                ]
            )
            clock.pass_time(1)
        assert not well

    def test_a_known_long_step_has_its_allowance_and_no_more(self, clock: HandClock) -> None:
        vigil = Vigil(10, clock)
        heartbeat = Heartbeat("1", busy=True, progress=7, allowance_s=60)
        vigil.all_is_well([heartbeat])
        clock.pass_time(70)
        assert vigil.all_is_well([heartbeat])
        clock.pass_time(1)
        assert not vigil.all_is_well([heartbeat])

    def test_who_queues_is_excused_while_another_moves_and_not_when_all_queue(
        self, clock: HandClock
    ) -> None:
        vigil = Vigil(10, clock)
        queued = Heartbeat("1", busy=True, progress=7, queued=True)
        vigil.all_is_well([queued, Heartbeat("2", busy=True, progress=0)])
        clock.pass_time(11)
        assert vigil.all_is_well([queued, Heartbeat("2", busy=True, progress=1)])
        clock.pass_time(11)
        assert not vigil.all_is_well([queued, Heartbeat("2", busy=True, progress=1, queued=True)])
