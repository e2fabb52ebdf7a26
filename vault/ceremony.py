"""The key ceremony, and every later change of the keyring: who holds which seat (FORMAT.md, section 4).

The rules of the seats, so that nobody alone reaches both receivers of a pair:

1. A person's first seat is theirs whole, for good; the officer's own key counts as one. Every other seat is split: one half
   sealed to them, the other to each function in which they have no seat and never had a whole one, and to the other officers.
2. Whoever gains a seat in a function loses the other halves that were sealed to them through it.
3. A function whose seats change gets a new key; the older ones are sealed anew to those who hold it, split by the same rule.
4. Each function has a standing substitute and the escrow, so that no key has a sole holder.

Order of steps of a change: those present prove who they are; the keys of the functions that change must be within their reach;
the new keyring is made in memory, checked by `check_seats`, signed by both signers, and only then written in place of the old.
"""

import unicodedata
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.errors import CannotOpen, PairRefused
from vault.jsonform import from_base64, readable, to_base64
from vault.keyring import Identity, Keyring, Pins, binding, read_keyring, seat_info
from vault.keyring_form import (
    BodyForm,
    EnvelopeForm,
    EscrowForm,
    FunctionForm,
    HalfForm,
    KeyForm,
    Lock,
    PersonForm,
    SeatForm,
    SecurityKeyForm,
    SignatureForm,
    signed_bytes,
)
from vault.keys import PassphraseCost, key_id, lock_by_device, lock_secret, new_agreement_key, public_of, seal_to, split
from vault.policy import ESCROW_HOLDERS, STANDING_SUBSTITUTES, Function, Role, officer_receiver

LEAST_PASSPHRASE = 12
SIGNING_FUNCTIONS = (Function.PRIVACY_OFFICER, Function.CLUSTER_MANAGER)


@dataclass(frozen=True, slots=True)
class Founder:
    """A person at the ceremony. `officer`: the code that their camera gives, where they wear one."""

    name: str
    passphrase: str
    function: Function | None = None
    officer: str | None = None
    administrator: bool = False


@dataclass(frozen=True, slots=True)
class Founders:
    """Everybody at the ceremony, and the codes of the two escrow holders."""

    persons: tuple[Founder, ...]
    escrow: Mapping[str, str]

    @classmethod
    def by_function(cls, passphrases: Mapping[str, str]) -> "Founders":
        """One person for each function, named by it. `passphrases`: one for each function and escrow holder."""
        unknown = set(passphrases) - {*map(str, Function), *ESCROW_HOLDERS}
        if unknown:
            raise PairRefused(f"There is no function {', '.join(sorted(unknown))}.")
        persons = tuple(Founder(str(name), passphrases.get(name, ""), name) for name in Function)
        return cls(persons, {holder: passphrases.get(holder, "") for holder in ESCROW_HOLDERS})


@dataclass(frozen=True, slots=True)
class Founding:
    """A first keyring, and what must be remembered outside the vault."""

    keyring: bytes
    pins: Pins


@dataclass(frozen=True, slots=True)
class _Seats:
    """Who has a seat in a function."""

    holders: tuple[str, ...]
    standing: tuple[str, ...] = ()

    @property
    def everybody(self) -> tuple[str, ...]:
        return (*self.holders, *(person for person in self.standing if person not in self.holders))


# --- the founding -------------------------------------------------------------------------------------------------------


def found_keyring(vault_id: str, made_utc: str, founders: Founders, cost: PassphraseCost) -> Founding:
    """Make the keys of a new vault. The privacy officer and the cluster manager sign. Raises PairRefused."""
    _check_founders(founders)
    persons, locks, identities = [], {}, []
    for founder in founders.persons:
        form, identity = _new_person(founder, made_utc)
        persons.append(form)
        identities.append(identity)
        locks[form.person] = _person_lock(vault_id, identity, founder.passphrase, cost)
    first_of = {
        founder.function: form.person for founder, form in zip(founders.persons, persons, strict=True) if founder.function
    }
    plan = {}
    for function in Function:
        holders = tuple(
            form.person for founder, form in zip(founders.persons, persons, strict=True) if founder.function is function
        )
        plan[function.value] = _Seats(holders, (first_of[STANDING_SUBSTITUTES[function]],))
    escrow = []
    for holder in ESCROW_HOLDERS:
        private = new_agreement_key()
        escrow.append(EscrowForm(holder=holder, agreement_key=to_base64(public_of(private)), key=key_id(public_of(private))))
        locks[holder] = Lock.of(lock_secret(private, founders.escrow[holder], binding("escrow", vault_id, holder), cost))
    signers = [first_of[function] for function in SIGNING_FUNCTIONS]
    body = _Maker(vault_id, made_utc, persons, escrow).body(1, signers, plan, {})
    check_seats(body)
    signing = [identity for person in signers for identity in identities if identity.person == person]
    keyring = _sealed_envelope(body, locks, signing)
    return Founding(keyring, read_keyring(keyring).next_pins())


