"""What a terminal shows: sentences, tables, JSON for programs; and times as people type and read
them, in the municipality's own time.
"""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from vault.clock import utc_text

ZONE = ZoneInfo("Europe/Amsterdam")
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


def moment(typed: str) -> datetime:
    """A time as a person types it: `2026-11-24 18:05` or `2026-11-24` in the municipality's own
    time, or RFC 3339 with a Z.
    """
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d"):
        try:
            return datetime.strptime(typed, form).replace(tzinfo=ZONE).astimezone(UTC)
        except ValueError:
            continue
    try:
        found = datetime.fromisoformat(typed)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise click.BadParameter(f"{typed!r} is no time: type it as 2026-11-24 18:05.")
    return found.astimezone(UTC)


def local(utc: str | None) -> str:
    """A stored time as a table shows it, in the municipality's own time."""
    if utc is None:
        return ""
    return datetime.fromisoformat(utc).astimezone(ZONE).strftime("%Y-%m-%d %H:%M")
