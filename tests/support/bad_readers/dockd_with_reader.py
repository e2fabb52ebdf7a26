"""The real dockd as a process, with readers that stop before one segment (`held_reader.py`).

held_dockd.py CONFIG SEGMENT HELD GO STOP_S
"""

import sys
from pathlib import Path

from dockd.__main__ import serve
from dockd.config import load_dock_settings
from dockd.docking import docking
from dockd.reader.processes import Workers
from vault.clock import SystemClock

config, stop_s, first_wait_s, *reader = sys.argv[1:]
docking.FIRST_WAIT_S = float(first_wait_s)
readers = Workers(None, (sys.executable, *reader))
sys.exit(serve(load_dock_settings(Path(config)), SystemClock(), readers, stop_s=float(stop_s)))
