"""The sealed files of recordings, in names and streams: what the vault asks of an engine.

A `Store` knows no key but the one it is handed, and no row. Outside this package a recording's
files are named by a `FolderName` and a file name, never by a path, so that the same vault can stand
on another engine. `FileStore` keeps them in folders of a file system.

What every engine owes:

- a file is whole and flushed before it has its name, and a name is never given twice;
- what is named is durable once the call returns; a flush that fails is never tried again;
- a finished file is read from the medium and from no cache;
- `destroy` takes the wrapped keys first, each durably, then what they opened.

What no engine changes stands here. A file is taken in by the order of DESIGN.md: seal while the
bytes come in; flush; read back from the medium, open with the key still in memory, and hold size
and digest of the plaintext against what was announced; only then the final name. `record.json` is
published last of a recording's files, and read back.

The log's register, the signed heads, the keyring and the papers are not in a store: they are small
files whose order a catalogue's transaction decides, and what an outside auditor reads.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch

from vault.crypto.sealed_file import Opener, Place, Sealer, sealed_bytes
from vault.errors import ReadBackDiffers, StorageFailed, VaultFull
from vault.recording import Observer, Source, StoredSegment
from vault.storage.buffers import BLOCK_READ_BYTES, BufferPair
from vault.storage.durable import whole_blocks
from vault.storage.record import LIMIT_BYTES
from vault.storage.sealing import (
    Announced,
    Edges,
    Part,
    StoredFile,
    digest_source,
    read_back,
    seal_into,
)

RECORD_NAME = "record.json"
MANIFEST_NAME = "manifest.sealed"
LATER_KEYS = "keys-*.json"


@dataclass(frozen=True, slots=True, order=True)
class FolderName:
    """Where a recording stands in its store, as the catalogue's column `folder` has it:
    `footage/<year>/<month>/<recording>`. No name of a person or a camera is in it.
    """

    text: str

    @classmethod
    def of(cls, recording_id: str, docked: datetime) -> "FolderName":
        """The name for a new recording."""
        return cls(f"footage/{docked.year:04d}/{docked.month:02d}/{recording_id}")

    @property
    def recording_id(self) -> str:
        return self.text.rpartition("/")[2]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Target:
    """One file to take in: where it goes, and what it should be."""

    folder: FolderName
    sealed_name: str
    announced: Announced


class Store(ABC):
    """The sealed files of one vault. Thread-safe. Every method may raise StorageFailed."""

    def __init__(self, vault_id: str, reserve_bytes: int) -> None:
        self._vault_id = vault_id
        self._reserve_bytes = reserve_bytes

    # --- what an engine does: writing -------------------------------------------------------------

    @abstractmethod
    def create(self, at: FolderName, name: str, size_bytes: int) -> Part:
        """Begin a file and reserve its size. Raises VaultFull."""

    @abstractmethod
    def create_copy(self, at: FolderName, name: str, size_bytes: int) -> Part:
        """Begin a file in the place of the part that an earlier copy of it left: a backup's parts
        are dropped by nobody else.
        """

    @abstractmethod
    def make_place(self, at: FolderName) -> None:
        """Make a recording's folder, durably; one that exists stays."""

    @abstractmethod
    def publish(self, at: FolderName, name: str, content: bytes) -> None:
        """Publish a small file in a recording's folder. Raises StorageFailed where the folder is
        gone or the name is taken, VaultFull.
        """

    @abstractmethod
    def settle(self, at: FolderName) -> None:
        """Make durable what was found: the process that wrote it may have died before its flush."""

    @abstractmethod
    def probe(self, content: bytes) -> None:
        """Write, flush and remove a file: the caller looks at its clock. Raises VaultFull."""

    # --- what an engine does: reading -------------------------------------------------------------

    @abstractmethod
    def open(self, at: FolderName, name: str) -> StoredFile:
        """A finished file as a stream from the medium."""

    @abstractmethod
    def read(self, at: FolderName, name: str, offset: int, length: int) -> bytes:
        """A range of a file, shorter only where the file ends."""

    @abstractmethod
    def recordings(self) -> list[FolderName]:
        """Every recording's folder, whole or not, in order."""

    @abstractmethod
    def names(self, at: FolderName) -> list[str]:
        """Every file in a recording's folder, in order; none where it is gone."""

    @abstractmethod
    def size_of(self, at: FolderName, name: str) -> int | None:
        """Bytes of a file; None where it does not exist."""

    @abstractmethod
    def exists(self, at: FolderName) -> bool:
        """Whether anything of the recording is left."""

    @abstractmethod
    def is_own(self, at: FolderName) -> bool:
        """Whether the recording is the vault's own, so that the dock that took it in can't change
        it.
        """

    @abstractmethod
    def parts(self) -> list[str]:
        """What is on its way in, or was left there, in order."""

    @abstractmethod
    def free_bytes(self) -> int:
        """Room on the medium."""

    # --- what an engine does: removing ------------------------------------------------------------

    @abstractmethod
    def destroy(self, at: FolderName) -> None:
        """Destroy a recording for good: its wrapped keys first, overwritten and removed, each
        durably; then what they opened.

        After any crash between, the folder holds no key, and this can be called again. A folder
        that is gone is as good.
        """

    @abstractmethod
    def drop_recording(self, at: FolderName) -> None:
        """Remove what an abandoned attempt left: `record.json` first, as with it the keys are gone,
        then the rest.
        """

    @abstractmethod
    def remove(self, at: FolderName, name: str) -> None:
        """Remove one file, durably; one that is gone is as good."""

    @abstractmethod
    def drop_parts(self) -> int:
        """Remove every part; returns how many there were."""

    # --- what every engine has: room --------------------------------------------------------------

    def demand_room(self, plain_bytes: int) -> None:
        """Raises VaultFull unless this much plaintext fits beside the reserve."""
        self.demand_free(sealed_bytes(plain_bytes), "this recording")

    def demand_free(self, needed_bytes: int, what: str) -> None:
        """Raises VaultFull unless so many bytes fit beside the reserve; `what` they are for, in its
        sentence.
        """
        free = self.free_bytes()
        needed = needed_bytes + self._reserve_bytes
        if free < needed:
            raise VaultFull(
                f"The vault's disk has {free >> 20} MiB free; {what} and the reserve for the "
                f"log need {(needed >> 20) + 1} MiB."
            )

    # --- what every engine has: taking in ---------------------------------------------------------

    def take_in(
        self,
        target: Target,
        key: bytes,
        source: Source,
        observers: Sequence[Observer],
        buffers: BufferPair,
    ) -> StoredSegment:
        """Seal one file and give it its final name. The part is gone after any error.

        Raises ContentDiffers, ReadBackDiffers, StorageFailed, VaultFull, and whatever the source
        raises.
        """
        announced = target.announced
        size_bytes = announced.size_bytes
        place = Place(self._vault_id, target.folder.recording_id, target.sealed_name, size_bytes)
        part = self.create(target.folder, target.sealed_name, sealed_bytes(size_bytes))
        try:
            edges = Edges(size_bytes)
            seal_into(part, announced, Sealer(key, place), source, (*observers, edges), buffers)
            part.close()
            proof = read_back(part, announced, Opener(key, place), buffers)
            self.make_place(target.folder)
            part.publish()
        except BaseException:
            part.drop()
            raise
        return StoredSegment(
            name=announced.name,
            size_bytes=size_bytes,
            sha256=proof.plain_sha256,
            head_sha256=edges.head_sha256(),
            tail_sha256=edges.tail_sha256(),
            sealed_name=target.sealed_name,
            sealed_bytes=sealed_bytes(size_bytes),
            sealed_sha256=proof.sealed_sha256,
        )

    def write_record(self, at: FolderName, content: bytes) -> str:
        """Publish `record.json`, last of a recording's files, and read it back from the medium;
        returns its SHA-256.
        """
        self.make_place(at)
        self.publish(at, RECORD_NAME, content)
        digest = sha256_of(content)
        if self.file_digest(at, RECORD_NAME) != (len(content), digest):
            raise ReadBackDiffers("record.json does not read back as it was written.")
        return digest

    def copy_in(self, source: "Store", at: FolderName, name: str) -> None:
        """Take over a sealed file of another store, under the same name. Raises VaultFull."""
        buffers = BufferPair()
        self.make_place(at)
        self.remove(at, name)
        with source.open(at, name) as reader:
            part = self.create_copy(at, name, reader.size_bytes)
            try:
                while count := reader.readinto(buffers.plain[:BLOCK_READ_BYTES]):
                    padded = whole_blocks(count)
                    buffers.plain[count:padded] = bytes(padded - count)
                    part.write(buffers.plain[:padded])
                part.close()
                part.publish()
            except BaseException:
                part.drop()
                raise

    # --- what every engine has: reading -----------------------------------------------------------

    def file_digest(self, at: FolderName, name: str) -> tuple[int, str]:
        """Size and SHA-256 of a file, read from the medium."""
        with self.open(at, name) as reader:
            return digest_source(reader, BufferPair())

    def read_small(self, at: FolderName, name: str, limit_bytes: int = LIMIT_BYTES) -> bytes:
        """A small file, whole. Raises StorageFailed where it is missing or too large."""
        content = self.read(at, name, 0, limit_bytes + 1)
        if len(content) > limit_bytes:
            raise StorageFailed(f"{name} is larger than {limit_bytes} bytes.")
        return content

    def read_record(self, at: FolderName) -> bytes:
        """The bytes of `record.json`."""
        return self.read_small(at, RECORD_NAME)

    def read_span(self, at: FolderName, name: str, offset: int, length: int) -> bytes:
        """A range of a file, whole. Raises StorageFailed where the file is missing or shorter."""
        content = self.read(at, name, offset, length)
        if len(content) != length:
            raise StorageFailed(f"{name} is shorter than it was sealed.")
        return content

    def later_keys(self, at: FolderName) -> list[str]:
        """The files of keys that were sealed later, in order."""
        return [name for name in self.names(at) if fnmatch(name, LATER_KEYS)]

    def may_hold(self, at: FolderName, name: str) -> bool:
        """Whether a file exists, and yes where the medium can't say: it may be the only copy."""
        try:
            return self.size_of(at, name) is not None
        except StorageFailed:
            return True


def sha256_of(content: bytes) -> str:
    """SHA-256 of bytes in memory, as every digest here is written."""
    return hashlib.sha256(content).hexdigest()
