"""The two JSON documents of a camera's card, from untrusted bytes to checked values. No I/O; the
contract is CAMERA.md.

What is not understood is refused: a document is either exactly what the contract names, or it stays
on the camera. Each bound is checked before the work that it bounds: the caller caps the size,
nesting is counted before anything recursive sees the bytes, and digits before they become a number.
Fault A15.
"""

import base64
import json
import re
from datetime import datetime
from typing import Annotated, Literal, NoReturn, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from dockd.card.contract import shown
from vault.clock import utc_moment
from vault.errors import Failure, Reaction

DEVICE_MAX_BYTES = 64 * 1024
RECORDING_MAX_BYTES = 1024 * 1024
NESTING_MAX = 8
SEGMENTS_MAX = 10_000
SEGMENT_MAX_BYTES = 2**32 - 2
PREROLL_REQUESTED_MS = 30_000
ROUNDING_MS = 1
"""What one rounding to milliseconds may add or take, where one segment ends and the next starts."""

_INTEGER_MAX = 2**53
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A JSON string, or one that never ends. It can't fail once it has begun, so that one pass over any
bytes is linear.
"""
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SENTENCE_CHARACTERS = 300


class ManifestRefusedError(Failure):
    """A document of the card is not what the contract says. The code names the rule."""

    code = "manifest.invalid"
    reaction = Reaction.REFUSE
    hint = "The recording stays on the camera. Keep the camera apart and ask its supplier."

    def __init__(self, code: str, sentence: str, *, hint: str | None = None) -> None:
        super().__init__(sentence, hint=hint)
        self.code = code


def _moment(value: object) -> datetime:
    if not isinstance(value, str) or len(value) != len("2026-11-23T21:50:19.123Z"):
        raise ValueError("is not a time of the form 2026-11-23T21:50:19.123Z")
    return utc_moment(value)


def _key(value: object) -> bytes:
    if not isinstance(value, str) or not value.isascii():
        raise ValueError("is not base64")
    key = base64.b64decode(value, validate=True)
    if len(key) != 32 or base64.b64encode(key).decode("ascii") != value:
        raise ValueError("is not the base64 of 32 bytes")
    return key


_Text = Annotated[str, Field(max_length=64)]
_Serial = Annotated[str, Field(pattern=r"^[A-Z0-9]{3,16}$")]
_RecordingName = Annotated[str, Field(pattern=r"^[A-Z0-9]{3,16}-[0-9]{6}$")]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Count = Annotated[int, Field(ge=0)]
_Positive = Annotated[int, Field(ge=1)]
_Moment = Annotated[datetime, BeforeValidator(_moment)]
_Key = Annotated[bytes, BeforeValidator(_key)]


class _Strict(BaseModel):
    """Types exact (a bool is no integer), every key known and present,
    nothing changed afterwards.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class DeviceDocument(_Strict):
    """DEVICE/device.json."""

    format: Literal["bodycam-card/device/1"]
    serial: _Serial
    model: _Text
    firmware: _Text
    public_key: _Key
    battery_percent: Annotated[int, Field(ge=0, le=100)]
    storage_bytes: _Count
    free_bytes: _Count
    clock_utc: _Moment


class CameraDocument(_Strict):
    """Which camera made the recording, and on what firmware."""

    serial: _Serial
    model: _Text
    firmware: _Text


class PrerollDocument(_Strict):
    """The time before the switch-on (P15)."""

    requested_ms: Literal[30000]
    delivered_ms: _Count
    short_because: Literal["just_switched_on", "dropped_frames"] | None
    audio: bool


class VideoDocument(_Strict):
    """The video track. `timescale` is in ticks per second."""

    codec: Annotated[str, Field(pattern=r"^avc1\.[0-9A-Fa-f]{6}$")]
    width: _Positive
    height: _Positive
    fps: _Positive
    timescale: _Positive


class AudioDocument(_Strict):
    """The audio track."""

    codec: Literal["mp4a.40.2"]
    sample_rate: _Positive
    channels: _Positive


class SegmentDocument(_Strict):
    """One segment's file."""

    name: Annotated[str, Field(pattern=r"^[0-9]{4}\.mp4$")]
    bytes: Annotated[int, Field(ge=1, le=SEGMENT_MAX_BYTES)]
    sha256: _Digest
    start_ms: _Count
    duration_ms: _Count
    preroll: bool


