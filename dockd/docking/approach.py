"""How the dock comes to a mounted card: through a reader, and for the erase through the door that
makes it writable.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dockd.card.contract import Card, CardRefusedError
from dockd.config import DockSettings
from dockd.docking.dock import Docked, mounted
from dockd.mounted.erasable import EraseDoor
from dockd.mounted.volumes import UNREADABLE, Volume
from dockd.reader.processes import Workers
from dockd.reader.remote_card import CameraWorker
from vault.clock import Clock


class Approach:
    """Built once from the settings."""

    def __init__(self, settings: DockSettings, workers: Workers, clock: Clock) -> None:
        self._workers = workers
        self._clock = clock
        self._door = (
            EraseDoor(settings.erase_socket, settings.erase_root)
            if settings.erase_socket is not None
            else None
        )

    def volume(self, volume: Volume) -> Docked:
        """Return a card that is mounted, or a folder that stands for one, with a reader
        of its own.
        """
        if volume.filesystem == UNREADABLE:
            return mounted(volume, _unreadable)
        door = self._door if volume.filesystem != "folder" else None
        name = volume.mountpoint.name
        roots = [volume.mountpoint] + ([door.place(name)] if door is not None else [])
        worker = CameraWorker(
            self._workers, {"place": "volume", "roots": [str(root) for root in roots]}, self._clock
        )

        def opened(root: Path) -> Card:
            return worker.open(root=str(root))

        @contextmanager
        def writable() -> Iterator[Callable[[], Card]]:
            assert door is not None
            with door.opened(name) as place:
                yield lambda: opened(place)

        return mounted(volume, opened, writable if door is not None else None, worker)


def _unreadable(root: Path) -> Card:
    raise CardRefusedError(
        f"The card at {root.name} can't be mounted: its file system is damaged, or neither "
        f"vfat nor exfat."
    )
