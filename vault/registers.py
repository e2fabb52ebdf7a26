"""The registers of custody in the catalogue: persons, replacements, assignments, reports, cases, viewings, deletions, hand-overs.

Tables and questions. Every row follows from the log (`ledger.py`); nothing else writes here. Times are text as in FORMAT.md.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from vault.catalogue import RecordingRow, recording, tables

person = sa.Table(
    "person",
    tables,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("officer", sa.Text),
    sa.Column("administrator", sa.Boolean, nullable=False),
    sa.Column("enrolled_utc", sa.Text, nullable=False),
    sa.Column("left_utc", sa.Text),
)

holding = sa.Table(
    "holding",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("person", sa.Text, nullable=False, index=True),
    sa.Column("function", sa.Text, nullable=False),
    sa.Column("standing", sa.Boolean, nullable=False),
    sa.Column("from_utc", sa.Text, nullable=False),
    sa.Column("until_utc", sa.Text),
)

absence = sa.Table(
    "absence",
    tables,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("absent", sa.Text, nullable=False),
    sa.Column("substitute", sa.Text, nullable=False, index=True),
    sa.Column("granted_by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("from_utc", sa.Text, nullable=False),
    sa.Column("until_utc", sa.Text, nullable=False),
    sa.Column("ended_utc", sa.Text),
)

assignment = sa.Table(
    "assignment",
    tables,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("camera_serial", sa.Text, nullable=False, index=True),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("from_utc", sa.Text, nullable=False),
    sa.Column("until_utc", sa.Text),
)

present = sa.Table(
    "present",
    tables,
    sa.Column("recording_id", sa.Text, primary_key=True),
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("how", sa.Text, nullable=False),
)

report = sa.Table(
    "report",
    tables,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("addressee", sa.Text, nullable=False),
    sa.Column("used_utc", sa.Text, nullable=False),
    sa.Column("due_utc", sa.Text, nullable=False),
    sa.Column("filed_utc", sa.Text, nullable=False),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("announced", sa.Boolean, nullable=False),
    sa.Column("informed", sa.Boolean, nullable=False),
    sa.Column("received_utc", sa.Text),
    sa.Column("received_by", sa.Text),
)

report_recording = sa.Table(
    "report_recording",
    tables,
    sa.Column("report_id", sa.Text, primary_key=True),
    sa.Column("recording_id", sa.Text, primary_key=True),
    sa.Index("report_by_recording", "recording_id"),
)

case_file = sa.Table(
    "case_file",
    tables,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("received_utc", sa.Text, nullable=False),
    sa.Column("registered_utc", sa.Text, nullable=False),
    sa.Column("registered_by", sa.Text, nullable=False),
    sa.Column("concerned", sa.Text, nullable=False),
    sa.Column("granted", sa.Boolean),
    sa.Column("decided_utc", sa.Text),
    sa.Column("decided_by", sa.Text),
    sa.Column("objection_until_utc", sa.Text),
    sa.Column("carried_out_utc", sa.Text),
    sa.Column("objected_utc", sa.Text),
    sa.Column("objection_decided_utc", sa.Text),
    sa.Column("objection_upheld", sa.Boolean),
    sa.Column("closed_utc", sa.Text, index=True),
    sa.Column("closed_reference", sa.Text),
)

hold = sa.Table(
    "hold",
    tables,
    sa.Column("case_id", sa.Text, sa.ForeignKey("case_file.id"), primary_key=True),
    sa.Column("recording_id", sa.Text, primary_key=True),
    sa.Column("since_utc", sa.Text, nullable=False),
    sa.Column("lifted_utc", sa.Text),
    sa.Index("hold_by_recording", "recording_id"),
)

viewing = sa.Table(
    "viewing",
    tables,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("case_id", sa.Text),
    sa.Column("requested_by", sa.Text, nullable=False),
    sa.Column("requested_utc", sa.Text, nullable=False),
    sa.Column("approved_by", sa.Text),
    sa.Column("refused_utc", sa.Text),
    sa.Column("opened_utc", sa.Text),
    sa.Column("first", sa.Text),
    sa.Column("second", sa.Text),
    sa.Column("ended_utc", sa.Text),
    sa.Column("ended_because", sa.Text),
)

viewing_recording = sa.Table(
    "viewing_recording",
    tables,
    sa.Column("viewing_id", sa.Text, primary_key=True),
    sa.Column("recording_id", sa.Text, primary_key=True),
    sa.Index("viewing_by_recording", "recording_id"),
)

mark = sa.Table(
    "mark",
    tables,
    sa.Column("recording_id", sa.Text, primary_key=True),
    sa.Column("marked_utc", sa.Text, nullable=False),
    sa.Column("running_s", sa.Float, nullable=False),
)

destruction = sa.Table(
    "destruction",
    tables,
    sa.Column("recording_id", sa.Text, primary_key=True),
    sa.Column("destroyed_utc", sa.Text, nullable=False, index=True),
    sa.Column("because", sa.Text, nullable=False),
    sa.Column("confirmed_utc", sa.Text),
)

paper = sa.Table(
    "paper",
    tables,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, nullable=False, index=True),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("removed_utc", sa.Text),
)

hand_over = sa.Table(
    "hand_over",
    tables,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("case_id", sa.Text, nullable=False),
    sa.Column("by_person", sa.Text, nullable=False),
    sa.Column("made_utc", sa.Text, nullable=False),
    sa.Column("receiver", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("received_utc", sa.Text),
    sa.Column("received_by", sa.Text),
)


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person, for good: who left keeps the id and the name."""

    id: str
    name: str
    officer: str | None
    administrator: bool
    enrolled_utc: str
    left_utc: str | None


