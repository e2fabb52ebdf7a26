"""What every command shares: settings, who acts, tables and JSON, and how a time is typed."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from vault.catalogue import person_rows, recording_rows
from vault.clock import SystemClock, utc_text
from vault.config import load_vault_settings
from vault.crypto.escrow_code import as_typed
from vault.custody.keyholders import fingerprint_lines
from vault.custody.people import Signed, sign_in
from vault.errors import ConfigurationError, UnknownRecording
from vault.keyring.keyring import Keyring
from vault.keyring.seats import LEAST_PASSPHRASE
from vault.rules.roles import ESCROW_HOLDERS
from vault.vault import Vault

DEFAULT_CONFIG = "/etc/dock-vault/vault.toml"
DEMO_NAME = "demo-passphrases.json"
"""Beside the settings of a demonstration; never beside real recordings."""
NOTE_LIMIT_BYTES = 64 << 20
"""More than a witness's note of a vault's whole life."""
SHORT_ID = 8
"""How much of an id a table shows; every command takes any unambiguous start of it."""
ZONE = ZoneInfo("Europe/Amsterdam")

out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False)

Command = TypeVar("Command", bound=Callable[..., Any])

config_option = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="DOCK_VAULT_CONFIG",
    default=DEFAULT_CONFIG,
    show_default=True,
    help="The vault's settings file.",
)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="For programs: one JSON object a line."
)


def as_option(default: str | None = None) -> Callable[[Command], Command]:
    """Who acts: `--as`, by name, officer's code, id, or a function that one person holds. The
    passphrase is asked.
    """
    return click.option(
        "--as",
        "acting",
        required=default is None,
        default=default,
        show_default=default is not None,
        help="Who does this: name, officer's code, or a function that one person holds. The "
        "passphrase is asked.",
    )


def two_option(function: Command) -> Command:
    """Two persons who act together: `--as` twice."""
    return click.option(
        "--as",
        "acting",
        multiple=True,
        required=True,
        callback=_exactly_two,
        help="The two persons; give it twice. Their passphrases are asked.",
    )(function)


def _exactly_two(_: click.Context, __: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    if len(value) != 2:
        raise click.BadParameter("It takes two persons: give --as twice.")
    return value


def demand_key_folder(folder: Path) -> None:
    """The folder of the pins and the log's key is root's, and opened for one step. Raises
    ConfigurationError.
    """
    if not os.access(folder, os.W_OK):
        raise ConfigurationError(
            f"Who runs the vault can't write to {folder}, as it should be.",
            hint=f"Open it for this step: `chown vault {folder}`. Then "
            f"`/usr/lib/dock-vault/after-ceremony` closes it.",
        )


def demand_compared(keyring: Keyring, *, yes: bool) -> None:
    """Persons hold the two signers whom a keyring names against the paper of the ceremony."""
    for line in fingerprint_lines(keyring):
        out.print(f"  {line}", soft_wrap=True)
    if not yes:
        click.confirm("Are these the two of the ceremony's paper?", abort=True)


def opened(config: Path) -> Vault:
    """The vault that the settings name."""
    return Vault.open(load_vault_settings(config), SystemClock())


def ask(prompt: str) -> str:
    """A passphrase: typed unseen at a terminal, else the next line of standard input. Never an
    argument.
    """
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True, err=True))
    line = sys.stdin.readline()
    if not line:
        raise ConfigurationError(
            f"{prompt} is asked, and standard input has no further line.",
            hint="Type it at a terminal.",
        )
    return line.rstrip("\n")


def ask_codes() -> dict[str, str]:
    """Both escrow holders' codes. Raises BadCode."""
    return {holder: as_typed(ask(f"Code of {holder}")) for holder in ESCROW_HOLDERS}


def ask_new(prompt: str, taken: Collection[str] = ()) -> str:
    """A new passphrase, long enough, nobody's at this table, typed twice. At a terminal what is
    wrong is asked again at once.
    """
    while True:
        first = ask(prompt)
        wrong = None
        if len(first) < LEAST_PASSPHRASE:
            wrong = (
                f"A passphrase has at least {LEAST_PASSPHRASE} characters: take four or more "
                f"random words."
            )
        elif first in taken:
            wrong = (
                "Somebody else took this one. Each holder chooses their own, unseen by the others."
            )
        elif ask(f"{prompt}, again") != first:
            wrong = "The two were not the same."
        if wrong is None:
            return first
        if not sys.stdin.isatty():
            raise ConfigurationError(f"{prompt}: {wrong}", hint="Give the same good line twice.")
        err.print(f"{wrong} Again.", style="yellow")


def signed(vault: Vault, called: str) -> Signed:
    """The person who acts, once the passphrase was asked."""
    name = vault.keyring.person(called).name
    return sign_in(vault, called, ask(f"Passphrase of {name}"))


def signed_two(vault: Vault, called: Sequence[str]) -> tuple[Signed, Signed]:
    first, second = (signed(vault, name) for name in called)
    return first, second


def recording_id(vault: Vault, start: str) -> str:
    """The one recording whose id starts so. Raises UnknownRecording."""
    with vault.reading() as tx:
        found = recording_rows.recordings_starting(tx, start.lower()) if start else []
    if len(found) != 1:
        raise UnknownRecording(f"{len(found)} recordings have an id that starts with {start!r}.")
    return found[0]


def recording_ids(vault: Vault, starts: Iterable[str]) -> list[str]:
    return [recording_id(vault, start) for start in starts]


def names(vault: Vault) -> dict[str, str]:
    """Every person's id and name, those who left too."""
    with vault.reading() as tx:
        return {row.id: row.name for row in person_rows.persons(tx)}


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
