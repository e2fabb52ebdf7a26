"""A slice of the kills of an upgrade of the catalogue; `make crash` does all of them."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.campaigns.crash.migration import OLD, chosen, killed_at, make_old, points, upgraded

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def test_a_killed_upgrade_leaves_the_old_schema_or_the_new_one_whole(tmp_path: Path) -> None:
    make_old(tmp_path / "old")
    found = points(tmp_path, tmp_path / "old")
    with ThreadPoolExecutor(2) as pool:
        stood = list(
            pool.map(lambda point: killed_at(tmp_path, tmp_path / "old", point), chosen(found, 8))
        )
    assert OLD in stood


def test_all_migrations_are_one_transaction(tmp_path: Path) -> None:
    """SQLite commits by removing its journal: once of the copy, once of the catalogue."""
    root = tmp_path / "old"
    make_old(root)
    done = upgraded(root, "-e", "trace=unlink")
    assert done.returncode == 0, done.stderr
    removed = [
        line.split('"')[1]
        for line in root.with_suffix(".trace").read_text().splitlines()
        if line.endswith(" = 0")
    ]
    commits = [path.rpartition("/")[2] for path in removed if path.endswith("-journal")]
    assert commits == [f".catalogue-{OLD}.db.part-journal", "catalogue.db-journal"]
