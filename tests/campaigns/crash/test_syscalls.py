"""A slice of the strace campaign; `python -m tests.campaigns.crash.syscalls` is the whole of it.

Each call is killed each time it is made, but for opening what stands there already, which changes
nothing, and for the pages that SQLite writes: of these every sixteenth, others with another
CRASH_SEED.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns.crash import strace
from tests.campaigns.crash.forked_dockd import Nursery
from tests.campaigns.crash.reference_world import Shift
from tests.campaigns.crash.strace import Call, Point, Watch, traced
from tests.campaigns.crash.syscalls import (
    Campaign,
    Outcome,
    error_injections,
    every,
    first_kills,
    trusted_after_failure,
)

SEED = int(os.environ.get("CRASH_SEED", "1"))
PAGES_STEP = 16
PAIRS = 12
ERROR_POINTS = 12

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    with Campaign(tmp_path_factory.mktemp("syscalls")) as campaign:
        yield campaign


@pytest.fixture(scope="module")
def found(campaign: Campaign) -> list[Point]:
    """The points of the reference run."""
    return campaign.reference()[0]


def nothing_wrong(outcome: Outcome) -> bool:
    assert outcome.violations == []
    assert outcome.missed == []
    return True


def test_the_forked_process_makes_the_calls_of_a_started_one(tmp_path: Path) -> None:
    """What the campaign kills is `python -m dockd once` call for call, and not something that
    resembles it.
    """
    shift = Shift.make(tmp_path / "template")
    started, forked = shift.copy(tmp_path / "started"), shift.copy(tmp_path / "forked")
    trace = tmp_path / "trace"
    command = [
        "strace",
        "-f",
        "-y",
        "-o",
        str(trace),
        "-e",
        "trace=" + ",".join(Watch.ANYWHERE.calls),
        "-e",
        "signal=none",
    ]
    dockd = [
        sys.executable,
        "-B",
        "-m",
        "dockd",
        "once",
        str(started.card),
        "--config",
        str(started.config),
    ]
    subprocess.run([*command, *dockd], check=True, capture_output=True)
    with Nursery() as nursery:
        run = traced(nursery, forked, Watch.ANYWHERE)
    calls = strace.read_trace(trace, started.folder)
    assert [(call.name, call.place) for call in calls if call.durable] == [
        (call.name, call.place) for call in run.calls if call.durable
    ]


def test_a_kill_at_any_durable_call_is_mended(campaign: Campaign, found: list[Point]) -> None:
    """Faults C1 and E1."""
    changing = [point for point in found if point.watch is not Watch.STANDING]
    pages = [point for point in changing if point.name == "pwrite64"]
    chosen = [point for point in changing if point.name != "pwrite64"] + every(
        PAGES_STEP, pages, SEED
    )
    outcome = campaign.kills(chosen)
    assert nothing_wrong(outcome)
    assert outcome.met.total() == len(chosen) > 150


def test_a_kill_in_the_recovery_is_mended(campaign: Campaign, found: list[Point]) -> None:
    """Fault C2."""
    outcome = campaign.pairs(first_kills(found, PAIRS, SEED, each=2), SEED)
    assert nothing_wrong(outcome)
    assert (
        sum(count for (kind, _), count in outcome.met.items() if kind == "kill in recovery")
        == PAIRS
    )


def test_a_failing_disk_is_survived_and_nothing_is_lost(
    campaign: Campaign, found: list[Point]
) -> None:
    """Faults C4 and C5. One of each kind of call at least; a flush fails once, and for ever."""
    kinds = sorted({point.name for point in found})
    of_kind = {name: [point for point in found if point.name == name] for name in kinds}
    chosen = [points[SEED * 5 % len(points)] for points in of_kind.values()]
    chosen += every(len(found) // max(1, ERROR_POINTS - len(chosen)), found, SEED)[
        : ERROR_POINTS - len(chosen)
    ]
    outcome = campaign.errors(error_injections(chosen))
    assert nothing_wrong(outcome)
    assert {kind for kind, _ in outcome.met} == {"EIO", "EIO for ever", "ENOSPC"}


@pytest.mark.parametrize("again", ["fsync", "linkat"])
def test_a_flush_that_is_tried_again_is_seen(tmp_path: Path, again: str) -> None:
    """Fault C4. The campaign would notice a part that is flushed anew, or published, after its
    flush has failed.
    """
    world = Shift.make(tmp_path / "template").copy(tmp_path / "world")
    place = "vault/incoming/*-0-0000.sealed.part"
    path = str(world.vault / "incoming" / "7-0-0000.sealed.part")
    failed = Call(7, "fsync", path, place, False, "EIO", True)
    assert trusted_after_failure(world, (failed,)) == []
    assert trusted_after_failure(world, (failed, Call(7, again, path, place, False, None, False)))
