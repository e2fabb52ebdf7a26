"""`kill -9` of a unit's main process in the guest, at a moment drawn over the time that the unit
works.

Moments are drawn by a seeded generator; what the guest is at by then follows from its own speed.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.campaigns.vm.guest_station import Station
from tests.campaigns.vm.machine import MachineFailed
from tests.campaigns.vm.readers import kill_bus_reader, kill_reader
from tests.campaigns.vm.stage import until
from tests.campaigns.vm.worn_cameras import POLL_S, Carrier
from vault.clock import Clock

DOCKD, READER, BUS = "dockd", "dock-reader@ of a card", "dock-reader@ of the bus"
PAGES = ("vault-web", "dock-page", "dock-clock")
ONESHOTS = ("vault-custody", "vault-sweep", "vault-verify", "vault-checkpoint", "vault-backup")
UNITS = (DOCKD, READER, BUS, *PAGES, *ONESHOTS)
SERVICES = (DOCKD, *PAGES)

BACK_S = 300.0
"""How long a service may take to come back: its restart waits five seconds, and all else is the
emulation's slowness.
"""
ENDED_S = 900.0
TRIES = 40
DEATHS_MAX = 2
"""So many deaths may count for one bay before something was done well there: one more closes the
port, as it should.
"""
WORK_S = dict.fromkeys(UNITS, 10.0) | {DOCKD: 20.0, "vault-web": 20.0, "dock-clock": 3.0}
"""Before anything was measured: from a process's start to where it has done what it does."""

BUSY = frozenset({"identifying", "pulling", "checking", "erasing"})

PROCESSES = "/sys/fs/cgroup/system.slice/{unit}.service/cgroup.procs"
"""Its first line is the main process; asking systemd costs ten times as much."""
STARTED = (
    "systemctl start --no-block {unit}; until read -r p 2>/dev/null <{processes}; do "
    "((SECONDS < 60)) || exit 3; sleep 0.1; done"
)
BEGUN = "while test -d /proc/$p && ! grep -qs libsqlite3 /proc/$p/maps; do sleep 0.3; done"
"""Before they come to the vault, these programs are at Python's own start, most of their time in an
emulated guest.

They are nice to others: who looks too often keeps them from their work.
"""
STRIKE = "{started}; {begun}; sleep {moment_s:.3f}; kill -9 $p"
UPTIME = "read -r {0} _ </proc/uptime"
GONE = "while test -d /proc/$p; do sleep 0.3; done"
MEASURE = f"{{started}}; {{begun}}; {UPTIME.format('a')}; {GONE}; {UPTIME.format('b')}; echo $a $b"


@dataclass
class Toll:
    """Kills by unit, and for how long each unit works. Any thread."""

    killed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(UNITS, 0))
    works_s: dict[str, float] = field(default_factory=lambda: dict(WORK_S))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, unit: str) -> None:
        with self.lock:
            self.killed[unit] += 1

    @property
    def total(self) -> int:
        return sum(self.killed.values())


