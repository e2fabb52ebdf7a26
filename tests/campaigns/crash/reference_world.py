"""A reference world to break: a founded vault, a registered camera, and its card with two small
signed recordings.

The card is laid down from dockd/CAMERA.md with struct and bare primitives. A world is one folder,
so that a run gets a copy of its own and what a crash leaves of it can be looked over whole:

    vault/  pins.json  vault.toml  dockd.toml      the vault and its settings
    card/                                          the camera's card
    tmp/    output                                 where a process may put temporary files, and what it said
"""

import base64
import hashlib
import json
import os
import shutil
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.clock import SystemClock
from vault.config import VaultSettings
from vault.crypto.passphrase import PassphraseCost
from vault.custody.cameras import register
from vault.keyring.first import Founders
from vault.operations.founding import found
from vault.rules.roles import ESCROW_HOLDERS, Function
from vault.vault import Vault

SERIAL = "BWC0042"
PASSPHRASES = {
    str(receiver): f"correct horse of {receiver}" for receiver in (*Function, *ESCROW_HOLDERS)
}
CHEAP = PassphraseCost(memory_kib=64, iterations=1, lanes=1)
MARKER_EVERY_BYTES = 1024
"""How often a segment's marker stands in it: any two kilobytes of plaintext hold it whole."""

_CLOCK_UTC = "2026-11-23T17:00:00.000Z"
_TIMESCALE = 1000


@dataclass(frozen=True)
class ReferenceRecording:
    """One recording as the camera wrote it: every file's bytes, by name."""

    name: str
    segments: dict[str, bytes]
    markers: tuple[bytes, ...]
    manifest: bytes
    signature: bytes

    @cached_property
    def files(self) -> dict[str, bytes]:
        """All that stands in the recording's folder on the card."""
        return {**self.segments, "recording.sig": self.signature, "recording.json": self.manifest}

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each segment."""
        return {
            name: hashlib.sha256(content).hexdigest() for name, content in self.segments.items()
        }

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the manifest, by which the vault knows the recording's content."""
        return hashlib.sha256(self.manifest).hexdigest()


@dataclass(frozen=True)
class World:
    """One copy of the reference world. `shift` knows what stood on the card."""

    shift: "Shift"
    folder: Path

    @property
    def vault(self) -> Path:
        return self.folder / "vault"

    @property
    def card(self) -> Path:
        return self.folder / "card"

    @property
    def config(self) -> Path:
        return self.folder / "dockd.toml"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def output(self) -> Path:
        return self.folder / "output"

    @property
    def settings(self) -> VaultSettings:
        return VaultSettings(root=self.vault, pins=self.folder / "pins.json", reserve_mb=1, lanes=1)

    def copy(self, folder: Path) -> "World":
        """This world as it stands, in `folder`, which must not exist. dockd's settings name
        absolute paths: they are anew.
        """
        shutil.copytree(self.folder, folder)
        world = World(self.shift, folder)
        world.config.write_text(
            f'vault = "{folder / "vault.toml"}"\nstatus_socket = "{folder / "status.sock"}"\n'
        )
        return world


@dataclass(frozen=True)
class Shift:
    """A camera's shift: the reference world in a folder of its own, and the recordings that stood
    on the card.
    """

    template: Path
    camera_key: bytes
    recordings: tuple[ReferenceRecording, ...]
    device: bytes

    @classmethod
    def make(
        cls,
        template: Path,
        sizes: tuple[tuple[int, ...], ...] = ((23_000, 66_000), (70_000, 31_000)),
    ) -> "Shift":
        """Found the vault, register the camera and write its card. `sizes` are the picture bytes of
        each segment.
        """
        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes_raw()
        recordings: list[ReferenceRecording] = []
        for counter, of_recording in enumerate(sizes, start=1):
            recordings.append(
                _recording(
                    private, counter, of_recording, recordings[-1].identity if recordings else None
                )
            )
        shift = cls(template, public, tuple(recordings), _device(public))
        shift._found(World(shift, template))
        shift._write_card(World(shift, template))
        return shift

    def copy(self, folder: Path) -> World:
        """A fresh world in `folder`, which must not exist."""
        return World(self, self.template).copy(folder)

    @cached_property
    def secrets(self) -> tuple[bytes, ...]:
        """Bytes of which none may stand below the vault or in a temporary file (I5)."""
        return tuple(secret for one in self.recordings for secret in (*one.markers, one.signature))

    def _found(self, world: World) -> None:
        world.temporary.mkdir(parents=True)
        (world.folder / "vault.toml").write_text(
            'root = "vault"\npins = "pins.json"\nreserve_mb = 1\nlanes = 1\n'
        )
        found(world.settings, SystemClock(), Founders.by_function(PASSPHRASES), CHEAP)
        with Vault.open(world.settings, SystemClock()) as vault, vault.writing() as tx:
            key_text = base64.b64encode(self.camera_key).decode()
            register(tx, vault.log, vault.clock, (SERIAL, key_text, "crash dummy"), "test")

    def _write_card(self, world: World) -> None:
        (world.card / "DEVICE").mkdir(parents=True)
        (world.card / "DEVICE" / "device.json").write_bytes(self.device)
        for recording in self.recordings:
            folder = world.card / "RECORDINGS" / recording.name
            folder.mkdir(parents=True)
            for name, content in recording.files.items():
                (folder / name).write_bytes(content)


