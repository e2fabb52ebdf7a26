"""One file of a mounted card, read from start to end."""

import errno
import fcntl
import os
from collections.abc import Callable
from types import TracebackType
from typing import Self

from dockd.card.contract import CardError, CardFile, CardFileChangedError

_PAGE_BYTES = 4096
"""What direct reading asks of offsets and lengths.

Some media ask for less; none that a card reader shows asks for more.
"""


class MountedStream:
    """A `FileStream`: directly from the medium where it can, else through the page cache, which is
    dropped behind.

    Nothing of the recording then stays in memory that nobody accounts for, and a second reading is
    one of the medium, not of memory. The size that was listed is a wall: what ends before it, or
    goes on behind it, has changed. Fault B6.
    """

    def __init__(
        self,
        file: CardFile,
        descriptor: int,
        offset: int,
        failure: Callable[[OSError, str], CardError],
    ) -> None:
        self._file = file
        self._descriptor = descriptor
        self._position = offset
        self._failure = failure
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        self._direct = self._set_direct(True)

    def readinto(self, buffer: memoryview) -> int:
        """The next bytes; 0 at the listed size, once it is proven that the file ends there and was
        not written meanwhile.
        """
        try:
            if self._position >= self._file.size_bytes:
                self._prove_end()
                return 0
            count = self._read(buffer)
        except OSError as error:
            raise self._failure(
                error, f"{self._file.shown} can't be read at byte {self._position}"
            ) from error
        self._position += count
        if count == 0 or self._position > self._file.size_bytes:
            raise self._changed("ends before" if count == 0 else "goes on beyond")
        return count

    def close(self) -> None:
        """Let go of the file, and of what the page cache holds of it."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self, buffer: memoryview) -> int:
        if self._direct and (self._position % _PAGE_BYTES or buffer.nbytes % _PAGE_BYTES):
            self._direct = self._set_direct(False)
        try:
            count = os.preadv(self._descriptor, [buffer], self._position)
        except OSError as error:
            if not self._direct or error.errno != errno.EINVAL:
                raise
            # Memory that is not aligned, or a medium with larger sectors: the page cache takes any.
            self._direct = self._set_direct(False)
            count = os.preadv(self._descriptor, [buffer], self._position)
        if not self._direct:
            os.posix_fadvise(self._descriptor, self._position, count, os.POSIX_FADV_DONTNEED)
        return count

    def _prove_end(self) -> None:
        now = os.fstat(self._descriptor)
        if now.st_size > self._file.size_bytes:
            raise self._changed("goes on beyond")
        if (now.st_size, now.st_mtime_ns) != (self._file.size_bytes, self._file.modified_ns):
            raise CardFileChangedError(f"{self._file.shown} was written to while it was read.")

    def _changed(self, how: str) -> CardFileChangedError:
        return CardFileChangedError(
            f"{self._file.shown} {how} the {self._file.size_bytes} bytes that were listed."
        )

    def _set_direct(self, wanted: bool) -> bool:
        """Switch direct reading on or off; the answer is whether it is on.

        O_NONBLOCK has done its work at the opening.
        """
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL) & ~(os.O_DIRECT | os.O_NONBLOCK)
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | os.O_DIRECT if wanted else flags)
        except OSError:
            return False
        return wanted
