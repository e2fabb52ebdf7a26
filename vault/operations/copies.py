"""Copies between a vault and its backup: recordings from store to store, small files whole."""

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from vault.errors import ReadBackDiffers, StorageFailed, VaultError
from vault.storage.durable import make_folder, remove_file, replace_new
from vault.storage.record import parse_record
from vault.storage.small_files import read_small
from vault.storage.store import RECORD_NAME, FolderName, Store

SMALL_BYTES = 64 << 20
"""The largest file of the register, the keyring or the checkpoints that is copied in memory."""

Progress = Callable[[str], None]
"""Is called with each recording that was dealt with."""


def copy_recording(source: Store, target: Store, folder: FolderName) -> int:
    """Copy a recording; returns how many files were copied, 0 where all are there already.
    `record.json` goes last. Raises CannotOpen, ReadBackDiffers, StorageFailed, VaultFull.
    """
    record = parse_record(source.read_record(folder))
    copied = 0
    for part in record.files:
        if target.size_of(folder, part.sealed_name) == part.sealed_bytes:
            continue
        target.copy_in(source, folder, part.sealed_name)
        if target.file_digest(folder, part.sealed_name) != (part.sealed_bytes, part.sealed_sha256):
            target.remove(folder, part.sealed_name)
            raise ReadBackDiffers(
                f"{folder.recording_id}/{part.sealed_name} reads back as another file than was "
                f"copied."
            )
        copied += 1
    for name in (*source.later_keys(folder), RECORD_NAME):
        if target.size_of(folder, name) is None:
            target.publish(folder, name, source.read_small(folder, name))
            copied += 1
    return copied


def small_files(root: Path, folder: str) -> set[Path]:
    """The small files below a folder of a vault, relative to the vault; none that is hidden."""
    return {
        path.relative_to(root)
        for path in (root / folder).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def copy_small_files(root: Path, target: Path, folder: str, wanted: Collection[Path]) -> int:
    """Bring a folder to these small files: what is new or longer is copied, what the vault removed
    is removed. Returns how many were copied. Raises StorageFailed, VaultFull.
    """
    for relative in small_files(target, folder) - set(wanted):
        remove_file(target / relative)
    return sum(copy_whole(root / relative, target / relative) for relative in sorted(wanted))


def copy_whole(source: Path, target: Path) -> int:
    """Copy a small file in one step; 0 where the same one is there."""
    content = read_small(source, SMALL_BYTES)
    with suppress(StorageFailed, OSError):
        if target.is_file() and read_small(target, SMALL_BYTES) == content:
            return 0
    make_folder(target.parent)
    part = target.with_name(f".{target.name}.part")
    remove_file(part)
    replace_new(part, target, content)
    return 1


def sentence_of(error: VaultError | OSError) -> str:
    """Why a copy failed, for the reader."""
    return (
        error.sentence if isinstance(error, VaultError) else f"{error.filename}: {error.strerror}."
    )
