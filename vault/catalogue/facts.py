"""Single facts of the catalogue, by name: when a head was signed, which keyring version was last
seen.
"""

import sqlalchemy as sa

from vault.catalogue.tables import meta


def get_meta(tx: sa.Connection, key: str) -> str | None:
    """A single fact about the vault."""
    value: str | None = tx.execute(
        sa.select(meta.c.value).where(meta.c.key == key)
    ).scalar_one_or_none()
    return value


def delete_meta(tx: sa.Connection, key: str) -> None:
    tx.execute(sa.delete(meta).where(meta.c.key == key))


def set_meta(tx: sa.Connection, key: str, value: str) -> None:
    delete_meta(tx, key)
    tx.execute(sa.insert(meta).values(key=key, value=value))
