"""Signed notes (C2SP signed-note): the log's key, its verifier, and the text form."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.errors import Reaction, VaultError

_ED25519 = b"\x01"
DASH = "\u2014"
NOTE_LIMIT_BYTES = 1 << 20
HASH_BYTES = 32
_KEY_NAME = re.compile(r"[^\s+]+")


class CheckpointRefused(VaultError):
    """A checkpoint or a key of the log can't be read, or its signature does not hold."""

    code = "log.checkpoint_refused"
    reaction = Reaction.REFUSE
    hint = (
        "Take the file as the witness has it, and the log's public key from the paper of the "
        "ceremony."
    )


# --- keys -----------------------------------------------------------------------------------------


def key_hash(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


@dataclass(frozen=True, slots=True)
class LogVerifier:
    """The log's public key, under its name: `name+hash+base64` as signed notes write it."""

    name: str
    public: bytes

    def text(self) -> str:
        packed = base64.b64encode(_ED25519 + self.public).decode()
        return f"{self.name}+{key_hash(self.name, self.public).hex()}+{packed}"

    @classmethod
    def read(cls, text: str) -> "LogVerifier":
        """Raises CheckpointRefused."""
        name, _, rest = text.strip().partition("+")
        digest, _, packed = rest.partition("+")
        public = _unpacked(packed)
        if not _KEY_NAME.fullmatch(name) or key_hash(name, public).hex() != digest:
            raise CheckpointRefused("The log's public key is mistyped: its check does not fit.")
        return cls(name, public)


class LogKey:
    """The key that signs heads of the log: a credential of the process that writes the vault, in no
    file of it (ruling 12).
    """

    def __init__(self, name: str, seed: bytes) -> None:
        if not _KEY_NAME.fullmatch(name):
            raise CheckpointRefused(f"{name!r} is no name of a key: it has a space or a plus.")
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self._seed = seed
        self.verifier = LogVerifier(name, self._private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, name: str) -> "LogKey":
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def read(cls, content: bytes) -> "LogKey":
        """Raises CheckpointRefused."""
        try:
            kind, key, name, digest, packed = content.decode().strip().split("+", 4)
        except (UnicodeDecodeError, ValueError):
            raise CheckpointRefused("The log's key can't be read.") from None
        found = cls(name, _unpacked(packed))
        if (kind, key) != ("PRIVATE", "KEY") or key_hash(
            name, found.verifier.public
        ).hex() != digest:
            raise CheckpointRefused("The log's key is damaged: its check does not fit.")
        return found

    def content(self) -> bytes:
        name = self.verifier.name
        digest = key_hash(name, self.verifier.public).hex()
        seed = base64.b64encode(_ED25519 + self._seed).decode()
        return f"PRIVATE+KEY+{name}+{digest}+{seed}\n".encode()

    def sign(self, text: str) -> bytes:
        """The signed note of a text that ends with a line feed."""
        return f"{text}\n".encode() + self.signature(text)

    def signature(self, text: str) -> bytes:
        """The line that stands under a note's text."""
        raw = key_hash(self.verifier.name, self.verifier.public) + self._private.sign(text.encode())
        return f"{DASH} {self.verifier.name} {base64.b64encode(raw).decode()}\n".encode()


def _unpacked(packed: str) -> bytes:
    try:
        raw = base64.b64decode(packed.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raw = b""
    if raw[:1] != _ED25519 or len(raw) != 1 + HASH_BYTES:
        raise CheckpointRefused("The key is no Ed25519 key of a signed note.")
    return raw[1:]


def note_parts(content: bytes) -> tuple[str, list[str]]:
    """A signed note's text, with its line feed, and its lines of signatures."""
    try:
        note = content.decode()
    except UnicodeDecodeError:
        raise CheckpointRefused("The checkpoint is not text.") from None
    text, blank, signatures = note.rpartition("\n\n")
    if (
        not blank
        or not signatures.endswith("\n")
        or any(ord(char) < 32 and char != "\n" for char in note)
    ):
        raise CheckpointRefused("The checkpoint is no signed note.")
    return text + "\n", signatures.splitlines()
