"""Signing in and out, and the choice of language."""

from starlette.responses import JSONResponse, Response

from vault.custody.security_keys import ask
from vault.errors import UnknownPerson
from vault.web.request import Visit
from vault.web.routing import Routes
from vault.web.text.words import LANGUAGES

routes = Routes()

_BROWSERS = (
    ("Edg/", "Edge"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
"""By what a browser says of itself, for people to recognise a screen by; the first that fits."""


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
    system = next(
        (name for name in ("Windows", "Android", "iPhone", "Mac", "Linux") if name in agent), "?"
    )
    token, _ = visit.office.sessions.begin(
        signed.actor.person, f"{browser}, {system}, {visit.where}"
    )
    answer = visit.go("/home")
    secure = visit.vault.settings.web.origin.startswith("https:")
    answer.set_cookie(
        "dock-vault", token, httponly=True, samesite="strict", secure=secure, path="/"
    )
    return answer


@routes.page("/challenge", public=True)
def challenge(visit: Visit) -> Response:
    """What a security key is asked. For an unknown name it looks the same, and leads nowhere."""
    called = visit.query("person")
    try:
        person = visit.vault.keyring.person(called).person
    except UnknownPerson:
        person = f"nobody-{called[:50]}"
    return JSONResponse(
        visit.ask(ask(visit.vault, person, visit.vault.settings.web.origin), person)
    )


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
        answer.set_cookie(
            "language", wanted, max_age=365 * 86400, samesite="strict", httponly=True, path="/"
        )
    return answer
