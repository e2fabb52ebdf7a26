"""From encoded frames to segments on the card: whole groups of pictures, about ten seconds a file.

One Recorder for each recording. Pre-roll and live frames come in through the same door, so there is
no seam where one could be missing or doubled. Sound is made alongside from the recording's first
sample on: silence up to the switch-on (the microphone was off), the street after it.
"""

from __future__ import annotations

from device_sim.camera import fmp4
from device_sim.camera.card import Card, entry_of
from device_sim.camera.encoder import AAC_FRAME_SAMPLES, AudioEncoder, silence, street_sound
from device_sim.camera.manifest import Head
from device_sim.camera.profile import TIMESCALE_HZ
from device_sim.camera.ring import EncodedFrame

SEGMENT_90K = 10 * TIMESCALE_HZ


class Soundtrack:
    """The AAC frames of one recording. `live_90k`: when the microphone went on, counted from the
    first video frame.
    """

    def __init__(self, sample_rate: int, live_90k: int, seed: int) -> None:
        self._encoder = AudioEncoder(sample_rate)
        self._rate = sample_rate
        self._live_sample = -(-live_90k * sample_rate // TIMESCALE_HZ)
        self._seed = seed
        self._fed = 0
        self._ready: list[bytes] = []
        self._taken = 0
        self.track = fmp4.AudioTrack(sample_rate, self._encoder.config)

    def until(self, end_90k: int) -> fmp4.Run:
        """Return the next frames, up to the last that starts before `end_90k`: so the sound never
        lags behind the picture.
        """
        first = self._taken
        self._taken = max(first, -(-end_90k * self._rate // (TIMESCALE_HZ * AAC_FRAME_SAMPLES)))
        samples = [self._next() for _ in range(self._taken - first)]
        return fmp4.Run(fmp4.AUDIO_TRACK, first * AAC_FRAME_SAMPLES, AAC_FRAME_SAMPLES, samples)

    def _next(self) -> bytes:
        while not self._ready:
            heard = self._fed >= self._live_sample
            sound = street_sound(self._fed, self._rate, self._seed) if heard else silence()
            self._ready += self._encoder.encode(sound)
            self._fed += AAC_FRAME_SAMPLES
        return self._ready.pop(0)


class Recorder:
    """Writes the segments of the recording that `head` describes, as long as `room_bytes` allow.

    `start_90k` is the first frame's time, in ticks since the camera was switched on, as all frames'
    times are.
    """

    def __init__(
        self,
        card: Card,
        head: Head,
        video: fmp4.VideoTrack,
        sound: Soundtrack | None,
        start_90k: int,
        room_bytes: int,
    ) -> None:
        self.head = head
        self._card = card
        self._sound = sound
        self._frame_90k = TIMESCALE_HZ // head.fps
        self.start_90k = start_90k
        self._room_bytes = room_bytes
        self._init = fmp4.init(video, sound.track if sound is not None else None)
        self._group: list[EncodedFrame] = []
        self._fragments: list[bytes] = []
        self._segment_start_90k = start_90k
        self._written_90k = start_90k
        self._sequence = 0
        self._segments = 0
        self.is_full = False
        """No further group fits on the card: the recording has to be stopped."""

    @property
    def end_90k(self) -> int:
        """The end of the last frame that the recording will hold if it is finished now."""
        return self._group[-1].end_90k if self._group else self._written_90k

    def feed(self, frame: EncodedFrame) -> None:
        """Take the next frame; the first must be a keyframe and each must follow its predecessor
        without a hole.
        """
        if frame.start_90k != self.end_90k or not (frame.key or self._group):
            raise ValueError(
                f"frame at {frame.start_90k} does not follow the one that ended at {self.end_90k}"
            )
        if frame.key:
            self._close_group()
        if not self.is_full:
            self._group.append(frame)

    def finish(self) -> None:
        """Put on the card what has not been put there yet."""
        self._close_group()
        self._close_segment()

    def _close_group(self) -> None:
        if not self._group:
            return
        end_90k = self._group[-1].end_90k - self.start_90k
        samples = [frame.data for frame in self._group]
        start_90k = self._written_90k - self.start_90k
        runs = [fmp4.Run(fmp4.VIDEO_TRACK, start_90k, self._frame_90k, samples)]
        if self._sound is not None:
            runs.append(self._sound.until(end_90k))
        fragment = fmp4.fragment(self._sequence + 1, runs)
        self._group = []
        # The first group goes on the card in any case: a recording without a segment is one that
        # the power cut off.
        if self._sequence and len(fragment) + len(self._init) > self._room_bytes:
            self.is_full = True
            return
        self._sequence += 1
        self._room_bytes -= len(fragment)
        self._fragments.append(fragment)
        self._written_90k = end_90k + self.start_90k
        if self._written_90k - self._segment_start_90k >= SEGMENT_90K:
            self._close_segment()

    def _close_segment(self) -> None:
        if not self._fragments:
            return
        data = b"".join([self._init, *self._fragments])
        start_ms, end_ms = self._ms(self._segment_start_90k), self._ms(self._written_90k)
        entry = entry_of(
            data, self._segments, start_ms, end_ms - start_ms, start_ms < self.head.delivered_ms
        )
        self._card.add_segment(self.head.recording, data, entry)
        self._segments += 1
        self._room_bytes -= len(self._init)
        self._fragments = []
        self._segment_start_90k = self._written_90k

    def _ms(self, time_90k: int) -> int:
        """Milliseconds from the first frame, rounded as the camera's clock is: so that differences
        add up exactly.
        """
        return time_90k // 90 - self.start_90k // 90
