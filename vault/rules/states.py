"""The states of a viewing, a case, a recording, a report and a hand-over, each derived in one place
from the moments that its row holds. Pure.

A row keeps when each thing happened, None until then; `…_state` reads them in the order in which
they can happen. Everything else asks for the state and switches on it.
"""

from enum import StrEnum
from typing import Protocol

from vault.rules.purposes import PURPOSES, Purpose


class ViewingState(StrEnum):
    """How far a viewing has come."""

    AWAITING_APPROVAL = "awaiting_approval"
    """An officer asked to learn from it, and nobody agreed or refused yet (P50)."""
    READY = "ready"
    """The two may open it."""
    REFUSED = "refused"
    OPENED = "opened"
    """The two opened it, and its end is not in the log: it is on, or its process died."""
    ENDED = "ended"


VIEWING_PENDING = frozenset({ViewingState.AWAITING_APPROVAL, ViewingState.READY})
"""Requested, and neither refused nor ever opened."""

VIEWING_WATCHED = frozenset({ViewingState.OPENED, ViewingState.ENDED})
"""Two persons opened it: it counts among those who watched (P39)."""


class ViewingMoments(Protocol):
    """What the state of a viewing is derived from."""

    @property
    def purpose(self) -> str: ...
    @property
    def approved_by(self) -> str | None: ...
    @property
    def refused_utc(self) -> str | None: ...
    @property
    def opened_utc(self) -> str | None: ...
    @property
    def ended_utc(self) -> str | None: ...


def viewing_state(row: ViewingMoments) -> ViewingState:
    """Derive how far a viewing has come."""
    if row.refused_utc is not None:
        return ViewingState.REFUSED
    if row.opened_utc is not None:
        return ViewingState.OPENED if row.ended_utc is None else ViewingState.ENDED
    if PURPOSES[Purpose(row.purpose)].needs_approval and row.approved_by is None:
        return ViewingState.AWAITING_APPROVAL
    return ViewingState.READY


class CaseState(StrEnum):
    """How far a case has come. Only an access request is decided; every other case is open until it
    is closed.
    """

    OPEN = "open"
    """Registered, and not decided."""
    GRANTED = "granted"
    REFUSED = "refused"
    """Refused, with no objection to this decision."""
    OBJECTED = "objected"
    """Refused, and an objection is pending."""
    UPHELD = "upheld"
    """The objection was upheld: the request must be decided again."""
    REJECTED = "rejected"
    """The objection was rejected: the refusal is final."""
    CLOSED = "closed"


class CaseMoments(Protocol):
    """What the state of a case is derived from."""

    @property
    def granted(self) -> bool | None: ...
    @property
    def decided_utc(self) -> str | None: ...
    @property
    def objected_utc(self) -> str | None: ...
    @property
    def objection_decided_utc(self) -> str | None: ...
    @property
    def objection_upheld(self) -> bool | None: ...
    @property
    def closed_utc(self) -> str | None: ...


def case_state(row: CaseMoments) -> CaseState:
    """Derive how far a case has come."""
    if row.closed_utc is not None:
        return CaseState.CLOSED
    if row.decided_utc is None:
        return CaseState.OPEN
    if row.objection_upheld and (row.objection_decided_utc or "") >= row.decided_utc:
        return CaseState.UPHELD
    if row.granted:
        return CaseState.GRANTED
    if row.objection_decided_utc is not None and not row.objection_upheld:
        return CaseState.REJECTED
    if row.objected_utc is not None and row.objection_decided_utc is None:
        return CaseState.OBJECTED
    return CaseState.REFUSED


class RecordingState(StrEnum):
    """Whether the vault still holds a recording. Where it stands with respect to its camera is
    `vault.recording.State`.
    """

    KEPT = "kept"
    ARCHIVED = "archived"
    """Kept, and off the working list (P26)."""
    DESTROYED = "destroyed"


RECORDING_KEPT = frozenset({RecordingState.KEPT, RecordingState.ARCHIVED})
"""Its files are in the vault."""


class RecordingMoments(Protocol):
    """What the state of a recording is derived from."""

    @property
    def archived_utc(self) -> str | None: ...
    @property
    def destroyed_utc(self) -> str | None: ...


def recording_state(row: RecordingMoments) -> RecordingState:
    """Derive whether the vault still holds a recording."""
    if row.destroyed_utc is not None:
        return RecordingState.DESTROYED
    return RecordingState.KEPT if row.archived_utc is None else RecordingState.ARCHIVED


def is_destroyed(row: RecordingMoments) -> bool:
    """Tell whether a recording was destroyed: of it a tombstone is left."""
    return recording_state(row) is RecordingState.DESTROYED


class ReceiptState(StrEnum):
    """Whether what was sent was received: an officer's report, or a hand-over."""

    SENT = "sent"
    RECEIVED = "received"


class ReceiptMoments(Protocol):
    """What the state of a report or a hand-over is derived from."""

    @property
    def received_utc(self) -> str | None: ...


def receipt_state(row: ReceiptMoments) -> ReceiptState:
    """Derive whether a report or a hand-over was received."""
    return ReceiptState.SENT if row.received_utc is None else ReceiptState.RECEIVED
