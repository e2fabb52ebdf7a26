"""The real dockd as a process, on a card whose reader stops before one segment until it is told to go on.

    held_dockd.py CONFIG SEGMENT HELD GO STOP_S

It makes the file HELD when it stands before SEGMENT (`name/0002.mp4`), and goes on once the file GO is there.
"""

import sys
import threading
from pathlib import Path

from dockd.__main__ import serve
from dockd.card import CardFile
from dockd.config import load_dock_settings
from dockd.mount import MountedCard, MountedReader
from vault.clock import SystemClock

LOOK_S = 0.01


class HeldCard(MountedCard):
    """A camera that falls silent in the middle of a reading, as one with a loose plug does."""

    def open(self, file: CardFile, offset: int = 0) -> MountedReader:
        if file.shown.endswith(segment) and not held.exists():
            held.touch()
            never = threading.Event()
            while not go.exists():
                never.wait(LOOK_S)
        return super().open(file, offset)


config, segment, held, go, stop_s = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), float(sys.argv[5])
clock = SystemClock()
sys.exit(serve(load_dock_settings(config), clock, lambda root: HeldCard(root, clock), stop_s=stop_s))
