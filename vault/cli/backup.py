"""`vault backup`, `restore`, `drill`: that it can be had back."""

import random
import sys
from pathlib import Path

import click

from vault.cli.acting import (
    NOTE_LIMIT_BYTES,
    ask_codes,
    config_option,
    demand_compared,
    demand_key_folder,
    opened,
)
from vault.cli.output import err, out
from vault.clock import SystemClock
from vault.config import load_vault_settings
from vault.custody.witness import read_witnessed
from vault.errors import Reaction
from vault.log.keys_outside import keyring_in
from vault.operations import backup
from vault.operations.drill import drill
from vault.operations.restore import restore as restore_vault
from vault.storage.durable import make_folder
from vault.storage.locks import IntakeLock
from vault.storage.small_files import read_small
from vault.vault import Vault


@click.command("drill")
@config_option
def run_drill(config: Path) -> None:
    """Open a random recording with both escrow codes, in memory, and write down how it went. Twice
    a year.
    """
    with opened(config) as vault:
        _drill(vault, ask_codes())


def _drill(vault: Vault, codes: dict[str, str]) -> None:
    drilled = drill(vault, codes, random.SystemRandom())
    out.print(
        f"{drilled.recording} opened with the escrow alone: "
        f"{drilled.files} files, {drilled.plain_bytes / 1e6:.1f} MB, every digest right."
    )


@click.command("backup")
@config_option
@click.option("--to", "target", type=click.Path(file_okay=False, path_type=Path), required=True)
def back_up(config: Path, target: Path) -> None:
    """Bring a backup up to date; what the vault destroyed is destroyed there first."""
    with opened(config) as vault:
        done = backup.back_up(vault, target, lambda _: None)
    out.print(
        f"{done.copied} recordings copied, {done.kept} stood already, {done.destroyed} "
        f"destroyed; {done.files} files written."
    )
    if done.mended:
        err.print(
            f"{done.mended} of them stood there and could not be read any more: the medium is "
            f"failing.",
            style="yellow",
        )
    for recording in done.unknown:
        err.print(
            f"{recording} stands in the backup alone, and nothing tells of its destruction. "
            f"It is kept.",
            style="red",
        )
    for recording, sentence in done.failed.items():
        err.print(f"{recording} could not be copied: {sentence}", style="red")
    if not done.whole:
        err.print(
            "Run `vault verify`. What is damaged here is fetched from the backup: the page "
            "Restore of the documentation."
        )
        sys.exit(Reaction.ALARM.value)


@click.command("restore")
@config_option
@click.option(
    "--from",
    "source",
    # Whether it can be read is seen by reading: root's `vault restore` reads with a right that
    # access(2) does not count.
    type=click.Path(exists=True, file_okay=False, readable=False, path_type=Path),
    required=True,
    help="The backup: the folder with vault.json.",
)
@click.option(
    "--witnessed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A note of the witness.",
)
@click.option("--yes", is_flag=True, help="The two lines were compared with the paper.")
@click.option(
    "--without-escrow",
    is_flag=True,
    help="The two codes are not here: nothing is opened to see whether it opens.",
)
def restore(
    config: Path, source: Path, witnessed: tuple[Path, ...], yes: bool, without_escrow: bool
) -> None:
    """Make the vault anew from a backup. What a tombstone or the witness names stays destroyed.

    On a new machine the two signers are compared with the paper of the ceremony and pinned. Both
    escrow codes are asked before anything is copied; at the end they open one recording, in memory.
    A lost log key gets a successor: its public half is shown. A restore that was cut off goes on
    when it is begun again.
    """
    settings = load_vault_settings(config)
    gone: set[str] = set()
    for path in witnessed:
        gone |= read_witnessed(read_small(path, NOTE_LIMIT_BYTES))[1]
    keyring = keyring_in(source)
    for outside in (settings.pins, settings.log_key_path):
        if not outside.exists():
            demand_key_folder(outside.parent)
    pins = None
    if not settings.pins.exists():
        demand_compared(keyring, yes=yes)
        pins = keyring.next_pins()
    codes = {} if without_escrow else ask_codes()
    for holder, code in codes.items():
        keyring.unlock(holder, code)
    make_folder(settings.root)
    with IntakeLock(settings.root):
        done = restore_vault(settings, source, SystemClock(), gone, lambda _: None, pins)
    out.print(
        f"{done.rebuilt.recordings} recordings stand again, {done.rebuilt.log_entries} log entries."
    )
    if done.left_out:
        out.print(f"{len(done.left_out)} were left out: they were destroyed.")
    for recording, sentence in done.lost.items():
        err.print(f"{recording} is not restored: {sentence}", style="red")
    if done.rebuilt.unproven:
        out.print(
            f"{done.rebuilt.unproven} are unproven: the log has no entry that they were stored so.",
            style="yellow",
        )
    if done.log_key is not None:
        out.print(
            "The log's key was lost with the old machine. The new one's public key, for the "
            "witness and the paper:"
        )
        out.print(done.log_key, soft_wrap=True)
    if codes and done.rebuilt.recordings:
        with opened(config) as vault:
            _drill(vault, codes)
    out.print(
        "Nothing is erased or expires until two persons have run `vault confirm`, and then "
        "`vault clock confirm`."
    )
    if done.lost:
        err.print(
            f"{len(done.lost)} recordings are not restored: this medium has lost them. Fetch "
            f"them from another one."
        )
        sys.exit(Reaction.ALARM.value)
