"""The life of a docking PC, from `apt-get install` on: `python -m tests.campaigns.vm.life [PART
...]`, each on a Debian that has nothing.

`first_start`: a PC that has nothing, the ceremony by its pages, a camera, a case, a viewing by two,
sweep, verify, backup; then its power is cut, and from there to "ready for cameras" is measured.
`restore`: another PC, from that backup's medium and the two codes of the escrow.
"""

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.campaigns.vm.__main__ import CACHE
from tests.campaigns.vm.docking_pc import Disks, Pc, ext4, program_disk, vault_disk, wanted_units
from tests.campaigns.vm.guest import Guest
from tests.campaigns.vm.next_version import THIS_VERSION
from tests.campaigns.vm.part_results import Course
from tests.campaigns.vm.simulator import Simulator, Worn, vfat_card, vfat_files
from tests.support.places import REPOSITORY
from vault.clock import Clock, SystemClock
from vault.rules.roles import Function

HERE = Path(__file__).resolve().parent
HOST = "10.0.2.2"
CARD, USB, LATER = "BWC0071", "BWC0072", "BWC0073"
"""A card, a camera on the USB, and a card that is docked at the restored PC."""
SHIFT = "standby 4 s\non\n4 s\noff\n"
PERSONS = {
    function.value: (f"Person {function.value}", f"the words of {function.value} alone, {at}")
    for at, function in enumerate(Function)
}
OFFICER = ("M. Jansen", "an officer's own long words")
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install -y /mnt/program/{package} </dev/null"
MEASURED = (
    "power-on to ready for cameras",
    "power-on to everything",
    f"plug to first byte of {CARD}",
    f"plug to first byte of {USB} over USB/IP",
)
BACKUP = "/srv/dock-vault-backup"
MODES = {
    "/etc/dock-vault/keys": "root:dock-vault 750",
    "/etc/dock-vault/keys/pins.json": "root:dock-vault 640",
    "/etc/dock-vault/keys/log.key": "root:vault 640",
}


@dataclass
class Life:
    """What goes from one part to the next."""

    guest: Guest
    folder: Path
    clock: Clock
    course: Course
    program: Path
    """The disk with the package, and with what is run in the guest."""
    cameras: dict[str, Worn]
    codes: list[str] = field(default_factory=list)
    recording: str = ""
    viewed: str = ""
    """What `vault view open` said of the recording's files."""

    @property
    def backup(self) -> Path:
        return self.folder / "backup.img"

    def disks(self, name: str) -> Disks:
        disks = Disks(self.folder / name, self.program)
        disks.folder.mkdir()
        vault_disk(disks)
        return disks


def first_start(life: Life) -> str:
    """From a Debian that has nothing to the backup, as the documents tell it."""
    disks = life.disks("first")
    with Pc.fresh(life.guest, disks, life.course) as pc:
        install(life, pc)
        hold_ceremony(life, pc)
        pc.type(
            "vault ceremony enrol 'M. Jansen' --officer boa-17 --as PO --as CM",
            OFFICER[1],
            OFFICER[1],
            words("PO"),
            words("CM"),
        )
        for serial in (CARD, USB, LATER):
            key = life.cameras[serial].public_key
            pc.type(
                f"vault camera add {serial} --public-key {shlex.quote(key)} --as BC", words("BC")
            )
        dock_card(life, pc, CARD)
        life.recording = pc.rows("vault list --as CM", words("CM"))[0]["id"]
        look_together(life, pc, "D-1")
        for unit in ("vault-sweep", "vault-verify", "vault-checkpoint"):
            pc.does(f"{unit}.service")
        back_up(life, pc)
        said = pc.must("vault verify")
        assert said.startswith("All is well"), said
        assert not pc.complaints(), pc.complaints()
        pc.must("sync")
    with measured_boot(life, disks) as pc:
        plugged_over_usb(life, pc)
        assert not pc.complaints(), pc.complaints()
    return ", ".join(f"{name} {life.course.measured[name]:.1f} s" for name in MEASURED)


def install(life: Life, pc: Pc) -> None:
    """The package, and what stands then: all that needs no keys, and the ceremony that waits."""
    began_s = life.course.now_s()
    said = pc.must(INSTALL.format(package="dock-vault_*.deb"))
    life.course.step("install", began_s)
    assert "journalctl -u vault-ceremony" in said, said
    pc.wait_active("vault-ceremony.service", "dock-page.service", "vault-sweep.timer")
    assert pc.machine.run("systemctl is-active dockd vault-web").output.split() == [
        "inactive",
        "inactive",
    ]


