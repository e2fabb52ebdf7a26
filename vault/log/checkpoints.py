"""Checkpoints: signed heads of the log (C2SP tlog-checkpoint), and what one from outside proves.

A checkpoint that lies outside the vault is what shows a log that was rewritten with the machine's
own keys; one inside shows nothing that whoever rewrote the log could not write too. FORMAT.md,
section 6.
"""

import base64
import binascii
import hashlib
import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vault.clock import Clock, utc_text
from vault.crypto.canonical_json import parse_object
from vault.errors import Reaction, StorageFailed, VaultError
from vault.log.log import read_leaves, read_tree
from vault.log.merkle import Head, Tree, leaf_hash
from vault.log.signed_note import (
    DASH,
    HASH_BYTES,
    NOTE_LIMIT_BYTES,
    CheckpointRefused,
    LogKey,
    LogVerifier,
    key_hash,
    note_parts,
)
from vault.storage.durable import make_folder, remove_file, replace_new, write_new
from vault.storage.small_files import read_small


class LogForked(VaultError):
    """The log no longer goes on from the head that was signed last. Nothing further is signed."""

    code = "log.forked"
    reaction = Reaction.ALARM
    hint = (
        "Run `vault verify --since` with the witness's newest checkpoint: the log was altered or "
        "rolled back."
    )


# --- checkpoints ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A head that was signed. `extension`: the lines after the three that every checkpoint has."""

    origin: str
    size: int
    root: bytes
    extension: tuple[str, ...]

    def text(self) -> str:
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extension)
        return "".join(f"{line}\n" for line in lines)

    def said(self, name: str) -> str | None:
        """The rest of the extension line that begins with a word."""
        return next(
            (line.partition(" ")[2] for line in self.extension if line.partition(" ")[0] == name),
            None,
        )


def parse_checkpoint(content: bytes, verifier: LogVerifier) -> Checkpoint:
    """A signed note's checkpoint, once a signature of this key holds; signatures of others are
    passed over.

    Raises CheckpointRefused.
    """
    text, signatures = note_parts(content)
    if not any(_holds(line, text, verifier) for line in signatures):
        raise CheckpointRefused(
            "The checkpoint carries no valid signature of this log's key.",
            hint="Give the public key that the log had at that time (`--key`), from the paper of "
            "the ceremony.",
        )
    return _checkpoint(text)


