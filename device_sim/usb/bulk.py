"""The bulk-in pipe: what the camera has to say, in transfers that end with a short packet, handed
out as the host asks.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

PACKET_BYTES = 512
STALLED = -32


@dataclass(frozen=True, slots=True)
class FilePiece:
    """Bytes of a file, read when they are sent. The descriptor belongs to the transfer."""

    descriptor: int
    offset: int
    length: int


Piece = bytes | FilePiece


@dataclass(slots=True)
class Outgoing:
    """One transfer to the host, and what goes wrong within it. `breaks` are bytes before which a
    URB ends early; `drops` those among them behind which a packet is lost; `cut_at` is where the
    cable goes.
    """

    pieces: deque[Piece]
    length: int
    has_zlp: bool = True
    breaks: set[int] = field(default_factory=set)
    drops: set[int] = field(default_factory=set)
    cut_at: int | None = None
    position: int = 0

    def take(self, wanted: int) -> list[Piece]:
        """Return the next bytes, at most so many."""
        taken: list[Piece] = []
        while wanted and self.pieces:
            piece = self.pieces.popleft()
            size = piece.length if isinstance(piece, FilePiece) else len(piece)
            count = min(size, wanted)
            if isinstance(piece, FilePiece):
                taken.append(FilePiece(piece.descriptor, piece.offset, count))
                if count < size:
                    self.pieces.appendleft(
                        FilePiece(piece.descriptor, piece.offset + count, size - count)
                    )
            else:
                taken.append(piece[:count])
                if count < size:
                    self.pieces.appendleft(piece[count:])
            wanted -= count
            self.position += count
        return taken

    @property
    def left(self) -> int:
        return self.length - self.position


@dataclass(slots=True)
class Asked:
    """A URB of the host that waits for data. `answer` is given the pieces, the status, and whether
    the cable goes after them.
    """

    sequence: int
    length: int
    answer: Callable[[list[Piece], int, bool], None]
    pieces: list[Piece] = field(default_factory=list)
    filled: int = 0


class BulkIn:
    """Transfers on one side, URBs on the other. One thread."""

    def __init__(self) -> None:
        self._transfers: deque[Outgoing] = deque()
        self._asked: deque[Asked] = deque()
        self._files: set[int] = set()
        self.halted = False

    def send(self, pieces: list[Piece], *, has_zlp: bool = True) -> Outgoing:
        """Queue a transfer. `serve` hands it out."""
        length = sum(
            piece.length if isinstance(piece, FilePiece) else len(piece) for piece in pieces
        )
        transfer = Outgoing(deque(pieces), length, has_zlp)
        self._transfers.append(transfer)
        self._files.update(piece.descriptor for piece in pieces if isinstance(piece, FilePiece))
        return transfer

    def ask(self, asked: Asked) -> None:
        if self.halted:
            asked.answer([], STALLED, False)
        else:
            self._asked.append(asked)
            self.serve()

    def forget(self, sequence: int) -> bool:
        """A URB that the host takes back. False if it is not waiting."""
        for asked in self._asked:
            if asked.sequence == sequence:
                self._asked.remove(asked)
                return True
        return False

    def stall(self) -> None:
        """Every URB fails until the host clears the halt."""
        self.halted = True
        while self._asked:
            self._asked.popleft().answer([], STALLED, False)

    def clear(self) -> None:
        """Forget all that was to be said. URBs go on waiting."""
        self._transfers.clear()
        for descriptor in self._files:
            os.close(descriptor)
        self._files.clear()

    def serve(self) -> None:
        while self._asked and self._transfers and not self.halted:
            asked = self._asked[0]
            done, cut = self._fill(asked, self._transfers[0])
            if done:
                self._asked.popleft()
                asked.answer(asked.pieces, 0, cut)
            if cut:
                return

    def _fill(self, asked: Asked, transfer: Outgoing) -> tuple[bool, bool]:
        """Move what goes into one URB; whether it is complete, and whether the cable goes."""
        room = min(asked.length - asked.filled, transfer.left)
        stop = min(
            (at for at in transfer.breaks if transfer.position <= at < transfer.position + room),
            default=None,
        )
        count = room if stop is None else stop - transfer.position
        cut = transfer.cut_at is not None and transfer.cut_at <= transfer.position + count
        if cut and transfer.cut_at is not None:
            count = transfer.cut_at - transfer.position
        asked.pieces += transfer.take(count)
        asked.filled += count
        if cut:
            return True, True
        if stop is not None:
            transfer.breaks.discard(stop)
            if stop in transfer.drops:
                transfer.take(min(PACKET_BYTES, transfer.left))
            return True, False
        if transfer.left:
            return True, False
        return self._end(asked, transfer), False

    def _end(self, asked: Asked, transfer: Outgoing) -> bool:
        """The transfer is all handed out. Whether its last packet, or the empty one behind it, ends
        the URB too.
        """
        is_short = transfer.length % PACKET_BYTES != 0
        is_full = asked.filled == asked.length
        if is_short or (transfer.has_zlp and not is_full):
            self._transfers.popleft()
            return True
        if transfer.has_zlp and transfer.length:
            # The empty packet is for the URB after this one.
            self._transfers[0] = Outgoing(deque(), 0)
            return True
        self._transfers.popleft()
        return is_full or (transfer.has_zlp and not transfer.length)

    def release(self) -> None:
        """The host has all that was handed out: files that no transfer needs any
        more are closed.
        """
        needed = {
            piece.descriptor
            for transfer in self._transfers
            for piece in transfer.pieces
            if isinstance(piece, FilePiece)
        } | {
            piece.descriptor
            for asked in self._asked
            for piece in asked.pieces
            if isinstance(piece, FilePiece)
        }
        for descriptor in self._files - needed:
            os.close(descriptor)
        self._files &= needed


def pieces_of(content: list[Piece]) -> Iterator[bytes]:
    """Give the bytes, read from the files where they lie. For few bytes."""
    for piece in content:
        yield (
            os.pread(piece.descriptor, piece.length, piece.offset)
            if isinstance(piece, FilePiece)
            else piece
        )
