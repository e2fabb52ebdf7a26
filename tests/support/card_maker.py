"""Makes well-formed cards from CAMERA.md alone, so that a test can then make one thing wrong.

Sizes are small, times are real: 30 frames a second, GOPs of one second, segments of ten. Every byte
follows from the arguments.
"""

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

FPS = 30
VIDEO_TIMESCALE = 90_000
FRAME_TICKS = VIDEO_TIMESCALE // FPS
SAMPLE_RATE = 48_000
AAC_TICKS = 1024
KEYFRAME_FLAGS = 0x0200_0000
DELTA_FLAGS = 0x0101_0000
BOOT = datetime(2026, 11, 23, 21, 0, 0, tzinfo=UTC)


def box(kind: bytes, *content: bytes) -> bytes:
    """One box with a 32-bit size."""
    body = b"".join(content)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def full_box(kind: bytes, version: int, flags: int, *content: bytes) -> bytes:
    """One box with version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def init(audio: bool = True, note: bytes = b"") -> bytes:
    """`ftyp` and `moov`. `note` goes into a box that players skip, to make an init that differs."""
    tracks = [_trak(1, b"vide", b"avc1", VIDEO_TIMESCALE)]
    trex = [full_box(b"trex", 0, 0, struct.pack(">5I", 1, 1, FRAME_TICKS, 0, DELTA_FLAGS))]
    if audio:
        tracks.append(_trak(2, b"soun", b"mp4a", SAMPLE_RATE))
        trex.append(full_box(b"trex", 0, 0, struct.pack(">5I", 2, 1, AAC_TICKS, 0, KEYFRAME_FLAGS)))
    mvhd = full_box(b"mvhd", 0, 0, struct.pack(">4I", 0, 0, 1000, 0), bytes(80))
    moov = box(b"moov", mvhd, *tracks, box(b"mvex", *trex), box(b"free", note))
    return box(b"ftyp", b"iso6", struct.pack(">I", 0), b"iso6", b"mp41") + moov


def _trak(number: int, handler: bytes, codec: bytes, timescale: int) -> bytes:
    stsd = full_box(b"stsd", 0, 0, struct.pack(">I", 1), box(codec, bytes(20)))
    mdia = box(
        b"mdia",
        full_box(b"mdhd", 0, 0, struct.pack(">4I", 0, 0, timescale, 0), bytes(4)),
        full_box(b"hdlr", 0, 0, bytes(4), handler, bytes(13)),
        box(b"minf", box(b"stbl", stsd)),
    )
    return box(b"trak", full_box(b"tkhd", 0, 3, struct.pack(">3I", 0, 0, number), bytes(72)), mdia)


@dataclass(frozen=True)
class Gop:
    """One fragment: a GOP of video, and the sound beside it. Ticks are of each track's own
    timescale.
    """

    video_start: int
    frames: int = FPS
    keyframe: bool = True
    audio_start: int | None = None
    aac_frames: int = 0
    video_tfdt: bool = True
    payload: int = 900


def fragment(number: int, gop: Gop) -> bytes:
    """`moof` and `mdat` of one GOP."""
    first = KEYFRAME_FLAGS if gop.keyframe else DELTA_FLAGS
    sizes = struct.pack(f">{gop.frames}I", *[gop.payload // max(1, gop.frames)] * gop.frames)
    video = box(
        b"traf",
        full_box(b"tfhd", 0, 0x020000, struct.pack(">I", 1)),
        full_box(b"tfdt", 1, 0, struct.pack(">Q", gop.video_start)) if gop.video_tfdt else b"",
        full_box(b"trun", 0, 0x205, struct.pack(">IiI", gop.frames, 0, first), sizes),
    )
    audio = b""
    if gop.audio_start is not None:
        per_sample = struct.pack(">II", AAC_TICKS, 4) * gop.aac_frames
        audio = box(
            b"traf",
            full_box(b"tfhd", 0, 0x020000, struct.pack(">I", 2)),
            full_box(b"tfdt", 0, 0, struct.pack(">I", gop.audio_start)),
            full_box(b"trun", 0, 0x301, struct.pack(">Ii", gop.aac_frames, 0), per_sample),
        )
    moof = box(b"moof", full_box(b"mfhd", 0, 0, struct.pack(">I", number)), video, audio)
    filler = hashlib.sha256(struct.pack(">IQ", number, gop.video_start)).digest()
    mdat = (filler * (gop.payload // 32 + 1))[: gop.payload] + bytes(4 * gop.aac_frames)
    return moof + box(b"mdat", mdat)


def gops(start_s: int, seconds: int, audio: bool = True) -> list[Gop]:
    """Whole-second GOPs from a second of the recording on. AAC frames don't end on seconds; they
    are never cut.
    """
    made = []
    for second in range(start_s, start_s + seconds):
        first, beyond = (edge * SAMPLE_RATE // AAC_TICKS for edge in (second, second + 1))
        made.append(
            Gop(
                video_start=second * VIDEO_TIMESCALE,
                audio_start=first * AAC_TICKS if audio else None,
                aac_frames=beyond - first if audio else 0,
            )
        )
    return made


def segment(parts: list[Gop], audio: bool = True, note: bytes = b"") -> bytes:
    """One self-contained file."""
    return init(audio, note) + b"".join(fragment(index + 1, gop) for index, gop in enumerate(parts))


def utc_text(moment: datetime) -> str:
    """As the contract writes times."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def utc_at(mono_ms: int) -> str:
    """The wall clock of a camera that was switched on at `BOOT`."""
    return utc_text(BOOT + timedelta(milliseconds=mono_ms))


