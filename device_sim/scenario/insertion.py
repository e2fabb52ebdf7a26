"""The card in the dock: it appears in a watched folder as a sub-folder named by the serial, at once
and whole.

The card's own folder is renamed there, which one file system does in one step. See `volume.py` for
a card that is a FAT volume.
"""

from __future__ import annotations

import errno
from pathlib import Path

from device_sim.camera.camera import Camera, Mode
from device_sim.errors import DockError


def insert(camera: Camera, watched: Path) -> Path:
    """Dock the camera, if it is not, and put its card into `watched`. Gives the card's new folder.
    Raises DockError.
    """
    target = prepare(camera, watched)
    camera.note_card_at(target)
    try:
        (camera.folder / "card").rename(target)
    except OSError as error:
        camera.note_card_at(None)
        if error.errno == errno.EXDEV:
            raise DockError(
                f"{watched} lies on another file system than the camera.",
                "Make the camera on the same one.",
            ) from error
        raise DockError(
            f"The card cannot be put into {watched}: {error.strerror}.", "See who may write there."
        ) from error
    return target


def pull(camera: Camera) -> None:
    """Bring the card back. The camera stays docked until it is taken out with `undock`. Raises
    DockError.
    """
    place = camera.card_folder
    home = camera.folder / "card"
    if place == home:
        raise DockError("The card is in the camera.", "Nothing has to be done.")
    try:
        place.rename(home)
    except OSError as error:
        raise DockError(
            f"The card cannot be taken from {place}: {error.strerror}.", "See where it is."
        ) from error
    camera.note_card_at(None)


def prepare(camera: Camera, watched: Path) -> Path:
    """Dock the camera, if it is not, and give the free place in `watched` where its card will
    appear. Raises DockError.
    """
    if camera.card_folder != camera.folder / "card":
        raise DockError(
            f"The card is in {camera.card_folder} already.", "Take it back with `pull` first."
        )
    target = watched.absolute() / camera.serial
    if not watched.is_dir():
        raise DockError(f"{watched} is not a folder.", "Name the folder that the dock watches.")
    if target.exists():
        raise DockError(f"{target} is there already.", "Take that card out first.")
    if camera.mode is not Mode.DOCKED:
        camera.dock()
    return target
