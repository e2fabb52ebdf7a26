"""`make screenshots`: every page of the back office in both languages, at two widths, for people to look at.

python -m tests.web.screenshots [FOLDER]
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from tests.web.backoffice import BackOffice, backoffice, free_port, served
from tests.web.browser import People, people, shot, until
from vault.people import record_absence
from vault.policy import CaseKind, Purpose, Role
from vault.reports import Location, UseReport, assign, file_report
from vault.viewing import request

NARROW = {"width": 360, "height": 740}


def furnish(back: BackOffice) -> dict[str, str]:
    """An office with something on every page; what the pages are about, by name."""
    here = back.office
    vault = here.vault
    assign(vault, here.actor("Bea"), "BWC0042", here.id("Mo"))
    first = back.film()
    second = here.record(officer="boa-18")
    third = here.record(officer="boa-17")
    use = UseReport(
        (first,), here.clock.now(), Location.HOME, "geluidsoverlast", "bedreigd", True, "gezegd", True, "folder gegeven"
    )
    report = file_report(vault, here.actor("Mo"), use)
    complaint = back.case(CaseKind.COMPLAINT, first, reference="K-2026-7")
    access = back.case(CaseKind.ACCESS_REQUEST, first, reference="I-2026-2")
    police = back.case(CaseKind.POLICE_REPORT, first, reference="PL2000-2026-11")
    wanted = request(vault, here.actor("Carel"), Purpose.COMPLAINT, [first], case=complaint, reason="")
    given = request(vault, here.actor("Petra"), Purpose.POLICE_REPORT, [first], case=police, reason="")
    learning = request(vault, here.actor("Mo"), Purpose.LEARNING, [third], case=None, reason="hoe ik de-escaleer")
    period = (here.clock.now(), here.clock.now().replace(year=2027))
    record_absence(vault, here.actor("Petra"), Role.SECRETARY, "Geert", "Vera", period, "verlof")
    here.intake.note("BWC0042", "camera.alarm", "The clock of BWC0042 is 12 s behind.")
    return {
        "recording": first,
        "second": second,
        "report": report,
        "complaint": complaint,
        "access": access,
        "police": police,
        "viewing": wanted,
        "given": given,
        "learning": learning,
    }


PAGES = {
    "Carel": (
        "/home",
        "/recordings",
        "/recordings/{recording}",
        "/cases",
        "/cases/{complaint}",
        "/cases/new",
        "/viewings",
        "/viewings/{viewing}",
        "/viewings/new?case={complaint}",
        "/due",
        "/handovers",
        "/persons",
        "/ceremony?change=enrol",
        "/figures",
        "/log",
        "/state",
        "/me",
    ),
    "Petra": ("/home", "/cases/{access}", "/cases/{police}"),
    "Bea": ("/home", "/cameras", "/cameras/new", "/cameras/BWC0042", "/reports", "/reports/{report}", "/viewings/{learning}"),
    "Mo": ("/home", "/mine", "/mine/{recording}", "/reports", "/reports/new", "/viewings/new"),
    "Geert": ("/home", "/viewings/{viewing}"),
    "Tim": ("/home", "/state"),
}
"""Every page, by who sees it."""


def name_of(person: str, path: str) -> str:
    return f"{person}{path.split('?')[0]}".replace("/", "-").replace("{", "").replace("}", "").lower()


def watching(crowd: People, viewing: str, language: str) -> Page:
    """Carel and Geert unlock at one screen; the player at the switch-on."""
    page = crowd.sign_in("Carel", language)
    page.goto(f"{crowd.origin}/viewings/{viewing}")
    for box in page.locator("input[name=confirm]").all():
        box.check()
    page.fill("#f-passphrase", crowd.back.office.secrets["Carel"])
    page.locator(".room details summary").click()
    page.fill("#f-second", "Geert")
    page.fill("#f-second_passphrase", crowd.back.office.secrets["Geert"])
    page.locator(".room form button.utrecht-button--primary-action").click()
    page.wait_for_url("**/watch")
    until(page, "document.querySelector('video').readyState >= 2")
    return page


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "run/screenshots")
    port = free_port()
    web = {"listen": f"127.0.0.1:{port}", "origin": f"http://localhost:{port}"}
    taken = 0
    with tempfile.TemporaryDirectory() as place, backoffice(Path(place) / "office", web=web) as back, served(back) as origin:
        about = furnish(back)
        with people(back, origin) as crowd:
            for language in ("nl", "en"):
                stranger = crowd.page(crowd.context(language))
                stranger.goto(f"{origin}/sign-in")
                shot(stranger, folder / language, "sign-in")
                for person, paths in PAGES.items():
                    page = crowd.sign_in(person, language)
                    for path in paths:
                        page.goto(origin + path.format(**about))
                        shot(page, folder / language, name_of(person, path))
                        taken += 1
                    page.context.close()
                page = watching(crowd, about["viewing"], language)
                page.locator("[data-to-on]").click()
                until(page, "!document.querySelector('video').seeking")
                shot(page, folder / language, "watch")
                page.locator("form[action$=leave] button").click()
                shot(page, folder / language, "left")
                page.context.close()
            for path in ("/home", "/recordings", "/recordings/{recording}", "/viewings/{viewing}", "/state"):
                page = crowd.sign_in("Carel", viewport=NARROW)
                page.goto(origin + path.format(**about))
                shot(page, folder / "narrow", name_of("carel", path))
                page.context.close()
    print(f"{taken} pages and more in {folder}")


if __name__ == "__main__":
    main()
