"""One's own account: passphrase, security keys, screens that are signed in."""

from starlette.responses import JSONResponse, Response

from vault.crypto.passphrase import PassphraseCost
from vault.custody import keyholders, security_keys
from vault.web.request import FormWrong, Visit
from vault.web.routing import Routes

routes = Routes()


@routes.page("/me")
def account(visit: Visit) -> Response:
    person = visit.by.person
    return visit.page(
        "account.html",
        keys=visit.vault.keyring.security_keys.get(person, []),
        screens=visit.office.sessions.of(person),
        holds=sorted(
            function
            for function, holders in visit.vault.keyring.holders(standing=True).items()
            if person in holders
        ),
    )


@routes.deed("/me/passphrase", again=account)
def change_passphrase(visit: Visit) -> Response:
    """The old one is asked; every other screen of this person is signed out."""
    if visit.raw("new_passphrase") != visit.raw("again_passphrase"):
        raise FormWrong(
            visit.words.t(
                "De twee nieuwe wachtwoordzinnen zijn niet gelijk.",
                "The two new passphrases differ.",
            )
        )
    who = visit.prove_self()
    keyholders.set_passphrase(visit.vault, who, visit.raw("new_passphrase"), PassphraseCost())
    visit.office.sessions.end_others(visit.by.person, visit.screen)
    return visit.go("/me", "passphrase")


@routes.deed("/me/key/ask")
def ask_key(visit: Visit) -> Response:
    """The first step of adding a security key: the passphrase, then a challenge for the browser."""
    who = visit.prove_self()
    asked = security_keys.ask_new(visit.vault, who, visit.vault.settings.web.origin)
    return JSONResponse(visit.ask(asked, visit.by.person))


@routes.deed("/me/key", again=account)
def add_key(visit: Visit) -> Response:
    """The second step: the new key's answer, and the passphrase once more, as it is what gets a
    further lock.
    """
    who = visit.prove_self_by_passphrase()
    state = visit.office.challenges.take(visit.text("new_challenge"), visit.by.person)
    answer = security_keys.read_answer(visit.text("new_answer"))
    security_keys.add(
        visit.vault, who, visit.vault.settings.web.origin, state, answer, visit.text("label")
    )
    return visit.go("/me", "key-added")


@routes.deed("/me/key/remove", again=account)
def remove_key(visit: Visit) -> Response:
    security_keys.remove(visit.vault, visit.prove_self(), visit.text("credential"))
    return visit.go("/me", "key-removed")


@routes.deed("/me/screen")
def end_screen(visit: Visit) -> Response:
    """Sign out another screen of one's own."""
    visit.office.sessions.end(visit.text("screen"), visit.by.person)
    return visit.go("/me", "session-ended")
