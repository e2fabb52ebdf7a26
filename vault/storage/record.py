"""record.json: what stands in a recording's folder, and its wrapped keys (FORMAT.md, sections 2 and
3). Pure.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from vault.clock import utc_text
from vault.crypto.canonical_json import (
    Json,
    canonical,
    from_base64,
    parse_object,
    printable,
    readable,
    to_base64,
)
from vault.crypto.shares import Half, WrappedKey
from vault.errors import CannotOpen
from vault.recording import (
    ClockOffset,
    Origin,
    PrerollClaim,
    RecordingClaim,
    StoredSegment,
    TimelineVerdict,
    Wholeness,
)

LIMIT_BYTES = 16 << 20


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DockingPart(_Strict):
    docked_utc: str
    offset_ms: int | None
    offset_source: str


class PrerollPart(_Strict):
    requested_ms: int
    delivered_ms: int
    short_because: str | None
    audio: bool


class SegmentPart(_Strict):
    name: str
    size_bytes: int
    sha256: str | None
    start_ms: int | None
    duration_ms: int | None
    preroll: bool | None


class ClaimPart(_Strict):
    origin: Origin
    camera_serial: str
    name: str
    identity: str
    counter: int | None
    previous_sha256: str | None
    model: str | None
    firmware: str | None
    officer: str | None
    started_utc: str | None
    triggered_utc: str | None
    stopped_utc: str | None
    started_mono_ms: int | None
    triggered_mono_ms: int | None
    stopped_mono_ms: int | None
    stop_reason: str | None
    preroll: PrerollPart | None
    overlaps: str | None
    segments: list[SegmentPart]


class TimelinePart(_Strict):
    wholeness: Wholeness
    preroll_ms: int | None
    duration_ms: int | None
    keyframe_first: bool | None
    findings: list[str]


class FilePart(_Strict):
    sealed_name: str
    name: str
    size_bytes: int
    sha256: str
    head_sha256: str
    tail_sha256: str
    sealed_bytes: int
    sealed_sha256: str


class HalfPart(_Strict):
    to: str
    key: str
    sealed: str


class KeyPart(_Strict):
    pair: list[str]
    halves: list[HalfPart]


class Record(_Strict):
    """A whole record.json."""

    format: Literal["dock-vault/record/1"]
    vault: str
    recording: str
    keyring_version: int
    sealed_utc: str
    docking: DockingPart
    retention_from_utc: str
    stop_believed: bool
    officer_person: str | None
    claim: ClaimPart
    timeline: TimelinePart
    files: list[FilePart]
    keys: list[KeyPart]

    def content(self) -> bytes:
        """The bytes of the file."""
        return readable(self.model_dump(mode="json"))

    def wrapped_key(self, pair_name: str) -> WrappedKey:
        """The wrapped key of a pair (`"CM+GS"`). Raises CannotOpen where it is not sealed to that
        pair.
        """
        wrapped = _wrapped_key(self.keys, pair_name)
        if wrapped is not None:
            return wrapped
        raise CannotOpen(f"The recording is not sealed to the pair {pair_name}.")


class LaterKeys(_Strict):
    """A whole keys-N.json: wrapped keys of pairs that joined after the recording was taken in."""

    format: Literal["dock-vault/keys/1"]
    vault: str
    recording: str
    sealed_utc: str
    by: list[str]
    keys: list[KeyPart]

    def wrapped_key(self, pair_name: str) -> WrappedKey | None:
        """The wrapped key of a pair, None where this file has none."""
        return _wrapped_key(self.keys, pair_name)


def later_keys_content(
    vault_id: str, recording_id: str, sealed_utc: str, by: tuple[str, str], keys: list[WrappedKey]
) -> bytes:
    """The bytes of a keys-N.json. `by`: the two persons who opened the recording for it."""
    parts = [key_part(wrapped) for wrapped in keys]
    later = LaterKeys(
        format="dock-vault/keys/1",
        vault=vault_id,
        recording=recording_id,
        sealed_utc=sealed_utc,
        by=list(by),
        keys=parts,
    )
    return readable(later.model_dump(mode="json"))


def parse_later_keys(content: bytes) -> LaterKeys:
    """Raises CannotOpen where the bytes are no keys-N.json."""
    try:
        return LaterKeys.model_validate(parse_object(content))
    except (ValueError, ValidationError) as error:
        raise CannotOpen(f"A file of later keys can't be read: {error}.") from error


def _wrapped_key(keys: list[KeyPart], pair_name: str) -> WrappedKey | None:
    for entry in keys:
        if "+".join(entry.pair) == pair_name and len(entry.halves) == len(entry.pair) == 2:
            first, second = (
                Half(half.to, half.key, from_base64(half.sealed)) for half in entry.halves
            )
            return WrappedKey((entry.pair[0], entry.pair[1]), (first, second))
    return None


@dataclass(frozen=True, slots=True)
class Retention:
    """From when the 28 days run (Q1), and whether that is the camera's stop time."""

    from_utc: str
    stop_believed: bool


