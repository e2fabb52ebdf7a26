"""What a camera states about a recording: the journal while it is made, the signed manifest when it
is closed.

Pure. The keys are those of the camera contract (`dockd/CAMERA.md`), section 1, and no others.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from device_sim.camera.profile import PREROLL_MS, TIMESCALE_HZ
from device_sim.camera.ring import Shortage
from device_sim.clock import format_utc, parse_utc

StopReason = Literal["button", "docked", "battery", "full", "recovered"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One closed segment. Times in milliseconds from the recording's first frame; `sha256` in
    hexadecimal.
    """

    name: str
    bytes: int
    sha256: str
    start_ms: int
    duration_ms: int
    preroll: bool

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.duration_ms


@dataclass(frozen=True, slots=True)
class Stop:
    """The end of a recording's last frame on both clocks, and why there is no next one."""

    reason: StopReason
    utc_ms: int
    mono_ms: int


@dataclass(frozen=True, slots=True)
class Head:
    """All that is known of a recording at its switch-on. `sample_rate` is None for a camera without
    a microphone.
    """

    recording: str
    counter: int
    previous_sha256: str | None
    serial: str
    model: str
    firmware: str
    officer: str | None
    started_utc_ms: int
    triggered_utc_ms: int
    started_mono_ms: int
    triggered_mono_ms: int
    short_because: Shortage | None
    preroll_audio: bool
    codec: str
    width: int
    height: int
    fps: int
    sample_rate: int | None
    overlaps: str | None

    @property
    def delivered_ms(self) -> int:
        return self.triggered_mono_ms - self.started_mono_ms

    def journal_line(self) -> bytes:
        """Return the journal's first line."""
        return _line({"format": "bodycam-card/journal/1", **self._shared()})

    def manifest(self, entries: Sequence[Entry], stop: Stop) -> bytes:
        """Return the exact bytes of `recording.json`. The same inputs give the same bytes."""
        stopped = {
            "stopped_utc": format_utc(stop.utc_ms),
            "stopped_mono_ms": stop.mono_ms,
            "stop_reason": stop.reason,
            "segments": [asdict(entry) for entry in entries],
        }
        return _line({"format": "bodycam-card/recording/1", **self._shared(), **stopped})

    def recovered(self, entries: Sequence[Entry]) -> Stop:
        """Where a recording ended that the power cut off: with its last whole segment, or before
        the first frame.
        """
        end_ms = entries[-1].end_ms if entries else 0
        return Stop("recovered", self.started_utc_ms + end_ms, self.started_mono_ms + end_ms)

    def _shared(self) -> dict[str, Any]:
        audio = {"codec": "mp4a.40.2", "sample_rate": self.sample_rate, "channels": 1}
        return {
            "recording": self.recording,
            "counter": self.counter,
            "previous_sha256": self.previous_sha256,
            "camera": {"serial": self.serial, "model": self.model, "firmware": self.firmware},
            "officer": self.officer,
            "started_utc": format_utc(self.started_utc_ms),
            "triggered_utc": format_utc(self.triggered_utc_ms),
            "started_mono_ms": self.started_mono_ms,
            "triggered_mono_ms": self.triggered_mono_ms,
            "preroll": {
                "requested_ms": PREROLL_MS,
                "delivered_ms": self.delivered_ms,
                "short_because": self.short_because,
                "audio": self.preroll_audio,
            },
            "video": {
                "codec": self.codec,
                "width": self.width,
                "height": self.height,
                "fps": self.fps,
                "timescale": TIMESCALE_HZ,
            },
            "audio": audio if self.sample_rate is not None else None,
            "overlaps": self.overlaps,
        }


def entry_line(entry: Entry) -> bytes:
    """Return the journal's line for one closed segment."""
    return _line(asdict(entry))


def read_journal(data: bytes) -> list[Entry]:
    """Return the segments that a journal counts. What follows a line that does not end or does not
    parse is not there.
    """
    entries: list[Entry] = []
    for line in data.split(b"\n")[1:-1]:
        try:
            entries.append(Entry(**json.loads(line)))
        except (ValueError, TypeError):
            break
    return entries


def head_from_journal(document: dict[str, Any]) -> Head:
    """Return the inverse of `Head.journal_line`, for the camera's own memory. Raises KeyError and
    ValueError.
    """
    audio = document["audio"]
    return Head(
        recording=document["recording"],
        counter=document["counter"],
        previous_sha256=document["previous_sha256"],
        **document["camera"],
        officer=document["officer"],
        started_utc_ms=parse_utc(document["started_utc"]),
        triggered_utc_ms=parse_utc(document["triggered_utc"]),
        started_mono_ms=document["started_mono_ms"],
        triggered_mono_ms=document["triggered_mono_ms"],
        short_because=document["preroll"]["short_because"],
        preroll_audio=document["preroll"]["audio"],
        codec=document["video"]["codec"],
        width=document["video"]["width"],
        height=document["video"]["height"],
        fps=document["video"]["fps"],
        sample_rate=audio["sample_rate"] if audio is not None else None,
        overlaps=document["overlaps"],
    )


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
