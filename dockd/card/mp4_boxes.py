"""The boxes of fragmented MP4 that speak of time, as pure bytes (ISO/IEC 14496-12; sections in
brackets). No I/O.

The bytes are untrusted. Every length is held against the bytes that are there before it is used,
and no count makes a loop longer than the box itself. What no box can have raises BrokenBoxError or
struct.error, and nothing else does.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

_NON_SYNC = 0x0001_0000
"""sample_is_non_sync_sample among the flags of a sample (8.8.3.1)."""
_TRACKS_MAX = 16
_UNKNOWN_32 = 0xFFFF_FFFF
_UNKNOWN_64 = 0xFFFF_FFFF_FFFF_FFFF


class BrokenBoxError(ValueError):
    """Bytes that no box can have."""


@dataclass(frozen=True, slots=True)
class Track:
    """A track of the init segment. `kind` is the handler (`vide`, `soun`), `codec` the first sample
    entry (`avc1`).
    """

    number: int
    kind: str
    codec: str
    timescale: int


@dataclass(frozen=True, slots=True)
class SampleDefaults:
    """What `trex` or `tfhd` says of a track's samples where the run itself does not."""

    duration_ticks: int
    flags: int


@dataclass(frozen=True, slots=True)
class Movie:
    """What `moov` says. `movie_ms` is the stated duration, None where it states none, as a
    fragmented movie does.
    """

    tracks: tuple[Track, ...]
    defaults: Mapping[int, SampleDefaults]
    movie_ms: int | None


@dataclass(frozen=True, slots=True)
class Fragment:
    """One track's part of one `moof`, in ticks of the track's timescale.

    `start_ticks` is None where it has no `tfdt`.
    """

    moof: int
    track: int
    start_ticks: int | None
    duration_ticks: int
    starts_on_keyframe: bool


