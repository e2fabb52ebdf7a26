"""A row as a frozen dataclass, fetched whole before the transaction closes."""

from typing import Any, TypeVar

import sqlalchemy as sa

Row = TypeVar("Row")


def all_rows(tx: sa.Connection, kind: type[Row], query: sa.Select[Any]) -> list[Row]:
    return [kind(**row._mapping) for row in tx.execute(query)]


def one_row(tx: sa.Connection, kind: type[Row], query: sa.Select[Any]) -> Row | None:
    found = all_rows(tx, kind, query)
    return found[0] if found else None
