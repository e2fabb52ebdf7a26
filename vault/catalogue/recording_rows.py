"""Rows of recordings and their sealed files; one function per question."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from vault.catalogue.tables import recording, sealed_file
from vault.errors import UnknownRecording
from vault.recording import State, StoredSegment

_IDS_A_QUERY = 500


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


def add_recording(tx: sa.Connection, row: dict[str, Any], files: list[dict[str, Any]]) -> None:
    """`files` are rows of `sealed_file` without recording id and position, in order."""
    tx.execute(sa.insert(recording).values(**row))
    if files:
        tx.execute(
            sa.insert(sealed_file),
            [{**file, "recording_id": row["id"], "position": at} for at, file in enumerate(files)],
        )


def set_log_sequence(tx: sa.Connection, recording_id: str, sequence: int) -> None:
    """Which entry of the log tells of its storing."""
    tx.execute(
        sa.update(recording).where(recording.c.id == recording_id).values(log_sequence=sequence)
    )


def set_state(tx: sa.Connection, recording_id: str, state: State) -> None:
    tx.execute(sa.update(recording).where(recording.c.id == recording_id).values(state=state.value))


def find_recording(tx: sa.Connection, recording_id: str) -> RecordingRow | None:
    row = tx.execute(sa.select(recording).where(recording.c.id == recording_id)).one_or_none()
    return RecordingRow(**row._mapping) if row else None


def get_recording(tx: sa.Connection, recording_id: str) -> RecordingRow:
    """The recording's row, also of a destroyed one. Raises UnknownRecording."""
    row = find_recording(tx, recording_id)
    if row is None:
        raise UnknownRecording(f"There is no recording {recording_id}.")
    return row


def kept_recording(tx: sa.Connection, recording_id: str) -> RecordingRow:
    """The row of a recording that is not destroyed. Raises UnknownRecording."""
    row = get_recording(tx, recording_id)
    if row.destroyed_utc is not None:
        raise UnknownRecording(f"There is no recording {recording_id}.")
    return row


def recordings_starting(tx: sa.Connection, start: str) -> list[str]:
    """Ids of recordings that begin with these characters; `%` and `_` mean themselves."""
    query = (
        sa.select(recording.c.id)
        .where(recording.c.id.startswith(start, autoescape=True))
        .order_by(recording.c.id)
    )
    return [row.id for row in tx.execute(query)]


def all_recordings(tx: sa.Connection) -> list[RecordingRow]:
    """Every recording that stands, oldest first."""
    query = sa.select(recording).where(recording.c.destroyed_utc.is_(None))
    rows = tx.execute(query.order_by(recording.c.stored_utc, recording.c.id))
    return [RecordingRow(**row._mapping) for row in rows]


def newest_recordings(tx: sa.Connection, count: int) -> list[RecordingRow]:
    """The newest recordings that stand, the oldest of them first."""
    query = sa.select(recording).where(recording.c.destroyed_utc.is_(None))
    rows = tx.execute(
        query.order_by(recording.c.stored_utc.desc(), recording.c.id.desc()).limit(count)
    )
    return [RecordingRow(**row._mapping) for row in rows][::-1]


def recordings_after(
    tx: sa.Connection, after: RecordingRow | None, count: int
) -> list[RecordingRow]:
    """The next page of the recordings that stand, oldest first; `after` is the last of the page
    before.
    """
    query = sa.select(recording).where(recording.c.destroyed_utc.is_(None))
    if after is not None:
        query = query.where(
            sa.tuple_(recording.c.stored_utc, recording.c.id)
            > sa.tuple_(after.stored_utc, after.id)
        )
    rows = tx.execute(query.order_by(recording.c.stored_utc, recording.c.id).limit(count))
    return [RecordingRow(**row._mapping) for row in rows]


def destroyed_recordings(tx: sa.Connection) -> list[RecordingRow]:
    """The tombstones: what stands no more, and why its rows stay: a camera may still have it."""
    query = sa.select(recording).where(recording.c.destroyed_utc.is_not(None))
    return [
        RecordingRow(**row._mapping)
        for row in tx.execute(query.order_by(recording.c.destroyed_utc, recording.c.id))
    ]


def destroyed_among(tx: sa.Connection, ids: Iterable[str]) -> list[RecordingRow]:
    """Those of these recordings that were destroyed."""
    given = sorted(ids)
    found: list[RecordingRow] = []
    for at in range(0, len(given), _IDS_A_QUERY):
        some = given[at : at + _IDS_A_QUERY]
        query = sa.select(recording).where(
            recording.c.id.in_(some), recording.c.destroyed_utc.is_not(None)
        )
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
    query = sa.select(recording).where(
        recording.c.camera_serial == serial, recording.c.name == name
    )
    rows = tx.execute(query.order_by(recording.c.proven.desc(), recording.c.stored_utc))
    return [RecordingRow(**row._mapping) for row in rows]


def recordings_in_state(tx: sa.Connection, serial: str, state: State) -> list[RecordingRow]:
    query = sa.select(recording).where(
        recording.c.state == state.value, recording.c.camera_serial == serial
    )
    return [
        RecordingRow(**row._mapping) for row in tx.execute(query.order_by(recording.c.stored_utc))
    ]


def newest_counter(tx: sa.Connection, serial: str) -> RecordingRow | None:
    """The recording of this camera with the highest counter that the vault owns."""
    query = sa.select(recording).where(
        recording.c.camera_serial == serial,
        recording.c.counter.is_not(None),
        recording.c.proven.is_(True),
    )
    row = tx.execute(
        query.order_by(recording.c.counter.desc(), recording.c.stored_utc.desc()).limit(1)
    ).one_or_none()
    return RecordingRow(**row._mapping) if row else None


def files_of(tx: sa.Connection, recording_id: str) -> tuple[StoredSegment, ...]:
    """Every sealed file of a recording in order, `manifest.sealed` last where there is one."""
    query = (
        sa.select(sealed_file)
        .where(sealed_file.c.recording_id == recording_id)
        .order_by(sealed_file.c.position)
    )
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
