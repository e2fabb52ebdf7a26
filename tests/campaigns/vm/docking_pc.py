"""A docking PC in the guest, as its administrator has it: disks, what is typed, what runs, and its
power.
"""

import json
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.campaigns.vm.guest import BOOT_S, Guest
from tests.campaigns.vm.machine import Machine, MachineFailed
from tests.campaigns.vm.part_results import Course
from tests.support.places import UNIT_FILES

STATUS_SOCKET = "/run/dockd/status.sock"
POLL_S = 0.1
COMMAND_S = 600.0

ONCE = ("vault-ceremony.service", "vault-custody.service")
"""Of all that the target wants, what does not stand for long."""

FSTAB = (
    "/dev/disk/by-id/virtio-vault /var/lib/dock-vault ext4 "
    "defaults,nofail,x-systemd.device-timeout=60 0 2"
)

MEMORY_MIB = 1536
"""With the 512 of the other scenarios' snapshot, all services of a PC at work and a command beside
them have no room for the files that they run from. It comes after QEMU's other words, and so
counts.
"""

MOUNTED = """\
set -e
udevadm wait --timeout=30 /dev/disk/by-id/virtio-program /dev/disk/by-id/virtio-vault
mount -o ro /dev/disk/by-id/virtio-program /mnt/program
echo '{fstab}' >>/etc/fstab
systemctl daemon-reload
mount /var/lib/dock-vault
"""


@dataclass(frozen=True, slots=True)
class Disks:
    """The images of one PC: the system, the vault's own disk, and one with packages, which is only
    read.
    """

    folder: Path
    program: Path

    @property
    def system(self) -> Path:
        return self.folder / "disk.qcow2"

    @property
    def vault(self) -> Path:
        return self.folder / "vault.qcow2"

    def copied(self, folder: Path) -> "Disks":
        """The same in another folder, to be changed there."""
        folder.mkdir()
        for image in (self.system, self.vault):
            shutil.copyfile(image, folder / image.name)
        return Disks(folder, self.program)

    def words(self) -> list[str]:
        """QEMU's words for what `Hardware` does not name."""
        vault = f"file={self.vault},if=none,id=vault,format=qcow2,cache=unsafe"
        program = f"file={self.program},if=none,id=program,format=raw,readonly=on"
        return [
            *(
                "-drive",
                program,
                "-device",
                "virtio-blk-pci,drive=program,serial=program,bus=port1",
            ),
            *("-drive", vault, "-device", "virtio-blk-pci,drive=vault,serial=vault,bus=port2"),
            *("-m", str(MEMORY_MIB)),
        ]


def program_disk(folder: Path, packages: Sequence[Path], *beside: Path) -> Path:
    """A disk with packages and whatever else is carried to the PC."""
    root = folder / "program"
    root.mkdir()
    for path in (*packages, *beside):
        shutil.copy(path, root)
    return ext4(folder / "program.img", "256M", root)


def ext4(image: Path, size: str, content: Path | None = None, label: str = "") -> Path:
    more = ["-d", str(content)] if content is not None else []
    named = ["-L", label] if label else []
    words = ["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", *named, *more, str(image), size]
    subprocess.run(words, check=True, capture_output=True)
    return image


def vault_disk(disks: Disks, content: Path | None = None) -> None:
    """An empty disk for a vault, or one with a vault on it, large enough for the reserve that the
    settings keep by default.
    """
    raw = ext4(disks.folder / "vault.img", "2G", content)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(disks.vault)], check=True)
    raw.unlink()