def _check_founders(founders: Founders) -> None:
    for function in Function:
        if not any(founder.function is function for founder in founders.persons):
            raise PairRefused(
                f"Nobody at the ceremony holds {function.value}.", hint="Each of the five functions needs a holder."
            )
    if set(founders.escrow) != set(ESCROW_HOLDERS):
        raise PairRefused("Both escrow holders need a code.")
    named = [(founder.name, founder.passphrase) for founder in founders.persons] + list(founders.escrow.items())
    _check_names([name for name, _ in named])
    _check_codes([founder.officer for founder in founders.persons])
    for name, passphrase in named:
        check_passphrase(name, passphrase)
    if len({unicodedata.normalize("NFC", passphrase) for _, passphrase in named}) != len(named):
        raise PairRefused(
            "Two persons were given the same passphrase.", hint="Each holder chooses their own, unseen by the others."
        )
    for founder in founders.persons:
        _check_administrator(founder.administrator, founder.name, founder.function is not None or founder.officer is not None)


def check_passphrase(name: str, passphrase: str) -> None:
    """Raises PairRefused for a passphrase that is too short."""
    if len(passphrase) < LEAST_PASSPHRASE:
        raise PairRefused(
            f"The passphrase of {name} has fewer than {LEAST_PASSPHRASE} characters.", hint="Take four or more random words."
        )


def _check_names(names: Sequence[str]) -> None:
    if len({name.casefold() for name in names}) != len(names):
        raise PairRefused("Two persons have the same name.", hint="Add a first name or an initial.")


def _check_codes(codes: Sequence[str | None]) -> None:
    given = [code for code in codes if code is not None]
    if len(set(given)) != len(given):
        raise PairRefused("Two officers have the same code.", hint="Each camera names its officer by a code of their own.")


def _check_administrator(administrator: bool, name: str, has_seat: bool) -> None:
    if administrator and has_seat:
        raise PairRefused(f"{name} is technical administrator and holds no function and wears no camera.")


def _new_person(founder: Founder, made_utc: str) -> tuple[PersonForm, Identity]:
    signing, agreement = Ed25519PrivateKey.generate(), new_agreement_key()
    person = str(uuid.uuid4())
    identity = Identity(person, founder.name, signing.private_bytes_raw(), agreement)
    form = PersonForm(
        person=person,
        name=founder.name,
        officer=founder.officer,
        administrator=founder.administrator,
        first_seat=_first_seat(founder, person),
        enrolled_utc=made_utc,
        signing_key=to_base64(signing.public_key().public_bytes_raw()),
        agreement_key=to_base64(public_of(agreement)),
    )
    return form, identity


def _first_seat(founder: Founder, person: str) -> str | None:
    if founder.officer is not None:
        return officer_receiver(person)
    return founder.function.value if founder.function else None


def _person_lock(vault_id: str, identity: Identity, passphrase: str, cost: PassphraseCost) -> Lock:
    secret = identity.signing + identity.agreement
    return Lock.of(lock_secret(secret, passphrase, binding("person", vault_id, identity.person), cost))


def _sealed_envelope(
    body: BodyForm,
    locks: Mapping[str, Lock],
    signing: Sequence[Identity],
    devices: Mapping[str, Sequence[SecurityKeyForm]] = MappingProxyType({}),
) -> bytes:
    payload = readable(body.model_dump())
    message = signed_bytes(payload)
    signatures = []
    for identity in signing:
        public = Ed25519PrivateKey.from_private_bytes(identity.signing).public_key().public_bytes_raw()
        signatures.append(SignatureForm(keyid=to_base64(public), sig=to_base64(identity.sign(message))))
    return readable(
        EnvelopeForm(
            payloadType="application/vnd.dock-vault.keyring+json",
            payload=to_base64(payload),
            signatures=signatures,
            locks=dict(locks),
            security_keys={person: list(keys) for person, keys in devices.items()},
        ).model_dump()
    )


