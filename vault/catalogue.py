"""The catalogue: rows over what stands in the folders. SQLAlchemy Core; one function per question.

SQLite in its rollback-journal mode with `synchronous=EXTRA`, both read back at each connection: the write-ahead log of the
SQLite that Debian 12 ships can corrupt a database under two connections, and with less than EXTRA the folder's entry of the
journal is not flushed. A connection lives for one transaction, in one thread. Readers fetch everything and close before any
other I/O: an open cursor blocks a commit in this mode.

A commit is the removal of the journal. A process that dies between that and the flush of the folder leaves a commit that
everyone sees and that a power cut takes back. So a process flushes the folder before it goes on from what it finds: when it
opens the catalogue, and in each write transaction before anything in it is done.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from vault.durable import flush_folder
from vault.errors import CatalogueFailed, Reaction, VaultFull
from vault.recording import State, StoredSegment

NAME = "catalogue.db"
SCHEMA_VERSION = "0002"
_BUSY_TIMEOUT_MS = 10_000
_SYNCHRONOUS_EXTRA = 3
_IDS_A_QUERY = 500

tables = sa.MetaData()

meta = sa.Table("meta", tables, sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))

camera = sa.Table(
    "camera",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("serial", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("public_key", sa.LargeBinary, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("added_utc", sa.Text, nullable=False),
    sa.Column("removed_utc", sa.Text),
)

docking = sa.Table(
    "docking",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("camera_serial", sa.Text, nullable=False, index=True),
    sa.Column("docked_utc", sa.Text, nullable=False),
    sa.Column("offset_ms", sa.Integer),
    sa.Column("offset_source", sa.Text, nullable=False),
)

recording = sa.Table(
    "recording",
    tables,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("camera_serial", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("identity", sa.Text, nullable=False),
    sa.Column("counter", sa.Integer),
    sa.Column("officer", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("proven", sa.Boolean, nullable=False),
    sa.Column("started_utc", sa.Text),
    sa.Column("triggered_utc", sa.Text),
    sa.Column("stopped_utc", sa.Text),
    sa.Column("stop_reason", sa.Text),
    sa.Column("docked_utc", sa.Text, nullable=False),
    sa.Column("offset_ms", sa.Integer),
    sa.Column("retention_from_utc", sa.Text, nullable=False),
    sa.Column("stop_believed", sa.Boolean, nullable=False),
    sa.Column("preroll_claimed_ms", sa.Integer),
    sa.Column("preroll_short_because", sa.Text),
    sa.Column("wholeness", sa.Text, nullable=False),
    sa.Column("preroll_ms", sa.Integer),
    sa.Column("duration_ms", sa.Integer),
    sa.Column("findings", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.Integer, nullable=False),
    sa.Column("record_sha256", sa.Text, nullable=False),
    sa.Column("stored_utc", sa.Text, nullable=False),
    sa.Column("officer_person", sa.Text),
    sa.Column("archived_utc", sa.Text),
    sa.Column("destroyed_utc", sa.Text),
    sa.Column("log_sequence", sa.Integer),
    sa.Column("unsure_until_utc", sa.Text),
    sa.Index("recording_by_sequence", "log_sequence"),
    sa.Index("recording_by_age", "destroyed_utc", "retention_from_utc"),
    sa.Index("recording_by_start", "started_utc"),
    sa.Index("recording_by_storing", "stored_utc", "id"),
    sa.Index("recording_by_name", "camera_serial", "name"),
    sa.Index("recording_by_state", "state", "camera_serial"),
    sa.Index("recording_by_counter", "camera_serial", "counter"),
)

sealed_file = sa.Table(
    "sealed_file",
    tables,
    sa.Column("recording_id", sa.Text, sa.ForeignKey("recording.id"), primary_key=True),
    sa.Column("sealed_name", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.Integer, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("head_sha256", sa.Text, nullable=False),
    sa.Column("tail_sha256", sa.Text, nullable=False),
    sa.Column("sealed_bytes", sa.Integer, nullable=False),
    sa.Column("sealed_sha256", sa.Text, nullable=False),
)

log = sa.Table(
    "log", tables, sa.Column("sequence", sa.Integer, primary_key=True), sa.Column("leaf", sa.LargeBinary, nullable=False)
)

log_head = sa.Table(
    "log_head",
    tables,
    sa.Column("only", sa.Integer, primary_key=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("peaks", sa.LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """A recording as the catalogue knows it. Times are text as in FORMAT.md."""

    id: str
    folder: str
    origin: str
    camera_serial: str
    name: str
    identity: str
    counter: int | None
    officer: str | None
    state: str
    proven: bool
    started_utc: str | None
    triggered_utc: str | None
    stopped_utc: str | None
    stop_reason: str | None
    docked_utc: str
    offset_ms: int | None
    retention_from_utc: str
    stop_believed: bool
    preroll_claimed_ms: int | None
    preroll_short_because: str | None
    wholeness: str
    preroll_ms: int | None
    duration_ms: int | None
    findings: str
    size_bytes: int
    record_sha256: str
    stored_utc: str
    officer_person: str | None
    archived_utc: str | None
    destroyed_utc: str | None
    log_sequence: int | None
    unsure_until_utc: str | None

    @property
    def finding_list(self) -> tuple[str, ...]:
        return tuple(json.loads(self.findings))


@dataclass(frozen=True, slots=True)
class CameraRow:
    """A registration of a camera; `removed_utc` ends it."""

    id: int
    serial: str
    kind: str
    public_key: bytes
    model: str
    added_utc: str
    removed_utc: str | None


def catalogue_of(root: Path) -> Path:
    """Where the catalogue of a vault stands: in a folder of its own, in which each of the services that share a vault may remove
    what SQLite made for another; beside the vault's other things none may."""
    return root / "catalogue" / NAME


