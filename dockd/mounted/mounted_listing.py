"""One walk over a mounted card, within the bounds that every camera keeps."""

import os
import stat

from dockd.card.contract import (
    CardFile,
    CardLimits,
    CardReadFailedError,
    CardRefusedError,
    CardTrouble,
    shown,
)
from vault.clock import Clock


class MountedListing:
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
                        CardReadFailedError.code,
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

        CardRefusedError if together they are larger than the volume: its directory is damaged or a lie.
        """
        total_bytes = sum(file.size_bytes for file in self._files)
        if self._volume_bytes is not None and total_bytes > self._volume_bytes:
            raise CardRefusedError(
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
            raise CardRefusedError(
                f"The card at {self._where} holds more than {self._limits.objects} files and "
                f"folders."
            )
        if self._clock.monotonic_s() > self._until_s:
            raise CardRefusedError(
                f"Listing the card at {self._where} took longer than "
                f"{self._limits.listing_s:g} seconds."
            )


def _kind(mode: int) -> str:
    kinds = {stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")
