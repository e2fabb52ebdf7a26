"""A folder as the objects of a storage: paths on one side, handles that are good for one session on
the other.
"""

from __future__ import annotations

import random
import stat
from dataclasses import dataclass
from pathlib import Path

from device_sim.usb.faults import Kind, Script
from device_sim.usb.ptp import FOLDER, MP4, UNDEFINED

HOSTILE_NAMES = (
    "..", ".", "../../../../tmp/x", "/etc/passwd", "a\nb", "-rf", "x" * 254, "\u202egpj.exe",
    "\ud800lone", "nul", "NUL",
    "cafe\u0301", "caf\u00e9", "a/b", "a\\b", " ", "recording.json ", "RECORDING.JSON",
)  # fmt: skip
ENDLESS_FROM = 0x40000000


@dataclass(frozen=True, slots=True)
class Object:
    """One file or folder. `path` is from the root on, with slashes; a `fiction` stands
    on no disk.
    """

    handle: int
    path: str
    name: str
    parent: int
    is_folder: bool
    size_bytes: int
    modified_s: int
    fiction: bool = False

    @property
    def format(self) -> int:
        if self.is_folder:
            return FOLDER
        return MP4 if self.name.lower().endswith(".mp4") else UNDEFINED


class Tree:
    """The objects below `root` in one session."""

    def __init__(self, root: Path, script: Script, session: int) -> None:
        self._root = root
        self._script = script
        self._handles: dict[str, int] = {}
        self._paths: dict[int, str] = {}
        self._fictions: dict[int, Object] = {}
        self.hidden: set[str] = set()
        """What the camera claims to have deleted."""
        paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))
        turn = session % len(paths) if paths and script.first(Kind.HANDLES_MOVE) is not None else 0
        for path in paths[turn:] + paths[:turn]:
            self._handle(path)

    def children(self, parent: int) -> list[int] | None:
        """Return the handles in a folder, 0 being the root; None if there is no such folder."""
        if parent in self._fictions:
            return self._deeper(parent)
        path = self._paths.get(parent, "") if parent else ""
        if parent and not path:
            return None
        try:
            names = sorted(each.name for each in (self._root / path).iterdir())
        except OSError:
            return None
        inner = [f"{path}/{name}" if path else name for name in names]
        handles = [
            self._handle(each)
            for each in inner
            if each not in self.hidden and self._kind(each) is not None
        ]
        return handles + self._fictions_in(parent)

    def everything(self) -> list[int]:
        """All handles."""
        found: list[int] = []
        folders = [0]
        while folders:
            inner = self.children(folders.pop()) or []
            found += inner
            folders += [
                handle for handle in inner if self._kind(self._paths.get(handle, "")) is True
            ]
        return found

    def get(self, handle: int) -> Object | None:
        """Return the object as it is now."""
        if handle in self._fictions:
            return self._fictions[handle]
        path = self._paths.get(handle)
        if path is None or path in self.hidden:
            return None
        is_folder = self._kind(path)
        if is_folder is None:
            return None
        status = (self._root / path).lstat()
        parent, _, name = path.rpartition("/")
        size = 0 if is_folder else status.st_size
        return Object(
            handle,
            path,
            name,
            self._handle(parent) if parent else 0,
            is_folder,
            size,
            int(status.st_mtime),
        )

    def on_disk(self, found: Object) -> Path:
        return self._root / found.path

    def _kind(self, path: str) -> bool | None:
        """True for a folder, False for a file, None for what a card does not hold."""
        try:
            mode = (self._root / path).lstat().st_mode
        except OSError:
            return None
        return True if stat.S_ISDIR(mode) else False if stat.S_ISREG(mode) else None

    def _handle(self, path: str) -> int:
        handle = self._handles.get(path)
        if handle is None:
            handle = self._handles[path] = len(self._handles) + 1
            self._paths[handle] = path
        return handle

    def _fictions_in(self, parent: int) -> list[int]:
        found = [each.handle for each in self._fictions.values() if each.parent == parent]
        if found:
            return found
        hostile, endless = self._script.first(Kind.NAMES), self._script.first(Kind.ENDLESS)
        if hostile is not None:
            names = random.Random(f"{hostile.at} {parent}").sample(
                HOSTILE_NAMES, len(HOSTILE_NAMES)
            )
            found += [self._fiction(parent, name, is_folder=False) for name in names]
        if endless is not None and endless.at == 0:
            found.append(self._fiction(parent, "DEEPER", is_folder=True))
        if endless is not None and endless.at == 2 and parent:
            found.append(1)
        return found

    def _deeper(self, parent: int) -> list[int]:
        return self._fictions_in(parent) if self._fictions[parent].is_folder else []

    def _fiction(self, parent: int, name: str, *, is_folder: bool) -> int:
        handle = ENDLESS_FROM + len(self._fictions)
        self._fictions[handle] = Object(
            handle, "", name, parent, is_folder, 0 if is_folder else 100, 0, fiction=True
        )
        return handle
