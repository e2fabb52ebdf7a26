"""One docking of the reference card, in this process: recovery, then the real pull with its erase,
as `dockd once` does it.

As a program it is the recorder's worker: a world's folder a line, marks around the work, one line
of answer.
"""

import logging
import sys
import threading
from dataclasses import replace
from pathlib import Path

import structlog

from dockd.card.transport import MOUNTED
from dockd.docking.bay import Bay, Board
from dockd.docking.docked_cameras import DockedCameras
from dockd.docking.halt import Halt
from dockd.docking.outcome import PullReport
from dockd.docking.pull import Port, Pull, Workplace
from dockd.docking.quarantine import Quarantine
from dockd.mounted.mounted_card import MountedCard
from tests.campaigns.crash.trace import Marker
from vault.clock import SystemClock
from vault.config import VaultSettings
from vault.errors import Failure
from vault.intake.intake import Intake
from vault.vault import Vault


def settings_of(folder: Path) -> VaultSettings:
    """The world's vault, with one lane: the record is then of one thread, and its order is the
    program's.
    """
    return VaultSettings(root=folder / "vault", pins=folder / "pins.json", reserve_mb=1, lanes=1)


def recover(folder: Path) -> None:
    """What every start does before it looks at a camera."""
    with Vault.open(settings_of(folder), SystemClock()) as vault, Intake(vault) as intake:
        intake.recover()


def dock(folder: Path) -> PullReport:
    """Recover, then pull and erase the card. Raises what stops a camera as a whole."""
    clock = SystemClock()
    with Vault.open(settings_of(folder), clock) as vault, Intake(vault) as intake:
        intake.recover()
        workplace = Workplace(
            intake, clock, DockedCameras(), Halt(clock, 0.0), 1, True, None, Quarantine(clock)
        )
        port = Port(
            "card",
            lambda: MountedCard(folder / "card", clock),
            replace(MOUNTED, parallel_reads=1),
            clock.monotonic_s(),
        )
        return Pull(port, workplace, Bay("bay", Board(), clock), threading.Event()).run()


def quiet() -> None:
    """Nothing of the journal on the standard output."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def main() -> None:
    """The recorder's worker."""
    quiet()
    marker = Marker()
    for line in sys.stdin:
        folder = Path(line.rstrip("\n"))
        marker.begin()
        try:
            answer = dock(folder).message
        except Failure as failure:
            answer = f"{failure.code}: {failure.sentence}"
        marker.end()
        print(answer.replace("\n", " "), flush=True)


if __name__ == "__main__":
    main()
