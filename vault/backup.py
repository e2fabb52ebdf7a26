"""Backup and restore (P30). A backup holds the vault's record, not its index, and no key that opens anything by itself.

Backup, each step before the next: what the vault destroyed is destroyed at the target, keys first; then what is new is copied,
flushed and read back against its digest; the register of the log, the signed heads, and the keyring last. So a target is at every
moment a vault that can be restored, and after a run nothing there opens what was destroyed before it.

Restore, into an empty place: copy and read back; what a tombstone names, the backup's own or the witness's, is not copied; then
the catalogue is made anew, and nothing expires or is erased until two persons have confirmed. What the lost machine kept outside
its vault is made anew too (`outside.py`); `vault.json` is written last, and until then the same restore can be begun again and
goes on. A copy carried away by hand is reached by nobody: its keyring and passphrases are then all that stands between.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vault import catalogue
from vault.audit import Entry, Log
from vault.catalogue import Catalogue, catalogue_of
from vault.checkpoint import CheckpointRefused, LogForked, LogVerifier
from vault.clock import Clock, utc_text
from vault.config import VaultSettings
from vault.durable import make_folder, remove_file, replace_new, write_new
from vault.errors import CannotOpen, ReadBackDiffers, StorageFailed, VaultExists, VaultFull
from vault.jsonform import parse_object, readable
from vault.keyring import Pins
from vault.outside import demand_pinned, follow_log_key, is_key_lost, keyring_in, write_pins
from vault.rebuild import Rebuilt, rebuild
from vault.record import LIMIT_BYTES, parse_record
from vault.store import LATER_KEYS, RECORD_NAME, Store, copy_file, read_small
from vault.tombstone import read_tombstones
from vault.vault import Vault, read_vault_id

ACTOR, RESTORING = "vault backup", "vault restore"
SMALL_BYTES = 64 << 20
"""The largest file of the register, the keyring or the checkpoints that is copied in memory."""

Progress = Callable[[str], None]
"""Is told each recording that was dealt with."""


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a run of the backup did at the target."""

    copied: int
    kept: int
    destroyed: int
    files: int


def back_up(vault: Vault, target: Path, progress: Progress) -> BackedUp:
    """Bring a backup up to date. Raises VaultExists for a folder that holds something else, StorageFailed, ReadBackDiffers."""
    make_folder(target)
    _demand_target(vault, target)
    there = Store(target, vault.id, 0)
    with vault.reading() as tx:
        rows = catalogue.all_recordings(tx)
        standing = {row.id for row in rows}
    destroyed = 0
    for folder in there.folders():
        if folder.name not in standing:
            there.destroy(folder)
            progress(folder.name)
            destroyed += 1
    copied = kept = files = 0
    for row in rows:
        try:
            count = _copy_recording(vault.store.folder_at(row.folder), target / row.folder, there)
        except StorageFailed:
            if not _destroyed_meanwhile(vault, row.id):
                raise
            there.destroy(target / row.folder)
            continue
        files += count
        copied, kept = copied + (count > 0), kept + (count == 0)
        progress(row.id)
    with vault.writing() as tx:
        details = {"copied": copied, "kept": kept, "destroyed": destroyed, "finished_utc": utc_text(vault.clock.now())}
        vault.log.append(tx, Entry("backup.made", ACTOR, None, details))
    # The heads of before the register, and after it: wherever this ends, none stands there without its entries.
    heads = _names(vault.settings.root, "checkpoints")
    files += _copy_small(vault.settings.root, target, "register", _names(vault.settings.root, "register"))
    files += _copy_small(vault.settings.root, target, "checkpoints", heads)
    for name in ("keyring.json", "vault.json"):
        files += _copy_whole(vault.settings.root / name, target / name)
    return BackedUp(copied, kept, destroyed, files)


def _destroyed_meanwhile(vault: Vault, recording_id: str) -> bool:
    with vault.reading() as tx:
        row = catalogue.get_recording(tx, recording_id)
    return row is not None and row.destroyed_utc is not None


_PARTS = ("footage", "register", "checkpoints", "catalogue", "incoming", "keyring.json")
"""What a backup that was cut off before its vault.json may hold."""


def _demand_target(vault: Vault, target: Path) -> None:
    if (target / "vault.json").is_file():
        if read_vault_id(target) != vault.id:
            raise VaultExists(f"{target} holds a backup of another vault.", hint="Name another folder.")
        if catalogue_of(target).exists():
            raise VaultExists(f"{target} is a vault, not a backup.", hint="Name another folder.")
        return
    strangers = [path.name for path in target.iterdir() if path.name not in _PARTS]
    if strangers:
        raise VaultExists(f"{target} is not empty: {strangers[0]}.", hint="Name a new or empty folder.")
    for name in ("footage", "incoming"):
        make_folder(target / name)


def _copy_recording(source: Path, target: Path, there: Store) -> int:
    """Copy a recording's folder; returns how many files were copied, 0 where all stood. `record.json` goes last."""
    content = read_small(source / RECORD_NAME, LIMIT_BYTES)
    record = parse_record(content)
    copied = 0
    for part in record.files:
        place = target / part.sealed_name
        if place.is_file() and place.stat().st_size == part.sealed_bytes:
            continue
        make_folder(target, within=there.footage)
        remove_file(place)
        copy_file(source / part.sealed_name, there.incoming / f"{target.name}-{part.sealed_name}.part", place)
        if there.file_digest(place) != (part.sealed_bytes, part.sealed_sha256):
            remove_file(place)
            raise ReadBackDiffers(f"{target.name}/{part.sealed_name} reads back from the backup as another file.")
        copied += 1
    for path in (*sorted(source.glob(LATER_KEYS)), source / RECORD_NAME):
        if not (target / path.name).exists():
            there.write_beside(target, path.name, read_small(path, LIMIT_BYTES))
            copied += 1
    return copied


