"""`vault rebuild`: the catalogue anew, from the folders and the register of the log.

The log comes from the register's lines; cameras, dockings, states and the registers of custody from
its entries; recordings from their `record.json`, destroyed ones from their tombstones. A folder
whose entry `recording.stored` names another `record.json`, or that has none, is taken up as
unproven. A folder that a tombstone names came back from a backup: it is destroyed again. Until two
persons have confirmed, nothing is erased on a camera and nothing expires.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from vault.catalogue import camera_rows, deletion_rows, facts, recording_rows, tables
from vault.catalogue.database import Catalogue, place_of
from vault.catalogue.migration import migrate
from vault.clock import Clock, utc_text
from vault.config import VaultSettings
from vault.crypto.canonical_json import Json, parse_object
from vault.custody.cameras import camera_values
from vault.errors import CannotOpen, StorageFailed
from vault.log.log import Entry, Log, read_tree, remember, write_tree
from vault.log.merkle import Tree, leaf_hash
from vault.log.projections import project
from vault.log.tombstones import Tombstone, read_tombstones
from vault.recording import State
from vault.storage.file_store import FileStore
from vault.storage.paper_files import papers_in, reason_of_absence, write_paper
from vault.storage.record import Record, file_rows, parse_record, recording_row
from vault.storage.store import Store, sha256_of
from vault.vault import (
    BACKUP_WHOLE,
    CLOCK_SURE,
    CLOCK_TRUSTED,
    KEYRING_VERSION,
    UNCONFIRMED,
    read_vault_id,
)

NEW_NAME = "catalogue.rebuilt.db"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What stands in the new catalogue, and the folders that could not be taken up."""

    recordings: int
    unproven: int
    log_entries: int
    damaged: tuple[str, ...]
    destroyed_again: tuple[str, ...] = ()


def rebuild(
    settings: VaultSettings,
    clock: Clock,
    witnessed: Collection[str] = (),
    vault_id: str | None = None,
) -> Rebuilt:
    """Make a new catalogue beside the old one and put it in its place in one step. The caller holds
    the intake lock.

    `witnessed`: recordings whose destruction a witness outside knows of. `vault_id`: of a vault
    that is being restored and has no vault.json yet. Raises NotAVault, StorageFailed where the
    register lacks an entry.
    """
    root = settings.root
    store = FileStore(root, vault_id or read_vault_id(root), settings.reserve_bytes)
    log = Log(root / "register", clock)
    old = place_of(settings.catalogue_url)
    made = old.sibling(NEW_NAME)
    old.make_folder()
    made.discard()
    migrate(made.url, root / "register")
    new = Catalogue.opened(made.url)
    with new.writing() as tx:
        replayed = _replay(tx, log)
        buried = _buried(root, replayed)
        recordings, unproven, damaged, again = _take_up(
            tx, store, replayed, set(buried) | set(witnessed)
        )
        for tombstone in buried.values():
            _bury(tx, tombstone, replayed.states)
        doubted: Json | None = None
        for leaf in log.lines():
            entry = parse_object(leaf)
            project(tx, entry["action"], entry["subject"], entry["details"])
            if entry["action"] in ("clock.trusted", "clock.doubted"):
                doubted = entry["details"] if entry["action"] == "clock.doubted" else None
            if entry["action"] in ("vault.founded", "keyring.changed"):
                facts.set_meta(tx, KEYRING_VERSION, str(entry["details"]["keyring_version"]))
        facts.set_meta(tx, CLOCK_TRUSTED, "no" if doubted else "yes")
        facts.set_meta(
            tx, CLOCK_SURE, str(doubted["since_sequence"] if doubted else read_tree(tx).size)
        )
        _write_moved_reasons(tx, log, root / "register")
        facts.set_meta(tx, UNCONFIRMED, utc_text(clock.now()))
        counts = {"recordings": recordings, "unproven": unproven, "destroyed_again": again}
        entries = log.append(tx, Entry("vault.rebuilt", "vault rebuild", None, counts))
    new.dispose()
    made.replace(old)
    return Rebuilt(recordings, unproven, entries + 1, tuple(damaged), tuple(again))


@dataclass(frozen=True, slots=True)
class _Replayed:
    """What the log says of recordings: state on the camera, record digest and time of storing,
    digest of the tombstone.
    """

    states: dict[str, State]
    stored: dict[str, tuple[str, str]]
    sequences: dict[str, int]
    tombstones: dict[str, str]


