"""The keyring: whose public keys a recording is sealed to, and their private halves under lock (FORMAT.md, section 4).

Two persons sign it, and its version only rises. Who writes the vault pins both signing keys outside it: whoever can write the
vault's folder can put no key of their own among the receivers.
"""

import unicodedata
import uuid
from dataclasses import dataclass
from typing import Annotated, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from vault.errors import CannotOpen, KeyringRefused, PairRefused, WrongPassphrase
from vault.jsonform import from_base64, parse_object, readable, to_base64
from vault.keys import (
    LockedSecret,
    PassphraseCost,
    Unwrapper,
    Wrapper,
    key_id,
    lock_secret,
    new_agreement_key,
    open_with,
    public_of,
    seal_to,
    unlock_secret,
)
from vault.policy import ESCROW_HOLDERS, Function

PAYLOAD_TYPE = "application/vnd.dock-vault.keyring+json"
_SIGNING_BYTES = 32


def _base64_text(text: str) -> str:
    from_base64(text)
    return text


_Base64 = Annotated[str, AfterValidator(_base64_text)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Locked(_Strict):
    kdf: Literal["argon2id"]
    memory_kib: int
    iterations: int
    lanes: int
    salt: _Base64
    nonce: _Base64
    sealed: _Base64

    def secret(self) -> LockedSecret:
        cost = PassphraseCost(self.memory_kib, self.iterations, self.lanes)
        return LockedSecret(cost, from_base64(self.salt), from_base64(self.nonce), from_base64(self.sealed))

    @classmethod
    def of(cls, locked: LockedSecret) -> "_Locked":
        return cls(
            kdf="argon2id",
            memory_kib=locked.cost.memory_kib,
            iterations=locked.cost.iterations,
            lanes=locked.cost.lanes,
            salt=to_base64(locked.salt),
            nonce=to_base64(locked.nonce),
            sealed=to_base64(locked.sealed),
        )


class _Person(_Strict):
    person: str
    name: str
    signing_key: _Base64
    agreement_key: _Base64
    private: _Locked


class _Seat(_Strict):
    person: str
    sealed: _Base64


class _FunctionKey(_Strict):
    function: str
    agreement_key: _Base64
    key: str
    seats: list[_Seat]


class _Escrow(_Strict):
    holder: str
    agreement_key: _Base64
    key: str
    private: _Locked


class _Body(_Strict):
    format: Literal["dock-vault/keyring/1"]
    vault: str
    version: int
    made_utc: str
    persons: list[_Person]
    functions: list[_FunctionKey]
    escrow: list[_Escrow]


class _Signature(_Strict):
    keyid: str
    sig: _Base64


class _Envelope(_Strict):
    payloadType: Literal["application/vnd.dock-vault.keyring+json"]  # noqa: N815 (DSSE's own spelling)
    payload: _Base64
    signatures: list[_Signature]


class _PinsFile(_Strict):
    format: Literal["dock-vault/pins/1"]
    vault: str
    signers: list[_Base64]
    least_version: int


@dataclass(frozen=True, slots=True)
class Pins:
    """What is remembered outside the vault: which two keys must have signed, and the oldest version still taken."""

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
        pins = _PinsFile.model_validate(parse_object(content))
    except (ValueError, ValidationError) as error:
        raise KeyringRefused(f"The file of pins can't be read: {error}.") from error
    signers = [from_base64(key) for key in pins.signers]
    if len(set(signers)) != 2:
        raise KeyringRefused("The file of pins must name two different signers.")
    return Pins(pins.vault, (signers[0], signers[1]), pins.least_version)


def _signed_bytes(payload: bytes) -> bytes:
    kind = PAYLOAD_TYPE.encode()
    return b" ".join((b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload))


def _binding(kind: str, vault_id: str, name: str) -> bytes:
    return b"\0".join(part.encode() for part in (f"dock-vault/{kind}/v1", vault_id, name))


def _seat_info(vault_id: str, function: str, key: str, person: str) -> bytes:
    return b"\0".join(part.encode() for part in ("dock-vault/seat/v1", vault_id, function, key, person))


class Keyring:
    """A keyring whose two signatures were checked."""

    def __init__(self, body: _Body, signers: frozenset[bytes]) -> None:
        self._body = body
        self.signers = signers
        self.vault_id = body.vault
        self.version = body.version

    def held_by(self, pins: Pins, seen_version: int = 0) -> "Keyring":
        """This keyring, once it is the pinned one. Raises KeyringRefused."""
        if self.vault_id != pins.vault_id:
            raise KeyringRefused("The keyring belongs to another vault than the pinned one.")
        if not set(pins.signers) <= self.signers:
            raise KeyringRefused("The keyring is not signed by both pinned persons.")
        if self.version < max(pins.least_version, seen_version):
            raise KeyringRefused(f"The keyring is version {self.version}, older than one already seen.")
        return self

    def wrapper(self) -> Wrapper:
        """The seal-only side, and the self-test of fault H2: every receiver's key takes a seal before the first recording."""
        public_keys = {entry.function: from_base64(entry.agreement_key) for entry in self._body.functions}
        public_keys |= {entry.holder: from_base64(entry.agreement_key) for entry in self._body.escrow}
        missing = {*Function, *ESCROW_HOLDERS} - set(public_keys)
        if missing:
            raise KeyringRefused(f"The keyring has no key for {', '.join(sorted(missing))}.")
        for receiver, public in public_keys.items():
            try:
                seal_to(public, b"\0" * 32, b"self-test")
            except CannotOpen as error:
                raise KeyringRefused(f"The keyring's key of {receiver} can't be used: {error.sentence}") from error
        return Wrapper(self.vault_id, self.version, public_keys)

    def unlock(self, receiver: str, passphrase: str) -> Unwrapper:
        """The private half of a function or an escrow holder. Raises WrongPassphrase, PairRefused for an unknown receiver."""
        for escrow in self._body.escrow:
            if escrow.holder == receiver:
                binding = _binding("escrow", self.vault_id, receiver)
                private = unlock_secret(escrow.private.secret(), passphrase, binding)
                return Unwrapper(self.vault_id, receiver, receiver, private)
        for function in self._body.functions:
            if function.function == receiver:
                return self._unlock_seat(function, passphrase)
        raise PairRefused(f"There is no function or escrow holder {receiver!r}.")

    def _unlock_seat(self, function: _FunctionKey, passphrase: str) -> Unwrapper:
        persons = {person.person: person for person in self._body.persons}
        for seat in function.seats:
            person = persons[seat.person]
            try:
                secret = unlock_secret(person.private.secret(), passphrase, _binding("person", self.vault_id, person.person))
            except WrongPassphrase:
                continue
            info = _seat_info(self.vault_id, function.function, function.key, person.person)
            private = open_with(secret[_SIGNING_BYTES:], from_base64(seat.sealed), info)
            return Unwrapper(self.vault_id, function.function, person.person, private)
        raise WrongPassphrase(f"The passphrase is not that of a holder of {function.function}.")


def read_keyring(content: bytes) -> Keyring:
    """Parse a keyring and check its signatures. Raises KeyringRefused; whether the signers are the right ones, the pins say."""
    try:
        envelope = _Envelope.model_validate(parse_object(content))
        payload = from_base64(envelope.payload)
        body = _Body.model_validate(parse_object(payload))
    except (ValueError, ValidationError) as error:
        raise KeyringRefused(f"The keyring can't be read: {error}.") from error
    keys = {person.person: from_base64(person.signing_key) for person in body.persons}
    signers = set()
    for signature in envelope.signatures:
        if signature.keyid not in keys:
            raise KeyringRefused("The keyring is signed by somebody it does not name.")
        try:
            Ed25519PublicKey.from_public_bytes(keys[signature.keyid]).verify(from_base64(signature.sig), _signed_bytes(payload))
        except (InvalidSignature, ValueError):
            raise KeyringRefused("A signature of the keyring does not fit its content.") from None
        signers.add(keys[signature.keyid])
    if len(signers) < 2:
        raise KeyringRefused("The keyring does not carry the signatures of two different persons.")
    listed = [(entry.agreement_key, entry.key) for entry in body.functions] + [
        (entry.agreement_key, entry.key) for entry in body.escrow
    ]
    for public, key in listed:
        if key_id(from_base64(public)) != key:
            raise KeyringRefused("A key of the keyring does not have the digest it is listed under.")
    return Keyring(body, frozenset(signers))


@dataclass(frozen=True, slots=True)
class Founding:
    """A first keyring, and what must be remembered outside the vault."""

    keyring: bytes
    pins: Pins


def found_keyring(vault_id: str, made_utc: str, passphrases: dict[str, str], cost: PassphraseCost) -> Founding:
    """Make the keys of a new vault: one person for each of the five functions, and the two escrow holders.

    `passphrases` has one for each function and escrow holder, all different: two seats under one passphrase would be two seats
    of one person. The privacy officer and the cluster manager sign. Raises PairRefused.
    """
    receivers = [*Function, *ESCROW_HOLDERS]
    _check_passphrases(receivers, passphrases)
    persons, functions, signing = [], [], {}
    for function in Function:
        person_id = str(uuid.uuid4())
        signing[function] = (person_id, Ed25519PrivateKey.generate())
        person_private = new_agreement_key()
        secret = signing[function][1].private_bytes_raw() + person_private
        locked = lock_secret(secret, passphrases[function], _binding("person", vault_id, person_id), cost)
        persons.append(
            _Person(
                person=person_id,
                name=function.value,
                signing_key=to_base64(signing[function][1].public_key().public_bytes_raw()),
                agreement_key=to_base64(public_of(person_private)),
                private=_Locked.of(locked),
            )
        )
        functions.append(_function_key(vault_id, function, person_id, public_of(person_private)))
    body = _Body(
        format="dock-vault/keyring/1",
        vault=vault_id,
        version=1,
        made_utc=made_utc,
        persons=persons,
        functions=functions,
        escrow=[_escrow_key(vault_id, holder, passphrases[holder], cost) for holder in ESCROW_HOLDERS],
    )
    payload = readable(body.model_dump())
    signers = (signing[Function.PRIVACY_OFFICER], signing[Function.CLUSTER_MANAGER])
    envelope = _Envelope(
        payloadType="application/vnd.dock-vault.keyring+json",
        payload=to_base64(payload),
        signatures=[_Signature(keyid=person, sig=to_base64(key.sign(_signed_bytes(payload)))) for person, key in signers],
    )
    publics = (signers[0][1].public_key().public_bytes_raw(), signers[1][1].public_key().public_bytes_raw())
    return Founding(readable(envelope.model_dump()), Pins(vault_id, publics, 1))


def _check_passphrases(receivers: list[str], passphrases: dict[str, str]) -> None:
    if set(passphrases) != set(receivers):
        raise PairRefused("Each of the five functions and both escrow holders need a passphrase.")
    if len({unicodedata.normalize("NFC", text) for text in passphrases.values()}) != len(receivers):
        raise PairRefused(
            "Two functions were given the same passphrase.", hint="Each holder chooses their own, unseen by the others."
        )
    short = [receiver for receiver in receivers if len(passphrases[receiver]) < 12]
    if short:
        raise PairRefused(
            f"The passphrase of {', '.join(short)} has fewer than 12 characters.", hint="Take four or more random words."
        )


def _function_key(vault_id: str, function: Function, person_id: str, person_public: bytes) -> _FunctionKey:
    private = new_agreement_key()
    public = public_of(private)
    info = _seat_info(vault_id, function, key_id(public), person_id)
    seat = _Seat(person=person_id, sealed=to_base64(seal_to(person_public, private, info)))
    return _FunctionKey(function=function.value, agreement_key=to_base64(public), key=key_id(public), seats=[seat])


def _escrow_key(vault_id: str, holder: str, passphrase: str, cost: PassphraseCost) -> _Escrow:
    private = new_agreement_key()
    public = public_of(private)
    locked = lock_secret(private, passphrase, _binding("escrow", vault_id, holder), cost)
    return _Escrow(holder=holder, agreement_key=to_base64(public), key=key_id(public), private=_Locked.of(locked))
