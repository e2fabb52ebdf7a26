"""A reader of checkpoints, written from the texts of C2SP signed-note and tlog-checkpoint and RFC
6962, sharing no code with `vault`.

python -m tests.support.note_reader NOTE VERIFIER_KEY
"""

import base64
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class NotANote(Exception):
    """What was read breaks a rule of the texts."""


@dataclass(frozen=True)
class Head:
    """A checkpoint's three lines, and what follows them."""

    origin: str
    size: int
    root: bytes
    extra: list[str]


def read_key(encoded: str) -> tuple[str, bytes, bytes]:
    """A verifier key `<name>+<hex key ID>+<base64 type and key>`: name, key ID,
    Ed25519 public key.
    """
    name, identifier, material = encoded.split("+", 2)
    raw = base64.b64decode(material, validate=True)
    if raw[0] != 1 or len(raw) != 33:
        raise NotANote("signature type 0x01 with 32 bytes is what Ed25519 is")
    expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    if expected.hex() != identifier:
        raise NotANote("the key ID is not SHA-256(name, newline, type, key)[:4]")
    return name, expected, raw[1:]


def read_note(note: bytes, encoded_key: str) -> Head:
    """The checkpoint of a note that this key has signed."""
    text = note.decode("utf-8")
    if any(ord(one) < 0x20 and one != "\n" for one in text):
        raise NotANote("a control character other than newline")
    split = text.rfind("\n\n")
    if split < 0 or not text.endswith("\n"):
        raise NotANote("no blank line before the signatures, or no newline at the end")
    body, lines = text[: split + 1], text[split + 2 :].split("\n")[:-1]
    if not _is_signed(body, lines, encoded_key):
        raise NotANote("not signed by this key")
    first = body.split("\n")[:-1]
    if len(first) < 3 or not first[0] or "" in first:
        raise NotANote("origin, size and root, and no empty line")
    size = first[1]
    if not size.isascii() or not size.isdigit() or (size != "0" and size.startswith("0")):
        raise NotANote("the size is decimal without leading zeros")
    root = base64.b64decode(first[2], validate=True)
    if len(root) != 32:
        raise NotANote("a root of 32 bytes")
    return Head(first[0], int(size), root, first[3:])


def _is_signed(body: str, lines: list[str], encoded_key: str) -> bool:
    """Whether one of the signature lines is of this key. A line of it that is false is refused."""
    name, identifier, public = read_key(encoded_key)
    signed = False
    for line in lines:
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014":
            raise NotANote("a signature line is em dash, space, name, space, base64")
        raw = base64.b64decode(parts[2], validate=True)
        if parts[1] == name and raw[:4] == identifier:
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], body.encode())
            except InvalidSignature:
                raise NotANote("a signature by a known key that does not verify") from None
            signed = True
    return signed


def tree_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + tree_root(leaves[:k]) + tree_root(leaves[k:])).digest()


if __name__ == "__main__":
    print(read_note(Path(sys.argv[1]).read_bytes(), sys.argv[2]))
