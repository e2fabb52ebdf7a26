"""A back office to test with: the office of `tests/support/office.py`, real footage, and a
browser's requests without a browser.
"""

import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from starlette.testclient import TestClient

from tests.support.film import Film, film
from tests.support.hand_clock import HandClock
from tests.support.office import PEOPLE, Office, office
from vault.custody.cases import NewCase, register
from vault.custody.viewing.viewing_requests import approve, request
from vault.keyring.seats import Founder
from vault.recording import SegmentClaim
from vault.rules.case_kinds import CaseKind
from vault.rules.purposes import PURPOSES, Purpose
from vault.web.app import build_app, build_application
from vault.web.request import Application

ORIGIN = "http://localhost:8480"
HTML = {"accept": "text/html"}


@dataclass
class BackOffice:
    """The office, its pages, and one client a person."""

    office: Office
    web: Application
    app: Any
    clients: dict[str, "Screen"] = field(default_factory=dict)
    told_only: int = 0
    """Bytes that the log tells of and that a damaged file or a failing log kept
    from being served.
    """

    def screen(self, name: str | None = None, language: str = "nl") -> "Screen":
        """A browser; signed in where a name is given. One a person, kept."""
        if name is not None and name in self.clients:
            return self.clients[name]
        screen = Screen(
            TestClient(
                self.app,
                base_url=ORIGIN,
                follow_redirects=False,
                headers=HTML,
                raise_server_exceptions=False,
            )
        )
        screen.http.cookies.set("language", language)
        if name is not None:
            answer = screen.send("/sign-in", person=name, passphrase=self.office.secrets[name])
            assert answer.status_code == 303, answer.text
            self.clients[name] = screen
        return screen

    def new_screen(self, name: str) -> "Screen":
        self.clients.pop(name, None)
        return self.screen(name)

    def film(self, shot: Film | None = None, **changes: Any) -> str:
        """A recording of real footage, stored as the dock would; returns its id."""
        shot = shot or film()
        stated: Any = shot.statement["segments"]
        segments = tuple(
            SegmentClaim(
                one["name"],
                one["bytes"],
                one["sha256"],
                one["start_ms"],
                one["duration_ms"],
                one["preroll"],
            )
            for one in stated
        )
        kept = changes.pop("segments", segments)
        contents = changes.pop("contents", shot.segments)
        return self.office.record(contents=contents, segments=kept, **changes)

    def case(self, kind: CaseKind, *recordings: str, reference: str = "K-1") -> str:
        new = NewCase(kind, reference, self.office.clock.now(), recordings)
        return register(self.office.vault, self.office.actor("Petra"), new)

    def viewing(self, recording: str, purpose: Purpose = Purpose.COMPLAINT) -> str:
        """A requested viewing for a purpose, with its case."""
        vault, here = self.office.vault, self.office
        kind = PURPOSES[purpose].case
        if kind is None:
            viewing = request(
                vault, here.actor("Mo"), purpose, [recording], case=None, reason="to learn"
            )
            approve(vault, here.actor("Bea"), viewing)
            return viewing
        case = self.case(kind, recording, reference=f"{purpose.value}-{recording[:6]}")
        first = {Purpose.COMPLAINT: "Carel"}.get(purpose, "Petra")
        return request(vault, here.actor(first), purpose, [recording], case=case, reason="")

    def open(
        self,
        viewing: str,
        first: str = "Carel",
        second: str = "Geert",
        purpose: Purpose = Purpose.COMPLAINT,
    ) -> "Screen":
        """Both unlock at the first one's screen."""
        screen = self.screen(first)
        answer = screen.send(
            f"/viewings/{viewing}/unlock",
            confirm=[one.code for one in PURPOSES[purpose].conditions],
            passphrase=self.office.secrets[first],
            second=second,
            second_passphrase=self.office.secrets[second],
        )
        assert answer.status_code == 303, answer.text
        return screen

    def told_bytes(self) -> int:
        """How many bytes of content the log says were shown."""
        return sum(
            entry["details"]["to_byte"] - entry["details"]["from_byte"]
            for entry in self.office.told("viewing.shown")
        )


@dataclass
class Screen:
    """One browser: it sends forms with the token of its session, as its pages carry it."""

    http: TestClient

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return self.http.get(path, headers=headers or None)

    def send(self, path: str, **values: Any) -> httpx2.Response:
        token = re.search(r'name="csrf" value="([^"]+)"', self.http.get("/me").text)
        if token is not None and "csrf" not in values:
            values["csrf"] = token.group(1)
        return self.http.post(path, data=values, headers={"origin": ORIGIN})


@contextmanager
def run_app(app: Any, port: int) -> Iterator[None]:
    """An application on a real port, until the block ends."""
    server = uvicorn.Server(
        uvicorn.Config(
            app, port=port, log_level="error", lifespan="off", timeout_graceful_shutdown=1
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
        assert thread.is_alive(), "the application did not start"
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def served(back: BackOffice) -> Iterator[str]:
    """The pages on the port of the settings, until the block ends; their origin."""
    port = int(back.office.settings.web.listen.rpartition(":")[2])
    with run_app(back.app, port):
        yield back.office.settings.web.origin


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def backoffice(
    folder: Path,
    people: tuple[Founder, ...] = PEOPLE,
    *,
    web: Mapping[str, object] | None = None,
    clock: HandClock | None = None,
    **changes: object,
) -> Iterator[BackOffice]:
    """An office an hour after its ceremony, with its pages."""
    pages = {"packages": folder / "packages"} | dict(web or {})
    with office(folder, people, clock=clock, engine=None, web=pages, **changes) as here:
        here.clock.pass_time(3600)
        made = build_application(here.vault, here.clock)
        back = BackOffice(here, made, build_app(made))
        yield back
        made.live_viewings.end_all("the test is over")
        # For the whole suite: what was served is what the log says (P39).
        assert made.live_viewings.served_bytes == back.told_bytes() - back.told_only
