"""Signing in and out, and the choice of language."""

from starlette.responses import JSONResponse, Response

from vault.custody.security_keys import ask
from vault.errors import UnknownPerson
from vault.web.request import PageRequest
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
def sign_in_page(page: PageRequest) -> Response:
    if page.session is not None and page.failure is None:
        return page.go("/home")
    return page.render("sign_in.html", demo=page.application.demo)


@routes.deed("/sign-in", public=True, again=sign_in_page)
def sign_in(page: PageRequest) -> Response:
    """A new session, under a new token, whatever the browser held before."""
    signed = page.prove(page.text("person"))
    agent = page.request.headers.get("user-agent", "")
    browser = next((name for mark, name in _BROWSERS if mark in agent), "?")
    system = next(
        (name for name in ("Windows", "Android", "iPhone", "Mac", "Linux") if name in agent), "?"
    )
    token, _ = page.application.sessions.begin(
        signed.actor.person, f"{browser}, {system}, {page.where}"
    )
    answer = page.go("/home")
    secure = page.vault.settings.web.origin.startswith("https:")
    answer.set_cookie(
        "dock-vault", token, httponly=True, samesite="strict", secure=secure, path="/"
    )
    return answer


@routes.page("/challenge", public=True)
def challenge(page: PageRequest) -> Response:
    """What a security key is asked. For an unknown name it looks the same, and leads nowhere."""
    called = page.query("person")
    try:
        person = page.vault.keyring.person(called).person
    except UnknownPerson:
        person = f"nobody-{called[:50]}"
    return JSONResponse(page.ask(ask(page.vault, person, page.vault.settings.web.origin), person))


@routes.deed("/sign-out")
def sign_out(page: PageRequest) -> Response:
    """The session ends on the server; a viewing it took part in ends with it."""
    page.application.sessions.end(page.screen, page.by.person)
    answer = page.go("/sign-in")
    answer.delete_cookie("dock-vault", path="/")
    return answer


@routes.deed("/language", public=True)
def language(page: PageRequest) -> Response:
    """Dutch or English, kept in the browser."""
    wanted = page.text("language", optional=True)
    back = page.text("back", optional=True)
    local = back.startswith("/") and not back.startswith(("//", "/\\"))
    answer = page.go(back if local else "/")
    if wanted in LANGUAGES:
        answer.set_cookie(
            "language", wanted, max_age=365 * 86400, samesite="strict", httponly=True, path="/"
        )
    return answer
