"""The golden vault of version 0.1.0, unpacked, and what is known of it."""

import json
import sqlite3
import tarfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from tests.support.hand_clock import HandClock
from vault.__main__ import commands
from vault.clock import utc_moment
from vault.config import load_vault_settings
from vault.vault import Vault

HERE = Path(__file__).parent
NAME = "vault-0.1.0"
FACTS: dict[str, Any] = json.loads((HERE / f"{NAME}.json").read_text())
RECORDINGS: dict[str, dict[str, Any]] = FACTS["recordings"]
STANDING = [label for label, known in RECORDINGS.items() if known["destroyed"] is None]
DESTROYED = [label for label, known in RECORDINGS.items() if known["destroyed"] is not None]


def id_of(label: str) -> str:
    return str(RECORDINGS[label]["id"])


def ids_of(labels: list[str]) -> set[str]:
    return {id_of(label) for label in labels}


@dataclass
class Golden:
    """The vault in a folder of its own, with its clock where its last day ended."""

    folder: Path
    clock: HandClock

    @property
    def config(self) -> Path:
        return self.folder / "vault.toml"

    @property
    def root(self) -> Path:
        return self.folder / "vault"

    def open(self) -> Vault:
        return Vault.open(load_vault_settings(self.config), self.clock)

    def type(self, *words: object, by: tuple[str, ...] = (), typed: tuple[str, ...] = ()) -> Result:
        """Run a command. `by`: who acts, where the command asks; their passphrases come last."""
        command: Any = commands
        for word in words:
            if not hasattr(command, "get_command"):
                break
            command = command.get_command(None, str(word))
        asked = {one.name for one in command.params}
        acting = by if "acting" in asked else ()
        named = [word for name in acting for word in ("--as", name)]
        lines = [*typed, *(FACTS["persons"][name]["passphrase"] for name in acting)]
        config = ("--config", self.config) if "config" in asked else ()
        given = [str(word) for word in (*words, *named, *config)]
        return CliRunner().invoke(commands, given, input="".join(f"{line}\n" for line in lines))

    def done(self, *words: object, by: tuple[str, ...] = (), typed: tuple[str, ...] = ()) -> str:
        result = self.type(*words, by=by, typed=typed)
        assert result.exit_code == 0, (words, result.output, result.exception)
        return result.stdout

    def listed(self, *words: object, by: str = "Petra") -> list[dict[str, Any]]:
        """What a list says to a program: an object a line."""
        return [json.loads(line) for line in self.done(*words, "--json", by=(by,)).splitlines()]

    def move_to(self, moment: datetime) -> None:
        self.clock.pass_time((moment - self.clock.now()).total_seconds())

    def files(self) -> dict[str, bytes]:
        """Every stored file but the catalogue, which is an index over them."""
        paths = (path for path in self.root.rglob("*") if path.is_file())
        named = {path.relative_to(self.root).as_posix(): path.read_bytes() for path in paths}
        return {
            name: content for name, content in named.items() if not name.startswith("catalogue/")
        }

    def leaves(self) -> list[dict[str, Any]]:
        """The log, read from its lines."""
        lines = (self.root / "register/log/000000.jsonl").read_bytes().splitlines()
        return [json.loads(line) for line in lines]

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every table of the catalogue, read by no code of ours.

        Not among them: the log's own tables, and what the running program remembers of itself.
        """
        connection = sqlite3.connect(
            f"file:{self.root / 'catalogue/catalogue.db'}?mode=ro", uri=True
        )
        try:
            names = [
                name
                for (name,) in connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table'"
                )
            ]
            wanted = [
                name
                for name in names
                if name not in ("meta", "log", "log_head") and not name.startswith("sqlite_")
            ]
            return {
                name: sorted(connection.execute(f'SELECT * FROM "{name}"'), key=repr)
                for name in wanted
            }
        finally:
            connection.close()


def unpacked(folder: Path) -> Golden:
    """The vault as version 0.1.0 left it, and its clock."""
    with tarfile.open(HERE / f"{NAME}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    known = FACTS["clock"]
    clock = HandClock(utc_moment(known["moment"]), known["ticks_s"], boot=known["boot"])
    return Golden(folder, clock)
