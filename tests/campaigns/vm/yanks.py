"""A vfat card is pulled out of its reader in the middle of its erase, again and again (fault B9).

A card is written for its erase alone, so its n-th write is a moment of it. What was not flushed by
then is lost, kept or torn. The card must stay readable, and docked again it is erased to the end;
at the end every recording stands in the vault, once.
"""

import random
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from tests.campaigns.vm.aftermath import unpacked
from tests.campaigns.vm.card_reader import insert_stick
from tests.campaigns.vm.cards import Card, Wearer
from tests.campaigns.vm.cuts import SERIAL, Ground, clock
from tests.campaigns.vm.kept_moments import AT_WORK, SERVICES
from tests.campaigns.vm.machine import Machine, MachineFailed
from tests.campaigns.vm.outside_world import Outside
from tests.campaigns.vm.simulator import vfat_content
from tests.campaigns.vm.volatile import Power, VolatileDisk

SAFE_S = 180.0


@dataclass(frozen=True)
class Reader:
    """The card reader of a running machine."""

    machine: Machine
    folder: Path

    def insert(self, image: Path, power: Power, number: int) -> VolatileDisk:
        disk = VolatileDisk(image, self.folder / f"{number}.sock", power)
        self.machine.qmp("blockdev-add", **disk.options(f"card-{number}"))
        insert_stick(self.machine, f"card-{number}")
        return disk

    def pull(self, number: int) -> None:
        self.machine.unplug("stick")
        self.machine.wait_unplugged("stick")
        self.machine.qmp("blockdev-del", **{"node-name": f"card-{number}"})


def yanked(
    on: Ground, reader: Reader, card: Card, at: int, number: int, chance: random.Random
) -> list[str]:
    """One card: pulled out at the `at`-th write of its erase, looked at, and docked again. What is
    wrong.
    """
    station = on.station.on(reader.machine)
    power = Power(at, answers_after=True)
    with reader.insert(card.image, power, 2 * number) as disk:
        if not power.gone.wait(SAFE_S):
            raise MachineFailed(f"the card was not erased: {station.bays()}")
        reader.pull(2 * number)
        left = card.image.with_suffix(".left")
        disk.left_behind(left, chance)
    found = unreadable(left, card)
    with reader.insert(left, Power(), 2 * number + 1) as disk:
        station.wait_phase(SERIAL, "safe to take", SAFE_S)
        reader.pull(2 * number + 1)
        end = card.image.with_suffix(".end")
        disk.save(end)
    return found + [
        f"{path} is still on the card"
        for path in vfat_content(end)
        if not path.startswith("DEVICE/")
    ]


def unreadable(image: Path, card: Card) -> list[str]:
    """What of a card that was pulled out can't be read, or is neither whole nor gone."""
    try:
        content = vfat_content(image)
    except subprocess.CalledProcessError as error:
        return [f"the card can't be read: {error.stderr!r}"]
    found = [
        f"{path} has other bytes than the camera wrote"
        for path, held in content.items()
        if card.files.get(path) != held
    ]
    return found + [
        "the card no longer says who it is" for _ in (0,) if "DEVICE/device.json" not in content
    ]


def writes_of_an_erase(on: Ground, reader: Reader, card: Card) -> int:
    """An erase that nobody disturbs."""
    power = Power()
    with reader.insert(card.image, power, 0):
        on.station.on(reader.machine).wait_phase(SERIAL, "safe to take", SAFE_S)
        count = power.count
        reader.pull(0)
    return count


def campaign(on: Ground, wearer: Wearer, folder: Path, yanks: int, seed: int) -> int:
    """Yanks spread over the erase, on one machine that runs on; a word for each. How many had
    violations.
    """
    channels = folder / "reader"
    channels.mkdir()
    power, violations = Power(), 0
    docked = [on.card]
    with (
        Outside() as outside,
        VolatileDisk(on.prepared.vault_at_work, channels / "vault.sock", power) as vault,
        on.prepared.machine(AT_WORK, channels, vault) as machine,
    ):
        machine.must(f"echo {outside.port} >/run/outside")
        reader = Reader(machine, channels)
        writes = writes_of_an_erase(on, reader, on.card)
        print(f"an erase has {writes} writes and flushes", flush=True)
        for number in range(1, yanks + 1):
            chance = random.Random(f"{seed}-{number}")
            began_s = clock.monotonic_s()
            card = wearer.wear(folder / f"card-{number}.img")
            docked.append(card)
            at = 1 + int((number - chance.random()) * writes / yanks)
            try:
                found = yanked(on, reader, card, at, number, chance)
            except MachineFailed as error:
                print(f"{number:4} of {yanks}  write {at:4}  VIOLATION {error}", flush=True)
                return violations + 1
            violations += bool(found)
            print(
                f"{number:4} of {yanks}  write {at:4}  {clock.monotonic_s() - began_s:5.1f} s",
                *(f"\n     VIOLATION {line}" for line in found),
                flush=True,
            )
        machine.must(
            f"systemctl stop dock-vault.target {SERVICES}; umount /var/lib/dock-vault; sync", SAFE_S
        )
        vault.save(folder / "end.img")
    every = replace(
        on.card, files={path: content for card in docked for path, content in card.files.items()}
    )
    end = replace(on, card=every).aftermath.at_the_end(
        unpacked(folder / "end.img", folder / "end"), {}, [], []
    )
    for line in end:
        print(f"VIOLATION {line}")
    print(
        f"{yanks} cards pulled out in the middle of their erase, {violations + bool(end)} "
        f"with violations"
    )
    return violations + bool(end)
