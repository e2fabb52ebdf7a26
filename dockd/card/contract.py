"""The seam to the world of cameras: what a card is to the dock, how it fails, and what is found on
it.

Everything on a card is untrusted: names, sizes, times, contents, and that a file stays what it was
listed as. A name from a card is looked up on that card and shown to people; it never becomes a path
of ours.
"""

import hashlib
import mmap
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from vault.errors import Failure, Reaction
from vault.recording import EDGE_BYTES, RecordingClaim, Source

SENTENCE_MAX = 2500
"""Characters of what is said of a card in one piece. Names in it are the card's, and may be as long
as it likes (A13).
"""


class CardError(Failure):
    """Base of what a card raises."""

    code = "card.failure"
    hint = "Take the camera out and dock it again."


class CardGoneError(CardError):
    """The camera was taken out, or its card unmounted."""

    code = "card.gone"
    reaction = Reaction.TRY_AGAIN
    hint = "Dock the camera again: what is already in the vault is not read a second time."


class CardStuckError(CardError):
    """The camera is there and can't be brought to answer."""

    code = "card.stuck"
    reaction = Reaction.TRY_AGAIN
    hint = (
        "Take the camera out and dock it again. It keeps its recordings; the dock tries again by "
        "itself as well."
    )


class CardReadFailedError(CardError):
    """One object can't be read; the rest of the card is not concerned."""

    code = "card.read_failed"
    reaction = Reaction.ALARM
    hint = (
        "Dock the camera again. If it happens again the card is failing: keep the camera apart "
        "with its recordings."
    )


class CardFileChangedError(CardError):
    """A file is no longer what was listed: other size, other time, other kind, or gone."""

    code = "card.file_changed"
    reaction = Reaction.TRY_AGAIN
    hint = (
        "The card is listed again by itself. If it happens again the camera is writing while "
        "docked: keep it apart."
    )


class CardRefusedError(CardError):
    """The card as a whole can't be listed within the bounds that every camera keeps."""

    code = "card.refused"
    reaction = Reaction.REFUSE
    hint = "Keep the camera apart and copy its card as an image; nothing on it was changed."


class CardReadOnlyError(CardError):
    """The card can be read but not erased."""

    code = "card.read_only"
    reaction = Reaction.REFUSE
    hint = (
        "Move the card's lock, or mount it for writing, and dock the camera again. The recording "
        "is safe in the vault."
    )


class CardDeleteFailedError(CardError):
    """A deletion was refused, or the medium did not confirm it."""

    code = "card.delete_failed"
    reaction = Reaction.ALARM
    hint = (
        "Dock the camera again: the erase is taken up where it stopped. The recording is safe in "
        "the vault."
    )


@dataclass(frozen=True, slots=True)
class CardLimits:
    """Bounds of one listing. No camera comes near them; a hostile or damaged card
    does. Fault A13.
    """

    objects: int = 100_000
    depth: int = 32
    listing_s: float = 90


DEFAULT_LIMITS = CardLimits()


def shown(path: tuple[str, ...]) -> str:
    """A path from a card for people and logs: printable text on one line, different for every two
    different paths.

    What is not printable (controls, direction marks, the surrogates that stand for undecodable
    bytes) is escaped, and so are the backslash, and a slash inside of a name, which MTP allows.
    """
    return "/".join(printable(name, "\\/") for name in path)


def printable(text: str, besides: str = "") -> str:
    """Text on one line: what is not printable is escaped, and what is named besides."""
    return "".join(
        character if character.isprintable() and character not in besides else _escaped(character)
        for character in text
    )


def _escaped(character: str) -> str:
    point = ord(character)
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


@dataclass(frozen=True, slots=True)
class CardFile:
    """A file as a listing of the card showed it.

    `path` holds the names from the card's root on. `modified_ns` is the card's own word, a hint and
    never an identity (FAT times are local, and two seconds wide).
    """

    path: tuple[str, ...]
    size_bytes: int
    modified_ns: int

    @property
    def shown(self) -> str:
        """The path for people and logs."""
        return shown(self.path)


@dataclass(frozen=True, slots=True)
class CardTrouble:
    """An entry that a listing had to leave out. What lies at or below `path` is unknown: it may not
    be called gone.
    """

    path: tuple[str, ...]
    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class RefusedRecording:
    """One recording, or one stray file, that is not taken in, and why. It stays on the camera.
    `name` is printable.
    """

    name: str
    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class CardRecording:
    """A recording's claim and the files that carry it.

    `files` stands beside `claim.segments`, one for one; None is a file that is not on the card,
    which only a `Remnant` has. `trailing` are deleted after them, in this order, and then the
    folder. `findings` are sentences for the log.
    """

    claim: RecordingClaim
    files: tuple[CardFile | None, ...]
    trailing: tuple[CardFile, ...]
    folder: tuple[str, ...] | None
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remnant:
    """What a broken-off erase leaves: a manifest whose segments, or whose signature, are gone in
    part.

    It is never pulled. If the vault owns exactly this recording, the erase may be finished;
    otherwise `refused` is the verdict.
    """

    recording: CardRecording
    refused: RefusedRecording


