"""The start: what waits for whom; signing in and out; the language."""

from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from vault import registers
from vault.clock import utc_moment, utc_text
from vault.confirmation import unconfirmed_since
from vault.errors import UnknownPerson
from vault.fleet import fleet
from vault.policy import Action, Purpose, Role
from vault.reports import addressee, missing_reports
from vault.retention import last_sweep, soon_due
from vault.search import own
from vault.securitykeys import ask
from vault.viewing import may_take_seat
from vault.web.visit import Routes, Visit, permitted
from vault.web.words import LANGUAGES

routes = Routes()


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the menu, and what it asks of a visitor."""

    path: str
    nl: str
    en: str
    asks: tuple[Action | Role, ...] | None


_BROWSERS = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
"""By what a browser says of itself, for people to recognise a screen by; the first that fits."""

VIEWERS = (
    Role.OFFICER,
    Role.COORDINATOR,
    Role.CLUSTER_MANAGER,
    Role.PRIVACY_OFFICER,
    Role.SECRETARY,
    Role.SAFETY_COORDINATOR,
)
"""Everybody who can have a seat in a viewing."""

MENU = (
    Item("/home", "Begin", "Start", None),
    Item("/mine", "Mijn opnamen", "My recordings", (Action.READ_OWN_VIEWINGS,)),
    Item("/reports", "Vastleggingen", "Reports", (Action.FILE_REPORT, Action.RECEIVE_REPORT)),
    Item("/cameras", "Camera's", "Cameras", (Action.ADD_CAMERA,)),
    Item("/recordings", "Opnamen", "Recordings", (Action.LIST_RECORDINGS,)),
    Item("/cases", "Zaken", "Cases", (Action.LIST_RECORDINGS,)),
    Item("/viewings", "Bekijken", "Viewings", VIEWERS),
    Item("/due", "Vervaldata", "Due", (Action.ASK_WHY,)),
    Item("/handovers", "Overdrachten", "Hand-overs", (Action.LIST_RECORDINGS,)),
    Item("/persons", "Personen", "Persons", (Action.RECORD_ABSENCE,)),
    Item("/figures", "Cijfers", "Figures", (Action.READ_FIGURES,)),
    Item("/log", "Logboek", "Log", (Action.READ_LOG,)),
    Item("/state", "Toestand", "Health", (Action.CHECK,)),
)


def menu(visit: Visit) -> list[Item]:
    """What this visitor may open."""
    return [item for item in MENU if item.asks is None or permitted(visit.by, item.asks) is None]


@routes.page("/", public=True)
def front(visit: Visit) -> Response:
    return visit.go("/home" if visit.session is not None else "/sign-in")


@routes.page("/home")
def home(visit: Visit) -> Response:
    """What waits for the visitor, by function."""
    vault, by = visit.vault, visit.by
    coordinates = visit.may(Action.RECEIVE_REPORT) or addressee(vault) in by.roles
    manages = visit.may(Action.LIST_RECORDINGS)
    with vault.reading() as tx:
        reports = registers.reports(tx) if coordinates else []
        viewings = registers.viewings(tx)
        cases = registers.cases(tx, open_only=True) if manages else []
        hand_overs = registers.hand_overs(tx) if visit.may(Action.HAND_OVER) else []
        recorded = {row.id: registers.recordings_of_viewing(tx, row.id) for row in viewings if row.opened_utc is None}
    now = utc_text(vault.clock.now())
    return visit.page(
        "home.html",
        to_write=missing_reports(vault, by.person) if visit.may(Action.FILE_REPORT) else None,
        my_requests=[row for row in viewings if row.requested_by == by.person and row.ended_utc is None][-10:],
        watched=[life for life in own(vault, by).lives if life.viewings] if visit.may(Action.READ_OWN_VIEWINGS) else [],
        to_receive=[row for row in reports if row.received_utc is None] if coordinates else None,
        overdue=[one for one in missing_reports(vault) if one.overdue] if coordinates else [],
        to_approve=[
            row for row in viewings if row.purpose == Purpose.LEARNING.value and not row.approved_by and not row.refused_utc
        ]
        if visit.may(Action.APPROVE_LEARNING) or Role.CLUSTER_MANAGER in by.roles
        else [],
        seats=[row for row in viewings if row.opened_utc is None and row.refused_utc is None and may_take_seat(row, by)],
        recorded=recorded,
        cases=[(row, utc_moment(row.received_utc)) for row in cases],
        away=[one for one in fleet(vault, by) if one.overdue] if visit.may(Action.ADD_CAMERA) else [],
        due=soon_due(vault, by)[:5] if visit.may(Action.ASK_WHY) else [],
        awaiting=last if (last := last_sweep(vault)) is not None and manages and last.awaiting else None,
        unconfirmed=unconfirmed_since(vault) if manages else None,
        receipts=[row for row in hand_overs if row.received_utc is None],
        now=now,
    )


@routes.page("/sign-in", public=True)
def sign_in_page(visit: Visit) -> Response:
    if visit.session is not None and visit.failure is None:
        return visit.go("/home")
    return visit.page("sign_in.html", demo=visit.office.demo)


@routes.deed("/sign-in", public=True, again=sign_in_page)
def sign_in(visit: Visit) -> Response:
    """A new session, under a new token, whatever the browser held before."""
    signed = visit.prove(visit.text("person"))
    agent = visit.request.headers.get("user-agent", "")
    browser = next((name for mark, name in _BROWSERS if mark in agent), "?")
    system = next((name for name in ("Windows", "Android", "iPhone", "Mac", "Linux") if name in agent), "?")
    token, _ = visit.office.sessions.begin(signed.actor.person, f"{browser}, {system}, {visit.where}")
    answer = visit.go("/home")
    secure = visit.vault.settings.web.origin.startswith("https:")
    answer.set_cookie("dock-vault", token, httponly=True, samesite="strict", secure=secure, path="/")
    return answer


@routes.page("/challenge", public=True)
def challenge(visit: Visit) -> Response:
    """What a security key is asked. For an unknown name it looks the same, and leads nowhere."""
    called = visit.query("person")
    try:
        person = visit.vault.keyring.person(called).person
    except UnknownPerson:
        person = f"nobody-{called[:50]}"
    return JSONResponse(visit.ask(ask(visit.vault, person, visit.vault.settings.web.origin), person))


@routes.deed("/sign-out")
def sign_out(visit: Visit) -> Response:
    """The session ends on the server; a viewing it took part in ends with it."""
    visit.office.sessions.end(visit.screen, visit.by.person)
    answer = visit.go("/sign-in")
    answer.delete_cookie("dock-vault", path="/")
    return answer


@routes.deed("/language", public=True)
def language(visit: Visit) -> Response:
    """Dutch or English, kept in the browser."""
    wanted = visit.text("language", optional=True)
    back = visit.text("back", optional=True)
    local = back.startswith("/") and not back.startswith(("//", "/\\"))
    answer = visit.go(back if local else "/")
    if wanted in LANGUAGES:
        answer.set_cookie("language", wanted, max_age=365 * 86400, samesite="strict", httponly=True, path="/")
    return answer


DEEDS = {
    "signed": ("U bent aangemeld.", "You are signed in."),
    "passphrase": (
        "Uw wachtwoordzin is gewijzigd; uw andere schermen zijn afgemeld.",
        "Your passphrase is changed; your other screens are signed out.",
    ),
    "key-added": ("De beveiligingssleutel is toegevoegd.", "The security key was added."),
    "key-removed": ("De beveiligingssleutel is verwijderd.", "The security key was removed."),
    "session-ended": ("Dat scherm is afgemeld.", "That screen is signed out."),
    "report": ("De vastlegging is gemeld.", "The report was filed."),
    "received": ("De vastlegging is ontvangen.", "The report was received."),
    "camera": ("De camera is geregistreerd.", "The camera is registered."),
    "camera-removed": ("De camera is verwijderd; haar opnamen blijven.", "The camera was removed; its recordings stay."),
    "assigned": ("De camera is toegewezen.", "The camera was assigned."),
    "taken-back": ("De camera is bij niemand meer.", "Nobody carries the camera any more."),
    "archived": ("De opname is gearchiveerd. Zij vervalt zoals tevoren.", "The recording was archived. It falls due as before."),
    "present": ("Het is vastgelegd.", "It was written down."),
    "deleted": (
        "De opname is vernietigd. Het bewijs staat in het logboek.",
        "The recording was destroyed. The proof stands in the log.",
    ),
    "case": ("De zaak is geregistreerd; haar opnamen worden vastgehouden.", "The case is registered; its recordings are held."),
    "extended": ("De opnamen worden vastgehouden.", "The recordings are held."),
    "decided": ("Het besluit is vastgelegd.", "The decision was recorded."),
    "carried-out": ("De uitvoering is vastgelegd.", "That it was carried out was recorded."),
    "objection": ("Het bezwaar is geregistreerd; de opnamen blijven.", "The objection is registered; the recordings stay."),
    "closed": ("De zaak is gesloten.", "The case is closed."),
    "requested": ("Het bekijken is aangevraagd.", "The viewing is requested."),
    "approved": ("Het verzoek is goedgekeurd.", "The request is approved."),
    "refused": ("Het verzoek is afgewezen.", "The request is refused."),
    "left": ("Het bekijken is voor beiden afgelopen.", "The viewing has ended for both."),
    "sweep": ("Goedgekeurd voor de volgende ronde.", "Approved for the next sweep."),
    "clock": ("De klok is bevestigd.", "The clock is confirmed."),
    "confirmed": ("De lijst is bevestigd.", "The list is confirmed."),
    "receipt": ("De verantwoordelijkheid is overgedragen.", "The responsibility is passed on."),
    "absence": ("De vervanging is vastgelegd.", "The replacement is on record."),
    "absence-ended": ("De vervanging is beëindigd.", "The replacement has ended."),
    "keyring": ("De sleutelbos is gewijzigd.", "The keyring was changed."),
}


def deeds(code: str) -> tuple[str, str]:
    """What a page says was done; an unknown code says nothing in particular."""
    return DEEDS.get(code, ("Gedaan.", "Done."))
