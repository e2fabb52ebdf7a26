"""Restore: a vault made of a backup, in an empty place (P30).

Copy and read back; what a tombstone names, the backup's own or the witness's, is not copied. What
the medium has lost is left out and reported. Then the catalogue is made again, and nothing expires
or is erased until two persons have confirmed. What the lost machine kept outside its vault is made
again too (`keys_outside.py`). `vault.json` is written last: until then the same restore can be
begun again and continues. A copy that was carried away by hand is out of reach: its keyring and its
passphrases are then all that protects it.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vault.catalogue.database import Catalogue, place_of
from vault.clock import Clock, utc_text
from vault.config import VaultSettings
from vault.crypto.canonical_json import Json, parse_object, readable
from vault.errors import CannotOpen, ReadBackDiffers, StorageFailed, VaultExists, VaultFull
from vault.keyring.keyring import Pins
from vault.log.checkpoints import LogForked
from vault.log.keys_outside import (
    demand_pinned,
    follow_log_key,
    is_key_lost,
    keyring_in,
    write_pins,
)
from vault.log.log import Entry, Log
from vault.log.signed_note import CheckpointRefused, LogVerifier
from vault.log.tombstones import read_tombstones
from vault.operations.copies import (
    SMALL_BYTES,
    Progress,
    copy_recording,
    copy_small_files,
    copy_whole,
    sentence_of,
    small_files,
)
from vault.operations.rebuild import Rebuilt, rebuild
from vault.storage.durable import make_folder, remove_file, replace_new, write_new
from vault.storage.file_store import FileStore
from vault.storage.small_files import read_small
from vault.storage.store import RECORD_NAME, FolderName, Store
from vault.vault import read_vault_id

ACTOR = "vault restore"
BEGUN = ".restore.json"
"""Says of a place that a restore is under way in it, of which vault, and whether the log's key was
found lost.
"""


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
    has none. Where the backup's log does not continue from the head that was signed last,
    everything is restored all the same, but no new key of the log is made: nothing is shown before
    somebody has looked. Raises LogForked, CheckpointRefused then; NotAVault, VaultExists,
    VaultFull, KeyringRefused, StorageFailed, ReadBackDiffers.
    """
    root = settings.root
    vault_id = read_vault_id(backup)
    demand_pinned(settings, keyring_in(backup), pins)
    key_lost = _begin(settings, backup, vault_id)
    source = FileStore(backup, vault_id)
    here = FileStore(root, vault_id, settings.reserve_bytes)
    here.prepare()
    for name in ("register", "checkpoints"):
        make_folder(root / name)
    gone = set(witnessed) | set(read_tombstones(backup / "register"))
    left_out = [name.recording_id for name in source.recordings() if name.recording_id in gone]
    lost = _copy_recordings(source, here, gone, progress)
    for name in ("register", "checkpoints"):
        copy_small_files(backup, root, name, small_files(backup, name))
    copy_whole(backup / "keyring.json", root / "keyring.json")
    rebuilt = rebuild(settings, clock, gone, vault_id)
    details: Json = {
        "recordings": rebuilt.recordings,
        "left_out": left_out,
        "lost": sorted(lost),
        "restored_utc": utc_text(clock.now()),
    }
    log_key, refused = _enter(settings, clock, vault_id, details, key_lost=key_lost)
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
    return Restored(rebuilt, tuple(left_out), lost, None if log_key is None else log_key.text())


def _copy_recordings(
    source: Store, here: Store, gone: Collection[str], progress: Progress
) -> dict[str, str]:
    """Copy every recording that is not destroyed; returns those that the medium has lost, and why.
    Raises VaultFull.
    """
    wanted = [name for name in source.recordings() if name.recording_id not in gone]
    _demand_room(source, here, wanted)
    lost: dict[str, str] = {}
    for folder in wanted:
        try:
            copy_recording(source, here, folder)
        except VaultFull:
            raise
        except (CannotOpen, StorageFailed, ReadBackDiffers, OSError) as error:
            # Its record.json is copied last: where it is here, an earlier run of this restore has
            # brought all of it.
            if here.size_of(folder, RECORD_NAME) is None:
                here.destroy(folder)
                lost[folder.recording_id] = sentence_of(error)
        progress(folder.recording_id)
    return lost


def _demand_room(source: Store, here: Store, wanted: Sequence[FolderName]) -> None:
    """Before anything is copied: on a full disk the log can't go on, and viewing stops. Raises
    VaultFull.
    """
    missing_bytes = 0
    for folder in wanted:
        # What the medium can't even list can't be copied either.
        with suppress(StorageFailed):
            missing_bytes += sum(
                source.size_of(folder, name) or 0
                for name in source.names(folder)
                if here.size_of(folder, name) is None
            )
    here.demand_free(missing_bytes, "what the backup holds")


def _enter(
    settings: VaultSettings, clock: Clock, vault_id: str, details: Json, *, key_lost: bool
) -> tuple[LogVerifier | None, LogForked | CheckpointRefused | None]:
    """Write the restore to its own log, and make a new key where the old one is lost; the key, or
    why none was made.
    """
    log = Log(settings.root / "register", clock)
    catalogue = Catalogue.opened(settings.catalogue_url)
    try:
        with catalogue.writing() as tx:
            log.append(tx, Entry("vault.restored", ACTOR, vault_id, details))
        if not key_lost:
            return None, None
        return follow_log_key(settings, vault_id, catalogue, log, ACTOR), None
    except (LogForked, CheckpointRefused) as refused:
        return None, refused
    finally:
        catalogue.dispose()


def _begin(settings: VaultSettings, backup: Path, vault_id: str) -> bool:
    """Claim the place for this restore, or continue one that was cut off; whether the log's key is
    lost. Raises VaultExists.
    """
    root = settings.root
    begun = root / BEGUN
    if begun.is_file() and not (root / "vault.json").exists():
        mark = parse_object(read_small(begun, SMALL_BYTES))
        if mark.get("vault") == vault_id:
            remove_file(root / ".vault.json.part")
            return bool(mark.get("key_lost"))
    if root.exists() and any(path.name != "intake.lock" for path in root.iterdir()):
        raise VaultExists(
            f"{root} is not empty.",
            hint="Move the old vault away first: it may hold what the backup lacks.",
        )
    catalogue = place_of(settings.catalogue_url)
    if catalogue.exists():
        raise VaultExists(
            f"{catalogue} exists: it is the old vault's catalogue.", hint="Move it away first."
        )
    key_lost = is_key_lost(settings, backup)
    make_folder(root)
    replace_new(root / f"{BEGUN}.part", begun, readable({"vault": vault_id, "key_lost": key_lost}))
    return key_lost
