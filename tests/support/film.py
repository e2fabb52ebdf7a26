"""Real footage to test the player with: a simulated camera works a shift, and its recordings are
what the vault is given.
"""

import functools
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from device_sim.camera.camera import Camera
from device_sim.camera.profile import Profile
from device_sim.clock import ManualClock


@dataclass(frozen=True, slots=True)
class Film:
    """One recording as the camera wrote it: its statement, and the bytes of its
    segments in order.
    """

    statement: dict[str, object]
    segments: tuple[bytes, ...]


@functools.cache
def film(standby_s: float = 45.0, live_s: float = 40.0) -> Film:
    """A recording with its whole pre-roll, 10 frames a second, a counter burnt into each."""
    with tempfile.TemporaryDirectory() as folder:
        profile = Profile("BWC0042", officer="boa-17", fps=10, gop_frames=10)
        camera = Camera.create(
            Path(folder) / "camera", profile, ManualClock.at("2026-11-23T16:00:00.000Z")
        )
        camera.power_on()
        camera.standby(standby_s)
        camera.switch_on()
        camera.run(live_s)
        camera.switch_off()
        written = next(iter(sorted((camera.card_folder / "RECORDINGS").iterdir())))
        statement = json.loads((written / "recording.json").read_bytes())
        names = [segment["name"] for segment in statement["segments"]]
        return Film(statement, tuple((written / name).read_bytes() for name in names))
