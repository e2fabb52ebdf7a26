"""What waits for whom, at the start; what each finds in the menu; and pages that need more than one
look.
"""

import re

from tests.support.back_office import BackOffice
from vault.custody.reports import assign
from vault.custody.viewing.viewing_requests import request
from vault.rules.case_kinds import CaseKind
from vault.rules.purposes import Purpose
from vault.web.menu import MENU

MENU_OF = {
    "Bea": {"/home", "/reports", "/cameras", "/viewings"},
    "Carel": {item.path for item in MENU} - {"/mine", "/reports", "/cameras"},
    "Petra": {item.path for item in MENU} - {"/mine", "/reports", "/cameras"},
    "Geert": {"/home", "/viewings", "/persons", "/figures"},
    "Vera": {"/home", "/viewings"},
    "Mo": {"/home", "/mine", "/reports", "/viewings"},
    "Tim": {"/home", "/state"},
}


def test_the_menu_holds_what_the_function_may_open(back: BackOffice) -> None:
    """Proves P24, P25, P36: and everything in it does open."""
    for name, wanted in MENU_OF.items():
        screen = back.screen(name)
        menu = screen.get("/home").text.split('class="menu"')[1].split("</nav>")[0]
        assert set(re.findall(r'href="([^"]+)"', menu)) == wanted, name
        assert all(screen.get(path).status_code == 200 for path in wanted)


def test_the_start_says_what_waits(back: BackOffice) -> None:
    """Proves P21, P39, P50: reports to write, requests to look back, a seat for who is needed, who
    watched.
    """
    here = back.office
    assign(here.vault, here.actor("Bea"), "BWC0042", here.id("Mo"))
    recording = back.film()
    home = {name: back.screen(name).get("/home").text for name in MENU_OF}
    assert f"/reports/new?recording={recording}" in home["Mo"]
    assert "Er wacht niets op u" in home["Tim"]
    assert "Er wacht niets op u" in home["Vera"]
    wish = request(
        here.vault,
        here.actor("Mo"),
        Purpose.LEARNING,
        [recording],
        case=None,
        reason="hoe ik de-escaleer",
    )
    assert f"/viewings/{wish}" in back.screen("Bea").get("/home").text
    assert "hoe ik de-escaleer" in back.screen("Bea").get(f"/viewings/{wish}").text
    viewing = back.viewing(recording)
    assert f"/viewings/{viewing}" in back.screen("Geert").get("/home").text
    assert f"/viewings/{viewing}" not in back.screen("Vera").get("/home").text
    back.open(viewing).send(f"/viewings/{viewing}/leave")
    assert f'/mine/{recording}">' in back.screen("Mo").get("/home").text
    watched = back.screen("Mo").get(f"/mine/{recording}").text
    assert "Carel" in watched
    assert "klachtafhandeling" in watched


def test_a_camera_that_stays_away_is_told(back: BackOffice) -> None:
    here = back.office
    here.record()
    assign(here.vault, here.actor("Bea"), "BWC0042", here.id("Mo"))
    assert "te lang weg" not in back.screen("Bea").get("/home").text
    here.days(2)
    bea = back.new_screen("Bea")
    assert "te lang weg" in bea.get("/home").text
    assert "te lang weg" in bea.get("/cameras").text


def test_recordings_are_found_by_what_is_known_of_them(back: BackOffice) -> None:
    """Proves P24: by time, camera, officer, case, without report, held, archived; and by nothing
    that is not there.
    """
    here = back.office
    one, two = here.record(officer="boa-17"), here.record(officer="boa-18")
    case = back.case(CaseKind.COMPLAINT, one)
    carel = back.screen("Carel")
    carel.send(f"/recordings/{two}/archive")

    def found(query: str) -> set[str]:
        return set(
            re.findall(r'/recordings/([0-9a-f-]{36})"', carel.get(f"/recordings?{query}").text)
        )

    assert found("") == {one}
    assert found("archived=yes") == {one, two}
    assert found(f"archived=yes&person={here.id('Nel')}") == {two}
    assert found("archived=yes&held=yes") == {one}
    assert found(f"case={case}") == {one}
    assert found("without_report=yes") == {one}
    assert found("camera=BWC0099") == set()
    assert found("since=2026-11-23T00:00&until=2026-11-24T00:00") == {one}
    assert found("since=2027-01-01T00:00") == set()
    assert found("since=nonsense") == {one}


