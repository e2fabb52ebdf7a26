"""Clock histories: a vault's months beside a wall clock that lies (faults F1, F2; I7).

True time runs on one axis; the machine's wall clock, its monotonic clock, its restarts, its network
time and its people are drawn by a seeded hand: jumps forward and back, 1970 and 2036, a dead clock
at the start, a suspended machine, network time lost, found and lying. Every hour the rules of the
sweep decide on a handful of recordings. Held against the true axis:

- nothing is destroyed before its true 28 days are over;
- nothing under hold is destroyed, ever;
- where the clock was honest throughout, everything due is destroyed within a day and an hour of
  running.

Two things are outside these histories, and nothing here is proven of them: recordings are taken in
only in hours when the wall is right, so that their times are true; and network time never lies
across a restart.

    python -m tests.campaigns.crash.clocks --count 1000
"""

import argparse
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from vault.rules.clock_guard import Look, Seen, confirm, judge
from vault.rules.due import RETENTION, Facts, Hold, due
from vault.rules.sweep_plan import Candidate, Mark, Situation, plan

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = 120
HOUR = timedelta(hours=1)
STRANGE = (
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2036, 2, 7, tzinfo=UTC),
    datetime(2099, 12, 31, tzinfo=UTC),
)


@dataclass
class Machine:
    """The clocks of one machine. `wrong` is wall minus truth."""

    truth: datetime = BEGIN
    wrong: timedelta = timedelta(0)
    monotonic_s: float = 100.0
    boot_s: float = 100.0
    boot: int = 1
    synced: bool = True
    honest: bool = True

    @property
    def wall(self) -> datetime:
        return self.truth + self.wrong

    def look(self) -> Look:
        return Look(self.wall, self.monotonic_s, self.boot_s, f"boot-{self.boot}", self.synced)

    def run(self, length: timedelta) -> None:
        self.truth += length
        self.monotonic_s += length.total_seconds()
        self.boot_s += length.total_seconds()

    def suspend(self, length: timedelta) -> None:
        self.truth += length
        self.boot_s += length.total_seconds()

    def restart(self, off: timedelta, wrong: timedelta | None = None) -> None:
        """Off for a while; then the wall is right, or what the dead clock says until network time
        comes.
        """
        self.truth += off
        self.boot += 1
        self.monotonic_s = self.boot_s = 20.0
        if wrong is not None:
            self.wrong = wrong


@dataclass
class Recording:
    """A recording by the true axis. Its stop is what was believed at its docking: the wall then."""

    name: str
    true_stop: datetime
    facts: Facts
    held_until: datetime | None
    mark: Mark | None = None


@dataclass
class History:
    """One run: what was destroyed, and what must not have been."""

    seed: int
    violations: list[str] = field(default_factory=list)
    destroyed: int = 0
    taken_in: int = 0
    met: Counter[str] = field(default_factory=Counter)
    left_over: int = 0


def play(seed: int) -> History:
    """Play one history."""
    chance = random.Random(seed)
    machine = Machine()
    history = History(seed)
    seen: Seen | None = confirm(None, machine.look())
    standing: dict[str, Recording] = {}
    events = _events(chance)
    end = BEGIN + timedelta(days=DAYS)
    while machine.truth < end:
        machine.run(HOUR)
        for kind in [kind for at, kind in events if at <= machine.truth]:
            seen = _happen(kind, machine, chance, seen)
            history.met[kind] += 1
        events = [(at, kind) for at, kind in events if at > machine.truth]
        if machine.honest and chance.random() < 1 / 40:
            _take_in(standing, machine, chance, history)
        for recording in standing.values():
            _lift(recording, machine)
        trust = judge(seen, machine.look())
        seen = trust.seen
        candidates = [Candidate(one.name, one.facts, one.mark) for one in standing.values()]
        blocked = None if trust.trusted else trust.because
        decided = plan(
            candidates, Situation(machine.wall, seen.running_s, blocked, (), False, frozenset())
        )
        for name in decided.unmark:
            standing[name].mark = None
        for name in decided.mark:
            standing[name].mark = Mark(machine.wall, seen.running_s)
        for name in decided.destroy:
            _destroy(standing.pop(name), machine, history)
    honest = set(history.met) <= {"weekly"}
    late = []
    for one in standing.values():
        moment = due(one.facts).due
        if moment is not None and machine.truth > moment + timedelta(hours=25):
            late.append(one)
    history.left_over = len(late)
    if honest and late:
        history.violations.append(f"{late[0].name} was due long ago, by an honest clock")
    return history


