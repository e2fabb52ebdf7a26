"""The docking PC in the guest: the project's programs, a vault, and the real service under systemd.

Programs and vault come on disks of their own. The vault is founded out here and looked into out
here when all is done, with passphrases that the guest never sees.
"""

import copy
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.campaigns.vm.machine import Machine, MachineFailed
from tests.support.places import REPOSITORY
from tests.support.vault_world import CHEAP, PASSPHRASES, plaintexts
from vault.catalogue import recording_rows
from vault.clock import MachineClock, SystemClock
from vault.config import VaultSettings
from vault.custody import cameras
from vault.keyring.first import Founders
from vault.operations.founding import found
from vault.vault import Vault

VAULT_DISK = "192M"
PROGRAM_DISK = "80M"
STATUS_SOCKET = "/run/dockd/status.sock"
POLL_S = 0.1

SET_UP = """\
set -e
date -s @{now} >/dev/null
udevadm wait --timeout=30 /dev/disk/by-id/virtio-program /dev/disk/by-id/virtio-vault
mount -o ro /dev/disk/by-id/virtio-program /mnt/program
export DEBIAN_FRONTEND=noninteractive
apt-get install -y /mnt/program/dock-vault.deb
systemctl stop vault-ceremony dock-vault.target
mount /dev/disk/by-id/virtio-vault /var/lib/dock-vault
chown -R vault:dock-vault /var/lib/dock-vault/vault
systemd-tmpfiles --create dock-vault.conf
sed -i -e '1i reserve_mb = 1' -e '1i lanes = 2' /etc/dock-vault/vault.toml
echo 'log_level = "debug"' >>/etc/dock-vault/dockd.toml
find /var/lib/dock-vault/vault -mindepth 1 -type d -exec chmod 2770 {{}} + -o -type f -exec chmod 660 {{}} +
cp /mnt/program/keys/* /etc/dock-vault/keys/
/usr/lib/dock-vault/after-ceremony
systemctl stop dock-vault.target dockd vault-web
systemctl start dock-reader.socket dock-erase.socket vault-custody.path
"""


@dataclass(frozen=True, slots=True)
class Held:
    """A recording as the vault holds it: the catalogue's state, and each file opened, by its sealed
    name.
    """

    camera: str
    name: str
    state: str
    files: dict[str, bytes]


