"""`make vm-test`: a real kernel, real udev and libusb, and programs that nobody here wrote, in a
virtual machine.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.campaigns.vm.guest import Guest
from tests.campaigns.vm.guest_station import Station
from tests.campaigns.vm.held_connection import Cable
from tests.campaigns.vm.machine import Machine, MachineFailed
from tests.campaigns.vm.scenarios import CARD, FAULTS, FIRST, QEMU_CAMERA, SCENARIOS, SECOND
from tests.campaigns.vm.simulator import Simulator, Worn
from tests.campaigns.vm.stage import DCIM_CAMERAS, Stage
from vault.clock import SystemClock

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dock-vault" / "vm"

SHIFTS = {
    FIRST: "standby 40 s\non\n45 s\noff\n",
    SECOND: "standby 12 s\non\n50 s\noff\n",
    CARD: "standby 40 s\non\n60 s\noff\n",
}

JOURNAL = (
    "journalctl -b --no-pager -o short-monotonic -n 60 -u dockd; journalctl -k -b --no-pager "
    "-o short-monotonic -n 25"
)

SENTENCE_MAX = 2000

clock = SystemClock()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.vm", description=__doc__)
    parser.add_argument(
        "--cache",
        type=Path,
        default=CACHE,
        help="where built guests are kept (default: %(default)s)",
    )
    parser.add_argument(
        "--faults",
        action="store_true",
        help="hangs, and a camera that kills its readers, instead of the others",
    )
    parser.add_argument("only", nargs="*", help="parts of the names of the scenarios to run")
    options = parser.parse_args()
    began_s = clock.monotonic_s()
    guest = Guest.cached(options.cache)
    print(
        f"the guest stands after {clock.monotonic_s() - began_s:.1f} s, "
        f"{guest.hardware.accelerator}",
        flush=True,
    )
    wanted = [
        run
        for run in (FAULTS if options.faults else SCENARIOS)
        if not options.only or any(part in run.__name__ for part in options.only)
    ]
    # Sockets stand in this folder, and their paths are short by nature.
    with tempfile.TemporaryDirectory(prefix="vm-") as folder:
        passed = play(guest, Path(folder), wanted)
    print(f"{sum(passed)} of {len(passed)} passed, {clock.monotonic_s() - began_s:.1f} s in all")
    return 0 if all(passed) else 1


def play(guest: Guest, folder: Path, scenarios: list[Callable[[Stage], str]]) -> list[bool]:
    """Restore the guest, bring everything into it, and try. Whether each scenario passed."""
    cameras = {serial: Worn(folder / serial, serial) for serial in SHIFTS}
    station = Station(folder)
    for camera in cameras.values():
        station.register(camera.serial, camera.public_key)
    for dcim in (QEMU_CAMERA, *DCIM_CAMERAS):
        station.register(dcim)
    began_s = clock.monotonic_s()
    with guest.restored(folder) as machine:
        print(f"the first command after {first_command_s(machine, began_s):.2f} s", flush=True)
        with ThreadPoolExecutor(2) as pool:
            worn = [pool.submit(camera.wear, SHIFTS[serial]) for serial, camera in cameras.items()]
            station.install(machine)
            for each in worn:
                each.result()
        with Simulator(list(cameras.values())) as simulator:
            half = sum(map(len, cameras[FIRST].card.values())) // 2
            with Cable(simulator.port, half) as cable:
                stage = Stage(folder, machine, station, simulator, cable, cameras, clock)
                return [tried(stage, scenario) for scenario in scenarios]


def first_command_s(machine: Machine, began_s: float) -> float:
    machine.must("true")
    return clock.monotonic_s() - began_s


def tried(stage: Stage, scenario: Callable[[Stage], str]) -> bool:
    """Run one scenario and say how it went. What the guest said goes with a failure."""
    began_s = clock.monotonic_s()
    name = scenario.__name__.replace("_", " ")
    try:
        info = scenario(stage)
    except (
        AssertionError,
        MachineFailed,
        OSError,
        LookupError,
        ValueError,
        subprocess.SubprocessError,
    ) as error:
        print(
            f"FAIL {clock.monotonic_s() - began_s:5.1f} s  {name}: {type(error).__name__}: "
            f"{str(error)[:SENTENCE_MAX]}"
        )
        print(last_words(stage), flush=True)
        return False
    print(f"PASS {clock.monotonic_s() - began_s:5.1f} s  {name}: {info}", flush=True)
    return True


def last_words(stage: Stage) -> str:
    try:
        journal = stage.machine.run(JOURNAL, 30).output[-12_000:]
    except MachineFailed as error:
        journal = f"the guest does not answer: {error}"
    return (
        f"--- journal\n{journal}\n{stage.machine.last_words()}\n--- "
        f"device-sim\n{stage.simulator.said()[-2000:]}\n---"
    )


if __name__ == "__main__":
    sys.exit(main())
