"""The first start: the key ceremony as pages, while there is no vault yet.

Whoever stands at the machine's console has the word that lets the ceremony begin; a page from
elsewhere has not. The five holders type in turn. The escrow's two papers are shown for printing,
once, and forgotten; then the back office begins.
"""

import base64
import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from vault.clock import MachineClock, utc_text
from vault.config import VaultSettings
from vault.crypto.escrow_code import new_code, picture_svg
from vault.crypto.passphrase import PassphraseCost
from vault.custody.keyholders import fingerprint_lines
from vault.custody.witness import log_key
from vault.errors import Failure, Reaction, VaultError, VaultExists
from vault.keyring.first import Founders
from vault.keyring.seats import Founder
from vault.operations.founding import found, papers_are_printed, unprinted
from vault.rules.roles import ESCROW_HOLDERS, Function
from vault.vault import Vault
from vault.web.app import BODY_MAX_BYTES, is_from, templates
from vault.web.headers import SecurityHeaders
from vault.web.text.errors import said
from vault.web.text.words import Words


class CeremonyRefused(VaultError):
    """The ceremony's form is not complete, or its word is not the one on the console."""

    code = "web.ceremony_refused"
    reaction = Reaction.REFUSE
    hint = "Correct the named field. Nothing was made yet."


@dataclass(slots=True)
class Ceremony:
    """One first start. `word`: what the console shows. `papers`: holder to code, until they were
    printed.
    """

    settings: VaultSettings
    clock: MachineClock
    cost: PassphraseCost
    done: Callable[[], None]
    word: str = field(default_factory=lambda: secrets.token_hex(4))
    papers: dict[str, str] = field(default_factory=dict)
    made_utc: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    finished: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, founders: Founders) -> None:
        """Make the vault; the papers wait to be printed, and until then its pins have no name.
        Raises what `found` raises.
        """
        with self.lock:
            if self.facts or self.settings.pins.exists():
                raise VaultExists("The ceremony was held already.")
            waiting = unprinted(self.settings)
            vault_id = found(waiting, self.clock, founders, self.cost)
            self.papers = dict(founders.escrow)
            self.made_utc = utc_text(self.clock.now())
            with Vault.open(waiting, self.clock) as vault:
                self.facts = {
                    "vault": vault_id,
                    "signers": fingerprint_lines(vault.keyring),
                    "log_key": log_key(vault).verifier.text(),
                    "pins": str(self.settings.pins),
                }

    def finish(self) -> None:
        """The papers are printed: forget the codes and let the back office begin."""
        with self.lock:
            if not self.finished:
                papers_are_printed(self.settings)
            self.papers.clear()
            self.finished = True
        self.done()


def build_ceremony(ceremony: Ceremony) -> Starlette:
    """The application of the first start."""
    pages = templates()
    here = files("vault.web")
    front, papers = _pages(ceremony, pages)
    routes: list[Any] = [
        Route("/", front, methods=["GET", "POST"]),
        Route("/papers", papers, methods=["GET", "POST"]),
        Mount("/static", StaticFiles(directory=str(here / "static"))),
        Mount("/vendor", StaticFiles(directory=str(here / "vendor"))),
        Route("/{rest:path}", lambda _: RedirectResponse("/", 303)),
    ]
    return Starlette(routes=routes, middleware=[Middleware(SecurityHeaders)])


def _pages(ceremony: Ceremony, pages: Environment) -> tuple[Any, Any]:
    def render(
        request: Request, template: str, failure: Failure | None, form: dict[str, list[str]]
    ) -> Response:
        words = Words(_language(request))
        told = said(failure, words.language) if failure is not None else None
        typed = {
            name: values[0]
            for name, values in form.items()
            if "passphrase" not in name and name != "word"
        }
        known = {
            "ceremony": ceremony,
            "words": words,
            "t": words.t,
            "said": told,
            "typed": typed,
            "functions": list(Function),
            "language": words.language,
            "pictures": {holder: _picture(code) for holder, code in ceremony.papers.items()},
        }
        return HTMLResponse(
            pages.get_template(template).render(known), told.status if told is not None else 200
        )

    async def front(request: Request) -> Response:
        if ceremony.facts:
            return RedirectResponse(f"/papers?language={_language(request)}", 303)
        form: dict[str, list[str]] = {}
        failure: Failure | None = None
        if request.method == "POST":
            try:
                form = await _form(request, ceremony)
                founders = read_founders(form, Words(_language(request)))
                _demand_word(ceremony, form)
                await run_in_threadpool(ceremony.make, founders)
            except Failure as error:
                failure = error
            else:
                return RedirectResponse(f"/papers?language={_language(request)}", 303)
        return render(request, "founding.html", failure, form)

    async def papers(request: Request) -> Response:
        if not ceremony.facts:
            return RedirectResponse("/", 303)
        failure: Failure | None = None
        form: dict[str, list[str]] = {}
        if request.method == "POST":
            try:
                form = await _form(request, ceremony)
                _demand_word(ceremony, form)
            except Failure as error:
                failure = error
            else:
                ceremony.finish()
                return render(request, "founded.html", None, form)
        return render(request, "papers.html", failure, form)

    return front, papers


def read_founders(form: dict[str, list[str]], words: Words) -> Founders:
    """The five holders as they typed themselves. Raises CeremonyRefused that names the field."""
    t = words.t
    persons: list[Founder] = []
    for function in Function:
        name = _one(form, f"name_{function.value}")
        first, second = (
            _raw(form, f"passphrase_{function.value}"),
            _raw(form, f"passphrase_again_{function.value}"),
        )
        called = words.function(function.value)
        if not name:
            raise CeremonyRefused(
                t(f"De naam van de {called} ontbreekt.", f"The name of the {called} is missing.")
            )
        if first != second:
            raise CeremonyRefused(
                t(
                    f"De twee wachtwoordzinnen van {name} zijn niet gelijk.",
                    f"The two passphrases of {name} differ.",
                )
            )
        if first in [one.passphrase for one in persons]:
            raise CeremonyRefused(
                t(
                    f"{name} koos dezelfde wachtwoordzin als een ander.",
                    f"{name} chose another's passphrase.",
                )
            )
        persons.append(
            Founder(name, first, function, _one(form, f"officer_{function.value}") or None)
        )
    return Founders(tuple(persons), {holder: new_code() for holder in ESCROW_HOLDERS})


def _demand_word(ceremony: Ceremony, form: dict[str, list[str]]) -> None:
    if not hmac.compare_digest(_one(form, "word").casefold().encode(), ceremony.word.encode()):
        raise CeremonyRefused(
            "The word is not the one that the console shows.", hint="Look at the machine's console."
        )


def _one(form: dict[str, list[str]], name: str) -> str:
    return _raw(form, name).strip()[:200]


def _raw(form: dict[str, list[str]], name: str) -> str:
    return (form.get(name) or [""])[0]


async def _form(request: Request, ceremony: Ceremony) -> dict[str, list[str]]:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_MAX_BYTES:
            raise CeremonyRefused("The form is too large.")
    web = ceremony.settings.web
    # It is held at the machine itself, also where the back office has another name already.
    if not is_from(
        request,
        web.origin,
        f"http://{web.listen}",
        f"http://localhost:{web.listen.partition(':')[2]}",
    ):
        raise CeremonyRefused("The form came from another site.")
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=200, errors="strict")
    except ValueError as error:
        raise CeremonyRefused("What came is no form of this page.") from error


def _language(request: Request) -> str:
    return "en" if request.query_params.get("language") == "en" else "nl"


def _picture(code: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(picture_svg(code)).decode()
