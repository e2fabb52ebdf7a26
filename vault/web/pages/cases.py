"""Cases, and the register of access requests apart (P32 to P35, P57 to P61)."""

from starlette.responses import Response

from vault.catalogue import case_rows, deletion_rows, viewing_rows
from vault.catalogue.case_rows import CaseRow
from vault.custody.cases import (
    NewCase,
    carry_out,
    close,
    decide,
    decide_objection,
    extend,
    find_case,
    register,
    register_objection,
    still_open_because,
    suggestions,
)
from vault.custody.papers import Paper, read_paper
from vault.custody.people import entry
from vault.custody.search import Search, find
from vault.rules.actions import Action, demand
from vault.rules.case_kinds import CASES, HAND_OVER_KINDS, CaseKind
from vault.rules.purposes import PURPOSES
from vault.web.request import Visit
from vault.web.routing import Routes
from vault.web.text.words import local_input

routes = Routes()


@routes.page("/cases", Action.LIST_RECORDINGS)
def listed(visit: Visit) -> Response:
    """The cases; `?all=yes` the closed ones too, `?kind=access_request` the register of access
    requests (P60).
    """
    vault, kind = visit.vault, visit.query("kind")
    with vault.reading() as tx:
        rows = case_rows.cases(tx, open_only=visit.query("all") != "yes")
        rows = [row for row in rows if not kind or row.kind == kind]
        held = {row.id: len(case_rows.holds_of_case(tx, row.id)) for row in rows}
    now = vault.clock.now()
    stands = {row.id: still_open_because(row, "", now) for row in rows}
    return visit.page(
        "cases.html",
        rows=rows,
        held=held,
        stands=stands,
        kind=kind,
        all=visit.query("all") == "yes",
    )


@routes.page("/cases/new", Action.REGISTER_CASE)
def blank(visit: Visit) -> Response:
    """The form; recordings are chosen from the newest ones, or come with the link."""
    chosen = set(visit.many("recording")) | ({visit.query("recording")} - {""})
    found = find(visit.vault, visit.by, Search(page=visit.page_number()))
    return visit.page(
        "case_new.html",
        kinds=[(kind.value, visit.words.kind(kind.value)) for kind in CaseKind],
        found=found,
        chosen=chosen,
        persons=visit.vault.keyring.persons(),
        now=local_input(visit.vault.clock.now()),
    )


@routes.deed("/cases/new", Action.REGISTER_CASE, again=blank)
def add(visit: Visit) -> Response:
    new = NewCase(
        visit.choice("kind", CaseKind),
        visit.text("reference"),
        visit.needed_moment("received"),
        tuple(visit.many("recording")),
        frozenset(visit.many("concerned")),
        visit.text("text", optional=True),
    )
    return visit.go(f"/cases/{register(visit.vault, visit.by, new)}", "case")


@routes.page("/cases/{case}", Action.LIST_RECORDINGS)
def one(visit: Visit) -> Response:
    """A case with its papers. That it was read stands in the log."""
    vault = visit.vault
    row = find_case(vault, visit.path("case"))
    register_apart = row.kind == CaseKind.ACCESS_REQUEST.value
    # The register of access requests is the privacy officer's; who holds recordings sees that the
    # case stands, not its papers.
    reads = not register_apart or visit.may(Action.READ_ACCESS_REGISTER)
    acting = demand(
        Action.READ_ACCESS_REGISTER if register_apart and reads else Action.LIST_RECORDINGS,
        visit.by,
    )
    with vault.reading() as tx:
        held = case_rows.holds_of_case(tx, row.id)
        papers = deletion_rows.papers_of(tx, row.id) if reads else []
        viewings = [viewing for viewing in viewing_rows.viewings(tx) if viewing.case_id == row.id]
        hand_overs = [given for given in viewing_rows.hand_overs(tx) if given.case_id == row.id]
    vault.record(entry(acting, "case.read", row.id, {}))
    ids = [hold.recording_id for hold in held]
    return visit.page(
        "case.html",
        row=row,
        held=held,
        papers=[
            (paper.action, read_paper(vault, Paper(paper.id, paper.sha256))) for paper in papers
        ],
        reads=reads,
        viewings=viewings,
        hand_overs=hand_overs,
        others=suggestions(vault, ids) if row.closed_utc is None and ids else [],
        lacks=still_open_because(row, "", vault.clock.now()),
        rule=CASES[CaseKind(row.kind)],
        purpose=_purpose_of(row),
        leaves=CaseKind(row.kind) in HAND_OVER_KINDS,
        names=visit.names(),
        now=local_input(vault.clock.now()),
    )


def _purpose_of(row: CaseRow) -> str:
    """The purpose of viewing that rests on a case of this kind."""
    return next(
        purpose.value
        for purpose, rule in PURPOSES.items()
        if rule.case is not None and rule.case.value == row.kind
    )


def _back(visit: Visit, done: str) -> Response:
    return visit.go(f"/cases/{visit.path('case')}", done)


def _id(visit: Visit) -> str:
    return find_case(visit.vault, visit.path("case")).id


@routes.deed("/cases/{case}/extend", Action.REGISTER_CASE, again=one)
def add_recordings(visit: Visit) -> Response:
    extend(visit.vault, visit.by, _id(visit), visit.many("recording"))
    return _back(visit, "extended")


@routes.deed("/cases/{case}/decide", Action.DECIDE_ACCESS, again=one)
def take_decision(visit: Visit) -> Response:
    necessity, reasons = visit.text("necessity"), visit.text("reasons")
    decide(
        visit.vault,
        visit.by,
        _id(visit),
        granted=visit.yes("granted"),
        necessity=necessity,
        reasons=reasons,
    )
    return _back(visit, "decided")


@routes.deed("/cases/{case}/carried-out", Action.DECIDE_ACCESS, again=one)
def was_carried_out(visit: Visit) -> Response:
    carry_out(visit.vault, visit.by, _id(visit))
    return _back(visit, "carried-out")


@routes.deed("/cases/{case}/objection", Action.DECIDE_ACCESS, Action.REGISTER_CASE, again=one)
def objection(visit: Visit) -> Response:
    register_objection(
        visit.vault,
        visit.by,
        _id(visit),
        visit.needed_moment("received"),
        visit.text("text", optional=True),
    )
    return _back(visit, "objection")


@routes.deed(
    "/cases/{case}/objection-decided", Action.DECIDE_ACCESS, Action.REGISTER_CASE, again=one
)
def objection_decided(visit: Visit) -> Response:
    decide_objection(
        visit.vault,
        visit.by,
        _id(visit),
        upheld=visit.yes("upheld"),
        reference=visit.text("reference"),
    )
    return _back(visit, "decided")


@routes.deed("/cases/{case}/close", Action.CLOSE_CASE, again=one)
def end(visit: Visit) -> Response:
    close(visit.vault, visit.by, _id(visit), reference=visit.text("reference", optional=True))
    return _back(visit, "closed")
