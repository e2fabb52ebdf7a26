"""The boxes of fragmented MP4, read while the bytes pass by.

`SegmentTimeline` looks over intake's shoulder: it skips the picture data without touching it, holds
no more than one `moof` at a time, and answers any bytes whatever with facts, never with an
exception. `judgement.py` compares them with what the camera states. Boxes as in ISO/IEC 14496-12.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from dockd.card.mp4_boxes import (
    BrokenBoxError,
    Fragment,
    SampleDefaults,
    Track,
    read_moof,
    read_moov,
)

_MOOV_MAX_BYTES = 1 << 20
_MOOF_MAX_BYTES = 1 << 18
_BOXES_MAX = 4096
_FRAGMENTS_MAX = 512
_ODD_MAX = 8
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
