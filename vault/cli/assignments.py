"""`vault assign`: which officer carries which camera."""

from datetime import datetime
from pathlib import Path

import click

from vault.cli.acting import as_option, config_option, json_option, opened, reader_option, signed
from vault.cli.output import out, show_json, show_table
from vault.cli.times import local, moment
from vault.custody import assignments, people, reports


@click.group()
def assign() -> None:
    """Who carries which camera (boa-coördinator)."""


@assign.command("to")
@config_option
@as_option("BC")
@click.argument("serial")
@click.argument("person")
@click.option(
    "--since",
    callback=lambda _, __, value: moment(value) if value else None,
    help="As 2026-11-24 18:05; now.",
)
def assign_to(config: Path, acting: str, serial: str, person: str, since: datetime | None) -> None:
    """A person carries a camera from now on."""
    with opened(config) as vault:
        reports.assign(vault, signed(vault, acting).actor, serial, person, since)
    out.print(f"{serial} is with {person}.")


@assign.command("back")
@config_option
@as_option("BC")
@click.argument("serial")
def assign_back(config: Path, acting: str, serial: str) -> None:
    """Nobody carries a camera from now on."""
    with opened(config) as vault:
        reports.take_back(vault, signed(vault, acting).actor, serial)
    out.print(f"{serial} is with nobody.")


@assign.command("list")
@config_option
@reader_option
@json_option
def list_assignments(config: Path, acting: str, as_json: bool) -> None:
    """Show who carried which camera, and when."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        rows = assignments.listed(vault, by)
        called = people.names(vault, by)
    if as_json:
        show_json(rows)
        return
    table = [
        (row.camera_serial, called.get(row.person), local(row.from_utc), local(row.until_utc))
        for row in rows
    ]
    show_table(("camera", "person", "from", "until"), table, "No camera was ever assigned.")
