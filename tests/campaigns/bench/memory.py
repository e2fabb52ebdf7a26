"""`python -m tests.campaigns.bench memory`: what dockd holds while it takes in one very long file,
against a short one.

A DCIM camera's file is read twice, sealed in many pieces and judged by its boxes; if anything of it
stayed in memory, the long file would show it.
"""

from pathlib import Path

from rich.console import Console

from tests.campaigns.bench.disk import folder_on_disk, forget_cache
from tests.campaigns.bench.footage import make_dcim_card
from tests.campaigns.bench.ground import DOCKD, demand_taken, made_ground
from tests.campaigns.bench.process import Cost, measured
from tests.campaigns.bench.speed import GIB, MIB, PEAK_BYTES_MAX

SHORT_GIB = 0.25
GROWTH_MAX = 1.1
"""The long file's peak divided by the short one's."""


def memory(console: Console, parent: Path, gib: float) -> bool:
    """Measure, print, and say whether the target is reached."""
    peaks = []
    for size_gib in (SHORT_GIB, gib):
        size_bytes = round(size_gib * GIB)
        cost = _taken_in(parent, size_bytes)
        peaks.append(cost.peak_bytes)
        what = f"peak {cost.peak_bytes / MIB:.0f} MiB, {cost.wall_s:.1f} s, {cost.cpu_s:.1f} CPU s"
        console.print(f"a DCIM file of {size_gib:g} GiB: {what}")
    reached = max(peaks) <= PEAK_BYTES_MAX and peaks[1] <= GROWTH_MAX * peaks[0]
    word = "[green]reached" if reached else "[bold red]missed"
    console.print(
        f"{word}[/]: at most {PEAK_BYTES_MAX / MIB:g} MiB, and as much for the long file as "
        f"for the short one"
    )
    return reached


def _taken_in(parent: Path, size_bytes: int) -> Cost:
    with folder_on_disk(parent, size_bytes + GIB) as folder:
        card = folder / "BENCHDCIM"
        make_dcim_card(card, size_bytes)
        ground = made_ground(folder / "dock", (card.name, "--dcim"))
        forget_cache(folder)
        cost = measured(
            (*DOCKD, "once", str(card), "--config", str(ground.settings)), {}, folder / "told.log"
        )
        demand_taken(ground, size_bytes, "not_stated")
    return cost
