"""The nouns that the dock and the vault speak in.

A *claim* is what the camera said; it is believed only where a digest or a signature carries it. A
*receipt* is what the vault proved. Sizes are bytes of plaintext unless the name says sealed;
digests are SHA-256 as 64 lower-case hexadecimal characters; times are aware datetimes in UTC;
durations are milliseconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

EDGE_BYTES = 65536
"""How much of a file's head and of its tail is remembered by digest, to know it again on the camera
before it is deleted.
"""


class Origin(StrEnum):
    """How a recording was described on its card: by a signed manifest, or by nothing but its files.

    This is the recording's description, not its camera's kind and not the way its bytes came.
    """

    MANIFEST = "manifest"
    DCIM = "dcim"


class CameraKind(StrEnum):
    """By which rules a registered camera's card is read: those of CAMERA.md, with signed manifests,
    or those of a camera that knows none. A kind says nothing of how the camera is connected.
    """

    MANIFEST = "manifest"
    DCIM = "dcim"


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera that the coordinator registered. `public_key` is 32 bytes of Ed25519, `b""` for a
    DCIM camera.
    """

    serial: str
    kind: CameraKind
    public_key: bytes
    model: str
    added_utc: datetime


@dataclass(frozen=True, slots=True)
class SegmentClaim:
    """One file of a recording, as the camera states it. `None` stands for "not stated by the
    camera".
    """

    name: str
    size_bytes: int
    sha256: str | None
    start_ms: int | None
    duration_ms: int | None
    preroll: bool | None


@dataclass(frozen=True, slots=True)
class PrerollClaim:
    """What the camera says of the time before the switch-on (P15)."""

    requested_ms: int
    delivered_ms: int
    short_because: str | None
    audio: bool


@dataclass(frozen=True, slots=True)
class RecordingClaim:
    """One recording on a card, as the camera states it.

    `name` is the camera's own (recording folder, or path of a DCIM file) and never becomes a path
    of the vault. `identity` tells two contents under one name apart: the SHA-256 of the manifest's
    bytes; for a DCIM recording a SHA-256 over name, size, head and tail of each file. `manifest`
    and `signature` are the camera's exact bytes, or None.
    """

    origin: Origin
    camera_serial: str
    name: str
    identity: str
    segments: tuple[SegmentClaim, ...]
    counter: int | None = None
    previous_sha256: str | None = None
    model: str | None = None
    firmware: str | None = None
    officer: str | None = None
    started_utc: datetime | None = None
    triggered_utc: datetime | None = None
    stopped_utc: datetime | None = None
    started_mono_ms: int | None = None
    triggered_mono_ms: int | None = None
    stopped_mono_ms: int | None = None
    stop_reason: str | None = None
    preroll: PrerollClaim | None = None
    overlaps: str | None = None
    manifest: bytes | None = None
    signature: bytes | None = None

    @property
    def size_bytes(self) -> int:
        """Plaintext bytes of all segments."""
        return sum(segment.size_bytes for segment in self.segments)


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """The camera's clock, measured when it came into the dock.

    `offset_ms` is camera minus dock; None where no clock is shown. `offset_source` says how it was
    read: `usb` by the transport, `card` by the camera's description, or why it was not.
    """

    docked_utc: datetime
    offset_ms: int | None
    offset_source: str


class Wholeness(StrEnum):
    """The verdict of the dock's look at the timeline."""

    WHOLE = "whole"
    """The stated pre-roll stands, starts on a keyframe, and no gap or repeat follows."""
    BROKEN = "broken"
    """It differs from what the camera states. The recording is kept all the same, and says so."""
    NOT_STATED = "not_stated"
    """The camera states nothing that the timeline could be held against."""


@dataclass(frozen=True, slots=True)
class TimelineVerdict:
    """What the timeline check saw. `findings` are sentences, empty when all is well; `preroll_ms`
    is measured, not stated.
    """

    wholeness: Wholeness
    preroll_ms: int | None
    duration_ms: int | None
    keyframe_first: bool | None
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """One segment as it stands sealed in the vault, proven by reading it back from the medium."""

    name: str
    size_bytes: int
    sha256: str
    head_sha256: str
    tail_sha256: str
    sealed_name: str
    sealed_bytes: int
    sealed_sha256: str


class State(StrEnum):
    """Where a stored recording stands with respect to its camera."""

    STORED = "stored"
    ERASING = "erasing"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The vault owns this recording: sealed, durable, read back, catalogued. Only on a receipt is a
    camera erased.
    """

    recording_id: str
    camera_serial: str
    name: str
    identity: str
    state: State
    stored_utc: datetime
    segments: tuple[StoredSegment, ...]


class Source(Protocol):
    """The bytes of one file on a card, read once from start to end.

    `readinto` fills the start of the buffer and returns how many bytes, 0 only at the end of the
    file. It raises the card's own errors; they pass through the vault unchanged. The buffer is
    page-aligned.
    """

    def readinto(self, buffer: memoryview) -> int:
        """Read the next bytes."""


Observer = Callable[[memoryview], None]
"""Is shown each block of plaintext in order while it passes by. It must not keep the view, and must
not raise.
"""
