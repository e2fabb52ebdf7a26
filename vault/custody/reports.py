"""The officer's report of use, and who carried which camera (P21, P22, P42, P43, P63; P11 and P17,
P18 for its fields).

A report is due before the end of the shift, which is when the camera is docked: its uses are then
in the vault.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from vault.catalogue import camera_rows, recording_rows, report_rows
from vault.catalogue.recording_rows import RecordingRow
from vault.catalogue.report_rows import ReportRow
from vault.clock import utc_moment, utc_text
from vault.crypto.canonical_json import Json
from vault.custody.papers import file_paper, papers_of, read_paper
from vault.custody.people import entry, is_absent
from vault.errors import NotAllowed, Reaction, UnknownCamera, VaultError
from vault.rules.actions import Acting, Action, Actor, demand, demand_any, may
from vault.rules.protocol import LEARNING_OWN, REPORT
from vault.rules.roles import Role
from vault.vault import Vault

GRACE = timedelta(hours=2)
"""How long after docking a report may still be called in time: the end of the shift, as far as the
dock can know it.
"""


class ReportRefused(VaultError):
    """A report lacks what the protocol asks for, or speaks of another officer's recording."""

    code = "reports.refused"
    reaction = Reaction.REFUSE
    hint = "Fill in the named field; what has no answer is said so in words."


class Location(StrEnum):
    """Where it was (P11). A home is flagged wherever the report shows."""

    PUBLIC_SPACE = "public_space"
    PUBLIC_ROOM = "public_room"
    PRIVATE_PREMISES = "private_premises"
    HOME = "home"


LOCATION_NAMES_NL = {
    Location.PUBLIC_SPACE: "openbare ruimte",
    Location.PUBLIC_ROOM: "voor publiek toegankelijke ruimte",
    Location.PRIVATE_PREMISES: "privéterrein",
    Location.HOME: "woning",
}


@dataclass(frozen=True, slots=True)
class UseReport:
    """One use of the camera, in the officer's words. `recordings` may be empty: a use of which
    there is no recording.

    `announced` None-like answers do not exist: where it was not announced, `announcement` says why
    (P18); where nobody was informed, `information` says why (P63).
    """

    recordings: tuple[str, ...]
    used: datetime
    location: Location
    cause: str
    event: str
    announced: bool
    announcement: str
    informed: bool
    information: str


def file_report(vault: Vault, by: Actor, use: UseReport) -> str:
    """File a report; it goes to the coordinator, or in absence to the cluster manager. Returns its
    id.

    Raises NotAllowed, ReportRefused, UnknownRecording.
    """
    acting = demand(Action.FILE_REPORT, by)
    now = vault.clock.now()
    for name in ("cause", "event", "announcement", "information"):
        if not getattr(use, name).strip():
            raise ReportRefused(f"The report lacks its {name}. {REPORT.quoted()}")
    if use.used > now:
        raise ReportRefused(f"The use would be on {utc_text(use.used)}, which is still to come.")
    dues = [_due(row) for row in _own(vault, by, use.recordings)]
    paper = file_paper(
        vault,
        {
            "cause": use.cause,
            "event": use.event,
            "announcement": use.announcement,
            "information": use.information,
            "recordings": list(use.recordings),
        },
    )
    report_id = str(uuid.uuid4())
    details: Json = {
        "person": acting.person,
        "addressee": addressee(vault).value,
        "used_utc": utc_text(use.used),
        "due_utc": utc_text(min(dues) if dues else use.used + timedelta(hours=12)),
        "filed_utc": utc_text(now),
        "location": use.location.value,
        "announced": use.announced,
        "informed": use.informed,
        "recordings": list(dict.fromkeys(use.recordings)),
        **paper.details(),
    }
    vault.record(entry(acting, "report.filed", report_id, details))
    return report_id


def addressee(vault: Vault) -> Role:
    """Whom reports go to now: the coordinator, and while every coordinator is on record as absent
    the cluster manager (P21).
    """
    return Role.CLUSTER_MANAGER if is_absent(vault, Role.COORDINATOR) else Role.COORDINATOR


def receive(vault: Vault, by: Actor, called: str) -> None:
    """The addressee has read a report. `called`: the start of its id. Raises NotAllowed,
    ReportRefused.
    """
    acting = demand(Action.RECEIVE_REPORT, by)
    with vault.writing() as tx:
        row = _report_called(report_rows.reports(tx), called)
        details = {"received_utc": vault.now_utc(), "received_by": acting.person}
        vault.record(entry(acting, "report.received", row.id, details), tx)


def _report_called(rows: list[ReportRow], called: str) -> ReportRow:
    found = [row for row in rows if called and row.id.startswith(called)]
    if len(found) != 1:
        raise ReportRefused(f"There is no report {called}.", hint="`vault report list` shows them.")
    return found[0]


# --- reading --------------------------------------------------------------------------------------

READERS = (Action.RECEIVE_REPORT, Action.LIST_RECORDINGS, Action.FILE_REPORT)
"""Who may read reports at all: their addressee everybody's, an officer their own."""


def reads_all(vault: Vault, by: Actor) -> bool:
    """Whether this person reads everybody's reports: the addressee."""
    return may(Action.RECEIVE_REPORT, by) or addressee(vault) in by.roles


@dataclass(frozen=True, slots=True)
class ReportList:
    """The reports that a person may read, oldest first; and for the addressee what is missing.

    `everybody`: whether they are everybody's, or the reader's own alone.
    """

    rows: tuple[ReportRow, ...]
    everybody: bool
    missing: tuple["Missing", ...]
    without_recording: tuple[ReportRow, ...]
    without_carrier: tuple[RecordingRow, ...]


