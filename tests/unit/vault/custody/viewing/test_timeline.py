"""The time line that a player is told: inits, gaps, and playlists by hand."""

import struct

import pytest

from vault.custody.viewing.timeline import Frame, Timeline, init_length, playlist


def box(kind: bytes, size: int = 16) -> bytes:
    return struct.pack(">I4s", size, kind) + b"\0" * (size - 8)


@pytest.mark.parametrize(
    ("start", "length"),
    [
        (box(b"ftyp", 24) + box(b"moov", 100) + box(b"moof"), 124),
        (box(b"ftyp", 24) + box(b"moov", 100) + box(b"styp"), 124),
        (box(b"ftyp", 24) + box(b"mdat", 64) + box(b"moov", 100), None),
        (box(b"moof") + box(b"mdat"), None),
        (box(b"ftyp", 24) + box(b"moof"), None),
        (b"", None),
        (b"\0\0\0\x01ftyp" + b"\xff" * 8, None),
        (struct.pack(">I4s", 0, b"ftyp") + box(b"moov"), None),
        (struct.pack(">I4s", 0xFFFFFFFF, b"ftyp"), None),
        (b"not a film at all", None),
    ],
)
def test_the_init_is_what_stands_before_the_first_fragment(
    start: bytes, length: int | None
) -> None:
    assert init_length(start) == length


def test_a_gap_keeps_its_place_in_the_playlist() -> None:
    frames = (Frame("a", 0, 10_000, 5), Frame(None, 10_000, 2_500, 0), Frame("b", 12_500, 9_600, 5))
    lines = playlist(Timeline(frames, 100, 30_000, True)).splitlines()
    assert lines[:3] == ["#EXTM3U", "#EXT-X-VERSION:8", "#EXT-X-TARGETDURATION:10"]
    assert lines[lines.index('#EXT-X-MAP:URI="init.mp4"') + 1 :] == [
        "#EXTINF:10.000,",
        "0.m4s",
        "#EXT-X-GAP",
        "#EXTINF:2.500,",
        "gap.m4s",
        "#EXTINF:9.600,",
        "1.m4s",
        "#EXT-X-ENDLIST",
    ]


def test_a_recording_without_a_picture_has_a_list_of_nothing() -> None:
    timeline = Timeline((), 100, None, False)
    assert timeline.duration_ms == 0
    assert playlist(timeline).endswith("#EXT-X-ENDLIST\n")
