"""Runs parsers on as many inputs as asked for, in this process or in several, and counts."""

import multiprocessing
import resource
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.sharedctypes import RawArray
from typing import Any

from tests.campaigns.fuzz.guarded import Steps
from tests.campaigns.fuzz.parser import Finding, Parser, examine, warm

FINDINGS_MAX = 20
"""So many different ones are kept of one parser; a hundred thousand of one kind say no more than
the first.
"""
MEMORY_MAX_BYTES = 3 << 30
"""Address space of a process of its own: a parser that asks for more gets a MemoryError, and that
is a finding.
"""
SILENT_MAX_S = 120.0
"""Without a new input for so long, a process is hanging where no Python runs."""


@dataclass
class Count:
    """Of one parser."""

    inputs: int = 0
    read: int = 0
    steps_max: int = 0


@dataclass
class Report:
    """What was tried and found. Adds up."""

    counts: dict[str, Count] = field(default_factory=dict)
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)

    @property
    def inputs(self) -> int:
        return sum(count.inputs for count in self.counts.values())

    def note(self, parser: str, is_read: bool, steps: int, finding: Finding | None) -> None:
        """One input's outcome."""
        count = self.counts.setdefault(parser, Count())
        count.inputs += 1
        count.read += is_read
        count.steps_max = max(count.steps_max, steps)
        if finding is not None:
            self.find(finding)

    def find(self, finding: Finding) -> None:
        """Kept if it is the shortest of its kind."""
        key = (finding.parser, finding.what)
        kept = self.findings.get(key)
        of_parser = Counter(parser for parser, _ in self.findings)[finding.parser]
        if (kept is None and of_parser < FINDINGS_MAX) or (
            kept is not None and len(finding.content) < len(kept.content)
        ):
            self.findings[key] = finding

    def add(self, other: "Report") -> None:
        for name, count in other.counts.items():
            mine = self.counts.setdefault(name, Count())
            mine.inputs += count.inputs
            mine.read += count.read
            mine.steps_max = max(mine.steps_max, count.steps_max)
        for finding in other.findings.values():
            self.find(finding)


def quotas(parsers: Sequence[Parser], inputs: int) -> list[int]:
    """How many inputs each parser gets, by its share: `inputs` in all."""
    whole = sum(parser.share for parser in parsers)
    bounds = [
        inputs * sum(parser.share for parser in parsers[:place]) // whole
        for place in range(len(parsers) + 1)
    ]
    return [bounds[place + 1] - bounds[place] for place in range(len(parsers))]


def run(
    parsers: Sequence[Parser],
    inputs: int,
    seed: int,
    turn: int = 0,
    turns: int = 1,
    place: Any = None,
) -> Report:
    """Every `turns`th input from the number `turn` on. `place`, two numbers, always says which
    parser has which input.
    """
    report, steps = Report(), Steps()
    for index, (parser, quota) in enumerate(zip(parsers, quotas(parsers, inputs), strict=True)):
        warm(parser, steps)
        for number in range(turn, quota, turns):
            if place is not None:
                place[:] = (index, number)
            is_read, finding = examine(parser, parser.input(seed, number), steps)
            report.note(parser.name, is_read, steps.taken, finding)
    return report


def run_in_processes(parsers: Sequence[Parser], inputs: int, seed: int, processes: int) -> Report:
    """As `run`, in processes of their own: the death of one, or its silence, is a finding."""
    spawn = multiprocessing.get_context("spawn")
    report = Report()
    workers: dict[int, tuple[SpawnProcess, Connection, Any, tuple[int, int]]] = {}
    for turn in range(processes):
        place = RawArray("q", 2)
        ours, theirs = spawn.Pipe(duplex=False)
        process = spawn.Process(
            target=_work, args=(theirs, place, parsers, inputs, seed, turn, processes), daemon=True
        )
        process.start()
        theirs.close()
        workers[turn] = (process, ours, place, (-1, -1))
    while workers:
        ready = wait([ours for _, ours, _, _ in workers.values()], timeout=SILENT_MAX_S)
        for turn, (process, ours, place, before) in list(workers.items()):
            now = (place[0], place[1])
            if ours in ready:
                report.add(_farewell(process, ours, parsers[now[0]], seed, now[1]))
                del workers[turn]
            elif ready:
                continue
            elif now == before:
                process.kill()
            else:
                workers[turn] = (process, ours, place, now)
    return report


def _work(
    pipe: Connection,
    place: Any,
    parsers: Sequence[Parser],
    inputs: int,
    seed: int,
    turn: int,
    turns: int,
) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))
    pipe.send(run(parsers, inputs, seed, turn, turns, place))
    pipe.close()


def _farewell(
    process: SpawnProcess, pipe: Connection, parser: Parser, seed: int, number: int
) -> Report:
    """What a process had to report, or what it died of."""
    try:
        report = pipe.recv()
    except EOFError:
        report = None
    pipe.close()
    process.join()
    if isinstance(report, Report):
        return report
    died = Report()
    died.find(
        Finding(
            parser.name,
            f"the process died with exit code {process.exitcode}",
            parser.input(seed, number),
        )
    )
    return died