def _events(chance: random.Random) -> list[tuple[datetime, str]]:
    kinds = (
        "ahead",
        "back",
        "strange",
        "restart",
        "dead clock",
        "suspend",
        "network lost",
        "network back",
        "network lies",
        "weekly",
        "repaired",
    )
    count = chance.choice((0, 1, 3, 8, 15))
    return sorted(
        (BEGIN + timedelta(hours=chance.uniform(1, DAYS * 24)), chance.choice(kinds))
        for _ in range(count)
    )


def _happen(kind: str, machine: Machine, chance: random.Random, seen: Seen | None) -> Seen | None:
    match kind:
        case "ahead" | "network lies":
            machine.wrong += timedelta(hours=chance.choice((0.2, 3, 30, 24 * 9, 24 * 40, 24 * 400)))
            machine.synced = kind == "network lies" or machine.synced
        case "back":
            machine.wrong -= timedelta(hours=chance.choice((0.2, 3, 30, 24 * 40)))
        case "strange":
            machine.wrong = chance.choice(STRANGE) - machine.truth
        case "restart":
            machine.restart(timedelta(hours=chance.choice((0.1, 12, 60))))
            machine.wrong, machine.synced = timedelta(0), True
        case "dead clock":
            machine.restart(timedelta(hours=1), chance.choice(STRANGE) - machine.truth)
            machine.synced = False
        case "suspend":
            machine.suspend(timedelta(hours=chance.choice((1, 14, 62))))
        case "network lost":
            machine.synced = False
        case "network back" | "repaired":
            machine.wrong, machine.synced = timedelta(0), True
        case "weekly":
            # Two persons hold the wall against another clock; a wrong one they put right first.
            machine.wrong = timedelta(0)
            seen = confirm(seen, machine.look())
    machine.honest = machine.wrong == timedelta(0)
    return seen


def _take_in(
    standing: dict[str, Recording], machine: Machine, chance: random.Random, history: History
) -> None:
    history.taken_in += 1
    stop = machine.truth - timedelta(hours=chance.uniform(0, 9))
    name = f"r{history.taken_in}"
    held = machine.truth + timedelta(days=chance.uniform(1, 60)) if chance.random() < 0.3 else None
    holds = (Hold("complaint", "K", machine.wall, None),) if held else ()
    standing[name] = Recording(name, stop, Facts(stop, machine.wall, holds), held)


def _lift(recording: Recording, machine: Machine) -> None:
    """The case that holds it ends, by the true axis; the entry of it has the wall's time."""
    if recording.held_until is not None and machine.truth >= recording.held_until:
        recording.held_until = None
        lifted = tuple(
            Hold(hold.kind, hold.reference, hold.since, machine.wall)
            for hold in recording.facts.holds
        )
        recording.facts = Facts(recording.facts.retention_from, recording.facts.docked, lifted)


def _destroy(recording: Recording, machine: Machine, history: History) -> None:
    history.destroyed += 1
    age = machine.truth - recording.true_stop
    if age < RETENTION - timedelta(minutes=6):
        history.violations.append(f"{recording.name} was destroyed {RETENTION - age} early")
    if recording.held_until is not None:
        history.violations.append(f"{recording.name} was destroyed under hold")
    assert due(recording.facts).due is not None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    began_s = time.monotonic()
    met: Counter[str] = Counter()
    destroyed = taken = 0
    violations: list[str] = []
    for seed in range(asked.seed, asked.seed + asked.count):
        history = play(seed)
        met.update(history.met)
        destroyed, taken = destroyed + history.destroyed, taken + history.taken_in
        violations += [f"seed {seed}: {violation}" for violation in history.violations]
    print(
        f"{asked.count} histories of {DAYS} days, {taken} recordings taken in, {destroyed} "
        f"destroyed, "
        f"{time.monotonic() - began_s:.0f} s"
    )
    print(", ".join(f"{kind} {count}" for kind, count in sorted(met.items())))
    print(f"{len(violations)} violations", *violations[:10], sep="\n")
    raise SystemExit(bool(violations))


if __name__ == "__main__":
    main()
