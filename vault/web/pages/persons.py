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
from vault.web.request import FormWrong, Visit
from vault.web.routing import Routes
from vault.web.text.words import local_input

routes = Routes()

CHANGES = ("enrol", "appoint", "dismiss", "officer", "leave")


@routes.page("/persons", Action.RECORD_ABSENCE, Action.CHANGE_KEYRING)
def list_persons(visit: Visit) -> Response:
    """Who is enrolled, who stands in for whom, and the keyring's signers."""
    keyring = visit.vault.keyring
    now = visit.vault.clock.now()
    return visit.page(
        "persons.html",
        persons=people.listed(visit.vault, visit.by),
        absences=people.absences(visit.vault, visit.by)[::-1],
        names=visit.names(),
        functions=[(function.value, visit.words.function(function.value)) for function in Function],
        now=local_input(now),
        now_utc=now.isoformat(),
        signers=keyholders.fingerprint_lines(keyring),
        version=keyring.version,
    )


@routes.deed("/persons/replace", Action.RECORD_ABSENCE, again=list_persons)
def record_replacement(visit: Visit) -> Response:
    """Dated, named, by whom granted."""
    period = (visit.needed_moment("from"), visit.needed_moment("until"))
    role = visit.choice("role", Role)
    people.record_absence(
        visit.vault,
        visit.by,
        role,
        visit.text("absent"),
        visit.text("substitute"),
        period,
        visit.text("reason"),
    )
    return visit.go("/persons", "absence")


@routes.deed("/persons/absence/{absence}/end", Action.RECORD_ABSENCE, again=list_persons)
def end_replacement(visit: Visit) -> Response:
    people.end_absence(visit.vault, visit.by, visit.path("absence"))
    return visit.go("/persons", "absence-ended")


@routes.page("/ceremony", Action.CHANGE_KEYRING)
def ceremony_form(visit: Visit) -> Response:
    """What can be changed, and who has to be there."""
    keyring = visit.vault.keyring
    change = visit.text("change", optional=True) or visit.query("change")
    return visit.page(
        "ceremony.html",
        change=change if change in CHANGES else "",
        persons=keyring.persons(),
        signers=[keyring.person(person) for person in keyring.body.signers],
        functions=[(function.value, visit.words.function(function.value)) for function in Function],
    )


@routes.deed("/ceremony", Action.CHANGE_KEYRING, again=ceremony_form)
def change_keyring(visit: Visit) -> Response:
    """Both signers are at this screen; a third person or both escrow codes open what
    the two can't.
    """
    edits = _edits(visit)
    first, second = visit.prove_self(), visit.prove_second()
    helpers: list[Signed] = []
    if visit.text("third", optional=True):
        helpers.append(visit.prove(visit.text("third"), "third_"))
    codes = [visit.text(f"code_{holder}", optional=True) for holder in ESCROW_HOLDERS]
    escrow = [
        visit.vault.keyring.escrow_private(holder, as_typed(code))
        for holder, code in zip(ESCROW_HOLDERS, codes, strict=True)
        if code
    ]
    identities = [helper.identity for helper in helpers]
    keyholders.change(visit.vault, edits, first, second, identities, PassphraseCost(), escrow)
    return visit.go("/persons", "keyring")


def _edits(visit: Visit) -> list[Edit]:
    t = visit.words.t
    change = visit.text("change")
    if change == "enrol":
        passphrase = visit.raw("new_passphrase")
        if passphrase != visit.raw("again_passphrase"):
            raise FormWrong(
                t(
                    "De twee nieuwe wachtwoordzinnen zijn niet gelijk.",
                    "The two new passphrases differ.",
                )
            )
        function = visit.text("function", optional=True)
        officer = visit.text("officer", optional=True) or None
        administrator = visit.text("administrator", optional=True) == "yes"
        role = Function(visit.choice("function", Function)) if function else None
        return [Enrol(Founder(visit.text("name"), passphrase, role, officer, administrator))]
    person = visit.vault.keyring.person(visit.text("person")).person
    if change == "appoint":
        return [
            Appoint(
                person,
                visit.choice("function", Function),
                visit.text("standing", optional=True) == "yes",
            )
        ]
    if change == "dismiss":
        return [Dismiss(person, visit.choice("function", Function))]
    if change == "officer":
        return [SetOfficer(person, visit.text("officer", optional=True) or None)]
    if change != "leave":
        raise FormWrong(t("Kies wat er wijzigt.", "Choose what changes."))
    return _leaving(visit, person)


def _leaving(visit: Visit, person: str) -> list[Edit]:
    """A person leaves; a successor takes every function they held, in the same change."""
    edits: list[Edit] = []
    successor = visit.text("successor", optional=True)
    if successor:
        keyring = visit.vault.keyring
        after = keyring.person(successor).person
        standing = keyring.holders(standing=True)
        edits += [
            Appoint(after, Function(function), standing=person not in holders)
            for function, holders in keyring.holders().items()
            if person in standing[function]
        ]
    return [*edits, Leave(person)]
