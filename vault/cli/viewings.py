"""`vault view` and `vault handover`: two persons see, and what goes out to
police and prosecutor.
"""

import hashlib
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
from vault.cli.output import SHORT_ID, out, show_json, show_table
from vault.cli.times import local
from vault.custody import people
from vault.custody.cases import find_case
from vault.custody.viewing import viewing_requests
from vault.custody.viewing.viewing_requests import find_viewing
from vault.custody.viewing.viewing_session import Span, open_viewing
from vault.rules.purposes import PURPOSES, Purpose

PURPOSE = click.Choice([purpose.value for purpose in Purpose])


@click.group()
def view() -> None:
    """Viewings: always two persons, for a purpose that the protocol names (P36 to P42,
    P46 to P56).
    """


@view.command("request")
@config_option
@as_option()
@click.argument("purpose", type=PURPOSE)
@click.argument("recordings", nargs=-1, required=True)
@click.option("--case", "called", help="The case that it rests on.")
@click.option("--reason", default="", help="Why.")
def request(
    config: Path,
    acting: str,
    purpose: str,
    recordings: tuple[str, ...],
    called: str | None,
    reason: str,
) -> None:
    """Ask for a viewing."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        case_id = find_case(vault, called).id if called else None
        ids = recordings_called(vault, recordings)
        viewing_id = viewing_requests.request(
            vault, by, Purpose(purpose), ids, case=case_id, reason=reason
        )
    rule = PURPOSES[Purpose(purpose)]
    out.print(f"The viewing {viewing_id[:8]} is requested ({rule.name_nl}).")


@view.command("approve")
@config_option
@as_option()
@click.argument("called")
def approve(config: Path, acting: str, called: str) -> None:
    """Agree to an officer's wish to learn."""
    with opened(config) as vault:
        viewing_requests.approve(vault, signed(vault, acting).actor, find_viewing(vault, called).id)
    out.print("Approved.")


@view.command("refuse")
@config_option
@as_option()
@click.argument("called")
@click.option("--reason", required=True)
def refuse(config: Path, acting: str, called: str, reason: str) -> None:
    """Refuse an officer's wish to learn."""
    with opened(config) as vault:
        viewing_requests.refuse(
            vault, signed(vault, acting).actor, find_viewing(vault, called).id, reason
        )
    out.print("Refused.")


@view.command("open")
@config_option
@two_option
@click.argument("called")
@click.option(
    "--confirm",
    "confirmed",
    multiple=True,
    help="A condition that both confirm; `vault view conditions` lists them.",
)
def open_it(config: Path, acting: tuple[str, ...], called: str, confirmed: tuple[str, ...]) -> None:
    """Open a viewing with two persons and prove every file; pictures show in the back office.

    Nothing is written anywhere: each file is opened in memory, held against its digest and the
    camera's signature, and told of.
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
                    else {True: "holds", False: "DOES NOT HOLD", None: "has no key here"}[
                        manifest.holds
                    ]
                )
                out.print(f"{recording[:8]}: the camera's signature {states}.")
                for part in session.files(recording):
                    shown = session.show(Span(recording, part.sealed_name, 0, part.size_bytes))
                    same = hashlib.sha256(shown).hexdigest() == part.sha256
                    out.print(
                        f"  {part.name}: {len(shown)} bytes open, digest "
                        f"{'as taken in' if same else 'DIFFERS'}."
                    )
    out.print("The viewing has ended.")


@view.command("conditions")
@click.argument("purpose", type=PURPOSE)
def conditions(purpose: str) -> None:
    """What both confirm before a picture shows."""
    rule = PURPOSES[Purpose(purpose)]
    show_table(
        ("code", "Nederlands", "English"),
        [(one.code, one.nl, one.en) for one in rule.conditions],
        "Nothing.",
    )


@view.command("list")
@config_option
@reader_option
@json_option
def list_viewings(config: Path, acting: str, as_json: bool) -> None:
    """Show who viewed what, when and why (P39), to who may read the log: that it was read stands
    there. To others, the viewings that concern them.
    """
    with opened(config) as vault:
        by = signed(vault, acting).actor
        viewings = viewing_requests.listed(vault, by)
        called = people.names(vault, by)
    if as_json:
        show_json({"viewing": one.row, "recordings": one.recordings} for one in viewings)
        return
    table = [
        (
            one.row.id[:SHORT_ID],
            one.row.purpose,
            ", ".join(recording[:SHORT_ID] for recording in one.recordings),
            " and ".join(
                called.get(person, person) for person in (one.row.first, one.row.second) if person
            ),
            local(one.row.opened_utc),
            local(one.row.ended_utc),
        )
        for one in viewings
    ]
    show_table(
        ("viewing", "purpose", "recordings", "by", "from", "until"),
        table,
        "Nothing was ever viewed.",
    )
