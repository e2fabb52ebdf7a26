"""Keys: who seals can't open, who opens can't do it alone (FORMAT.md, sections 3 and 4).

A `Wrapper` holds public keys only: the dock is built with one. An `Unwrapper` holds one receiver's private key: half of what
it takes. All primitives are `cryptography`'s; the only arithmetic here is an exclusive or.
"""

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault.errors import CannotOpen, WrongPassphrase
from vault.policy import PAIRS, Pair, officer_pairs, officer_receiver

DATA_KEY_BYTES = 32
DEVICE_ANSWER_BYTES = 32
PUBLIC_BYTES = 1184 + 32
PRIVATE_BYTES = 64 + 32
_MLKEM_PUBLIC_BYTES = 1184
_MLKEM_SEED_BYTES = 64
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def _joined(*parts: str) -> bytes:
    return b"\0".join(part.encode() for part in parts)


def key_id(public: bytes) -> str:
    """A public key's name: its SHA-256."""
    return hashlib.sha256(public).hexdigest()


def new_data_key() -> bytes:
    """A fresh random key for one attempt to take in a recording; never used for a second."""
    return os.urandom(DATA_KEY_BYTES)


def new_agreement_key() -> bytes:
    """A fresh private key of a receiver, PRIVATE_BYTES long."""
    return MLKEM768PrivateKey.generate().private_bytes_raw() + X25519PrivateKey.generate().private_bytes_raw()


def _private(raw: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    if len(raw) != PRIVATE_BYTES:
        raise CannotOpen(f"A private key has {len(raw)} bytes instead of {PRIVATE_BYTES}.")
    return (
        MLKEM768PrivateKey.from_seed_bytes(raw[:_MLKEM_SEED_BYTES]),
        X25519PrivateKey.from_private_bytes(raw[_MLKEM_SEED_BYTES:]),
    )


def public_of(private: bytes) -> bytes:
    """The public key of a private one, PUBLIC_BYTES long."""
    mlkem, x25519 = _private(private)
    return mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()


def seal_to(public: bytes, plain: bytes, info: bytes) -> bytes:
    """HPKE, single shot, to a receiver's public key. Raises CannotOpen where the key is none."""
    try:
        receiver = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC_BYTES]),
            X25519PublicKey.from_public_bytes(public[_MLKEM_PUBLIC_BYTES:]),
        )
    except ValueError as error:
        raise CannotOpen(f"A public key of {len(public)} bytes is no ML-KEM-768 and X25519 key.") from error
    return _SUITE.encrypt(plain, receiver, info=info)


def open_with(private: bytes, sealed: bytes, info: bytes) -> bytes:
    """Open what `seal_to` made. Raises CannotOpen."""
    try:
        return _SUITE.decrypt(sealed, MLKEM768X25519PrivateKey(*_private(private)), info=info)
    except (InvalidTag, ValueError) as error:
        raise CannotOpen("A wrapped key does not open: another key, another place, or altered bytes.") from error


@dataclass(frozen=True, slots=True)
class PassphraseCost:
    """What it costs to try one passphrase (Argon2id, RFC 9106)."""

    memory_kib: int = 65536
    iterations: int = 3
    lanes: int = 4


@dataclass(frozen=True, slots=True)
class LockedSecret:
    """A private half under a passphrase, as the keyring stores it."""

    cost: PassphraseCost
    salt: bytes
    nonce: bytes
    sealed: bytes


def _passphrase_key(passphrase: str, salt: bytes, cost: PassphraseCost) -> AESGCM:
    derive = Argon2id(salt=salt, length=32, iterations=cost.iterations, lanes=cost.lanes, memory_cost=cost.memory_kib)
    return AESGCM(derive.derive(unicodedata.normalize("NFC", passphrase).encode()))


def lock_secret(secret: bytes, passphrase: str, binding: bytes, cost: PassphraseCost) -> LockedSecret:
    """Encrypt a private half under a passphrase, bound to whose it is."""
    salt, nonce = os.urandom(16), os.urandom(12)
    return LockedSecret(cost, salt, nonce, _passphrase_key(passphrase, salt, cost).encrypt(nonce, secret, binding))


def unlock_secret(locked: LockedSecret, passphrase: str, binding: bytes) -> bytes:
    """Open a private half. Raises WrongPassphrase."""
    try:
        return _passphrase_key(passphrase, locked.salt, locked.cost).decrypt(locked.nonce, locked.sealed, binding)
    except InvalidTag:
        raise WrongPassphrase("The passphrase is not the right one.") from None


