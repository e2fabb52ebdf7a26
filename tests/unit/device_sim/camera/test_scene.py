"""What stands in the picture: the counter is read back from decoded pixels, at the sizes and
qualities cameras have.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim.camera.scene import Scene, burn_counter, read_counter

SIZES = [(160, 90), (320, 180), (426, 240), (640, 360), (1280, 720)]


def luma(width: int, height: int) -> np.ndarray:
    return np.zeros((height, width), dtype=np.uint8)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1), st.sampled_from(SIZES))
def test_counter_of_any_number(number: int, size: tuple[int, int]) -> None:
    picture = luma(*size)
    burn_counter(picture, number)
    assert read_counter(picture) == number


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(0, 39))
def test_one_wrong_block_is_noticed(number: int, place: int) -> None:
    """The check is there so that a smeared block is no number, rather than a wrong one."""
    picture = luma(160, 90)
    burn_counter(picture, number)
    top, left = place // 20 * 8, place % 20 * 8
    picture[top : top + 8, left : left + 8] = 251 - picture[top, left]
    assert read_counter(picture) is None


@pytest.mark.parametrize("brightness", [0, 16, 90, 128, 235, 255])
def test_a_plain_picture_has_no_number(brightness: int) -> None:
    assert read_counter(np.full((90, 160), brightness, dtype=np.uint8)) is None


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_scene_of_every_size(width: int, height: int) -> None:
    scene = Scene(width, height, 10, seed=3)
    picture = scene.draw(77, "2026-11-23T21:50:19.123Z")
    assert picture.shape == (height * 3 // 2, width)
    assert picture.dtype == np.uint8
    assert read_counter(picture[:height]) == 77


def test_the_same_inputs_draw_the_same_picture() -> None:
    stamp = "2026-11-23T21:50:19.123Z"
    again = [
        Scene(320, 180, 10, seed).draw(number, stamp)
        for seed, number in ((1, 5), (1, 5), (2, 5), (1, 6))
    ]
    assert np.array_equal(again[0], again[1])
    assert not np.array_equal(again[0], again[2])
    assert not np.array_equal(again[0], again[3])


def test_something_moves_and_the_clock_is_burnt_in() -> None:
    scene = Scene(320, 180, 10, seed=0)
    now, then = scene.draw(0, "2026-11-23T21:50:19.123Z"), scene.draw(0, "2026-11-23T21:50:19.124Z")
    changed_rows = np.flatnonzero((now != then).any(axis=1))
    assert changed_rows.size
    assert changed_rows.min() > 150
    later = scene.draw(30, "2026-11-23T21:50:19.123Z")
    assert (now[100:140] != later[100:140]).any()
