"""The first start: the ceremony as pages, in a real browser, from an empty folder to the sign-in."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.vault.world import CHEAP, HandClock, settings_in
from vault.escrow import read_code
from vault.policy import ESCROW_HOLDERS, Function
from vault.vault import Vault
from vault.web.founding import Ceremony, build_ceremony

ORIGIN = "http://localhost:8480"


@pytest.fixture
def ceremony(tmp_path: Path) -> Ceremony:
    return Ceremony(settings_in(tmp_path), HandClock(), CHEAP, lambda: None)


def typed(**changes: str) -> dict[str, str]:
    values = {}
    for function in Function:
        code = function.value
        values |= {f"name_{code}": f"Person {code}", f"officer_{code}": ""}
        values |= {f"passphrase_{code}": f"words of {code} alone", f"passphrase_again_{code}": f"words of {code} alone"}
    return values | changes


def client(ceremony: Ceremony) -> TestClient:
    return TestClient(build_ceremony(ceremony), base_url=ORIGIN, follow_redirects=False)


def test_the_ceremony_makes_a_vault_that_opens(ceremony: Ceremony) -> None:
    """Form, papers, done: the codes are shown for printing until they are printed, and nowhere after."""
    ended: list[str] = []
    ceremony.done = lambda: ended.append("done")
    screen = client(ceremony)
    assert "sleutelceremonie" in screen.get("/").text
    assert "key ceremony" in screen.get("/?language=en").text
    made = screen.post("/", data=typed(word=ceremony.word), headers={"origin": ORIGIN})
    assert made.status_code == 303
    papers = screen.get("/papers").text
    codes = [ceremony.papers[holder] for holder in ESCROW_HOLDERS]
    assert all(code in papers and read_code(code) == code for code in codes)
    assert papers.count("data:image/svg+xml;base64,") == 2
    assert screen.post("/papers", data={"word": "wrong"}).status_code == 422
    assert ended == []
    done = screen.post("/papers", data={"word": ceremony.word})
    assert done.status_code == 200
    assert ended == ["done"]
    assert not any(code in done.text or code in screen.get("/papers").text for code in codes)
    with Vault.open(ceremony.settings, ceremony.clock) as vault:
        assert vault.keyring.identify("Person PO", "words of PO alone").name == "Person PO"
        assert {form.name for form in vault.keyring.persons()} == {f"Person {function.value}" for function in Function}
    left = b"".join(path.read_bytes() for path in ceremony.settings.root.parent.rglob("*") if path.is_file())
    assert not any(code.encode() in left for code in codes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"word": "not the word"}, "word"),
        ({"name_PO": ""}, "privacy officer"),
        ({"passphrase_again_CM": "something else"}, "Person CM"),
        ({"passphrase_GS": "words of BC alone", "passphrase_again_GS": "words of BC alone"}, "Person GS"),
        ({"passphrase_VC": "short", "passphrase_again_VC": "short"}, "Person VC"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_made(ceremony: Ceremony, changes: dict[str, str], told: str) -> None:
    screen = client(ceremony)
    answer = screen.post("/", data=typed(word=ceremony.word) | changes)
    assert answer.status_code == 422
    assert told in answer.text
    assert "words of PO alone" not in answer.text
    assert not (ceremony.settings.root / "vault.json").exists()


def test_another_site_cannot_hold_it(ceremony: Ceremony) -> None:
    answer = client(ceremony).post("/", data=typed(word=ceremony.word), headers={"origin": "http://evil.example"})
    assert answer.status_code == 422
    assert not (ceremony.settings.root / "vault.json").exists()


def test_it_is_held_once(ceremony: Ceremony) -> None:
    screen = client(ceremony)
    assert screen.post("/", data=typed(word=ceremony.word)).status_code == 303
    before = dict(ceremony.papers)
    assert screen.post("/", data=typed(word=ceremony.word)).status_code == 303
    assert ceremony.papers == before