def boxes(body: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Give the boxes inside a box: type and content (4.2). Inside of a box sizes are 32 bits wide
    and always stated.
    """
    position = 0
    while position < body.nbytes:
        if body.nbytes - position < 8:
            raise BrokenBoxError("a box ends in the middle of another's header")
        size_bytes, kind = struct.unpack_from(">I4s", body, position)
        if size_bytes < 8 or size_bytes > body.nbytes - position:
            raise BrokenBoxError("a box does not fit into the box around it")
        yield kind, body[position + 8 : position + size_bytes]
        position += size_bytes


def read_moov(moov: memoryview) -> Movie:
    """Tracks, defaults and duration from the content of a `moov` (8.2)."""
    tracks: list[Track] = []
    defaults: dict[int, SampleDefaults] = {}
    movie_ms = None
    for kind, body in boxes(moov):
        if kind == b"mvhd":
            timescale, duration_ticks = _header_times(body)
            movie_ms = (
                milliseconds(duration_ticks, timescale) if timescale and duration_ticks else None
            )
        elif kind == b"trak" and len(tracks) < _TRACKS_MAX:
            tracks.append(_track(body))
        elif kind == b"mvex":
            for inner, trex in boxes(body):
                if inner == b"trex" and len(defaults) < _TRACKS_MAX:
                    _, number, _, duration_ticks, _, flags = struct.unpack_from(">6I", trex)
                    defaults[number] = SampleDefaults(duration_ticks, flags)
    return Movie(tuple(tracks), defaults, movie_ms)


def read_moof(
    moof: memoryview, index: int, defaults: Mapping[int, SampleDefaults]
) -> list[Fragment]:
    """Each track's part of the content of a `moof` (8.8), which is the file's `index`th. `defaults`
    are the movie's.
    """
    return [_fragment(body, index, defaults) for kind, body in boxes(moof) if kind == b"traf"]


def milliseconds(ticks: int, timescale: int) -> int:
    """Ticks of a timescale as milliseconds, rounded half up."""
    return (2000 * ticks + timescale) // (2 * timescale)


def _fragment(
    traf: memoryview, index: int, movie_defaults: Mapping[int, SampleDefaults]
) -> Fragment:
    number, start_ticks, duration_ticks = 0, None, 0
    keyframe: bool | None = None
    defaults = SampleDefaults(0, _NON_SYNC)
    for kind, body in boxes(traf):
        if kind == b"tfhd":
            number, defaults = _fragment_header(body, movie_defaults)
        elif kind == b"tfdt":
            start_ticks = struct.unpack_from(">Q" if _version(body) == 1 else ">I", body, 4)[0]
        elif kind == b"trun":
            run_ticks, run_keyframe = _run(body, defaults)
            duration_ticks += run_ticks
            keyframe = run_keyframe if keyframe is None else keyframe
    return Fragment(index, number, start_ticks, duration_ticks, bool(keyframe))


def _fragment_header(
    tfhd: memoryview, movie_defaults: Mapping[int, SampleDefaults]
) -> tuple[int, SampleDefaults]:
    """Return the track, and the movie's defaults with what this fragment sets in their place
    (8.8.7).
    """
    flags, number = struct.unpack_from(">II", tfhd)
    defaults = movie_defaults.get(number, SampleDefaults(0, _NON_SYNC))
    # Offset and sample description stand before the fields of ours, each only if its flag is set.
    position = 8 + (8 if flags & 0x01 else 0) + (4 if flags & 0x02 else 0)
    if flags & 0x08:
        defaults = replace(defaults, duration_ticks=struct.unpack_from(">I", tfhd, position)[0])
        position += 4
    if flags & 0x10:
        position += 4
    if flags & 0x20:
        defaults = replace(defaults, flags=struct.unpack_from(">I", tfhd, position)[0])
    return number, defaults


def _run(trun: memoryview, defaults: SampleDefaults) -> tuple[int, bool | None]:
    """Return the ticks of a run of samples, and whether its first is a keyframe; None for a run
    without samples (8.8.8).
    """
    flags, count = struct.unpack_from(">II", trun)
    if count == 0:
        return 0, None
    position = 8 + (4 if flags & 0x01 else 0)
    first_flags = defaults.flags
    if flags & 0x04:
        (first_flags,) = struct.unpack_from(">I", trun, position)
        position += 4
    # Duration, size, flags and composition offset of each sample, each field only if its bit is
    # set.
    fields = [bit for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit]
    if count * len(fields) * 4 > trun.nbytes - position:
        raise BrokenBoxError("a run has fewer samples than it says")
    values = struct.unpack_from(f">{count * len(fields)}I", trun, position)
    if 0x400 in fields and not flags & 0x04:
        first_flags = values[fields.index(0x400)]
    ticks = (
        sum(values[fields.index(0x100) :: len(fields)])
        if 0x100 in fields
        else count * defaults.duration_ticks
    )
    return ticks, not first_flags & _NON_SYNC


def _track(trak: memoryview) -> Track:
    number, kind, codec, timescale = 0, b"", b"", 0
    for outer, body in boxes(trak):
        if outer == b"tkhd":
            (number,) = struct.unpack_from(">I", body, 20 if _version(body) == 1 else 12)
        elif outer == b"mdia":
            for inner, content in boxes(body):
                if inner == b"mdhd":
                    timescale, _ = _header_times(content)
                elif inner == b"hdlr":
                    (kind,) = struct.unpack_from("4s", content, 8)
                elif inner == b"minf":
                    codec = _sample_entry(content)
    return Track(number, _four(kind), _four(codec), timescale)


def _sample_entry(minf: memoryview) -> bytes:
    """Return the type of the first sample entry (8.5.2)."""
    for outer, body in boxes(minf):
        if outer == b"stbl":
            for inner, content in boxes(body):
                if inner == b"stsd":
                    (entry,) = struct.unpack_from("4s", content, 12)
                    return bytes(entry)
    return b""


def _header_times(body: memoryview) -> tuple[int, int]:
    """Timescale and duration of `mvhd` or `mdhd` (8.2.2, 8.4.2), 0 for a duration that is not
    known.
    """
    if _version(body) == 1:
        timescale, duration_ticks = struct.unpack_from(">IQ", body, 20)
        return timescale, duration_ticks if duration_ticks != _UNKNOWN_64 else 0
    timescale, duration_ticks = struct.unpack_from(">II", body, 12)
    return timescale, duration_ticks if duration_ticks != _UNKNOWN_32 else 0


def _version(body: memoryview) -> int:
    (version,) = struct.unpack_from("B", body)
    return int(version)


def _four(code: bytes) -> str:
    """Return a four-character code as text; what is not ASCII becomes a question mark."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in code)
