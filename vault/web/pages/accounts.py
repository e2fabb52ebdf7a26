"""One's own account: passphrase, security keys, screens that are signed in."""

from starlette.responses import JSONResponse, Response

from vault.crypto.passphrase import PassphraseCost
from vault.custody import keyholders, security_keys
from vault.web.request import FormWrong, PageRequest
from vault.web.routing import Routes

routes = Routes()


@routes.page("/me")
def account(page: PageRequest) -> Response:
    person = page.by.person
    return page.render(
        "account.html",
        keys=page.vault.keyring.security_keys.get(person, []),
        screens=page.application.sessions.of(person),
        holds=sorted(
            function
            for function, holders in page.vault.keyring.holders(standing=True).items()
            if person in holders
        ),
    )


@routes.deed("/me/passphrase", again=account)
def change_passphrase(page: PageRequest) -> Response:
    """The old one is asked; every other screen of this person is signed out."""
    if page.raw("new_passphrase") != page.raw("again_passphrase"):
        raise FormWrong(
            page.words.t(
                "De twee nieuwe wachtwoordzinnen zijn niet gelijk.",
                "The two new passphrases differ.",
            )
        )
    who = page.prove_self()
    keyholders.set_passphrase(page.vault, who, page.raw("new_passphrase"), PassphraseCost())
    page.application.sessions.end_others(page.by.person, page.screen)
    return page.go("/me", "passphrase")


@routes.deed("/me/key/ask")
def ask_key(page: PageRequest) -> Response:
    """The first step of adding a security key: the passphrase, then a challenge for the browser."""
    who = page.prove_self()
    asked = security_keys.ask_new(page.vault, who, page.vault.settings.web.origin)
    return JSONResponse(page.ask(asked, page.by.person))


@routes.deed("/me/key", again=account)
def add_key(page: PageRequest) -> Response:
    """The second step: the new key's answer, and the passphrase once more, as it is what gets a
    further lock.
    """
    who = page.prove_self_by_passphrase()
    state = page.application.challenges.take(page.text("new_challenge"), page.by.person)
    answer = security_keys.read_answer(page.text("new_answer"))
    security_keys.add(
        page.vault, who, page.vault.settings.web.origin, state, answer, page.text("label")
    )
    return page.go("/me", "key-added")


@routes.deed("/me/key/remove", again=account)
def remove_key(page: PageRequest) -> Response:
    security_keys.remove(page.vault, page.prove_self(), page.text("credential"))
    return page.go("/me", "key-removed")


@routes.deed("/me/screen")
def end_screen(page: PageRequest) -> Response:
    """Sign out another screen of one's own."""
    page.application.sessions.end(page.text("screen"), page.by.person)
    return page.go("/me", "session-ended")
