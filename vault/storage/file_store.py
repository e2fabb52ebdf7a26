"""The store in folders of a file system: `incoming/` for parts, `footage/` for recordings."""

import itertools
import os
from pathlib import Path

from vault.errors import StorageFailed
from vault.storage.durable import (
    MediumReader,
    PartFile,
    flush_folder,
    free_bytes,
    make_folder,
    may_be,
    overwrite_and_remove,
    publish,
    remove_file,
    remove_folder,
    storage_errors,
    try_disk,
    write_new,
)
from vault.storage.sealing import Part, StoredFile
from vault.storage.store import LATER_KEYS, RECORD_NAME, FolderName, Store


class _NamedPart(PartFile):
    """A part in `incoming/` that knows its final name."""

    def __init__(self, path: Path, final: Path, size_bytes: int) -> None:
        super().__init__(path, size_bytes)
        self._final = final

    def reopen(self) -> StoredFile:
        return MediumReader(self.path)

    def publish(self) -> None:
        publish(self.path, self._final)


class FileStore(Store):
    """The store of the vault, or of the backup, whose folder is `root`."""

    def __init__(self, root: Path, vault_id: str, reserve_bytes: int = 0) -> None:
        super().__init__(vault_id, reserve_bytes)
        self._root = root
        self._incoming = root / "incoming"
        self._footage = root / "footage"
        self._part_numbers = itertools.count()

    def prepare(self) -> None:
        """Make the store's own folders, durably."""
        make_folder(self._incoming)
        make_folder(self._footage)

    def create(self, at: FolderName, name: str, size_bytes: int) -> Part:
        return _NamedPart(self._new_part(name), self._path(at) / name, size_bytes)

    def create_copy(self, at: FolderName, name: str, size_bytes: int) -> Part:
        path = self._incoming / f"{at.recording_id}-{name}.part"
        remove_file(path)
        return _NamedPart(path, self._path(at) / name, size_bytes)

    def make_place(self, at: FolderName) -> None:
        make_folder(self._path(at), within=self._footage)

    def publish(self, at: FolderName, name: str, content: bytes) -> None:
        write_new(self._new_part(name), self._path(at) / name, content)

    def settle(self, at: FolderName) -> None:
        folder = self._path(at)
        for place in (folder, *folder.parents):
            flush_folder(place)
            if place == self._footage:
                break

    def probe(self, content: bytes) -> None:
        try_disk(self._incoming / "doctor.part", content)

    def open(self, at: FolderName, name: str) -> StoredFile:
        return MediumReader(self._path(at) / name)

    def read(self, at: FolderName, name: str, offset: int, length: int) -> bytes:
        content = b""
        try:
            with (self._path(at) / name).open("rb", buffering=0) as file:
                file.seek(offset)
                while len(content) < length and (more := file.read(length - len(content))):
                    content += more
        except OSError as error:
            raise StorageFailed(f"{name} can't be read: {error.strerror}.") from error
        return content

    def recordings(self) -> list[FolderName]:
        folders = sorted(path for path in self._footage.glob("*/*/*") if may_be(path.is_dir))
        return [FolderName(folder.relative_to(self._root).as_posix()) for folder in folders]

    def names(self, at: FolderName) -> list[str]:
        with storage_errors(f"listing {at}"):
            try:
                return sorted(path.name for path in self._path(at).iterdir())
            except FileNotFoundError:
                return []

    def size_of(self, at: FolderName, name: str) -> int | None:
        with storage_errors(f"looking at {name}"):
            try:
                return (self._path(at) / name).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    def exists(self, at: FolderName) -> bool:
        with storage_errors(f"looking at {at}"):
            return self._path(at).exists()

    def is_own(self, at: FolderName) -> bool:
        folder = self._path(at)
        with storage_errors(f"looking at {at}"):
            owners = {path.stat().st_uid for path in (folder, folder / RECORD_NAME)}
            return owners == {self._root.stat().st_uid}

    def parts(self) -> list[str]:
        with storage_errors("listing incoming"):
            return sorted(path.name for path in self._incoming.iterdir())

    def free_bytes(self) -> int:
        return free_bytes(self._root)

    def destroy(self, at: FolderName) -> None:
        folder = self._path(at)
        if not folder.is_dir():
            return
        for path in (folder / RECORD_NAME, *sorted(folder.glob(LATER_KEYS))):
            overwrite_and_remove(path)
        remove_folder(folder)

    def drop_recording(self, at: FolderName) -> None:
        remove_folder(self._path(at), last=(RECORD_NAME,))

    def remove(self, at: FolderName, name: str) -> None:
        remove_file(self._path(at) / name)

    def drop_parts(self) -> int:
        parts = self.parts()
        for name in parts:
            remove_file(self._incoming / name)
        return len(parts)

    def _path(self, at: FolderName) -> Path:
        return self._root / at.text

    def _new_part(self, name: str) -> Path:
        return self._incoming / f"{os.getpid()}-{next(self._part_numbers)}-{name}.part"
