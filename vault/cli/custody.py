"""`vault view`, `why`, `delete`, `sweep`, `clock`, `log`, `drill`, `backup`, `restore`, `checkpoint`."""

import hashlib
import random
import time
from datetime import datetime
from pathlib import Path

import click
from rich.text import Text

from vault import backup, doctor, figures, handover, registers, retention, viewing
from vault.audit import read_leaves, read_tree
from vault.cases import archive, find_case
from vault.cli.base import (
    SHORT_ID,
    as_option,
    ask_codes,
    config_option,
    demand_compared,
    demand_key_folder,
    err,
    json_option,
    local,
    moment,
    names,
    opened,
    out,
    recording_id,
    recording_ids,
    show_json,
    show_table,
    signed,
    signed_two,
    two_option,
)
from vault.clock import SystemClock
from vault.config import load_vault_settings
from vault.drill import drill
from vault.durable import make_folder, write_new
from vault.errors import Reaction
from vault.handover import Order, hand_over
from vault.jsonform import Json, parse_object
from vault.lock import IntakeLock
from vault.outside import keyring_in
from vault.people import entry
from vault.policy import PURPOSES, Action, Purpose, demand
from vault.store import read_small
from vault.vault import Vault
from vault.viewing import Span, find_viewing, open_viewing
from vault.witness import log_key, new_log_key, read_witnessed, sign_head

PURPOSE = click.Choice([purpose.value for purpose in Purpose])
NOTE_LIMIT_BYTES = 64 << 20
LONGEST_NAME = 20
"""What is longer in a subject is an id, and is shortened."""


@click.group()
def view() -> None:
    """Viewings: always two persons, for a purpose that the protocol names (P36 to P42, P46 to P56)."""


@view.command("request")
@config_option
@as_option()
@click.argument("purpose", type=PURPOSE)
@click.argument("recordings", nargs=-1, required=True)
@click.option("--case", "called", help="The case that it rests on.")
@click.option("--reason", default="", help="Why.")
def request(config: Path, acting: str, purpose: str, recordings: tuple[str, ...], called: str | None, reason: str) -> None:
    """Ask for a viewing."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        case_id = find_case(vault, called).id if called else None
        ids = recording_ids(vault, recordings)
        viewing_id = viewing.request(vault, by, Purpose(purpose), ids, case=case_id, reason=reason)
    rule = PURPOSES[Purpose(purpose)]
    out.print(f"The viewing {viewing_id[:8]} is requested ({rule.name_nl}).")


@view.command("approve")
@config_option
@as_option()
@click.argument("called")
def approve(config: Path, acting: str, called: str) -> None:
    """Agree to an officer's wish to learn."""
    with opened(config) as vault:
        viewing.approve(vault, signed(vault, acting).actor, find_viewing(vault, called).id)
    out.print("Approved.")


@view.command("refuse")
@config_option
@as_option()
@click.argument("called")
@click.option("--reason", required=True)
def refuse(config: Path, acting: str, called: str, reason: str) -> None:
    """Refuse an officer's wish to learn."""
    with opened(config) as vault:
        viewing.refuse(vault, signed(vault, acting).actor, find_viewing(vault, called).id, reason)
    out.print("Refused.")


@view.command("open")
@config_option
@two_option
@click.argument("called")
@click.option("--confirm", "confirmed", multiple=True, help="A condition that both confirm; `vault view conditions` lists them.")
def open_it(config: Path, acting: tuple[str, ...], called: str, confirmed: tuple[str, ...]) -> None:
    """Open a viewing with two persons and prove every file; pictures show in the back office.

    Nothing is written anywhere: each file is opened in memory, held against its digest and the camera's signature, and told of.
    """
    with opened(config) as vault:
        row = find_viewing(vault, called)
        first, second = signed_two(vault, acting)
        with open_viewing(vault, row.id, first, second, confirmed) as session:
            for recording in session.recordings:
                manifest = session.manifest(recording)
                states = (
                    "states nothing"
                    if manifest is None
                    else {True: "holds", False: "DOES NOT HOLD", None: "has no key here"}[manifest.holds]
                )
                out.print(f"{recording[:8]}: the camera's signature {states}.")
                for part in session.files(recording):
                    shown = session.show(Span(recording, part.sealed_name, 0, part.size_bytes))
                    same = hashlib.sha256(shown).hexdigest() == part.sha256
                    out.print(f"  {part.name}: {len(shown)} bytes open, digest {'as taken in' if same else 'DIFFERS'}.")
    out.print("The viewing has ended.")


