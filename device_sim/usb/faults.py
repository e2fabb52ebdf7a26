"""What a USB camera gets wrong, on demand: each fault is a line of a script, and happens at the
same place every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What `at` means stands beside each. "The data phase" is that of a matching transaction, its
    12 header bytes included.
    """

    UNPLUG_AT_URB = "unplug at urb"
    """The cable goes when the `at`th transfer since plugging is asked for."""
    UNPLUG_AT_BYTE = "unplug at byte"
    """The cable goes after exactly `at` bulk-in bytes since plugging."""
    UNPLUG_IN_DATA = "unplug in data"
    """The cable goes after `at` bytes of the data phase; a negative `at` counts from its end."""
    STALL = "stall"
    """The bulk-in pipe stalls in place of the data phase."""
    SHORT_READ = "short read"
    """The transfer that would carry byte `at` of the data phase ends before it, as one that timed
    out; the rest comes next.
    """
    DROP = "drop"
    """As SHORT_READ, and the packet after it is lost."""
    SPLIT = "split"
    """The data phase comes in two transfers, and the second begins with byte `at`."""
    NO_ZLP = "no zlp"
    """The empty packet after a data phase of whole packets is left out."""
    EXTRA_ZLP = "extra zlp"
    """An empty packet stands before the response where none belongs."""
    HEADER_APART = "header apart"
    """The header comes in a transfer of its own, which some cameras do."""
    SIZE_LIES = "size lies"
    """Listings state `at` bytes more than the object has."""
    GARBAGE_TAIL = "garbage tail"
    """`at` bytes that nobody announced follow the data phase."""
    LONG_ANSWER = "long answer"
    """`at` bytes more than were asked for are announced and sent."""
    SHORT_ANSWER = "short answer"
    """`at` bytes fewer than were asked for are announced and sent, and the response says OK."""
    HANG = "hang"
    """A data phase whose length modulo 512 is `at` never comes, nor its response."""
    WRONG_BYTES = "wrong bytes"
    """Byte `at` of the object is another one in the data."""
    UNREADABLE = "unreadable"
    """The object can't be read: General Error."""
    DELETE_LIES = "delete lies"
    """DeleteObject says OK and does nothing; until the next session the object is hidden."""
    DELETE_UNSAID = "delete unsaid"
    """DeleteObject deletes and says General Error."""
    HANDLES_MOVE = "handles move"
    """Each session gives the objects' handles to other objects."""
    GROWS = "grows"
    """The object is `at` bytes larger at each look at it."""
    ENDLESS = "endless"
    """`at` 0: each folder holds a new folder. 1: 2³²−1 handles are announced. 2: each folder holds
    the first folder.
    """
    NAMES = "names"
    """Objects with hostile names, made from the seed `at`, stand beside the real ones in each
    folder.
    """
    NO_ANSWER = "no answer"
    """The response never comes."""
    WRONG_TRANSACTION = "wrong transaction"
    """The response bears another transaction's number."""
    BUSY = "busy"
    """The camera answers Device Busy and does nothing."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`operation` and `path` choose the transactions it concerns, None being any; `after` skips the
    first of these, and `times` is how often it then happens (None: for ever). Counted from each
    plugging.
    """

    kind: Kind
    at: int = 0
    operation: int | None = None
    path: str | None = None
    times: int | None = None
    after: int = 0


class Script:
    """The faults of one plugging, and how far each has come."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = tuple(faults)
        self._met = [0] * len(self._faults)

    def due(
        self, kind: Kind, operation: int = 0, path: str = "", at: int | None = None
    ) -> Fault | None:
        """Return the fault of this kind that happens in this transaction, if one does. Being asked
        counts as a transaction.
        """
        found = None
        for number, fault in enumerate(self._faults):
            if fault.kind is not kind or (at is not None and fault.at != at):
                continue
            if fault.operation not in (None, operation) or fault.path not in (None, path):
                continue
            met = self._met[number]
            self._met[number] += 1
            if met >= fault.after and (fault.times is None or met < fault.after + fault.times):
                found = found or fault
        return found

    def first(self, kind: Kind) -> Fault | None:
        """Return the fault of this kind, if there is one at all; nothing is counted."""
        return next((fault for fault in self._faults if fault.kind is kind), None)
