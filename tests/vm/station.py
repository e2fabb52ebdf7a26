"""The docking PC in the guest: the project's programs, a vault, and the real service under systemd.

Programs and vault come on disks of their own. The vault is founded out here and looked into out here when all is done, with
passphrases that the guest never sees.
"""

import compileall
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

from tests.vault.world import CHEAP, PASSPHRASES, plaintexts
from tests.vm.machine import Machine, MachineFailed
from vault import cameras, catalogue
from vault.ceremony import Founders
from vault.clock import SystemClock
from vault.config import VaultSettings
from vault.founding import found
from vault.vault import Vault

REPOSITORY = Path(__file__).resolve().parents[2]
VAULT_DISK = "192M"
PROGRAM_DISK = "24M"
STATUS_SOCKET = "/run/dockd/status.sock"
POLL_S = 0.1

VAULT_TOML = 'root = "/var/lib/dock-vault/vault"\npins = "/etc/dock-vault/pins.json"\nreserve_mb = 1\nlanes = 2\n'
DOCKD_TOML = 'vault = "/etc/dock-vault/vault.toml"\nlog_level = "debug"\n'

PROGRAM = """\
#!/usr/bin/python3
import os
import sys
sys.path[:0] = ["/opt/dock-vault/source", "/opt/site"]
os.environ["PYTHONPATH"] = "/opt/dock-vault/source:/opt/site"
from {package}.__main__ import main
main()
"""

# What a docking PC's desktop does with a card: it is mounted at a folder of its own below /media, and goes when the card goes.
AUTOMOUNT = """\
ACTION=="add", SUBSYSTEM=="block", ENV{ID_BUS}=="usb", ENV{ID_FS_TYPE}=="vfat", \\
  RUN+="/usr/bin/systemd-mount --no-block --collect -o uid=dockd,gid=dockd,umask=0077,utf8 $devnode /media/$env{ID_FS_UUID}"
"""

SET_UP = """\
set -e
date -s @{now} >/dev/null
udevadm wait --timeout=30 /dev/disk/by-id/virtio-program /dev/disk/by-id/virtio-vault
mount -o ro /dev/disk/by-id/virtio-program /opt/dock-vault
mount /dev/disk/by-id/virtio-vault /var/lib/dock-vault
cp -r /opt/dock-vault/etc/. /etc/
chown -R dockd:dockd /var/lib/dock-vault
chown -R root:dockd /etc/dock-vault
chmod 640 /etc/dock-vault/*
udevadm control --reload
systemctl daemon-reload
"""


@dataclass(frozen=True, slots=True)
class Held:
    """A recording as the vault holds it: the catalogue's state, and each file opened, by its sealed name."""

    camera: str
    name: str
    state: str
    files: dict[str, bytes]


