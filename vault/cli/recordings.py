"""`vault list` and `vault open`."""

from pathlib import Path

import click
from rich.box import SIMPLE
from rich.table import Table

from vault.cli.acting import ask_codes, config_option, json_option, opened, reader_option, signed
from vault.cli.output import SHORT_ID, out, show_json
from vault.custody import search
from vault.custody.viewing.release import extract, open_recording
from vault.errors import VaultExists


@click.command("list")
@config_option
@reader_option
@click.option("--last", default=500, show_default=True, help="How many, counted from the newest.")
@json_option
def list_recordings(config: Path, acting: str, last: int, as_json: bool) -> None:
    """Show the recordings."""
    with opened(config) as vault:
        rows = search.newest(vault, signed(vault, acting).actor, last)
    if as_json:
        show_json(rows)
        return
    table = Table(box=SIMPLE, pad_edge=False, padding=0)
    for heading, width in LIST_COLUMNS.items():
        table.add_column(heading, width=None if heading == "pre-roll" else width, min_width=width)
    for row in rows:
        table.add_row(
            row.id[:SHORT_ID],
            row.name,
            _moment_text(row.triggered_utc),
            "not stated" if row.duration_ms is None else f"{row.duration_ms / 1000:.1f} s",
            _preroll_text(row),
            f"{row.size_bytes / 1e6:.1f} MB",
            "yes" if row.proven else "unproven",
            {"stored": "no", "erasing": "begun", "erased": "yes"}[row.state],
        )
    out.print(table)
    for row in rows:
        for finding in row.finding_list:
            out.print(f"{row.name}: {finding}", style="yellow")


LIST_COLUMNS = {
    "recording": 9,
    "camera's name": 14,
    "switched on (UTC)": 10,
    "length": 7,
    "pre-roll": 11,
    "size": 6,
    "sealed, read back": 8,
    "erased": 6,
}
"""Headings, and how narrow each may become: together they fit a terminal of 80 columns."""


def _moment_text(utc: str | None) -> str:
    return "not stated" if utc is None else utc[:19].replace("T", " ")


def _preroll_text(row: search.Recording) -> str:
    """What was measured in the footage itself, and why it is short where the camera
    says so (P15).
    """
    if row.preroll_ms is None:
        return "not stated"
    verdict = {"whole": "verified", "broken": "BROKEN", "not_stated": "not stated"}[row.wholeness]
    because = (
        f", {row.preroll_short_because.replace('_', ' ')}" if row.preroll_short_because else ""
    )
    return f"{row.preroll_ms / 1000:.1f} s{because}, {verdict}"


@click.command("open")
@config_option
@click.argument("recording")
@click.option(
    "-o",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    help="A new folder for the opened files.",
)
def open_files(config: Path, recording: str, folder: Path) -> None:
    """Open a recording to files with both escrow codes: for disaster only. The log tells of it
    first.
    """
    with opened(config) as vault:
        found = search.recording_called(vault, recording)
        first, second = (vault.keyring.unlock(holder, code) for holder, code in ask_codes().items())
        if folder.exists():
            raise VaultExists(f"{folder} exists.", hint="Name a folder that does not exist yet.")
        released = open_recording(vault, found, first, second, "vault open")
        folder.mkdir(parents=True, mode=0o700)
        for at, part in enumerate(released.record.files):
            extract(
                released,
                part,
                folder
                / ("manifest" if part.name == "manifest" else f"{at:04d}{Path(part.name).suffix}"),
            )
    out.print(
        f"{len(released.record.files)} files of {found} stand opened in {folder}. Remove them "
        f"when they are no longer needed."
    )
