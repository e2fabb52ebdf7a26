"""Before each start of the services the catalogue gets the schema of the installed programs."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.system_programs import Commands, moved

SCHEMA = "0007"
SETTINGS = "etc/dock-vault/vault.toml"


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The installed programs, which note that they were started."""
    programs = tmp_path / "opt"
    programs.mkdir()
    (programs / "schema").write_text(f"{SCHEMA}\n")
    commands = Commands(programs / "bin", monkeypatch)
    commands.add("vault", "exit 3")
    return commands


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue that has the schema of the programs."""
    settings = tmp_path / SETTINGS
    settings.parent.mkdir(parents=True)
    settings.write_text('root = "../../vault"\n')
    path = tmp_path / "vault" / "catalogue" / "catalogue.db"
    path.parent.mkdir(parents=True)
    write_schema(path, SCHEMA)
    return path


def write_schema(catalogue: Path, *versions: str) -> None:
    with closing(sqlite3.connect(catalogue)) as connection, connection:
        connection.execute("DROP TABLE IF EXISTS alembic_version")
        connection.execute("CREATE TABLE alembic_version (version_num TEXT NOT NULL)")
        rows = [(version,) for version in versions]
        connection.executemany("INSERT INTO alembic_version VALUES (?)", rows)


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    places = {"/opt/dock-vault": folder / "opt", "/etc/dock-vault/vault.toml": folder / SETTINGS}
    program = moved("migrate-catalogue", folder, places)
    return subprocess.run([program], capture_output=True, text=True, check=False)


def started(folder: Path) -> list[str]:
    return [f"vault migrate --config {folder / SETTINGS}"]


@pytest.mark.usefixtures("catalogue")
def test_the_programs_are_not_started_for_their_own_schema(
    tmp_path: Path, commands: Commands
) -> None:
    done = run(tmp_path)
    assert (done.returncode, done.stderr, commands.calls) == (0, "", [])


def test_another_schema_is_the_programs_to_migrate(
    tmp_path: Path, commands: Commands, catalogue: Path
) -> None:
    """Older or newer: they decide. Their end is this program's."""
    for number, other in enumerate(("0006", "0008"), start=1):
        write_schema(catalogue, other)
        assert run(tmp_path).returncode == 3
        assert commands.calls == started(tmp_path) * number


def test_a_journal_is_the_programs_to_play_back(
    tmp_path: Path, commands: Commands, catalogue: Path
) -> None:
    """What a power cut left: this program opens nothing for writing."""
    Path(f"{catalogue}-journal").write_bytes(b"journal")
    done = run(tmp_path)
    assert (done.returncode, done.stderr) == (3, "")
    assert commands.calls == started(tmp_path)
    assert Path(f"{catalogue}-journal").exists()


@pytest.mark.parametrize("damage", ["no database", "no table", "no version"])
def test_in_doubt_the_programs_decide(
    tmp_path: Path, commands: Commands, catalogue: Path, damage: str
) -> None:
    if damage == "no database":
        catalogue.write_bytes(b"no database at all" * 100)
    elif damage == "no table":
        catalogue.write_bytes(b"")
    else:
        write_schema(catalogue)
    done = run(tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith("the catalogue's schema could not be asked for: ")
    assert commands.calls == started(tmp_path)


def test_without_a_catalogue_there_is_nothing_to_migrate(
    tmp_path: Path, commands: Commands, catalogue: Path
) -> None:
    """A rebuild or a restore is for a person to start."""
    catalogue.unlink()
    done = run(tmp_path)
    assert (done.returncode, done.stderr, commands.calls) == (0, "", [])


def test_settings_that_name_a_vault_elsewhere_are_followed(
    tmp_path: Path, commands: Commands, catalogue: Path
) -> None:
    elsewhere = tmp_path / "disk" / "vault"
    elsewhere.parent.mkdir()
    catalogue.parents[1].rename(elsewhere)
    write_schema(elsewhere / "catalogue" / "catalogue.db", "0001")
    (tmp_path / SETTINGS).write_text(f'root = "{elsewhere}"\n')
    assert run(tmp_path).returncode == 3
    assert commands.calls == started(tmp_path)
