"""The card as a real FAT volume: an image on a loop device, mounted in the watched folder.

Needs root, `mkfs.vfat`, loop devices and a kernel that knows vfat. Where one is missing it says
which, and the plain sub-folder of `insertion.py` serves instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import zlib
from pathlib import Path

from device_sim.camera.camera import Camera
from device_sim.errors import DockError
from device_sim.scenario.insertion import prepare

SPARE_BYTES = 64 * 1024 * 1024
WITHOUT_IMAGE = "Leave out --image: the card is then a plain sub-folder."


def insert_volume(camera: Camera, watched: Path) -> Path:
    """Dock the camera and mount its card below `watched`. Gives the mount
    point. Raises DockError.
    """
    _refuse_where_impossible()
    target = prepare(camera, watched)
    card, image = camera.folder / "card", _image(camera)
    size_bytes = sum(path.stat().st_size for path in card.rglob("*")) + SPARE_BYTES
    # The volume's serial number follows from the camera's, so that it is the same volume each time.
    volume_id = f"{zlib.crc32(camera.serial.encode('ascii')):08x}"
    image.unlink(missing_ok=True)
    _do("mkfs.vfat", "-i", volume_id, "-C", str(image), str(size_bytes // 1024))
    filling = camera.folder / "filling"
    filling.mkdir(exist_ok=True)
    _do("mount", "-o", "loop", "-t", "vfat", str(image), str(filling))
    try:
        shutil.copytree(card, filling, dirs_exist_ok=True, copy_function=shutil.copyfile)
    finally:
        _do("umount", str(filling))
    filling.rmdir()
    # It appears with everything in it: what watches the folder may read from the first moment on.
    target.mkdir()
    camera.note_card_at(target)
    try:
        _do("mount", "-o", "loop", "-t", "vfat", str(image), str(target))
    except DockError:
        target.rmdir()
        camera.note_card_at(None)
        raise
    card.rename(_before(camera))
    return target


def pull_volume(camera: Camera) -> None:
    """Unmount the volume and take over what the dock left on it. Raises DockError."""
    place, home, image = camera.card_folder, camera.folder / "card", _image(camera)
    coming = camera.folder / "card.coming"
    shutil.rmtree(coming, ignore_errors=True)
    shutil.copytree(place, coming, copy_function=shutil.copyfile)
    _do("umount", str(place))
    place.rmdir()
    coming.rename(home)
    camera.note_card_at(None)
    shutil.rmtree(_before(camera), ignore_errors=True)
    image.unlink()


def is_volume(camera: Camera) -> bool:
    """Whether the card that is away is a volume."""
    return _image(camera).exists() and camera.card_folder.is_mount()


def _refuse_where_impossible() -> None:
    known = Path("/proc/filesystems").read_text(encoding="ascii").split()
    if "vfat" not in known and not _load_vfat():
        raise DockError("This machine's kernel knows no vfat.", WITHOUT_IMAGE)
    if os.geteuid() != 0:
        raise DockError("Only root may mount an image.", WITHOUT_IMAGE)
    for tool in ("mkfs.vfat", "mount", "umount"):
        if shutil.which(tool) is None:
            raise DockError(f"{tool} is not installed.", WITHOUT_IMAGE)


def _load_vfat() -> bool:
    modprobe = shutil.which("modprobe")
    return (
        modprobe is not None
        and not subprocess.run([modprobe, "vfat"], capture_output=True, check=False).returncode
    )


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DockError(f"{' '.join(command)} failed: {done.stderr.strip()}.", WITHOUT_IMAGE)


def _image(camera: Camera) -> Path:
    return camera.folder / "card.img"


def _before(camera: Camera) -> Path:
    return camera.folder / "card.before"
