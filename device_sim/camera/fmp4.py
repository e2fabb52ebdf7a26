"""Fragmented MP4 as bytes: the init (`ftyp`, `moov`) and one fragment (`moof`, `mdat`) for each
group of pictures.

Pure. Boxes are those of ISO/IEC 14496-12 (file format), 14496-14 (`mp4a`, `esds`) and 14496-15
(`avc1`, `avcC`). The init depends on the tracks alone, so all segments of a recording share its
exact bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

VIDEO_TRACK, AUDIO_TRACK = 1, 2
SYNC_SAMPLE, DEPENDENT_SAMPLE = 0x0200_0000, 0x0101_0000
IDENTITY_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000)
LANGUAGE_UNDETERMINED = 0x55C4


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """An H.264 track; `parameter_sets` are SPS and PPS units without start codes."""

    width: int
    height: int
    timescale_hz: int
    parameter_sets: tuple[bytes, ...]

    @property
    def codec(self) -> str:
        """The name of RFC 6381: profile, constraints and level as they stand in the SPS."""
        return f"avc1.{self._sps[1:4].hex().upper()}"

    @property
    def _sps(self) -> bytes:
        return next(unit for unit in self.parameter_sets if unit[0] & 0x1F == 7)

    @property
    def _pps(self) -> bytes:
        return next(unit for unit in self.parameter_sets if unit[0] & 0x1F == 8)

    def trak(self) -> bytes:
        entry = _box(
            b"avc1",
            struct.pack(
                ">6xH16xHHII4xH32xHh", 1, self.width, self.height, 0x48_0000, 0x48_0000, 1, 0x18, -1
            ),
            self._avcc(),
        )
        header = _full(b"vmhd", 0, 1, bytes(8))
        return _trak(
            VIDEO_TRACK, b"vide", self.timescale_hz, entry, header, (self.width, self.height)
        )

    def _avcc(self) -> bytes:
        sps, pps = self._sps, self._pps
        return _box(
            b"avcC",
            bytes([1, sps[1], sps[2], sps[3], 0xFF, 0xE1]),
            struct.pack(">H", len(sps)) + sps,
            b"\x01" + struct.pack(">H", len(pps)) + pps,
        )


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """An AAC track, mono; `config` is the AudioSpecificConfig. Its timescale is the sample rate."""

    sample_rate: int
    config: bytes

    def trak(self) -> bytes:
        entry = _box(
            b"mp4a", struct.pack(">6xH8xHH4xI", 1, 1, 16, self.sample_rate << 16), self._esds()
        )
        return _trak(
            AUDIO_TRACK, b"soun", self.sample_rate, entry, _full(b"smhd", 0, 0, bytes(4)), (0, 0)
        )

    def _esds(self) -> bytes:
        # Object type 0x40 is MPEG-4 audio, stream type 0x15 an audio stream; buffer and bit rates
        # stay unstated.
        decoder = _descriptor(
            4, struct.pack(">BB3xII", 0x40, 0x15, 0, 0) + _descriptor(5, self.config)
        )
        return _full(
            b"esds",
            0,
            0,
            _descriptor(3, struct.pack(">HB", AUDIO_TRACK, 0) + decoder + _descriptor(6, b"\x02")),
        )


@dataclass(frozen=True, slots=True)
class Run:
    """The samples of one track in one fragment. `decode_time` and `sample_duration` are in the
    track's timescale.

    All samples last equally long. Only the first may be, and for video is, a sync sample; every AAC
    sample is one.
    """

    track: int
    decode_time: int
    sample_duration: int
    samples: Sequence[bytes]


def init(video: VideoTrack, audio: AudioTrack | None) -> bytes:
    """`ftyp` and `moov` of a recording."""
    tracks = [video.trak()] + ([audio.trak()] if audio is not None else [])
    extends = [
        _full(b"trex", 0, 0, struct.pack(">5I", place + 1, 1, 0, 0, 0))
        for place in range(len(tracks))
    ]
    movie = struct.pack(">IIIIIH10x", 0, 0, 1000, 0, 0x10000, 0x100) + IDENTITY_MATRIX + bytes(24)
    return _box(b"ftyp", b"iso5", struct.pack(">I", 1), b"iso5iso6mp41") + _box(
        b"moov",
        _full(b"mvhd", 0, 0, movie + struct.pack(">I", len(tracks) + 1)),
        *tracks,
        _box(b"mvex", *extends),
    )


def fragment(sequence: int, runs: Sequence[Run]) -> bytes:
    """One `moof` with its `mdat`. `sequence` counts fragments from 1 through
    the whole recording.
    """
    # Offsets count from the start of the moof, whose length does not depend on them: it is built
    # once to be measured.
    length = len(_moof(sequence, runs, [0] * len(runs)))
    offsets, place = [], length + 8
    for run in runs:
        offsets.append(place)
        place += sum(len(sample) for sample in run.samples)
    return _moof(sequence, runs, offsets) + _box(
        b"mdat", *(sample for run in runs for sample in run.samples)
    )


def _moof(sequence: int, runs: Sequence[Run], offsets: Sequence[int]) -> bytes:
    trafs = [_traf(run, offset) for run, offset in zip(runs, offsets, strict=True)]
    return _box(b"moof", _full(b"mfhd", 0, 0, struct.pack(">I", sequence)), *trafs)


def _traf(run: Run, offset: int) -> bytes:
    dependent = DEPENDENT_SAMPLE if run.track == VIDEO_TRACK else SYNC_SAMPLE
    # 0x020000: offsets are relative to this moof; 0x28: duration and flags of a sample by default.
    header = _full(
        b"tfhd", 0, 0x02_0028, struct.pack(">III", run.track, run.sample_duration, dependent)
    )
    time = _full(b"tfdt", 1, 0, struct.pack(">Q", run.decode_time))
    # 0x205: data offset, flags of the first sample, a size for each sample.
    sizes = struct.pack(f">{len(run.samples)}I", *(len(sample) for sample in run.samples))
    table = _full(
        b"trun", 0, 0x205, struct.pack(">IiI", len(run.samples), offset, SYNC_SAMPLE) + sizes
    )
    return _box(b"traf", header, time, table)


def _trak(
    track: int, handler: bytes, timescale: int, entry: bytes, header: bytes, size: tuple[int, int]
) -> bytes:
    volume = 0x100 if handler == b"soun" else 0
    width, height = size
    place = struct.pack(">IIIII8xHHHxx", 0, 0, track, 0, 0, 0, 0, volume) + IDENTITY_MATRIX
    sample_table = _box(
        b"stbl",
        _full(b"stsd", 0, 0, struct.pack(">I", 1), entry),
        _full(b"stts", 0, 0, bytes(4)),
        _full(b"stsc", 0, 0, bytes(4)),
        _full(b"stsz", 0, 0, bytes(8)),
        _full(b"stco", 0, 0, bytes(4)),
    )
    references = _box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1)))
    return _box(
        b"trak",
        _full(b"tkhd", 0, 3, place + struct.pack(">II", width << 16, height << 16)),
        _box(
            b"mdia",
            _full(
                b"mdhd", 0, 0, struct.pack(">IIIIHH", 0, 0, timescale, 0, LANGUAGE_UNDETERMINED, 0)
            ),
            _full(b"hdlr", 0, 0, struct.pack(">4x4s12x", handler), b"\x00"),
            _box(b"minf", header, references, sample_table),
        ),
    )


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _descriptor(tag: int, body: bytes) -> bytes:
    return bytes([tag, len(body)]) + body
