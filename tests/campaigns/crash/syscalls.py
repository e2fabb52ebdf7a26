"""Kill and fail `dockd once` at its durable system calls (Faults C1, C2, C4, C5, E1).

    python -m tests.campaigns.crash.syscalls --kills all --pairs 500 --errors all

A kill: the process dies at the entry of the call; the oracle looks; `dockd once` runs again to its
end; the oracle looks. A pair: the process dies, and the one that mends it dies too, at a call of
its own reference trace. An error: the call is not made and returns EIO or ENOSPC, once, or EIO at
each flush from then on; the process must say what is wrong and lose nothing, and run through when
the disk is well again.
"""

import argparse
import itertools
import queue
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.campaigns.crash.forked_dockd import Nursery
from tests.campaigns.crash.oracle import check, check_at_the_end, committed
from tests.campaigns.crash.reference_world import Shift, World
from tests.campaigns.crash.strace import Call, Injection, Point, Watch, once, points, traced

T = TypeVar("T")

WORKERS = 2
PAIRS_A_CRASH = 4
"""How many second kills are tried in the recovery from one first kill, as its reference traces cost
two runs.
"""

CLEAR_CODES = frozenset((0, 65, 70, 75))
"""The exit codes that dockd promises (vault/errors.py)."""
FLUSHES = frozenset(("fsync", "fdatasync"))


@dataclass
class Outcome:
    """What a set of runs came to. `met` counts by kind and system call; `missed` are injections
    that met no call or another.
    """

    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        self.met += other.met
        self.missed += other.missed
        self.violations += other.violations


class Campaign:
    """One shift's world, broken again and again in copies. `close` removes all of them."""

    def __init__(self, folder: Path, workers: int = WORKERS) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._shift = Shift.make(folder / "template")
        self._workers = workers
        self._free: queue.SimpleQueue[Nursery] = queue.SimpleQueue()
        self._all = ExitStack()
        for _ in range(workers):
            self._free.put(self._all.enter_context(Nursery()))

    def close(self) -> None:
        self._all.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- the points -------------------------------------------------------------------------------

    def reference(self) -> tuple[list[Point], int]:
        """Every point of an undisturbed run, and how many durable calls no injection can meet."""
        found: list[Point] = []
        lost = 0
        for watch in Watch:
            with self._nursery() as nursery, self._world(None) as world:
                calls = traced(nursery, world, watch).calls
                here = points(calls, watch)
                found += here
                lost += sum(call.durable for call in calls) - len(here)
        return found, lost

    # --- sets of runs -----------------------------------------------------------------------------

    def kills(self, chosen: Iterable[Point]) -> Outcome:
        """Fault C1. One kill each."""
        return self._each(self._kill, [Injection(point) for point in chosen])

    def pairs(self, firsts: Iterable[tuple[Point, int]], seed: int) -> Outcome:
        """Fault C2. For each first kill so many second ones in the recovery from it."""
        return self._each(
            lambda task: self._pairs(
                Injection(task[0]), task[1], random.Random(f"{seed} {task[0]}")
            ),
            list(firsts),
        )

    def errors(self, chosen: Iterable[Injection]) -> Outcome:
        """Faults C4 and C5. One refusal of the disk each, or one disk that refuses every flush from
        then on.
        """
        return self._each(self._error, list(chosen))

    def _each(self, run: Callable[[T], Outcome], tasks: Sequence[T]) -> Outcome:
        whole = Outcome()
        with ThreadPoolExecutor(self._workers) as pool:
            for outcome in pool.map(run, tasks):
                whole.add(outcome)
        return whole

    # --- one run ----------------------------------------------------------------------------------

    def _kill(self, injection: Injection) -> Outcome:
        with self._nursery() as nursery, self._world(None) as world:
            outcome = _struck(nursery, world, injection, "kill")
            if not outcome.missed:
                outcome.violations += _mended(nursery, world, str(injection))
            return outcome

    def _pairs(self, first: Injection, count: int, chance: random.Random) -> Outcome:
        with self._nursery() as nursery, self._world(None) as world:
            whole = _struck(nursery, world, first, "first kill of a pair")
            if whole.missed:
                return whole
            seconds: list[Point] = []
            for watch in (Watch.ANYWHERE, Watch.NEW):
                with self._world(world) as mended:
                    seconds += points(traced(nursery, mended, watch).calls, watch)
            for second in chance.sample(seconds, min(count, len(seconds))):
                with self._world(world) as again:
                    injection = Injection(second)
                    outcome = _struck(
                        nursery, again, injection, "kill in recovery", f"{first}, then "
                    )
                    if not outcome.missed:
                        outcome.violations += _mended(nursery, again, f"{first}, then {injection}")
                    whole.add(outcome)
            return whole

    def _error(self, injection: Injection) -> Outcome:
        with self._nursery() as nursery, self._world(None) as world:
            run = traced(nursery, world, injection.point.watch, injection)
            outcome = Outcome()
            if not run.met(injection):
                outcome.missed.append(f"{injection}: exit code {run.code}")
                return outcome
            kind = f"{injection.error}{' for ever' if injection.for_ever else ''}"
            outcome.met[kind, injection.point.name] += 1
            wrong = (
                _unclear(run.code, run.said)
                + check(world)
                + trusted_after_failure(world, run.calls)
            )
            if injection.point.name != "unlink":
                wrong += [
                    f"{path.name} was left in incoming/"
                    for path in (world.vault / "incoming").iterdir()
                ]
            if run.code == 0:
                wrong += check_at_the_end(world)
            outcome.violations += [f"{injection} (exit code {run.code}): {line}" for line in wrong]
            outcome.violations += _mended(nursery, world, str(injection))
            return outcome

    @contextmanager
    def _nursery(self) -> Iterator[Nursery]:
        nursery = self._free.get()
        try:
            yield nursery
        finally:
            self._free.put(nursery)

    @contextmanager
    def _world(self, source: World | None) -> Iterator[World]:
        """A copy of a world, or of the untouched one, for as long as the block runs."""
        folder = self._folder / f"world-{next(self._numbers)}"
        try:
            yield source.copy(folder) if source else self._shift.copy(folder)
        finally:
            shutil.rmtree(folder)