class Station:
    """Made on this machine in `folder`; `install` brings it into the guest.

    `founding`: the clock that its founders saw. `settings`: of a vault that has a past already.
    """

    def __init__(
        self,
        folder: Path,
        source: Path = REPOSITORY,
        founding: MachineClock | None = None,
        settings: VaultSettings | None = None,
    ) -> None:
        self._folder = folder
        self._source = source
        self._clock = SystemClock()
        self._machine: Machine | None = None
        home = folder / "vault-disk"
        self.settings = settings or VaultSettings(
            root=home / "vault", pins=folder / "pins.json", reserve_mb=1, lanes=2
        )
        if settings is None:
            home.mkdir()
            found(self.settings, founding or self._clock, Founders.by_function(PASSPHRASES), CHEAP)

    @property
    def machine(self) -> Machine:
        assert self._machine is not None
        return self._machine

    def register(self, serial: str, public_key: str = "") -> None:
        """Enrol a camera, before the station is installed. Without a key it is a DCIM camera."""
        with Vault.open(self.settings, self._clock) as vault, vault.writing() as tx:
            cameras.register(tx, vault.log, vault.clock, (serial, public_key, "test"), "test")

    def install(self, machine: Machine) -> None:
        """Plug the two disks and make the guest a docking PC. The service is not started yet."""
        self._machine = machine
        vault = _disk(self.settings.root.parent, self._folder / "vault.img", VAULT_DISK)
        images = {"program": self._program_disk(), "vault": vault}
        for slot, (name, image) in enumerate(images.items(), 1):
            attach_file(machine, name, image)
            machine.plug(
                "virtio-blk-pci", f"{name}-disk", drive=name, serial=name, bus=f"port{slot}"
            )
        machine.must(SET_UP.format(now=int(self._clock.now().timestamp())), 300)

    def on(self, machine: Machine) -> "Station":
        """The same station on another machine, which goes on from a moment of this one's."""
        other = copy.copy(self)
        other._machine = machine
        return other

    def start(self) -> None:
        """Until systemd has heard that dockd is ready."""
        self.machine.must("systemctl start dockd", 120)

    def bays(self) -> list[dict[str, Any]]:
        """What dockd's status socket says of all bays."""
        said = self.machine.hear(STATUS_SOCKET)
        try:
            return list(json.loads(said or "")["bays"])
        except ValueError as error:
            # It may have been killed while it answered.
            raise MachineFailed("dockd does not answer on its status socket") from error

    def wait_bay(
        self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 60
    ) -> dict[str, Any]:
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
        return self.wait_bay(
            lambda bay: bay["camera"] == camera and bay["phase"] == phase, timeout_s
        )

    def verify(self) -> str:
        """Stop the service and let `vault verify` read everything, in the guest."""
        self.machine.must("systemctl stop dockd", 60)
        return self.machine.must("vault verify", 120)

    def holdings(self) -> list[Held]:
        """What the vault holds, opened by two officials out here. The guest lets go of the disk
        first.
        """
        self.machine.must("systemctl stop vault-custody.path; umount /var/lib/dock-vault")
        came_back = self._folder / "came-back"
        came_back.mkdir()
        with Vault.open(
            self._read_out(self._folder / "vault.img", came_back), self._clock
        ) as vault:
            with vault.reading() as tx:
                rows = recording_rows.all_recordings(tx)
            return [
                Held(row.camera_serial, row.name, row.state, plaintexts(vault, row.id))
                for row in rows
            ]

    @contextmanager
    def copied(self) -> Iterator[Vault]:
        """The vault as it stands at this moment, opened out here. Its disk in the guest stood still
        for the copy, and goes on.
        """
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            image = Path(folder, "vault.img")
            self.machine.must("fsfreeze -f /var/lib/dock-vault")
            try:
                subprocess.run(
                    ["cp", "--sparse=always", self._folder / "vault.img", image], check=True
                )
            finally:
                self.machine.must("fsfreeze -u /var/lib/dock-vault")
            with Vault.open(self._read_out(image, Path(folder)), self._clock) as vault:
                yield vault

    def _read_out(self, image: Path, folder: Path) -> VaultSettings:
        """The files of the vault's disk, into a folder; the settings of the vault that then stands
        there.
        """
        subprocess.run(
            ["debugfs", "-R", f"rdump / {folder}", str(image)], check=True, capture_output=True
        )
        return self.settings.model_copy(update={"root": folder / "vault"})

    def _program_disk(self) -> Path:
        root = self._folder / "program"
        keys = root / "keys"
        keys.mkdir(parents=True)
        for key in (self.settings.pins, self.settings.log_key_path):
            shutil.copy(key, keys / key.name)
        build = [sys.executable, str(self._source / "systemd/build_deb.py"), str(self._folder)]
        built = subprocess.run(
            build, check=True, capture_output=True, text=True
        ).stdout.splitlines()[-1]
        shutil.copy(built, root / "dock-vault.deb")
        return _disk(root, self._folder / "program.img", PROGRAM_DISK)


def attach_file(machine: Machine, name: str, image: Path, **more: Any) -> None:
    """Make an image known to QEMU, as a drive that a device may then be plugged with."""
    machine.qmp(
        "blockdev-add",
        driver="raw",
        file={"driver": "file", "filename": str(image)},
        **{"node-name": name},
        **more,
    )


def _disk(content: Path, image: Path, size: str) -> Path:
    subprocess.run(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-d", str(content), str(image), size],
        check=True,
        capture_output=True,
    )
    return image
