"""What the dock and its readers say to each other: JSON messages over a unix socket, with
descriptors beside them.

Four bytes of length (big-endian), then so many bytes of JSON. Names from a card may hold anything,
so text is ASCII with escapes, and lone surrogates, which stand for undecodable bytes, pass. Neither
end believes the other: lengths are capped, shapes checked.
"""

import array
import contextlib
import json
import socket
import struct
from collections.abc import Hashable, Iterator
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dockd.card.contract import (
    CardDeleteFailedError,
    CardError,
    CardFile,
    CardFileChangedError,
    CardGoneError,
    CardReadFailedError,
    CardReadOnlyError,
    CardRefusedError,
    CardStuckError,
    printable,
)
from dockd.card.timeline import SegmentFacts
from dockd.usb.pipes import CardBusyError, CardForbiddenError, DeviceRefusedError
from vault.clock import Clock

MESSAGE_MAX = 16 << 20
MARKS_MAX = 1_000_000
"""Opening brackets and commas: each value of a message needs one, and takes up to 250 bytes of
memory where its text takes three.

A listing of the most objects that a card may have (100,000) fits well, with all that cameras do. A
card that goes beyond is refused by its reader.
"""
FACTS_MAX = 1 << 20
"""What is told at a file's end."""
TEXT_MAX = 1000
"""Characters of a sentence or a hint. They come into the vault's log, which is never shortened."""
_NAME_MAX, _DEPTH_MAX = 1024, 64
"""No file system and no camera has longer names, or lists deeper folders."""
DESCRIPTORS_MAX = 2
STREAM_BYTES = 4 << 20
"""The memory that a reader shares with the dock for one file: the largest block that is asked for
at once.
"""
WANTED = struct.Struct("!I")
"""A stream's question: so many bytes, please."""
GIVEN = struct.Struct("!BI")
"""A stream's answer: its kind, and bytes in the shared memory or, for END and FAILED, the length of
a JSON text that follows.
"""
BYTES, END, FAILED = range(3)
FACTS = TypeAdapter(SegmentFacts)
"""What a reader saw of the footage, as JSON."""

_NUMBER_MAX, _WORD_MAX, _ODD_MAX = 1 << 80, 64, 8
"""Of what boxes can say: times of 64 bits in milliseconds, a digest, as many oddities as the
timeline tells of.
"""

_LENGTH = struct.Struct("!I")
_DESCRIPTOR_BYTES = array.array("i").itemsize

_CARD_ERRORS: dict[str, type[CardError]] = {
    kind.code: kind
    for kind in (
        CardGoneError,
        CardStuckError,
        CardReadFailedError,
        CardFileChangedError,
        CardRefusedError,
        CardReadOnlyError,
        CardDeleteFailedError,
        CardBusyError,
        CardForbiddenError,
        DeviceRefusedError,
    )
}


class LineBrokenError(Exception):
    """The other end is gone, or speaks what it should not."""


class TooMuchError(Exception):
    """A message that the other end would not take."""


class Deadline:
    """By when all of an answer must have come. Time for each single byte would never be over for
    one that trickles.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._at_s = clock.monotonic_s() + seconds

    def grant(self, connection: socket.socket) -> None:
        """Give the connection's next call what time is left. Raises TimeoutError."""
        left_s = self._at_s - self._clock.monotonic_s()
        if left_s <= 0:
            raise TimeoutError("the time is over")
        connection.settimeout(left_s)


class Line:
    """One end of a conversation. One thread sends and one receives at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection

    def send(
        self, message: dict[str, Any], *descriptors: int, deadline: Deadline | None = None
    ) -> None:
        """Raises LineBrokenError where nobody is at the other end, or nobody there takes it in time; TooMuch
        before anything is sent.
        """
        content = json.dumps(message, ensure_ascii=True).encode("ascii")
        if len(content) > MESSAGE_MAX or _marks(content) > MARKS_MAX:
            raise TooMuchError(f"a message of {len(content)} bytes")
        try:
            if deadline is not None:
                deadline.grant(self.socket)
            socket.send_fds(self.socket, [_LENGTH.pack(len(content))], list(descriptors))
            self.socket.sendall(content)
        except OSError as error:
            raise LineBrokenError(str(error)) from error

    def receive_message(self, deadline: Deadline | None = None) -> tuple[dict[str, Any], list[int]]:
        """The next message and the descriptors that came with it, which the caller closes. Raises
        LineBrokenError, TimeoutError.
        """
        descriptors: list[int] = []
        try:
            (length,) = _LENGTH.unpack(self._head(descriptors, deadline))
            if length > MESSAGE_MAX:
                raise LineBrokenError(f"a message of {length} bytes")
            message = parsed(exactly(self.socket, length, deadline))
            if not isinstance(message, dict):
                raise LineBrokenError("a message that is no object")
        except BaseException as error:
            close_all(descriptors)
            if isinstance(error, (OSError, ValueError, RecursionError)) and not isinstance(
                error, TimeoutError
            ):
                raise LineBrokenError(str(error)) from error
            raise
        return message, descriptors

    def receive_answer(self, deadline: Deadline) -> dict[str, Any]:
        """The next message of an end that has no descriptors to give.
        Raises LineBrokenError, TimeoutError.
        """
        message, strange = self.receive_message(deadline)
        if strange:
            close_all(strange)
            raise LineBrokenError("descriptors that nobody asked for")
        return message

    def _head(self, descriptors: list[int], deadline: Deadline | None) -> bytes:
        if deadline is not None:
            deadline.grant(self.socket)
        head, came, flags, _ = socket.recv_fds(self.socket, _LENGTH.size, DESCRIPTORS_MAX)
        descriptors += came
        if flags & socket.MSG_CTRUNC:
            raise LineBrokenError("more descriptors than any message has")
        if not head:
            raise LineBrokenError("the other end hung up")
        return head + exactly(self.socket, _LENGTH.size - len(head), deadline)

    def close(self) -> None:
        """Hang up; whoever waits at either end is woken."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def exactly(connection: socket.socket, size_bytes: int, deadline: Deadline | None = None) -> bytes:
    """So many bytes. Raises LineBrokenError where the other end hangs up before, TimeoutError."""
    pieces: list[bytes] = []
    while size_bytes:
        if deadline is not None:
            deadline.grant(connection)
        piece = connection.recv(min(size_bytes, 1 << 20))
        if not piece:
            raise LineBrokenError("the other end hung up")
        pieces.append(piece)
        size_bytes -= len(piece)
    return b"".join(pieces)


