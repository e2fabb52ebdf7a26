"""Is the pre-roll there, and is anything missing? Read from the boxes of fragmented MP4 while the
bytes pass by.

`SegmentTimeline` looks over intake's shoulder: it skips the picture data without touching it, holds
no more than one `moof` at a time, and answers any bytes whatever with facts, never with an
exception. `judge` then holds the facts of all segments against what the camera states. A broken
timeline never keeps a recording out of the vault: it is kept, and says so. Boxes as in ISO/IEC
14496-12.
"""

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from dockd.card.document import (
    PREROLL_REQUESTED_MS,
    ROUNDING_MS,
    ManifestRefused,
    RecordingDocument,
    recording_document,
)
from dockd.card.mp4_boxes import (
    BrokenBoxError,
    Fragment,
    SampleDefaults,
    Track,
    milliseconds,
    read_moof,
    read_moov,
)
from vault.recording import RecordingClaim, TimelineVerdict, Wholeness

TOLERANCE_TICKS = 1
"""What may lie between the end of one fragment and the start of the next, in the track's own
timescale: one rounding.
"""
AUDIO_EDGE_MS = 500
"""How far the sound may begin after the picture, or end before it: frames of sound don't end where
pictures do.
"""

_MOOV_MAX_BYTES = 1 << 20
_MOOF_MAX_BYTES = 1 << 18
_BOXES_MAX = 4096
_FRAGMENTS_MAX = 512
_ODD_MAX = 8
_FINDINGS_MAX = 40
_KNOWN = frozenset(
    {
        b"ftyp",
        b"moov",
        b"moof",
        b"mdat",
        b"styp",
        b"sidx",
        b"free",
        b"skip",
        b"mfra",
        b"prft",
        b"emsg",
        b"uuid",
    }
)


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What one file's boxes say.

    `init_sha256` covers `ftyp` and `moov`; `movie_ms` is a plain movie's stated duration.
    """

    size_bytes: int
    init_sha256: str | None
    tracks: tuple[Track, ...]
    fragments: tuple[Fragment, ...]
    movie_ms: int | None
    odd: tuple[str, ...]


@runtime_checkable
class Witness(Protocol):
    """Whoever looked at a file's boxes while its bytes passed by."""

    def facts(self) -> SegmentFacts:
        """What they say, once the file came to its end."""


