"""Lanes: the fixed buffers in which files are sealed, handed out first come, first served.

Two page-aligned buffers a lane, reused for ever: memory does not grow with the number of cameras or the length of a
recording, and no camera can starve another, as each file waits its turn.
"""

import mmap
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from vault.durable import BLOCK_BYTES
from vault.sealed import CHUNK_BYTES, GROWTH_BYTES, TAG_BYTES

BLOCK_READ_BYTES = 4 << 20
"""Measured: calls of 4 MiB cost least beside a busy Python thread."""

_TAGS_BYTES = (BLOCK_READ_BYTES // CHUNK_BYTES + 2) * TAG_BYTES
_SEALED_BYTES = -(-(BLOCK_READ_BYTES + _TAGS_BYTES + GROWTH_BYTES + BLOCK_BYTES) // BLOCK_BYTES) * BLOCK_BYTES


class Lane:
    """One pair of buffers: `plain` for what the camera gave, `sealed` for what goes to the disk."""

    def __init__(self) -> None:
        self._maps = (mmap.mmap(-1, BLOCK_READ_BYTES + GROWTH_BYTES), mmap.mmap(-1, _SEALED_BYTES))
        self._maps[0].madvise(mmap.MADV_DONTDUMP)
        self.plain = memoryview(self._maps[0])
        self.sealed = memoryview(self._maps[1])

    def wipe(self) -> None:
        """Forget the footage that passed through."""
        self._maps[0].seek(0)
        self._maps[0].write(bytes(len(self._maps[0])))


class Lanes:
    """A fixed number of lanes and a queue of who waits for one."""

    def __init__(self, count: int) -> None:
        self._free = [Lane() for _ in range(count)]
        self._waiting: deque[object] = deque()
        self._changed = Condition()

    @contextmanager
    def lane(self) -> Iterator[Lane]:
        """A lane for the length of the block; the caller waits until all who asked before have had theirs."""
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            self._changed.wait_for(lambda: self._free and self._waiting[0] is ticket)
            self._waiting.popleft()
            lane = self._free.pop()
            self._changed.notify_all()
        try:
            yield lane
        finally:
            with self._changed:
                self._free.append(lane)
                self._changed.notify_all()

    def wipe(self) -> None:
        for lane in self._free:
            lane.wipe()
