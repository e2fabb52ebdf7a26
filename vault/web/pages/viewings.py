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
from vault.web.request import Visit
from vault.web.routing import Routes

routes = Routes()


@routes.page("/viewings", *VIEWERS)
def list_viewings(visit: Visit) -> Response:
    """For who may read the log, every viewing, and that it was read stands there; for others those
    that concern them.
    """
    found = viewing_requests.listed(visit.vault, visit.by)
    return visit.page(
        "viewings.html",
        viewings=found[-200:][::-1],
        names=visit.names(),
        open=set(visit.office.rooms.open_ids()),
    )


@routes.page("/viewings/new", *VIEWERS)
def viewing_form(visit: Visit) -> Response:
    """The form. With a case its recordings can be chosen; to learn, one's own."""
    vault, by = visit.vault, visit.by
    called = visit.text("case", optional=True) or visit.query("case")
    case = viewing_requests.case_to_view(vault, by, called) if called else None
    lists = visit.may(Action.LIST_RECORDINGS)
    return visit.page(
        "viewing_new.html",
        case=case,
        cases=[one.row for one in cases.listed(vault, by)] if lists else [],
        lives=_choice(visit, case.id if case is not None else None),
        chosen=set(visit.many("recording")) | ({visit.query("recording")} - {""}),
        purposes=[
            (purpose.value, visit.words.purpose(purpose.value))
            for purpose in viewing_requests.purposes_for(by, case)
        ],
    )


def _choice(visit: Visit, case_id: str | None) -> tuple[Life, ...]:
    """The recordings to choose from."""
    if case_id is not None and visit.may(Action.LIST_RECORDINGS):
        return find(visit.vault, visit.by, Search(case=case_id, archived=True)).lives
    if visit.may(Action.REQUEST_LEARNING):
        return own(visit.vault, visit.by, visit.page_number()).lives
    return ()


@routes.deed("/viewings/new", *VIEWERS, again=viewing_form)
def request_viewing(visit: Visit) -> Response:
    purpose: Purpose = visit.choice("purpose", Purpose)
    case = visit.text("case", optional=True) or None
    reason = visit.text("reason", optional=PURPOSES[purpose].case is not None)
    viewing_id = request(
        visit.vault, visit.by, purpose, visit.many("recording"), case=case, reason=reason
    )
    return visit.go(f"/viewings/{viewing_id}", "requested")


@routes.page("/viewings/{viewing}", *VIEWERS)
def show_viewing(visit: Visit) -> Response:
    """Where it stands, and what this visitor can do: agree, unlock, watch."""
    read = viewing_requests.read(visit.vault, visit.by, visit.path("viewing"))
    return visit.page(
        "viewing.html",
        row=read.row,
        reasons=read.reasons,
        recordings=read.recordings,
        present=read.present,
        case=read.case,
        rule=PURPOSES[Purpose(read.row.purpose)],
        standing=visit.office.rooms.standing(read.row.id, visit.screen),
        may_decide=read.may_decide,
        may_unlock=read.may_unlock,
        awaits_approval=read.awaits_approval,
        names=visit.names(),
        persons=visit.vault.keyring.persons(),
    )


def _row(visit: Visit) -> Viewing:
    """The viewing, where it concerns the visitor. Raises UnknownViewing, NotAllowed."""
    return viewing_requests.demand_part(visit.vault, visit.by, visit.path("viewing"))


@routes.deed("/viewings/{viewing}/approve", *VIEWERS, again=show_viewing)
def approve_request(visit: Visit) -> Response:
    approve(visit.vault, visit.by, _row(visit).id)
    return visit.go(f"/viewings/{visit.path('viewing')}", "approved")


@routes.deed("/viewings/{viewing}/refuse", *VIEWERS, again=show_viewing)
def refuse_request(visit: Visit) -> Response:
    refuse(visit.vault, visit.by, _row(visit).id, visit.text("reason"))
    return visit.go(f"/viewings/{visit.path('viewing')}", "refused")


