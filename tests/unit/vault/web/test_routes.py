"""Every route × every function × every state: the expected answer. A route that is not in the table
fails the suite.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.back_office import BackOffice, Screen, backoffice
from tests.support.permissions import EVERYBODY, MAY, TB
from vault.custody.reports import Location, UseReport, file_report
from vault.custody.retention.deletion import delete
from vault.rules.case_kinds import CaseKind
from vault.rules.purposes import Purpose
from vault.web.app import ROUTES

CONTENT = tuple(
    path for method, path in MAY if "/{recording}/" in path and path.startswith("/viewings")
)
INSIDE = (
    *CONTENT,
    "/viewings/{viewing}/watch",
    "/viewings/{viewing}/handover/package",
    "/viewings/{viewing}/handover/progress",
)


@pytest.fixture(scope="module")
def furnished(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[BackOffice, dict[str, dict[str, str]]]]:
    """An office with a recording of each state, and a viewing of each: own, another officer's,
    held, deleted.
    """
    with backoffice(tmp_path_factory.mktemp("routes") / "office") as back:
        here = back.office
        about: dict[str, dict[str, str]] = {}
        for state, officer in (
            ("own", "boa-17"),
            ("other's", "boa-18"),
            ("held", "boa-17"),
            ("deleted", "boa-17"),
        ):
            recording = back.film(officer=officer)
            about[state] = {
                "recording": recording,
                "viewing": back.viewing(recording),
                "serial": "BWC0042",
                "absence": "none",
            }
            about[state]["case"] = f"complaint-{recording[:6]}"
            about[state]["handover"] = "none"
            use = UseReport(
                (recording,), here.clock.now(), Location.HOME, "a", "b", True, "c", True, "d"
            )
            about[state]["report"] = file_report(
                here.vault, here.actor("Nel" if officer == "boa-18" else "Mo"), use
            )
        gone = about["deleted"]
        back.screen("Petra").send(f"/cases/{gone['case']}/close", reference="brief 7")
        delete(
            here.vault,
            here.actor("Carel"),
            here.actor("Petra"),
            gone["recording"],
            "made by mistake",
        )
        yield back, about


def address(path: str, about: dict[str, str]) -> str:
    return path.replace("{number:int}", "0").format(**about)


def ask(screen: Screen, method: str, path: str) -> int:
    return (screen.get(path) if method == "GET" else screen.send(path)).status_code


def test_the_table_names_every_route() -> None:
    assert {(route.method, route.path) for route in ROUTES} == set(MAY)


@pytest.mark.parametrize("state", ["own", "other's", "held", "deleted"])
@pytest.mark.parametrize("name", sorted(EVERYBODY))
def test_every_function_meets_every_route(
    furnished: tuple[BackOffice, dict[str, dict[str, str]]], name: str, state: str
) -> None:
    """Proves P24, P25, P36, P42: who has no part is refused before the handler runs; nobody meets a
    defect.
    """
    back, about = furnished
    screen = back.screen(name)
    for (method, path), allowed in MAY.items():
        if path in ("/sign-out", "/sign-in", "/cameras/{serial}/remove"):
            continue
        status = ask(screen, method, address(path, about[state]))
        assert status != 500, (name, method, path)
        if name not in allowed:
            assert status == 403, (name, method, path, status)
            answer = (
                screen.get(address(path, about[state]))
                if method == "GET"
                else screen.send(address(path, about[state]))
            )
            assert "Dit lukte niet" in answer.text, (
                "a refusal shows nothing of the page that it refuses"
            )
        elif path not in INSIDE and method == "GET" and path not in ("/accountability",):
            assert status in (200, 303, 403, 404), (name, method, path, status)
        if path in INSIDE:
            assert status in (403, 404, 410), (name, path, status)


def test_nobody_without_a_session_gets_anything(
    furnished: tuple[BackOffice, dict[str, dict[str, str]]],
) -> None:
    """A page leads to the sign-in, everything else is 401, and nothing says what exists."""
    back, about = furnished
    stranger = back.screen()
    for (method, path), allowed in MAY.items():
        if "stranger" in allowed:
            continue
        status = ask(stranger, method, address(path, about["own"]))
        assert status in ((303,) if method == "GET" else (401,)), (method, path, status)
        assert stranger.http.get(
            address(path, about["own"]), headers={"accept": "*/*"}
        ).status_code in (401, 404, 405)


def test_content_addresses_give_nothing_without_an_open_viewing(
    furnished: tuple[BackOffice, dict[str, dict[str, str]]],
) -> None:
    """Proves P40: asked for, but not joined; joined at another screen; of
    another recording; over.
    """
    back, about = furnished
    own, other = about["own"], about["other's"]
    before = back.told_bytes()
    for name in sorted(EVERYBODY - TB):
        for path in INSIDE:
            assert back.screen(name).get(address(path, own)).status_code in (403, 404)
    joined = back.open(own["viewing"])
    try:
        for path in CONTENT:
            assert back.screen("Geert").get(address(path, own)).status_code == 403, (
                "the second person's other screen"
            )
            assert back.screen("Petra").get(address(path, own)).status_code == 403
            mixed = own | {"recording": other["recording"]}
            assert joined.get(address(path, mixed)).status_code == 404, (
                "a recording that is not of this viewing"
            )
        assert joined.get(address(CONTENT[0], own)).status_code == 200
    finally:
        joined.send(f"/viewings/{own['viewing']}/leave")
    for path in CONTENT:
        assert joined.get(address(path, own)).status_code == 410
    assert back.told_bytes() == before


def test_a_deleted_recording_opens_for_nobody(
    furnished: tuple[BackOffice, dict[str, dict[str, str]]],
) -> None:
    back, about = furnished
    screen = back.screen("Carel")
    answer = screen.send(
        f"/viewings/{about['deleted']['viewing']}/unlock",
        confirm=["location", "nobody_else", "no_copy"],
        passphrase=back.office.secrets["Carel"],
        second="Geert",
        second_passphrase=back.office.secrets["Geert"],
    )
    assert answer.status_code == 404


def test_who_is_concerned_takes_no_seat(tmp_path: Path) -> None:
    """Proves P40, P54: one person twice, a stranger to the purpose, a coordinator who was there."""
    with backoffice(tmp_path / "office") as back:
        recording = back.film()
        viewing = back.viewing(recording)
        learning = back.viewing(recording, Purpose.LEARNING)
        codes = ["location", "nobody_else", "no_copy"]
        secret = back.office.secrets
        carel = back.screen("Carel")

        def unlock(screen: Screen, which: str, own: str, second: str, confirm: list[str]) -> int:
            values = {
                "passphrase": secret[own],
                "second": second,
                "second_passphrase": secret[second],
                "confirm": confirm,
            }
            return screen.send(f"/viewings/{which}/unlock", **values).status_code

        assert unlock(carel, viewing, "Carel", "Carel", codes) == 422
        assert unlock(carel, viewing, "Carel", "Petra", codes) == 403
        assert unlock(carel, viewing, "Carel", "Tim", codes) == 403
        assert unlock(carel, viewing, "Carel", "Geert", codes[:2]) == 422
        mo = back.screen("Mo")
        assert unlock(mo, learning, "Mo", "Bea", [*codes, "not_appraisal"]) == 303
        mo.send(f"/viewings/{learning}/leave")
        bea = back.screen("Bea")
        sent = bea.send(
            f"/recordings/{recording}/present",
            person=back.office.id("Bea"),
            how="present",
            viewing=learning,
        )
        assert sent.status_code == 303
        assert unlock(mo, learning, "Mo", "Bea", [*codes, "not_appraisal"]) == 403
        assert unlock(mo, learning, "Mo", "Carel", [*codes, "not_appraisal"]) == 303
        assert back.case(CaseKind.COMPLAINT, recording)
