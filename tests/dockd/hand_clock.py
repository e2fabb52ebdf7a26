"""A clock that a test moves by hand. Waiting takes no time, and lets the test do something
meanwhile.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class HandClock:
    """`vault.clock.Clock`. `meanwhile` is called at each `sleep`, after the time has passed."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None, tick_s: float = 0.0) -> None:
        self._passed_s = 0.0
        self._meanwhile = meanwhile
        self._tick_s = tick_s
        self.slept_s: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 22, 0, tzinfo=UTC) + timedelta(seconds=self._passed_s)

    def monotonic_s(self) -> float:
        """Each look at it takes `tick_s`."""
        self._passed_s += self._tick_s
        return self._passed_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self._passed_s += seconds
        self._meanwhile()
