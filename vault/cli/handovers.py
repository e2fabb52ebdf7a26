"""`vault handover`: packages for the police, the prosecutor or a person concerned."""

from datetime import datetime
from pathlib import Path

import click

from vault.cli.acting import (
    as_option,
    config_option,
    json_option,
    opened,
    reader_option,
    signed,
    signed_two,
    two_option,
)
from vault.cli.output import out, show_json, show_table
from vault.cli.times import local, moment
from vault.custody import people
from vault.custody.handover import handover
from vault.custody.handover.handover import Order, hand_over
from vault.custody.viewing.viewing_requests import find_viewing
from vault.custody.viewing.viewing_session import open_viewing


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
@click.option(
    "-o",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The folder for the package.",
)
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
    """Make the package of a requested viewing's recordings, with the privacy officer
    among the two.
    """
    with opened(config) as vault:
        row = find_viewing(vault, called)
        first, second = signed_two(vault, acting)
        with open_viewing(vault, row.id, first, second, confirmed) as session:
            made = hand_over(vault, session, Order(receiver, recipient, municipality, folder))
    out.print(
        f"{made.path} ({made.packed.size_bytes / 1e6:.1f} MB) is encrypted to its receiver. "
        f"Its letter says:"
    )
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
        handover.receive(vault, by, called, received_by, received)
    out.print("The responsibility is passed on.")


@hand_over_group.command("list")
@config_option
@reader_option
@json_option
def list_hand_overs(config: Path, acting: str, as_json: bool) -> None:
    """Show what was handed over."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        rows = [one.row for one in handover.listed(vault, by)]
        called = people.names(vault, by)
    if as_json:
        show_json(rows)
        return
    table = [
        (
            row.id[:8],
            row.receiver,
            called.get(row.by_person),
            local(row.made_utc),
            local(row.received_utc),
            row.received_by,
        )
        for row in rows
    ]
    show_table(
        ("package", "to", "by", "made", "received", "receipt by"), table, "Nothing was handed over."
    )
