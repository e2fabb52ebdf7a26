"""The start: what waits for whom."""

from starlette.responses import Response

from vault.catalogue import case_rows, report_rows, viewing_rows
from vault.clock import utc_moment
from vault.custody.camera_list import fleet
from vault.custody.reports import addressee, missing_reports
from vault.custody.retention.confirmation import unconfirmed_since
from vault.custody.retention.disposition import soon_due
from vault.custody.retention.sweep import last_sweep
from vault.custody.search import own
from vault.custody.viewing.viewing_requests import may_take_seat
from vault.rules.actions import Action
from vault.rules.purposes import Purpose
from vault.rules.roles import Role
from vault.web.request import Visit
from vault.web.routing import Routes

routes = Routes()


@routes.page("/", public=True)
def front(visit: Visit) -> Response:
    return visit.go("/home" if visit.session is not None else "/sign-in")


@routes.page("/home")
def home(visit: Visit) -> Response:
    """What waits for the visitor, by function."""
    vault, by = visit.vault, visit.by
    coordinates = visit.may(Action.RECEIVE_REPORT) or addressee(vault) in by.roles
    manages = visit.may(Action.LIST_RECORDINGS)
    with vault.reading() as tx:
        reports = report_rows.reports(tx) if coordinates else []
        viewings = viewing_rows.viewings(tx)
        cases = case_rows.cases(tx, open_only=True) if manages else []
        hand_overs = viewing_rows.hand_overs(tx) if visit.may(Action.HAND_OVER) else []
        recorded = {
            row.id: viewing_rows.recordings_of_viewing(tx, row.id)
            for row in viewings
            if row.opened_utc is None
        }
    now = vault.now_utc()
    return visit.page(
        "home.html",
        to_write=missing_reports(vault, by.person) if visit.may(Action.FILE_REPORT) else None,
        my_requests=[
            row for row in viewings if row.requested_by == by.person and row.ended_utc is None
        ][-10:],
        watched=[life for life in own(vault, by).lives if life.viewings]
        if visit.may(Action.READ_OWN_VIEWINGS)
        else [],
        to_receive=[row for row in reports if row.received_utc is None] if coordinates else None,
        overdue=[one for one in missing_reports(vault) if one.overdue] if coordinates else [],
        to_approve=[
            row
            for row in viewings
            if row.purpose == Purpose.LEARNING.value and not row.approved_by and not row.refused_utc
        ]
        if visit.may(Action.APPROVE_LEARNING) or Role.CLUSTER_MANAGER in by.roles
        else [],
        seats=[
            row
            for row in viewings
            if row.opened_utc is None and row.refused_utc is None and may_take_seat(row, by)
        ],
        recorded=recorded,
        cases=[(row, utc_moment(row.received_utc)) for row in cases],
        away=[one for one in fleet(vault, by) if one.overdue]
        if visit.may(Action.ADD_CAMERA)
        else [],
        due=soon_due(vault, by)[:5] if visit.may(Action.ASK_WHY) else [],
        awaiting=last
        if (last := last_sweep(vault)) is not None and manages and last.awaiting
        else None,
        unconfirmed=unconfirmed_since(vault) if manages else None,
        receipts=[row for row in hand_overs if row.received_utc is None],
        now=now,
    )
