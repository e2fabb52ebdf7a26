"""QEMU is killed while a shift is taken in, its camera erased, a sweep destroys and two officials
watch.

Each life goes on from one kept moment and is cut at another one of its writes: what was not flushed
is lost, kept or torn (`volatile.py`). What the disks hold is looked at, the docking PC is restarted
on them, the card docked again, and everything must have come to its good end (`aftermath.py`). On
its way there the power may go again, and again, at any write of the recovery: it takes in, erases
and sweeps as well. A control shows that the cut does lose what nobody flushed.
"""

import contextlib
import random
import shlex
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.vm.aftermath import Aftermath, unpacked
from tests.campaigns.vm.archive import CONDITIONS, FIRST, SECOND, Archive, archive
from tests.campaigns.vm.card_reader import insert_stick
from tests.campaigns.vm.cards import Card, Wearer
from tests.campaigns.vm.guest import Guest
from tests.campaigns.vm.guest_station import Station
from tests.campaigns.vm.kept_moments import AT_WORK, RESTARTED, SERVICES, VAULT_DEVICE, Prepared
from tests.campaigns.vm.machine import Machine, MachineFailed
from tests.campaigns.vm.outside_world import Outside
from tests.campaigns.vm.simulator import vfat_content
from tests.campaigns.vm.volatile import Power, VolatileDisk
from vault.clock import SystemClock

SERIAL = "BWC0071"
LIFE_S = 240.0
SETTLED_S = 180.0
LOOK_S = 0.2
RECOVERY_WRITES = 400
"""Over so many writes of a recovery its cut is spread; over half of them in the next one, which has
less to do, and so on. One that is over before is not cut any more.
"""
RESTART = """\
date -s '+{minutes} minutes' >/dev/null
mkdir -p /run/systemd/system/service.d
printf '[Service]\\nEnvironment=BOOT_ID=%s\\n' $(cat /proc/sys/kernel/random/uuid) >/run/systemd/system/service.d/boot.conf
systemctl daemon-reload
systemctl restart systemd-fsck@$(systemd-escape -p {device})
systemctl start $(systemd-escape -p --suffix=mount /var/lib/dock-vault)"""
"""The kept moment as another start of the machine, later than the last one: within one the clock
guard believes no such leap. The file system is looked at and mended as at each start.
"""
SUPERBLOCK_AT = 1024
SEGMENTS = 6
"""How many pieces the viewer asks for in each viewing."""

clock = SystemClock()


@dataclass(frozen=True)
class Ground:
    """What all lives share."""

    prepared: Prepared
    archive: Archive
    station: Station
    card: Card

    @property
    def aftermath(self) -> Aftermath:
        return Aftermath(self.archive, self.card)


def ground(guest: Guest, folder: Path) -> tuple[Ground, Wearer]:
    """A docking PC with a past, a card of two recordings and its camera, and the two moments that
    lives go on from.
    """
    wearer = Wearer(folder, SERIAL)
    made = archive(folder, {SERIAL: wearer.worn.public_key})
    card = wearer.wear(folder / "card.img")
    station = Station(folder, settings=made.settings)
    with Outside() as outside:
        prepared = Prepared.make(guest, folder, made, station, outside.port)
    return Ground(prepared, made, station, card), wearer


