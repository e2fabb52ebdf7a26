"""The command `dockd`: the daemon, one card by hand, and a look at the bays."""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import click
import structlog
from rich.console import Console

from dockd.config import DockSettings, load_dock_settings
from dockd.daemon import GRACE_S, STOP_S, Daemon
from dockd.display.kiosk.server import serve_page
from dockd.display.screen import follow, show_places, show_report, show_status, watch_status
from dockd.display.status import ask_status
from dockd.docking.approach import Approach
from dockd.docking.bay import Bay, Board
from dockd.docking.dock import Docked, plugged
from dockd.docking.docked_cameras import DockedCameras
from dockd.docking.halt import Halt
from dockd.docking.pull import Port, Pull, Workplace
from dockd.docking.quarantine import Quarantine
from dockd.journal import log_to_journal
from dockd.mounted.volumes import MountWatcher, Volume
from dockd.reader.bus import RemoteBus
from dockd.reader.processes import Workers
from dockd.service import doctor
from dockd.service.notify import ServiceManager
from vault.clock import Clock, SystemClock
from vault.config import load_vault_settings
from vault.errors import Failure, Reaction
from vault.intake.intake import Intake
from vault.vault import Vault

log = structlog.get_logger()

DEFAULT_CONFIG = Path("/etc/dock-vault/dockd.toml")
RECOVERY_S = 3600.0
"""How long the recovery may take before systemd gives up on the start: it reads what a crash left,
and no more.
"""

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_CONFIG,
    show_default=True,
    help="dockd's settings.",
)


class NothingThereError(Failure):
    """Nothing stands at the place that was named."""

    code = "dock.nothing_there"
    reaction = Reaction.TRY_AGAIN
    hint = "See with `dockd look` what stands where."


@click.group()
def cli() -> None:
    """Takes in body cameras at the dock: pulls, seals, proves, and only then erases."""


@cli.command()
@config_option
def run(config_path: Path) -> int:
    """Serve all bays until SIGTERM (the daemon)."""
    settings = load_dock_settings(config_path)
    return serve(
        settings, SystemClock(), Workers(settings.reader_socket, log_level=settings.log_level)
    )


@cli.command()
@click.argument("place")
@config_option
def once(place: str, config_path: Path) -> int:
    """Take in the one camera at PLACE, and exit.

    PLACE is where a card is mounted, or a USB port as `dockd look` shows it, such as usb:1-2.

    The exit code is 0 when all is stored and erased, 75 when it is worth trying again, 65 when
    something was refused, 70 when a person has to look.
    """
    settings = load_dock_settings(config_path)
    log_to_journal("error")
    clock = SystemClock()
    docked = _docked_at(place, settings)
    with _workplace(settings, clock, Quarantine(clock)) as workplace:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: workplace.halt.request())
        port = Port(
            docked.volume_id,
            docked.open,
            docked.transport,
            clock.monotonic_s(),
            docked.writable,
            docked.lease,
        )
        bay = Bay(docked.bay, Board(), clock)
        pull = Pull(port, workplace, bay, threading.Event())
        console = Console()
        with ThreadPoolExecutor(1) as pool:
            try:
                report = follow(console, bay, pool.submit(pull.run))
            finally:
                port.lease.end()
    show_report(console, report)
    return report.reaction.value if report.reaction is not None else 0


@cli.command()
@config_option
def look(config_path: Path) -> int:
    """What stands at the dock now, mounted and on the USB, and how each calls itself. Nothing of it
    is read.

    The name is what `vault camera add` asks for with a camera that knows nothing of the card's
    manifest (a DCIM camera).
    """
    settings = load_dock_settings(config_path)
    log_to_journal("error")
    volumes = _watcher(settings).volumes()
    usb = _usb(settings)
    show_places(Console(), volumes, usb.devices() if usb is not None else ())
    return 0


@cli.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="The document as it is.")
def status(config_path: Path, as_json: bool) -> int:
    """What stands in the bays of the running dockd."""
    document = ask_status(load_dock_settings(config_path).status_socket)
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        show_status(Console(), document)
    return 0


@cli.command()
@config_option
def page(config_path: Path) -> int:
    """Serve the dock's own page on this machine, for its screen, until SIGTERM.

    A process of its own: it asks the status socket, and goes on when the daemon restarts.
    """
    settings = load_dock_settings(config_path)
    click.echo(f"The dock's page is at http://{settings.page}/")
    serve_page(settings.page, settings.status_socket, settings.back_office)
    return 0


