"""A dock that is used for years: `python -m tests.campaigns.crash.soak --cycles 2000`.

Each cycle a camera with one new recording is plugged in, taken in, erased and pulled out; every
seventh is pulled out somewhere in the middle of its stay first, at another transfer each time. File
descriptors and threads of the process must be the same after every tenth cycle, and its memory must
not grow with the number of cycles.

Dock, watcher, backend, vault and camera are one process: what any of them kept would show.
"""

import ctypes
import gc
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click
import structlog
from rich.console import Console
from rich.progress import track

from device_sim.usb.faults import Fault, Kind
from dockd.docking.bay import Phase
from dockd.docking.dock import Dock, Docked, plugged
from dockd.docking.docking import pause
from tests.support.card_maker import CardMaker
from tests.support.usb_dock import UsbQuay, contents_of
from vault.catalogue import recording_rows
from vault.recording import State

BAY = "usb 1-1"
INTERRUPTED_EVERY = 7
TRANSFERS_MAX = 120
"""A stay of such a camera has about so many."""
ENOUGH_S = 60.0
LOOK_S = 0.002
SETTLE_LOOKS = 10
WARM_CYCLES = 100
GROWTH_BYTES_MAX = 8 << 20
"""How much the process may hold more after any number of cycles than after the first ones: what
allocators move about.
"""
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the process holds now; what was freed and only waits in its allocator is given back
    first.
    """

    descriptors: int
    threads: int
    resident_bytes: int

    @classmethod
    def now(cls) -> "Holdings":
        gc.collect()
        _libc.malloc_trim(0)
        resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
        descriptors, threads = (
            len(list(Path(f"/proc/self/{each}").iterdir())) for each in ("fd", "task")
        )
        return cls(descriptors, threads, resident_pages * PAGE_BYTES)

    @classmethod
    def settled(cls) -> "Holdings":
        """What is held once the threads that are on their way out have ended: the fewest of many
        looks.
        """
        looks = []
        for _ in range(SETTLE_LOOKS):
            looks.append(cls.now())
            threading.Event().wait(LOOK_S)
        return min(looks, key=lambda look: (look.threads, look.descriptors))


class Berth:
    """One dock with one camera, which records once a cycle."""

    def __init__(self, folder: Path) -> None:
        self.quay = UsbQuay(folder)
        self._card = CardMaker(folder / "card", "SOAK01")
        self._card.write_device()
        self.quay.quay.register(self._card)
        self._on_change = threading.Semaphore(0)
        self._dock = Dock(
            self._standing,
            self.quay.quay.workplace(),
            self.quay.quay.board,
            pause,
            self._on_change.release,
        )
        self._previous: str | None = None
        self._counter = 0
        self.interrupted = 0

    def close(self) -> None:
        self.quay.quay.halt.request()
        assert self._dock.stop(ENOUGH_S)
        self.quay.close()

    def cycle(self, number: int) -> None:
        """Record, dock, be emptied, be taken out. Raises AssertionError where the camera is not
        emptied.
        """
        self._counter += 1
        made = self._card.make(
            self._counter, previous=self._previous, seconds=4, preroll_ms=2000, segment_s=2
        )
        self._card.write(made)
        self._previous = made.sha256()
        if number % INTERRUPTED_EVERY == 0:
            self._stay(Fault(Kind.UNPLUG_AT_URB, number // INTERRUPTED_EVERY % TRANSFERS_MAX))
            self.interrupted += 1
        self._stay(None)
        assert contents_of(self._card.root) == {}, f"cycle {number}: the camera was not emptied"

    def stored(self) -> int:
        with self.quay.quay.vault.reading() as tx:
            return sum(1 for row in recording_rows.all_recordings(tx) if row.state == State.ERASED)

    def _stay(self, fault: Fault | None) -> None:
        device = self.quay.plug(
            self._card.root, "SOAK01", () if fault is None else (fault,), port=1
        )
        self._dock.turn()
        if fault is None:
            self._until(lambda: self._phase() is Phase.SAFE)
        else:
            # Where the moment comes after the end of its stay, it is taken out safely.
            self._until(lambda: self._phase() is Phase.SAFE or device not in self.quay.hub.plugged)
        self.quay.unplug(device)
        self._dock.turn()
        self._until(lambda: not self._dock.heartbeats())

    def _standing(self) -> list[Docked]:
        return [plugged(device) for device in self.quay.devices()]

    def _phase(self) -> Phase | None:
        return next(
            (state.phase for state in self.quay.quay.board.states() if state.bay == BAY), None
        )

    def _until(self, reached: Callable[[], bool]) -> None:
        for _ in range(round(ENOUGH_S / LOOK_S)):
            if reached():
                return
            if self._on_change.acquire(timeout=LOOK_S):
                self._dock.turn()
        raise AssertionError(f"nothing came of it: {self.quay.quay.board.states()}")


def campaign(
    folder: Path,
    cycles: int,
    shown: Callable[[range], Iterable[int]] = lambda cycles: cycles,
    warm: int = WARM_CYCLES,
) -> tuple[Holdings, Holdings]:
    """What the process held after the first cycles, and at the end. Raises AssertionError for
    whatever is not flat.
    """
    first = last = Holdings.now()
    with closing(Berth(folder)) as berth:
        for number in shown(range(1, cycles + 1)):
            berth.cycle(number)
            if number == warm:
                first = Holdings.settled()
            elif number > warm and number % 10 == 0:
                last = Holdings.settled()
                assert (last.descriptors, last.threads) == (first.descriptors, first.threads), (
                    f"cycle {number}: {first}, {last}"
                )
        last = Holdings.settled()
        assert berth.stored() == cycles, f"{berth.stored()} of {cycles} recordings stand"
        assert berth.quay.quay.findings() == ()
    grown = last.resident_bytes - first.resident_bytes
    assert grown <= GROWTH_BYTES_MAX, f"{grown:,} bytes more than after {warm} cycles"
    return first, last


@click.command()
@click.option("--cycles", type=click.IntRange(min=WARM_CYCLES + 1), default=2000, show_default=True)
def main(cycles: int) -> None:
    """Dock and undock a camera, again and again."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        first, last = campaign(
            Path(folder), cycles, lambda numbers: track(numbers, "docking", console=console)
        )
    for name, holdings in ((f"after {WARM_CYCLES} cycles", first), (f"after {cycles:,}", last)):
        mib = holdings.resident_bytes / (1 << 20)
        console.print(
            f"{name}: {holdings.descriptors} descriptors, {holdings.threads} threads, "
            f"{mib:.1f} MiB resident"
        )
    console.print(
        f"{cycles:,} recordings taken in, {cycles // INTERRUPTED_EVERY:,} of them after the "
        f"camera was pulled out half-way."
    )


if __name__ == "__main__":
    sys.exit(main())
