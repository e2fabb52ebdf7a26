"""The camera's two clocks. The only module here that reads the time of the machine or sleeps.

The wall clock (`utc_ms`, milliseconds since 1970) may be wrong and may jump. The monotonic clock
(`mono_ms`) belongs to the camera, goes on across power cuts, and never runs backwards.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

NAP_S = 0.1
"""How long SystemClock sleeps at most in one go, so that the frames of the meantime are made while
they are few.
"""


class Clock(Protocol):
    """Where a camera gets its time from."""

    def utc_ms(self) -> int: ...

    def mono_ms(self) -> int: ...

    def wait_until(self, mono_ms: int) -> None:
        """Return when the monotonic clock shows `mono_ms`, **or earlier**: the
        caller looks again.
        """


class ManualClock:
    """Time that passes only when somebody waits for it: an hour of shift takes as long as its
    frames take to make.
    """

    def __init__(self, utc_ms: int, mono_ms: int = 0) -> None:
        self._utc_ms = utc_ms
        self._mono_ms = mono_ms

    @classmethod
    def at(cls, utc: str, mono_ms: int = 0) -> ManualClock:
        """Return a clock that starts at an RFC 3339 time such as `2026-11-23T21:50:19.123Z`."""
        return cls(parse_utc(utc), mono_ms)

    def utc_ms(self) -> int:
        return self._utc_ms

    def mono_ms(self) -> int:
        return self._mono_ms

    def wait_until(self, mono_ms: int) -> None:
        self.advance(max(0, mono_ms - self._mono_ms))

    def advance(self, by_ms: int) -> None:
        """Both clocks go on by `by_ms` milliseconds, which must not be negative."""
        if by_ms < 0:
            raise ValueError("the monotonic clock never runs backwards")
        self._utc_ms += by_ms
        self._mono_ms += by_ms

    def jump_utc(self, by_ms: int) -> None:
        """The wall clock alone is set forward or back."""
        self._utc_ms += by_ms


class SystemClock:
    """Real time. `mono_ms` is where this camera's monotonic clock stood when it was last seen."""

    def __init__(self, mono_ms: int = 0) -> None:
        self._base_ns = time.monotonic_ns() - mono_ms * 1_000_000

    def utc_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def mono_ms(self) -> int:
        return (time.monotonic_ns() - self._base_ns) // 1_000_000

    def wait_until(self, mono_ms: int) -> None:
        left_s = (mono_ms - self.mono_ms()) / 1000
        if left_s > 0:
            time.sleep(min(left_s, NAP_S))


class WornClock:
    """A camera's own clock over that of the world: `offset_ms` off, and drifting by `drift_ppm`
    millionths of the time that passes. The monotonic clock is the world's.
    """

    def __init__(self, world: Clock, offset_ms: int, drift_ppm: float) -> None:
        self._world = world
        self._offset_ms = offset_ms
        self._drift_ppm = drift_ppm
        self._since_mono_ms = world.mono_ms()

    @property
    def offset_ms(self) -> int:
        """How far ahead of the world it is now."""
        passed_ms = self._world.mono_ms() - self._since_mono_ms
        return self._offset_ms + round(passed_ms * self._drift_ppm / 1_000_000)

    def utc_ms(self) -> int:
        return self._world.utc_ms() + self.offset_ms

    def mono_ms(self) -> int:
        return self._world.mono_ms()

    def wait_until(self, mono_ms: int) -> None:
        self._world.wait_until(mono_ms)

    def set_utc(self, utc_ms: int) -> None:
        """Show this time from now on; it drifts as it did."""
        self._offset_ms = utc_ms - self._world.utc_ms()
        self._since_mono_ms = self._world.mono_ms()


def format_utc(utc_ms: int) -> str:
    """Milliseconds since 1970 as RFC 3339 with milliseconds and `Z`, the one spelling on a card."""
    moment = EPOCH + timedelta(milliseconds=utc_ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def parse_utc(text: str) -> int:
    """RFC 3339 with an offset, to milliseconds since 1970. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} names no time zone")
    return (moment - EPOCH) // timedelta(milliseconds=1)
