"""`make kills`: `kill -9` of every unit's main process on the installed guest, at random moments,
while cameras are docked.

systemd brings each back, by its restart or by its timer's next run; the work in hand is finished,
and nothing is lost. Between rounds of kills everything is brought to rest and looked at
(`evidence.py`). What is not as it has to be is printed, and the campaign goes on.

    python -m tests.campaigns.vm.kills --kills 50
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from device_sim.errors import DeviceError
from tests.campaigns.vm.__main__ import CACHE
from tests.campaigns.vm.card_reader import Stick
from tests.campaigns.vm.docking_pc import MEMORY_MIB
from tests.campaigns.vm.due_recordings import aged_station, keep_time
from tests.campaigns.vm.evidence import KERNEL, OURS, Evidence, failed_units
from tests.campaigns.vm.guest import BOOT_S, Guest
from tests.campaigns.vm.guest_station import Station
from tests.campaigns.vm.kill_moments import BACK_S, DOCKD, ONESHOTS, SERVICES, UNITS, Striker, Toll
from tests.campaigns.vm.machine import Machine, MachineFailed
from tests.campaigns.vm.stage import answers, until
from tests.campaigns.vm.worn_cameras import Carrier, Complaints, Ledger, worn_cameras
from vault.clock import SystemClock
from vault.errors import Failure

SERIALS = ("BWC0071", "BWC0072", "BWC0073")
AGED = 60
"""Recordings that fall due while the campaign runs, one a minute."""
LANES = (
    (DOCKD,),
    ("dock-reader@ of a card", "dock-reader@ of the bus"),
    ("vault-web",),
    ("dock-page",),
    ("dock-clock",),
    ("vault-custody", "vault-sweep", "vault-verify"),
    ("vault-checkpoint", "vault-backup"),
)
"""Units that are killed one after another; the lanes go side by side."""

BACKUP_DISK = """\
mkdir -p /var/backup-disk /srv/dock-vault-backup && mount --bind /var/backup-disk /srv/dock-vault-backup
chown vault:vault /srv/dock-vault-backup
systemctl start dock-vault.target
"""
LISTED = "find . -name '*.sealed' -o -name record.json | sort"
SAME = (
    f"diff <(cd /var/lib/dock-vault/vault/footage && {LISTED}) <(cd "
    f"/srv/dock-vault-backup/vault/footage && {LISTED})"
)
PORTS = {"vault-web": 8480, "dock-page": 8470}

PROVOKED = (
    "the reader of the USB died",
    "Failed to start vault-",
    "no reader for the USB",
    "Failed to start dockd.service",
    "dockd died while it served this bay",
)
"""What the journal says at level err because of a kill, and may."""

clock = SystemClock()


class Campaign:
    """One installed guest, cameras that are docked on and on, and rounds of kills."""

    def __init__(
        self, station: Station, carriers: list[Carrier], ledger: Ledger, seed: str
    ) -> None:
        self.complaints = Complaints()
        self.toll = Toll()
        self._station = station
        self._carriers = carriers
        self._ledger = ledger
        self._striker = Striker(station, carriers, self.toll, clock, seed)
        self._evidence = Evidence(station, ledger)
        self._began_s = clock.monotonic_s()

    @property
    def machine(self) -> Machine:
        return self._station.machine

    def warm_up(self) -> None:
        """Nothing is killed yet: how long each unit works is measured."""
        self.machine.must(BACKUP_DISK, 300)
        keep_time(self.machine)
        began_s = clock.monotonic_s()
        self.machine.must("systemctl restart dockd", 300)
        started_s = clock.monotonic_s() - began_s
        self._each_carrier(lambda carrier: carrier.dock_once(self.complaints))
        self.toll.works_s[DOCKD] = started_s + max(carrier.taken_in_s for carrier in self._carriers)
        self.look()
        print(
            "each unit works for (s): "
            + ", ".join(f"{unit} {s:.1f}" for unit, s in self.toll.works_s.items()),
            flush=True,
        )

    def round(self, units: list[str]) -> None:
        """Kill these while cameras are docked; then let all come to rest, and look."""
        over = threading.Event()
        with ThreadPoolExecutor(len(self._carriers)) as docking:
            docked = [
                docking.submit(carrier.go_on, over, self.complaints) for carrier in self._carriers
            ]
            try:
                with ThreadPoolExecutor(len(LANES)) as striking:
                    struck = [
                        striking.submit(self._strike, [unit for unit in units if unit in lane])
                        for lane in LANES
                    ]
            finally:
                over.set()
        for each in (*docked, *struck):
            self._guarded(each.result)
        self.look()

    def look(self) -> None:
        """All services stand and answer, all oneshots run to their end, and the evidence is as it
        has to be.
        """
        for look in (self._services, self._oneshots, self._journal, self._vault):
            self._guarded(look)
        print(
            f"{clock.monotonic_s() - self._began_s:6.0f} s  {self.toll.total} kills, "
            f"{self._ledger.cards} cards docked,"
            f" {self._evidence.recordings} recordings held, {self._evidence.destroyed} "
            f"destroyed when due,"
            f" {len(self.complaints.sentences)} violations",
            flush=True,
        )

    def _strike(self, units: list[str]) -> None:
        for unit in units:
            self._guarded(partial(self._striker.strike, unit))

    def _services(self) -> None:
        for unit in SERVICES:
            self.machine.must(until(f"systemctl -q is-active {unit}", round(BACK_S)), BACK_S)
            restarts = int(self.machine.must(f"systemctl show -P NRestarts {unit}"))
            if restarts != self.toll.killed[unit]:
                self.complaints.add(
                    f"{unit} was killed {self.toll.killed[unit]} times and restarted "
                    f"{restarts} times"
                )
        for unit, port in PORTS.items():
            if self.machine.run(until(answers(port), round(BACK_S)), BACK_S).code:
                self.complaints.add(f"{unit} does not answer")

    def _oneshots(self) -> None:
        """As their timers would start them again; the backup last, so that it has all."""
        others = [unit for unit in ONESHOTS if unit != "vault-backup"]
        with ThreadPoolExecutor(2) as pool:
            for measured in [
                pool.submit(self._guarded, partial(self._striker.measure, unit)) for unit in others
            ]:
                measured.result()
        self._backed_up()
        for unit in failed_units(self.machine):
            self.complaints.add(f"{unit} is failed")

    def _backed_up(self) -> None:
        """The backup is what the vault is; where the hourly sweep came between the two, it is after
        one more run.
        """
        for _ in range(2):
            self._striker.measure("vault-backup")
            compared = self.machine.run(SAME)
            if not compared.code:
                return
        self.complaints.add(f"the backup is not what the vault is: {compared.output}")

    def _journal(self) -> None:
        lines = [
            line
            for line in self.machine.run(OURS).output.splitlines()
            if not any(word in line for word in PROVOKED)
        ]
        lines += self.machine.run(KERNEL).output.splitlines()
        new = [
            line for line in lines if not any(line in said for said in self.complaints.sentences)
        ]
        for line in new:
            self.complaints.add(f"the journal says: {line}")

    def _vault(self) -> None:
        for sentence in self._evidence.complaints():
            self.complaints.add(sentence)

    def _each_carrier(self, do: Callable[[Carrier], None]) -> None:
        with ThreadPoolExecutor(len(self._carriers)) as pool:
            for done in [pool.submit(do, carrier) for carrier in self._carriers]:
                done.result()

    def _guarded(self, do: Callable[[], object]) -> None:
        """What fails is a violation, and the campaign goes on."""
        try:
            do()
        except (
            MachineFailed,
            Failure,
            DeviceError,
            OSError,
            ValueError,
            LookupError,
            subprocess.SubprocessError,
        ) as error:
            self.complaints.add(f"{type(error).__name__}: {error}")


def play(guest: Guest, folder: Path, schedule: list[list[str]], seed: str) -> Campaign:
    station = aged_station(folder, clock.now(), AGED)
    cameras = worn_cameras(folder, SERIALS)
    for camera in cameras:
        station.register(camera.serial, camera.public_key)
    ledger = Ledger()
    disk = folder / "disk.qcow2"
    shutil.copyfile(guest.disk, disk)
    # A real start, as the kept moment has no room for all that runs here at once.
    with Machine(guest.hardware, folder, disk, "-m", str(MEMORY_MIB)) as machine:
        machine.wait_for_agent(BOOT_S)
        machine.must("systemctl is-system-running --wait || true", BOOT_S)
        station.install(machine)
        print("the package is installed", flush=True)
        carriers = [
            Carrier(station, camera, Stick(machine, port), ledger, clock)
            for port, camera in enumerate(cameras, 1)
        ]
        campaign = Campaign(station, carriers, ledger, seed)
        campaign.warm_up()
        for units in schedule:
            campaign.round(units)
    return campaign


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.vm.kills", description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=50, help="how often each unit is killed (default: %(default)s)"
    )
    parser.add_argument(
        "--every",
        type=int,
        default=25,
        help="after so many kills all is looked at (default: %(default)s)",
    )
    parser.add_argument(
        "--after",
        type=int,
        default=0,
        help="so many kills of all together were made before by this seed",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--cache",
        type=Path,
        default=CACHE,
        help="where built guests are kept (default: %(default)s)",
    )
    parser.add_argument("only", nargs="*", help="parts of the names of the units to kill")
    options = parser.parse_args()
    units = [
        unit for unit in UNITS if not options.only or any(part in unit for part in options.only)
    ]
    strikes = units * options.kills
    random.Random(options.seed).shuffle(strikes)
    schedule = [
        strikes[at : at + options.every] for at in range(options.after, len(strikes), options.every)
    ]
    began_s = clock.monotonic_s()
    guest = Guest.cached(options.cache)
    with tempfile.TemporaryDirectory(prefix="vm-") as folder:
        campaign = play(guest, Path(folder), schedule, f"{options.seed} {options.after}")
    killed = ", ".join(f"{unit} {campaign.toll.killed[unit]}" for unit in units)
    violations = campaign.complaints.sentences
    print(
        f"killed: {killed}; {len(violations)} violations, "
        f"{(clock.monotonic_s() - began_s) / 60:.1f} minutes"
    )
    missing = [
        unit for unit in units if campaign.toll.killed[unit] != strikes[options.after :].count(unit)
    ]
    return 1 if violations or missing else 0


if __name__ == "__main__":
    sys.exit(main())