@dataclass(frozen=True, slots=True)
class HoldingRow:
    """A function held, or kept as standing substitute, from and until."""

    id: int
    person: str
    function: str
    standing: bool
    from_utc: str
    until_utc: str | None


@dataclass(frozen=True, slots=True)
class AbsenceRow:
    """A dated, named replacement (P41)."""

    id: str
    role: str
    absent: str
    substitute: str
    granted_by: str
    reason: str
    from_utc: str
    until_utc: str
    ended_utc: str | None


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


@dataclass(frozen=True, slots=True)
class ViewingRow:
    """A viewing, from its request to its end."""

    id: str
    purpose: str
    case_id: str | None
    requested_by: str
    requested_utc: str
    approved_by: str | None
    refused_utc: str | None
    opened_utc: str | None
    first: str | None
    second: str | None
    ended_utc: str | None
    ended_because: str | None


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


@dataclass(frozen=True, slots=True)
class HandOverRow:
    """A package made for the police or the prosecutor, and its receipt."""

    id: str
    case_id: str
    by_person: str
    made_utc: str
    receiver: str
    sha256: str
    received_utc: str | None
    received_by: str | None


Row = TypeVar("Row")


def _rows(tx: sa.Connection, kind: type[Row], query: sa.Select[Any]) -> list[Row]:
    return [kind(**row._mapping) for row in tx.execute(query)]


def _one(tx: sa.Connection, kind: type[Row], query: sa.Select[Any]) -> Row | None:
    found = _rows(tx, kind, query)
    return found[0] if found else None


# --- persons ------------------------------------------------------------------------------------------------------------


def persons(tx: sa.Connection) -> list[PersonRow]:
    """Everybody who ever was enrolled, by name."""
    return _rows(tx, PersonRow, sa.select(person).order_by(person.c.name))


def person_name(tx: sa.Connection, person_id: str) -> str:
    """A person's name; the id where nobody of it was ever enrolled."""
    found = tx.execute(sa.select(person.c.name).where(person.c.id == person_id)).scalar_one_or_none()
    return str(found) if found is not None else person_id


def holdings(tx: sa.Connection, person_id: str | None = None) -> list[HoldingRow]:
    query = sa.select(holding).order_by(holding.c.id)
    return _rows(tx, HoldingRow, query if person_id is None else query.where(holding.c.person == person_id))


def absences_at(tx: sa.Connection, now_utc: str, substitute: str | None = None) -> list[AbsenceRow]:
    """The replacements in force at a moment."""
    query = sa.select(absence).where(
        absence.c.from_utc <= now_utc,
        absence.c.until_utc > now_utc,
        sa.or_(absence.c.ended_utc.is_(None), absence.c.ended_utc > now_utc),
    )
    if substitute is not None:
        query = query.where(absence.c.substitute == substitute)
    return _rows(tx, AbsenceRow, query.order_by(absence.c.from_utc, absence.c.id))


def absences(tx: sa.Connection) -> list[AbsenceRow]:
    return _rows(tx, AbsenceRow, sa.select(absence).order_by(absence.c.from_utc, absence.c.id))


# --- assignments and reports --------------------------------------------------------------------------------------------


def assignments(tx: sa.Connection, serial: str | None = None) -> list[AssignmentRow]:
    query = sa.select(assignment).order_by(assignment.c.from_utc, assignment.c.id)
    return _rows(tx, AssignmentRow, query if serial is None else query.where(assignment.c.camera_serial == serial))


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
    return _rows(tx, ReportRow, sa.select(report).order_by(report.c.filed_utc, report.c.id))


