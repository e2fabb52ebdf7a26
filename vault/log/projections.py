"""The log is the record, the registers its index: an entry of custody and the rows it means, in one
transaction.

`enter` appends and projects; `vault rebuild` projects the same entries again and comes to the same
rows. An entry therefore carries everything its rows hold, and a projection looks at nothing but the
entry and the rows.
"""

from collections.abc import Callable, Mapping, Sequence

import sqlalchemy as sa

from vault.catalogue import person_rows, tables
from vault.catalogue.tables import (
    absence,
    assignment,
    case_file,
    destruction,
    hand_over,
    hold,
    holding,
    mark,
    paper,
    person,
    present,
    report,
    report_recording,
    viewing,
    viewing_recording,
)
from vault.crypto.canonical_json import Json, canonical
from vault.log.log import Entry, Log
from vault.storage.paper_files import reason_of_absence

Projection = Callable[[sa.Connection, str, Json], None]


def enter(log: Log, tx: sa.Connection, entry: Entry) -> int:
    """Append an entry of custody and bring the registers up to it; returns its sequence. Raises
    StorageFailed, VaultFull.
    """
    sequence = log.append(tx, entry)
    project(tx, entry.action, entry.subject, entry.details)
    return sequence


def project(tx: sa.Connection, action: str, subject: str | None, details: Json) -> None:
    """Bring the registers up to an entry; an entry that means no row changes nothing."""
    if subject is not None and "paper" in details:
        tx.execute(
            sa.insert(paper).values(
                id=details["paper"], subject=subject, action=action, sha256=details["paper_sha256"]
            )
        )
    projection = PROJECTIONS.get(action)
    if projection is not None and subject is not None:
        projection(tx, subject, details)


def _set(
    tx: sa.Connection, table: sa.Table, key: str, subject: str, values: Mapping[str, object]
) -> None:
    tx.execute(sa.update(table).where(table.c[key] == subject).values(**values))


def _keyring_changed(tx: sa.Connection, _: str, details: Json) -> None:
    """Persons and seats as the keyring has them from now on; what it no longer has ends now."""
    _project_persons(tx, details["persons"], details["changed_utc"])
    _project_seats(tx, details["seats"], details["changed_utc"])


def _project_persons(tx: sa.Connection, persons: Sequence[Json], at: str) -> None:
    named = {entry["person"]: entry for entry in persons}
    known = {row.id: row for row in person_rows.persons(tx)}
    for person_id, entry in named.items():
        values = {
            "name": entry["name"],
            "officer": entry["officer"],
            "administrator": entry["administrator"],
            "left_utc": None,
        }
        if person_id in known:
            _set(tx, person, "id", person_id, values)
        else:
            tx.execute(sa.insert(person).values(id=person_id, enrolled_utc=at, **values))
    for person_id, row in known.items():
        if person_id not in named and row.left_utc is None:
            _set(tx, person, "id", person_id, {"left_utc": at, "officer": None})


def _project_seats(tx: sa.Connection, seats: Sequence[Json], at: str) -> None:
    named = {(seat["person"], seat["function"], seat["standing"]) for seat in seats}
    current = {
        (held.person, held.function, held.standing): held.id
        for held in person_rows.holdings(tx)
        if held.until_utc is None
    }
    for key, holding_id in current.items():
        if key not in named:
            tx.execute(sa.update(holding).where(holding.c.id == holding_id).values(until_utc=at))
    for who, function, deputy in sorted(named - set(current)):
        tx.execute(
            sa.insert(holding).values(person=who, function=function, standing=deputy, from_utc=at)
        )


def _absence_recorded(tx: sa.Connection, subject: str, details: Json) -> None:
    """An entry of a vault of schema 0002 holds its reason itself: its paper follows from it."""
    columns = ("role", "absent", "substitute", "granted_by", "from_utc", "until_utc")
    tx.execute(sa.insert(absence).values(id=subject, **{name: details[name] for name in columns}))
    if "reason" in details:
        moved = reason_of_absence(subject, details["reason"])
        tx.execute(
            sa.insert(paper).values(
                id=moved.id, subject=subject, action="absence.recorded", sha256=moved.sha256
            )
        )


def _absence_ended(tx: sa.Connection, subject: str, details: Json) -> None:
    _set(tx, absence, "id", subject, {"ended_utc": details["ended_utc"]})


def _camera_assigned(tx: sa.Connection, subject: str, details: Json) -> None:
    _end_assignment(tx, subject, details["from_utc"])
    tx.execute(
        sa.insert(assignment).values(
            camera_serial=subject, person=details["person"], from_utc=details["from_utc"]
        )
    )


