"""Rows of camera assignments and officers' reports."""

from dataclasses import dataclass

import sqlalchemy as sa

from vault.catalogue.recording_rows import RecordingRow
from vault.catalogue.rows import all_rows, one_row
from vault.catalogue.tables import assignment, recording, report, report_recording


@dataclass(frozen=True, slots=True)
class AssignmentRow:
    """Who carried which camera, from and until."""

    id: int
    camera_serial: str
    person: str
    from_utc: str
    until_utc: str | None


@dataclass(frozen=True, slots=True)
class ReportRow:
    """An officer's report of use, without its text: that is a paper."""

    id: str
    person: str
    addressee: str
    used_utc: str
    due_utc: str
    filed_utc: str
    location: str
    announced: bool
    informed: bool
    received_utc: str | None
    received_by: str | None


# --- assignments and reports ----------------------------------------------------------------------


def assignments(tx: sa.Connection, serial: str | None = None) -> list[AssignmentRow]:
    query = sa.select(assignment).order_by(assignment.c.from_utc, assignment.c.id)
    return all_rows(
        tx,
        AssignmentRow,
        query if serial is None else query.where(assignment.c.camera_serial == serial),
    )


def carrier_at(tx: sa.Connection, serial: str, moment_utc: str) -> str | None:
    """Who carried a camera at a moment, as far as it was written down."""
    query = (
        sa.select(assignment.c.person)
        .where(
            assignment.c.camera_serial == serial,
            assignment.c.from_utc <= moment_utc,
            sa.or_(assignment.c.until_utc.is_(None), assignment.c.until_utc >= moment_utc),
        )
        .order_by(assignment.c.from_utc.desc())
        .limit(1)
    )
    found = tx.execute(query).scalar_one_or_none()
    return str(found) if found is not None else None


def reports(tx: sa.Connection) -> list[ReportRow]:
    return all_rows(tx, ReportRow, sa.select(report).order_by(report.c.filed_utc, report.c.id))


def report_of(tx: sa.Connection, report_id: str) -> ReportRow | None:
    return one_row(tx, ReportRow, sa.select(report).where(report.c.id == report_id))


def reports_about(tx: sa.Connection, recording_id: str) -> list[ReportRow]:
    query = sa.select(report).join(report_recording, report_recording.c.report_id == report.c.id)
    return all_rows(
        tx,
        ReportRow,
        query.where(report_recording.c.recording_id == recording_id).order_by(report.c.filed_utc),
    )


def recordings_of_report(tx: sa.Connection, report_id: str) -> list[str]:
    query = sa.select(report_recording.c.recording_id).where(
        report_recording.c.report_id == report_id
    )
    return [str(found) for (found,) in tx.execute(query.order_by(report_recording.c.recording_id))]


def recordings_without_report(tx: sa.Connection) -> list[RecordingRow]:
    """Recordings that stand and that no report speaks of, oldest first."""
    reported = sa.select(report_recording.c.recording_id)
    query = sa.select(recording).where(
        recording.c.destroyed_utc.is_(None), recording.c.id.not_in(reported)
    )
    return all_rows(
        tx, RecordingRow, query.order_by(recording.c.retention_from_utc, recording.c.id)
    )


def reports_without_recording(tx: sa.Connection) -> list[ReportRow]:
    """Reports of a use of which the vault never had a recording."""
    linked = sa.select(report_recording.c.report_id)
    return all_rows(
        tx,
        ReportRow,
        sa.select(report).where(report.c.id.not_in(linked)).order_by(report.c.used_utc),
    )
