"""`vault case`: register, decide, extend, close, list and show cases."""

from datetime import datetime
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
)
from vault.cli.output import SHORT_ID, out, show_json, show_table
from vault.cli.times import local, moment
from vault.custody import cases
from vault.custody.cases import NewCase, find_case
from vault.rules.case_kinds import CASES, CaseKind

KINDS = click.Choice([kind.value for kind in CaseKind])


@click.group()
def case() -> None:
    """Police reports, demands, complaints, access requests: what holds recordings, and until when
    (P32 to P35, P57 to P61).
    """


@case.command("register")
@config_option
@as_option()
@click.argument("kind", type=KINDS)
@click.argument("reference")
@click.argument("recordings", nargs=-1)
@click.option(
    "--received",
    required=True,
    callback=lambda _, __, value: moment(value),
    help="When it came in: 2026-11-24 18:05.",
)
@click.option(
    "--concerned",
    multiple=True,
    help="An official who is its subject and takes no part; may be given again.",
)
@click.option("--text", default="", help="What it is about. Stands apart from the log.")
def register(
    config: Path,
    acting: str,
    kind: str,
    reference: str,
    recordings: tuple[str, ...],
    received: datetime,
    concerned: tuple[str, ...],
    text: str,
) -> None:
    """Register a case: its recordings are held from its receipt."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        ids = tuple(recordings_called(vault, recordings))
        new = NewCase(CaseKind(kind), reference, received, ids, frozenset(concerned), text)
        case_id = cases.register(vault, by, new)
        others = cases.suggestions(vault, ids)
    held = "one recording" if len(ids) == 1 else f"{len(ids)} recordings"
    out.print(f"The case {case_id[:8]} holds {held}.")
    for row in others:
        out.print(
            f"At the same time: {row.id[:8]} ({row.name}). `vault case extend` adds it.",
            style="yellow",
        )


@case.command("extend")
@config_option
@as_option()
@click.argument("called")
@click.argument("recordings", nargs=-1, required=True)
def extend(config: Path, acting: str, called: str, recordings: tuple[str, ...]) -> None:
    """Let a case hold further recordings."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        cases.extend(vault, by, find_case(vault, called).id, recordings_called(vault, recordings))
    out.print("They are held.")


@case.command("decide")
@config_option
@as_option()
@click.argument("called")
@click.option("--granted/--refused", required=True)
@click.option("--necessity", required=True, help="What was found on its necessity (P58).")
@click.option("--reasons", required=True)
def decide(
    config: Path, acting: str, called: str, granted: bool, necessity: str, reasons: str
) -> None:
    """Decide one access request (privacy officer)."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        cases.decide(
            vault,
            by,
            find_case(vault, called).id,
            granted=granted,
            necessity=necessity,
            reasons=reasons,
        )
        row = find_case(vault, called)
    out.print(
        "Granted."
        if granted
        else f"Refused. An objection can be made until {local(row.objection_until_utc)}."
    )


@case.command("carried-out")
@config_option
@as_option()
@click.argument("called")
def carried_out(config: Path, acting: str, called: str) -> None:
    """The decision on an access request was carried out."""
    with opened(config) as vault:
        cases.carry_out(vault, signed(vault, acting).actor, find_case(vault, called).id)
    out.print("Carried out.")


@case.command("objection")
@config_option
@as_option()
@click.argument("called")
@click.option("--received", required=True, callback=lambda _, __, value: moment(value))
@click.option("--text", default="")
def objection(config: Path, acting: str, called: str, received: datetime, text: str) -> None:
    """An objection against a refusal came in."""
    with opened(config) as vault:
        cases.register_objection(
            vault, signed(vault, acting).actor, find_case(vault, called).id, received, text
        )
    out.print("The objection is registered; the recordings stay.")


@case.command("objection-decided")
@config_option
@as_option()
@click.argument("called")
@click.option("--upheld/--rejected", required=True)
@click.option("--reference", required=True, help="The decision's own reference.")
def objection_decided(config: Path, acting: str, called: str, upheld: bool, reference: str) -> None:
    """The objection was decided."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        cases.decide_objection(
            vault, by, find_case(vault, called).id, upheld=upheld, reference=reference
        )
    out.print("The request is decided anew." if upheld else "The refusal is final.")


@case.command("close")
@config_option
@as_option()
@click.argument("called")
@click.option(
    "--reference",
    default="",
    help="The prosecutor's agreement, or the letter that ends the complaint.",
)
def close(config: Path, acting: str, called: str, reference: str) -> None:
    """End a case as its kind ends."""
    with opened(config) as vault:
        cases.close(
            vault, signed(vault, acting).actor, find_case(vault, called).id, reference=reference
        )
    out.print("Closed. What no other case holds falls due as `vault why` tells.")


@case.command("list")
@config_option
@reader_option
@json_option
@click.option("--all", "everything", is_flag=True, help="The closed ones too.")
def list_cases(config: Path, acting: str, as_json: bool, everything: bool) -> None:
    """Show the cases."""
    with opened(config) as vault:
        listed = cases.listed(vault, signed(vault, acting).actor, closed_too=everything)
    if as_json:
        show_json(one.row for one in listed)
        return
    table = [
        (
            one.row.id[:SHORT_ID],
            CASES[CaseKind(one.row.kind)].name_nl,
            one.row.reference,
            local(one.row.received_utc),
            one.recordings,
            f"closed {local(one.row.closed_utc)}"
            if one.row.closed_utc
            else one.lacks or "can be closed",
        )
        for one in listed
    ]
    show_table(
        ("case", "kind", "reference", "received", "recordings", "state"), table, "No case is open."
    )


@case.command("show")
@config_option
@reader_option
@click.argument("called")
def show_case(config: Path, acting: str, called: str) -> None:
    """Show a case with its papers. That it was read stands in the log."""
    with opened(config) as vault:
        read = cases.read(vault, signed(vault, acting).actor, called)
    show_json([read.row, *read.holds])
    show_json({"paper": action, "text": text} for action, text in read.papers)
