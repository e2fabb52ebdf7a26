"""Is the pre-roll there, and is anything missing? The verdict on a recording's timeline.

`judge` compares the facts of all segments with what the camera states. A broken timeline never
keeps a recording out of the vault: it is kept, and says so.
"""

from collections.abc import Iterator, Sequence

from dockd.card.document import (
    PREROLL_REQUESTED_MS,
    ROUNDING_MS,
    ManifestRefusedError,
    RecordingDocument,
    recording_document,
)
from dockd.card.mp4_boxes import Fragment, Track, milliseconds
from dockd.card.timeline import SegmentFacts
from vault.recording import RecordingClaim, TimelineVerdict, Wholeness

TOLERANCE_TICKS = 1
"""What may lie between the end of one fragment and the start of the next, in the track's own
timescale: one rounding.
"""
AUDIO_EDGE_MS = 500
"""How far the sound may begin after the picture, or end before it: frames of sound don't end where
pictures do.
"""

_FINDINGS_MAX = 40


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
    except ManifestRefusedError as error:
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
        """Judge the recording as a whole."""
        self._check_boxes()
        self._check_init()
        video = self._track_of_all("vide")
        audio = self._track_of_all("soun")
        self._check_tracks(video, audio)
        if video is None:
            return self._result(None, None, None)
        return self._judge_picture(video, audio)

    def _check_boxes(self) -> None:
        """Say what was odd in each segment, and which were not seen."""
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

    def _check_tracks(self, video: Track | None, audio: Track | None) -> None:
        """Compare the tracks that are there with those that are stated."""
        if self._named and video is None:
            self._say("There is no picture track.")
        if self._document.audio is not None and self._named and audio is None:
            self._say("The camera states sound, and there is no sound track.")
        if self._document.audio is None and audio is not None:
            self._say("The camera states no sound, and there is a sound track.")

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