def report_of(tx: sa.Connection, report_id: str) -> ReportRow | None:
    return _one(tx, ReportRow, sa.select(report).where(report.c.id == report_id))


def reports_about(tx: sa.Connection, recording_id: str) -> list[ReportRow]:
    query = sa.select(report).join(report_recording, report_recording.c.report_id == report.c.id)
    return _rows(tx, ReportRow, query.where(report_recording.c.recording_id == recording_id).order_by(report.c.filed_utc))


def recordings_of_report(tx: sa.Connection, report_id: str) -> list[str]:
    query = sa.select(report_recording.c.recording_id).where(report_recording.c.report_id == report_id)
    return [str(found) for (found,) in tx.execute(query.order_by(report_recording.c.recording_id))]


def recordings_without_report(tx: sa.Connection) -> list[RecordingRow]:
    """Recordings that stand and that no report speaks of, oldest first."""
    reported = sa.select(report_recording.c.recording_id)
    query = sa.select(recording).where(recording.c.destroyed_utc.is_(None), recording.c.id.not_in(reported))
    return _rows(tx, RecordingRow, query.order_by(recording.c.retention_from_utc, recording.c.id))


def reports_without_recording(tx: sa.Connection) -> list[ReportRow]:
    """Reports of a use of which the vault never had a recording."""
    linked = sa.select(report_recording.c.report_id)
    return _rows(tx, ReportRow, sa.select(report).where(report.c.id.not_in(linked)).order_by(report.c.used_utc))


# --- cases and holds ----------------------------------------------------------------------------------------------------


def cases(tx: sa.Connection, *, open_only: bool = False) -> list[CaseRow]:
    query = sa.select(case_file).order_by(case_file.c.received_utc, case_file.c.id)
    return _rows(tx, CaseRow, query.where(case_file.c.closed_utc.is_(None)) if open_only else query)


def case_of(tx: sa.Connection, case_id: str) -> CaseRow | None:
    return _one(tx, CaseRow, sa.select(case_file).where(case_file.c.id == case_id))


def cases_starting(tx: sa.Connection, start: str) -> list[str]:
    """Ids of cases that begin so, or whose reference is this."""
    query = sa.select(case_file.c.id).where(
        sa.or_(case_file.c.id.startswith(start, autoescape=True), case_file.c.reference == start)
    )
    return [str(found) for (found,) in tx.execute(query)]


def holds_of_case(tx: sa.Connection, case_id: str) -> list[HoldRow]:
    return _rows(tx, HoldRow, sa.select(hold).where(hold.c.case_id == case_id).order_by(hold.c.recording_id))


def holds_on(tx: sa.Connection, recording_id: str) -> list[tuple[HoldRow, CaseRow]]:
    """Every hold there ever was on a recording, with its case, in the order of receipt."""
    found = _rows(tx, HoldRow, sa.select(hold).where(hold.c.recording_id == recording_id).order_by(hold.c.since_utc))
    return [(row, case) for row in found if (case := case_of(tx, row.case_id)) is not None]


def is_held(tx: sa.Connection, recording_id: str) -> bool:
    """Asked inside every transaction that deletes (fault F5)."""
    query = sa.select(sa.literal(1)).where(hold.c.recording_id == recording_id, hold.c.lifted_utc.is_(None)).limit(1)
    return tx.execute(query).scalar_one_or_none() is not None


def persons_present(tx: sa.Connection, recording_id: str) -> dict[str, str]:
    """Person to how: `present`, `on_it` or `concerned`."""
    query = sa.select(present.c.person, present.c.how).where(present.c.recording_id == recording_id)
    return {str(who): str(how) for who, how in tx.execute(query)}


def overlapping(tx: sa.Connection, recording_ids: Iterable[str]) -> list[RecordingRow]:
    """Recordings of other cameras, or of the same, whose time overlaps one of these: perhaps the same incident (Q7)."""
    given = sorted(set(recording_ids))
    found: dict[str, RecordingRow] = {}
    for recording_id in given:
        bounds = tx.execute(
            sa.select(recording.c.started_utc, recording.c.stopped_utc).where(recording.c.id == recording_id)
        ).one_or_none()
        if bounds is None or bounds.started_utc is None or bounds.stopped_utc is None:
            continue
        query = sa.select(recording).where(
            recording.c.destroyed_utc.is_(None),
            recording.c.id.not_in(given),
            recording.c.started_utc <= bounds.stopped_utc,
            recording.c.stopped_utc >= bounds.started_utc,
        )
        found |= {row.id: row for row in _rows(tx, RecordingRow, query)}
    return sorted(found.values(), key=lambda row: (row.started_utc or "", row.id))


# --- viewings -----------------------------------------------------------------------------------------------------------


