"""Viewing by two: asked for, joined, unlocked by both, watched, left (P36 to P42, P46 to P56).

A viewing's page tells where it stands; `/here` tells a screen the same, every second or so, and so
we know that the screen is there.
"""

from starlette.responses import JSONResponse, Response

from vault.catalogue import case_rows, deletion_rows, person_rows, recording_rows, viewing_rows
from vault.catalogue.viewing_rows import ViewingRow
from vault.custody.papers import Paper, read_paper
from vault.custody.people import entry
from vault.custody.search import Search, find, own
from vault.custody.viewing.viewing_requests import (
    UnknownViewing,
    ViewingRefused,
    approve,
    may_take_seat,
    refuse,
    request,
)
from vault.errors import NotAllowed
from vault.rules.actions import Action, demand
from vault.rules.case_kinds import CaseKind
from vault.rules.purposes import PURPOSES, Purpose
from vault.rules.roles import Role
from vault.web.menu import VIEWERS
from vault.web.request import Visit
from vault.web.routing import Routes

routes = Routes()


@routes.page("/viewings", *VIEWERS)
def listed(visit: Visit) -> Response:
    """For who may read the log, every viewing, and that it was read stands there; for others those
    that concern them.
    """
    vault, by = visit.vault, visit.by
    with vault.reading() as tx:
        rows = viewing_rows.viewings(tx)
        recordings = {row.id: viewing_rows.recordings_of_viewing(tx, row.id) for row in rows}
    everything = visit.may(Action.READ_LOG)
    if everything:
        told = entry(demand(Action.READ_LOG, by), "log.read", None, {"what": "viewings"})
        vault.record(told)
    else:
        rows = [row for row in rows if _concerns(visit, row)]
    rooms = set(visit.office.rooms.open_ids())
    return visit.page(
        "viewings.html",
        rows=list(reversed(rows[-200:])),
        recordings=recordings,
        names=visit.names(),
        open=rooms,
    )


def _concerns(visit: Visit, row: ViewingRow) -> bool:
    person = visit.by.person
    if person in (row.requested_by, row.first, row.second):
        return True
    waits = row.opened_utc is None and row.refused_utc is None
    if waits and row.purpose == Purpose.LEARNING.value and row.approved_by is None:
        return visit.may(Action.APPROVE_LEARNING) or Role.CLUSTER_MANAGER in visit.by.roles
    return may_take_seat(row, visit.by) and (waits or row.ended_utc is None)


@routes.page("/viewings/new", *VIEWERS)
def blank(visit: Visit) -> Response:
    """The form. With a case its recordings can be chosen; to learn, one's own."""
    vault = visit.vault
    called = visit.text("case", optional=True) or visit.query("case")
    with vault.reading() as tx:
        case = case_rows.case_of(tx, called) if called else None
        cases = case_rows.cases(tx, open_only=True)
    if case is not None and visit.may(Action.LIST_RECORDINGS):
        lives = find(vault, visit.by, Search(case=case.id, archived=True)).lives
    elif visit.may(Action.REQUEST_LEARNING):
        lives = own(vault, visit.by, visit.page_number()).lives
    else:
        lives = ()
    purposes = [
        (purpose.value, visit.words.purpose(purpose.value))
        for purpose, rule in PURPOSES.items()
        if (rule.case is None and visit.may(Action.REQUEST_LEARNING))
        or (
            rule.case is not None
            and _seats(visit, purpose)
            and (case is None or rule.case is CaseKind(case.kind))
        )
    ]
    return visit.page(
        "viewing_new.html",
        case=case,
        cases=cases if visit.may(Action.LIST_RECORDINGS) else [],
        lives=lives,
        chosen=set(visit.many("recording")) | ({visit.query("recording")} - {""}),
        purposes=purposes,
    )


def _seats(visit: Visit, purpose: Purpose) -> bool:
    mine = visit.by.roles | {one.role for one in visit.by.replacements}
    return bool(mine & {*PURPOSES[purpose].first, *PURPOSES[purpose].second})


