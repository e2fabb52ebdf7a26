"""Challenges of security keys between their asking and their answer: each is taken once, by the
person it was made for.
"""

import secrets
import threading
from typing import Any

from vault.clock import Clock
from vault.errors import WrongPassphrase

LIFE_S = 180.0
MOST = 1000


class Challenges:
    """Any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[Any, str, float]] = {}

    def keep(self, state: Any, person: str) -> str:
        """Keep a challenge's state; its name, for the form."""
        name, now = secrets.token_urlsafe(16), self._clock.monotonic_s()
        with self._lock:
            for old in [key for key, (_, _, since) in self._kept.items() if now - since > LIFE_S]:
                del self._kept[old]
            while len(self._kept) >= MOST:
                self._kept.pop(next(iter(self._kept)))
            self._kept[name] = (state, person, now)
        return name

    def take(self, name: str, person: str) -> Any:
        """The state, once. Raises WrongPassphrase where it is gone, too old,
        or another person's.
        """
        with self._lock:
            state, made_for, since = self._kept.pop(name, (None, "", 0.0))
        if state is None or made_for != person or self._clock.monotonic_s() - since > LIFE_S:
            raise WrongPassphrase("The security key's challenge is no longer valid.")
        return state