class SegmentTimeline:
    """An observer of one file's bytes, shown in order in blocks of any size. One thread."""

    def __init__(self) -> None:
        self._size_bytes = 0
        self._pending = bytearray()
        self._wanted = 8
        self._type = b""
        self._skip_bytes = 0
        self._to_the_end = False
        self._hashing = False
        self._boxes = 0
        self._moofs = 0
        self._init = hashlib.sha256()
        self._init_types: list[bytes] = []
        self._tracks: tuple[Track, ...] = ()
        self._defaults: Mapping[int, SampleDefaults] = {}
        self._fragments: list[Fragment] = []
        self._movie_ms: int | None = None
        self._before = b""
        self._odd: list[str] = []

    def __call__(self, block: memoryview) -> None:
        """Look at the next bytes. What lies in a box that says nothing of time is stepped over, not
        read.
        """
        position, end = 0, block.nbytes
        while position < end and not self._to_the_end:
            if self._skip_bytes:
                step = min(self._skip_bytes, end - position)
                self._size_bytes += step
                if self._hashing:
                    self._init.update(block[position : position + step])
                self._skip_bytes -= step
            else:
                step = min(self._wanted - len(self._pending), end - position)
                self._pending += block[position : position + step]
                self._size_bytes += step
                if len(self._pending) == self._wanted:
                    self._step_on()
            position += step
        self._size_bytes += end - position

    def facts(self) -> SegmentFacts:
        """All that was seen, once the last block has passed."""
        odd = list(self._odd)
        if self._skip_bytes or self._pending:
            odd.append("The file ends in the middle of a box.")
        if self._before == b"moof":
            odd.append("The last fragment has no data.")
        return SegmentFacts(
            size_bytes=self._size_bytes,
            init_sha256=self._init.hexdigest() if self._init_types == [b"ftyp", b"moov"] else None,
            tracks=self._tracks,
            fragments=tuple(self._fragments),
            movie_ms=self._movie_ms,
            odd=tuple(odd),
        )

    def _step_on(self) -> None:
        """As many bytes as were wanted are pending: a header, a longer header, or the body of a
        box.
        """
        try:
            if self._type:
                self._read_body()
            else:
                self._read_header()
        except (BrokenBoxError, struct.error) as error:
            # From here on no byte can be trusted to be the start of a box.
            self._note(f"Near byte {self._size_bytes} the file is no MP4: {error}.")
            self._to_the_end = True
            self._pending.clear()

    def _read_header(self) -> None:
        size_bytes, kind = struct.unpack_from(">I4s", self._pending)
        if size_bytes == 1 and len(self._pending) == 8:
            self._wanted = 16
            return
        header_bytes = len(self._pending)
        if header_bytes == 16:
            (size_bytes,) = struct.unpack_from(">Q", self._pending, 8)
        self._boxes += 1
        if self._boxes > _BOXES_MAX:
            raise BrokenBoxError(f"it has more than {_BOXES_MAX} boxes")
        self._check_order(kind)
        if size_bytes == 0:
            self._note("The last box states no size.")
            self._to_the_end = True
            self._pending.clear()
            return
        if size_bytes < header_bytes:
            raise BrokenBoxError("a box is smaller than its own header")
        self._enter(kind, size_bytes - header_bytes)

    def _enter(self, kind: bytes, body_bytes: int) -> None:
        self._hashing = kind in (b"ftyp", b"moov")
        if self._hashing:
            self._init.update(self._pending)
            self._init_types.append(kind)
        self._pending.clear()
        max_bytes = {b"moov": _MOOV_MAX_BYTES, b"moof": _MOOF_MAX_BYTES}.get(kind, 0)
        if kind in (b"moov", b"moof") and 0 < body_bytes <= max_bytes:
            self._type, self._wanted = kind, body_bytes
            return
        if body_bytes > max_bytes > 0:
            self._note(f"A {kind.decode('ascii')} of {body_bytes} bytes was not read.")
        self._wanted, self._skip_bytes = 8, body_bytes

    def _read_body(self) -> None:
        body = memoryview(bytes(self._pending))
        if self._hashing:
            self._init.update(body)
        kind, self._type, self._wanted = self._type, b"", 8
        self._pending.clear()
        if kind == b"moov":
            movie = read_moov(body)
            # A second moov is noted already; the first one stays.
            if not self._tracks:
                self._tracks, self._defaults, self._movie_ms = (
                    movie.tracks,
                    movie.defaults,
                    movie.movie_ms,
                )
            return
        self._moofs += 1
        self._fragments.extend(read_moof(body, self._moofs, self._defaults))
        if len(self._fragments) > _FRAGMENTS_MAX:
            del self._fragments[_FRAGMENTS_MAX:]
            raise BrokenBoxError(f"it has more than {_FRAGMENTS_MAX} fragments")

    def _check_order(self, kind: bytes) -> None:
        """The order that the contract names: `ftyp`, `moov`, and then pairs of
        `moof` and `mdat`.
        """
        before, self._before = self._before, kind
        if not before and kind != b"ftyp":
            self._note("The file does not begin with ftyp.")
        if before == b"moof" and kind != b"mdat":
            self._note("A fragment's moof is not followed by its data.")
        if kind == b"moof" and b"moov" not in self._init_types:
            self._note("A fragment stands before any moov.")
        if kind in (b"ftyp", b"moov") and kind in self._init_types:
            self._note(f"There is more than one {kind.decode('ascii')}.")
        if kind not in _KNOWN:
            self._note("There are boxes of an unknown type.")

    def _note(self, sentence: str) -> None:
        if sentence not in self._odd and len(self._odd) < _ODD_MAX:
            self._odd.append(sentence)