class RecordingDocument(_Strict):
    """recording.json, held against itself. Against the folder and the camera it is held by who
    reads the card.
    """

    format: Literal["bodycam-card/recording/1"]
    recording: _RecordingName
    counter: Annotated[int, Field(ge=1, le=999_999)]
    previous_sha256: _Digest | None
    camera: CameraDocument
    officer: _Text | None
    started_utc: _Moment
    triggered_utc: _Moment
    stopped_utc: _Moment
    started_mono_ms: int
    triggered_mono_ms: int
    stopped_mono_ms: int
    stop_reason: Literal["button", "docked", "battery", "full", "recovered"]
    preroll: PrerollDocument
    video: VideoDocument
    audio: AudioDocument | None
    segments: Annotated[list[SegmentDocument], Field(max_length=SEGMENTS_MAX)]
    overlaps: _RecordingName | None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        self._check_names()
        self._check_times()
        self._check_segments()
        return self

    def _check_names(self) -> None:
        if self.recording != f"{self.camera.serial}-{self.counter:06d}":
            raise ValueError("the recording's name is not the camera's serial and counter")
        if (self.previous_sha256 is None) != (self.counter == 1):
            raise ValueError("previous_sha256 is null for counter 1, and only there")
        serial, _, number = (self.overlaps or "").partition("-")
        if self.overlaps is not None and (
            serial != self.camera.serial or not 0 < int(number) < self.counter
        ):
            raise ValueError("overlaps names no earlier recording of this camera")

    def _check_times(self) -> None:
        """On the monotonic clock only: the wall clock may be set while a camera records.

        A recovered recording may stop before its switch-on: the power failed while the pre-roll was
        still being written.
        """
        ends_early = (
            self.stop_reason == "recovered" and self.started_mono_ms <= self.stopped_mono_ms
        )
        if self.started_mono_ms > self.triggered_mono_ms or not (
            self.triggered_mono_ms <= self.stopped_mono_ms or ends_early
        ):
            raise ValueError(
                "start, switch-on and stop are not in this order on the monotonic clock"
            )
        if self.preroll.delivered_ms != self.triggered_mono_ms - self.started_mono_ms:
            raise ValueError("preroll.delivered_ms is not the time from start to switch-on")
        if self.preroll.delivered_ms < PREROLL_REQUESTED_MS and self.preroll.short_because is None:
            raise ValueError("the pre-roll is shorter than 30 s and short_because says nothing")

    def _check_segments(self) -> None:
        if not self.segments and self.stop_reason != "recovered":
            raise ValueError("a recording without segments was not stopped by a power cut")
        expected_ms = 0
        for index, segment in enumerate(self.segments):
            if segment.name != f"{index:04d}.mp4":
                raise ValueError(f"segment {index} is named {segment.name}")
            if abs(segment.start_ms - expected_ms) > (ROUNDING_MS if index else 0):
                raise ValueError(
                    f"segment {segment.name} starts at {segment.start_ms} ms, not at "
                    f"{expected_ms} ms"
                )
            before_ms = self.preroll.delivered_ms - segment.start_ms
            if segment.preroll != (before_ms > 0) and abs(before_ms) > ROUNDING_MS:
                raise ValueError(
                    f"segment {segment.name} is on the other side of the switch-on than it says"
                )
            expected_ms = segment.start_ms + segment.duration_ms


def device_document(raw: bytes) -> DeviceDocument:
    """DEVICE/device.json from bytes of at most `DEVICE_MAX_BYTES`. Raises ManifestRefusedError, and
    nothing else.
    """
    fields = _json_object(raw, DEVICE_MAX_BYTES, "device.json")
    try:
        return DeviceDocument.model_validate(fields)
    except ValidationError as error:
        raise _invalid(error, "device.json") from error


def recording_document(raw: bytes) -> RecordingDocument:
    """recording.json from bytes of at most `RECORDING_MAX_BYTES`. Raises ManifestRefusedError, and
    nothing else.
    """
    fields = _json_object(raw, RECORDING_MAX_BYTES, "recording.json")
    try:
        return RecordingDocument.model_validate(fields)
    except ValidationError as error:
        raise _invalid(error, "recording.json") from error


def _json_object(raw: bytes, max_bytes: int, what: str) -> dict[str, object]:
    if len(raw) > max_bytes:
        raise ManifestRefusedError(
            "manifest.too_large", f"{what} is larger than {max_bytes} bytes."
        )
    if _nesting(raw) > NESTING_MAX:
        raise ManifestRefusedError(
            "manifest.nested", f"{what} is nested deeper than {NESTING_MAX} levels."
        )
    try:
        fields = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object_without_twins,
            parse_int=_integer,
            parse_float=_no_such_number,
            parse_constant=_no_such_number,
        )
    except ValueError as error:
        raise ManifestRefusedError(
            "manifest.not_json", f"{what} can't be read: {_brief(str(error))}."
        ) from error
    if not isinstance(fields, dict):
        raise ManifestRefusedError("manifest.not_json", f"{what} holds no JSON object.")
    return fields


def _nesting(raw: bytes) -> int:
    """The deepest nesting of brackets outside of strings, counted until it is too deep. Right for
    all that is JSON.
    """
    depth = deepest = 0
    for bracket in _STRING.sub(b"", raw).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
        if deepest > NESTING_MAX:
            break
    return deepest


def _object_without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Two readers of one signature must not read two contents: a key stands once."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return fields


def _integer(digits: str) -> int:
    """Bounded before it is converted, as converting costs more than linear time in the digits."""
    if len(digits) > len(str(-_INTEGER_MAX)) or abs(int(digits)) >= _INTEGER_MAX:
        raise ValueError("an integer is beyond 2^53")
    return int(digits)


def _no_such_number(_text: str) -> NoReturn:
    raise ValueError("a number is no integer")


def _invalid(error: ValidationError, what: str) -> ManifestRefusedError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    where = f" at `{_brief(place)}`" if place else ""
    return ManifestRefusedError(
        "manifest.invalid", f"{what} is not valid{where}: {_brief(message)}."
    )


def _brief(text: str) -> str:
    """Text that may hold words of the card, fit for one line of a log."""
    return (
        shown((text[:_SENTENCE_CHARACTERS],))
        .replace("\\x5c", "\\")
        .replace("\\x2f", "/")
        .rstrip(".")
    )
