"""Cameras to test with: small pictures, so that minutes of film take a blink, and a clock that only
moves when asked.
"""

from pathlib import Path
from typing import Any

from device_sim.camera.camera import Camera
from device_sim.camera.medium import Disk
from device_sim.camera.profile import Profile
from device_sim.clock import ManualClock

START_UTC = "2026-11-23T21:50:19.123Z"


class Unsynced(Disk):
    """A disk whose flushes cost nothing: what is durable when is the concern of the power-cut tests
    alone.
    """

    def sync(self, path: Path) -> None:
        assert path.exists(), f"flushed a name that does not exist: {path}"


def small(**changes: Any) -> Profile:
    """A camera of 160 by 90 at 5 pictures a second with a keyframe each second."""
    return Profile(
        **{"serial": "BWC0042", "width": 160, "height": 90, "fps": 5, "gop_frames": 5, **changes}
    )


def new_camera(folder: Path, **changes: Any) -> Camera:
    return Camera.create(folder, small(**changes), ManualClock.at(START_UTC), Unsynced())
