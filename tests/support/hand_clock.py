"""A clock that a test moves by hand. Waiting takes no time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


@dataclass
class HandClock:
    """`vault.clock.MachineClock`, for vault and dock.

    `meanwhile` is called at each sleep, after the time has passed. Each look at the monotonic clock
    takes `tick_s`.
    """

    moment: datetime = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
    ticks_s: float = 1000.0
    slept_s: list[float] = field(default_factory=list)
    boot: str = "boot-1"
    synced: bool = True
    meanwhile: Callable[[], None] = lambda: None
    tick_s: float = 0.0

    def since_boot_s(self) -> float:
        return self.ticks_s

    def boot_id(self) -> str:
        return self.boot

    def is_synced(self) -> bool:
        return self.synced

    def now(self) -> datetime:
        return self.moment

    def monotonic_s(self) -> float:
        self.pass_time(self.tick_s)
        return self.ticks_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.pass_time(seconds)
        self.meanwhile()

    def pass_time(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.ticks_s += seconds
