"""The buffers: room for the worst case, aligned for direct reading, forgotten when
they are wiped.
"""

import ctypes

from vault.crypto.sealed_file import CHUNK_BYTES, GROWTH_BYTES, TAG_BYTES
from vault.storage.buffers import BLOCK_READ_BYTES, BUFFER_BYTES, BufferPair
from vault.storage.durable import BLOCK_BYTES


def address(view: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


def test_room_for_the_worst_block() -> None:
    """A block that meets the end of one message and the start of the next, behind a rest of nearly
    one block of the disk.
    """
    tags_bytes = (BLOCK_READ_BYTES // CHUNK_BYTES + 2) * TAG_BYTES
    assert BLOCK_BYTES - 1 + BLOCK_READ_BYTES + tags_bytes + GROWTH_BYTES <= BUFFER_BYTES
    assert BLOCK_READ_BYTES % BLOCK_BYTES == 0


def test_buffers_lie_on_huge_pages() -> None:
    buffers = BufferPair()
    for view in (buffers.plain, buffers.sealed):
        assert len(view) == BUFFER_BYTES
        assert address(view) % BUFFER_BYTES == 0
    assert address(buffers.sealed) - address(buffers.plain) == BUFFER_BYTES


def test_wiped_buffer_holds_no_footage() -> None:
    buffers = BufferPair()
    buffers.plain[:] = b"\x55" * BUFFER_BYTES
    buffers.wipe()
    assert buffers.plain == bytes(BUFFER_BYTES)
