"""Viewing by two: asked for, joined, unlocked by both, watched, left (P36 to P42, P46 to P56).

A viewing's page tells where it stands; `/here` tells a screen the same, every second or so, and so
we know that the screen is there.
"""

from starlette.responses import JSONResponse, Response

from vault.custody import cases
from vault.custody.search import Life, Search, find, own
from vault.custody.viewing import viewing_requests
from vault.custody.viewing.viewing_requests import (
    VIEWERS,
    Viewing,
    ViewingRefused,
    approve,
    may_take_seat,
    refuse,
    request,
)
from vault.errors import NotAllowed
from vault.rules.actions import Action
from vault.rules.purposes import PURPOSES, Purpose
from vault.web.request import PageRequest
from vault.web.routing import Routes

routes = Routes()


@routes.page("/viewings", *VIEWERS)
def list_viewings(page: PageRequest) -> Response:
    """For who may read the log, every viewing, and that it was read stands there; for others those
    that concern them.
    """
    found = viewing_requests.listed(page.vault, page.by)
    return page.render(
        "viewings.html",
        viewings=found[-200:][::-1],
        names=page.names(),
        open=set(page.application.live_viewings.open_ids()),
    )


@routes.page("/viewings/new", *VIEWERS)
def viewing_form(page: PageRequest) -> Response:
    """The form. With a case its recordings can be chosen; to learn, one's own."""
    vault, by = page.vault, page.by
    called = page.text("case", optional=True) or page.query("case")
    case = viewing_requests.case_to_view(vault, by, called) if called else None
    lists = page.may(Action.LIST_RECORDINGS)
    return page.render(
        "viewing_new.html",
        case=case,
        cases=[one.row for one in cases.listed(vault, by)] if lists else [],
        lives=_choice(page, case.id if case is not None else None),
        chosen=set(page.many("recording")) | ({page.query("recording")} - {""}),
        purposes=[
            (purpose.value, page.words.purpose(purpose.value))
            for purpose in viewing_requests.purposes_for(by, case)
        ],
    )


def _choice(page: PageRequest, case_id: str | None) -> tuple[Life, ...]:
    """The recordings to choose from."""
    if case_id is not None and page.may(Action.LIST_RECORDINGS):
        return find(page.vault, page.by, Search(case=case_id, archived=True)).lives
    if page.may(Action.REQUEST_LEARNING):
        return own(page.vault, page.by, page.page_number()).lives
    return ()


@routes.deed("/viewings/new", *VIEWERS, again=viewing_form)
def request_viewing(page: PageRequest) -> Response:
    purpose: Purpose = page.choice("purpose", Purpose)
    case = page.text("case", optional=True) or None
    reason = page.text("reason", optional=PURPOSES[purpose].case is not None)
    viewing_id = request(
        page.vault, page.by, purpose, page.many("recording"), case=case, reason=reason
    )
    return page.go(f"/viewings/{viewing_id}", "requested")


@routes.page("/viewings/{viewing}", *VIEWERS)
def show_viewing(page: PageRequest) -> Response:
    """Where it stands, and what this visitor can do: agree, unlock, watch."""
    read = viewing_requests.read(page.vault, page.by, page.path("viewing"))
    return page.render(
        "viewing.html",
        row=read.row,
        reasons=read.reasons,
        recordings=read.recordings,
        present=read.present,
        case=read.case,
        rule=PURPOSES[Purpose(read.row.purpose)],
        standing=page.application.live_viewings.standing(read.row.id, page.screen),
        may_decide=read.may_decide,
        may_unlock=read.may_unlock,
        awaits_approval=read.awaits_approval,
        names=page.names(),
        persons=page.vault.keyring.persons(),
    )


def _row(page: PageRequest) -> Viewing:
    """The viewing, where it concerns the visitor. Raises UnknownViewing, NotAllowed."""
    return viewing_requests.demand_part(page.vault, page.by, page.path("viewing"))


@routes.deed("/viewings/{viewing}/approve", *VIEWERS, again=show_viewing)
def approve_request(page: PageRequest) -> Response:
    approve(page.vault, page.by, _row(page).id)
    return page.go(f"/viewings/{page.path('viewing')}", "approved")


