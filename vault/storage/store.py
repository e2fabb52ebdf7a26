"""The sealed files: `incoming/` and `footage/`. Knows no key but the one it is handed, and no row.

The order of steps of DESIGN.md, "taking in a file": seal while the bytes come in; flush; read back
from the medium, open with the key still in memory, and hold size and digest of the plaintext
against what was announced; only then the final name.
"""

import hashlib
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from vault.crypto.sealed_file import Opener, Place, Sealer, sealed_bytes
from vault.errors import CannotOpen, ContentDiffers, ReadBackDiffers, StorageFailed, VaultFull
from vault.recording import EDGE_BYTES, Observer, Source, StoredSegment
from vault.storage.buffers import BLOCK_READ_BYTES, Lane
from vault.storage.durable import (
    BLOCK_BYTES,
    MediumReader,
    Part,
    free_bytes,
    make_folder,
    may_be,
    overwrite_and_remove,
    publish,
    remove_file,
    remove_folder,
    whole_blocks,
    write_new,
)

RECORD_NAME = "record.json"
MANIFEST_NAME = "manifest.sealed"
LATER_KEYS = "keys-*.json"


@dataclass(frozen=True, slots=True)
class Target:
    """One file to take in. `sha256` None: not stated by the camera, found by reading back."""

    recording_id: str
    folder: Path
    sealed_name: str
    name: str
    size_bytes: int
    sha256: str | None


class Store:
    """The folders of one vault."""

    def __init__(self, root: Path, vault_id: str, reserve_bytes: int) -> None:
        self._root = root
        self._vault_id = vault_id
        self._reserve_bytes = reserve_bytes
        self._part_numbers = itertools.count()
        self.incoming = root / "incoming"
        self.footage = root / "footage"

    def folder_of(self, recording_id: str, docked: datetime) -> Path:
        """`footage/<year>/<month>/<recording>`: no name of a person or a camera in a path."""
        return self.footage / f"{docked.year:04d}" / f"{docked.month:02d}" / recording_id

    def relative(self, folder: Path) -> str:
        return folder.relative_to(self._root).as_posix()

    def folder_at(self, relative: str) -> Path:
        return self._root / relative

    def demand_room(self, plain_bytes: int) -> None:
        """Raises VaultFull unless this much plaintext fits beside the reserve."""
        self.demand_free(sealed_bytes(plain_bytes), "this recording")

    def demand_free(self, needed_bytes: int, what: str) -> None:
        """Raises VaultFull unless so many bytes on the disk fit beside the reserve; `what` they are
        for, in its sentence.
        """
        free = free_bytes(self._root)
        needed = needed_bytes + self._reserve_bytes
        if free < needed:
            raise VaultFull(
                f"The vault's disk has {free >> 20} MiB free; {what} and the reserve for the "
                f"log need {(needed >> 20) + 1} MiB."
            )

    def take_in(
        self, target: Target, key: bytes, source: Source, observers: Sequence[Observer], lane: Lane
    ) -> StoredSegment:
        """Seal one file and give it its final name. The part is gone after any error.

        Raises ContentDiffers, ReadBackDiffers, StorageFailed, VaultFull, and whatever the source
        raises.
        """
        part_path = self._new_part(target.sealed_name)
        place = Place(self._vault_id, target.recording_id, target.sealed_name, target.size_bytes)
        part = Part(part_path, sealed_bytes(target.size_bytes))
        try:
            edges = _Edges(target.size_bytes)
            _seal(part, target, Sealer(key, place), source, (*observers, edges), lane)
            part.close()
            proof = self._read_back(part_path, Opener(key, place), lane)
            _demand_agreement(target, proof)
            make_folder(target.folder, within=self.footage)
            publish(part_path, target.folder / target.sealed_name)
        except BaseException:
            part.drop()
            raise
        return StoredSegment(
            name=target.name,
            size_bytes=target.size_bytes,
            sha256=proof.plain_sha256,
            head_sha256=edges.head_sha256(),
            tail_sha256=edges.tail_sha256(),
            sealed_name=target.sealed_name,
            sealed_bytes=sealed_bytes(target.size_bytes),
            sealed_sha256=proof.sealed_sha256,
        )

    def write_record(self, folder: Path, content: bytes) -> str:
        """Publish `record.json`, last of a recording's files, and read it back from the medium;
        returns its SHA-256.
        """
        make_folder(folder, within=self.footage)
        write_new(self._new_part(RECORD_NAME), folder / RECORD_NAME, content)
        digest = self.digest_of(content)
        if self.file_digest(folder / RECORD_NAME) != (len(content), digest):
            raise ReadBackDiffers("record.json does not read back as it was written.")
        return digest

    def file_digest(self, path: Path) -> tuple[int, str]:
        """Size and SHA-256 of a file, read from the medium. Raises StorageFailed."""
        lane = Lane()
        digest, size = hashlib.sha256(), 0
        with MediumReader(path) as reader:
            while count := reader.readinto(lane.plain[:BLOCK_READ_BYTES]):
                digest.update(lane.plain[:count])
                size += count
        return size, digest.hexdigest()

    def digest_of(self, content: bytes) -> str:
        """SHA-256 of bytes in memory, as every digest here is written."""
        return hashlib.sha256(content).hexdigest()

    def source_digest(self, source: Source, lane: Lane) -> tuple[int, str]:
        """Size and SHA-256 of a source read from start to end; nothing is kept."""
        digest, size = hashlib.sha256(), 0
        while count := source.readinto(lane.plain[:BLOCK_READ_BYTES]):
            digest.update(lane.plain[:count])
            size += count
        return size, digest.hexdigest()

    def write_beside(self, folder: Path, name: str, content: bytes) -> None:
        """Publish a small file in a recording's folder. Raises StorageFailed where the name is
        taken.
        """
        write_new(self._new_part(name), folder / name, content)

    def destroy(self, folder: Path) -> None:
        """Destroy a recording for good: its wrapped keys first, overwritten and removed, each
        durably; then what they opened.

        After any crash between, the folder holds no key, and this can be called again. A folder
        that is gone is as good.
        """
        if not folder.is_dir():
            return
        for path in (folder / RECORD_NAME, *sorted(folder.glob(LATER_KEYS))):
            overwrite_and_remove(path)
        remove_folder(folder)

    def drop_recording(self, folder: Path) -> None:
        """Remove what an abandoned attempt left: `record.json` first, as with it the keys are gone,
        then the rest.
        """
        remove_folder(folder, last=(RECORD_NAME,))

    def drop_parts(self) -> int:
        """Empty `incoming/`; returns how many parts there were."""
        parts = sorted(self.incoming.iterdir())
        for path in parts:
            remove_file(path)
        return len(parts)

    def folders(self) -> list[Path]:
        """Every recording's folder, whole or not."""
        return sorted(path for path in self.footage.glob("*/*/*") if may_be(path.is_dir))

    def _new_part(self, sealed_name: str) -> Path:
        return self.incoming / f"{os.getpid()}-{next(self._part_numbers)}-{sealed_name}.part"

    def _read_back(self, path: Path, opener: Opener, lane: Lane) -> "_Proof":
        try:
            return _open_from_medium(path, opener, lane)
        except CannotOpen as error:
            raise ReadBackDiffers(
                f"What was written to the vault's disk does not open again. {error.sentence}"
            ) from error