def lock_by_device(secret: bytes, answer: bytes, binding: bytes) -> tuple[bytes, bytes, bytes]:
    """Encrypt a private half under what a security key answers (32 bytes of its PRF): salt, nonce, sealed."""
    salt, nonce = os.urandom(32), os.urandom(12)
    return salt, nonce, _device_key(answer, salt, binding).encrypt(nonce, secret, binding)


def unlock_by_device(locked: tuple[bytes, bytes, bytes], answer: bytes, binding: bytes) -> bytes:
    """Open what `lock_by_device` made. Raises WrongPassphrase."""
    salt, nonce, sealed = locked
    try:
        return _device_key(answer, salt, binding).decrypt(nonce, sealed, binding)
    except InvalidTag:
        raise WrongPassphrase("The security key's answer is not the right one.") from None


def _device_key(answer: bytes, salt: bytes, binding: bytes) -> AESGCM:
    if len(answer) != DEVICE_ANSWER_BYTES:
        raise WrongPassphrase("The security key gave no secret.", hint="Use one that knows the PRF extension, or the passphrase.")
    return AESGCM(HKDF(hashes.SHA256(), 32, salt, binding).derive(answer))


@dataclass(frozen=True, slots=True)
class Half:
    """One half of a data key, sealed to one receiver. `key` names the public key."""

    to: str
    key: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key for one pair of receivers."""

    pair: tuple[str, str]
    halves: tuple[Half, Half]


def _half_info(vault_id: str, recording_id: str, pair_name: str, to: str, key: str) -> bytes:
    return _joined("dock-vault/half/v1", vault_id, recording_id, pair_name, to, key)


class Wrapper:
    """Seals only: the receivers' public keys, checked and pinned by the keyring."""

    def __init__(
        self, vault_id: str, keyring_version: int, public_keys: Mapping[str, bytes], holders: Mapping[str, frozenset[str]]
    ) -> None:
        """`holders`: function to the persons who hold it, so that no pair is sealed whose two seats are one person's."""
        self.vault_id = vault_id
        self.keyring_version = keyring_version
        self._public_keys = public_keys
        self._holders = holders

    def wrap(self, data_key: bytes, recording_id: str, officer: str | None = None) -> tuple[WrappedKey, ...]:
        """Split and seal a data key for each pair that the policy names. `officer`: the person who recorded, where known."""
        known = officer is not None and officer_receiver(officer) in self._public_keys
        pairs = (*PAIRS, *(officer_pairs(officer, self._holders) if officer is not None and known else ()))
        return tuple(self.wrap_for(pair, data_key, recording_id) for pair in pairs)

    def wrap_for(self, pair: Pair, data_key: bytes, recording_id: str) -> WrappedKey:
        """Split and seal a data key for one pair."""
        receivers = sorted(pair.receivers)
        halves = []
        for to, half in zip(receivers, split(data_key), strict=True):
            public = self._public_keys[to]
            key = key_id(public)
            info = _half_info(self.vault_id, recording_id, pair.name, to, key)
            halves.append(Half(to, key, seal_to(public, half, info)))
        return WrappedKey((receivers[0], receivers[1]), (halves[0], halves[1]))


class Unwrapper:
    """Opens one half: one receiver's private keys (the newest and older ones), alive only while they are needed."""

    def __init__(self, vault_id: str, receiver: str, person: str, privates: Iterable[bytes]) -> None:
        self.receiver = receiver
        self.person = person
        self._vault_id = vault_id
        self._privates = {key_id(public_of(private)): private for private in privates}

    def half(self, wrapped: WrappedKey, recording_id: str) -> bytes:
        """This receiver's half of a data key. Raises CannotOpen."""
        for half in wrapped.halves:
            if half.to == self.receiver and half.key in self._privates:
                info = _half_info(self._vault_id, recording_id, "+".join(wrapped.pair), half.to, half.key)
                return open_with(self._privates[half.key], half.sealed, info)
        raise CannotOpen(f"The recording is not sealed to this key of {self.receiver}.")

    def wipe(self) -> None:
        """Forget the private keys."""
        self._privates.clear()


def split(secret: bytes) -> tuple[bytes, bytes]:
    """Two halves, each random by itself, whose exclusive or is the secret."""
    first = os.urandom(len(secret))
    return first, join(first, secret)


def join(first: bytes, second: bytes) -> bytes:
    """The secret of two halves."""
    return bytes(a ^ b for a, b in zip(first, second, strict=True))
