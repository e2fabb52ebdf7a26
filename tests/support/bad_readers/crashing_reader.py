"""A reader that a card kills, as a defect in a driver would: a file whose name says so ends the
process by a signal.
"""

import os
import signal

from dockd.card.contract import CardFile
from dockd.mounted.mounted_card import MountedCard
from dockd.mounted.mounted_stream import MountedStream
from dockd.reader import worker
from vault.clock import SystemClock


class DeadlyCard(MountedCard):
    def open(self, file: CardFile, offset: int = 0) -> MountedStream:
        if any(path.path[-1].upper() == "DEADLY.MP4" for path in self.files()):
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().open(file, offset)


clock = SystemClock()
worker.main(lambda root: DeadlyCard(root, clock))
