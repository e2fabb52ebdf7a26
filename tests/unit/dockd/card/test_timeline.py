"""Is the pre-roll there, and is anything missing: one recording as it should be, then one thing
wrong at a time.
"""

import hashlib
import struct
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockd.card.judgement import judge
from dockd.card.timeline import SegmentFacts, SegmentTimeline
from tests.support.card_maker import (
    FRAME_TICKS,
    VIDEO_TIMESCALE,
    CardMaker,
    Gop,
    MadeRecording,
    box,
    fragment,
    full_box,
    gops,
    init,
    segment,
)
from vault.recording import (
    Origin,
    PrerollClaim,
    RecordingClaim,
    SegmentClaim,
    TimelineVerdict,
    Wholeness,
)

CAMERA = CardMaker(Path("nowhere"))


def look(content: bytes, *cuts: int) -> SegmentFacts:
    """The facts of a file that is shown in blocks cut at the given places."""
    timeline = SegmentTimeline()
    edges = [0, *sorted(cuts), len(content)]
    for start, end in pairwise(edges):
        timeline(memoryview(content)[start:end])
    return timeline.facts()


def claim_of(made: MadeRecording) -> RecordingClaim:
    """As manifest.py would make it, as far as judging needs."""
    preroll = made.document["preroll"]
    return RecordingClaim(
        origin=Origin.MANIFEST,
        camera_serial="BWC0042",
        name=made.name,
        identity=made.sha256(),
        segments=tuple(
            SegmentClaim(
                entry["name"],
                entry["bytes"],
                entry["sha256"],
                entry["start_ms"],
                entry["duration_ms"],
                None,
            )
            for entry in made.document["segments"]
        ),
        preroll=PrerollClaim(30_000, preroll["delivered_ms"], preroll["short_because"], False),
        manifest=made.raw(),
    )


def verdict(made: MadeRecording) -> TimelineVerdict:
    found = judge(claim_of(made), [look(content) for content in made.segments.values()])
    assert all(sentence.isprintable() for sentence in found.findings)
    assert (found.wholeness is Wholeness.WHOLE) == (found.findings == ())
    return found


def remade(
    made: MadeRecording, index: int, change: Callable[[list[Gop]], list[Gop]], **options: bytes
) -> MadeRecording:
    """The same recording with the fragments of one segment changed; its manifest still states what
    it stated.
    """
    audio = made.document["audio"] is not None
    made.segments[f"{index:04d}.mp4"] = segment(
        change(gops(index * 10, 10, audio)), audio, **options
    )
    made.restate()
    return made


# What is well


@pytest.mark.parametrize("preroll_ms", [0, 4_000, 30_000, 30_967])
@pytest.mark.parametrize("audio", [True, False])
def test_a_whole_recording_is_whole(preroll_ms: int, audio: bool) -> None:
    assert verdict(CAMERA.make(2, preroll_ms=preroll_ms, audio=audio)) == TimelineVerdict(
        Wholeness.WHOLE, preroll_ms, 40_000, True, ()
    )


def test_a_last_segment_of_any_length_is_whole() -> None:
    found = verdict(CAMERA.make(2, seconds=33))
    assert (found.wholeness, found.duration_ms) == (Wholeness.WHOLE, 33_000)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 11_000), max_size=40))
def test_blocks_of_any_size_give_the_same_facts(cuts: list[int]) -> None:
    """The vault shows what a read returned; a box may lie across any number of blocks."""
    content = segment(gops(10, 10))
    assert look(content, *[min(cut, len(content)) for cut in cuts]) == look(content)


def test_single_bytes_give_the_same_facts() -> None:
    content = segment(gops(0, 3))
    assert look(content, *range(len(content))) == look(content)


def test_the_init_digest_is_that_of_ftyp_and_moov() -> None:
    facts = look(segment(gops(0, 10)))
    assert facts.init_sha256 == hashlib.sha256(init()).hexdigest()
    assert facts.size_bytes == len(segment(gops(0, 10)))
    assert facts.odd == ()
    assert [track.kind for track in facts.tracks] == ["vide", "soun"]
    assert [entry.start_ticks for entry in facts.fragments if entry.track == 1] == [
        second * VIDEO_TIMESCALE for second in range(10)
    ]


