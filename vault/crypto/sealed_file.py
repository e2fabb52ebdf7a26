"""The sealed file: successive Cobblestone-256 messages of 64 MiB of plaintext (FORMAT.md, section
1). Pure: bytes in, bytes out.

Format: C2SP chunked-encryption, as `cryptography.cobblestone` writes it. A message gives out
plaintext before its end was seen; whoever opens must hold everything back until `Opener.finish` has
returned.
"""

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag

from vault.errors import CannotOpen

PIECE_BYTES = 64 << 20
CHUNK_BYTES = 16384
TAG_BYTES = 16
HEAD_BYTES = 56
GROWTH_BYTES = 2 * HEAD_BYTES + 2 * (CHUNK_BYTES + TAG_BYTES)
"""More than a call of `Sealer.update_into` ever gives out beyond plain length and tags: head,
buffered rest, last chunk.
"""


def piece_count(size_bytes: int) -> int:
    """How many messages a file of this plaintext size is sealed as; at least one."""
    return max(1, -(-size_bytes // PIECE_BYTES))


def _message_bytes(plain_bytes: int) -> int:
    return HEAD_BYTES + plain_bytes + TAG_BYTES * (plain_bytes // CHUNK_BYTES + 1)


def sealed_bytes(size_bytes: int) -> int:
    """Size of the sealed file for this plaintext size."""
    count = piece_count(size_bytes)
    return (count - 1) * _message_bytes(PIECE_BYTES) + _message_bytes(
        size_bytes - (count - 1) * PIECE_BYTES
    )


def piece_span(size_bytes: int, piece: int) -> tuple[int, int]:
    """Where a piece's message stands in the sealed file of this plaintext size:
    offset and length.
    """
    length = _message_bytes(min(PIECE_BYTES, size_bytes - piece * PIECE_BYTES))
    return piece * _message_bytes(PIECE_BYTES), length


def context(vault_id: str, recording_id: str, sealed_name: str, piece: int, count: int) -> bytes:
    """Binds a message to its place: it opens nowhere else, in no other order and in no other
    number.
    """
    parts = ("dock-vault/file/v1", vault_id, recording_id, sealed_name, str(piece), str(count))
    return b"\0".join(part.encode() for part in parts)


class Place:
    """Where a sealed file stands: what its contexts are made of."""

    def __init__(self, vault_id: str, recording_id: str, sealed_name: str, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.sealed_name = sealed_name
        self.count = piece_count(size_bytes)
        self._names = (vault_id, recording_id, sealed_name)

    def context(self, piece: int) -> bytes:
        return context(*self._names, piece, self.count)

    def plain_bytes(self, piece: int) -> int:
        """Plaintext size of a piece."""
        return min(PIECE_BYTES, self.size_bytes - piece * PIECE_BYTES)


class Sealer:
    """Seals one file, given in order. Not thread-safe."""

    def __init__(self, key: bytes, place: Place) -> None:
        self._key = key
        self._place = place
        self._piece = 0
        self._left_bytes = place.plain_bytes(0)
        self._message = Cobblestone256Encryptor(key, place.context(0))

    def update_into(self, plain: memoryview, out: memoryview) -> int:
        """Seal the next bytes; returns how many were written to `out`.

        `out` is at least as long as `plain` with a tag for each chunk, and GROWTH_BYTES more.
        """
        written = 0
        while plain:
            if self._left_bytes == 0:
                written += self._end_piece(out[written:])
                self._begin_piece()
            take = min(len(plain), self._left_bytes)
            written += self._message.update_into(plain[:take], out[written:])
            self._left_bytes -= take
            plain = plain[take:]
        return written

    def finish(self, out: memoryview) -> int:
        """The end of the last message. Raises ValueError where fewer bytes came than were
        announced.
        """
        if self._left_bytes or self._piece + 1 != self._place.count:
            raise ValueError("the file ended before its announced size")
        return self._end_piece(out)

    def _begin_piece(self) -> None:
        self._piece += 1
        self._left_bytes = self._place.plain_bytes(self._piece)
        if self._piece >= self._place.count:
            raise ValueError("more bytes came than were announced")
        self._message = Cobblestone256Encryptor(self._key, self._place.context(self._piece))

    def _end_piece(self, out: memoryview) -> int:
        end = self._message.finalize()
        out[: len(end)] = end
        return len(end)


class Opener:
    """Opens one sealed file, given in order. Nothing it gave out may be used before `finish` has
    returned.
    """

    def __init__(self, key: bytes, place: Place) -> None:
        self._key = key
        self._place = place
        self._piece = 0
        self._left_bytes = _message_bytes(place.plain_bytes(0))
        self._message = Cobblestone256Decryptor(key, place.context(0))

    def update_into(self, sealed: memoryview, out: memoryview) -> int:
        """Open the next bytes; returns how many plaintext bytes were written to `out`. Raises
        CannotOpen.
        """
        written = 0
        try:
            while sealed:
                if self._left_bytes == 0:
                    written += self._end_piece(out[written:])
                    self._begin_piece()
                take = min(len(sealed), self._left_bytes)
                written += self._message.update_into(sealed[:take], out[written:])
                self._left_bytes -= take
                sealed = sealed[take:]
        except (InvalidTag, ValueError) as error:
            raise CannotOpen(
                f"{self._place.sealed_name} does not open: its bytes, its key or its place "
                f"are not the ones it was sealed with."
            ) from error
        return written

    def finish(self, out: memoryview) -> int:
        """The last plaintext bytes, once the end has proven that nothing is missing. Raises
        CannotOpen.
        """
        if self._left_bytes or self._piece + 1 != self._place.count:
            raise CannotOpen(f"{self._place.sealed_name} is truncated.")
        try:
            return self._end_piece(out)
        except (InvalidTag, ValueError) as error:
            raise CannotOpen(
                f"{self._place.sealed_name} does not open at its end: it is truncated or altered."
            ) from error

    def _begin_piece(self) -> None:
        self._piece += 1
        if self._piece >= self._place.count:
            raise CannotOpen(f"{self._place.sealed_name} is longer than it was sealed.")
        self._left_bytes = _message_bytes(self._place.plain_bytes(self._piece))
        self._message = Cobblestone256Decryptor(self._key, self._place.context(self._piece))

    def _end_piece(self, out: memoryview) -> int:
        end = self._message.finalize()
        out[: len(end)] = end
        return len(end)


def open_piece(key: bytes, place: Place, piece: int, sealed: bytes) -> bytes:
    """The plaintext of one piece, once its end has proven that nothing is missing. Raises
    CannotOpen.
    """
    message = Cobblestone256Decryptor(key, place.context(piece))
    try:
        plain = message.update(sealed) + message.finalize()
    except (InvalidTag, ValueError) as error:
        raise CannotOpen(
            f"{place.sealed_name} does not open in its piece {piece}: altered, truncated or "
            f"misplaced."
        ) from error
    if len(plain) != place.plain_bytes(piece):
        raise CannotOpen(f"{place.sealed_name} has another length than was sealed.")
    return plain