def _camera_returned(tx: sa.Connection, subject: str, details: Json) -> None:
    _end_assignment(tx, subject, details["until_utc"])


def _end_assignment(tx: sa.Connection, serial: str, until_utc: str) -> None:
    current = sa.and_(assignment.c.camera_serial == serial, assignment.c.until_utc.is_(None))
    tx.execute(sa.update(assignment).where(current).values(until_utc=until_utc))


def _person_present(tx: sa.Connection, subject: str, details: Json) -> None:
    tx.execute(
        sa.delete(present).where(
            present.c.recording_id == subject, present.c.person == details["person"]
        )
    )
    tx.execute(
        sa.insert(present).values(
            recording_id=subject, person=details["person"], how=details["how"]
        )
    )


def _report_filed(tx: sa.Connection, subject: str, details: Json) -> None:
    columns = (
        "person",
        "addressee",
        "used_utc",
        "due_utc",
        "filed_utc",
        "location",
        "announced",
        "informed",
    )
    tx.execute(sa.insert(report).values(id=subject, **{name: details[name] for name in columns}))
    for recording_id in details["recordings"]:
        tx.execute(sa.insert(report_recording).values(report_id=subject, recording_id=recording_id))


def _report_linked(tx: sa.Connection, subject: str, details: Json) -> None:
    tx.execute(
        sa.insert(report_recording).values(report_id=subject, recording_id=details["recording"])
    )


def _report_received(tx: sa.Connection, subject: str, details: Json) -> None:
    _set(
        tx,
        report,
        "id",
        subject,
        {"received_utc": details["received_utc"], "received_by": details["received_by"]},
    )


def _case_registered(tx: sa.Connection, subject: str, details: Json) -> None:
    columns = ("kind", "reference", "received_utc", "registered_utc", "registered_by")
    values = {name: details[name] for name in columns}
    tx.execute(
        sa.insert(case_file).values(
            id=subject, concerned=canonical(details["concerned"]).decode(), **values
        )
    )
    for recording_id in details["recordings"]:
        _place_hold(tx, subject, recording_id, details["received_utc"])


def _case_extended(tx: sa.Connection, subject: str, details: Json) -> None:
    for recording_id in details["recordings"]:
        _place_hold(tx, subject, recording_id, details["since_utc"])


def _place_hold(tx: sa.Connection, case_id: str, recording_id: str, since_utc: str) -> None:
    tx.execute(
        sa.insert(hold).values(case_id=case_id, recording_id=recording_id, since_utc=since_utc)
    )
    tx.execute(sa.delete(mark).where(mark.c.recording_id == recording_id))


def _case_decided(tx: sa.Connection, subject: str, details: Json) -> None:
    names = ("granted", "decided_utc", "decided_by", "objection_until_utc")
    _set(
        tx,
        case_file,
        "id",
        subject,
        {name: details[name] for name in names} | {"carried_out_utc": None},
    )


def _case_carried_out(tx: sa.Connection, subject: str, details: Json) -> None:
    _set(tx, case_file, "id", subject, {"carried_out_utc": details["carried_out_utc"]})


def _case_objected(tx: sa.Connection, subject: str, details: Json) -> None:
    _set(tx, case_file, "id", subject, {"objected_utc": details["objected_utc"]})


def _objection_decided(tx: sa.Connection, subject: str, details: Json) -> None:
    names = ("objection_decided_utc", "objection_upheld")
    _set(tx, case_file, "id", subject, {name: details[name] for name in names})


def _case_closed(tx: sa.Connection, subject: str, details: Json) -> None:
    _set(
        tx,
        case_file,
        "id",
        subject,
        {"closed_utc": details["closed_utc"], "closed_reference": details["reference"]},
    )
    in_force = sa.and_(hold.c.case_id == subject, hold.c.lifted_utc.is_(None))
    tx.execute(sa.update(hold).where(in_force).values(lifted_utc=details["closed_utc"]))


def _archived(tx: sa.Connection, subject: str, details: Json) -> None:
    _set(tx, tables.recording, "id", subject, {"archived_utc": details["archived_utc"]})


def _clock_trusted(tx: sa.Connection, _: str, details: Json) -> None:
    """What came in while the clock was in doubt has no time that means anything: its 28 days start
    when the doubt ended.
    """
    doubted = tables.recording.c.log_sequence >= details["since_sequence"]
    tx.execute(
        sa.update(tables.recording).where(doubted).values(unsure_until_utc=details["wall_utc"])
    )


