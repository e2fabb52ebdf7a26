"""The pre-record ring: the failures that others document, and its bounds for any stream."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim.camera.ring import EncodedFrame, Preroll, Ring

FPS, GOP = 10, 10
FRAME_90K = 90_000 // FPS
SECOND_90K = 90_000
SPAN_90K = 30 * SECOND_90K
PLENTY = 1 << 30


def frame(number: int, key: bool | None = None, size: int = 10) -> EncodedFrame:
    is_key = number % GOP == 0 if key is None else key
    return EncodedFrame(number * FRAME_90K, FRAME_90K, is_key, bytes(size))


def filled(frames: int, bytes_max: int = PLENTY) -> Ring:
    ring = Ring(SPAN_90K, bytes_max)
    for number in range(frames):
        ring.push(frame(number))
    return ring


def seconds(preroll: Preroll, triggered_90k: int) -> float:
    return (triggered_90k - preroll.frames[0].start_90k) / SECOND_90K


def assert_plays(preroll: Preroll) -> None:
    """A decoder shows all of it: from a keyframe on, each frame where the one before it ended."""
    assert preroll.frames[0].key
    for before, after in zip(preroll.frames, preroll.frames[1:], strict=False):
        assert after.start_90k == before.end_90k


def test_thirty_seconds_after_a_long_standby() -> None:
    """Proves P15. Fault: the whole ring is returned instead of 30 s."""
    ring = filled(3000)
    triggered_90k = 3000 * FRAME_90K
    preroll = ring.preroll(triggered_90k)
    assert_plays(preroll)
    assert seconds(preroll, triggered_90k) == 30.0
    assert preroll.short_because is None


@pytest.mark.parametrize("late", range(GOP))
def test_starts_on_a_keyframe_wherever_the_trigger_falls(late: int) -> None:
    """Proves P15. Faults: the clip is blank until the first keyframe; its first second is broken
    where the last keyframe has left the ring.
    """
    ring = filled(3000 + late)
    triggered_90k = (3000 + late) * FRAME_90K
    preroll = ring.preroll(triggered_90k)
    assert_plays(preroll)
    assert 30.0 <= seconds(preroll, triggered_90k) < 30.0 + GOP / FPS


def test_a_trigger_between_two_frames() -> None:
    """Proves P15: the fraction of a frame since the last one counts for the 30 s."""
    ring = filled(309)
    preroll = ring.preroll(309 * FRAME_90K + FRAME_90K - 1)
    assert preroll.frames[0].start_90k == 0
    preroll = ring.preroll(310 * FRAME_90K)
    assert preroll.frames[0].start_90k == 10 * FRAME_90K


def test_short_standby_says_so() -> None:
    """Proves P15: less than asked is delivered with the reason."""
    ring = filled(299)
    preroll = ring.preroll(299 * FRAME_90K)
    assert len(preroll.frames) == 299
    assert preroll.short_because == "just_switched_on"
    assert filled(300).preroll(300 * FRAME_90K).short_because is None


def test_nothing_pushed() -> None:
    """A ring that saw no frame yields none, and says why."""
    assert Ring(SPAN_90K, PLENTY).preroll(0) == Preroll((), "just_switched_on")


def test_a_stream_that_starts_without_a_keyframe() -> None:
    """Fault: blank until the first keyframe. What cannot be shown is not kept, and is not called
    just switched on.
    """
    ring = Ring(SPAN_90K, PLENTY)
    for number in range(3, 25):
        ring.push(frame(number))
    preroll = ring.preroll(25 * FRAME_90K)
    assert preroll.frames[0].start_90k == 10 * FRAME_90K
    assert preroll.short_because == "dropped_frames"


def test_it_goes_on_while_it_is_used() -> None:
    """Proves P15, ruling 16. Fault: a ring that is filled once, or emptied by its use."""
    ring = filled(400)
    first = ring.preroll(400 * FRAME_90K)
    for number in range(400, 651):
        ring.push(frame(number))
    second = ring.preroll(651 * FRAME_90K)
    assert_plays(second)
    assert first.frames[-1].start_90k == 399 * FRAME_90K
    assert second.frames[0].start_90k == 350 * FRAME_90K
    assert second.frames[-1].start_90k == 650 * FRAME_90K


def test_nothing_older_survives() -> None:
    """Proves P8, P13: what lies more than 30 s and one group back is gone from memory before the
    next frame.
    """
    ring = Ring(SPAN_90K, PLENTY)
    for number in range(1000):
        ring.push(frame(number))
        assert ring.end_90k is not None
        assert ring.start_90k is not None
        assert ring.end_90k - ring.start_90k < SPAN_90K + GOP * FRAME_90K
        assert ring.bytes <= (300 + GOP) * 10


def test_emptied() -> None:
    """Proves P8, ruling 16: docked or off, nothing is left, not even the memory of a loss."""
    ring = filled(500, bytes_max=500)
    ring.empty()
    assert (ring.bytes, ring.start_90k, ring.end_90k) == (0, None, None)
    assert ring.preroll(600 * FRAME_90K) == Preroll((), "just_switched_on")
    ring.push(frame(20))
    assert len(ring.preroll(21 * FRAME_90K).frames) == 1


def test_bytes_are_bounded_by_whole_groups() -> None:
    """Proves P15: what the bytes force out is said; what is left still starts on a keyframe."""
    ring = filled(1000, bytes_max=1_050)
    preroll = ring.preroll(1000 * FRAME_90K)
    assert_plays(preroll)
    assert ring.bytes == 1_000
    assert preroll.short_because == "dropped_frames"


def test_a_group_larger_than_the_ring() -> None:
    """No room for a single group: it yields nothing rather than frames that nobody can show."""
    ring = filled(95, bytes_max=45)
    assert ring.preroll(95 * FRAME_90K) == Preroll((), "dropped_frames")
    assert ring.bytes == 0


def test_loss_is_forgotten_when_it_no_longer_matters() -> None:
    """One fat group pushed others out long ago: 30 s later the pre-roll is whole again and says
    nothing of it.
    """
    ring = Ring(SPAN_90K, 4_000)
    for number in range(700):
        ring.push(frame(number, size=3_000 if number == 100 else 10))
    assert ring.preroll(700 * FRAME_90K).short_because is None


def test_a_hole_is_never_papered_over() -> None:
    """Frames that the encoder never gave: the pre-roll starts after the hole, and says so."""
    ring = filled(200)
    for number in range(210, 300):
        ring.push(frame(number))
    preroll = ring.preroll(300 * FRAME_90K)
    assert_plays(preroll)
    assert preroll.frames[0].start_90k == 210 * FRAME_90K
    assert preroll.short_because == "dropped_frames"


def test_a_doubled_frame_is_refused() -> None:
    """Fault: a frame stands twice where pre-roll and live meet."""
    ring = filled(10)
    with pytest.raises(ValueError, match="starts before"):
        ring.push(frame(9))


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 60)), min_size=1, max_size=60),
    st.integers(0, FRAME_90K - 1),
    st.integers(200, 100_000),
    st.integers(5, 400),
)
def test_any_stream(
    groups: list[tuple[int, int]], late_90k: int, bytes_max: int, span_frames: int
) -> None:
    """Proves P15: for groups of any length and size, the bounds hold after every frame, and the
    pre-roll is the longest that they allow, from a keyframe on, without a hole.
    """
    span_90k = span_frames * FRAME_90K
    ring = Ring(span_90k, bytes_max)
    pushed: list[EncodedFrame] = []
    for length, size in groups:
        for place in range(length):
            pushed.append(frame(len(pushed), key=place == 0, size=size))
            ring.push(pushed[-1])
            assert ring.bytes <= bytes_max
    triggered_90k = pushed[-1].end_90k + late_90k
    preroll = ring.preroll(triggered_90k)
    wanted_90k = triggered_90k - span_90k
    keys = [number for number, one in enumerate(pushed) if one.key]
    latest = max((number for number in keys if pushed[number].start_90k <= wanted_90k), default=0)
    fits = sum(len(one.data) for one in pushed) <= bytes_max
    if fits:
        assert list(preroll.frames) == pushed[latest:]
    if preroll.frames:
        assert_plays(preroll)
        assert preroll.frames[-1] is pushed[-1]
        assert preroll.frames[0].start_90k >= pushed[latest].start_90k
    delivered = bool(preroll.frames) and preroll.frames[0].start_90k <= wanted_90k
    assert (preroll.short_because is None) == delivered
    assert not (fits and preroll.short_because == "dropped_frames")