def _replay(tx: sa.Connection, log: Log) -> _Replayed:
    """The log's rows, cameras and dockings."""
    tree = Tree()
    replayed = _Replayed({}, {}, {}, {})
    for leaf in log.lines():
        tx.execute(sa.insert(tables.log).values(sequence=tree.size, leaf=leaf))
        tree.append(leaf_hash(leaf))
        entry = parse_object(leaf)
        remember(tx, entry["action"], leaf)
        _apply(tx, entry, replayed)
    write_tree(tx, tree)
    return replayed


def _apply(tx: sa.Connection, entry: Json, replayed: _Replayed) -> None:
    subject, details = entry["subject"], entry["details"]
    match entry["action"]:
        case "camera.added":
            camera_rows.add_camera(tx, camera_values(subject, details))
        case "camera.removed":
            camera_rows.end_camera(tx, subject, details["removed_utc"])
        case "camera.docked":
            camera_rows.add_docking(tx, {"camera_serial": subject, **details})
        case "recording.stored":
            replayed.stored[subject] = (details["record_sha256"], entry["time_utc"])
            replayed.sequences[subject] = entry["sequence"]
        case "backup.made" if not details.get("failed") and not details.get("unknown"):
            facts.set_meta(tx, BACKUP_WHOLE, details["finished_utc"])
        case "recording.adopted":
            replayed.sequences[subject] = entry["sequence"]
        case "erase.intended":
            replayed.states[subject] = State.ERASING
        case "erase.done":
            replayed.states[subject] = State.ERASED
        case "recording.destroyed":
            replayed.tombstones[subject] = details["tombstone_sha256"]


def _write_moved_reasons(tx: sa.Connection, log: Log, register: Path) -> None:
    """The papers of the reasons that old entries of absences hold themselves, where they stand and
    no migration has written them.
    """
    standing = {row.id for row in deletion_rows.standing_papers(tx)}
    for leaf in log.lines():
        entry = parse_object(leaf)
        if entry["action"] == "absence.recorded" and "reason" in entry["details"]:
            moved = reason_of_absence(entry["subject"], entry["details"]["reason"])
            if moved.id in standing and not (papers_in(register) / f"{moved.id}.json").exists():
                write_paper(register, moved)


def _buried(root: Path, replayed: _Replayed) -> dict[str, Tombstone]:
    """The tombstones that the log's entries name, by recording."""
    tombstones = read_tombstones(root / "register")
    return {
        recording_id: tombstones[recording_id][0]
        for recording_id, digest in replayed.tombstones.items()
        if recording_id in tombstones and tombstones[recording_id][1] == digest
    }


def _bury(tx: sa.Connection, tombstone: Tombstone, states: dict[str, State]) -> None:
    row = dict(tombstone.row)
    row["state"] = states.get(tombstone.recording, State(row["state"])).value
    erased = row["state"] == State.ERASED.value
    recording_rows.add_recording(
        tx, row, [] if erased else [part.model_dump() for part in tombstone.files]
    )


def _take_up(
    tx: sa.Connection, store: Store, replayed: _Replayed, gone: Collection[str]
) -> tuple[int, int, list[str], list[str]]:
    recordings, unproven, damaged, again = 0, 0, [], []
    for folder in store.recordings():
        recording_id = folder.recording_id
        if recording_id in gone or recording_id in replayed.tombstones:
            store.destroy(folder)
            again.append(recording_id)
            continue
        try:
            content = store.read_record(folder)
            record: Record = parse_record(content)
        except (StorageFailed, CannotOpen):
            damaged.append(folder.text)
            continue
        digest = sha256_of(content)
        logged, stored_utc = replayed.stored.get(recording_id, ("", record.sealed_utc))
        proven = logged == digest and record.recording == recording_id
        row = recording_row(record, folder.text, digest, stored_utc, proven)
        row |= {"id": recording_id, "state": replayed.states.get(recording_id, State.STORED).value}
        row |= {"log_sequence": replayed.sequences.get(recording_id)}
        recording_rows.add_recording(tx, row, file_rows(record))
        recordings, unproven = recordings + 1, unproven + (not proven)
    return recordings, unproven, damaged, again
