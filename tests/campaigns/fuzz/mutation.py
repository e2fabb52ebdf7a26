"""Makes bad inputs out of good ones, with an eye for where their fields lie."""

import random
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

INPUT_MAX = 8192
"""Larger inputs find nothing that these don't, and cost more."""
_WIDTHS = (1, 2, 4, 8)
_JSON_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+|[a-z]+|[{}\[\]:,]|\s+')


@dataclass(frozen=True, slots=True)
class Seed:
    """A good input, in its fields."""

    pieces: tuple[bytes, ...]

    @classmethod
    def cut(cls, content: bytes, bounds: Sequence[int]) -> "Seed":
        """Cut behind these bytes."""
        edges = sorted({0, *bounds, len(content)})
        return cls(tuple(content[start:end] for start, end in pairwise(edges)))

    @classmethod
    def of_json(cls, text: bytes) -> "Seed":
        """One piece for each token."""
        return cls.cut(text, [found.end() for found in _JSON_TOKEN.finditer(text)])

    @classmethod
    def of_boxes(cls, content: bytes) -> "Seed":
        """Sizes, types and words of boxes in boxes (ISO/IEC 14496-12), 32-bit sizes only."""
        return cls.cut(content, list(_box_bounds(content, 0, len(content))))

    @classmethod
    def of_descriptors(cls, content: bytes) -> "Seed":
        """Every byte of every USB descriptor: none of their fields is more than two wide."""
        return cls.cut(content, range(len(content)))

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces)


CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf"})


def _box_bounds(content: bytes, start: int, end: int) -> list[int]:
    bounds = []
    while end - start >= 8:
        size, kind = struct.unpack_from(">I4s", content, start)
        stop = start + size
        bounds += [start + 4, start + 8, stop]
        if kind in CONTAINERS:
            bounds += _box_bounds(content, start + 8, stop)
        elif kind != b"mdat":
            bounds += range(start + 8, stop, 4)
        start = stop
    return bounds


def fit_boxes(content: bytes) -> bytes:
    """Sizes that reach beyond the box around them are made to end with it, so that a parser looks
    inside at all.
    """
    mended = bytearray(content)
    _fit(mended, 0, len(mended))
    return bytes(mended)


def _fit(content: bytearray, start: int, end: int) -> None:
    while end - start >= 8:
        size, kind = struct.unpack_from(">I4s", content, start)
        if not 8 <= size <= end - start:
            size = end - start
            struct.pack_into(">I", content, start, size)
        if kind in CONTAINERS:
            _fit(content, start + 8, start + size)
        start += size


