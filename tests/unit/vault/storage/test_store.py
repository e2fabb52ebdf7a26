"""What every engine owes, held against the files and against the memory; and a whole
vault on each.
"""

import mmap
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.support.memory_store import MemoryStore
from tests.support.office import ESCROW, office
from vault.catalogue import tables
from vault.config import VaultSettings
from vault.custody.retention import deletion
from vault.custody.viewing.release import open_recording
from vault.errors import ContentDiffers, StorageFailed, VaultFull
from vault.operations.verify import verify
from vault.storage import file_store
from vault.storage.buffers import BufferPair
from vault.storage.durable import BLOCK_BYTES
from vault.storage.file_store import FileStore
from vault.storage.sealing import Announced, BytesSource
from vault.storage.store import (
    MANIFEST_NAME,
    RECORD_NAME,
    FolderName,
    Store,
    Target,
    sha256_of,
)

Engine = Callable[[Path, str], Store]
ID = "0b8ff2a4-0000-4000-8000-000000000001"
AT = FolderName.of(ID, datetime(2026, 11, 23, tzinfo=UTC))
KEY = bytes(range(32))


def files(root: Path, vault_id: str) -> Store:
    store = FileStore(root, vault_id)
    store.prepare()
    return store


def memory(root: Path, vault_id: str) -> Store:
    return MemoryStore(vault_id)


ENGINES = {"files": files, "memory": memory}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]


@pytest.fixture
def store(engine: Engine, tmp_path: Path) -> Store:
    return engine(tmp_path / "here", "vault")


def take_in(store: Store, content: bytes, announced: Announced | None = None) -> None:
    announced = announced or Announced("0000.mp4", len(content), sha256_of(content))
    target = Target(AT, "0000.sealed", announced)
    store.take_in(target, KEY, BytesSource(content), (), BufferPair())


def test_a_folders_name_tells_the_recording_and_no_person() -> None:
    assert (AT.text, AT.recording_id) == (f"footage/2026/11/{ID}", ID)


def test_a_name_is_given_once(store: Store) -> None:
    take_in(store, b"first")
    before = store.read(AT, "0000.sealed", 0, 1000)
    with pytest.raises(StorageFailed):
        take_in(store, b"second")
    store.publish(AT, "keys-1.json", b"1")
    with pytest.raises(StorageFailed):
        store.publish(AT, "keys-1.json", b"2")
    assert store.read(AT, "0000.sealed", 0, 1000) == before
    assert store.read_small(AT, "keys-1.json") == b"1"
    assert store.parts() == []


def test_nothing_is_published_into_a_folder_that_is_gone(store: Store) -> None:
    """A recording destroyed while later keys are sealed must not come back as a folder."""
    with pytest.raises(StorageFailed):
        store.publish(AT, "keys-1.json", b"1")
    assert (store.exists(AT), store.recordings(), store.parts()) == (False, [], [])


def test_what_differs_from_its_announcement_leaves_nothing(store: Store) -> None:
    for announced in (
        Announced("a", 4, None),
        Announced("a", 6, None),
        Announced("a", 5, sha256_of(b"other")),
    ):
        with pytest.raises(ContentDiffers):
            take_in(store, b"plain", announced)
    assert (store.recordings(), store.parts()) == ([], [])


def test_a_file_is_read_as_a_stream_a_range_and_whole(store: Store) -> None:
    store.write_record(AT, b"0123456789" * 1000)
    with store.open(AT, RECORD_NAME) as stream:
        block = memoryview(mmap.mmap(-1, 4 * BLOCK_BYTES))
        assert (stream.size_bytes, stream.readinto(block)) == (10_000, 10_000)
        assert stream.readinto(block) == 0
    assert store.read_span(AT, RECORD_NAME, 12, 5) == b"23456"
    assert store.read_record(AT) == b"0123456789" * 1000
    assert store.file_digest(AT, RECORD_NAME) == (10_000, sha256_of(b"0123456789" * 1000))
    with pytest.raises(StorageFailed):
        store.read_span(AT, RECORD_NAME, 9_999, 2)
    with pytest.raises(StorageFailed):
        store.read_small(AT, RECORD_NAME, 9_999)
    with pytest.raises(StorageFailed):
        store.open(AT, "9999.sealed")


def test_what_is_absent_is_no_error(store: Store) -> None:
    assert (store.size_of(AT, RECORD_NAME), store.names(AT), store.later_keys(AT)) == (None, [], [])
    assert not store.may_hold(AT, RECORD_NAME)
    store.destroy(AT)
    store.drop_recording(AT)


def test_what_the_medium_cannot_say_may_be_the_only_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = files(tmp_path, "vault")

    def refuse(*_: object, **__: object) -> os.stat_result:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(StorageFailed):
        store.size_of(AT, RECORD_NAME)
    assert store.may_hold(AT, RECORD_NAME)


