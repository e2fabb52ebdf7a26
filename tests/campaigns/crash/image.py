"""What a power cut may leave of a disk: the model from which images are rebuilt.

As POSIX promises, and no more:

- `sync` of a file makes its bytes and its size durable; of a folder, its entries. Neither does it
  for the other.
- What a file got since its last sync may be lost, kept or torn, each file for itself: any of its
  writes, cut at a sector, another sector of it missing, a size without its bytes (zeros). A write
  past the page cache (O_DIRECT) is no exception: it may stand in the drive's memory.
- An entry that a folder got or lost since its last sync may be there or not, each name for itself.
  A renaming within a folder is one change.
- A sector of 512 bytes is old or new, never a mixture: SQLite asks for no less.
"""

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.campaigns.crash.trace import NotUnderstood, Step

SECTOR_BYTES = 512
PAGE_BYTES = 4096
SCATTERED = 3
"""How many random selections of sectors of one file are tried at a cut."""
ALL_BELOW = 48
"""Up to so many combinations at a cut are all tried."""
_ROOT = 0


class Content:
    """Bytes of a file, with their digest once it is asked for."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    @cached_property
    def digest(self) -> bytes:
        return hashlib.blake2b(self.data, digest_size=16).digest()


@dataclass(frozen=True)
class Image:
    """One state of the disk: files and folders by path. `told` is which choice at which cut made
    it.
    """

    files: dict[str, Content]
    folders: frozenset[str]
    told: str

    @cached_property
    def digest(self) -> bytes:
        whole = hashlib.blake2b(digest_size=16)
        for path in sorted(self.folders):
            whole.update(path.encode("utf-8", "surrogateescape") + b"/\0")
        for path, content in sorted(self.files.items()):
            whole.update(path.encode("utf-8", "surrogateescape") + b"\0" + content.digest)
        return whole.digest()

    def lay_down(self, folder: Path) -> None:
        """Make it a real folder, which must not exist."""
        folder.mkdir()
        for path in sorted(self.folders):
            (folder / path).mkdir()
        for path, content in self.files.items():
            (folder / path).write_bytes(content.data)


@dataclass(frozen=True, slots=True)
class _Change:
    """Something written and not yet flushed. A size alone: `data` is None."""

    offset: int
    data: bytes | None
    grows_only: bool = False


@dataclass
class _File:
    """An inode of a file. `durable` is what the last sync made sure; `now` what
    the program sees.
    """

    durable: Content
    now: bytearray
    changes: list[_Change] = field(default_factory=list)

    @classmethod
    def of(cls, data: bytes) -> "_File":
        return cls(Content(data), bytearray(data))

    def do(self, change: _Change) -> None:
        self.changes.append(change)
        _apply(self.now, change)

    def sync(self) -> None:
        if self.changes:
            self.durable = Content(bytes(self.now))
            self.changes = []

    def outcomes(self, chance: random.Random) -> list[tuple[str, Content]]:
        """What may be left of it: lost first, kept second, then torn in every way that differs."""
        kept = Content(bytes(self.now))
        found = {self.durable.digest: ("lost", self.durable)}
        found.setdefault(kept.digest, ("kept", kept))
        for how, changes in self._tears(chance):
            content = _made(self.durable.data, changes)
            found.setdefault(content.digest, (how, content))
        return list(found.values())

    def _tears(self, chance: random.Random) -> Iterator[tuple[str, list[_Change]]]:
        changes, size = self.changes, _Change(len(self.now), None)
        yield "size without bytes", [size]
        for at, change in enumerate(changes):
            yield f"first {at + 1} of {len(changes)} writes", changes[: at + 1]
            yield f"all but write {at}", [*changes[:at], *changes[at + 1 :], size]
            for cut in _cuts(change):
                yield f"write {at} cut at {cut}", [*changes[:at], _cut(change, cut)]
                yield (
                    f"write {at} zero from {cut}",
                    [*changes[:at], _cut(change, cut), *changes[at + 1 :], size],
                )
        sectors = [piece for change in changes for piece in _sectors(change)]
        for number in range(SCATTERED if len(sectors) > 1 else 0):
            yield (
                f"scattered sectors {number}",
                [*(piece for piece in sectors if chance.random() < 0.5), size],
            )


def _apply(content: bytearray, change: _Change) -> None:
    end = change.offset + len(change.data or b"")
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if change.data is not None:
        content[change.offset : end] = change.data
    elif not change.grows_only:
        del content[end:]


def _made(durable: bytes, changes: Sequence[_Change]) -> Content:
    content = bytearray(durable)
    for change in changes:
        _apply(content, change)
    return Content(bytes(content))


def _cut(change: _Change, size_bytes: int) -> _Change:
    return _Change(change.offset, (change.data or b"")[:size_bytes])


def _cuts(change: _Change) -> list[int]:
    """Where a write may tear: the first and the last sector, a sector and a page in its middle. In
    bytes from its start.
    """
    length = len(change.data or b"")
    edges = {
        edge - change.offset
        for unit, near in (
            (SECTOR_BYTES, 0),
            (SECTOR_BYTES, length),
            (SECTOR_BYTES, length // 2),
            (PAGE_BYTES, length // 2),
        )
        for edge in [
            (change.offset + near) // unit * unit,
            (change.offset + near) // unit * unit + unit,
        ]
    }
    return sorted(edge for edge in edges if 0 < edge < length)


def _sectors(change: _Change) -> Iterator[_Change]:
    if change.data is None:
        return
    at = 0
    while at < len(change.data):
        length = SECTOR_BYTES - (change.offset + at) % SECTOR_BYTES
        yield _Change(change.offset + at, change.data[at : at + length])
        at += length


@dataclass
class _Folder:
    """An inode of a folder. `unsure` has, in order, what was done to its entries since its last
    sync.
    """

    durable: dict[str, int] = field(default_factory=dict)
    now: dict[str, int] = field(default_factory=dict)
    unsure: list[dict[str, int | None]] = field(default_factory=list)

    def do(self, change: dict[str, int | None]) -> None:
        self.unsure.append(change)
        _name(self.now, change)

    def sync(self) -> None:
        self.durable = dict(self.now)
        self.unsure = []

    def outcomes(self) -> list[list[tuple[str, dict[str, int | None]]]]:
        """For each group of names that belong together: what may have become of them, lost first,
        kept second.
        """
        groups: list[list[dict[str, int | None]]] = []
        for change in self.unsure:
            joined = [
                group for group in groups if any(change.keys() & other.keys() for other in group)
            ]
            groups = [group for group in groups if group not in joined] + [
                [*itertools.chain(*joined), change]
            ]
        return [self._of_group(group) for group in groups]

    def _of_group(
        self, changes: list[dict[str, int | None]]
    ) -> list[tuple[str, dict[str, int | None]]]:
        names = sorted({name for change in changes for name in change})
        start = {name: self.durable.get(name) for name in names}
        choices = [(), tuple(range(len(changes))), *((at,) for at in range(len(changes)))]
        choices += [tuple(range(at)) for at in range(1, len(changes))]
        found: dict[str, tuple[str, dict[str, int | None]]] = {}
        for kept in choices:
            end = dict(start)
            for at in kept:
                end.update(changes[at])
            found.setdefault(repr(end), (f"{names} {len(kept)} of {len(changes)} changes", end))
        return list(found.values())


def _name(entries: dict[str, int], change: dict[str, int | None]) -> None:
    for name, inode in change.items():
        if inode is None:
            entries.pop(name, None)
        else:
            entries[name] = inode


@dataclass(frozen=True, slots=True)
class _Unsure:
    """One thing that a power cut decides: a file's bytes, or a few names of a folder."""

    inode: int
    what: str
    outcomes: list[tuple[str, Content]] | list[tuple[str, dict[str, int | None]]]


