"""Every page for everybody: axe finds nothing, the keyboard reaches all, 200 % zoom and 360 px
hold, both languages stand.
"""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.support.back_office import backoffice, free_port, served
from tests.support.browser import People, people, until
from tests.support.screenshots import PAGES, furnish
from vault.web.app import ROUTES

ALL_PAGES = [(person, path) for person, paths in PAGES.items() for path in paths]
NARROW = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[People, dict[str, str]]]:
    port = free_port()
    web = {"listen": f"127.0.0.1:{port}", "origin": f"http://localhost:{port}", "idle_minutes": 60}
    folder = tmp_path_factory.mktemp("access")
    with backoffice(folder / "office", web=web) as back, served(back) as origin:
        about = furnish(back)
        with people(back, origin) as made:
            yield made, about
            assert made.strayed == []
            assert made.complaints == []


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    return int(
        page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )


def test_every_page_is_looked_at() -> None:
    """The list that axe and the screenshots go through names every page that is not a step of
    another.
    """
    steps = {"/", "/sign-in", "/challenge", "/figures.csv", "/accountability"}
    inside = {
        route.path
        for route in ROUTES
        if "/watch" in route.path or "/here" in route.path or "/handover" in route.path
    }
    inside |= {route.path for route in ROUTES if "/{recording}/" in route.path}
    shown = {
        re.sub(r"\{(complaint|access|police)\}", "{case}", path.split("?")[0])
        for _, path in ALL_PAGES
    }
    shown = {
        path.replace("{learning}", "{viewing}").replace("BWC0042", "{serial}") for path in shown
    } | {"/handovers"}
    pages = {route.path for route in ROUTES if route.method == "GET"}
    assert pages - steps - inside - shown == set()


def test_nothing_sticks_out_at_360_pixels_or_at_twice_the_size(
    crowd: tuple[People, dict[str, str]],
) -> None:
    """At 360 px, which is also 720 px at 200 % zoom, and with the text alone twice as large at 1280
    px.
    """
    made, about = crowd
    wide: dict[str, int] = {}
    for person, paths in PAGES.items():
        page = made.sign_in(person, viewport=NARROW)
        for path in paths:
            page.goto(made.origin + path.format(**about))
            wide[f"{person} {path}"] = overflow(page)
        page.context.close()
    page = made.sign_in("Carel")
    for path in PAGES["Carel"]:
        page.goto(made.origin + path.format(**about))
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        wide[f"200 % {path}"] = overflow(page)
    page.context.close()
    assert {path: pixels for path, pixels in wide.items() if pixels > 0} == {}


def test_the_keyboard_alone_does_it(crowd: tuple[People, dict[str, str]]) -> None:
    """Sign in, find, and unlock with the second person at the same screen, by Tab, Space and Enter;
    the focus is always seen.
    """
    made, about = crowd
    page = made.page(made.context())
    page.goto(f"{made.origin}/sign-in")

    def tab_to(selector: str) -> None:
        for _ in range(120):
            page.keyboard.press("Tab")
            if page.evaluate("one => document.activeElement?.matches(one)", selector):
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none", selector
                return
        raise AssertionError(f"Tab never came to {selector}")

    tab_to("#f-person")
    page.keyboard.type("Carel")
    tab_to("#f-passphrase")
    page.keyboard.type(made.back.office.secrets["Carel"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/home")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.classList.contains('utrecht-skip-link')")
    tab_to("nav a[href='/viewings']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/viewings")
    tab_to(f"a[href='/viewings/{about['viewing']}']")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/viewings/{about['viewing']}")
    for code in ("location", "nobody_else", "no_copy"):
        tab_to(f"input[value={code}]")
        page.keyboard.press("Space")
    tab_to("#f-passphrase")
    page.keyboard.type(made.back.office.secrets["Carel"])
    tab_to(".room summary")
    page.keyboard.press("Space")
    tab_to("#f-second")
    page.keyboard.type("Geert")
    tab_to("#f-second_passphrase")
    page.keyboard.type(made.back.office.secrets["Geert"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/watch")
    until(page, "document.querySelector('video').readyState >= 2")
    tab_to("[data-seek]")
    page.keyboard.press("ArrowRight")
    until(page, "document.querySelector('video').currentTime > 0")
    tab_to("[data-to-on]")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('video').currentTime > 29")
    tab_to("form[action$=leave] button")
    page.keyboard.press("Enter")
    page.wait_for_url("**?done=left")
