"""Lanes: the fixed buffers in which files are sealed, handed out first come, first served.

Two aligned buffers a lane, reused for ever: memory does not grow with the number of cameras or the
length of a recording, and no camera can starve another, as each file waits its turn.
"""

import contextlib
import ctypes
import mmap
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

BUFFER_BYTES = 2 << 20
"""One huge page. Measured over 1 GiB: in private huge pages a fifth less CPU than in small shared
ones, as direct reading and writing pins one page instead of 512; buffers of 4 MiB cost as much CPU
and twice the memory, of 1 MiB a little more CPU.
"""

BLOCK_READ_BYTES = BUFFER_BYTES - (128 << 10)
"""What is read at once. The rest of a buffer has room for its tags, for what `Sealer` and `Opener`
give out beyond a block, and for what did not fill a block of the disk.
"""


class Lane:
    """One pair of buffers: `plain` for what the camera gave, `sealed` for what goes to the disk."""

    def __init__(self) -> None:
        # One buffer more than is used, as a map may begin anywhere: what is never touched takes no
        # memory.
        room = mmap.mmap(-1, 3 * BUFFER_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        room.madvise(mmap.MADV_DONTDUMP)
        with contextlib.suppress(OSError):
            # A kernel without huge pages says no; small ones serve as well.
            room.madvise(mmap.MADV_HUGEPAGE)
        begin = -ctypes.addressof(ctypes.c_char.from_buffer(room)) % BUFFER_BYTES
        self.plain = memoryview(room)[begin : begin + BUFFER_BYTES]
        self.sealed = memoryview(room)[begin + BUFFER_BYTES : begin + 2 * BUFFER_BYTES]

    def wipe(self) -> None:
        """Forget the footage that passed through."""
        self.plain[:] = bytes(BUFFER_BYTES)


class Lanes:
    """A fixed number of lanes and a queue of who waits for one."""

    def __init__(self, count: int) -> None:
        self._free = [Lane() for _ in range(count)]
        self._waiting: deque[object] = deque()
        self._changed = Condition()

    @contextmanager
    def lane(self) -> Iterator[Lane]:
        """A lane for the length of the block; the caller waits until all who asked before have had
        theirs.
        """
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