@dataclass(frozen=True, slots=True)
class _Proof:
    plain_bytes: int
    plain_sha256: str
    sealed_sha256: str


class _Edges:
    """Digests of the first and last EDGE_BYTES of a stream of known size, as an observer."""

    def __init__(self, size_bytes: int) -> None:
        self._head_left = min(EDGE_BYTES, size_bytes)
        self._tail_from = max(0, size_bytes - EDGE_BYTES)
        self._at = 0
        self._head, self._tail = hashlib.sha256(), hashlib.sha256()

    def __call__(self, block: memoryview) -> None:
        if self._head_left:
            self._head.update(block[: self._head_left])
            self._head_left -= min(self._head_left, len(block))
        if self._at + len(block) > self._tail_from:
            self._tail.update(block[max(0, self._tail_from - self._at) :])
        self._at += len(block)

    def head_sha256(self) -> str:
        return self._head.hexdigest()

    def tail_sha256(self) -> str:
        return self._tail.hexdigest()


def _seal(
    part: Part,
    target: Target,
    sealer: Sealer,
    source: Source,
    observers: Sequence[Observer],
    lane: Lane,
) -> None:
    """Source to part. `lane.sealed` keeps what does not fill a block yet at its start."""
    left_bytes, kept = target.size_bytes, 0
    while left_bytes:
        block = _fill(source, lane.plain[:BLOCK_READ_BYTES], left_bytes, target)
        for observe in observers:
            observe(block)
        kept += sealer.update_into(block, lane.sealed[kept:])
        left_bytes -= len(block)
        kept = _write_whole_blocks(part, lane, kept)
    if source.readinto(lane.plain[:BLOCK_BYTES]):
        raise _longer(target)
    kept += sealer.finish(lane.sealed[kept:])
    kept = _write_whole_blocks(part, lane, kept)
    if kept:
        lane.sealed[kept:BLOCK_BYTES] = bytes(BLOCK_BYTES - kept)
        part.write(lane.sealed[:BLOCK_BYTES])


