"""What waits for whom: one question a function; a person's inbox holds the answers that are theirs."""

from dataclasses import dataclass
from datetime import datetime

from vault.catalogue import case_rows, report_rows, viewing_rows
from vault.catalogue.case_rows import CaseRow
from vault.catalogue.report_rows import ReportRow
from vault.catalogue.viewing_rows import HandOverRow, ViewingRow
from vault.custody.camera_list import ListedCamera
from vault.custody.camera_list import listed as listed_cameras
from vault.custody.reports import Missing, missing_reports, reads_all
from vault.custody.retention.confirmation import unconfirmed_since
from vault.custody.retention.disposition import soon_due
from vault.custody.retention.sweep import LastSweep, last_sweep
from vault.custody.search import Life, own
from vault.custody.viewing.viewing_requests import (
    ListedViewing,
    all_viewings,
    awaits_approval,
    decides,
    may_take_seat,
)
from vault.rules.actions import Action, Actor, demand, may
from vault.vault import Vault

REQUESTS_SHOWN, DUE_SHOWN = 10, 5


@dataclass(frozen=True, slots=True)
class Inbox:
    """What waits for one person. None: that is never theirs; empty: nothing of it waits."""

    to_write: tuple[Missing, ...] | None
    to_receive: tuple[ReportRow, ...] | None
    overdue_reports: tuple[Missing, ...]
    requests: tuple[ViewingRow, ...]
    to_approve: tuple[ViewingRow, ...]
    seats: tuple[ListedViewing, ...]
    watched: tuple[Life, ...]
    overdue_cameras: tuple[ListedCamera, ...]
    cases: tuple[CaseRow, ...]
    due: tuple[tuple[datetime, str], ...]
    awaiting_sweep: LastSweep | None
    unconfirmed_utc: str | None
    receipts: tuple[HandOverRow, ...]


def inbox(vault: Vault, by: Actor) -> Inbox:
    """What waits for a person, by the functions they hold or stand in for. Raises NotAllowed."""
    demand(Action.SIGN_IN, by)
    viewings = all_viewings(vault)
    addressed = reads_all(vault, by)
    return Inbox(
        to_write=_to_write(vault, by),
        to_receive=_to_receive(vault) if addressed else None,
        overdue_reports=_overdue_reports(vault) if addressed else (),
        requests=_requests(viewings, by),
        to_approve=_to_approve(viewings) if decides(by) else (),
        seats=_seats(viewings, by),
        watched=_watched(vault, by),
        overdue_cameras=_overdue_cameras(vault, by),
        cases=_open_cases(vault, by),
        due=_due(vault, by),
        awaiting_sweep=_awaiting_sweep(vault, by),
        unconfirmed_utc=unconfirmed_since(vault) if may(Action.LIST_RECORDINGS, by) else None,
        receipts=_receipts(vault, by),
    )


# --- reports --------------------------------------------------------------------------------------


def _to_write(vault: Vault, by: Actor) -> tuple[Missing, ...] | None:
    return tuple(missing_reports(vault, by.person)) if may(Action.FILE_REPORT, by) else None


def _to_receive(vault: Vault) -> tuple[ReportRow, ...]:
    with vault.reading() as tx:
        return tuple(row for row in report_rows.reports(tx) if row.received_utc is None)


def _overdue_reports(vault: Vault) -> tuple[Missing, ...]:
    return tuple(one for one in missing_reports(vault) if one.overdue)


# --- viewings -------------------------------------------------------------------------------------


def _requests(viewings: list[ListedViewing], by: Actor) -> tuple[ViewingRow, ...]:
    mine = [one.row for one in viewings if one.row.requested_by == by.person]
    return tuple(row for row in mine if row.ended_utc is None)[-REQUESTS_SHOWN:]


def _to_approve(viewings: list[ListedViewing]) -> tuple[ViewingRow, ...]:
    return tuple(one.row for one in viewings if awaits_approval(one.row))


def _seats(viewings: list[ListedViewing], by: Actor) -> tuple[ListedViewing, ...]:
    requested = [
        one for one in viewings if one.row.opened_utc is None and one.row.refused_utc is None
    ]
    return tuple(one for one in requested if may_take_seat(one.row, by))


def _watched(vault: Vault, by: Actor) -> tuple[Life, ...]:
    if not may(Action.READ_OWN_VIEWINGS, by):
        return ()
    return tuple(life for life in own(vault, by).lives if life.viewings)


# --- what the coordinator, the cluster manager and the privacy officer look after -----------------


def _overdue_cameras(vault: Vault, by: Actor) -> tuple[ListedCamera, ...]:
    if not may(Action.ADD_CAMERA, by):
        return ()
    return tuple(one for one in listed_cameras(vault, by) if one.overdue)


def _open_cases(vault: Vault, by: Actor) -> tuple[CaseRow, ...]:
    if not may(Action.LIST_RECORDINGS, by):
        return ()
    with vault.reading() as tx:
        return tuple(case_rows.cases(tx, open_only=True))


def _due(vault: Vault, by: Actor) -> tuple[tuple[datetime, str], ...]:
    return tuple(soon_due(vault, by)[:DUE_SHOWN]) if may(Action.ASK_WHY, by) else ()


def _awaiting_sweep(vault: Vault, by: Actor) -> LastSweep | None:
    last = last_sweep(vault) if may(Action.LIST_RECORDINGS, by) else None
    return last if last is not None and last.awaiting else None


def _receipts(vault: Vault, by: Actor) -> tuple[HandOverRow, ...]:
    if not may(Action.HAND_OVER, by):
        return ()
    with vault.reading() as tx:
        return tuple(row for row in viewing_rows.hand_overs(tx) if row.received_utc is None)
