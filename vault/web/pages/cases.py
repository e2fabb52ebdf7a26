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
from vault.web.request import PageRequest
from vault.web.routing import Routes
from vault.web.text.words import local_input

routes = Routes()


@routes.page("/cases", Action.LIST_RECORDINGS)
def list_cases(page: PageRequest) -> Response:
    """The cases; `?all=yes` the closed ones too, `?kind=access_request` the register of access
    requests (P60).
    """
    closed_too, asked = page.query("all") == "yes", page.query("kind")
    kind = next((one for one in CaseKind if one.value == asked), None)
    listed = cases.listed(page.vault, page.by, kind=kind, closed_too=closed_too)
    return page.render(
        "cases.html",
        cases=listed,
        kind=kind.value if kind is not None else "",
        all=closed_too,
    )


@routes.page("/cases/new", Action.REGISTER_CASE)
def case_form(page: PageRequest) -> Response:
    """The form; recordings are chosen from the newest ones, or come with the link."""
    chosen = set(page.many("recording")) | ({page.query("recording")} - {""})
    found = find(page.vault, page.by, Search(page=page.page_number()))
    return page.render(
        "case_new.html",
        kinds=[(kind.value, page.words.kind(kind.value)) for kind in CaseKind],
        found=found,
        chosen=chosen,
        persons=page.vault.keyring.persons(),
        now=local_input(page.vault.clock.now()),
    )


@routes.deed("/cases/new", Action.REGISTER_CASE, again=case_form)
def register_case(page: PageRequest) -> Response:
    new = NewCase(
        page.choice("kind", CaseKind),
        page.text("reference"),
        page.needed_moment("received"),
        tuple(page.many("recording")),
        frozenset(page.many("concerned")),
        page.text("text", optional=True),
    )
    return page.go(f"/cases/{register(page.vault, page.by, new)}", "case")


@routes.page("/cases/{case}", Action.LIST_RECORDINGS)
def show_case(page: PageRequest) -> Response:
    """A case with its papers. That it was read stands in the log."""
    read = cases.read(page.vault, page.by, page.path("case"))
    kind = CaseKind(read.row.kind)
    return page.render(
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
        names=page.names(),
        now=local_input(page.vault.clock.now()),
    )


def _back(page: PageRequest, done: str) -> Response:
    return page.go(f"/cases/{page.path('case')}", done)


def _id(page: PageRequest) -> str:
    return find_case(page.vault, page.path("case")).id


@routes.deed("/cases/{case}/extend", Action.REGISTER_CASE, again=show_case)
def add_recordings(page: PageRequest) -> Response:
    extend(page.vault, page.by, _id(page), page.many("recording"))
    return _back(page, "extended")


@routes.deed("/cases/{case}/decide", Action.DECIDE_ACCESS, again=show_case)
def take_decision(page: PageRequest) -> Response:
    necessity, reasons = page.text("necessity"), page.text("reasons")
    decide(
        page.vault,
        page.by,
        _id(page),
        granted=page.yes("granted"),
        necessity=necessity,
        reasons=reasons,
    )
    return _back(page, "decided")


@routes.deed("/cases/{case}/carried-out", Action.DECIDE_ACCESS, again=show_case)
def was_carried_out(page: PageRequest) -> Response:
    carry_out(page.vault, page.by, _id(page))
    return _back(page, "carried-out")


@routes.deed("/cases/{case}/objection", Action.DECIDE_ACCESS, Action.REGISTER_CASE, again=show_case)
def objection(page: PageRequest) -> Response:
    register_objection(
        page.vault,
        page.by,
        _id(page),
        page.needed_moment("received"),
        page.text("text", optional=True),
    )
    return _back(page, "objection")


@routes.deed(
    "/cases/{case}/objection-decided", Action.DECIDE_ACCESS, Action.REGISTER_CASE, again=show_case
)
def objection_decided(page: PageRequest) -> Response:
    decide_objection(
        page.vault,
        page.by,
        _id(page),
        upheld=page.yes("upheld"),
        reference=page.text("reference"),
    )
    return _back(page, "decided")


@routes.deed("/cases/{case}/close", Action.CLOSE_CASE, again=show_case)
def end(page: PageRequest) -> Response:
    close(page.vault, page.by, _id(page), reference=page.text("reference", optional=True))
    return _back(page, "closed")
