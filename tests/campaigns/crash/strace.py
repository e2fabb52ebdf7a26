"""One `dockd once` under strace: what it called, and what was made to happen at one of its calls.

strace counts `when=` for each system call by its number **and for each thread**. So every point is
taken from a reference trace, with the number that strace itself will count up to: among all calls
of that thread and that number, or, for the calls that an interpreter makes in masses (open, write),
among those on watched paths. The trace of the run then proves which call was met.
"""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.campaigns.crash.forked_dockd import Nursery
from tests.campaigns.crash.reference_world import World
from vault.errors import Reaction

KILLED = -9
_ATTACHED = "attached"
_ANYWHERE = (
    "pwrite64",
    "pwritev",
    "pwritev2",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "fallocate",
    "ftruncate",
    "truncate",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
)
_ON_PATHS = ("open", "openat", "openat2", "creat", "write", "writev")
_OPENS = frozenset(("open", "openat", "openat2", "creat"))
_ON_DESCRIPTORS = frozenset(("write", "writev", "pwrite64", "pwritev", "pwritev2"))
_PART_NAMES = ("0000.sealed", "0001.sealed", "manifest.sealed", "record.json")
_PARTS_A_RUN = 8

_LINE = re.compile(r"(?P<thread>\d+) +(?P<call>\w+)\((?P<rest>.*)")
_RESUMED = re.compile(r"(?P<thread>\d+) +<\.\.\. (?P<call>\w+) resumed>(?P<rest>.*)")
_FAILED = re.compile(r"\) += -1 (?P<code>E[A-Z]+)")
_FD_PATH = re.compile(r"^\d+<([^>]*)>")
_AT_PATH = re.compile(r'^(?:AT_FDCWD|\d+)(?:<([^>]*)>)?, "([^"]*)"')
_PATH = re.compile(r'^"([^"]*)"')
_CHANCE = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=/)\d+(?=-\d+-[^/]*\.part)|\d{4}/\d{2}(?=/|$)"
)


class Watch(Enum):
    """Which calls strace looks at, and so which it counts."""

    ANYWHERE = "all calls that change names, contents or their durability, on any path"
    NEW = "opens and writes of parts, of the log's register and of SQLite's journal"
    STANDING = "opens of the database and of the lock"

    @property
    def calls(self) -> tuple[str, ...]:
        return _ANYWHERE if self is Watch.ANYWHERE else _ON_PATHS

    def paths(self, world: World, process: int) -> tuple[Path, ...]:
        """Every path on which this process may make such a call; none where paths don't matter."""
        vault = world.vault
        match self:
            case Watch.ANYWHERE:
                return ()
            case Watch.STANDING:
                return (vault / "catalogue" / "catalogue.db", vault / "intake.lock")
        parts = [
            vault / "incoming" / f"{process}-{at}-{name}.part"
            for at in range(_PARTS_A_RUN)
            for name in _PART_NAMES
        ]
        return (
            *parts,
            vault / "catalogue" / "catalogue.db-journal",
            vault / "register" / "log" / "000000.jsonl",
        )


@dataclass(frozen=True)
class Call:
    """A call as it was traced. `place` is its path in the world with chance (numbers of processes,
    UUIDs, dates) taken out; `failed` the error it returned, `injected` whether strace made it do
    so.
    """

    thread: int
    name: str
    path: str
    place: str
    creates: bool
    failed: str | None
    injected: bool

    @property
    def durable(self) -> bool:
        """Whether it concerns the world and can change what stands there. An open that can't create
        anything can't.
        """
        return bool(self.place) and (self.creates or self.name not in _OPENS)


@dataclass(frozen=True)
class Point:
    """The `nth` call of this name that a thread makes under this watch, and where the reference run
    made it.
    """

    watch: Watch
    name: str
    nth: int
    place: str

    def __str__(self) -> str:
        return f"{self.name}#{self.nth} {self.place}"


@dataclass(frozen=True)
class Injection:
    """What happens at a point: the process is killed, or the call is not made and returns an error,
    once or from then on.
    """

    point: Point
    error: str | None = None
    for_ever: bool = False

    @property
    def expression(self) -> str:
        what = f"error={self.error}" if self.error else "signal=KILL"
        return (
            f"inject={self.point.name}:{what}:when={self.point.nth}{'+' if self.for_ever else ''}"
        )

    def __str__(self) -> str:
        return (
            f"{'kill' if not self.error else self.error + (' for ever' if self.for_ever else '')} "
            f"at {self.point}"
        )


