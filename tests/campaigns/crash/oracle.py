"""The invariants I1 to I5, read off the folders after a crash and after the recovery from it.

The oracle shares no code with the vault where it judges what is stored: sealed files and wrapped
keys are opened by the second reader of `vault/FORMAT.md`, the log is folded anew, and the catalogue
is looked at through a copy, so that looking at a crash changes nothing of it (a hot journal is
played back in the copy).

    check(world)                 violations right after a crash, and after any recovery
    check_after_recovery(world)  the same, and that the recovery has cleared away
    check_at_the_end(world)      the same, and that everything was taken in, proven and erased

`before` is what `committed(world)` said earlier: what the log had then it has for ever.
"""

import functools
import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.campaigns.crash.reference_world import PASSPHRASES, ReferenceRecording, Shift, World
from tests.support import second_reader as reader
from vault.clock import SystemClock
from vault.operations.verify import verify
from vault.vault import Vault

__all__ = ["Shift", "World", "check", "check_after_recovery", "check_at_the_end", "committed"]

RECORD = "record.json"
_ROOT_FILES = {"vault.json", "keyring.json", "intake.lock"}
_CATALOGUE = {"catalogue.db", "catalogue.db-journal"}
_STATE_ACTIONS = {"erase.intended": "erasing", "erase.failed": "erasing", "erase.done": "erased"}


@dataclass(frozen=True)
class Row:
    """A recording as the catalogue has it, with its files: (sealed name, sealed bytes, sealed
    digest, plaintext digest).
    """

    id: str
    folder: str
    name: str
    identity: str
    state: str
    proven: bool
    record_sha256: str
    files: tuple[tuple[str, int, str, str], ...]


@dataclass(frozen=True)
class Catalogue:
    """What the committed transactions say."""

    rows: tuple[Row, ...]
    leaves: tuple[bytes, ...]
    head: tuple[int, bytes]
    cameras: int
    dockings: int


def check(world: World, card_root: Path | None = None, before: tuple[bytes, ...] = ()) -> list[str]:
    """Violations of I1 to I5. Sound at any moment at which no process works on the world."""
    try:
        catalogue = read_catalogue(world.vault)
        log = reader.read_log(world.vault / "register" / "log")
    except (sqlite3.Error, OSError, reader.Refused) as error:
        return [f"I4 catalogue or log can't be read: {error}"]
    held = {row.id: _faults_of_row(world, row) for row in catalogue.rows}
    return [
        *_check_recordings(world, card_root or world.card, catalogue, held),
        *_check_files(world, catalogue, held),
        *_check_log(catalogue, log, before),
        *_check_plaintext(world),
    ]


def check_after_recovery(
    world: World, card_root: Path | None = None, before: tuple[bytes, ...] = ()
) -> list[str]:
    """`check`, and: no part, and no folder that nothing accounts for, has outlived
    a recovery (I3).
    """
    found = check(world, card_root, before)
    if not any(line.startswith("I4 catalogue or log") for line in found):
        rows = {row.folder for row in read_catalogue(world.vault).rows}
        found += [
            f"I3 {path.name} is still in incoming/"
            for path in sorted((world.vault / "incoming").iterdir())
        ]
        found += [
            f"I3 {folder} outlived the recovery"
            for folder in _folders(world.vault)
            if folder not in rows
        ]
    return found


def check_at_the_end(world: World, before: tuple[bytes, ...] = ()) -> list[str]:
    """`check_after_recovery`, and: the vault verifies clean, has every recording proven and erased,
    the card is empty of them.

    Twins that a crash between record.json and its row left are adopted as unproven, and allowed
    (ruling 8).
    """
    found = check_after_recovery(world, before=before)
    for recording in world.shift.recordings:
        rows = [
            row for row in read_catalogue(world.vault).rows if row.identity == recording.identity
        ]
        states = [row.state for row in rows if row.proven]
        if states != ["erased"]:
            found.append(f"end: {recording.name} has proven rows {states}, not one that is erased")
    left = sorted(path.name for path in (world.card / "RECORDINGS").iterdir())
    found += [f"end: {name} is still on the card" for name in left]
    with Vault.open(world.settings, SystemClock()) as vault:
        verdict = verify(vault, lambda _: None)
    return found + [
        f"end: vault verify: {finding.code} {finding.sentence}" for finding in verdict.findings
    ]


