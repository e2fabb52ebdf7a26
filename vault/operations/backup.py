"""Backup and restore (P30). A backup holds the vault's record, not its index, and no key that opens
anything by itself.

Backup, each step before the next: a target whose log goes on otherwise than this vault's is
refused; what the vault destroyed is destroyed there, keys first; then what is new is copied,
flushed and read back against its digest; the register of the log, the signed heads, and the keyring
last. So a target is at every moment a vault that can be restored, and after a run nothing there
opens what was destroyed before it. What stands there and not here, and nothing tells of its
destruction, is the last copy: it is kept, and told. What can't be copied keeps nothing else from
being copied. Each night a part of what stands there is read, and copied anew where the medium has
lost it.

Restore, into an empty place: copy and read back; what a tombstone names, the backup's own or the
witness's, is not copied, nor is what the medium has lost, which is told; then the catalogue is made
anew, and nothing expires or is erased until two persons have confirmed. What the lost machine kept
outside its vault is made anew too (`outside.py`); `vault.json` is written last, and until then the
same restore can be begun again and goes on. A copy carried away by hand is reached by nobody: its
keyring and its passphrases are then all that stands between.
"""

import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vault.catalogue import facts, recording_rows
from vault.catalogue.database import Catalogue, catalogue_of
from vault.catalogue.recording_rows import RecordingRow
from vault.clock import Clock, utc_text
from vault.config import VaultSettings
from vault.crypto.canonical_json import parse_object, readable
from vault.errors import (
    CannotOpen,
    Reaction,
    ReadBackDiffers,
    StorageFailed,
    VaultError,
    VaultExists,
    VaultFull,
)
from vault.keyring.keyring import Pins
from vault.log.checkpoints import LogForked
from vault.log.keys_outside import (
    demand_pinned,
    follow_log_key,
    is_key_lost,
    keyring_in,
    write_pins,
)
from vault.log.log import Entry, Log, read_tree
from vault.log.signed_note import CheckpointRefused, LogVerifier
from vault.log.tombstones import read_tombstones
from vault.operations.rebuild import Rebuilt, rebuild
from vault.storage.durable import make_folder, may_be, remove_file, replace_new, write_new
from vault.storage.record import LIMIT_BYTES, parse_record
from vault.storage.store import LATER_KEYS, RECORD_NAME, Store, copy_file, read_small
from vault.vault import BACKUP_WHOLE, Vault, read_vault_id

ACTOR, RESTORING = "vault backup", "vault restore"
PARTS = 14
"""So many parts of the recordings' copies, one of which is read each night."""
SMALL_BYTES = 64 << 20
"""The largest file of the register, the keyring or the checkpoints that is copied in memory."""

Progress = Callable[[str], None]
"""Is told each recording that was dealt with."""


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a run of the backup did at the target. `mended`: of `copied`, those that stood there and
    could not be read as they were written. `unknown`: what stands there alone, and nothing tells of
    its destruction. `failed`: what could not be copied, by recording, and why.
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
    _demand_target(vault, target)
    _demand_same_log(vault, target)
    there = Store(target, vault.id, 0)
    with vault.reading() as tx:
        rows = recording_rows.all_recordings(tx)
        standing = {row.id for row in rows}
    told = _told(vault)
    destroyed, unknown = _destroy_gone(there, standing, told.gone, progress)
    copied = kept = files = mended = 0
    failed: dict[str, str] = {}
    for row in rows:
        source, place = vault.store.folder_at(row.folder), target / row.folder
        lost = 0
        try:
            if _is_read_today(row.id, vault.clock.now().toordinal()):
                lost = _drop_lost(row, source, place, told, there)
            count = _copy_recording(source, place, there)
        except VaultFull:
            raise
        except (VaultError, OSError) as error:
            if _destroyed_meanwhile(vault, row.id):
                there.destroy(place)
            else:
                failed[row.id] = _said(error)
            continue
        files += count
        copied, kept, mended = copied + (count > 0), kept + (count == 0), mended + (lost > 0)
        progress(row.id)
    details = {
        "copied": copied,
        "kept": kept,
        "destroyed": destroyed,
        "finished_utc": vault.now_utc(),
    }
    details |= {"mended": mended, "unknown": unknown, "failed": sorted(failed)}
    vault.record(Entry("backup.made", ACTOR, None, details))
    # The heads of before the register, and after it: wherever this ends, none stands there without
    # its entries.
    heads = _names(vault.settings.root, "checkpoints")
    files += _copy_small(
        vault.settings.root, target, "register", _names(vault.settings.root, "register")
    )
    files += _copy_small(vault.settings.root, target, "checkpoints", heads)
    for name in ("keyring.json", "vault.json"):
        files += _copy_whole(vault.settings.root / name, target / name)
    done = BackedUp(copied, kept, destroyed, files, mended, tuple(unknown), failed)
    if done.whole:
        with vault.writing() as tx:
            facts.set_meta(tx, BACKUP_WHOLE, vault.now_utc())
    return done


