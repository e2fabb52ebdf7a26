"""A body camera: off, standby, recording, docked; its buttons, its battery, its card.

Time comes from an injected clock. Whenever time has passed, the frames of that time are made
(`filming.py`): a frame exists from the moment it ends.

Thread: one. A Camera belongs to whoever made it.
"""

from __future__ import annotations

import base64
import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from device_sim.camera import battery, fmp4
from device_sim.camera.battery import FLAT_PERCENT, PERCENT_PER_H
from device_sim.camera.card import Card
from device_sim.camera.filming import PREROLL_90K, Filming, Trigger
from device_sim.camera.manifest import Head, Stop, StopReason
from device_sim.camera.medium import Disk, Medium
from device_sim.camera.memory import Memory, State
from device_sim.camera.profile import TIMESCALE_HZ, Profile
from device_sim.camera.recorder import Recorder, Soundtrack
from device_sim.camera.recovery import close_recording, recover
from device_sim.clock import Clock, ManualClock, SystemClock, WornClock, format_utc
from device_sim.errors import CardFullError, NotACameraError, ProfileError, WrongStateError

RESERVE_BYTES = 256 * 1024
"""Kept free for manifest, signature and journal, so that a full card can still be
closed in order.
"""


class Mode(enum.Enum):
    OFF = "off"
    STANDBY = "standby"
    RECORDING = "recording"
    DOCKED = "docked"


@dataclass(frozen=True, slots=True)
class Finished:
    """A recording that was closed: its name, why it stopped, and how long it
    is, pre-roll included.
    """

    recording: str
    reason: StopReason
    delivered_ms: int
    duration_ms: int


