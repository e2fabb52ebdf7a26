"""Cases, and the register of access requests apart (P32 to P35, P57 to P61)."""

from starlette.responses import Response

from vault.custody import cases
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
)
from vault.custody.search import Search, find
from vault.custody.viewing.viewing_requests import purpose_for
from vault.rules.actions import Action
from vault.rules.case_kinds import CASES, HAND_OVER_KINDS, CaseKind
from vault.web.request import Visit
from vault.web.routing import Routes
from vault.web.text.words import local_input

routes = Routes()


@routes.page("/cases", Action.LIST_RECORDINGS)
def list_cases(visit: Visit) -> Response:
    """The cases; `?all=yes` the closed ones too, `?kind=access_request` the register of access
    requests (P60).
    """
    closed_too, asked = visit.query("all") == "yes", visit.query("kind")
    kind = next((one for one in CaseKind if one.value == asked), None)
    listed = cases.listed(visit.vault, visit.by, kind=kind, closed_too=closed_too)
    return visit.page(
        "cases.html",
        cases=listed,
        kind=kind.value if kind is not None else "",
        all=closed_too,
    )


@routes.page("/cases/new", Action.REGISTER_CASE)
def case_form(visit: Visit) -> Response:
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


@routes.deed("/cases/new", Action.REGISTER_CASE, again=case_form)
def register_case(visit: Visit) -> Response:
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
def show_case(visit: Visit) -> Response:
    """A case with its papers. That it was read stands in the log."""
    read = cases.read(visit.vault, visit.by, visit.path("case"))
    kind = CaseKind(read.row.kind)
    return visit.page(
        "case.html",
        row=read.row,
        held=read.holds,
        papers=read.papers,
        reads=read.reads_papers,
        viewings=read.viewings,
        hand_overs=read.hand_overs,
        others=read.others,
        lacks=read.lacks,
        rule=CASES[kind],
        purpose=purpose_for(kind).value,
        leaves=kind in HAND_OVER_KINDS,
        names=visit.names(),
        now=local_input(visit.vault.clock.now()),
    )


def _back(visit: Visit, done: str) -> Response:
    return visit.go(f"/cases/{visit.path('case')}", done)


def _id(visit: Visit) -> str:
    return find_case(visit.vault, visit.path("case")).id


@routes.deed("/cases/{case}/extend", Action.REGISTER_CASE, again=show_case)
def add_recordings(visit: Visit) -> Response:
    extend(visit.vault, visit.by, _id(visit), visit.many("recording"))
    return _back(visit, "extended")


@routes.deed("/cases/{case}/decide", Action.DECIDE_ACCESS, again=show_case)
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


@routes.deed("/cases/{case}/carried-out", Action.DECIDE_ACCESS, again=show_case)
def was_carried_out(visit: Visit) -> Response:
    carry_out(visit.vault, visit.by, _id(visit))
    return _back(visit, "carried-out")


@routes.deed("/cases/{case}/objection", Action.DECIDE_ACCESS, Action.REGISTER_CASE, again=show_case)
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
    "/cases/{case}/objection-decided", Action.DECIDE_ACCESS, Action.REGISTER_CASE, again=show_case
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


@routes.deed("/cases/{case}/close", Action.CLOSE_CASE, again=show_case)
def end(visit: Visit) -> Response:
    close(visit.vault, visit.by, _id(visit), reference=visit.text("reference", optional=True))
    return _back(visit, "closed")
