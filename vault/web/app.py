"""The back office as an ASGI application: every request goes through `_serve`, in this order.

The body is bounded; the origin is held against our own; the session is found; the form's token is
compared; what the route asks is demanded; then the handler runs, in a thread. What a handler raises
becomes a page that says what to do.
"""

import contextlib
import hmac
import importlib
import pkgutil
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount
from starlette.routing import Route as WebRoute
from starlette.staticfiles import StaticFiles

from vault.clock import MachineClock
from vault.custody.people import actor
from vault.errors import Failure, Reaction, UnknownPerson, VaultError
from vault.vault import Vault
from vault.web import pages
from vault.web.challenges import Challenges
from vault.web.headers import SecurityHeaders
from vault.web.live_viewings import LiveViewings
from vault.web.menu import menu
from vault.web.packages import Packages
from vault.web.request import Application, NotFound, PageRequest, permitted
from vault.web.routing import Route
from vault.web.sessions import Sessions
from vault.web.text.done import deeds
from vault.web.text.words import Words
from vault.web.throttle import Slowdown

log = structlog.get_logger()

COOKIE = "dock-vault"
LANGUAGE = "language"
BODY_MAX_BYTES = 128 * 1024
MODULES = tuple(
    importlib.import_module(f"{pages.__name__}.{module.name}")
    for module in pkgutil.iter_modules(pages.__path__)
)
"""Every module of `pages`: a page that is put there is served."""
ROUTES: tuple[Route, ...] = tuple(route for module in MODULES for route in module.routes.found)


class FormStale(VaultError):
    """A form that does not carry its session's token, or came from another site."""

    code = "web.form_stale"
    reaction = Reaction.REFUSE
    hint = "Load the page again and fill in the form once more."


class TooMuch(VaultError):
    """A request's body is larger than any form."""

    code = "web.too_much"
    reaction = Reaction.REFUSE
    hint = "Shorten the text."


