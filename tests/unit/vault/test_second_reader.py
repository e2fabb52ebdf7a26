"""The second reader against bytes laid down here step by step from vault/FORMAT.md, with bare
primitives.

No code of the vault takes part. Constants are written out as the format states them, not taken from
the reader, so that one slip cannot agree with itself.
"""

import base64
import functools
import hashlib
import hmac
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PublicKey, Suite
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from tests.support import second_reader as reader
from tests.support.second_reader import Place, Refused

VAULT = "11111111-1111-4111-8111-111111111111"
RECORDING = "22222222-2222-4222-8222-222222222222"
KEY = bytes(range(32))
CONTEXT = b"somewhere"
PLACE = Place(VAULT, RECORDING, "0000.sealed")
SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
PIECE = 64 * 1024 * 1024


@functools.cache
def pattern(size: int) -> bytes:
    """Bytes of which no two stretches are alike."""
    return hashlib.shake_256(b"pattern").digest(size)


def seal_message(plaintext: bytes, context: bytes = CONTEXT, key: bytes = KEY) -> bytes:
    """One message, as section 1 says."""
    salt = os.urandom(24)
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00" + salt + context
    okm = HKDFExpand(hashes.SHA512(), 76, info).derive(key)
    sealed, cipher = [salt, okm[44:76]], AESGCM(okm[0:32])
    for j in range(len(plaintext) // 16384 + 1):
        nonce = bytes(x ^ y for x, y in zip(okm[32:44], j.to_bytes(12, "big"), strict=True))
        sealed.append(cipher.encrypt(nonce, plaintext[16384 * j : 16384 * (j + 1)], None))
    return b"".join(sealed)


def seal_file(plaintext: bytes, name: str = "0000.sealed", key: bytes = KEY) -> bytes:
    """A file in pieces of 64 MiB, as section 1 says."""
    pieces = [plaintext[i : i + PIECE] for i in range(0, len(plaintext), PIECE)] or [b""]
    contexts = [
        f"dock-vault/file/v1\0{VAULT}\0{RECORDING}\0{name}\0{i}\0{len(pieces)}".encode()
        for i in range(len(pieces))
    ]
    return b"".join(
        seal_message(piece, context, key) for piece, context in zip(pieces, contexts, strict=True)
    )


def chunks_of(sealed: bytes) -> tuple[bytes, list[bytes]]:
    """A message's header and its sealed chunks."""
    return sealed[:56], [sealed[i : i + 16400] for i in range(56, len(sealed), 16400)]


# --- Messages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "length"),
    [
        (0, 72),
        (1, 73),
        (16383, 16455),
        (16384, 16472),
        (16385, 16473),
        (3 * 16384, 49272),
        (3 * 16384 + 7, 49279),
    ],
)
def test_a_message_of_every_edge_opens(size: int, length: int) -> None:
    """The lengths are worked out by hand: 56 bytes before, 16 for each chunk, one chunk more than
    full ones.
    """
    sealed = seal_message(pattern(size))
    assert len(sealed) == length == reader.message_length(size)
    assert reader.message_size(length) == size
    assert reader.open_message(KEY, CONTEXT, sealed) == pattern(size)


def test_a_message_fixed_to_the_byte() -> None:
    """A message under a fixed salt whose every step is an HMAC: HKDF-Expand of 76 bytes is T(1) ‖
    the start of T(2).
    """
    salt = bytes(range(100, 124))
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM" + b"\0" + salt + CONTEXT
    first = hmac.digest(KEY, info + b"\x01", "sha512")
    okm = first + hmac.digest(KEY, first + info + b"\x02", "sha512")
    sealed = salt + okm[44:76] + AESGCM(okm[:32]).encrypt(okm[32:44], b"court", None)
    assert reader.open_message(KEY, CONTEXT, sealed) == b"court"


@given(st.integers(0, 16455), st.integers(1, 255))
def test_no_byte_of_a_message_can_change(at: int, by: int) -> None:
    sealed = bytearray(seal_message(pattern(16384 - 16)))
    sealed[at % len(sealed)] ^= by
    with pytest.raises(Refused):
        reader.open_message(KEY, CONTEXT, bytes(sealed))


@pytest.mark.parametrize(
    "cut", [1, 15, 16, 17, 23, 24, 16400, 16423, 32800, 32823, 32824, 32850, 32879]
)
def test_a_shortened_message_is_refused(cut: int) -> None:
    """Among the cuts: the last chunk, the last two, everything behind the header, and parts of the
    header.
    """
    sealed = seal_message(pattern(2 * 16384 + 7))
    assert len(sealed) == 32879
    with pytest.raises(Refused):
        reader.open_message(KEY, CONTEXT, sealed[: len(sealed) - cut])


def test_a_message_whose_last_chunk_is_full_is_truncated() -> None:
    header, chunks = chunks_of(seal_message(pattern(2 * 16384)))
    with pytest.raises(Refused, match="truncated"):
        reader.open_message(KEY, CONTEXT, header + b"".join(chunks[:2]))


