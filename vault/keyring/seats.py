"""The rules of the seats, so that nobody alone reaches both receivers of a pair.

1. A person's first seat is theirs whole, for good; the officer's own key counts as one. Every other
   seat is split: one half sealed to them, the other to each function in which they have no seat and
   never had a whole one, and to the other officers.
2. Whoever gains a seat in a function loses the other halves that were sealed to them through it.
3. A function whose seats change gets a new key; the older ones are sealed anew to those who hold
   it, split by the same rule.
4. Each function has a standing substitute and the escrow, so that no key has a sole holder.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.crypto.canonical_json import from_base64, readable, to_base64
from vault.crypto.hpke import key_id, new_agreement_key, public_of, seal_to
from vault.crypto.passphrase import PassphraseCost, lock_secret
from vault.crypto.shares import split
from vault.errors import PairRefused
from vault.keyring.form import (
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
from vault.keyring.keyring import Identity, binding, seat_info
from vault.rules.roles import Function, officer_receiver

LEAST_PASSPHRASE = 12
SIGNING_FUNCTIONS = (Function.PRIVACY_OFFICER, Function.CLUSTER_MANAGER)


@dataclass(frozen=True, slots=True)
class Founder:
    """A person at the ceremony. `officer`: the code that their camera gives, where
    they wear one.
    """

    name: str
    passphrase: str
    function: Function | None = None
    officer: str | None = None
    administrator: bool = False


@dataclass(frozen=True, slots=True)
class Seats:
    """Who has a seat in a function."""

    holders: tuple[str, ...]
    standing: tuple[str, ...] = ()

    @property
    def everybody(self) -> tuple[str, ...]:
        return (*self.holders, *(person for person in self.standing if person not in self.holders))


def check_passphrase(name: str, passphrase: str) -> None:
    """Raises PairRefused for a passphrase that is too short."""
    if len(passphrase) < LEAST_PASSPHRASE:
        raise PairRefused(
            f"The passphrase of {name} has fewer than {LEAST_PASSPHRASE} characters.",
            hint="Take four or more random words.",
        )


def check_names(names: Sequence[str]) -> None:
    if len({name.casefold() for name in names}) != len(names):
        raise PairRefused("Two persons have the same name.", hint="Add a first name or an initial.")


def check_codes(codes: Sequence[str | None]) -> None:
    given = [code for code in codes if code is not None]
    if len(set(given)) != len(given):
        raise PairRefused(
            "Two officers have the same code.",
            hint="Each camera names its officer by a code of their own.",
        )


def check_administrator(administrator: bool, name: str, has_seat: bool) -> None:
    if administrator and has_seat:
        raise PairRefused(
            f"{name} is technical administrator and holds no function and wears no camera."
        )


def new_person(founder: Founder, made_utc: str) -> tuple[PersonForm, Identity]:
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


def person_lock(vault_id: str, identity: Identity, passphrase: str, cost: PassphraseCost) -> Lock:
    secret = identity.signing + identity.agreement
    return Lock.of(
        lock_secret(secret, passphrase, binding("person", vault_id, identity.person), cost)
    )


def sealed_envelope(
    body: BodyForm,
    locks: Mapping[str, Lock],
    signing: Sequence[Identity],
    devices: Mapping[str, Sequence[SecurityKeyForm]] = MappingProxyType({}),
) -> bytes:
    payload = readable(body.model_dump())
    message = signed_bytes(payload)
    signatures = []
    for identity in signing:
        public = (
            Ed25519PrivateKey.from_private_bytes(identity.signing).public_key().public_bytes_raw()
        )
        signatures.append(
            SignatureForm(keyid=to_base64(public), sig=to_base64(identity.sign(message)))
        )
    return readable(
        EnvelopeForm(
            payloadType="application/vnd.dock-vault.keyring+json",
            payload=to_base64(payload),
            signatures=signatures,
            locks=dict(locks),
            security_keys={person: list(keys) for person, keys in devices.items()},
        ).model_dump()
    )


# --- seats ----------------------------------------------------------------------------------------


class SeatMaker:
    """Seals function keys to seats, for one version of the keyring."""

    def __init__(
        self,
        vault_id: str,
        made_utc: str,
        persons: Sequence[PersonForm],
        escrow: Sequence[EscrowForm],
    ) -> None:
        self._vault_id = vault_id
        self._made_utc = made_utc
        self._persons = {form.person: form for form in persons}
        self._escrow = list(escrow)

    def body(
        self,
        version: int,
        signers: Sequence[str],
        plan: Mapping[str, Seats],
        kept: Mapping[str, Sequence[tuple[KeyForm, bytes | None]]],
    ) -> BodyForm:
        """`kept`: function to its keys that stay, newest first; with the private key where it is
        sealed anew, as then the function gets a new key too.
        """
        fresh = {
            name: new_agreement_key()
            for name in plan
            if not kept.get(name) or kept[name][0][1] is not None
        }
        newest = {name: public_of(private) for name, private in fresh.items()}
        for name in set(plan) - set(fresh):
            newest[name] = from_base64(kept[name][0][0].agreement_key)
        functions = []
        for name, seats in plan.items():
            keys = (
                [self._key(name, fresh[name], seats, plan, newest, self._made_utc)]
                if name in fresh
                else []
            )
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
        seats: Seats,
        plan: Mapping[str, Seats],
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
                self._seat(
                    function, name, private, person, person not in seats.holders, plan, newest
                )
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
        plan: Mapping[str, Seats],
        newest: Mapping[str, bytes],
    ) -> SeatForm:
        form = self._persons[person]
        mine = from_base64(form.agreement_key)

        def sealed(public: bytes, half: bytes, to: str) -> str:
            return to_base64(
                seal_to(public, half, seat_info(self._vault_id, function, key, person, to))
            )

        if form.first_seat == function and not standing:
            return SeatForm(
                person=person, standing=False, sealed=sealed(mine, private, person), others=[]
            )
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
        return SeatForm(
            person=person, standing=standing, sealed=sealed(mine, own, person), others=others
        )

    def _narrowed(self, form: KeyForm, plan: Mapping[str, Seats]) -> KeyForm:
        """A key that stays as it is, without the other halves that would now be one person's own
        (rule 2).
        """
        seats = []
        for seat in form.seats:
            others = [
                half
                for half in seat.others
                if half.to not in plan or seat.person not in plan[half.to].everybody
            ]
            if seat.others and not others:
                raise PairRefused(
                    "A split seat would be left without a second person.",
                    hint="End one of that person's seats.",
                )
            seats.append(seat.model_copy(update={"others": others}))
        return form.model_copy(update={"seats": seats})


def check_seats(body: BodyForm) -> None:
    """The rules of the seats, held against a finished keyring. Raises PairRefused naming the
    breach.

    Structure alone: whole seats are first seats, at most one to a person; no other half of a split
    seat goes to its own person.
    """
    persons = {form.person: form for form in body.persons}
    receivers_of = {person: {officer_receiver(person)} for person in persons}
    for entry in body.functions:
        for seat in _all_seats(entry):
            receivers_of[seat.person].add(entry.function)
    for entry in body.functions:
        if all(seat.standing for seat in entry.keys[0].seats):
            raise PairRefused(
                f"Nobody would hold {entry.function}.",
                hint="Appoint a successor in the same change.",
            )
        for seat in _all_seats(entry):
            _check_seat(entry.function, seat, persons[seat.person], receivers_of[seat.person])


def _all_seats(entry: FunctionForm) -> list[SeatForm]:
    return [seat for key in entry.keys for seat in key.seats]


def _check_seat(function: str, seat: SeatForm, form: PersonForm, own: Collection[str]) -> None:
    """`own`: the receivers in which this person has a seat: none of them takes the other half."""
    is_first = form.first_seat == function and form.officer is None
    if not seat.others and not is_first:
        raise PairRefused(
            f"The seat of {form.name} in {function} would be whole, and it is not their first."
        )
    if any(half.to in own for half in seat.others):
        raise PairRefused(
            f"Both halves of the seat of {form.name} in {function} would be their own."
        )
