"""Makes a catalogue's schema, and brings an older one to today's. Alembic, run from the program and never by hand."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from vault.catalogue import SCHEMA_VERSION, Catalogue, SchemaNewer
from vault.durable import flush_folder, make_empty, remove_file
from vault.errors import CatalogueFailed


def migrate(path: Path, to: str = SCHEMA_VERSION) -> None:
    """Bring the catalogue at `path` to a schema, by default this program's; makes it where there is none."""
    make_empty(path)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{path}")
    config.attributes["catalogue"] = path
    command.upgrade(config, to)


def upgrade(root: Path) -> Path | None:
    """Bring a vault's catalogue to the schema of this program, keeping a copy of it as it was; the copy, where one was needed.

    Everything happens in one transaction of SQLite's: a power cut leaves the old schema or the new one. The caller holds the
    intake lock. Raises SchemaNewer, CatalogueFailed, StorageFailed.
    """
    path = root / "catalogue.db"
    if not path.is_file():
        raise CatalogueFailed("The vault has no catalogue.", hint="Run `vault rebuild`: it makes one from the folders.")
    catalogue = Catalogue(path)
    found = catalogue.schema()
    if found > SCHEMA_VERSION:
        raise SchemaNewer(found)
    if found == SCHEMA_VERSION:
        return None
    kept = root / f"catalogue-{found}.db"
    remove_file(kept)
    make_empty(kept)
    catalogue.copy_to(kept)
    catalogue.dispose()
    flush_folder(root)
    migrate(path)
    return kept