def judge(
    claim: RecordingClaim, facts: Sequence[SegmentFacts | None], findings: Sequence[str] = ()
) -> TimelineVerdict:
    """Hold the facts of all segments, in the claim's order, against what the camera states. Never
    raises for what a card holds.

    None stands for a segment whose bytes this process has not seen. `findings` are what the reading
    of the card had to say already. `preroll_ms` is measured: the unbroken picture, from a keyframe
    on, nearest before the stated switch-on.
    """
    if claim.manifest is None:
        return _not_stated(facts, findings)
    try:
        document = recording_document(claim.manifest)
    except ManifestRefused as error:
        return TimelineVerdict(Wholeness.BROKEN, None, None, None, (*findings, error.sentence))
    return _Judgement(document, facts, findings).verdict()


class _Judgement:
    """One recording's facts on the way to a verdict."""

    def __init__(
        self,
        document: RecordingDocument,
        facts: Sequence[SegmentFacts | None],
        findings: Sequence[str],
    ) -> None:
        self._document = document
        self._findings = list(findings)
        self._said = set(findings)
        self._named = [
            (entry.name, seen)
            for entry, seen in zip(
                document.segments, [*facts, *[None] * len(document.segments)], strict=False
            )
        ]
        self._seen = [(name, seen) for name, seen in self._named if seen is not None]

    def verdict(self) -> TimelineVerdict:
        for name, seen in self._named:
            if seen is None:
                self._say(f"{name} was not seen by this check.")
            else:
                for sentence in seen.odd:
                    self._say(f"{name}: {sentence}")
        if not self._named:
            self._say(
                "The recording has no segment: the power failed before the first one was closed."
            )
        self._check_init()
        video = self._track_of_all("vide")
        audio = self._track_of_all("soun")
        if self._named and video is None:
            self._say("There is no picture track.")
        if self._document.audio is not None and self._named and audio is None:
            self._say("The camera states sound, and there is no sound track.")
        if self._document.audio is None and audio is not None:
            self._say("The camera states no sound, and there is a sound track.")
        if video is None:
            return self._result(None, None, None)
        return self._judge_picture(video, audio)

    def _judge_picture(self, video: Track, audio: Track | None) -> TimelineVerdict:
        if video.timescale != self._document.video.timescale:
            stated = self._document.video.timescale
            self._say(f"The picture's timescale is {video.timescale}, and {stated} is stated.")
        if not video.codec.startswith("avc"):
            self._say("The picture is not coded as stated.")
        stretches = self._stretches(video, "picture")
        if not stretches:
            self._say("No picture has a time.")
            return self._result(0, 0, None)
        start_ticks, end_ticks = stretches[0][0], stretches[-1][1]
        if abs(start_ticks) > TOLERANCE_TICKS:
            self._say(
                f"The picture starts at {milliseconds(start_ticks, video.timescale)} ms, not at 0."
            )
        self._check_segments(video)
        duration_ms = milliseconds(end_ticks - start_ticks, video.timescale)
        self._check_duration(duration_ms)
        if audio is not None:
            self._check_sound(audio, duration_ms)
        keyframe_first = self._check_keyframes(video)
        preroll_ms = self._check_preroll(video, stretches, keyframe_first)
        return self._result(preroll_ms, duration_ms, keyframe_first)

    def _check_init(self) -> None:
        """Ruling 17: one init for the whole recording, or players lose a track in the middle."""
        for name, seen in self._seen:
            if seen.init_sha256 is None:
                self._say(f"{name} has no ftyp and moov to begin with.")
        if len({seen.init_sha256 for _, seen in self._seen}) > 1:
            self._say("ftyp and moov are not the same in all segments.")

    def _track_of_all(self, kind: str) -> Track | None:
        """The track of this kind in the first segment that has one; more than one of a kind is not
        what the contract names.
        """
        found = [
            track
            for _, seen in self._seen
            for track in seen.tracks
            if track.kind == kind and track.timescale > 0
        ]
        if found and any(
            sum(track.kind == kind for track in seen.tracks) > 1 for _, seen in self._seen
        ):
            self._say(f"There is more than one track of kind {kind}.")
        return found[0] if found else None

    def _fragments(self, track: Track) -> Iterator[tuple[str, Fragment]]:
        for name, seen in self._seen:
            for fragment in seen.fragments:
                if fragment.track == track.number:
                    yield name, fragment

    def _stretches(self, track: Track, what: str) -> list[tuple[int, int]]:
        """The unbroken stretches of a track, in ticks. Each border between two of them is a
        finding.
        """
        stretches: list[tuple[int, int]] = []
        for name, fragment in self._fragments(track):
            if fragment.start_ticks is None:
                self._say(f"{name}: a fragment of the {what} has no time.")
                continue
            start_ticks, end_ticks = (
                fragment.start_ticks,
                fragment.start_ticks + fragment.duration_ticks,
            )
            if fragment.duration_ticks == 0:
                self._say(f"{name}: a fragment of the {what} has no duration.")
            if not stretches:
                stretches.append((start_ticks, end_ticks))
                continue
            apart_ticks = start_ticks - stretches[-1][1]
            if abs(apart_ticks) <= TOLERANCE_TICKS:
                stretches[-1] = (stretches[-1][0], end_ticks)
                continue
            how = "are missing" if apart_ticks > 0 else "are repeated"
            at_ms = milliseconds(stretches[-1][1], track.timescale)
            apart_ms = _ms_text(abs(apart_ticks), track.timescale)
            self._say(f"{name}: at {at_ms} ms {apart_ms} ms of the {what} {how}.")
            stretches.append((start_ticks, end_ticks))
        return stretches

    def _check_segments(self, video: Track) -> None:
        """Each segment's own start and duration, within one rounding to milliseconds
        and one tick.
        """
        tolerance_ms = ROUNDING_MS + 1000 * TOLERANCE_TICKS / video.timescale
        for (name, seen), stated in zip(self._named, self._document.segments, strict=True):
            if seen is None:
                continue
            timed = [
                (fragment.start_ticks, fragment.start_ticks + fragment.duration_ticks)
                for fragment in seen.fragments
                if fragment.track == video.number and fragment.start_ticks is not None
            ]
            if not timed:
                self._say(f"{name} has no picture.")
                continue
            start_ms = 1000 * timed[0][0] / video.timescale
            duration_ms = 1000 * (timed[-1][1] - timed[0][0]) / video.timescale
            if (
                abs(start_ms - stated.start_ms) > tolerance_ms
                or abs(duration_ms - stated.duration_ms) > tolerance_ms
            ):
                self._say(
                    f"{name} runs from {start_ms:.0f} ms for {duration_ms:.0f} ms; "
                    f"from {stated.start_ms} ms for {stated.duration_ms} ms is stated."
                )

    def _check_duration(self, duration_ms: int) -> None:
        """The whole, within one frame and one rounding."""
        stated_ms = self._document.stopped_mono_ms - self._document.started_mono_ms
        if abs(duration_ms - stated_ms) > 1000 // self._document.video.fps + 2 * ROUNDING_MS:
            self._say(f"The recording lasts {duration_ms} ms, and {stated_ms} ms are stated.")

    def _check_sound(self, audio: Track, duration_ms: int) -> None:
        """Sound in every fragment of every segment, without gap or repeat, as long
        as the picture.
        """
        for name, seen in self._seen:
            with_sound = {
                fragment.moof for fragment in seen.fragments if fragment.track == audio.number
            }
            if (
                seen.fragments
                and min(fragment.moof for fragment in seen.fragments) not in with_sound
            ):
                self._say(f"{name} does not begin with sound.")
        stretches = self._stretches(audio, "sound")
        if not stretches:
            self._say("The sound track is empty.")
            return
        start_ms, end_ms = (
            milliseconds(stretches[0][0], audio.timescale),
            milliseconds(stretches[-1][1], audio.timescale),
        )
        if start_ms > AUDIO_EDGE_MS or abs(end_ms - duration_ms) > AUDIO_EDGE_MS:
            self._say(
                f"The sound runs from {start_ms} to {end_ms} ms, the picture to {duration_ms} ms."
            )

    def _check_keyframes(self, video: Track) -> bool | None:
        """Whether the recording starts on a keyframe; every later fragment has to as well."""
        keyframes = [
            (name, fragment.starts_on_keyframe) for name, fragment in self._fragments(video)
        ]
        for name, keyframe in keyframes:
            if not keyframe:
                self._say(f"{name}: a fragment does not start on a keyframe.")
        return keyframes[0][1] if self._named[0][1] is not None else None

    def _check_preroll(
        self, video: Track, stretches: list[tuple[int, int]], keyframe_first: bool | None
    ) -> int | None:
        """Measure the unbroken picture nearest before the switch-on, which the camera's monotonic
        clock places on the timeline.

        What lies before a gap is not the half minute before. None where the first segment was not
        seen.
        """
        if keyframe_first is None:
            return None
        stated_ms = self._document.preroll.delivered_ms
        stretch = next(
            (
                found
                for found in reversed(stretches)
                if milliseconds(found[0], video.timescale) <= stated_ms
            ),
            stretches[0],
        )
        end_ms = min(stated_ms, milliseconds(stretch[1], video.timescale))
        measured_ms = (
            max(0, end_ms - milliseconds(stretch[0], video.timescale)) if keyframe_first else 0
        )
        if abs(measured_ms - stated_ms) > 2 * ROUNDING_MS:
            self._say(
                f"{measured_ms} ms of picture stand before the switch-on, and {stated_ms} ms "
                f"are stated."
            )
        first = next((fragment for _, fragment in self._fragments(video)), None)
        first_ms = milliseconds(first.duration_ticks, video.timescale) if first is not None else 0
        if stated_ms > PREROLL_REQUESTED_MS + first_ms + ROUNDING_MS:
            # P13: the camera may hand on the half minute and the keyframe interval that it begins
            # in, and no more.
            self._say(
                f"The pre-roll of {stated_ms} ms is longer than 30 s and one keyframe interval."
            )
        return measured_ms

    def _say(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self._findings.append(sentence)

    def _result(
        self, preroll_ms: int | None, duration_ms: int | None, keyframe_first: bool | None
    ) -> TimelineVerdict:
        wholeness = Wholeness.BROKEN if self._findings else Wholeness.WHOLE
        return TimelineVerdict(
            wholeness, preroll_ms, duration_ms, keyframe_first, _capped(self._findings)
        )


def _not_stated(facts: Sequence[SegmentFacts | None], findings: Sequence[str]) -> TimelineVerdict:
    """A camera that states nothing: the duration where every file tells it, and nothing else."""
    durations = [seen.movie_ms if seen is not None else None for seen in facts]
    known = [duration for duration in durations if duration is not None]
    duration_ms = sum(known) if known and len(known) == len(durations) else None
    return TimelineVerdict(Wholeness.NOT_STATED, None, duration_ms, None, _capped(findings))


def _capped(findings: Sequence[str]) -> tuple[str, ...]:
    """So many that a person reads them; a broken card may have one for each of 10,000 segments."""
    if len(findings) <= _FINDINGS_MAX:
        return tuple(findings)
    return (*findings[:_FINDINGS_MAX], f"And {len(findings) - _FINDINGS_MAX} findings more.")


def _ms_text(ticks: int, timescale: int) -> str:
    return f"{1000 * ticks / timescale:.1f}".removesuffix(".0")