def _fill(source: Source, buffer: memoryview, left_bytes: int, target: Target) -> memoryview:
    """The next of the bytes that are left, as many as the buffer holds.

    The source is always offered whole blocks of a disk: for the odd end of a file alone it would
    have to leave direct reading.
    """
    wanted = min(len(buffer), left_bytes)
    offered = buffer[: whole_blocks(wanted)]
    filled = 0
    while filled < wanted:
        count = source.readinto(offered[filled:])
        if not count:
            raise ContentDiffers(
                f"{target.name} ended on the camera before its stated {target.size_bytes} bytes."
            )
        filled += count
    if filled > wanted:
        raise _longer(target)
    return buffer[:wanted]


def _longer(target: Target) -> ContentDiffers:
    return ContentDiffers(
        f"{target.name} is longer on the camera than its stated {target.size_bytes} bytes."
    )


def _write_whole_blocks(part: Part, lane: Lane, kept: int) -> int:
    whole = kept - kept % BLOCK_BYTES
    if whole:
        part.write(lane.sealed[:whole])
        lane.sealed[: kept - whole] = lane.sealed[whole:kept]
    return kept - whole


def _open_from_medium(path: Path, opener: Opener, lane: Lane) -> _Proof:
    plain_digest, sealed_digest, plain_bytes = hashlib.sha256(), hashlib.sha256(), 0
    with MediumReader(path) as reader:
        while count := reader.readinto(lane.sealed[:BLOCK_READ_BYTES]):
            sealed_digest.update(lane.sealed[:count])
            opened = opener.update_into(lane.sealed[:count], lane.plain)
            plain_digest.update(lane.plain[:opened])
            plain_bytes += opened
    opened = opener.finish(lane.plain)
    plain_digest.update(lane.plain[:opened])
    return _Proof(plain_bytes + opened, plain_digest.hexdigest(), sealed_digest.hexdigest())


def _demand_agreement(target: Target, proof: _Proof) -> None:
    """The plaintext that stands on the medium against the camera's word.

    One digest on the way back serves for both ways: a byte that changed on the cable, in memory
    before it was sealed, or on the disk gives another digest here, and nothing has its final name
    yet.
    """
    if proof.plain_bytes != target.size_bytes:
        raise ReadBackDiffers(
            f"{target.name} reads back as {proof.plain_bytes} bytes instead of {target.size_bytes}."
        )
    if target.sha256 is not None and proof.plain_sha256 != target.sha256:
        raise ContentDiffers(f"{target.name} came over with another digest than the camera states.")


class BytesSource:
    """Bytes in memory as a source."""

    def __init__(self, content: bytes) -> None:
        self._left = memoryview(content)

    def readinto(self, buffer: memoryview) -> int:
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def read_small(path: Path, limit_bytes: int) -> bytes:
    """A small file of the vault's own, whole. Raises StorageFailed where it is missing, no regular
    file, or too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except OSError as error:
        raise StorageFailed(f"{path.name} can't be read: {error.strerror}.") from error
    if len(content) > limit_bytes:
        raise StorageFailed(f"{path.name} is larger than {limit_bytes} bytes.")
    return content


def read_span(path: Path, offset: int, length: int) -> bytes:
    """A stretch of a file, whole. Raises StorageFailed where it is missing or shorter."""
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            content = b""
            while len(content) < length and (more := file.read(length - len(content))):
                content += more
    except OSError as error:
        raise StorageFailed(f"{path.name} can't be read: {error.strerror}.") from error
    if len(content) != length:
        raise StorageFailed(f"{path.name} is shorter than it was sealed.")
    return content


def copy_file(source: Path, part_path: Path, final: Path) -> None:
    """Copy a sealed file to another medium: written past the page cache, flushed, then given its
    name. Raises StorageFailed.
    """
    lane = Lane()
    remove_file(part_path)
    with MediumReader(source) as reader:
        part = Part(part_path, reader.size_bytes)
        try:
            while count := reader.readinto(lane.plain[:BLOCK_READ_BYTES]):
                padded = whole_blocks(count)
                lane.plain[count:padded] = bytes(padded - count)
                part.write(lane.plain[:padded])
            part.close()
            publish(part_path, final)
        except BaseException:
            part.drop()
            raise
