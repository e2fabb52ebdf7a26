"""Who acts on a terminal, with which settings, and how they prove who they are."""

import os
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from vault.cli.output import err, out
from vault.clock import SystemClock
from vault.config import load_vault_settings
from vault.crypto.escrow_code import as_typed
from vault.custody.keyholders import fingerprint_lines
from vault.custody.people import Signed, sign_in
from vault.custody.search import recording_called
from vault.errors import ConfigurationError
from vault.keyring.keyring import Keyring
from vault.keyring.seats import LEAST_PASSPHRASE
from vault.rules.roles import ESCROW_HOLDERS
from vault.vault import Vault

DEFAULT_CONFIG = "/etc/dock-vault/vault.toml"
DEMO_NAME = "demo-passphrases.json"
"""Beside the settings of a demonstration; never beside real recordings."""
NOTE_LIMIT_BYTES = 64 << 20
"""More than a witness's note of a vault's whole life."""
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


NOBODY_ASKS = (
    "Say who asks: --as NAME, an officer's code, or a function that one person holds. The "
    "passphrase is asked. The administrator reads no lists: `vault doctor`, `vault verify` and the "
    "metrics tell whether the vault is sound."
)


def reader_option(function: Command) -> Command:
    """Who reads: `--as`, as `as_option`. Without it nothing is shown, to root neither."""
    return click.option(
        "--as",
        "acting",
        callback=_somebody,
        metavar="NAME",
        help="Who asks: name, officer's code, or a function that one person holds. The passphrase "
        "is asked.",
    )(function)


def _somebody(context: click.Context, _: click.Parameter, value: str | None) -> str:
    if value is None:
        raise click.UsageError(NOBODY_ASKS, context)
    return value


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


def recordings_called(vault: Vault, starts: Iterable[str]) -> list[str]:
    """Recordings by the starts of their ids. Raises UnknownRecording."""
    return [recording_called(vault, start) for start in starts]