# --- seats --------------------------------------------------------------------------------------------------------------


class _Maker:
    """Seals function keys to seats, for one version of the keyring."""

    def __init__(self, vault_id: str, made_utc: str, persons: Sequence[PersonForm], escrow: Sequence[EscrowForm]) -> None:
        self._vault_id = vault_id
        self._made_utc = made_utc
        self._persons = {form.person: form for form in persons}
        self._escrow = list(escrow)

    def body(
        self,
        version: int,
        signers: Sequence[str],
        plan: Mapping[str, _Seats],
        kept: Mapping[str, Sequence[tuple[KeyForm, bytes | None]]],
    ) -> BodyForm:
        """`kept`: function to its keys that stay, newest first; with the private key where it is sealed anew, as then the
        function gets a new key too."""
        fresh = {name: new_agreement_key() for name in plan if not kept.get(name) or kept[name][0][1] is not None}
        newest = {name: public_of(private) for name, private in fresh.items()}
        for name in set(plan) - set(fresh):
            newest[name] = from_base64(kept[name][0][0].agreement_key)
        functions = []
        for name, seats in plan.items():
            keys = [self._key(name, fresh[name], seats, plan, newest, self._made_utc)] if name in fresh else []
            for form, private in kept.get(name, ()):
                if private is None:
                    keys.append(self._narrowed(form, plan))
                else:
                    keys.append(self._key(name, private, seats, plan, newest, form.made_utc))
            functions.append(FunctionForm(function=name, keys=keys))
        return BodyForm(
            format="dock-vault/keyring/1",
            vault=self._vault_id,
            version=version,
            made_utc=self._made_utc,
            signers=list(signers),
            persons=list(self._persons.values()),
            functions=functions,
            escrow=self._escrow,
        )

    def _key(
        self,
        function: str,
        private: bytes,
        seats: _Seats,
        plan: Mapping[str, _Seats],
        newest: Mapping[str, bytes],
        made_utc: str,
    ) -> KeyForm:
        public = public_of(private)
        name = key_id(public)
        halves = split(private)
        escrow = [
            HalfForm(
                to=holder.holder,
                key=holder.key,
                sealed=to_base64(
                    seal_to(
                        from_base64(holder.agreement_key),
                        half,
                        seat_info(self._vault_id, function, name, "escrow", holder.holder),
                    )
                ),
            )
            for holder, half in zip(self._escrow, halves, strict=True)
        ]
        return KeyForm(
            agreement_key=to_base64(public),
            key=name,
            made_utc=made_utc,
            seats=[
                self._seat(function, name, private, person, person not in seats.holders, plan, newest)
                for person in seats.everybody
            ],
            escrow=escrow,
        )

    def _seat(
        self,
        function: str,
        key: str,
        private: bytes,
        person: str,
        standing: bool,
        plan: Mapping[str, _Seats],
        newest: Mapping[str, bytes],
    ) -> SeatForm:
        form = self._persons[person]
        mine = from_base64(form.agreement_key)

        def sealed(public: bytes, half: bytes, to: str) -> str:
            return to_base64(seal_to(public, half, seat_info(self._vault_id, function, key, person, to)))

        if form.first_seat == function and not standing:
            return SeatForm(person=person, standing=False, sealed=sealed(mine, private, person), others=[])
        own, other = split(private)
        others = [
            HalfForm(to=name, key=key_id(public), sealed=sealed(public, other, name))
            for name, public in newest.items()
            if name != form.first_seat and person not in plan[name].everybody
        ]
        for officer in self._persons.values():
            if officer.officer is not None and officer.person != person:
                to, public = officer_receiver(officer.person), from_base64(officer.agreement_key)
                others.append(HalfForm(to=to, key=key_id(public), sealed=sealed(public, other, to)))
        return SeatForm(person=person, standing=standing, sealed=sealed(mine, own, person), others=others)

    def _narrowed(self, form: KeyForm, plan: Mapping[str, _Seats]) -> KeyForm:
        """A key that stays as it is, without the other halves that would now be one person's own (rule 2)."""
        seats = []
        for seat in form.seats:
            others = [half for half in seat.others if half.to not in plan or seat.person not in plan[half.to].everybody]
            if seat.others and not others:
                raise PairRefused("A split seat would be left without a second person.", hint="End one of that person's seats.")
            seats.append(seat.model_copy(update={"others": others}))
        return form.model_copy(update={"seats": seats})


