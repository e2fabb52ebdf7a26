"""Power cuts, tried by the thousand (faults C2, C3, E1): record a real docking, rebuild every disk
that a cut may leave, recover.

1. The docking of the reference card is recorded by strace: dockd's pull, the vault's intake,
   SQLite's own writes, the erase.
2. For each step of the record, `image.py` rebuilds what a power cut right after it may leave, of
   vault and card alike.
3. Each image becomes a folder in memory. The oracle looks at it; the real recovery runs on it, and
   the oracle looks; the card is docked again, and the oracle looks for the last time: everything
   stored, proven and erased.
4. Recoveries are recorded too, and cut in the same way: the second crash. The first one is a power
   cut, or the death of the process alone: then everything is still seen, and what nobody flushed
   since may be lost by the cut that comes later.

    python -m tests.campaigns.crash.explorer --images 20000 --processes 2

One seed gives one choice of cuts. (Keys and ids are random, so no two runs have the same bytes.)
"""

import argparse
import copy
import itertools
import multiprocessing
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.campaigns.crash import docking
from tests.campaigns.crash.image import Disk, Image
from tests.campaigns.crash.oracle import check, check_after_recovery, check_at_the_end
from tests.campaigns.crash.reference_world import Shift, World
from tests.campaigns.crash.trace import Recorder, Step
from vault.crypto.canonical_json import parse_object

WORKER = "tests.campaigns.crash.docking"
SECOND_SHARE = 0.6
"""How many of all images are of second crashes."""
KILLED_SHARE = 0.4
"""How many of the second crashes follow on the death of the process, and not on a power cut."""
IMAGES_A_ROOT = 30
"""How many images are tried of one recorded recovery: many recoveries cut in few places find more
than few cut in many.
"""
FEWEST_A_CUT = 12
"""So many images are made at each cut at least, before the ones that are tried are
drawn from them.
"""
EXAMPLES = 20
_NAME_CHANGES = frozenset(("mkdir", "link", "rename", "unlink", "rmdir"))
_CHANCE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+")
_REGISTER = "vault/register/log/000000.jsonl"

Leaves = tuple[bytes, ...]


@dataclass(frozen=True)
class Plan:
    """How much to try. `stop`: the first violation ends it. `keep`: where images with a violation
    are left. `died_at`: only deaths of the process right after steps that tell so (`unlink
    vault/catalogue/`), and a power cut in the recovery from it.
    """

    images: int
    processes: int = 1
    seed: int = 1
    stop: bool = False
    keep: Path | None = None
    died_at: str = ""

    @property
    def first(self) -> int:
        return self.images - self.second

    @property
    def second(self) -> int:
        return self.images if self.died_at else round(self.images * SECOND_SHARE)

    @property
    def killed_share(self) -> float:
        """How many of the second crashes follow on the death of the process."""
        return 1.0 if self.died_at else KILLED_SHARE


@dataclass
class Report:
    """What was tried and what was found. Adds up."""

    first: int = 0
    second: int = 0
    recoveries: int = 0
    violations: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        self.first += other.first
        self.second += other.second
        self.recoveries += other.recoveries
        self.violations += other.violations
        self.examples = (self.examples + other.examples)[:EXAMPLES]


@dataclass(frozen=True)
class Cut:
    """An image to try, and what was promised when the power failed: the log's entries that had been
    committed.
    """

    image: Image
    promised: Leaves


@dataclass(frozen=True)
class Reference:
    """The recorded first docking, and the disk it began on."""

    shift: Shift
    start: dict[str, bytes]
    folders: tuple[str, ...]
    steps: tuple[Step, ...]