@pytest.mark.parametrize("target_engine", ENGINES.values(), ids=ENGINES)
def test_a_recording_is_copied_from_any_engine_to_any_other(
    store: Store, target_engine: Engine, tmp_path: Path
) -> None:
    take_in(store, os.urandom(70_000))
    target = target_engine(tmp_path / "there", "vault")
    for _ in range(2):
        target.copy_in(store, AT, "0000.sealed")
    assert target.file_digest(AT, "0000.sealed") == store.file_digest(AT, "0000.sealed")
    assert (target.names(AT), target.parts()) == (["0000.sealed"], [])


def test_a_copy_that_was_cut_off_is_taken_up_by_the_next(tmp_path: Path) -> None:
    here, there = files(tmp_path / "here", "vault"), files(tmp_path / "there", "vault")
    take_in(here, b"plain")
    there.create_copy(AT, "0000.sealed", 5).close()
    assert len(there.parts()) == 1
    there.copy_in(here, AT, "0000.sealed")
    assert there.parts() == []


def test_the_reserve_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path, "vault", reserve_bytes=1 << 20)
    monkeypatch.setattr(file_store, "free_bytes", lambda _: (1 << 20) + 10)
    store.demand_free(10, "this")
    with pytest.raises(VaultFull, match="this and the reserve"):
        store.demand_free(11, "this")


def test_keys_go_before_what_they_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """I5: after a crash at any moment no copy of the sealed bytes opens."""
    memory_store, file_based = MemoryStore("vault"), files(tmp_path, "vault")
    removed: list[str] = []
    real = os.unlink

    def unlink(path: str | Path, **options: int) -> None:
        real(path, **options)
        removed.append(Path(path).name)

    for store in (memory_store, file_based):
        take_in(store, b"plain")
        store.write_record(AT, b"{}")
        store.publish(AT, "keys-1.json", b"{}")
    monkeypatch.setattr(os, "unlink", unlink)
    for store in (memory_store, file_based):
        store.destroy(AT)
        assert not store.exists(AT)
    assert removed == memory_store.removed == ["record.json", "keys-1.json", "0000.sealed"]


@pytest.mark.parametrize("name", ENGINES)
def test_a_whole_vault_stands_on_either_engine(tmp_path: Path, name: str) -> None:
    """Taken in, verified, opened by two officials, destroyed by two: through the seam alone."""

    def engine(settings: VaultSettings, vault_id: str) -> Store:
        return ENGINES[name](settings.root, vault_id)

    with office(tmp_path, engine=engine) as here:
        store = here.vault.store
        contents = (os.urandom(200_000), b"two" * 70)
        recording = here.record(contents=contents)
        (folder,) = store.recordings()
        assert store.names(folder) == ["0000.sealed", "0001.sealed", MANIFEST_NAME, RECORD_NAME]
        assert here.vault.get_recording(recording).folder == folder.text
        assert verify(here.vault, lambda _: None).findings == ()
        seats = [here.vault.keyring.unlock(seat, code) for seat, code in ESCROW.items()]
        opened = open_recording(here.vault, recording, seats[0], seats[1], "test")
        for part, content in zip(opened.record.files, contents, strict=False):
            assert b"".join(bytes(block) for block in opened.blocks(part)) == content
            assert opened.span(part, 10, 150) == content[10:150]
        deletion.delete(
            here.vault, here.actor("Carel"), here.actor("Petra"), recording, "taken by mistake"
        )
        assert (store.exists(folder), store.recordings()) == (False, [])
        assert len(here.told("destruction.confirmed")) == 1
        assert verify(here.vault, lambda _: None).findings == ()


def test_in_memory_no_byte_of_footage_becomes_a_file(tmp_path: Path) -> None:
    with office(tmp_path, engine=lambda _, vault_id: MemoryStore(vault_id)) as here:
        here.record()
        footage = (tmp_path / "vault" / "footage").rglob("*")
        assert [path for path in footage if path.is_file()] == []


def test_recovery_asks_the_engine_alone(tmp_path: Path) -> None:
    """Parts go, a folder without record.json goes, one with it and without a row is adopted."""
    store: MemoryStore | None = None

    def engine(_: VaultSettings, vault_id: str) -> Store:
        nonlocal store
        store = MemoryStore(vault_id)
        return store

    with office(tmp_path, engine=engine) as here:
        assert store is not None
        recording = here.record()
        with here.vault.writing() as tx:
            tx.execute(sa.delete(tables.sealed_file))
            tx.execute(sa.delete(tables.recording))
        store.make_place(AT)
        store.create(AT, "0000.sealed", 5)
        recovery = here.intake.recover()
        assert (recovery.dropped_parts, recovery.dropped_folders) == (1, 1)
        assert recovery.adopted == (recording,)
        assert not here.vault.get_recording(recording).proven
