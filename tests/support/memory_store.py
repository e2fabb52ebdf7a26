"""A store in memory: another engine under the same vault. It owes what `vault.storage.store` asks.

Nothing here is a file, so whatever the vault does with it went through the seam.
"""

from dataclasses import dataclass, field
from typing import Self

from vault.errors import StorageFailed
from vault.storage.sealing import Part, StoredFile
from vault.storage.store import RECORD_NAME, FolderName, Store

FREE_BYTES = 1 << 40


@dataclass
class _Stream:
    """A finished file, read from its start."""

    content: bytes
    offset: int = 0
    size_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.size_bytes = len(self.content)

    def readinto(self, block: memoryview, /) -> int:
        piece = self.content[self.offset : self.offset + len(block)]
        block[: len(piece)] = piece
        self.offset += len(piece)
        return len(piece)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _MemoryPart:
    def __init__(self, store: "MemoryStore", number: int, final: tuple[FolderName, str]) -> None:
        self.name = f"{number}-{final[1]}.part"
        self._store = store
        self._final = final
        self._content = bytearray()

    def begin(self, size_bytes: int) -> Part:
        self._size_bytes = size_bytes
        self._store.incoming[self.name] = None
        return self

    def write(self, block: memoryview, /) -> None:
        assert self._store.incoming[self.name] is None, "written after it was closed"
        self._content += block

    def close(self) -> None:
        assert len(self._content) >= self._size_bytes
        self._store.incoming[self.name] = bytes(self._content[: self._size_bytes])

    def reopen(self) -> StoredFile:
        return _Stream(self._flushed())

    def publish(self) -> None:
        self._store.name(*self._final, self._flushed())
        self.drop()

    def drop(self) -> None:
        self._store.incoming.pop(self.name, None)

    def _flushed(self) -> bytes:
        content = self._store.incoming[self.name]
        assert content is not None, "not flushed yet"
        return content


class MemoryStore(Store):
    """Recordings by name, and the order in which their files went."""

    def __init__(self, vault_id: str, reserve_bytes: int = 0) -> None:
        super().__init__(vault_id, reserve_bytes)
        self.folders: dict[FolderName, dict[str, bytes]] = {}
        self.incoming: dict[str, bytes | None] = {}
        self.removed: list[str] = []
        self._numbers = 0

    def name(self, at: FolderName, name: str, content: bytes) -> None:
        """Give a content its final name, once."""
        if at not in self.folders:
            raise StorageFailed(f"There is no {at}.")
        if name in self.folders[at]:
            raise StorageFailed(f"{name} exists.")
        self.folders[at][name] = content

    def create(self, at: FolderName, name: str, size_bytes: int) -> Part:
        self._numbers += 1
        return _MemoryPart(self, self._numbers, (at, name)).begin(size_bytes)

    def create_copy(self, at: FolderName, name: str, size_bytes: int) -> Part:
        return self.create(at, name, size_bytes)

    def make_place(self, at: FolderName) -> None:
        self.folders.setdefault(at, {})

    def publish(self, at: FolderName, name: str, content: bytes) -> None:
        self.name(at, name, content)

    def settle(self, at: FolderName) -> None:
        assert at in self.folders

    def probe(self, content: bytes) -> None:
        assert content

    def open(self, at: FolderName, name: str) -> StoredFile:
        return _Stream(self._content(at, name))

    def read(self, at: FolderName, name: str, offset: int, length: int) -> bytes:
        return self._content(at, name)[offset : offset + length]

    def recordings(self) -> list[FolderName]:
        return sorted(self.folders)

    def names(self, at: FolderName) -> list[str]:
        return sorted(self.folders.get(at, ()))

    def size_of(self, at: FolderName, name: str) -> int | None:
        content = self.folders.get(at, {}).get(name)
        return None if content is None else len(content)

    def exists(self, at: FolderName) -> bool:
        return at in self.folders

    def is_own(self, at: FolderName) -> bool:
        return True

    def parts(self) -> list[str]:
        return sorted(self.incoming)

    def free_bytes(self) -> int:
        return FREE_BYTES

    def destroy(self, at: FolderName) -> None:
        if at in self.folders:
            for name in (RECORD_NAME, *self.later_keys(at), *self.names(at)):
                self.remove(at, name)
            del self.folders[at]

    def drop_recording(self, at: FolderName) -> None:
        self.destroy(at)

    def remove(self, at: FolderName, name: str) -> None:
        if self.folders[at].pop(name, None) is not None:
            self.removed.append(name)

    def drop_parts(self) -> int:
        count = len(self.incoming)
        self.incoming.clear()
        return count

    def _content(self, at: FolderName, name: str) -> bytes:
        try:
            return self.folders[at][name]
        except KeyError:
            raise StorageFailed(f"{name} can't be read: there is none.") from None
