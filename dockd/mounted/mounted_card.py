"""A card on a mounted volume.

A card is reached from its root's descriptor only, one name at a time, never through a symbolic link
and never into another mount. So nothing outside of the card is touched, whatever stands on it. What
is neither a folder nor a regular file is reported and not opened.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from dockd.card.contract import (
    DEFAULT_LIMITS,
    CardDeleteFailed,
    CardError,
    CardFile,
    CardFileChanged,
    CardGone,
    CardLimits,
    CardReadFailed,
    CardReadOnly,
    CardRefused,
    CardTrouble,
    shown,
)
from vault.clock import Clock

BLOCKS = Path("/sys/dev/block")
"""Where the kernel lists the media that are there now, by device number."""

_PAGE_BYTES = 4096
"""What direct reading asks of offsets and lengths.

Some media ask for less; none that a card reader shows asks for more.
"""

_VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""What opening a listed name without following links says when something else stands there now."""


class MountedCard:
    """A `Card` on a mounted volume, or in a folder.

    Any thread may call it, and each reader belongs to one thread. An open card keeps its mount
    busy: close it before unmounting.
    """

    def __init__(self, root: Path, clock: Clock, limits: CardLimits = DEFAULT_LIMITS) -> None:
        self._root = root
        self._clock = clock
        self._limits = limits
        self._trouble: tuple[CardTrouble, ...] = ()
        try:
            self._descriptor = os.open(
                root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            )
        except OSError as error:
            raise CardGone(
                f"The card at {self.where} can't be opened: {error.strerror}."
            ) from error
        self._identity = os.fstat(self._descriptor)
        self._mount = _mount_number(self._descriptor)

    @property
    def where(self) -> str:
        """The mount point, for people."""
        return "/" + shown(self._root.absolute().parts[1:])

    @property
    def trouble(self) -> tuple[CardTrouble, ...]:
        """What the last listing had to leave out."""
        return self._trouble

    def close(self) -> None:
        """Let go of the root, so that the volume can be unmounted. Readers that are still open go
        on.
        """
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
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

    def clock_offset_ms(self) -> int | None:
        """A mounted card carries no clock."""
        return None

    def set_clock(self, moment: datetime) -> bool:  # noqa: ARG002
        """A mounted card carries no clock."""
        return False

    def files(self, below: tuple[str, ...] = ()) -> tuple[CardFile, ...]:
        """Every regular file, sorted by path. CardRefused beyond the limits. Faults A13, B4, B7."""
        self._must_stand()
        listing = _Listing(self._clock, self._limits, _volume_bytes(self._descriptor), self.where)
        folders: list[tuple[str, ...]] = [below]
        while folders:
            path = folders.pop()
            try:
                with self._folder(path) as descriptor:
                    folders.extend(listing.add_folder(path, descriptor, self._identity.st_dev))
            except CardFileChanged as error:
                listing.leave_out(path, error.code, error.sentence)
            except OSError as error:
                failure = self._failure(error, f"The folder /{shown(path)} can't be listed")
                if isinstance(failure, CardGone):
                    raise failure from error
                if isinstance(error, FileNotFoundError) and path == below:
                    break
                listing.leave_out(path, failure.code, failure.sentence)
        self._must_stand()
        self._trouble = tuple(listing.trouble)
        return listing.sorted_files()

    def open(self, file: CardFile, offset: int = 0) -> "MountedReader":
        """A reader from `offset` on. CardFileChanged, CardReadFailed, CardGone."""
        self._must_stand()
        try:
            with self._folder(file.path[:-1]) as folder:
                descriptor = self._open_listed(file, folder)
        except OSError as error:
            raise self._failure(error, f"{file.shown} can't be opened") from error
        return MountedReader(file, descriptor, offset, self._failure)

    def delete(self, file: CardFile) -> None:
        """Identify by size, time and kind again, unlink, flush the folder.

        Unlinked but not flushed counts as not deleted: the listing that follows an erase decides.
        FAT keeps no journal (fault B9), so the flush is the only order there is between one
        deletion and the next. The file is held open until its name is gone for good, as its
        clusters are freed when it is closed: a card that is pulled out between the two would show a
        file that can't be read and lies in room that others may be given.
        """
        self._must_stand()
        try:
            with self._folder(file.path[:-1]) as folder, _held(self._open_listed(file, folder)):
                # What a killed process deleted before is gone for good first: the order of the
                # erase outlives it.
                os.fsync(folder)
                os.unlink(file.path[-1], dir_fd=folder)
                os.fsync(folder)
        except OSError as error:
            raise self._deletion_failure(error, file.shown) from error

    def delete_folder(self, path: tuple[str, ...]) -> bool:
        """Remove a folder if it is empty, and flush its parent. False: something stands in it, and
        it stays.

        It is held open meanwhile, as a file is.
        """
        self._must_stand()
        name = _plain(path)[-1]
        try:
            with self._folder(path[:-1]) as parent:
                try:
                    folder = _open_at(name, os.O_RDONLY | os.O_DIRECTORY, parent)
                except FileNotFoundError:
                    if not self._stands():
                        raise
                    # One that is gone already may have been removed by a process that was killed
                    # before it flushed that.
                    os.fsync(parent)
                    return True
                with _held(folder):
                    os.rmdir(name, dir_fd=parent)
                    os.fsync(parent)
        except OSError as error:
            if error.errno == errno.ENOENT and self._stands():
                return True
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                return False
            raise self._deletion_failure(error, shown(path)) from error
        return True

    @contextmanager
    def _folder(self, path: tuple[str, ...]) -> Iterator[int]:
        """The descriptor of a folder, reached name by name.

        Raises OSError, CardFileChanged where another mount begins.
        """
        descriptor = os.open(
            ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._descriptor
        )
        try:
            for name in _plain(path):
                inner = _open_at(name, os.O_RDONLY | os.O_DIRECTORY, descriptor)
                os.close(descriptor)
                descriptor = inner
                self._must_be_of_this_card(descriptor, path)
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_listed(self, file: CardFile, folder: int) -> int:
        """The descriptor of the file, if it still is what was listed.

        O_NONBLOCK: a FIFO put in its place must not hold us.
        """
        descriptor = _open_at(_plain(file.path)[-1], os.O_RDONLY | os.O_NONBLOCK, folder)
        try:
            now = os.fstat(descriptor)
            self._must_be_of_this_card(descriptor, file.path)
            if not stat.S_ISREG(now.st_mode):
                raise CardFileChanged(f"{file.shown} is no longer a regular file.")
            if (now.st_size, now.st_mtime_ns) != (file.size_bytes, file.modified_ns):
                raise CardFileChanged(
                    f"{file.shown} has changed since it was listed: {file.size_bytes} bytes "
                    f"then, {now.st_size} now."
                )
        except CardFileChanged:
            os.close(descriptor)
            raise
        return descriptor

    def _must_be_of_this_card(self, descriptor: int, path: tuple[str, ...]) -> None:
        """A bind mount may lie in the same file system, so the mount's own number is compared, not
        only the device.
        """
        if (
            os.fstat(descriptor).st_dev != self._identity.st_dev
            or _mount_number(descriptor) != self._mount
        ):
            raise CardFileChanged(f"/{shown(path)} leads into another mount than the card's.")

    def _stands(self) -> bool:
        """Whether the card is still there: its root is what the mount point shows, and its medium
        is known to the kernel.

        The open root keeps its device number from being given to another card.
        """
        if self._descriptor < 0:
            return False
        try:
            now = self._root.lstat()
        except OSError:
            return False
        if (now.st_dev, now.st_ino) != (self._identity.st_dev, self._identity.st_ino):
            return False
        return has_medium(now.st_dev)

    def _must_stand(self) -> None:
        if not self._stands():
            raise CardGone(f"The card at {self.where} is no longer there.")

    def _failure(self, error: OSError, what: str) -> CardError:
        """What an operating system's error means for a reading: the card is gone, the file is
        another, or it can't be read.
        """
        if not self._stands():
            return CardGone(f"The card at {self.where} is no longer there.")
        if error.errno in _VANISHED:
            return CardFileChanged(f"{what}: something else stands there now, or nothing.")
        return CardReadFailed(f"{what}: {error.strerror}.")

    def _deletion_failure(self, error: OSError, what: str) -> CardError:
        if error.errno == errno.EROFS:
            return CardReadOnly(
                f"{what} can't be erased: the card at {self.where} is write-protected or "
                f"mounted for reading."
            )
        if not self._stands() or error.errno in _VANISHED:
            return self._failure(error, f"{what} can't be erased")
        return CardDeleteFailed(f"{what} was not erased for certain: {error.strerror}.")


