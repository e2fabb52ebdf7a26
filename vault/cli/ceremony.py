"""`vault ceremony`: changes of the keyring."""

from pathlib import Path

import click

from vault.cli.acting import (
    as_option,
    ask_codes,
    ask_new,
    config_option,
    demand_compared,
    demand_key_folder,
    opened,
    signed,
    signed_two,
    two_option,
)
from vault.cli.output import out
from vault.cli.persons import FUNCTIONS
from vault.config import load_vault_settings
from vault.crypto.passphrase import PassphraseCost
from vault.custody import keyholders
from vault.keyring.changes import Appoint, Dismiss, Edit, Enrol, Leave, NameSigner, SetOfficer
from vault.keyring.seats import Founder
from vault.log.keys_outside import following_pins, keyring_in, write_pins
from vault.rules.roles import Function
from vault.vault import Vault


@click.group()
def ceremony() -> None:
    """Change who holds the keys: both signers are there, with whoever else is needed to open what
    changes.
    """


def _change(
    config: Path, acting: tuple[str, ...], helpers: tuple[str, ...], escrow: bool, edits: list[Edit]
) -> None:
    with opened(config) as vault:
        resolved = [_by_id(vault, edit) for edit in edits]
        first, second = signed_two(vault, acting)
        beside = [signed(vault, name).identity for name in helpers]
        privates = (
            [vault.keyring.escrow_private(holder, code) for holder, code in ask_codes().items()]
            if escrow
            else []
        )
        changed = keyholders.change(
            vault, resolved, first, second, beside, PassphraseCost(), privates
        )
        version = vault.keyring.version
    told = f" New keys for {', '.join(changed.rotated)}." if changed.rotated else ""
    out.print(f"The keyring is version {version}.{told}")


def _by_id(vault: Vault, edit: Edit) -> Edit:
    """The edit with persons by id, as they were named by whatever a person types."""
    if isinstance(edit, Enrol):
        return edit
    if isinstance(edit, NameSigner):
        return NameSigner(
            vault.keyring.person(edit.person).person, vault.keyring.person(edit.in_place_of).person
        )
    person = vault.keyring.person(edit.person).person
    match edit:
        case Appoint(_, function, standing):
            return Appoint(person, function, standing)
        case Dismiss(_, function):
            return Dismiss(person, function)
        case SetOfficer(_, officer):
            return SetOfficer(person, officer)
        case _:
            return Leave(person)


with_option = click.option(
    "--with", "helpers", multiple=True, help="A further person who is there; may be given again."
)
escrow_option = click.option(
    "--escrow", is_flag=True, help="Both escrow holders are there; their codes are asked."
)


@ceremony.command("enrol")
@config_option
@two_option
@click.argument("name")
@click.option("--function", type=FUNCTIONS, help="The function they take at once.")
@click.option("--officer", help="The code by which cameras name them, where they wear one.")
@click.option(
    "--administrator", is_flag=True, help="Technical administrator: sees no recording, ever."
)
@with_option
@escrow_option
def enrol(
    config: Path,
    acting: tuple[str, ...],
    name: str,
    function: str | None,
    officer: str | None,
    administrator: bool,
    helpers: tuple[str, ...],
    escrow: bool,
) -> None:
    """Enrol a person. Their own passphrase is asked first, then the others'."""
    passphrase = ask_new(f"New passphrase of {name}")
    founder = Founder(
        name, passphrase, Function(function) if function else None, officer, administrator
    )
    _change(config, acting, helpers, escrow, [Enrol(founder)])


@ceremony.command("leave")
@config_option
@two_option
@click.argument("person")
@click.option(
    "--successor", help="Somebody enrolled who takes every function they held, in the same change."
)
@with_option
@escrow_option
def leave(
    config: Path,
    acting: tuple[str, ...],
    person: str,
    successor: str | None,
    helpers: tuple[str, ...],
    escrow: bool,
) -> None:
    """A person leaves: every seat ends, and what they held gets a new key."""
    edits: list[Edit] = []
    with opened(config) as vault:
        form = vault.keyring.person(person)
        if successor is not None:
            standing = vault.keyring.holders(standing=True)
            for function, holders in vault.keyring.holders().items():
                if form.person in standing[function]:
                    edits.append(
                        Appoint(successor, Function(function), standing=form.person not in holders)
                    )
            if form.person in vault.keyring.body.signers:
                edits.append(NameSigner(successor, person))
    _change(config, acting, helpers, escrow, [*edits, Leave(person)])


@ceremony.command("appoint")
@config_option
@two_option
@click.argument("person")
@click.argument("function", type=FUNCTIONS)
@click.option(
    "--standing",
    is_flag=True,
    help="As standing substitute: keeps the key, split; no leave to act by itself.",
)
@with_option
@escrow_option
def appoint(
    config: Path,
    acting: tuple[str, ...],
    person: str,
    function: str,
    standing: bool,
    helpers: tuple[str, ...],
    escrow: bool,
) -> None:
    """A person takes a function."""
    _change(config, acting, helpers, escrow, [Appoint(person, Function(function), standing)])


@ceremony.command("dismiss")
@config_option
@two_option
@click.argument("person")
@click.argument("function", type=FUNCTIONS)
@with_option
@escrow_option
def dismiss(
    config: Path,
    acting: tuple[str, ...],
    person: str,
    function: str,
    helpers: tuple[str, ...],
    escrow: bool,
) -> None:
    """A person's seat in a function ends."""
    _change(config, acting, helpers, escrow, [Dismiss(person, Function(function))])


@ceremony.command("officer")
@config_option
@two_option
@click.argument("person")
@click.argument("code", required=False)
@with_option
@escrow_option
def set_officer(
    config: Path,
    acting: tuple[str, ...],
    person: str,
    code: str | None,
    helpers: tuple[str, ...],
    escrow: bool,
) -> None:
    """A person begins to wear a camera under a code, or ends (no code)."""
    _change(config, acting, helpers, escrow, [SetOfficer(person, code)])


@ceremony.command("passphrase")
@config_option
@as_option()
def passphrase(config: Path, acting: str) -> None:
    """Change one's own passphrase: the old one is asked, then the new one twice."""
    with opened(config) as vault:
        who = signed(vault, acting)
        keyholders.set_passphrase(vault, who, ask_new("New passphrase"), PassphraseCost())
    out.print(f"The passphrase of {who.actor.name} is changed.")


@ceremony.command("show")
@config_option
def show(config: Path) -> None:
    """The keyring's version and its signers, to be held against the paper of the ceremony."""
    with opened(config) as vault:
        out.print(f"Vault {vault.id}, keyring version {vault.keyring.version}, signed by")
        for line in keyholders.fingerprint_lines(vault.keyring):
            out.print(f"  {line}")


@ceremony.command("pin")
@config_option
@click.option("--yes", is_flag=True, help="The two lines were compared with the paper.")
def pin(config: Path, yes: bool) -> None:
    """Pin the two signers whom the keyring names (administrator, after a signer changed or where
    the pins are lost).
    """
    settings = load_vault_settings(config)
    demand_key_folder(settings.pins.parent)
    keyring = keyring_in(settings.root)
    pins = following_pins(settings, keyring)
    demand_compared(keyring, yes=yes)
    write_pins(settings, pins)
    out.print(f"Pinned, from version {pins.least_version} on.")
