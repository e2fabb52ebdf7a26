"""Makes a catalogue's schema, and brings an older one up to date. Alembic, run from the program and
never by hand.
"""

from pathlib import Path

from vault.catalogue.database import SCHEMA_VERSION, Catalogue, SchemaNewer, place_of
from vault.errors import CatalogueFailed


def migrate(url: str, register: Path, to: str = SCHEMA_VERSION) -> None:
    """Bring a catalogue to a schema, by default this program's; makes it where there is none.

    `register`: the vault's folder of papers and log lines, to which texts move that leave a row.
    """
    # Imported where it is needed, once in a vault's life and at an upgrade: restore and first start
    # name this module too.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    place_of(url).make()
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["catalogue"] = url
    config.attributes["register"] = register
    command.upgrade(config, to)


def upgrade(url: str, register: Path) -> str | None:
    """Bring a vault's catalogue to the schema of this program, keeping a copy of it as it was;
    where the copy is, if one was needed.

    The copy is whole and sound before it gets its name, and takes the place of an earlier attempt's
    in one step. Then all migrations happen in one transaction: a power cut leaves the old schema or
    the new one, and this can be run again. The caller holds the intake lock. Raises SchemaNewer,
    CatalogueFailed, StorageFailed, VaultFull.
    """
    place = place_of(url)
    if not place.exists():
        raise CatalogueFailed(
            "The vault has no catalogue.",
            hint="Run `vault rebuild`: it makes one from the folders.",
        )
    catalogue = Catalogue(url)
    schema = catalogue.schema()
    if schema > SCHEMA_VERSION:
        raise SchemaNewer(schema)
    if schema == SCHEMA_VERSION:
        return None
    kept = place.sibling(f"catalogue-{schema}.db")
    part = place.sibling(f".catalogue-{schema}.db.part")
    part.discard()
    part.make()
    catalogue.copy_to(part)
    catalogue.dispose()
    part.replace(kept)
    migrate(url, register)
    return str(kept)
