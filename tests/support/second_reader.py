"""A second reader of the vault's stored formats, as a court's expert would write one.

Written from ``vault/FORMAT.md`` alone, with bare primitives, and sharing no code with ``vault``.
Whatever this reader refuses, it refuses with :class:`Refused`; it repairs nothing and writes
nothing into the vault.

    python -m tests.support.second_reader VAULT RECORDING FUNCTION_A FUNCTION_B OUTDIR
"""

import base64
import binascii
import getpass
import hashlib
import hmac
import io
import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

JsonObject = dict[str, Any]
T = TypeVar("T")

SALT, COMMITMENT, TAG = 24, 32, 16
HEADER = SALT + COMMITMENT
CHUNK = 16384
SEALED_CHUNK = CHUNK + TAG
PIECE = 67108864
SEALED_PIECE = HEADER + PIECE + TAG * (PIECE // CHUNK + 1)
EDGE = 65536
LEAVES_PER_FILE = 4096

MESSAGE_LABEL = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM"
KEYRING_TYPE = "application/vnd.dock-vault.keyring+json"
LEAF_KEYS = {"sequence", "time_utc", "actor", "acting_for", "action", "subject", "details"}
HPKE_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class Refused(Exception):
    """What stands in the vault is not what the format says should stand there."""


def _require(holds: bool, otherwise: str) -> None:
    """Refuse with `otherwise` unless the condition holds."""
    if not holds:
        raise Refused(otherwise)


def _get(holder: JsonObject, key: str, kind: type[T]) -> T:
    """The value under a key, which must be there and of this kind (and no truth value where a
    number is due).
    """
    value = holder.get(key)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Refused(f"{key} is missing or no {kind.__name__}")
    return value


def _objects(holder: JsonObject, key: str) -> list[JsonObject]:
    """A list of JSON objects under a key."""
    items = _get(holder, key, list)
    _require(
        all(isinstance(item, dict) for item in items), f"{key} holds something other than objects"
    )
    return items


def _parse(text: bytes, what: str) -> JsonObject:
    """One JSON object in UTF-8."""
    try:
        value = json.loads(text.decode("utf-8"))
    except ValueError as error:
        raise Refused(f"{what} is not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise Refused(f"{what} is not a JSON object")
    return value


def _unbase64(text: str) -> bytes:
    """Standard base64 with padding, and nothing besides."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused("not standard base64") from error


def _bytes(holder: JsonObject, key: str, length: int | None = None) -> bytes:
    """The bytes under a key in base64, of this length where one is due."""
    value = _unbase64(_get(holder, key, str))
    _require(length is None or len(value) == length, f"{key} has {len(value)} bytes, not {length}")
    return value


def _context(*parts: str) -> bytes:
    """Parts as UTF-8 text with one zero byte between every two."""
    return b"\0".join(part.encode("utf-8") for part in parts)


# --- 1. Sealed files ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where a sealed file belongs: its pieces open nowhere else."""

    vault: str
    recording: str
    sealed_name: str

    def context(self, index: int, count: int) -> bytes:
        """The context of piece `index` of `count`."""
        return _context(
            "dock-vault/file/v1",
            self.vault,
            self.recording,
            self.sealed_name,
            str(index),
            str(count),
        )


def message_length(size: int) -> int:
    """How many bytes a message over `size` plaintext bytes takes."""
    return HEADER + size + TAG * (size // CHUNK + 1)


def message_size(length: int) -> int:
    """How many plaintext bytes a message of `length` bytes holds; a length that no whole message
    has is refused.
    """
    full, rest = divmod(length - HEADER, SEALED_CHUNK)
    _require(
        length >= HEADER + TAG and rest >= TAG, f"no message is {length} bytes long: truncated"
    )
    return full * CHUNK + rest - TAG


class Message:
    """One message inside a stream. Nothing is given out before the commitment holds and the last
    chunk has opened.
    """

    def __init__(
        self, stream: BinaryIO, offset: int, length: int, key: bytes, context: bytes
    ) -> None:
        self._stream, self._offset = stream, offset
        self.size = message_size(length)
        header = self._at(0, HEADER)
        info = MESSAGE_LABEL + b"\0" + header[:SALT] + context
        derived = HKDFExpand(hashes.SHA512(), 76, info).derive(key)
        _require(
            hmac.compare_digest(derived[44:], header[SALT:]),
            "the commitment is not that of this key and context",
        )
        self._cipher, self._nonce = AESGCM(derived[:32]), int.from_bytes(derived[32:44], "big")
        self._last = self._chunk(self.size // CHUNK)

    def _at(self, start: int, length: int) -> bytes:
        """Exactly `length` bytes of the message from `start`."""
        self._stream.seek(self._offset + start)
        found = self._stream.read(length)
        _require(len(found) == length, "the file ends inside a message")
        return found

    def _chunk(self, index: int) -> bytes:
        """Chunk `index`, opened."""
        length = min(CHUNK, self.size - index * CHUNK) + TAG
        sealed = self._at(HEADER + index * SEALED_CHUNK, length)
        try:
            return self._cipher.decrypt((self._nonce ^ index).to_bytes(12, "big"), sealed, None)
        except InvalidTag as error:
            raise Refused(f"chunk {index} does not open") from error

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """Plaintext bytes from `start` up to `stop`, opening only the chunks they stand in (and,
        before, the last).
        """
        stop = self.size if stop is None else stop
        _require(
            0 <= start <= stop <= self.size,
            f"no bytes {start} to {stop} in a message of {self.size}",
        )
        first, last = start // CHUNK, self.size // CHUNK
        chunks = (
            self._last if index == last else self._chunk(index)
            for index in range(first, -(-stop // CHUNK))
        )
        return b"".join(chunks)[start - first * CHUNK : stop - first * CHUNK]


def open_message(key: bytes, context: bytes, sealed: bytes) -> bytes:
    """The plaintext of one message."""
    return Message(io.BytesIO(sealed), 0, len(sealed), key, context).read()


def open_message_range(key: bytes, context: bytes, sealed: bytes, start: int, stop: int) -> bytes:
    """Plaintext bytes `start` to `stop` of one message."""
    return Message(io.BytesIO(sealed), 0, len(sealed), key, context).read(start, stop)


class SealedFile:
    """A sealed file as a row of messages; their number follows from the file's length."""

    def __init__(self, stream: BinaryIO, key: bytes, place: Place) -> None:
        self._stream, self._key, self._place = stream, key, place
        self.length = stream.seek(0, io.SEEK_END)
        self.count = max(1, -(-self.length // SEALED_PIECE))
        rest = message_size(self.length - (self.count - 1) * SEALED_PIECE)
        _require(rest > 0 or self.count == 1, "an empty piece stands behind others")
        self.size = (self.count - 1) * PIECE + rest

    def _piece(self, index: int) -> Message:
        """The message of one piece."""
        offset = index * SEALED_PIECE
        length = min(SEALED_PIECE, self.length - offset)
        return Message(
            self._stream, offset, length, self._key, self._place.context(index, self.count)
        )

    def pieces(self) -> Iterator[bytes]:
        """The plaintext, piece after piece."""
        for index in range(self.count):
            yield self._piece(index).read()

    def read(self, start: int, stop: int) -> bytes:
        """Plaintext bytes `start` to `stop`, opening only the pieces and chunks they stand in."""
        _require(
            0 <= start <= stop <= self.size, f"no bytes {start} to {stop} in a file of {self.size}"
        )
        found = []
        for index in range(start // PIECE, -(-stop // PIECE)):
            piece, base = self._piece(index), index * PIECE
            found.append(piece.read(max(start - base, 0), min(stop - base, piece.size)))
        return b"".join(found)


def open_file(path: Path, key: bytes, place: Place) -> bytes:
    """The whole plaintext of a sealed file."""
    with path.open("rb") as stream:
        return b"".join(SealedFile(stream, key, place).pieces())


def read_range(path: Path, key: bytes, place: Place, start: int, stop: int) -> bytes:
    """Plaintext bytes `start` to `stop` of a sealed file."""
    with path.open("rb") as stream:
        return SealedFile(stream, key, place).read(start, stop)


# --- 4. The keyring -------------------------------------------------------------------------------


def dsse_message(payload_type: str, payload: bytes) -> bytes:
    """The bytes that a DSSE signature is over; the payload as it is before base64."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _signed_by(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether an Ed25519 signature holds."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(frozen=True)
class Keyring:
    """A keyring whose signatures held."""

    vault: str
    version: int
    payload: JsonObject
    locks: JsonObject
    signers: tuple[bytes, ...]

    def person(self, person: str) -> JsonObject:
        """The one entry of a person."""
        return _only(self.payload, "persons", "person", person)


def _only(holder: JsonObject, listed: str, key: str, value: str) -> JsonObject:
    """The one object of a list that carries this value."""
    found = [item for item in _objects(holder, listed) if item.get(key) == value]
    _require(len(found) == 1, f"{len(found)} entries for {value} in {listed}")
    return found[0]


def verify_keyring(envelope: bytes, signers: Sequence[bytes] | None = None) -> Keyring:
    """Open keyring.json under the two pinned Ed25519 keys.

    Without pins the signatures of the persons whom the keyring itself names are checked. That shows
    that it is whole and who signed it, not that these two were entitled to: compare
    :attr:`Keyring.signers` with what the organisation states.
    """
    outer = _parse(envelope, "keyring.json")
    _require(_get(outer, "payloadType", str) == KEYRING_TYPE, "the envelope holds no keyring")
    body = _bytes(outer, "payload")
    payload = _parse(body, "the keyring")
    _require(payload.get("format") == "dock-vault/keyring/1", "not a keyring of format 1")
    keyring = Keyring(
        _get(payload, "vault", str),
        _get(payload, "version", int),
        payload,
        _get(outer, "locks", dict),
        (),
    )
    message, signatures = dsse_message(KEYRING_TYPE, body), _objects(outer, "signatures")
    held = (
        _pinned(signatures, message, signers)
        if signers is not None
        else _named(signatures, message)
    )
    return Keyring(keyring.vault, keyring.version, payload, keyring.locks, held)


def _pinned(
    signatures: list[JsonObject], message: bytes, signers: Sequence[bytes]
) -> tuple[bytes, ...]:
    """Every pinned key has signed, under a key id of its own."""
    _require(len(set(signers)) == len(signers) >= 2, "two different signers are to be pinned")
    names = []
    for key in signers:
        by = [
            _get(one, "keyid", str)
            for one in signatures
            if _signed_by(key, _bytes(one, "sig", 64), message)
        ]
        _require(len(by) == 1, f"{len(by)} valid signatures by a pinned signer")
        names += by
    _require(len(set(names)) == len(names), "two signatures in one person's name")
    return tuple(signers)


def _named(signatures: list[JsonObject], message: bytes) -> tuple[bytes, ...]:
    """The two or more different keys that signed it; one false signature refuses all."""
    keys = []
    for one in signatures:
        key = _bytes(one, "keyid", 32)
        _require(
            _signed_by(key, _bytes(one, "sig", 64), message),
            "a signature of the keyring does not hold",
        )
        keys.append(key)
    _require(len(set(keys)) == len(keys) >= 2, "fewer than two different persons signed")
    return tuple(keys)


def unlock_private(private: JsonObject, passphrase: str, associated: bytes) -> bytes:
    """What a sealed private half opens to under a passphrase."""
    _require(private.get("kdf") == "argon2id", "the passphrase is not stretched with Argon2id")
    stretch = Argon2id(
        salt=_bytes(private, "salt", 16),
        length=32,
        iterations=_get(private, "iterations", int),
        lanes=_get(private, "lanes", int),
        memory_cost=_get(private, "memory_kib", int),
    )
    key = stretch.derive(unicodedata.normalize("NFC", passphrase).encode("utf-8"))
    try:
        return AESGCM(key).decrypt(
            _bytes(private, "nonce", 12), _bytes(private, "sealed"), associated
        )
    except InvalidTag as error:
        raise Refused("the passphrase does not open this private half") from error


def _agreement(private: bytes) -> tuple[MLKEM768X25519PrivateKey, bytes]:
    """An agreement key from its 96 private bytes, with its 1216 public ones."""
    _require(len(private) == 96, "an agreement key has 96 private bytes")
    lattice = MLKEM768PrivateKey.from_seed_bytes(private[:64])
    curve = X25519PrivateKey.from_private_bytes(private[64:])
    public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    return MLKEM768X25519PrivateKey(lattice, curve), public


def _belongs(private: bytes, entry: JsonObject) -> bytes:
    """The agreement private key, where it is that of the entry's public key and digest."""
    public = _agreement(private)[1]
    _require(
        public == _bytes(entry, "agreement_key", 1216),
        "the private key is not that of the public key",
    )
    _require(
        entry.get("key", _sha256(public)) == _sha256(public),
        "`key` is not the digest of the public key",
    )
    return private


def _hpke_open(private: bytes, sealed: bytes, info: bytes) -> bytes:
    """Open `enc ‖ ciphertext` with the suite of section 3."""
    try:
        return HPKE_SUITE.decrypt(sealed, _agreement(private)[0], info)
    except (InvalidTag, ValueError) as error:
        raise Refused("not sealed to this key, or not in this place") from error


def unlock_person(keyring: Keyring, person: str, passphrase: str) -> tuple[bytes, bytes]:
    """A person's private keys: signing (32 bytes) and agreement (96 bytes)."""
    entry = keyring.person(person)
    associated = _context("dock-vault/person/v1", keyring.vault, person)
    opened = unlock_private(_get(keyring.locks, person, dict), passphrase, associated)
    _require(len(opened) == 128, "a person's private half has 128 bytes")
    signing = Ed25519PrivateKey.from_private_bytes(opened[:32]).public_key().public_bytes_raw()
    _require(
        signing == _bytes(entry, "signing_key", 32),
        "the private signing key is not that of the public one",
    )
    return opened[:32], _belongs(opened[32:], entry)


def unlock_function(
    keyring: Keyring,
    function: str,
    person: str,
    agreement: bytes,
    others: Sequence[bytes] = (),
    age: int = 0,
) -> bytes:
    """A function's private key (the newest, or an older one), through the seat of a person whose
    agreement key is at hand.

    `others`: private keys of receivers who are there too, for a seat that is split.
    """
    keys = _objects(_only(keyring.payload, "functions", "function", function), "keys")
    _require(age < len(keys), f"{function} has {len(keys)} keys")
    entry = keys[age]
    seat = _only(entry, "seats", "person", person)
    place = ("dock-vault/seat/v1", keyring.vault, function, _get(entry, "key", str), person)
    own = _hpke_open(agreement, _bytes(seat, "sealed"), _context(*place, person))
    if not (halves := _objects(seat, "others")):
        return _belongs(own, entry)
    by_digest = {_sha256(_agreement(private)[1]): private for private in others}
    for half in halves:
        digest, to = _get(half, "key", str), _get(half, "to", str)
        if digest in by_digest and to not in (person, f"MW-{person}"):
            other = _hpke_open(by_digest[digest], _bytes(half, "sealed"), _context(*place, to))
            return _belongs(bytes(x ^ y for x, y in zip(own, other, strict=True)), entry)
    raise Refused("the seat is split, and nobody with the other half is there")


def unlock_escrow(keyring: Keyring, holder: str, passphrase: str) -> bytes:
    """An escrow holder's private key."""
    entry = _only(keyring.payload, "escrow", "holder", holder)
    associated = _context("dock-vault/escrow/v1", keyring.vault, holder)
    return _belongs(
        unlock_private(_get(keyring.locks, holder, dict), passphrase, associated), entry
    )


def unlock_receiver(keyring: Keyring, receiver: str, passphrase: str) -> bytes:
    """The private key of a function or an escrow holder; for a function whoever of its seats has
    this passphrase.
    """
    if any(entry.get("holder") == receiver for entry in _objects(keyring.payload, "escrow")):
        return unlock_escrow(keyring, receiver, passphrase)
    for seat in _objects(
        _objects(_only(keyring.payload, "functions", "function", receiver), "keys")[0], "seats"
    ):
        person = _get(seat, "person", str)
        try:
            agreement = unlock_person(keyring, person, passphrase)[1]
        except Refused:
            continue
        return unlock_function(keyring, receiver, person, agreement)
    raise Refused(f"the passphrase opens no seat of {receiver}")


# --- 3. Wrapped keys ------------------------------------------------------------------------------


def open_half(record: JsonObject, pair: Sequence[str], half: JsonObject, private: bytes) -> bytes:
    """One half of K, with its receiver's private key."""
    digest = _sha256(_agreement(private)[1])
    to = _get(half, "to", str)
    _require(
        half.get("key") == digest, f"the half for {to} is sealed to another key of that receiver"
    )
    where = (_get(record, "vault", str), _get(record, "recording", str), "+".join(pair))
    opened = _hpke_open(
        private, _bytes(half, "sealed", 1168), _context("dock-vault/half/v1", *where, to, digest)
    )
    _require(len(opened) == 32, "a half of K has 32 bytes")
    return opened


def join_key(record: JsonObject, privates: dict[str, bytes]) -> bytes:
    """K, from the private keys of two receivers who may open the recording together."""
    pair = sorted(privates)
    _require(len(pair) == 2, "it takes two different receivers")
    found = [entry for entry in _objects(record, "keys") if entry.get("pair") == pair]
    _require(len(found) == 1, f"{len(found)} wrapped keys for the pair {'+'.join(pair)}")
    halves = _objects(found[0], "halves")
    _require([half.get("to") for half in halves] == pair, "the halves are not those of the pair")
    a, b = (open_half(record, pair, half, privates[_get(half, "to", str)]) for half in halves)
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


# --- 2. A recording's folder ----------------------------------------------------------------------


def _sha256(data: bytes) -> str:
    """SHA-256 in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class OpenedFile:
    """A file whose sealed bytes and plaintext both are what record.json states. It is opened anew
    for each reading.
    """

    path: Path
    place: Place
    name: str
    size: int
    sha256: str
    key: bytes = field(repr=False)

    def pieces(self) -> Iterator[bytes]:
        """The plaintext, in pieces of at most 64 MiB."""
        with self.path.open("rb") as stream:
            yield from SealedFile(stream, self.key, self.place).pieces()

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """Plaintext bytes `start` to `stop`; all of them where nothing is said."""
        return read_range(
            self.path, self.key, self.place, start, self.size if stop is None else stop
        )


@dataclass(frozen=True)
class CameraManifest:
    """The camera's own statement. `signature_holds` is None where no camera key was given to check
    it with.
    """

    signature: bytes
    statement: bytes
    signature_holds: bool | None


@dataclass(frozen=True)
class Log:
    """The leaves that count, in order, and the head over them."""

    leaves: tuple[bytes, ...]
    root: bytes

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return len(self.leaves)


@dataclass(frozen=True)
class OpenedRecording:
    """A recording, opened and checked from its folder."""

    record: JsonObject
    record_sha256: str
    keyring: Keyring
    files: tuple[OpenedFile, ...]
    manifest: CameraManifest | None
    log: Log
    stored_at: int | None
    """Sequence of the log's `recording.stored` that carries the digest of record.json; None where
    no such entry stands.
    """
    claim_differs: tuple[str, ...]
    """Names of segments whose size or digest is not what the camera stated, or that stand on one
    side only.
    """

    def file(self, name: str) -> OpenedFile:
        """The file with this name, the camera's or the sealed one."""
        found = [file for file in self.files if name in (file.name, file.place.sealed_name)]
        _require(len(found) == 1, f"{len(found)} files named {name}")
        return found[0]


def _sealed_names(entries: list[JsonObject]) -> list[str]:
    """The names of the sealed files, which are 0000, 0001, … and at the end
    perhaps the manifest.
    """
    names = [_get(entry, "sealed_name", str) for entry in entries]
    segments = names[:-1] if names[-1:] == ["manifest.sealed"] else names
    _require(
        segments == [f"{i:04}.sealed" for i in range(len(segments))],
        "the segments are not numbered in order",
    )
    return names


def _digest_of_file(path: Path) -> tuple[int, str]:
    """Length and SHA-256 of a file as it stands."""
    _require(path.is_file(), f"{path.name} is missing")
    with path.open("rb") as stream:
        return path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest()


def _digests(pieces: Iterable[bytes]) -> JsonObject:
    """What record.json states of a plaintext."""
    whole, size, head, tail = hashlib.sha256(), 0, b"", b""
    for piece in pieces:
        whole.update(piece)
        size += len(piece)
        head += piece[: EDGE - len(head)]
        tail = (tail + piece[-EDGE:])[-EDGE:]
    return {
        "size_bytes": size,
        "sha256": whole.hexdigest(),
        "head_sha256": _sha256(head),
        "tail_sha256": _sha256(tail),
    }


def open_listed_file(folder: Path, entry: JsonObject, place: Place, key: bytes) -> OpenedFile:
    """One file of a recording, compared with all that record.json states of it."""
    path = folder / place.sealed_name
    stands = (_get(entry, "sealed_bytes", int), _get(entry, "sealed_sha256", str))
    _require(
        _digest_of_file(path) == stands, f"{path.name} is not the sealed file that was recorded"
    )
    file = OpenedFile(
        path,
        place,
        _get(entry, "name", str),
        _get(entry, "size_bytes", int),
        _get(entry, "sha256", str),
        key,
    )
    for what, found in _digests(file.pieces()).items():
        _require(entry.get(what) == found, f"{path.name}: {what} is not what was recorded")
    return file


def open_files(folder: Path, record: JsonObject, key: bytes) -> tuple[OpenedFile, ...]:
    """Every file of a recording's folder, opened and checked; a file that the record does not name
    is refused.
    """
    entries = _objects(record, "files")
    names = _sealed_names(entries)
    _require(
        {path.name for path in folder.iterdir()} == {*names, "record.json"},
        "the folder holds other files",
    )
    where = (_get(record, "vault", str), _get(record, "recording", str))
    return tuple(
        open_listed_file(folder, entry, Place(*where, name), key)
        for entry, name in zip(entries, names, strict=True)
    )


def split_manifest(plaintext: bytes, camera_key: bytes | None) -> CameraManifest:
    """recording.sig and recording.json; refused where the camera's key is given and
    has not signed.
    """
    _require(len(plaintext) >= 64, "the manifest is shorter than a signature")
    signature, statement = plaintext[:64], plaintext[64:]
    if camera_key is None:
        return CameraManifest(signature, statement, None)
    _require(_signed_by(camera_key, signature, statement), "the camera's signature does not hold")
    return CameraManifest(signature, statement, True)


def _claim_differs(record: JsonObject, files: Sequence[OpenedFile]) -> tuple[str, ...]:
    """Segments that are not as the camera stated them (a statement of null is none)."""
    stated = {one.get("name"): one for one in _get(record, "claim", dict).get("segments") or []}
    found = {file.name: file for file in files if file.place.sealed_name != "manifest.sealed"}
    return tuple(
        sorted(
            str(name)
            for name in stated.keys() | found.keys()
            if not _as_stated(name, stated, found)
        )
    )


def _as_stated(name: str, stated: dict[str, JsonObject], found: dict[str, OpenedFile]) -> bool:
    """Whether a segment stands on both sides, with the size and digest the camera gave, where it
    gave them.
    """
    if name not in stated or name not in found:
        return False
    claim, file = stated[name], found[name]
    return claim.get("size_bytes") in (None, file.size) and claim.get("sha256") in (
        None,
        file.sha256,
    )


def find_recording(vault_root: Path, recording: str) -> Path:
    """The one folder of a recording."""
    _require(
        re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", recording) is not None,
        "not a UUID",
    )
    found = list((vault_root / "footage").glob(f"*/*/{recording}"))
    _require(len(found) == 1, f"{len(found)} folders for {recording}")
    return found[0]


def read_record(folder: Path, vault: str, recording: str) -> tuple[JsonObject, str]:
    """record.json of this vault and recording, with its digest."""
    text = (folder / "record.json").read_bytes()
    record = _parse(text, "record.json")
    _require(record.get("format") == "dock-vault/record/1", "not a record of format 1")
    _require(
        (record.get("vault"), record.get("recording")) == (vault, recording),
        "a record of another recording",
    )
    return record, _sha256(text)


def read_vault_id(vault_root: Path) -> str:
    """The vault's UUID, out of vault.json."""
    stated = _parse((vault_root / "vault.json").read_bytes(), "vault.json")
    _require(stated.get("format") == "dock-vault/vault/1", "not a vault of format 1")
    return _get(stated, "vault", str)


def read_recording(
    vault_root: Path,
    recording_id: str,
    first: tuple[str, str],
    second: tuple[str, str],
    *,
    signers: Sequence[bytes] | None = None,
    camera_key: bytes | None = None,
) -> OpenedRecording:
    """Open and check a whole recording with two receivers, each a function (or escrow holder) and a
    passphrase.
    """
    vault = read_vault_id(vault_root)
    keyring = verify_keyring((vault_root / "keyring.json").read_bytes(), signers)
    _require(keyring.vault == vault, "a keyring of another vault")
    folder = find_recording(vault_root, recording_id)
    record, digest = read_record(folder, vault, recording_id)
    privates = {
        receiver: unlock_receiver(keyring, receiver, passphrase)
        for receiver, passphrase in (first, second)
    }
    files = open_files(folder, record, join_key(record, privates))
    manifests = [
        split_manifest(f.read(), camera_key)
        for f in files
        if f.place.sealed_name == "manifest.sealed"
    ]
    log = read_log(vault_root / "register" / "log")
    differs = _claim_differs(record, files)
    return OpenedRecording(
        record,
        digest,
        keyring,
        files,
        next(iter(manifests), None),
        log,
        _stored_at(log, recording_id, digest),
        differs,
    )


# --- 5. The log -----------------------------------------------------------------------------------


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """The root of RFC 6962 over leaves; SHA-256 of nothing where there are none."""
    stack: list[tuple[int, bytes]] = []
    for leaf in leaves:
        stack.append((1, hashlib.sha256(b"\x00" + leaf).digest()))
        while len(stack) > 1 and stack[-1][0] == stack[-2][0]:
            _fold(stack)
    while len(stack) > 1:
        _fold(stack)
    return stack[0][1] if stack else hashlib.sha256().digest()


def _fold(stack: list[tuple[int, bytes]]) -> None:
    """Join the two last subtrees of the stack."""
    (left_size, left), (right_size, right) = stack[-2:]
    stack[-2:] = [(left_size + right_size, hashlib.sha256(b"\x01" + left + right).digest())]


def _leaf(line: bytes) -> JsonObject | None:
    """The leaf on a whole line, or None where the line is not JSON and so means nothing."""
    try:
        value = json.loads(line.decode("utf-8"))
    except ValueError:
        return None
    _require(
        isinstance(value, dict) and value.keys() == LEAF_KEYS,
        "a line of the log is JSON but no leaf",
    )
    form = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    _require(form.encode("utf-8") == line, "a leaf is not in canonical form")
    leaf: JsonObject = value
    return leaf


def read_log(folder: Path) -> Log:
    """Every leaf that counts: of one sequence the last whole line; what is behind the last line end
    is not there.

    A sequence is taken anew only by the very next entry, so a line that reaches further back is
    refused.
    """
    leaves: list[bytes] = []
    for number, path in enumerate(sorted(folder.glob("*.jsonl"))):
        _require(path.name == f"{number:06}.jsonl", f"{path.name} is not the log's next file")
        for line in path.read_bytes().split(b"\n")[:-1]:
            leaf = _leaf(line)
            if leaf is None:
                continue
            sequence = _get(leaf, "sequence", int)
            _require(
                sequence // LEAVES_PER_FILE == number, f"entry {sequence} stands in {path.name}"
            )
            _require(
                0 <= len(leaves) - sequence <= 1,
                f"entry {sequence} follows entry {len(leaves) - 1}",
            )
            leaves[sequence:] = [line]
    return Log(tuple(leaves), merkle_root(leaves))


def _stored_at(log: Log, recording: str, digest: str) -> int | None:
    """The sequence of the last `recording.stored` of a recording that carries this digest among its
    details.
    """
    for sequence in reversed(range(log.size)):
        leaf = _parse(log.leaves[sequence], "a leaf")
        told = (leaf["action"], leaf["subject"]) == ("recording.stored", recording)
        if told and digest in leaf["details"].values():
            return sequence
    return None


# --- The command line -----------------------------------------------------------------------------


def _write_out(opened: OpenedRecording, folder: Path) -> None:
    """Write the plaintexts and the camera's statement into a new folder."""
    folder.mkdir(parents=True, exist_ok=False)
    for file in opened.files:
        with (folder / file.place.sealed_name.removesuffix(".sealed")).open("xb") as out:
            out.writelines(file.pieces())
    if opened.manifest:
        (folder / "recording.sig").write_bytes(opened.manifest.signature)
        (folder / "recording.json").write_bytes(opened.manifest.statement)


def main(arguments: Sequence[str]) -> int:
    """Open one recording with two passphrases, write it out and say what was found."""
    if len(arguments) != 5:
        print(__doc__, file=sys.stderr)
        return 2
    vault, recording, one, other, out = arguments
    try:
        receivers = [
            (receiver, getpass.getpass(f"Passphrase for {receiver}: ")) for receiver in (one, other)
        ]
        opened = read_recording(Path(vault), recording, *receivers)
    except (Refused, OSError) as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return 1
    _write_out(opened, Path(out))
    for file in opened.files:
        print(f"{file.sha256}  {file.place.sealed_name}  {file.name}")
    print(
        f"record.json {opened.record_sha256}, log entry {opened.stored_at}, differs from "
        f"claim: {opened.claim_differs}"
    )
    print(f"log {opened.log.size} {opened.log.root.hex()}")
    print("keyring signed by", *(key.hex() for key in opened.keyring.signers))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