@dataclass
class MadeRecording:
    """A recording before it is written: tests change `document` or `segments` and then let it be
    signed.
    """

    name: str
    document: dict[str, Any]
    segments: dict[str, bytes] = field(default_factory=dict)

    def raw(self) -> bytes:
        """The exact bytes of recording.json."""
        return json.dumps(self.document, indent=1).encode()

    def sha256(self) -> str:
        """The recording's identity, and what its successor names."""
        return hashlib.sha256(self.raw()).hexdigest()

    def restate(self) -> None:
        """Make sizes and digests of the manifest true again after `segments` was changed."""
        for entry in self.document["segments"]:
            content = self.segments[entry["name"]]
            entry["bytes"], entry["sha256"] = len(content), hashlib.sha256(content).hexdigest()


class CardMaker:
    """One camera and its card in a folder."""

    def __init__(self, root: Path, serial: str = "BWC0042") -> None:
        self.root = root
        self.serial = serial
        self.key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(serial.encode()).digest())
        self.public_key = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def device(self, **changes: object) -> dict[str, Any]:
        """The keys of device.json, some of them changed."""
        document: dict[str, Any] = {
            "format": "bodycam-card/device/1",
            "serial": self.serial,
            "model": "Simulated",
            "firmware": "1.0",
            "public_key": base64.b64encode(self.public_key).decode(),
            "battery_percent": 80,
            "storage_bytes": 32_000_000_000,
            "free_bytes": 31_000_000_000,
            "clock_utc": utc_at(3_600_000),
        }
        return document | changes

    def write_device(self, **changes: object) -> None:
        """DEVICE/device.json."""
        self.put("DEVICE/device.json", json.dumps(self.device(**changes)).encode())

    def make(
        self,
        counter: int = 1,
        *,
        previous: str | None = None,
        seconds: int = 40,
        preroll_ms: int = 30_000,
        audio: bool = True,
        segment_s: int = 10,
    ) -> MadeRecording:
        """A recording of whole seconds. The chain's default is some digest, null for counter 1."""
        started = 1_000_000 * counter
        name = f"{self.serial}-{counter:06d}"
        segments: dict[str, bytes] = {}
        entries: list[dict[str, Any]] = []
        for index, start_s in enumerate(range(0, seconds, segment_s)):
            length_s = min(segment_s, seconds - start_s)
            content = segment(gops(start_s, length_s, audio), audio)
            segments[f"{index:04d}.mp4"] = content
            entries.append(
                {
                    "name": f"{index:04d}.mp4",
                    "bytes": len(content),
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "start_ms": start_s * 1000,
                    "duration_ms": length_s * 1000,
                    "preroll": start_s * 1000 < preroll_ms,
                }
            )
        before = (
            previous
            if previous is not None or counter == 1
            else hashlib.sha256(b"before").hexdigest()
        )
        moments = {
            "started": started,
            "triggered": started + preroll_ms,
            "stopped": started + seconds * 1000,
        }
        document: dict[str, Any] = {
            "format": "bodycam-card/recording/1",
            "recording": name,
            "counter": counter,
            "previous_sha256": before,
            "camera": {"serial": self.serial, "model": "Simulated", "firmware": "1.0"},
            "officer": "boa-7",
            **{f"{what}_utc": utc_at(mono_ms) for what, mono_ms in moments.items()},
            **{f"{what}_mono_ms": mono_ms for what, mono_ms in moments.items()},
            "stop_reason": "button",
            "preroll": {
                "requested_ms": 30_000,
                "delivered_ms": preroll_ms,
                "short_because": None if preroll_ms >= 30_000 else "just_switched_on",
                "audio": False,
            },
            "video": {
                "codec": "avc1.42C01E",
                "width": 640,
                "height": 360,
                "fps": FPS,
                "timescale": VIDEO_TIMESCALE,
            },
            "audio": {"codec": "mp4a.40.2", "sample_rate": SAMPLE_RATE, "channels": 1}
            if audio
            else None,
            "segments": entries,
            "overlaps": None,
        }
        return MadeRecording(name, document, segments)

    def write(
        self, made: MadeRecording, *, raw: bytes | None = None, signature: bytes | None = None
    ) -> Path:
        """The recording's folder, signed by this camera unless other bytes are given."""
        content = made.raw() if raw is None else raw
        for name, body in made.segments.items():
            self.put(f"RECORDINGS/{made.name}/{name}", body)
        self.put(
            f"RECORDINGS/{made.name}/recording.sig",
            self.key.sign(content) if signature is None else signature,
        )
        return self.put(f"RECORDINGS/{made.name}/recording.json", content).parent

    def put(self, place: str, content: bytes) -> Path:
        """One file on the card."""
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path