@view.command("conditions")
@click.argument("purpose", type=PURPOSE)
def conditions(purpose: str) -> None:
    """What both confirm before a picture shows."""
    rule = PURPOSES[Purpose(purpose)]
    show_table(("code", "Nederlands", "English"), [(one.code, one.nl, one.en) for one in rule.conditions], "Nothing.")


@view.command("list")
@config_option
@as_option()
@json_option
def list_viewings(config: Path, acting: str, as_json: bool) -> None:
    """Who viewed what, when and why (P39). That the list was read stands in the log."""
    with opened(config) as vault:
        acting_as = demand(Action.READ_LOG, signed(vault, acting).actor)
        with vault.reading() as tx:
            rows = registers.viewings(tx)
            recordings = {row.id: registers.recordings_of_viewing(tx, row.id) for row in rows}
        with vault.writing() as tx:
            vault.log.append(tx, entry(acting_as, "log.read", None, {"what": "viewings"}))
        called = names(vault)
    if as_json:
        show_json({"viewing": row, "recordings": recordings[row.id]} for row in rows)
        return
    table = []
    for row in rows:
        both = " and ".join(called.get(one, one) for one in (row.first, row.second) if one)
        ids = ", ".join(one[:8] for one in recordings[row.id])
        table.append((row.id[:8], row.purpose, ids, both, local(row.opened_utc), local(row.ended_utc)))
    show_table(("viewing", "purpose", "recordings", "by", "from", "until"), table, "Nothing was ever viewed.")


@click.group("handover")
def hand_over_group() -> None:
    """Packages for police and prosecutor: the only way out (P43 to P45)."""


@hand_over_group.command("make")
@config_option
@two_option
@click.argument("called")
@click.option("--to", "receiver", required=True, help="Who receives it.")
@click.option("--key", "recipient", required=True, help="Their age public key: age1…")
@click.option("--from", "municipality", default="gemeente Heusden", show_default=True)
@click.option("--confirm", "confirmed", multiple=True, help="A condition that both confirm.")
@click.option("-o", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="The folder for the package.")
def make_package(
    config: Path,
    acting: tuple[str, ...],
    called: str,
    receiver: str,
    recipient: str,
    municipality: str,
    confirmed: tuple[str, ...],
    folder: Path,
) -> None:
    """Make the package of a requested viewing's recordings, with the privacy officer among the two."""
    with opened(config) as vault:
        row = find_viewing(vault, called)
        first, second = signed_two(vault, acting)
        with open_viewing(vault, row.id, first, second, confirmed) as session:
            made = hand_over(vault, session, Order(receiver, recipient, municipality, folder))
    out.print(f"{made.path} ({made.packed.size_bytes / 1e6:.1f} MB) is encrypted to its receiver. Its letter says:")
    out.print(f"SHA-256 {made.packed.sha256}", soft_wrap=True)
    out.print(f"When the receipt is there: `vault handover received {made.id[:8]}`.")


