"""`vault person`: who is enrolled, who replaces whom."""

from datetime import datetime
from pathlib import Path

import click

from vault.catalogue import person_rows
from vault.cli.base import (
    as_option,
    config_option,
    json_option,
    local,
    moment,
    names,
    opened,
    out,
    show_json,
    show_table,
    signed,
)
from vault.custody import people
from vault.keyring.changes import roles_text
from vault.rules.roles import Function, Role

FUNCTIONS = click.Choice([function.value for function in Function])


@click.group()
def person() -> None:
    """Persons, their functions, and who stands in for whom (P41)."""


@person.command("list")
@config_option
@json_option
def list_persons(config: Path, as_json: bool) -> None:
    """Show the persons, those who left too."""
    with opened(config) as vault, vault.reading() as tx:
        rows = person_rows.persons(tx)
        keyring = vault.keyring
        standing = keyring.holders(standing=True)
        holders = keyring.holders()
    if as_json:
        show_json(rows)
        return
    table = []
    for row in rows:
        roles = roles_text(keyring.roles_of(row.id)) if row.left_utc is None else "-"
        keeps = ", ".join(
            sorted(
                function for function in holders if row.id in standing[function] - holders[function]
            )
        )
        table.append(
            (row.name, roles, row.officer, keeps, local(row.enrolled_utc), local(row.left_utc))
        )
    show_table(
        ("name", "roles", "officer", "keeps the key of", "enrolled", "left"),
        table,
        "Nobody is enrolled.",
    )


@person.command("replace")
@config_option
@as_option()
@click.argument("absent")
@click.argument("substitute")
@click.option(
    "--role",
    type=FUNCTIONS,
    required=True,
    help="The function in which the one stands in for the other.",
)
@click.option(
    "--from",
    "start",
    required=True,
    callback=lambda _, __, value: moment(value),
    help="As 2026-11-24 or 2026-11-24 18:05.",
)
@click.option(
    "--until", "end", required=True, callback=lambda _, __, value: moment(value), help="The same."
)
@click.option("--reason", required=True, help="Leave, illness, …")
def replace(
    config: Path,
    acting: str,
    absent: str,
    substitute: str,
    role: str,
    start: datetime,
    end: datetime,
    reason: str,
) -> None:
    """Put a replacement on record: dated, named, by whom granted."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        absence = people.record_absence(
            vault, by, Role(role), absent, substitute, (start, end), reason
        )
    out.print(f"On record: {absence[:8]}.")


@person.command("back")
@config_option
@as_option()
@click.argument("absence")
def back(config: Path, acting: str, absence: str) -> None:
    """The absent person is back before the date."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        with vault.reading() as tx:
            found = [row.id for row in person_rows.absences(tx) if row.id.startswith(absence)]
        people.end_absence(vault, by, found[0] if len(found) == 1 else absence)
    out.print("The replacement has ended.")


@person.command("absences")
@config_option
@json_option
def list_absences(config: Path, as_json: bool) -> None:
    """Show the replacements, past and to come."""
    with opened(config) as vault:
        with vault.reading() as tx:
            rows = person_rows.absences(tx)
        called = names(vault)
    if as_json:
        show_json(rows)
        return
    table = [
        (
            row.id[:8],
            row.role,
            called.get(row.absent),
            called.get(row.substitute),
            local(row.from_utc),
            local(row.ended_utc or row.until_utc),
            called.get(row.granted_by),
            row.reason,
        )
        for row in rows
    ]
    show_table(
        ("id", "role", "absent", "substitute", "from", "until", "granted by", "reason"),
        table,
        "No replacement is on record.",
    )