def _destroy_gone(
    there: Store, standing: set[str], gone: set[str], progress: Progress
) -> tuple[int, list[str]]:
    """How many were destroyed at the target, and what stands there alone although nothing tells of
    its destruction.
    """
    destroyed, unknown = 0, []
    for folder in there.folders():
        if folder.name in standing:
            continue
        if folder.name in gone or not may_be((folder / RECORD_NAME).exists):
            there.destroy(folder)
            destroyed += 1
        else:
            unknown.append(folder.name)
        progress(folder.name)
    return destroyed, unknown


def _demand_same_log(vault: Vault, target: Path) -> None:
    """Every entry of the backup's log is this vault's, but for the last: it may have been copied,
    and never have committed.
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
        # The medium has lost a piece of it, which is copied anew; but for one that goes beyond what
        # this vault has.
        with vault.reading() as tx:
            if _newest_line(target, vault) <= read_tree(tx).size:
                return
    raise OtherLog(f"The log of the backup at {target} goes on otherwise than this vault's.")


def _newest_line(target: Path, vault: Vault) -> int:
    try:
        return Log(target / "register", vault.clock).newest_line()
    except StorageFailed:
        return -1


@dataclass(frozen=True, slots=True)
class _Told:
    """`gone`: whatever the vault's own record tells of as destroyed, or a witness did when the
    vault was restored. `later_keys`: SHA-256 by recording and file.
    """

    gone: set[str]
    later_keys: dict[tuple[str, str], str]


def _told(vault: Vault) -> _Told:
    with vault.reading() as tx:
        told = _Told({row.id for row in recording_rows.destroyed_recordings(tx)}, {})
    for leaf in vault.leaves():
        if b'"vault.restored"' in leaf or b'"recording.sealed_later"' in leaf:
            entry = parse_object(leaf)
            match entry["action"]:
                case "vault.restored":
                    told.gone.update(entry["details"]["left_out"])
                case "recording.sealed_later":
                    told.later_keys[entry["subject"], entry["details"]["file"]] = entry["details"][
                        "sha256"
                    ]
    return told


def _said(error: VaultError | OSError) -> str:
    return (
        error.sentence if isinstance(error, VaultError) else f"{error.filename}: {error.strerror}."
    )


def _is_read_today(recording_id: str, day: int) -> bool:
    """Seven parts in one fortnight's weeks and the other seven in the next one's: so within four
    weeks, as long as a recording is kept, each is read also on a medium that is away every other
    week.
    """
    return uuid.UUID(recording_id).int % PARTS == day % 7 + 7 * (day // 14 % 2)


def _drop_lost(row: RecordingRow, source: Path, place: Path, told: _Told, there: Store) -> int:
    """Remove each file at the target that can't be read as it was written, where the vault's own
    can; how many.
    """
    wanted = {
        part.sealed_name: part.sealed_sha256
        for part in parse_record(read_small(source / RECORD_NAME, LIMIT_BYTES)).files
    }
    wanted |= {
        name: sha256 for (recording, name), sha256 in told.later_keys.items() if recording == row.id
    }
    # Last, as it is the first that tells of the others.
    wanted[RECORD_NAME] = row.record_sha256
    lost = 0
    for name, sha256 in wanted.items():
        path = place / name
        if (
            may_be(path.exists)
            and not _is_sound(path, sha256, there)
            and _is_sound(source / name, sha256, there)
        ):
            remove_file(path)
            lost += 1
    return lost


def _is_sound(path: Path, sha256: str, store: Store) -> bool:
    try:
        return store.file_digest(path)[1] == sha256
    except (StorageFailed, OSError):
        return False


def _destroyed_meanwhile(vault: Vault, recording_id: str) -> bool:
    with vault.reading() as tx:
        row = recording_rows.find_recording(tx, recording_id)
    return row is not None and row.destroyed_utc is not None


_PARTS = ("footage", "register", "checkpoints", "catalogue", "incoming", "keyring.json")
"""What a backup that was cut off before its vault.json may hold."""


def _demand_target(vault: Vault, target: Path) -> None:
    if (target / "vault.json").is_file():
        if read_vault_id(target) != vault.id:
            raise VaultExists(
                f"{target} holds a backup of another vault.", hint="Name another folder."
            )
        if catalogue_of(target).exists():
            raise VaultExists(f"{target} is a vault, not a backup.", hint="Name another folder.")
        return
    strangers = [path.name for path in target.iterdir() if path.name not in _PARTS]
    if strangers:
        raise VaultExists(
            f"{target} is not empty: {strangers[0]}.", hint="Name a new or empty folder."
        )
    for name in ("footage", "incoming"):
        make_folder(target / name)


def _copy_recording(source: Path, target: Path, there: Store) -> int:
    """Copy a recording's folder; returns how many files were copied, 0 where all stood.
    `record.json` goes last.
    """
    content = read_small(source / RECORD_NAME, LIMIT_BYTES)
    record = parse_record(content)
    copied = 0
    for part in record.files:
        place = target / part.sealed_name
        if place.is_file() and place.stat().st_size == part.sealed_bytes:
            continue
        make_folder(target, within=there.footage)
        remove_file(place)
        copy_file(
            source / part.sealed_name,
            there.incoming / f"{target.name}-{part.sealed_name}.part",
            place,
        )
        if there.file_digest(place) != (part.sealed_bytes, part.sealed_sha256):
            remove_file(place)
            raise ReadBackDiffers(
                f"{target.name}/{part.sealed_name} reads back from the backup as another file."
            )
        copied += 1
    for path in (*sorted(source.glob(LATER_KEYS)), source / RECORD_NAME):
        if not (target / path.name).exists():
            there.write_beside(target, path.name, read_small(path, LIMIT_BYTES))
            copied += 1
    return copied


def _names(root: Path, folder: str) -> set[Path]:
    return {path.relative_to(root) for path in _files(root / folder)}


def _copy_small(root: Path, target: Path, folder: str, wanted: Collection[Path]) -> int:
    """Bring a folder to these small files: what is new or longer is copied, what the vault removed
    is removed.
    """
    for relative in _names(target, folder) - set(wanted):
        remove_file(target / relative)
    return sum(_copy_whole(root / relative, target / relative) for relative in sorted(wanted))


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (
            path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        )


def _copy_whole(source: Path, target: Path) -> int:
    content = read_small(source, SMALL_BYTES)
    with suppress(StorageFailed, OSError):
        if target.is_file() and read_small(target, SMALL_BYTES) == content:
            return 0
    make_folder(target.parent)
    part = target.with_name(f".{target.name}.part")
    remove_file(part)
    replace_new(part, target, content)
    return 1


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore brought back, and what it left out because a tombstone names it. `lost`: what
    the medium no longer has as it was written, by recording, and why.

    `log_key`: the public key of a new log key, where the old one was lost with its machine.
    """

    rebuilt: Rebuilt
    left_out: tuple[str, ...]
    lost: dict[str, str]
    log_key: str | None