@hand_over_group.command("received")
@config_option
@as_option()
@click.argument("called")
@click.option("--by", "received_by", required=True, help="Who signed the receipt.")
@click.option("--on", "received", required=True, callback=lambda _, __, value: moment(value))
def received(config: Path, acting: str, called: str, received_by: str, received: datetime) -> None:
    """The receipt is there: police or prosecutor are responsible from now on (P45)."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        with vault.reading() as tx:
            found = [row.id for row in registers.hand_overs(tx) if row.id.startswith(called)]
        handover.receive(vault, by, found[0] if len(found) == 1 else called, received_by, received)
    out.print("The responsibility is passed on.")


@hand_over_group.command("list")
@config_option
@as_option()
@json_option
def list_hand_overs(config: Path, acting: str, as_json: bool) -> None:
    """Show what was handed over."""
    with opened(config) as vault:
        demand(Action.LIST_RECORDINGS, signed(vault, acting).actor)
        with vault.reading() as tx:
            rows = registers.hand_overs(tx)
        called = names(vault)
    if as_json:
        show_json(rows)
        return
    table = [
        (row.id[:8], row.receiver, called.get(row.by_person), local(row.made_utc), local(row.received_utc), row.received_by)
        for row in rows
    ]
    show_table(("package", "to", "by", "made", "received", "receipt by"), table, "Nothing was handed over.")


@click.command("figures")
@config_option
@as_option()
@json_option
@click.option("--year", type=int, required=True)
@click.option("--csv", "as_csv", is_flag=True, help="For the website: a table, without personal data.")
def show_figures(config: Path, acting: str, as_json: bool, year: int, as_csv: bool) -> None:
    """Figures of a year by month, without personal data (P62)."""
    with opened(config) as vault:
        rows = figures.figures(vault, signed(vault, acting).actor, year)
    if as_json:
        show_json(rows)
        return
    if as_csv:
        click.echo(figures.as_csv(rows), nl=False)
        return
    table = [(row.month, *row.counts.values()) for row in rows]
    show_table(("month", *figures.HEADINGS_EN.values()), table, "No figures.")


@click.command("account")
@config_option
@as_option()
@click.option("--from", "start", required=True, callback=lambda _, __, value: moment(value))
@click.option("--until", "end", required=True, callback=lambda _, __, value: moment(value))
@click.option("-o", "target", type=click.Path(dir_okay=False, path_type=Path), required=True, help="A new file: .pdf or .csv.")
def account(config: Path, acting: str, start: datetime, end: datetime, target: Path) -> None:
    """The accountability report for a council or the yearly Wpg audit: roles, viewings, deletions, exceptions."""
    with opened(config) as vault:
        report = figures.accountability(vault, signed(vault, acting).actor, start, end)
    content = figures.report_pdf(report) if target.suffix == ".pdf" else figures.report_csv(report).encode()
    write_new(target.with_name(f".{target.name}.part"), target, content)
    out.print(f"{target} stands.")


@click.command("why")
@config_option
@as_option()
@json_option
@click.argument("recording")
def why(config: Path, acting: str, as_json: bool, recording: str) -> None:
    """When a recording will be deleted, and why, in one sentence."""
    with opened(config) as vault:
        fate = retention.fate(vault, signed(vault, acting).actor, recording_id(vault, recording))
    if as_json:
        show_json([fate])
        return
    out.print(f"{fate.nl} ({fate.regime})")
    out.print(fate.en, style="dim")


@click.command("archive")
@config_option
@as_option()
@click.argument("recording")
def archive_recording(config: Path, acting: str, recording: str) -> None:
    """Put a recording away from the working list. It lengthens nothing (Q9)."""
    with opened(config) as vault:
        archive(vault, signed(vault, acting).actor, recording_id(vault, recording))
    out.print("Archived. It falls due as before.")


@click.command("delete")
@config_option
@two_option
@click.argument("recording")
@click.option("--reason", required=True)
def delete(config: Path, acting: tuple[str, ...], recording: str, reason: str) -> None:
    """Delete a recording before its time: cluster manager and privacy officer together, never under hold (P26, Q8)."""
    with opened(config) as vault:
        first, second = signed_two(vault, acting)
        found = recording_id(vault, recording)
        retention.delete(vault, first.actor, second.actor, found, reason)
    out.print(f"{found} is destroyed. Its record of destruction stands in the log.")


@click.command("sweep")
@config_option
@click.option("--head-elsewhere", is_flag=True, help="Leave it to `vault checkpoint` to sign the log's head after this.")
@json_option
def sweep_vault(config: Path, head_elsewhere: bool, as_json: bool) -> None:
    """Mark what falls due, destroy what is due. The hourly timer calls this."""
    with opened(config) as vault:
        swept = retention.sweep(vault, SystemClock())
        if not head_elsewhere:
            sign_head(vault)
    if as_json:
        show_json([swept])
    out.print(f"{len(swept.marked)} marked, {len(swept.unmarked)} unmarked, {len(swept.destroyed)} destroyed.")
    if swept.because:
        err.print(swept.because, style="yellow")
    if swept.awaiting:
        err.print(f"{len(swept.awaiting)} recordings wait for two persons: `vault approve`.", style="yellow")


@click.command("approve")
@config_option
@two_option
@click.argument("recordings", nargs=-1, required=True)
def approve_sweep(config: Path, acting: tuple[str, ...], recordings: tuple[str, ...]) -> None:
    """Two persons have looked at what a sweep would destroy at once: exactly these may go (fault F4)."""
    with opened(config) as vault:
        first, second = signed_two(vault, acting)
        retention.approve(vault, first.actor, second.actor, recording_ids(vault, recordings))
    out.print("Approved for the next sweep.")


@click.command("due")
@config_option
@as_option()
@json_option
def soon_due(config: Path, acting: str, as_json: bool) -> None:
    """What falls due within seven days (Q2)."""
    with opened(config) as vault:
        rows = retention.soon_due(vault, signed(vault, acting).actor)
    if as_json:
        show_json({"recording": recording, "due": due} for due, recording in rows)
        return
    table = [(recording[:8], f"{due.astimezone(retention.ZONE):%Y-%m-%d %H:%M}") for due, recording in rows]
    show_table(("recording", "falls due"), table, "Nothing falls due within seven days.")


@click.group()
def clock() -> None:
    """Whether the clock can be believed enough to delete by it."""


@clock.command("show")
@config_option
def clock_show(config: Path) -> None:
    """What the clock guard thinks."""
    with opened(config) as vault:
        trust = retention.look_at_clock(vault, SystemClock())
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
        retention.confirm_clock(vault, SystemClock(), first.actor, second.actor)
    out.print("Confirmed.")


@click.command("log")
@config_option
@as_option()
@json_option
@click.option("--about", help="Only entries about this recording, camera, case or viewing (the start of its id).")
@click.option("--last", default=50, show_default=True, help="How many entries, counted from the newest.")
def show_log(config: Path, acting: str, as_json: bool, about: str | None, last: int) -> None:
    """Read the log. That it was read stands in it first."""
    with opened(config) as vault:
        acting_as = demand(Action.READ_LOG, signed(vault, acting).actor)
        with vault.writing() as tx:
            vault.log.append(tx, entry(acting_as, "log.read", None, {"about": about, "last": last}))
        with vault.reading() as tx:
            size = read_tree(tx).size
            leaves = read_leaves(tx, 0 if about else max(0, size - last), size)
        called = names(vault)
    rows = [found for found in map(parse_object, leaves) if about is None or str(found["subject"]).startswith(about)][-last:]
    if as_json:
        show_json(rows)
        return
    table = [(row["sequence"], local(row["time_utc"]), _who(row, called), row["action"], _about(row, called)) for row in rows]
    show_table(("entry", "when", "who", "what", "about"), table, "The log has no such entry.")


def _who(row: Json, called: dict[str, str]) -> str:
    """The actor, and with whom where it took two."""
    seats = [seat["person"] for seat in row["details"].get("seats", [])] or [row["actor"], row["details"].get("second")]
    return " and ".join(called.get(person, person) for person in seats if person)


def _about(row: Json, called: dict[str, str]) -> str:
    """The subject as a table shows it: a person's or a camera's name, else the start of an id."""
    subject = row["subject"] or ""
    return called.get(subject, subject[:SHORT_ID] if len(subject) > LONGEST_NAME else subject)


@click.command("checkpoint")
@config_option
@click.option("--key", "only_key", is_flag=True, help="Show the log's public key, for the witness and the paper.")
@click.option("--new-key", is_flag=True, help="The log's key is lost: make another one and show its public half.")
def checkpoint(config: Path, only_key: bool, new_key: bool) -> None:
    """Sign the log's head, hand it to the witness, and show it."""
    with opened(config) as vault:
        if new_key:
            demand_key_folder(vault.settings.log_key_path.parent)
            text = new_log_key(vault).text()
        else:
            text = log_key(vault).verifier.text() if only_key else sign_head(vault).decode()
    click.echo(text.rstrip("\n"))


