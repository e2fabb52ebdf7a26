"""Tombstones: what says of a recording that it was lawfully destroyed, and knows it again wherever
it comes back from.

`register/tombstones/<recording>.json`, published before the transaction of `recording.destroyed`
commits; the entry carries its SHA-256. It counts only with that entry, or where the witness has it.
It holds no officer, no time of the day's work, no key: the camera's name for the recording,
digests, and when and why it was destroyed (FORMAT.md, section 7).
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from vault.catalogue.recording_rows import RecordingRow
from vault.crypto.canonical_json import Json, parse_object, readable
from vault.errors import StorageFailed
from vault.recording import StoredSegment
from vault.storage.durable import make_folder, remove_file, write_new
from vault.storage.record import FilePart
from vault.storage.small_files import read_small

FOLDER = "tombstones"
LIMIT_BYTES = 4 << 20


class Tombstone(BaseModel):
    """A whole tombstone. `files` are what a camera's copy is known by before it is erased; empty
    once the camera is erased.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["dock-vault/tombstone/1"] = "dock-vault/tombstone/1"
    recording: str
    destroyed_utc: str
    because: str
    row: Json
    files: list[FilePart]

    def content(self) -> bytes:
        return readable(self.model_dump(mode="json"))


_KEPT = (
    "id",
    "folder",
    "origin",
    "camera_serial",
    "name",
    "identity",
    "counter",
    "state",
    "proven",
    "docked_utc",
    "retention_from_utc",
    "stop_believed",
    "wholeness",
    "size_bytes",
    "record_sha256",
    "stored_utc",
)
"""Columns of the recording's row that stay. All that tells of people and of the street
is left out.
"""


def tombstone_of(
    row: RecordingRow, files: Sequence[StoredSegment], destroyed_utc: str, because: str
) -> Tombstone:
    kept = {name: getattr(row, name) for name in _KEPT} | {
        "findings": "[]",
        "destroyed_utc": destroyed_utc,
    }
    parts = [
        FilePart(
            sealed_name=file.sealed_name,
            name=file.name,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            head_sha256=file.head_sha256,
            tail_sha256=file.tail_sha256,
            sealed_bytes=file.sealed_bytes,
            sealed_sha256=file.sealed_sha256,
        )
        for file in files
    ]
    return Tombstone(
        recording=row.id, destroyed_utc=destroyed_utc, because=because, row=kept, files=parts
    )


def publish_tombstone(register: Path, tombstone: Tombstone) -> str:
    """Write a tombstone, durably, in the place of one that no entry ever named; returns its
    SHA-256.
    """
    folder = register / FOLDER
    make_folder(folder, within=register)
    path = folder / f"{tombstone.recording}.json"
    remove_file(path)
    remove_file(folder / f".{tombstone.recording}.part")
    content = tombstone.content()
    write_new(folder / f".{tombstone.recording}.part", path, content)
    return hashlib.sha256(content).hexdigest()


def read_tombstones(register: Path) -> dict[str, tuple[Tombstone, str]]:
    """Every tombstone by recording, with its SHA-256. Raises StorageFailed for one that can't be
    read.
    """
    found = {}
    folder = register / FOLDER
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        content = read_small(path, LIMIT_BYTES)
        try:
            tombstone = Tombstone.model_validate(parse_object(content))
        except (ValueError, ValidationError) as error:
            raise StorageFailed(f"The tombstone {path.name} can't be read: {error}.") from error
        found[tombstone.recording] = (tombstone, hashlib.sha256(content).hexdigest())
    return found