def scratch_folder() -> Path:
    """Memory where there is such a file system."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="explorer-", dir=memory if memory.is_dir() else None))


def record_reference(scratch: Path) -> Reference:
    """Make the reference world and record its docking."""
    shift = Shift.make(scratch / "template")
    world = shift.copy(scratch / "reference")
    disk = Disk.of_folder(world.folder)
    image = next(disk.images(random.Random(0), 1))
    with Recorder(WORKER) as recorder:
        steps, answer = recorder.record(world.folder)
    if "erased" not in answer:
        raise RuntimeError(f"the reference docking went wrong: {answer}")
    files = {path: content.data for path, content in image.files.items()}
    return Reference(shift, files, tuple(image.folders), tuple(steps))


def promised(register: bytes) -> Leaves:
    """The entries that were committed for certain when the register read so: all below the newest,
    whose transaction may not have ended. Nothing is appended before the transaction of the entry
    before it has.
    """
    found: dict[int, bytes] = {}
    for line in register[: register.rfind(b"\n") + 1].splitlines():
        try:
            found[int(parse_object(line)["sequence"])] = line
        except (ValueError, KeyError):
            continue
    return tuple(found[at] for at in range(max(found, default=0)))


def cuts(
    disk: Disk, steps: Sequence[Step], wanted: int, chance: random.Random, seen: set[bytes]
) -> Iterator[Cut]:
    """About so many images, drawn evenly from the cuts after each of the steps; none
    that was seen.
    """
    taken = 0
    for number, step in enumerate(steps, start=1):
        disk.do(step)
        room = wanted * number // len(steps) - taken
        if room <= 0:
            continue
        leaves = promised(disk.read(_REGISTER))
        images = list(disk.images(chance, max(FEWEST_A_CUT, 2 * room)))
        chance.shuffle(images)
        for image in [image for image in images if image.digest not in seen][:room]:
            seen.add(image.digest)
            taken += 1
            yield Cut(image, leaves)


class Judge:
    """Lays images down, lets the real recovery work on them, and asks the oracle."""

    def __init__(self, shift: Shift, scratch: Path, keep: Path | None) -> None:
        self._shift = shift
        self._folder = scratch / "image"
        self._keep = keep
        self.report = Report()

    def violations(self, cut: Cut) -> list[str]:
        """What is wrong with an image, its recovery, and the docking after it."""
        cut.image.lay_down(self._folder)
        world = World(self._shift, self._folder)
        try:
            found = check(world, before=cut.promised)
            found += _tried("recovery", partial(docking.recover, self._folder))
            found += check_after_recovery(world, before=cut.promised)
            found += _tried("docking", partial(docking.dock, self._folder))
            found += _tried("end", partial(check_at_the_end, world, cut.promised))
        finally:
            shutil.rmtree(self._folder)
        return list(dict.fromkeys(found))

    def try_cut(self, cut: Cut, before: str = "") -> None:
        """Try one image and write down what is wrong with it."""
        found = self.violations(cut)
        self.report.violations.update({sentence.split()[0].rstrip(":") for sentence in found})
        if found and len(self.report.examples) < EXAMPLES:
            self.report.examples.append("\n    ".join([f"{before}{cut.image.told}", *found]))
            if self._keep is not None:
                self._keep.mkdir(parents=True, exist_ok=True)
                cut.image.lay_down(self._keep / cut.image.digest.hex())


def _tried(what: str, work: Callable[[], object]) -> list[str]:
    """The violations that work returns; that it raises is one."""
    try:
        result = work()
    except Exception as error:  # noqa: BLE001 - whatever stops a recovery is what is looked for
        return [f"{what}: {type(error).__name__}: {error}"]
    return [str(sentence) for sentence in result] if isinstance(result, list) else []


class Exploration:
    """One process's part: every image whose turn it is."""

    def __init__(self, reference: Reference, plan: Plan, part: int) -> None:
        self._reference = reference
        self._plan = plan
        self._part = part
        self._scratch = scratch_folder()
        self._judge = Judge(reference.shift, self._scratch, plan.keep)
        self._seen: set[bytes] = set()
        self._wanted = 0
        """How many images of second crashes are this part's: what the first ones left
        of the plan.
        """

    def run(self) -> Report:
        """First crashes, then second ones."""
        docking.quiet()
        elsewhere, tempfile.tempdir = tempfile.tempdir, str(self._scratch)
        try:
            first = self._first()
            for cut in random.Random(self._plan.seed).sample(first, len(first)):
                if self._over():
                    break
                self._judge.try_cut(cut)
                self._judge.report.first += 1
            self._second(first)
        finally:
            tempfile.tempdir = elsewhere
            shutil.rmtree(self._scratch)
        return self._judge.report

    def _over(self) -> bool:
        return self._plan.stop and bool(self._judge.report.violations)

    def _first(self) -> list[Cut]:
        """All parts draw the same images, as they have the same seed, and each takes its own."""
        reference = self._reference
        disk = Disk(reference.start, reference.folders)
        drawn = cuts(
            disk, reference.steps, self._plan.first, random.Random(self._plan.seed), self._seen
        )
        every = list(drawn)
        self._wanted = -(-(self._plan.images - len(every)) // self._plan.processes)
        return every[self._part :: self._plan.processes]

    def _second(self, first: list[Cut]) -> None:
        chance = random.Random(self._plan.seed * 1000 + self._part)
        wanted = self._wanted
        share = self._plan.killed_share
        roots = _spread(first, max(1, round(wanted * (1 - share)) // IMAGES_A_ROOT))
        killed = self._killed(max(1, round(wanted * share) // IMAGES_A_ROOT))
        with Recorder(WORKER) as recorder:
            for disk, told in itertools.chain(
                killed, ((Disk.of_image(root.image), root.image.told) for root in roots)
            ):
                if self._over() or self._judge.report.second >= wanted:
                    return
                self._cut_recovery(
                    recorder,
                    disk,
                    told,
                    chance,
                    min(IMAGES_A_ROOT, wanted - self._judge.report.second),
                )

    def _killed(self, count: int) -> Iterator[tuple[Disk, str]]:
        """The disk at so many moments at which the process dies and the power stays."""
        reference, plan = self._reference, self._plan
        every = _moments(reference.steps, random.Random(plan.seed))
        asked = [number for number in every if plan.died_at in str(reference.steps[number])]
        moments = set(asked[self._part :: plan.processes][:count])
        disk = Disk(reference.start, reference.folders)
        for number, step in enumerate(reference.steps):
            disk.do(step)
            if number in moments:
                yield copy.deepcopy(disk), f"killed after step {number + 1} ({step})"

    def _cut_recovery(
        self, recorder: Recorder, disk: Disk, told: str, chance: random.Random, wanted: int
    ) -> None:
        folder = self._scratch / "recovered"
        disk.seen().lay_down(folder)
        try:
            steps, _ = recorder.record(folder)
        finally:
            shutil.rmtree(folder)
        self._judge.report.recoveries += 1
        for cut in cuts(disk, steps, wanted, chance, self._seen):
            if self._over():
                return
            self._judge.try_cut(cut, f"{told}, then in the recovery ")
            self._judge.report.second += 1


def _moments(steps: Sequence[Step], chance: random.Random) -> list[int]:
    """Numbers of the steps that change a name, every kind of them in turn: such a change is seen
    before it lasts. (Writes that are missing after a death are missing after a power cut as well.)
    """
    kinds: dict[str, list[int]] = {}
    for number, step in enumerate(steps):
        if step.call in _NAME_CHANGES:
            kinds.setdefault(
                f"{step.call} {_CHANCE.sub('*', step.target or step.path)}", []
            ).append(number)
    for numbers in kinds.values():
        chance.shuffle(numbers)
    turns = itertools.zip_longest(*chance.sample(list(kinds.values()), len(kinds)))
    return [number for turn in turns for number in turn if number is not None]


def _spread(first: list[Cut], count: int) -> Iterable[Cut]:
    """Cuts spread evenly over the run, `count` first and the others after them."""
    stride = max(1, len(first) // count)
    for offset in range(stride):
        yield from first[offset::stride]


def _explore_part(arguments: tuple[Reference, Plan, int]) -> Report:
    return Exploration(*arguments).run()


def explore(plan: Plan) -> Report:
    """Try as many images as the plan says, in as many processes."""
    scratch = scratch_folder()
    try:
        reference = record_reference(scratch)
        parts = [(reference, plan, part) for part in range(plan.processes)]
        whole = Report()
        if plan.processes == 1:
            whole.add(_explore_part(parts[0]))
        else:
            with multiprocessing.get_context("spawn").Pool(plan.processes) as pool:
                for report in pool.imap_unordered(_explore_part, parts):
                    whole.add(report)
        return whole
    finally:
        shutil.rmtree(scratch)


def main() -> int:
    """Explore and say what was found; 1 where something was."""
    parser = argparse.ArgumentParser(
        description="Power cuts at every step of a docking, and of the recovery from it."
    )
    parser.add_argument(
        "--images", type=int, default=1000, help="how many images to try, second crashes included"
    )
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stop", action="store_true", help="end at the first violation")
    parser.add_argument("--keep", type=Path, help="leave images with a violation in this folder")
    parser.add_argument(
        "--died-at",
        default="",
        help="try only deaths right after such steps, each with a cut in its recovery",
    )
    plan = Plan(**vars(parser.parse_args()))
    began = time.monotonic()
    report = explore(plan)
    seconds = time.monotonic() - began
    tried = report.first + report.second
    for example in report.examples:
        print(example)
    print(
        f"{tried} images: {report.first} of a first crash, {report.second} of a second one in "
        f"{report.recoveries} recoveries."
    )
    print(
        f"{seconds:.0f} s, {1000 * seconds * plan.processes / max(1, tried):.1f} ms for each "
        f"image and process."
    )
    found = ", ".join(
        f"{invariant}: {count}" for invariant, count in sorted(report.violations.items())
    )
    print(f"Images with violations: {found or 'none'}.")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