def test_a_box_with_a_64_bit_size_is_stepped_over() -> None:
    """`mdat` beyond 4 GiB would have one; here it is small, and the header is the same."""
    content = init() + fragment(1, gops(0, 1, audio=False)[0])
    start = content.index(b"mdat") - 4
    (size_bytes,) = struct.unpack_from(">I", content, start)
    long = content[:start] + struct.pack(">I4sQ", 1, b"mdat", size_bytes + 8) + content[start + 8 :]
    assert look(long) == replace(look(content), size_bytes=len(long))


# What is broken


def test_a_gap_within_a_segment_is_said_and_measured() -> None:
    found = verdict(remade(CAMERA.make(2), 1, lambda parts: parts[:3] + parts[4:]))
    assert found.wholeness is Wholeness.BROKEN
    assert "0001.mp4: at 13000 ms 1000 ms of the picture are missing." in found.findings
    assert found.preroll_ms == 16_000
    assert found.duration_ms == 40_000


def test_a_repeat_within_a_segment_is_said() -> None:
    found = verdict(remade(CAMERA.make(2), 1, lambda parts: [*parts[:4], *parts[3:]]))
    assert "0001.mp4: at 14000 ms 1000 ms of the picture are repeated." in found.findings
    assert found.wholeness is Wholeness.BROKEN


def test_a_gap_between_segments_is_said() -> None:
    """Where pre-roll and live meet, and where files meet: the same rule."""
    found = verdict(remade(CAMERA.make(2), 2, lambda parts: parts[2:]))
    assert "0002.mp4: at 20000 ms 2000 ms of the picture are missing." in found.findings
    assert (
        "0002.mp4 runs from 22000 ms for 8000 ms; from 20000 ms for 10000 ms is stated."
        in found.findings
    )
    assert found.preroll_ms == 8_000


@pytest.mark.parametrize(
    ("ticks", "whole"),
    [(0, True), (1, True), (-1, True), (2, False), (-2, False), (FRAME_TICKS, False)],
)
def test_one_tick_is_rounding_and_two_are_not(ticks: int, whole: bool) -> None:
    def shifted(parts: list[Gop]) -> list[Gop]:
        return [*parts[:9], replace(parts[9], video_start=parts[9].video_start + ticks)]

    made = remade(CAMERA.make(2, audio=False), 3, shifted)
    assert (verdict(made).wholeness is Wholeness.WHOLE) == whole


def test_a_gap_in_the_sound_is_said() -> None:
    def silent(parts: list[Gop]) -> list[Gop]:
        return [*parts[:4], replace(parts[4], audio_start=None, aac_frames=0), *parts[5:]]

    found = verdict(remade(CAMERA.make(2), 1, silent))
    assert [sentence for sentence in found.findings if "of the sound are missing" in sentence]
    assert found.preroll_ms == 30_000


def test_sound_that_is_stated_and_not_there_is_said() -> None:
    made = CAMERA.make(2, audio=False)
    made.document["audio"] = {"codec": "mp4a.40.2", "sample_rate": 48_000, "channels": 1}
    assert verdict(made).findings == ("The camera states sound, and there is no sound track.",)


def test_sound_that_is_not_stated_and_there_is_said() -> None:
    """Privacy: a camera that records sound must say so."""
    made = CAMERA.make(2)
    made.document["audio"] = None
    assert verdict(made).findings == ("The camera states no sound, and there is a sound track.",)


def test_sound_must_begin_with_each_segment() -> None:
    """Ruling 17: a first segment without sound makes players lose it for the whole recording."""

    def late(parts: list[Gop]) -> list[Gop]:
        return [
            replace(part, audio_start=None, aac_frames=0) if index < 5 else part
            for index, part in enumerate(parts)
        ]

    found = verdict(remade(CAMERA.make(2), 0, late))
    assert "0000.mp4 does not begin with sound." in found.findings
    assert any(sentence.startswith("The sound runs from 49") for sentence in found.findings)


def test_an_init_that_differs_is_said() -> None:
    """Ruling 17."""
    found = verdict(remade(CAMERA.make(2), 2, lambda parts: parts, note=b"x"))
    assert found.findings == ("ftyp and moov are not the same in all segments.",)


