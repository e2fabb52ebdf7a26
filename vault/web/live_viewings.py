"""The viewings that are open in this process, and who waits for whom.

Order of steps. One person unlocks: their keys wait in memory, for `WAIT_S` at most. The other
unlocks: `open_viewing` joins the two, and the waiting keys are forgotten. From then on a screen of
one of the two says every second or so that it is there. The viewing ends for both when either
leaves or signs out, when a screen is silent for `ABSENT_S`, or when its time is over.
"""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from vault.clock import Clock
from vault.custody.people import Signed
from vault.custody.viewing.timeline import Timeline
from vault.custody.viewing.viewing_session import Session, Span, ViewingOver, open_viewing
from vault.errors import Reaction, VaultError
from vault.vault import Vault

log = structlog.get_logger()

WAIT_S = 300.0
"""How long the keys of who unlocked first wait for the other."""
ABSENT_S = 20.0
"""A screen that was silent so long was left."""
MOST_OPEN = 8
SPAN_BYTES = 4 << 20
"""What is opened, told of and given out at once."""


class NotInRoom(VaultError):
    """This screen takes no part in an open viewing of this id."""

    code = "viewing.not_joined"
    reaction = Reaction.REFUSE
    hint = "Both unlock the viewing first."


class RoomsFull(VaultError):
    """So many viewings are open that one more would slow all."""

    code = "viewing.too_many"
    reaction = Reaction.TRY_AGAIN
    hint = "End another viewing first."


@dataclass(slots=True)
class _Waiting:
    signed: Signed
    confirmed: frozenset[str]
    screen: str
    since_s: float


