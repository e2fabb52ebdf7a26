"""The hourly sweep: what falls due is marked, and destroyed a day later (P31, P32; Q8)."""

import json
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from vault.catalogue import case_rows, deletion_rows, facts, recording_rows
from vault.catalogue.recording_rows import RecordingRow
from vault.clock import MachineClock, utc_moment, utc_text
from vault.crypto.canonical_json import Json
from vault.custody.people import entry
from vault.custody.retention.clock_confirmation import demand_two, look_at_clock
from vault.custody.retention.deletion import ACTOR, destroy_recording, finish
from vault.log.log import Entry
from vault.rules.actions import Actor
from vault.rules.clock_guard import Trust
from vault.rules.due import MARK_AHEAD, RETENTION, Facts, Hold, due
from vault.rules.sweep_plan import Candidate, Mark, Plan, Situation, plan
from vault.vault import UNCONFIRMED, Vault

RULES_VERSION = "1"
"""Rises when the program decides otherwise what falls due: the first run after it asks two persons
(fault F4).
"""
_APPROVED, _RULES, _LAST = "sweep_approved", "sweep_rules", "sweep_last"

Progress = Callable[[str], None]
"""Is told each recording that was dealt with."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did. `awaiting`: what it would destroy and may not before two persons approve;
    `because` says why.
    """

    marked: tuple[str, ...]
    unmarked: tuple[str, ...]
    destroyed: tuple[str, ...]
    awaiting: tuple[str, ...]
    because: str | None
    trust: Trust


# --- the sweep ------------------------------------------------------------------------------------


def sweep(vault: Vault, clock: MachineClock, progress: Progress = lambda _: None) -> Swept:
    """One run: finish what a crash left, look at the clock, mark, destroy, confirm. Raises
    StorageFailed, CatalogueFailed.
    """
    finish(vault)
    trust = look_at_clock(vault, clock)
    now = clock.now()
    with vault.reading() as tx:
        blocked = None if trust.trusted else trust.because
        if facts.get_meta(tx, UNCONFIRMED):
            blocked = "The catalogue was rebuilt, and two persons have not confirmed it yet."
        listed = candidates(tx, now)
        situation = Situation(
            now,
            trust.seen.running_s,
            blocked,
            _history(tx, now),
            facts.get_meta(tx, _RULES) not in (None, RULES_VERSION),
            frozenset(json.loads(facts.get_meta(tx, _APPROVED) or "[]")),
        )
    decided = plan(listed, situation)
    due_facts = {one.recording: one.facts for one in listed}
    _mark(vault, decided, due_facts, now, trust.seen.running_s)
    destroyed = []
    for recording_id in decided.destroy:
        because = due(due_facts[recording_id]).because.value
        if destroy_recording(
            vault,
            recording_id,
            because,
            lambda told: Entry("recording.destroyed", ACTOR, told["id"], told["details"]),
        ):
            destroyed.append(recording_id)
        progress(recording_id)
    with vault.writing() as tx:
        if not decided.awaiting:
            facts.set_meta(tx, _RULES, RULES_VERSION)
            facts.delete_meta(tx, _APPROVED)
        told = {
            "swept_utc": utc_text(now),
            "awaiting": list(decided.awaiting),
            "because": decided.because,
        }
        facts.set_meta(tx, _LAST, json.dumps(told))
    return Swept(
        decided.mark, decided.unmark, tuple(destroyed), decided.awaiting, decided.because, trust
    )


@dataclass(frozen=True, slots=True)
class LastSweep:
    """When a sweep ran last, what it may not destroy before two persons approve, and why."""

    swept_utc: str
    awaiting: tuple[str, ...]
    because: str | None


def last_sweep(vault: Vault) -> LastSweep | None:
    """What the last sweep left behind; None where none ran since the catalogue was made. Recordings
    gone since are left out.
    """
    with vault.reading() as tx:
        text = facts.get_meta(tx, _LAST)
        if text is None:
            return None
        told = json.loads(text)
        rows = {one: recording_rows.find_recording(tx, one) for one in told["awaiting"]}
    standing = tuple(
        one for one, row in rows.items() if row is not None and row.destroyed_utc is None
    )
    return LastSweep(told["swept_utc"], standing, told["because"])


def candidates(tx: sa.Connection, now: datetime, ahead: timedelta = MARK_AHEAD) -> list[Candidate]:
    """Recordings that may fall due within `ahead`, with what the decision rests on. Younger ones
    are not even read.
    """
    marked = deletion_rows.marks(tx)
    found = []
    for row in deletion_rows.ageing(tx, utc_text(now - RETENTION + ahead)):
        standing = marked.get(row.id)
        mark = Mark(utc_moment(standing.marked_utc), standing.running_s) if standing else None
        found.append(Candidate(row.id, facts_of(tx, row), mark))
    return found


def facts_of(tx: sa.Connection, row: RecordingRow) -> Facts:
    holds = tuple(
        Hold(
            case.kind,
            case.reference,
            utc_moment(hold.since_utc),
            utc_moment(hold.lifted_utc) if hold.lifted_utc else None,
        )
        for hold, case in case_rows.holds_on(tx, row.id)
    )
    if row.unsure_until_utc is not None:
        return Facts(utc_moment(row.unsure_until_utc), utc_moment(row.unsure_until_utc), holds)
    return Facts(utc_moment(row.retention_from_utc), utc_moment(row.docked_utc), holds)


def _history(tx: sa.Connection, now: datetime) -> tuple[int, ...]:
    """How many recordings were destroyed on each of the last 28 days."""
    since = now - RETENTION
    days = Counter(
        (now - utc_moment(row.destroyed_utc)).days
        for row in deletion_rows.destructions(tx, utc_text(since))
    )
    return tuple(days.get(day, 0) for day in range(RETENTION.days))


def _mark(
    vault: Vault, decided: Plan, facts: dict[str, Facts], now: datetime, running_s: float
) -> None:
    for recording_id in decided.unmark:
        vault.record(Entry("retention.unmarked", ACTOR, recording_id, {}))
    for recording_id in decided.mark:
        moment = due(facts[recording_id]).due
        details = {
            "marked_utc": utc_text(now),
            "running_s": running_s,
            "due_utc": utc_text(moment) if moment else None,
        }
        with vault.writing() as tx:
            if not case_rows.is_held(tx, recording_id):
                vault.record(
                    Entry("retention.marked", ACTOR, recording_id, _whole_seconds(details)), tx
                )


def _whole_seconds(details: Json) -> Json:
    """The log holds no fractions."""
    return details | {"running_s": int(details["running_s"])}


def approve(vault: Vault, first: Actor, second: Actor, recordings: Collection[str]) -> None:
    """Two persons have looked at the list that a sweep asks for: exactly these may be destroyed
    (fault F4). Raises NotAllowed.
    """
    acting, other = demand_two(first, second)
    with vault.writing() as tx:
        for recording_id in recordings:
            recording_rows.kept_recording(tx, recording_id)
        facts.set_meta(tx, _APPROVED, json.dumps(sorted(set(recordings))))
        details = {"recordings": sorted(set(recordings)), "second": other.person}
        vault.record(entry(acting, "retention.approved", None, details), tx)
