#!/usr/bin/python3 -IS
"""Migrate the vault's catalogue to the schema of the installed programs.

The programs start only if the catalogue has another schema. This runs before each start of the
services, after an upgrade, and after a power cut in the middle of one. In any doubt, such as a
journal that has to be played back, the programs decide.
"""

import os
import sqlite3
import sys
import tomllib
from pathlib import Path

PROGRAMS = Path("/opt/dock-vault")
CONFIG = Path("/etc/dock-vault/vault.toml")


def main() -> None:
    """Become `vault migrate` if the schemas differ."""
    catalogue = catalogue_path()
    if not os.path.exists(catalogue):  # noqa: PTH110 - Path's raises where it may not look
        # A person has to act (rebuild, restore); the services say so.
        return
    wanted = (PROGRAMS / "schema").read_text().strip()
    if wanted != schema_of(catalogue):
        os.execv(PROGRAMS / "bin" / "vault", ["vault", "migrate", "--config", str(CONFIG)])


def catalogue_path() -> Path:
    """Find the catalogue of the vault that the settings name."""
    with CONFIG.open("rb") as file:
        settings = tomllib.load(file)
    if "catalogue" in settings:
        return Path(str(settings["catalogue"]).removeprefix("sqlite:///"))
    return CONFIG.parent / str(settings["root"]) / "catalogue" / "catalogue.db"


def schema_of(catalogue: Path) -> str | None:
    """Read the catalogue's schema, or None if it has to be opened for writing first."""
    if os.path.exists(f"{catalogue}-journal"):  # noqa: PTH110 - as above
        return None
    try:
        connection = sqlite3.connect(f"file:{catalogue}?mode=ro", uri=True)
        try:
            return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
        finally:
            connection.close()
    except (sqlite3.Error, TypeError) as error:
        print(f"the catalogue's schema could not be asked for: {error}", file=sys.stderr)
        return None


if __name__ == "__main__":
    main()
