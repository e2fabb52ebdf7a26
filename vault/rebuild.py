"""`vault rebuild`: the catalogue anew, from the folders and the register of the log.

The log comes from the register's lines; cameras, dockings and states from its entries; recordings from their `record.json`. A
folder whose entry `recording.stored` names another `record.json`, or that has none, is taken up as unproven. Until two
persons have confirmed, nothing is erased on a camera and nothing expires.
"""

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from vault import catalogue
from vault.audit import Entry, Log, Tree, leaf_hash, write_tree
from vault.cameras import camera_values
from vault.catalogue import Catalogue
from vault.clock import Clock, utc_text
from vault.config import VaultSettings
from vault.durable import remove_file, replace_file
from vault.errors import CannotOpen, StorageFailed
from vault.jsonform import Json, parse_object
from vault.migration import migrate
from vault.record import LIMIT_BYTES, Record, file_rows, parse_record, recording_row
from vault.recording import State
from vault.store import RECORD_NAME, Store, read_small
from vault.vault import UNCONFIRMED, read_vault_id

NEW_NAME = "catalogue.rebuilt.db"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What stands in the new catalogue, and the folders that could not be taken up."""

    recordings: int
    unproven: int
    log_entries: int
    damaged: tuple[str, ...]


def rebuild(settings: VaultSettings, clock: Clock) -> Rebuilt:
    """Make a new catalogue beside the old one and put it in its place in one step. The caller holds the intake lock.

    Raises NotAVault, StorageFailed where the register lacks an entry.
    """
    root = settings.root
    store = Store(root, read_vault_id(root), settings.reserve_bytes)
    log = Log(root / "register", clock)
    for leftover in (NEW_NAME, NEW_NAME + "-journal"):
        remove_file(root / leftover)
    migrate(root / NEW_NAME)
    new = Catalogue.opened(root / NEW_NAME)
    with new.writing() as tx:
        states, stored = _replay(tx, log)
        recordings, unproven, damaged = _take_up(tx, store, states, stored)
        catalogue.set_meta(tx, UNCONFIRMED, utc_text(clock.now()))
        entries = log.append(tx, Entry("vault.rebuilt", "vault rebuild", None, {"recordings": recordings, "unproven": unproven}))
    new.dispose()
    _drop_journal(root)
    replace_file(root / NEW_NAME, root / "catalogue.db")
    return Rebuilt(recordings, unproven, entries + 1, tuple(damaged))


def _drop_journal(root: Path) -> None:
    """A hot journal of the lost catalogue must not be played into the new one."""
    remove_file(root / "catalogue.db-journal")


def _replay(tx: sa.Connection, log: Log) -> tuple[dict[str, State], dict[str, tuple[str, str]]]:
    """The log's rows, cameras and dockings; returns each recording's state, and record digest and time of its storing."""
    tree = Tree()
    states: dict[str, State] = {}
    stored: dict[str, tuple[str, str]] = {}
    for leaf in log.lines():
        tx.execute(sa.insert(catalogue.log).values(sequence=tree.size, leaf=leaf))
        tree.append(leaf_hash(leaf))
        _apply(tx, parse_object(leaf), states, stored)
    write_tree(tx, tree)
    return states, stored


def _apply(tx: sa.Connection, entry: Json, states: dict[str, State], stored: dict[str, tuple[str, str]]) -> None:
    subject, details = entry["subject"], entry["details"]
    match entry["action"]:
        case "camera.added":
            catalogue.add_camera(tx, camera_values(subject, details))
        case "camera.removed":
            catalogue.end_camera(tx, subject, details["removed_utc"])
        case "camera.docked":
            catalogue.add_docking(tx, {"camera_serial": subject, **details})
        case "recording.stored":
            stored[subject] = (details["record_sha256"], entry["time_utc"])
        case "erase.intended":
            states[subject] = State.ERASING
        case "erase.done":
            states[subject] = State.ERASED


def _take_up(
    tx: sa.Connection, store: Store, states: dict[str, State], stored: dict[str, tuple[str, str]]
) -> tuple[int, int, list[str]]:
    recordings, unproven, damaged = 0, 0, []
    for folder in store.folders():
        try:
            content = read_small(folder / RECORD_NAME, LIMIT_BYTES)
            record: Record = parse_record(content)
        except (StorageFailed, CannotOpen):
            damaged.append(store.relative(folder))
            continue
        digest = store.digest_of(content)
        logged, stored_utc = stored.get(folder.name, ("", record.sealed_utc))
        proven = logged == digest and record.recording == folder.name
        row = recording_row(record, store.relative(folder), digest, stored_utc, proven)
        row |= {"id": folder.name, "state": states.get(folder.name, State.STORED).value}
        catalogue.add_recording(tx, row, file_rows(record))
        recordings, unproven = recordings + 1, unproven + (not proven)
    return recordings, unproven, damaged
