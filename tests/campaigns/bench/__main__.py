"""`python -m tests.campaigns.bench speed | memory | latency | usb | scale | playback`. The exit
code is 1 where a target is missed.
"""

import sys
from pathlib import Path

import click
from rich.console import Console

from tests.campaigns.bench.contenders import CONTENDERS
from tests.campaigns.bench.disk import NoDisk
from tests.campaigns.bench.latency import latency
from tests.campaigns.bench.memory import memory
from tests.campaigns.bench.playback import playback
from tests.campaigns.bench.process import CommandFailed
from tests.campaigns.bench.scale import measure
from tests.campaigns.bench.speed import speed
from tests.campaigns.bench.usb import usb

folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path("/var/tmp"),
    show_default=True,
    help="Where to measure: a folder on the disk, which is used within a folder of its own that is "
    "removed afterwards.",
)


@click.group()
def cli() -> None:
    """Measures dockd on this machine's disk. Nothing but its own folder is touched."""


@cli.command("playback")
@click.option(
    "--minutes",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="How long the recording is.",
)
def playback_command(minutes: float) -> bool:
    """First picture, seeking and memory of four viewings at once, in a real browser."""
    return playback(_console(), minutes)


@cli.command("speed")
@folder_option
@click.option(
    "--gib",
    type=click.FloatRange(min=0.05),
    default=2.0,
    show_default=True,
    help="How much footage the card holds.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How often each is run.",
)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([contender.name for contender in CONTENDERS]),
    help="Only these.",
)
def speed_command(folder: Path, gib: float, rounds: int, only: tuple[str, ...]) -> bool:
    """Time and CPU of the whole way of a card into the vault, against other tools."""
    return speed(_console(), folder, gib, rounds, only)


@cli.command("memory")
@folder_option
@click.option(
    "--gib",
    type=click.FloatRange(min=0.5),
    default=12.0,
    show_default=True,
    help="How long the long file is.",
)
def memory_command(folder: Path, gib: float) -> bool:
    """Resident size while one very long file is taken in."""
    return memory(_console(), folder, gib)


@cli.command("latency")
@folder_option
@click.option(
    "--times",
    type=click.IntRange(min=1),
    default=9,
    show_default=True,
    help="How often a card is mounted.",
)
def latency_command(folder: Path, times: int) -> bool:
    """From mount to the first byte pulled."""
    return latency(_console(), folder, times)


@cli.command("scale")
@click.option("--recordings", type=click.IntRange(min=4000), default=200_000, show_default=True)
@click.option("--entries", type=click.IntRange(min=30_000), default=2_000_000, show_default=True)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=9,
    show_default=True,
    help="How often each is asked.",
)
def scale_command(recordings: int, entries: int, rounds: int) -> bool:
    """What is asked daily of a catalogue of years, beside one of a month."""
    return measure(recordings, entries, rounds)


@cli.command("usb")
@folder_option
@click.option(
    "--gib",
    type=click.FloatRange(min=0.05),
    default=2.0,
    show_default=True,
    help="How much footage the camera holds.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How often each is run.",
)
@click.option(
    "--times",
    type=click.IntRange(min=1),
    default=9,
    show_default=True,
    help="How often the camera is plugged in.",
)
def usb_command(folder: Path, gib: float, rounds: int, times: int) -> bool:
    """The whole pull over USB against the backend alone and against the card as a folder; and from
    plug to first byte.
    """
    return usb(_console(), folder, gib, rounds, times)


def _console() -> Console:
    """Wide enough for the table where nobody says how wide it is."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 150)


if __name__ == "__main__":
    try:
        reached = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (CommandFailed, NoDisk) as error:
        sys.exit(f"{error}")
    # What is asked for by --help is no measurement, and missed nothing.
    sys.exit(1 if reached is False else 0)