def committed(world: World) -> tuple[bytes, ...]:
    """The log's entries that stand in the catalogue: what was promised so far."""
    return read_catalogue(world.vault).leaves


# --- the catalogue, through a copy ----------------------------------------------------------------


def read_catalogue(vault: Path) -> Catalogue:
    """The committed state. A journal that a crash left beside the database is played back in the
    copy.
    """
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("catalogue.db", "catalogue.db-journal"):
            if (vault / "catalogue" / name).exists():
                shutil.copyfile(vault / "catalogue" / name, Path(scratch) / name)
        with closing(sqlite3.connect(Path(scratch) / "catalogue.db")) as database:
            (sound,) = database.execute("PRAGMA integrity_check").fetchone()
            if sound != "ok":
                raise sqlite3.DatabaseError(sound)
            return _tables(database)


def _tables(database: sqlite3.Connection) -> Catalogue:
    files: dict[str, list[tuple[str, int, str, str]]] = {}
    for recording, *file in database.execute(
        "SELECT recording_id, sealed_name, sealed_bytes, sealed_sha256, sha256 FROM "
        "sealed_file ORDER BY recording_id, position"
    ):
        files.setdefault(recording, []).append((file[0], file[1], file[2], file[3]))
    query = (
        "SELECT id, folder, name, identity, state, proven, record_sha256 FROM recording ORDER BY id"
    )
    rows = tuple(
        Row(id_, folder, name, identity, state, bool(proven), digest, tuple(files.get(id_, ())))
        for id_, folder, name, identity, state, proven, digest in database.execute(query)
    )
    head = database.execute("SELECT size, peaks FROM log_head").fetchone() or (0, b"")
    return Catalogue(
        rows,
        tuple(leaf for (leaf,) in database.execute("SELECT leaf FROM log ORDER BY sequence")),
        (head[0], head[1]),
        database.execute("SELECT count(*) FROM camera").fetchone()[0],
        database.execute("SELECT count(*) FROM docking").fetchone()[0],
    )


# --- I1 and I2: a recording is on the card, or the vault has it whole -----------------------------


def _check_recordings(
    world: World, card_root: Path, catalogue: Catalogue, held: dict[str, list[str]]
) -> Iterator[str]:
    for recording in world.shift.recordings:
        rows = [row for row in catalogue.rows if row.identity == recording.identity]
        changed = _gone_from(card_root / "RECORDINGS" / recording.name, recording)
        yield from _check_recording(world, recording, rows, held, changed)
    known = {recording.identity for recording in world.shift.recordings}
    yield from (
        f"I1 row {row.id} is of no recording of the card"
        for row in catalogue.rows
        if row.identity not in known
    )
    if (card_root / "DEVICE" / "device.json").read_bytes() != world.shift.device:
        yield "I2 the card's device.json was changed"


def _check_recording(
    world: World,
    recording: ReferenceRecording,
    rows: list[Row],
    held: dict[str, list[str]],
    changed: list[str],
) -> Iterator[str]:
    """Hold one recording of the shift against its rows; `changed`: its files that left the card."""
    faults = {row.id: [*held[row.id], *_opens_as(world, row, recording)] for row in rows}
    owned = [row for row in rows if row.proven and not faults[row.id]]
    if changed and not owned:
        why = [fault for row in rows for fault in faults[row.id]]
        yield (
            f"I1 {recording.name} is neither intact on the card ({changed[0]}) nor in the "
            f"vault ({why or 'no row'})"
        )
    if changed and not any(row.state in ("erasing", "erased") for row in owned):
        yield f"I2 {recording.name} is erased in part ({changed[0]}) and no row of it says so"
    if any(row.state == "erased" for row in owned) and len(changed) < len(recording.files):
        yield f"I2 {recording.name} is called erased and still stands on the card"
    if len([row for row in rows if row.proven]) > 1:
        yield f"I1 {recording.name} was stored and proven twice"


def _gone_from(folder: Path, recording: ReferenceRecording) -> list[str]:
    """Names of the recording's files that are no longer on the card as the camera wrote them."""
    return [
        name
        for name, content in recording.files.items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != content
    ]


