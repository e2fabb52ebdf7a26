"""Kill `vault.catalogue.migration.upgrade` at every call by which SQLite or the vault changes a
file (what an upgrade must survive).

    python -m tests.campaigns.crash.migration --points all

The process dies at the entry of the call. What stands then is the old schema with every row, or the
new one with every row, and a copy that bears its name is whole. The upgrade then runs again to its
end.
"""

import argparse
import hashlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.support.places import catalogue_of
from vault.catalogue.database import SCHEMA_VERSION
from vault.catalogue.migration import migrate
from vault.config import sqlite_url

OLD = "0002"
ROWS = 4000
ABSENCES = 3
REASON = "why somebody was away"
NAMES = (
    "catalogue.db",
    "catalogue.db-journal",
    f"catalogue-{OLD}.db",
    f"catalogue-{OLD}.db-journal",
    f".catalogue-{OLD}.db.part",
    f".catalogue-{OLD}.db.part-journal",
)
CALLS = (
    "pwrite64",
    "write",
    "ftruncate",
    "fsync",
    "fdatasync",
    "unlink",
    "rename",
    "link",
    "linkat",
    "renameat",
    "openat",
)
PROGRAM = (
    "import sys; from pathlib import Path; from vault.catalogue.migration import upgrade; "
    "from vault.config import sqlite_url; "
    "root = Path(sys.argv[1]); "
    "upgrade(sqlite_url(root / 'catalogue/catalogue.db'), root / 'register')"
)
KILLED = (-9, 137)

_CALL = re.compile(r"^(?:\d+ +)?(\w+)\(")


@dataclass(frozen=True, slots=True)
class Point:
    """The `count`th call of a name on a path of the catalogue's."""

    call: str
    count: int


def make_old(root: Path) -> None:
    """A vault's folder with a catalogue as an older program left it; large enough that SQLite
    writes before it commits.
    """
    root.mkdir()
    path = catalogue_of(root)
    path.parent.mkdir()
    migrate(sqlite_url(path), root / "register", OLD)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO docking VALUES (?, ?, ?, ?, ?)",
            (
                (at, f"BWC{at % 50:04d}", "2026-11-23T21:50:19.123Z", at % 7, "x" * 500)
                for at in range(ROWS)
            ),
        )
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)", ((f"key {at}", str(at)) for at in range(ROWS))
        )
        connection.executemany(
            "INSERT INTO absence VALUES (?, 'PO', 'a', 'b', 'c', ?, 'from', 'until', NULL)",
            ((f"absence {at}", f"{REASON} {at}") for at in range(ABSENCES)),
        )


def upgraded(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`upgrade` in a process of its own under strace, which sees the catalogue's paths alone."""
    watched = [word for name in NAMES for word in ("-P", str(root / "catalogue" / name))]
    return subprocess.run(
        [
            "strace",
            "-f",
            "-qq",
            "-o",
            str(root.with_suffix(".trace")),
            *watched,
            *options,
            sys.executable,
            "-c",
            PROGRAM,
            str(root),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def points(folder: Path, old: Path) -> list[Point]:
    """Every call that a whole upgrade makes, in order."""
    root = folder / "reference"
    shutil.copytree(old, root)
    done = upgraded(root, "-e", f"trace={','.join(CALLS)}")
    assert done.returncode == 0, done.stderr
    demand_whole(root, {SCHEMA_VERSION})
    seen: Counter[str] = Counter()
    found = []
    for line in root.with_suffix(".trace").read_text().splitlines():
        if (match := _CALL.match(line)) is not None:
            seen[match[1]] += 1
            found.append(Point(match[1], seen[match[1]]))
    return found


def killed_at(folder: Path, old: Path, point: Point) -> str:
    """Die at a point, look, run again, look. Returns the schema that stood after the death."""
    root = folder / f"{point.call}-{point.count}"
    shutil.copytree(old, root)
    try:
        injected = f"inject={point.call}:signal=KILL:when={point.count}"
        done = upgraded(root, "-e", f"trace={','.join(CALLS)}", "-e", injected)
        assert done.returncode in KILLED, f"{point} was not met: {done.returncode} {done.stderr}"
        stood = demand_whole(root, {OLD, SCHEMA_VERSION})
        again = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(root)], capture_output=True, text=True, check=False
        )
        assert again.returncode == 0, f"after {point}: {again.stderr}"
        demand_whole(root, {SCHEMA_VERSION})
        left = sorted(path.name for path in (root / "catalogue").iterdir())
        assert left == sorted(("catalogue.db", f"catalogue-{OLD}.db")), f"after {point}: {left}"
        return stood
    finally:
        shutil.rmtree(root)
        root.with_suffix(".trace").unlink(missing_ok=True)


def demand_whole(root: Path, schemas: set[str]) -> str:
    """Every row in one of these schemas, and a copy that has its name is whole.
    Returns the schema.
    """
    kept = root / "catalogue" / f"catalogue-{OLD}.db"
    if kept.exists():
        assert not kept.with_name(f"{kept.name}-journal").exists(), (
            "the copy that has its name is not finished"
        )
        assert looked_at(kept) == OLD
    found = looked_at(catalogue_of(root))
    assert found in schemas, found
    return found


def looked_at(path: Path) -> str:
    """The schema of a catalogue that is sound and has all rows; opened as SQLite's own readers do,
    a journal played back.
    """
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], path
        (schema,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        for table in ("docking", "meta"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (ROWS,), (
                path,
                table,
            )
        columns = {name for _, name, *_ in connection.execute("PRAGMA table_info(absence)")}
        absences = {found for (found,) in connection.execute("SELECT id FROM absence")}
        papers = connection.execute("SELECT id, subject, sha256 FROM paper").fetchall()
    assert len(absences) == ABSENCES
    assert ("reason" in columns) is (schema == OLD), f"{path} has schema {schema}, not its columns"
    if schema != OLD:
        assert {subject for _, subject, _ in papers} == absences
        demand_papers(path, papers)
    return str(schema)


def demand_papers(path: Path, papers: Sequence[tuple[str, str, str]]) -> None:
    """Each paper of the new schema is on the medium, whole, and the catalogue's file has no reason
    any more.
    """
    folder = path.parent.parent / "register" / "papers"
    for paper_id, _, digest in papers:
        content = (folder / f"{paper_id}.json").read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
        assert REASON.encode() in content
    assert REASON.encode() not in path.read_bytes()


def chosen(found: Sequence[Point], count: int) -> list[Point]:
    """So many points spread over all, the first and the last among them."""
    if count >= len(found):
        return list(found)
    return [found[round(at * (len(found) - 1) / (count - 1))] for at in range(count)]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.crash.migration", description=__doc__
    )
    parser.add_argument(
        "--points", default="all", help="how many kills, spread over all calls (default: all)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="migration-") as made:
        folder = Path(made)
        make_old(folder / "old")
        found = points(folder, folder / "old")
        wanted = found if options.points == "all" else chosen(found, int(options.points))
        with ThreadPoolExecutor(2) as pool:
            stood = Counter(
                pool.map(lambda point: killed_at(folder, folder / "old", point), wanted)
            )
    print(
        f"{len(wanted)} kills of {len(found)} calls: the old schema stood {stood[OLD]} times, "
        f"the new one {stood[SCHEMA_VERSION]}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
