"""A reader that stops before one segment until it is told to go on, as one does whose camera has a
loose plug.

    held_reader.py SEGMENT HELD GO

It writes into the file HELD when it stands before SEGMENT (`name/0002.mp4`), and goes on once the
file GO is there. HELD is opened at the start: a reader may make no files.
"""

import os
import sys
import threading
from pathlib import Path

from dockd.card.contract import CardFile
from dockd.mounted.mounted_card import MountedCard
from dockd.mounted.mounted_stream import MountedStream
from dockd.reader import worker
from vault.clock import SystemClock

LOOK_S = 0.01
segment, held, go = (
    sys.argv[1],
    os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    Path(sys.argv[3]),
)


class HeldCard(MountedCard):
    def open(self, file: CardFile, offset: int = 0) -> MountedStream:
        if file.shown.endswith(segment) and not os.fstat(held).st_size:
            os.write(held, b"held")
            never = threading.Event()
            while not go.exists():
                never.wait(LOOK_S)
        return super().open(file, offset)


clock = SystemClock()
worker.main(lambda root: HeldCard(root, clock))
