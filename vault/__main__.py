"""The vault's command line."""

import json
import os
import secrets
import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from vault import cameras, catalogue
from vault.ceremony import Founders
from vault.clock import SystemClock
from vault.config import VaultSettings, load_vault_settings
from vault.confirmation import confirm, unconfirmed_since
from vault.durable import make_folder, write_new
from vault.errors import ConfigurationError, Failure, UnknownRecording, VaultExists
from vault.founding import found
from vault.keys import PassphraseCost, Unwrapper
from vault.lock import IntakeLock
from vault.migration import migrate
from vault.policy import ESCROW_HOLDERS, FUNCTION_NAMES_NL, PAIRS, Function
from vault.rebuild import rebuild
from vault.release import extract, open_recording
from vault.vault import Vault
from vault.verify import total_bytes, verify

DEFAULT_CONFIG = "/etc/dock-vault/vault.toml"
_PASSPHRASE_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_TEMPLATE = """\
# The vault. Relative paths are taken from this file's folder. An unknown key is refused.
root = {root}
pins = {pins}
"""

out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False)

config_option = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="DOCK_VAULT_CONFIG",
    default=DEFAULT_CONFIG,
    show_default=True,
    help="The vault's settings file.",
)


@click.group()
def commands() -> None:
    """Keeps the recordings of body cameras: sealed, proven, under four eyes."""


@commands.command()
@config_option
@click.option("--root", type=click.Path(path_type=Path), help="Also write the settings file, for a vault in this folder.")
@click.option("--demo", is_flag=True, help="Make up the passphrases and print them once. Never for real recordings.")
def init(config: Path, root: Path | None, demo: bool) -> None:
    """Make a new vault and its keyring."""
    if root is not None:
        _write_settings(config, root)
    settings = load_vault_settings(config)
    passphrases = _demo_passphrases() if demo else _asked_passphrases()
    vault_id = found(settings, SystemClock(), Founders.by_function(passphrases), PassphraseCost())
    out.print(f"The vault {vault_id} stands in {settings.root}.")
    out.print(f"Its keyring is pinned in {settings.pins}: keep a copy of that file on paper.")
    if demo:
        _print_passphrases(passphrases)


def _write_settings(config: Path, root: Path) -> None:
    if config.exists():
        raise VaultExists(f"{config} exists.", hint="Leave out --root to use it, or name another file.")
    make_folder(config.resolve().parent)
    pins = config.resolve().parent / "pins.json"
    content = _TEMPLATE.format(root=json.dumps(str(root.resolve())), pins=json.dumps(str(pins)))
    write_new(config.parent / f".{config.name}.part", config, content.encode())


def _demo_passphrases() -> dict[str, str]:
    def made_up() -> str:
        return "-".join("".join(secrets.choice(_PASSPHRASE_ALPHABET) for _ in range(5)) for _ in range(4))

    return {receiver: made_up() for receiver in (*Function, *ESCROW_HOLDERS)}


def _asked_passphrases() -> dict[str, str]:
    err.print("Each holder types a passphrase of at least 12 characters, unseen by the others. Nobody can recover a lost one.")
    asked = {}
    for receiver in (*Function, *ESCROW_HOLDERS):
        asked[str(receiver)] = click.prompt(f"Passphrase of {_described(receiver)}", hide_input=True, confirmation_prompt=True)
    return asked


def _described(receiver: str) -> str:
    names = {str(function): name for function, name in FUNCTION_NAMES_NL.items()}
    return f"{receiver} ({names.get(receiver, 'escrow half')})"


def _print_passphrases(passphrases: dict[str, str]) -> None:
    table = Table("function", "", "passphrase", title="Demonstration passphrases, shown this once")
    for receiver, passphrase in passphrases.items():
        table.add_row(str(receiver), _described(receiver).partition(" ")[2].strip("()"), passphrase)
    out.print(table)


@commands.group()
def camera() -> None:
    """Register and remove cameras (boa-coördinator, P25)."""