def _checkpoint(text: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not re.fullmatch(r"0|[1-9][0-9]*", lines[1]) or "" in lines:
        raise CheckpointRefused("The note is no checkpoint.")
    try:
        root = base64.b64decode(lines[2].encode(), validate=True)
    except binascii.Error:
        root = b""
    if len(root) != HASH_BYTES:
        raise CheckpointRefused("The checkpoint has no root.")
    return Checkpoint(lines[0], int(lines[1]), root, tuple(lines[3:]))


def _holds(line: str, text: str, verifier: LogVerifier) -> bool:
    dash, _, rest = line.partition(" ")
    name, _, packed = rest.partition(" ")
    if dash != DASH or name != verifier.name:
        return False
    try:
        raw = base64.b64decode(packed.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return False
    if raw[:4] != key_hash(name, verifier.public):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(verifier.public).verify(raw[4:], text.encode())
    except InvalidSignature:
        raise CheckpointRefused("A signature in this log's name does not hold.") from None
    return True


class Checkpoints:
    """The vault's folder of signed heads: one note a file, named by its size."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest_size(self) -> int:
        """How many entries were signed for, by the notes' names; 0 where none was signed."""
        return max(
            (int(path.stem) for path in self._folder.glob("*.note") if path.stem.isdigit()),
            default=0,
        )

    def newest(self, verifier: LogVerifier) -> Checkpoint | None:
        """Raises CheckpointRefused."""
        notes = sorted(self._folder.glob("*.note"))
        return (
            parse_checkpoint(read_small(notes[-1], NOTE_LIMIT_BYTES), verifier) if notes else None
        )

    def head_to_sign(self, tx: sa.Connection, verifier: LogVerifier) -> Tree:
        """The log's tree as the catalogue has it, once it goes on from the last one signed.

        The entries since then are hashed from the peaks that the last note carries. Raises
        LogForked, CheckpointRefused.
        """
        tree = read_tree(tx)
        last = self.newest(verifier)
        if last is not None:
            _demand_extends(tx, last, tree)
        return tree

    def vouch(self, tx: sa.Connection, key: LogKey) -> None:
        """Set a new key's signature under the head that was signed last, beside that of the key
        that is lost.

        From then on the chain of heads goes on under the new key, and whoever has the old public
        key still reads the note. Raises LogForked where the log does not go on from that head,
        CheckpointRefused, StorageFailed.
        """
        size = self.newest_size()
        if not size:
            return
        path = self._path(size)
        content = read_small(path, NOTE_LIMIT_BYTES)
        text, _ = note_parts(content)
        _demand_extends(tx, _checkpoint(text), read_tree(tx))
        part = path.with_name(f".{path.name}.part")
        remove_file(part)
        replace_new(part, path, content + key.signature(text))

    def publish(self, tree: Tree, key: LogKey, clock: Clock, tombstones: Sequence[str]) -> bytes:
        """Sign a head and keep the note; one of the same size that stands already is as good.
        Returns the note.

        `tombstones`: every recording ever destroyed. Raises StorageFailed, VaultFull.
        """
        path = self._path(tree.size)
        if path.exists():
            return read_small(path, NOTE_LIMIT_BYTES)
        head = tree.head()
        listed = "\n".join(sorted(tombstones)).encode()
        extension = (
            f"time {utc_text(clock.now())}",
            f"tombstones {len(tombstones)} {hashlib.sha256(listed).hexdigest()}",
            f"peaks {base64.b64encode(b''.join(tree.peaks)).decode()}",
        )
        note = key.sign(Checkpoint(key.verifier.name, head.size, head.root, extension).text())
        make_folder(self._folder)
        try:
            write_new(path.with_name(f".{uuid.uuid4()}.part"), path, note)
        except StorageFailed:
            if not path.exists():
                raise
        return read_small(path, NOTE_LIMIT_BYTES)

    def _path(self, size: int) -> Path:
        return self._folder / f"{size:012d}.note"


def _demand_extends(tx: sa.Connection, last: Checkpoint, tree: Tree) -> None:
    packed = base64.b64decode(last.said("peaks") or "")
    grown = Tree(
        last.size, (packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES))
    )
    if grown.head() != Head(last.size, last.root):
        raise LogForked("The last checkpoint's peaks do not fit its root.")
    if tree.size < last.size:
        raise LogForked(f"The log has {tree.size} entries, and {last.size} were signed.")
    while grown.size < tree.size:
        batch = read_leaves(tx, grown.size)
        if not batch:
            break
        for leaf in batch[: tree.size - grown.size]:
            grown.append(leaf_hash(leaf))
    if grown.head() != tree.head():
        raise LogForked(f"The log does not go on from entry {last.size}, as it was signed.")


# --- checking -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """Where a log differs from what was signed: a stable code, the entries between which, a
    sentence.
    """

    code: str
    first: int
    last: int
    sentence: str


def verify_since(checkpoints: Iterable[Checkpoint], leaves: Iterable[bytes]) -> list[Discrepancy]:
    """Hold a whole log against checkpoints that were kept outside. Empty where it extends every one
    of them.

    The more checkpoints, the closer the place is named; numbers that the entries carry tell an edit
    from a removal, an insertion and a reordering where whoever altered it left them as they were.
    """
    known = sorted(checkpoints, key=lambda checkpoint: checkpoint.size)
    wanted = {checkpoint.size for checkpoint in known}
    roots: dict[int, bytes] = {}
    tree = Tree()
    numbers: list[int | None] = []
    if 0 in wanted:
        roots[0] = tree.head().root
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
        numbers.append(_number(leaf))
        if tree.size in wanted:
            roots[tree.size] = tree.head().root
    found: list[Discrepancy] = []
    sound = 0
    for checkpoint in known:
        if checkpoint.size > tree.size:
            sentence = (
                f"The log has {tree.size} entries, and {checkpoint.size} were signed: it was "
                f"truncated or rolled back."
            )
            found.append(
                Discrepancy("log.truncated", min(sound, tree.size), checkpoint.size - 1, sentence)
            )
            break
        if roots[checkpoint.size] != checkpoint.root:
            found.append(_altered(numbers, sound, checkpoint.size))
            break
        sound = checkpoint.size
    return found


def _altered(numbers: Sequence[int | None], first: int, size: int) -> Discrepancy:
    """What the entries' own numbers say of a log whose root differs somewhere from `first` to
    `size`.
    """
    for at in range(first, size):
        number = numbers[at]
        if number == at:
            continue
        if number is None:
            return Discrepancy("log.edited", at, at, f"Entry {at} is no entry of this log.")
        if number > at and at not in numbers[at:]:
            return Discrepancy(
                "log.removed", at, at, f"Entry {at} is missing; {number} stands in its place."
            )
        if number > at:
            return Discrepancy(
                "log.reordered", at, number, f"Entry {number} stands where {at} was signed."
            )
        return Discrepancy(
            "log.inserted", at, at, f"An entry numbered {number} stands where {at} was signed."
        )
    sentence = (
        f"An entry between {first} and {size - 1} is not the one that was signed: edited, or all "
        f"written anew from there."
    )
    return Discrepancy("log.rewritten", first, size - 1, sentence)


def _number(leaf: bytes) -> int | None:
    try:
        number = parse_object(leaf).get("sequence")
    except ValueError:
        return None
    return number if isinstance(number, int) else None


def inclusion_path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The proof that leaf `index` is in the tree over these leaf hashes (RFC 6962, 2.1.1): hashes
    from the leaf to the root.
    """
    if len(hashes) == 1:
        return []
    split = 1 << (len(hashes) - 1).bit_length() - 1
    if index < split:
        return [*inclusion_path(hashes[:split], index), _root(hashes[split:])]
    return [*inclusion_path(hashes[split:], index - split), _root(hashes[:split])]


def _root(hashes: Sequence[bytes]) -> bytes:
    tree = Tree()
    for hashed in hashes:
        tree.append(hashed)
    return tree.head().root
