"""`vault rebuild`, `confirm`, `migrate`: the catalogue made anew or brought up to date."""

from pathlib import Path

import click

from vault.catalogue.migration import upgrade
from vault.cli.acting import config_option, opened, signed_two, two_option
from vault.cli.output import err, out
from vault.clock import SystemClock
from vault.config import load_vault_settings
from vault.custody.retention.confirmation import confirm
from vault.operations.rebuild import rebuild
from vault.storage.locks import IntakeLock


@click.command("rebuild")
@config_option
def rebuild_catalogue(config: Path) -> None:
    """Make the catalogue anew from the folders and the register of the log."""
    settings = load_vault_settings(config)
    with IntakeLock(settings.root):
        rebuilt = rebuild(settings, SystemClock())
    out.print(
        f"The catalogue stands again: {rebuilt.recordings} recordings, {rebuilt.log_entries} "
        f"log entries."
    )
    if rebuilt.unproven:
        out.print(
            f"{rebuilt.unproven} of them are unproven: the log does not say that they were "
            f"stored as they stand.",
            style="yellow",
        )
    for folder in rebuilt.damaged:
        err.print(f"{folder} has no readable record.json; it was left as it is.", style="red")
    out.print("Nothing is erased on a camera until two persons have run `vault confirm`.")


@click.command("confirm")
@config_option
@two_option
def confirm_catalogue(config: Path, acting: tuple[str, ...]) -> None:
    """Two persons confirm the recordings and the holds after a rebuild or a restore."""
    with opened(config) as vault:
        first, second = signed_two(vault, acting)
        confirm(vault, first.actor, second.actor)
    out.print("Confirmed.")


@click.command("migrate")
@config_option
def migrate_catalogue(config: Path) -> None:
    """Bring the catalogue to this program's schema."""
    settings = load_vault_settings(config)
    with IntakeLock(settings.root):
        kept = upgrade(settings.catalogue_url, settings.root / "register")
    out.print(
        "The catalogue has this program's schema."
        + (f" As it was before, it stands in {kept}." if kept else "")
    )