@routes.deed("/viewings/{viewing}/unlock", *VIEWERS, again=show_viewing)
def unlock_viewing(visit: Visit) -> Response:
    """One of the two unlocks, or both at this screen. The conditions are confirmed by each."""
    row = _row(visit)
    confirmed = visit.many("confirm")
    for condition in PURPOSES[Purpose(row.purpose)].conditions:
        if condition.code not in confirmed:
            raise ViewingRefused(f"Not confirmed: „{condition.nl}” ({condition.en})")
    rooms = visit.office.rooms
    if visit.text("second", optional=True):
        first, second = visit.prove_self(), visit.prove_second()
        rooms.open_both(row.id, first, second, confirmed, visit.screen)
        return visit.go(f"/viewings/{row.id}/watch")
    if not may_take_seat(row, visit.by):
        raise NotAllowed(
            f"{visit.by.name} has no seat in this viewing. "
            f"{PURPOSES[Purpose(row.purpose)].sentence.quoted()}"
        )
    opened = rooms.join(row.id, visit.prove_self(), confirmed, visit.screen)
    return visit.go(f"/viewings/{row.id}/watch" if opened else f"/viewings/{row.id}")


@routes.page("/viewings/{viewing}/here", *VIEWERS)
def tell_state(visit: Visit) -> Response:
    """Where it stands, for the page's own script. A screen that takes part keeps its session by
    asking.
    """
    row = _row(visit)
    standing = visit.office.rooms.standing(row.id, visit.screen)
    if standing.joined:
        visit.office.sessions.find(visit.request.cookies.get("dock-vault"))
    names = visit.names()
    return JSONResponse(
        {
            "joined": standing.joined,
            "waiting": names.get(standing.waiting, "") if standing.waiting else "",
            "over": standing.over,
            "seconds_left": standing.seconds_left,
        }
    )


@routes.page("/viewings/{viewing}/watch", *VIEWERS)
def show_player(visit: Visit) -> Response:
    """The player. Only a screen of one of the two has it."""
    row = _row(visit)
    rooms = visit.office.rooms
    with rooms.room(row.id, visit.screen) as room:
        recordings = room.session.recordings
        seats = room.session.seats
        statements = {one: room.session.manifest(one) for one in recordings}
        reels = {one: rooms.reel(row.id, one, visit.screen) for one in recordings}
    wanted = visit.query("recording")
    chosen = wanted if wanted in recordings else recordings[0]
    read = viewing_requests.read(visit.vault, visit.by, row.id)
    reel = reels[chosen]
    statement = statements[chosen]
    names = visit.names()
    return visit.page(
        "watch.html",
        row=row,
        rows=read.recordings,
        chosen=next(found for found in read.recordings if found.id == chosen),
        reel=reel,
        facts={
            "viewing": row.id,
            "recording": chosen,
            "duration_ms": reel.duration_ms,
            "switched_on_ms": reel.switched_on_ms,
            "init": reel.init_bytes is not None,
            "gaps": [[gap.start_ms, gap.duration_ms] for gap in reel.gaps],
            "files": len(reel.files),
        },
        signature=None if statement is None else statement.holds,
        stated=statement is not None,
        case=read.case,
        both=[
            (names.get(seat.person, seat.person), visit.words.role(seat.role.value))
            for seat in seats
        ],
        copies=PURPOSES[Purpose(row.purpose)].copy,
    )


@routes.deed("/viewings/{viewing}/leave", *VIEWERS)
def leave_viewing(visit: Visit) -> Response:
    """Whoever leaves ends it for both."""
    row = _row(visit)
    standing = visit.office.rooms.standing(row.id, visit.screen)
    # At one screen for two, either name ends it; the session's person took part in it.
    person = (
        visit.by.person
        if visit.by.person in standing.persons or not standing.joined
        else standing.persons[0]
    )
    visit.office.rooms.leave(row.id, person)
    return visit.go(f"/viewings/{row.id}", "left")