class Disk:
    """A disk under way. What stood on it at the start is durable."""

    def __init__(self, files: dict[str, bytes], folders: Sequence[str]) -> None:
        self._inodes: list[_File | _Folder] = [_Folder()]
        self._steps = 0
        for path in sorted(folders):
            self._new(path, _Folder())
        for path, data in files.items():
            self._new(path, _File.of(data))
        for inode in self._inodes:
            inode.sync()

    @classmethod
    def of_folder(cls, folder: Path) -> "Disk":
        """The disk as a folder shows it."""
        paths = sorted(folder.rglob("*"))
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in paths
            if path.is_file()
        }
        return cls(files, [path.relative_to(folder).as_posix() for path in paths if path.is_dir()])

    @classmethod
    def of_image(cls, image: Image) -> "Disk":
        """The disk after a power cut that left this image: what is there is durable."""
        return cls(
            {path: content.data for path, content in image.files.items()}, sorted(image.folders)
        )

    def seen(self) -> Image:
        """What every program sees at this moment, and still sees after one of them was killed."""
        files, folders = self._walk(
            lambda _, file: Content(bytes(file.now)), lambda _, folder: folder.now
        )
        return Image(files, folders, f"after step {self._steps}")

    def read(self, path: str) -> bytes:
        """A file as the program sees it; empty where there is none."""
        parent, name = self._parent_of(path)
        inode = parent.now.get(name)
        file = None if inode is None else self._inodes[inode]
        return bytes(file.now) if isinstance(file, _File) else b""

    # --- steps ------------------------------------------------------------------------------------

    def do(self, step: Step) -> None:
        """Raises NotUnderstood where the step can't have succeeded on this disk: the record is not
        of it.
        """
        self._steps += 1
        offset = 0 if step.offset is None else step.offset
        match step.call:
            case "create":
                parent, name = self._parent_of(step.path)
                if name not in parent.now:
                    self._new(step.path, _File.of(b""))
            case "mkdir":
                self._new(step.path, _Folder())
            case "write":
                file = self._file(step.path)
                file.do(_Change(len(file.now) if step.offset is None else offset, step.data))
            case "truncate":
                self._file(step.path).do(_Change(offset, None))
            case "allocate":
                self._file(step.path).do(_Change(offset, None, grows_only=True))
            case "sync":
                self._inodes[self._inode(step.path)].sync()
            case "unlink" | "rmdir":
                parent, name = self._parent_of(step.path)
                self._inode(step.path)
                parent.do({name: None})
            case "link" | "rename":
                self._second_name(step)
            case _:
                raise NotUnderstood(str(step))

    def _second_name(self, step: Step) -> None:
        inode = self._inode(step.path)
        parent, name = self._parent_of(step.target)
        old_parent, old_name = self._parent_of(step.path)
        if step.call == "link":
            parent.do({name: inode})
        elif parent is old_parent:
            parent.do({old_name: None, name: inode})
        else:
            parent.do({name: inode})
            old_parent.do({old_name: None})

    def _new(self, path: str, inode: _File | _Folder) -> None:
        parent, name = self._parent_of(path)
        self._inodes.append(inode)
        parent.do({name: len(self._inodes) - 1})

    def _inode(self, path: str) -> int:
        at = _ROOT
        for name in path.split("/") if path else ():
            folder = self._inodes[at]
            if not isinstance(folder, _Folder) or name not in folder.now:
                raise NotUnderstood(f"there is no {path}")
            at = folder.now[name]
        return at

    def _parent_of(self, path: str) -> tuple[_Folder, str]:
        above, _, name = path.rpartition("/")
        folder = self._inodes[self._inode(above)]
        if not isinstance(folder, _Folder):
            raise NotUnderstood(f"{above} is no folder")
        return folder, name

    def _file(self, path: str) -> _File:
        file = self._inodes[self._inode(path)]
        if not isinstance(file, _File):
            raise NotUnderstood(f"{path} is no file")
        return file

    # --- a cut ------------------------------------------------------------------------------------

    def images(self, chance: random.Random, at_most: int) -> Iterator[Image]:
        """What a power cut at this moment may leave: everything lost, everything kept, and then, up
        to `at_most`, all combinations where they are few; else every single deviation from both,
        and random mixtures.
        """
        unsure = list(self._unsure(chance))
        seen: set[bytes] = set()
        for choice in _choices([len(one.outcomes) for one in unsure], chance, at_most):
            image = self._image(unsure, choice)
            if image.digest not in seen:
                seen.add(image.digest)
                yield image

    def _unsure(self, chance: random.Random) -> Iterator[_Unsure]:
        for number, inode in enumerate(self._inodes):
            if isinstance(inode, _File):
                outcomes = inode.outcomes(chance) if inode.changes else []
                if len(outcomes) > 1:
                    yield _Unsure(number, f"file {number}", outcomes)
            else:
                yield from (
                    _Unsure(number, "", group) for group in inode.outcomes() if len(group) > 1
                )

    def _image(self, unsure: Sequence[_Unsure], choice: Sequence[int]) -> Image:
        contents: dict[int, Content] = {}
        entries: dict[int, dict[str, int]] = {}
        told = []
        for one, chosen in zip(unsure, choice, strict=True):
            how, outcome = one.outcomes[chosen]
            told.append(f"{one.what} {how}".strip())
            if isinstance(outcome, Content):
                contents[one.inode] = outcome
            else:
                folder = self._inodes[one.inode]
                assert isinstance(folder, _Folder)
                _name(entries.setdefault(one.inode, dict(folder.durable)), outcome)
        files, folders = self._walk(
            lambda number, file: contents.get(number, file.durable),
            lambda number, folder: entries.get(number, folder.durable),
        )
        return Image(
            files, folders, f"after step {self._steps}: " + ("; ".join(told) or "all flushed")
        )

    def _walk(
        self,
        content_of: Callable[[int, _File], Content],
        entries_of: Callable[[int, _Folder], dict[str, int]],
    ) -> tuple[dict[str, Content], frozenset[str]]:
        files: dict[str, Content] = {}
        folders: list[str] = []
        root = self._inodes[_ROOT]
        assert isinstance(root, _Folder)
        waiting = [(_ROOT, root, "")]
        while waiting:
            number, folder, path = waiting.pop()
            for name, inner in entries_of(number, folder).items():
                inode = self._inodes[inner]
                if isinstance(inode, _File):
                    files[path + name] = content_of(inner, inode)
                else:
                    folders.append(path + name)
                    waiting.append((inner, inode, f"{path}{name}/"))
        return files, frozenset(folders)


def _choices(
    counts: Sequence[int], chance: random.Random, at_most: int
) -> Iterator[tuple[int, ...]]:
    """Which outcome each unsure thing gets. Outcome 0 is lost, 1 kept."""
    combinations = 1
    for count in counts:
        combinations *= count
    if combinations <= min(ALL_BELOW, at_most):
        yield from itertools.product(*(range(count) for count in counts))
        return
    lost, kept = tuple(0 for _ in counts), tuple(1 for _ in counts)
    yield lost
    yield kept
    singles = [
        (*base[:at], outcome, *base[at + 1 :])
        for base in (lost, kept)
        for at, count in enumerate(counts)
        for outcome in range(count)
        if outcome != base[at]
    ]
    chance.shuffle(singles)
    mixtures = [
        tuple(chance.randrange(count) for count in counts) for _ in range(max(4, at_most // 4))
    ]
    room = max(0, at_most - 2)
    yield from singles[: max(room - len(mixtures), room // 2)]
    yield from mixtures[: room // 2]
