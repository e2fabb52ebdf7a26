"""Rows of deletion marks, destructions and papers."""

from dataclasses import dataclass

import sqlalchemy as sa

from vault.catalogue.recording_rows import RecordingRow
from vault.catalogue.report_rows import recordings_of_report, reports_about
from vault.catalogue.rows import all_rows, one_row
from vault.catalogue.tables import destruction, mark, paper, recording


@dataclass(frozen=True, slots=True)
class MarkRow:
    """A recording marked for destruction: when, and the running time counted by then."""

    recording_id: str
    marked_utc: str
    running_s: float


@dataclass(frozen=True, slots=True)
class DestructionRow:
    """That a recording was destroyed, and seen to be gone."""

    recording_id: str
    destroyed_utc: str
    because: str
    confirmed_utc: str | None


@dataclass(frozen=True, slots=True)
class PaperRow:
    """A text with personal data: which entry's it is, and its digest."""

    id: str
    subject: str
    action: str
    sha256: str
    removed_utc: str | None


# --- papers ---------------------------------------------------------------------------------------


def papers_of(tx: sa.Connection, subject: str) -> list[PaperRow]:
    """The papers of a report, a case or a viewing that stand."""
    query = sa.select(paper).where(paper.c.subject == subject, paper.c.removed_utc.is_(None))
    return all_rows(tx, PaperRow, query.order_by(paper.c.action, paper.c.id))


def standing_papers(tx: sa.Connection) -> list[PaperRow]:
    return all_rows(
        tx, PaperRow, sa.select(paper).where(paper.c.removed_utc.is_(None)).order_by(paper.c.id)
    )


def report_papers_to_remove(tx: sa.Connection, recording_id: str) -> list[PaperRow]:
    """Papers of reports that speak of this recording and of none that still stands."""
    found = []
    for row in reports_about(tx, recording_id):
        ids = recordings_of_report(tx, row.id)
        alive = (
            sa.select(recording.c.id)
            .where(recording.c.id.in_(ids), recording.c.destroyed_utc.is_(None))
            .limit(1)
        )
        if tx.execute(alive).one_or_none() is None:
            found += papers_of(tx, row.id)
    return found


# --- deletion -------------------------------------------------------------------------------------


def marks(tx: sa.Connection) -> dict[str, MarkRow]:
    return {row.recording_id: row for row in all_rows(tx, MarkRow, sa.select(mark))}


def destructions(tx: sa.Connection, since_utc: str = "") -> list[DestructionRow]:
    query = sa.select(destruction).where(destruction.c.destroyed_utc >= since_utc)
    return all_rows(
        tx, DestructionRow, query.order_by(destruction.c.destroyed_utc, destruction.c.recording_id)
    )


def destruction_of(tx: sa.Connection, recording_id: str) -> DestructionRow | None:
    return one_row(
        tx, DestructionRow, sa.select(destruction).where(destruction.c.recording_id == recording_id)
    )


def unconfirmed_destructions(tx: sa.Connection) -> list[DestructionRow]:
    return all_rows(
        tx, DestructionRow, sa.select(destruction).where(destruction.c.confirmed_utc.is_(None))
    )


def ageing(tx: sa.Connection, before_utc: str) -> list[RecordingRow]:
    """Recordings that stand and whose 28 days started before a moment: what a sweep looks at."""
    started = sa.or_(
        recording.c.retention_from_utc < before_utc, recording.c.unsure_until_utc < before_utc
    )
    query = sa.select(recording).where(recording.c.destroyed_utc.is_(None), started)
    return all_rows(
        tx, RecordingRow, query.order_by(recording.c.retention_from_utc, recording.c.id)
    )
