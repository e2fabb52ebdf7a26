"""A card in memory: the world of cameras as a test wants it, with the misbehaviour of real ones.

A `Medium` is what stands on the camera; `MemoryCard` is one opening of it. What one opening deleted
is seen by the next, unless the medium is told to lie.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from dockd.card.contract import (
    CardDeleteFailedError,
    CardFile,
    CardFileChangedError,
    CardGoneError,
    CardReadFailedError,
    CardReadOnlyError,
    CardTrouble,
)

Path_ = tuple[str, ...]


def path_of(text: str) -> Path_:
    return tuple(text.split("/"))


def nothing(*_: object) -> None:
    """What a hook does until a test sets it."""


@dataclass
class Medium:
    """The files of a camera, and how it behaves. Hooks are called before what they
    are named for.
    """

    contents: dict[Path_, bytes] = field(default_factory=dict)
    times_ns: dict[Path_, int] = field(default_factory=dict)
    gone: bool = False
    read_only: bool = False
    unreadable: set[Path_] = field(default_factory=set)
    keeps: set[Path_] = field(default_factory=set)
    """Files whose deletion it confirms without doing it, and hides until the card is opened anew
    (A7).
    """
    refuses: set[Path_] = field(default_factory=set)
    """Files whose deletion it refuses."""
    trouble: tuple[CardTrouble, ...] = ()
    before_listing: Callable[[], None] = nothing
    before_read: Callable[[Path_, int], None] = nothing
    before_delete: Callable[[Path_], None] = nothing
    read_bytes: dict[Path_, int] = field(default_factory=dict)
    opened: int = 0
    deleted: list[str] = field(default_factory=list)
    offset_ms: int | None = None
    clocks: list[datetime] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of_folder(cls, root: Path) -> "Medium":
        """What stands in a folder that `CardMaker` filled."""
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return cls({path.relative_to(root).parts: path.read_bytes() for path in files})

    def open(self) -> "MemoryCard":
        if self.gone:
            raise CardGoneError("The card is no longer there.")
        self.opened += 1
        return MemoryCard(self)

    def replace(self, path: Path_, content: bytes) -> None:
        """Other content under the name; the time stays, as a hostile camera would have it."""
        self.contents[path] = content

    def names(self) -> list[str]:
        return sorted("/".join(path) for path in self.contents)

    def segment_bytes_read(self) -> int:
        return sum(
            count for path, count in self.read_bytes.items() if path[-1].lower().endswith(".mp4")
        )

    def forget_readings(self) -> None:
        self.read_bytes.clear()


class MemoryCard:
    """`dockd.card.contract.Card`."""

    def __init__(self, medium: Medium) -> None:
        self._medium = medium
        self._trouble: tuple[CardTrouble, ...] = ()
        self._believed_gone: set[Path_] = set()

    @property
    def where(self) -> str:
        return "memory"

    @property
    def trouble(self) -> tuple[CardTrouble, ...]:
        return self._trouble

    def files(self, below: Path_ = ()) -> tuple[CardFile, ...]:
        self._must_stand()
        self._medium.before_listing()
        self._must_stand()
        self._trouble = self._medium.trouble
        hidden = self._believed_gone | {trouble.path for trouble in self._trouble}
        return tuple(
            self._file(path)
            for path in sorted(self._medium.contents)
            if path not in hidden and path[: len(below)] == below
        )

    def open(self, file: CardFile, offset: int = 0) -> "MemoryReader":
        self._must_be(file)
        return MemoryReader(self._medium, file, offset)

    def delete(self, file: CardFile) -> None:
        self._medium.before_delete(file.path)
        self._must_be(file)
        if self._medium.read_only:
            raise CardReadOnlyError(f"{file.shown} can't be erased: the card is write-protected.")
        if file.path in self._medium.refuses:
            raise CardDeleteFailedError(f"{file.shown} was not erased.")
        self._medium.deleted.append("/".join(file.path))
        if file.path in self._medium.keeps:
            self._believed_gone.add(file.path)
        else:
            del self._medium.contents[file.path]

    def delete_folder(self, path: Path_) -> bool:
        self._must_stand()
        standing = self._medium.contents.keys() - self._believed_gone
        return not any(inner[: len(path)] == path for inner in standing)

    def clock_offset_ms(self) -> int | None:
        return self._medium.offset_ms

    def set_clock(self, moment: datetime) -> bool:
        self._medium.clocks.append(moment)
        return True

    def close(self) -> None:
        pass

    def _file(self, path: Path_) -> CardFile:
        return CardFile(path, len(self._medium.contents[path]), self._medium.times_ns.get(path, 0))

    def _must_stand(self) -> None:
        if self._medium.gone:
            raise CardGoneError("The card is no longer there.")

    def _must_be(self, file: CardFile) -> None:
        self._must_stand()
        if file.path not in self._medium.contents or self._file(file.path) != file:
            raise CardFileChangedError(f"{file.shown} is no longer what was listed.")


class MemoryReader:
    """`dockd.card.contract.FileStream`."""

    def __init__(self, medium: Medium, file: CardFile, offset: int) -> None:
        self._medium = medium
        self._file = file
        self._position = offset

    def readinto(self, buffer: memoryview) -> int:
        self._medium.before_read(self._file.path, self._position)
        if self._medium.gone:
            raise CardGoneError("The card is no longer there.")
        if self._file.path in self._medium.unreadable:
            raise CardReadFailedError(f"{self._file.shown} can't be read.")
        block = self._medium.contents[self._file.path][
            self._position : self._position + len(buffer)
        ]
        buffer[: len(block)] = block
        self._position += len(block)
        with self._medium.lock:
            self._medium.read_bytes[self._file.path] = self._medium.read_bytes.get(
                self._file.path, 0
            ) + len(block)
        return len(block)

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
