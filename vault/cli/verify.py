"""`vault verify`: that everything stands as it was stored."""

import sys
from pathlib import Path

import click
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from vault.cli.acting import NOTE_LIMIT_BYTES, config_option, opened
from vault.cli.terminal import err, out
from vault.custody.retention.confirmation import unconfirmed_since
from vault.custody.witness import log_key, read_witnessed
from vault.log.checkpoints import Checkpoint, parse_checkpoint, verify_since
from vault.log.signed_note import LogVerifier
from vault.operations.verify import Verdict, daily_part, total_bytes, verify, verify_daily
from vault.storage.small_files import read_small
from vault.vault import Vault


@click.command("verify")
@config_option
@click.option(
    "--since",
    "notes",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A checkpoint as the witness has it: the log is held against it. May be given again.",
)
@click.option(
    "--key", help="The log's public key, from the paper; else that of the configured credential."
)
@click.option(
    "--daily",
    is_flag=True,
    help="Read one 28th of the recordings, another one each day; all of the log. The log then says "
    "how it went.",
)
def verify_vault(config: Path, notes: tuple[Path, ...], key: str | None, daily: bool) -> None:
    """Check every sealed file, row and log entry; with --since the log against what a witness
    holds.

    Changes nothing; the daily check alone enters into the log how it went.
    """
    with opened(config) as vault:
        known = _witnessed(vault, notes, key)
        altered = verify_since(known, vault.leaves()) if known else []
        verdict = _verified(vault, [one.code for one in altered], daily=daily)
        waiting = unconfirmed_since(vault)
    told = [(one.sentence, one.code) for one in verdict.findings]
    for sentence, code in [*told, *((one.sentence, one.code) for one in altered)]:
        err.print(f"{sentence} [{code}]", style="red")
    if waiting:
        err.print(
            f"The catalogue was rebuilt on {waiting}; two persons must confirm it: `vault "
            f"confirm`.",
            style="yellow",
        )
    _conclude(verdict, len(verdict.findings) + len(altered), known)


def _verified(vault: Vault, altered: list[str], *, daily: bool) -> Verdict:
    """All of the vault, or the part of the day, with a bar of how far it is."""
    wanted = daily_part(vault) if daily else (lambda _: True)
    with _Bar(total_bytes(vault, wanted)) as (progress, task):

        def advance(count: int) -> None:
            progress.advance(task, count)

        return verify_daily(vault, advance, altered) if daily else verify(vault, advance)


def _conclude(verdict: Verdict, count: int, known: list[Checkpoint]) -> None:
    summary = (
        f"{verdict.recordings} recordings, {verdict.files} sealed files, "
        f"{verdict.sealed_bytes / 1e6:.1f} MB, "
        f"{verdict.log_entries} log entries"
    )
    if count:
        err.print(f"{count} findings in {summary}.", style="bold red")
        sys.exit(1)
    if known:
        newest = max(checkpoint.size for checkpoint in known)
        out.print(f"The log goes on from every checkpoint given, the newest over {newest} entries.")
    out.print(f"All is well: {summary}.")


def _witnessed(vault: Vault, notes: tuple[Path, ...], key: str | None) -> list[Checkpoint]:
    """The checkpoints as the witness has them, under the key that was given, or the log's own."""
    if not notes:
        return []
    verifier = LogVerifier.read(key) if key else log_key(vault).verifier
    contents = (read_small(path, NOTE_LIMIT_BYTES) for path in notes)
    return [parse_checkpoint(read_witnessed(content)[0], verifier) for content in contents]


class _Bar:
    """A progress bar over bytes; silent where nobody watches."""

    def __init__(self, total: int) -> None:
        columns = (
            TextColumn("verify"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(
            *columns, console=err, transient=True, disable=not err.is_terminal
        )
        self._total = total

    def __enter__(self) -> tuple[Progress, TaskID]:
        self._progress.start()
        return self._progress, self._progress.add_task("verify", total=self._total)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