class SchemaNewer(CatalogueFailed):
    """A newer program has written this catalogue; an older one that went on with it would lose what it does not know."""

    code = "catalogue.newer"
    reaction = Reaction.REFUSE
    hint = "Install the newer version of this program again. Nothing was changed."

    def __init__(self, found: str) -> None:
        super().__init__(f"The catalogue has schema {found}, and this program knows {SCHEMA_VERSION} at the most.")


class Catalogue:
    """The database file, and the only way to it."""

    def __init__(self, path: Path) -> None:
        # SQLite's own waiting is a poll; within one process writers queue here, so that no bay waits longer than its turn.
        self._one_writer = threading.Lock()
        self._folder = path.parent
        self._engine = sa.create_engine(f"sqlite:///{path}", poolclass=NullPool)
        sa.event.listen(self._engine, "connect", _prepare)
        sa.event.listen(self._engine, "begin", _begin)

    @classmethod
    def opened(cls, path: Path) -> "Catalogue":
        """Raises CatalogueFailed where there is none, it can't be read, or its schema is another."""
        if not path.is_file():
            raise CatalogueFailed("The vault has no catalogue.")
        catalogue = cls(path)
        flush_folder(path.parent)
        found = catalogue.schema()
        if found > SCHEMA_VERSION:
            raise SchemaNewer(found)
        if found != SCHEMA_VERSION:
            raise CatalogueFailed(
                f"The catalogue has schema {found}, this program needs {SCHEMA_VERSION}.", hint="Run `vault migrate`."
            )
        return catalogue

    def schema(self) -> str:
        """The version of its schema, four digits. Raises CatalogueFailed where it has none."""
        with self.reading() as tx:
            found = tx.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
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
                f"The catalogue is damaged: {said}.", hint="Run `vault rebuild`: it makes one from the folders."
            )

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A read transaction. Fetch everything inside; do no other I/O."""
        with _catalogue_errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A write transaction (BEGIN IMMEDIATE), committed at the end of the block, rolled back on any error.

        Inside a transaction SQLite may roll back by itself when the disk is full; whatever followed would then commit alone.
        So every error leaves the block, and the commit is refused unless the transaction still stands.
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
        raise CatalogueFailed(f"SQLite did not take its durable settings (journal {mode}, synchronous {level}).")


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


def get_meta(tx: sa.Connection, key: str) -> str | None:
    """A single fact about the vault."""
    value: str | None = tx.execute(sa.select(meta.c.value).where(meta.c.key == key)).scalar_one_or_none()
    return value


def delete_meta(tx: sa.Connection, key: str) -> None:
    tx.execute(sa.delete(meta).where(meta.c.key == key))


def set_meta(tx: sa.Connection, key: str, value: str) -> None:
    delete_meta(tx, key)
    tx.execute(sa.insert(meta).values(key=key, value=value))


def add_camera(tx: sa.Connection, values: dict[str, Any]) -> None:
    tx.execute(sa.insert(camera).values(**values))


def end_camera(tx: sa.Connection, serial: str, removed_utc: str) -> int:
    """End the registration that stands; returns how many did (0 or 1)."""
    ended = tx.execute(
        sa.update(camera).where(camera.c.serial == serial, camera.c.removed_utc.is_(None)).values(removed_utc=removed_utc)
    )
    return ended.rowcount


def standing_camera(tx: sa.Connection, serial: str) -> CameraRow | None:
    """The registration of a camera that was not removed."""
    row = tx.execute(sa.select(camera).where(camera.c.serial == serial, camera.c.removed_utc.is_(None))).one_or_none()
    return CameraRow(**row._mapping) if row else None


def all_cameras(tx: sa.Connection) -> list[CameraRow]:
    return [CameraRow(**row._mapping) for row in tx.execute(sa.select(camera).order_by(camera.c.id))]


def add_docking(tx: sa.Connection, values: dict[str, Any]) -> None:
    tx.execute(sa.insert(docking).values(**values))


def last_docking_utc(tx: sa.Connection, serial: str, before_utc: str) -> str | None:
    """When this camera was docked last, before the given moment."""
    found: str | None = tx.execute(
        sa.select(sa.func.max(docking.c.docked_utc)).where(docking.c.camera_serial == serial, docking.c.docked_utc < before_utc)
    ).scalar_one_or_none()
    return found


def add_recording(tx: sa.Connection, row: dict[str, Any], files: list[dict[str, Any]]) -> None:
    """`files` are rows of `sealed_file` without recording id and position, in order."""
    tx.execute(sa.insert(recording).values(**row))
    if files:
        tx.execute(sa.insert(sealed_file), [{**file, "recording_id": row["id"], "position": at} for at, file in enumerate(files)])


def set_log_sequence(tx: sa.Connection, recording_id: str, sequence: int) -> None:
    """Which entry of the log tells of its storing."""
    tx.execute(sa.update(recording).where(recording.c.id == recording_id).values(log_sequence=sequence))


def set_state(tx: sa.Connection, recording_id: str, state: State) -> None:
    tx.execute(sa.update(recording).where(recording.c.id == recording_id).values(state=state.value))


def get_recording(tx: sa.Connection, recording_id: str) -> RecordingRow | None:
    row = tx.execute(sa.select(recording).where(recording.c.id == recording_id)).one_or_none()
    return RecordingRow(**row._mapping) if row else None


def recordings_starting(tx: sa.Connection, start: str) -> list[str]:
    """Ids of recordings that begin with these characters; `%` and `_` mean themselves."""
    query = sa.select(recording.c.id).where(recording.c.id.startswith(start, autoescape=True)).order_by(recording.c.id)
    return [row.id for row in tx.execute(query)]


def all_recordings(tx: sa.Connection) -> list[RecordingRow]:
    """Every recording that stands, oldest first."""
    query = sa.select(recording).where(recording.c.destroyed_utc.is_(None))
    rows = tx.execute(query.order_by(recording.c.stored_utc, recording.c.id))
    return [RecordingRow(**row._mapping) for row in rows]


def newest_recordings(tx: sa.Connection, count: int) -> list[RecordingRow]:
    """The newest recordings that stand, the oldest of them first."""
    query = sa.select(recording).where(recording.c.destroyed_utc.is_(None))
    rows = tx.execute(query.order_by(recording.c.stored_utc.desc(), recording.c.id.desc()).limit(count))
    return [RecordingRow(**row._mapping) for row in rows][::-1]


def recordings_after(tx: sa.Connection, after: RecordingRow | None, count: int) -> list[RecordingRow]:
    """The next page of the recordings that stand, oldest first; `after` is the last of the page before."""
    query = sa.select(recording).where(recording.c.destroyed_utc.is_(None))
    if after is not None:
        query = query.where(sa.tuple_(recording.c.stored_utc, recording.c.id) > sa.tuple_(after.stored_utc, after.id))
    rows = tx.execute(query.order_by(recording.c.stored_utc, recording.c.id).limit(count))
    return [RecordingRow(**row._mapping) for row in rows]


def destroyed_recordings(tx: sa.Connection) -> list[RecordingRow]:
    """The tombstones: what stands no more, and why its rows stay: a camera may still have it."""
    query = sa.select(recording).where(recording.c.destroyed_utc.is_not(None))
    return [RecordingRow(**row._mapping) for row in tx.execute(query.order_by(recording.c.destroyed_utc, recording.c.id))]


def destroyed_among(tx: sa.Connection, ids: Iterable[str]) -> list[RecordingRow]:
    """Those of these recordings that were destroyed."""
    given = sorted(ids)
    found: list[RecordingRow] = []
    for at in range(0, len(given), _IDS_A_QUERY):
        some = given[at : at + _IDS_A_QUERY]
        query = sa.select(recording).where(recording.c.id.in_(some), recording.c.destroyed_utc.is_not(None))
        found += [RecordingRow(**row._mapping) for row in tx.execute(query)]
    return found


def drop_files(tx: sa.Connection, recording_id: str) -> None:
    """Forget a recording's file rows."""
    tx.execute(sa.delete(sealed_file).where(sealed_file.c.recording_id == recording_id))


