"""What one sweep marks, unmarks and destroys: facts in, decision out, pure (P31, P32; faults F1,
F4).

A recording is marked a day before it falls due, and destroyed once it is due **and** the vault has
been running for 24 hours since the mark: a clock that jumps marks, at worst, and destroys nothing.
More than the cap in one run, or any run after the policy's version changed, destroys nothing before
two persons approved the very list.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from vault.rules.due import LIST_AHEAD, MARK_AHEAD, RUNNING, Facts, due

LEAST_CAP = 20
CAP_FACTOR = 3


@dataclass(frozen=True, slots=True)
class Mark:
    """When a recording was marked, and the running time by then."""

    at: datetime
    running_s: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A recording that stands."""

    recording: str
    facts: Facts
    marked: Mark | None


@dataclass(frozen=True, slots=True)
class Situation:
    """What the whole run depends on.

    `blocked`: why nothing may expire now, None where it may. `history`: how many were destroyed on
    each of the last 28 days. `policy_changed`: the program decides by other rules than at the last
    run. `approved`: the list that two persons approved.
    """

    now: datetime
    running_s: float
    blocked: str | None
    history: Sequence[int]
    policy_changed: bool
    approved: frozenset[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sweep does. `awaiting` holds what it would destroy and may not before two persons
    approve; `because` says why.
    """

    mark: tuple[str, ...] = ()
    unmark: tuple[str, ...] = ()
    destroy: tuple[str, ...] = ()
    awaiting: tuple[str, ...] = ()
    because: str | None = None


def cap(history: Sequence[int]) -> int:
    """How many one run may destroy unasked: three times the median day of the last 28, and at least
    20.
    """
    return max(LEAST_CAP, CAP_FACTOR * int(median(history))) if history else LEAST_CAP


def plan(candidates: Iterable[Candidate], situation: Situation) -> Plan:
    """What this sweep does with these recordings."""
    listed = list(candidates)
    marked = [one for one in listed if one.marked is not None]
    if situation.blocked is not None:
        held = tuple(one.recording for one in marked if due(one.facts).due is None)
        return Plan(unmark=held, because=situation.blocked)
    unmark = tuple(one.recording for one in marked if not _may_be_marked(one, situation.now))
    mark = _to_mark(listed, situation.now)
    ripe = tuple(one.recording for one in listed if _is_ripe(one, situation))
    because = _awaiting_because(ripe, situation)
    if because is not None:
        return Plan(mark, unmark, (), ripe, because)
    return Plan(mark, unmark, ripe)


def _to_mark(candidates: Sequence[Candidate], now: datetime) -> tuple[str, ...]:
    unmarked = (one for one in candidates if one.marked is None)
    return tuple(one.recording for one in unmarked if _may_be_marked(one, now))


def _awaiting_because(ripe: Sequence[str], situation: Situation) -> str | None:
    """Say why two persons must approve what is ripe first; None where nobody must."""
    if set(ripe) <= situation.approved:
        return None
    if len(ripe) > cap(situation.history):
        return (
            f"{len(ripe)} recordings would be destroyed at once, more than "
            f"{cap(situation.history)}: two persons look first."
        )
    if situation.policy_changed:
        return (
            "The rules of deletion are not those of the last run: two persons look at the "
            "list first."
        )
    return None


def falls_due(candidates: Iterable[Candidate], now: datetime) -> list[tuple[datetime, str]]:
    """What falls due within seven days, soonest first (Q2)."""
    found = [
        (decided.due, one.recording)
        for one in candidates
        if (decided := due(one.facts)).due is not None
    ]
    return sorted(
        (moment, recording)
        for moment, recording in found
        if moment is not None and moment <= now + LIST_AHEAD
    )


def _may_be_marked(one: Candidate, now: datetime) -> bool:
    decided = due(one.facts)
    return decided.due is not None and decided.due - MARK_AHEAD <= now


def _is_ripe(one: Candidate, situation: Situation) -> bool:
    decided = due(one.facts)
    if one.marked is None or decided.due is None or situation.now < decided.due:
        return False
    return situation.running_s - one.marked.running_s >= RUNNING.total_seconds()
