"""`vault init`, `camera`, `list`, `verify`, `rebuild`, `confirm`, `open`, `migrate`: the ground that custody stands on."""

import json
import secrets
import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.box import SIMPLE
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from vault import cameras, catalogue
from vault.ceremony import Founder, Founders
from vault.checkpoint import Checkpoint, LogVerifier, parse_checkpoint, verify_since
from vault.cli.base import (
    SHORT_ID,
    as_option,
    ask,
    ask_codes,
    ask_new,
    config_option,
    err,
    json_option,
    local,
    opened,
    out,
    recording_id,
    show_json,
    show_table,
    signed,
    signed_two,
    two_option,
)
from vault.clock import SystemClock, utc_text
from vault.config import load_vault_settings
from vault.confirmation import confirm, unconfirmed_since
from vault.durable import make_folder, remove_file, replace_new, write_new
from vault.errors import ConfigurationError, VaultExists
from vault.escrow import new_code, paper
from vault.founding import found
from vault.keys import PassphraseCost
from vault.lock import IntakeLock
from vault.migration import upgrade
from vault.policy import ESCROW_HOLDERS, FUNCTION_NAMES_NL, Action, Function, demand
from vault.rebuild import rebuild
from vault.release import extract, open_recording
from vault.store import read_small
from vault.verify import due_days, is_due, total_bytes, verify, verify_daily
from vault.witness import log_key, read_witnessed

DEMO_NAME = "demo-passphrases.json"
NOTE_LIMIT_BYTES = 64 << 20
_PASSPHRASE_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_TEMPLATE = """\
# The vault. Relative paths are taken from this file's folder. An unknown key is refused.
root = {root}
pins = {pins}
"""


@click.command()
@config_option
@click.option("--root", type=click.Path(path_type=Path), help="Also write the settings file, for a vault in this folder.")
@click.option("--papers", type=click.Path(file_okay=False, path_type=Path), help="Write the two escrow papers into this folder.")
@click.option("--demo", is_flag=True, help="Make up persons and passphrases, and print them once. Never for real recordings.")
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
        out.print(f"The log's public key, for the witness and the paper: {log_key(vault).verifier.text()}", soft_wrap=True)
    if demo:
        _print_demo(founders)
        secret = {founder.name: founder.passphrase for founder in founders.persons} | dict(founders.escrow)
        write_new(config.parent / f".{DEMO_NAME}.part", config.parent / DEMO_NAME, json.dumps(secret).encode())
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
    """That both papers can be written, before there is a vault whose codes they hold. Raises VaultExists, StorageFailed."""
    make_folder(papers)
    for holder in ESCROW_HOLDERS:
        if (papers / f"{holder}.txt").exists():
            raise VaultExists(f"{papers} holds a paper of {holder}.", hint="Name a new or empty folder.")
    # A memory stick with vfat knows no links: what is tried is what will be done.
    replace_new(papers / ".trial.part", papers / ".trial", b"")
    remove_file(papers / ".trial")


def _write_settings(config: Path, root: Path) -> None:
    if config.exists():
        raise VaultExists(f"{config} exists.", hint="Leave out --root to use it, or name another file.")
    make_folder(config.resolve().parent)
    pins = config.resolve().parent / "pins.json"
    content = _TEMPLATE.format(root=json.dumps(str(root.resolve())), pins=json.dumps(str(pins)))
    write_new(config.parent / f".{config.name}.part", config, content.encode())


def _demo_founders() -> Founders:
    def made_up() -> str:
        return "-".join("".join(secrets.choice(_PASSPHRASE_ALPHABET) for _ in range(5)) for _ in range(4))

    persons = tuple(Founder(str(function), made_up(), function) for function in Function)
    officers = tuple(Founder(f"Officer {code[-2:]}", made_up(), officer=code) for code in ("boa-42", "boa-43"))
    administrator = Founder("TB", made_up(), administrator=True)
    return Founders((*persons, *officers, administrator), {holder: new_code() for holder in ESCROW_HOLDERS})