def hold_ceremony(life: Life, pc: Pc) -> None:
    """By its pages. From the last click on everything starts by itself, and the keys are root's."""
    pc.wait("journalctl -b -u vault-ceremony -o cat | grep -q 'lets it begin: '")
    word = pc.must("journalctl -b -u vault-ceremony -o cat | sed -n 's/.*lets it begin: //p'")
    persons = shlex.quote(json.dumps(PERSONS))
    pc.wait("python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:8480/\")'")
    began_s = life.course.now_s()
    life.codes = json.loads(
        pc.must(f"python3 /mnt/program/hold_ceremony.py {word} {persons}").splitlines()[-1]
    )
    life.course.step("ceremony", began_s)
    began_s = life.course.now_s()
    demand_at_work(pc)
    life.course.step("everything runs after it", began_s)


def demand_at_work(pc: Pc) -> None:
    """All that the target names is active, the ceremony is gone, and keys and pins are as they
    should be.
    """
    pc.wait_active(*wanted_units())
    pc.wait('test inactive = "$(systemctl is-active vault-ceremony.service)"')
    for path, wanted in MODES.items():
        found = pc.must(f"stat -c '%U:%G %a' {path}")
        assert found == wanted, f"{path} is {found}"


def words(function: str) -> str:
    return PERSONS[function][1]


def dock_card(life: Life, pc: Pc, serial: str) -> None:
    """Put a camera's card into a reader, and take it away once the bay says so: it
    is empty then.
    """
    camera = life.cameras[serial]
    image = pc_card(life, camera)
    pc.insert(serial, image)
    began_s = life.course.now_s()
    pc.wait_bay(lambda bay: bay["camera"] == serial and bay["bytes_done"] > 0)
    life.course.step(f"plug to first byte of {serial}", began_s)
    pc.wait_bay(lambda bay: bay["camera"] == serial and bay["phase"] == "safe to take")
    pc.pull(serial)
    assert vfat_files(image) == ["DEVICE/device.json"], vfat_files(image)


def pc_card(life: Life, camera: Worn) -> Path:
    image = life.folder / f"{camera.serial}.img"
    vfat_card(camera.folder / "card", image, f"CA3D{camera.serial[-4:]}", 64)
    return image


def look_together(life: Life, pc: Pc, reference: str) -> None:
    """A demand: registered, a viewing asked for, its conditions confirmed, opened by two; the log
    knows it.
    """
    now = life.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    pc.type(
        f"vault case register demand {reference} {life.recording} --received {now} --text "
        f"robbery --as PO",
        words("PO"),
    )
    pc.type(f"vault view request demand {life.recording} --case {reference} --as PO", words("PO"))
    asked = [row["viewing"] for row in pc.rows("vault view list --as PO", words("PO"))]
    viewing = next(row["id"] for row in asked if row["opened_utc"] is None)
    confirmed = "--confirm location --confirm nobody_else"
    said = pc.type(
        f"vault view open {viewing} {confirmed} --as PO --as CM", words("PO"), words("CM")
    )
    assert "signature holds" in said, said
    assert "DIFFERS" not in said, said
    demand_the_cameras_bytes(life, pc, said)
    told = pc.rows(f"vault log --about {viewing} --as CM", words("CM"))
    actions = {row["action"] for row in told}
    assert {"viewing.requested", "viewing.opened", "viewing.shown", "viewing.ended"} <= actions, (
        actions
    )


def demand_the_cameras_bytes(life: Life, pc: Pc, said: str) -> None:
    """Every file opened to the digest that the record holds, and the record's digests are those of
    the camera's own card.
    """
    record = json.loads(
        pc.must(f"cat /var/lib/dock-vault/vault/footage/*/*/{life.recording}/record.json")
    )
    held = {part["name"]: part["sha256"] for part in record["files"]}
    shown = {
        line.split(":")[0].strip() for line in said.splitlines() if "digest as taken in" in line
    }
    assert shown == set(held), (shown, set(held))
    on_card = {
        hashlib.sha256(content).hexdigest()
        for path, content in life.cameras[CARD].card.items()
        if path.endswith(".mp4")
    }
    assert on_card <= set(held.values()), "the recording is not what stood on the card"
    life.viewed = said


def back_up(life: Life, pc: Pc) -> None:
    """An ordinary disk on the USB, mounted where the documents say."""
    if not life.backup.exists():
        ext4(life.backup, "256M", label="backup")
    plug_backup(life, pc, "defaults")
    pc.does("vault-backup.service")
    pc.must(f"test -e {BACKUP}/vault/vault.json && umount {BACKUP}")
    pc.pull("backup")


def plug_backup(life: Life, pc: Pc, options: str) -> None:
    pc.insert("backup", life.backup)
    pc.wait("test -e /dev/disk/by-label/backup")
    pc.must(f"mkdir -p {BACKUP} && mount -o {options} /dev/disk/by-label/backup {BACKUP}")


