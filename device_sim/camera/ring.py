"""The pre-record ring: the last 30 seconds of encoded frames, in memory and nowhere else.

Pure. It is given encoded frames with their times and knows no clock, no codec and no file. It is
cut at keyframes only: what it yields always starts on one, because a decoder shows nothing until
the first.

Two bounds. In **time**: it keeps the latest keyframe that lies at least `span_90k` before the
newest frame's end, and what follows; so at most the span and one keyframe interval. In **bytes**:
whole groups of pictures leave at the front until the rest fits. What left because of the bytes, or
because the encoder left a hole, is remembered, so that a short pre-roll can say why it is short.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

Shortage = Literal["just_switched_on", "dropped_frames"]


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One access unit. Times are ticks of 90 kHz since the camera was switched on; `data` is what
    an MP4 sample holds.
    """

    start_90k: int
    duration_90k: int
    key: bool
    data: bytes

    @property
    def end_90k(self) -> int:
        return self.start_90k + self.duration_90k


@dataclass(frozen=True, slots=True)
class Preroll:
    """What the ring yields on the trigger: frames without a hole, the first a keyframe, and why
    they are few (or None).

    `frames` may be empty: then the recording starts with the first frame made after the trigger.
    """

    frames: tuple[EncodedFrame, ...]
    short_because: Shortage | None


class Ring:
    """A pre-record ring of `span_90k` ticks and at most `bytes_max` bytes of frames."""

    def __init__(self, span_90k: int, bytes_max: int) -> None:
        self._span_90k = span_90k
        self._bytes_max = bytes_max
        self._groups: deque[list[EncodedFrame]] = deque()
        self._bytes = 0
        self._end_90k: int | None = None
        self._lost_end_90k: int | None = None

    @property
    def bytes(self) -> int:
        """How many bytes of frames it holds."""
        return self._bytes

    @property
    def start_90k(self) -> int | None:
        """The start of the oldest frame it holds, always a keyframe's, or None."""
        return self._groups[0][0].start_90k if self._groups else None

    @property
    def end_90k(self) -> int | None:
        """The end of the newest frame it holds, or None."""
        return self._groups[-1][-1].end_90k if self._groups else None

    @property
    def held_ms(self) -> int:
        """How much time its frames cover."""
        if self.start_90k is None or self.end_90k is None:
            return 0
        return (self.end_90k - self.start_90k) // 90

    def push(self, frame: EncodedFrame) -> None:
        """Take the next frame. Raises ValueError when it starts before the last one ended: a frame
        would be doubled.

        After a hole in time what was held is let go: a pre-roll with a hole would hide that
        something is missing. A frame that no keyframe precedes cannot be shown and is not kept.
        """
        if self._end_90k is not None and frame.start_90k < self._end_90k:
            raise ValueError(
                f"frame at {frame.start_90k} starts before the last one ended at {self._end_90k}"
            )
        if self._end_90k is not None and frame.start_90k > self._end_90k:
            self._let_go()
            self._lost_end_90k = frame.start_90k
        self._end_90k = frame.end_90k
        if frame.key:
            self._groups.append([frame])
        elif self._groups:
            self._groups[-1].append(frame)
        else:
            self._lost_end_90k = frame.end_90k
            return
        self._bytes += len(frame.data)
        self._trim(frame.end_90k)

    def preroll(self, triggered_90k: int) -> Preroll:
        """What a recording triggered now starts with; the ring keeps it, for the next trigger may
        come soon.

        `triggered_90k` must not lie before the end of the newest frame. The first frame is the
        latest keyframe that lies at least the span before the trigger, or the oldest there is.
        """
        self._trim(triggered_90k)
        frames = tuple(frame for group in self._groups for frame in group)
        wanted_90k = triggered_90k - self._span_90k
        if frames and frames[0].start_90k <= wanted_90k:
            return Preroll(frames, None)
        lost = self._lost_end_90k is not None and self._lost_end_90k > wanted_90k
        return Preroll(frames, "dropped_frames" if lost else "just_switched_on")

    def empty(self) -> None:
        """Forget everything: docked, switched off, or the time before was never filmed."""
        self._let_go()
        self._end_90k = None
        self._lost_end_90k = None

    def _trim(self, now_90k: int) -> None:
        wanted_90k = now_90k - self._span_90k
        while len(self._groups) > 1 and self._groups[1][0].start_90k <= wanted_90k:
            self._drop_oldest()
        while self._groups and self._bytes > self._bytes_max:
            self._lost_end_90k = self._drop_oldest()

    def _drop_oldest(self) -> int:
        group = self._groups.popleft()
        self._bytes -= sum(len(frame.data) for frame in group)
        return group[-1].end_90k

    def _let_go(self) -> None:
        self._groups.clear()
        self._bytes = 0
