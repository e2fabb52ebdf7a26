"""H.264 and AAC as the camera makes them: one in, one out, closed groups, and the
marker in each.
"""

from typing import Any

import av
import numpy as np

from device_sim.camera.encoder import (
    AAC_FRAME_SAMPLES,
    MARKER,
    AudioEncoder,
    VideoEncoder,
    silence,
    street_sound,
)
from device_sim.camera.scene import Scene
from tests.support.cameras import small


def encoded(numbers: range, gop: int = 5) -> list[Any]:
    profile = small()
    scene, encoder = Scene(profile.width, profile.height, profile.fps, 0), VideoEncoder(profile)
    return [
        encoder.encode(scene.draw(number, "2026"), number, number % gop == 0) for number in numbers
    ]


def units(sample: bytes) -> list[int]:
    """The types of the NAL units of an MP4 sample, each behind four bytes of length."""
    found, place = [], 0
    while place < len(sample):
        length = int.from_bytes(sample[place : place + 4], "big")
        found.append(sample[place + 4] & 0x1F)
        place += 4 + length
    assert place == len(sample)
    return found


def test_keyframes_come_when_asked_and_close_their_group() -> None:
    """Fault: a group that leans on the one before it shows rubbish when it is the first of a
    pre-roll.
    """
    frames = encoded(range(23))
    assert [frame.key for frame in frames] == [number % 5 == 0 for number in range(23)]
    for frame in frames:
        assert units(frame.data) == ([6, 5] if frame.key else [1])


def test_times_follow_from_numbers() -> None:
    frames = encoded(range(100, 112))
    assert [frame.start_90k for frame in frames] == [number * 18_000 for number in range(100, 112)]
    assert {frame.duration_90k for frame in frames} == {18_000}


def test_parameter_sets_stand_apart() -> None:
    """Fault: an empty file, because no parameter sets fell into the window. They are never in the
    window here.
    """
    encoder = VideoEncoder(small())
    assert [unit[0] & 0x1F for unit in encoder.parameter_sets] == [7, 8]


def test_the_marker_is_in_every_keyframe() -> None:
    """Proves I5's tests right: where footage lies in the clear, these bytes do."""
    for frame in encoded(range(20)):
        assert (MARKER in frame.data) == frame.key


def test_sound_keeps_its_place() -> None:
    """The n-th frame given out holds sample 1024 * n on: a beep at one second is heard at one
    second.
    """
    rate = 16_000
    encoder = AudioEncoder(rate)
    frames = []
    for place in range(0, 3 * rate, AAC_FRAME_SAMPLES):
        heard = place >= rate
        frames += encoder.encode(street_sound(place, rate, 0) if heard else silence())
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = encoder.config
    samples = np.concatenate(
        [one.to_ndarray().ravel() for data in frames for one in decoder.decode(av.Packet(data))]
    )
    onset = int(np.flatnonzero(np.abs(samples) > 0.02)[0])
    first_heard = -(-rate // AAC_FRAME_SAMPLES) * AAC_FRAME_SAMPLES
    assert abs(onset - first_heard) < AAC_FRAME_SAMPLES // 2