@pytest.mark.parametrize("more", [b"\0", bytes(16), bytes(16400)])
def test_a_lengthened_message_is_refused(more: bytes) -> None:
    for size in (0, 5, 16384):
        sealed = seal_message(pattern(size))
        with pytest.raises(Refused):
            reader.open_message(KEY, CONTEXT, sealed + more)


def test_a_message_lengthened_with_its_own_last_chunk_is_refused() -> None:
    header, chunks = chunks_of(seal_message(pattern(16384)))
    with pytest.raises(Refused):
        reader.open_message(KEY, CONTEXT, header + chunks[0] + chunks[0] + chunks[1])


def test_swapped_and_repeated_chunks_are_refused() -> None:
    header, (a, b, last) = chunks_of(seal_message(pattern(2 * 16384 + 7)))
    for row in ((b, a, last), (a, a, last), (b, b, last)):
        with pytest.raises(Refused, match="chunk"):
            reader.open_message(KEY, CONTEXT, header + b"".join(row))


def test_a_chunk_of_another_message_is_refused() -> None:
    header, mine = chunks_of(seal_message(pattern(16390)))
    _, others = chunks_of(seal_message(pattern(16390)))
    with pytest.raises(Refused, match="chunk 0"):
        reader.open_message(KEY, CONTEXT, header + others[0] + mine[1])


def test_the_commitment_refuses_before_any_chunk() -> None:
    sealed = seal_message(b"plain")
    for key, context in ((bytes(32), CONTEXT), (KEY, b"elsewhere")):
        with pytest.raises(Refused, match="commitment"):
            reader.open_message(key, context, sealed)
    with pytest.raises(Refused, match="commitment"):
        reader.open_message(KEY, CONTEXT, sealed[:24] + bytes(32) + sealed[56:])


@given(st.integers(0, 40000), st.integers(0, 40000), st.sampled_from([16384, 32768, 40000]))
def test_a_range_is_what_the_whole_holds(one: int, other: int, size: int) -> None:
    start, stop = sorted((min(one, size), min(other, size)))
    found = reader.open_message_range(KEY, CONTEXT, seal_message(pattern(size)), start, stop)
    assert found == pattern(size)[start:stop]


class Watched(io.BytesIO):
    """A stream that tells which stretches were read from it."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.reads: list[tuple[int, int]] = []

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, and remember where."""
        self.reads.append((self.tell(), size or 0))
        return super().read(size)


def test_a_range_opens_only_its_chunks_and_the_last() -> None:
    sealed = seal_message(pattern(10 * 16384 + 1))
    stream = Watched(sealed)
    message = reader.Message(stream, 0, len(sealed), KEY, CONTEXT)
    assert message.read(4 * 16384, 5 * 16384) == pattern(5 * 16384)[-16384:]
    assert stream.reads == [(0, 56), (56 + 10 * 16400, 17), (56 + 4 * 16400, 16400)]


def test_a_range_of_a_truncated_message_is_refused_even_where_its_chunks_stand() -> None:
    header, chunks = chunks_of(seal_message(pattern(3 * 16384)))
    for rest in (chunks[:2], [chunks[0], chunks[1][:100]]):
        with pytest.raises(Refused):
            reader.open_message_range(KEY, CONTEXT, header + b"".join(rest), 0, 10)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2), (0, 6)])
def test_a_range_outside_the_message_is_refused(start: int, stop: int) -> None:
    with pytest.raises(Refused, match="no bytes"):
        reader.open_message_range(KEY, CONTEXT, seal_message(b"plain"), start, stop)


# --- Files in pieces ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 16384])
def test_a_file_of_one_piece_opens(tmp_path: Path, size: int) -> None:
    path = tmp_path / "0000.sealed"
    path.write_bytes(seal_file(pattern(size)))
    assert reader.open_file(path, KEY, PLACE) == pattern(size)


def test_a_file_opens_in_no_other_place(tmp_path: Path) -> None:
    path = tmp_path / "0000.sealed"
    path.write_bytes(seal_file(b"plain"))
    for place in (
        Place(RECORDING, RECORDING, "0000.sealed"),
        Place(VAULT, VAULT, "0000.sealed"),
        Place(VAULT, RECORDING, "0001.sealed"),
    ):
        with pytest.raises(Refused, match="commitment"):
            reader.open_file(path, KEY, place)


@pytest.fixture(scope="module")
def three_pieces(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Path]:
    """A plaintext of two full pieces and a bit, and its sealed file."""
    plaintext = pattern(PIECE) + bytes(PIECE) + b"the rest"
    path = tmp_path_factory.mktemp("pieces") / "0000.sealed"
    path.write_bytes(seal_file(plaintext))
    return plaintext, path