def _marked(tx: sa.Connection, subject: str, details: Json) -> None:
    tx.execute(sa.delete(mark).where(mark.c.recording_id == subject))
    tx.execute(
        sa.insert(mark).values(
            recording_id=subject, marked_utc=details["marked_utc"], running_s=details["running_s"]
        )
    )


def _unmarked(tx: sa.Connection, subject: str, _: Json) -> None:
    tx.execute(sa.delete(mark).where(mark.c.recording_id == subject))


def _destroyed(tx: sa.Connection, subject: str, details: Json) -> None:
    """The recording's row becomes a tombstone: no officer, and of its files only what knows it
    again on a camera.
    """
    tx.execute(sa.delete(mark).where(mark.c.recording_id == subject))
    tx.execute(
        sa.insert(destruction).values(
            recording_id=subject, destroyed_utc=details["destroyed_utc"], because=details["because"]
        )
    )
    gone = {"destroyed_utc": details["destroyed_utc"], "officer": None, "officer_person": None}
    _set(tx, tables.recording, "id", subject, gone)
    tx.execute(sa.delete(present).where(present.c.recording_id == subject))


def _paper_removed(tx: sa.Connection, subject: str, details: Json) -> None:
    _set(tx, paper, "id", subject, {"removed_utc": details["removed_utc"]})


def _destruction_confirmed(tx: sa.Connection, subject: str, details: Json) -> None:
    _set(tx, destruction, "recording_id", subject, {"confirmed_utc": details["confirmed_utc"]})


def _viewing_requested(tx: sa.Connection, subject: str, details: Json) -> None:
    columns = ("purpose", "case_id", "requested_by", "requested_utc")
    tx.execute(sa.insert(viewing).values(id=subject, **{name: details[name] for name in columns}))
    for recording_id in details["recordings"]:
        tx.execute(
            sa.insert(viewing_recording).values(viewing_id=subject, recording_id=recording_id)
        )


def _viewing_approved(tx: sa.Connection, subject: str, details: Json) -> None:
    _set(tx, viewing, "id", subject, {"approved_by": details["approved_by"]})


def _viewing_refused(tx: sa.Connection, subject: str, details: Json) -> None:
    _set(tx, viewing, "id", subject, {"refused_utc": details["refused_utc"]})


def _viewing_opened(tx: sa.Connection, subject: str, details: Json) -> None:
    first, second = (seat["person"] for seat in details["seats"])
    opened = {
        "opened_utc": details["opened_utc"],
        "first": first,
        "second": second,
        "ended_utc": None,
        "ended_because": None,
    }
    _set(tx, viewing, "id", subject, opened)


def _viewing_ended(tx: sa.Connection, subject: str, details: Json) -> None:
    _set(
        tx,
        viewing,
        "id",
        subject,
        {"ended_utc": details["ended_utc"], "ended_because": details["because"]},
    )


def _handed_over(tx: sa.Connection, subject: str, details: Json) -> None:
    columns = ("case_id", "by_person", "made_utc", "receiver", "sha256")
    tx.execute(sa.insert(hand_over).values(id=subject, **{name: details[name] for name in columns}))


def _hand_over_received(tx: sa.Connection, subject: str, details: Json) -> None:
    _set(
        tx,
        hand_over,
        "id",
        subject,
        {"received_utc": details["received_utc"], "received_by": details["received_by"]},
    )


PROJECTIONS: Mapping[str, Projection] = {
    "vault.founded": _keyring_changed,
    "keyring.changed": _keyring_changed,
    "absence.recorded": _absence_recorded,
    "absence.ended": _absence_ended,
    "camera.assigned": _camera_assigned,
    "camera.returned": _camera_returned,
    "person.present": _person_present,
    "report.filed": _report_filed,
    "report.linked": _report_linked,
    "report.received": _report_received,
    "case.registered": _case_registered,
    "case.extended": _case_extended,
    "case.decided": _case_decided,
    "case.carried_out": _case_carried_out,
    "case.objected": _case_objected,
    "case.objection_decided": _objection_decided,
    "case.closed": _case_closed,
    "recording.archived": _archived,
    "clock.trusted": _clock_trusted,
    "retention.marked": _marked,
    "retention.unmarked": _unmarked,
    "recording.destroyed": _destroyed,
    "destruction.confirmed": _destruction_confirmed,
    "paper.removed": _paper_removed,
    "viewing.requested": _viewing_requested,
    "viewing.approved": _viewing_approved,
    "viewing.refused": _viewing_refused,
    "viewing.opened": _viewing_opened,
    "viewing.ended": _viewing_ended,
    "handover.made": _handed_over,
    "handover.received": _hand_over_received,
}
"""Action to what it means for the registers. FORMAT.md, section 5, has each action's details."""
