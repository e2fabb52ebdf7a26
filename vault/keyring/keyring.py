"""The keyring: whose public keys a recording is sealed to, and their private halves under lock
(FORMAT.md, section 4).

Two persons sign it, and its version only rises. Who writes the vault pins both signing keys outside
it: whoever can write the vault's folder can put no key of their own among the receivers.

What persons can open is one computation, `Keyring.reach`: from the private keys of those present,
every seat that opens, and what these open in turn. Alone, nobody reaches both receivers of a pair;
`ceremony.py` makes the seats so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from vault.crypto.canonical_json import Json, from_base64, parse_object, readable, to_base64
from vault.crypto.hpke import key_id, open_with, public_of, seal_to
from vault.crypto.passphrase import unlock_by_device, unlock_secret
from vault.crypto.shares import join
from vault.errors import CannotOpen, KeyringRefused, PairRefused, UnknownPerson, WrongPassphrase
from vault.keyring.form import (
    BodyForm,
    EnvelopeForm,
    FunctionForm,
    KeyForm,
    Lock,
    PersonForm,
    PinsForm,
    SeatForm,
    SecurityKeyForm,
    signed_bytes,
)
from vault.keyring.receivers import Unwrapper, Wrapper
from vault.rules.roles import ESCROW_HOLDERS, OFFICER_PREFIX, Function, Role, officer_receiver

_SIGNING_BYTES = 32


@dataclass(frozen=True, slots=True)
class Pins:
    """What is remembered outside the vault: which two keys must have signed, and the oldest version
    still taken.
    """

    vault_id: str
    signers: tuple[bytes, bytes]
    least_version: int

    def content(self) -> bytes:
        return readable(
            {
                "format": "dock-vault/pins/1",
                "vault": self.vault_id,
                "signers": [to_base64(key) for key in self.signers],
                "least_version": self.least_version,
            }
        )


def read_pins(content: bytes) -> Pins:
    """Raises KeyringRefused."""
    try:
        pins = PinsForm.model_validate(parse_object(content))
    except (ValueError, ValidationError) as error:
        raise KeyringRefused(f"The file of pins can't be read: {error}.") from error
    signers = [from_base64(key) for key in pins.signers]
    if len(set(signers)) != 2:
        raise KeyringRefused("The file of pins must name two different signers.")
    return Pins(pins.vault, (signers[0], signers[1]), pins.least_version)


def binding(kind: str, vault_id: str, name: str) -> bytes:
    """What a lock is bound to."""
    return b"\0".join(part.encode() for part in (f"dock-vault/{kind}/v1", vault_id, name))


def seat_info(vault_id: str, function: str, key: str, person: str, to: str) -> bytes:
    """What the sealed halves of a seat are bound to. `to`: the person for their own half, a
    receiver for the other.
    """
    return b"\0".join(
        part.encode() for part in ("dock-vault/seat/v1", vault_id, function, key, person, to)
    )


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """A person who has proven who they are: the private keys stand in memory until this object
    goes.
    """

    person: str
    name: str
    signing: bytes
    agreement: bytes

    def sign(self, message: bytes) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(self.signing).sign(message)


class Keyring:
    """A keyring whose signatures were checked."""

    def __init__(
        self,
        body: BodyForm,
        locks: Mapping[str, Lock],
        signers: frozenset[bytes],
        security_keys: Mapping[str, Sequence[SecurityKeyForm]],
    ) -> None:
        self.body = body
        self.locks = locks
        self.security_keys = security_keys
        self.signers = signers
        self.vault_id = body.vault
        self.version = body.version
        self._persons = {person.person: person for person in body.persons}
        self._functions = {entry.function: entry for entry in body.functions}

    def held_by(self, pins: Pins, seen_version: int = 0) -> "Keyring":
        """This keyring, once it is the pinned one. Raises KeyringRefused."""
        if self.vault_id != pins.vault_id:
            raise KeyringRefused("The keyring belongs to another vault than the pinned one.")
        if not set(pins.signers) <= self.signers:
            raise KeyringRefused("The keyring is not signed by both pinned persons.")
        if self.version < max(pins.least_version, seen_version):
            raise KeyringRefused(
                f"The keyring is version {self.version}, older than one already seen."
            )
        return self

    def next_pins(self) -> Pins:
        """The pins of the two persons whom this keyring names as signers."""
        first, second = (
            from_base64(self._persons[person].signing_key) for person in self.body.signers
        )
        return Pins(self.vault_id, (first, second), self.version)

    # --- persons ----------------------------------------------------------------------------------

    def persons(self) -> tuple[PersonForm, ...]:
        return tuple(self.body.persons)

    def person(self, called: str) -> PersonForm:
        """The person of this id, name, officer's code, or function that one person holds. Raises
        UnknownPerson.
        """
        if called in self._persons:
            return self._persons[called]
        folded = called.casefold()
        found = [
            entry
            for entry in self.body.persons
            if folded in (entry.name.casefold(), (entry.officer or "").casefold())
        ]
        if not found and called in self._functions:
            found = [self._persons[person] for person in sorted(self.holders()[called])]
        if len(found) != 1:
            raise UnknownPerson(f"{len(found)} persons of the keyring are called {called!r}.")
        return found[0]

    def holders(self, *, standing: bool = False) -> dict[str, frozenset[str]]:
        """Function to the persons who hold it; with `standing` those who keep its key as standing
        substitutes too.
        """
        return {
            entry.function: frozenset(
                seat.person for seat in entry.keys[0].seats if standing or not seat.standing
            )
            for entry in self.body.functions
        }

    def roles_of(self, person: str) -> frozenset[Role]:
        """The roles a person holds in their own right."""
        entry = self._persons[person]
        roles = {
            Role(function) for function, holders in self.holders().items() if person in holders
        }
        roles |= {Role.OFFICER} if entry.officer is not None else set()
        roles |= {Role.ADMINISTRATOR} if entry.administrator else set()
        return frozenset(roles)

    def officer(self, code: str | None) -> str | None:
        """The person whom cameras name by this code."""
        return next(
            (
                entry.person
                for entry in self.body.persons
                if code is not None and entry.officer == code
            ),
            None,
        )

    def summary(self, changed_utc: str) -> Json:
        """What the log says of a keyring: persons and seats, no key."""
        return {
            "keyring_version": self.version,
            "changed_utc": changed_utc,
            "signers": list(self.body.signers),
            "persons": [
                {
                    "person": form.person,
                    "name": form.name,
                    "officer": form.officer,
                    "administrator": form.administrator,
                }
                for form in self.body.persons
            ],
            "seats": [
                {"person": seat.person, "function": entry.function, "standing": seat.standing}
                for entry in self.body.functions
                for seat in entry.keys[0].seats
            ],
        }

    # --- sealing ----------------------------------------------------------------------------------

    def wrapper(self) -> Wrapper:
        """The seal-only side, and the self-test of fault H2: every receiver's key takes a seal
        before the first recording.
        """
        public_keys = {
            entry.function: from_base64(entry.keys[0].agreement_key)
            for entry in self.body.functions
        }
        public_keys |= {
            entry.holder: from_base64(entry.agreement_key) for entry in self.body.escrow
        }
        missing = {*Function, *ESCROW_HOLDERS} - set(public_keys)
        if missing:
            raise KeyringRefused(f"The keyring has no key for {', '.join(sorted(missing))}.")
        for entry in self.body.persons:
            if entry.officer is not None:
                public_keys[officer_receiver(entry.person)] = from_base64(entry.agreement_key)
        for receiver, public in public_keys.items():
            try:
                seal_to(public, b"\0" * 32, b"self-test")
            except CannotOpen as error:
                raise KeyringRefused(
                    f"The keyring's key of {receiver} can't be used: {error.sentence}"
                ) from error
        return Wrapper(self.vault_id, self.version, public_keys, self.holders())

    # --- opening ----------------------------------------------------------------------------------

    def identify(self, called: str, passphrase: str) -> Identity:
        """The person, once the passphrase opens their lock. Raises UnknownPerson, WrongPassphrase,
        KeyringRefused.
        """
        entry = self.person(called)
        lock = self.locks.get(entry.person)
        if lock is None:
            raise KeyringRefused(
                f"The keyring has no lock for {entry.name}.",
                hint="Fetch keyring.json from the last backup.",
            )
        try:
            secret = unlock_secret(
                lock.secret(), passphrase, binding("person", self.vault_id, entry.person)
            )
        except WrongPassphrase:
            raise WrongPassphrase(f"The passphrase is not that of {entry.name}.") from None
        return self._identity(entry, secret)

    def identify_by_device(self, called: str, credential: bytes, answer: bytes) -> Identity:
        """The person, once what their security key answered opens their lock.

        That the key is theirs and was touched now, `securitykeys.py` has checked. Raises
        UnknownPerson, WrongPassphrase, KeyringRefused.
        """
        entry = self.person(called)
        for form in self.security_keys.get(entry.person, ()):
            if from_base64(form.credential) == credential:
                locked = (from_base64(form.salt), from_base64(form.nonce), from_base64(form.sealed))
                return self._identity(
                    entry,
                    unlock_by_device(
                        locked, answer, binding("security-key", self.vault_id, entry.person)
                    ),
                )
        raise WrongPassphrase(f"This security key is not one of {entry.name}.")

    def _identity(self, entry: PersonForm, secret: bytes) -> Identity:
        identity = Identity(
            entry.person, entry.name, secret[:_SIGNING_BYTES], secret[_SIGNING_BYTES:]
        )
        public = (
            Ed25519PrivateKey.from_private_bytes(identity.signing).public_key().public_bytes_raw()
        )
        if (public, public_of(identity.agreement)) != (
            from_base64(entry.signing_key),
            from_base64(entry.agreement_key),
        ):
            raise KeyringRefused(
                f"The lock of {entry.name} opens to keys that the keyring's signers did not sign."
            )
        return identity

    def escrow_private(self, holder: str, code: str) -> bytes:
        """The private key of an escrow holder. Raises PairRefused for another name,
        WrongPassphrase.
        """
        entry = next((entry for entry in self.body.escrow if entry.holder == holder), None)
        if entry is None or holder not in self.locks:
            raise PairRefused(f"There is no function or escrow holder {holder!r}.")
        try:
            private = unlock_secret(
                self.locks[holder].secret(), code, binding("escrow", self.vault_id, holder)
            )
        except WrongPassphrase:
            raise WrongPassphrase(
                f"The code is not that of {holder}.",
                hint="Compare it with the paper: holder, vault, and the code's nine groups.",
            ) from None
        if key_id(public_of(private)) != entry.key:
            raise KeyringRefused(
                f"The lock of {holder} opens to a key that the keyring's signers did not sign."
            )
        return private

    def reach(
        self, identities: Iterable[Identity], escrow: Iterable[bytes] = ()
    ) -> dict[str, bytes]:
        """Every private key that these persons open together, by its digest: their own, and those
        of seats.

        `escrow`: private keys of escrow holders who are present.
        """
        present = {identity.person: identity for identity in identities}
        have = {
            key_id(public_of(private)): private
            for private in (*(one.agreement for one in present.values()), *escrow)
        }
        grown = True
        while grown:
            grown = False
            for entry in self.body.functions:
                for key in entry.keys:
                    private = None if key.key in have else self._open_key(entry, key, present, have)
                    if private is not None:
                        have[key.key] = private
                        grown = True
        return have

    def _open_key(
        self,
        entry: FunctionForm,
        key: KeyForm,
        present: Mapping[str, Identity],
        have: Mapping[str, bytes],
    ) -> bytes | None:
        for seat in key.seats:
            if seat.person in present:
                private = self._open_seat(entry.function, key, seat, present[seat.person], have)
                if private is not None:
                    return private
        if len(key.escrow) == 2 and all(half.key in have for half in key.escrow):
            first, second = (
                open_with(
                    have[half.key],
                    from_base64(half.sealed),
                    self._info(entry.function, key, "escrow", half.to),
                )
                for half in key.escrow
            )
            return join(first, second)
        return None

    def _open_seat(
        self,
        function: str,
        key: KeyForm,
        seat: SeatForm,
        identity: Identity,
        have: Mapping[str, bytes],
    ) -> bytes | None:
        own = open_with(
            identity.agreement,
            from_base64(seat.sealed),
            self._info(function, key, identity.person, identity.person),
        )
        if not seat.others:
            return own
        for half in seat.others:
            if half.key in have and half.to != officer_receiver(identity.person):
                info = self._info(function, key, identity.person, half.to)
                return join(own, open_with(have[half.key], from_base64(half.sealed), info))
        return None

    def _info(self, function: str, key: KeyForm, person: str, to: str) -> bytes:
        return seat_info(self.vault_id, function, key.key, person, to)

    def unwrapper(self, receiver: str, identity: Identity, have: Mapping[str, bytes]) -> Unwrapper:
        """A person's seat in a pair, with what is in reach.

        Raises PairRefused where it is not their seat, CannotOpen where its key does not open with
        those present.
        """
        if receiver.startswith(OFFICER_PREFIX):
            if receiver != officer_receiver(identity.person):
                raise PairRefused(f"{identity.name} can't take another officer's seat.")
            return Unwrapper(self.vault_id, receiver, identity.person, [identity.agreement])
        entry = self._functions.get(receiver)
        if entry is None or not any(
            seat.person == identity.person for key in entry.keys for seat in key.seats
        ):
            raise PairRefused(f"{identity.name} has no seat in {receiver}.")
        privates = [have[key.key] for key in entry.keys if key.key in have]
        if not privates:
            raise CannotOpen(
                f"The seat of {identity.name} in {receiver} is split and does not open with "
                f"those present.",
                hint="A person of another function has to be the second one.",
            )
        return Unwrapper(self.vault_id, receiver, identity.person, privates)

    def unlock(self, receiver: str, passphrase: str) -> Unwrapper:
        """What one person, or one escrow holder, opens alone. Raises WrongPassphrase, CannotOpen,
        PairRefused.
        """
        if receiver not in self._functions:
            return Unwrapper(
                self.vault_id, receiver, receiver, [self.escrow_private(receiver, passphrase)]
            )
        for person in sorted(self.holders()[receiver]):
            try:
                identity = self.identify(person, passphrase)
            except WrongPassphrase:
                continue
            return self.unwrapper(receiver, identity, self.reach([identity]))
        raise WrongPassphrase(f"The passphrase is not that of a holder of {receiver}.")


def read_keyring(content: bytes) -> Keyring:
    """Parse a keyring and check its signatures. Raises KeyringRefused; whether the signers are the
    right ones, the pins say.
    """
    try:
        envelope = EnvelopeForm.model_validate(parse_object(content))
        payload = from_base64(envelope.payload)
        body = BodyForm.model_validate(parse_object(payload))
    except (ValueError, ValidationError) as error:
        raise KeyringRefused(f"The keyring can't be read: {error}.") from error
    signers = _checked_signers(envelope, body, payload)
    named = set(body.signers)
    if len(named) != 2 or not named <= {person.person for person in body.persons}:
        raise KeyringRefused("The keyring does not name two persons who sign the next one.")
    _check_digests(body)
    return Keyring(body, envelope.locks, signers, envelope.security_keys)


def _checked_signers(envelope: EnvelopeForm, body: BodyForm, payload: bytes) -> frozenset[bytes]:
    """The public keys whose signatures the keyring carries, each checked. Raises KeyringRefused for
    one that does not fit, and for fewer than two.
    """
    keys = {
        to_base64(from_base64(person.signing_key)): from_base64(person.signing_key)
        for person in body.persons
    }
    signers = set()
    for signature in envelope.signatures:
        try:
            key = keys.get(signature.keyid) or from_base64(signature.keyid)
            Ed25519PublicKey.from_public_bytes(key).verify(
                from_base64(signature.sig), signed_bytes(payload)
            )
        except (InvalidSignature, ValueError):
            raise KeyringRefused("A signature of the keyring does not fit its content.") from None
        signers.add(key)
    if len(signers) < 2:
        raise KeyringRefused("The keyring does not carry the signatures of two different persons.")
    return frozenset(signers)


def _check_digests(body: BodyForm) -> None:
    """Each key stands under its own digest. Raises KeyringRefused."""
    listed = [(key.agreement_key, key.key) for entry in body.functions for key in entry.keys]
    listed += [(entry.agreement_key, entry.key) for entry in body.escrow]
    for public, name in listed:
        if key_id(from_base64(public)) != name:
            raise KeyringRefused(
                "A key of the keyring does not have the digest it is listed under."
            )
