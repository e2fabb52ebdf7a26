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
from vault.web.request import NotFound, PageRequest
from vault.web.routing import Routes
from vault.web.text.words import local_input

routes = Routes()


@routes.page("/reports", *READERS)
def list_reports(page: PageRequest) -> Response:
    """One's own; and for the addressee everybody's, with what is missing."""
    found = listed(page.vault, page.by)
    return page.render(
        "reports.html",
        rows=found.rows[-200:][::-1],
        everybody=found.everybody,
        missing=found.missing,
        alone=found.without_recording,
        carried_by_nobody=found.without_carrier,
        names=page.names(),
        may_write=page.may(Action.FILE_REPORT),
    )


@routes.page("/reports/new", Action.FILE_REPORT)
def report_form(page: PageRequest) -> Response:
    """The form, with time, length and camera of the recording it is about filled in."""
    vault = page.vault
    waiting = [one.recording for one in to_write(vault, page.by)]
    chosen = set(page.many("recording")) or {page.query("recording")}
    first = next((row for row in waiting if row.id in chosen), None)
    moment = (
        first.triggered_utc or first.started_utc or first.docked_utc
        if first is not None
        else vault.now_utc()
    )
    return page.render(
        "report_new.html",
        waiting=waiting,
        chosen=chosen,
        used=local_input(utc_moment(moment)),
        places=[(place.value, page.words.place(place.value)) for place in Location],
        to=addressee(vault).value,
    )


@routes.deed("/reports/new", Action.FILE_REPORT, again=report_form)
def write_report(page: PageRequest) -> Response:
    use = UseReport(
        tuple(page.many("recording")),
        page.needed_moment("used"),
        page.choice("location", Location),
        page.text("cause"),
        page.text("event"),
        page.yes("announced"),
        page.text("announcement"),
        page.yes("informed"),
        page.text("information"),
    )
    file_report(page.vault, page.by, use)
    return page.go("/reports", "report")


@routes.page("/reports/{report}", *READERS)
def show_report(page: PageRequest) -> Response:
    """A report with its text: for who wrote it and whom it went to. That another read it stands in
    the log.
    """
    found = read(page.vault, page.by, page.path("report"))
    if found is None:
        raise NotFound("There is no such report.")
    return page.render(
        "report.html",
        row=found.row,
        text=found.text,
        recordings=found.recordings,
        names=page.names(),
        may_receive=found.may_receive,
    )


@routes.deed(
    "/reports/{report}/receive", Action.RECEIVE_REPORT, Action.LIST_RECORDINGS, again=show_report
)
def receive_report(page: PageRequest) -> Response:
    try:
        receive(page.vault, page.by, page.path("report"))
    except ReportRefused as refusal:
        raise NotFound("There is no such report.") from refusal
    return page.go("/reports", "received")


@routes.page("/mine", Action.READ_OWN_VIEWINGS)
def list_own_recordings(page: PageRequest) -> Response:
    """The officer's own recordings, and whether each was viewed."""
    found = own(page.vault, page.by, page.page_number())
    return page.render("mine.html", found=found, names=page.names())


@routes.page("/mine/{recording}", Action.READ_OWN_VIEWINGS)
def show_viewers(page: PageRequest) -> Response:
    """Who watched it, when and why. The question stands in the log."""
    recording_id = page.path("recording")
    rows = viewings_of(page.vault, page.by, recording_id)
    return page.render("who_watched.html", recording=recording_id, rows=rows, names=page.names())
