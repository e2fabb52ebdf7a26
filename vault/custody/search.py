"""Finding recordings, each with its life on one line: recorded, docked, reported, held by, viewed,
due (P24, P31, P39).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from vault.catalogue import (
    camera_rows,
    case_rows,
    person_rows,
    recording_rows,
    report_rows,
    viewing_rows,
)
from vault.catalogue.case_rows import CaseRow, HoldRow
from vault.catalogue.recording_rows import RecordingRow
from vault.catalogue.report_rows import ReportRow
from vault.catalogue.tables import hold, present, recording, report_recording
from vault.catalogue.viewing_rows import ViewingRow
from vault.clock import utc_text
from vault.custody.retention.disposition import ZONE, Disposition, disposition
from vault.custody.retention.sweep import facts_of
from vault.errors import UnknownRecording
from vault.recording import StoredSegment
from vault.rules.actions import Action, Actor, demand
from vault.rules.due import Due, due, why
from vault.vault import Vault

PAGE = 25

Recording = RecordingRow
"""A recording as the catalogue has it, for who shows it."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; everything that is given must hold. `person`: who recorded it. `page`
    counts from 1.
    """

    since: datetime | None = None
    until: datetime | None = None
    camera: str | None = None
    person: str | None = None
    case: str | None = None
    without_report: bool = False
    held: bool = False
    archived: bool = False
    page: int = 1


@dataclass(frozen=True, slots=True)
class Life:
    """One recording from its first frame to its end. `due` None: a hold stands, or it was
    destroyed; `nl` and `en` say why.
    """

    row: RecordingRow
    reports: tuple[ReportRow, ...]
    holds: tuple[tuple[HoldRow, CaseRow], ...]
    viewings: tuple[ViewingRow, ...]
    due: Due | None
    nl: str
    en: str

    @property
    def held_by(self) -> tuple[CaseRow, ...]:
        """The open cases that hold it."""
        return tuple(case for one, case in self.holds if one.lifted_utc is None)


@dataclass(frozen=True, slots=True)
class Found:
    """One page of what was found, newest first, and how many there are in all."""

    lives: tuple[Life, ...]
    count: int
    page: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.count // PAGE))


def find(vault: Vault, by: Actor, search: Search) -> Found:
    """A page of the recordings that stand and fit. Raises NotAllowed."""
    demand(Action.LIST_RECORDINGS, by)
    with vault.reading() as tx:
        return _page(tx, _conditions(search), search.page)


def own(vault: Vault, by: Actor, page: int = 1) -> Found:
    """An officer's own recordings, and those the officer is on: what may be looked back at to learn
    (P52). Raises NotAllowed.
    """
    demand(Action.READ_OWN_VIEWINGS, by)
    on_it = sa.select(present.c.recording_id).where(
        present.c.person == by.person, present.c.how != "concerned"
    )
    with vault.reading() as tx:
        return _page(
            tx, [sa.or_(recording.c.officer_person == by.person, recording.c.id.in_(on_it))], page
        )


def life(vault: Vault, by: Actor, recording_id: str) -> Life:
    """One recording's life, one that was destroyed too. Raises NotAllowed, UnknownRecording."""
    demand(Action.LIST_RECORDINGS, by)
    with vault.reading() as tx:
        row = recording_rows.get_recording(tx, recording_id)
        return _life(tx, row)


@dataclass(frozen=True, slots=True)
class Filters:
    """What a search can be narrowed by: the cameras' serials, the officers (id and name), the open
    cases.
    """

    cameras: tuple[str, ...]
    officers: tuple[tuple[str, str], ...]
    cases: tuple[CaseRow, ...]


def filters(vault: Vault, by: Actor) -> Filters:
    """What there is to narrow a search by. Raises NotAllowed."""
    demand(Action.LIST_RECORDINGS, by)
    with vault.reading() as tx:
        return Filters(
            tuple(sorted({row.serial for row in camera_rows.all_cameras(tx)})),
            tuple((row.id, row.name) for row in person_rows.persons(tx) if row.officer),
            tuple(case_rows.cases(tx, open_only=True)),
        )


