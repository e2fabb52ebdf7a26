"""A real browser: Debian's chromium, driven by Playwright. It may reach this machine alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from tests.support.back_office import BackOffice

CHROMIUM = "/usr/bin/chromium"
UNLOCK = ".room form button.utrecht-button--primary-action"
SIZE = {"width": 1280, "height": 900}


@dataclass
class People:
    """Persons at their own browsers. `strayed`: requests that left this machine."""

    browser: Browser
    back: BackOffice
    origin: str
    strayed: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def context(self, language: str = "nl", **options: object) -> BrowserContext:
        context = self.browser.new_context(viewport=options.pop("viewport", SIZE), **options)  # type: ignore[arg-type]
        context.add_cookies([{"name": "language", "value": language, "url": self.origin}])
        context.set_default_timeout(20_000)
        return context

    def page(self, context: BrowserContext) -> Page:
        page = context.new_page()
        page.on("request", self._seen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def sign_in(self, name: str, language: str = "nl", **options: object) -> Page:
        """A person who signed in with name and passphrase."""
        page = self.page(self.context(language, **options))
        page.goto(f"{self.origin}/sign-in")
        page.fill("#f-person", name)
        page.fill("#f-passphrase", self.back.office.secrets[name])
        page.click("main form button:not([data-use-key])")
        page.wait_for_url("**/home")
        return page

    def fill_unlock(self, page: Page, viewing: str, first: str, second: str | None = None) -> None:
        """The form by which a viewing is unlocked: conditions and passphrase; with a second person,
        theirs at the same screen.
        """
        page.goto(f"{self.origin}/viewings/{viewing}")
        for box in page.locator("input[name=confirm]").all():
            box.check()
        page.fill("#f-passphrase", self.back.office.secrets[first])
        if second is not None:
            page.locator(".room details summary").click()
            page.fill("#f-second", second)
            page.fill("#f-second_passphrase", self.back.office.secrets[second])

    def unlock(self, page: Page, viewing: str, first: str, second: str | None = None) -> None:
        self.fill_unlock(page, viewing, first, second)
        page.locator(UNLOCK).click()

    def _seen(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self.strayed.append(request.url)


@contextmanager
def people(back: BackOffice, origin: str) -> Iterator[People]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--autoplay-policy=no-user-gesture-required",
                "--disable-gpu",
                "--mute-audio",
            ],
        )
        try:
            yield People(browser, back, origin)
        finally:
            browser.close()


def shot(page: Page, folder: Path, name: str) -> Path:
    """A picture of the whole page."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    return path


def until(page: Page, expression: str) -> None:
    """Wait until an expression holds in the page. (`wait_for_function` needs `eval`, which the
    pages forbid.)
    """
    for _ in range(400):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{expression} never came true at {page.url}")
