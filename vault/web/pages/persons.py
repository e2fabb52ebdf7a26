"""Persons, who stands in for whom, and changes of the keyring by its two signers (P23, P41)."""

from starlette.responses import Response

from vault.crypto.escrow_code import as_typed
from vault.crypto.passphrase import PassphraseCost
from vault.custody import keyholders, people
from vault.custody.people import Signed
from vault.keyring.changes import Appoint, Dismiss, Edit, Enrol, Leave, SetOfficer
from vault.keyring.seats import Founder
from vault.rules.actions import Action
from vault.rules.roles import ESCROW_HOLDERS, Function, Role
from vault.web.request import FormWrong, PageRequest
from vault.web.routing import Routes
from vault.web.text.words import local_input

routes = Routes()

CHANGES = ("enrol", "appoint", "dismiss", "officer", "leave")


@routes.page("/persons", Action.RECORD_ABSENCE, Action.CHANGE_KEYRING)
def list_persons(page: PageRequest) -> Response:
    """Who is enrolled, who stands in for whom, and the keyring's signers."""
    keyring = page.vault.keyring
    now = page.vault.clock.now()
    return page.render(
        "persons.html",
        persons=people.listed(page.vault, page.by),
        absences=people.absences(page.vault, page.by)[::-1],
        names=page.names(),
        functions=[(function.value, page.words.function(function.value)) for function in Function],
        now=local_input(now),
        now_utc=now.isoformat(),
        signers=keyholders.fingerprint_lines(keyring),
        version=keyring.version,
    )


@routes.deed("/persons/replace", Action.RECORD_ABSENCE, again=list_persons)
def record_replacement(page: PageRequest) -> Response:
    """Dated, named, by whom granted."""
    period = (page.needed_moment("from"), page.needed_moment("until"))
    role = page.choice("role", Role)
    people.record_absence(
        page.vault,
        page.by,
        role,
        page.text("absent"),
        page.text("substitute"),
        period,
        page.text("reason"),
    )
    return page.go("/persons", "absence")


@routes.deed("/persons/absence/{absence}/end", Action.RECORD_ABSENCE, again=list_persons)
def end_replacement(page: PageRequest) -> Response:
    people.end_absence(page.vault, page.by, page.path("absence"))
    return page.go("/persons", "absence-ended")


@routes.page("/ceremony", Action.CHANGE_KEYRING)
def ceremony_form(page: PageRequest) -> Response:
    """What can be changed, and who has to be there."""
    keyring = page.vault.keyring
    change = page.text("change", optional=True) or page.query("change")
    return page.render(
        "ceremony.html",
        change=change if change in CHANGES else "",
        persons=keyring.persons(),
        signers=[keyring.person(person) for person in keyring.body.signers],
        functions=[(function.value, page.words.function(function.value)) for function in Function],
    )


@routes.deed("/ceremony", Action.CHANGE_KEYRING, again=ceremony_form)
def change_keyring(page: PageRequest) -> Response:
    """Both signers are at this screen; a third person or both escrow codes open what
    the two can't.
    """
    edits = _edits(page)
    first, second = page.prove_self(), page.prove_second()
    helpers: list[Signed] = []
    if page.text("third", optional=True):
        helpers.append(page.prove(page.text("third"), "third_"))
    codes = [page.text(f"code_{holder}", optional=True) for holder in ESCROW_HOLDERS]
    escrow = [
        page.vault.keyring.escrow_private(holder, as_typed(code))
        for holder, code in zip(ESCROW_HOLDERS, codes, strict=True)
        if code
    ]
    identities = [helper.identity for helper in helpers]
    keyholders.change(page.vault, edits, first, second, identities, PassphraseCost(), escrow)
    return page.go("/persons", "keyring")


def _edits(page: PageRequest) -> list[Edit]:
    t = page.words.t
    change = page.text("change")
    if change == "enrol":
        passphrase = page.raw("new_passphrase")
        if passphrase != page.raw("again_passphrase"):
            raise FormWrong(
                t(
                    "De twee nieuwe wachtwoordzinnen zijn niet gelijk.",
                    "The two new passphrases differ.",
                )
            )
        function = page.text("function", optional=True)
        officer = page.text("officer", optional=True) or None
        administrator = page.text("administrator", optional=True) == "yes"
        role = Function(page.choice("function", Function)) if function else None
        return [Enrol(Founder(page.text("name"), passphrase, role, officer, administrator))]
    person = page.vault.keyring.person(page.text("person")).person
    if change == "appoint":
        return [
            Appoint(
                person,
                page.choice("function", Function),
                page.text("standing", optional=True) == "yes",
            )
        ]
    if change == "dismiss":
        return [Dismiss(person, page.choice("function", Function))]
    if change == "officer":
        return [SetOfficer(person, page.text("officer", optional=True) or None)]
    if change != "leave":
        raise FormWrong(t("Kies wat er wijzigt.", "Choose what changes."))
    return _leaving(page, person)


def _leaving(page: PageRequest, person: str) -> list[Edit]:
    """A person leaves; a successor takes every function they held, in the same change."""
    edits: list[Edit] = []
    successor = page.text("successor", optional=True)
    if successor:
        keyring = page.vault.keyring
        after = keyring.person(successor).person
        standing = keyring.holders(standing=True)
        edits += [
            Appoint(after, Function(function), standing=person not in holders)
            for function, holders in keyring.holders().items()
            if person in standing[function]
        ]
    return [*edits, Leave(person)]