def test_a_fragment_that_starts_on_no_keyframe_is_said() -> None:
    found = verdict(
        remade(
            CAMERA.make(2),
            1,
            lambda parts: [*parts[:5], replace(parts[5], keyframe=False), *parts[6:]],
        )
    )
    assert found.findings == ("0001.mp4: a fragment does not start on a keyframe.",)
    assert found.keyframe_first is True


def test_a_recording_that_starts_on_no_keyframe_has_no_preroll_to_show() -> None:
    found = verdict(
        remade(CAMERA.make(2), 0, lambda parts: [replace(parts[0], keyframe=False), *parts[1:]])
    )
    assert (found.keyframe_first, found.preroll_ms, found.wholeness) == (False, 0, Wholeness.BROKEN)


def test_a_preroll_that_is_not_there_is_said() -> None:
    """P15. The manifest states 30 s; the segments begin at the switch-on."""
    made = CAMERA.make(2)
    for index in range(3):
        del made.segments[f"{index:04d}.mp4"]
    entry = made.document["segments"][3]
    made.segments = {"0000.mp4": made.segments["0003.mp4"]}
    made.document["segments"] = [entry | {"name": "0000.mp4", "start_ms": 0, "preroll": True}]
    made.restate()
    found = verdict(made)
    assert found.wholeness is Wholeness.BROKEN
    assert found.preroll_ms == 0
    assert "0 ms of picture stand before the switch-on, and 30000 ms are stated." in found.findings
    assert "The picture starts at 30000 ms, not at 0." in found.findings


def test_a_preroll_longer_than_it_may_be_is_said() -> None:
    """P13. 30 s and the keyframe interval that they begin in; a ring that hands on more keeps more
    than it may.
    """
    assert verdict(CAMERA.make(2, seconds=60, preroll_ms=31_000)).wholeness is Wholeness.WHOLE
    found = verdict(CAMERA.make(2, seconds=60, preroll_ms=31_500))
    assert found.findings == (
        "The pre-roll of 31500 ms is longer than 30 s and one keyframe interval.",
    )


def test_durations_that_are_not_as_stated_are_said() -> None:
    made = CAMERA.make(2)
    made.document["stopped_mono_ms"] += 1_000
    assert verdict(made).findings == ("The recording lasts 40000 ms, and 41000 ms are stated.",)
    made = CAMERA.make(2)
    made.document["segments"][3]["duration_ms"] = 9_500
    assert verdict(made).findings == (
        "0003.mp4 runs from 30000 ms for 10000 ms; from 30000 ms for 9500 ms is stated.",
    )


def test_another_timescale_than_stated_is_said() -> None:
    made = CAMERA.make(2)
    made.document["video"]["timescale"] = 12_800
    assert verdict(made).findings == ("The picture's timescale is 90000, and 12800 is stated.",)


def test_a_fragment_without_a_time_is_said() -> None:
    found = verdict(
        remade(
            CAMERA.make(2),
            1,
            lambda parts: [*parts[:5], replace(parts[5], video_tfdt=False), *parts[6:]],
        )
    )
    assert "0001.mp4: a fragment of the picture has no time." in found.findings


@pytest.mark.parametrize("left_bytes", [-1, -900, 16, 8, 4, 0])
def test_a_file_that_breaks_off_is_said(left_bytes: int) -> None:
    """In the last data, in its header, right after the last moof."""
    made = CAMERA.make(2)
    content = made.segments["0003.mp4"]
    cut = len(content) + left_bytes if left_bytes < 0 else content.rindex(b"mdat") - 4 + left_bytes
    made.segments["0003.mp4"] = content[:cut]
    says = (
        "The file ends in the middle of a box." if left_bytes else "The last fragment has no data."
    )
    found = verdict(made)
    assert found.wholeness is Wholeness.BROKEN
    assert f"0003.mp4: {says}" in found.findings


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no MP4 at all " * 100,
        bytes(10_000),
        b"\xff" * 10_000,
        init(),
        segment(gops(0, 10))[len(init()) :],
    ],
)
def test_a_segment_that_is_no_mp4_breaks_the_verdict_and_nothing_else(content: bytes) -> None:
    """A first, a middle and a last segment of something else."""
    for index in (0, 2, 3):
        made = CAMERA.make(2)
        made.segments[f"{index:04d}.mp4"] = content
        found = verdict(made)
        assert found.wholeness is Wholeness.BROKEN
        assert any(f"{index:04d}.mp4" in sentence for sentence in found.findings)


