"""What an administrator looks at when something seems wrong, and what to do about each: the machine
as the vault finds it.

Nothing is changed; one file is written, flushed and removed to see how fast the disk is. No
person's name, no recording's.
"""

import grp
import os
import pwd
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from vault.clock import MachineClock, utc_moment
from vault.operations.health import Health, measure
from vault.service_units import CALLED, RUNNING, RUNTIME, ask_units, judge_unit
from vault.storage.store import Store
from vault.vault import Vault

MIB = 1 << 20
SAMPLE_BYTES = 32 * MIB
SLOW_BYTES_PER_S = 20 * MIB
"""Slower than this, ten cameras of a shift are not in before the next one begins."""
HEAD_HOURS, SWEEP_HOURS, BACKUP_HOURS, VERIFY_HOURS = 1, 3, 48, 48
DRILL_DAYS = 200
"""Twice a year, and a little."""

_NO_BUS = (
    "Install dbus, by which others than root may ask it, or look as root with `systemctl "
    "status 'vault-*'`."
)

SWAPS = Path("/proc/swaps")
BLOCK = Path("/sys/class/block")
KERNEL_LINE = Path("/proc/cmdline")
REPAIR = "fsck.repair=yes"
"""Read by Debian's initrd and by systemd-fsck@.service(8)."""