@cli.command("doctor")
@config_option
def show_doctor(config_path: Path) -> int:
    """Look at all that the dock stands on, line by line, with what to do. Ends with 70 where
    something is not well.
    """
    log_to_journal("error")
    well = True
    for line in doctor.examine(load_dock_settings(config_path)):
        click.echo(
            f"{'look' if line.advice else 'good'}  {line.what}: "
            f"{line.sentence}{' ' + line.advice if line.advice else ''}"
        )
        well = well and not line.advice
    return 0 if well else Reaction.ALARM.value


@cli.command()
@config_option
def watch(config_path: Path) -> int:
    """The bays of the running dockd on this terminal, as they change, until Ctrl-C."""
    path = load_dock_settings(config_path).status_socket
    watch_status(Console(), lambda: ask_status(path), threading.Event())
    return 0


def serve(settings: DockSettings, clock: Clock, workers: Workers, *, stop_s: float = STOP_S) -> int:
    """The daemon from its settings to its exit code."""
    log_to_journal(settings.log_level)
    manager = ServiceManager.from_environment(os.environ, os.getpid())
    manager.extend(RECOVERY_S)
    with _workplace(settings, clock, Quarantine.from_environment(clock, os.environ)) as workplace:
        if not Daemon(settings, workplace, manager, workers, stop_s=stop_s).run():
            # A thread is stuck in a device, and the interpreter would wait for it for ever. What it
            # had in hand has no row and no key: the next start drops it.
            sys.stderr.flush()
            os._exit(0)
    manager.close()
    return 0


@contextmanager
def _workplace(settings: DockSettings, clock: Clock, quarantine: Quarantine) -> Iterator[Workplace]:
    """The vault, opened and recovered, and what the bays share."""
    vault_settings = load_vault_settings(settings.vault)
    with Vault.open(vault_settings, clock) as vault, Intake(vault) as intake:
        recovery = intake.recover()
        log.info(
            "recovered",
            dropped_parts=recovery.dropped_parts,
            dropped_folders=recovery.dropped_folders,
            adopted=list(recovery.adopted),
        )
        if recovery.damaged:
            log.error(
                "recordings damaged",
                recordings=list(recovery.damaged),
                sentence="Run `vault verify`.",
            )
        yield Workplace(
            intake=intake,
            clock=clock,
            docked_cameras=DockedCameras(),
            halt=Halt(clock, GRACE_S),
            buffers=vault_settings.lanes,
            erase=settings.erase,
            chapters=settings.chapters(),
            quarantine=quarantine,
        )


def _docked_at(place: str, settings: DockSettings) -> Docked:
    """What stands at the place that a person named. Raises NothingThereError."""
    if place.startswith("usb:"):
        usb = _usb(settings)
        bay = place.replace(":", " ", 1)
        devices = usb.devices() if usb is not None else ()
        for device in devices:
            if device.bay == bay:
                return plugged(device)
        present = ", ".join(device.bay for device in devices) or "no camera at all"
        raise NothingThereError(f"No camera stands at {bay}. On the USB there is {present}.")
    path = Path(place).resolve()
    if not path.is_dir():
        raise NothingThereError(f"{place} is no folder in which a card is mounted.")
    # The volume's identifier where this is a mount point, else the folder's name: as the daemon
    # would call it.
    volumes = _watcher(settings, path.parent).volumes()
    folder = Volume(path, path.name, path.name, "folder", read_only=False)
    volume = next((volume for volume in volumes if volume.mountpoint == path), folder)
    return Approach(settings, _workers(settings), SystemClock()).volume(volume)


def _watcher(settings: DockSettings, *roots: Path) -> MountWatcher:
    return MountWatcher(
        roots or settings.mount_roots,
        filesystems=settings.filesystems,
        watched_folder=None if roots else settings.watched_folder,
    )


def _workers(settings: DockSettings) -> Workers:
    """For a command in a terminal, which tells of failures itself."""
    return Workers(settings.reader_socket, log_level="error")


def _usb(settings: DockSettings) -> RemoteBus | None:
    """One look at the bus, if the settings name one. Raises CardStuckError."""
    if settings.usb_backend == "off":
        return None
    bus = RemoteBus(_workers(settings), settings.usb_backend, SystemClock())
    bus.look()
    return bus


def main() -> None:
    """Run a command and exit with its code. A Failure prints its sentence and hint, and no
    traceback.
    """
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = 130
    except Failure as failure:
        click.echo(f"{failure.sentence}\n{failure.hint} [{failure.code}]", err=True)
        code = failure.reaction.value
    sys.exit(code)


if __name__ == "__main__":
    main()
