"""Where files become durable: the only module here that writes, flushes, renames or removes one.

A write is durable only after `sync` of the file, and a new, renamed or removed name only after
`sync` of its folder. Nothing else is assumed of the file system, a FAT card least of all. A test
puts a Medium in place that notes every step, and rebuilds each state that a power cut between two
of them may leave.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class Medium(Protocol):
    """The steps a camera takes on its card and in its internal memory. Each raises OSError; none is
    tried again.
    """

    def mkdir(self, path: Path) -> None:
        """Make a folder; one that is there already is left as it is."""

    def write(self, path: Path, data: bytes) -> None:
        """Make a file with these bytes, or replace the bytes of the one that is there."""

    def append(self, path: Path, data: bytes) -> None:
        """Put bytes at the end of a file that is there."""

    def sync(self, path: Path) -> None:
        """Make a file's bytes, or a folder's names, durable."""

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name in the same folder, taking the place of what stood there."""

    def unlink(self, path: Path) -> None:
        """Remove a file's name; one that is gone already is no error."""

    def rmdir(self, path: Path) -> None:
        """Remove an empty folder."""


class Disk:
    """The real one."""

    def mkdir(self, path: Path) -> None:
        path.mkdir(exist_ok=True)

    def write(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)

    def append(self, path: Path, data: bytes) -> None:
        with path.open("r+b") as file:
            file.seek(0, os.SEEK_END)
            file.write(data)

    def sync(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        old.replace(new)

    def unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def rmdir(self, path: Path) -> None:
        path.rmdir()