class Life:
    """One machine that goes on from AT_WORK: everything at once, until the power is gone or all of
    it is done.
    """

    def __init__(self, on: Ground, folder: Path, outside: Outside) -> None:
        self._on = on
        self._folder = folder
        self._outside = outside
        self.failures: list[str] = []

    def live(self, cut_after: int | None) -> tuple[VolatileDisk, VolatileDisk, Power]:
        """The disks of the vault and of the card, without power; what they hold is
        asked of them.
        """
        power = Power(cut_after)
        vault = VolatileDisk(self._on.prepared.vault_at_work, self._folder / "vault.sock", power)
        card = VolatileDisk(self._on.card.image, self._folder / "card.sock", power)
        self._outside.forget()
        self._outside.power = power
        with vault, card, self._on.prepared.machine(AT_WORK, self._folder, vault) as machine:
            machine.must(f"echo {self._outside.port} >/run/outside")
            machine.qmp("blockdev-add", **card.options("card"))
            insert_stick(machine, "card")
            work = [
                self._spawn(self._sweep, machine),
                self._spawn(self._watch, machine),
                self._spawn(self._dock, machine),
            ]
            if cut_after is None:
                for thread in work:
                    thread.join(LIFE_S)
            else:
                power.gone.wait(LIFE_S)
            machine.kill()
            power.cut()
        return vault, card, power

    def _spawn(self, do: Callable[[Machine], None], machine: Machine) -> threading.Thread:
        def safely() -> None:
            # A machine without power answers nobody.
            with contextlib.suppress(MachineFailed, OSError):
                do(machine)

        thread = threading.Thread(target=safely, daemon=True)
        thread.start()
        return thread

    def _dock(self, machine: Machine) -> None:
        self._on.station.on(machine).wait_phase(SERIAL, "safe to take", LIFE_S)

    def _sweep(self, machine: Machine) -> None:
        self._say(machine, "systemctl start vault-sweep")

    def _watch(self, machine: Machine) -> None:
        secrets = self._on.archive.secrets
        for viewing in self._on.archive.viewings:
            words = [
                "watch",
                viewing,
                self._on.archive.watched,
                str(SEGMENTS),
                FIRST,
                secrets[FIRST],
                SECOND,
                secrets[SECOND],
            ]
            self._say(
                machine,
                f"/opt/dock-vault/bin/python /usr/local/sbin/viewer.py "
                f"{shlex.join([*words, *CONDITIONS])}",
            )

    def _say(self, machine: Machine, command: str) -> None:
        done = machine.run(command, LIFE_S)
        if done.code:
            self.failures.append(done.output)


@dataclass(frozen=True)
class Options:
    """`lanes`: machines at once; `real`: every so many lives end with a real boot; `after`: so many
    lives were cut before; `again`: how often the recovery is cut as well.
    """

    cuts: int
    lanes: int
    seed: int
    real: int
    after: int = 0
    again: int = 0


@dataclass(frozen=True)
class Ended:
    """How a life ended, cut at one of its writes and, in its recoveries, at `again`."""

    at: int
    fate: str
    violations: tuple[str, ...]
    seconds: float
    again: tuple[int, ...] = ()


def cut(
    on: Ground,
    folder: Path,
    at: int,
    chance: random.Random,
    *,
    real: bool,
    again: Sequence[int] = (),
) -> Ended:
    """One life, cut at its `at`-th write; what it left is looked at, brought back to work, and
    looked at again.

    `again`: at which write of its recovery, and of the next one, the power goes once more.
    """
    began_s = clock.monotonic_s()
    place = folder / "life"
    place.mkdir()
    fates: list[str] = []
    made: list[int] = []
    with Outside() as outside:
        vault, card, _ = Life(on, place, outside).live(at)
        notes, shown = outside.notes(), outside.shown()
        found = []
        for number, moment in enumerate((*again, None)):
            fates.append(vault.left_behind(folder / f"vault-{number}.img", chance))
            card.left_behind(folder / f"card-{number}.img", chance)
            found += on.aftermath.at_the_cut(
                unpacked(folder / f"vault-{number}.img", folder / "cut"),
                folder / f"vault-{number}.img",
                vfat_content(folder / f"card-{number}.img"),
            )
            recovery = Recovery(on, folder, number, outside)
            vault, card, power = recovery.go(moment, real=real and moment is None)
            notes += outside.notes()
            found += recovery.failures
            if not power.gone.is_set():
                break
            made.append(power.count)
        vault.save(folder / "vault-end.img")
        card.save(folder / "card-end.img")
    found += on.aftermath.at_the_end(
        unpacked(folder / "vault-end.img", folder / "end"),
        vfat_content(folder / "card-end.img"),
        notes,
        shown,
    )
    return Ended(at, "; ".join(fates), tuple(found), clock.monotonic_s() - began_s, tuple(made))