class Camera:
    """One camera in its folder: `card/` is what the dock sees, `internal/` what it never sees."""

    def __init__(self, folder: Path, state: State, clock: Clock, medium: Medium) -> None:
        self.folder = folder
        self.finished: list[Finished] = []
        """Recordings closed since this object was made, in order."""
        self._clock = WornClock(clock, state.clock_offset_ms, state.profile.drift_ppm)
        self._world = clock
        self._medium = medium
        self._state = state
        self._memory = Memory(folder / "internal", medium)
        self._key = self._memory.key()
        self._card = Card(folder / "card", medium)
        self._mode = Mode.DOCKED if state.mode == "docked" else Mode.OFF
        self._mono_offset_ms = max(0, state.mono_ms - clock.mono_ms())
        self._filming: Filming | None = None
        self._recorder: Recorder | None = None

    @classmethod
    def create(
        cls,
        folder: Path | str,
        profile: Profile,
        clock: Clock | None = None,
        medium: Medium | None = None,
    ) -> Camera:
        """Build a camera, key pair and empty card included, in a new or empty folder. It is off.

        Without a clock it gets one that shows the machine's time now and stands still until the
        camera is used.
        """
        folder, medium = Path(folder), medium or Disk()
        clock = clock or ManualClock(SystemClock().utc_ms())
        if Memory(folder / "internal", medium).exists():
            raise ProfileError(f"{folder} holds a camera already.", "Choose another folder.")
        if not folder.parent.is_dir():
            raise ProfileError(f"{folder.parent} is not a folder.", "Make it first.")
        medium.mkdir(folder)
        medium.sync(folder.parent)
        card = Card(folder / "card", medium)
        card.format()
        state = State(
            profile,
            battery_percent=profile.battery_percent,
            utc_ms=clock.utc_ms(),
            mono_ms=clock.mono_ms(),
            clock_offset_ms=profile.clock_offset_ms,
        )
        Memory(folder / "internal", medium).create(state)
        camera = cls(folder, state, clock, medium)
        camera._write_device()
        return camera

    @classmethod
    def open(
        cls, folder: Path | str, clock: Clock | None = None, medium: Medium | None = None
    ) -> Camera:
        """A camera that was made before; off, or docked if that is how it was left. Raises
        NotACameraError.

        Without a clock its time goes on where it was last written down. With one, the monotonic
        clock still never falls back behind what it showed before.
        """
        folder, medium = Path(folder), medium or Disk()
        state = Memory(folder / "internal", medium).load()
        clock = clock or ManualClock(state.utc_ms, state.mono_ms)
        if state.card_at is not None and (folder / "card").exists():
            # The power failed between the note that the card would go and its going.
            state = replace(state, card_at=None)
        if state.card_at is None and not (folder / "card").is_dir():
            raise NotACameraError(
                f"The card of {folder} is missing.", "Put its folder back in place, named `card`."
            )
        return cls(folder, state, clock, medium)

    # What it shows.

    @property
    def mode(self) -> Mode:
        return self._mode

    @property
    def profile(self) -> Profile:
        return self._state.profile

    @property
    def serial(self) -> str:
        return self._state.profile.serial

    @property
    def counter(self) -> int:
        """The counter of the last recording begun; 0 before the first."""
        return self._state.counter

    @property
    def public_key(self) -> str:
        """What the coordinator registers: 32 bytes in base64."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode("ascii")

    @property
    def battery_percent(self) -> int:
        return int(self._state.battery_percent)

    @property
    def card_folder(self) -> Path:
        """Where the card is now: in the camera, or where it was inserted."""
        return Path(self._state.card_at) if self._state.card_at is not None else self._card.root

    def recordings(self) -> list[str]:
        """The folders of recordings on the card, wherever it is."""
        return Card(self.card_folder, self._medium).names()

    @property
    def ring_ms(self) -> int:
        """How much of the last seconds the ring holds."""
        return self._filming.ring.held_ms if self._filming is not None else 0

    @property
    def clock(self) -> Clock:
        """The world's clock, as it was given; its own may be off and drift."""
        return self._world

    @property
    def utc_ms(self) -> int:
        """The time that the camera shows."""
        return self._clock.utc_ms()

    def set_clock(self, utc_ms: int) -> None:
        """The dock sets the camera's clock. It is durable on return."""
        self._expect("have its clock set", Mode.DOCKED)
        self._clock.set_utc(utc_ms)
        self._save(self._state)

    def delete(self, path: Path) -> None:
        """The dock deletes a file, or an empty folder, of the card. Durable on return. Raises
        OSError.
        """
        self._expect("be erased", Mode.DOCKED)
        if path.is_dir():
            self._medium.rmdir(path)
        else:
            path.lstat()
            self._medium.unlink(path)
        self._medium.sync(path.parent)

    @property
    def mono_ms(self) -> int:
        """The camera's monotonic clock."""
        return self._clock.mono_ms() + self._mono_offset_ms

    # Its buttons.

    def power_on(self) -> None:
        """Off to standby. Closes first what a power cut left open."""
        self._expect("be switched on", Mode.OFF)
        if self._state.battery_percent <= FLAT_PERCENT:
            raise WrongStateError("The battery is flat.", "Dock the camera to charge it.")
        self._recover()
        self._start()

    def power_off(self) -> Finished | None:
        """To off, from standby or from a recording, which is closed first."""
        self._expect("be switched off", Mode.STANDBY, Mode.RECORDING)
        finished = self._close("button") if self._mode is Mode.RECORDING else None
        self._rest(Mode.OFF)
        return finished

    def standby(self, seconds: float) -> None:
        """Stand by for so long."""
        self._expect("stand by", Mode.STANDBY)
        self.run(seconds)

    def switch_on(self) -> str:
        """Standby to recording: the pre-roll goes onto the card at once. Gives the recording's
        name. Raises CardFullError.
        """
        self._expect("start to record", Mode.STANDBY)
        filming = self._running()
        self.catch_up()
        trigger = Trigger(self.mono_ms, self._clock.utc_ms())
        preroll = filming.ring.preroll((trigger.mono_ms - filming.power_on_mono_ms) * 90)
        start_90k = preroll.frames[0].start_90k if preroll.frames else filming.next_90k
        room_bytes = self.profile.storage_bytes - self._card.used_bytes() - RESERVE_BYTES
        if room_bytes < sum(len(frame.data) for frame in preroll.frames) * 11 // 10 + RESERVE_BYTES:
            raise CardFullError(
                "The card is full.",
                "Dock the camera, so that its recordings are taken over and erased.",
            )
        video = fmp4.VideoTrack(
            self.profile.width, self.profile.height, TIMESCALE_HZ, filming.encoder.parameter_sets
        )
        head = filming.head(self._state, start_90k, trigger, preroll.short_because, video.codec)
        self._save(self._state.opened(head))
        self._card.begin(head)
        self._recorder = Recorder(
            self._card, head, video, self._soundtrack(head), start_90k, room_bytes
        )
        self._mode = Mode.RECORDING
        for frame in preroll.frames:
            self._recorder.feed(frame)
        return head.recording

    def switch_off(self) -> Finished:
        """Recording to standby. The ring goes on, so a switch-on right afterwards has its pre-roll
        too.
        """
        self._expect("stop recording", Mode.RECORDING)
        return self._close("button")

    def dock(self) -> Finished | None:
        """Into the dock, from any state: closes what it records, forgets its ring, writes
        `device.json`.

        Gives what it was recording, if anything. From then on nothing on the card changes until
        `undock`.
        """
        self._expect("be docked", Mode.OFF, Mode.STANDBY, Mode.RECORDING)
        finished = self._close("docked") if self._mode is Mode.RECORDING else None
        if self._mode is Mode.OFF:
            self._recover()
        self._write_device()
        self._rest(Mode.DOCKED)
        return finished

    def undock(self) -> None:
        """Taken out of the dock: to standby, with an empty ring."""
        self.take_out()
        self.power_on()

    def take_out(self) -> None:
        """Taken out of the dock while the power key is held: to off."""
        self._expect("be taken out", Mode.DOCKED)
        if self._state.card_at is not None:
            raise WrongStateError("The card is still in the dock.", "Take it back with `pull`.")
        self._rest(Mode.OFF)

    def battery_cut(self) -> None:
        """The power fails, now. Nothing is written any more, and what was only in
        memory is gone.
        """
        self._filming = None
        self._recorder = None
        self._mode = Mode.DOCKED if self._mode is Mode.DOCKED else Mode.OFF

    def battery_flat(self) -> Finished | None:
        """The battery runs down: the camera closes what it records and switches itself off."""
        self._expect("run down", Mode.STANDBY, Mode.RECORDING)
        finished = self._close("battery") if self._mode is Mode.RECORDING else None
        self._state = replace(self._state, battery_percent=FLAT_PERCENT)
        self._rest(Mode.OFF)
        return finished

    def run(self, seconds: float, passing: Callable[[Camera], None] | None = None) -> None:
        """Let time pass in the state it is in; battery and card may change that. `passing` is
        called as it goes by.
        """
        target_ms = self.mono_ms + round(seconds * 1000)
        while (before_ms := self.mono_ms) < target_ms:
            percent_per_h = PERCENT_PER_H[self._mode.value]
            flat_after_ms = battery.flat_after_ms(self._state.battery_percent, percent_per_h)
            flat_ms = target_ms if flat_after_ms is None else before_ms + flat_after_ms
            self._clock.wait_until(min(target_ms, flat_ms) - self._mono_offset_ms)
            self.catch_up()
            percent = battery.percent_after(
                self._state.battery_percent, percent_per_h, self.mono_ms - before_ms
            )
            self._state = replace(self._state, battery_percent=percent)
            if percent_per_h < 0 and percent <= FLAT_PERCENT:
                self.battery_flat()
            if passing is not None:
                passing(self)

    def catch_up(self) -> None:
        """Make the frames that ended since the last call. In real time, call it several times a
        second.
        """
        filming = self._filming
        if filming is None:
            return
        now_90k = (self.mono_ms - filming.power_on_mono_ms) * 90
        if self._recorder is None:
            filming.skip_to(now_90k - PREROLL_90K)
        utc_offset_ms = self._clock.utc_ms() - self.mono_ms
        while filming.next_number < now_90k // self.profile.frame_90k:
            self._film(filming, utc_offset_ms)
            if self._recorder is not None and self._recorder.is_full:
                self._close("full")

    # Inside.

    def _film(self, filming: Filming, utc_offset_ms: int) -> None:
        # A recording that found the ring empty starts with this frame, whatever its place in the
        # group.
        is_first = (
            self._recorder is not None
            and self._recorder.end_90k == filming.next_90k == self._recorder.start_90k
        )
        frame = filming.film(utc_offset_ms, keyframe=is_first)
        if self._recorder is not None:
            self._recorder.feed(frame)

    def _close(self, reason: StopReason) -> Finished:
        """Close the recording; to standby."""
        filming, recorder = self._running(), self._recorder
        if recorder is None:
            raise ValueError("nothing is being recorded")
        if reason != "full":
            self.catch_up()
            self._await_trigger(recorder)
        if self._recorder is None:
            return self.finished[-1]
        self._recorder = None
        self._mode = Mode.STANDBY
        recorder.finish()
        head = recorder.head
        stopped_mono_ms = filming.power_on_mono_ms + recorder.end_90k // 90
        stop = Stop(
            reason, self._clock.utc_ms() - (self.mono_ms - stopped_mono_ms), stopped_mono_ms
        )
        self._state = close_recording(
            self._card, self._memory, self._with_clocks(self._state), self._key, stop
        )
        filming.last_recording, filming.last_end_90k = head.recording, recorder.end_90k
        return self._note(head, stop)

    def _await_trigger(self, recorder: Recorder) -> None:
        """Finish the frame that was being filmed at the switch-on: no recording ends before its own
        trigger.
        """
        triggered_mono_ms = recorder.head.triggered_mono_ms
        base_mono_ms = self._running().power_on_mono_ms
        while self._recorder is recorder and (
            recorder.end_90k == recorder.start_90k
            or base_mono_ms + recorder.end_90k // 90 < triggered_mono_ms
        ):
            frame_end_90k = recorder.end_90k + self.profile.frame_90k
            self._clock.wait_until(base_mono_ms - (-frame_end_90k // 90) - self._mono_offset_ms)
            self.catch_up()

    def _note(self, head: Head, stop: Stop) -> Finished:
        duration_ms = stop.mono_ms - head.started_mono_ms
        finished = Finished(head.recording, stop.reason, head.delivered_ms, duration_ms)
        self.finished.append(finished)
        return finished

    def _recover(self) -> None:
        if self._state.card_at is not None:
            raise WrongStateError("The card is in the dock.", "Take it back with `pull`.")
        head = self._state.open_head
        self._state, stop = recover(self._card, self._memory, self._state, self._key)
        if head is None:
            return
        if stop is not None:
            self._note(head, stop)
        # The clock may have been read last before that recording began; it must not show its times
        # again.
        seen_ms = max(head.triggered_mono_ms, stop.mono_ms if stop is not None else 0)
        self._mono_offset_ms += max(0, seen_ms - self.mono_ms)

    def _start(self) -> None:
        self._filming = Filming(self.profile, self.mono_ms)
        self._mode = Mode.STANDBY
        self._save(replace(self._state, mode="off"))

    def _rest(self, mode: Mode) -> None:
        """Off or docked: the ring and all that was filmed for it is gone."""
        self._filming = None
        self._mode = mode
        self._save(replace(self._state, mode="docked" if mode is Mode.DOCKED else "off"))

    def _write_device(self) -> None:
        profile = self.profile
        self._card.write_device(
            {
                "format": "bodycam-card/device/1",
                "serial": profile.serial,
                "model": profile.model,
                "firmware": profile.firmware,
                "public_key": self.public_key,
                "battery_percent": self.battery_percent,
                "storage_bytes": profile.storage_bytes,
                "free_bytes": max(0, profile.storage_bytes - self._card.used_bytes()),
                "clock_utc": format_utc(self._clock.utc_ms()),
            }
        )

    def _soundtrack(self, head: Head) -> Soundtrack | None:
        if head.sample_rate is None:
            return None
        live_90k = 0 if head.preroll_audio else head.delivered_ms * 90
        return Soundtrack(head.sample_rate, live_90k, self.profile.seed)

    def note_card_at(self, place: Path | None) -> None:
        """Write down where the card is about to go (None: back into the camera)."""
        self._expect("part with its card", Mode.DOCKED)
        self._save(replace(self._state, card_at=str(place) if place is not None else None))

    def _running(self) -> Filming:
        if self._filming is None:
            raise WrongStateError("The camera is off.", "Switch it on.")
        return self._filming

    def _expect(self, what: str, *modes: Mode) -> None:
        if self._mode not in modes:
            states = " or ".join(mode.value for mode in modes)
            raise WrongStateError(
                f"The camera is {self._mode.value} and cannot {what}.", f"It has to be {states}."
            )

    def _save(self, state: State) -> None:
        self._state = self._with_clocks(state)
        self._memory.save(self._state)

    def _with_clocks(self, state: State) -> State:
        return replace(
            state,
            utc_ms=self._world.utc_ms(),
            mono_ms=self.mono_ms,
            clock_offset_ms=self._clock.offset_ms,
        )
