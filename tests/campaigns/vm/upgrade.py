"""From one package to the next: `python -m tests.campaigns.vm.upgrade [--cuts N] [PART ...]`, each
on the same PC with recordings.

`undisturbed`: everything is kept, the administrator's settings among it. `cuts`: the power goes at
moments spread over the upgrade, half of them inside the migration; after a real start the PC works
by itself, the catalogue has the old schema or the new one with every row, and the upgrade can be
finished. `back_and_away`: an older version is refused; removed and purged, the footage stays; it
goes when the vault's number is written down.
"""

import argparse
import json
import random
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from tests.campaigns.vm.__main__ import CACHE
from tests.campaigns.vm.docking_pc import Disks, Pc, program_disk, vault_disk, wanted_units
from tests.campaigns.vm.guest import Guest
from tests.campaigns.vm.life import INSTALL, REPOSITORY, built
from tests.campaigns.vm.machine import MachineFailed
from tests.campaigns.vm.next_version import THIS_VERSION, VERSION, next_sources
from tests.campaigns.vm.part_results import Course
from tests.support.vault_world import CHEAP, PASSPHRASES, WHOLE, claim_of
from vault.catalogue import camera_rows
from vault.clock import Clock, SystemClock
from vault.config import VaultSettings
from vault.custody import cameras
from vault.intake.intake import Intake
from vault.keyring.first import Founders
from vault.operations.founding import found
from vault.recording import ClockOffset
from vault.storage.sealing import BytesSource
from vault.vault import Vault

HERE = Path(__file__).resolve().parent
SEED = 20261127
RECORDINGS = 3
DOCKINGS = 3000
SNAPSHOT = "prepared"
ROOT = "/var/lib/dock-vault/vault"
SEEN = "/var/lib/seen"
STATE = "dpkg-query -W -f '${Version} ${db:Status-Status}' dock-vault"

SETTLED = f"""\
set -e
mkdir -p /etc/systemd/system/vault-migrate.service.d {SEEN}
cat >/etc/systemd/system/vault-migrate.service.d/seen.conf <<'END'
[Service]
ExecStartPre=+/bin/sh -c 'rm -f {SEEN}/*; cp -p {ROOT}/catalogue/* {SEEN}/'
END
sed -i 's/^# log_level = .*/log_level = "debug"/' /etc/dock-vault/dockd.toml
sed -i 's/^# reserve_mb = .*/reserve_mb = 300/' /etc/dock-vault/vault.toml
chown -R vault:dock-vault {ROOT}
find {ROOT} -type d -exec chmod 2770 {{}} + -o -type f -exec chmod 660 {{}} +
cp /mnt/program/pins.json /mnt/program/log.key /etc/dock-vault/keys/
systemctl stop vault-ceremony || true
/usr/lib/dock-vault/after-ceremony
"""
"""An administrator's changes, and one of this test's: what vault-migrate finds is kept before it is
touched.
"""


class Ground:
    """The PC before its upgrade, from which every part starts."""

    def __init__(self, guest: Guest, folder: Path, course: Course) -> None:
        self.guest = guest
        self.clock = SystemClock()
        self.course = course
        self.before: dict[str, Any] = {}
        self.upgrade_s = self.migration_s = 0.0
        self._folder = folder
        self._count = 0
        sources, self.old_schema, self.new_schema = next_sources(folder)
        packages = [built(REPOSITORY, folder), built(sources, folder, VERSION)]
        keys, content = folder / "keys", folder / "content"
        content.mkdir()
        settings = VaultSettings(root=content / "vault", pins=keys / "pins.json", reserve_mb=1)
        self.vault_id = found(settings, self.clock, Founders.by_function(PASSPHRASES), CHEAP)
        fill(settings, self.clock)
        beside = (settings.pins, settings.log_key_path, HERE / "look_at_catalogue.py")
        self._disks = Disks(folder / "base", program_disk(folder, packages, *beside))
        self._disks.folder.mkdir()
        vault_disk(self._disks, content)

    def prepare(self) -> str:
        """Install the first version over the vault, start the PC with it once more, and keep that
        moment.
        """
        with Pc.fresh(self.guest, self._disks, self.course) as pc:
            pc.must(
                "echo '/dev/disk/by-id/virtio-program /mnt/program ext4 ro,nofail 0 0' >>/etc/fstab"
            )
            pc.must(INSTALL.format(package=f"dock-vault_{THIS_VERSION}.deb"))
            pc.must(SETTLED)
            pc.wait_active(*wanted_units())
            self.before = looked_at(pc, f"{ROOT}/catalogue/catalogue.db")
            assert self.before["dockings"] == DOCKINGS, self.before
            pc.power_off()
        with Pc.booted(self.guest, self._disks, self.course) as pc:
            pc.wait_active(*wanted_units())
            pc.must("sync")
            pc.machine.monitor(f"savevm {SNAPSHOT}")
        return f"{self.before['dockings']} dockings, {len(self.before['recordings'])} recordings"

    def prepared(self) -> tuple[Disks, Pc]:
        """A copy of the PC, running, a moment before the upgrade."""
        self._count += 1
        disks = self._disks.copied(self._folder / f"u{self._count}")
        return disks, Pc.booted(self.guest, disks, self.course, SNAPSHOT)