class MountedReader:
    """A `FileReader`: directly from the medium where it can, else through the page cache, which is
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
            raise CardFileChanged(f"{self._file.shown} was written to while it was read.")

    def _changed(self, how: str) -> CardFileChanged:
        return CardFileChanged(
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


class _Listing:
    """What one walk over a card has found, and the bounds that it keeps."""

    def __init__(
        self, clock: Clock, limits: CardLimits, volume_bytes: int | None, where: str
    ) -> None:
        self.trouble: list[CardTrouble] = []
        self._files: list[CardFile] = []
        self._clock = clock
        self._limits = limits
        self._volume_bytes = volume_bytes
        self._where = where
        self._until_s = clock.monotonic_s() + limits.listing_s
        self._objects = 0
        self._seen: set[tuple[int, int]] = set()

    def add_folder(
        self, path: tuple[str, ...], descriptor: int, device: int
    ) -> list[tuple[str, ...]]:
        """List one folder; the answer is the folders to list next.

        A folder that was seen already is a ring and not entered.
        """
        identity = os.fstat(descriptor)
        if (identity.st_dev, identity.st_ino) in self._seen:
            self.leave_out(
                path,
                "card.ring",
                f"The folder /{shown(path)} is one that was listed already: a ring.",
            )
            return []
        self._seen.add((identity.st_dev, identity.st_ino))
        inner: list[tuple[str, ...]] = []
        with os.scandir(descriptor) as entries:
            for entry in entries:
                self._count()
                here = (*path, entry.name)
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError as error:
                    self.leave_out(
                        here,
                        CardReadFailed.code,
                        f"/{shown(here)} can't be looked at: {error.strerror}.",
                    )
                    continue
                if status.st_dev != device:
                    self.leave_out(
                        here,
                        "card.other_mount",
                        f"/{shown(here)} lies on another volume than the card.",
                    )
                elif stat.S_ISREG(status.st_mode):
                    self._add_file(CardFile(here, status.st_size, status.st_mtime_ns))
                elif not stat.S_ISDIR(status.st_mode):
                    kind = _kind(status.st_mode)
                    self.leave_out(
                        here, "card.not_a_file", f"/{shown(here)} is {kind}: it is not opened."
                    )
                elif len(here) > self._limits.depth:
                    self.leave_out(
                        here,
                        "card.too_deep",
                        f"/{shown(here)} lies deeper than {self._limits.depth} folders.",
                    )
                else:
                    inner.append(here)
        return inner

    def leave_out(self, path: tuple[str, ...], code: str, sentence: str) -> None:
        """Remember an entry that is not in the listing."""
        self.trouble.append(CardTrouble(path, code, sentence))

    def sorted_files(self) -> tuple[CardFile, ...]:
        """The files by path.

        CardRefused if together they are larger than the volume: its directory is damaged or a lie.
        """
        total_bytes = sum(file.size_bytes for file in self._files)
        if self._volume_bytes is not None and total_bytes > self._volume_bytes:
            raise CardRefused(
                f"The card at {self._where} lists {total_bytes} bytes and has room for "
                f"{self._volume_bytes}."
            )
        return tuple(sorted(self._files, key=lambda file: file.path))

    def _add_file(self, file: CardFile) -> None:
        if self._volume_bytes is not None and file.size_bytes > self._volume_bytes:
            self.leave_out(
                file.path,
                "card.impossible_size",
                f"{file.shown} claims to be larger than the whole card.",
            )
        else:
            self._files.append(file)

    def _count(self) -> None:
        self._objects += 1
        if self._objects > self._limits.objects:
            raise CardRefused(
                f"The card at {self._where} holds more than {self._limits.objects} files and "
                f"folders."
            )
        if self._clock.monotonic_s() > self._until_s:
            raise CardRefused(
                f"Listing the card at {self._where} took longer than "
                f"{self._limits.listing_s:g} seconds."
            )


def _plain(path: tuple[str, ...]) -> tuple[str, ...]:
    """The path, if each of its names is a name and no way out. No listing of ours holds another.
    Fault A14.
    """
    for name in path:
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise CardReadFailed(f"{shown(path)} is no path on a card.")
    return path


@contextmanager
def _held(descriptor: int) -> Iterator[None]:
    """Close it at the end of the block."""
    try:
        yield
    finally:
        os.close(descriptor)


def _open_at(name: str, flags: int, folder: int) -> int:
    """Open one name in a folder, never through a link, and leave its access time alone where we may
    (its owner, or root).
    """
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags | os.O_NOATIME, dir_fd=folder)
    except PermissionError:
        return os.open(name, flags, dir_fd=folder)


def has_medium(device: int, blocks: Path = BLOCKS) -> bool:
    """Whether the medium of this device number is still there. Major 0 has none to lose.

    A stick that was pulled out stays mounted until somebody unmounts it, but leaves sysfs at once.
    """
    major, minor = os.major(device), os.minor(device)
    return major == 0 or not blocks.exists() or (blocks / f"{major}:{minor}").exists()


def _kind(mode: int) -> str:
    kinds = {stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _mount_number(descriptor: int) -> bytes:
    """The number of the mount that a descriptor was opened in (proc(5), fdinfo): a bind mount has
    another.
    """
    lines = Path(f"/proc/self/fdinfo/{descriptor}").read_bytes().splitlines()
    return next(line for line in lines if line.startswith(b"mnt_id:"))


def _volume_bytes(descriptor: int) -> int | None:
    """The size of the volume, None where it states none."""
    volume = os.fstatvfs(descriptor)
    return volume.f_blocks * volume.f_frsize or None