class Verdict(Enum):
    """How a line ends."""

    GOOD = "good"
    LOOK = "look"
    """Nothing is lost; somebody should look at it."""
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at. `advice` is empty where all is well."""

    what: str
    verdict: Verdict
    sentence: str
    advice: str = ""


def examine(vault: Vault, clock: MachineClock) -> Iterator[Line]:
    """Every line, as it is found. The vault was opened, so its keyring bears
    the pinned signatures.
    """
    health = measure(vault)
    yield Line(
        "keyring",
        Verdict.GOOD,
        f"Version {health.keyring_version} bears the two pinned signatures.",
    )
    yield _space(health)
    yield _speed(vault.store, clock.monotonic_s)
    yield _clock(health, synced=clock.is_synced())
    yield _catalogue(health)
    yield _pins(vault.settings.pins)
    yield _log_key(vault.settings.log_key_path)
    yield _folder(vault.settings.root)
    yield _since(
        "head of the log",
        vault,
        health.last_head_utc,
        HEAD_HOURS,
        "Look with `systemctl status vault-checkpoint.timer`.",
    )
    yield _witness(vault, health)
    yield _verify(vault, health)
    yield _since(
        "sweep",
        vault,
        health.last_sweep_utc,
        SWEEP_HOURS,
        "Look with `systemctl status vault-sweep.timer`.",
    )
    if health.sweep_waits_because:
        yield Line(
            "sweep",
            Verdict.LOOK,
            f"The sweep waits. {health.sweep_waits_because}",
            "Two persons decide: `vault confirm` (catalogue), `vault clock confirm` (clock) "
            "or `vault approve` (list).",
        )
    yield _since(
        "backup",
        vault,
        health.last_backup_utc,
        BACKUP_HOURS,
        "Mount a medium at /srv/dock-vault-backup, or run `vault backup --to`.",
    )
    yield _since(
        "drill",
        vault,
        health.last_drill_utc,
        DRILL_DAYS * 24,
        "Ask both escrow holders to come, and run `vault drill`.",
    )
    yield from _swap(SWAPS, BLOCK)
    yield from _repair(KERNEL_LINE, RUNTIME)
    yield from _units(RUNTIME)


def _space(health: Health) -> Line:
    free = (
        f"{health.free_bytes / 1e9:.1f} GB are free, {health.reserve_bytes / 1e9:.1f} GB of them "
        f"kept for the log and for viewing."
    )
    if not health.room:
        return Line(
            "space",
            Verdict.BAD,
            f"{free} Cameras are not taken in any more, and keep their recordings.",
            "Give it a larger disk.",
        )
    if health.room_bytes < health.day_bytes:
        return Line(
            "space",
            Verdict.LOOK,
            f"{free} That is less than an average day's recordings.",
            "Give it a larger disk soon.",
        )
    return Line("space", Verdict.GOOD, free)


def _speed(store: Store, monotonic_s: Callable[[], float]) -> Line:
    content = os.urandom(SAMPLE_BYTES)
    began_s = monotonic_s()
    store.probe(content)
    speed = SAMPLE_BYTES / max(monotonic_s() - began_s, 1e-6)
    sentence = f"{speed / 1e6:.0f} MB/s, written and flushed."
    if speed < SLOW_BYTES_PER_S:
        return Line(
            "disk",
            Verdict.LOOK,
            sentence,
            "Look whether something else is busy on it, and at its SMART values.",
        )
    return Line("disk", Verdict.GOOD, sentence)


def _clock(health: Health, *, synced: bool) -> Line:
    source = "Network time keeps it." if synced else "No network time keeps it."
    if not health.clock_trusted:
        return Line(
            "clock",
            Verdict.BAD,
            f"The clock is not trusted, so nothing is deleted. {source}",
            "See `vault clock show`; two persons confirm it.",
        )
    if not synced:
        return Line(
            "clock",
            Verdict.LOOK,
            source,
            "Without network, two persons run `vault clock confirm` each week.",
        )
    return Line("clock", Verdict.GOOD, source)


def _catalogue(health: Health) -> Line:
    if health.unconfirmed_utc:
        return Line(
            "catalogue",
            Verdict.BAD,
            f"It was rebuilt on {health.unconfirmed_utc}: nothing is erased or expires.",
            "Two persons run `vault confirm`.",
        )
    if health.unproven:
        return Line(
            "catalogue",
            Verdict.LOOK,
            f"{health.unproven} recordings are unproven.",
            "Run `vault verify`, and dock their cameras if they still have them.",
        )
    return Line(
        "catalogue",
        Verdict.GOOD,
        f"{health.recordings} recordings, {health.log_entries} entries in the log.",
    )


def _pins(pins: Path) -> Line:
    if os.access(pins, os.W_OK) or os.access(pins.parent, os.W_OK):
        return Line(
            "pins",
            Verdict.LOOK,
            f"The user that runs the vault can change {pins}.",
            f"Run `chown root {pins.parent} {pins}`.",
        )
    return Line("pins", Verdict.GOOD, f"{pins} can't be changed by the user that runs the vault.")


def _log_key(key: Path) -> Line:
    try:
        mode = key.stat().st_mode
    except OSError as error:
        return Line(
            "log key",
            Verdict.BAD,
            f"{key} can't be read: {error.strerror}.",
            "Without it no head is signed and nothing shown: put it back, or make another "
            "with `vault checkpoint --new-key`.",
        )
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        return Line("log key", Verdict.BAD, f"{key} is open to others.", f"Run `chmod 640 {key}`.")
    return Line("log key", Verdict.GOOD, f"{key} is its owner's and group's alone.")


def _folder(root: Path) -> Line:
    """Sealed files tell when somebody was recorded to whoever may read the folder, and are gone
    with whoever may write it.
    """
    status = root.stat()
    sentence = f"{root} is {_owner(status)}, {stat.filemode(status.st_mode)}."
    if status.st_mode & stat.S_IRWXO:
        return Line(
            "folder", Verdict.BAD, f"{sentence} It is open to others.", f"Run `chmod o= {root}`."
        )
    if status.st_uid != os.geteuid():
        advice = f"Run the vault as {_owner(status)}, as its services do."
        return Line(
            "folder", Verdict.LOOK, f"{sentence} This program runs as another user.", advice
        )
    return Line("folder", Verdict.GOOD, sentence)


def _owner(status: os.stat_result) -> str:
    """Owner and group by name, or by number where they have none."""
    try:
        owner = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = str(status.st_uid)
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    return f"{owner}:{group}"


def _witness(vault: Vault, health: Health) -> Line:
    if not health.witness_named:
        return Line(
            "witness",
            Verdict.LOOK,
            "None is named: nobody outside could show a log that was written anew.",
            "Name one in vault.toml (`witness`).",
        )
    if health.last_witness_utc is None:
        advice = "Run `vault checkpoint`: it says why the witness took none."
        return Line("witness", Verdict.LOOK, "One is named, and took no head yet.", advice)
    line = _since(
        "witness",
        vault,
        health.last_witness_utc,
        HEAD_HOURS,
        "Run `vault checkpoint`: it says why the witness is silent.",
    )
    return replace(line, sentence=f"It took a head last on {health.last_witness_utc}.")


def _verify(vault: Vault, health: Health) -> Line:
    if health.last_verify_findings:
        return Line(
            "verify",
            Verdict.BAD,
            f"The daily check of {health.last_verify_utc} had {health.last_verify_findings} "
            f"findings.",
            "Run `vault verify`, which names each; `journalctl -u vault-verify` has them as well.",
        )
    return _since(
        "verify",
        vault,
        health.last_verify_utc,
        VERIFY_HOURS,
        "Look with `systemctl status vault-verify.timer`.",
    )


def _since(what: str, vault: Vault, last_utc: str | None, hours_max: float, advice: str) -> Line:
    if last_utc is None:
        return Line(what, Verdict.LOOK, "Not done yet, as far as the log tells.", advice)
    hours = (vault.clock.now() - utc_moment(last_utc)).total_seconds() / 3600
    sentence = f"Last on {last_utc}."
    if hours < 0:
        # The clock was ahead then: when it was is not known.
        return Line(what, Verdict.LOOK, f"{sentence} That is yet to come.", advice)
    return (
        Line(what, Verdict.LOOK, sentence, advice)
        if hours > hours_max
        else Line(what, Verdict.GOOD, sentence)
    )


def _swap(swaps: Path, block: Path) -> Iterator[Line]:
    """Swap keeps what was in memory: keys and footage, were they not held out of it. The services
    are; other programs are not.
    """
    used = [line.split()[0] for line in swaps.read_text().splitlines()[1:]]
    if not used:
        yield Line("swap", Verdict.GOOD, "There is none.")
    for name in used:
        encrypted = _is_encrypted(_device_below(Path(name), block))
        if encrypted or Path(name).name.startswith("zram"):
            yield Line("swap", Verdict.GOOD, f"{name} is encrypted or in memory.")
        else:
            yield Line(
                "swap",
                Verdict.BAD,
                f"{name} is not encrypted.",
                f"Run `swapoff {name}`, and take it out of /etc/fstab or encrypt it.",
            )


def _device_below(place: Path, block: Path) -> Path:
    """The block device of a swap partition, or the one that a swap file lies on."""
    try:
        status = place.stat()
    except OSError:
        return block / place.name
    number = status.st_rdev if stat.S_ISBLK(status.st_mode) else status.st_dev
    device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    return device.resolve() if device.exists() else block / place.resolve().name


def _is_encrypted(device: Path) -> bool:
    """Whether it is dm-crypt, or all that it lies on is (a volume of LVM in LUKS)."""
    identity = device / "dm" / "uuid"
    if identity.exists() and identity.read_text().startswith("CRYPT-"):
        return True
    below = sorted((device / "slaves").glob("*"))
    return bool(below) and all(_is_encrypted(one.resolve()) for one in below)


def _repair(kernel_line: Path, runtime: Path) -> Iterator[Line]:
    """A power cut can tear ext4's superblock, which has one checksum over two sectors. What only
    preens does not mend that.
    """
    if not runtime.is_dir():
        return
    if REPAIR in kernel_line.read_text().split():
        yield Line(
            "repair",
            Verdict.GOOD,
            "What a power cut tore in a file system is mended at the next start.",
        )
    else:
        yield Line(
            "repair",
            Verdict.LOOK,
            "After a power cut this PC may wait for somebody who mends its file system.",
            f"Add {REPAIR} to GRUB_CMDLINE_LINUX in /etc/default/grub, and run `update-grub`.",
        )


def _units(runtime: Path) -> Iterator[Line]:
    if not runtime.is_dir():
        yield Line(
            "units",
            Verdict.GOOD,
            "No service manager here: whoever started the vault looks after it.",
        )
        return
    units = ask_units((*RUNNING, *CALLED), runtime)
    if units is None:
        yield Line("units", Verdict.LOOK, "systemd does not say how they are.", _NO_BUS)
        return
    troubles = [(unit, trouble) for unit in units if (trouble := judge_unit(unit)) is not None]
    for unit, trouble in troubles:
        verdict = Verdict.BAD if trouble.bad else Verdict.LOOK
        yield Line(f"unit {unit.name}", verdict, trouble.sentence, trouble.advice)
    yield Line(
        "units",
        Verdict.GOOD,
        f"{len(units) - len(troubles)} of {len(units)} are as they should be.",
    )
