"""How mounted cards are noticed, and which stand there now.

Arrivals are learned from `/proc/self/mountinfo`, which a poll wakes for each mount. inotify says
nothing of a mount over a watched folder (fault B1) and loses events when it is flooded (fault B2),
so it serves as a hint for sub-folders alone, and everything is looked at anew at least once a
minute.
"""

import os
import re
import select
import stat
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from dockd.card.contract import shown
from dockd.mounted.mounted_card import BLOCKS, has_medium

UNREADABLE = "unreadable"
"""The `filesystem` of a card that could not be mounted. Something else stands in its place
(systemd/libexec/card-mount).
"""
_STANDS_FOR_IT = (b"tmpfs", b"unreadable-card")


@dataclass(frozen=True, slots=True)
class Volume:
    """A mounted card that stands there now.

    `bay` is the mount point's name, which stays the same from card to card. `volume_id` names the
    card: `VOL-` and the file system's identifier; for a sub-folder of the watched folder
    (`filesystem` "folder") the sub-folder's name. All are printable.
    """

    mountpoint: Path
    bay: str
    volume_id: str
    filesystem: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class _Mount:
    mountpoint: Path
    device: int
    filesystem: str
    read_only: bool


class MountWatcher:
    """Notices volumes of the given file systems below the given folders, and sub-folders of one
    watched folder.

    Other file systems are not looked at: a crafted ext4 or NTFS attacks the kernel, and carries
    links and devices. Fault B7.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        *,
        filesystems: Sequence[str] = ("vfat", "exfat"),
        watched_folder: Path | None = None,
        rescan_s: float = 60,
        by_uuid: Path = Path("/dev/disk/by-uuid"),
        blocks: Path = BLOCKS,
    ) -> None:
        self._watched = watched_folder.resolve() if watched_folder is not None else None
        self._roots = [root.resolve() for root in roots] + (
            [self._watched] if self._watched is not None else []
        )
        self._filesystems = frozenset(filesystems)
        self._rescan_s = rescan_s
        self._by_uuid = by_uuid
        self._blocks = blocks
        self._stopping = threading.Event()
        self._wake_lock = threading.Lock()
        self._wake = -1
        self._thread: threading.Thread | None = None

    def start(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` from a thread of its own: at once, whenever something may have changed,
        and every `rescan_s`.

        It must return at once and must not raise. Each call asks for `volumes()` anew; none says
        what changed.
        """
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(
            target=self._watch, args=(on_change,), name="mounts", daemon=True
        )
        self._thread.start()
        if self._watched is not None:
            # Watchdog may hang for ever while it lets go of a folder whose volume is gone (fault
            # B3): nobody waits for this thread.
            threading.Thread(
                target=self._hint, args=(self._watched,), name="mounts-hint", daemon=True
            ).start()

    def stop(self) -> None:
        """End the watching. `on_change` is not called after this returns."""
        self._stopping.set()
        self._poke()
        if self._thread is not None:
            self._thread.join()
        with self._wake_lock:
            wake, self._wake = self._wake, -1
            if wake >= 0:
                os.close(wake)

    def volumes(self) -> tuple[Volume, ...]:
        """All volumes that stand there now, looked at anew, sorted by mount point. Any thread."""
        mounts = _mounts()
        found = [
            Volume(
                mount.mountpoint,
                shown((mount.mountpoint.name,)),
                self._volume_id(mount),
                mount.filesystem,
                mount.read_only,
            )
            for mount in mounts.values()
            if (mount.filesystem in self._filesystems or mount.filesystem == UNREADABLE)
            and self._is_below_a_root(mount.mountpoint)
            and _is_on_top(mount)
            # Pulled out and still mounted, its name forgotten by udev, it would look like another
            # card that came.
            and has_medium(mount.device, self._blocks)
        ]
        if self._watched is not None:
            found.extend(_sub_folders(self._watched, mounts))
        return tuple(sorted(found, key=lambda volume: volume.mountpoint))

    def _is_below_a_root(self, mountpoint: Path) -> bool:
        return any(root in mountpoint.parents for root in self._roots)

    def _volume_id(self, mount: _Mount) -> str:
        """By the device number behind each link, as the name in mountinfo may be a mapper's or a
        container's.
        """
        try:
            links = sorted(self._by_uuid.iterdir())
        except OSError:
            links = []
        for link in links:
            try:
                if link.stat().st_rdev == mount.device:
                    return "VOL-" + shown((link.name,))
            except OSError:
                continue
        return "VOL-" + shown((mount.mountpoint.name,))

    def _watch(self, on_change: Callable[[], None]) -> None:
        # The kernel compares with what this descriptor has seen last, from its opening on: no mount
        # falls between two polls.
        with open("/proc/self/mountinfo", "rb") as mountinfo:
            poll = select.poll()
            poll.register(mountinfo, select.POLLPRI | select.POLLERR)
            poll.register(self._wake, select.POLLIN)
            while not self._stopping.is_set():
                on_change()
                if any(
                    descriptor == self._wake for descriptor, _ in poll.poll(self._rescan_s * 1000)
                ):
                    os.eventfd_read(self._wake)

    def _hint(self, folder: Path) -> None:
        while not self._stopping.is_set():
            observer = Observer()
            try:
                events: list[type[FileSystemEvent]] = [
                    DirCreatedEvent,
                    DirDeletedEvent,
                    DirMovedEvent,
                ]
                observer.schedule(
                    _Hint(self._poke), str(folder), recursive=False, event_filter=events
                )
                observer.start()
            except OSError:
                # No such folder yet, or no inotify watch left: the rescan goes on without a hint,
                # and it is tried again.
                self._stopping.wait(self._rescan_s)
                continue
            self._stopping.wait()
            observer.stop()

    def _poke(self) -> None:
        with self._wake_lock:
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)