def fill(settings: VaultSettings, clock: Clock) -> None:
    with Vault.open(settings, clock) as vault:
        with vault.writing() as tx:
            cameras.register(tx, vault.log, vault.clock, ("BWC0042", "", "test"), "test")
        intake = Intake(vault)
        for at in range(RECORDINGS):
            contents = (b"seen on the street " * 4000, b"and a little later " * 2000)
            attempt = intake.begin(claim_of(contents, at + 1), ClockOffset(clock.now(), 0, "card"))
            for missing in attempt.missing():
                attempt.receive(missing, BytesSource(contents[missing]))
            attempt.commit(WHOLE)
        intake.close()
        chance = random.Random(SEED)
        with vault.writing() as tx:
            for _ in range(DOCKINGS):
                values = {
                    "camera_serial": f"BWC{chance.randrange(40):04d}",
                    "docked_utc": "2026-11-23T21:50:19.123Z",
                }
                camera_rows.add_docking(
                    tx, {**values, "offset_ms": chance.randrange(5000), "offset_source": "manifest"}
                )


def looked_at(pc: Pc, path: str) -> dict[str, Any]:
    """What a catalogue of the guest's holds, whole or not. It is read as its owner does, so that a
    journal is played back.
    """
    found: dict[str, Any] = json.loads(
        pc.must(f"runuser -u vault -- python3 /mnt/program/look_at_catalogue.py {path}")
    )
    return found


def demand_whole(ground: Ground, found: dict[str, Any], schemas: set[str]) -> str:
    """Sound, with every row of before, in one of these schemas and all of it."""
    assert found["sound"] == ["ok"], found
    assert found["astray"] == 0, found
    for name in ("dockings", "dockings_sha256", "recordings"):
        assert found[name] == ground.before[name], (name, found, ground.before)
    assert found["log"] >= ground.before["log"], found
    new = found["schema"] == ground.new_schema
    assert found["schema"] in schemas, found
    assert (found["new_table"], found["written_anew"]) == (
        (True, DOCKINGS) if new else (False, 0)
    ), found
    return str(found["schema"])


def demand_upgraded(ground: Ground, pc: Pc) -> None:
    """Version, schema, the copy, the administrator's settings, and everything at work."""
    assert (
        pc.must("dpkg-query -W -f '${Version} ${Status}' dock-vault")
        == f"{VERSION} install ok installed"
    )
    pc.wait_active(*wanted_units())
    demand_whole(ground, looked_at(pc, f"{ROOT}/catalogue/catalogue.db"), {ground.new_schema})
    pc.must(
        f"cp {ROOT}/catalogue/catalogue-{ground.old_schema}.db {SEEN}/kept.db && chown vault "
        f"{SEEN} {SEEN}/kept.db"
    )
    demand_whole(ground, looked_at(pc, f"{SEEN}/kept.db"), {ground.old_schema})
    for file, line in (("dockd.toml", 'log_level = "debug"'), ("vault.toml", "reserve_mb = 300")):
        pc.must(f"grep -qx '{line}' /etc/dock-vault/{file}")
        pc.must(
            f"! grep -q '^# next' /etc/dock-vault/{file} && grep -q '^# next' "
            f"/usr/share/dock-vault/settings/{file}"
        )
    pc.must("grep -q '^# next' /etc/dock-vault/devices")
    assert pc.must("readlink /opt/dock-vault") == f"dock-vault-{VERSION}"
    assert pc.must("ls -d /opt/dock-vault-*") == f"/opt/dock-vault-{VERSION}"
    said = pc.must("vault verify")
    assert said.startswith(f"All is well: {RECORDINGS} recordings"), said