def _struck(
    nursery: Nursery, world: World, injection: Injection, kind: str, after: str = ""
) -> Outcome:
    """Kill a run in this world and look at what it left."""
    outcome = Outcome()
    before = committed(world)
    run = traced(nursery, world, injection.point.watch, injection)
    if not run.met(injection):
        outcome.missed.append(f"{after}{injection}: exit code {run.code}")
        return outcome
    outcome.met[kind, injection.point.name] += 1
    outcome.violations += [f"{after}{injection}: {line}" for line in check(world, before=before)]
    return outcome


def _mended(nursery: Nursery, world: World, after: str) -> list[str]:
    """Run again to the end, undisturbed, and look."""
    before = committed(world)
    run = once(nursery, world)
    wrong = check_at_the_end(world, before)
    if run.code:
        wrong.append(f"exit code {run.code}: {run.said.strip()[-300:]}")
    return [f"{after}, mended: {line}" for line in wrong]


def _unclear(code: int, said: str) -> list[str]:
    """A process that meets a failing disk ends with a code of its own choosing and a sentence for
    people.
    """
    if code not in CLEAR_CODES:
        return [f"no clear exit code: {said.strip()[-300:]}"]
    if "Traceback" in said:
        return [f"a traceback instead of a sentence: {said.strip()[-300:]}"]
    return [] if said.strip() else ["not a word was said"]