def _names(root: Path, folder: str) -> set[Path]:
    return {path.relative_to(root) for path in _files(root / folder)}


def _copy_small(root: Path, target: Path, folder: str, wanted: Collection[Path]) -> int:
    """Bring a folder to these small files: what is new or longer is copied, what the vault removed is removed."""
    for relative in _names(target, folder) - set(wanted):
        remove_file(target / relative)
    return sum(_copy_whole(root / relative, target / relative) for relative in sorted(wanted))


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))


def _copy_whole(source: Path, target: Path) -> int:
    content = read_small(source, SMALL_BYTES)
    if target.is_file() and read_small(target, SMALL_BYTES) == content:
        return 0
    make_folder(target.parent)
    part = target.with_name(f".{target.name}.part")
    remove_file(part)
    replace_new(part, target, content)
    return 1


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore brought back, and what it left out because a tombstone names it.

    `log_key`: the public key of a new log key, where the old one was lost with its machine.
    """

    rebuilt: Rebuilt
    left_out: tuple[str, ...]
    log_key: str | None


BEGUN = ".restore.json"
"""Says of a place that a restore is under way in it, of which vault, and whether the log's key was found lost."""


def restore(
    settings: VaultSettings,
    backup: Path,
    clock: Clock,
    witnessed: Collection[str],
    progress: Progress,
    pins: Pins | None = None,
) -> Restored:
    """Make a vault of a backup, in an empty place or where the same restore was cut off.

    `witnessed`: recordings that the witness's notes name as destroyed. `pins`: for a machine that has none.
    Where the backup's log does not go on from the head that was signed last, everything stands all the same, a new key of the log
    is not made, and so nothing is shown before somebody has looked. Raises LogForked and CheckpointRefused then, NotAVault,
    VaultExists, VaultFull, KeyringRefused, StorageFailed, ReadBackDiffers.
    """
    root = settings.root
    vault_id = read_vault_id(backup)
    demand_pinned(settings, keyring_in(backup), pins)
    key_lost = _begin(settings, backup, vault_id)
    for name in ("incoming", "footage", "register", "checkpoints"):
        make_folder(root / name)
    gone = set(witnessed) | set(read_tombstones(backup / "register"))
    source, here = Store(backup, vault_id, 0), Store(root, vault_id, settings.reserve_bytes)
    left_out, wanted = [], []
    for folder in source.folders():
        if folder.name in gone or not (folder / RECORD_NAME).exists():
            left_out.append(folder.name)
        else:
            wanted.append(folder)
    _demand_room(source, here, wanted)
    for folder in wanted:
        try:
            _copy_recording(folder, here.folder_at(source.relative(folder)), here)
        except (CannotOpen, StorageFailed, VaultFull) as error:
            raise StorageFailed(f"{folder.name} can't be restored: {error.sentence}", hint=error.hint) from error
        progress(folder.name)
    for name in ("register", "checkpoints"):
        _copy_small(backup, root, name, _names(backup, name))
    _copy_whole(backup / "keyring.json", root / "keyring.json")
    rebuilt = rebuild(settings, clock, gone, vault_id)
    restored = Catalogue.opened(catalogue_of(root))
    log = Log(root / "register", clock)
    with restored.writing() as tx:
        details = {"recordings": rebuilt.recordings, "left_out": left_out, "restored_utc": utc_text(clock.now())}
        log.append(tx, Entry("vault.restored", RESTORING, vault_id, details))
    key: LogVerifier | None = None
    refused: LogForked | CheckpointRefused | None = None
    if key_lost:
        try:
            key = follow_log_key(settings, vault_id, restored, log, RESTORING)
        except (LogForked, CheckpointRefused) as error:
            refused = error
    restored.dispose()
    # The folder of the pins is root's from the machine's next start on: nothing else is written there after them.
    if pins is not None and not settings.pins.exists():
        write_pins(settings, pins)
    write_new(root / ".vault.json.part", root / "vault.json", read_small(backup / "vault.json", SMALL_BYTES))
    remove_file(root / BEGUN)
    if refused is not None:
        raise refused
    return Restored(rebuilt, tuple(left_out), None if key is None else key.text())


def _demand_room(source: Store, here: Store, wanted: Sequence[Path]) -> None:
    """Before anything is copied: on a full disk the log can't go on, and viewing stops. Raises VaultFull."""
    missing_bytes = 0
    for folder in wanted:
        target = here.folder_at(source.relative(folder))
        missing_bytes += sum(path.stat().st_size for path in folder.iterdir() if not (target / path.name).exists())
    here.demand_free(missing_bytes, "what the backup holds")


def _begin(settings: VaultSettings, backup: Path, vault_id: str) -> bool:
    """Claim the place for this restore, or take up one that was cut off; whether the log's key is lost."""
    root = settings.root
    begun = root / BEGUN
    if begun.is_file() and not (root / "vault.json").exists():
        said = parse_object(read_small(begun, SMALL_BYTES))
        if said.get("vault") == vault_id:
            remove_file(root / ".vault.json.part")
            return bool(said.get("key_lost"))
    if root.exists() and any(path.name != "intake.lock" for path in root.iterdir()):
        raise VaultExists(f"{root} is not empty.", hint="Move the old vault away first: it may hold what the backup lacks.")
    key_lost = is_key_lost(settings, backup)
    make_folder(root)
    replace_new(root / f"{BEGUN}.part", begun, readable({"vault": vault_id, "key_lost": key_lost}))
    return key_lost
