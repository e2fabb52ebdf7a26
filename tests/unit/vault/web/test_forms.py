"""Sign-in and every form under bad input: no defect, guessing is slowed, sessions die on the
server, no other site counts.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.back_office import ORIGIN, BackOffice, backoffice
from tests.unit.vault.web.test_routes import address
from vault.web.app import BODY_MAX_BYTES, ROUTES
from vault.web.sessions import LIFE_S

FIELDS = (
    *(
        "person",
        "passphrase",
        "second",
        "second_passphrase",
        "answer",
        "challenge",
        "recording",
        "reason",
        "reference",
        "kind",
    ),
    *(
        "received",
        "used",
        "location",
        "announced",
        "informed",
        "cause",
        "event",
        "announcement",
        "information",
        "how",
    ),
    *(
        "purpose",
        "case",
        "confirm",
        "granted",
        "necessity",
        "reasons",
        "upheld",
        "device",
        "serial",
        "key",
        "compared",
    ),
    *(
        "since",
        "until",
        "from",
        "absent",
        "substitute",
        "role",
        "change",
        "name",
        "function",
        "officer",
        "standing",
    ),
    *(
        "receiver",
        "recipient",
        "credential",
        "label",
        "screen",
        "new_passphrase",
        "again_passphrase",
        "language",
        "back",
    ),
)
AWKWARD = st.sampled_from(
    [
        "",
        "\0",
        "yes",
        "x" * 10_001,
        "2026-99-99T99:99",
        "0001-01-01T00:00",
        "9999-12-31T23:59",
        "2026-11-23T18:00",
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "' OR 1=1 --",
        "%00",
        "１２",
        "\ud7ff\uffff",
        "PO",
        "Carel",
        "complaint",
        "learning",
        "enrol",
        "leave",
        "age1",
        '{"serial": 1, "public_key": "AA==", "model": null}',
        "//evil.example",
    ]
)
VALUES = st.one_of(AWKWARD, st.text(max_size=40))
FORMS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=14)
DEEDS = [route for route in ROUTES if route.method == "POST" and route.path not in ("/sign-out",)]
PAGES = [route for route in ROUTES if route.method == "GET"]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with backoffice(tmp_path_factory.mktemp("forms") / "office") as back:
        recording = back.film()
        viewing = back.viewing(recording)
        about = {
            "recording": recording,
            "viewing": viewing,
            "serial": "BWC0042",
            "absence": "none",
            "report": "none",
        }
        yield back, about | {"case": f"complaint-{recording[:6]}", "handover": "none"}


@settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(
    form=FORMS,
    at=st.integers(0, len(DEEDS) - 1),
    who=st.sampled_from(["Carel", "Petra", "Bea", "Mo", "Geert", None]),
)
def test_no_form_meets_a_defect(busy, form: dict[str, str], at: int, who: str | None) -> None:  # type: ignore[no-untyped-def]
    """Whatever is typed into whatever form: an answer that says what to do, never a 500."""
    back, about = busy
    back.web.slowdown.succeeded(
        "place:testclient", *(f"name:{name.casefold()}" for name in back.office.secrets)
    )
    screen = back.screen(who) if who is not None else back.screen()
    answer = screen.send(address(DEEDS[at].path, about), **form)
    assert answer.status_code < 500 or answer.status_code == 503, (
        DEEDS[at].path,
        form,
        answer.text[-600:],
    )
    assert "<script>alert" not in answer.text


@settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(
    at=st.integers(0, len(PAGES) - 1),
    word=VALUES,
    query=st.dictionaries(
        st.sampled_from(
            ["page", "since", "camera", "case", "year", "about", "from", "until", "kind"]
        ),
        VALUES,
    ),
)
def test_no_address_meets_a_defect(busy, at: int, word: str, query: dict[str, str]) -> None:  # type: ignore[no-untyped-def]
    back, about = busy
    screen = back.screen("Petra")
    clean = "".join(char for char in word if char.isalnum() or char in "-._~%'") or "x"
    path = address(PAGES[at].path, dict.fromkeys(about, clean))
    answer = screen.http.get(
        path, params={key: value.encode("utf-8", "replace") for key, value in query.items()}
    )
    assert answer.status_code < 500, (path, query, answer.text[-600:])


def test_guessing_is_slowed_and_the_right_one_waits_too(back: BackOffice) -> None:
    """Three mistakes are free; then each doubles the wait, whoever asks for this name. Both
    outcomes stand in the log.
    """
    secret = back.office.secrets["Carel"]
    statuses = [
        back.screen().send("/sign-in", person="Carel", passphrase=f"guess {at}").status_code
        for at in range(5)
    ]
    assert statuses == [422, 422, 422, 429, 429]
    assert back.screen().send("/sign-in", person="Carel", passphrase=secret).status_code == 429
    assert (
        back.screen()
        .send("/sign-in", person="Petra", passphrase=back.office.secrets["Petra"])
        .status_code
        == 303
    )
    back.office.clock.pass_time(3)
    assert (
        back.screen().send("/sign-in", person="Carel", passphrase="another guess").status_code
        == 422
    )
    back.office.clock.pass_time(3)
    assert back.screen().send("/sign-in", person="Carel", passphrase=secret).status_code == 429
    back.office.clock.pass_time(3)
    assert back.screen().send("/sign-in", person="Carel", passphrase=secret).status_code == 303
    assert len(back.office.told("person.refused")) == 4


def test_a_thousand_guesses_take_days(back: BackOffice) -> None:
    """What a program gets: the wait grows to five minutes, so a thousand guesses take more than
    three days.
    """
    tried, waited = 0, 0.0
    while tried < 40:
        answer = back.screen().send("/sign-in", person="Vera", passphrase=f"guess {tried}")
        if answer.status_code == 429:
            back.office.clock.pass_time(30)
            waited += 30
        else:
            tried += 1
    assert waited / 40 * 1000 > 2.5 * 86400


def test_an_unknown_name_is_refused_in_the_same_words(back: BackOffice) -> None:
    known = back.screen().send("/sign-in", person="Carel", passphrase="wrong").text
    unknown = back.screen().send("/sign-in", person="Nobody", passphrase="wrong").text
    assert known.replace("Carel", "X") == unknown.replace("Nobody", "X")


def test_sessions_die_on_the_server(back: BackOffice) -> None:
    """The cookie of a session that was signed out, was idle, lasted a shift, or was revoked
    elsewhere opens nothing.
    """
    first, second = back.new_screen("Carel"), back.new_screen("Carel")
    token = first.http.cookies["dock-vault"]
    first.send("/sign-out")
    first.http.cookies.set("dock-vault", token)
    assert first.get("/home").status_code == 303
    third = back.new_screen("Carel")
    sessions = back.web.sessions.of(back.office.id("Carel"))
    assert len(sessions) == 2
    third.send("/me/screen", screen=sessions[0].id)
    assert second.get("/home").status_code == 303
    assert third.get("/home").status_code == 200
    back.office.clock.pass_time(599)
    assert third.get("/home").status_code == 200
    back.office.clock.pass_time(601)
    assert third.get("/home").status_code == 303
    fourth = back.new_screen("Carel")
    for _ in range(int(LIFE_S // 500) + 1):
        back.office.clock.pass_time(500)
        last = fourth.get("/home").status_code
    assert last == 303


def test_asking_where_a_viewing_stands_keeps_no_idle_screen_alive(back: BackOffice) -> None:
    viewing = back.viewing(back.film())
    carel = back.screen("Carel")
    for _ in range(7):
        back.office.clock.pass_time(100)
        last = carel.http.get(f"/viewings/{viewing}/here", headers={"accept": "*/*"}).status_code
    assert last == 401


def test_a_new_passphrase_signs_out_every_other_screen(back: BackOffice) -> None:
    old, here = back.new_screen("Carel"), back.new_screen("Carel")
    values = {
        "passphrase": back.office.secrets["Carel"],
        "new_passphrase": "four more random words",
    }
    assert (
        here.send("/me/passphrase", **values, again_passphrase="other words entirely").status_code
        == 422
    )
    assert (
        here.send("/me/passphrase", **values, again_passphrase="four more random words").status_code
        == 303
    )
    assert old.get("/home").status_code == 303
    assert here.get("/home").status_code == 200


def test_who_leaves_is_signed_out(back: BackOffice) -> None:
    """The keyring no longer knows a person: their screens lead to the sign-in, at
    the next click.
    """
    mo = back.screen("Mo")
    carel, person = back.screen("Carel"), back.office.id("Mo")
    secret = back.office.secrets
    sent = carel.send(
        "/ceremony",
        change="leave",
        person=person,
        passphrase=secret["Carel"],
        second="Petra",
        second_passphrase=secret["Petra"],
    )
    assert sent.status_code == 303, sent.text
    assert mo.get("/home").headers["location"] == "/sign-in"
    assert back.web.sessions.of(person) == []


def test_a_form_of_another_site_does_nothing(back: BackOffice) -> None:
    """CSRF: without the session's token, with another session's, from another origin, by another
    name for this machine.
    """
    carel, petra = back.screen("Carel"), back.screen("Petra")
    other = petra.http.get("/me").text.split('name="csrf" value="')[1].split('"')[0]
    recording = back.film()
    path = f"/recordings/{recording}/archive"
    assert carel.send(path, csrf="").status_code == 403
    assert carel.send(path, csrf=other).status_code == 403
    own = carel.http.get("/me").text.split('name="csrf" value="')[1].split('"')[0]
    strangers = (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    )
    for headers in strangers:
        assert carel.http.post(path, data={"csrf": own}, headers=headers).status_code == 403
    assert carel.http.get("/home", headers={"host": "evil.example:8480"}).status_code == 404
    assert back.office.told("recording.archived") == []
    assert carel.http.post(path, data={"csrf": own}, headers={"origin": ORIGIN}).status_code == 303


def test_no_secret_is_shown_again(back: BackOffice) -> None:
    """A refused form comes back with what was typed, but no passphrase, escrow code or security
    key's answer.
    """
    carel = back.screen("Carel")
    typed = {
        "change": "dismiss",
        "person": back.office.id("Vera"),
        "function": "VC",
        "code_ESCROW-A": "AAAA-SECRET-AAAA",
    }
    typed |= {
        "passphrase": "a wrong secret phrase",
        "second": "Petra",
        "second_passphrase": "another secret phrase",
    }
    answer = carel.send("/ceremony", **typed)
    assert answer.status_code == 422
    assert 'value="Petra"' in answer.text
    assert not any(secret in answer.text for secret in ("SECRET", "secret phrase"))


def test_a_body_is_bounded(back: BackOffice) -> None:
    answer = back.screen().http.post("/sign-in", content=b"person=" + b"x" * (BODY_MAX_BYTES + 1))
    assert answer.status_code == 413
    assert back.screen().http.post("/sign-in", content=b"\xff\xfe=%%%").status_code == 403


def test_every_answer_is_guarded(back: BackOffice) -> None:
    """A strict policy, nothing kept by the browser, the cookie out of a script's reach."""
    carel = back.screen("Carel")
    for path in ("/home", "/sign-in", "/nothing", "/static/app.css"):
        headers = carel.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == (
            "no-cache" if path.startswith("/static") else "no-store"
        )
    signed = back.screen().send("/sign-in", person="Geert", passphrase=back.office.secrets["Geert"])
    cookie = signed.headers["set-cookie"].casefold()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert carel.get("/nothing").status_code == 404


def test_language_leads_nowhere_else(back: BackOffice) -> None:
    screen = back.screen()
    for back_to in ("//evil.example", "https://evil.example", "/\\evil.example", ""):
        answer = screen.send("/language", language="en", back=back_to)
        assert answer.headers["location"] == "/"
    assert (
        screen.send("/language", language="en", back="/sign-in").headers["location"] == "/sign-in"
    )
    assert "Sign in" in screen.get("/sign-in").text


def test_over_https_the_cookie_is_secure(tmp_path: Path) -> None:
    web = {"origin": "https://kluis.gemeente.nl"}
    with backoffice(tmp_path / "office", web=web) as back:
        screen = back.screen()
        screen.http.base_url = "https://kluis.gemeente.nl"
        data = {"person": "Geert", "passphrase": back.office.secrets["Geert"]}
        answer = screen.http.post(
            "/sign-in", data=data, headers={"origin": "https://kluis.gemeente.nl"}
        )
        assert "secure" in answer.headers["set-cookie"].casefold()
