"""What the camera sees: a street, a burnt-in clock, and a frame counter that a machine can read
back.

A picture is a planar yuv420p array of shape (height * 3 / 2, width), dtype uint8. Along the upper
edge stand two rows of twenty black or white blocks: 32 bits of frame number, then 8 bits of CRC,
most significant bit first. A block is a twentieth of the picture wide, so it survives any encoding
that leaves a street to be seen; `read_counter` gives the number or nothing, never a wrong one that
passes the check. Below it the same number and the wall clock stand in digits.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]

BLOCKS_A_ROW = 20
NUMBER_BITS = 32
WHITE, BLACK = 235, 16
CRC_POLYNOMIAL = 0x107

GLYPH_ROWS = {
    "0": (7, 5, 5, 5, 7),
    "1": (2, 6, 2, 2, 7),
    "2": (7, 1, 7, 4, 7),
    "3": (7, 1, 7, 1, 7),
    "4": (5, 5, 7, 1, 1),
    "5": (7, 4, 7, 1, 7),
    "6": (7, 4, 7, 5, 7),
    "7": (7, 1, 2, 2, 2),
    "8": (7, 5, 7, 5, 7),
    "9": (7, 5, 7, 1, 7),
    ":": (0, 2, 0, 2, 0),
    ".": (0, 0, 0, 0, 2),
    "-": (0, 0, 7, 0, 0),
    "T": (7, 2, 2, 2, 2),
    "Z": (7, 1, 2, 4, 7),
    " ": (0, 0, 0, 0, 0),
}
"""Five rows of three dots, the leftmost dot the highest bit: what a burnt-in clock needs."""

CARS = 4
CAR_PERIOD_S = 7


class Scene:
    """A street of `width` by `height` pixels; `seed` decides its houses and its cars. The same
    inputs draw the same picture.
    """

    def __init__(self, width: int, height: int, fps: int, seed: int) -> None:
        self._width, self._height, self._fps = width, height, fps
        self._dot = max(1, width // 160)
        self._glyphs = {letter: _glyph(rows, self._dot) for letter, rows in GLYPH_ROWS.items()}
        random = np.random.default_rng(seed)
        self._street = _street(width, height, random)
        self._speeds = random.uniform(0.6, 1.7, CARS)
        self._phases = random.uniform(0.0, 1.0, CARS)
        self._lumas = random.integers(60, 220, CARS)

    def draw(self, number: int, stamp: str) -> Picture:
        """Frame `number` since power-on (0 to 2^32 - 1), with `stamp` burnt in: digits, `:.-TZ` and
        spaces only.
        """
        picture = self._street.copy()
        self._draw_cars(picture, number / self._fps)
        burn_counter(picture, number)
        block = self._width // BLOCKS_A_ROW
        self._write(picture, 2 * block + self._dot, f"{number:08d}")
        self._write(picture, self._height - 7 * self._dot, stamp)
        return picture

    def _draw_cars(self, picture: Picture, seconds: float) -> None:
        long, high = self._width // 8, max(2, self._height // 16)
        for lane in range(CARS):
            place = (self._phases[lane] + seconds * self._speeds[lane] / CAR_PERIOD_S) % 1.0
            left = int(place * (self._width + long)) - long
            top = self._height * (10 + lane) // 16
            picture[top : top + high, max(0, left) : max(0, left + long)] = self._lumas[lane]

    def _write(self, picture: Picture, top: int, text: str) -> None:
        wide = 4 * self._dot
        line = np.concatenate([self._glyphs[letter] for letter in text], axis=1)[
            :, : self._width - wide
        ]
        picture[top : top + line.shape[0], wide : wide + line.shape[1]] = line


def burn_counter(picture: Picture, number: int) -> None:
    """Write `number` and its CRC into the upper edge of a yuv420p picture."""
    block = picture.shape[1] // BLOCKS_A_ROW
    value = number << 8 | _crc8(number)
    bits = np.array(
        [value >> (39 - place) & 1 for place in range(2 * BLOCKS_A_ROW)], dtype=np.uint8
    )
    lumas = np.where(bits, WHITE, BLACK).astype(np.uint8).reshape(2, BLOCKS_A_ROW)
    picture[: 2 * block, : BLOCKS_A_ROW * block] = lumas.repeat(block, axis=0).repeat(block, axis=1)


def read_counter(luma: Picture) -> int | None:
    """Return the frame number in a decoded picture, or None when its CRC does not hold.

    `luma` holds at least the brightness plane: shape (rows, width). PyAV's
    `frame.to_ndarray(format="gray")` gives one.
    """
    block = luma.shape[1] // BLOCKS_A_ROW
    area = luma[: 2 * block, : BLOCKS_A_ROW * block].reshape(2, block, BLOCKS_A_ROW, block)
    inner = slice(block // 4, block - block // 4)
    value = 0
    for bright in area[:, inner, :, inner].mean(axis=(1, 3)).ravel() > (WHITE + BLACK) / 2:
        value = value << 1 | int(bright)
    number = value >> 8
    return number if _crc8(number) == value & 0xFF else None


def _crc8(number: int) -> int:
    # A start value other than zero, so that an all-black picture is not frame 0.
    rest = (0xA5 << NUMBER_BITS | number) << 8
    for place in range(rest.bit_length() - 1, 7, -1):
        if rest >> place & 1:
            rest ^= CRC_POLYNOMIAL << (place - 8)
    return rest


def _glyph(rows: tuple[int, ...], dot: int) -> Picture:
    dots = np.array([[row >> 2 & 1, row >> 1 & 1, row & 1, 0] for row in rows], dtype=np.uint8)
    return np.where(dots, WHITE, BLACK).astype(np.uint8).repeat(dot, axis=0).repeat(dot, axis=1)


def _street(width: int, height: int, random: np.random.Generator) -> Picture:
    picture = np.empty((height * 3 // 2, width), dtype=np.uint8)
    horizon = height // 2
    picture[:horizon] = 180
    picture[horizon:height] = 90
    picture[height:] = 128
    # Chroma follows as two planes of a quarter each, row by row; one tint for the sky's half gives
    # it a colour.
    picture[height:].reshape(2, height // 2, width // 2)[0, : height // 4] = 150
    left = 0
    while left < width:
        wide = int(random.integers(width // 10, width // 5))
        top = int(random.integers(height // 4, horizon - 4))
        picture[top:horizon, left : left + wide] = int(random.integers(70, 160))
        picture[top + 3 : horizon - 3 : 8, left + 3 : left + wide - 3 : 6] = 200
        left += wide
    picture[height * 3 // 4 : height * 3 // 4 + 2, ::8] = WHITE
    return picture
