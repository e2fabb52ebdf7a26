"""Makes a catalogue's schema, and brings an older one to today's. Alembic, run from the program and never by hand."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from vault.catalogue import SCHEMA_VERSION


def migrate(path: Path) -> None:
    """Bring the catalogue at `path` to the schema of this program; makes it where there is none."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{path}")
    config.attributes["catalogue"] = path
    command.upgrade(config, SCHEMA_VERSION)