def recording_folders(tx: sa.Connection) -> dict[str, str]:
    """Recording id to folder, of every row."""
    return {row.id: row.folder for row in tx.execute(sa.select(recording.c.id, recording.c.folder))}


def recordings_named(tx: sa.Connection, serial: str, name: str) -> list[RecordingRow]:
    """Every recording of this camera under this name, the proven ones first."""
    query = sa.select(recording).where(recording.c.camera_serial == serial, recording.c.name == name)
    rows = tx.execute(query.order_by(recording.c.proven.desc(), recording.c.stored_utc))
    return [RecordingRow(**row._mapping) for row in rows]


def recordings_in_state(tx: sa.Connection, serial: str, state: State) -> list[RecordingRow]:
    query = sa.select(recording).where(recording.c.state == state.value, recording.c.camera_serial == serial)
    return [RecordingRow(**row._mapping) for row in tx.execute(query.order_by(recording.c.stored_utc))]


def newest_counter(tx: sa.Connection, serial: str) -> RecordingRow | None:
    """The recording of this camera with the highest counter that the vault owns."""
    query = sa.select(recording).where(
        recording.c.camera_serial == serial, recording.c.counter.is_not(None), recording.c.proven.is_(True)
    )
    row = tx.execute(query.order_by(recording.c.counter.desc(), recording.c.stored_utc.desc()).limit(1)).one_or_none()
    return RecordingRow(**row._mapping) if row else None


def files_of(tx: sa.Connection, recording_id: str) -> tuple[StoredSegment, ...]:
    """Every sealed file of a recording in order, `manifest.sealed` last where there is one."""
    query = sa.select(sealed_file).where(sealed_file.c.recording_id == recording_id).order_by(sealed_file.c.position)
    return tuple(
        StoredSegment(
            row.name,
            row.size_bytes,
            row.sha256,
            row.head_sha256,
            row.tail_sha256,
            row.sealed_name,
            row.sealed_bytes,
            row.sealed_sha256,
        )
        for row in tx.execute(query)
    )
