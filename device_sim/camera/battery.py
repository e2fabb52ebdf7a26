"""A camera's battery: how fast it runs down, and how fast it charges."""

from collections.abc import Mapping

FLAT_PERCENT = 1.0
HOUR_MS = 3_600_000
PERCENT_PER_H: Mapping[str, float] = {
    "off": 0.0,
    "standby": -6.0,
    "recording": -9.0,
    "docked": 40.0,
}
"""By the state that the camera is in; negative where the battery runs down."""


def flat_after_ms(percent: float, percent_per_h: float) -> int | None:
    """Give the time until the battery is flat, at least 1 ms; None where it does not run down."""
    if percent_per_h >= 0:
        return None
    return max(1, round(max(0.0, percent - FLAT_PERCENT) / -percent_per_h * HOUR_MS))


def percent_after(percent: float, percent_per_h: float, passed_ms: int) -> float:
    """Give the charge after so long, at most 100."""
    return min(100.0, percent + percent_per_h * (passed_ms / HOUR_MS))
