"""Every later change of the keyring: who holds which seat (FORMAT.md, section 4).

Order of steps of a change: those present prove who they are; the keys of the functions that change
must be within their reach; the new keyring is made in memory, checked by `check_seats`, signed by
both signers, and only then written in place of the old.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from vault.crypto.canonical_json import readable
from vault.crypto.passphrase import PassphraseCost, lock_by_device
from vault.errors import CannotOpen, PairRefused
from vault.keyring.form import EnvelopeForm, KeyForm, PersonForm, SecurityKeyForm
from vault.keyring.keyring import Identity, Keyring, binding
from vault.keyring.seats import (
    SIGNING_FUNCTIONS,
    Founder,
    SeatMaker,
    Seats,
    check_administrator,
    check_codes,
    check_names,
    check_passphrase,
    check_seats,
    new_person,
    person_lock,
    sealed_envelope,
)
from vault.rules.roles import ESCROW_HOLDERS, Function, Role, officer_receiver

T = TypeVar("T")

# --- changes --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Enrol:
    """A new person."""

    founder: Founder


@dataclass(frozen=True, slots=True)
class Leave:
    """A person goes: every seat ends, and what they held is rotated."""

    person: str


@dataclass(frozen=True, slots=True)
class Appoint:
    """A person takes a function, in their own right or as standing substitute."""

    person: str
    function: Function
    standing: bool = False


@dataclass(frozen=True, slots=True)
class Dismiss:
    """A person's seat in a function ends."""

    person: str
    function: Function


@dataclass(frozen=True, slots=True)
class SetOfficer:
    """A person begins (code) or ends (None) to wear a camera."""

    person: str
    officer: str | None


@dataclass(frozen=True, slots=True)
class NameSigner:
    """A person signs the keyring from the next version on, in the place of another. The pins must
    follow.
    """

    person: str
    in_place_of: str


Edit = Enrol | Leave | Appoint | Dismiss | SetOfficer | NameSigner


@dataclass(frozen=True, slots=True)
class Changed:
    """A new keyring, the persons it enrolled, and the functions that got a new key."""

    content: bytes
    enrolled: tuple[str, ...]
    rotated: tuple[str, ...]


def change_keyring(
    keyring: Keyring,
    edits: Sequence[Edit],
    present: Sequence[Identity],
    made_utc: str,
    cost: PassphraseCost,
    escrow: Iterable[bytes] = (),
) -> Changed:
    """The next version of a keyring. Both its signers are among `present`; each function that
    changes opens with those present.

    Raises PairRefused for edits that break a rule of the seats, CannotOpen where a key is out of
    reach.
    """
    signing = [identity for identity in present if identity.person in keyring.body.signers]
    if len({identity.person for identity in signing}) != 2:
        raise PairRefused(
            "The keyring is changed by its two signers together.", hint=_signers_hint(keyring)
        )
    draft = _Draft.of(keyring, made_utc)
    locks = dict(keyring.locks)
    enrolled: list[Identity] = []
    for edit in edits:
        if isinstance(edit, Enrol):
            identity = draft.enrol(edit.founder)
            enrolled.append(identity)
            locks[identity.person] = person_lock(
                keyring.vault_id, identity, edit.founder.passphrase, cost
            )
        else:
            draft.apply(edit)
    draft.check(present, enrolled)
    rotated = draft.rotated(keyring)
    kept = _kept_keys(keyring, rotated, keyring.reach(present, escrow))
    maker = SeatMaker(keyring.vault_id, made_utc, list(draft.persons.values()), keyring.body.escrow)
    body = maker.body(keyring.version + 1, draft.signers, draft.plan, kept)
    check_seats(body)
    signing += [
        identity
        for identity in (*present, *enrolled)
        if identity.person in draft.signers and identity not in signing
    ]
    content = sealed_envelope(
        body,
        _of_those(locks, {*draft.persons, *ESCROW_HOLDERS}),
        signing,
        _of_those(keyring.security_keys, draft.persons),
    )
    return Changed(content, tuple(identity.person for identity in enrolled), tuple(sorted(rotated)))


def _kept_keys(
    keyring: Keyring, rotated: Collection[str], have: Mapping[str, bytes]
) -> dict[str, list[tuple[KeyForm, bytes | None]]]:
    """Function to the keys that it keeps; with the private key where they are sealed anew. Raises
    CannotOpen where that is out of reach.
    """
    return {
        entry.function: [
            (key, _private(have, key, entry.function) if entry.function in rotated else None)
            for key in entry.keys
        ]
        for entry in keyring.body.functions
    }


def _of_those(entries: Mapping[str, T], names: Collection[str]) -> dict[str, T]:
    return {name: entry for name, entry in entries.items() if name in names}


def with_security_keys(content: bytes, person: str, keys: Sequence[SecurityKeyForm]) -> bytes:
    """The same keyring, with these security keys of a person in the place of those before."""
    envelope = EnvelopeForm.model_validate_json(content)
    devices = {**envelope.security_keys, person: list(keys)}
    return readable(envelope.model_copy(update={"security_keys": devices}).model_dump())


def device_lock(vault_id: str, identity: Identity, answer: bytes) -> tuple[bytes, bytes, bytes]:
    """A person's private keys under a security key's answer: salt, nonce, sealed."""
    return lock_by_device(
        identity.signing + identity.agreement,
        answer,
        binding("security-key", vault_id, identity.person),
    )


