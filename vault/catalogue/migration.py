"""Makes a catalogue's schema, and brings an older one to today's. Alembic, run from the program and
never by hand.
"""

from pathlib import Path

from vault.catalogue.database import SCHEMA_VERSION, Catalogue, SchemaNewer, catalogue_of
from vault.errors import CatalogueFailed
from vault.storage.durable import make_empty, remove_file, replace_file


def migrate(path: Path, to: str = SCHEMA_VERSION) -> None:
    """Bring the catalogue at `path` to a schema, by default this program's; makes it where there is
    none.
    """
    # Imported where it is needed, once in a vault's life and at an upgrade: restore and first start
    # name this module too.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    make_empty(path)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{path}")
    config.attributes["catalogue"] = path
    command.upgrade(config, to)


def upgrade(root: Path) -> Path | None:
    """Bring a vault's catalogue to the schema of this program, keeping a copy of it as it was; the
    copy, where one was needed.

    The copy is whole and sound before it gets its name, and takes the place of an earlier attempt's
    in one step. Then all migrations happen in one transaction of SQLite's: a power cut leaves the
    old schema or the new one, and this can be run again. The caller holds the intake lock. Raises
    SchemaNewer, CatalogueFailed, StorageFailed, VaultFull.
    """
    path = catalogue_of(root)
    if not path.is_file():
        raise CatalogueFailed(
            "The vault has no catalogue.",
            hint="Run `vault rebuild`: it makes one from the folders.",
        )
    catalogue = Catalogue(path)
    found = catalogue.schema()
    if found > SCHEMA_VERSION:
        raise SchemaNewer(found)
    if found == SCHEMA_VERSION:
        return None
    kept = path.with_name(f"catalogue-{found}.db")
    part = path.with_name(f".{kept.name}.part")
    # With the part that a power cut left goes its journal, which SQLite would otherwise play into
    # the new one.
    for leftover in (path.with_name(f"{part.name}-journal"), part):
        remove_file(leftover)
    make_empty(part)
    catalogue.copy_to(part)
    catalogue.dispose()
    replace_file(part, kept)
    migrate(path)
    return kept
