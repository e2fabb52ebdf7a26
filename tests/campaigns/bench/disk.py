"""The disk that is measured: a folder on it, and a cold cache before every run."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DROP = Path("/proc/sys/vm/drop_caches")
_IN_MEMORY = frozenset({"tmpfs", "ramfs", "overlay"})


class NoDisk(RuntimeError):
    """The folder is of no use for measuring."""


@contextmanager
def folder_on_disk(parent: Path, needed_bytes: int) -> Iterator[Path]:
    """A new folder below `parent`, gone with all that is in it afterwards. Raises NoDisk."""
    kind = _filesystem(parent)
    if kind in _IN_MEMORY:
        raise NoDisk(
            f"{parent} is on {kind}, and what is measured is a disk: name another with --folder."
        )
    free_bytes = shutil.disk_usage(parent).free
    if free_bytes < needed_bytes:
        raise NoDisk(
            f"{parent} has {free_bytes >> 30} GiB free, and {(needed_bytes >> 30) + 1} GiB "
            f"are needed."
        )
    folder = Path(tempfile.mkdtemp(prefix="dock-vault-bench-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def forget_cache(folder: Path) -> bool:
    """Write everything back, and drop what the page cache holds. False: only of the files in
    `folder`, for want of rights.
    """
    os.sync()
    try:
        _DROP.write_text("3\n")
    except OSError:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                descriptor = os.open(path, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)
        return False
    return True


def _filesystem(path: Path) -> str:
    """The file system of the mount that holds `path`: the longest mount point above it (proc(5),
    mountinfo).
    """
    resolved = path.resolve()
    best, kind = 0, "unknown"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, tail = line.partition(" - ")
        mountpoint = Path(fields.split()[4])
        if resolved.is_relative_to(mountpoint) and len(mountpoint.parts) >= best:
            best, kind = len(mountpoint.parts), tail.split()[0]
    return kind
