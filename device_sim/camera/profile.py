"""What a camera is built as: identity, picture, sound, ring and storage. Fixed when the camera is
made.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from device_sim.errors import ProfileError

TIMESCALE_HZ = 90_000
"""The video track's timescale, and the unit of every frame time in this package (`_90k`)."""

PREROLL_MS = 30_000

SERIAL = re.compile(r"[A-Z0-9]{3,16}")
TEXT_LENGTH_MAX = 64


@dataclass(frozen=True, slots=True)
class Profile:
    """One camera as it leaves the factory.

    `fps` must divide 90,000 so that every frame starts on a tick. `gop_frames` is the keyframe
    interval. `storage_bytes` is what the card holds; `ring_bytes` what the pre-record memory holds.
    `preroll_audio` says whether the microphone is on in standby: it is not, unless a municipality
    decides otherwise (P15, Q4). `clock_offset_ms` is how far ahead its clock was set, and
    `drift_ppm` how fast it drifts, in millionths.
    """

    serial: str
    model: str = "Simulated BWC"
    firmware: str = "1.0.0"
    officer: str | None = None
    width: int = 320
    height: int = 180
    fps: int = 10
    gop_frames: int = 10
    audio: bool = True
    preroll_audio: bool = False
    sample_rate: int = 16_000
    storage_bytes: int = 2_000_000_000
    ring_bytes: int = 64 * 1024 * 1024
    battery_percent: int = 100
    seed: int = 0
    clock_offset_ms: int = 0
    drift_ppm: float = 0.0

    def __post_init__(self) -> None:
        for complaint, hint in self._complaints():
            raise ProfileError(complaint, hint)

    def _complaints(self) -> list[tuple[str, str]]:
        texts = (self.model, self.firmware, self.officer if self.officer is not None else "-")
        checks = [
            (
                SERIAL.fullmatch(self.serial),
                "The serial is not one.",
                "Use 3 to 16 characters of A-Z and 0-9.",
            ),
            (
                all(0 < len(text) <= TEXT_LENGTH_MAX and text.isprintable() for text in texts),
                "Model, firmware or officer is empty or too long.",
                f"Use 1 to {TEXT_LENGTH_MAX} printable characters.",
            ),
            (
                self.width % 2 == 0
                and 160 <= self.width <= 3840
                and self.height % 2 == 0
                and 90 <= self.height <= 2160,
                f"A picture of {self.width} by {self.height} cannot be made.",
                "Use even numbers from 160 by 90 to 3840 by 2160.",
            ),
            (
                1 <= self.fps <= 60 and TIMESCALE_HZ % self.fps == 0,
                f"{self.fps} pictures a second cannot be timed exactly.",
                "Use a number up to 60 that divides 90000: 5, 10, 12, 15, 20, 24, 25, 30, 50.",
            ),
            (
                1 <= self.gop_frames <= 10 * self.fps,
                f"A keyframe every {self.gop_frames} frames is no use.",
                "Use one frame to ten seconds.",
            ),
            (
                self.sample_rate in (8_000, 16_000, 32_000, 44_100, 48_000),
                f"Sound at {self.sample_rate} samples a second is not offered.",
                "Use 16000 or 48000.",
            ),
            (
                self.storage_bytes >= 1_000_000 and self.ring_bytes >= 0,
                "The card or the ring is too small.",
                "Give the card at least 1 MB.",
            ),
            (
                0 <= self.battery_percent <= 100,
                "The battery's level is not a percentage.",
                "Use 0 to 100.",
            ),
        ]
        return [(complaint, hint) for holds, complaint, hint in checks if not holds]

    @property
    def frame_90k(self) -> int:
        """How long one frame lasts, in ticks of 90 kHz."""
        return TIMESCALE_HZ // self.fps

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
