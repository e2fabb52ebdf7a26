"""The clock, passed in everywhere. This module alone reads the machine's clocks."""

import ctypes
import errno
import os
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

_TIMEX_ROOM_BYTES = 512
_TOLD = Path("/run/dock-clock/synced")
_FRESH_S = 120.0
_TIME_ERROR = 5
"""What adjtimex returns while nothing keeps the clock."""


class Clock(Protocol):
    """Wall clock, monotonic clock and waiting, as one thing, so that a test can let years pass."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC. It may jump; nothing may be deleted on its word alone
        (I7).
        """

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary moment; never runs back while this process lives."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class MachineClock(Clock, Protocol):
    """What the clock guard looks at besides."""

    def since_boot_s(self) -> float:
        """Seconds since the machine started, suspended time included."""

    def boot_id(self) -> str:
        """Another one after each start of the machine."""

    def is_synced(self) -> bool:
        """Whether the kernel says that network time keeps the wall clock."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def since_boot_s(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        # A service that sees of /proc its own processes alone is told by its unit (`%b`).
        told = os.environ.get("BOOT_ID")
        return (
            str(uuid.UUID(told))
            if told
            else Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        )

    def is_synced(self) -> bool:
        # adjtimex with no mode set reads the kernel's state; the structure is shorter than this on
        # every Linux.
        state: int = ctypes.CDLL(None, use_errno=True).adjtimex(
            ctypes.create_string_buffer(_TIMEX_ROOM_BYTES)
        )
        if state < 0 and ctypes.get_errno() == errno.EPERM:
            return told_synced(_TOLD, self.since_boot_s())
        return 0 <= state != _TIME_ERROR


def told_synced(told: Path, since_boot_s: float) -> bool:
    """What `dock-clock.service` wrote for who may not ask the kernel: when (since the start), and
    whether. Stale is no.
    """
    try:
        at_s, _, word = told.read_text().strip().partition(" ")
        return word == "synced" and 0 <= since_boot_s - float(at_s) <= _FRESH_S
    except (OSError, ValueError):
        return False


def utc_text(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as all our formats write a time:
    `2026-11-23T21:50:19.123Z`.
    """
    in_utc = moment.astimezone(UTC)
    return in_utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{in_utc.microsecond // 1000:03d}Z"


def utc_moment(text: str) -> datetime:
    """The moment that `utc_text` wrote. Raises ValueError for any other form."""
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    if utc_text(moment) != text:
        raise ValueError(f"{text!r} is not a time of the form 2026-11-23T21:50:19.123Z")
    return moment