def parsed(content: bytes) -> Any:
    """The values of a JSON text, once it is sure that they are no more than memory is there for.
    Raises LineBrokenError, ValueError.
    """
    if _marks(content) > MARKS_MAX:
        raise LineBrokenError("more in a message than any has")
    # Bytes alone would be looked at for the encodings in which marks are other bytes.
    return json.loads(content.decode("ascii"))


def _marks(content: bytes) -> int:
    return sum(map(content.count, (b"[", b"{", b",")))


def close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        socket.close(descriptor)


def file_words(file: CardFile) -> list[Any]:
    return [list(file.path), file.size_bytes, file.modified_ns]


def file_of(words: Any) -> CardFile:
    """Raises LineBrokenError for what is no file."""
    match words:
        case [list(names), int(size_bytes), int(modified_ns)] if size_bytes >= 0:
            return CardFile(path_of(names), size_bytes, modified_ns)
    raise LineBrokenError("a file that is none")


def path_of(words: Any) -> tuple[str, ...]:
    """Raises LineBrokenError for what is no path."""
    if not isinstance(words, list) or not all(
        isinstance(name, str) and len(name) <= _NAME_MAX for name in words
    ):
        raise LineBrokenError("a path that is none")
    if len(words) > _DEPTH_MAX:
        raise LineBrokenError("a path that is deeper than any")
    return tuple(words)


def printable_text(word: Any) -> str:
    """What a reader says for people, cut where it says too much, and printable whatever it says.
    Raises LineBrokenError for no text.

    A lone surrogate can't be sent on, and an escape would reach the terminal of whoever reads it.
    """
    if not isinstance(word, str):
        raise LineBrokenError("a word that is none")
    return printable(word[:TEXT_MAX])


def facts_of(text: bytes) -> SegmentFacts | None:
    """What a reader saw of the footage, where it looked. Raises LineBrokenError for what can be seen of
    none.
    """
    if text == b"null":
        return None
    try:
        facts = FACTS.validate_json(text)
    except ValidationError as error:
        raise LineBrokenError("facts that are none") from error
    if any(abs(number) > _NUMBER_MAX for number in _numbers(facts)) or any(
        len(word) > _WORD_MAX for word in _words(facts)
    ):
        raise LineBrokenError("facts of no footage")
    return replace(facts, odd=tuple(printable_text(sentence) for sentence in facts.odd[:_ODD_MAX]))


def _numbers(facts: SegmentFacts) -> Iterator[int]:
    yield from (facts.size_bytes, facts.movie_ms or 0)
    yield from (track.timescale for track in facts.tracks)
    for fragment in facts.fragments:
        yield from (fragment.moof, fragment.track)
        yield from (fragment.start_ticks or 0, fragment.duration_ticks)


def _words(facts: SegmentFacts) -> Iterator[str]:
    yield facts.init_sha256 or ""
    for track in facts.tracks:
        yield from (track.kind, track.codec)


def frozen(words: list[Any]) -> Hashable:
    """A device's key as it was before JSON made lists of it."""
    return tuple(frozen(word) if isinstance(word, list) else word for word in words)


def failure_words(failure: CardError) -> dict[str, str]:
    return {"code": failure.code, "sentence": failure.sentence, "hint": failure.hint}


def failure_of(words: Any) -> CardError:
    """The card's error that a reader tells of. Raises LineBrokenError for an error that no card has."""
    match words:
        case {"code": str(code), "sentence": str(sentence), "hint": str(hint)} if (
            code in _CARD_ERRORS
        ):
            return _CARD_ERRORS[code](printable_text(sentence), hint=printable_text(hint))
    raise LineBrokenError("an error that no card has")
