"""The choke point of durability: nothing is overwritten, errors are named, a failed
flush is final.
"""

import errno
import mmap
import os
import stat
from pathlib import Path

import pytest

from vault.errors import StorageFailed, VaultFull
from vault.storage.durable import (
    BLOCK_BYTES,
    MediumReader,
    PartFile,
    append_line,
    make_folder,
    publish,
    remove_folder,
    storage_errors,
    write_new,
)
from vault.storage.locks import LOCK_NAME, IntakeLock


def block_of(content: bytes) -> memoryview:
    length = -(-len(content) // BLOCK_BYTES) * BLOCK_BYTES
    buffer = mmap.mmap(-1, max(length, BLOCK_BYTES))
    buffer.write(content)
    return memoryview(buffer)


def read_all(path: Path) -> bytes:
    buffer = memoryview(mmap.mmap(-1, 4 * BLOCK_BYTES))
    found = b""
    with MediumReader(path) as reader:
        while count := reader.readinto(buffer):
            found += buffer[:count]
    return found


@pytest.mark.parametrize(
    "size_bytes", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 9 * BLOCK_BYTES + 5]
)
def test_a_part_has_exactly_its_announced_size(tmp_path: Path, size_bytes: int) -> None:
    content = os.urandom(size_bytes)
    part = PartFile(tmp_path / "a.part", size_bytes)
    if size_bytes:
        part.write(block_of(content))
    part.close()
    publish(tmp_path / "a.part", tmp_path / "a")
    assert read_all(tmp_path / "a") == content
    assert not (tmp_path / "a.part").exists()


def test_publishing_never_overwrites(tmp_path: Path) -> None:
    write_new(tmp_path / "1.part", tmp_path / "a", b"first")
    with pytest.raises(StorageFailed):
        write_new(tmp_path / "2.part", tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"


def test_a_part_that_exists_or_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"mine")
    (tmp_path / "a.part").symlink_to(tmp_path / "real")
    with pytest.raises(StorageFailed):
        PartFile(tmp_path / "a.part", 10)
    assert (tmp_path / "real").read_bytes() == b"mine"


def test_a_link_in_the_vault_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"elsewhere")
    (tmp_path / "a").symlink_to(tmp_path / "real")
    with pytest.raises(StorageFailed):
        MediumReader(tmp_path / "a")


@pytest.mark.parametrize(
    ("number", "becomes"),
    [(errno.ENOSPC, VaultFull), (errno.EDQUOT, VaultFull), (errno.EIO, StorageFailed)],
)
def test_the_systems_refusals_become_the_vaults_errors(
    number: int, becomes: type[Exception]
) -> None:
    with pytest.raises(becomes), storage_errors("testing"):
        raise OSError(number, os.strerror(number))


def test_a_line_after_a_torn_one_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "log"
    append_line(path, b"one")
    path.write_bytes(path.read_bytes() + b"tor")
    append_line(path, b"two")
    assert path.read_bytes() == b"one\ntor\ntwo\n"


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    make_folder(tmp_path / "a/b/c")
    make_folder(tmp_path / "a/b/c")
    assert (tmp_path / "a/b/c").is_dir()


def test_what_was_written_last_goes_first(tmp_path: Path) -> None:
    make_folder(tmp_path / "r")
    for name in ("0000.sealed", "record.json"):
        (tmp_path / "r" / name).write_bytes(b"x")
    remove_folder(tmp_path / "r", last=("record.json",))
    remove_folder(tmp_path / "r", last=("record.json",))
    assert not (tmp_path / "r").exists()


def test_a_part_that_finds_no_room_leaves_nothing(tmp_path: Path) -> None:
    """Fault C5: a size that no disk has is refused before a byte is written."""
    with pytest.raises((VaultFull, StorageFailed)):
        PartFile(tmp_path / "a.part", 1 << 62)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was flushed, in order. A path that stands in it beforehand fails at its first flush, and
    is taken out.
    """
    seen: list[Path] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        path = Path(f"/proc/self/fd/{fd}").readlink()
        if seen[:1] == [path / "fails"]:
            seen.clear()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(fd)
        seen.append(path)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


def test_a_flush_that_failed_is_not_tried_again(tmp_path: Path, flushed: list[Path]) -> None:
    """Fault C4: the kernel may have dropped the pages that could not be written, and would call the
    second flush a success.
    """
    part = PartFile(tmp_path / "a.part", BLOCK_BYTES)
    part.write(block_of(b"x"))
    flushed.append(tmp_path / "a.part" / "fails")
    with pytest.raises(StorageFailed):
        part.close()
    assert flushed == []


def test_a_month_that_a_killed_process_made_is_flushed_by_the_next(
    tmp_path: Path, flushed: list[Path]
) -> None:
    """Faults C1, then C3: killed between mkdir and the flush of the parent; nobody else would ever
    flush it.
    """
    (tmp_path / "2026" / "11").mkdir(parents=True)
    make_folder(tmp_path / "2026" / "11" / "recording", within=tmp_path)
    assert flushed == [tmp_path / "2026" / "11", tmp_path / "2026", tmp_path]


def test_a_year_whose_flush_failed_is_flushed_for_the_next_recording(
    tmp_path: Path, flushed: list[Path]
) -> None:
    """Fault C4."""
    flushed.append(tmp_path / "fails")
    with pytest.raises(StorageFailed):
        make_folder(tmp_path / "2026" / "11" / "first", within=tmp_path)
    make_folder(tmp_path / "2026" / "11" / "second", within=tmp_path)
    assert tmp_path in flushed


def test_a_small_file_whose_flush_failed_leaves_nothing(
    tmp_path: Path, flushed: list[Path]
) -> None:
    """Fault C4: `record.json` holds wrapped keys; abandoned, they are gone with it."""
    flushed.append(tmp_path / "record.json.part" / "fails")
    with pytest.raises(StorageFailed):
        write_new(tmp_path / "record.json.part", tmp_path / "record.json", b"keys")
    assert not list(tmp_path.iterdir())


def test_a_small_file_that_can_not_be_published_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_bytes(b"another")
    with pytest.raises(StorageFailed):
        write_new(tmp_path / "record.json.part", tmp_path / "record.json", b"keys")
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_another_ones_part_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "record.json.part").write_bytes(b"another")
    with pytest.raises(StorageFailed):
        write_new(tmp_path / "record.json.part", tmp_path / "record.json", b"keys")
    assert (tmp_path / "record.json.part").read_bytes() == b"another"


def test_a_lock_that_the_disk_refuses_is_a_failure_with_a_sentence(tmp_path: Path) -> None:
    """Fault C4: opening the lock is the first thing that writes."""
    (tmp_path / LOCK_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageFailed):
        IntakeLock(tmp_path)


@pytest.mark.parametrize(
    ("folder", "file"), [(0o700, 0o600), (0o2770, 0o660), (0o3770, 0o660), (0o2750, 0o640)]
)
def test_a_new_file_is_as_open_as_its_folder(tmp_path: Path, folder: int, file: int) -> None:
    """`keys-N.json` is made in a folder that was taken into custody long ago: the dock reads it and
    does not write it.
    """
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(folder)
    before = os.umask(0o007)
    try:
        write_new(place / ".keys.part", place / "keys-1.json", b"{}")
    finally:
        os.umask(before)
    assert stat.S_IMODE((place / "keys-1.json").stat().st_mode) == file