def viewing_of(tx: sa.Connection, viewing_id: str) -> ViewingRow | None:
    return _one(tx, ViewingRow, sa.select(viewing).where(viewing.c.id == viewing_id))


def viewings(tx: sa.Connection) -> list[ViewingRow]:
    return _rows(tx, ViewingRow, sa.select(viewing).order_by(viewing.c.requested_utc, viewing.c.id))


def viewings_open(tx: sa.Connection, since_utc: str) -> int:
    """How many viewings were opened since then and are not ended."""
    query = sa.select(sa.func.count()).where(viewing.c.opened_utc > since_utc, viewing.c.ended_utc.is_(None))
    count: int = tx.execute(query).scalar_one()
    return count


def viewings_starting(tx: sa.Connection, start: str) -> list[str]:
    query = sa.select(viewing.c.id).where(viewing.c.id.startswith(start, autoescape=True))
    return [str(found) for (found,) in tx.execute(query)]


def recordings_of_viewing(tx: sa.Connection, viewing_id: str) -> list[str]:
    query = sa.select(viewing_recording.c.recording_id).where(viewing_recording.c.viewing_id == viewing_id)
    return [str(found) for (found,) in tx.execute(query.order_by(viewing_recording.c.recording_id))]


def viewings_of_recording(tx: sa.Connection, recording_id: str) -> list[ViewingRow]:
    query = sa.select(viewing).join(viewing_recording, viewing_recording.c.viewing_id == viewing.c.id)
    return _rows(tx, ViewingRow, query.where(viewing_recording.c.recording_id == recording_id).order_by(viewing.c.requested_utc))


# --- papers -------------------------------------------------------------------------------------------------------------


def papers_of(tx: sa.Connection, subject: str) -> list[PaperRow]:
    """The papers of a report, a case or a viewing that stand."""
    query = sa.select(paper).where(paper.c.subject == subject, paper.c.removed_utc.is_(None))
    return _rows(tx, PaperRow, query.order_by(paper.c.action, paper.c.id))


def standing_papers(tx: sa.Connection) -> list[PaperRow]:
    return _rows(tx, PaperRow, sa.select(paper).where(paper.c.removed_utc.is_(None)).order_by(paper.c.id))


def report_papers_to_remove(tx: sa.Connection, recording_id: str) -> list[PaperRow]:
    """Papers of reports that speak of this recording and of none that still stands."""
    found = []
    for row in reports_about(tx, recording_id):
        ids = recordings_of_report(tx, row.id)
        alive = sa.select(recording.c.id).where(recording.c.id.in_(ids), recording.c.destroyed_utc.is_(None)).limit(1)
        if tx.execute(alive).one_or_none() is None:
            found += papers_of(tx, row.id)
    return found


# --- deletion -----------------------------------------------------------------------------------------------------------


def marks(tx: sa.Connection) -> dict[str, MarkRow]:
    return {row.recording_id: row for row in _rows(tx, MarkRow, sa.select(mark))}


def destructions(tx: sa.Connection, since_utc: str = "") -> list[DestructionRow]:
    query = sa.select(destruction).where(destruction.c.destroyed_utc >= since_utc)
    return _rows(tx, DestructionRow, query.order_by(destruction.c.destroyed_utc, destruction.c.recording_id))


def destruction_of(tx: sa.Connection, recording_id: str) -> DestructionRow | None:
    return _one(tx, DestructionRow, sa.select(destruction).where(destruction.c.recording_id == recording_id))


def unconfirmed_destructions(tx: sa.Connection) -> list[DestructionRow]:
    return _rows(tx, DestructionRow, sa.select(destruction).where(destruction.c.confirmed_utc.is_(None)))


def ageing(tx: sa.Connection, before_utc: str) -> list[RecordingRow]:
    """Recordings that stand and whose 28 days started before a moment: what a sweep looks at."""
    started = sa.or_(recording.c.retention_from_utc < before_utc, recording.c.unsure_until_utc < before_utc)
    query = sa.select(recording).where(recording.c.destroyed_utc.is_(None), started)
    return _rows(tx, RecordingRow, query.order_by(recording.c.retention_from_utc, recording.c.id))


# --- hand-over ----------------------------------------------------------------------------------------------------------


def hand_overs(tx: sa.Connection) -> list[HandOverRow]:
    return _rows(tx, HandOverRow, sa.select(hand_over).order_by(hand_over.c.made_utc, hand_over.c.id))


def hand_over_of(tx: sa.Connection, hand_over_id: str) -> HandOverRow | None:
    return _one(tx, HandOverRow, sa.select(hand_over).where(hand_over.c.id == hand_over_id))
