"""`python -m tests.campaigns.bench speed`: the whole way of a recording into the vault against
other ways, round by round.

One round runs every contender once, on the same card, each from a cold cache; so what else this
machine does falls on all of them. What counts are the ratios of the medians of one such run.

The check of the others is measured twice, as it stands and again from a cold cache: right after the
writing it meets the copy in the page cache, and proves nothing of the medium; dockd always reads
back from the medium. The targets hold against the faster.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.campaigns.bench.contenders import CONTENDERS, DOCKD, Contender
from tests.campaigns.bench.disk import folder_on_disk, forget_cache
from tests.campaigns.bench.ground import Ground, demand_taken, made_ground
from tests.campaigns.bench.process import NOTHING, Cost, measured

GIB = 1 << 30
MIB = 1 << 20
CPU_S_PER_GIB_MAX = 2.2
PEAK_BYTES_MAX = 120 * MIB
WALL_RATIO_MAX = {"cp": 0.7, "age": 0.5, "restic": 0.35}
"""What the issue asks: dockd's wall time divided by the other's, its check included."""


@dataclass(frozen=True, slots=True)
class Run:
    """One contender in one round. `check` met the page cache, `cold_check` the medium."""

    take: Cost
    check: Cost
    cold_check: Cost

    @property
    def as_typed(self) -> Cost:
        return self.take + self.check

    @property
    def from_medium(self) -> Cost:
        return self.take + self.cold_check


@dataclass(frozen=True, slots=True)
class Medians:
    """A contender's medians over all rounds, with the fastest and the slowest of them."""

    runs: int
    wall_s: float
    least_wall_s: float
    most_wall_s: float
    medium_wall_s: float
    take_wall_s: float
    cpu_s_per_gib: float
    peak_bytes: float

    @classmethod
    def of(cls, runs: Sequence[Run], size_bytes: int) -> "Medians":
        walls = [run.as_typed.wall_s for run in runs]
        return cls(
            runs=len(runs),
            wall_s=median(walls),
            least_wall_s=min(walls),
            most_wall_s=max(walls),
            medium_wall_s=median(run.from_medium.wall_s for run in runs),
            take_wall_s=median(run.take.wall_s for run in runs),
            cpu_s_per_gib=median(run.as_typed.cpu_s for run in runs) * GIB / size_bytes,
            peak_bytes=median(run.as_typed.peak_bytes for run in runs),
        )


def speed(console: Console, parent: Path, gib: float, rounds: int, only: Sequence[str]) -> bool:
    """Measure, print, and say whether every target that was measured is reached."""
    contenders = list(_present(console, only))
    size_bytes = round(gib * GIB)
    with folder_on_disk(parent, 3 * size_bytes + GIB) as folder:
        card = folder / "card"
        console.print(f"Making a card with {gib:g} GiB of segments.")
        subprocess.run(
            [sys.executable, "-m", "tests.campaigns.bench.footage", str(card), str(size_bytes)],
            check=True,
        )
        arena = Arena(folder, card)
        console.print(
            f"{arena.files} segments, {arena.size_bytes / MIB:.0f} MiB, on {_disk(folder)}."
        )
        runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
        for number in range(1, rounds + 1):
            for contender in contenders:
                run = arena.run(contender)
                runs[contender.name].append(run)
                console.print(f"round {number}: {contender.name} {_line(run)}", soft_wrap=True)
            console.print(
                f"round {number}: load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
            )
        if not arena.cold:
            console.print(
                "[yellow]Only root may drop the page cache: of the files alone it was asked "
                "to be dropped."
            )
        medians = {name: Medians.of(found, arena.size_bytes) for name, found in runs.items()}
    _show(console, contenders, medians)
    return _judge(console, medians)


