"""`vault camera`: whose recordings are taken in (P25)."""

import json
from pathlib import Path

import click

from vault.cli.acting import as_option, config_option, json_option, opened, reader_option, signed
from vault.cli.output import out, show_json, show_table
from vault.cli.times import local
from vault.custody import camera_list
from vault.errors import ConfigurationError


@click.group()
def camera() -> None:
    """Register and remove cameras (boa-coördinator, P25)."""


@camera.command("add")
@config_option
@as_option("BC")
@click.argument("serial")
@click.option(
    "--public-key",
    "public_key",
    default="",
    help="The camera's public key in base64, as its device.json shows it.",
)
@click.option(
    "--card",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Take the key from this card.",
)
@click.option(
    "--dcim", is_flag=True, help="A camera that signs nothing; its serial is its volume's name."
)
@click.option("--model", default="", help="For people: make and model.")
def camera_add(
    config: Path,
    acting: str,
    serial: str,
    public_key: str,
    card: Path | None,
    dcim: bool,
    model: str,
) -> None:
    """Register a camera. Its recordings are taken in from the next docking on."""
    if card is not None:
        public_key, model = _card_key(card, serial, model)
    if dcim == bool(public_key):
        raise click.UsageError(
            "Give either the camera's public key (--public-key or --card), or --dcim."
        )
    with opened(config) as vault:
        by = signed(vault, acting).actor
        added = camera_list.add_camera(vault, by, serial, public_key, model)
    out.print(f"The camera {added.serial} is registered ({added.kind}).")


def _card_key(card: Path, serial: str, model: str) -> tuple[str, str]:
    """Key and model from a card that the coordinator holds in the hand."""
    try:
        device = json.loads((card / "DEVICE" / "device.json").read_bytes()[:65536])
        found = (str(device["public_key"]), model or str(device["model"]))
        stated = device["serial"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{card} shows no camera: {error}.",
            hint="Name the card's folder, or give --public-key.",
        ) from error
    if stated != serial:
        raise ConfigurationError(
            f"The card is of camera {stated}, not {serial}.", hint="Take the right card."
        )
    return found


@camera.command("remove")
@config_option
@as_option("BC")
@click.argument("serial")
def camera_remove(config: Path, acting: str, serial: str) -> None:
    """End a camera's registration. Its recordings stay in the vault."""
    with opened(config) as vault:
        camera_list.remove_camera(vault, signed(vault, acting).actor, serial)
    out.print(f"The camera {serial} is no longer registered.")


@camera.command("list")
@config_option
@reader_option
@json_option
def list_cameras(config: Path, acting: str, as_json: bool) -> None:
    """Show the cameras, the removed ones too."""
    with opened(config) as vault:
        rows = camera_list.registrations(vault, signed(vault, acting).actor)
    if as_json:
        show_json(rows)
        return
    table = [
        (row.serial, row.kind, row.model, local(row.added_utc), local(row.removed_utc))
        for row in rows
    ]
    show_table(
        ("camera", "kind", "model", "registered", "removed"),
        table,
        "No camera was ever registered.",
    )
