"""Rows of cases and the holds they place on recordings."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from vault.catalogue.recording_rows import RecordingRow
from vault.catalogue.rows import all_rows, one_row
from vault.catalogue.tables import case_file, hold, recording


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case that holds recordings."""

    id: str
    kind: str
    reference: str
    received_utc: str
    registered_utc: str
    registered_by: str
    concerned: str
    granted: bool | None
    decided_utc: str | None
    decided_by: str | None
    objection_until_utc: str | None
    carried_out_utc: str | None
    objected_utc: str | None
    objection_decided_utc: str | None
    objection_upheld: bool | None
    closed_utc: str | None
    closed_reference: str | None

    @property
    def concerned_persons(self) -> frozenset[str]:
        return frozenset(json.loads(self.concerned))


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A case's hold on one recording."""

    case_id: str
    recording_id: str
    since_utc: str
    lifted_utc: str | None


# --- cases and holds ------------------------------------------------------------------------------


def cases(tx: sa.Connection, *, open_only: bool = False) -> list[CaseRow]:
    query = sa.select(case_file).order_by(case_file.c.received_utc, case_file.c.id)
    return all_rows(
        tx, CaseRow, query.where(case_file.c.closed_utc.is_(None)) if open_only else query
    )


def case_of(tx: sa.Connection, case_id: str) -> CaseRow | None:
    return one_row(tx, CaseRow, sa.select(case_file).where(case_file.c.id == case_id))


def cases_starting(tx: sa.Connection, start: str) -> list[str]:
    """Ids of cases that begin so, or whose reference is this."""
    query = sa.select(case_file.c.id).where(
        sa.or_(case_file.c.id.startswith(start, autoescape=True), case_file.c.reference == start)
    )
    return [str(found) for (found,) in tx.execute(query)]


def holds_of_case(tx: sa.Connection, case_id: str) -> list[HoldRow]:
    return all_rows(
        tx, HoldRow, sa.select(hold).where(hold.c.case_id == case_id).order_by(hold.c.recording_id)
    )


def holds_on(tx: sa.Connection, recording_id: str) -> list[tuple[HoldRow, CaseRow]]:
    """Every hold there ever was on a recording, with its case, in the order of receipt."""
    found = all_rows(
        tx,
        HoldRow,
        sa.select(hold).where(hold.c.recording_id == recording_id).order_by(hold.c.since_utc),
    )
    return [(row, case) for row in found if (case := case_of(tx, row.case_id)) is not None]


def is_held(tx: sa.Connection, recording_id: str) -> bool:
    """Asked inside every transaction that deletes (fault F5)."""
    query = (
        sa.select(sa.literal(1))
        .where(hold.c.recording_id == recording_id, hold.c.lifted_utc.is_(None))
        .limit(1)
    )
    return tx.execute(query).scalar_one_or_none() is not None


def overlapping(tx: sa.Connection, recording_ids: Iterable[str]) -> list[RecordingRow]:
    """Recordings of other cameras, or of the same, whose time overlaps one of these: perhaps the
    same incident (Q7).
    """
    given = sorted(set(recording_ids))
    found: dict[str, RecordingRow] = {}
    for recording_id in given:
        bounds = tx.execute(
            sa.select(recording.c.started_utc, recording.c.stopped_utc).where(
                recording.c.id == recording_id
            )
        ).one_or_none()
        if bounds is None or bounds.started_utc is None or bounds.stopped_utc is None:
            continue
        query = sa.select(recording).where(
            recording.c.destroyed_utc.is_(None),
            recording.c.id.not_in(given),
            recording.c.started_utc <= bounds.stopped_utc,
            recording.c.stopped_utc >= bounds.started_utc,
        )
        found |= {row.id: row for row in all_rows(tx, RecordingRow, query)}
    return sorted(found.values(), key=lambda row: (row.started_utc or "", row.id))
