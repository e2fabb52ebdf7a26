"""`vault log` and `vault checkpoint`: what was done, and its signed head."""

from pathlib import Path

import click

from vault.cli.acting import (
    config_option,
    demand_key_folder,
    json_option,
    opened,
    reader_option,
    signed,
)
from vault.cli.output import SHORT_ID, show_json, show_table
from vault.cli.times import local
from vault.crypto.canonical_json import Json
from vault.custody import people
from vault.custody.log_reading import read_log
from vault.custody.witness import log_key, new_log_key, sign_head

LONGEST_NAME = 20
"""What is longer in a subject is an id, and is shortened."""


@click.command("log")
@config_option
@reader_option
@json_option
@click.option(
    "--about",
    help="Only entries about this recording, camera, case or viewing (the start of its id).",
)
@click.option(
    "--last", default=50, show_default=True, help="How many entries, counted from the newest."
)
def show_log(config: Path, acting: str, as_json: bool, about: str | None, last: int) -> None:
    """Read the log. That it was read stands in it first."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        rows = read_log(vault, by, about=about, count=last).entries[::-1]
        called = people.names(vault, by)
    if as_json:
        show_json(rows)
        return
    table = [
        (
            row["sequence"],
            local(row["time_utc"]),
            _who(row, called),
            row["action"],
            _about(row, called),
        )
        for row in rows
    ]
    show_table(("entry", "when", "who", "what", "about"), table, "The log has no such entry.")


def _who(row: Json, called: dict[str, str]) -> str:
    """The actor, and with whom where it took two."""
    seats = [seat["person"] for seat in row["details"].get("seats", [])] or [
        row["actor"],
        row["details"].get("second"),
    ]
    return " and ".join(called.get(person, person) for person in seats if person)


def _about(row: Json, called: dict[str, str]) -> str:
    """The subject as a table shows it: a person's or a camera's name, else the start of an id."""
    subject = row["subject"] or ""
    return called.get(subject, subject[:SHORT_ID] if len(subject) > LONGEST_NAME else subject)


@click.command("checkpoint")
@config_option
@click.option(
    "--key",
    "only_key",
    is_flag=True,
    help="Show the log's public key, for the witness and the paper.",
)
@click.option(
    "--new-key",
    is_flag=True,
    help="The log's key is lost: make another one and show its public half.",
)
def checkpoint(config: Path, only_key: bool, new_key: bool) -> None:
    """Sign the log's head, hand it to the witness, and show it."""
    with opened(config) as vault:
        if new_key:
            demand_key_folder(vault.settings.log_key_path.parent)
            text = new_log_key(vault).text()
        else:
            text = log_key(vault).verifier.text() if only_key else sign_head(vault).decode()
    click.echo(text.rstrip("\n"))
