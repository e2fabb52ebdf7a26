"""HPKE (RFC 9180) with ML-KEM-768 + X25519: seal a secret to one receiver's public key (FORMAT.md,
section 3).

All primitives are `cryptography`'s.
"""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from vault.errors import CannotOpen

DATA_KEY_BYTES = 32
PUBLIC_BYTES = 1184 + 32
PRIVATE_BYTES = 64 + 32
_MLKEM_PUBLIC_BYTES = 1184
_MLKEM_SEED_BYTES = 64
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def key_id(public: bytes) -> str:
    """A public key's name: its SHA-256."""
    return hashlib.sha256(public).hexdigest()


def new_data_key() -> bytes:
    """A fresh random key for one attempt to take in a recording; never used for a second."""
    return os.urandom(DATA_KEY_BYTES)


def new_agreement_key() -> bytes:
    """A fresh private key of a receiver, PRIVATE_BYTES long."""
    return (
        MLKEM768PrivateKey.generate().private_bytes_raw()
        + X25519PrivateKey.generate().private_bytes_raw()
    )


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
        raise CannotOpen(
            f"A public key of {len(public)} bytes is no ML-KEM-768 and X25519 key."
        ) from error
    return _SUITE.encrypt(plain, receiver, info=info)


def open_with(private: bytes, sealed: bytes, info: bytes) -> bytes:
    """Open what `seal_to` made. Raises CannotOpen."""
    try:
        return _SUITE.decrypt(sealed, MLKEM768X25519PrivateKey(*_private(private)), info=info)
    except (InvalidTag, ValueError) as error:
        raise CannotOpen(
            "A wrapped key does not open: another key, another place, or altered bytes."
        ) from error