def change_passphrase(
    keyring: Keyring, content: bytes, identity: Identity, passphrase: str, cost: PassphraseCost
) -> bytes:
    """The same keyring, with a person's keys under another passphrase: the locks are not signed,
    what they open to is.
    """
    check_passphrase(identity.name, passphrase)
    envelope = EnvelopeForm.model_validate_json(content)
    locks = envelope.locks | {
        identity.person: person_lock(keyring.vault_id, identity, passphrase, cost)
    }
    return readable(envelope.model_copy(update={"locks": locks}).model_dump())


def _private(have: Mapping[str, bytes], key: KeyForm, function: str) -> bytes:
    if key.key not in have:
        raise CannotOpen(
            f"The key of {function} does not open with those present.",
            hint="A holder of it, its standing substitute with another function, or both escrow "
            "holders must be there.",
        )
    return have[key.key]


def _signers_hint(keyring: Keyring) -> str:
    return (
        f"They are {' and '.join(keyring.person(person).name for person in keyring.body.signers)}."
    )


class _Draft:
    """Persons and seats while the edits are applied."""

    def __init__(
        self,
        persons: dict[str, PersonForm],
        plan: dict[str, Seats],
        signers: list[str],
        made_utc: str,
    ) -> None:
        self.persons = persons
        self.plan = plan
        self.signers = signers
        self._made_utc = made_utc

    @classmethod
    def of(cls, keyring: Keyring, made_utc: str) -> "_Draft":
        plan = {
            entry.function: Seats(
                tuple(seat.person for seat in entry.keys[0].seats if not seat.standing),
                tuple(seat.person for seat in entry.keys[0].seats if seat.standing),
            )
            for entry in keyring.body.functions
        }
        return cls(
            {form.person: form for form in keyring.persons()},
            plan,
            list(keyring.body.signers),
            made_utc,
        )

    def enrol(self, founder: Founder) -> Identity:
        check_passphrase(founder.name, founder.passphrase)
        form, identity = new_person(founder, self._made_utc)
        self.persons[form.person] = form
        if founder.function:
            self.apply(Appoint(form.person, founder.function))
        return identity

    def apply(self, edit: Edit) -> None:
        match edit:
            case Leave(person):
                for function in self.plan:
                    self._end(person, function)
                del self.persons[self._known(person)]
            case Appoint(person, function, standing):
                form = self.persons[self._known(person)]
                seats = self.plan[function.value]
                if standing:
                    self.plan[function.value] = replace(
                        seats, standing=(*_without(seats.standing, person), person)
                    )
                else:
                    self.plan[function.value] = Seats(
                        (*_without(seats.holders, person), person), _without(seats.standing, person)
                    )
                    if form.first_seat is None:
                        self.persons[person] = form.model_copy(
                            update={"first_seat": function.value}
                        )
            case Dismiss(person, function):
                self._end(self._known(person), function.value)
            case SetOfficer(person, officer):
                form = self.persons[self._known(person)]
                first = officer_receiver(person) if officer is not None else form.first_seat
                self.persons[person] = form.model_copy(
                    update={"officer": officer, "first_seat": first}
                )
            case NameSigner(person, in_place_of):
                at = self.signers.index(in_place_of)
                self.signers[at] = self._known(person)

    def check(self, present: Sequence[Identity], enrolled: Sequence[Identity]) -> None:
        check_names([form.name for form in self.persons.values()])
        check_codes([form.officer for form in self.persons.values()])
        for form in self.persons.values():
            seated = any(form.person in seats.everybody for seats in self.plan.values())
            check_administrator(form.administrator, form.name, seated or form.officer is not None)
        there = {identity.person for identity in (*present, *enrolled)}
        self._check_signers(there & self.persons.keys())

    def _check_signers(self, there: Collection[str]) -> None:
        """`there`: the persons of the draft who are present."""
        if len(set(self.signers)) != 2 or not set(self.signers) <= set(there):
            raise PairRefused(
                "The next version needs two different signers who are present.",
                hint="Name a successor first.",
            )
        first, second = self.signers
        officer, manager = (self.plan[function.value].holders for function in SIGNING_FUNCTIONS)
        if not (
            (first in officer and second in manager) or (second in officer and first in manager)
        ):
            raise PairRefused(
                "The keyring is signed by a privacy officer and a cluster manager, and would "
                "not be any more.",
                hint="Name the successor as signer in the same change.",
            )

    def rotated(self, keyring: Keyring) -> set[str]:
        """The functions that get a new key.

        Their seats differ from the keyring's, a holder became an officer, or a holder's split seat
        has to open with an officer who is new (P53).
        """
        before = _Draft.of(keyring, self._made_utc)
        new_officers = self._officers() - before._officers()
        found = set()
        for function, seats in self.plan.items():
            split = any(self.persons[person].first_seat != function for person in seats.holders)
            meets_officers = function in (Function.COORDINATOR, Function.CLUSTER_MANAGER)
            if (
                seats != before.plan[function]
                or set(seats.everybody) & new_officers
                or (new_officers and split and meets_officers)
            ):
                found.add(function)
        return found

    def _officers(self) -> set[str]:
        return {form.person for form in self.persons.values() if form.officer is not None}

    def _known(self, person: str) -> str:
        if person not in self.persons:
            raise PairRefused(f"The keyring has no person {person}.")
        return person

    def _end(self, person: str, function: str) -> None:
        seats = self.plan[function]
        self.plan[function] = Seats(
            _without(seats.holders, person), _without(seats.standing, person)
        )


def _without(persons: tuple[str, ...], person: str) -> tuple[str, ...]:
    return tuple(one for one in persons if one != person)


def roles_text(roles: Iterable[Role]) -> str:
    """Roles as a table shows them."""
    return ", ".join(sorted(role.value for role in roles)) or "-"