def measured_boot(life: Life, disks: Disks) -> Pc:
    """Power on, and wait for nothing but the word of systemd that dockd is ready."""
    began_s = life.course.now_s()
    pc = Pc.booted(life.guest, disks, life.course)
    life.course.step("power-on to a shell", began_s)
    pc.wait_active("dockd.service")
    life.course.step("power-on to ready for cameras", began_s)
    try:
        demand_at_work(pc)
    except BaseException:
        pc.machine.kill()
        raise
    life.course.step("power-on to everything", began_s)
    return pc


def plugged_over_usb(life: Life, pc: Pc) -> None:
    """A camera that is attached over USB/IP, as a cable is plugged in."""
    pc.must("modprobe vhci-hcd")
    with Simulator([life.cameras[USB]]) as simulator:
        began_s = life.course.now_s()
        pc.must(f"usbip --tcp-port {simulator.port} attach -r {HOST} -b {simulator.bus_ids[USB]}")
        pc.wait_bay(lambda bay: bay["camera"] == USB and bay["bytes_done"] > 0)
        life.course.step(f"plug to first byte of {USB} over USB/IP", began_s)
        pc.wait_bay(lambda bay: bay["camera"] == USB and bay["phase"] == "safe to take")
        assert not life.cameras[USB].left(), life.cameras[USB].left()


def restore(life: Life) -> str:
    """Another PC, on which the vault's user has another number: one command, the two codes, and two
    persons' word.
    """
    assert life.backup.exists(), "restore goes on from first_start"
    disks = life.disks("second")
    with Pc.fresh(life.guest, disks, life.course) as pc:
        pc.must("useradd --system somebody && useradd --system somebody-else")
        install(life, pc)
        plug_backup(life, pc, "ro")
        owner, ours = pc.must(f"stat -c %u {BACKUP}/vault/vault.json"), pc.must("id -u vault")
        assert owner != ours, (
            "the two PCs gave the vault's user the same number: this shows nothing"
        )
        began_s = life.course.now_s()
        said = pc.type(f"vault restore --from {BACKUP}/vault --yes", *life.codes)
        life.course.step("restore", began_s)
        assert "1 recordings stand again" in said, said
        assert "opened with the escrow alone" in said, said
        pc.must(f"umount {BACKUP}")
        pc.pull("backup")
        demand_at_work(pc)
        pc.wait(
            "! find /var/lib/dock-vault/vault/footage -mindepth 4 -type f ! \\( -user vault "
            "-perm 640 \\) | grep -q ."
        )
        assert "denied" in pc.machine.run(
            "runuser -u dockd -- rm /var/lib/dock-vault/vault/footage/*/*/*/record.json"
        ).output.replace("not permitted", "denied")
        pc.type("vault confirm --as PO --as CM", words("PO"), words("CM"))
        pc.type("vault clock confirm --as PO --as CM", words("PO"), words("CM"))
        look_together(life, pc, "D-2")
        dock_card(life, pc, LATER)
        for unit in ("vault-sweep", "vault-verify", "vault-checkpoint"):
            pc.does(f"{unit}.service")
        back_up(life, pc)
        said = pc.must("vault verify")
        assert said.startswith("All is well: 2 recordings"), said
        assert not pc.complaints(), pc.complaints()
    return f"restored within {life.course.measured['restore']:.1f} s"


PARTS: tuple[Callable[[Life], str], ...] = (first_start, restore)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.vm.life", description=__doc__)
    parser.add_argument(
        "--cache",
        type=Path,
        default=CACHE,
        help="where built guests are kept (default: %(default)s)",
    )
    parser.add_argument("only", nargs="*", help="parts to run; `restore` needs `first_start`")
    options = parser.parse_args()
    guest = Guest.cached(options.cache)
    wanted = [part for part in PARTS if not options.only or part.__name__ in options.only]
    with tempfile.TemporaryDirectory(prefix="vm-") as made:
        course = Course(SystemClock())
        life = prepared(guest, Path(made), course)
        for part in wanted:
            course.part(part.__name__, partial(part, life))
    return 1 if course.failed else 0


def prepared(guest: Guest, folder: Path, course: Course) -> Life:
    """The cameras have been worn, and the package is built."""
    cameras = {serial: Worn(folder / serial, serial) for serial in (CARD, USB, LATER)}
    for camera in cameras.values():
        camera.wear(SHIFT)
        camera.remember()
    program = program_disk(folder, [built(REPOSITORY, folder)], HERE / "hold_ceremony.py")
    return Life(guest, folder, SystemClock(), course, program, cameras)


def built(source: Path, folder: Path, *version: str) -> Path:
    """The Debian package of a source tree. Packages of an earlier run may be given in the folder
    `PACKAGES` names.
    """
    if (before := os.environ.get("PACKAGES")) is not None:
        (found,) = Path(before).glob(f"dock-vault_{version[0] if version else THIS_VERSION}.deb")
        return found
    build = [sys.executable, str(source / "systemd" / "build_deb.py"), str(folder), *version]
    return Path(
        subprocess.run(build, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    )


if __name__ == "__main__":
    sys.exit(main())