class Arena:
    """The card, its digests, an empty dock, and a place where each run's files stand until it is
    over.
    """

    def __init__(self, folder: Path, card: Path) -> None:
        self._folder = folder
        self._card = card
        self._sums = folder / "SHA256SUMS"
        self.files, self.size_bytes = _write_sums(card, self._sums)
        serial = json.loads((card / "DEVICE" / "device.json").read_bytes())["serial"]
        self._ground = made_ground(folder / "dock", (serial, "--card", str(card)))
        self.cold = True

    def run(self, contender: Contender) -> Run:
        """One contender once. Raises CommandFailed where it did not do its work."""
        with self._place() as out:
            if contender is DOCKD:
                self._ground.copied(out / "dock")
            self._step(contender.prepare, out)
            self._forget()
            take = self._step(contender.take, out)
            if contender is DOCKD:
                demand_taken(Ground(out / "dock"), self.size_bytes, "whole")
            if contender.check is None:
                return Run(take, NOTHING, NOTHING)
            check = self._step(contender.check, out)
            self._forget()
            return Run(take, check, self._step(contender.check, out))

    @contextmanager
    def _place(self) -> Iterator[Path]:
        out = self._folder / "out"
        out.mkdir()
        try:
            yield out
        finally:
            shutil.rmtree(out)

    def _step(self, script: str, out: Path) -> Cost:
        environment = {
            "CARD": str(self._card),
            "OUT": str(out),
            "SUMS": str(self._sums),
            "PYTHON": sys.executable,
            "RESTIC_PASSWORD": "bench",
            "RESTIC_CACHE_DIR": str(out / "cache"),
            "BORG_PASSPHRASE": "bench",
            "BORG_BASE_DIR": str(out / "borg"),
        }
        return measured(("sh", "-e", "-c", script), environment, self._folder / "told.log")

    def _forget(self) -> None:
        self.cold = forget_cache(self._folder) and self.cold


def _present(console: Console, only: Sequence[str]) -> Iterator[Contender]:
    for contender in CONTENDERS:
        if only and contender.name not in only:
            continue
        missing = contender.missing()
        if missing:
            console.print(
                f"[yellow]{contender.name} is left out: {', '.join(missing)} is not installed."
            )
        else:
            yield contender


def _write_sums(card: Path, sums: Path) -> tuple[int, int]:
    """The digests that the manifests state; how many segments there are, and their bytes."""
    lines, size_bytes = [], 0
    for manifest in sorted(card.glob("RECORDINGS/*/recording.json")):
        for segment in json.loads(manifest.read_bytes())["segments"]:
            lines.append(
                f"{segment['sha256']}  {(manifest.parent / segment['name']).relative_to(card)}\n"
            )
            size_bytes += segment["bytes"]
    sums.write_text("".join(lines))
    return len(lines), size_bytes


def _disk(folder: Path) -> str:
    try:
        device = folder.stat().st_dev
        link = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").readlink()
    except OSError:
        return "an unnamed disk"
    return link.name


def _line(run: Run) -> str:
    text = f"{run.as_typed.wall_s:.1f} s, {run.as_typed.cpu_s:.1f} CPU s"
    return (
        text
        if run.cold_check is NOTHING
        else f"{text}; checked from the medium {run.from_medium.wall_s:.1f} s"
    )


def _show(console: Console, contenders: Sequence[Contender], medians: dict[str, Medians]) -> None:
    ours = medians.get(DOCKD.name)
    table = Table(title=f"Medians of {next(iter(medians.values())).runs} rounds")
    for heading in ("", "what"):
        table.add_column(heading, overflow="fold")
    for heading in (
        "take s",
        "with check s",
        "least",
        "most",
        "check from medium s",
        "CPU s/GiB",
        "peak MiB",
        "dockd is",
    ):
        table.add_column(heading, justify="right", overflow="fold")
    for contender in contenders:
        found = medians[contender.name]
        ratio = (
            f"{ours.wall_s / found.wall_s:.2f} ({ours.wall_s / found.medium_wall_s:.2f})"
            if ours is not None
            else ""
        )
        table.add_row(
            contender.name,
            contender.does,
            f"{found.take_wall_s:.1f}",
            f"{found.wall_s:.1f}",
            f"{found.least_wall_s:.1f}",
            f"{found.most_wall_s:.1f}",
            f"{found.medium_wall_s:.1f}",
            f"{found.cpu_s_per_gib:.2f}",
            f"{found.peak_bytes / MIB:.0f}",
            ratio,
        )
    console.print(table)


def _judge(console: Console, medians: dict[str, Medians]) -> bool:
    ours = medians.get(DOCKD.name)
    if ours is None:
        return True
    facts = [
        ("CPU s per GiB", ours.cpu_s_per_gib, CPU_S_PER_GIB_MAX),
        ("peak MiB", ours.peak_bytes / MIB, PEAK_BYTES_MAX / MIB),
    ]
    facts += [
        (f"wall time of {name} with check", ours.wall_s / medians[name].wall_s, most)
        for name, most in WALL_RATIO_MAX.items()
        if name in medians
    ]
    for what, found, most in facts:
        word = "[green]reached" if found <= most else "[bold red]missed"
        console.print(f"{word}[/]: {what} {found:.2f}, at most {most:g}")
    return all(found <= most for _, found, most in facts)