def undisturbed(ground: Ground) -> str:
    """And measured: where in it the migration lies is what the cuts go by."""
    _, running = ground.prepared()
    with running as pc, ThreadPoolExecutor(1) as pool:
        began_s = ground.clock.monotonic_s()
        upgrading = pool.submit(pc.must, INSTALL.format(package=f"dock-vault_{VERSION}.deb"), 600)
        pc.machine.run(IN_MIGRATION, 600)
        hit_s = ground.clock.monotonic_s()
        pc.machine.run(
            f"while test -e {ROOT}/catalogue/catalogue.db-journal; do sleep 0.02; done", 600
        )
        ground.migration_s = ground.clock.monotonic_s() - hit_s
        said = upgrading.result()
        ground.upgrade_s = ground.clock.monotonic_s() - began_s
        pc.wait_active(*wanted_units())
        demand_upgraded(ground, pc)
        assert not pc.complaints(), (said, pc.complaints())
    return f"{ground.upgrade_s:.1f} s, of which the migration {ground.migration_s:.1f} s"


IN_MIGRATION = f"until test -e {ROOT}/catalogue/catalogue.db-journal; do sleep 0.02; done"


def cuts(ground: Ground, count: int) -> str:
    chance = random.Random(SEED)
    told = []
    for at in range(count):
        fraction = (at // 2 + chance.random()) / -(-count // 2)
        told.append(cut(ground, fraction, in_migration=at % 2 == 0))
        print(f"     cut {at + 1}: {told[-1]}", flush=True)
    return f"{count} cuts"


def cut(ground: Ground, fraction: float, *, in_migration: bool) -> str:
    """Cut the power at a fraction of the whole upgrade or of its migration; start; look; finish the
    upgrade.
    """
    disks, running = ground.prepared()
    with running as pc, ThreadPoolExecutor(1) as pool, suppress(MachineFailed):
        began_s = ground.clock.monotonic_s()
        pool.submit(pc.machine.run, INSTALL.format(package=f"dock-vault_{VERSION}.deb"), 600)
        if in_migration:
            pc.machine.run(IN_MIGRATION, 600)
        ground.clock.sleep(fraction * (ground.migration_s if in_migration else ground.upgrade_s))
        where = "migrating" if in_migration else pc.machine.run(STATE, 30).output
        cut_s = ground.clock.monotonic_s() - began_s
        pc.machine.kill()
    with Pc.booted(ground.guest, disks, ground.course) as pc:
        pc.wait_active(*wanted_units())
        schema = pc.must("cat /opt/dock-vault/schema")
        pc.must(f"chown -R vault {SEEN}")
        stood = demand_whole(
            ground, looked_at(pc, f"{SEEN}/catalogue.db"), {ground.old_schema, ground.new_schema}
        )
        demand_whole(ground, looked_at(pc, f"{ROOT}/catalogue/catalogue.db"), {schema})
        if pc.machine.run(f"test -e {SEEN}/catalogue-{ground.old_schema}.db").code == 0:
            demand_whole(
                ground,
                looked_at(pc, f"{SEEN}/catalogue-{ground.old_schema}.db"),
                {ground.old_schema},
            )
        assert not pc.complaints(), pc.complaints()
        state = pc.must(STATE)
        how = finish(pc)
        demand_upgraded(ground, pc)
    return (
        f"after {cut_s:.1f} s ({where}); found: {state}, programs for {schema}, catalogue {stood}; "
        f"it worked by itself, and was finished by {how}"
    )


def finish(pc: Pc) -> str:
    """What an administrator does then: nothing, `dpkg --configure -a`, or the same installation
    once more.
    """
    wanted = f"{VERSION} installed"
    if pc.must(STATE) == wanted:
        return "nobody"
    pc.machine.run("DEBIAN_FRONTEND=noninteractive dpkg --configure -a </dev/null", 600)
    if pc.must(STATE) == wanted:
        return "dpkg --configure -a"
    pc.must(INSTALL.format(package=f"dock-vault_{VERSION}.deb"), 600)
    assert pc.must(STATE) == wanted
    return "apt-get install"


def masked(pc: Pc) -> None:
    """A unit that the administrator does not want stays away, and keeps no other from being enabled
    and started.
    """
    pc.must("systemctl mask --now dock-page")
    pc.must("systemctl disable -q vault-web")
    again = INSTALL.replace("install", "install --reinstall")
    said = pc.must(again.format(package=f"dock-vault_{VERSION}.deb"), 600)
    assert "dock-page.service is left as it is." in said, said
    assert pc.machine.run("systemctl is-enabled dock-page vault-web").output.split() == [
        "masked",
        "enabled",
    ]
    pc.wait_active(*(unit for unit in wanted_units() if unit != "dock-page.service"))
    pc.must("systemctl unmask dock-page; systemctl enable --now -q dock-page")


def back_and_away(ground: Ground) -> str:
    """An older version is refused and changes nothing; without the vault's number neither removal
    nor purge touches footage.
    """
    _, running = ground.prepared()
    with running as pc:
        pc.must(INSTALL.format(package=f"dock-vault_{VERSION}.deb"), 600)
        pc.wait_active(*wanted_units())
        main_pid = pc.must("systemctl show -P MainPID dockd")
        backwards = INSTALL.replace("install", "install --allow-downgrades")
        refused = pc.machine.run(backwards.format(package=f"dock-vault_{THIS_VERSION}.deb"), 600)
        assert refused.code != 0, refused.output
        assert (
            f"dock-vault {THIS_VERSION} is older than {VERSION}, which stands here or did"
            in refused.output
        ), refused.output
        demand_upgraded(ground, pc)
        assert pc.must("systemctl show -P MainPID dockd") == main_pid, (
            "dockd was stopped for a version that was refused"
        )
        masked(pc)
        footage = f"find {ROOT}/footage -type f -exec sha256sum {{}} + | sort"
        before = pc.must(footage)
        keys = pc.must("sha256sum /etc/dock-vault/keys/*")
        for word in ("remove", "purge"):
            said = pc.must(
                f"DEBIAN_FRONTEND=noninteractive apt-get {word} -y dock-vault </dev/null"
            )
            assert pc.must(footage) == before, f"{word} touched footage"
            assert pc.must("sha256sum /etc/dock-vault/keys/*") == keys
            assert not pc.machine.run(
                "systemctl list-units --no-legend 'dock*' 'vault*' | grep -E "
                "'running|waiting|listening'"
            ).output
        assert f"The recordings stay in {ROOT}" in said, said
        assert ground.vault_id in said, said
        assert pc.machine.run("ls -d /opt/dock-vault*").code != 0
        pc.must(INSTALL.format(package=f"dock-vault_{VERSION}.deb"), 600)
        pc.wait_active(*wanted_units())
        assert pc.must("vault verify").startswith("All is well")
        pc.must(f"echo {ground.vault_id} >/etc/dock-vault/delete-all-footage")
        pc.must("DEBIAN_FRONTEND=noninteractive apt-get purge -y dock-vault </dev/null")
        assert (
            pc.must(
                "find /var/lib/dock-vault -mindepth 1 ! -name lost+found; ls -d "
                "/etc/dock-vault 2>/dev/null || true"
            )
            == ""
        )
    return "refused, removed, purged, installed again, deleted"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.vm.upgrade", description=__doc__
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=CACHE,
        help="where built guests are kept (default: %(default)s)",
    )
    parser.add_argument(
        "--cuts", type=int, default=2, help="how often the power is cut (default: %(default)s)"
    )
    parser.add_argument(
        "only", nargs="*", help="undisturbed, cuts, back_and_away; cuts need undisturbed"
    )
    options = parser.parse_args()
    guest = Guest.cached(options.cache)
    with tempfile.TemporaryDirectory(prefix="vm-") as made:
        course = Course(SystemClock())
        ground = Ground(guest, Path(made), course)
        if course.part("prepared", ground.prepare):
            parts = {
                "undisturbed": undisturbed,
                "cuts": partial(cuts, count=options.cuts),
                "back_and_away": back_and_away,
            }
            for name, part in parts.items():
                if not options.only or name in options.only:
                    course.part(name, partial(part, ground))
    return 1 if course.failed else 0


if __name__ == "__main__":
    sys.exit(main())
