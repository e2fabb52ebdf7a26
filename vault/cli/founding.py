"""`vault init`: the key ceremony on a terminal."""

import json
import secrets
import sys
from pathlib import Path

import click
from rich.table import Table

from vault.cli.acting import DEMO_NAME, ask, ask_new, config_option, opened
from vault.cli.output import err, out
from vault.clock import SystemClock, utc_text
from vault.config import load_vault_settings
from vault.crypto.escrow_code import new_code, paper
from vault.crypto.passphrase import PassphraseCost
from vault.custody.witness import log_key
from vault.errors import VaultExists
from vault.keyring.first import Founders
from vault.keyring.seats import Founder
from vault.operations.founding import found
from vault.rules.roles import ESCROW_HOLDERS, FUNCTION_NAMES_NL, Function
from vault.storage.durable import make_folder, remove_file, replace_new, write_new

_PASSPHRASE_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_TEMPLATE = """\
# The vault. Relative paths are taken from this file's folder. An unknown key is refused.
root = {root}
pins = {pins}
"""


@click.command()
@config_option
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    help="Also write the settings file, for a vault in this folder.",
)
@click.option(
    "--papers",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the two escrow papers into this folder.",
)
@click.option(
    "--demo",
    is_flag=True,
    help="Make up persons and passphrases, and print them once. Never for real recordings.",
)
def init(config: Path, root: Path | None, papers: Path | None, demo: bool) -> None:
    """The key ceremony: a new vault, its first keyring, the escrow's two papers, the log's key."""
    if root is not None:
        _write_settings(config, root)
    settings = load_vault_settings(config)
    if papers is not None:
        _demand_place(papers)
    founders = _demo_founders() if demo else _asked_founders()
    vault_id = found(settings, SystemClock(), founders, PassphraseCost())
    out.print(f"The vault {vault_id} stands in {settings.root}.")
    out.print(f"Its keyring is pinned in {settings.pins}: keep a copy of that file on paper.")
    with opened(config) as vault:
        out.print(
            f"The log's public key, for the witness and the paper: "
            f"{log_key(vault).verifier.text()}",
            soft_wrap=True,
        )
    if demo:
        _print_demo(founders)
        secret = {founder.name: founder.passphrase for founder in founders.persons} | dict(
            founders.escrow
        )
        write_new(
            config.parent / f".{DEMO_NAME}.part",
            config.parent / DEMO_NAME,
            json.dumps(secret).encode(),
        )
        return
    for holder, code in founders.escrow.items():
        page = paper(holder, vault_id, utc_text(SystemClock().now()), code)
        if papers is None:
            click.echo(f"\n{page}")
        else:
            replace_new(papers / f".{holder}.part", papers / f"{holder}.txt", page.encode())
    if papers is not None:
        out.print(f"Print {papers}, hand each holder theirs, and destroy the files.")


def _demand_place(papers: Path) -> None:
    """That both papers can be written, before there is a vault whose codes they hold. Raises
    VaultExists, StorageFailed.
    """
    make_folder(papers)
    for holder in ESCROW_HOLDERS:
        if (papers / f"{holder}.txt").exists():
            raise VaultExists(
                f"{papers} holds a paper of {holder}.", hint="Name a new or empty folder."
            )
    # A memory stick with vfat knows no links: what is tried is what will be done.
    replace_new(papers / ".trial.part", papers / ".trial", b"")
    remove_file(papers / ".trial")


def _write_settings(config: Path, root: Path) -> None:
    if config.exists():
        raise VaultExists(
            f"{config} exists.", hint="Leave out --root to use it, or name another file."
        )
    make_folder(config.resolve().parent)
    pins = config.resolve().parent / "pins.json"
    content = _TEMPLATE.format(root=json.dumps(str(root.resolve())), pins=json.dumps(str(pins)))
    write_new(config.parent / f".{config.name}.part", config, content.encode())


def _demo_founders() -> Founders:
    def made_up() -> str:
        return "-".join(
            "".join(secrets.choice(_PASSPHRASE_ALPHABET) for _ in range(5)) for _ in range(4)
        )

    persons = tuple(Founder(str(function), made_up(), function) for function in Function)
    officers = tuple(
        Founder(f"Officer {code[-2:]}", made_up(), officer=code) for code in ("boa-42", "boa-43")
    )
    administrator = Founder("TB", made_up(), administrator=True)
    return Founders(
        (*persons, *officers, administrator), {holder: new_code() for holder in ESCROW_HOLDERS}
    )


def _asked_founders() -> Founders:
    err.print(
        "Each holder types a passphrase of at least 12 characters, unseen by the others. "
        "Nobody can recover a lost one."
    )
    persons: list[Founder] = []
    for function in Function:
        name = _asked_name(f"Name of the {FUNCTION_NAMES_NL[function]}")
        officer = _asked_name(
            f"Code under which a camera names {name}, if they wear one (empty: none)", empty=True
        )
        persons.append(
            Founder(
                name,
                ask_new(f"Passphrase of {name}", [one.passphrase for one in persons]),
                function,
                officer or None,
            )
        )
    return Founders(tuple(persons), {holder: new_code() for holder in ESCROW_HOLDERS})


def _asked_name(prompt: str, *, empty: bool = False) -> str:
    if sys.stdin.isatty():
        return str(
            click.prompt(prompt, err=True, default="" if empty else None, show_default=False)
        ).strip()
    return ask(prompt).strip()


def _print_demo(founders: Founders) -> None:
    table = Table(
        "person", "function", "passphrase", title="Demonstration passphrases, shown this once"
    )
    for founder in founders.persons:
        function = (
            FUNCTION_NAMES_NL[founder.function] if founder.function else "technisch beheerder"
        )
        if founder.officer:
            function = f"medewerker, {founder.officer}"
        table.add_row(founder.name, function, founder.passphrase)
    for holder, code in founders.escrow.items():
        table.add_row(holder, "escrow half", code)
    out.print(table)
