"""One request to the back office: its session, its form, its answer."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from vault.clock import MachineClock
from vault.custody import people
from vault.custody.people import Signed, sign_in
from vault.custody.security_keys import Asked, read_answer, sign_in_with_key
from vault.errors import Failure, NotAllowed, Reaction, UnknownPerson, VaultError, WrongPassphrase
from vault.rules.actions import Action, Actor, demand
from vault.rules.roles import Role
from vault.vault import Vault
from vault.web.challenges import Challenges
from vault.web.live_viewings import Rooms
from vault.web.packages import Packages
from vault.web.sessions import Sessions, WebSession
from vault.web.text.errors import Said, said
from vault.web.text.words import Words, read_local
from vault.web.throttle import Slowdown

TEXT_MAX = 10_000


class FormWrong(VaultError):
    """A field is missing or can't be read."""

    code = "web.form_wrong"
    reaction = Reaction.REFUSE
    hint = "Correct the field and send the form again."


class SecondMissing(VaultError):
    """What takes two was sent by one."""

    code = "web.second_missing"
    reaction = Reaction.REFUSE
    hint = "The second person fills in their own name and passphrase."


class NotFound(VaultError):
    """There is no such page."""

    code = "web.not_found"
    reaction = Reaction.REFUSE
    hint = "Go back to the start and choose from the menu."


def permitted(actor: Actor, asks: Sequence[Action | Role] | None) -> NotAllowed | None:
    """None where this person may come in, else the first refusal. A role may be held or stood in
    for.
    """
    if asks is None:
        return None
    refusal: NotAllowed | None = None
    for wanted in asks:
        if isinstance(wanted, Role):
            if wanted in actor.roles or wanted in {one.role for one in actor.replacements}:
                return None
            continue
        try:
            demand(wanted, actor)
        except NotAllowed as error:
            refusal = refusal or error
        else:
            return None
    return refusal or NotAllowed(f"{actor.name} has no part in this.")


@dataclass(frozen=True, slots=True)
class Office:
    """What every request shares."""

    vault: Vault
    clock: MachineClock
    sessions: Sessions
    rooms: Rooms
    slowdown: Slowdown
    challenges: Challenges
    packages: Packages
    templates: Environment
    demo: Mapping[str, str] | None = None
    """Demonstration passphrases, shown on the sign-in page; None for a real vault."""


def _is_secret(name: str) -> bool:
    """Fields that no page shows again: passphrases, escrow codes, what a security key answered."""
    return name.startswith("code_") or any(
        word in name for word in ("passphrase", "answer", "challenge")
    )


