"""The one place where the vault makes something durable: fsync, link, rename, unlink, mkdir.

The order that each procedure of DESIGN.md relies on:

- a file is complete and flushed before it gets its final name;
- the name is given by `link`, which fails where one exists already: nothing is ever overwritten;
- a name counts once its folder is flushed, and a new folder once its parent is.

A flush that fails is never tried again: the kernel may have dropped the very pages that could not
be written, and a second flush would then report success over a hole. The file is abandoned.
"""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vault.errors import StorageFailed, VaultFull

BLOCK_BYTES = 4096
"""Alignment that O_DIRECT asks of memory, offset and length."""

_NEVER_FOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC


def whole_blocks(size_bytes: int) -> int:
    """The size, rounded up to whole blocks."""
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turn the operating system's refusals into the vault's errors: no room is VaultFull, all else
    StorageFailed.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise VaultFull(f"The vault's disk is full ({doing}).") from error
        raise StorageFailed(
            f"The vault's disk failed: {doing}: {error.strerror or error}."
        ) from error


def _bypass_cache(fd: int) -> None:
    """Ask for O_DIRECT; a file system that has none (EINVAL) goes through the page cache, which is
    dropped after the flush.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_DIRECT)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


class PartFile:
    """A file on its way in: created anew, written from start to end, flushed, then published or
    dropped.

    Blocks go past the page cache where the file system allows it, so that reading back meets the
    medium and not the memory.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Create `path` and reserve `size_bytes` on the disk. Raises VaultFull, StorageFailed."""
        self.path = path
        self._written_bytes = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NEVER_FOLLOW
        with storage_errors(f"creating {path.name}"):
            self._fd = os.open(path, flags, file_mode(path.parent))
        _bypass_cache(self._fd)
        self._size_bytes = size_bytes
        try:
            with storage_errors(f"reserving room for {path.name}"):
                if size_bytes:
                    os.posix_fallocate(self._fd, 0, size_bytes)
        except (StorageFailed, VaultFull):
            self.drop()
            raise

    def write(self, block: memoryview) -> None:
        """Append a block: page-aligned memory, a multiple of BLOCK_BYTES long; only the last may
        reach past the size.
        """
        with storage_errors(f"writing {self.path.name}"):
            done = 0
            while done < len(block):
                done += os.pwrite(self._fd, block[done:], self._written_bytes + done)
        self._written_bytes += len(block)

    def close(self) -> None:
        """Cut to the announced size, flush file and attributes to the medium, drop what the page
        cache holds of it, close.
        """
        try:
            with storage_errors(f"flushing {self.path.name}"):
                if self._written_bytes != self._size_bytes:
                    os.ftruncate(self._fd, self._size_bytes)
                os.fsync(self._fd)
                os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            self._close_fd()

    def drop(self) -> None:
        """Close and remove."""
        self._close_fd()
        _drop(self.path)

    def _close_fd(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class MediumReader:
    """Reads a finished file from the medium, not from the page cache: O_DIRECT, or the cache
    dropped where there is none.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_RDONLY | _NEVER_FOLLOW
        with storage_errors(f"opening {path.name}"):
            self._fd = os.open(path, flags)
        _bypass_cache(self._fd)
        self._path = path
        self._offset_bytes = 0
        with storage_errors(f"reading {path.name}"):
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
            status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise StorageFailed(f"{path.name} in the vault is not a regular file.")
        self.size_bytes = status.st_size

    def readinto(self, block: memoryview) -> int:
        """Fill the start of `block` (page-aligned); 0 at the end of the file."""
        if self._offset_bytes >= self.size_bytes:
            return 0
        # No further than the block with the file's end: what lies beyond it the kernel would fill
        # with zeros.
        wanted = block[: whole_blocks(self.size_bytes - self._offset_bytes)]
        with storage_errors(f"reading {self._path.name}"):
            count = os.preadv(self._fd, [wanted], self._offset_bytes)
        self._offset_bytes += count
        return count

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> "MediumReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def flush_file(path: Path) -> None:
    """Flush a file that others have written, before it gets its name."""
    with storage_errors(f"flushing {path.name}"):
        fd = os.open(path, os.O_RDONLY | _NEVER_FOLLOW)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    with storage_errors(f"flushing the folder {folder.name}"):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def file_mode(folder: Path) -> int:
    """For a new file here. A vault whose folders are set-group-id is shared by one group's
    services, which write where the folder lets them and else only read; any other is its owner's.
    """
    mode = folder.stat().st_mode
    if not mode & stat.S_ISGID:
        return 0o600
    return 0o660 if mode & stat.S_IWGRP else 0o640


def _folder_mode(parent: Path) -> int:
    return 0o770 if _shared(parent) else 0o700


def _shared(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_ISGID)


def make_empty(path: Path) -> None:
    """A new empty file, for who writes it by other means: it has the vault's mode from the start.
    One that exists stays.
    """
    with storage_errors(f"making {path.name}"):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | _NEVER_FOLLOW, file_mode(path.parent)))


