"""Guessing passphrases is slowed: each failure doubles the wait, for the person guessed at and for
the place it came from.
"""

import threading
from dataclasses import dataclass

from vault.clock import Clock
from vault.errors import Reaction, VaultError

FREE = {"name": 3, "place": 12}
"""So many failures cost nothing: people mistype, and several share a screen."""
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 300.0
FORGET_S = 3600.0
MOST = 10_000


class TooFast(VaultError):
    """Too many wrong passphrases. The wait is short for a person, and long for a program."""

    code = "web.too_fast"
    reaction = Reaction.TRY_AGAIN
    hint = "Wait, then try again."


@dataclass(slots=True)
class _Tally:
    failures: int
    free_again_s: float
    last_s: float


class Slowdown:
    """Failures by name and by place. Any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tallies: dict[str, _Tally] = {}
        self.turn = threading.Lock()
        """One passphrase is tried at a time: each takes 64 MiB of memory for as long
        as it lasts.
        """

    def demand(self, *keys: str) -> None:
        """`keys`: `name:…` and `place:…`. Raises TooFast while one of these has to wait."""
        now = self._clock.monotonic_s()
        with self._lock:
            waits = [self._tallies[key].free_again_s - now for key in keys if key in self._tallies]
        longest = max(waits, default=0.0)
        if longest > 0:
            raise TooFast(
                f"Too many wrong passphrases. The next attempt is possible in "
                f"{int(longest) + 1} seconds."
            )

    def failed(self, *keys: str) -> None:
        now = self._clock.monotonic_s()
        with self._lock:
            for old in [
                key for key, tally in self._tallies.items() if now - tally.last_s > FORGET_S
            ]:
                del self._tallies[old]
            for key in keys:
                free = FREE[key.partition(":")[0]]
                failures = self._tallies[key].failures + 1 if key in self._tallies else 1
                wait = (
                    min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(20, failures - free))
                    if failures >= free
                    else 0.0
                )
                self._tallies[key] = _Tally(failures, now + wait, now)
            while len(self._tallies) > MOST:
                self._tallies.pop(min(self._tallies, key=lambda key: self._tallies[key].last_s))

    def succeeded(self, *keys: str) -> None:
        with self._lock:
            for key in keys:
                self._tallies.pop(key, None)
