"""The catalogue's database: connections, transactions, and what makes a commit last.

SQLite in its rollback-journal mode with `synchronous=EXTRA`, both read back at each connection: the
write-ahead log of the SQLite that Debian 12 ships can corrupt a database under two connections, and
with less than EXTRA the folder's entry of the journal is not flushed. A connection lives for one
transaction, in one thread. Readers fetch everything and close before any other I/O: an open cursor
blocks a commit in this mode.

A commit is the removal of the journal. A process that dies between that and the flush of the folder
leaves a commit that everyone sees and that a power cut takes back. So a process flushes the folder
before it goes on from what it finds: when it opens the catalogue, and in each write transaction
before anything in it is done.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from vault.errors import CatalogueFailed, Reaction, VaultFull
from vault.storage.durable import flush_folder

NAME = "catalogue.db"
SCHEMA_VERSION = "0003"
_BUSY_TIMEOUT_MS = 10_000
_SYNCHRONOUS_EXTRA = 3


def catalogue_of(root: Path) -> Path:
    """Where the catalogue of a vault stands: in a folder of its own, in which each of the services
    that share a vault may remove what SQLite made for another; beside the vault's other things none
    may.
    """
    return root / "catalogue" / NAME


class SchemaNewer(CatalogueFailed):
    """A newer program has written this catalogue; an older one that went on with it would lose what
    it does not know.
    """

    code = "catalogue.newer"
    reaction = Reaction.REFUSE
    hint = "Install the newer version of this program again. Nothing was changed."

    def __init__(self, found: str) -> None:
        super().__init__(
            f"The catalogue has schema {found}, and this program knows {SCHEMA_VERSION} at "
            f"the most."
        )


class Catalogue:
    """The database file, and the only way to it."""

    def __init__(self, path: Path) -> None:
        # SQLite's own waiting is a poll; within one process writers queue here, so that no bay
        # waits longer than its turn.
        self._one_writer = threading.Lock()
        self._folder = path.parent
        self._engine = sa.create_engine(f"sqlite:///{path}", poolclass=NullPool)
        sa.event.listen(self._engine, "connect", _prepare)
        sa.event.listen(self._engine, "begin", _begin)

    @classmethod
    def opened(cls, path: Path) -> "Catalogue":
        """Raises CatalogueFailed where there is none, it can't be read, or its
        schema is another.
        """
        if not path.is_file():
            raise CatalogueFailed("The vault has no catalogue.")
        catalogue = cls(path)
        flush_folder(path.parent)
        found = catalogue.schema()
        if found > SCHEMA_VERSION:
            raise SchemaNewer(found)
        if found != SCHEMA_VERSION:
            raise CatalogueFailed(
                f"The catalogue has schema {found}, this program needs {SCHEMA_VERSION}.",
                hint="Run `vault migrate`.",
            )
        return catalogue

    def schema(self) -> str:
        """The version of its schema, four digits. Raises CatalogueFailed where it has none."""
        with self.reading() as tx:
            found = tx.execute(
                sa.text("SELECT version_num FROM alembic_version")
            ).scalar_one_or_none()
        if not isinstance(found, str):
            raise CatalogueFailed("The catalogue does not say which schema it has.")
        return found

    def copy_to(self, path: Path) -> None:
        """A whole copy at `path`, as of one moment, flushed. `path` is an empty file.

        Raises CatalogueFailed where what was copied is damaged, VaultFull.
        """
        with self.reading() as tx:
            source = tx.connection.driver_connection
            assert isinstance(source, sqlite3.Connection)
            with closing(sqlite3.connect(path)) as target:
                target.execute(f"PRAGMA synchronous={_SYNCHRONOUS_EXTRA}")
                source.backup(target)
                said = target.execute("PRAGMA quick_check(1)").fetchone()[0]
        if said != "ok":
            raise CatalogueFailed(
                f"The catalogue is damaged: {said}.",
                hint="Run `vault rebuild`: it makes one from the folders.",
            )

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A read transaction. Fetch everything inside; do no other I/O."""
        with _catalogue_errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A write transaction (BEGIN IMMEDIATE), committed at the end of the block, rolled back on
        any error.

        Inside a transaction SQLite may roll back by itself when the disk is full; whatever followed
        would then commit alone. So every error leaves the block, and the commit is refused unless
        the transaction still stands.
        """
        with self._one_writer, _catalogue_errors(), self._engine.connect() as plain:
            connection = plain.execution_options(dock_writes=True)
            with connection.begin():
                flush_folder(self._folder)
                yield connection
                if not _in_transaction(connection):
                    raise CatalogueFailed("The catalogue's transaction was rolled back under way.")

    def dispose(self) -> None:
        self._engine.dispose()


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


def _in_transaction(connection: sa.Connection) -> bool:
    driver = connection.connection.driver_connection
    return bool(driver is not None and driver.in_transaction)


@contextmanager
def _catalogue_errors() -> Iterator[None]:
    try:
        yield
    except (sa.exc.DatabaseError, sqlite3.Error) as error:
        said = str(error.orig if isinstance(error, sa.exc.DatabaseError) else error)
        if "disk is full" in said:
            raise VaultFull("The vault's disk is full (catalogue).") from error
        raise CatalogueFailed(f"The catalogue refused a transaction: {said}.") from error