@dataclass(frozen=True)
class Run:
    """A run that has ended: exit code (KILLED), what was traced, what it printed."""

    code: int
    calls: tuple[Call, ...]
    said: str

    def met(self, injection: Injection) -> bool:
        """Whether it happened, and at the very call that the reference run made there."""
        if injection.point not in points(self.calls, injection.point.watch):
            return False
        if injection.error is None:
            # Whatever is on the card is touched by its reader: that process is struck, and the dock
            # says so and ends in order.
            on_card = injection.point.place.startswith("card/")
            return self.code == (Reaction.TRY_AGAIN.value if on_card else KILLED)
        first = next((call for call in self.calls if call.injected), None)
        return first is not None and (first.name, first.place) == (
            injection.point.name,
            injection.point.place,
        )


def once(nursery: Nursery, world: World) -> Run:
    """`dockd once`, not traced."""
    _prepare(nursery, world)
    code = nursery.run()
    return Run(code, (), world.output.read_text())


def traced(nursery: Nursery, world: World, watch: Watch, injection: Injection | None = None) -> Run:
    """`dockd once` under strace, from its first step on."""
    process = _prepare(nursery, world)
    trace = world.folder / "trace"
    command = [
        "strace",
        "-f",
        "-y",
        "-p",
        str(process),
        "-o",
        str(trace),
        *_filters(world, watch, process),
    ]
    if injection:
        command += ["-e", injection.expression]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        said = strace.stderr.readline() if strace.stderr else ""
        code = nursery.run()
    if _ATTACHED not in said:
        raise RuntimeError(f"strace did not attach: {said}")
    return Run(code, read_trace(trace, world.folder), world.output.read_text())


def _prepare(nursery: Nursery, world: World) -> int:
    world.output.unlink(missing_ok=True)
    arguments = ["once", str(world.card), "--config", str(world.config)]
    return nursery.prepare(arguments, world.temporary, world.output)


def _filters(world: World, watch: Watch, process: int) -> Iterator[str]:
    yield from ("-e", "trace=" + ",".join(watch.calls), "-e", "signal=none")
    for path in watch.paths(world, process):
        yield from ("-P", str(path))


def read_trace(trace: Path, folder: Path) -> tuple[Call, ...]:
    """The calls in strace's file; their places are those in the world in this folder."""
    return tuple(_calls(trace.read_text(errors="replace").splitlines(), folder))


def points(calls: Sequence[Call], watch: Watch) -> list[Point]:
    """The points of a reference trace that an injection can meet.

    Where another thread reaches the same number earlier the injection would meet that call instead:
    there is one point for each name and number, at the call that comes first.
    """
    counts: Counter[tuple[int, str]] = Counter()
    met: set[tuple[str, int]] = set()
    found = []
    for call in calls:
        counts[call.thread, call.name] += 1
        nth = counts[call.thread, call.name]
        if (call.name, nth) not in met:
            met.add((call.name, nth))
            if call.durable:
                found.append(Point(watch, call.name, nth, call.place))
    return found


def _calls(lines: Sequence[str], folder: Path) -> Iterator[Call]:
    """The calls in the order in which they began, each with what it returned."""
    texts: list[tuple[int, str, str]] = []
    begun: dict[tuple[int, str], int] = {}
    for line in lines:
        if found := _LINE.fullmatch(line):
            begun[int(found["thread"]), found["call"]] = len(texts)
            texts.append((int(found["thread"]), found["call"], found["rest"]))
        elif found := _RESUMED.fullmatch(line):
            at = begun[int(found["thread"]), found["call"]]
            thread, name, rest = texts[at]
            texts[at] = (thread, name, rest + found["rest"])
    for thread, name, rest in texts:
        path = _path_of(name, rest)
        failed = _FAILED.search(rest)
        inside = path.startswith(f"{folder}/")
        place = _CHANCE.sub("*", path[len(str(folder)) + 1 :]) if inside else ""
        creates = "O_CREAT" in rest or name == "creat"
        yield Call(
            thread,
            name,
            path,
            place,
            creates,
            failed["code"] if failed else None,
            "(INJECTED)" in rest,
        )


def _path_of(name: str, rest: str) -> str:
    """The path that a call is about: the file of a descriptor, a name, or a name in the folder of a
    descriptor.
    """
    if (found := _AT_PATH.match(rest)) and name not in _ON_DESCRIPTORS:
        folder, path = found[1] or "", found[2]
        return path if path.startswith("/") else f"{folder}/{path}"
    found = _FD_PATH.match(rest) or _PATH.match(rest)
    return found[1] if found else ""