@routes.deed("/viewings/new", *VIEWERS, again=blank)
def ask(visit: Visit) -> Response:
    purpose: Purpose = visit.choice("purpose", Purpose)
    case = visit.text("case", optional=True) or None
    reason = visit.text("reason", optional=PURPOSES[purpose].case is not None)
    viewing_id = request(
        visit.vault, visit.by, purpose, visit.many("recording"), case=case, reason=reason
    )
    return visit.go(f"/viewings/{viewing_id}", "requested")


@routes.page("/viewings/{viewing}", *VIEWERS)
def one(visit: Visit) -> Response:
    """Where it stands, and what this visitor can do: agree, unlock, watch."""
    vault = visit.vault
    row = _row(visit)
    with vault.reading() as tx:
        ids = viewing_rows.recordings_of_viewing(tx, row.id)
        recordings = [
            found for one in ids if (found := recording_rows.find_recording(tx, one)) is not None
        ]
        case = case_rows.case_of(tx, row.case_id) if row.case_id else None
        there = {one: person_rows.persons_present(tx, one) for one in ids}
        papers = deletion_rows.papers_of(tx, row.id)
    # Why it was asked for: for who asked, who decides, and who answers for all of it.
    knows = row.requested_by == visit.by.person or visit.may(
        Action.APPROVE_LEARNING, Action.READ_LOG
    )
    texts = [read_paper(vault, Paper(paper.id, paper.sha256)) for paper in papers] if knows else []
    waits_for_leave = (
        row.purpose == Purpose.LEARNING.value and not row.approved_by and not row.refused_utc
    )
    return visit.page(
        "viewing.html",
        row=row,
        reasons=[text["reason"] for text in texts if text and text.get("reason")],
        recordings=recordings,
        there=there,
        case=case,
        rule=PURPOSES[Purpose(row.purpose)],
        standing=visit.office.rooms.standing(row.id, visit.screen),
        may_decide=waits_for_leave
        and row.requested_by != visit.by.person
        and (visit.may(Action.APPROVE_LEARNING) or Role.CLUSTER_MANAGER in visit.by.roles),
        may_unlock=may_take_seat(row, visit.by) and not row.refused_utc and not waits_for_leave,
        waits_for_leave=waits_for_leave,
        names=visit.names(),
        persons=vault.keyring.persons(),
    )


def _row(visit: Visit) -> ViewingRow:
    """The viewing, where it concerns the visitor. Raises UnknownViewing, NotAllowed."""
    with visit.vault.reading() as tx:
        row = viewing_rows.viewing_of(tx, visit.path("viewing"))
    if row is None:
        raise UnknownViewing("There is no such viewing.")
    if not (_concerns(visit, row) or visit.may(Action.READ_LOG) or may_take_seat(row, visit.by)):
        raise NotAllowed(f"{visit.by.name} has no part in this viewing.")
    return row


@routes.deed("/viewings/{viewing}/approve", *VIEWERS, again=one)
def agree(visit: Visit) -> Response:
    approve(visit.vault, visit.by, _row(visit).id)
    return visit.go(f"/viewings/{visit.path('viewing')}", "approved")


@routes.deed("/viewings/{viewing}/refuse", *VIEWERS, again=one)
def decline(visit: Visit) -> Response:
    refuse(visit.vault, visit.by, _row(visit).id, visit.text("reason"))
    return visit.go(f"/viewings/{visit.path('viewing')}", "refused")


@routes.deed("/viewings/{viewing}/unlock", *VIEWERS, again=one)
def unlock(visit: Visit) -> Response:
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
def here(visit: Visit) -> Response:
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
def watch(visit: Visit) -> Response:
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
    vault = visit.vault
    with vault.reading() as tx:
        rows = [
            found
            for one in recordings
            if (found := recording_rows.find_recording(tx, one)) is not None
        ]
        case = case_rows.case_of(tx, row.case_id) if row.case_id else None
    reel = reels[chosen]
    statement = statements[chosen]
    names = visit.names()
    return visit.page(
        "watch.html",
        row=row,
        rows=rows,
        chosen=next(found for found in rows if found.id == chosen),
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
        case=case,
        both=[
            (names.get(seat.person, seat.person), visit.words.role(seat.role.value))
            for seat in seats
        ],
        copies=PURPOSES[Purpose(row.purpose)].copy,
    )


@routes.deed("/viewings/{viewing}/leave", *VIEWERS)
def leave(visit: Visit) -> Response:
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