class Mutator:
    """Draws inputs for one parser.

    `tokens` are words of its language, which take each other's place. `mend` puts right what would
    have the whole input refused at its first byte.
    """

    def __init__(
        self,
        seeds: Sequence[Seed],
        tokens: Sequence[bytes] = (),
        mend: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._seeds = seeds
        self._tokens = tokens
        self._mend = mend

    def draw(self, chance: random.Random) -> bytes:
        """One input. The same chance gives the same."""
        if chance.random() < 0.01:
            return chance.randbytes(chance.randrange(200))
        pieces = list(chance.choice(self._seeds).pieces)
        for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
            self._change(pieces, chance)
        content = b"".join(pieces)[:INPUT_MAX]
        if self._mend is not None and chance.random() < 0.7:
            content = self._mend(content)
        ending = chance.random()
        if ending < 0.08:
            content = content[: chance.randrange(len(content) + 1)]
        elif ending < 0.12:
            content += chance.randbytes(chance.randrange(1, 40))
        return content

    def _change(self, pieces: list[bytes], chance: random.Random) -> None:
        if not pieces:
            pieces.append(b"\0")
        at = chance.randrange(len(pieces))
        choice = chance.random()
        if self._tokens and choice < 0.7:
            self._reword(pieces, chance)
        elif self._tokens and choice < 0.8:
            pieces.insert(at, chance.choice(self._tokens))
        else:
            chance.choice(_CHANGES)(pieces, at, chance, chance.choice(self._seeds).pieces)

    def _reword(self, pieces: list[bytes], chance: random.Random) -> None:
        """Another word of its kind for a word, or one of its characters changed: most of this is
        still the language.
        """
        words = [place for place, piece in enumerate(pieces) if _kind(piece) != "mark"]
        if not words:
            return
        at = chance.choice(words)
        if chance.random() < 0.5:
            pieces[at] = chance.choice(
                [token for token in self._tokens if _kind(token) == _kind(pieces[at])]
            )
        else:
            word = bytearray(pieces[at])
            place = chance.randrange(len(word) - 1) + 1 if len(word) > 2 else 0
            word[place] = (
                chance.choice(b"0123456789")
                if chr(word[place]).isdigit()
                else chance.randrange(0x20, 0x7F)
            )
            pieces[at] = bytes(word)


def _kind(token: bytes) -> str:
    """Which words of JSON may take each other's place."""
    return (
        "text"
        if token[:1] == b'"'
        else "number"
        if token[:1].isalnum() or token[:1] == b"-"
        else "mark"
    )


def _flip(pieces: list[bytes], at: int, chance: random.Random, other: Sequence[bytes]) -> None:
    """One bit."""
    piece = bytearray(pieces[at])
    if piece:
        piece[chance.randrange(len(piece))] ^= 1 << chance.randrange(8)
    pieces[at] = bytes(piece)


def _noise(pieces: list[bytes], at: int, chance: random.Random, other: Sequence[bytes]) -> None:
    """Other bytes of the same length."""
    pieces[at] = chance.randbytes(len(pieces[at]))


def _lie(pieces: list[bytes], at: int, chance: random.Random, other: Sequence[bytes]) -> None:
    """A number from where things go wrong: nothing, all, half of all, about the length
    of the rest.
    """
    piece = pieces[at]
    width = len(piece) if len(piece) in _WIDTHS else chance.choice(_WIDTHS)
    rest = sum(len(later) for later in pieces[at + 1 :])
    whole = rest + sum(len(earlier) for earlier in pieces[: at + 1])
    numbers = (
        0,
        1,
        2,
        7,
        8,
        9,
        255,
        65535,
        1 << 30,
        (1 << 31) - 1,
        1 << 31,
        (1 << 32) - 1,
        1 << 62,
        (1 << 64) - 1,
    )
    about = (rest - 1, rest, rest + 1, rest // 2, rest // 4, whole, whole + 1, whole - 1)
    number = chance.choice(numbers if chance.random() < 0.6 else about) % (1 << 8 * width)
    lie = number.to_bytes(width, chance.choice(("little", "big")))
    pieces[at] = lie + piece[width:] if len(piece) > width else lie


def _drop(pieces: list[bytes], at: int, chance: random.Random, other: Sequence[bytes]) -> None:
    """One field less, or a few."""
    del pieces[at : at + chance.choice((1, 1, 2, 5))]


def _repeat(pieces: list[bytes], at: int, chance: random.Random, other: Sequence[bytes]) -> None:
    """The same again, once or many times."""
    pieces[at:at] = pieces[at : at + chance.choice((1, 1, 4, 20))] * chance.choice((1, 1, 2, 30))


def _swap(pieces: list[bytes], at: int, chance: random.Random, other: Sequence[bytes]) -> None:
    """Two fields in each other's place."""
    there = chance.randrange(len(pieces))
    pieces[at], pieces[there] = pieces[there], pieces[at]


def _grow(pieces: list[bytes], at: int, chance: random.Random, other: Sequence[bytes]) -> None:
    """A few bytes more where none belong."""
    pieces.insert(at, chance.randbytes(chance.choice((1, 2, 4, 12, 300))))


def _splice(pieces: list[bytes], at: int, chance: random.Random, other: Sequence[bytes]) -> None:
    """The head of one good input and the tail of another."""
    pieces[at:] = other[chance.randrange(len(other)) :]


_CHANGES: tuple[Callable[[list[bytes], int, random.Random, Sequence[bytes]], None], ...] = (
    _flip,
    _flip,
    _noise,
    _lie,
    _lie,
    _lie,
    _drop,
    _repeat,
    _swap,
    _grow,
    _splice,
)
