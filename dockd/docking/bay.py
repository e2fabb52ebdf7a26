"""Bays: what stands where, and what is done with it, for everyone who looks on.

A `BayState` is one moment of one bay, never changed, only replaced: who reads the board (the status
socket, the dock's page, the terminal) sees whole moments and holds no lock of the thread that
works.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from dockd.card.contract import SENTENCE_MAX
from vault.clock import Clock


class Lamp(StrEnum):
    """The one colour that an officer looks at."""

    GREEN = "green"
    """May be taken."""
    BLUE = "blue"
    """Busy: leave it."""
    AMBER = "amber"
    """Waits for something that comes by itself, or is put right by docking again."""
    RED = "red"
    """A person has to look."""


class Phase(StrEnum):
    """What happens in a bay, in the words that the officer reads."""

    IDENTIFYING = "identifying"
    PULLING = "pulling"
    CHECKING = "checking"
    ERASING = "erasing"
    SAFE = "safe to take"
    WAITING = "waiting"
    TAKEN_EARLY = "taken too early"
    VAULT_FULL = "vault full"
    UNKNOWN = "unknown camera"
    BROKEN = "broken recording"
    NOT_ERASED = "not erased"
    FAULT = "fault"

    @property
    def lamp(self) -> Lamp:
        return _LAMPS[self]

    @property
    def busy(self) -> bool:
        """Whether a thread works, and so owes progress."""
        return self.lamp is Lamp.BLUE


_LAMPS = {
    Phase.IDENTIFYING: Lamp.BLUE,
    Phase.PULLING: Lamp.BLUE,
    Phase.CHECKING: Lamp.BLUE,
    Phase.ERASING: Lamp.BLUE,
    Phase.SAFE: Lamp.GREEN,
    Phase.WAITING: Lamp.AMBER,
    Phase.TAKEN_EARLY: Lamp.AMBER,
    Phase.VAULT_FULL: Lamp.RED,
    Phase.UNKNOWN: Lamp.RED,
    Phase.BROKEN: Lamp.RED,
    Phase.NOT_ERASED: Lamp.RED,
    Phase.FAULT: Lamp.RED,
}


@dataclass(frozen=True, slots=True)
class BayState:
    """One bay at one moment. `recording_number` counts from 1 to `recording_count` within the
    phase; sizes are of plaintext.
    """

    bay: str
    phase: Phase
    since_utc: datetime
    camera: str | None = None
    officer: str | None = None
    recording_number: int = 0
    recording_count: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    bytes_per_s: int = 0
    message: str = ""
    battery_percent: int | None = None
    reports_missing: int = 0
    """Recordings of this camera in the vault that no report of use speaks of yet (P21)."""

    @property
    def seconds_left(self) -> int | None:
        """For what is still to be pulled, at the present rate; None while there is no rate to go
        by.
        """
        if self.phase is not Phase.PULLING or self.bytes_per_s <= 0:
            return None
        return -(-max(0, self.bytes_total - self.bytes_done) // self.bytes_per_s)


@dataclass(frozen=True, slots=True)
class Counters:
    """Since dockd started."""

    cameras_docked: int = 0
    recordings_stored: int = 0
    recordings_erased: int = 0
    bytes_stored: int = 0
    alarms: int = 0


LEFTOVERS_MAX = 64
"""How many bays that stand empty, but have something to say, the board remembers: a bay's name
comes from outside.
"""


class Board:
    """All bays as they are now. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, BayState] = {}
        self._counters = Counters()

    def states(self) -> tuple[BayState, ...]:
        """Sorted by bay."""
        with self._lock:
            return tuple(state for _, state in sorted(self._states.items()))

    def counters(self) -> Counters:
        with self._lock:
            return self._counters

    def count(
        self,
        *,
        cameras_docked: int = 0,
        recordings_stored: int = 0,
        recordings_erased: int = 0,
        bytes_stored: int = 0,
        alarms: int = 0,
    ) -> None:
        """Add to the counters."""
        with self._lock:
            old = self._counters
            self._counters = Counters(
                cameras_docked=old.cameras_docked + cameras_docked,
                recordings_stored=old.recordings_stored + recordings_stored,
                recordings_erased=old.recordings_erased + recordings_erased,
                bytes_stored=old.bytes_stored + bytes_stored,
                alarms=old.alarms + alarms,
            )

    def put(self, state: BayState) -> None:
        with self._lock:
            self._states[state.bay] = state
            early = [name for name, old in self._states.items() if old.phase is Phase.TAKEN_EARLY]
            for name in early[:-LEFTOVERS_MAX]:
                del self._states[name]

    def remove(self, bay: str) -> None:
        with self._lock:
            self._states.pop(bay, None)

    def forget_early(self, camera: str) -> None:
        """The camera that was taken too early is back: its complaint is settled."""
        with self._lock:
            for name, state in list(self._states.items()):
                if state.phase is Phase.TAKEN_EARLY and state.camera == camera:
                    del self._states[name]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What the watchdog needs of a bay: `progress` moves with every step and every block of bytes.

    `allowance_s` is how much longer than usual the step in hand may be silent (the flush and the
    read-back of a big file). `queued` is true while the bay has asked for the vault's buffers and
    holds none: then others must move, not it.
    """

    bay: str
    busy: bool
    progress: int
    allowance_s: float = 0.0
    queued: bool = False


class Bay:
    """The working side of one bay. Its own thread and that thread's reads write; the board and the
    watchdog read.
    """

    def __init__(self, name: str, board: Board, clock: Clock) -> None:
        self.name = name
        self.board = board
        self._clock = clock
        self._lock = threading.Lock()
        self._state = BayState(bay=name, phase=Phase.IDENTIFYING, since_utc=clock.now())
        self._progress = 0
        self._allowance_s = 0.0
        self._asked = 0
        self._reading = 0
        self._rate_from = (0, clock.monotonic_s())
        board.put(self._state)

    @property
    def state(self) -> BayState:
        with self._lock:
            return self._state

    def heartbeat(self) -> Heartbeat:
        with self._lock:
            queued = self._asked > 0 and self._reading == 0
            return Heartbeat(
                self.name, self._state.phase.busy, self._progress, self._allowance_s, queued
            )

    def enter(self, phase: Phase, message: str = "", *, count: int = 0) -> None:
        """A new phase begins, with `count` recordings before it."""
        with self._lock:
            self._allowance_s = 0.0
            self._publish(
                replace(
                    self._state,
                    phase=phase,
                    message=message[:SENTENCE_MAX],
                    since_utc=self._clock.now(),
                    recording_number=0,
                    recording_count=count,
                    bytes_per_s=0,
                )
            )

    def camera_is(
        self, serial: str, officer: str | None = None, battery_percent: int | None = None
    ) -> None:
        """Which camera it is, and as far as they are known who carries it and how full it is."""
        with self._lock:
            if serial == self._state.camera:
                officer = officer or self._state.officer
                battery_percent = (
                    self._state.battery_percent if battery_percent is None else battery_percent
                )
            self._publish(
                replace(
                    self._state, camera=serial, officer=officer, battery_percent=battery_percent
                )
            )

    def reports(self, missing: int) -> None:
        """How many of the camera's recordings lack their report."""
        with self._lock:
            if missing != self._state.reports_missing:
                self._publish(replace(self._state, reports_missing=missing))

    def plan(self, bytes_total: int) -> None:
        """So much is to come; the rate counts from now."""
        with self._lock:
            self._rate_from = (0, self._clock.monotonic_s())
            self._publish(
                replace(self._state, bytes_total=bytes_total, bytes_done=0, bytes_per_s=0)
            )

    def recording(self, number: int, *, allowance_s: float = 0.0) -> None:
        """The recording of this number is in hand."""
        with self._lock:
            self._allowance_s = allowance_s
            self._publish(replace(self._state, recording_number=number))

    def advance(self, size_bytes: int) -> None:
        """Bytes came over. Negative where a part was thrown away and will come again."""
        with self._lock:
            done = self._state.bytes_done + size_bytes
            from_bytes, from_s = self._rate_from
            elapsed_s = self._clock.monotonic_s() - from_s
            rate = round((done - from_bytes) / elapsed_s) if elapsed_s > 0 else 0
            self._publish(replace(self._state, bytes_done=done, bytes_per_s=max(0, rate)))

    def already(self, size_bytes: int) -> None:
        """So much of the plan was here before: it counts as done, and not for the rate."""
        with self._lock:
            from_bytes, from_s = self._rate_from
            self._rate_from = (from_bytes + size_bytes, from_s)
            self._publish(replace(self._state, bytes_done=self._state.bytes_done + size_bytes))

    def buffer_asked(self, change: int) -> None:
        """A segment was offered to the vault (+1), or is done with (-1)."""
        with self._lock:
            self._progress += 1
            self._asked += change

    def buffer_reading(self, change: int) -> None:
        """The vault began to read an offered segment (+1), or is done with it (-1)."""
        with self._lock:
            self._progress += 1
            self._reading += change

    def step(self) -> None:
        """Something moved that is not counted in bytes."""
        with self._lock:
            self._progress += 1

    def _publish(self, state: BayState) -> None:
        self._progress += 1
        self._state = state
        self.board.put(state)


class Vigil:
    """Decides whether the watchdog may be told that all is well. Used by one thread."""

    def __init__(self, period_s: float, clock: Clock) -> None:
        self._period_s = period_s
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}

    def all_is_well(self, heartbeats: Sequence[Heartbeat]) -> bool:
        """False when a busy bay has not moved for the period and its step's allowance.

        A bay in the queue for the vault's buffers is excused as long as a bay that holds one moves:
        who stands in a queue can't be the one that is stuck. Where all are silent nobody is
        excused.
        """
        now_s = self._clock.monotonic_s()
        seen: dict[str, tuple[int, float]] = {}
        silent: list[Heartbeat] = []
        moving = False
        for heartbeat in heartbeats:
            progress, moved_s = self._seen.get(heartbeat.bay, (heartbeat.progress, now_s))
            if progress != heartbeat.progress or not heartbeat.busy:
                progress, moved_s = heartbeat.progress, now_s
            seen[heartbeat.bay] = (progress, moved_s)
            if now_s - moved_s > self._period_s + heartbeat.allowance_s:
                silent.append(heartbeat)
            elif heartbeat.busy and not heartbeat.queued:
                moving = True
        self._seen = seen
        return all(heartbeat.queued and moving for heartbeat in silent)
