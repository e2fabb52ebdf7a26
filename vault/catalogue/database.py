"""The catalogue's database: transactions, and what makes a commit last.

Which engine it is, and where, its URL says; what only SQLite does is in `sqlite.py`. A connection
lives for one transaction, in one thread. Readers fetch everything and close before any other I/O:
an open cursor blocks a commit.

A commit that everyone sees may not be durable yet, where the process that made it died. So a
process settles the catalogue before it goes on from what it finds: when it opens the catalogue, and
in each write transaction before anything in it is done.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from vault.catalogue.sqlite import SQLiteFile, is_in_transaction
from vault.errors import CatalogueFailed, Reaction, VaultFull

SCHEMA_VERSION = "0003"
ENGINES = {"sqlite": SQLiteFile}
"""By the scheme of a catalogue's URL."""


class SchemaNewer(CatalogueFailed):
    """A newer program has written this catalogue; an older one that went on with it would lose what
    it does not know.
    """

    code = "catalogue.newer"
    reaction = Reaction.REFUSE
    hint = "Install the newer version of this program again. Nothing was changed."

    def __init__(self, schema: str) -> None:
        super().__init__(
            f"The catalogue has schema {schema}, and this program knows {SCHEMA_VERSION} at "
            f"the most."
        )


def place_of(url: str) -> SQLiteFile:
    """Where the catalogue of this URL is. Raises CatalogueFailed for an engine that this program
    does not know.
    """
    scheme = url.partition(":")[0]
    if scheme not in ENGINES:
        raise CatalogueFailed(
            f"The catalogue's URL names the engine {scheme!r}; this program knows "
            f"{', '.join(ENGINES)}.",
            hint="Correct `catalogue` in the vault's settings.",
        )
    return ENGINES[scheme](url)


class Catalogue:
    """The database, and the only way to it."""

    def __init__(self, url: str) -> None:
        """Name the catalogue; nothing is opened yet. Raises CatalogueFailed."""
        # SQLite's own waiting is a poll; within one process writers queue here, so that no bay
        # waits longer than its turn.
        self._one_writer = threading.Lock()
        self._place = place_of(url)
        self._engine = self._place.engine()

    @classmethod
    def opened(cls, url: str) -> "Catalogue":
        """Raises CatalogueFailed where there is none, it can't be read, or its
        schema is another.
        """
        catalogue = cls(url)
        if not catalogue._place.exists():
            raise CatalogueFailed("The vault has no catalogue.")
        catalogue._place.settle()
        schema = catalogue.schema()
        if schema > SCHEMA_VERSION:
            raise SchemaNewer(schema)
        if schema != SCHEMA_VERSION:
            raise CatalogueFailed(
                f"The catalogue has schema {schema}, this program needs {SCHEMA_VERSION}.",
                hint="Run `vault migrate`.",
            )
        return catalogue

    def schema(self) -> str:
        """The version of its schema, four digits. Raises CatalogueFailed where it has none."""
        with self.reading() as tx:
            schema = tx.execute(
                sa.text("SELECT version_num FROM alembic_version")
            ).scalar_one_or_none()
        if not isinstance(schema, str):
            raise CatalogueFailed("The catalogue does not say which schema it has.")
        return schema

    def copy_to(self, copy: SQLiteFile) -> None:
        """Copy the whole catalogue into an empty one, as of one moment, flushed.

        Raises CatalogueFailed where what was copied is damaged, VaultFull.
        """
        with self.reading() as tx:
            self._place.copy_into(tx, copy)

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
        the transaction is still open.
        """
        with self._one_writer, _catalogue_errors(), self._engine.connect() as plain:
            connection = plain.execution_options(dock_writes=True)
            with connection.begin():
                self._place.settle()
                yield connection
                if not is_in_transaction(connection):
                    raise CatalogueFailed("The catalogue's transaction was rolled back under way.")

    def dispose(self) -> None:
        """Close what is open."""
        self._engine.dispose()


@contextmanager
def _catalogue_errors() -> Iterator[None]:
    try:
        yield
    except (sa.exc.DatabaseError, sqlite3.Error) as error:
        reason = str(error.orig if isinstance(error, sa.exc.DatabaseError) else error)
        if "disk is full" in reason:
            raise VaultFull("The vault's disk is full (catalogue).") from error
        raise CatalogueFailed(f"The catalogue refused a transaction: {reason}.") from error
