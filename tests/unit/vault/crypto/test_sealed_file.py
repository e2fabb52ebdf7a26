"""The sealed file: sizes, places, pieces, and every kind of damage (fault C7)."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vault.crypto import sealed_file
from vault.crypto.sealed_file import (
    GROWTH_BYTES,
    PIECE_BYTES,
    Opener,
    Place,
    Sealer,
    piece_count,
    sealed_bytes,
)
from vault.errors import CannotOpen

KEY = bytes(range(32))
CHUNK = sealed_file.CHUNK_BYTES


def place(size_bytes: int, name: str = "0000.sealed", recording: str = "r") -> Place:
    return Place("v", recording, name, size_bytes)


def seal(content: bytes, at: Place, step: int = 1 << 20) -> bytes:
    sealer, out = (
        Sealer(KEY, at),
        memoryview(bytearray(len(content) + len(content) // 1024 + 4 * GROWTH_BYTES)),
    )
    written = 0
    for start in range(0, len(content), step):
        written += sealer.update_into(memoryview(content)[start : start + step], out[written:])
    return bytes(out[: written + sealer.finish(out[written:])])


def open_sealed(content: bytes, at: Place, step: int = 1 << 20) -> bytes:
    opener, out = Opener(KEY, at), memoryview(bytearray(len(content) + GROWTH_BYTES))
    written = 0
    for start in range(0, len(content), step):
        written += opener.update_into(memoryview(content)[start : start + step], out[written:])
    return bytes(out[: written + opener.finish(out[written:])])


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.one_of(st.integers(0, 3 * CHUNK), st.sampled_from([CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK])),
    st.integers(1, 2 * CHUNK),
    st.integers(1, 2 * CHUNK),
)
def test_any_size_in_any_steps_comes_back(size_bytes: int, seal_step: int, open_step: int) -> None:
    content = os.urandom(size_bytes)
    at = place(size_bytes)
    closed = seal(content, at, seal_step)
    assert len(closed) == sealed_bytes(size_bytes)
    assert open_sealed(closed, at, open_step) == content


def test_a_file_above_64_mib_is_pieces_bound_to_their_number_and_count() -> None:
    """Ruling 18."""
    content = os.urandom(PIECE_BYTES + 5 * CHUNK)
    at = place(len(content))
    closed = seal(content, at, 4 << 20)
    assert (at.count, len(closed)) == (2, sealed_bytes(len(content)))
    assert open_sealed(closed, at, 4 << 20) == content
    first = sealed_bytes(PIECE_BYTES)
    with pytest.raises(CannotOpen):
        open_sealed(closed[first:] + closed[:first], at, 4 << 20)
    with pytest.raises(CannotOpen):
        open_sealed(closed[:first], place(PIECE_BYTES), 4 << 20)
    with pytest.raises(CannotOpen):
        open_sealed(closed[:first], at, 4 << 20)


@pytest.mark.parametrize(
    ("size_bytes", "count"),
    [(0, 1), (1, 1), (PIECE_BYTES, 1), (PIECE_BYTES + 1, 2), (2 * PIECE_BYTES, 2), (12 << 30, 192)],
)
def test_pieces_are_counted(size_bytes: int, count: int) -> None:
    assert piece_count(size_bytes) == count


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.data())
def test_any_damage_is_found(data: st.DataObject) -> None:
    """Fault C7: one bit flipped, a cut anywhere, bytes added, chunks swapped."""
    content = os.urandom(data.draw(st.sampled_from([0, 1, CHUNK, 3 * CHUNK + 7])))
    at = place(len(content))
    closed = bytearray(seal(content, at))
    match data.draw(st.sampled_from(["flip", "cut", "longer", "swap"])):
        case "flip":
            where = data.draw(st.integers(0, len(closed) - 1))
            closed[where] ^= 1 << data.draw(st.integers(0, 7))
        case "cut":
            del closed[data.draw(st.integers(0, len(closed) - 1)) :]
        case "longer":
            closed += os.urandom(data.draw(st.integers(1, 2 * CHUNK)))
        case "swap":
            if len(content) < 3 * CHUNK:
                return
            step = CHUNK + 16
            one, two = closed[56 : 56 + step], closed[56 + step : 56 + 2 * step]
            closed[56 : 56 + 2 * step] = two + one
    with pytest.raises(CannotOpen):
        open_sealed(bytes(closed), at)


@pytest.mark.parametrize(
    "other",
    [place(100, "0001.sealed"), place(100, recording="s"), Place("w", "r", "0000.sealed", 100)],
    ids=["name", "recording", "vault"],
)
def test_a_file_opens_in_no_other_place(other: Place) -> None:
    closed = seal(bytes(100), place(100))
    with pytest.raises(CannotOpen):
        open_sealed(closed, other)


def test_two_seals_of_one_content_share_nothing() -> None:
    at = place(CHUNK)
    assert seal(bytes(CHUNK), at)[:100] != seal(bytes(CHUNK), at)[:100]


def test_fewer_bytes_than_announced_are_refused() -> None:
    sealer = Sealer(KEY, place(10))
    with pytest.raises(ValueError, match="announced"):
        sealer.finish(memoryview(bytearray(100)))
