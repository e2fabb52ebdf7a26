"""Boxes as pure bytes: against what another muxer wrote, against the standard's fields one by one,
against any bytes.
"""

import io
import struct
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockd.card.mp4_boxes import (
    BrokenBoxError,
    Fragment,
    SampleDefaults,
    Track,
    boxes,
    milliseconds,
    read_moof,
    read_moov,
)
from tests.support.card_maker import (
    AAC_TICKS,
    DELTA_FLAGS,
    FRAME_TICKS,
    KEYFRAME_FLAGS,
    Gop,
    box,
    fragment,
    full_box,
    init,
)


def body_of(content: bytes, kind: bytes) -> memoryview:
    return next(body for found, body in boxes(memoryview(content)) if found == kind)


MOVIE = read_moov(body_of(init(), b"moov"))


def test_an_init_is_read() -> None:
    assert MOVIE.tracks == (Track(1, "vide", "avc1", 90_000), Track(2, "soun", "mp4a", 48_000))
    assert MOVIE.defaults == {
        1: SampleDefaults(FRAME_TICKS, DELTA_FLAGS),
        2: SampleDefaults(AAC_TICKS, KEYFRAME_FLAGS),
    }
    assert MOVIE.movie_ms is None


def test_a_fragment_is_read() -> None:
    gop = Gop(video_start=2**33, audio_start=47 * AAC_TICKS, aac_frames=47)
    assert read_moof(body_of(fragment(1, gop), b"moof"), 5, MOVIE.defaults) == [
        Fragment(5, 1, 2**33, 30 * FRAME_TICKS, True),
        Fragment(5, 2, 47 * AAC_TICKS, 47 * AAC_TICKS, True),
    ]


def test_long_times_are_read() -> None:
    """Version 1 of mvhd, tkhd and mdhd has 64-bit times (8.2.2, 8.3.2, 8.4.2)."""
    mdhd = full_box(b"mdhd", 1, 0, struct.pack(">QQIQ", 0, 0, 12_800, 0))
    tkhd = full_box(b"tkhd", 1, 0, struct.pack(">QQI", 0, 0, 7))
    mvhd = full_box(b"mvhd", 1, 0, struct.pack(">QQIQ", 0, 0, 600, 600 * 3600))
    movie = read_moov(memoryview(mvhd + box(b"trak", tkhd, box(b"mdia", mdhd))))
    assert movie.tracks == (Track(7, "", "", 12_800),)
    assert movie.movie_ms == 3_600_000


@pytest.mark.parametrize(
    ("version", "duration"), [(0, 0), (0, 0xFFFF_FFFF), (1, 0), (1, 0xFFFF_FFFF_FFFF_FFFF)]
)
def test_an_unknown_duration_is_none(version: int, duration: int) -> None:
    times = struct.pack(">QQIQ" if version else ">IIII", 0, 0, 1000, duration)
    assert read_moov(memoryview(full_box(b"mvhd", version, 0, times))).movie_ms is None


def run(flags: int, *fields: int, count: int = 2, tfhd: bytes = b"") -> Fragment:
    """One fragment of one run, below defaults of 100 ticks and delta frames."""
    header = tfhd or full_box(b"tfhd", 0, 0, struct.pack(">I", 1))
    trun = full_box(b"trun", 0, flags, struct.pack(f">I{len(fields)}I", count, *fields))
    (found,) = read_moof(
        memoryview(box(b"traf", header, trun)), 1, {1: SampleDefaults(100, DELTA_FLAGS)}
    )
    return found


def test_every_field_of_a_run_is_found_in_its_place() -> None:
    """8.8.8: fields stand in order, each only if its flag says so; 8.8.7: the fragment's defaults
    go before the movie's.
    """
    assert (run(0).duration_ticks, run(0).starts_on_keyframe) == (200, False)
    assert run(0x1, 9).duration_ticks == 200
    assert run(0x4, KEYFRAME_FLAGS).starts_on_keyframe
    assert run(0x5, 9, KEYFRAME_FLAGS).starts_on_keyframe
    assert run(0x100, 7, 8).duration_ticks == 15
    assert run(0x300, 7, 99, 8, 99).duration_ticks == 15
    each = [7, 99, KEYFRAME_FLAGS, 55, 8, 99, DELTA_FLAGS, 55]
    assert (run(0xF00, *each).duration_ticks, run(0xF00, *each).starts_on_keyframe) == (15, True)
    assert run(0x400, DELTA_FLAGS, KEYFRAME_FLAGS).starts_on_keyframe is False
    set_here = full_box(b"tfhd", 0, 0x3B, struct.pack(">IQIIII", 1, 5, 6, 40, 9, KEYFRAME_FLAGS))
    assert (run(0, tfhd=set_here).duration_ticks, run(0, tfhd=set_here).starts_on_keyframe) == (
        80,
        True,
    )