BEGUN = ".restore.json"
"""Says of a place that a restore is under way in it, of which vault, and whether the log's key was
found lost.
"""


def restore(
    settings: VaultSettings,
    backup: Path,
    clock: Clock,
    witnessed: Collection[str],
    progress: Progress,
    pins: Pins | None = None,
) -> Restored:
    """Make a vault of a backup, in an empty place or where the same restore was cut off.

    `witnessed`: recordings that the witness's notes name as destroyed. `pins`: for a machine that
    has none. Where the backup's log does not go on from the head that was signed last, everything
    stands all the same, a new key of the log is not made, and so nothing is shown before somebody
    has looked. Raises LogForked and CheckpointRefused then, NotAVault, VaultExists, VaultFull,
    KeyringRefused, StorageFailed, ReadBackDiffers.
    """
    root = settings.root
    vault_id = read_vault_id(backup)
    demand_pinned(settings, keyring_in(backup), pins)
    key_lost = _begin(settings, backup, vault_id)
    for name in ("incoming", "footage", "register", "checkpoints"):
        make_folder(root / name)
    gone = set(witnessed) | set(read_tombstones(backup / "register"))
    source, here = Store(backup, vault_id, 0), Store(root, vault_id, settings.reserve_bytes)
    folders = source.folders()
    left_out = [folder.name for folder in folders if folder.name in gone]
    wanted = [folder for folder in folders if folder.name not in gone]
    _demand_room(source, here, wanted)
    lost: dict[str, str] = {}
    for folder in wanted:
        place = here.folder_at(source.relative(folder))
        try:
            _copy_recording(folder, place, here)
        except VaultFull:
            raise
        except (CannotOpen, StorageFailed, ReadBackDiffers, OSError) as error:
            # Its record.json is copied last: where it stands, an earlier run of this restore has
            # brought all of it.
            if not (place / RECORD_NAME).exists():
                here.destroy(place)
                lost[folder.name] = _said(error)
        progress(folder.name)
    for name in ("register", "checkpoints"):
        _copy_small(backup, root, name, _names(backup, name))
    _copy_whole(backup / "keyring.json", root / "keyring.json")
    rebuilt = rebuild(settings, clock, gone, vault_id)
    restored = Catalogue.opened(catalogue_of(root))
    log = Log(root / "register", clock)
    with restored.writing() as tx:
        details = {
            "recordings": rebuilt.recordings,
            "left_out": left_out,
            "lost": sorted(lost),
            "restored_utc": utc_text(clock.now()),
        }
        log.append(tx, Entry("vault.restored", RESTORING, vault_id, details))
    key: LogVerifier | None = None
    refused: LogForked | CheckpointRefused | None = None
    if key_lost:
        try:
            key = follow_log_key(settings, vault_id, restored, log, RESTORING)
        except (LogForked, CheckpointRefused) as error:
            refused = error
    restored.dispose()
    # The folder of the pins is root's from the machine's next start on: nothing else is written
    # there after them.
    if pins is not None and not settings.pins.exists():
        write_pins(settings, pins)
    write_new(
        root / ".vault.json.part",
        root / "vault.json",
        read_small(backup / "vault.json", SMALL_BYTES),
    )
    remove_file(root / BEGUN)
    if refused is not None:
        raise refused
    return Restored(rebuilt, tuple(left_out), lost, None if key is None else key.text())


