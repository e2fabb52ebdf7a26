"""axe-core finds nothing on any page, in either language, the player too."""

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.support.browser import People
from tests.support.screenshots import PAGES, watching
from tests.unit.vault.web.test_access import crowd

__all__ = ["crowd"]


def check(page: Page) -> list[str]:
    """What axe finds, in a line each."""
    found = Axe().run(page)["violations"]
    return [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:150]}" for one in found]


@pytest.mark.parametrize("language", ["nl", "en"])
def test_axe_finds_nothing(crowd: tuple[People, dict[str, str]], language: str) -> None:
    """WCAG 2.1 A and AA by axe-core, on every page of every function, the player too."""
    made, about = crowd
    found: dict[str, list[str]] = {}
    stranger = made.page(made.context(language))
    stranger.goto(f"{made.origin}/sign-in")
    found["/sign-in"] = check(stranger)
    for person, paths in PAGES.items():
        page = made.sign_in(person, language)
        for path in paths:
            page.goto(made.origin + path.format(**about))
            assert page.locator("html").get_attribute("lang") == language
            found[f"{person} {path}"] = check(page)
        page.context.close()
    page = watching(made, about["viewing"], language)
    found["watch"] = check(page)
    page.locator("form[action$=leave] button").click()
    page.context.close()
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_axe_would_find_a_flaw(crowd: tuple[People, dict[str, str]]) -> None:
    """The control: a page without its language and with a nameless field is found."""
    made, _ = crowd
    page = made.page(made.context())
    page.goto(f"{made.origin}/sign-in")
    page.evaluate(
        "document.documentElement.removeAttribute('lang'); "
        "document.querySelector('label[for=f-person]').remove()"
    )
    assert {line.split(":")[0] for line in check(page)} >= {"html-has-lang", "label"}
