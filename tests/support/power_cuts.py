"""Power cuts: a medium that notes every step, and every state of the disk that a cut after each of
them may leave.

What was flushed is there. What was not may be there, or not, or in part, each file and each folder
for itself; here all files that were not flushed share one fate and all folders another, and every
pair of fates is tried. That is more than a real disk does, and on a FAT card about what it does:
names without bytes, bytes without names, a rename half done.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from device_sim.camera.medium import Disk

BYTE_FATES = ("lost", "empty", "one", "half", "all but one", "zeros", "kept")
NAME_FATES = ("lost", "both", "neither", "kept")


@dataclass(frozen=True)
class Step:
    """One call of the medium; `path` and `other` are relative to the root that is watched."""

    verb: str
    path: str
    other: str = ""
    data: bytes = b""


class Watched(Disk):
    """Does what a disk does, without waiting for it, and notes each step below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.steps: list[Step] = []

    def mkdir(self, path: Path) -> None:
        if not path.is_dir():
            self._note("mkdir", path)
        super().mkdir(path)

    def write(self, path: Path, data: bytes) -> None:
        self._note("write", path, data=data)
        super().write(path, data)

    def append(self, path: Path, data: bytes) -> None:
        self._note("append", path, data=data)
        super().append(path, data)

    def sync(self, path: Path) -> None:
        self._note("sync", path)

    def rename(self, old: Path, new: Path) -> None:
        self._note("rename", old, other=new)
        super().rename(old, new)

    def unlink(self, path: Path) -> None:
        self._note("unlink", path)
        super().unlink(path)

    def _note(self, verb: str, path: Path, other: Path | None = None, data: bytes = b"") -> None:
        if path.is_relative_to(self._root):
            self.steps.append(
                Step(verb, self._name(path), self._name(other) if other is not None else "", data)
            )

    def _name(self, path: Path) -> str:
        return "" if path == self._root else str(path.relative_to(self._root))


@dataclass
class Inode:
    """A file: its bytes on the medium, and its bytes as the running camera sees them."""

    durable: bytes
    seen: bytes

    def after(self, fate: str) -> bytes:
        if self.durable == self.seen or fate == "lost":
            return self.durable
        # What is new begins where the two differ: an append keeps what stood before it.
        common = len(self.durable) if self.seen.startswith(self.durable) else 0
        new = self.seen[common:]
        parts = {
            "empty": b"",
            "one": new[:1],
            "half": new[: len(new) // 2],
            "all but one": new[:-1],
            "zeros": bytes(len(new)),
            "kept": new,
        }
        return self.seen[:common] + parts[fate]


@dataclass
class Names:
    """A folder's files: the names on the medium and those that the running camera sees."""

    durable: dict[str, Inode] = field(default_factory=dict)
    seen: dict[str, Inode] = field(default_factory=dict)

    def after(self, fate: str) -> dict[str, Inode]:
        if fate == "lost":
            return self.durable
        if fate == "kept":
            return self.seen
        if fate == "both":
            return self.durable | self.seen
        return {name: inode for name, inode in self.seen.items() if self.durable.get(name) is inode}


Tree = dict[str, bytes | None]
"""A state of the disk: relative paths to bytes, or to None for a folder."""


class Model:
    """What the medium holds after some steps, and what it may hold after a power cut."""

    def __init__(self, start: Tree) -> None:
        self._folders = {"": Names()}
        self._loose: set[str] = set()
        for path, data in sorted(start.items()):
            if data is None:
                self._folders[path] = Names()
            else:
                names, name = self._place(path)
                names.seen[name] = names.durable[name] = Inode(data, data)

    def do(self, step: Step) -> None:
        if step.verb == "mkdir":
            self._folders[step.path] = Names()
            self._loose.add(step.path)
            return
        if step.verb == "sync" and step.path in self._folders:
            names = self._folders[step.path]
            names.durable = dict(names.seen)
            self._loose -= {path for path in self._loose if parent(path) == step.path}
            return
        names, name = self._place(step.path)
        match step.verb:
            case "write":
                inode = names.seen.setdefault(name, Inode(b"", b""))
                inode.seen = step.data
            case "append":
                names.seen[name].seen += step.data
            case "sync":
                names.seen[name].durable = names.seen[name].seen
            case "rename":
                names.seen[self._place(step.other)[1]] = names.seen.pop(name)
            case "unlink":
                names.seen.pop(name, None)

    def states(self) -> Iterator[Tree]:
        """Every state that a cut now may leave."""
        for byte_fate in BYTE_FATES:
            for name_fate in NAME_FATES:
                tree: Tree = {}
                gone = {path for path in self._loose if name_fate in ("lost", "neither")}
                for folder, names in self._folders.items():
                    if any(folder == path or folder.startswith(path + "/") for path in gone):
                        continue
                    if folder:
                        tree[folder] = None
                    for name, inode in names.after(name_fate).items():
                        tree[f"{folder}/{name}".lstrip("/")] = inode.after(byte_fate)
                yield tree

    def _place(self, path: str) -> tuple[Names, str]:
        return self._folders[parent(path)], path.rpartition("/")[2]


def parent(path: str) -> str:
    return path.rpartition("/")[0]


def cuts(start: Tree, steps: list[Step]) -> Iterator[tuple[int, Tree]]:
    """Every state that a cut after 0, 1, 2 … of these steps may leave, each once.

    With it the largest number of steps after which it may be left: what was promised by then has to
    be there.
    """
    model = Model(start)
    found: dict[bytes, tuple[int, Tree]] = {}
    for done in range(len(steps) + 1):
        if done:
            model.do(steps[done - 1])
        for tree in model.states():
            digest = hashlib.sha256()
            for path, data in sorted(tree.items()):
                digest.update(f"{path}\0{'folder' if data is None else len(data)}\0".encode())
                digest.update(data or b"")
            found[digest.digest()] = done, tree
    yield from found.values()


def at(start: Tree, steps: list[Step]) -> Tree:
    """The state after these steps, everything kept."""
    model = Model(start)
    for step in steps:
        model.do(step)
    *_, kept = model.states()
    return kept


def take(root: Path) -> Tree:
    """The state of a folder as it is."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in sorted(root.rglob("*"))
    }


def lay_out(tree: Tree, root: Path) -> None:
    """Make a folder of a state."""
    root.mkdir()
    for path, data in sorted(tree.items()):
        if data is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(data)
