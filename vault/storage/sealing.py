"""Seals one file on its way in, and proves it on its way back: bytes between source and part.

Knows no file and no row; the part may stand on any engine (`store.py`).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from vault.crypto.sealed_file import Opener, Sealer
from vault.errors import CannotOpen, ContentDiffers, ReadBackDiffers
from vault.recording import EDGE_BYTES, Observer, Source
from vault.storage.buffers import BLOCK_READ_BYTES, BufferPair
from vault.storage.durable import BLOCK_BYTES, whole_blocks


class StoredFile(Protocol):
    """A finished file, read from the medium and from no cache. Closed at the end of its block."""

    size_bytes: int

    def readinto(self, block: memoryview, /) -> int:
        """Fill the start of `block` (page-aligned); 0 at the end. Raises StorageFailed."""

    def __enter__(self) -> Self:
        """The file itself."""

    def __exit__(self, *_: object) -> None:
        """Close it."""


class Part(Protocol):
    """A file on its way in: written from start to end, closed, then published or dropped."""

    def write(self, block: memoryview, /) -> None:
        """Append whole blocks of page-aligned memory; only the last may reach past the size."""

    def close(self) -> None:
        """Cut to the announced size and flush. A flush that fails is final."""

    def reopen(self) -> StoredFile:
        """Read back what was flushed, from the medium."""

    def publish(self) -> None:
        """Give it its final name, durably. Raises StorageFailed where the name is taken."""

    def drop(self) -> None:
        """Close and remove what is abandoned."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What a file should be. `sha256` None: not stated by the camera, found by reading back."""

    name: str
    size_bytes: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Proof:
    """What came back from the medium."""

    plain_bytes: int
    plain_sha256: str
    sealed_sha256: str


class Edges:
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


def seal_into(
    part: Part,
    announced: Announced,
    sealer: Sealer,
    source: Source,
    observers: Sequence[Observer],
    buffers: BufferPair,
) -> None:
    """Write a source, sealed, into a part. `buffers.sealed` keeps what does not fill a block yet at
    its start.

    Raises ContentDiffers where the source is shorter or longer than announced.
    """
    left_bytes, kept = announced.size_bytes, 0
    while left_bytes:
        block = _fill(source, buffers.plain[:BLOCK_READ_BYTES], left_bytes, announced)
        for observe in observers:
            observe(block)
        kept += sealer.update_into(block, buffers.sealed[kept:])
        left_bytes -= len(block)
        kept = _write_whole_blocks(part, buffers, kept)
    if source.readinto(buffers.plain[:BLOCK_BYTES]):
        raise _longer(announced)
    kept += sealer.finish(buffers.sealed[kept:])
    kept = _write_whole_blocks(part, buffers, kept)
    if kept:
        buffers.sealed[kept:BLOCK_BYTES] = bytes(BLOCK_BYTES - kept)
        part.write(buffers.sealed[:BLOCK_BYTES])


def _fill(source: Source, buffer: memoryview, left_bytes: int, announced: Announced) -> memoryview:
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
                f"{announced.name} ended on the camera before its stated {announced.size_bytes} "
                f"bytes."
            )
        filled += count
    if filled > wanted:
        raise _longer(announced)
    return buffer[:wanted]


def _longer(announced: Announced) -> ContentDiffers:
    return ContentDiffers(
        f"{announced.name} is longer on the camera than its stated {announced.size_bytes} bytes."
    )


def _write_whole_blocks(part: Part, buffers: BufferPair, kept: int) -> int:
    whole = kept - kept % BLOCK_BYTES
    if whole:
        part.write(buffers.sealed[:whole])
        buffers.sealed[: kept - whole] = buffers.sealed[whole:kept]
    return kept - whole


def read_back(part: Part, announced: Announced, opener: Opener, buffers: BufferPair) -> Proof:
    """Open what stands on the medium, and hold it against the camera's word.

    One digest on the way back serves for both ways: a byte that changed on the cable, in memory
    before it was sealed, or on the disk gives another digest here, and nothing has its final name
    yet. Raises ReadBackDiffers, ContentDiffers, StorageFailed.
    """
    try:
        proof = _open_from_medium(part, opener, buffers)
    except CannotOpen as error:
        raise ReadBackDiffers(
            f"What was written to the vault's disk does not open again. {error.sentence}"
        ) from error
    if proof.plain_bytes != announced.size_bytes:
        raise ReadBackDiffers(
            f"{announced.name} reads back as {proof.plain_bytes} bytes instead of "
            f"{announced.size_bytes}."
        )
    if announced.sha256 is not None and proof.plain_sha256 != announced.sha256:
        raise ContentDiffers(
            f"{announced.name} came over with another digest than the camera states."
        )
    return proof


def _open_from_medium(part: Part, opener: Opener, buffers: BufferPair) -> Proof:
    plain_digest, sealed_digest, plain_bytes = hashlib.sha256(), hashlib.sha256(), 0
    with part.reopen() as reader:
        while count := reader.readinto(buffers.sealed[:BLOCK_READ_BYTES]):
            sealed_digest.update(buffers.sealed[:count])
            opened = opener.update_into(buffers.sealed[:count], buffers.plain)
            plain_digest.update(buffers.plain[:opened])
            plain_bytes += opened
    opened = opener.finish(buffers.plain)
    plain_digest.update(buffers.plain[:opened])
    return Proof(plain_bytes + opened, plain_digest.hexdigest(), sealed_digest.hexdigest())


def digest_source(source: Source | StoredFile, buffers: BufferPair) -> tuple[int, str]:
    """Size and SHA-256 of a source read from start to end; nothing is kept."""
    digest, size = hashlib.sha256(), 0
    while count := source.readinto(buffers.plain[:BLOCK_READ_BYTES]):
        digest.update(buffers.plain[:count])
        size += count
    return size, digest.hexdigest()


class BytesSource:
    """Bytes in memory as a source."""

    def __init__(self, content: bytes) -> None:
        self._left = memoryview(content)

    def readinto(self, buffer: memoryview, /) -> int:
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count