class Pc:
    """A machine that is running, from its start to `cut` or the end of the block."""

    def __init__(self, machine: Machine, course: Course) -> None:
        self.machine = machine
        self._course = course
        self._clock = course.clock

    @classmethod
    def fresh(cls, guest: Guest, disks: Disks, course: Course) -> "Pc":
        """A freshly installed Debian after a real start, with both disks mounted, as they will be
        at each start from then on.
        """
        shutil.copyfile(guest.disk, disks.system)
        pc = cls.booted(guest, disks, course)
        try:
            pc.must(MOUNTED.format(fstab=FSTAB))
        except BaseException:
            pc.machine.kill()
            raise
        return pc

    @classmethod
    def booted(
        cls, guest: Guest, disks: Disks, course: Course, snapshot: str | None = None
    ) -> "Pc":
        """The same disks after a real start, or where a snapshot of it had been taken."""
        more = ["-loadvm", snapshot] if snapshot else []
        machine = Machine(guest.hardware, disks.folder, disks.system, *disks.words(), *more)
        pc = cls(machine, course)
        try:
            if snapshot is None:
                machine.wait_for_agent(BOOT_S)
            machine.must(
                f"date -s @{int(course.clock.now().timestamp())} >/dev/null" if snapshot else "true"
            )
        except BaseException:
            machine.kill()
            raise
        return pc

    def __enter__(self) -> "Pc":
        return self

    def __exit__(self, *_: object) -> None:
        self.machine.kill()

    def must(self, command: str, timeout_s: float = COMMAND_S) -> str:
        return self.machine.must(command, timeout_s)

    def type(self, command: str, *lines: str, timeout_s: float = COMMAND_S) -> str:
        """A command as an official types it, and what it then asks for. Raises MachineFailed where
        it does not end with 0.
        """
        typed = " ".join(shlex.quote(line) for line in lines)
        began_s = self._course.now_s()
        said = self.machine.must(
            f"printf '%s\\n' {typed} | {command}" if lines else command, timeout_s
        )
        self._course.step(" ".join(command.split()[:3]), began_s)
        return said

    def rows(self, command: str, *lines: str) -> list[dict[str, Any]]:
        """What a command says with --json."""
        return [
            json.loads(line)
            for line in self.type(f"{command} --json", *lines).splitlines()
            if line.startswith("{")
        ]

    def wait(self, condition: str, timeout_s: float = 300) -> None:
        """Until a line of bash ends well."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        while (done := self.machine.run(condition)).code:
            if self._clock.monotonic_s() > deadline_s:
                raise MachineFailed(
                    f"in the guest `{condition}` did not come to hold within {timeout_s:.0f} "
                    f"s: {done.output}"
                )
            self._clock.sleep(POLL_S)

    def wait_active(self, *units: str, timeout_s: float = 600) -> None:
        """Until they are active by themselves. For dockd, whose type is `notify`, that is: ready
        for cameras.
        """
        named = " ".join(units)
        try:
            self.wait(f'test "$(systemctl is-active {named} | sort -u)" = active', timeout_s)
        except MachineFailed as failed:
            said = self.machine.run(
                f"systemctl is-active {named}; systemctl status --no-pager -n 8 {named}"
            ).output
            raise MachineFailed(f"{failed}\n{said}") from failed

    def does(self, unit: str) -> None:
        """Start a unit that does one thing, and see that it did."""
        began_s = self._course.now_s()
        self.must(
            f"systemctl start {unit} || {{ journalctl -b --no-pager -n 30 -u {unit}; false; }}"
        )
        assert self.must(f"systemctl show -P Result -P ConditionResult {unit}").split() == [
            "success",
            "yes",
        ], unit
        self._course.step(unit, began_s)

    def bays(self) -> list[dict[str, Any]]:
        said = self.machine.hear(STATUS_SOCKET)
        return list(json.loads(said)["bays"]) if said else []

    def wait_bay(
        self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 300
    ) -> dict[str, Any]:
        deadline_s = self._clock.monotonic_s() + timeout_s
        while True:
            bays = self.bays()
            found = next((bay for bay in bays if wanted(bay)), None)
            if found is not None:
                return found
            if self._clock.monotonic_s() > deadline_s:
                raise MachineFailed(f"no bay came to be as wanted: {bays}")
            self._clock.sleep(POLL_S / 2)

    def insert(self, name: str, image: Path) -> None:
        """Put a stick or a card reader into the USB."""
        file = {"driver": "file", "filename": str(image)}
        self.machine.qmp(
            "blockdev-add", driver="raw", file=file, **{"node-name": name}, cache={"no-flush": True}
        )
        self.machine.plug("usb-storage", f"{name}-stick", drive=name, bus="xhci.0", removable=True)

    def pull(self, name: str) -> None:
        self.machine.unplug(f"{name}-stick")
        self.machine.wait_unplugged(f"{name}-stick")
        self.machine.qmp("blockdev-del", **{"node-name": name})

    def complaints(self) -> str:
        """What our units and the kernel said in this boot that nobody wants to read."""
        ours = self.machine.run(
            "journalctl -b --no-pager -o short-monotonic -p err -u 'vault-*' -u 'dock*'"
        ).output
        return "" if ours == "-- No entries --" else ours

    def power_off(self) -> None:
        """As the button does; the disks hold everything then."""
        self.machine.run("systemctl poweroff", 5)
        self.machine.wait_ended(120)


def wanted_units() -> list[str]:
    """All that has to stand on a docking PC at work, as the target names it."""
    lines = (UNIT_FILES / "dock-vault.target").read_text().splitlines()
    named = [
        unit
        for line in lines
        if line.startswith("Wants=")
        for unit in line.removeprefix("Wants=").split()
    ]
    return [unit for unit in named if unit not in ONCE]