@click.command("doctor")
@config_option
def show_doctor(config: Path) -> None:
    """Look at all that the vault stands on, line by line, with what to do. Ends with 70 where something is bad."""
    bad = False
    marks = {doctor.Verdict.GOOD: "green", doctor.Verdict.LOOK: "yellow", doctor.Verdict.BAD: "red"}
    with opened(config) as vault:
        for line in doctor.examine(vault, SystemClock()):
            advice = f" {line.advice}" if line.advice else ""
            out.print(
                Text(f"{line.verdict.value:<5}", marks[line.verdict]),
                Text(f"{line.what}: {line.sentence}{advice}"),
                soft_wrap=True,
            )
            bad |= line.verdict is doctor.Verdict.BAD
    if bad:
        raise SystemExit(Reaction.ALARM.value)


@click.command("drill")
@config_option
def run_drill(config: Path) -> None:
    """Open a random recording with both escrow codes, in memory, and write down how it went. Twice a year."""
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
        f"{done.copied} recordings copied, {done.kept} stood already, {done.destroyed} destroyed; {done.files} files written."
    )


@click.command("restore")
@config_option
@click.option(
    "--from",
    "source",
    # Whether it can be read is seen by reading: root's `vault restore` reads with a right that access(2) does not count.
    type=click.Path(exists=True, file_okay=False, readable=False, path_type=Path),
    required=True,
    help="The backup: the folder with vault.json.",
)
@click.option(
    "--witnessed", type=click.Path(exists=True, dir_okay=False, path_type=Path), multiple=True, help="A note of the witness."
)
@click.option("--yes", is_flag=True, help="The two lines were compared with the paper.")
@click.option("--without-escrow", is_flag=True, help="The two codes are not here: nothing is opened to see whether it opens.")
def restore(config: Path, source: Path, witnessed: tuple[Path, ...], yes: bool, without_escrow: bool) -> None:
    """Make the vault anew from a backup. What a tombstone or the witness names stays destroyed.

    On a new machine the two signers are compared with the paper of the ceremony and pinned. Both escrow codes are asked before
    anything is copied; at the end they open one recording, in memory. A lost log key gets a successor: its public half is shown.
    A restore that was cut off goes on when it is begun again.
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
        done = backup.restore(settings, source, SystemClock(), gone, lambda _: None, pins)
    out.print(f"{done.rebuilt.recordings} recordings stand again, {done.rebuilt.log_entries} log entries.")
    if done.left_out:
        out.print(f"{len(done.left_out)} were left out: they were destroyed.")
    if done.rebuilt.unproven:
        out.print(f"{done.rebuilt.unproven} are unproven: the log has no entry that they were stored so.", style="yellow")
    if done.log_key is not None:
        out.print("The log's key was lost with the old machine. The new one's public key, for the witness and the paper:")
        out.print(done.log_key, soft_wrap=True)
    if codes and done.rebuilt.recordings:
        with opened(config) as vault:
            _drill(vault, codes)
    out.print("Nothing is erased or expires until two persons have run `vault confirm`, and then `vault clock confirm`.")
