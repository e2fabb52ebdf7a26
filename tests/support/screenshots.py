"""`make screenshots`: every page of the back office in both languages, at two widths, for people to
look at.

python -m tests.support.screenshots [FOLDER]
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from dockd.display.status import StatusServer
from dockd.docking.bay import BayState, Board, Phase
from tests.support.back_office import BackOffice, backoffice, free_port, run_app, served
from tests.support.browser import People, people, shot, until
from tests.support.hand_clock import HandClock
from tests.support.vault_world import CHEAP, settings_in
from tests.unit.dockd.display.test_kiosk import page_on
from vault.custody.people import record_absence
from vault.custody.reports import Location, UseReport, assign, file_report
from vault.custody.viewing.viewing_requests import request
from vault.rules.case_kinds import CaseKind
from vault.rules.purposes import Purpose
from vault.rules.roles import Function, Role
from vault.web.founding import Ceremony, build_ceremony

NOW = HandClock().now()
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
        (first,),
        here.clock.now(),
        Location.HOME,
        "geluidsoverlast",
        "bedreigd",
        True,
        "gezegd",
        True,
        "folder gegeven",
    )
    report = file_report(vault, here.actor("Mo"), use)
    complaint = back.case(CaseKind.COMPLAINT, first, reference="K-2026-7")
    access = back.case(CaseKind.ACCESS_REQUEST, first, reference="I-2026-2")
    police = back.case(CaseKind.POLICE_REPORT, first, reference="PL2000-2026-11")
    wanted = request(
        vault, here.actor("Carel"), Purpose.COMPLAINT, [first], case=complaint, reason=""
    )
    given = request(
        vault, here.actor("Petra"), Purpose.POLICE_REPORT, [first], case=police, reason=""
    )
    learning = request(
        vault, here.actor("Mo"), Purpose.LEARNING, [third], case=None, reason="hoe ik de-escaleer"
    )
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
    "Bea": (
        "/home",
        "/cameras",
        "/cameras/new",
        "/cameras/BWC0042",
        "/reports",
        "/reports/{report}",
        "/viewings/{learning}",
    ),
    "Mo": ("/home", "/mine", "/mine/{recording}", "/reports", "/reports/new", "/viewings/new"),
    "Geert": ("/home", "/viewings/{viewing}"),
    "Tim": ("/home", "/state"),
}
"""Every page, by who sees it."""


def name_of(person: str, path: str) -> str:
    return (
        f"{person}{path.split('?', maxsplit=1)[0]}".replace("/", "-")
        .replace("{", "")
        .replace("}", "")
        .lower()
    )


def watching(crowd: People, viewing: str, language: str) -> Page:
    """Carel and Geert unlock at one screen; the player at the switch-on."""
    page = crowd.sign_in("Carel", language)
    crowd.unlock(page, viewing, "Carel", "Geert")
    page.wait_for_url("**/watch")
    until(page, "document.querySelector('video').readyState >= 2")
    return page


STATES = (
    BayState(
        "1",
        Phase.PULLING,
        NOW,
        "BWC0042",
        "M. Jansen",
        2,
        3,
        61_000_000,
        140_000_000,
        22_400_000,
        "",
        84,
        1,
    ),
    BayState(
        "2",
        Phase.SAFE,
        NOW,
        "BWC0043",
        "N. de Wit",
        0,
        0,
        0,
        0,
        0,
        "2 recordings in the vault.",
        97,
        2,
    ),
    BayState(
        "3",
        Phase.UNKNOWN,
        NOW,
        "BWC0099",
        message="The camera BWC0099 is not registered. Nothing of it was read.",
    ),
    BayState(
        "4",
        Phase.TAKEN_EARLY,
        NOW,
        "BWC0044",
        "P. Smit",
        message="BWC0044 was taken before all was in the vault.",
    ),
)


def dock_pages(crowd: People, folder: Path, place: Path) -> None:
    """The dock's page with four bays, and with none, and without a dock."""
    board = Board()
    dock = StatusServer(place / "s.sock", board, HandClock())
    dock.start()
    with page_on(place / "s.sock") as origin:
        for language in ("nl", "en"):
            page = crowd.browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{origin}/?language={language}")
            page.wait_for_selector("#empty:not([hidden])")
            shot(page, folder / language, "dock-empty")
            for state in STATES:
                board.put(state)
            page.wait_for_selector(".tile >> nth=3")
            shot(page, folder / language, "dock")
            for state in STATES:
                board.remove(state.bay)
            page.close()
        page = crowd.browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(origin)
        dock.stop()
        page.wait_for_selector("#silent:not([hidden])")
        shot(page, folder / "nl", "dock-silent")
        page.close()


def ceremony_pages(crowd: People, folder: Path, place: Path) -> None:
    """The first start: the form, the papers, the end."""
    port = free_port()
    web = {"listen": f"127.0.0.1:{port}", "origin": f"http://localhost:{port}"}
    ceremony = Ceremony(settings_in(place / "new", web=web), HandClock(), CHEAP, lambda: None)
    with run_app(build_ceremony(ceremony), port):
        for language in ("nl", "en"):
            page = crowd.browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"http://localhost:{port}/?language={language}")
            if not ceremony.facts:
                shot(page, folder / language, "ceremony")
                for function in Function:
                    page.fill(f"#n-{function.value}", f"Persoon {function.value}")
                    page.fill(f"#p-{function.value}", f"woorden van {function.value} alleen")
                    page.fill(f"#q-{function.value}", f"woorden van {function.value} alleen")
                page.fill("#f-word", ceremony.word)
                page.click("main form button")
            page.wait_for_url("**/papers*")
            shot(page, folder / language, "papers")
            page.close()


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "run/screenshots")
    port = free_port()
    web = {"listen": f"127.0.0.1:{port}", "origin": f"http://localhost:{port}"}
    taken = 0
    with (
        tempfile.TemporaryDirectory() as place,
        backoffice(Path(place) / "office", web=web) as back,
        served(back) as origin,
    ):
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
            dock_pages(crowd, folder, Path(place))
            ceremony_pages(crowd, folder, Path(place))
            for path in (
                "/home",
                "/recordings",
                "/recordings/{recording}",
                "/viewings/{viewing}",
                "/state",
            ):
                page = crowd.sign_in("Carel", viewport=NARROW)
                page.goto(origin + path.format(**about))
                shot(page, folder / "narrow", name_of("carel", path))
                page.context.close()
    print(f"{taken} pages and more in {folder}")


if __name__ == "__main__":
    main()
