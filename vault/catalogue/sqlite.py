"""SQLite behind the catalogue's URL: all that another engine would do otherwise.

SQLite in its rollback-journal mode with `synchronous=EXTRA`, both read back at each connection: the
write-ahead log of the SQLite that Debian 12 ships can corrupt a database under two connections, and
with less than EXTRA the folder's entry of the journal is not flushed.
"""

import sqlite3
from contextlib import closing
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from vault.config import sqlite_path, sqlite_url
from vault.errors import CatalogueFailed
from vault.storage.durable import (
    flush_folder,
    make_empty,
    make_folder,
    remove_file,
    replace_file,
)

_BUSY_TIMEOUT_MS = 10_000
_SYNCHRONOUS_EXTRA = 3


class SQLiteFile:
    """A catalogue in one file of a folder of its own. Each method may raise StorageFailed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._path = sqlite_path(url)
        self._journal = self._path.with_name(f"{self._path.name}-journal")

    def __str__(self) -> str:
        return str(self._path)

    def exists(self) -> bool:
        return self._path.is_file()

    def make_folder(self) -> None:
        """Make the folder, durably; one that exists stays."""
        make_folder(self._path.parent)

    def make(self) -> None:
        """Make the file, empty; one that exists stays."""
        make_empty(self._path)

    def engine(self) -> sa.Engine:
        """Connect, with the durable settings; a connection lives for one transaction."""
        database = sa.URL.create("sqlite", database=str(self._path))
        engine = sa.create_engine(database, poolclass=NullPool)
        sa.event.listen(engine, "connect", _prepare)
        sa.event.listen(engine, "begin", _begin)
        return engine

    def settle(self) -> None:
        """Make durable what is visible. A commit is the removal of the journal: a process that dies
        between that and the flush of the folder leaves a commit that a power cut takes back.
        """
        flush_folder(self._path.parent)

    def sibling(self, name: str) -> "SQLiteFile":
        """Another catalogue in the same folder."""
        return SQLiteFile(sqlite_url(self._path.with_name(name)))

    def copy_into(self, tx: sa.Connection, copy: "SQLiteFile") -> None:
        """Copy the whole catalogue as of one moment, flushed. Raises CatalogueFailed where what was
        copied is damaged.
        """
        source = tx.connection.driver_connection
        assert isinstance(source, sqlite3.Connection)
        with closing(sqlite3.connect(copy._path)) as target:
            target.execute(f"PRAGMA synchronous={_SYNCHRONOUS_EXTRA}")
            source.backup(target)
            result = target.execute("PRAGMA quick_check(1)").fetchone()[0]
        if result != "ok":
            raise CatalogueFailed(
                f"The catalogue is damaged: {result}.",
                hint="Run `vault rebuild`: it makes one from the folders.",
            )

    def discard(self) -> None:
        """Remove the file and its journal, which SQLite would otherwise play into a new one."""
        remove_file(self._journal)
        remove_file(self._path)

    def replace(self, old: "SQLiteFile") -> None:
        """Take the place of another in one step."""
        # A hot journal of the old one must not be played into this one.
        remove_file(old._journal)
        replace_file(self._path, old._path)


def is_in_transaction(connection: sa.Connection) -> bool:
    """Whether SQLite still has the transaction: on a full disk it may roll back by itself."""
    driver = connection.connection.driver_connection
    return bool(driver is not None and driver.in_transaction)


def _prepare(dbapi: Any, _: object) -> None:
    dbapi.isolation_level = None
    cursor = dbapi.cursor()
    for pragma in (
        f"busy_timeout={_BUSY_TIMEOUT_MS}",
        "journal_mode=DELETE",
        "synchronous=EXTRA",
        "foreign_keys=ON",
        "mmap_size=0",
    ):
        cursor.execute(f"PRAGMA {pragma}").fetchall()
    mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
    level = cursor.execute("PRAGMA synchronous").fetchone()[0]
    cursor.close()
    if mode != "delete" or level != _SYNCHRONOUS_EXTRA:
        raise CatalogueFailed(
            f"SQLite did not take its durable settings (journal {mode}, synchronous {level})."
        )


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("dock_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
