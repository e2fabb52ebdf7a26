"""A card without manifests: what it doesn't state stays unstated, and what is still being written
is left alone.
"""

import hashlib
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockd.card.contract import CardFile, CardGoneError, CardReading, CardStuckError, edges_of
from dockd.card.dcim import QUIET_S, read_recordings
from dockd.mounted.mounted_card import MountedCard
from dockd.mounted.mounted_stream import MountedStream
from tests.support.hand_clock import HandClock
from tests.support.memory_card import Medium, Path_
from tests.support.real_mounts import tmpfs, unmount
from vault.errors import ConfigurationError
from vault.recording import Origin, SegmentClaim

CHAPTERS = re.compile(r"G[HX](?P<chapter>\d\d)(?P<recording>\d{4})\.MP4", re.IGNORECASE)
SERIAL = "VOL-1A2B-3C4D"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "card"
    (folder / "DCIM").mkdir(parents=True)
    return folder


def put(root: Path, place: str, content: bytes | None = None) -> Path:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(place.encode("utf-8", "surrogateescape") if content is None else content)
    return path


def read(
    root: Path,
    chapters: re.Pattern[str] | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> CardReading:
    clock = HandClock(meanwhile=meanwhile)
    with MountedCard(root, clock) as card:
        reading = read_recordings(card, card.files(), SERIAL, chapters, clock)
    assert clock.slept_s == [QUIET_S]
    assert all(
        refused.name.isprintable() and refused.sentence.isprintable() for refused in reading.refused
    )
    return reading


def names(reading: CardReading) -> list[str]:
    return [recording.claim.name for recording in reading.recordings]


def codes(reading: CardReading) -> dict[str, str]:
    return {refused.name: refused.code for refused in reading.refused}


def test_a_file_is_a_recording_of_which_nothing_is_stated(root: Path) -> None:
    put(root, "DCIM/100MEDIA/MOVI0001.MP4", b"footage")
    (recording,) = read(root).recordings
    claim = recording.claim
    assert (claim.origin, claim.camera_serial, claim.name) == (
        Origin.DCIM,
        SERIAL,
        "DCIM/100MEDIA/MOVI0001.MP4",
    )
    assert claim.segments == (
        SegmentClaim("DCIM/100MEDIA/MOVI0001.MP4", 7, None, None, None, None),
    )
    assert [
        claim.counter,
        claim.started_utc,
        claim.preroll,
        claim.officer,
        claim.manifest,
        claim.signature,
    ] == [None] * 6
    assert [file.path for file in recording.files if file] == [("DCIM", "100MEDIA", "MOVI0001.MP4")]
    assert recording.trailing == ()
    assert recording.folder is None
    assert recording.findings == ()


def test_the_identity_is_the_digest_that_its_words_say(root: Path) -> None:
    """Done by hand: prefix; then length of name, size, name, head, tail. A stored identity must be
    found again for years.
    """
    content = os.urandom(200_000)
    put(root, "DCIM/A.MP4", content)
    head_sha256, tail_sha256 = edges_of(content)
    by_hand = hashlib.sha256(
        b"dock-vault/dcim/v1\0"
        + struct.pack(">IQ", 10, 200_000)
        + b"DCIM\0A.MP4"
        + bytes.fromhex(head_sha256)
        + bytes.fromhex(tail_sha256)
    )
    assert read(root).recordings[0].claim.identity == by_hand.hexdigest()


def test_another_content_under_the_same_name_has_another_identity(root: Path) -> None:
    """Fault E4. In size, at the head, at the tail; another time alone is no other content (fault
    B5).
    """
    path = put(root, "DCIM/A.MP4", b"a" * 200_000)
    identities = [read(root).recordings[0].claim.identity]
    for content in (b"a" * 199_999, b"b" + b"a" * 199_999, b"a" * 199_999 + b"b"):
        path.write_bytes(content)
        identities.append(read(root).recordings[0].claim.identity)
    assert len(set(identities)) == 4
    for time_s in (0, 315_532_800, 4_354_819_198):
        os.utime(path, (time_s, time_s))
        assert read(root).recordings[0].claim.identity == identities[-1]


def test_what_counts_as_footage(root: Path) -> None:
    """Endings in any case, anywhere below DCIM; nothing else, and no name of another alphabet is
    passed over.
    """
    footage = [
        "DCIM/A.MP4",
        "DCIM/b.mov",
        "DCIM/1/2/3/C.Avi",
        "DCIM/é\udcff.MP4",
        "DCIM/\u202eX.mp4",
        "DCIM/.MP4",
    ]
    for place in footage:
        put(root, place)
    for place in (
        "DCIM/A.THM",
        "DCIM/A.LRV",
        "DCIM/mp4",
        "A.MP4",
        "MISC/A.MP4",
        "DCIM/A.MP4.tmp",
        "DCIM/x.mKv",
    ):
        put(root, place)
    reading = read(root)
    assert len(reading.recordings) == len(footage)
    assert reading.refused == ()
    assert "DCIM/\\u202eX.mp4" in names(reading)


def test_dcim_is_found_in_any_case(tmp_path: Path) -> None:
    put(tmp_path, "dcim/A.MP4")
    assert names(read(tmp_path)) == ["dcim/A.MP4"]


# Still being written


@pytest.mark.parametrize("how", ["grows", "shrinks", "touched", "appears"])
def test_what_changes_within_two_seconds_is_left_alone(root: Path, how: str) -> None:
    """Fault A16. The other recordings are read."""
    put(root, "DCIM/QUIET.MP4")
    path = root / "DCIM" / "BUSY.MP4"
    if how != "appears":
        path.write_bytes(b"being written")

    def meanwhile() -> None:
        if how == "touched":
            os.utime(path, (1, 1))
        else:
            path.write_bytes(
                {"grows": b"being written and", "shrinks": b"being", "appears": b"new"}[how]
            )

    reading = read(root, meanwhile=meanwhile)
    assert names(reading) == ["DCIM/QUIET.MP4"]
    assert codes(reading) == {"DCIM/BUSY.MP4": "dcim.still_written"}
    assert names(read(root)) == ["DCIM/BUSY.MP4", "DCIM/QUIET.MP4"]


def test_what_vanishes_within_two_seconds_is_not_there(root: Path) -> None:
    path = put(root, "DCIM/A.MP4")
    assert read(root, meanwhile=path.unlink) == CardReading()


def test_an_empty_file_is_said_and_blocks_nothing(root: Path) -> None:
    put(root, "DCIM/EMPTY.MP4", b"")
    put(root, "DCIM/FULL.MP4")
    reading = read(root)
    assert codes(reading) == {"DCIM/EMPTY.MP4": "dcim.empty"}
    assert "nothing to take in" in reading.refused[0].sentence
    assert names(reading) == ["DCIM/FULL.MP4"]


def test_a_card_taken_out_meanwhile_is_gone(tmp_path: Path) -> None:
    """Fault A1."""
    with tmpfs(tmp_path / "card") as root:
        put(root, "DCIM/A.MP4")
        with pytest.raises(CardGoneError):
            read(root, meanwhile=lambda: unmount(root, lazily=True))


class LeavingCard(MountedCard):
    """A card that is taken out in the moment in which its first file is opened."""

    def open(self, file: CardFile, offset: int = 0) -> MountedStream:
        unmount(Path(self.where), lazily=True)
        return super().open(file, offset)


def test_a_card_taken_out_while_files_are_told_apart_is_gone(tmp_path: Path) -> None:
    """Fault A1. It is no verdict on the file that was just being opened."""
    with tmpfs(tmp_path / "card") as root:
        put(root, "DCIM/A.MP4")
        with LeavingCard(root, HandClock()) as card, pytest.raises(CardGoneError):
            read_recordings(card, card.files(), SERIAL, None, HandClock())


# Chapters


def test_chapters_are_joined_in_their_order(root: Path) -> None:
    """Fault B8. By number, not by name; each folder by itself; what the pattern doesn't know stands
    alone.
    """
    for name in ("GH020007.MP4", "GX010007.MP4", "GH030007.MP4", "GH010008.MP4", "OTHER.MP4"):
        put(root, f"DCIM/100GOPRO/{name}")
    put(root, "DCIM/101GOPRO/GH010007.MP4")
    reading = read(root, CHAPTERS)
    assert [
        [segment.name for segment in recording.claim.segments] for recording in reading.recordings
    ] == [
        ["DCIM/100GOPRO/GH010008.MP4"],
        ["DCIM/100GOPRO/GX010007.MP4", "DCIM/100GOPRO/GH020007.MP4", "DCIM/100GOPRO/GH030007.MP4"],
        ["DCIM/100GOPRO/OTHER.MP4"],
        ["DCIM/101GOPRO/GH010007.MP4"],
    ]
    assert reading.recordings[1].claim.name == "DCIM/100GOPRO/GX010007.MP4"
    assert all(recording.findings == () for recording in reading.recordings)


@pytest.mark.parametrize(
    ("present", "gaps"),
    [
        ([1, 2, 3], []),
        ([0, 1, 2], []),
        ([1], []),
        ([2], ["chapter 1 is"]),
        ([1, 3], ["chapter 2 is"]),
        ([1, 5], ["chapters 2 to 4 are"]),
        ([3, 4, 9], ["chapters 1 to 2 are", "chapters 5 to 8 are"]),
    ],
)
def test_a_missing_chapter_is_said(root: Path, present: list[int], gaps: list[str]) -> None:
    """Fault B8."""
    for chapter in present:
        put(root, f"DCIM/GH{chapter:02d}0007.MP4")
    (recording,) = read(root, CHAPTERS).recordings
    assert len(recording.claim.segments) == len(present)
    assert list(recording.findings) == [
        f"Recording DCIM/0007 has a gap: {gap} not on the camera." for gap in gaps
    ]


def test_an_empty_chapter_is_a_gap(root: Path) -> None:
    for chapter in (1, 2, 3):
        put(root, f"DCIM/GH{chapter:02d}0007.MP4", b"" if chapter == 2 else b"footage")
    reading = read(root, CHAPTERS)
    assert codes(reading) == {"DCIM/GH020007.MP4": "dcim.empty"}
    assert "chapter 2 is" in reading.recordings[0].findings[0]


def test_two_files_for_one_chapter_are_not_joined(root: Path) -> None:
    """Which of them belongs to the others can't be known: nothing is joined, nothing
    is left out.
    """
    for name in ("GH010007.MP4", "GX010007.MP4", "GH020007.MP4"):
        put(root, f"DCIM/{name}")
    reading = read(root, CHAPTERS)
    assert [len(recording.claim.segments) for recording in reading.recordings] == [1, 1, 1]
    assert all(
        "claim the same chapter" in recording.findings[0] for recording in reading.recordings
    )


def test_a_number_that_is_none_stands_alone(root: Path) -> None:
    """Fault A14. Digits of other alphabets, and more digits than any camera counts to."""
    pattern = re.compile(r"(?P<recording>[A-Z]+)(?P<chapter>\d+)?\.MP4")
    for name in ("A1.MP4", "A2.MP4", "A١.MP4", f"A{'9' * 200}.MP4", "A.MP4"):
        put(root, f"DCIM/{name}")
    assert sorted(
        len(recording.claim.segments) for recording in read(root, pattern).recordings
    ) == [1, 1, 1, 2]


def test_a_pattern_without_its_groups_is_a_wrong_setting(root: Path) -> None:
    with pytest.raises(ConfigurationError):
        with MountedCard(root, HandClock()) as card:
            read_recordings(card, (), SERIAL, re.compile(r"(?P<recording>.*)"), HandClock())


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    found=st.dictionaries(
        st.text(
            st.characters(exclude_characters="/\0", exclude_categories=["Cs"]),
            min_size=1,
            max_size=12,
        ).map(lambda name: name + ".mp4")
        | st.from_regex(CHAPTERS, fullmatch=True).filter(str.isascii),
        st.integers(0, 5),
        max_size=8,
    )
)
def test_every_file_is_read_once_or_refused_once(
    found: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Faults A14, B8. Whatever the names and however they group: nothing is left out, nothing
    counts twice.
    """
    root = tmp_path_factory.mktemp("card")
    for name, size_bytes in found.items():
        put(root, f"DCIM/{name}", bytes(size_bytes))
    reading = read(root, CHAPTERS)
    taken = [
        file.path[-1]
        for recording in reading.recordings
        for file in recording.files
        if file is not None
    ]
    assert sorted(taken) == sorted(name for name, size_bytes in found.items() if size_bytes)
    assert len(reading.refused) == len(found) - len(taken)
    assert len({(entry.claim.name, entry.claim.identity) for entry in reading.recordings}) == len(
        reading.recordings
    )


def test_a_camera_that_does_not_answer_refuses_no_file(root: Path) -> None:
    put(root, "DCIM/100TEST/A.MP4")
    medium = Medium.of_folder(root)
    card = medium.open()

    def stick(path: Path_, position: int) -> None:
        raise CardStuckError("The camera's reader has not answered for 110 s.")

    medium.before_read = stick
    with pytest.raises(CardStuckError):
        read_recordings(card, card.files(), SERIAL, None, HandClock())
