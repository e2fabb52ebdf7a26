"""The dock's own page: one tile a bay, one word for what happens, live, and no
picture of anything.
"""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright
from rich.console import Console
from starlette.testclient import TestClient

from dockd.display.kiosk.server import build_kiosk
from dockd.display.kiosk.tiles import WORDS, tile, tiles
from dockd.display.screen import watch_status, watch_table
from dockd.display.status import StatusRefusedError, StatusServer, status_document
from dockd.docking.bay import Bay, BayState, Board, Phase
from tests.support.back_office import free_port, run_app
from tests.support.browser import CHROMIUM
from tests.support.hand_clock import HandClock


def document(*states: BayState) -> dict[str, Any]:
    board = Board()
    for state in states:
        board.put(state)
    now = HandClock().now()
    return status_document(board, now, now)


def state(phase: Phase, **values: Any) -> BayState:
    return BayState(
        bay=values.pop("bay", "1"),
        phase=phase,
        since_utc=HandClock().now(),
        camera="BWC0042",
        **values,
    )


def test_every_phase_has_its_word_sign_and_what_to_do() -> None:
    """A colour is never the only sign: within a colour too the words differ, and each says what to
    do.
    """
    assert set(WORDS) == set(Phase)
    for language in ("nl", "en"):
        shown = [tile(document(state(phase))["bays"][0], language) for phase in Phase]
        assert len({one.word for one in shown}) == len(Phase)
        assert all(one.sign and one.do for one in shown)


def test_a_tile_tells_how_far_it_is() -> None:
    """Proves P21: n of m, MB/s, time left, battery, and what still needs the officer."""
    pulling = state(
        Phase.PULLING,
        officer="M. Jansen",
        recording_number=2,
        recording_count=3,
        bytes_done=40_000_000,
        bytes_total=100_000_000,
        bytes_per_s=20_000_000,
        battery_percent=81,
        reports_missing=2,
    )
    nl = tile(document(pulling)["bays"][0], "nl")
    assert (nl.count, nl.rate, nl.left, nl.part) == ("2 van 3", "20,0 MB/s", "nog 3 s", 40)
    assert (nl.whose, nl.battery, nl.reports) == (
        "M. Jansen",
        "accu 81 %",
        "2 opnamen zonder vastlegging",
    )
    en = tile(document(state(Phase.SAFE, reports_missing=1))["bays"][0], "en")
    assert (en.word, en.reports, en.part, en.rate) == (
        "safe to take",
        "1 recording without a report",
        None,
        "",
    )


def test_watch_shows_the_same_words_in_a_terminal() -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(
        watch_table(document(state(Phase.SAFE, reports_missing=2), state(Phase.UNKNOWN, bay="2")))
    )
    text = console.export_text()
    assert "✓ safe to take" in text
    assert "? unknown camera" in text
    assert "2 recordings without a report." in text


def test_watch_waits_for_a_dock_that_does_not_answer(tmp_path: Path) -> None:
    stop = threading.Event()
    answers: list[dict[str, Any] | None] = [None, document(), document(state(Phase.SAFE))]

    def ask() -> dict[str, Any]:
        if len(answers) == 1:
            stop.set()
        found = answers.pop(0)
        if found is None:
            raise StatusRefusedError("No dockd answers.")
        return found

    with (tmp_path / "out").open("w") as file:
        watch_status(Console(file=file, width=140), ask, stop)
    text = (tmp_path / "out").read_text()
    assert (
        text.index("Waiting for it")
        < text.index("No camera is docked")
        < text.index("safe to take")
    )


@contextmanager
def page_on(socket_path: Path) -> Iterator[str]:
    port = free_port()
    app = build_kiosk(socket_path, "http://localhost:8480", frozenset({f"127.0.0.1:{port}"}))
    with run_app(app, port):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("language", ["nl", "en"])
def test_the_page_follows_the_dock_and_outlives_it(tmp_path: Path, language: str) -> None:
    """In a real browser: a tile as it changes, silence while the daemon is away, and again when it
    is back; axe finds nothing.
    """
    clock = HandClock()
    path = tmp_path / "s.sock"
    words = {phase: (one.nl if language == "nl" else one.en) for phase, one in WORDS.items()}
    board = Board()
    dock = StatusServer(path, board, clock)
    dock.start()
    with page_on(path) as origin, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{origin}/?language={language}")
        page.wait_for_selector("#empty:not([hidden])")
        bay = Bay("1-3", board, clock)
        bay.camera_is("BWC0042", "M. Jansen", 81)
        bay.enter(Phase.PULLING, count=3)
        page.get_by_text(words[Phase.PULLING], exact=True).wait_for()
        size = page.evaluate(
            "parseFloat(getComputedStyle(document.querySelector('.tile__word')).fontSize)"
        )
        assert size >= 48, "readable from two metres"
        bay.reports(2)
        bay.enter(Phase.SAFE, "3 recordings in the vault and erased from the camera.")
        page.get_by_text(words[Phase.SAFE], exact=True).wait_for()
        assert (
            page.locator(".tile--green .tile__reports a").get_attribute("href")
            == "http://localhost:8480/reports"
        )
        assert page.locator("img, video, canvas").count() == 0
        assert Axe().run(page)["violations"] == []
        dock.stop()
        page.wait_for_selector("#silent:not([hidden])")
        again = StatusServer(path, board, clock)
        again.start()
        page.get_by_text(words[Phase.SAFE], exact=True).wait_for()
        again.stop()
        assert all(url.startswith((origin, "data:")) for url in asked)
        browser.close()


def test_the_page_answers_only_to_its_own_name(tmp_path: Path) -> None:
    app = build_kiosk(tmp_path / "none", "http://localhost:8480", frozenset({"127.0.0.1:8470"}))
    known = TestClient(app, base_url="http://127.0.0.1:8470").get("/")
    assert known.status_code == 200
    assert "default-src 'none'" in known.headers["content-security-policy"]
    for path in ("/", "/live"):
        assert TestClient(app, base_url="http://evil.example:8470").get(path).status_code == 421


def test_tiles_are_plain_json() -> None:
    shown = tiles(document(state(Phase.FAULT, message="<script>")), "nl")
    assert json.loads(json.dumps(shown))[0]["detail"] == "<script>"