def try_disk(path: Path, content: bytes) -> None:
    """Write a file, flush it, and remove it again: the caller looks at its clock. Raises
    StorageFailed, VaultFull.
    """
    _drop(path)
    _write_flushed(path, content)
    _drop(path)


def make_folder(folder: Path, within: Path | None = None) -> None:
    """Make a folder and the parents it lacks; each new one is durable in its parent when this
    returns.

    With `within`, every folder from there down to a new one is. One that stood there already may be
    left from a process that was killed, or from a flush that failed, before it was durable, and
    what is put into it now would go with it.
    """
    missing = []
    at = folder
    while not at.is_dir():
        missing.append(at)
        at = at.parent
    for new in reversed(missing):
        with storage_errors(f"making the folder {new.name}"):
            new.mkdir(mode=_folder_mode(new.parent), exist_ok=True)
    top = within if within is not None and at.is_relative_to(within) else at
    for parent in folder.parents if missing else ():
        flush_folder(parent)
        if parent == top:
            break


def publish(part: Path, final: Path) -> None:
    """Give a flushed part its final name, durably. Raises StorageFailed where the name exists:
    nothing is overwritten.
    """
    with storage_errors(f"publishing {final.name}"):
        os.link(part, final, follow_symlinks=False)
    flush_folder(final.parent)
    with storage_errors(f"removing {part.name}"):
        part.unlink()


def write_new(part: Path, final: Path, content: bytes) -> None:
    """Write a small file under `final`, durably, by way of `part`, which is gone
    after any error.
    """
    _write_flushed(part, content)
    try:
        publish(part, final)
    except (StorageFailed, VaultFull):
        _drop(part)
        raise


def replace_file(flushed: Path, final: Path) -> None:
    """Put a flushed file in the place of another in one step: after a power cut the old or the new
    one stands, whole.
    """
    with storage_errors(f"replacing {final.name}"):
        flushed.rename(final)
    flush_folder(final.parent)


def replace_new(part: Path, final: Path, content: bytes) -> None:
    """Write a small file and put it in the place of another in one step, by way of `part`, which is
    gone after any error.
    """
    _write_flushed(part, content)
    try:
        replace_file(part, final)
    except (StorageFailed, VaultFull):
        _drop(part)
        raise


def _write_flushed(path: Path, content: bytes) -> None:
    with storage_errors(f"writing {path.name}"):
        fd = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NEVER_FOLLOW, file_mode(path.parent)
        )
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        except OSError:
            _drop(path)
            raise
        finally:
            os.close(fd)


def _drop(path: Path) -> None:
    """Remove what is abandoned. What can't be removed now is removed at the next start, and why it
    is dropped matters more.
    """
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def append_line(path: Path, line: bytes) -> None:
    """Append `line` and a line feed to a file, durably; a torn line that a crash left at its end is
    ended first.

    The name of a new file is not durable yet: that is `flush_folder`. One writer at a time: the
    caller holds the catalogue's write lock.
    """
    with storage_errors(f"writing {path.name}"):
        fd = os.open(
            path, os.O_RDWR | os.O_APPEND | os.O_CREAT | _NEVER_FOLLOW, file_mode(path.parent)
        )
        try:
            size_bytes = os.fstat(fd).st_size
            torn = size_bytes > 0 and os.pread(fd, 1, size_bytes - 1) != b"\n"
            view = memoryview((b"\n" if torn else b"") + line + b"\n")
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)


def remove_file(path: Path) -> None:
    """Remove a file, durably; one that is gone already is as good."""
    with storage_errors(f"removing {path.name}"):
        path.unlink(missing_ok=True)
    flush_folder(path.parent)


def overwrite_and_remove(path: Path) -> None:
    """Overwrite a small file in its place with random bytes, flush, and remove it, durably.

    On a file system that writes in place (ext4) the old bytes are then gone from the file's own
    blocks; what a drive keeps of them by itself (wear levelling), or a copy elsewhere, no program
    reaches.
    """
    if not path.exists():
        return
    with storage_errors(f"overwriting {path.name}"):
        fd = os.open(path, os.O_WRONLY | _NEVER_FOLLOW)
        try:
            view = memoryview(os.urandom(os.fstat(fd).st_size))
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)
    remove_file(path)


def remove_folder(folder: Path, last: tuple[str, ...] = ()) -> None:
    """Remove the files of a folder and the folder; the names in `last` go first, each durably,
    before anything else.

    (`last` names what was written last: without it the rest means nothing, so it must be the first
    to go.)
    """
    if not folder.is_dir():
        return
    for name in last:
        if (folder / name).exists():
            remove_file(folder / name)
    with storage_errors(f"removing the folder {folder.name}"):
        for path in sorted(folder.iterdir()):
            path.unlink()
        folder.rmdir()
    flush_folder(folder.parent)


def may_be(asked: Callable[[], bool]) -> bool:
    """What the medium answers of a path, and yes where it can't: what stands there may then be the
    only copy.
    """
    try:
        return asked()
    except OSError:
        return True


def free_bytes(folder: Path) -> int:
    """Room that an ordinary user may still fill on the folder's disk."""
    with storage_errors("asking for free space"):
        status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
