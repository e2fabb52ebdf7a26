"""The command `dockd`: the daemon, one card by hand, and a look at the bays."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import click
import structlog
from rich.console import Console

from dockd.bay import Bay, Board
from dockd.card import Card
from dockd.config import DockSettings, load_dock_settings
from dockd.daemon import GRACE_S, STOP_S, Daemon
from dockd.dock import MOUNTED_LANES
from dockd.halt import Halt
from dockd.journal import log_to_journal
from dockd.mount import MountedCard
from dockd.notify import ServiceManager
from dockd.pull import Port, Pull, Workplace
from dockd.roster import Roster
from dockd.screen import follow, show_report, show_status
from dockd.status import ask_status
from dockd.volumes import MountWatcher
from vault.clock import Clock, SystemClock
from vault.config import load_vault_settings
from vault.errors import Failure
from vault.intake import Intake
from vault.vault import Vault

log = structlog.get_logger()

DEFAULT_CONFIG = Path("/etc/dock-vault/dockd.toml")
RECOVERY_S = 3600.0
"""How long the recovery may take before systemd gives up on the start: it reads what a crash left, and no more."""

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_CONFIG,
    show_default=True,
    help="dockd's settings.",
)


@click.group()
def cli() -> None:
    """Takes in body cameras at the dock: pulls, seals, proves, and only then erases."""


@cli.command()
@config_option
def run(config_path: Path) -> int:
    """Serve all bays until SIGTERM (the daemon)."""
    clock = SystemClock()
    return serve(load_dock_settings(config_path), clock, lambda root: MountedCard(root, clock))


@cli.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True))
@config_option
def once(path: Path, config_path: Path) -> int:
    """Take in the one card that is mounted at PATH, and exit.

    The exit code is 0 when all is stored and erased, 75 when it is worth trying again, 65 when something was refused, 70
    when a person has to look.
    """
    settings = load_dock_settings(config_path)
    log_to_journal("error")
    clock = SystemClock()
    with _workplace(settings, clock) as workplace:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: workplace.halt.request())
        port = Port(_volume_id(path, settings), lambda: MountedCard(path, clock), MOUNTED_LANES, seen_arriving=True)
        bay = Bay(path.name, Board(), clock)
        pull = Pull(port, workplace, bay, threading.Event())
        console = Console()
        with ThreadPoolExecutor(1) as pool:
            report = follow(console, bay, pool.submit(pull.run))
    show_report(console, report)
    return report.reaction.value if report.reaction is not None else 0


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


def serve(settings: DockSettings, clock: Clock, open_card: Callable[[Path], Card], *, stop_s: float = STOP_S) -> int:
    """The daemon from its settings to its exit code."""
    log_to_journal(settings.log_level)
    manager = ServiceManager.from_environment(os.environ, os.getpid())
    manager.extend(RECOVERY_S)
    with _workplace(settings, clock) as workplace:
        if not Daemon(settings, workplace, manager, open_card, stop_s=stop_s).run():
            # A thread is stuck in a device, and the interpreter would wait for it for ever. What it had in hand has no row
            # and no key: the next start drops it.
            sys.stderr.flush()
            os._exit(0)
    manager.close()
    return 0


@contextmanager
def _workplace(settings: DockSettings, clock: Clock) -> Iterator[Workplace]:
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
            log.error("recordings in the vault are damaged: run `vault verify`", recordings=list(recovery.damaged))
        yield Workplace(
            intake=intake,
            clock=clock,
            roster=Roster(),
            halt=Halt(clock, GRACE_S),
            lanes=vault_settings.lanes,
            erase=settings.erase,
            chapters=settings.chapters(),
        )


def _volume_id(path: Path, settings: DockSettings) -> str:
    """The volume's identifier where PATH is a mount point, else the folder's name: as the daemon would call it."""
    watcher = MountWatcher([path.parent], filesystems=settings.filesystems)
    return next((volume.volume_id for volume in watcher.volumes() if volume.mountpoint == path), path.name)


def main() -> None:
    """Run a command and exit with its code. A Failure prints its sentence and hint, and no traceback."""
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