def test_a_case_goes_its_whole_way_over_the_pages(back: BackOffice) -> None:
    """Proves P33, P57, P58, P60, P61: refused, objected, upheld, decided anew, carried out, closed;
    each step a form.
    """
    recording = back.office.record()
    case = back.case(CaseKind.ACCESS_REQUEST, recording, reference="I-7")
    petra, carel = back.screen("Petra"), back.screen("Carel")
    decided = {"necessity": "derden in beeld", "reasons": "privacy van derden"}
    assert carel.send(f"/cases/{case}/decide", granted="no", **decided).status_code == 403
    assert petra.send(f"/cases/{case}/decide", granted="no").status_code == 422
    assert petra.send(f"/cases/{case}/decide", granted="no", **decided).status_code == 303
    assert "privacy van derden" in petra.get(f"/cases/{case}").text
    assert "privacy van derden" not in carel.get(f"/cases/{case}").text
    assert petra.send(f"/cases/{case}/close").status_code == 422
    assert petra.send(f"/cases/{case}/objection", received="2026-11-23T19:50").status_code in (
        303,
        422,
    )
    moment = back.office.clock.now().strftime("%Y-%m-%dT%H:%MZ")
    petra.send(f"/cases/{case}/objection", received=moment)
    assert (
        petra.send(f"/cases/{case}/objection-decided", upheld="yes", reference="B-1").status_code
        == 303
    )
    back.office.clock.pass_time(60)
    assert petra.send(f"/cases/{case}/decide", granted="yes", **decided).status_code == 303
    assert petra.send(f"/cases/{case}/carried-out").status_code == 303
    closed = petra.send(f"/cases/{case}/close", reference="")
    assert closed.status_code == 303, closed.text.split("refusal__detail")[1][:300]
    assert "gesloten" in petra.get(f"/cases/{case}").text
    assert "I-7" in petra.get("/cases?all=yes&kind=access_request").text


def test_a_camera_is_added_by_comparing_its_fingerprint(back: BackOffice) -> None:
    """Proves P25: the card's own words, then the fingerprint, and only with it compared is the
    camera registered.
    """
    bea = back.screen("Bea")
    device = '{"serial": "BWC0050", "public_key": "' + "A" * 43 + '=", "model": "Simulated"}'
    shown = bea.send("/cameras/new", device=device)
    assert "6668 7aad f862 bd77" in shown.text, "the SHA-256 of 32 zero bytes"
    assert back.office.told("camera.added")[-1]["subject"] == "BWC0042"
    key = "A" * 43 + "="
    bea.send("/cameras/new", serial="BWC0050", key=key, model="Simulated", compared="yes")
    assert back.office.told("camera.added")[-1]["subject"] == "BWC0050"
    assert (
        bea.send(
            "/cameras/new", serial="BWC0050", key=key, model="Simulated", compared="yes"
        ).status_code
        == 422
    )
    assert bea.send("/cameras/new", device="{}").status_code == 422
    assert bea.send("/cameras/BWC0050/remove").status_code == 303
    assert bea.get("/cameras/BWC0050").status_code == 404


def test_two_delete_before_the_time_with_a_reason(back: BackOffice) -> None:
    """Proves P26: one alone does not, the same person twice does not, and a
    held recording stays.
    """
    recording, held = back.office.record(), back.office.record()
    back.case(CaseKind.COMPLAINT, held)
    secret = back.office.secrets
    carel = back.screen("Carel")
    both = {"passphrase": secret["Carel"], "second": "Petra", "second_passphrase": secret["Petra"]}
    path = f"/recordings/{recording}/delete"
    assert carel.send(path, reason="per ongeluk", passphrase=secret["Carel"]).status_code == 422
    itself = {
        "passphrase": secret["Carel"],
        "second": "Carel",
        "second_passphrase": secret["Carel"],
    }
    assert carel.send(path, reason="per ongeluk", **itself).status_code == 422
    assert carel.send(path, reason="", **both).status_code == 422
    assert carel.send(f"/recordings/{held}/delete", reason="per ongeluk", **both).status_code == 422
    assert back.office.told("recording.destroyed") == []
    assert carel.send(path, reason="per ongeluk aangezet", **both).status_code == 303
    assert [entry["subject"] for entry in back.office.told("recording.destroyed")] == [recording]
    assert "vernietigd" in carel.get(f"/recordings/{recording}").text


def test_the_log_is_paged_and_searched_from_its_newest_entry(back: BackOffice) -> None:
    recording = back.office.record()
    for _ in range(130):
        back.office.intake.note("BWC0042", "camera.finding", "again")
    carel = back.screen("Carel")
    first = [int(number) for number in re.findall(r"<tr><td>(\d+)</td>", carel.get("/log").text)]
    assert len(first) == 100
    assert first == sorted(first, reverse=True)
    second = [
        int(number) for number in re.findall(r"<tr><td>(\d+)</td>", carel.get("/log?page=2").text)
    ]
    assert max(second) >= min(first) - 1
    about = carel.get(f"/log?about={recording[:8]}").text
    assert "opname opgeslagen en bewezen" in about
    assert "bijzonderheid van een camera" not in about
