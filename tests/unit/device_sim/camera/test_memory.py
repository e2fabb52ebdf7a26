"""The camera's internal memory: two slots, of which a power cut spoils one at most."""

from dataclasses import replace
from pathlib import Path

import pytest

from device_sim.camera.manifest import Head
from device_sim.camera.memory import KEY_NAME, SLOT_NAMES, Memory, State
from device_sim.errors import NotACameraError
from tests.support.cameras import Unsynced, small

HEAD = Head(
    recording="BWC0042-000007",
    counter=7,
    previous_sha256="ab" * 32,
    serial="BWC0042",
    model="Simulated BWC",
    firmware="1.0.0",
    officer=None,
    started_utc_ms=1_795_470_619_123,
    triggered_utc_ms=1_795_470_649_123,
    started_mono_ms=5_000,
    triggered_mono_ms=35_000,
    short_because=None,
    preroll_audio=False,
    codec="avc1.42C00B",
    width=160,
    height=90,
    fps=5,
    sample_rate=None,
    overlaps=None,
)


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    made = Memory(tmp_path / "internal", Unsynced())
    made.create(State(small()))
    return made


def test_what_is_saved_is_loaded(memory: Memory) -> None:
    state = State(small(officer="BOA-17")).opened(HEAD).closing("cd" * 32)
    memory.save(state)
    assert memory.load() == state
    assert memory.load().closed("ef" * 32) == replace(
        state, previous_sha256="ef" * 32, open_head=None, closing_sha256=None
    )


def test_every_byte_of_a_slot_that_was_not_written(memory: Memory, tmp_path: Path) -> None:
    """Proves the contract's 2.4 for the power cut inside the memory itself: the state before, or
    the state after, never another and never none.
    """
    before, after = State(small(), counter=6), State(small(), counter=6).opened(HEAD)
    memory.save(before)
    old = {name: (tmp_path / "internal" / name).read_bytes() for name in SLOT_NAMES}
    memory.save(after)
    (changed,) = [
        name for name in SLOT_NAMES if (tmp_path / "internal" / name).read_bytes() != old[name]
    ]
    slot = tmp_path / "internal" / changed
    whole = slot.read_bytes()
    for length in range(len(whole)):
        slot.write_bytes(whole[:length])
        assert memory.load() == before
        if length % 16 == 0:
            slot.write_bytes(whole[:length] + bytes(len(whole) - length))
            assert memory.load() == before
    slot.write_bytes(whole)
    assert memory.load() == after


def test_a_torn_slot_is_written_over(memory: Memory, tmp_path: Path) -> None:
    """The next save goes where the damage is, and never over the one good slot."""
    memory.save(State(small(), counter=1))
    memory.save(State(small(), counter=2))
    for torn in SLOT_NAMES:
        (tmp_path / "internal" / torn).write_bytes(b"torn")
        good = memory.load()
        (kept,) = [name for name in SLOT_NAMES if name != torn]
        bytes_before = (tmp_path / "internal" / kept).read_bytes()
        memory.save(replace(good, counter=good.counter + 1))
        assert (tmp_path / "internal" / kept).read_bytes() == bytes_before
        assert memory.load().counter == good.counter + 1


def test_no_camera(tmp_path: Path) -> None:
    with pytest.raises(NotACameraError):
        Memory(tmp_path / "internal", Unsynced()).load()


def test_the_private_key_is_the_cameras_own(memory: Memory, tmp_path: Path) -> None:
    """It is made once, and nobody else may read it; no two cameras have the same."""
    assert memory.key().private_bytes_raw() == memory.key().private_bytes_raw()
    assert (tmp_path / "internal").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "internal" / KEY_NAME).stat().st_mode & 0o777 == 0o600
    other = Memory(tmp_path / "other", Unsynced())
    other.create(State(small()))
    assert other.key().private_bytes_raw() != memory.key().private_bytes_raw()
