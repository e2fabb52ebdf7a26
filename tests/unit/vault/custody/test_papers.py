"""Texts that may name persons or their health: papers, and nowhere else."""

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.support.hand_clock import HandClock
from tests.support.office import Office, office
from tests.support.places import catalogue_of
from vault.catalogue.database import SCHEMA_VERSION, Catalogue
from vault.catalogue.migration import migrate, upgrade
from vault.config import sqlite_url
from vault.custody import people
from vault.custody.log_reading import read_log
from vault.custody.retention import deletion
from vault.log.log import Entry
from vault.operations.rebuild import rebuild
from vault.operations.verify import verify
from vault.rules.roles import Role
from vault.storage.paper_files import papers_in
from vault.vault import Vault

ILL = "ziek met een gebroken enkel"
DRESSING_ROOM = "per ongeluk in de kleedkamer van Jansen"


def away(here: Office, reason: str = ILL) -> str:
    now = here.clock.now()
    period = (now, now + timedelta(days=7))
    geert = here.actor("Geert")
    return people.record_absence(
        here.vault, geert, Role.PRIVACY_OFFICER, "Petra", "Carel", period, reason
    )


def holding(root: Path, words: str) -> set[str]:
    """The files below a vault that hold these words, papers apart."""
    found = (path for path in root.rglob("*") if path.is_file())
    return {
        path.relative_to(root).as_posix()
        for path in found
        if words.encode() in path.read_bytes() and path.parent != papers_in(root / "register")
    }


def test_no_reason_stands_in_the_log_or_the_catalogue(here: Office) -> None:
    """Of an absence and of a deletion: the words are in a paper, and nowhere else in the vault."""
    absence = away(here)
    recording = here.record()
    carel, petra = here.actor("Carel"), here.actor("Petra")
    here.days(8)
    deletion.delete(here.vault, carel, petra, recording, DRESSING_ROOM)
    root = here.settings.root
    for words in (ILL, DRESSING_ROOM, "enkel", "kleedkamer"):
        assert holding(root, words) == set()
    (found,) = [one for one in people.absences(here.vault, petra) if one.row.id == absence]
    assert found.reason == ILL
    assert verify(here.vault, lambda _: None).findings == ()


def test_what_a_search_of_the_log_types_is_told_only_where_it_names_something(
    here: Office,
) -> None:
    petra = here.actor("Petra")
    recording = here.record()
    read_log(here.vault, petra, about=recording[:8])
    read_log(here.vault, petra, about="Jansen uit de Dorpsstraat")
    told = [entry["details"]["about"] for entry in here.told("log.read")]
    assert told == [recording[:8], None]
    assert holding(here.settings.root, "Dorpsstraat") == set()


def as_of_schema_0002(here: Office, absence: str, reason: str) -> Path:
    """The vault with the absence as the program of schema 0002 left it: the reason in the log's
    entry and in the catalogue's row, which was written more than once.
    """
    path = catalogue_of(here.settings.root)
    old = path.with_name("old.db")
    migrate(sqlite_url(old), here.settings.root / "register", "0002")
    now = here.vault.now_utc()
    details = {
        "role": "PO",
        "absent": here.id("Petra"),
        "substitute": here.id("Carel"),
        "granted_by": here.id("Geert"),
        "reason": reason,
        "from_utc": now,
        "until_utc": now.replace("2026", "2027"),
    }
    here.vault.record(Entry("absence.recorded", here.id("Geert"), absence, details))
    here.intake.close()
    here.vault.close()
    with closing(sqlite3.connect(path)) as new, closing(sqlite3.connect(old)) as made, made:
        for (table,) in new.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall():
            if table in ("absence", "alembic_version", "paper"):
                continue
            rows = new.execute(f"SELECT * FROM {table}").fetchall()
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                made.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        row = {"id": absence, **details, "ended_utc": None}
        for _ in range(3):
            made.execute("DELETE FROM absence")
            made.execute(
                "INSERT INTO absence (id, role, absent, substitute, granted_by, reason, from_utc, "
                "until_utc, ended_utc) VALUES (:id, :role, :absent, :substitute, :granted_by, "
                ":reason, :from_utc, :until_utc, :ended_utc)",
                row,
            )
    old.replace(path)
    for paper in papers_in(here.settings.root / "register").glob("*"):
        paper.unlink()
    return path


def rows_of(path: Path, table: str) -> list[tuple[object, ...]]:
    with Catalogue.opened(sqlite_url(path)).reading() as tx:
        return sorted(tuple(row) for row in tx.execute(sa.text(f"SELECT * FROM {table}")))


@pytest.mark.parametrize("reason", [ILL, "x" * 9000 + ILL, ""])
def test_a_vault_of_schema_0002_is_brought_up_and_a_rebuild_comes_to_the_same(
    tmp_path: Path, reason: str
) -> None:
    """The old entry keeps its words, as nothing is taken out of a log; the catalogue loses them,
    whatever the file kept of earlier writes.
    """
    with office(tmp_path / "office", clock=HandClock()) as here:
        path = as_of_schema_0002(here, "00000000-0000-4000-8000-000000000001", reason)
        kept = upgrade(sqlite_url(path), here.settings.root / "register")
        assert kept is not None
        assert Catalogue(sqlite_url(path)).schema() == SCHEMA_VERSION
        # Once, in the leaf of the log that the catalogue's table has as the register has it.
        assert path.read_bytes().count(ILL.encode()) == bool(reason)
        absences, papers = rows_of(path, "absence"), rows_of(path, "paper")
        files = sorted(one.name for one in papers_in(here.settings.root / "register").iterdir())
        with Vault.open(here.settings, here.clock) as vault:
            (found,) = people.absences(vault, here.actor("Petra"))
            assert found.reason == reason
            assert verify(vault, lambda _: None).findings == ()
        for name in files:
            (papers_in(here.settings.root / "register") / name).unlink()
        rebuild(here.settings, here.clock)
        assert (rows_of(path, "absence"), rows_of(path, "paper")) == (absences, papers)
        with Vault.open(here.settings, here.clock) as vault:
            assert verify(vault, lambda _: None).findings == ()
        told = json.loads(
            next(line for line in here.vault.log.lines() if b'"absence.recorded"' in line)
        )
        assert told["details"]["reason"] == reason