@dataclass(frozen=True, slots=True)
class CardReading:
    """Everything that a card holds, sorted by what may be done with it; oldest first. `findings`
    are sentences for the log that speak of the card as a whole.
    """

    recordings: tuple[CardRecording, ...] = ()
    remnants: tuple[Remnant, ...] = ()
    refused: tuple[RefusedRecording, ...] = ()
    findings: tuple[str, ...] = ()


class FileStream(Source, Protocol):
    """One file of a card, read from an offset on. It is a `Source`: intake reads it as it is.

    `readinto` returns 0 only at the size that was listed, and only when the file really ends there;
    fewer bytes, or one more, raise CardFileChangedError.
    """

    def close(self) -> None:
        """Let go of the file. A second call does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Card(Protocol):
    """The card of a docked camera. All methods raise CardGoneError once the camera is out."""

    @property
    def where(self) -> str:
        """For people: the mount point, or the USB port."""

    @property
    def trouble(self) -> tuple[CardTrouble, ...]:
        """What the last listing had to leave out."""

    def files(self, below: tuple[str, ...] = ()) -> tuple[CardFile, ...]:
        """The whole card, or what lies below a folder of it, listed anew, sorted by path.
        CardRefusedError beyond the bounds.

        Nothing lies below a folder that is not there. `trouble` is of this listing.
        """

    def open(self, file: CardFile, offset: int = 0) -> FileStream:
        """A stream from `offset` on.

        CardFileChangedError if the file is no longer as listed, CardReadFailedError if it can't be read.
        """

    def delete(self, file: CardFile) -> None:
        """Delete the file, durably. CardFileChangedError if it is no longer as listed; CardReadOnlyError;
        CardDeleteFailedError.
        """

    def delete_folder(self, path: tuple[str, ...]) -> bool:
        """Remove a folder if it is empty. True when it is gone, False when something stands in it:
        then it stays.
        """

    def clock_offset_ms(self) -> int | None:
        """The camera's clock minus the dock's, measured now, sure to 50 ms. None: this transport
        can't, or not so well.
        """

    def set_clock(self, moment: datetime) -> bool:
        """Set the camera's clock. False: this transport can't."""

    def close(self) -> None:
        """Let go of the card. A second call does nothing."""


class Lease(Protocol):
    """Who holds a docked camera, from its first opening to the end of its docking."""

    @property
    def answers(self) -> int:
        """So many answers were given: who still gives some does not stand still."""

    def end(self) -> None:
        """The docking is over: let go. An opening after it is another docking's."""


class _NoLease:
    """Holds what the dock opens itself."""

    answers = 0

    def end(self) -> None:
        """Nothing is held."""


NO_LEASE: Lease = _NoLease()


def edges_of(content: bytes) -> tuple[str, str]:
    """SHA-256 of the first and of the last `EDGE_BYTES` of content (of all of it, twice, where it
    is shorter).
    """
    return hashlib.sha256(content[:EDGE_BYTES]).hexdigest(), hashlib.sha256(
        content[-EDGE_BYTES:]
    ).hexdigest()


def edges(card: Card, file: CardFile) -> tuple[str, str]:
    """`edges_of` a file on a card, by which it is known again before it is deleted.

    Raises the card's own errors. Fault E4.
    """
    wanted = min(file.size_bytes, EDGE_BYTES)
    head = _digest(card, file, 0, wanted)
    return head, head if wanted == file.size_bytes else _digest(
        card, file, file.size_bytes - wanted, wanted
    )


def read_whole(card: Card, file: CardFile) -> bytes:
    """The content of a small file, proven to end where it was listed to. The caller has capped
    `size_bytes`.
    """
    pieces: list[bytes] = []
    buffer = memoryview(mmap.mmap(-1, EDGE_BYTES))
    with card.open(file) as stream:
        while count := stream.readinto(buffer):
            pieces.append(bytes(buffer[:count]))
    return b"".join(pieces)


def _digest(card: Card, file: CardFile, offset: int, wanted: int) -> str:
    """SHA-256 of `wanted` bytes from `offset` on, through page-aligned memory as direct reading
    asks for.
    """
    buffer = memoryview(mmap.mmap(-1, EDGE_BYTES))
    filled = 0
    with card.open(file, offset) as stream:
        while filled < wanted:
            count = stream.readinto(buffer[filled:])
            if count == 0:
                raise CardFileChangedError(
                    f"{file.shown} ended before the {file.size_bytes} bytes that were listed."
                )
            filled += count
    return hashlib.sha256(buffer[:wanted]).hexdigest()