@pytest.mark.parametrize(
    "content", [b"no MP4 at all " * 100, segment(gops(0, 2))[:-1] + b"\0\0\0\x07none" + bytes(50)]
)
def test_where_a_file_is_no_mp4_does_not_depend_on_how_it_is_read(content: bytes) -> None:
    """Two readings of one file say the same, whatever their blocks."""
    whole = look(content)
    assert look(content, *range(1, len(content))) == whole
    assert look(content, 3, 700) == whole
    assert whole.size_bytes == len(content)


def test_a_recovered_recording_says_how_much_of_the_preroll_stands() -> None:
    """The power failed after the first of three segments of pre-roll."""
    made = CAMERA.make(2)
    made.document |= {
        "stop_reason": "recovered",
        "stopped_mono_ms": made.document["started_mono_ms"] + 10_000,
    }
    made.document["segments"] = made.document["segments"][:1]
    made.segments = {"0000.mp4": made.segments["0000.mp4"]}
    found = verdict(made)
    assert found == TimelineVerdict(
        Wholeness.BROKEN,
        10_000,
        10_000,
        True,
        ("10000 ms of picture stand before the switch-on, and 30000 ms are stated.",),
    )


def test_a_recovered_recording_without_segments_says_so() -> None:
    made = CAMERA.make(2)
    made.document |= {
        "stop_reason": "recovered",
        "segments": [],
        "stopped_mono_ms": made.document["started_mono_ms"],
    }
    made.segments = {}
    found = verdict(made)
    assert found.wholeness is Wholeness.BROKEN
    assert found.findings == (
        "The recording has no segment: the power failed before the first one was closed.",
    )


def test_a_segment_that_was_not_seen_is_never_called_whole() -> None:
    made = CAMERA.make(2)
    facts: list[SegmentFacts | None] = [look(content) for content in made.segments.values()]
    for index in range(4):
        partly = [None if position == index else entry for position, entry in enumerate(facts)]
        found = judge(claim_of(made), partly)
        assert found.wholeness is Wholeness.BROKEN
        assert f"{index:04d}.mp4 was not seen by this check." in found.findings
    assert judge(claim_of(made), [None] * 4).preroll_ms is None
    assert judge(claim_of(made), []).wholeness is Wholeness.BROKEN


def test_what_the_reading_found_is_part_of_the_verdict() -> None:
    made = CAMERA.make(2)
    facts = [look(content) for content in made.segments.values()]
    found = judge(claim_of(made), facts, ["Something else."])
    assert (found.wholeness, found.findings) == (Wholeness.BROKEN, ("Something else.",))


def test_findings_are_so_many_that_a_person_reads_them() -> None:
    made = CAMERA.make(2, seconds=1000)
    found = judge(claim_of(made), [look(b"nothing")] * 100)
    assert len(found.findings) == 41
    assert found.findings[-1].startswith("And ")


# Cameras that state nothing


def dcim_claim(count: int) -> RecordingClaim:
    segments = tuple(
        SegmentClaim(f"DCIM/{index}.MP4", 1, None, None, None, None) for index in range(count)
    )
    return RecordingClaim(Origin.DCIM, "VOL-1", "DCIM/0.MP4", "0" * 64, segments)


def plain_movie(duration_ms: int) -> bytes:
    """Not fragmented, and its moov at the end, as cameras write them."""
    mvhd = full_box(b"mvhd", 0, 0, struct.pack(">4I", 0, 0, 1000, duration_ms), bytes(80))
    return box(b"ftyp", b"qt  ") + box(b"mdat", bytes(5000)) + box(b"moov", mvhd)


def test_a_dcim_recording_has_a_duration_and_no_other_fact() -> None:
    facts = [look(plain_movie(4_000)), look(plain_movie(2_500))]
    assert judge(dcim_claim(2), facts) == TimelineVerdict(
        Wholeness.NOT_STATED, None, 6_500, None, ()
    )
    assert judge(dcim_claim(2), [facts[0], look(b"RIFF....AVI LIST")]).duration_ms is None
    assert judge(dcim_claim(2), [facts[0], None]).duration_ms is None
    gap = "Recording DCIM/0 has a gap: chapter 2 is not on the camera."
    assert judge(dcim_claim(1), facts[:1], [gap]).findings == (gap,)