def test_several_runs_add_up_and_the_first_sample_counts() -> None:
    tfhd = full_box(b"tfhd", 0, 0, struct.pack(">I", 1))
    empty = full_box(b"trun", 0, 0, struct.pack(">I", 0))
    first = full_box(b"trun", 0, 4, struct.pack(">II", 1, KEYFRAME_FLAGS))
    more = full_box(b"trun", 0, 0, struct.pack(">I", 29))
    (found,) = read_moof(
        memoryview(box(b"traf", tfhd, empty, first, more)), 1, {1: SampleDefaults(100, DELTA_FLAGS)}
    )
    assert found == Fragment(1, 1, None, 3000, True)


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\0",
        struct.pack(">I4s", 7, b"traf"),
        struct.pack(">I4s", 100, b"traf"),
        struct.pack(">I4s", 0, b"traf"),
        struct.pack(">I4sQ", 1, b"traf", 16),
        box(b"traf", box(b"trun", b"\0")),
        box(b"traf", full_box(b"trun", 0, 0x100, struct.pack(">I", 0xFFFF_FFFF))),
        box(b"traf", full_box(b"tfhd", 0, 0x3B, struct.pack(">I", 1))),
        box(b"traf", full_box(b"tfdt", 1, 0, bytes(4))),
    ],
)
def test_what_does_not_fit_is_broken(content: bytes) -> None:
    """Fault A15. Sizes of nothing, of too much, counts beyond what is there."""
    with pytest.raises((BrokenBoxError, struct.error)):
        read_moof(memoryview(content), 1, {})


def test_four_billion_samples_cost_nothing() -> None:
    """Fault A13. A run may say so in twelve bytes; a count is multiplied, not counted."""
    assert run(0, count=0xFFFF_FFFF).duration_ticks == 0xFFFF_FFFF * 100


@settings(derandomize=True, deadline=None, max_examples=1500)
@given(st.binary(max_size=200), st.data())
def test_any_bytes_are_read_or_broken(content: bytes, data: st.DataObject) -> None:
    """Fault A15. Random bytes, and real boxes with a few bytes changed."""
    real = bytearray(
        data.draw(st.sampled_from([init(), fragment(1, Gop(0, audio_start=0, aac_frames=3))]))
    )
    for _ in range(data.draw(st.integers(1, 6))):
        real[data.draw(st.integers(0, len(real) - 1))] = data.draw(st.integers(0, 255))
    for body in (content, bytes(real[8:]), *[bytes(inner) for inner in _split(bytes(real))]):
        for read in (read_moov, lambda moof: read_moof(moof, 1, MOVIE.defaults)):
            try:
                read(memoryview(body))
            except (BrokenBoxError, struct.error):
                continue


def _split(content: bytes) -> list[memoryview]:
    try:
        return [body for _, body in boxes(memoryview(content))]
    except BrokenBoxError:
        return []


@pytest.mark.parametrize(
    ("ticks", "timescale", "ms"),
    [(0, 1, 0), (45, 90_000, 1), (44, 90_000, 0), (90_000, 90_000, 1000)],
)
def test_milliseconds_are_rounded_half_up(ticks: int, timescale: int, ms: int) -> None:
    assert milliseconds(ticks, timescale) == ms


def test_what_ffmpeg_wrote_is_read() -> None:
    """The other implementation: FFmpeg's muxer, through PyAV, with a keyframe each second and AAC
    beside it.
    """
    av = pytest.importorskip("av")
    numpy = pytest.importorskip("numpy")
    target = io.BytesIO()
    flags = {
        "movflags": "frag_keyframe+empty_moov+default_base_moof",
        "video_track_timescale": "90000",
    }
    with av.open(target, "w", format="mp4", options=flags) as container:
        video = container.add_stream(
            "libx264",
            rate=30,
            options={"g": "30", "keyint_min": "30", "sc_threshold": "0", "bf": "0"},
        )
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("aac", rate=48_000, layout="mono")
        for index in range(90):
            picture = av.VideoFrame.from_ndarray(
                numpy.full((48, 64, 3), index % 200, numpy.uint8), format="rgb24"
            )
            picture.pts, picture.time_base = index, Fraction(1, 30)
            container.mux(video.encode(picture))
            sound = av.AudioFrame.from_ndarray(
                numpy.zeros((1, 1600), numpy.float32), format="fltp", layout="mono"
            )
            sound.pts, sound.sample_rate, sound.time_base = (
                index * 1600,
                48_000,
                Fraction(1, 48_000),
            )
            container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    content = memoryview(target.getvalue())
    movie = read_moov(body_of(bytes(content), b"moov"))
    assert {(track.kind, track.codec, track.timescale) for track in movie.tracks} == {
        ("vide", "avc1", 90_000),
        ("soun", "mp4a", 48_000),
    }
    picture_track = next(track.number for track in movie.tracks if track.kind == "vide")
    moofs = [body for kind, body in boxes(content) if kind == b"moof"]
    found = [
        entry
        for index, moof in enumerate(moofs)
        for entry in read_moof(moof, index, movie.defaults)
    ]
    for number in (track.number for track in movie.tracks):
        parts = [entry for entry in found if entry.track == number]
        assert [entry.start_ticks for entry in parts] == list(
            accumulate((entry.duration_ticks for entry in parts[:-1]), initial=0)
        )
    pictures = [entry for entry in found if entry.track == picture_track]
    assert [entry.duration_ticks // 90_000 for entry in pictures] == [1, 1, 1]
    assert all(entry.starts_on_keyframe for entry in pictures)