def _document(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, indent=1).encode()


def _device(public: bytes) -> bytes:
    return _document(
        {
            "format": "bodycam-card/device/1",
            "serial": SERIAL,
            "model": "crash dummy",
            "firmware": "1.0",
            "public_key": base64.b64encode(public).decode(),
            "battery_percent": 80,
            "storage_bytes": 1 << 30,
            "free_bytes": 1 << 29,
            "clock_utc": _CLOCK_UTC,
        }
    )


def _recording(
    private: Ed25519PrivateKey, counter: int, sizes: tuple[int, ...], previous_sha256: str | None
) -> ReferenceRecording:
    """Segments of ten seconds but the first, which is the pre-roll of thirty."""
    segments: dict[str, bytes] = {}
    markers, parts = [], []
    start_ms = 0
    for index, size in enumerate(sizes):
        name, marker = f"{index:04d}.mp4", os.urandom(32)
        duration_ms = 10_000 if index else 30_000
        segments[name] = _segment(start_ms, duration_ms, _picture(marker, size))
        markers.append(marker)
        parts.append(
            {
                "name": name,
                "bytes": len(segments[name]),
                "sha256": hashlib.sha256(segments[name]).hexdigest(),
                "start_ms": start_ms,
                "duration_ms": duration_ms,
                "preroll": not index,
            }
        )
        start_ms += duration_ms
    manifest = _manifest(counter, parts, start_ms, previous_sha256)
    return ReferenceRecording(
        f"{SERIAL}-{counter:06d}", segments, tuple(markers), manifest, private.sign(manifest)
    )


def _manifest(
    counter: int, segments: list[dict[str, object]], length_ms: int, previous_sha256: str | None
) -> bytes:
    return _document(
        {
            "format": "bodycam-card/recording/1",
            "recording": f"{SERIAL}-{counter:06d}",
            "counter": counter,
            "previous_sha256": previous_sha256,
            "camera": {"serial": SERIAL, "model": "crash dummy", "firmware": "1.0"},
            "officer": "boa-17",
            "started_utc": f"2026-11-23T16:0{counter}:00.000Z",
            "triggered_utc": f"2026-11-23T16:0{counter}:30.000Z",
            "stopped_utc": f"2026-11-23T16:0{counter}:40.000Z",
            "started_mono_ms": counter * 1_000_000,
            "triggered_mono_ms": counter * 1_000_000 + 30_000,
            "stopped_mono_ms": counter * 1_000_000 + length_ms,
            "stop_reason": "button",
            "preroll": {
                "requested_ms": 30_000,
                "delivered_ms": 30_000,
                "short_because": None,
                "audio": False,
            },
            "video": {
                "codec": "avc1.42E01E",
                "width": 320,
                "height": 240,
                "fps": 1,
                "timescale": _TIMESCALE,
            },
            "audio": None,
            "segments": segments,
            "overlaps": None,
        }
    )


def _picture(marker: bytes, size_bytes: int) -> bytes:
    """Random bytes with the marker at the start of each stretch and, so that a torn tail holds it
    too, at the end.
    """
    content = bytearray(os.urandom(size_bytes))
    for at in range(0, size_bytes - len(marker), MARKER_EVERY_BYTES):
        content[at : at + len(marker)] = marker
    content[-len(marker) :] = marker
    return bytes(content)


# --- fragmented MP4, as little as makes a timeline (ISO/IEC 14496-12) -----------------------------


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _init() -> bytes:
    entry = _box(b"avc1", struct.pack(">6xH16xHH", 1, 320, 240), bytes(50))
    tables = [_box(kind, bytes(8)) for kind in (b"stts", b"stsc", b"stco")] + [
        _box(b"stsz", bytes(12))
    ]
    media = (
        _box(b"mdhd", struct.pack(">IIIII4x", 0, 0, 0, _TIMESCALE, 0)),
        _box(b"hdlr", struct.pack(">II4s12x", 0, 0, b"vide"), b"\0"),
        _box(b"minf", _box(b"stbl", _box(b"stsd", struct.pack(">II", 0, 1), entry), *tables)),
    )
    track = _box(
        b"trak", _box(b"tkhd", struct.pack(">IIII", 3, 0, 0, 1), bytes(68)), _box(b"mdia", *media)
    )
    moov = (
        _box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, _TIMESCALE, 0), bytes(80)),
        track,
        _box(b"mvex", _box(b"trex", struct.pack(">6I", 0, 1, 1, _TIMESCALE, 0, 0))),
    )
    return _box(b"ftyp", b"isom", struct.pack(">I", 0), b"isom") + _box(b"moov", *moov)


def _segment(start_ms: int, duration_ms: int, picture: bytes) -> bytes:
    """One group of pictures with one sample, a keyframe, that lasts for the whole of it."""
    run = struct.pack(">IIIII", 0x000305, 1, 0, 0x0200_0000, duration_ms) + struct.pack(
        ">I", len(picture)
    )
    fragment = (
        _box(b"tfhd", struct.pack(">II", 0x020000, 1)),
        _box(b"tfdt", struct.pack(">IQ", 0x0100_0000, start_ms)),
        _box(b"trun", run),
    )
    return (
        _init()
        + _box(b"moof", _box(b"mfhd", bytes(8)), _box(b"traf", *fragment))
        + _box(b"mdat", picture)
    )
