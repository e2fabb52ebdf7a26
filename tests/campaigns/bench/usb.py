"""`python -m tests.campaigns.bench usb`: the whole pull over USB against the backend alone and
against the same card as a folder.

The backend alone says what the wire gives; the folder says what sealing, the disk and the proof
give. A pull over USB does both, one beside the other, so it is held against the slower of the two.
The camera's clock is read and set at its tick, which takes up to two seconds of a docking, whatever
it holds; so what the clock costs stands in a row of its own. And: from plug to the first byte of a
segment, the clock included.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.campaigns.bench.disk import folder_on_disk, forget_cache
from tests.campaigns.bench.footage import SERIAL
from tests.campaigns.bench.ground import DOCKD, Ground, demand_taken, made_ground
from tests.campaigns.bench.latency import PATIENCE_S, daemon, first_read, watched
from tests.campaigns.bench.process import CommandFailed, Cost, measured
from tests.campaigns.bench.speed import GIB, MIB

RATIO_MIN = 0.8
MB_PER_S_MIN = 400.0
LATENCY_MAX_S = 1.5
RAW, FOLDER, USB, CLOCK = "backend alone", "dockd, folder", "dockd, USB", "dockd, USB, with clock"


@dataclass(frozen=True, slots=True)
class Bus:
    """A camera's server, as a process of its own."""

    process: "subprocess.Popen[str]"
    port: int

    def order(self, word: str) -> None:
        """Do it, and come back when it is done."""
        self.begin(word)
        self.done()

    def begin(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def done(self) -> None:
        assert self.process.stdout is not None
        if self.process.stdout.readline().strip() != "done":
            raise CommandFailed("The simulated camera's server has ended.")


@contextmanager
def served(card: Path) -> Iterator[Bus]:
    """The card on a bus, not yet plugged in."""
    command = (sys.executable, "-m", "tests.campaigns.bench.usb_server", str(card), SERIAL)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield Bus(process, int(process.stdout.readline()))


def usb(console: Console, parent: Path, gib: float, rounds: int, times: int) -> bool:
    """Measure, print, and say whether every target is reached."""
    size_bytes = round(gib * GIB)
    with folder_on_disk(parent, 3 * size_bytes + GIB) as folder:
        card = folder / "card"
        console.print(f"Making a card with {gib:g} GiB of segments.")
        subprocess.run(
            [sys.executable, "-m", "tests.campaigns.bench.footage", str(card), str(size_bytes)],
            check=True,
        )
        true_bytes = sum(path.stat().st_size for path in card.glob("RECORDINGS/*/*.mp4"))
        empty = made_ground(folder / "empty", (SERIAL, "--card", str(card)))
        with served(card) as bus:
            costs = _costs(console, folder, empty, bus, card, true_bytes, rounds)
            delays = _delays(console, folder, empty, bus, card, times)
    return _judge(console, costs, true_bytes, delays)


def _costs(
    console: Console,
    folder: Path,
    empty: Ground,
    bus: Bus,
    card: Path,
    true_bytes: int,
    rounds: int,
) -> dict[str, list[Cost]]:
    """One after the other in each round, each from a cold cache of the vault's disk; the camera's
    bytes are in memory.
    """
    told = folder / "told.log"

    @contextmanager
    def plugged(word: str) -> Iterator[None]:
        bus.order(word)
        yield
        bus.order("unplug")

    def over_usb(word: str) -> Cost:
        with plugged(word):
            return docked("usb:1-1")

    def raw() -> Cost:
        with plugged("plug without clock"):
            cost = measured(
                (sys.executable, "-m", "tests.campaigns.bench.usb_raw", str(bus.port)), {}, told
            )
        if int(told.read_text()) < true_bytes:
            raise CommandFailed(
                f"The backend alone brought {told.read_text().strip()} of {true_bytes} bytes."
            )
        return cost

    def docked(place: str) -> Cost:
        ground = empty.copied(folder / "dock")
        ground.write_settings(usb_backend=f"usbip:127.0.0.1:{bus.port}")
        cost = measured((*DOCKD, "once", place, "--config", str(ground.settings)), {}, told)
        demand_taken(ground, true_bytes, "whole")
        shutil.rmtree(ground.folder)
        return cost

    contenders: dict[str, Callable[[], Cost]] = {
        RAW: raw,
        FOLDER: lambda: docked(str(card)),
        USB: lambda: over_usb("plug without clock"),
        CLOCK: lambda: over_usb("plug"),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for number in range(1, rounds + 1):
        for name, run in contenders.items():
            forget_cache(folder / "empty")
            for path in card.rglob("*.mp4"):
                path.read_bytes()
            cost = run()
            costs[name].append(cost)
            console.print(
                f"round {number}: {name} {true_bytes / cost.wall_s / 1e6:.0f} MB/s, "
                f"{cost.cpu_s:.2f} CPU s"
            )
        console.print(
            f"round {number}: load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        )
    return costs


def _delays(
    console: Console, folder: Path, empty: Ground, bus: Bus, card: Path, times: int
) -> list[float]:
    """From the plug to the first reading of a segment, in seconds; each time into
    an empty vault.
    """
    found = []
    for _ in range(times):
        ground = empty.copied(folder / "dock")
        ground.write_settings(
            usb_backend=f"usbip:127.0.0.1:{bus.port}", mount_roots=[str(folder / "none")]
        )
        with daemon(ground, folder / "dockd.log"), watched(card / "RECORDINGS") as watch:
            began_s = time.monotonic()
            bus.begin("plug")
            found.append(first_read(watch, began_s, PATIENCE_S))
            bus.done()
            bus.order("unplug")
        shutil.rmtree(ground.folder)
        console.print(f"plug to first byte: {found[-1] * 1000:.0f} ms")
    return found


def _judge(
    console: Console, costs: dict[str, list[Cost]], true_bytes: int, delays: list[float]
) -> bool:
    speed = {
        name: true_bytes / median(cost.wall_s for cost in runs) / 1e6
        for name, runs in costs.items()
    }
    cpu = {
        name: median(cost.cpu_s for cost in runs) * GIB / true_bytes for name, runs in costs.items()
    }
    table = Table(title="Medians")
    for heading in ("", "MB/s", "CPU s per GiB", "peak MiB"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, runs in costs.items():
        peak = median(cost.peak_bytes for cost in runs) / MIB
        table.add_row(name, f"{speed[name]:.0f}", f"{cpu[name]:.2f}", f"{peak:.0f}")
    console.print(table)
    ratios = (
        f"{speed[USB] / speed[RAW]:.2f} of the backend alone and {speed[USB] / speed[FOLDER]:.2f} "
        f"of the folder"
    )
    console.print(f"The pull over USB is {ratios}.")
    beyond = f"CPU beyond the backend's own is {cpu[USB] - cpu[RAW]:.2f} s per GiB"
    console.print(
        f"{beyond}; the folder's pull, with no backend below it, takes {cpu[FOLDER]:.2f} s."
    )
    slower = min(speed[RAW], speed[FOLDER])
    verdicts = [
        (
            f"{speed[USB] / slower:.2f} of the slower, at least {RATIO_MIN}",
            speed[USB] >= RATIO_MIN * slower,
        ),
        (f"{speed[USB]:.0f} MB/s, at least {MB_PER_S_MIN:.0f}", speed[USB] >= MB_PER_S_MIN),
        (
            f"plug to first byte {median(delays):.2f} s, under {LATENCY_MAX_S} s",
            median(delays) < LATENCY_MAX_S,
        ),
    ]
    for what, is_reached in verdicts:
        console.print(f"{'[green]reached' if is_reached else '[bold red]missed'}[/]: {what}")
    return all(is_reached for _, is_reached in verdicts)
