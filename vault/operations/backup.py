"""Backup (P30). A backup holds the vault's record, not its index, and no key that opens anything by
itself.

Each step before the next: a target whose log differs from this vault's is refused; what the vault
destroyed is destroyed there, keys first; what is new is copied, flushed and read back against its
digest; the register of the log, the signed heads, and the keyring last. So a target is at every
moment a vault that can be restored, and after a run nothing there opens what was destroyed before
it. A recording that only the target has, and whose destruction is not on record, is the last copy:
it is kept and reported. What can't be copied keeps nothing else from being copied. Each night a
part of the copies is read, and copied again where the medium has lost it.
"""

import uuid
from dataclasses import dataclass, field
from pathlib import Path

from vault.catalogue import facts, recording_rows
from vault.catalogue.recording_rows import RecordingRow
from vault.config import default_catalogue
from vault.crypto.canonical_json import Json, parse_object
from vault.errors import (
    Reaction,
    StorageFailed,
    VaultError,
    VaultExists,
    VaultFull,
)
from vault.log.log import Entry, Log, read_tree
from vault.operations.copies import (
    Progress,
    copy_recording,
    copy_small_files,
    copy_whole,
    sentence_of,
    small_files,
)
from vault.storage.durable import make_folder
from vault.storage.file_store import FileStore
from vault.storage.record import parse_record
from vault.storage.store import RECORD_NAME, FolderName, Store
from vault.vault import BACKUP_WHOLE, Vault, read_vault_id

