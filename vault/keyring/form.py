"""keyring.json and the file of pins, as they are written: strict forms, no meaning (FORMAT.md,
section 4). Pure.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vault.crypto.canonical_json import from_base64, to_base64
from vault.crypto.passphrase import LockedSecret, PassphraseCost

PAYLOAD_TYPE = "application/vnd.dock-vault.keyring+json"


def _base64_text(text: str) -> str:
    from_base64(text)
    return text


Base64 = Annotated[str, AfterValidator(_base64_text)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Lock(Strict):
    """A private half under a passphrase. Not signed: what it opens to must fit the signed public
    keys.
    """

    kdf: Literal["argon2id"]
    memory_kib: int
    iterations: int
    lanes: int
    salt: Base64
    nonce: Base64
    sealed: Base64

    def secret(self) -> LockedSecret:
        cost = PassphraseCost(self.memory_kib, self.iterations, self.lanes)
        return LockedSecret(
            cost, from_base64(self.salt), from_base64(self.nonce), from_base64(self.sealed)
        )

    @classmethod
    def of(cls, locked: LockedSecret) -> "Lock":
        return cls(
            kdf="argon2id",
            memory_kib=locked.cost.memory_kib,
            iterations=locked.cost.iterations,
            lanes=locked.cost.lanes,
            salt=to_base64(locked.salt),
            nonce=to_base64(locked.nonce),
            sealed=to_base64(locked.sealed),
        )


class SecurityKeyForm(Strict):
    """A person's private keys under a security key: what its PRF answers opens them (WebAuthn level
    3, 10.1.4). Not signed: what it opens to must fit the signed public keys. `public`: the attested
    credential data; `host`: the relying party it is bound to.
    """

    label: Annotated[str, Field(min_length=1, max_length=60)]
    host: str
    added_utc: str
    credential: Base64
    public: Base64
    salt: Base64
    nonce: Base64
    sealed: Base64


class PersonForm(Strict):
    """A person. `officer`: the code under which cameras name them, where they wear one.
    `first_seat`: the one receiver whose key is theirs whole, for good (`MW-…` or a function); any
    other seat is split.
    """

    person: str
    name: Annotated[str, Field(min_length=1, max_length=100)]
    officer: str | None
    administrator: bool
    first_seat: str | None
    enrolled_utc: str
    signing_key: Base64
    agreement_key: Base64


class HalfForm(Strict):
    """The other half of a split seat, sealed to a receiver's key."""

    to: str
    key: str
    sealed: Base64


class SeatForm(Strict):
    """A person's way to a function's private key: whole, or split (`others` not empty): `sealed` is
    then one half.
    """

    person: str
    standing: bool
    sealed: Base64
    others: list[HalfForm]


class KeyForm(Strict):
    """One key of a function. `escrow`: its private key in two halves, one to each holder."""

    agreement_key: Base64
    key: str
    made_utc: str
    seats: list[SeatForm]
    escrow: list[HalfForm]


class FunctionForm(Strict):
    """A function's keys, the newest first: recordings are sealed to that one, the older ones open
    what stood before.
    """

    function: str
    keys: Annotated[list[KeyForm], Field(min_length=1)]


class EscrowForm(Strict):
    holder: str
    agreement_key: Base64
    key: str


class BodyForm(Strict):
    """What is signed."""

    format: Literal["dock-vault/keyring/1"]
    vault: str
    version: int
    made_utc: str
    signers: list[str]
    persons: list[PersonForm]
    functions: list[FunctionForm]
    escrow: list[EscrowForm]


class SignatureForm(Strict):
    keyid: str
    sig: Base64


class EnvelopeForm(Strict):
    """keyring.json: a DSSE envelope, and beside it the locks of persons (by id) and escrow holders,
    and the locks that persons' security keys open.
    """

    # DSSE's own spelling
    payloadType: Literal["application/vnd.dock-vault.keyring+json"]  # noqa: N815
    payload: Base64
    signatures: list[SignatureForm]
    locks: dict[str, Lock]
    security_keys: dict[str, list[SecurityKeyForm]] = {}


class PinsForm(Strict):
    format: Literal["dock-vault/pins/1"]
    vault: str
    signers: list[Base64]
    least_version: int


def signed_bytes(payload: bytes) -> bytes:
    """What a signature is over: DSSE's pre-authentication encoding."""
    kind = PAYLOAD_TYPE.encode()
    return b" ".join(
        (b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload)
    )
