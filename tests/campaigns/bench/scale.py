"""A catalogue of years: 200,000 recordings and 2,000,000 entries of the log beside one of 2,000 and
20,000.

Both hold as many recordings that stand and fall due; the rest of the large one are tombstones of
the years before, as it would be. What is asked daily is timed in both, in turn, in one run; medians
and their ratio are printed, and the full check of the log's tree.

    python -m tests.campaigns.bench scale --recordings 200000 --entries 2000000
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from tests.support.office import Office, office
from tests.support.places import catalogue_of
from vault.catalogue import recording_rows, tables
from vault.clock import utc_text
from vault.crypto.canonical_json import canonical
from vault.custody.retention import disposition, sweep
from vault.log.checkpoints import Checkpoint, verify_since
from vault.log.log import Entry, read_tree, write_tree
from vault.log.merkle import Tree, leaf_hash
from vault.rules.sweep_plan import Situation, plan

STANDING = 1500
"""Recordings that stand, a month of a municipality; the rest were destroyed."""
SMALL = (2_000, 20_000)
TARGET = 3.0


def filled(folder: Path, recordings: int, entries: int) -> Office:
    """An office whose catalogue has so many rows: written straight into it, with leaves of the
    usual size.
    """
    here = office(folder).__enter__()
    now = here.clock.now()
    here.clock.pass_time(60)
    with here.vault.writing() as tx:
        rows, gone = [], []
        for at in range(recordings):
            standing = at >= recordings - STANDING
            age = (recordings - at) / STANDING * 28 if standing else 40 + (recordings - at) / 100
            moment = now - timedelta(days=age)
            rows.append(
                _row(
                    at,
                    utc_text(moment),
                    None if standing else utc_text(moment + timedelta(days=28)),
                )
            )
            if not standing:
                gone.append(
                    {
                        "recording_id": rows[-1]["id"],
                        "destroyed_utc": rows[-1]["destroyed_utc"],
                        "because": "retention",
                    }
                )
        tx.execute(sa.insert(tables.recording), rows)
        for row in gone:
            row["confirmed_utc"] = row["destroyed_utc"]
        if gone:
            tx.execute(sa.insert(tables.destruction), gone)
        tree = read_tree(tx)
        leaves = []
        for at in range(tree.size, entries):
            leaf = _leaf(at, utc_text(now))
            tree.append(leaf_hash(leaf))
            leaves.append({"sequence": at, "leaf": leaf})
            if len(leaves) == 50_000:
                tx.execute(sa.insert(tables.log), leaves)
                leaves = []
        if leaves:
            tx.execute(sa.insert(tables.log), leaves)
        write_tree(tx, tree)
    return here


def _row(at: int, moment: str, destroyed: str | None) -> dict[str, object]:
    return {
        "id": f"{at:08x}-0000-4000-8000-000000000000",
        "folder": f"footage/2026/11/{at:08x}",
        "origin": "manifest",
        "camera_serial": f"BWC{at % 40:04d}",
        "name": f"BWC{at % 40:04d}-{at:06d}",
        "identity": f"{at:064x}",
        "counter": at,
        "state": "erased",
        "proven": True,
        "started_utc": moment,
        "triggered_utc": moment,
        "stopped_utc": moment,
        "docked_utc": moment,
        "offset_ms": 0,
        "retention_from_utc": moment,
        "stop_believed": True,
        "wholeness": "whole",
        "findings": "[]",
        "size_bytes": 90_000_000,
        "record_sha256": f"{at:064x}",
        "stored_utc": moment,
        "destroyed_utc": destroyed,
    }


def _leaf(at: int, moment: str) -> bytes:
    details = {
        "camera": "BWC0042",
        "name": f"BWC0042-{at:06d}",
        "record_sha256": f"{at:064x}",
        "files": 12,
        "bytes": 90_000_000,
    }
    return canonical(
        {
            "sequence": at,
            "time_utc": moment,
            "actor": "dockd",
            "acting_for": None,
            "action": "recording.stored",
            "subject": f"{at:08x}-0000-4000-8000-000000000000",
            "details": details,
        }
    )


def questions(here: Office, recordings: int) -> dict[str, Callable[[], object]]:
    """What is asked daily."""
    newest = f"{recordings - 5:08x}-0000-4000-8000-000000000000"

    def listed() -> object:
        with here.vault.reading() as tx:
            return recording_rows.newest_recordings(tx, 500)

    def why() -> object:
        return disposition.disposition(here.vault, here.actor("Petra"), newest)

    def planned() -> object:
        now = here.clock.now()
        with here.vault.reading() as tx:
            situation = Situation(now, 1e9, None, sweep._history(tx, now), False, frozenset())
            return plan(sweep.candidates(tx, now), situation)

    def appended() -> object:
        with here.vault.writing() as tx:
            return here.vault.log.append(tx, Entry("test.entry", "bench", None, {}))

    return {
        "list (newest 500)": listed,
        "why": why,
        "sweep planning": planned,
        "next append": appended,
    }


def timed(ask: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    ask()
    return time.perf_counter() - began_s


def measure(recordings: int, entries: int, rounds: int) -> bool:
    """Print the table; whether every ratio is within its target."""
    console = Console(width=100)
    folder = Path(tempfile.mkdtemp(prefix="scale-"))
    try:
        console.print(
            f"Filling a catalogue of {recordings:,} recordings and {entries:,} entries, and "
            f"one of {SMALL[0]:,} and {SMALL[1]:,}."
        )
        large = filled(folder / "large", recordings, entries)
        small = filled(folder / "small", *SMALL)
        of_large, of_small = questions(large, recordings), questions(small, SMALL[0])
        table = Table("question", "small, ms", "large, ms", "ratio", "")
        good = True
        for name in of_small:
            pairs = [(timed(of_small[name]), timed(of_large[name])) for _ in range(rounds)]
            left, right = (statistics.median(values) for values in zip(*pairs, strict=True))
            good &= right <= TARGET * left
            table.add_row(
                name,
                f"{left * 1e3:.2f}",
                f"{right * 1e3:.2f}",
                f"{right / left:.2f}",
                "within 3" if right <= TARGET * left else "ABOVE 3",
            )
        console.print(table)
        with large.vault.reading() as tx:
            head = read_tree(tx).head()
        checkpoint = Checkpoint("bench", head.size, head.root, ())
        whole_s = timed(lambda: _check(large, checkpoint))
        console.print(
            f"full check of a log of {head.size:,} entries: {whole_s:.1f} s, "
            f"{'within' if whole_s < 60 else 'ABOVE'} a minute"
        )
        size = catalogue_of(large.settings.root).stat().st_size
        console.print(f"the large catalogue's file: {size / 1e6:.0f} MB")
        return good and whole_s < 60
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check(here: Office, checkpoint: Checkpoint) -> None:
    tree = Tree()
    assert verify_since([checkpoint], here.vault.leaves()) == []
    assert tree.size == 0
