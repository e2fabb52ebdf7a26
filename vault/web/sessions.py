"""Who is signed in: sessions on the server, which end there. The browser holds a random token, the
server its digest.

No private key is kept with a session: what opens anything is asked for again when it is needed
(ruling 5).
"""

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

from vault.clock import Clock

LIFE_S = 10 * 3600.0
"""A session lasts a shift at most."""
MOST = 500


@dataclass(slots=True)
class WebSession:
    """A signed-in person at one screen. `id` names it on pages and in rooms; `csrf` is what each
    form of it carries.
    """

    id: str
    person: str
    csrf: str
    begun_s: float
    seen_s: float
    where: str


class Sessions:
    """All sessions. Any thread. `ended` is called with the id of each session that ends, whatever
    ended it.
    """

    def __init__(self, clock: Clock, idle_s: float, ended: Callable[[str], None]) -> None:
        self._clock = clock
        self._idle_s = idle_s
        self._ended = ended
        self._lock = threading.Lock()
        self._found: dict[str, WebSession] = {}

    def begin(self, person: str, where: str) -> tuple[str, WebSession]:
        """A new session and its token. `where`: what the person recognises the screen by."""
        token, now = secrets.token_urlsafe(32), self._clock.monotonic_s()
        session = WebSession(
            secrets.token_hex(8), person, secrets.token_urlsafe(32), now, now, where
        )
        self.sweep()
        with self._lock:
            while len(self._found) >= MOST:
                self._found.pop(min(self._found, key=lambda digest: self._found[digest].seen_s))
            self._found[_digest(token)] = session
        return token, session

    def find(self, token: str | None, *, touch: bool = True) -> WebSession | None:
        """The session of a token, if it still lasts. With `touch` it counts as used now."""
        if not token:
            return None
        self.sweep()
        with self._lock:
            session = self._found.get(_digest(token))
            if session is not None and touch:
                session.seen_s = self._clock.monotonic_s()
            return session

    def of(self, person: str) -> list[WebSession]:
        """A person's sessions, the oldest first."""
        self.sweep()
        with self._lock:
            return sorted(
                (one for one in self._found.values() if one.person == person),
                key=lambda one: one.begun_s,
            )

    def end(self, session_id: str, person: str) -> bool:
        """End one of a person's sessions; False where there is none of this id."""
        return self._drop(lambda one: one.id == session_id and one.person == person) > 0

    def end_others(self, person: str, but: str) -> int:
        """End every other session of a person: after a new passphrase, or when a screen was left
        somewhere.
        """
        return self._drop(lambda one: one.person == person and one.id != but)

    def sweep(self) -> None:
        """Drop those that were idle too long, or have lasted a shift."""
        now = self._clock.monotonic_s()
        self._drop(lambda one: now - one.seen_s > self._idle_s or now - one.begun_s > LIFE_S)

    def _drop(self, which: Callable[[WebSession], bool]) -> int:
        with self._lock:
            gone = [digest for digest, one in self._found.items() if which(one)]
            dropped = [self._found.pop(digest) for digest in gone]
        for session in dropped:
            self._ended(session.id)
        return len(dropped)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