class Recovery:
    """The docking PC restarted on what a cut left, the `number`-th time, and the same card docked
    again.
    """

    def __init__(self, on: Ground, folder: Path, number: int, outside: Outside) -> None:
        self._on = on
        self._folder = folder
        self._number = number
        self._outside = outside
        self.failures: list[str] = []

    def go(self, cut_after: int | None, *, real: bool) -> tuple[VolatileDisk, VolatileDisk, Power]:
        """Its disks, at the end of all that it has to do, or where the power went at that write."""
        power = Power(cut_after)
        channels = self._folder / f"after-{self._number}"
        channels.mkdir()
        self._outside.forget()
        vault = VolatileDisk(
            self._folder / f"vault-{self._number}.img", channels / "vault.sock", power
        )
        card = VolatileDisk(
            self._folder / f"card-{self._number}.img", channels / "card.sock", power
        )
        prepared = self._on.prepared
        with (
            vault,
            card,
            prepared.booted(channels, vault)
            if real
            else prepared.machine(RESTARTED, channels, vault) as machine,
        ):
            work = threading.Thread(
                target=self._safely, args=(machine, card, power, real), daemon=True
            )
            work.start()
            while work.is_alive() and not power.gone.wait(LOOK_S):
                pass
            machine.kill()
            work.join()
        return vault, card, power

    def _safely(self, machine: Machine, card: VolatileDisk, power: Power, real: bool) -> None:
        try:
            self._work(machine, card, real)
        except (MachineFailed, OSError) as failure:
            # A machine without power answers nobody.
            if not power.gone.is_set():
                self.failures.append(f"recovery: {failure}")

    def _work(self, machine: Machine, card: VolatileDisk, real: bool) -> None:
        prologue = (
            "" if real else RESTART.format(minutes=15 * (self._number + 1), device=VAULT_DEVICE)
        )
        outside = f"echo {self._outside.port} >/run/outside"
        machine.must(f"set -e; {prologue}\nvouch; {outside}; systemctl start {SERVICES}", SETTLED_S)
        machine.qmp("blockdev-add", **card.options("card"))
        insert_stick(machine, "card")
        try:
            self._on.station.on(machine).wait_phase(SERIAL, "safe to take", SETTLED_S)
            machine.must("systemctl start vault-sweep vault-checkpoint", SETTLED_S)
        except MachineFailed as failure:
            journal = machine.run(
                "journalctl -b --no-pager -o cat -n 60 -u 'dock*' -u 'vault*'"
            ).output
            raise MachineFailed(f"{failure}\n{journal}") from failure
        machine.must(
            f"systemctl stop dock-vault.target {SERVICES}; umount /var/lib/dock-vault; sync",
            SETTLED_S,
        )


def control(on: Ground, folder: Path) -> str:
    """The cut loses what nobody flushed, also what had reached the disk, and nothing of what was.
    Raises AssertionError.
    """
    folder.mkdir()
    power = Power()
    vault = VolatileDisk(on.prepared.vault_at_work, folder / "vault.sock", power)
    with vault, on.prepared.machine(AT_WORK, folder, vault) as machine:
        machine.must(CONTROL)
        unflushed = vault.unflushed
        machine.kill()
        power.cut()
    assert unflushed, "nothing was un-flushed at the cut"
    vault.left_behind(folder / "left.img", Losing())
    unpacked(folder / "left.img", folder / "left")
    held = {path.name: path.read_bytes() for path in (folder / "left" / "control").iterdir()}
    whole = b"\x5a" * (256 << 10)
    assert held.get("flushed") == whole, "what was flushed is lost"
    assert held.get("direct") != whole, "what had only reached the disk's cache is still there"
    assert held.get("written") != whole, "what was only written is still there"
    return f"{unflushed} writes in the disk's cache lost"


def torn_superblock(on: Ground, folder: Path) -> None:
    """A cut in the middle of the file system's first block: the next start mends it from a copy.
    Raises AssertionError.
    """
    folder.mkdir()
    image = folder / "torn.img"
    shutil.copyfile(on.prepared.folder / "vault.img", image)
    with image.open("r+b") as file:
        # Mounts and the last write's time stand in its first sector, its checksum in the second.
        file.seek(SUPERBLOCK_AT + 0x30)
        file.write(b"\x11\x22")
    vault = VolatileDisk(image, folder / "vault.sock", Power())
    with vault, on.prepared.machine(RESTARTED, folder, vault) as machine:
        refused = machine.run("mount /var/lib/dock-vault")
        assert refused.code, "what was torn could be mounted"
        machine.must(
            f"set -e; {RESTART.format(minutes=15, device=VAULT_DEVICE)}\ntest -d "
            f"/var/lib/dock-vault/vault/register",
            SETTLED_S,
        )


