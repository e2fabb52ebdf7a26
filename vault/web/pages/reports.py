"""Reports of use: one's own, the coordinator's inbox, what is missing (P21, P22); the officer's own
recordings (P39).
"""

from starlette.responses import Response

from vault.clock import utc_moment
from vault.custody.reports import (
    READERS,
    Location,
    ReportRefused,
    UseReport,
    addressee,
    file_report,
    listed,
    read,
    receive,
    to_write,
)
from vault.custody.search import own
from vault.custody.viewing.viewing_requests import viewings_of
from vault.rules.actions import Action
from vault.web.request import NotFound, Visit
from vault.web.routing import Routes
from vault.web.text.words import local_input

routes = Routes()


@routes.page("/reports", *READERS)
def list_reports(visit: Visit) -> Response:
    """One's own; and for the addressee everybody's, with what is missing."""
    found = listed(visit.vault, visit.by)
    return visit.page(
        "reports.html",
        rows=found.rows[-200:][::-1],
        everybody=found.everybody,
        missing=found.missing,
        alone=found.without_recording,
        carried_by_nobody=found.without_carrier,
        names=visit.names(),
        may_write=visit.may(Action.FILE_REPORT),
    )


@routes.page("/reports/new", Action.FILE_REPORT)
def report_form(visit: Visit) -> Response:
    """The form, with time, length and camera of the recording it is about filled in."""
    vault = visit.vault
    waiting = [one.recording for one in to_write(vault, visit.by)]
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


@routes.deed("/reports/new", Action.FILE_REPORT, again=report_form)
def write_report(visit: Visit) -> Response:
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


@routes.page("/reports/{report}", *READERS)
def show_report(visit: Visit) -> Response:
    """A report with its text: for who wrote it and whom it went to. That another read it stands in
    the log.
    """
    found = read(visit.vault, visit.by, visit.path("report"))
    if found is None:
        raise NotFound("There is no such report.")
    return visit.page(
        "report.html",
        row=found.row,
        text=found.text,
        recordings=found.recordings,
        names=visit.names(),
        may_receive=found.may_receive,
    )


@routes.deed(
    "/reports/{report}/receive", Action.RECEIVE_REPORT, Action.LIST_RECORDINGS, again=show_report
)
def receive_report(visit: Visit) -> Response:
    try:
        receive(visit.vault, visit.by, visit.path("report"))
    except ReportRefused as refusal:
        raise NotFound("There is no such report.") from refusal
    return visit.go("/reports", "received")


@routes.page("/mine", Action.READ_OWN_VIEWINGS)
def list_own_recordings(visit: Visit) -> Response:
    """The officer's own recordings, and whether each was viewed."""
    found = own(visit.vault, visit.by, visit.page_number())
    return visit.page("mine.html", found=found, names=visit.names())


@routes.page("/mine/{recording}", Action.READ_OWN_VIEWINGS)
def show_viewers(visit: Visit) -> Response:
    """Who watched it, when and why. The question stands in the log."""
    recording_id = visit.path("recording")
    rows = viewings_of(visit.vault, visit.by, recording_id)
    return visit.page("who_watched.html", recording=recording_id, rows=rows, names=visit.names())
