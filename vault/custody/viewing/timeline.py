"""A recording as a player is told of it: files on one time line, what is missing, where the camera
was switched on. Pure.

Recordings that follow `dockd/CAMERA.md` are fragments with one init that all share (ruling 17):
they play as HLS (RFC 8216), and a gap keeps its place in time. Others are whole files, played one
after the other.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from vault.storage.record import FilePart, Record
from vault.storage.store import MANIFEST_NAME

GAP_LEAST_MS = 50
"""A hole shorter than a frame or two is rounding, not a gap."""
_BOX = struct.Struct(">I4s")


@dataclass(frozen=True, slots=True)
class Frame:
    """One stretch of the time line: a file, or (`sealed_name` None) a gap. Milliseconds from the
    first frame.
    """

    sealed_name: str | None
    start_ms: int
    duration_ms: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """The time line. `init_bytes`: how long the init is that every file begins with; None: the
    files are played whole, in order, and their times are not known. `switched_on_ms`: where the
    pre-roll ends (P15); None where the camera does not state it.
    """

    frames: tuple[Frame, ...]
    init_bytes: int | None
    switched_on_ms: int | None
    preroll_stated: bool

    @property
    def duration_ms(self) -> int:
        return max((frame.start_ms + frame.duration_ms for frame in self.frames), default=0)

    @property
    def files(self) -> tuple[Frame, ...]:
        return tuple(frame for frame in self.frames if frame.sealed_name is not None)

    @property
    def gaps(self) -> tuple[Frame, ...]:
        return tuple(frame for frame in self.frames if frame.sealed_name is None)


def init_length(start: bytes) -> int | None:
    """How many bytes `ftyp` and `moov` take at the start of a fragmented file; None where it is
    none (ISO/IEC 14496-12, 4.2).
    """
    at = 0
    seen: set[bytes] = set()
    while at + _BOX.size <= len(start):
        size, kind = _BOX.unpack_from(start, at)
        if kind in (b"moof", b"styp", b"sidx"):
            return at if {b"ftyp", b"moov"} <= seen else None
        if size < _BOX.size:
            return None
        seen.add(kind)
        at += size
    return None


def timeline_of(record: Record, start: bytes, broken: Sequence[str] = ()) -> Timeline:
    """The time line of a recording. `start`: the first bytes of its first file; `broken`: sealed
    names that do not open.
    """
    parts = [part for part in record.files if part.sealed_name != MANIFEST_NAME]
    claim = record.claim
    preroll = claim.preroll
    switched_on = preroll.delivered_ms if preroll is not None else None
    stated = {segment.name: segment for segment in claim.segments}
    timed = all(
        part.name in stated
        and None not in (stated[part.name].start_ms, stated[part.name].duration_ms)
        for part in parts
    )
    init = init_length(start) if timed else None
    if init is None:
        whole = tuple(Frame(part.sealed_name, 0, 0, part.size_bytes) for part in parts)
        return Timeline(whole, None, switched_on, preroll is not None)
    return Timeline(tuple(_frames(parts, record, broken)), init, switched_on, preroll is not None)


def _frames(parts: Sequence[FilePart], record: Record, broken: Sequence[str]) -> list[Frame]:
    standing = {part.name: part for part in parts if part.sealed_name not in broken}
    frames: list[Frame] = []
    at = 0
    for segment in record.claim.segments:
        if segment.start_ms is None or segment.duration_ms is None:
            continue
        if segment.start_ms - at > GAP_LEAST_MS:
            frames.append(Frame(None, at, segment.start_ms - at, 0))
        part = standing.get(segment.name)
        name, size = (part.sealed_name, part.size_bytes) if part is not None else (None, 0)
        frames.append(Frame(name, segment.start_ms, segment.duration_ms, size))
        at = max(at, segment.start_ms + segment.duration_ms)
    return frames


def playlist(timeline: Timeline) -> str:
    """The media playlist (RFC 8216, version 8 for EXT-X-GAP). Segments are named by their number
    among the files.
    """
    longest = max((frame.duration_ms for frame in timeline.frames), default=1000)
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:8",
        f"#EXT-X-TARGETDURATION:{max(1, math.ceil(longest / 1000))}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MAP:URI="init.mp4"',
    ]
    number = 0
    for frame in timeline.frames:
        if frame.sealed_name is None:
            lines.append("#EXT-X-GAP")
        lines.append(f"#EXTINF:{frame.duration_ms / 1000:.3f},")
        lines.append("gap.m4s" if frame.sealed_name is None else f"{number}.m4s")
        number += frame.sealed_name is not None
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])