def templates() -> Environment:
    """The pages. A name that is not known is an error, not an empty place."""
    made = Environment(
        loader=PackageLoader("vault.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(menu=menu, deeds=deeds)
    return made


def build_application(
    vault: Vault, clock: MachineClock, demo: Mapping[str, str] | None = None
) -> Application:
    """What the requests share."""
    packages = Packages(vault.settings.web.packages)
    live_viewings = LiveViewings(vault, clock, packages.discard)
    sessions = Sessions(clock, vault.settings.web.idle_minutes * 60.0, live_viewings.screen_ended)
    return Application(
        vault,
        clock,
        sessions,
        live_viewings,
        Slowdown(clock),
        Challenges(clock),
        packages,
        templates(),
        demo,
    )


def build_app(application: Application) -> Starlette:
    """The application. It ends every open viewing when it stops."""

    @contextlib.asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(application.live_viewings.end_all, "the back office stopped")

    here = files("vault.web")
    routes: list[Any] = [
        WebRoute(route.path, _serving(application, route), methods=[route.method])
        for route in ROUTES
    ]
    routes.append(Mount("/static", StaticFiles(directory=str(here / "static"))))
    routes.append(Mount("/vendor", StaticFiles(directory=str(here / "vendor"))))
    missing = _serving(application, _MISSING)
    missing_handlers: dict[Any, Any] = {404: missing, 405: missing}
    return Starlette(
        routes=routes,
        middleware=[Middleware(SecurityHeaders)],
        lifespan=life,
        exception_handlers=missing_handlers,
    )


def _not_found(_: PageRequest) -> Response:
    raise NotFound("There is nothing at this address.")


_MISSING = Route("GET", "/{rest:path}", _not_found, public=True)


def _serving(application: Application, route: Route) -> Any:
    async def serve(request: Request, _: object = None) -> Response:
        page = PageRequest(
            application, request, Words(request.cookies.get(LANGUAGE, "nl")), _place(request)
        )
        try:
            if request.method == "POST":
                page.form = await _form(request)
            return await run_in_threadpool(_serve, page, route)
        except Failure as failure:
            return await run_in_threadpool(_refused, page, route, failure)
        except Exception:
            # The outermost layer: a defect of ours is a page with a code, and a trace in the
            # journal.
            log.exception("a page failed", path=request.url.path)
            defect = Failure(
                "A defect of this program. It was written into the journal; nothing was shown."
            )
            return await run_in_threadpool(_refused, page, _MISSING, defect)

    return serve


def _place(request: Request) -> str:
    return request.client.host if request.client is not None else "here"


async def _form(request: Request) -> dict[str, list[str]]:
    """What a form sent, bounded. Raises TooMuch, FormStale."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_MAX_BYTES:
            raise TooMuch(f"A form is at most {BODY_MAX_BYTES // 1024} KiB.")
    try:
        return parse_qs(
            body.decode(),
            keep_blank_values=True,
            strict_parsing=bool(body),
            max_num_fields=2000,
            errors="strict",
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise FormStale("What came is no form of this page.") from error


def _serve(page: PageRequest, route: Route) -> Response:
    application, request = page.application, page.request
    if request.headers.get("host", "") not in _hosts(application):
        raise NotFound("This is not the address of the back office.")
    if request.method != route.method:
        # HEAD would open and log what it does not give out.
        return _bare(HTTPStatus.METHOD_NOT_ALLOWED)
    token = request.cookies.get(COOKIE)
    # Asking where a viewing stands is not using the back office: an idle screen locks, unless a
    # viewing is on it.
    page.session = application.sessions.find(token, touch=not request.url.path.endswith("/here"))
    if page.session is not None:
        try:
            page.actor = actor(application.vault, page.session.person)
        except UnknownPerson:
            # Who left the keyring is signed out everywhere.
            application.sessions.end_others(page.session.person, but="")
            page.session = None
    if request.method == "POST":
        _demand_ours(page, route)
    if not route.public:
        if page.session is None or page.actor is None:
            if (
                request.headers.get("accept", "").startswith("text/html")
                and request.method == "GET"
            ):
                return RedirectResponse("/sign-in", 303)
            return _bare(HTTPStatus.UNAUTHORIZED)
        refusal = permitted(page.actor, route.asks)
        if refusal is not None:
            raise refusal
    page.admitted = True
    return route.handler(page)


def _hosts(application: Application) -> set[str]:
    """The names under which we are asked for; another one is a page elsewhere that had its name
    point here.
    """
    web = application.vault.settings.web
    return {web.origin.split("//", 1)[1], web.listen}


def is_from(request: Request, *origins: str) -> bool:
    """Whether a form came from a page of one of these, by the browser's own word for it."""
    origin = request.headers.get("origin")
    near = request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    return near and (origin is None or origin in origins)


def _demand_ours(page: PageRequest, route: Route) -> None:
    """The form came from our own page: the browser's own word for it, and the session's token.
    Raises FormStale.
    """
    web = page.vault.settings.web
    if not is_from(page.request, web.origin, f"http://{web.listen}"):
        raise FormStale("The form came from another site.")
    session = page.session
    if session is None or (route.public and "csrf" not in page.form):
        return
    if not hmac.compare_digest(page.raw("csrf").encode(), session.csrf.encode()):
        raise FormStale("The form does not belong to this session.")


def _bare(status: HTTPStatus) -> Response:
    return Response(status.phrase, status.value, media_type="text/plain")


def _shows_again(page: PageRequest, route: Route) -> bool:
    """Whether the form's page may be shown once more: to who was let in to the deed, and may open
    that page too.
    """
    if route.again is None or not page.admitted:
        return False
    form = next((one for one in ROUTES if one.method == "GET" and one.handler is route.again), None)
    if form is None or form.public:
        return form is not None
    return page.actor is not None and permitted(page.actor, form.asks) is None


def _refused(page: PageRequest, route: Route, failure: Failure) -> Response:
    """The form once more with the refusal, or the page of the refusal; for a program its code."""
    page.failure = failure
    told = page.said
    assert told is not None
    if failure.reaction is Reaction.ALARM:
        log.error(
            "refused", path=page.request.url.path, code=failure.code, sentence=failure.sentence
        )
    if "text/html" not in page.request.headers.get("accept", "text/html"):
        return JSONResponse(
            {"code": told.code, "sentence": told.sentence, "hint": told.hint}, told.status
        )
    if (
        _shows_again(page, route)
        and told.code not in ("web.form_stale", "web.too_much")
        and told.status != 404
    ):
        try:
            assert route.again is not None
            return route.again(page)
        except Failure:
            # The form's own page can't be shown either: the refusal stands on a page of its own.
            page.failure = failure
    return page.render("refused.html", told.status)