class Striker:
    """Strikes at units, one lane of units a thread."""

    def __init__(
        self, station: Station, carriers: list[Carrier], toll: Toll, clock: Clock, seed: str
    ) -> None:
        self._station = station
        self._carriers = carriers
        self._toll = toll
        self._clock = clock
        self._chance = {unit: random.Random(f"{seed} {unit}") for unit in UNITS}
        self._last_pid: dict[str, str] = {}
        self._deaths: dict[str, tuple[int, int]] = {}
        """By bay: kills of its reader, or of dockd while it was busy, and how many dockings had
        come to their end by then.
        """

    def strike(self, unit: str) -> None:
        """One kill. Raises MachineFailed where the unit does not come to be killed."""
        if unit in SERVICES:
            self._service(unit)
        elif unit in ONESHOTS:
            self._oneshot(unit)
        else:
            self._reader(unit)
        self._toll.count(unit)

    def measure(self, unit: str) -> None:
        """Run a oneshot to its end, and remember how long it works. Raises MachineFailed where it
        does not end well.
        """
        began_s, ended_s = map(
            float, self._station.machine.must(_script(MEASURE, unit), ENDED_S).split()
        )
        self._station.machine.must(
            until(f'test "$(systemctl show -P ActiveState {unit})" = inactive', 60), 120
        )
        self._toll.works_s[unit] = max(ended_s - began_s, 0.1)

    def _service(self, unit: str) -> None:
        pid = self._risen(unit)
        self._clock.sleep(self._moment_s(unit))
        if unit == DOCKD:
            self._until(
                lambda: all(self._deaths_at(bay) < DEATHS_MAX for bay in list(self._deaths)), BACK_S
            )
            self._count_deaths(self._busy())
        if self._station.machine.run(f"kill -9 {pid}").code:
            raise MachineFailed(f"{unit} ended by itself")
        self._last_pid[unit] = pid

    def _risen(self, unit: str) -> str:
        """The process that systemd started after the last kill."""
        pid = ""

        def risen() -> bool:
            nonlocal pid
            pid = self._station.machine.run(
                f"read -r p <{PROCESSES.format(unit=unit)} && echo $p"
            ).output
            return pid.isdecimal() and pid != self._last_pid.get(unit)

        if not self._until(risen, BACK_S):
            raise MachineFailed(f"{unit} was not started anew within {BACK_S:.0f} s")
        return pid

    def _reader(self, unit: str) -> None:
        """A reader is killed while it reads; where it was through before the moment came, another
        one is waited for.
        """
        for _ in range(TRIES):
            bay = self._busy_bay() if unit == READER else None
            self._clock.sleep(self._moment_s(unit))
            if self._station.machine.run(
                kill_reader(bay, "KILL") if bay else kill_bus_reader("KILL")
            ).code:
                continue
            if bay:
                self._count_deaths([bay])
            return
        raise MachineFailed(f"no {unit} was there to be killed")

    def _busy_bay(self) -> str:
        found: list[str] = []

        def busy() -> bool:
            found[:] = [bay for bay in self._busy() if self._deaths_at(bay) < DEATHS_MAX]
            return bool(found)

        if not self._until(busy, BACK_S):
            raise MachineFailed(f"no camera was being read within {BACK_S:.0f} s")
        return self._chance[READER].choice(found)

    def _busy(self) -> list[str]:
        try:
            return [bay["bay"] for bay in self._station.bays() if bay["phase"] in BUSY]
        except MachineFailed:
            return []

    def _count_deaths(self, bays: list[str]) -> None:
        for bay in bays:
            self._deaths[bay] = (self._deaths_at(bay) + 1, self._ended_at(bay))

    def _deaths_at(self, bay: str) -> int:
        """Kills that may count for it since a docking ended there: one that is safe to take stands
        there for seconds.
        """
        count, ended = self._deaths.get(bay, (0, 0))
        return count if ended == self._ended_at(bay) else 0

    def _ended_at(self, bay: str) -> int:
        return sum(carrier.dockings for carrier in self._carriers if carrier.bay == bay)

    def _oneshot(self, unit: str) -> None:
        for _ in range(TRIES):
            moment_s = self._moment_s(unit)
            done = self._station.machine.run(_script(STRIKE, unit, moment_s), ENDED_S)
            if not done.code:
                return
            # It was through before: it works no longer than this.
            self._toll.works_s[unit] = moment_s
        raise MachineFailed(f"{unit} could not be killed: {done.output}")

    def _moment_s(self, unit: str) -> float:
        return self._chance[unit].uniform(0, self._toll.works_s[unit])

    def _until(self, holds: Callable[[], bool], seconds: float) -> bool:
        deadline_s = self._clock.monotonic_s() + seconds
        while not holds():
            if self._clock.monotonic_s() > deadline_s:
                return False
            self._clock.sleep(POLL_S)
        return True


def _script(text: str, unit: str, moment_s: float = 0.0) -> str:
    started = STARTED.format(unit=unit, processes=PROCESSES.format(unit=unit))
    return text.format(
        started=started, begun="true" if unit == "vault-custody" else BEGUN, moment_s=moment_s
    )
