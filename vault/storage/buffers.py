"""The fixed buffers in which files are sealed, handed out first come, first served.

Each file gets two aligned buffers, reused for ever. Memory does not grow with the number of cameras
or the length of a recording. No camera can starve another, as each file waits its turn.
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
return beyond a block, and for what did not fill a block of the disk.
"""


class BufferPair:
    """`plain` for what the camera sent, `sealed` for what goes to the disk."""

    def __init__(self) -> None:
        # One buffer more than is used, as a map may begin anywhere: untouched pages take no memory.
        room = mmap.mmap(-1, 3 * BUFFER_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        room.madvise(mmap.MADV_DONTDUMP)
        with contextlib.suppress(OSError):
            # A kernel without huge pages refuses; small ones serve as well.
            room.madvise(mmap.MADV_HUGEPAGE)
        begin = -ctypes.addressof(ctypes.c_char.from_buffer(room)) % BUFFER_BYTES
        self.plain = memoryview(room)[begin : begin + BUFFER_BYTES]
        self.sealed = memoryview(room)[begin + BUFFER_BYTES : begin + 2 * BUFFER_BYTES]

    def wipe(self) -> None:
        """Forget the footage that passed through."""
        self.plain[:] = bytes(BUFFER_BYTES)


class BufferPool:
    """A fixed number of buffer pairs, and a queue of the files that wait for one."""

    def __init__(self, count: int) -> None:
        self._free = [BufferPair() for _ in range(count)]
        self._waiting: deque[object] = deque()
        self._changed = Condition()

    @contextmanager
    def borrow(self) -> Iterator[BufferPair]:
        """Lend a pair for the length of the block; the caller waits until all who asked before have
        had theirs.
        """
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            self._changed.wait_for(lambda: self._free and self._waiting[0] is ticket)
            self._waiting.popleft()
            buffers = self._free.pop()
            self._changed.notify_all()
        try:
            yield buffers
        finally:
            with self._changed:
                self._free.append(buffers)
                self._changed.notify_all()

    def wipe(self) -> None:
        """Forget the footage in every pair that nobody has."""
        for buffers in self._free:
            buffers.wipe()
