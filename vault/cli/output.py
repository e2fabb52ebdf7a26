"""What a command shows: sentences, tables, and JSON for programs."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from vault.clock import utc_text

SHORT_ID = 8
"""How much of an id a table shows; every command takes any unambiguous start of it."""

out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False)


def plain(value: Any) -> Any:
    """A result as JSON writes it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [
            plain(one) for one in (sorted(value) if isinstance(value, (set, frozenset)) else value)
        ]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    return value.hex() if isinstance(value, bytes) else value


def show_json(values: Iterable[Any]) -> None:
    for value in values:
        click.echo(json.dumps(plain(value), ensure_ascii=False))


def show_table(headings: Sequence[str], rows: Iterable[Sequence[object]], nothing: str) -> None:
    """A table, or one sentence where there is nothing to show."""
    listed = [[str(cell) if cell is not None else "" for cell in row] for row in rows]
    if not listed:
        out.print(nothing)
        return
    table = Table(*headings, box=SIMPLE, pad_edge=False)
    for row in listed:
        table.add_row(*row)
    out.print(table)
