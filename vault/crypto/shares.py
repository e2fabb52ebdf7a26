"""A data key in two halves, each wrapped for one receiver; either half alone says nothing.

The only arithmetic here is an exclusive or.
"""

import os
from dataclasses import dataclass


def _joined(*parts: str) -> bytes:
    return b"\0".join(part.encode() for part in parts)


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


def half_info(vault_id: str, recording_id: str, pair_name: str, to: str, key: str) -> bytes:
    return _joined("dock-vault/half/v1", vault_id, recording_id, pair_name, to, key)


def split(secret: bytes) -> tuple[bytes, bytes]:
    """Two halves, each random by itself, whose exclusive or is the secret."""
    first = os.urandom(len(secret))
    return first, join(first, secret)


def join(first: bytes, second: bytes) -> bytes:
    """The secret of two halves."""
    return bytes(a ^ b for a, b in zip(first, second, strict=True))