class Station:
    """Made on this machine in `folder`; `install` brings it into the guest."""

    def __init__(self, folder: Path, source: Path = REPOSITORY) -> None:
        self._folder = folder
        self._source = source
        self._clock = SystemClock()
        self._machine: Machine | None = None
        self._home = folder / "vault-disk"
        self._home.mkdir()
        self._settings = VaultSettings(root=self._home / "vault", pins=folder / "pins.json", reserve_mb=1, lanes=2)
        found(self._settings, self._clock, Founders.by_function(PASSPHRASES), CHEAP)

    @property
    def machine(self) -> Machine:
        assert self._machine is not None
        return self._machine

    def register(self, serial: str, public_key: str = "") -> None:
        """Enrol a camera, before the station is installed. Without a key it is a DCIM camera."""
        with Vault.open(self._settings, self._clock) as vault, vault.writing() as tx:
            cameras.register(tx, vault.log, vault.clock, (serial, public_key, "test"), "test")

    def install(self, machine: Machine) -> None:
        """Plug the two disks and make the guest a docking PC. The service is not started yet."""
        self._machine = machine
        images = {"program": self._program_disk(), "vault": _disk(self._home, self._folder / "vault.img", VAULT_DISK)}
        for slot, (name, image) in enumerate(images.items(), 1):
            attach_file(machine, name, image)
            machine.plug("virtio-blk-pci", f"{name}-disk", drive=name, serial=name, bus=f"port{slot}")
        machine.must(SET_UP.format(now=int(self._clock.now().timestamp())))

    def start(self) -> None:
        """Until systemd has heard that dockd is ready."""
        self.machine.must("systemctl start dockd", 120)

    def bays(self) -> list[dict[str, Any]]:
        """What dockd's status socket says of all bays."""
        said = self.machine.hear(STATUS_SOCKET)
        if said is None:
            raise MachineFailed("dockd does not answer on its status socket")
        return list(json.loads(said)["bays"])

    def wait_bay(self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 60) -> dict[str, Any]:
        """The first bay that is as wanted; MachineFailed with what all bays were at the end."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        while True:
            bays = self.bays()
            found = next((bay for bay in bays if wanted(bay)), None)
            if found is not None:
                return found
            if self._clock.monotonic_s() > deadline_s:
                raise MachineFailed(f"no bay came to be as wanted: {bays}")
            self._clock.sleep(POLL_S)

    def wait_phase(self, camera: str, phase: str, timeout_s: float = 60) -> dict[str, Any]:
        return self.wait_bay(lambda bay: bay["camera"] == camera and bay["phase"] == phase, timeout_s)

    def verify(self) -> str:
        """Stop the service and let `vault verify` read everything, in the guest."""
        self.machine.must("systemctl stop dockd", 60)
        return self.machine.must("runuser -u dockd -- /opt/dock-vault/bin/vault verify", 120)

    def holdings(self) -> list[Held]:
        """What the vault holds, opened by two officials out here. The guest lets go of the disk first."""
        self.machine.must("umount /var/lib/dock-vault")
        came_back = self._folder / "came-back"
        came_back.mkdir()
        subprocess.run(
            ["debugfs", "-R", f"rdump / {came_back}", str(self._folder / "vault.img")], check=True, capture_output=True
        )
        settings = self._settings.model_copy(update={"root": came_back / "vault"})
        with Vault.open(settings, self._clock) as vault:
            with vault.reading() as tx:
                rows = catalogue.all_recordings(tx)
            return [Held(row.camera_serial, row.name, row.state, plaintexts(vault, row.id)) for row in rows]

    def _program_disk(self) -> Path:
        root = self._folder / "program"
        for package in ("dockd", "vault"):
            shutil.copytree(self._source / package, root / "source" / package, ignore=shutil.ignore_patterns("__pycache__"))
            program = root / "bin" / package
            program.parent.mkdir(exist_ok=True)
            program.write_text(PROGRAM.format(package=package))
            program.chmod(0o755)
        compileall.compile_dir(root / "source", quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
        etc = root / "etc"
        for name in ("dock-vault", "systemd/system", "udev/rules.d"):
            (etc / name).mkdir(parents=True)
        shutil.copy(self._settings.pins, etc / "dock-vault" / "pins.json")
        (etc / "dock-vault" / "vault.toml").write_text(VAULT_TOML)
        (etc / "dock-vault" / "dockd.toml").write_text(DOCKD_TOML)
        shutil.copy(self._source / "systemd" / "dockd.service", etc / "systemd" / "system")
        for rules in (self._source / "systemd").glob("*.rules"):
            shutil.copy(rules, etc / "udev" / "rules.d")
        (etc / "udev" / "rules.d" / "90-automount.rules").write_text(AUTOMOUNT)
        return _disk(root, self._folder / "program.img", PROGRAM_DISK)


def attach_file(machine: Machine, name: str, image: Path, **more: Any) -> None:
    """Make an image known to QEMU, as a drive that a device may then be plugged with."""
    machine.qmp("blockdev-add", driver="raw", file={"driver": "file", "filename": str(image)}, **{"node-name": name}, **more)


def _disk(content: Path, image: Path, size: str) -> Path:
    subprocess.run(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-d", str(content), str(image), size], check=True, capture_output=True
    )
    return image