def trusted_after_failure(world: World, calls: Sequence[Call]) -> list[str]:
    """Fault C4. A part whose flush failed is never flushed again nor published, and is gone; its
    recording is not owned.
    """
    wrong = []
    for at, failure in enumerate(calls):
        if failure.name not in FLUSHES or not failure.failed:
            continue
        later = [
            call.name for call in calls[at + 1 :] if call.path == failure.path and not call.failed
        ]
        if failure.place.startswith("vault/incoming/"):
            wrong += [
                f"{name} on {failure.place} after its flush failed"
                for name in later
                if name in (*FLUSHES, "linkat")
            ]
            if Path(failure.path).exists():
                wrong.append(f"{failure.place} is still there after its flush failed")
        if failure.place.startswith("vault/footage/"):
            stored = f'"subject":"{Path(failure.path).name}"'.encode()
            wrong += [
                f"{failure.place} was trusted after its flush failed"
                for leaf in committed(world)
                if stored in leaf
            ]
    return wrong


def error_injections(chosen: Iterable[Point]) -> Iterator[Injection]:
    """EIO and ENOSPC once at each point, and for a flush EIO from then on."""
    for point in chosen:
        yield Injection(point, "EIO")
        yield Injection(point, "ENOSPC")
        if point.name in FLUSHES:
            yield Injection(point, "EIO", for_ever=True)


def every(step: int, found: Sequence[Point], seed: int) -> list[Point]:
    """Every `step`th point; the seed says with which of the first `step` to begin."""
    return list(found[seed % step :: step]) if step > 1 else list(found)


def first_kills(
    found: Sequence[Point], pairs: int, seed: int, each: int = PAIRS_A_CRASH
) -> list[tuple[Point, int]]:
    """First kills, spread over the run, and how many second ones each is given."""
    count = -(-pairs // each)
    chosen = (
        sorted(random.Random(seed).choices(range(len(found)), k=count))
        if count > len(found)
        else None
    )
    spread = (
        chosen
        if chosen is not None
        else [(seed + at * len(found) // count) % len(found) for at in range(count)]
    )
    return [(found[at], min(each, pairs - done * each)) for done, at in enumerate(spread)]


def _report(outcome: Outcome) -> None:
    kinds: dict[str, Counter[str]] = {}
    for (kind, name), count in sorted(outcome.met.items()):
        kinds.setdefault(kind, Counter())[name] = count
    for kind, names in kinds.items():
        print(
            f"{kind}: {names.total()} met "
            f"({', '.join(f'{name} {count}' for name, count in names.most_common())})"
        )
    for line in outcome.missed:
        print(f"MISSED {line}")
    for line in outcome.violations:
        print(f"VIOLATION {line}")
    print(f"{len(outcome.missed)} missed, {len(outcome.violations)} violations")


def _count(text: str) -> int | None:
    return None if text == "all" else int(text)


def _some(found: Sequence[Point], count: int | None, seed: int) -> list[Point]:
    if count is None:
        return list(found)
    return every(max(1, len(found) // count), found, seed)[:count] if count else []


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--kills", type=_count, default=0, help="how many points are killed at, or `all`"
    )
    parser.add_argument("--pairs", type=int, default=0, help="how many kills in recovery")
    parser.add_argument(
        "--errors",
        type=_count,
        default=0,
        help="how many points fail, each with every error, or `all`",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=WORKERS)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Campaign(Path(folder), options.workers) as campaign,
    ):
        found, lost = campaign.reference()
        names = Counter(point.name for point in found)
        print(
            f"{len(found)} points "
            f"({', '.join(f'{name} {count}' for name, count in names.most_common())}); {lost} "
            f"out of reach"
        )
        tasks: list[tuple[str, Callable[[], Outcome]]] = [
            ("kills", lambda: campaign.kills(_some(found, options.kills, options.seed))),
            (
                "pairs",
                lambda: campaign.pairs(
                    first_kills(found, options.pairs, options.seed), options.seed
                ),
            ),
            (
                "errors",
                lambda: campaign.errors(
                    error_injections(_some(found, options.errors, options.seed))
                ),
            ),
        ]
        whole = Outcome()
        for what, run in tasks:
            started_s = time.monotonic()
            whole.add(run())
            print(f"{what}: {time.monotonic() - started_s:.0f} s", flush=True)
        _report(whole)
    return 1 if whole.violations or whole.missed else 0


if __name__ == "__main__":
    sys.exit(main())
