"""What a camera films from power-on to power-off, in memory only: scene, encoder, ring, and the count
of frames.

Frame numbers count from power-on and follow from the time alone, so a camera that stood by for five
minutes need not film all of them: frames that would have left the ring again before anyone pressed
the button are never drawn, and the ring is emptied where the others begin. What the ring then holds
is what it would have held anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

from device_sim.camera.encoder import VideoEncoder
from device_sim.camera.manifest import Head
from device_sim.camera.memory import State
from device_sim.camera.profile import PREROLL_MS, TIMESCALE_HZ, Profile
from device_sim.camera.ring import EncodedFrame, Ring, Shortage
from device_sim.camera.scene import Scene
from device_sim.clock import format_utc

PREROLL_90K = PREROLL_MS * TIMESCALE_HZ // 1000


@dataclass(frozen=True, slots=True)
class Trigger:
    """The moment of a switch-on, by both of the camera's clocks."""

    mono_ms: int
    utc_ms: int


class Filming:
    """From one power-on to the next power-off. One thread."""

    def __init__(self, profile: Profile, power_on_mono_ms: int) -> None:
        self.power_on_mono_ms = power_on_mono_ms
        self.encoder = VideoEncoder(profile)
        self.ring = Ring(PREROLL_90K, profile.ring_bytes)
        self.next_number = 0
        self.last_recording: str | None = None
        """The recording that was closed last since power-on, and where it ended."""
        self.last_end_90k = 0
        self._profile = profile
        self._scene = Scene(profile.width, profile.height, profile.fps, profile.seed)

    @property
    def next_90k(self) -> int:
        """When the next frame begins, counted from power-on."""
        return self.next_number * self._profile.frame_90k

    def skip_to(self, oldest_90k: int) -> None:
        """Leave out the groups that would have left the ring again by now; one more is made than
        the ring will keep.
        """
        gop = self._profile.gop_frames
        first = (oldest_90k // self._profile.frame_90k // gop - 1) * gop
        if first > self.next_number:
            self.ring.empty()
            self.next_number = first

    def film(self, utc_offset_ms: int, *, keyframe: bool) -> EncodedFrame:
        """Film the next frame into the ring; with `keyframe` as one, also where none is due."""
        number = self.next_number
        stamp = format_utc(self.power_on_mono_ms + self.next_90k // 90 + utc_offset_ms)
        is_keyframe = number % self._profile.gop_frames == 0 or keyframe
        frame = self.encoder.encode(self._scene.draw(number, stamp), number, is_keyframe)
        self.next_number = number + 1
        self.ring.push(frame)
        return frame

    def head(
        self,
        state: State,
        start_90k: int,
        trigger: Trigger,
        short_because: Shortage | None,
        codec: str,
    ) -> Head:
        """Give what is known at its switch-on of the recording that begins at `start_90k`."""
        profile, counter = self._profile, state.counter + 1
        started_mono_ms = self.power_on_mono_ms + start_90k // 90
        return Head(
            recording=f"{profile.serial}-{counter:06d}",
            counter=counter,
            previous_sha256=state.previous_sha256,
            serial=profile.serial,
            model=profile.model,
            firmware=profile.firmware,
            officer=profile.officer,
            started_utc_ms=trigger.utc_ms - (trigger.mono_ms - started_mono_ms),
            triggered_utc_ms=trigger.utc_ms,
            started_mono_ms=started_mono_ms,
            triggered_mono_ms=trigger.mono_ms,
            short_because=short_because,
            preroll_audio=profile.audio and profile.preroll_audio,
            codec=codec,
            width=profile.width,
            height=profile.height,
            fps=profile.fps,
            sample_rate=profile.sample_rate if profile.audio else None,
            overlaps=self.last_recording if self.last_end_90k > start_90k else None,
        )
