"""A card on a mounted volume.

A card is reached from its root's descriptor only, one name at a time, never through a symbolic link
and never into another mount. So nothing outside of the card is touched, whatever stands on it. What
is neither a folder nor a regular file is reported and not opened.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from dockd.card.contract import (
    DEFAULT_LIMITS,
    CardDeleteFailedError,
    CardError,
    CardFile,
    CardFileChangedError,
    CardGoneError,
    CardLimits,
    CardReadFailedError,
    CardReadOnlyError,
    CardTrouble,
    shown,
)
from dockd.mounted.mounted_listing import MountedListing
from dockd.mounted.mounted_stream import MountedStream
from vault.clock import Clock

BLOCKS = Path("/sys/dev/block")
"""Where the kernel lists the media that are there now, by device number."""

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
            raise CardGoneError(
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
        """Every regular file, sorted by path. CardRefusedError beyond the limits. Faults A13, B4, B7."""
        self._must_stand()
        listing = MountedListing(
            self._clock, self._limits, _volume_bytes(self._descriptor), self.where
        )
        folders: list[tuple[str, ...]] = [below]
        while folders:
            path = folders.pop()
            try:
                with self._folder(path) as descriptor:
                    folders.extend(listing.add_folder(path, descriptor, self._identity.st_dev))
            except CardFileChangedError as error:
                listing.leave_out(path, error.code, error.sentence)
            except OSError as error:
                failure = self._failure(error, f"The folder /{shown(path)} can't be listed")
                if isinstance(failure, CardGoneError):
                    raise failure from error
                if isinstance(error, FileNotFoundError) and path == below:
                    break
                listing.leave_out(path, failure.code, failure.sentence)
        self._must_stand()
        self._trouble = tuple(listing.trouble)
        return listing.sorted_files()

    def open(self, file: CardFile, offset: int = 0) -> "MountedStream":
        """A reader from `offset` on. CardFileChangedError, CardReadFailedError, CardGoneError."""
        self._must_stand()
        try:
            with self._folder(file.path[:-1]) as folder:
                descriptor = self._open_listed(file, folder)
        except OSError as error:
            raise self._failure(error, f"{file.shown} can't be opened") from error
        return MountedStream(file, descriptor, offset, self._failure)

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

        Raises OSError, CardFileChangedError where another mount begins.
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
                raise CardFileChangedError(f"{file.shown} is no longer a regular file.")
            if (now.st_size, now.st_mtime_ns) != (file.size_bytes, file.modified_ns):
                raise CardFileChangedError(
                    f"{file.shown} has changed since it was listed: {file.size_bytes} bytes "
                    f"then, {now.st_size} now."
                )
        except CardFileChangedError:
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
            raise CardFileChangedError(f"/{shown(path)} leads into another mount than the card's.")

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
            raise CardGoneError(f"The card at {self.where} is no longer there.")

    def _failure(self, error: OSError, what: str) -> CardError:
        """What an operating system's error means for a reading: the card is gone, the file is
        another, or it can't be read.
        """
        if not self._stands():
            return CardGoneError(f"The card at {self.where} is no longer there.")
        if error.errno in _VANISHED:
            return CardFileChangedError(f"{what}: something else stands there now, or nothing.")
        return CardReadFailedError(f"{what}: {error.strerror}.")

    def _deletion_failure(self, error: OSError, what: str) -> CardError:
        if error.errno == errno.EROFS:
            return CardReadOnlyError(
                f"{what} can't be erased: the card at {self.where} is write-protected or "
                f"mounted for reading."
            )
        if not self._stands() or error.errno in _VANISHED:
            return self._failure(error, f"{what} can't be erased")
        return CardDeleteFailedError(f"{what} was not erased for certain: {error.strerror}.")


def _plain(path: tuple[str, ...]) -> tuple[str, ...]:
    """The path, if each of its names is a name and no way out. No listing of ours holds another.
    Fault A14.
    """
    for name in path:
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise CardReadFailedError(f"{shown(path)} is no path on a card.")
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
