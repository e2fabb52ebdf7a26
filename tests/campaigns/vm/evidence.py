"""What must hold whatever was killed: looked at in the guest, and in a copy of the vault out here,
opened by two officials.
"""

from tests.campaigns.vm.guest_station import Station
from tests.campaigns.vm.machine import Machine
from tests.campaigns.vm.worn_cameras import Files, Ledger
from tests.support.vault_world import plaintexts
from vault.catalogue import recording_rows
from vault.catalogue.recording_rows import RecordingRow
from vault.operations.verify import verify
from vault.vault import Vault

FOOTAGE = "/var/lib/dock-vault/vault/footage"
NOT_IN_CUSTODY = f"find {FOOTAGE} -mindepth 3 \\( -user dockd -o -perm /022 \\) | head -n5"
"""What of a stored recording the dock could still change."""
FAILED = "systemctl list-units --state=failed --plain --no-legend 'dock*' 'vault*' | cut -d' ' -f1"
OURS = "journalctl -b --no-pager -o short-monotonic -p err -u 'vault-*' -u 'dock*' | grep -v '^-- '"
KERNEL = (
    "journalctl -k -b --no-pager | grep -E 'BUG:|Oops|WARNING:|Call Trace|hung task|I/O "
    "error.*EXT4|segfault'"
)


class Evidence:
    """One vault from look to look: its log may only grow."""

    def __init__(self, station: Station, ledger: Ledger) -> None:
        self._station = station
        self._ledger = ledger
        self._leaves: list[bytes] = []
        self.recordings = 0
        self.destroyed = 0

    def complaints(self) -> list[str]:
        """Everything that is not as it has to be, once all cameras are taken in and nothing works
        any more.
        """
        said = self._station.machine.run("vault verify", 900).output
        found = (
            [] if said.startswith("All is well") else [f"vault verify in the guest says: {said}"]
        )
        if loose := self._station.machine.run(NOT_IN_CUSTODY).output:
            found.append(f"stored, and the dock could still change: {loose}")
        with self._station.copied() as vault:
            found += [
                f"the copy: {finding.sentence}"
                for finding in verify(vault, lambda _: None).findings
            ]
            found += self._log(vault) + self._recordings(vault)
        return found

    def _log(self, vault: Vault) -> list[str]:
        before, self._leaves = self._leaves, list(vault.leaves())
        return (
            []
            if self._leaves[: len(before)] == before
            else ["the log does not go on from what it was"]
        )

    def _recordings(self, vault: Vault) -> list[str]:
        with vault.reading() as tx:
            rows = recording_rows.all_recordings(tx)
            self.destroyed = len(recording_rows.destroyed_recordings(tx))
        docked = self._ledger.docked()
        serials = {serial for serial, _ in docked}
        proven: dict[tuple[str, str], list[RecordingRow]] = {}
        for row in rows:
            if row.proven and row.camera_serial in serials:
                proven.setdefault((row.camera_serial, row.name), []).append(row)
        self.recordings = len(proven)
        found = [
            f"{key} is in the vault and stood on no card"
            for key in sorted(proven.keys() - docked.keys())
        ]
        for key, files in docked.items():
            found += _held(vault, key, files, proven.get(key, []))
        return found


def _held(vault: Vault, key: tuple[str, str], files: Files, rows: list[RecordingRow]) -> list[str]:
    """Exactly once, erased, and byte for byte."""
    if len(rows) != 1:
        return [f"{key} is in the vault {len(rows)} times"]
    (row,) = rows
    found = [] if row.state == "erased" else [f"{key} is {row.state}"]
    opened = {
        name.partition(".")[0]: content for name, content in plaintexts(vault, row.id).items()
    }
    wanted = {
        name.partition(".")[0]: content for name, content in files.items() if name.endswith(".mp4")
    }
    wanted["manifest"] = files["recording.sig"] + files["recording.json"]
    return found if opened == wanted else [*found, f"{key} is not held as it was recorded"]


def failed_units(machine: Machine) -> list[str]:
    return machine.run(FAILED).output.split()
