"""Reports of use: one's own, the coordinator's inbox, what is missing (P21, P22); the officer's own
recordings (P39).
"""

from starlette.responses import Response

from vault.catalogue import deletion_rows, report_rows
from vault.clock import utc_moment
from vault.custody.papers import Paper, read_paper
from vault.custody.people import entry
from vault.custody.reports import (
    Location,
    UseReport,
    addressee,
    file_report,
    missing_reports,
    on_without_carrier,
    receive,
    reports_without_recording,
)
from vault.custody.search import own
from vault.custody.viewing.viewing_requests import viewings_of
from vault.errors import NotAllowed
from vault.rules.actions import Action, demand
from vault.web.request import NotFound, Visit
from vault.web.routing import Routes
from vault.web.text.words import local_input

routes = Routes()


def _reads_all(visit: Visit) -> bool:
    return visit.may(Action.RECEIVE_REPORT) or addressee(visit.vault) in visit.by.roles


@routes.page("/reports", Action.FILE_REPORT, Action.RECEIVE_REPORT, Action.LIST_RECORDINGS)
def listed(visit: Visit) -> Response:
    """One's own; and for the addressee everybody's, with what is missing."""
    vault, mine = visit.vault, visit.by.person
    everybody = _reads_all(visit)
    with vault.reading() as tx:
        rows = [row for row in report_rows.reports(tx) if everybody or row.person == mine]
    return visit.page(
        "reports.html",
        rows=list(reversed(rows[-200:])),
        everybody=everybody,
        missing=missing_reports(vault, None if everybody else mine),
        alone=reports_without_recording(vault) if everybody else [],
        carried_by_nobody=on_without_carrier(vault) if everybody else [],
        names=visit.names(),
        may_write=visit.may(Action.FILE_REPORT),
    )


@routes.page("/reports/new", Action.FILE_REPORT)
def blank(visit: Visit) -> Response:
    """The form, with time, length and camera of the recording it is about filled in."""
    vault, by = visit.vault, visit.by
    waiting = [one.recording for one in missing_reports(vault, by.person)]
    chosen = set(visit.many("recording")) or {visit.query("recording")}
    first = next((row for row in waiting if row.id in chosen), None)
    moment = (
        first.triggered_utc or first.started_utc or first.docked_utc
        if first is not None
        else vault.now_utc()
    )
    return visit.page(
        "report_new.html",
        waiting=waiting,
        chosen=chosen,
        used=local_input(utc_moment(moment)),
        places=[(place.value, visit.words.place(place.value)) for place in Location],
        to=addressee(vault).value,
    )


@routes.deed("/reports/new", Action.FILE_REPORT, again=blank)
def file(visit: Visit) -> Response:
    use = UseReport(
        tuple(visit.many("recording")),
        visit.needed_moment("used"),
        visit.choice("location", Location),
        visit.text("cause"),
        visit.text("event"),
        visit.yes("announced"),
        visit.text("announcement"),
        visit.yes("informed"),
        visit.text("information"),
    )
    file_report(visit.vault, visit.by, use)
    return visit.go("/reports", "report")


@routes.page("/reports/{report}", Action.FILE_REPORT, Action.RECEIVE_REPORT, Action.LIST_RECORDINGS)
def one(visit: Visit) -> Response:
    """A report with its text: for who wrote it and whom it went to. That another read it stands in
    the log.
    """
    vault, report_id = visit.vault, visit.path("report")
    with vault.reading() as tx:
        row = report_rows.report_of(tx, report_id)
        papers = deletion_rows.papers_of(tx, report_id)
        recordings = report_rows.recordings_of_report(tx, report_id)
    if row is None:
        raise NotFound("There is no such report.")
    if row.person != visit.by.person:
        if not _reads_all(visit):
            raise NotAllowed(f"{visit.by.name} neither wrote this report nor received it.")
        acting = (
            demand(Action.RECEIVE_REPORT, visit.by) if visit.may(Action.RECEIVE_REPORT) else None
        )
        told = (
            entry(acting, "report.read", report_id, {})
            if acting is not None
            else visit.own_entry("report.read", report_id)
        )
        vault.record(told)
    texts = [read_paper(vault, Paper(paper.id, paper.sha256)) for paper in papers]
    return visit.page(
        "report.html",
        row=row,
        text=next((text for text in texts if text), None),
        recordings=recordings,
        names=visit.names(),
        may_receive=row.received_utc is None and _reads_all(visit),
    )


@routes.deed("/reports/{report}/receive", Action.RECEIVE_REPORT, Action.LIST_RECORDINGS, again=one)
def received(visit: Visit) -> Response:
    report_id = visit.path("report")
    with visit.vault.reading() as tx:
        if report_rows.report_of(tx, report_id) is None:
            raise NotFound("There is no such report.")
    receive(visit.vault, visit.by, report_id)
    return visit.go("/reports", "received")


@routes.page("/mine", Action.READ_OWN_VIEWINGS)
def mine(visit: Visit) -> Response:
    """The officer's own recordings, and whether each was viewed."""
    found = own(visit.vault, visit.by, visit.page_number())
    return visit.page("mine.html", found=found, names=visit.names())


@routes.page("/mine/{recording}", Action.READ_OWN_VIEWINGS)
def who_watched(visit: Visit) -> Response:
    """Who watched it, when and why. The question stands in the log."""
    recording_id = visit.path("recording")
    rows = viewings_of(visit.vault, visit.by, recording_id)
    return visit.page("who_watched.html", recording=recording_id, rows=rows, names=visit.names())
