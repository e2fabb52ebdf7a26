"""What a camera says of itself. Believed only where a registered key carries it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class CameraDescription:
    """A camera's own words; None stands for "not stated". `CameraDescription()` states nothing."""

    serial: str | None = None
    model: str | None = None
    firmware: str | None = None
    public_key: bytes | None = None
    battery_percent: int | None = None
    storage_bytes: int | None = None
    free_bytes: int | None = None
    clock_utc: datetime | None = None