FULL = 56 + PIECE + 16 * 4097
"""The length of a full piece: 4096 full chunks and an empty one."""


def test_a_file_of_three_pieces_opens(three_pieces: tuple[bytes, Path]) -> None:
    plaintext, path = three_pieces
    assert path.stat().st_size == 2 * FULL + 72 + len(b"the rest")
    assert reader.open_file(path, KEY, PLACE) == plaintext


def test_a_range_across_pieces_is_what_the_whole_holds(three_pieces: tuple[bytes, Path]) -> None:
    plaintext, path = three_pieces
    for start, stop in (
        (PIECE - 5, PIECE + 5),
        (PIECE, PIECE),
        (2 * PIECE, 2 * PIECE + 8),
        (PIECE - 1, PIECE),
    ):
        assert reader.read_range(path, KEY, PLACE, start, stop) == plaintext[start:stop]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: whole[: 2 * FULL],
        lambda whole: whole[FULL:],
        lambda whole: whole[FULL : 2 * FULL] + whole[:FULL] + whole[2 * FULL :],
        lambda whole: whole + whole[2 * FULL :],
        lambda whole: whole[: 2 * FULL] + seal_file(b""),
    ],
    ids=["last dropped", "first dropped", "swapped", "last twice", "empty last"],
)
def test_pieces_can_be_neither_dropped_nor_swapped(
    three_pieces: tuple[bytes, Path], tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "0000.sealed"
    path.write_bytes(spoil(three_pieces[1].read_bytes()))
    with pytest.raises(Refused):
        reader.open_file(path, KEY, PLACE)


# --- A whole vault, written by hand ---------------------------------------------------------------


def b64(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode()


def sha(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Agreement:
    """An agreement key pair, as bytes."""

    private: bytes
    public: bytes

    @classmethod
    def make(cls) -> "Agreement":
        """A new one."""
        seed, scalar = os.urandom(64), os.urandom(32)
        lattice = MLKEM768PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()
        return cls(
            seed + scalar,
            lattice + X25519PrivateKey.from_private_bytes(scalar).public_key().public_bytes_raw(),
        )

    @property
    def digest(self) -> str:
        """What `key` holds."""
        return sha(self.public)

    def seal(self, plaintext: bytes, info: str) -> str:
        """Sealed to this key, in base64."""
        curve = X25519PublicKey.from_public_bytes(self.public[1184:])
        to = MLKEM768X25519PublicKey(MLKEM768PublicKey.from_public_bytes(self.public[:1184]), curve)
        return b64(SUITE.encrypt(plaintext, to, info.encode()))


def lock(plaintext: bytes, passphrase: bytes, associated: str) -> dict[str, Any]:
    """A `private` under a passphrase given as the bytes that are stretched."""
    salt, nonce = os.urandom(16), os.urandom(12)
    key = Argon2id(salt=salt, length=32, iterations=1, lanes=2, memory_cost=64).derive(passphrase)
    sealed = AESGCM(key).encrypt(nonce, plaintext, associated.encode())
    stretch = {"kdf": "argon2id", "memory_kib": 64, "iterations": 1, "lanes": 2}
    return {**stretch, "salt": b64(salt), "nonce": b64(nonce), "sealed": b64(sealed)}


@dataclass(frozen=True)
class Person:
    """A person with keys and a passphrase."""

    uuid: str
    passphrase: str
    signing: Ed25519PrivateKey
    agreement: Agreement

    @classmethod
    def make(cls, number: int, passphrase: str) -> "Person":
        """A new one."""
        uuid = f"aaaaaaaa-0000-4000-8000-{number:012}"
        return cls(uuid, passphrase, Ed25519PrivateKey.generate(), Agreement.make())

    @property
    def public(self) -> bytes:
        """The public signing key."""
        return self.signing.public_key().public_bytes_raw()

    def entry(self) -> dict[str, Any]:
        """As the keyring lists them."""
        keys = {"signing_key": b64(self.public), "agreement_key": b64(self.agreement.public)}
        return {"person": self.uuid, "name": self.passphrase, **keys}

    def lock(self) -> dict[str, Any]:
        """Their private keys under the passphrase."""
        halves = self.signing.private_bytes_raw() + self.agreement.private
        return lock(halves, self.passphrase.encode(), f"dock-vault/person/v1\0{VAULT}\0{self.uuid}")


def envelope(
    payload: bytes, signers: list[tuple[bytes, Ed25519PrivateKey]], locks: dict[str, Any]
) -> bytes:
    """A DSSE envelope; the type has 39 bytes."""
    pre = b"DSSEv1 39 application/vnd.dock-vault.keyring+json %d " % len(payload) + payload
    signed = [{"keyid": b64(name), "sig": b64(key.sign(pre))} for name, key in signers]
    kind = "application/vnd.dock-vault.keyring+json"
    return json.dumps(
        {"payloadType": kind, "payload": b64(payload), "signatures": signed, "locks": locks}
    ).encode()


class HandmadeVault:
    """A vault with three persons, two functions, two escrow holders and one recording, laid down
    from FORMAT.md.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "footage" / "2026" / "09" / RECORDING
        self.people = [Person.make(1, "één"), Person.make(2, "twee"), Person.make(3, "drie")]
        self.fourth = Person.make(4, "vier")
        self.receivers = {name: Agreement.make() for name in ("CM", "ESCROW-A", "ESCROW-B", "GS")}
        self.seated = {"CM": [self.people[0], self.people[2]], "GS": [self.people[1]]}
        self.camera = Ed25519PrivateKey.generate()
        self.key = os.urandom(32)
        self.plaintexts = {"a.mp4": pattern(200000), "b.mp4": b"", "manifest": self._manifest()}
        self.write()

    def _manifest(self) -> bytes:
        """The camera's signature and what it is over."""
        statement = b'{"camera": "states"}'
        return self.camera.sign(statement) + statement

    def write(self) -> None:
        """Lay everything down."""
        self.folder.mkdir(parents=True)
        (self.root / "register" / "log").mkdir(parents=True)
        vault = {
            "format": "dock-vault/vault/1",
            "vault": VAULT,
            "made_utc": "2026-09-01T00:00:00.000Z",
        }
        (self.root / "vault.json").write_text(json.dumps(vault))
        payload = json.dumps(self.keyring()).encode()
        signers = [(person.public, person.signing) for person in self.people[:2]]
        (self.root / "keyring.json").write_bytes(envelope(payload, signers, self.locks()))
        self.write_record(self.record())

    def write_record(self, record: dict[str, Any]) -> None:
        """Write record.json and a log that tells of it."""
        text = json.dumps(record, indent=1).encode()
        (self.folder / "record.json").write_bytes(text)
        stored = leaf(
            1, action="recording.stored", subject=RECORDING, details={"record_sha256": sha(text)}
        )
        (self.root / "register" / "log" / "000000.jsonl").write_bytes(
            leaf(0) + b"\n" + stored + b"\n"
        )

    def keyring(self) -> dict[str, Any]:
        """The keyring's payload."""
        functions = [self._function(name, people) for name, people in self.seated.items()]
        escrow = [self._escrow(name) for name in ("ESCROW-A", "ESCROW-B")]
        head = {
            "format": "dock-vault/keyring/1",
            "vault": VAULT,
            "version": 1,
            "made_utc": "2026-09-01T00:00:00.000Z",
        }
        return {
            **head,
            "persons": [p.entry() for p in (*self.people, self.fourth)],
            "functions": functions,
            "escrow": escrow,
        }

    def locks(self) -> dict[str, Any]:
        """What stands beside the signed payload: each private half under its passphrase."""
        escrow = {
            name: lock(
                self.receivers[name].private,
                name.encode(),
                f"dock-vault/escrow/v1\0{VAULT}\0{name}",
            )
            for name in ("ESCROW-A", "ESCROW-B")
        }
        return {**{person.uuid: person.lock() for person in (*self.people, self.fourth)}, **escrow}

    def _function(self, name: str, people: list[Person]) -> dict[str, Any]:
        """A function with its seats."""
        key = self.receivers[name]
        info = f"dock-vault/seat/v1\0{VAULT}\0{name}\0{key.digest}\0"
        seats = [
            self._seat(p, p.agreement.seal(key.private, f"{info}{p.uuid}\0{p.uuid}"), [])
            for p in people
        ]
        if name == "CM":
            own, gs, uuid = os.urandom(96), self.receivers["GS"], self.fourth.uuid
            other = bytes(a ^ b for a, b in zip(own, key.private, strict=True))
            half = {"to": "GS", "key": gs.digest, "sealed": gs.seal(other, f"{info}{uuid}\0GS")}
            seats.append(
                self._seat(
                    self.fourth, self.fourth.agreement.seal(own, f"{info}{uuid}\0{uuid}"), [half]
                )
            )
        keys = [{"agreement_key": b64(key.public), "key": key.digest, "seats": seats, "escrow": []}]
        return {"function": name, "keys": keys}

    def _seat(self, person: Person, sealed: str, others: list[dict[str, Any]]) -> dict[str, Any]:
        return {"person": person.uuid, "standing": False, "sealed": sealed, "others": others}

    def _escrow(self, name: str) -> dict[str, Any]:
        """An escrow holder, whose passphrase is its name."""
        key = self.receivers[name]
        return {"holder": name, "agreement_key": b64(key.public), "key": key.digest}

    def wrapped(self, one: str, other: str) -> dict[str, Any]:
        """K, wrapped for a pair."""
        a = os.urandom(32)
        b = bytes(x ^ y for x, y in zip(self.key, a, strict=True))
        halves = [self._half(f"{one}+{other}", to, half) for to, half in ((one, a), (other, b))]
        return {"pair": [one, other], "halves": halves}

    def _half(self, pair: str, to: str, half: bytes) -> dict[str, Any]:
        """One half, sealed to its receiver."""
        key = self.receivers[to]
        info = f"dock-vault/half/v1\0{VAULT}\0{RECORDING}\0{pair}\0{to}\0{key.digest}"
        return {"to": to, "key": key.digest, "sealed": key.seal(half, info)}

    def _file(self, sealed_name: str, name: str) -> dict[str, Any]:
        """A sealed file, laid down, and what the record says of it."""
        plain = self.plaintexts[name]
        sealed = seal_file(plain, sealed_name, self.key)
        (self.folder / sealed_name).write_bytes(sealed)
        edges = {
            "head_sha256": sha(plain[:65536]),
            "tail_sha256": sha(plain[max(0, len(plain) - 65536) :]),
        }
        about = {
            "sealed_name": sealed_name,
            "name": name,
            "size_bytes": len(plain),
            "sha256": sha(plain),
        }
        return {**about, **edges, "sealed_bytes": len(sealed), "sealed_sha256": sha(sealed)}

    def record(self) -> dict[str, Any]:
        """record.json, with the keys this reader looks at."""
        names = (
            ("0000.sealed", "a.mp4"),
            ("0001.sealed", "b.mp4"),
            ("manifest.sealed", "manifest"),
        )
        stated = [self.stated("a.mp4"), self.stated("b.mp4")]
        return {
            "format": "dock-vault/record/1",
            "vault": VAULT,
            "recording": RECORDING,
            "claim": {"origin": "manifest", "segments": stated},
            "files": [self._file(*pair) for pair in names],
            "keys": [self.wrapped("CM", "GS"), self.wrapped("ESCROW-A", "ESCROW-B")],
        }

    def stated(self, name: str) -> dict[str, Any]:
        """What the camera states of a segment."""
        return {
            "name": name,
            "size_bytes": len(self.plaintexts[name]),
            "sha256": sha(self.plaintexts[name]),
        }

    def stored_record(self) -> dict[str, Any]:
        """record.json as it stands."""
        record: dict[str, Any] = json.loads((self.folder / "record.json").read_bytes())
        return record

    def verified_keyring(self) -> reader.Keyring:
        """The keyring, under the pins of its two signers."""
        pins = [person.public for person in self.people[:2]]
        return reader.verify_keyring((self.root / "keyring.json").read_bytes(), pins)

    def open(self, **more: Any) -> reader.OpenedRecording:
        """Open the recording as CM and GS."""
        return reader.read_recording(self.root, RECORDING, ("CM", "één"), ("GS", "twee"), **more)


@pytest.fixture
def vault(tmp_path: Path) -> HandmadeVault:
    """A vault written by hand."""
    return HandmadeVault(tmp_path / "vault")


# --- HPKE -----------------------------------------------------------------------------------------


def extract(salt: bytes, label: bytes, material: bytes, suite: bytes) -> bytes:
    """LabeledExtract of RFC 9180."""
    return hmac.digest(salt, b"HPKE-v1" + suite + label + material, "sha256")


def expand(secret: bytes, label: bytes, info: bytes, length: int, suite: bytes) -> bytes:
    """LabeledExpand of RFC 9180, for one block."""
    labeled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(secret, labeled + b"\x01", "sha256")[:length]


def test_a_half_opens_with_hpke_done_by_hand(vault: HandmadeVault) -> None:
    """KEM 0x647a (X-Wing), KDF 0x0001, AEAD 0x0002: the key schedule from HMAC, the combiner from
    SHA3-256.
    """
    key = vault.receivers["CM"]
    half = vault.stored_record()["keys"][0]["halves"][0]
    sealed = base64.b64decode(half["sealed"])
    info = f"dock-vault/half/v1\0{VAULT}\0{RECORDING}\0CM+GS\0CM\0{key.digest}".encode()
    lattice = MLKEM768PrivateKey.from_seed_bytes(key.private[:64]).decapsulate(sealed[:1088])
    share = X25519PublicKey.from_public_bytes(sealed[1088:1120])
    curve = X25519PrivateKey.from_private_bytes(key.private[64:]).exchange(share)
    shared = hashlib.sha3_256(
        lattice + curve + sealed[1088:1120] + key.public[1184:] + b"\\.//^\\"
    ).digest()
    suite = b"HPKE" + bytes.fromhex("647a00010002")
    context = (
        b"\0" + extract(b"", b"psk_id_hash", b"", suite) + extract(b"", b"info_hash", info, suite)
    )
    secret = extract(shared, b"secret", b"", suite)
    cipher = AESGCM(expand(secret, b"key", context, 32, suite))
    by_hand = cipher.decrypt(expand(secret, b"base_nonce", context, 12, suite), sealed[1120:], None)
    assert by_hand == reader.open_half(vault.stored_record(), ["CM", "GS"], half, key.private)


# --- The keyring ----------------------------------------------------------------------------------


def test_the_example_of_the_dsse_specification() -> None:
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert reader.dsse_message("http://example.com/HelloWorld", b"hello world") == expected


def test_a_keyring_of_its_two_pinned_signers_holds(vault: HandmadeVault) -> None:
    keyring = vault.verified_keyring()
    assert (keyring.vault, keyring.version) == (VAULT, 1)


def test_a_keyring_needs_both_pinned_signers(vault: HandmadeVault) -> None:
    sealed = (vault.root / "keyring.json").read_bytes()
    one, two, three = (person.public for person in vault.people)
    for pins in ([one, three], [one], [one, one], []):
        with pytest.raises(Refused):
            reader.verify_keyring(sealed, pins)
    assert set(reader.verify_keyring(sealed, [two, one]).signers) == {one, two}


def test_one_person_cannot_sign_twice(vault: HandmadeVault) -> None:
    payload = json.dumps(vault.keyring()).encode()
    a, b = vault.people[:2]
    same_key = envelope(payload, [(a.public, a.signing), (b.public, a.signing)], vault.locks())
    same_name = envelope(payload, [(a.public, a.signing), (a.public, b.signing)], vault.locks())
    for sealed in (same_key, same_name):
        for pins in ([a.public, b.public], None):
            with pytest.raises(Refused):
                reader.verify_keyring(sealed, pins)


def test_a_changed_keyring_is_refused(vault: HandmadeVault) -> None:
    outer = json.loads((vault.root / "keyring.json").read_bytes())
    payload = base64.b64decode(outer["payload"]).replace(b'"version": 1', b'"version": 2')
    spoiled = json.dumps({**outer, "payload": b64(payload)}).encode()
    for pins in ([person.public for person in vault.people[:2]], None):
        with pytest.raises(Refused, match="sign"):
            reader.verify_keyring(spoiled, pins)


def test_a_person_unlocks_with_the_passphrase_in_any_unicode_form(vault: HandmadeVault) -> None:
    person, keyring = vault.people[0], vault.verified_keyring()
    expected = (person.signing.private_bytes_raw(), person.agreement.private)
    for passphrase in ("\u00e9\u00e9n", "e\u0301e\u0301n"):
        assert reader.unlock_person(keyring, person.uuid, passphrase) == expected
    with pytest.raises(Refused, match="passphrase"):
        reader.unlock_person(keyring, person.uuid, "een")


def test_a_seat_opens_for_its_person_alone(vault: HandmadeVault) -> None:
    keyring, (one, two, three) = vault.verified_keyring(), vault.people
    for person in (one, three):
        opened = reader.unlock_function(keyring, "CM", person.uuid, person.agreement.private)
        assert opened == vault.receivers["CM"].private
    with pytest.raises(Refused):
        reader.unlock_function(keyring, "CM", two.uuid, two.agreement.private)
    with pytest.raises(Refused):
        reader.unlock_function(keyring, "CM", one.uuid, two.agreement.private)


def test_a_split_seat_opens_with_the_other_half_only(vault: HandmadeVault) -> None:
    keyring, fourth = vault.verified_keyring(), vault.fourth
    opened = reader.unlock_function(
        keyring, "CM", fourth.uuid, fourth.agreement.private, [vault.receivers["GS"].private]
    )
    assert opened == vault.receivers["CM"].private
    for others in ([], [fourth.agreement.private], [vault.receivers["ESCROW-A"].private]):
        with pytest.raises(Refused, match="split"):
            reader.unlock_function(keyring, "CM", fourth.uuid, fourth.agreement.private, others)


def test_an_escrow_half_unlocks_with_its_own_passphrase(vault: HandmadeVault) -> None:
    keyring = vault.verified_keyring()
    assert (
        reader.unlock_escrow(keyring, "ESCROW-A", "ESCROW-A") == vault.receivers["ESCROW-A"].private
    )
    with pytest.raises(Refused, match="passphrase"):
        reader.unlock_escrow(keyring, "ESCROW-B", "ESCROW-A")


# --- Wrapped keys ---------------------------------------------------------------------------------


def test_two_receivers_of_a_pair_join_the_key(vault: HandmadeVault) -> None:
    record = vault.stored_record()
    for pair in (("GS", "CM"), ("ESCROW-A", "ESCROW-B")):
        assert (
            reader.join_key(record, {name: vault.receivers[name].private for name in pair})
            == vault.key
        )


@pytest.mark.parametrize("pair", [("CM",), ("CM", "ESCROW-A"), ("CM", "GS", "ESCROW-A")])
def test_no_other_set_of_receivers_joins_the_key(
    vault: HandmadeVault, pair: tuple[str, ...]
) -> None:
    with pytest.raises(Refused):
        reader.join_key(
            vault.stored_record(), {name: vault.receivers[name].private for name in pair}
        )


def test_a_half_of_another_recording_or_pair_does_not_open(vault: HandmadeVault) -> None:
    privates = {name: vault.receivers[name].private for name in ("CM", "GS")}
    record = vault.stored_record()
    with pytest.raises(Refused, match="place"):
        reader.join_key({**record, "recording": VAULT}, privates)
    entry = record["keys"][0]
    with pytest.raises(Refused, match="place"):
        reader.open_half(record, ["CM", "PO"], entry["halves"][0], privates["CM"])
    with pytest.raises(Refused, match="those of the pair"):
        reader.join_key({**record, "keys": [{**entry, "halves": entry["halves"][::-1]}]}, privates)


# --- A recording's folder -------------------------------------------------------------------------


def test_a_whole_recording_opens(vault: HandmadeVault) -> None:
    camera_key = vault.camera.public_key().public_bytes_raw()
    opened = vault.open(
        signers=[person.public for person in vault.people[:2]], camera_key=camera_key
    )
    assert {file.name: file.read() for file in opened.files} == vault.plaintexts
    assert opened.file("0000.sealed").read(70000, 70010) == pattern(70010)[-10:]
    assert opened.manifest is not None
    assert opened.manifest.statement == b'{"camera": "states"}'
    assert opened.manifest.signature_holds is True
    assert (opened.stored_at, opened.log.size, opened.claim_differs) == (1, 2, ())


def test_a_recording_opens_with_both_escrow_halves_and_without_pins(vault: HandmadeVault) -> None:
    opened = reader.read_recording(
        vault.root, RECORDING, ("ESCROW-A", "ESCROW-A"), ("ESCROW-B", "ESCROW-B")
    )
    assert opened.file("a.mp4").read() == vault.plaintexts["a.mp4"]
    assert set(opened.keyring.signers) == {person.public for person in vault.people[:2]}
    assert opened.manifest is not None
    assert opened.manifest.signature_holds is None


def test_the_second_seat_of_a_function_opens_too(vault: HandmadeVault) -> None:
    opened = reader.read_recording(vault.root, RECORDING, ("GS", "twee"), ("CM", "drie"))
    assert opened.file("a.mp4").size == 200000


def test_one_receiver_twice_opens_nothing(vault: HandmadeVault) -> None:
    with pytest.raises(Refused, match="two different receivers"):
        reader.read_recording(vault.root, RECORDING, ("CM", "één"), ("CM", "drie"))


def test_a_passphrase_of_no_seat_opens_nothing(vault: HandmadeVault) -> None:
    with pytest.raises(Refused, match="no seat of GS"):
        reader.read_recording(vault.root, RECORDING, ("CM", "één"), ("GS", "drie"))


def test_a_camera_that_did_not_sign_is_refused(vault: HandmadeVault) -> None:
    with pytest.raises(Refused, match="camera"):
        vault.open(camera_key=Ed25519PrivateKey.generate().public_key().public_bytes_raw())


def test_a_changed_sealed_file_is_refused(vault: HandmadeVault) -> None:
    path = vault.folder / "0000.sealed"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(Refused, match=r"0000\.sealed is not"):
        vault.open()


def test_a_missing_and_a_surplus_file_are_refused(vault: HandmadeVault) -> None:
    (vault.folder / "0002.sealed").write_bytes(b"")
    with pytest.raises(Refused, match="other files"):
        vault.open()
    (vault.folder / "0002.sealed").unlink()
    (vault.folder / "0001.sealed").unlink()
    with pytest.raises(Refused, match="other files"):
        vault.open()


@pytest.mark.parametrize(
    "what", ["size_bytes", "sha256", "head_sha256", "tail_sha256", "sealed_bytes"]
)
def test_each_statement_of_the_record_is_checked(vault: HandmadeVault, what: str) -> None:
    record = vault.stored_record()
    record["files"][0][what] = 7 if what.endswith("bytes") else sha(b"something else")
    vault.write_record(record)
    with pytest.raises(Refused, match=r"0000\.sealed"):
        vault.open()


def test_sealed_names_cannot_lead_out_of_the_folder(vault: HandmadeVault) -> None:
    record = vault.stored_record()
    record["files"][0]["sealed_name"] = "../0000.sealed"
    vault.write_record(record)
    with pytest.raises(Refused, match="numbered"):
        vault.open()


def test_a_record_that_the_log_does_not_know_is_told(vault: HandmadeVault) -> None:
    path = vault.folder / "record.json"
    path.write_bytes(path.read_bytes() + b"\n")
    assert vault.open().stored_at is None


def test_what_differs_from_the_camera_s_statement_is_told(vault: HandmadeVault) -> None:
    record = vault.stored_record()
    stated = {**vault.stated("a.mp4"), "sha256": sha(b"what the camera meant")}
    record["claim"]["segments"] = [stated, {"name": "lost.mp4", "size_bytes": 1, "sha256": None}]
    vault.write_record(record)
    assert vault.open().claim_differs == ("a.mp4", "b.mp4", "lost.mp4")


def test_the_command_line_writes_the_plaintexts(
    vault: HandmadeVault,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    passphrases = {"Passphrase for CM: ": "één", "Passphrase for GS: ": "twee"}
    monkeypatch.setattr("getpass.getpass", passphrases.__getitem__)
    assert reader.main([str(vault.root), RECORDING, "CM", "GS", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "0000").read_bytes() == vault.plaintexts["a.mp4"]
    assert (tmp_path / "out" / "recording.json").read_bytes() == b'{"camera": "states"}'
    assert sha(vault.plaintexts["a.mp4"]) in capsys.readouterr().out


# --- The log --------------------------------------------------------------------------------------


def leaf(sequence: int, **other: Any) -> bytes:
    """A leaf in canonical form, its keys sorted by hand."""
    value = {
        "actor": "dock",
        "action": "made é",
        "acting_for": None,
        "subject": None,
        "details": {},
        **other,
    }
    value |= {"sequence": sequence, "time_utc": "2026-09-01T00:00:00.000Z"}
    return json.dumps(
        dict(sorted(value.items())), separators=(",", ":"), ensure_ascii=False
    ).encode()


def log_of(folder: Path, *files: bytes) -> reader.Log:
    """Read a log laid down as these files."""
    for number, content in enumerate(files):
        (folder / f"{number:06}.jsonl").write_bytes(content)
    return reader.read_log(folder)


def by_hand(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + by_hand(leaves[:k]) + by_hand(leaves[k:])).digest()


PUBLISHED_LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
PUBLISHED_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Roots over the first 0 to 8 leaves, as Certificate Transparency's
implementations publish them.
"""


@pytest.mark.parametrize("size", range(9))
def test_the_published_roots_of_rfc_6962(size: int) -> None:
    leaves = [bytes.fromhex(one) for one in PUBLISHED_LEAVES[:size]]
    assert reader.merkle_root(leaves).hex() == PUBLISHED_ROOTS[size]


@given(st.lists(st.binary(max_size=3), max_size=70))
def test_the_root_is_that_of_the_rfc_s_own_words(leaves: list[bytes]) -> None:
    assert reader.merkle_root(leaves) == by_hand(leaves)


def test_an_empty_log_has_the_root_of_nothing(tmp_path: Path) -> None:
    assert log_of(tmp_path).root.hex() == PUBLISHED_ROOTS[0]
    assert log_of(tmp_path, b"").size == 0


def test_one_and_two_leaves_by_hand(tmp_path: Path) -> None:
    first, second = (hashlib.sha256(b"\x00" + leaf(i)).digest() for i in (0, 1))
    assert log_of(tmp_path, leaf(0) + b"\n").root == first
    both = log_of(tmp_path, leaf(0) + b"\n" + leaf(1) + b"\n")
    assert both.root == hashlib.sha256(b"\x01" + first + second).digest()


def test_a_line_without_its_end_is_not_there(tmp_path: Path) -> None:
    for torn in (leaf(1)[:20], leaf(1)):
        assert log_of(tmp_path, leaf(0) + b"\n" + torn).leaves == (leaf(0),)


def test_of_one_sequence_the_last_whole_line_counts(tmp_path: Path) -> None:
    again = leaf(1, actor="another")
    lines = [leaf(0), leaf(1), again, leaf(2)[:30], leaf(2), b"", "é".encode()[:1], leaf(3)]
    assert log_of(tmp_path, b"\n".join(lines) + b"\n").leaves == (leaf(0), again, leaf(2), leaf(3))


def test_the_next_file_begins_at_4096(tmp_path: Path) -> None:
    first = b"".join(leaf(i) + b"\n" for i in range(4096))
    log = log_of(tmp_path, first, leaf(4096) + b"\n")
    assert (log.size, log.leaves[-1]) == (4097, leaf(4096))
    with pytest.raises(Refused, match="stands in"):
        log_of(tmp_path, first + leaf(4096) + b"\n", b"")


@pytest.mark.parametrize(
    "lines",
    [
        [leaf(1)],
        [leaf(0), leaf(2)],
        [leaf(0), leaf(1), leaf(2), leaf(1, actor="late")],
        [leaf(0).replace(b":", b": ", 1)],
        [b"17"],
        [b"{}"],
    ],
    ids=["no beginning", "hole", "history rewritten", "not canonical", "no object", "no leaf"],
)
def test_a_log_out_of_order_is_refused(tmp_path: Path, lines: list[bytes]) -> None:
    with pytest.raises(Refused):
        log_of(tmp_path, b"\n".join(lines) + b"\n")


def test_a_missing_file_of_the_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "000001.jsonl").write_bytes(leaf(4096) + b"\n")
    with pytest.raises(Refused, match="next file"):
        reader.read_log(tmp_path)
