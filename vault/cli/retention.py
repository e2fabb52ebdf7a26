"""`vault why`, `archive`, `delete`, `sweep`, `approve`, `due`, `clock`: how long
a recording stays.
"""

import time
from pathlib import Path

import click

from vault.cli.acting import (
    as_option,
    config_option,
    json_option,
    opened,
    reader_option,
    recordings_called,
    signed,
    signed_two,
    two_option,
)
from vault.cli.output import err, out, show_json, show_table
from vault.clock import SystemClock
from vault.custody.cases import archive
from vault.custody.retention import clock_confirmation, deletion, disposition, sweep
from vault.custody.search import recording_called
from vault.custody.witness import sign_head


@click.command("why")
@config_option
@reader_option
@json_option
@click.argument("recording")
def why(config: Path, acting: str, as_json: bool, recording: str) -> None:
    """When a recording will be deleted, and why, in one sentence."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        found = disposition.disposition(vault, by, recording_called(vault, recording))
    if as_json:
        show_json([found])
        return
    out.print(f"{found.nl} ({found.regime})")
    out.print(found.en, style="dim")


@click.command("archive")
@config_option
@as_option()
@click.argument("recording")
def archive_recording(config: Path, acting: str, recording: str) -> None:
    """Put a recording away from the working list. It lengthens nothing (Q9)."""
    with opened(config) as vault:
        archive(vault, signed(vault, acting).actor, recording_called(vault, recording))
    out.print("Archived. It falls due as before.")


@click.command("delete")
@config_option
@two_option
@click.argument("recording")
@click.option("--reason", required=True)
def delete(config: Path, acting: tuple[str, ...], recording: str, reason: str) -> None:
    """Delete a recording before its time: cluster manager and privacy officer together, never under
    hold (P26, Q8).
    """
    with opened(config) as vault:
        first, second = signed_two(vault, acting)
        found = recording_called(vault, recording)
        deletion.delete(vault, first.actor, second.actor, found, reason)
    out.print(f"{found} is destroyed. Its record of destruction stands in the log.")


@click.command("sweep")
@config_option
@click.option(
    "--head-elsewhere",
    is_flag=True,
    help="Leave it to `vault checkpoint` to sign the log's head after this.",
)
@json_option
def sweep_vault(config: Path, head_elsewhere: bool, as_json: bool) -> None:
    """Mark what falls due, destroy what is due. The hourly timer calls this."""
    with opened(config) as vault:
        swept = sweep.sweep(vault, SystemClock())
        if not head_elsewhere:
            sign_head(vault)
    if as_json:
        show_json([swept])
    out.print(
        f"{len(swept.marked)} marked, {len(swept.unmarked)} unmarked, {len(swept.destroyed)} "
        f"destroyed."
    )
    if swept.because:
        err.print(swept.because, style="yellow")
    if swept.awaiting:
        err.print(
            f"{len(swept.awaiting)} recordings wait for two persons: `vault approve`.",
            style="yellow",
        )


@click.command("approve")
@config_option
@two_option
@click.argument("recordings", nargs=-1, required=True)
def approve_sweep(config: Path, acting: tuple[str, ...], recordings: tuple[str, ...]) -> None:
    """Two persons have looked at what a sweep would destroy at once: exactly these may go (fault
    F4).
    """
    with opened(config) as vault:
        first, second = signed_two(vault, acting)
        sweep.approve(vault, first.actor, second.actor, recordings_called(vault, recordings))
    out.print("Approved for the next sweep.")


@click.command("due")
@config_option
@reader_option
@json_option
def soon_due(config: Path, acting: str, as_json: bool) -> None:
    """What falls due within seven days (Q2)."""
    with opened(config) as vault:
        rows = disposition.soon_due(vault, signed(vault, acting).actor)
    if as_json:
        show_json({"recording": recording, "due": due} for due, recording in rows)
        return
    table = [
        (recording[:8], f"{due.astimezone(disposition.ZONE):%Y-%m-%d %H:%M}")
        for due, recording in rows
    ]
    show_table(("recording", "falls due"), table, "Nothing falls due within seven days.")


@click.group()
def clock() -> None:
    """Whether the clock can be believed enough to delete by it."""


@clock.command("show")
@config_option
def clock_show(config: Path) -> None:
    """What the clock guard thinks."""
    with opened(config) as vault:
        trust = clock_confirmation.look_at_clock(vault, SystemClock())
    out.print(trust.because)
    out.print(f"The vault ran {trust.seen.running_s / 3600:.1f} hours by the monotonic clock.")


@clock.command("confirm")
@config_option
@two_option
def clock_confirm(config: Path, acting: tuple[str, ...]) -> None:
    """Two persons compared this machine's clock with another and found it right."""
    out.print(f"This machine says it is {time.strftime('%Y-%m-%d %H:%M:%S %Z')}.")
    with opened(config) as vault:
        first, second = signed_two(vault, acting)
        clock_confirmation.confirm_clock(vault, SystemClock(), first.actor, second.actor)
    out.print("Confirmed.")