def _asked_founders() -> Founders:
    err.print("Each holder types a passphrase of at least 12 characters, unseen by the others. Nobody can recover a lost one.")
    persons: list[Founder] = []
    for function in Function:
        name = _asked_name(f"Name of the {FUNCTION_NAMES_NL[function]}")
        officer = _asked_name(f"Code under which a camera names {name}, if they wear one (empty: none)", empty=True)
        persons.append(
            Founder(name, ask_new(f"Passphrase of {name}", [one.passphrase for one in persons]), function, officer or None)
        )
    return Founders(tuple(persons), {holder: new_code() for holder in ESCROW_HOLDERS})


def _asked_name(prompt: str, *, empty: bool = False) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(prompt, err=True, default="" if empty else None, show_default=False)).strip()
    return ask(prompt).strip()


def _print_demo(founders: Founders) -> None:
    table = Table("person", "function", "passphrase", title="Demonstration passphrases, shown this once")
    for founder in founders.persons:
        function = FUNCTION_NAMES_NL[founder.function] if founder.function else "technisch beheerder"
        if founder.officer:
            function = f"medewerker, {founder.officer}"
        table.add_row(founder.name, function, founder.passphrase)
    for holder, code in founders.escrow.items():
        table.add_row(holder, "escrow half", code)
    out.print(table)


@click.group()
def camera() -> None:
    """Register and remove cameras (boa-coördinator, P25)."""