def _demand_room(source: Store, here: Store, wanted: Sequence[Path]) -> None:
    """Before anything is copied: on a full disk the log can't go on, and viewing stops. Raises
    VaultFull.
    """
    missing_bytes = 0
    for folder in wanted:
        target = here.folder_at(source.relative(folder))
        # What can't even be looked at is no more to be copied.
        with suppress(OSError):
            missing_bytes += sum(
                path.stat().st_size
                for path in folder.iterdir()
                if not (target / path.name).exists()
            )
    here.demand_free(missing_bytes, "what the backup holds")


def _begin(settings: VaultSettings, backup: Path, vault_id: str) -> bool:
    """Claim the place for this restore, or take up one that was cut off; whether the log's key is
    lost.
    """
    root = settings.root
    begun = root / BEGUN
    if begun.is_file() and not (root / "vault.json").exists():
        said = parse_object(read_small(begun, SMALL_BYTES))
        if said.get("vault") == vault_id:
            remove_file(root / ".vault.json.part")
            return bool(said.get("key_lost"))
    if root.exists() and any(path.name != "intake.lock" for path in root.iterdir()):
        raise VaultExists(
            f"{root} is not empty.",
            hint="Move the old vault away first: it may hold what the backup lacks.",
        )
    key_lost = is_key_lost(settings, backup)
    make_folder(root)
    replace_new(root / f"{BEGUN}.part", begun, readable({"vault": vault_id, "key_lost": key_lost}))
    return key_lost