CONTROL = """\
set -e
mkdir /var/lib/dock-vault/control; cd /var/lib/dock-vault/control
python3 - <<'END'
import mmap, os
block = mmap.mmap(-1, 256 << 10); block.write(b"Z" * (256 << 10))
direct = os.open("direct", os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
os.posix_fallocate(direct, 0, 256 << 10)
flushed = os.open("flushed", os.O_WRONLY | os.O_CREAT)
os.write(flushed, block); os.fsync(flushed)
folder = os.open(".", os.O_RDONLY); os.fsync(folder); os.fsync(direct)
os.pwrite(direct, block, 0)
written = os.open("written", os.O_WRONLY | os.O_CREAT)
os.write(written, block)
END
"""


class Losing(random.Random):
    """Loses every write that it may."""

    def choices(self, *_: object, **__: object) -> list[str]:  # type: ignore[override]
        return ["lost"]


def rehearsal(on: Ground, folder: Path) -> int:
    """A life that nobody cuts; how many writes and flushes it has. Raises AssertionError where not
    all of it was done.
    """
    folder.mkdir()
    with Outside() as outside:
        life = Life(on, folder, outside)
        _, _, power = life.live(None)
        assert not life.failures, life.failures
        shown, notes = len(outside.shown()), len(outside.notes())
    print(
        f"a life has {power.count} writes and flushes, {shown} pieces shown, {notes} notes "
        f"for the witness",
        flush=True,
    )
    return power.count


def campaign(on: Ground, folder: Path, options: Options) -> int:
    """A control, and cuts spread over the life, each in a stretch of its own; a word for each. How
    many had violations.

    A life is cut once, and its recovery `again` times: so many lives are lived that there are as
    many cuts as asked.
    """
    print(f"control: {control(on, folder / 'control')}", flush=True)
    torn_superblock(on, folder / "torn")
    print("control: a torn superblock is mended at the next start", flush=True)
    writes = rehearsal(on, folder / "whole")
    lives = -(-options.cuts // (1 + options.again))
    chances = [random.Random(f"{options.seed}-{number}") for number in range(lives)]
    moments = [
        1 + int((number + chance.random()) * writes / lives)
        for number, chance in enumerate(chances)
    ]
    again = [
        [
            1 + int(chance.random() * RECOVERY_WRITES / (number + 1))
            for number in range(options.again)
        ]
        for chance in chances
    ]
    order = list(range(lives))
    random.Random(options.seed).shuffle(order)
    tally: Counter[str] = Counter()

    def one(number: int) -> None:
        with tempfile.TemporaryDirectory(prefix="c-", dir=folder) as place:
            real = bool(options.real) and order.index(number) % options.real == options.real - 1
            try:
                # A real boot takes its time from the machine's clock, which the others have been
                # put ahead of.
                ended = cut(
                    on,
                    Path(place),
                    moments[number],
                    chances[number],
                    real=real,
                    again=() if real else again[number],
                )
            except (AssertionError, MachineFailed, OSError) as error:
                ended = Ended(moments[number], "", (f"{type(error).__name__}: {error}",), 0)
        tally["lives"] += 1
        tally["cuts"] += 1 + len(ended.again)
        tally["booted"] += real
        tally["violations"] += bool(ended.violations)
        print(
            f"{options.after + tally['lives']:4} of {lives}  write {ended.at:5}"
            f"{''.join(f', {at:4} of its recovery' for at in ended.again)}  "
            f"{ended.seconds:5.1f} s  "
            f"{'restarted for real, ' if real else ''}{ended.fate}",
            *(f"\n     VIOLATION {line}" for line in ended.violations),
            flush=True,
        )

    with ThreadPoolExecutor(options.lanes) as pool:
        list(pool.map(one, order[options.after :]))
    print(
        f"{tally['cuts']} power cuts of {tally['lives']} lives, "
        f"{tally['cuts'] - tally['lives']} of them in a recovery, "
        f"{tally['booted']} lives restarted for real, {tally['violations']} lives with violations"
    )
    return tally["violations"]
