"""A docking PC whose moment is kept: from it a machine goes on within two seconds, as often as a
campaign wants.

Two moments of two boots of the same installed system. AT_WORK: services run, an official is signed
in, the vault's disk is mounted. RESTARTED: booted for real, nothing of ours runs, the vault's disk
is not mounted; it stands for the restart after a power cut. Memory is kept as QEMU's migration
stream, disks as images; the vault's disk is always a `VolatileDisk`.
"""

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.vm.archive import FIRST, Archive
from tests.campaigns.vm.guest import BOOT_S, Guest
from tests.campaigns.vm.guest_station import Station
from tests.campaigns.vm.hardware import Hardware
from tests.campaigns.vm.machine import Machine
from tests.campaigns.vm.volatile import Power, VolatileDisk

HERE = Path(__file__).resolve().parent
AT_WORK, RESTARTED = "at-work", "restarted"
SERVICES = "dock-clock dock-reader.socket dock-erase.socket vault-custody.path dockd vault-web"
VAULT_PORT = "port2"
VAULT_DEVICE = "/dev/disk/by-id/virtio-vault"

WITNESS = """\
#!/usr/bin/python3 -I
import socket, sys
with socket.create_connection(("10.0.2.2", int(open("/run/outside").read())), 20) as connection:
    connection.sendall(b"note\\n" + sys.stdin.buffer.read())
    connection.shutdown(socket.SHUT_WR)
    sys.exit(connection.recv(16) != b"ok")
"""

VOUCH = """\
#!/usr/bin/python3 -I
# As a time server's daemon would: the clock is kept (adjtimex: ADJ_STATUS, ADJ_MAXERROR, ADJ_ESTERROR).
import ctypes, struct
timex = ctypes.create_string_buffer(512)
struct.pack_into("<IxxxxqqqqI", timex, 0, 0x10 | 0x4 | 0x8, 0, 0, 0, 0, 0)
assert ctypes.CDLL(None).adjtimex(timex) in range(5)
"""

CONFIGURE = """\
set -e
install -m 755 /dev/stdin /usr/local/bin/witness <<'END'
{witness}END
install -m 755 /dev/stdin /usr/local/sbin/vouch <<'END'
{vouch}END
install -m 644 /dev/stdin /usr/local/sbin/viewer.py <<'END'
{viewer}END
sed -i '1i witness = ["/usr/local/bin/witness"]' /etc/dock-vault/vault.toml
for unit in vault-web vault-checkpoint; do
  mkdir -p /etc/systemd/system/$unit.service.d
  printf '[Service]\\nIPAddressAllow=10.0.2.2\\n' >/etc/systemd/system/$unit.service.d/witness.conf
done
# What is due at a certain hour of the day would come in at any moment.
systemctl disable -q vault-backup.timer vault-verify.timer vault-sweep.timer vault-checkpoint.timer
echo '{device} /var/lib/dock-vault ext4 nofail 0 2' >>/etc/fstab
systemctl daemon-reload
echo {port} >/run/outside
vouch
systemctl start {services}
"""

READY = """\
set -e
for i in $(seq 600); do test -S /run/vault-web/metrics.sock && break; sleep 0.1; done
/opt/dock-vault/bin/python /usr/local/sbin/viewer.py sign-in {name} {passphrase}
systemctl is-active {services}
sync; echo 3 >/proc/sys/vm/drop_caches; sync
"""

STANDING = """\
set -e
systemctl stop dock-vault.target {services}
umount /var/lib/dock-vault
sync; echo 3 >/proc/sys/vm/drop_caches
"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Two moments below `folder`."""

    hardware: Hardware
    folder: Path

    @classmethod
    def make(
        cls, guest: Guest, folder: Path, archive: Archive, station: Station, outside_port: int
    ) -> "Prepared":
        """Install the package in a restored guest, let everything start, and keep that; then
        restart it, and keep that.
        """
        made = cls(guest.hardware, folder)
        first = folder / "first"
        first.mkdir()
        with guest.restored(first) as machine:
            station.install(machine)
            viewer = (HERE / "viewer.py").read_text()
            written = {"witness": WITNESS, "vouch": VOUCH, "viewer": viewer, "device": VAULT_DEVICE}
            machine.must(CONFIGURE.format(**written, port=outside_port, services=SERVICES), 120)
            machine.must(
                READY.format(
                    name=FIRST, passphrase=shlex.quote(archive.secrets[FIRST]), services=SERVICES
                ),
                120,
            )
            made._keep(machine, AT_WORK, first / "disk.qcow2", folder / "vault.img")
            machine.qmp("cont")
            machine.must(
                "systemctl stop dock-vault.target "
                + SERVICES
                + "; umount /var/lib/dock-vault; sync",
                120,
            )
            # Its own end writes out what a qcow2 image keeps in memory.
            machine.quit()
        made._restart(first / "disk.qcow2")
        return made

    def _restart(self, disk: Path) -> None:
        """A real boot of the installed system, with the vault's disk as it was left."""
        again = self.folder / "again"
        again.mkdir()
        power = Power()
        with VolatileDisk(self.folder / "vault.img", again / "vault.sock", power) as vault:
            with Machine(self.hardware, again, disk, *self._disks(vault)) as machine:
                machine.wait_for_agent(BOOT_S)
                machine.must("systemctl is-system-running --wait || true", BOOT_S)
                machine.must(STANDING.format(services=SERVICES), 120)
                self._keep(machine, RESTARTED, disk, None)

    def _keep(self, machine: Machine, moment: str, disk: Path, vault: Path | None) -> None:
        """Memory and disks of a machine that stands still meanwhile."""
        machine.qmp("stop")
        machine.migrate(self.folder / f"{moment}.ram")
        shutil.copyfile(disk, self.folder / f"{moment}.qcow2")
        if vault is not None:
            shutil.copyfile(vault, self.folder / f"{moment}-vault.img")

    @property
    def vault_at_work(self) -> Path:
        return self.folder / f"{AT_WORK}-vault.img"

    @contextmanager
    def machine(self, moment: str, folder: Path, vault: VolatileDisk) -> Iterator[Machine]:
        """A machine that goes on from that moment. `folder` takes its channels and what it writes
        to its own disk.
        """
        disk = self._overlay(moment, folder)
        more = ["-incoming", f"exec:cat {self.folder / moment}.ram"]
        with Machine(self.hardware, folder, disk, *self._disks(vault), *more) as machine:
            machine.wait_incoming()
            yield machine

    @contextmanager
    def booted(self, folder: Path, vault: VolatileDisk) -> Iterator[Machine]:
        """The installed system booted for real, everything started by itself."""
        with Machine(
            self.hardware, folder, self._overlay(RESTARTED, folder), *self._disks(vault)
        ) as machine:
            machine.wait_for_agent(BOOT_S)
            yield machine

    def _overlay(self, moment: str, folder: Path) -> Path:
        disk = folder / "disk.qcow2"
        base = self.folder / f"{moment}.qcow2"
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, disk], check=True
        )
        return disk

    def _disks(self, vault: VolatileDisk) -> list[str]:
        program = f"driver=raw,node-name=program,read-only=on,file.driver=file,file.filename={self.folder / 'program.img'}"
        flat = f"driver=nbd,node-name=vault,server.type=unix,server.path={vault.socket_path},export=disk"
        device = "virtio-blk-pci,id={0}-disk,drive={0},serial={0},bus={1}"
        words = ["-blockdev", program, "-device", device.format("program", "port1")]
        return [*words, "-blockdev", flat, "-device", device.format("vault", VAULT_PORT)]
