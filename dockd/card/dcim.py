"""The recordings of a camera that knows no manifest: files in DCIM folders, grouped into
recordings.

Such a card proves nothing of itself. What it doesn't state is None and stays None; what can be
seen, a chapter that is not there or a file that is still being written, is said. A file's time is
only held against itself, two seconds earlier, as FAT times are local and jump with the season
(fault B5).
"""

import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from dockd.card.contract import (
    Card,
    CardError,
    CardFile,
    CardGoneError,
    CardReading,
    CardRecording,
    CardStuckError,
    RefusedRecording,
    edges,
    shown,
)
from dockd.card.names import ascii_lower
from vault.clock import Clock
from vault.errors import ConfigurationError
from vault.recording import Origin, RecordingClaim, SegmentClaim

QUIET_S = 2.0
"""How long size and time must stay the same before a file counts as no longer being written. Fault
A16.
"""

_ENDINGS = (".mp4", ".mov", ".avi")
_CHAPTER_DIGITS = 6


@dataclass(frozen=True, slots=True)
class _Chaptered:
    """A file with its number within its recording, None where it stands alone."""

    file: CardFile
    number: int | None


def read_recordings(
    card: Card,
    files: Sequence[CardFile],
    serial: str,
    chapters: re.Pattern[str] | None,
    clock: Clock,
) -> CardReading:
    """All recordings of the card, each with its verdict.

    `files` is the card's listing of just now; after `QUIET_S` it is listed again, and only what did
    not change is read. `chapters` is matched against a whole file name; its groups `recording` and
    `chapter` join the files of one folder into one recording. CardGoneError, CardStuckError and CardRefusedError
    pass through; every other trouble is the verdict of one recording.
    """
    if chapters is not None and not {"recording", "chapter"} <= set(chapters.groupindex):
        raise ConfigurationError(
            "The chapter pattern has no groups named `recording` and `chapter`."
        )
    quiet, refused = _quiet_files(card, files, clock)
    recordings: list[CardRecording] = []
    for group, findings in _groups(quiet, chapters):
        try:
            recordings.append(_recording(card, serial, group, findings))
        except (CardGoneError, CardStuckError):
            raise
        except CardError as error:
            name = group[0].file.shown
            refused.append(RefusedRecording(name, error.code, f"{error.sentence} {error.hint}"))
    return CardReading(tuple(recordings), (), tuple(refused))


def _quiet_files(
    card: Card, files: Sequence[CardFile], clock: Clock
) -> tuple[list[CardFile], list[RefusedRecording]]:
    clock.sleep(QUIET_S)
    before = {file.path: file for file in files}
    quiet: list[CardFile] = []
    refused: list[RefusedRecording] = []
    for file in card.files():
        if not _is_footage(file):
            continue
        if before.get(file.path) != file:
            sentence = (
                f"{file.shown} is still being written. It stays on the camera and is looked at "
                f"again."
            )
            refused.append(RefusedRecording(file.shown, "dcim.still_written", sentence))
        elif file.size_bytes == 0:
            sentence = (
                f"{file.shown} has no bytes: there is nothing to take in. Look at it on the "
                f"camera and delete it there."
            )
            refused.append(RefusedRecording(file.shown, "dcim.empty", sentence))
        else:
            quiet.append(file)
    return quiet, refused


def _is_footage(file: CardFile) -> bool:
    return (
        len(file.path) > 1
        and ascii_lower(file.path[0]) == "dcim"
        and ascii_lower(file.path[-1][-4:]) in _ENDINGS
    )


def _groups(
    files: Sequence[CardFile], chapters: re.Pattern[str] | None
) -> list[tuple[list[_Chaptered], tuple[str, ...]]]:
    """Sort the files into recordings, each with its files in order and what is to be said of them;
    recordings in the order of their first file.
    """
    joined: dict[tuple[str, ...], list[_Chaptered]] = {}
    groups: list[tuple[list[_Chaptered], tuple[str, ...]]] = []
    for file in files:
        chapter = _chapter(file, chapters)
        if chapter is None:
            groups.append(([_Chaptered(file, None)], ()))
        else:
            recording, number = chapter
            joined.setdefault((*file.path[:-1], recording), []).append(_Chaptered(file, number))
    for path, members in joined.items():
        groups.extend(_joined(shown(path), members))
    return sorted(groups, key=lambda group: group[0][0].file.path)


def _chapter(file: CardFile, chapters: re.Pattern[str] | None) -> tuple[str, int] | None:
    """Read recording and chapter from the file's name; None where it names none."""
    match = chapters.fullmatch(file.path[-1]) if chapters is not None else None
    if match is None or match["recording"] is None or not _is_number(match["chapter"]):
        return None
    return match["recording"], int(match["chapter"])


def _joined(name: str, members: list[_Chaptered]) -> list[tuple[list[_Chaptered], tuple[str, ...]]]:
    """Make one recording of its chapters, or one of each file where two claim the same chapter."""
    members.sort(key=lambda member: member.number or 0)
    numbers = [member.number for member in members if member.number is not None]
    if len(set(numbers)) == len(numbers):
        return [(members, _gaps(name, numbers))]
    finding = (
        f"Several files claim the same chapter of recording {name}: each is kept as a recording "
        f"of its own."
    )
    return [([member], (finding,)) for member in members]


def _is_number(text: str | None) -> bool:
    return text is not None and text.isascii() and text.isdecimal() and len(text) <= _CHAPTER_DIGITS


def _gaps(name: str, numbers: list[int]) -> tuple[str, ...]:
    """One sentence for each run of chapters that is not there. Cameras count from 0 or from 1.
    Fault B8.
    """
    findings: list[str] = []
    before = 0
    for number in numbers:
        if number > before + 1:
            missing = (
                f"chapter {number - 1} is"
                if number == before + 2
                else f"chapters {before + 1} to {number - 1} are"
            )
            findings.append(f"Recording {name} has a gap: {missing} not on the camera.")
        before = number
    return tuple(findings)


def _recording(
    card: Card, serial: str, members: list[_Chaptered], findings: tuple[str, ...]
) -> CardRecording:
    files = tuple(member.file for member in members)
    claim = RecordingClaim(
        origin=Origin.DCIM,
        camera_serial=serial,
        name=files[0].shown,
        identity=_identity(card, files),
        segments=tuple(
            SegmentClaim(file.shown, file.size_bytes, None, None, None, None) for file in files
        ),
    )
    return CardRecording(claim, files, (), None, findings)


def _identity(card: Card, files: tuple[CardFile, ...]) -> str:
    """SHA-256 over, for each file: the name's length and bytes, the size, the digests of head and
    tail.

    Lengths go before what they measure, so that no two lists of files give the same bytes. Names
    are taken as they are, surrogates too; the card's times are not taken at all.
    """
    digest = hashlib.sha256(b"dock-vault/dcim/v1\0")
    for file in files:
        name = "\0".join(file.path).encode("utf-8", "surrogatepass")
        head_sha256, tail_sha256 = edges(card, file)
        digest.update(struct.pack(">IQ", len(name), file.size_bytes) + name)
        digest.update(bytes.fromhex(head_sha256 + tail_sha256))
    return digest.hexdigest()