def _opens_as(world: World, row: Row, recording: ReferenceRecording) -> list[str]:
    """What is wrong with the plaintext of a row: every pair's wrapped key must give the one key,
    and it the camera's bytes.
    """
    folder = world.vault / row.folder
    try:
        record, _ = reader.read_record(folder, reader.read_vault_id(world.vault), row.id)
        files = reader.open_files(folder, record, _key_of(world, (folder / RECORD).read_bytes()))
        manifests = [
            reader.split_manifest(f.read(), world.shift.camera_key)
            for f in files
            if f.name == "manifest"
        ]
    except (reader.Refused, OSError) as error:
        return [f"does not open: {error}"]
    digests = {file.name: file.sha256 for file in files if file.name != "manifest"}
    if digests != recording.digests:
        return ["opens to other plaintext than the camera's"]
    if [(one.statement, one.signature) for one in manifests] != [
        (recording.manifest, recording.signature)
    ]:
        return ["has another manifest than the camera's"]
    return []


def _key_of(world: World, record: bytes) -> bytes:
    return _joined_key(record, (world.vault / "keyring.json").read_bytes())


@functools.lru_cache(maxsize=512)
def _joined_key(record_json: bytes, keyring_json: bytes) -> bytes:
    """The key that the halves of every pair join to. Refused where two pairs give two keys."""
    record = json.loads(record_json)
    privates = _privates(keyring_json)
    keys = {
        reader.join_key(record, {to: privates[to] for to in entry["pair"]})
        for entry in record["keys"]
    }
    if len(keys) != 1:
        raise reader.Refused("the pairs' halves join to different keys")
    return keys.pop()


@functools.lru_cache(maxsize=8)
def _privates(keyring_json: bytes) -> dict[str, bytes]:
    keyring = reader.verify_keyring(keyring_json)
    return {
        receiver: reader.unlock_receiver(keyring, receiver, text)
        for receiver, text in PASSPHRASES.items()
    }


# --- I3: every file is accounted for --------------------------------------------------------------


def _faults_of_row(world: World, row: Row) -> list[str]:
    """What is wrong with the stored files of a row, as far as it shows without a key."""
    folder = world.vault / row.folder
    try:
        content = (folder / RECORD).read_bytes()
    except OSError:
        return ["has no record.json"]
    if _sha256(content) != row.record_sha256:
        return ["has another record.json than its row says"]
    stated = tuple(
        (part["sealed_name"], part["sealed_bytes"], part["sealed_sha256"], part["sha256"])
        for part in json.loads(content)["files"]
    )
    if stated != row.files:
        return ["has other files in its row than in record.json"]
    found = {path.name for path in folder.iterdir()}
    faults = [
        f"has a stray file {name}"
        for name in sorted(found - {RECORD, *(name for name, *_ in stated)})
    ]
    return faults + _faults_of_files(folder, json.loads(content))


def _faults_of_files(folder: Path, record: dict[str, Any]) -> list[str]:
    faults = []
    for part in record["files"]:
        path = folder / part["sealed_name"]
        if not path.is_file():
            faults.append(f"lacks {path.name}")
        elif (path.stat().st_size, _sha256(path.read_bytes())) != (
            part["sealed_bytes"],
            part["sealed_sha256"],
        ):
            faults.append(f"has {path.name} in another form than it was sealed")
    return faults


def _check_files(world: World, catalogue: Catalogue, held: dict[str, list[str]]) -> Iterator[str]:
    yield from (
        f"I3 row {row.id} ({row.name}) {fault}" for row in catalogue.rows for fault in held[row.id]
    )
    rows = {row.folder: row.id for row in catalogue.rows}
    yield from (
        f"I3 row {id_} lies in the folder {folder}"
        for folder, id_ in rows.items()
        if Path(folder).name != id_
    )
    for folder in _folders(world.vault):
        path = world.vault / folder
        if folder not in rows and (path / RECORD).exists():
            yield from (
                f"I3 {folder} can't be adopted: it {fault}"
                for fault in _faults_of_orphan(world, path)
            )
    for path in _files(world.vault):
        if not _has_a_place(path.relative_to(world.vault)):
            yield f"I3 {path.relative_to(world.vault)} belongs nowhere"


