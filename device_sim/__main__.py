"""The command line: make a camera, play a shift or wear it yourself, and put its card
into a dock.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TextIO

import click

from device_sim.camera.camera import Camera, Mode
from device_sim.camera.profile import Profile
from device_sim.clock import ManualClock, SystemClock, format_utc, parse_utc
from device_sim.errors import DeviceError, ProfileError
from device_sim.scenario.insertion import insert as insert_folder
from device_sim.scenario.insertion import pull as pull_folder
from device_sim.scenario.live import describe
from device_sim.scenario.live import live as live_camera
from device_sim.scenario.serving import serve_cameras
from device_sim.scenario.shift import Shift, Step
from device_sim.scenario.volume import insert_volume, is_volume, pull_volume

FOLDER = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))


@click.group()
def cli() -> None:
    """A body camera in software: it records real H.264, keeps 30 seconds of pre-roll, and signs its
    card.

    DIR is the camera: DIR/card is what the dock sees, DIR/internal its own memory.
    """


@cli.command()
@FOLDER
@click.option("--serial", required=True, help="3 to 16 of A-Z and 0-9, such as BWC0042.")
@click.option("--officer", help="Who it was assigned to.")
@click.option("--model", default="Simulated BWC", show_default=True)
@click.option("--firmware", default="1.0.0", show_default=True)
@click.option("--width", default=320, show_default=True)
@click.option("--height", default=180, show_default=True)
@click.option("--fps", default=10, show_default=True, help="Pictures a second; divides 90000.")
@click.option("--gop-seconds", default=1.0, show_default=True, help="From keyframe to keyframe.")
@click.option("--audio/--no-audio", default=True, show_default=True)
@click.option("--preroll-audio", is_flag=True, help="The microphone is on in standby.")
@click.option("--battery-percent", default=100, show_default=True)
@click.option("--storage-mb", default=2000, show_default=True, help="What the card holds.")
@click.option("--ring-mb", default=64, show_default=True, help="What the pre-record memory holds.")
@click.option("--seed", default=0, show_default=True, help="Another seed is another street.")
def create(
    folder: Path,
    serial: str,
    officer: str | None,
    model: str,
    firmware: str,
    width: int,
    height: int,
    fps: int,
    gop_seconds: float,
    audio: bool,
    preroll_audio: bool,
    battery_percent: int,
    storage_mb: int,
    ring_mb: int,
    seed: int,
) -> None:
    """Make a camera in DIR and print the public key to register."""
    gop_frames = round(gop_seconds * fps)
    if abs(gop_frames - gop_seconds * fps) > 1e-9:
        raise ProfileError(
            f"{gop_seconds} s hold no whole number of frames.", "Choose another --gop-seconds."
        )
    profile = Profile(
        serial=serial,
        model=model,
        firmware=firmware,
        officer=officer,
        width=width,
        height=height,
        fps=fps,
        gop_frames=gop_frames,
        audio=audio,
        preroll_audio=preroll_audio,
        storage_bytes=storage_mb * 1_000_000,
        ring_bytes=ring_mb * 1_000_000,
        battery_percent=battery_percent,
        seed=seed,
    )
    click.echo(Camera.create(folder, profile, SystemClock()).public_key)


@cli.command()
@FOLDER
@click.argument("script", type=click.File(encoding="utf-8"))
@click.option(
    "--start", metavar="UTC", help="When the shift begins; by default so that it ends now."
)
def play(folder: Path, script: TextIO, start: str | None) -> None:
    """Play the shift in SCRIPT (`-` is standard input) as fast as its pictures can be made.

    \b
    standby 40 s      on      25 s      off      battery cut      dock

    A camera that is on at the script's end is switched off.
    """
    shift = Shift.parse(script.read())
    try:
        start_ms = (
            parse_utc(start) if start is not None else SystemClock().utc_ms() - shift.duration_ms
        )
    except ValueError as error:
        raise click.BadParameter(
            "use a form such as 2026-11-23T21:50:19Z", param_hint="--start"
        ) from error
    # Only the wall clock is given: on its own clock the camera goes on where it was.
    camera = Camera.open(folder, ManualClock(start_ms))
    reported = 0

    def show(step: Step, camera: Camera) -> None:
        nonlocal reported
        length = f" {step.length_ms / 1000:g} s" if step.length_ms else ""
        time = format_utc(camera.clock.utc_ms())
        click.echo(f"{time}  line {step.line}: {step.verb}{length} -> {camera.mode.value}")
        for finished in camera.finished[reported:]:
            click.echo(f"    {describe(finished)}")
        reported = len(camera.finished)

    shift.play(camera, show)
    if camera.mode in (Mode.STANDBY, Mode.RECORDING):
        camera.power_off()
        click.echo("The script is at its end: switched off.")
    for finished in camera.finished[reported:]:
        click.echo(f"    {describe(finished)}")


@cli.command()
@FOLDER
def live(folder: Path) -> None:
    """Wear the camera: real time, one key for each button."""
    camera = Camera.open(folder, SystemClock())
    live_camera(camera, click.echo)


@cli.command()
@FOLDER
@click.argument("watched", type=click.Path(path_type=Path))
@click.option(
    "--image", is_flag=True, help="As a FAT volume on a loop device (root, kernel with vfat)."
)
def insert(folder: Path, watched: Path, image: bool) -> None:
    """Dock the camera: its card appears in the folder WATCHED, named by the serial.

    A camera that its script docked already keeps the device.json of that moment, clock included.
    """
    camera = Camera.open(folder, SystemClock())
    click.echo((insert_volume if image else insert_folder)(camera, watched))


@cli.command()
@FOLDER
def pull(folder: Path) -> None:
    """Take the card out of the dock again and switch the camera off."""
    camera = Camera.open(folder, SystemClock())
    (pull_volume if is_volume(camera) else pull_folder)(camera)
    camera.take_out()
    click.echo(camera.mode.value)


@cli.command()
@click.argument(
    "folders",
    metavar="DIR...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
)
@click.option(
    "--usbip",
    "address",
    metavar="HOST:PORT",
    default="127.0.0.1:3240",
    show_default=True,
    help="Where hosts reach it.",
)
def dock(folders: tuple[Path, ...], address: str) -> None:
    """Dock cameras over USB, until `quit` or SIGTERM: each DIR is one camera on one port of a bus
    in software.

    \b A Linux machine makes real USB devices of them:    modprobe vhci-hcd; usbip attach -r HOST -b
    1-1 dockd reaches them without a kernel:               usb_backend = "usbip:HOST:PORT"

    Typed lines: `unplug 1-1`, `plug 1-1`, `list`, `quit`.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise click.BadParameter("use a form such as 127.0.0.1:3240", param_hint="--usbip")
    serve_cameras(
        [Camera.open(folder, SystemClock()) for folder in folders], host, int(port), click.echo
    )


@cli.command()
@FOLDER
def show(folder: Path) -> None:
    """State, key and recordings, as one JSON document."""
    camera = Camera.open(folder, SystemClock())
    document = {
        "serial": camera.serial,
        "public_key": camera.public_key,
        "mode": camera.mode.value,
        "battery_percent": camera.battery_percent,
        "counter": camera.counter,
        "card": str(camera.card_folder),
        "recordings": camera.recordings(),
    }
    click.echo(json.dumps(document, indent=2))


def main() -> None:
    """Exit codes: 0 done, 1 refused with a sentence on standard error, 2 wrong usage."""
    try:
        cli(prog_name="device-sim")
    except DeviceError as error:
        click.echo(f"device-sim: {error.sentence}\n{error.hint}", err=True)
        sys.exit(1)
    except OSError as error:
        click.echo(f"device-sim: {error.filename}: {error.strerror}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
