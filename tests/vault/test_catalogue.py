"""The catalogue: durable settings read back, transactions whole or not at all, one schema."""

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from vault import catalogue
from vault.catalogue import Catalogue, get_meta, set_meta
from vault.errors import CatalogueFailed
from vault.migration import migrate


@pytest.fixture
def path(tmp_path: Path) -> Path:
    migrate(tmp_path / "catalogue.db")
    return tmp_path / "catalogue.db"


def test_the_migrations_make_exactly_the_tables_of_the_program(path: Path) -> None:
    with Catalogue.opened(path).reading() as tx:
        assert compare_metadata(MigrationContext.configure(tx), catalogue.tables) == []


def test_durable_settings_stand_on_every_connection(path: Path) -> None:
    """Fault D1: rollback journal and EXTRA, as read back from SQLite."""
    for transaction in (Catalogue(path).reading, Catalogue(path).writing):
        with transaction() as tx:
            assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
            assert tx.exec_driver_sql("PRAGMA synchronous").scalar() == 3


def test_an_error_takes_the_whole_transaction_with_it(path: Path) -> None:
    """Fault D2."""
    opened = Catalogue(path)
    with pytest.raises(CatalogueFailed), opened.writing() as tx:
        set_meta(tx, "a", "1")
        tx.exec_driver_sql("INSERT INTO meta VALUES ('a', '2')")
    with opened.reading() as tx:
        assert get_meta(tx, "a") is None


def test_a_transaction_that_sqlite_rolled_back_does_not_commit(path: Path) -> None:
    """Fault D2: after SQLite rolled back by itself the next statement would commit alone."""
    opened = Catalogue(path)
    with pytest.raises(CatalogueFailed, match="rolled back"), opened.writing() as tx:
        set_meta(tx, "a", "1")
        tx.exec_driver_sql("ROLLBACK")
        set_meta(tx, "b", "2")
    with opened.reading() as tx:
        assert get_meta(tx, "a") is None


def test_another_schema_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CatalogueFailed, match="9999"):
        Catalogue.opened(path)


@pytest.mark.parametrize("content", [None, b"not a database, but long enough to look like one" * 100])
def test_no_catalogue_is_a_clear_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "catalogue.db").write_bytes(content)
    with pytest.raises(CatalogueFailed) as refused:
        Catalogue.opened(tmp_path / "catalogue.db")
    assert "vault rebuild" in refused.value.hint