@dataclass(slots=True)
class LiveViewing:
    """One open viewing. `screens`: id of a web session to when it was last there."""

    session: Session
    screens: dict[str, float]
    lock: threading.RLock = field(default_factory=threading.RLock)
    timelines: dict[str, Timeline] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a viewing stands: `waiting` is who unlocked first; `over` why it ended."""

    waiting: str | None = None
    joined: bool = False
    over: str | None = None
    seconds_left: int = 0
    persons: tuple[str, ...] = ()


class LiveViewings:
    """All live viewings of this process. Any thread; each does one thing at a time."""

    def __init__(
        self, vault: Vault, clock: Clock, ended: Callable[[str], None] = lambda _: None
    ) -> None:
        """`ended` is called with the id of each viewing that ended here."""
        self._vault = vault
        self._ended = ended
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, _Waiting] = {}
        self._live: dict[str, LiveViewing] = {}
        self._over: dict[str, str] = {}
        self._opening = threading.Lock()
        """One span is opened at a time: what stands around it is opened with it, up to 64 MiB
        (ruling 18).
        """
        self.served_bytes = 0
        """Content given out since this process began, by all viewings."""

    # --- joining ----------------------------------------------------------------------------------

    def join(
        self, viewing_id: str, signed: Signed, confirmed: Collection[str], screen: str
    ) -> bool:
        """One of the two unlocks; True once both have and the viewing is open. Raises what
        `open_viewing` raises.

        `confirmed`: the codes of the conditions that this person confirms; what both confirmed
        counts.
        """
        self.tend()
        person = signed.actor.person
        with self._lock:
            first = self._waiting.get(viewing_id)
            if first is None or first.signed.actor.person == person:
                self._waiting[viewing_id] = _Waiting(
                    signed, frozenset(confirmed), screen, self._clock.monotonic_s()
                )
                return False
            del self._waiting[viewing_id]
        self._open(
            viewing_id,
            first.signed,
            signed,
            first.confirmed & set(confirmed),
            {first.screen, screen},
        )
        return True

    def open_both(
        self,
        viewing_id: str,
        first: Signed,
        second: Signed,
        confirmed: Collection[str],
        screen: str,
    ) -> None:
        """Both unlock at one screen."""
        self.tend()
        with self._lock:
            self._waiting.pop(viewing_id, None)
        self._open(viewing_id, first, second, confirmed, {screen})

    def _open(
        self,
        viewing_id: str,
        first: Signed,
        second: Signed,
        confirmed: Collection[str],
        screens: set[str],
    ) -> None:
        with self._lock:
            old = self._live.get(viewing_id)
            full = len(self._live) >= MOST_OPEN
        if old is not None:
            self.end(viewing_id, "it was opened anew")
        elif full:
            raise RoomsFull(f"{MOST_OPEN} viewings are open already.")
        session = open_viewing(self._vault, viewing_id, first, second, confirmed)
        now = self._clock.monotonic_s()
        with self._lock:
            self._live[viewing_id] = LiveViewing(session, dict.fromkeys(screens, now))
            self._over.pop(viewing_id, None)

    # --- being there ------------------------------------------------------------------------------

    def standing(self, viewing_id: str, screen: str) -> Standing:
        """Where a viewing stands, as this screen may know it; a screen that takes part is there by
        asking.
        """
        self.tend()
        with self._lock:
            waiting = self._waiting.get(viewing_id)
            live = self._live.get(viewing_id)
            if live is not None and screen in live.screens:
                live.screens[screen] = self._clock.monotonic_s()
                persons = tuple(seat.person for seat in live.session.seats)
                return Standing(None, True, None, live.session.seconds_left, persons)
            who = waiting.signed.actor.person if waiting is not None else None
            return Standing(who, False, self._over.get(viewing_id))

    def demand_joined(self, viewing_id: str, screen: str) -> None:
        """Raises NotInRoom, ViewingOver where this screen takes no part. Waits for nothing."""
        self._joined(viewing_id, screen)

    def _joined(self, viewing_id: str, screen: str) -> LiveViewing:
        self.tend()
        with self._lock:
            live = self._live.get(viewing_id)
            over = self._over.get(viewing_id)
        if live is None or screen not in live.screens:
            if over is not None:
                raise ViewingOver(f"The viewing {viewing_id[:8]} is over: {over}.")
            raise NotInRoom("This screen takes no part in an open viewing of this name.")
        return live

    @contextmanager
    def live_viewing(self, viewing_id: str, screen: str) -> Iterator[LiveViewing]:
        """The live viewing, for this screen alone as long as the block lasts. Raises NotInRoom,
        ViewingOver.
        """
        live = self._joined(viewing_id, screen)
        with live.lock:
            yield live

    def timeline(self, viewing_id: str, recording_id: str, screen: str) -> Timeline:
        """The time line of a recording of an open viewing. Raises NotInRoom, ViewingOver,
        UnknownRecording, CannotOpen.
        """
        with self.live_viewing(viewing_id, screen) as live:
            if recording_id not in live.timelines:
                live.timelines[recording_id] = live.session.timeline(recording_id)
            else:
                live.session.files(recording_id)
            return live.timelines[recording_id]

    def show(self, viewing_id: str, span: Span, screen: str) -> bytes:
        """A span of content; its entry stands in the log first. Raises as `Session.show`, and
        NotInRoom.
        """
        with self.live_viewing(viewing_id, screen) as live:
            try:
                with self._opening:
                    shown = live.session.show(span)
            finally:
                self._forget_ended(viewing_id, live)
            with self._lock:
                self.served_bytes += len(shown)
            return shown

    def open_ids(self) -> tuple[str, ...]:
        """The viewings that are open now."""
        self.tend()
        with self._lock:
            return tuple(self._live)

    # --- the end ----------------------------------------------------------------------------------

    def leave(self, viewing_id: str, person: str) -> None:
        """One of the two leaves: it ends for both (P40). Whoever only waited waits no longer."""
        with self._lock:
            waiting = self._waiting.get(viewing_id)
            if waiting is not None and waiting.signed.actor.person == person:
                del self._waiting[viewing_id]
            live = self._live.get(viewing_id)
        if live is not None and person in {seat.person for seat in live.session.seats}:
            self.end(viewing_id, f"{self._vault.keyring.person(person).name} left")

    def screen_ended(self, screen: str) -> None:
        """A web session ended: signed out, idle, or revoked. What it took part in ends."""
        with self._lock:
            for viewing_id in [name for name, one in self._waiting.items() if one.screen == screen]:
                del self._waiting[viewing_id]
            ending = [name for name, live in self._live.items() if screen in live.screens]
        for viewing_id in ending:
            self.end(viewing_id, "a screen signed out")

    def end(self, viewing_id: str, because: str) -> None:
        """End a viewing for both."""
        with self._lock:
            live = self._live.pop(viewing_id, None)
            if live is not None:
                self._over[viewing_id] = because
        if live is not None:
            with live.lock:
                self._end_session(viewing_id, live, because)
            self._ended(viewing_id)

    def _end_session(self, viewing_id: str, live: LiveViewing, because: str) -> None:
        """The keys are forgotten before the log is told; where it can't be, the journal is."""
        try:
            live.session.end(because)
        except VaultError as failure:
            log.error(
                "the end of a viewing could not be logged",
                viewing=viewing_id,
                error=failure.sentence,
            )

    def end_all(self, because: str) -> None:
        """The process stops."""
        with self._lock:
            self._waiting.clear()
            ending = tuple(self._live)
        for viewing_id in ending:
            self.end(viewing_id, because)

    def tend(self) -> None:
        """Forget keys that waited too long; end what is over or was left. Called by every use, and
        by the ticker.
        """
        now = self._clock.monotonic_s()
        with self._lock:
            for viewing_id in [
                name for name, one in self._waiting.items() if now - one.since_s > WAIT_S
            ]:
                del self._waiting[viewing_id]
            left = [
                name
                for name, live in self._live.items()
                if now - min(live.screens.values()) > ABSENT_S
            ]
            live_viewings = list(self._live.items())
        for viewing_id in left:
            self.end(viewing_id, "a screen was left")
        for viewing_id, live in live_viewings:
            self._forget_ended(viewing_id, live)

    def _forget_ended(self, viewing_id: str, live: LiveViewing) -> None:
        # A live viewing that is busy is not over, and is looked at again soon.
        if not live.lock.acquire(blocking=False):
            return
        try:
            because = live.session.over
        except VaultError as failure:
            because = "its time was over"
            log.error(
                "the end of a viewing could not be logged",
                viewing=viewing_id,
                error=failure.sentence,
            )
        finally:
            live.lock.release()
        if because is not None:
            with self._lock:
                mine = self._live.get(viewing_id) is live
                if mine:
                    del self._live[viewing_id]
                    self._over[viewing_id] = because
            if mine:
                self._ended(viewing_id)