def parse_record(content: bytes) -> Record:
    """Raises CannotOpen where the bytes are no record.json."""
    try:
        return Record.model_validate(parse_object(content))
    except (ValueError, ValidationError) as error:
        raise CannotOpen(f"A record.json can't be read: {error}.") from error


def segment_part(
    name: str,
    size_bytes: int,
    sha256: str | None,
    start_ms: int | None,
    duration_ms: int | None,
    preroll: bool | None,
) -> SegmentPart:
    return SegmentPart(
        name=printable(name),
        size_bytes=size_bytes,
        sha256=sha256,
        start_ms=start_ms,
        duration_ms=duration_ms,
        preroll=preroll,
    )


def _time_text(moment: datetime | None) -> str | None:
    return None if moment is None else utc_text(moment)


def _preroll_part(stated: PrerollClaim | None) -> PrerollPart | None:
    if stated is None:
        return None
    return PrerollPart(
        requested_ms=stated.requested_ms,
        delivered_ms=stated.delivered_ms,
        short_because=stated.short_because,
        audio=stated.audio,
    )


def claim_part(claim: RecordingClaim) -> ClaimPart:
    """The claim as it is stored: names printable, times as text."""
    return ClaimPart(
        origin=claim.origin,
        camera_serial=claim.camera_serial,
        name=printable(claim.name),
        identity=claim.identity,
        counter=claim.counter,
        previous_sha256=claim.previous_sha256,
        model=claim.model,
        firmware=claim.firmware,
        officer=claim.officer,
        started_utc=_time_text(claim.started_utc),
        triggered_utc=_time_text(claim.triggered_utc),
        stopped_utc=_time_text(claim.stopped_utc),
        started_mono_ms=claim.started_mono_ms,
        triggered_mono_ms=claim.triggered_mono_ms,
        stopped_mono_ms=claim.stopped_mono_ms,
        stop_reason=claim.stop_reason,
        preroll=_preroll_part(claim.preroll),
        overlaps=claim.overlaps,
        segments=[
            segment_part(
                segment.name,
                segment.size_bytes,
                segment.sha256,
                segment.start_ms,
                segment.duration_ms,
                segment.preroll,
            )
            for segment in claim.segments
        ],
    )


def docking_part(docking: ClockOffset) -> DockingPart:
    return DockingPart(
        docked_utc=utc_text(docking.docked_utc),
        offset_ms=docking.offset_ms,
        offset_source=docking.offset_source,
    )


def timeline_part(verdict: TimelineVerdict) -> TimelinePart:
    return TimelinePart(
        wholeness=verdict.wholeness,
        preroll_ms=verdict.preroll_ms,
        duration_ms=verdict.duration_ms,
        keyframe_first=verdict.keyframe_first,
        findings=list(verdict.findings),
    )


def file_part(stored: StoredSegment) -> FilePart:
    return FilePart(
        sealed_name=stored.sealed_name,
        name=printable(stored.name),
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        head_sha256=stored.head_sha256,
        tail_sha256=stored.tail_sha256,
        sealed_bytes=stored.sealed_bytes,
        sealed_sha256=stored.sealed_sha256,
    )


def key_part(wrapped: WrappedKey) -> KeyPart:
    halves = [
        HalfPart(to=half.to, key=half.key, sealed=to_base64(half.sealed)) for half in wrapped.halves
    ]
    return KeyPart(pair=list(wrapped.pair), halves=halves)


def recording_row(
    record: Record, folder: str, record_sha256: str, stored_utc: str, proven: bool
) -> Json:
    """The catalogue's row of a record."""
    claim, timeline = record.claim, record.timeline
    return {
        "id": record.recording,
        "folder": folder,
        "origin": claim.origin.value,
        "camera_serial": claim.camera_serial,
        "name": claim.name,
        "identity": claim.identity,
        "counter": claim.counter,
        "officer": claim.officer,
        "state": "stored",
        "proven": proven,
        "started_utc": claim.started_utc,
        "triggered_utc": claim.triggered_utc,
        "stopped_utc": claim.stopped_utc,
        "stop_reason": claim.stop_reason,
        "docked_utc": record.docking.docked_utc,
        "offset_ms": record.docking.offset_ms,
        "retention_from_utc": record.retention_from_utc,
        "stop_believed": record.stop_believed,
        "preroll_claimed_ms": claim.preroll.delivered_ms if claim.preroll else None,
        "preroll_short_because": claim.preroll.short_because if claim.preroll else None,
        "wholeness": timeline.wholeness.value,
        "preroll_ms": timeline.preroll_ms,
        "duration_ms": timeline.duration_ms,
        "findings": canonical(timeline.findings).decode(),
        "size_bytes": sum(segment.size_bytes for segment in claim.segments),
        "record_sha256": record_sha256,
        "stored_utc": stored_utc,
        "officer_person": record.officer_person,
    }


def file_rows(record: Record) -> list[dict[str, Any]]:
    """The catalogue's rows of a record's files, in order."""
    return [part.model_dump() for part in record.files]