def check_seats(body: BodyForm) -> None:
    """The rules of the seats, held against a finished keyring. Raises PairRefused naming the breach.

    Structure alone: whole seats are first seats, at most one to a person; no other half of a split seat goes to its own person.
    """
    everybody = {entry.function: {seat.person for key in entry.keys for seat in key.seats} for entry in body.functions}
    officers = {form.person for form in body.persons if form.officer is not None}
    first = {form.person: form.first_seat for form in body.persons}
    for entry in body.functions:
        if not any(not seat.standing for seat in entry.keys[0].seats):
            raise PairRefused(f"Nobody would hold {entry.function}.", hint="Appoint a successor in the same change.")
        for seat in (seat for key in entry.keys for seat in key.seats):
            name = next(form.name for form in body.persons if form.person == seat.person)
            if not seat.others and (first[seat.person] != entry.function or seat.person in officers):
                raise PairRefused(f"The seat of {name} in {entry.function} would be whole, and it is not their first.")
            for half in seat.others:
                if half.to == officer_receiver(seat.person) or seat.person in everybody.get(half.to, set()):
                    raise PairRefused(f"Both halves of the seat of {name} in {entry.function} would be their own.")


# --- changes ------------------------------------------------------------------------------------------------------------


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
    """A person signs the keyring from the next version on, in the place of another. The pins must follow."""

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
    """The next version of a keyring. Both its signers are among `present`; each function that changes opens with those present.

    Raises PairRefused for edits that break a rule of the seats, CannotOpen where a key is out of reach.
    """
    signing = [identity for identity in present if identity.person in keyring.body.signers]
    if len({identity.person for identity in signing}) != 2:
        raise PairRefused("The keyring is changed by its two signers together.", hint=_signers_hint(keyring))
    draft = _Draft.of(keyring, made_utc)
    locks = dict(keyring.locks)
    enrolled: list[Identity] = []
    for edit in edits:
        if isinstance(edit, Enrol):
            identity = draft.enrol(edit.founder)
            enrolled.append(identity)
            locks[identity.person] = _person_lock(keyring.vault_id, identity, edit.founder.passphrase, cost)
        else:
            draft.apply(edit)
    draft.check(present, enrolled)
    rotated = draft.rotated(keyring)
    have = keyring.reach(present, escrow)
    kept: dict[str, list[tuple[KeyForm, bytes | None]]] = {}
    for entry in keyring.body.functions:
        kept[entry.function] = [
            (key, _private(have, key, entry.function) if entry.function in rotated else None) for key in entry.keys
        ]
    maker = _Maker(keyring.vault_id, made_utc, list(draft.persons.values()), keyring.body.escrow)
    body = maker.body(keyring.version + 1, draft.signers, draft.plan, kept)
    check_seats(body)
    signing += [identity for identity in (*present, *enrolled) if identity.person in draft.signers and identity not in signing]
    locks = {name: lock for name, lock in locks.items() if name in draft.persons or name in ESCROW_HOLDERS}
    devices = {person: keys for person, keys in keyring.security_keys.items() if person in draft.persons}
    content = _sealed_envelope(body, locks, signing, devices)
    return Changed(content, tuple(identity.person for identity in enrolled), tuple(sorted(rotated)))


def with_security_keys(content: bytes, person: str, keys: Sequence[SecurityKeyForm]) -> bytes:
    """The same keyring, with these security keys of a person in the place of those before."""
    envelope = EnvelopeForm.model_validate_json(content)
    devices = {**envelope.security_keys, person: list(keys)}
    return readable(envelope.model_copy(update={"security_keys": devices}).model_dump())


def device_lock(vault_id: str, identity: Identity, answer: bytes) -> tuple[bytes, bytes, bytes]:
    """A person's private keys under a security key's answer: salt, nonce, sealed."""
    return lock_by_device(identity.signing + identity.agreement, answer, binding("security-key", vault_id, identity.person))


