"""`vault web`: the back office."""

import json
from pathlib import Path

import click

from vault.cli.acting import DEMO_NAME, config_option, opened
from vault.cli.output import out
from vault.clock import SystemClock
from vault.config import load_vault_settings
from vault.errors import Reaction, VaultError
from vault.operations.founding import discard_unfinished
from vault.storage.small_files import read_small
from vault.web.server import hold_ceremony, serve


class CeremonyBroken(VaultError):
    """The first start stopped between the vault and its papers."""

    code = "web.ceremony_broken"
    reaction = Reaction.ALARM
    hint = "Hold the ceremony again: what was made is removed then, and no recording is in it yet."


@click.command("web")
@config_option
@click.option("--ceremony", is_flag=True, help="Hold the key ceremony and end with it.")
@click.option(
    "--demo",
    is_flag=True,
    help="Show the demonstration persons and their passphrases at the sign-in.",
)
def web(config: Path, ceremony: bool, demo: bool) -> None:
    """Serve the back office until it is told to stop. Where, the settings say (`[web]`).

    While there is no vault yet, it is the key ceremony that is served.
    """
    settings = load_vault_settings(config)
    if discard_unfinished(settings):
        out.print(
            "A ceremony ended before its two escrow papers were printed. What it made is "
            "removed; it has to be held again."
        )
    if not (settings.root / "vault.json").exists():
        out.print(
            f"There is no vault in {settings.root} yet: the key ceremony is at "
            f"{settings.web.origin}"
        )
        held = hold_ceremony(
            settings, SystemClock(), lambda word: out.print(f"The word that lets it begin: {word}")
        )
        if held.facts and not held.finished:
            raise CeremonyBroken(
                "The vault was made, and its two escrow papers were not printed: nobody has "
                "them any more."
            )
        if not held.finished:
            return
    if ceremony:
        return
    shown = None
    if demo:
        shown = json.loads(read_small(settings.root.parent / DEMO_NAME, 65536))
    with opened(config) as vault:
        out.print(f"The back office is at {vault.settings.web.origin}")
        serve(vault, SystemClock(), shown)
