#!/usr/bin/python3 -I
"""Report in a file, twice a minute, whether network time keeps the clock.

Services that may not ask the kernel themselves read that file.
"""

import ctypes
import time
from pathlib import Path

REPORT = Path("/run/dock-clock/synced")
PERIOD_S = 30
TIMEX_ROOM_BYTES = 512
"""More than the kernel's structure takes on any Linux."""
TIME_ERROR = 5
"""What adjtimex(2) returns while nothing keeps the clock."""


def main() -> None:
    """Write the report, and write it again after each period."""
    kernel = ctypes.CDLL(None, use_errno=True)
    while True:
        write_report(kernel.adjtimex(ctypes.create_string_buffer(TIMEX_ROOM_BYTES)))
        time.sleep(PERIOD_S)


def write_report(state: int) -> None:
    """Replace the report with one for this result of adjtimex(2)."""
    word = "synced" if 0 <= state != TIME_ERROR else "unsynced"
    new = REPORT.with_name(f"{REPORT.name}.new")
    new.write_text(f"{time.clock_gettime(time.CLOCK_BOOTTIME):.0f} {word}\n")
    new.replace(REPORT)


if __name__ == "__main__":
    main()