def change_passphrase(keyring: Keyring, content: bytes, identity: Identity, passphrase: str, cost: PassphraseCost) -> bytes:
    """The same keyring, with a person's keys under another passphrase: the locks are not signed, what they open to is."""
    check_passphrase(identity.name, passphrase)
    envelope = EnvelopeForm.model_validate_json(content)
    locks = envelope.locks | {identity.person: _person_lock(keyring.vault_id, identity, passphrase, cost)}
    return readable(envelope.model_copy(update={"locks": locks}).model_dump())


def _private(have: Mapping[str, bytes], key: KeyForm, function: str) -> bytes:
    if key.key not in have:
        raise CannotOpen(
            f"The key of {function} does not open with those present.",
            hint="A holder of it, its standing substitute with another function, or both escrow holders must be there.",
        )
    return have[key.key]


def _signers_hint(keyring: Keyring) -> str:
    return f"They are {' and '.join(keyring.person(person).name for person in keyring.body.signers)}."


class _Draft:
    """Persons and seats while the edits are applied."""

    def __init__(self, persons: dict[str, PersonForm], plan: dict[str, _Seats], signers: list[str], made_utc: str) -> None:
        self.persons = persons
        self.plan = plan
        self.signers = signers
        self._made_utc = made_utc

    @classmethod
    def of(cls, keyring: Keyring, made_utc: str) -> "_Draft":
        plan = {
            entry.function: _Seats(
                tuple(seat.person for seat in entry.keys[0].seats if not seat.standing),
                tuple(seat.person for seat in entry.keys[0].seats if seat.standing),
            )
            for entry in keyring.body.functions
        }
        return cls({form.person: form for form in keyring.persons()}, plan, list(keyring.body.signers), made_utc)

    def enrol(self, founder: Founder) -> Identity:
        check_passphrase(founder.name, founder.passphrase)
        form, identity = _new_person(founder, self._made_utc)
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
                    self.plan[function.value] = replace(seats, standing=(*_without(seats.standing, person), person))
                else:
                    self.plan[function.value] = _Seats(
                        (*_without(seats.holders, person), person), _without(seats.standing, person)
                    )
                    if form.first_seat is None:
                        self.persons[person] = form.model_copy(update={"first_seat": function.value})
            case Dismiss(person, function):
                self._end(self._known(person), function.value)
            case SetOfficer(person, officer):
                form = self.persons[self._known(person)]
                first = officer_receiver(person) if officer is not None else form.first_seat
                self.persons[person] = form.model_copy(update={"officer": officer, "first_seat": first})
            case NameSigner(person, in_place_of):
                at = self.signers.index(in_place_of)
                self.signers[at] = self._known(person)

    def check(self, present: Sequence[Identity], enrolled: Sequence[Identity]) -> None:
        _check_names([form.name for form in self.persons.values()])
        _check_codes([form.officer for form in self.persons.values()])
        for form in self.persons.values():
            seated = any(form.person in seats.everybody for seats in self.plan.values())
            _check_administrator(form.administrator, form.name, seated or form.officer is not None)
        there = {identity.person for identity in (*present, *enrolled)}
        for person in self.signers:
            if person not in self.persons or person not in there or len(set(self.signers)) != 2:
                raise PairRefused("The next version needs two different signers who are present.", hint="Name a successor first.")
        first, second = self.signers
        officer, manager = (self.plan[function.value].holders for function in SIGNING_FUNCTIONS)
        if not ((first in officer and second in manager) or (second in officer and first in manager)):
            raise PairRefused(
                "The keyring is signed by a privacy officer and a cluster manager, and would not be any more.",
                hint="Name the successor as signer in the same change.",
            )

    def rotated(self, keyring: Keyring) -> set[str]:
        """The functions that get a new key.

        Their seats differ from the keyring's, a holder became an officer, or a holder's split seat has to open with an officer
        who is new (P53).
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
        self.plan[function] = _Seats(_without(seats.holders, person), _without(seats.standing, person))


def _without(persons: tuple[str, ...], person: str) -> tuple[str, ...]:
    return tuple(one for one in persons if one != person)


def roles_text(roles: Iterable[Role]) -> str:
    """Roles as a table shows them."""
    return ", ".join(sorted(role.value for role in roles)) or "-"