# Any bytes


@settings(derandomize=True, deadline=None, max_examples=1500)
@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_bytes_in_any_blocks_give_facts(blocks: list[bytes]) -> None:
    """Fault A15."""
    timeline = SegmentTimeline()
    for block in blocks:
        timeline(memoryview(block))
    facts = timeline.facts()
    assert facts.size_bytes == sum(map(len, blocks))
    assert all(sentence.isprintable() for sentence in facts.odd)


@settings(derandomize=True, deadline=None, max_examples=1500)
@given(data=st.data())
def test_any_damage_to_a_segment_gives_a_verdict(data: st.DataObject) -> None:
    """Fault A15. Bytes changed, cut out and put in anywhere, boxes and all: a verdict, never an
    exception.
    """
    made = CAMERA.make(2, seconds=20, preroll_ms=10_000)
    content = bytearray(segment(gops(0, 10))[: data.draw(st.sampled_from([3_000, 20_000]))])
    for _ in range(data.draw(st.integers(1, 5))):
        position = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.integers(0, 12))
        content[position : position + length] = data.draw(st.binary(max_size=12))
    facts = [look(bytes(content), 100, 1000), look(made.segments["0001.mp4"])]
    found = judge(claim_of(made), facts)
    assert all(sentence.isprintable() for sentence in found.findings)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [b"ftyp", b"moov", b"moof", b"mdat", b"free", b"traf", b"trak", b"\xff\0\n\r"]
            ),
            st.integers(0, 2**32 - 1) | st.integers(0, 40),
            st.binary(max_size=40),
        ),
        max_size=12,
    )
)
def test_any_boxes_in_any_order_give_facts(parts: list[tuple[bytes, int, bytes]]) -> None:
    """Fault A15. Headers that are headers, sizes that are anything."""
    facts = look(
        b"".join(struct.pack(">I4s", size_bytes, kind) + body for kind, size_bytes, body in parts)
    )
    judge(claim_of(CAMERA.make(2, seconds=10, preroll_ms=10_000)), [facts])


@pytest.mark.parametrize(
    "content",
    [
        box(b"ftyp") + box(b"free") * 2_000_000,
        init() + box(b"moof") * 2_000_000,
        init() + box(b"moof", box(b"traf") * 30_000) * 60,
        struct.pack(">I4s", 0x7FFF_FFFF, b"moov") + bytes(16 << 20),
        struct.pack(">I4s", 0x7FFF_FFFF, b"moof") + bytes(16 << 20),
        struct.pack(">I4sQ", 1, b"mdat", 2**64 - 1) + bytes(16 << 20),
        init()
        + box(
            b"moof",
            box(b"traf", full_box(b"trun", 0, 0xF00, struct.pack(">I", 16_000), bytes(256_000))),
        )
        * 60,
    ],
    ids=["boxes", "moofs", "trafs", "huge moov", "huge moof", "huge mdat", "huge runs"],
)
def test_memory_and_time_are_bounded_whatever_comes(content: bytes) -> None:
    """Fault A13. Sixteen MiB of the worst that can be thought of."""
    block_bytes = 1 << 20
    blocks = [
        memoryview(content)[start : start + block_bytes]
        for start in range(0, len(content), block_bytes)
    ]
    timeline = SegmentTimeline()
    tracemalloc.start()
    began_s = time.monotonic()
    for block in blocks:
        timeline(block)
    facts = timeline.facts()
    passed_s = time.monotonic() - began_s
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 16 << 20
    assert passed_s < 10
    assert len(facts.fragments) <= 512


def test_picture_data_is_stepped_over() -> None:
    """Many GB of one mdat cost no more than their number of blocks."""
    block = memoryview(bytes(8 << 20))
    timeline = SegmentTimeline()
    timeline(memoryview(init() + struct.pack(">I4sQ", 1, b"mdat", 16 + (8 << 30))))
    began_s = time.monotonic()
    for _ in range(1024):
        timeline(block)
    assert time.monotonic() - began_s < 1
    assert timeline.facts().odd == ()