@camera.command("add")
@config_option
@as_option("BC")
@click.argument("serial")
@click.option("--public-key", "public_key", default="", help="The camera's public key in base64, as its device.json shows it.")
@click.option("--card", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Take the key from this card.")
@click.option("--dcim", is_flag=True, help="A camera that signs nothing; its serial is its volume's name.")
@click.option("--model", default="", help="For people: make and model.")
def camera_add(config: Path, acting: str, serial: str, public_key: str, card: Path | None, dcim: bool, model: str) -> None:
    """Register a camera. Its recordings are taken in from the next docking on."""
    if card is not None:
        public_key, model = _card_key(card, serial, model)
    if dcim == bool(public_key):
        raise click.UsageError("Give either the camera's public key (--public-key or --card), or --dcim.")
    with opened(config) as vault:
        by = demand(Action.ADD_CAMERA, signed(vault, acting).actor)
        with vault.writing() as tx:
            added = cameras.register(tx, vault.log, vault.clock, (serial, public_key, model), by.person)
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
@as_option("BC")
@click.argument("serial")
def camera_remove(config: Path, acting: str, serial: str) -> None:
    """End a camera's registration. Its recordings stay in the vault."""
    with opened(config) as vault:
        by = demand(Action.REMOVE_CAMERA, signed(vault, acting).actor)
        with vault.writing() as tx:
            cameras.remove(tx, vault.log, vault.clock, serial, by.person)
    out.print(f"The camera {serial} is no longer registered.")


@camera.command("list")
@config_option
@json_option
def camera_list(config: Path, as_json: bool) -> None:
    """Show the cameras, the removed ones too."""
    with opened(config) as vault, vault.reading() as tx:
        rows = catalogue.all_cameras(tx)
    if as_json:
        show_json(rows)
        return
    table = [(row.serial, row.kind, row.model, local(row.added_utc), local(row.removed_utc)) for row in rows]
    show_table(("camera", "kind", "model", "registered", "removed"), table, "No camera was ever registered.")


@click.command("list")
@config_option
@click.option("--last", default=500, show_default=True, help="How many, counted from the newest.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object a line.")
def list_recordings(config: Path, last: int, as_json: bool) -> None:
    """Show the recordings."""
    with opened(config) as vault, vault.reading() as tx:
        rows = catalogue.newest_recordings(tx, last)
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


def _moment_text(utc: str | None) -> str:
    return "not stated" if utc is None else utc[:19].replace("T", " ")


def _preroll_text(row: catalogue.RecordingRow) -> str:
    """What was measured in the footage itself, and why it is short where the camera says so (P15)."""
    if row.preroll_ms is None:
        return "not stated"
    verdict = {"whole": "verified", "broken": "BROKEN", "not_stated": "not stated"}[row.wholeness]
    because = f", {row.preroll_short_because.replace('_', ' ')}" if row.preroll_short_because else ""
    return f"{row.preroll_ms / 1000:.1f} s{because}, {verdict}"


@click.command("verify")
@config_option
@click.option(
    "--since",
    "notes",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="A checkpoint as the witness has it: the log is held against it. May be given again.",
)
@click.option("--key", help="The log's public key, from the paper; else that of the configured credential.")
@click.option(
    "--daily",
    is_flag=True,
    help="Read one 28th of the recordings, another one each day; all of the log. The log then says how it went.",
)
def verify_vault(config: Path, notes: tuple[Path, ...], key: str | None, daily: bool) -> None:
    """Check every sealed file, row and log entry; with --since the log against what a witness holds.

    Changes nothing; the daily check alone enters into the log how it went.
    """
    with opened(config) as vault:
        verifier = LogVerifier.read(key) if key else log_key(vault).verifier if notes else None
        known = [_witnessed(path, verifier) for path in notes] if verifier else []
        altered = verify_since(known, vault.leaves()) if known else []
        days = due_days(vault)
        wanted = (lambda recording: is_due(recording, days)) if daily else (lambda _: True)
        with _Bar(total_bytes(vault, wanted)) as (progress, task):

            def advance(count: int) -> None:
                progress.advance(task, count)

            verdict = verify_daily(vault, advance, [one.code for one in altered]) if daily else verify(vault, advance)
        waiting = unconfirmed_since(vault)
    for finding in verdict.findings:
        err.print(f"{finding.sentence} [{finding.code}]", style="red")
    for discrepancy in altered:
        err.print(f"{discrepancy.sentence} [{discrepancy.code}]", style="red")
    if waiting:
        err.print(f"The catalogue was rebuilt on {waiting}; two persons must confirm it: `vault confirm`.", style="yellow")
    summary = (
        f"{verdict.recordings} recordings, {verdict.files} sealed files, {verdict.sealed_bytes / 1e6:.1f} MB, "
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
        columns = (TextColumn("verify"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._total = total

    def __enter__(self) -> tuple[Progress, TaskID]:
        self._progress.start()
        return self._progress, self._progress.add_task("verify", total=self._total)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


@click.command("rebuild")
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


@click.command("confirm")
@config_option
@two_option
def confirm_catalogue(config: Path, acting: tuple[str, ...]) -> None:
    """Two persons confirm the recordings and the holds after a rebuild or a restore."""
    with opened(config) as vault:
        first, second = signed_two(vault, acting)
        confirm(vault, first.actor, second.actor)
    out.print("Confirmed.")


@click.command("open")
@config_option
@click.argument("recording")
@click.option("-o", "folder", type=click.Path(path_type=Path), required=True, help="A new folder for the opened files.")
def open_files(config: Path, recording: str, folder: Path) -> None:
    """Open a recording to files with both escrow codes: for disaster only. The log tells of it first."""
    with opened(config) as vault:
        found = recording_id(vault, recording)
        first, second = (vault.keyring.unlock(holder, code) for holder, code in ask_codes().items())
        if folder.exists():
            raise VaultExists(f"{folder} exists.", hint="Name a folder that does not exist yet.")
        released = open_recording(vault, found, first, second, "vault open")
        folder.mkdir(parents=True, mode=0o700)
        for at, part in enumerate(released.record.files):
            extract(released, part, folder / ("manifest" if part.name == "manifest" else f"{at:04d}{Path(part.name).suffix}"))
    out.print(
        f"{len(released.record.files)} files of {found} stand opened in {folder}. Remove them when they are no longer needed."
    )


@click.command("migrate")
@config_option
def migrate_catalogue(config: Path) -> None:
    """Bring the catalogue to this program's schema."""
    settings = load_vault_settings(config)
    with IntakeLock(settings.root):
        kept = upgrade(settings.root)
    out.print("The catalogue has this program's schema." + (f" As it was before, it stands in {kept}." if kept else ""))
