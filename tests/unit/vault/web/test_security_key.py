"""Security keys, in Chromium's virtual authenticator: added, signed in with, a viewing unlocked
with, removed.
"""

from playwright.sync_api import Page

from tests.support.back_office import BackOffice
from tests.support.browser import People
from tests.unit.vault.web.test_story import crowd, shows
from vault.crypto.canonical_json import parse_object

__all__ = ["crowd"]


def plug_in(page: Page, *, prf: bool = True) -> None:
    """A security key in the browser's machine, whose owner always touches it and knows its PIN."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "ctap2Version": "ctap2_1",
        "transport": "usb",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
        "hasPrf": prf,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def add_key(page: Page, crowd: People, name: str) -> None:
    page.goto(f"{crowd.origin}/me")
    page.fill("#f-label", "the black one")
    page.fill("#f-key-passphrase", crowd.back.office.secrets[name])
    page.locator("[data-new-key] button.utrecht-button--primary-action").click()


def test_a_key_signs_in_and_unlocks(crowd: People) -> None:
    """The PRF's answer opens the person's keys: no passphrase is typed, and the log tells of the
    new key.
    """
    back = crowd.back
    viewing = back.viewing(back.film())
    page = crowd.sign_in("Carel")
    plug_in(page)
    add_key(page, crowd, "Carel")
    page.wait_for_url("**/me?done=key-added")
    assert "the black one" in page.locator("main").inner_text()
    page.locator("form[action='/sign-out'] button").click()
    page.wait_for_url("**/sign-in")
    page.fill("#f-person", "Carel")
    page.locator("[data-use-key]").click()
    page.wait_for_url("**/home")
    geert = crowd.sign_in("Geert")
    crowd.unlock(geert, viewing, "Geert")
    page.goto(f"{crowd.origin}/viewings/{viewing}")
    for box in page.locator("input[name=confirm]").all():
        box.check()
    page.locator(".room [data-proof=''] [data-use-key]").click()
    shows(page)
    assert len(back.office.told("person.security_key_added")) == 1
    keyring = parse_object((back.office.settings.root / "keyring.json").read_bytes())
    assert [len(keys) for keys in keyring["security_keys"].values()] == [1]


def test_a_key_without_the_secret_is_refused_and_another_s_is_too(crowd: People) -> None:
    back = crowd.back
    page = crowd.sign_in("Carel")
    plug_in(page, prf=False)
    add_key(page, crowd, "Carel")
    state = page.locator("[data-new-key] .proof__state")
    state.get_by_text("PRF").wait_for()
    assert back.office.vault.keyring.security_keys.get(back.office.id("Carel")) is None
    page.context.close()
    petra = crowd.sign_in("Petra")
    plug_in(petra)
    add_key(petra, crowd, "Petra")
    petra.wait_for_url("**/me?done=key-added")
    petra.goto(f"{crowd.origin}/")
    petra.locator("form[action='/sign-out'] button").click()
    petra.fill("#f-person", "Carel")
    petra.locator("[data-use-key]").click()
    petra.get_by_text("gaf geen antwoord").wait_for()
    assert petra.url.endswith("/sign-in")
    petra.fill("#f-person", "Petra")
    petra.locator("[data-use-key]").click()
    petra.wait_for_url("**/home")
    petra.goto(f"{crowd.origin}/me")
    petra.fill("#remove-1", back.office.secrets["Petra"])
    petra.locator("form[action='/me/key/remove'] button").click()
    petra.wait_for_url("**/me?done=key-removed")
    assert back.office.vault.keyring.security_keys[back.office.id("Petra")] == []


def test_an_answer_serves_once_and_for_its_person(back: BackOffice) -> None:
    """A challenge is taken once and is nobody else's; an unknown name is challenged like a known
    one.
    """
    screen = back.screen()
    asked = screen.get("/challenge?person=Carel").json()
    unknown = screen.get("/challenge?person=Nobody").json()
    assert set(asked["options"]) == set(unknown["options"])
    assert (
        len(asked["options"]["allowCredentials"])
        == len(unknown["options"]["allowCredentials"])
        == 1
    )
    answer = '{"credential": {}, "secret": "' + "A" * 43 + '="}'
    for challenge in (asked["challenge"], asked["challenge"], unknown["challenge"], "made up"):
        sent = screen.send("/sign-in", person="Carel", answer=answer, challenge=challenge)
        assert sent.status_code in (422, 429)
    for broken in ("", "{", "[]", '{"credential": 1, "secret": "AAAA"}', '{"secret": null}'):
        sent = screen.send("/sign-in", person="Geert", answer=broken, challenge="x")
        assert sent.status_code in (422, 429)
