"""The catalogue: durable settings read back, transactions whole or not at all, one schema."""

import os
import resource
import shutil
import signal
import sqlite3
import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.support.places import catalogue_of
from vault.catalogue import tables
from vault.catalogue.database import Catalogue, SchemaNewer
from vault.catalogue.facts import get_meta, set_meta
from vault.catalogue.migration import migrate, upgrade
from vault.config import sqlite_url
from vault.errors import CatalogueFailed, Failure
from vault.storage.durable import make_folder, write_new


@pytest.fixture
def path(tmp_path: Path) -> Path:
    migrate(sqlite_url(tmp_path / "catalogue.db"), tmp_path / "register")
    return tmp_path / "catalogue.db"


def test_the_migrations_make_exactly_the_tables_of_the_program(path: Path) -> None:
    with Catalogue.opened(sqlite_url(path)).reading() as tx:
        assert compare_metadata(MigrationContext.configure(tx), tables.tables) == []


def test_durable_settings_stand_on_every_connection(path: Path) -> None:
    """Fault D1: rollback journal and EXTRA, as read back from SQLite."""
    for transaction in (Catalogue(sqlite_url(path)).reading, Catalogue(sqlite_url(path)).writing):
        with transaction() as tx:
            assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
            assert tx.exec_driver_sql("PRAGMA synchronous").scalar() == 3