def _faults_of_orphan(world: World, folder: Path) -> list[str]:
    try:
        record, _ = reader.read_record(folder, reader.read_vault_id(world.vault), folder.name)
    except reader.Refused as error:
        return [str(error)]
    return _faults_of_files(folder, record)


def _has_a_place(path: Path) -> bool:
    match path.parts:
        case (name,):
            return name in _ROOT_FILES
        case ("catalogue", name):
            return name in _CATALOGUE
        case ("incoming", _) | ("register", "log", _):
            return True
        case ("footage", year, month, _, name):
            return (year + month).isdigit() and (name == RECORD or name.endswith(".sealed"))
    return False


def _folders(vault: Path) -> list[str]:
    return sorted(
        path.relative_to(vault).as_posix()
        for path in (vault / "footage").glob("*/*/*")
        if path.is_dir()
    )


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.rglob("*")) if not path.is_dir())


# --- I4: what was done and its entry stand together -----------------------------------------------


def _check_log(catalogue: Catalogue, log: reader.Log, before: tuple[bytes, ...]) -> Iterator[str]:
    leaves = catalogue.leaves
    if leaves != log.leaves[: len(leaves)]:
        yield "I4 the catalogue's log is not the start of the register's"
    if log.size - len(leaves) > 1:
        yield f"I4 the register has {log.size - len(leaves)} entries that the catalogue lacks"
    if leaves[: len(before)] != before:
        yield "I4 the log does not go on from what it was"
    if catalogue.head != (len(leaves), b"".join(_peaks(leaves))):
        yield "I4 the tree's peaks are not those of the log's entries"
    entries = [json.loads(leaf) for leaf in leaves]
    if [entry["sequence"] for entry in entries] != list(range(len(entries))):
        yield "I4 the log's entries are not numbered in order"
    yield from _check_entries(catalogue, entries)


def _check_entries(catalogue: Catalogue, entries: list[dict[str, Any]]) -> Iterator[str]:
    """Each row has the entries that tell of it, and each entry its row."""
    told: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        told.setdefault(entry["action"], []).append(entry)
    for action, count in (
        ("camera.added", catalogue.cameras),
        ("camera.docked", catalogue.dockings),
    ):
        if len(told.get(action, ())) != count:
            yield f"I4 {len(told.get(action, ()))} entries {action}, and {count} rows"
    for action, proven in (("recording.stored", True), ("recording.adopted", False)):
        logged = sorted(
            (entry["subject"], entry["details"]["record_sha256"]) for entry in told.get(action, ())
        )
        if logged != sorted(
            (row.id, row.record_sha256) for row in catalogue.rows if row.proven == proven
        ):
            yield (
                f"I4 the rows that are {'' if proven else 'un'}proven are not those of the "
                f"entries {action}"
            )
    states = {row.id: "stored" for row in catalogue.rows}
    for entry in entries:
        if entry["action"] in _STATE_ACTIONS:
            if entry["action"] != "erase.intended" and states.get(entry["subject"]) == "stored":
                yield f"I4 {entry['action']} of {entry['subject']} without an intent"
            states[entry["subject"]] = _STATE_ACTIONS[entry["action"]]
    for row in catalogue.rows:
        if states.pop(row.id) != row.state:
            yield f"I4 row {row.id} is {row.state}, and the log does not say so"
    yield from (f"I4 entries tell of {subject}, which has no row" for subject in states)


def _peaks(leaves: tuple[bytes, ...]) -> Iterator[bytes]:
    """The roots of the perfect subtrees that make up the tree, largest first (RFC 6962)."""
    at = 0
    for bit in reversed(range(len(leaves).bit_length())):
        if len(leaves) >> bit & 1:
            yield reader.merkle_root(leaves[at : at + (1 << bit)])
            at += 1 << bit


# --- I5: no plaintext -----------------------------------------------------------------------------


def _check_plaintext(world: World) -> Iterator[str]:
    for path in (*_files(world.vault), *_files(world.temporary), world.output):
        if path.is_file():
            content = path.read_bytes()
            if any(secret in content for secret in world.shift.secrets):
                yield f"I5 {path.relative_to(world.folder)} holds plaintext of a recording"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