@routes.deed("/viewings/{viewing}/refuse", *VIEWERS, again=show_viewing)
def refuse_request(page: PageRequest) -> Response:
    refuse(page.vault, page.by, _row(page).id, page.text("reason"))
    return page.go(f"/viewings/{page.path('viewing')}", "refused")


@routes.deed("/viewings/{viewing}/unlock", *VIEWERS, again=show_viewing)
def unlock_viewing(page: PageRequest) -> Response:
    """One of the two unlocks, or both at this screen. The conditions are confirmed by each."""
    row = _row(page)
    confirmed = page.many("confirm")
    for condition in PURPOSES[Purpose(row.purpose)].conditions:
        if condition.code not in confirmed:
            raise ViewingRefused(f"Not confirmed: „{condition.nl}” ({condition.en})")
    live_viewings = page.application.live_viewings
    if page.text("second", optional=True):
        first, second = page.prove_self(), page.prove_second()
        live_viewings.open_both(row.id, first, second, confirmed, page.screen)
        return page.go(f"/viewings/{row.id}/watch")
    if not may_take_seat(row, page.by):
        raise NotAllowed(
            f"{page.by.name} has no seat in this viewing. "
            f"{PURPOSES[Purpose(row.purpose)].sentence.quoted()}"
        )
    opened = live_viewings.join(row.id, page.prove_self(), confirmed, page.screen)
    return page.go(f"/viewings/{row.id}/watch" if opened else f"/viewings/{row.id}")


@routes.page("/viewings/{viewing}/here", *VIEWERS)
def tell_state(page: PageRequest) -> Response:
    """Where it stands, for the page's own script. A screen that takes part keeps its session by
    asking.
    """
    row = _row(page)
    standing = page.application.live_viewings.standing(row.id, page.screen)
    if standing.joined:
        page.application.sessions.find(page.request.cookies.get("dock-vault"))
    names = page.names()
    return JSONResponse(
        {
            "joined": standing.joined,
            "waiting": names.get(standing.waiting, "") if standing.waiting else "",
            "over": standing.over,
            "seconds_left": standing.seconds_left,
        }
    )


@routes.page("/viewings/{viewing}/watch", *VIEWERS)
def show_player(page: PageRequest) -> Response:
    """The player. Only a screen of one of the two has it."""
    row = _row(page)
    live_viewings = page.application.live_viewings
    with live_viewings.live_viewing(row.id, page.screen) as live:
        recordings = live.session.recordings
        seats = live.session.seats
        statements = {one: live.session.manifest(one) for one in recordings}
        timelines = {one: live_viewings.timeline(row.id, one, page.screen) for one in recordings}
    wanted = page.query("recording")
    chosen = wanted if wanted in recordings else recordings[0]
    read = viewing_requests.read(page.vault, page.by, row.id)
    timeline = timelines[chosen]
    statement = statements[chosen]
    names = page.names()
    return page.render(
        "watch.html",
        row=row,
        rows=read.recordings,
        chosen=next(found for found in read.recordings if found.id == chosen),
        timeline=timeline,
        facts={
            "viewing": row.id,
            "recording": chosen,
            "duration_ms": timeline.duration_ms,
            "switched_on_ms": timeline.switched_on_ms,
            "init": timeline.init_bytes is not None,
            "gaps": [[gap.start_ms, gap.duration_ms] for gap in timeline.gaps],
            "files": len(timeline.files),
        },
        signature=None if statement is None else statement.holds,
        stated=statement is not None,
        case=read.case,
        both=[
            (names.get(seat.person, seat.person), page.words.role(seat.role.value))
            for seat in seats
        ],
        copies=PURPOSES[Purpose(row.purpose)].copy,
    )


@routes.deed("/viewings/{viewing}/leave", *VIEWERS)
def leave_viewing(page: PageRequest) -> Response:
    """Whoever leaves ends it for both."""
    row = _row(page)
    standing = page.application.live_viewings.standing(row.id, page.screen)
    # At one screen for two, either name ends it; the session's person took part in it.
    person = (
        page.by.person
        if page.by.person in standing.persons or not standing.joined
        else standing.persons[0]
    )
    page.application.live_viewings.leave(row.id, person)
    return page.go(f"/viewings/{row.id}", "left")