def listed(vault: Vault, by: Actor) -> ReportList:
    """One's own reports, and for the addressee everybody's; without their texts. Raises
    NotAllowed.
    """
    demand_any(READERS, by)
    everybody = reads_all(vault, by)
    with vault.reading() as tx:
        rows = [row for row in report_rows.reports(tx) if everybody or row.person == by.person]
    return ReportList(
        tuple(rows),
        everybody,
        tuple(missing_reports(vault, None if everybody else by.person)),
        tuple(reports_without_recording(vault)) if everybody else (),
        tuple(on_without_carrier(vault)) if everybody else (),
    )


@dataclass(frozen=True, slots=True)
class ReadReport:
    """A report with its text (None where it was destroyed with the recording) and recordings."""

    row: ReportRow
    text: Json | None
    recordings: tuple[str, ...]
    may_receive: bool


def read(vault: Vault, by: Actor, report_id: str) -> ReadReport | None:
    """A report with its text, for who wrote it and for whom it went to; that another read it is an
    entry of the log. None where there is none. Raises NotAllowed.
    """
    demand_any(READERS, by)
    with vault.reading() as tx:
        row = report_rows.report_of(tx, report_id)
        papers = papers_of(tx, report_id)
        recordings = report_rows.recordings_of_report(tx, report_id)
    if row is None:
        return None
    everybody = reads_all(vault, by)
    if row.person != by.person:
        if not everybody:
            raise NotAllowed(f"{by.name} neither wrote this report nor received it.")
        acting = (
            demand(Action.RECEIVE_REPORT, by)
            if may(Action.RECEIVE_REPORT, by)
            else Acting(by.person, min(by.roles))
        )
        vault.record(entry(acting, "report.read", report_id, {}))
    texts = [read_paper(vault, paper) for _, paper in papers]
    return ReadReport(
        row,
        next((text for text in texts if text), None),
        tuple(recordings),
        everybody and row.received_utc is None,
    )


def _own(vault: Vault, by: Actor, recordings: tuple[str, ...]) -> list[RecordingRow]:
    """The recordings of a report: the officer's own, or of nobody known."""
    rows = []
    with vault.reading() as tx:
        for recording_id in recordings:
            row = recording_rows.kept_recording(tx, recording_id)
            if row.officer_person not in (None, by.person):
                raise ReportRefused(
                    f"The recording {recording_id} was made by another officer. "
                    f"{LEARNING_OWN.quoted()}"
                )
            rows.append(row)
    return rows


def _due(row: RecordingRow) -> datetime:
    return utc_moment(row.docked_utc) + GRACE


@dataclass(frozen=True, slots=True)
class Missing:
    """A recording that no report speaks of: whose, since when it is due, whether it is overdue."""

    recording: RecordingRow
    person: str | None
    due: datetime
    overdue: bool


def missing_reports(vault: Vault, person: str | None = None) -> list[Missing]:
    """Recordings without a report, oldest first; of one officer where a person is given."""
    now = vault.clock.now()
    with vault.reading() as tx:
        rows = report_rows.recordings_without_report(tx)
    return [
        Missing(row, row.officer_person, _due(row), _due(row) < now)
        for row in rows
        if person is None or row.officer_person == person
    ]


def to_write(vault: Vault, by: Actor) -> list[Missing]:
    """An officer's own recordings that lack a report, oldest first. Raises NotAllowed."""
    demand(Action.FILE_REPORT, by)
    return missing_reports(vault, by.person)


def late_reports(vault: Vault) -> list[ReportRow]:
    """Reports that were filed after they were due."""
    with vault.reading() as tx:
        return [row for row in report_rows.reports(tx) if row.filed_utc > row.due_utc]


def reports_without_recording(vault: Vault) -> list[ReportRow]:
    """Reports of a use of which the vault never had a recording: switched on and not stored, or not
    docked yet.
    """
    with vault.reading() as tx:
        return report_rows.reports_without_recording(tx)


def assign(
    vault: Vault, by: Actor, serial: str, person: str, since: datetime | None = None
) -> None:
    """Who carries a camera from now on (or since a moment); whoever had it before does no longer.
    Raises NotAllowed.
    """
    acting = demand(Action.ASSIGN_CAMERA, by)
    form = vault.keyring.person(person)
    if form.officer is None:
        raise ReportRefused(
            f"{form.name} wears no camera.",
            hint="Give them an officer's code first: `vault ceremony officer`.",
        )
    details = {"person": form.person, "from_utc": utc_text(since or vault.clock.now())}
    with vault.writing() as tx:
        if camera_rows.standing_camera(tx, serial) is None:
            raise UnknownCamera(f"No camera {serial} is registered.")
        vault.record(entry(acting, "camera.assigned", serial, details), tx)


def take_back(vault: Vault, by: Actor, serial: str) -> None:
    """Nobody carries a camera from now on. Raises NotAllowed."""
    acting = demand(Action.ASSIGN_CAMERA, by)
    vault.record(entry(acting, "camera.returned", serial, {"until_utc": vault.now_utc()}))


def on_without_carrier(vault: Vault) -> list[RecordingRow]:
    """Recordings made while nobody is written down as having the camera, and that
    name no officer.
    """
    with vault.reading() as tx:
        rows = recording_rows.all_recordings(tx)
        return [
            row
            for row in rows
            if row.officer_person is None
            and (
                row.triggered_utc is None
                or report_rows.carrier_at(tx, row.camera_serial, row.triggered_utc) is None
            )
        ]