@dataclass(frozen=True, slots=True)
class ReadRecording:
    """Everything that is known of a recording, but no picture of it. `present`: person to how;
    `others`: recordings of the same time.
    """

    life: Life
    disposition: Disposition
    files: tuple[StoredSegment, ...]
    present: Mapping[str, str]
    others: tuple[RecordingRow, ...]


def read(vault: Vault, by: Actor, recording_id: str) -> ReadRecording:
    """A recording, one that was destroyed too. Raises NotAllowed, UnknownRecording."""
    found = life(vault, by, recording_id)
    with vault.reading() as tx:
        files = recording_rows.files_of(tx, recording_id)
        present = person_rows.persons_present(tx, recording_id)
        stands = found.row.destroyed_utc is None
        others = case_rows.overlapping(tx, [recording_id]) if stands else []
    return ReadRecording(found, disposition(vault, by, recording_id), files, present, tuple(others))


def newest(vault: Vault, by: Actor, count: int) -> list[RecordingRow]:
    """The newest recordings that stand, the oldest of them first. Raises NotAllowed."""
    demand(Action.LIST_RECORDINGS, by)
    with vault.reading() as tx:
        return recording_rows.newest_recordings(tx, count)


def recording_called(vault: Vault, start: str) -> str:
    """The whole id of the one recording whose id starts so, for a command that says what is to be
    done with it. Raises UnknownRecording.
    """
    with vault.reading() as tx:
        found = recording_rows.recordings_starting(tx, start.lower()) if start else []
    if len(found) != 1:
        raise UnknownRecording(f"{len(found)} recordings have an id that starts with {start!r}.")
    return found[0]


def _conditions(search: Search) -> list[sa.ColumnElement[bool]]:
    # A camera that states no times is found by when it was docked.
    moment = sa.func.coalesce(
        recording.c.triggered_utc, recording.c.started_utc, recording.c.docked_utc
    )
    held = sa.select(hold.c.recording_id).where(hold.c.lifted_utc.is_(None))
    found: list[sa.ColumnElement[bool]] = []
    if search.since is not None:
        found.append(moment >= utc_text(search.since))
    if search.until is not None:
        found.append(moment < utc_text(search.until))
    if search.camera:
        found.append(recording.c.camera_serial == search.camera)
    if search.person:
        found.append(recording.c.officer_person == search.person)
    if search.case:
        found.append(
            recording.c.id.in_(sa.select(hold.c.recording_id).where(hold.c.case_id == search.case))
        )
    if search.without_report:
        found.append(recording.c.id.not_in(sa.select(report_recording.c.recording_id)))
    if search.held:
        found.append(recording.c.id.in_(held))
    if not search.archived:
        found.append(recording.c.archived_utc.is_(None))
    return found


def _page(tx: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]], page: int) -> Found:
    wanted = sa.and_(recording.c.destroyed_utc.is_(None), *conditions)
    count = tx.execute(sa.select(sa.func.count()).select_from(recording).where(wanted)).scalar_one()
    page = min(max(1, page), max(1, -(-count // PAGE)))
    query = (
        sa.select(recording.c.id)
        .where(wanted)
        .order_by(recording.c.stored_utc.desc(), recording.c.id)
        .limit(PAGE)
        .offset((page - 1) * PAGE)
    )
    rows = [recording_rows.find_recording(tx, found) for found in tx.execute(query).scalars().all()]
    return Found(tuple(_life(tx, row) for row in rows if row is not None), count, page)


def _life(tx: sa.Connection, row: RecordingRow) -> Life:
    facts = facts_of(tx, row)
    standing = row.destroyed_utc is None
    return Life(
        row,
        tuple(report_rows.reports_about(tx, row.id)),
        tuple(case_rows.holds_on(tx, row.id)),
        tuple(
            one
            for one in viewing_rows.viewings_of_recording(tx, row.id)
            if one.opened_utc is not None
        ),
        due(facts) if standing else None,
        why(facts, ZONE, "nl") if standing else "",
        why(facts, ZONE, "en") if standing else "",
    )
