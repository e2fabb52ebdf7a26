"""What must hold after a power cut, read off the disks out here: I1 to I7 (architecture.md).

Sealed files, wrapped keys and the log are read by the second reader of `vault/FORMAT.md`; the
catalogue through a copy.
"""

import contextlib
import json
import mmap
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.campaigns.crash.oracle import Catalogue, Row, read_catalogue
from tests.campaigns.vm.archive import FIRST, SECOND, Archive
from tests.campaigns.vm.cards import Card
from tests.support import second_reader as reader
from vault.clock import SystemClock
from vault.custody.witness import log_key, read_witnessed
from vault.log.checkpoints import parse_checkpoint, verify_since
from vault.operations.verify import verify
from vault.vault import Vault

PAIR = {"CM": FIRST, "GS": SECOND}


def unpacked(image: Path, folder: Path) -> Path:
    """The vault on a disk that nobody has mounted since, its file system's journal played back;
    `folder` is made anew.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    copy = folder / "disk.img"
    subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    done = subprocess.run(["e2fsck", "-fy", copy], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), f"the file system can't be mended: {done.stdout}"
    subprocess.run(["debugfs", "-R", f"rdump / {folder}", copy], check=True, capture_output=True)
    copy.unlink()
    return folder / "vault"


@dataclass(frozen=True)
class Aftermath:
    """Holds a vault's disk and a card against what was there before."""

    archive: Archive
    card: Card

    def at_the_cut(self, vault: Path, disk: Path, card: dict[str, bytes]) -> list[str]:
        """Right after it, before anything of ours has run: I1, I2, I4, I5, I7."""
        try:
            catalogue = read_catalogue(vault)
            log = reader.read_log(vault / "register" / "log")
        except (sqlite3.Error, OSError, reader.Refused) as error:
            return [f"I4 catalogue or log can't be read: {error}"]
        found = []
        for name in self.card.recordings:
            rows = [row for row in catalogue.rows if row.name == name and row.proven]
            if self._intact(name, card):
                continue
            if not any(row.state in ("erasing", "erased") for row in rows):
                found.append(f"I2 {name} is erased in part, and no row of it says so")
            if not any(self._opens(vault, row) == self.card.recordings[name] for row in rows):
                found.append(f"I1 {name} is neither intact on the card nor whole in the vault")
        if (
            catalogue.leaves != log.leaves[: len(catalogue.leaves)]
            or log.size - len(catalogue.leaves) > 1
        ):
            found.append(
                f"I4 the catalogue has {len(catalogue.leaves)} entries and the register {log.size}"
            )
        found += self._of_the_past(vault, catalogue)
        with disk.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
            lying = [marker for marker in self.card.markers if content.find(marker) >= 0]
        found += [f"I5 plaintext {marker.hex()} lies on the disk" for marker in lying]
        return found

    def at_the_end(
        self,
        vault: Path,
        card: dict[str, bytes],
        notes: Sequence[bytes],
        shown: Sequence[dict[str, Any]],
    ) -> list[str]:
        """After the recovery, with the card taken in: all of it."""
        catalogue = read_catalogue(vault)
        found = list(self._of_the_past(vault, catalogue))
        left = [path for path in card if not path.startswith("DEVICE/")]
        found += [f"end: {path} is still on the card" for path in left]
        for name, segments in self.card.recordings.items():
            rows = [row for row in catalogue.rows if row.name == name and row.proven]
            if [row.state for row in rows] != ["erased"]:
                found.append(
                    f"I1 {name} has proven rows {[row.state for row in rows]}, not one that "
                    f"is erased"
                )
            elif self._opens(vault, rows[0]) != segments:
                found.append(f"I1 {name} opens to other bytes than the camera's")
        found += [
            f"I3 {path.name} is still in incoming/" for path in (vault / "incoming").iterdir()
        ]
        settings = self.archive.settings.model_copy(update={"root": vault})
        with Vault.open(settings, SystemClock()) as opened:
            found += [
                f"verify: {finding.sentence}" for finding in verify(opened, lambda _: None).findings
            ]
            verifier = log_key(opened).verifier
            known = [parse_checkpoint(read_witnessed(note)[0], verifier) for note in notes]
            found += [f"I4 {one.sentence}" for one in verify_since(known, opened.leaves())]
        return found + list(_untold(catalogue, shown))

    def _intact(self, name: str, card: dict[str, bytes]) -> bool:
        wanted = {path: content for path, content in self.card.files.items() if f"/{name}/" in path}
        return all(card.get(path) == content for path, content in wanted.items())

    def _of_the_past(self, vault: Path, catalogue: Catalogue) -> Iterator[str]:
        """I7: what is held or young stands and opens; what is due stands whole, or its destruction
        was told.
        """
        told = {
            entry["subject"]
            for leaf in catalogue.leaves
            if (entry := json.loads(leaf))["action"] == "recording.destroyed"
        }
        rows = {row.id: row for row in catalogue.rows}
        for recording, contents in self.archive.plain.items():
            if recording in told:
                if recording not in self.archive.due:
                    yield f"I7 {recording} was destroyed and is not due"
                elif not (vault / "register" / "tombstones" / f"{recording}.json").exists():
                    yield f"I3 {recording} was destroyed and has no tombstone"
            elif (
                recording not in rows
                or list(self._opens(vault, rows[recording]).values()) != contents
            ):
                yield f"I7 {recording} does not stand whole, and nothing tells of its destruction"

    def _opens(self, vault: Path, row: Row) -> dict[str, bytes]:
        """The recording's files by the camera's names, as second reader; empty where it does not
        open.
        """
        folder = vault / row.folder
        with contextlib.suppress(reader.Refused, OSError):
            keyring = reader.verify_keyring((vault / "keyring.json").read_bytes())
            privates = {
                receiver: reader.unlock_receiver(keyring, receiver, self.archive.secrets[person])
                for receiver, person in PAIR.items()
            }
            record, _ = reader.read_record(folder, reader.read_vault_id(vault), row.id)
            files = reader.open_files(folder, record, reader.join_key(record, privates))
            return {file.name: file.read() for file in files if file.name != "manifest"}
        return {}


def _untold(catalogue: Catalogue, shown: Sequence[dict[str, Any]]) -> Iterator[str]:
    """I6: for whatever a screen was given, the log has an entry; it has as many bytes as were
    given, or more.
    """
    told: dict[str, int] = {}
    for leaf in catalogue.leaves:
        entry = json.loads(leaf)
        if entry["action"] == "viewing.shown":
            size = entry["details"]["to_byte"] - entry["details"]["from_byte"]
            told[entry["subject"]] = told.get(entry["subject"], 0) + size
    for viewing in {one["viewing"] for one in shown}:
        given = sum(one["size_bytes"] for one in shown if one["viewing"] == viewing)
        if given > told.get(viewing, 0):
            yield (
                f"I6 {given} bytes were shown in the viewing {viewing}, and the log tells of "
                f"{told.get(viewing, 0)}"
            )