@camera.command("add")
@config_option
@click.argument("serial")
@click.option("--public-key", "public_key", default="", help="The camera's public key in base64, as its device.json shows it.")
@click.option("--card", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Take the key from this card.")
@click.option("--dcim", is_flag=True, help="A camera that signs nothing; its serial is its volume's name.")
@click.option("--model", default="", help="For people: make and model.")
def camera_add(config: Path, serial: str, public_key: str, card: Path | None, dcim: bool, model: str) -> None:
    """Register a camera. Its recordings are taken in from the next docking on."""
    if card is not None:
        public_key, model = _card_key(card, serial, model)
    if dcim == bool(public_key):
        raise click.UsageError("Give either the camera's public key (--public-key or --card), or --dcim.")
    with _opened(config) as vault, vault.writing() as tx:
        added = cameras.register(tx, vault.log, vault.clock, (serial, public_key, model), "vault camera add")
    out.print(f"The camera {added.serial} is registered ({added.kind}).")


def _card_key(card: Path, serial: str, model: str) -> tuple[str, str]:
    """Key and model from a card that the coordinator holds in the hand."""
    try:
        device = json.loads((card / "DEVICE" / "device.json").read_bytes()[:65536])
        found = (str(device["public_key"]), model or str(device["model"]))
        stated = device["serial"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{card} shows no camera: {error}.", hint="Name the card's folder, or give --public-key."
        ) from error
    if stated != serial:
        raise ConfigurationError(f"The card is of camera {stated}, not {serial}.", hint="Take the right card.")
    return found


@camera.command("remove")
@config_option
@click.argument("serial")
def camera_remove(config: Path, serial: str) -> None:
    """End a camera's registration. Its recordings stay in the vault."""
    with _opened(config) as vault, vault.writing() as tx:
        cameras.remove(tx, vault.log, vault.clock, serial, "vault camera remove")
    out.print(f"The camera {serial} is no longer registered.")


@camera.command("list")
@config_option
def camera_list(config: Path) -> None:
    """Show the cameras, the removed ones too."""
    with _opened(config) as vault, vault.reading() as tx:
        rows = catalogue.all_cameras(tx)
    table = Table("camera", "kind", "model", "registered", "removed")
    for row in rows:
        table.add_row(row.serial, row.kind, row.model, row.added_utc, row.removed_utc or "")
    out.print(table)


@commands.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object a line.")
def list_recordings(config: Path, as_json: bool) -> None:
    """Show the recordings."""
    with _opened(config) as vault, vault.reading() as tx:
        rows = catalogue.all_recordings(tx)
    if as_json:
        for row in rows:
            click.echo(json.dumps(asdict(row), ensure_ascii=False))
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

SHORT_ID = 8
"""How much of a recording's id a table shows; every command takes any unambiguous start of it."""


def _moment_text(utc: str | None) -> str:
    return "not stated" if utc is None else utc[:19].replace("T", " ")


def _preroll_text(row: catalogue.RecordingRow) -> str:
    """What was measured in the footage itself, and why it is short where the camera says so (P15)."""
    if row.preroll_ms is None:
        return "not stated"
    verdict = {"whole": "verified", "broken": "BROKEN", "not_stated": "not stated"}[row.wholeness]
    because = f", {row.preroll_short_because.replace('_', ' ')}" if row.preroll_short_because else ""
    return f"{row.preroll_ms / 1000:.1f} s{because}, {verdict}"


def _recording_id(vault: Vault, start: str) -> str:
    """The one recording whose id starts so. Raises UnknownRecording."""
    with vault.reading() as tx:
        found = catalogue.recordings_starting(tx, start.lower()) if start else []
    if len(found) != 1:
        raise UnknownRecording(f"{len(found)} recordings have an id that starts with {start!r}.")
    return found[0]


@commands.command("verify")
@config_option
def verify_vault(config: Path) -> None:
    """Check every sealed file, row and log entry. Changes nothing."""
    with _opened(config) as vault, _Bar(total_bytes(vault)) as (progress, task):
        verdict = verify(vault, lambda count: progress.advance(task, count))
        waiting = unconfirmed_since(vault)
    for finding in verdict.findings:
        err.print(f"{finding.sentence} [{finding.code}]", style="red")
    if waiting:
        err.print(f"The catalogue was rebuilt on {waiting}; two persons must confirm it: `vault confirm`.", style="yellow")
    summary = (
        f"{verdict.recordings} recordings, {verdict.files} sealed files, {verdict.sealed_bytes / 1e6:.1f} MB, "
        f"{verdict.log_entries} log entries"
    )
    if verdict.findings:
        err.print(f"{len(verdict.findings)} findings in {summary}.", style="bold red")
        sys.exit(1)
    out.print(f"All is well: {summary}.")


class _Bar:
    """A progress bar over bytes; silent where nobody watches."""

    def __init__(self, total: int) -> None:
        columns = (TextColumn("verify"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._total = total

    def __enter__(self) -> tuple[Progress, TaskID]:
        self._progress.start()
        return self._progress, self._progress.add_task("verify", total=self._total)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


@commands.command("rebuild")
@config_option
def rebuild_catalogue(config: Path) -> None:
    """Make the catalogue anew from the folders and the register of the log."""
    settings = load_vault_settings(config)
    with IntakeLock(settings.root):
        rebuilt = rebuild(settings, SystemClock())
    out.print(f"The catalogue stands again: {rebuilt.recordings} recordings, {rebuilt.log_entries} log entries.")
    if rebuilt.unproven:
        out.print(
            f"{rebuilt.unproven} of them are unproven: the log does not say that they were stored as they stand.", style="yellow"
        )
    for folder in rebuilt.damaged:
        err.print(f"{folder} has no readable record.json; it was left as it is.", style="red")
    out.print("Nothing is erased on a camera until two persons have run `vault confirm`.")


@commands.command("confirm")
@config_option
@click.option("--as", "receivers", multiple=True, required=True, help="One of the two functions; give it twice.")
def confirm_catalogue(config: Path, receivers: tuple[str, ...]) -> None:
    """Two persons confirm the recordings after a rebuild."""
    with _opened(config) as vault:
        first, second = _unlocked_pair(vault, receivers)
        confirm(vault, first, second)
    out.print("Confirmed.")


@commands.command("open")
@config_option
@click.argument("recording")
@click.option("--as", "receivers", multiple=True, required=True, help="One of the two receivers; give it twice.")
@click.option("-o", "folder", type=click.Path(path_type=Path), required=True, help="A new folder for the opened files.")
def open_files(config: Path, recording: str, receivers: tuple[str, ...], folder: Path) -> None:
    """Open a recording to files: for tests and disaster only. The log tells of it first."""
    with _opened(config) as vault:
        recording_id = _recording_id(vault, recording)
        first, second = _unlocked_pair(vault, receivers)
        if folder.exists():
            raise VaultExists(f"{folder} exists.", hint="Name a folder that does not exist yet.")
        opened = open_recording(vault, recording_id, first, second, "vault open")
        folder.mkdir(parents=True, mode=0o700)
        for at, part in enumerate(opened.record.files):
            extract(opened, part, folder / ("manifest" if part.name == "manifest" else f"{at:04d}{Path(part.name).suffix}"))
    out.print(
        f"{len(opened.record.files)} files of {recording_id} stand opened in {folder}. "
        "Remove them when they are no longer needed."
    )


def _unlocked_pair(vault: Vault, receivers: tuple[str, ...]) -> tuple[Unwrapper, Unwrapper]:
    if len(receivers) != 2:
        names = ", ".join(pair.name for pair in PAIRS)
        raise click.UsageError(f"Give --as twice. The pairs are {names}.")
    first, second = (
        vault.keyring.unlock(receiver, click.prompt(f"Passphrase of {_described(receiver)}", hide_input=True, err=True))
        for receiver in receivers
    )
    return first, second


@commands.command("migrate")
@config_option
def migrate_catalogue(config: Path) -> None:
    """Bring the catalogue to this program's schema."""
    settings = load_vault_settings(config)
    with IntakeLock(settings.root):
        migrate(settings.root / "catalogue.db")
    out.print("The catalogue has this program's schema.")


def _opened(config: Path) -> Vault:
    settings: VaultSettings = load_vault_settings(config)
    return Vault.open(settings, SystemClock())


def main() -> None:
    os.umask(0o077)
    try:
        commands()
    except Failure as failure:
        err.print(failure.sentence, style="red")
        err.print(f"{failure.hint} [{failure.code}]")
        sys.exit(failure.reaction.value)


if __name__ == "__main__":
    main()
