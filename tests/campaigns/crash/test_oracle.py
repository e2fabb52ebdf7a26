"""The oracle sees what it is there to see: each invariant, broken by hand in a world that was
whole.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.campaigns.crash.forked_dockd import Nursery
from tests.campaigns.crash.oracle import check, check_after_recovery, check_at_the_end, committed
from tests.campaigns.crash.reference_world import Shift, World
from tests.campaigns.crash.strace import once
from tests.support.places import catalogue_of

Harm = Callable[[World], None]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world whose card was taken in and erased."""
    folder = tmp_path_factory.mktemp("oracle")
    world = Shift.make(folder / "template").copy(folder / "finished")
    with Nursery() as nursery:
        assert once(nursery, world).code == 0
    return world


@pytest.fixture
def world(finished: World, tmp_path: Path) -> World:
    return finished.copy(tmp_path / "world")


def sealed(world: World, name: str = "0001.sealed") -> Path:
    """A sealed file of the first recording that has a row."""
    return next(path for path in sorted((world.vault / "footage").rglob(name)))


def register(world: World) -> Path:
    return world.vault / "register" / "log" / "000000.jsonl"


def in_catalogue(world: World, statement: str) -> None:
    with closing(sqlite3.connect(catalogue_of(world.vault))) as database:
        database.execute(statement)
        database.commit()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def restore_card(world: World) -> None:
    shutil.rmtree(world.card)
    shutil.copytree(world.shift.template / "card", world.card)


def empty_folder(world: World) -> None:
    (world.vault / "footage" / "2026" / "11").mkdir(parents=True, exist_ok=True)
    (world.vault / "footage" / "2026" / "11" / "00000000-0000-4000-8000-000000000000").mkdir()


def test_a_whole_world_has_no_violation(world: World) -> None:
    assert check_at_the_end(world) == []


def test_an_untouched_world_is_sound_and_not_at_its_end(finished: World, tmp_path: Path) -> None:
    untouched = finished.shift.copy(tmp_path / "untouched")
    assert check_after_recovery(untouched) == []
    assert [line for line in check_at_the_end(untouched) if "still on the card" in line]


@pytest.mark.parametrize(
    ("invariant", "harm"),
    [
        pytest.param("I1", lambda world: flip(sealed(world)), id="a sealed byte is another"),
        pytest.param("I1", lambda world: sealed(world).unlink(), id="a sealed file is gone"),
        pytest.param(
            "I1", lambda world: sealed(world, "record.json").unlink(), id="the keys are gone"
        ),
        pytest.param(
            "I1", lambda world: flip(sealed(world, "manifest.sealed")), id="the manifest is another"
        ),
        pytest.param(
            "I1",
            lambda world: in_catalogue(world, "UPDATE recording SET proven = 0"),
            id="nothing is proven",
        ),
        pytest.param("I1", lambda world: in_catalogue(world, "DELETE FROM recording"), id="no row"),
        pytest.param(
            "I2",
            lambda world: in_catalogue(world, "UPDATE recording SET state = 'stored'"),
            id="no row says erased",
        ),
        pytest.param("I2", restore_card, id="erased and still there"),
        pytest.param(
            "I2",
            lambda world: flip(world.card / "DEVICE" / "device.json"),
            id="something else was written",
        ),
        pytest.param(
            "I3", lambda world: (world.vault / "core").touch(), id="a file that belongs nowhere"
        ),
        pytest.param(
            "I3",
            lambda world: sealed(world).with_name("0009.sealed").touch(),
            id="a stray beside a recording",
        ),
        pytest.param(
            "I4",
            lambda world: in_catalogue(world, "DELETE FROM log WHERE sequence = 8"),
            id="an entry is missing",
        ),
        pytest.param(
            "I4",
            lambda world: in_catalogue(world, "UPDATE log_head SET size = size - 1"),
            id="another head",
        ),
        pytest.param(
            "I4",
            lambda world: in_catalogue(world, "DELETE FROM docking"),
            id="an entry without its row",
        ),
        pytest.param(
            "I4", lambda world: register(world).write_bytes(b""), id="the register is empty"
        ),
        pytest.param(
            "I5",
            lambda world: _leak(world, world.vault / "incoming" / "x.part"),
            id="plaintext in a part",
        ),
        pytest.param(
            "I5",
            lambda world: _leak(world, world.temporary / "spool"),
            id="plaintext in a temporary file",
        ),
        pytest.param(
            "I5", lambda world: _leak(world, world.output), id="plaintext in what was printed"
        ),
    ],
)
def test_a_broken_invariant_is_seen(world: World, invariant: str, harm: Harm) -> None:
    harm(world)
    assert [line for line in check(world) if line.startswith(invariant)]


def _leak(world: World, path: Path) -> None:
    plaintext = world.shift.recordings[1].segments["0000.mp4"]
    path.write_bytes(plaintext[9_000:12_000])


def test_any_byte_gone_from_the_card_too_early_is_seen(finished: World, tmp_path: Path) -> None:
    """Fault E1. Nothing is stored yet, and one byte of one recording is no longer what the camera
    wrote.
    """
    untouched = finished.shift.copy(tmp_path / "untouched")
    flip(untouched.card / "RECORDINGS" / untouched.shift.recordings[0].name / "0001.mp4")
    assert {line[:2] for line in check(untouched)} == {"I1", "I2"}


def test_what_a_recovery_must_clear_away_is_seen(world: World) -> None:
    (world.vault / "incoming" / "1-0-0000.sealed.part").touch()
    empty_folder(world)
    assert check(world) == []
    assert len(check_after_recovery(world)) == 2


def test_a_log_that_was_rolled_back_is_seen(world: World) -> None:
    """Fault I1. The catalogue alone is sound: only what it said before tells that something is
    missing.
    """
    before = committed(world)
    shutil.copyfile(catalogue_of(world.shift.template / "vault"), catalogue_of(world.vault))
    assert any("does not go on" in line for line in check(world, before=before))
