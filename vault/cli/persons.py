"""`vault person`: who is enrolled, who replaces whom."""

from datetime import datetime
from pathlib import Path

import click

from vault.cli.acting import as_option, config_option, json_option, opened, reader_option, signed
from vault.cli.output import out, plain, show_json, show_table
from vault.cli.times import local, moment
from vault.custody import people
from vault.keyring.changes import roles_text
from vault.rules.roles import Function, Role

FUNCTIONS = click.Choice([function.value for function in Function])


@click.group()
def person() -> None:
    """Persons, their functions, and who stands in for whom (P41)."""


@person.command("list")
@config_option
@reader_option
@json_option
def list_persons(config: Path, acting: str, as_json: bool) -> None:
    """Show the persons, those who left too."""
    with opened(config) as vault:
        persons = people.listed(vault, signed(vault, acting).actor)
    if as_json:
        show_json(one.row for one in persons)
        return
    table = [
        (
            one.row.name,
            roles_text(one.roles) if one.row.left_utc is None else "-",
            one.row.officer,
            ", ".join(one.keeps),
            local(one.row.enrolled_utc),
            local(one.row.left_utc),
        )
        for one in persons
    ]
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
        people.end_absence(vault, by, absence)
    out.print("The replacement has ended.")


@person.command("absences")
@config_option
@reader_option
@json_option
def list_absences(config: Path, acting: str, as_json: bool) -> None:
    """Show the replacements, past and to come."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        absences = people.absences(vault, by)
        called = people.names(vault, by)
    if as_json:
        show_json(plain(one.row) | {"reason": one.reason} for one in absences)
        return
    table = [
        (
            one.row.id[:8],
            one.row.role,
            called.get(one.row.absent),
            called.get(one.row.substitute),
            local(one.row.from_utc),
            local(one.row.ended_utc or one.row.until_utc),
            called.get(one.row.granted_by),
            one.reason,
        )
        for one in absences
    ]
    show_table(
        ("id", "role", "absent", "substitute", "from", "until", "granted by", "reason"),
        table,
        "No replacement is on record.",
    )