ACTOR = "vault backup"
READING_PARTS = 14
"""So many parts of the recordings' copies, one of which is read each night."""


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a run of the backup did at the target. `mended`: of `copied`, those that were there and
    could not be read as they were written. `unknown`: what only the target has, and whose
    destruction is not on record. `failed`: what could not be copied, by recording, and why.
    """

    copied: int
    kept: int
    destroyed: int
    files: int
    mended: int
    unknown: tuple[str, ...]
    failed: dict[str, str]

    @property
    def whole(self) -> bool:
        return not self.unknown and not self.failed


class OtherLog(VaultError):
    """The backup's log has entries that this vault's log lacks: it may hold the only copy of
    something.
    """

    code = "backup.other_log"
    reaction = Reaction.ALARM
    hint = (
        "Nothing there was changed. It is newer than what this vault was restored from: "
        "restore from it, or put it aside until"
        " nobody needs it, and back up to another medium."
    )


def back_up(vault: Vault, target: Path, progress: Progress) -> BackedUp:
    """Bring a backup up to date. Raises VaultExists for a folder of something else, OtherLog,
    StorageFailed, VaultFull.
    """
    make_folder(target)
    there = FileStore(target, vault.id)
    _demand_target(vault, target, there)
    _demand_same_log(vault, target)
    with vault.reading() as tx:
        rows = recording_rows.all_recordings(tx)
    on_record = _on_record(vault)
    destroyed, unknown = _destroy_gone(there, {row.id for row in rows}, on_record.gone, progress)
    copies = _Copies()
    for row in rows:
        if _copy_one(vault, there, row, on_record, copies):
            progress(row.id)
    details: Json = {
        "copied": copies.copied,
        "kept": copies.kept,
        "destroyed": destroyed,
        "finished_utc": vault.now_utc(),
        "mended": copies.mended,
        "unknown": unknown,
        "failed": sorted(copies.failed),
    }
    vault.record(Entry("backup.made", ACTOR, None, details))
    done = BackedUp(
        copies.copied,
        copies.kept,
        destroyed,
        copies.files + _copy_record_of_vault(vault.settings.root, target),
        copies.mended,
        tuple(unknown),
        copies.failed,
    )
    if done.whole:
        with vault.writing() as tx:
            facts.set_meta(tx, BACKUP_WHOLE, vault.now_utc())
    return done


@dataclass(slots=True)
class _Copies:
    """What became of the recordings so far."""

    copied: int = 0
    kept: int = 0
    files: int = 0
    mended: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def _copy_one(
    vault: Vault, there: Store, row: RecordingRow, on_record: "_OnRecord", copies: _Copies
) -> bool:
    """Bring one recording's copy up to date; False where it failed, or was destroyed meanwhile.
    Raises VaultFull.
    """
    folder = FolderName(row.folder)
    lost = 0
    try:
        if _is_read_today(row.id, vault.clock.now().toordinal()):
            lost = _drop_lost(row, vault.store, there, on_record)
        count = copy_recording(vault.store, there, folder)
    except VaultFull:
        raise
    except (VaultError, OSError) as error:
        if _destroyed_meanwhile(vault, row.id):
            there.destroy(folder)
        else:
            copies.failed[row.id] = sentence_of(error)
        return False
    copies.files += count
    copies.copied += count > 0
    copies.kept += count == 0
    copies.mended += lost > 0
    return True


def _copy_record_of_vault(root: Path, target: Path) -> int:
    """Copy register, heads and keyring; how many files were copied."""
    # The heads of before the register, and after it: wherever this ends, none is there without its
    # entries.
    heads = small_files(root, "checkpoints")
    files = copy_small_files(root, target, "register", small_files(root, "register"))
    files += copy_small_files(root, target, "checkpoints", heads)
    for name in ("keyring.json", "vault.json"):
        files += copy_whole(root / name, target / name)
    return files


def _destroy_gone(
    there: Store, here: set[str], gone: set[str], progress: Progress
) -> tuple[int, list[str]]:
    """Destroy at the target what was destroyed here; how many, and what only the target has
    although its destruction is not on record.
    """
    destroyed, unknown = 0, []
    for folder in there.recordings():
        recording_id = folder.recording_id
        if recording_id in here:
            continue
        if recording_id in gone or not there.may_hold(folder, RECORD_NAME):
            there.destroy(folder)
            destroyed += 1
        else:
            unknown.append(recording_id)
        progress(recording_id)
    return destroyed, unknown


def _demand_same_log(vault: Vault, target: Path) -> None:
    """Every entry of the backup's log is this vault's, but for the last: it may have been copied,
    and never have committed. Raises OtherLog.
    """
    ours = vault.leaves()
    held: bytes | None = None
    try:
        for leaf in Log(target / "register", vault.clock).lines():
            if held is not None and held != next(ours, None):
                break
            held = leaf
        else:
            return
    except StorageFailed:
        # The medium has lost a piece of it, which is copied again; but for one that goes beyond
        # what this vault has.
        with vault.reading() as tx:
            if _newest_line(target, vault) <= read_tree(tx).size:
                return
    raise OtherLog(f"The log of the backup at {target} differs from this vault's log.")


def _newest_line(target: Path, vault: Vault) -> int:
    try:
        return Log(target / "register", vault.clock).newest_line()
    except StorageFailed:
        return -1


@dataclass(frozen=True, slots=True)
class _OnRecord:
    """`gone`: whatever the vault's own record names as destroyed, or a witness did when the vault
    was restored. `later_keys`: SHA-256 by recording and file.
    """

    gone: set[str]
    later_keys: dict[tuple[str, str], str]


def _on_record(vault: Vault) -> _OnRecord:
    with vault.reading() as tx:
        on_record = _OnRecord({row.id for row in recording_rows.destroyed_recordings(tx)}, {})
    for leaf in vault.leaves():
        if b'"vault.restored"' in leaf or b'"recording.sealed_later"' in leaf:
            entry = parse_object(leaf)
            subject, details = entry["subject"], entry["details"]
            match entry["action"]:
                case "vault.restored":
                    on_record.gone.update(details["left_out"])
                case "recording.sealed_later":
                    on_record.later_keys[subject, details["file"]] = details["sha256"]
    return on_record


def _is_read_today(recording_id: str, day: int) -> bool:
    """Seven parts in one fortnight's weeks and the other seven in the next one's: so within four
    weeks, as long as a recording is kept, each is read also on a medium that is away every other
    week.
    """
    return uuid.UUID(recording_id).int % READING_PARTS == day % 7 + 7 * (day // 14 % 2)


def _drop_lost(row: RecordingRow, here: Store, there: Store, on_record: _OnRecord) -> int:
    """Remove each file at the target that can't be read as it was written, where the vault's own
    can; how many.
    """
    folder = FolderName(row.folder)
    digests = {
        part.sealed_name: part.sealed_sha256
        for part in parse_record(here.read_record(folder)).files
    }
    digests |= {
        name: sha256
        for (recording, name), sha256 in on_record.later_keys.items()
        if recording == row.id
    }
    # Last, as it is the first that names the others.
    digests[RECORD_NAME] = row.record_sha256
    lost = 0
    for name, sha256 in digests.items():
        if (
            there.may_hold(folder, name)
            and not _is_sound(there, folder, name, sha256)
            and _is_sound(here, folder, name, sha256)
        ):
            there.remove(folder, name)
            lost += 1
    return lost


def _is_sound(store: Store, folder: FolderName, name: str, sha256: str) -> bool:
    try:
        return store.file_digest(folder, name)[1] == sha256
    except (StorageFailed, OSError):
        return False


def _destroyed_meanwhile(vault: Vault, recording_id: str) -> bool:
    with vault.reading() as tx:
        row = recording_rows.find_recording(tx, recording_id)
    return row is not None and row.destroyed_utc is not None


_UNFINISHED = ("footage", "register", "checkpoints", "catalogue", "incoming", "keyring.json")
"""What a backup that was cut off before its vault.json may hold."""


def _demand_target(vault: Vault, target: Path, there: FileStore) -> None:
    if (target / "vault.json").is_file():
        if read_vault_id(target) != vault.id:
            raise VaultExists(
                f"{target} holds a backup of another vault.", hint="Name another folder."
            )
        if default_catalogue(target).exists() or target.samefile(vault.settings.root):
            raise VaultExists(f"{target} is a vault, not a backup.", hint="Name another folder.")
        return
    strangers = [path.name for path in target.iterdir() if path.name not in _UNFINISHED]
    if strangers:
        raise VaultExists(
            f"{target} is not empty: {strangers[0]}.", hint="Name a new or empty folder."
        )
    there.prepare()