@dataclass(slots=True)
class Visit:
    """One request by one visitor."""

    office: Office
    request: Request
    words: Words
    where: str
    form: Mapping[str, list[str]] = field(default_factory=dict)
    session: WebSession | None = None
    actor: Actor | None = None
    failure: Failure | None = None
    admitted: bool = False
    """Whether the visitor was let in to what the route asks."""

    # --- who --------------------------------------------------------------------------------------

    @property
    def vault(self) -> Vault:
        return self.office.vault

    @property
    def by(self) -> Actor:
        """The signed-in person. Only on routes that are not public."""
        assert self.actor is not None
        return self.actor

    @property
    def screen(self) -> str:
        """The id of the session at this screen."""
        assert self.session is not None
        return self.session.id

    def may(self, *asks: Action | Role | str) -> bool:
        """Whether the visitor may do any of these; a page names an action by its code."""
        wanted = tuple(one if isinstance(one, (Action, Role)) else Action(one) for one in asks)
        return self.actor is not None and permitted(self.actor, wanted) is None

    def people(self) -> list[tuple[str, str]]:
        """Everybody enrolled, for a list to choose from."""
        return sorted(
            ((form.person, form.name) for form in self.vault.keyring.persons()),
            key=lambda one: one[1],
        )

    def prove_by_passphrase(self, called: str) -> Signed:
        return self._slowed(
            called, lambda: sign_in(self.vault, called, self._passphrase("passphrase"))
        )

    def prove(self, called: str, prefix: str = "") -> Signed:
        """A person proven by what the form holds: a security key's answer, or a passphrase.
        Guessing is slowed.

        Fields: `passphrase`, or `answer` and `challenge`, each with the prefix. Raises
        WrongPassphrase, UnknownPerson, TooFast, SecurityKeyRefused, NotAllowed.
        """
        return self._slowed(called, lambda: self._proven(called.strip(), prefix))

    def _passphrase(self, name: str) -> str:
        """As it was typed, blanks and all. Raises FormWrong where nothing was: that
        is no attempt.
        """
        found = self.raw(name)
        if not found:
            raise FormWrong(
                self.words.t(
                    "De wachtwoordzin is niet ingevuld.", "The passphrase was not filled in."
                )
            )
        return found

    def _slowed(self, called: str, prove: Callable[[], Signed]) -> Signed:
        slowdown = self.office.slowdown
        keys = (f"name:{called.strip().casefold()[:100]}", f"place:{self.where}")
        slowdown.demand(*keys)
        try:
            with slowdown.turn:
                signed = self._prove_or_waste(prove)
        except (WrongPassphrase, UnknownPerson):
            slowdown.failed(*keys)
            # Whether the name or the passphrase was wrong is nobody's business who has neither.
            raise WrongPassphrase("Name and passphrase do not belong together.") from None
        slowdown.succeeded(keys[0])
        return signed

    def _prove_or_waste(self, prove: Callable[[], Signed]) -> Signed:
        """An unknown name takes as long as a known one: a passphrase is tried for somebody all the
        same.
        """
        try:
            return prove()
        except UnknownPerson:
            with contextlib.suppress(VaultError):
                self.vault.keyring.identify(
                    self.vault.keyring.persons()[0].person, self.raw("passphrase")
                )
            raise

    def _proven(self, called: str, prefix: str) -> Signed:
        answer = self.text(f"{prefix}answer", optional=True)
        if not answer:
            return sign_in(self.vault, called, self._passphrase(f"{prefix}passphrase"))
        person = self.vault.keyring.person(called).person
        state = self.office.challenges.take(self.text(f"{prefix}challenge"), person)
        return sign_in_with_key(
            self.vault, person, self.vault.settings.web.origin, state, read_answer(answer)
        )

    def prove_self(self) -> Signed:
        """The visitor proven anew, for what needs their keys."""
        return self.prove(self.by.person)

    def prove_second(self) -> Signed:
        """The second person at this screen. Raises SecondMissing, and as `prove`."""
        called = self.text("second", optional=True)
        if not called:
            raise SecondMissing("The second person has not signed.")
        second = self.prove(called, "second_")
        if second.actor.person == self.by.person:
            raise SecondMissing(f"{self.by.name} can't be both persons.")
        return second

    def prove_self_by_passphrase(self) -> Signed:
        """As `prove_self`, where only the passphrase serves."""
        return self.prove_by_passphrase(self.by.person)

    def ask(self, asked: Asked, person: str) -> dict[str, Any]:
        """A challenge as the browser takes it; its state stays here."""
        return {
            "challenge": self.office.challenges.keep(asked.state, person),
            "options": asked.options,
        }

    # --- what was typed ---------------------------------------------------------------------------

    def raw(self, name: str) -> str:
        return (self.form.get(name) or [""])[0]

    def text(self, name: str, *, optional: bool = False) -> str:
        """A field's text without blanks around it. Raises FormWrong where it is empty
        or too long.
        """
        found = self.raw(name).strip()
        if len(found) > TEXT_MAX or "\0" in found:
            raise FormWrong(
                self.words.t(f"Het veld „{name}” is te lang.", f"The field “{name}” is too long.")
            )
        if not found and not optional:
            raise FormWrong(
                self.words.t(f"Het veld „{name}” is leeg.", f"The field “{name}” is empty.")
            )
        return found

    def many(self, name: str) -> list[str]:
        return [value.strip() for value in self.form.get(name, []) if value.strip()]

    def yes(self, name: str) -> bool:
        """A choice between yes and no. Raises FormWrong where none was made."""
        found = self.text(name, optional=True)
        if found not in ("yes", "no"):
            raise FormWrong(
                self.words.t(f"Kies bij „{name}” ja of nee.", f"Choose yes or no for “{name}”.")
            )
        return found == "yes"

    def moment(self, name: str, *, optional: bool = False) -> datetime | None:
        """A moment in the municipality's own time, as UTC. Raises FormWrong."""
        text = self.text(name, optional=optional)
        if not text:
            return None
        found = read_local(text)
        if found is None:
            raise FormWrong(self.words.t(f"„{text}” is geen tijdstip.", f"“{text}” is no moment."))
        return found

    def needed_moment(self, name: str) -> datetime:
        found = self.moment(name)
        assert found is not None
        return found

    def choice(self, name: str, kind: Callable[[str], Any]) -> Any:
        """One of a closed list (an enumeration). Raises FormWrong."""
        text = self.text(name)
        try:
            return kind(text)
        except ValueError:
            raise FormWrong(
                self.words.t(f"Kies bij „{name}” uit de lijst.", f"Choose “{name}” from the list.")
            ) from None

    def path(self, name: str) -> str:
        return str(self.request.path_params[name])

    def query(self, name: str) -> str:
        return self.request.query_params.get(name, "").strip()[:200]

    # --- the answer -------------------------------------------------------------------------------

    @property
    def said(self) -> Said | None:
        return said(self.failure, self.words.language) if self.failure is not None else None

    def names(self) -> dict[str, str]:
        """Every person's id and name, those who left too."""
        return people.names(self.vault, self.by)

    def page_number(self) -> int:
        """Which page of a list is asked for."""
        text = self.query("page")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 1

    def page(self, template: str, status: int = 200, **known: object) -> HTMLResponse:
        """A page. Where a form was refused, the same page with the refusal and what was typed."""
        told = self.said
        names = {
            "visit": self,
            "words": self.words,
            "t": self.words.t,
            "said": told,
            "typed": {
                name: values[0] for name, values in self.form.items() if not _is_secret(name)
            },
            "typed_many": {
                name: values for name, values in self.form.items() if not _is_secret(name)
            },
            "path": self.request.url.path,
            "done": self.query("done") if self.session is not None else "",
        }
        body = self.office.templates.get_template(template).render({**names, **known})
        return HTMLResponse(body, told.status if told is not None else status)

    def go(self, path: str, done: str = "") -> Response:
        """To another page, after a deed; `done` is the code of what it says was done."""
        return RedirectResponse(f"{path}{'?done=' + done if done else ''}", 303)
