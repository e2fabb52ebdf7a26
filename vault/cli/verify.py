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
from vault.cli.output import err, out
from vault.custody.retention.confirmation import unconfirmed_since
from vault.custody.witness import log_key, read_witnessed
from vault.log.checkpoints import Checkpoint, parse_checkpoint, verify_since
from vault.log.signed_note import LogVerifier
from vault.operations.verify import daily_part, total_bytes, verify, verify_daily
from vault.storage.small_files import read_small


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
        verifier = LogVerifier.read(key) if key else log_key(vault).verifier if notes else None
        known = [_witnessed(path, verifier) for path in notes] if verifier else []
        altered = verify_since(known, vault.leaves()) if known else []
        wanted = daily_part(vault) if daily else (lambda _: True)
        with _Bar(total_bytes(vault, wanted)) as (progress, task):

            def advance(count: int) -> None:
                progress.advance(task, count)

            verdict = (
                verify_daily(vault, advance, [one.code for one in altered])
                if daily
                else verify(vault, advance)
            )
        waiting = unconfirmed_since(vault)
    for finding in verdict.findings:
        err.print(f"{finding.sentence} [{finding.code}]", style="red")
    for discrepancy in altered:
        err.print(f"{discrepancy.sentence} [{discrepancy.code}]", style="red")
    if waiting:
        err.print(
            f"The catalogue was rebuilt on {waiting}; two persons must confirm it: `vault "
            f"confirm`.",
            style="yellow",
        )
    summary = (
        f"{verdict.recordings} recordings, {verdict.files} sealed files, "
        f"{verdict.sealed_bytes / 1e6:.1f} MB, "
        f"{verdict.log_entries} log entries"
    )
    count = len(verdict.findings) + len(altered)
    if count:
        err.print(f"{count} findings in {summary}.", style="bold red")
        sys.exit(1)
    if known:
        newest = max(checkpoint.size for checkpoint in known)
        out.print(f"The log goes on from every checkpoint given, the newest over {newest} entries.")
    out.print(f"All is well: {summary}.")


def _witnessed(path: Path, verifier: LogVerifier) -> Checkpoint:
    return parse_checkpoint(read_witnessed(read_small(path, NOTE_LIMIT_BYTES))[0], verifier)


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
