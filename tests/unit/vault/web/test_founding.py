"""The first start: the ceremony as pages, in a real browser, from an empty folder
to the sign-in.
"""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.support.hand_clock import HandClock
from tests.support.vault_world import CHEAP, settings_in
from vault.crypto.escrow_code import read_code
from vault.custody.witness import log_key
from vault.operations.founding import discard_unfinished, unprinted
from vault.rules.roles import ESCROW_HOLDERS, Function
from vault.vault import Vault
from vault.web.founding import Ceremony, build_ceremony

ORIGIN = "http://localhost:8480"


@pytest.fixture
def ceremony(tmp_path: Path) -> Ceremony:
    return Ceremony(settings_in(tmp_path), HandClock(), CHEAP, lambda: None)


def typed(**changes: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for function in Function:
        code = function.value
        values |= {f"name_{code}": f"Person {code}", f"officer_{code}": ""}
        values |= {
            f"passphrase_{code}": f"words of {code} alone",
            f"passphrase_again_{code}": f"words of {code} alone",
        }
    return values | changes


def client(ceremony: Ceremony) -> TestClient:
    return TestClient(build_ceremony(ceremony), base_url=ORIGIN, follow_redirects=False)


def test_the_ceremony_makes_a_vault_that_opens(ceremony: Ceremony) -> None:
    """Form, papers, done: the codes are shown for printing until they are printed, and nowhere
    after.
    """
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
        assert {form.name for form in vault.keyring.persons()} == {
            f"Person {function.value}" for function in Function
        }
    left = b"".join(
        path.read_bytes() for path in ceremony.settings.root.parent.rglob("*") if path.is_file()
    )
    assert not any(code.encode() in left for code in codes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"word": "not the word"}, "word"),
        ({"name_PO": ""}, "privacy officer"),
        ({"passphrase_again_CM": "something else"}, "Person CM"),
        (
            {"passphrase_GS": "words of BC alone", "passphrase_again_GS": "words of BC alone"},
            "Person GS",
        ),
        ({"passphrase_VC": "short", "passphrase_again_VC": "short"}, "Person VC"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_made(
    ceremony: Ceremony, changes: dict[str, str], told: str
) -> None:
    screen = client(ceremony)
    answer = screen.post("/", data=typed(word=ceremony.word) | changes)
    assert answer.status_code == 422
    assert told in answer.text
    assert "words of PO alone" not in answer.text
    assert not (ceremony.settings.root / "vault.json").exists()


def test_a_vault_whose_papers_were_never_printed_is_none(ceremony: Ceremony) -> None:
    """Power goes while the papers are on the screen: nobody has the codes, so nothing may start
    with that vault.

    The next start removes it, and the ceremony is held anew.
    """
    settings = ceremony.settings
    assert client(ceremony).post("/", data=typed(word=ceremony.word)).status_code == 303
    assert not settings.pins.exists(), "services start where the pins are"
    assert discard_unfinished(settings)
    assert not discard_unfinished(settings)
    again = Ceremony(settings, ceremony.clock, CHEAP, lambda: None)
    screen = client(again)
    assert screen.post("/", data=typed(word=again.word)).status_code == 303
    assert screen.post("/papers", data={"word": again.word}).status_code == 200
    assert screen.post("/papers", data={"word": again.word}).status_code == 200
    assert not discard_unfinished(settings)
    with Vault.open(settings, ceremony.clock) as vault:
        assert log_key(vault).verifier.text() == again.facts["log_key"]


@pytest.mark.parametrize("gone", ["vault.json", "pins"])
def test_a_ceremony_that_was_cut_off_is_not_in_the_way_of_the_next(
    ceremony: Ceremony, gone: str
) -> None:
    """Power goes while the vault is being made: its parts stand, and the last of them do not."""
    settings = ceremony.settings
    assert client(ceremony).post("/", data=typed(word=ceremony.word)).status_code == 303
    (settings.root / "vault.json").unlink()
    if gone == "pins":
        unprinted(settings).pins.unlink()
        settings.log_key_path.unlink()
    assert discard_unfinished(settings)
    again = Ceremony(settings, ceremony.clock, CHEAP, lambda: None)
    assert client(again).post("/", data=typed(word=again.word)).status_code == 303


@pytest.mark.parametrize(
    "why", ["footage", "pins", "a vault that lost its pins", "a restore under way"]
)
def test_nothing_else_is_taken_for_an_unfinished_ceremony(ceremony: Ceremony, why: str) -> None:
    settings = ceremony.settings
    assert client(ceremony).post("/", data=typed(word=ceremony.word)).status_code == 303
    match why:
        case "footage":
            (settings.root / "footage" / "0000.sealed").write_bytes(b"sealed")
        case "pins":
            settings.pins.write_bytes(b"pins")
        case "a vault that lost its pins":
            unprinted(settings).pins.unlink()
        case _:
            unprinted(settings).pins.unlink()
            (settings.root / "vault.json").rename(settings.root / ".restore.json")
    before = {path: path.read_bytes() for path in settings.root.rglob("*") if path.is_file()}
    assert not discard_unfinished(settings)
    assert {
        path: path.read_bytes() for path in settings.root.rglob("*") if path.is_file()
    } == before


@pytest.mark.parametrize(
    "named", ["http://localhost:8480", "http://127.0.0.1:8480", "https://bodycam.example"]
)
def test_it_is_held_at_the_machine_itself_whatever_the_back_office_is_called(
    ceremony: Ceremony, named: str
) -> None:
    """Installed word by word, the back office's name is set before the ceremony."""
    web = ceremony.settings.web.model_copy(update={"origin": "https://bodycam.example"})
    ceremony.settings = ceremony.settings.model_copy(update={"web": web})
    assert (
        client(ceremony)
        .post("/", data=typed(word=ceremony.word), headers={"origin": named})
        .status_code
        == 303
    )


def test_another_site_cannot_hold_it(ceremony: Ceremony) -> None:
    answer = client(ceremony).post(
        "/", data=typed(word=ceremony.word), headers={"origin": "http://evil.example"}
    )
    assert answer.status_code == 422
    assert not (ceremony.settings.root / "vault.json").exists()


def test_it_is_held_once(ceremony: Ceremony) -> None:
    screen = client(ceremony)
    assert screen.post("/", data=typed(word=ceremony.word)).status_code == 303
    before = dict(ceremony.papers)
    assert screen.post("/", data=typed(word=ceremony.word)).status_code == 303
    assert ceremony.papers == before