class _Hint(FileSystemEventHandler):
    """Passes on that something happened in the watched folder, and nothing of what."""

    def __init__(self, poke: Callable[[], None]) -> None:
        self._poke = poke

    def on_any_event(self, event: FileSystemEvent) -> None:  # noqa: ARG002
        self._poke()


def _mounts() -> dict[Path, _Mount]:
    """Return the mounts of this process by mount point, of several in one place the topmost
    (proc(5), mountinfo).
    """
    mounts: dict[Path, _Mount] = {}
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        fields, _, tail = line.partition(b" - ")
        _, _, device, _, mountpoint, options, *_ = fields.split(b" ")
        filesystem, source, super_options = tail.split(b" ", 2)
        if (filesystem, source) == _STANDS_FOR_IT:
            filesystem = UNREADABLE.encode()
        major, _, minor = device.partition(b":")
        read_only = b"ro" in options.split(b",") or b"ro" in super_options.split(b",")
        path = Path(os.fsdecode(_unescaped(mountpoint)))
        mounts[path] = _Mount(
            path,
            os.makedev(int(major), int(minor)),
            filesystem.decode("ascii", "replace"),
            read_only,
        )
    return mounts


def _unescaped(field: bytes) -> bytes:
    """mountinfo writes space, tab, newline and backslash as three octal digits."""
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), field)


def _is_on_top(mount: _Mount) -> bool:
    """Whether the mount point shows this very volume; a later mount above it may hide it."""
    try:
        return mount.mountpoint.stat().st_dev == mount.device
    except OSError:
        return False


def _sub_folders(watched: Path, mounts: dict[Path, _Mount]) -> list[Volume]:
    """Cards that appear as sub-folders. One that is a mount point is a volume or nothing, by its
    file system.
    """
    try:
        entries = [entry for entry in watched.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return []
    return [
        Volume(
            entry,
            shown((entry.name,)),
            shown((entry.name,)),
            "folder",
            not os.access(entry, os.W_OK),
        )
        for entry in entries
        if entry not in mounts and _is_folder(entry)
    ]


def _is_folder(entry: Path) -> bool:
    """Whether it is a folder, and no link to one. What was taken away since it was
    listed is none.
    """
    try:
        return stat.S_ISDIR(entry.lstat().st_mode)
    except OSError:
        return False
