"""When a recording falls due, and why: one decision, pure (P31 to P35; Q1, Q2, Q3, Q9)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from vault.rules.case_kinds import CASES, CaseKind

RETENTION = timedelta(days=28)
"""From the stop of a recording (P31): 28 times 24 hours, so that day 28 itself is kept."""
LATE = timedelta(days=7)
"""What a recording gets that was docked when its 28 days were over (Q1)."""
MEND = timedelta(hours=24)
"""After the last hold on an old recording was lifted: a mistake can be mended (Q2)."""
MARK_AHEAD = timedelta(days=1)
"""How long before it falls due a recording is marked."""
RUNNING = timedelta(hours=24)
"""How long the vault must have been running since the mark before anything is
destroyed (fault F1).
"""
LIST_AHEAD = timedelta(days=7)
"""How far ahead cluster manager and privacy officer see what falls due (Q2)."""

_MONTHS_NL = (
    *("januari", "februari", "maart", "april", "mei", "juni"),
    *("juli", "augustus", "september", "oktober", "november", "december"),
)
_MONTHS_EN = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


class Because(StrEnum):
    """What decides."""

    RETENTION = "retention"
    LATE = "late_docking"
    HOLD_LIFTED = "hold_lifted"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Hold:
    """A case's hold on a recording. `lifted` None: it stands."""

    kind: str
    reference: str
    since: datetime
    lifted: datetime | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the decision rests on: where the 28 days start, when it was docked, every hold there
    ever was.
    """

    retention_from: datetime
    docked: datetime
    holds: tuple[Hold, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """When a recording falls due, and what decided it. `due` None: a hold stands, and there is no
    date.
    """

    due: datetime | None
    because: Because
    standing: tuple[Hold, ...]


def due(facts: Facts) -> Due:
    """When this recording falls due."""
    standing = tuple(hold for hold in facts.holds if hold.lifted is None)
    if standing:
        return Due(None, Because.HELD, standing)
    moment, because = facts.retention_from + RETENTION, Because.RETENTION
    if facts.docked >= moment:
        moment, because = facts.docked + LATE, Because.LATE
    lifted = max((hold.lifted for hold in facts.holds if hold.lifted is not None), default=None)
    if lifted is not None and lifted + MEND > moment:
        moment, because = lifted + MEND, Because.HOLD_LIFTED
    return Due(moment, because, ())


def why(facts: Facts, zone: ZoneInfo, language: str = "nl") -> str:
    """When it will be deleted and why, in one sentence that a citizen understands; Dutch (`nl`) or
    English (`en`).
    """
    decided = due(facts)
    dutch = language == "nl"
    sentence = _WHY[decided.because][0 if dutch else 1]
    if decided.due is None:
        grounds = _listed([_ground(hold, dutch) for hold in decided.standing], dutch)
        return sentence.format(grounds=grounds)
    return sentence.format(moment=_moment(decided.due, zone, dutch))


_WHY = {
    Because.HELD: (
        "Deze opname wordt niet verwijderd zolang {grounds} haar vasthoudt.",
        "This recording is not deleted as long as {grounds} holds it.",
    ),
    Because.RETENTION: (
        "Deze opname wordt na {moment} automatisch verwijderd, omdat zij dan 28 dagen oud is en "
        "geen aangifte, klacht of verzoek tot inzage haar vasthoudt.",
        "This recording is deleted automatically after {moment}, as it is then 28 days old and no "
        "police report, complaint or access request holds it.",
    ),
    Because.LATE: (
        "Deze opname wordt na {moment} automatisch verwijderd: zij was al ouder dan 28 dagen toen "
        "zij werd ingelezen, en blijft daarna nog 7 dagen bewaard.",
        "This recording is deleted automatically after {moment}: it was older than 28 days when "
        "it was read out, and is kept for 7 days from then.",
    ),
    Because.HOLD_LIFTED: (
        "Deze opname wordt na {moment} automatisch verwijderd: zij is ouder dan 28 dagen en de "
        "laatste zaak die haar vasthield is gesloten.",
        "This recording is deleted automatically after {moment}: it is older than 28 days and the "
        "last case that held it is closed.",
    ),
}
"""In Dutch and in English."""


def _ground(hold: Hold, dutch: bool) -> str:
    rule = CASES[CaseKind(hold.kind)]
    named = rule.one_nl if dutch else rule.one_en
    return f"{named} ({hold.reference})"


def _listed(parts: Sequence[str], dutch: bool) -> str:
    *front, last = parts
    return f"{', '.join(front)} {'en' if dutch else 'and'} {last}" if front else last


def _moment(moment: datetime, zone: ZoneInfo, dutch: bool) -> str:
    local = moment.astimezone(zone)
    month = (_MONTHS_NL if dutch else _MONTHS_EN)[local.month - 1]
    return (
        f"{local.day} {month} {local.year} {'om' if dutch else 'at'} "
        f"{local:%H:%M}{' uur' if dutch else ''}"
    )
