"""Secrets locked by a passphrase (Argon2id) or by a security key's answer
(FORMAT.md, section 4).
"""

import os
import unicodedata
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault.errors import WrongPassphrase

DEVICE_ANSWER_BYTES = 32


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
    derive = Argon2id(
        salt=salt,
        length=32,
        iterations=cost.iterations,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    )
    return AESGCM(derive.derive(unicodedata.normalize("NFC", passphrase).encode()))


def lock_secret(
    secret: bytes, passphrase: str, binding: bytes, cost: PassphraseCost
) -> LockedSecret:
    """Encrypt a private half under a passphrase, bound to whose it is."""
    salt, nonce = os.urandom(16), os.urandom(12)
    return LockedSecret(
        cost, salt, nonce, _passphrase_key(passphrase, salt, cost).encrypt(nonce, secret, binding)
    )


def unlock_secret(locked: LockedSecret, passphrase: str, binding: bytes) -> bytes:
    """Open a private half. Raises WrongPassphrase."""
    try:
        return _passphrase_key(passphrase, locked.salt, locked.cost).decrypt(
            locked.nonce, locked.sealed, binding
        )
    except InvalidTag:
        raise WrongPassphrase("The passphrase is not the right one.") from None


def lock_by_device(secret: bytes, answer: bytes, binding: bytes) -> tuple[bytes, bytes, bytes]:
    """Encrypt a private half under what a security key answers (32 bytes of its PRF): salt, nonce,
    sealed.
    """
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
        raise WrongPassphrase(
            "The security key gave no secret.",
            hint="Use one that knows the PRF extension, or the passphrase.",
        )
    return AESGCM(HKDF(hashes.SHA256(), 32, salt, binding).derive(answer))