def test_what_another_committed_is_flushed_before_anything_goes_on_from_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault C1, then C3: it may have died before it flushed the removal of its journal, and a power
    cut would undo its commit.
    """
    flushed: list[Path] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{fd}").readlink())
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    opened = Catalogue.opened(sqlite_url(path))
    assert flushed == [path.parent]
    with opened.writing() as tx:
        assert flushed == [path.parent] * 2
        set_meta(tx, "a", "1")


def test_an_error_takes_the_whole_transaction_with_it(path: Path) -> None:
    """Fault D2."""
    opened = Catalogue(sqlite_url(path))
    with pytest.raises(CatalogueFailed), opened.writing() as tx:
        set_meta(tx, "a", "1")
        tx.exec_driver_sql("INSERT INTO meta VALUES ('a', '2')")
    with opened.reading() as tx:
        assert get_meta(tx, "a") is None


def test_a_transaction_that_sqlite_rolled_back_does_not_commit(path: Path) -> None:
    """Fault D2: after SQLite rolled back by itself the next statement would commit alone."""
    opened = Catalogue(sqlite_url(path))
    with pytest.raises(CatalogueFailed, match="rolled back"), opened.writing() as tx:
        set_meta(tx, "a", "1")
        tx.exec_driver_sql("ROLLBACK")
        set_meta(tx, "b", "2")
    with opened.reading() as tx:
        assert get_meta(tx, "a") is None


def test_another_schema_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CatalogueFailed, match="9999"):
        Catalogue.opened(sqlite_url(path))


@pytest.mark.parametrize(
    "content", [None, b"not a database, but long enough to look like one" * 100]
)
def test_no_catalogue_is_a_clear_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "catalogue.db").write_bytes(content)
    with pytest.raises(CatalogueFailed) as refused:
        Catalogue.opened(sqlite_url(tmp_path / "catalogue.db"))
    assert "vault rebuild" in refused.value.hint


def older(root: Path) -> Path:
    """A catalogue as the first program left it, with something in it."""
    path = catalogue_of(root)
    path.parent.mkdir()
    migrate(sqlite_url(path), path.parents[1] / "register", "0001")
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO meta VALUES ('kept', 'yes')")
    return path


def test_an_older_catalogue_is_brought_up_and_kept_as_it_was(tmp_path: Path) -> None:
    path = older(tmp_path)
    before = path.read_bytes()
    with pytest.raises(CatalogueFailed, match="vault migrate"):
        Catalogue.opened(sqlite_url(path))
    kept = upgrade(sqlite_url(catalogue_of(tmp_path)), tmp_path / "register")
    assert kept == str(catalogue_of(tmp_path).with_name("catalogue-0001.db"))
    with Catalogue.opened(sqlite_url(path)).reading() as tx:
        assert get_meta(tx, "kept") == "yes"
    assert Catalogue(sqlite_url(Path(kept))).schema() == "0001"
    with Catalogue(sqlite_url(Path(kept))).reading() as tx:
        assert get_meta(tx, "kept") == "yes"
    assert path.read_bytes() != before
    assert upgrade(sqlite_url(catalogue_of(tmp_path)), tmp_path / "register") is None


def test_what_a_power_cut_left_of_an_upgrade_spoils_neither_the_copy_nor_the_next_try(
    tmp_path: Path,
) -> None:
    """A part and its hot journal from the first attempt; the copy that has its name already gives
    way to a whole one alone.
    """
    older(tmp_path)
    for name in (".catalogue-0001.db.part", ".catalogue-0001.db.part-journal", "catalogue-0001.db"):
        catalogue_of(tmp_path).with_name(name).write_bytes(b"half of it" * 1000)
    kept = upgrade(sqlite_url(catalogue_of(tmp_path)), tmp_path / "register")
    assert kept is not None
    assert Catalogue(sqlite_url(Path(kept))).schema() == "0001"
    assert sorted(path.name for path in catalogue_of(tmp_path).parent.iterdir()) == [
        "catalogue-0001.db",
        "catalogue.db",
    ]


def test_a_damaged_catalogue_is_neither_migrated_nor_put_over_its_good_copy(tmp_path: Path) -> None:
    path = older(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)", ((str(at), "x" * 900) for at in range(200))
        )
    shutil.copy(path, catalogue_of(tmp_path).with_name("catalogue-0001.db"))
    good = path.read_bytes()
    # The second half of the rows' pages: the schema's own are at the front.
    path.write_bytes(good[: len(good) // 2] + bytes(4096) * 4 + good[len(good) // 2 + 4 * 4096 :])
    with pytest.raises(CatalogueFailed, match="damaged") as refused:
        upgrade(sqlite_url(catalogue_of(tmp_path)), tmp_path / "register")
    assert "vault rebuild" in refused.value.hint
    assert catalogue_of(tmp_path).with_name("catalogue-0001.db").read_bytes() == good


def test_an_upgrade_without_room_says_so(tmp_path: Path) -> None:
    """The copy is made past SQLAlchemy, whose errors alone were told in the
    vault's words before.
    """
    older(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    told = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        with pytest.raises(Failure):
            upgrade(sqlite_url(catalogue_of(tmp_path)), tmp_path / "register")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, told)
    assert Catalogue(sqlite_url(catalogue_of(tmp_path))).schema() == "0001"
    assert not catalogue_of(tmp_path).with_name("catalogue-0001.db").exists()


def test_a_newer_catalogue_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A downgrade: the older program neither opens nor changes it."""
    path = older(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    before = path.read_bytes()
    for attempt in (
        lambda: Catalogue.opened(sqlite_url(path)),
        lambda: upgrade(sqlite_url(catalogue_of(tmp_path)), tmp_path / "register"),
    ):
        with pytest.raises(SchemaNewer, match="0999"):
            attempt()
    assert path.read_bytes() == before
    assert [entry.name for entry in catalogue_of(tmp_path).parent.iterdir()] == ["catalogue.db"]


@pytest.mark.parametrize(("shared", "modes"), [(True, (0o660, 0o2770)), (False, (0o600, 0o700))])
def test_a_shared_vault_is_the_groups_and_any_other_its_owners(
    tmp_path: Path, shared: bool, modes: tuple[int, int]
) -> None:
    root = tmp_path / "vault"
    root.mkdir()
    root.chmod(0o2770 if shared else 0o700)
    before = os.umask(0o007)
    try:
        migrate(sqlite_url(root / "catalogue.db"), root / "register")
        make_folder(root / "footage" / "2026", within=root)
        write_new(root / "footage" / "part", root / "footage" / "file", b"content")
    finally:
        os.umask(before)
    found = {
        path.relative_to(root).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in root.rglob("*")
    }
    assert found == {
        "catalogue.db": modes[0],
        "footage": modes[1],
        "footage/2026": modes[1],
        "footage/file": modes[0],
    }
