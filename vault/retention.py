"""Deletion: what falls due is marked, destroyed, and seen to be gone (P31, P32; I5, I7; Q8).

Order of steps of a destruction, each before the next, whichever way it came about:

1. In one write transaction: the recording stands, no case holds it (asked there, so that no hold comes between), the catalogue is
   confirmed; the tombstone is published; the entry `recording.destroyed` and the row's end.
2. `record.json` and later keys are overwritten and removed: from here no copy of the sealed bytes opens any more.
3. The sealed files and the folder are removed; the texts of reports that speak of nothing else.
4. The folder is seen to be gone: `destruction.confirmed`.

A crash after 1 leaves the rest to the next sweep, which finds what is not confirmed.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from vault import catalogue, registers
from vault.audit import Entry, read_tree
from vault.catalogue import RecordingRow
from vault.clock import MachineClock, utc_moment, utc_text
from vault.clockguard import SEEN, Trust, confirm, judge, look_at, read_seen, seen_text
from vault.due import LIST_AHEAD, MARK_AHEAD, RETENTION, Due, Facts, Hold, due, why
from vault.errors import Reaction, UnknownRecording, VaultError
from vault.jsonform import Json
from vault.ledger import enter
from vault.papers import remove_paper
from vault.people import entry
from vault.policy import HAND_OVER_KINDS, Acting, Action, Actor, CaseKind, demand, demand_second
from vault.protocol import RETENTION as RETENTION_SENTENCE
from vault.recording import State
from vault.sweep_plan import Candidate, Mark, Plan, Situation, falls_due, plan
from vault.tombstone import publish_tombstone, tombstone_of
from vault.vault import CLOCK_SURE, CLOCK_TRUSTED, UNCONFIRMED, Vault

ACTOR = "vault sweep"
RULES_VERSION = "1"
"""Rises when the program decides otherwise what falls due: the first run after it asks two persons (fault F4)."""
ZONE = ZoneInfo("Europe/Amsterdam")
_APPROVED, _RULES, _LAST = "sweep_approved", "sweep_rules", "sweep_last"

Progress = Callable[[str], None]
"""Is told each recording that was dealt with."""


class Held(VaultError):
    """A case holds the recording; nothing deletes it."""

    code = "retention.held"
    reaction = Reaction.REFUSE
    hint = "`vault why` tells which case; it ends as its kind ends (`vault case close`)."


class SweepBlocked(VaultError):
    """Nothing may be deleted now."""

    code = "retention.blocked"
    reaction = Reaction.TRY_AGAIN
    hint = "Two officials confirm: `vault clock confirm` for the clock, `vault confirm` for a rebuilt catalogue."


class ReasonMissing(VaultError):
    """A deletion by hand gives its reason."""

    code = "retention.reason_missing"
    reaction = Reaction.REFUSE
    hint = "Say why in a sentence: --reason."


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did. `awaiting`: what it would destroy and may not before two persons approve; `because` says why."""

    marked: tuple[str, ...]
    unmarked: tuple[str, ...]
    destroyed: tuple[str, ...]
    awaiting: tuple[str, ...]
    because: str | None
    trust: Trust


# --- the sweep ----------------------------------------------------------------------------------------------------------


def sweep(vault: Vault, clock: MachineClock, progress: Progress = lambda _: None) -> Swept:
    """One run: finish what a crash left, look at the clock, mark, destroy, confirm. Raises StorageFailed, CatalogueFailed."""
    finish(vault)
    trust = look_at_clock(vault, clock)
    now = clock.now()
    with vault.reading() as tx:
        blocked = None if trust.trusted else trust.because
        if catalogue.get_meta(tx, UNCONFIRMED):
            blocked = "The catalogue was rebuilt, and two persons have not confirmed it yet."
        listed = candidates(tx, now)
        situation = Situation(
            now,
            trust.seen.running_s,
            blocked,
            _history(tx, now),
            catalogue.get_meta(tx, _RULES) not in (None, RULES_VERSION),
            frozenset(json.loads(catalogue.get_meta(tx, _APPROVED) or "[]")),
        )
    decided = plan(listed, situation)
    facts = {one.recording: one.facts for one in listed}
    _mark(vault, decided, facts, now, trust.seen.running_s)
    destroyed = []
    for recording_id in decided.destroy:
        because = due(facts[recording_id]).because.value
        if _destroy(vault, recording_id, because, lambda told: Entry("recording.destroyed", ACTOR, told["id"], told["details"])):
            destroyed.append(recording_id)
        progress(recording_id)
    with vault.writing() as tx:
        if not decided.awaiting:
            catalogue.set_meta(tx, _RULES, RULES_VERSION)
            catalogue.delete_meta(tx, _APPROVED)
        told = {"swept_utc": utc_text(now), "awaiting": list(decided.awaiting), "because": decided.because}
        catalogue.set_meta(tx, _LAST, json.dumps(told))
    return Swept(decided.mark, decided.unmark, tuple(destroyed), decided.awaiting, decided.because, trust)


@dataclass(frozen=True, slots=True)
class LastSweep:
    """When a sweep ran last, what it may not destroy before two persons approve, and why."""

    swept_utc: str
    awaiting: tuple[str, ...]
    because: str | None


def last_sweep(vault: Vault) -> LastSweep | None:
    """What the last sweep left behind; None where none ran since the catalogue was made. Recordings gone since are left out."""
    with vault.reading() as tx:
        text = catalogue.get_meta(tx, _LAST)
        if text is None:
            return None
        told = json.loads(text)
        rows = {one: catalogue.get_recording(tx, one) for one in told["awaiting"]}
    standing = tuple(one for one, row in rows.items() if row is not None and row.destroyed_utc is None)
    return LastSweep(told["swept_utc"], standing, told["because"])


def candidates(tx: sa.Connection, now: datetime, ahead: timedelta = MARK_AHEAD) -> list[Candidate]:
    """Recordings that may fall due within `ahead`, with what the decision rests on. Younger ones are not even read."""
    marked = registers.marks(tx)
    found = []
    for row in registers.ageing(tx, utc_text(now - RETENTION + ahead)):
        standing = marked.get(row.id)
        mark = Mark(utc_moment(standing.marked_utc), standing.running_s) if standing else None
        found.append(Candidate(row.id, facts_of(tx, row), mark))
    return found


def facts_of(tx: sa.Connection, row: RecordingRow) -> Facts:
    holds = tuple(
        Hold(case.kind, case.reference, utc_moment(hold.since_utc), utc_moment(hold.lifted_utc) if hold.lifted_utc else None)
        for hold, case in registers.holds_on(tx, row.id)
    )
    if row.unsure_until_utc is not None:
        return Facts(utc_moment(row.unsure_until_utc), utc_moment(row.unsure_until_utc), holds)
    return Facts(utc_moment(row.retention_from_utc), utc_moment(row.docked_utc), holds)


def _history(tx: sa.Connection, now: datetime) -> tuple[int, ...]:
    """How many recordings were destroyed on each of the last 28 days."""
    since = now - RETENTION
    days = Counter((now - utc_moment(row.destroyed_utc)).days for row in registers.destructions(tx, utc_text(since)))
    return tuple(days.get(day, 0) for day in range(RETENTION.days))


def _mark(vault: Vault, decided: Plan, facts: dict[str, Facts], now: datetime, running_s: float) -> None:
    for recording_id in decided.unmark:
        with vault.writing() as tx:
            enter(vault.log, tx, Entry("retention.unmarked", ACTOR, recording_id, {}))
    for recording_id in decided.mark:
        moment = due(facts[recording_id]).due
        details = {
            "marked_utc": utc_text(now),
            "running_s": running_s,
            "due_utc": utc_text(moment) if moment else None,
        }
        with vault.writing() as tx:
            if not registers.is_held(tx, recording_id):
                enter(vault.log, tx, Entry("retention.marked", ACTOR, recording_id, _whole_seconds(details)))


def _whole_seconds(details: Json) -> Json:
    """The log holds no fractions."""
    return details | {"running_s": int(details["running_s"])}


def _destroy(vault: Vault, recording_id: str, because: str, told: Callable[[Json], Entry], more: Json | None = None) -> bool:
    """Steps 1 to 4; False where a hold came between or it is gone already."""
    now = utc_text(vault.clock.now())
    with vault.writing() as tx:
        row = catalogue.get_recording(tx, recording_id)
        if row is None or row.destroyed_utc is not None or registers.is_held(tx, recording_id):
            return False
        if catalogue.get_meta(tx, UNCONFIRMED):
            raise SweepBlocked("The catalogue was rebuilt, and two persons have not confirmed it yet.")
        erased = row.state == State.ERASED.value
        stone = tombstone_of(row, () if erased else catalogue.files_of(tx, row.id), now, because)
        digest = publish_tombstone(vault.settings.root / "register", stone)
        details: Json = {
            "destroyed_utc": now,
            "because": because,
            "camera": row.camera_serial,
            "name": row.name,
            "record_sha256": row.record_sha256,
            "tombstone_sha256": digest,
            **(more or {}),
        }
        enter(vault.log, tx, told({"id": recording_id, "details": details}))
        if erased:
            catalogue.drop_files(tx, recording_id)
    _finish(vault, row)
    return True


def finish(vault: Vault) -> int:
    """Bring every destruction that was begun to its end, and destroy again what came back; returns how many there were."""
    standing = {folder.name for folder in vault.store.folders()}
    with vault.reading() as tx:
        left = [catalogue.get_recording(tx, row.recording_id) for row in registers.unconfirmed_destructions(tx)]
        left += catalogue.destroyed_among(tx, standing)
    for row in left:
        if row is not None:
            _finish(vault, row)
    return len(left)


def _finish(vault: Vault, row: RecordingRow) -> None:
    folder = vault.store.folder_at(row.folder)
    vault.store.destroy(folder)
    with vault.reading() as tx:
        texts = registers.report_papers_to_remove(tx, row.id)
    for text in texts:
        remove_paper(vault, text.id)
    now = utc_text(vault.clock.now())
    with vault.writing() as tx:
        for text in texts:
            enter(vault.log, tx, Entry("paper.removed", ACTOR, text.id, {"removed_utc": now}))
        if not folder.exists():
            enter(vault.log, tx, Entry("destruction.confirmed", ACTOR, row.id, {"confirmed_utc": now}))


# --- by hand ------------------------------------------------------------------------------------------------------------


def delete(vault: Vault, first: Actor, second: Actor, recording_id: str, reason: str) -> None:
    """Delete a recording before its time: cluster manager and privacy officer together, with a reason, never under hold (P26,
    Q8).

    Raises NotAllowed, Held, ReasonMissing, UnknownRecording, SweepBlocked.
    """
    if len(reason.strip()) < 5:
        raise ReasonMissing("A deletion by hand gives its reason.")
    with vault.reading() as tx:
        row = _standing(tx, recording_id)
        concerned = frozenset({row.officer_person} if row.officer_person else set()) | frozenset(
            registers.persons_present(tx, recording_id)
        )
        held = [case for hold, case in registers.holds_on(tx, recording_id) if hold.lifted_utc is None]
    acting = demand(Action.DELETE, first, concerned=concerned)
    other = demand_second(Action.DELETE, acting, second, concerned=concerned)
    if held:
        raise Held(f"The recording is held by {held[0].reference}. {RETENTION_SENTENCE.quoted()}")

    def told(given: Json) -> Entry:
        return entry(acting, "recording.destroyed", given["id"], given["details"])

    more = {"reason": reason, "second": other.person, "second_role": other.role.value}
    if not _destroy(vault, recording_id, "by_hand", told, more):
        raise Held(f"A case holds the recording {recording_id} since a moment ago.")


def approve(vault: Vault, first: Actor, second: Actor, recordings: Collection[str]) -> None:
    """Two persons have looked at the list that a sweep asks for: exactly these may be destroyed (fault F4). Raises NotAllowed."""
    acting, other = _two(first, second)
    with vault.writing() as tx:
        for recording_id in recordings:
            _standing(tx, recording_id)
        catalogue.set_meta(tx, _APPROVED, json.dumps(sorted(set(recordings))))
        details = {"recordings": sorted(set(recordings)), "second": other.person}
        vault.log.append(tx, entry(acting, "retention.approved", None, details))


def _two(first: Actor, second: Actor) -> tuple[Acting, Acting]:
    acting = demand(Action.CONFIRM, first)
    return acting, demand_second(Action.CONFIRM, acting, second)


# --- the clock ----------------------------------------------------------------------------------------------------------


def look_at_clock(vault: Vault, clock: MachineClock) -> Trust:
    """Judge the wall clock and keep what was seen. A change of the verdict is an entry of the log.

    With it goes where in the log the clock was last believed: whatever came in since then has no time that means anything.
    """
    with vault.writing() as tx:
        trust = judge(read_seen(catalogue.get_meta(tx, SEEN)), look_at(clock))
        catalogue.set_meta(tx, SEEN, seen_text(trust.seen))
        sure = int(catalogue.get_meta(tx, CLOCK_SURE) or 0)
        before = catalogue.get_meta(tx, CLOCK_TRUSTED)
        verdict = "yes" if trust.trusted else "no"
        if before != verdict:
            catalogue.set_meta(tx, CLOCK_TRUSTED, verdict)
            action = "clock.trusted" if trust.trusted else "clock.doubted"
            details = {"sentence": trust.because, "since_sequence": sure, "wall_utc": utc_text(clock.now())}
            enter(vault.log, tx, Entry(action, ACTOR, vault.id, details))
        if trust.trusted:
            catalogue.set_meta(tx, CLOCK_SURE, str(read_tree(tx).size))
    return trust


def confirm_clock(vault: Vault, clock: MachineClock, first: Actor, second: Actor) -> None:
    """Two persons compared the clock with another and found it right (ruling 14). Raises NotAllowed."""
    acting, other = _two(first, second)
    with vault.writing() as tx:
        look = look_at(clock)
        seen = confirm(read_seen(catalogue.get_meta(tx, SEEN)), look)
        catalogue.set_meta(tx, SEEN, seen_text(seen))
        details = {"second": other.person, "wall_utc": utc_text(look.wall)}
        vault.log.append(tx, entry(acting, "clock.confirmed", None, details))


# --- questions ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fate:
    """When a recording will be deleted, and why, in one sentence in two languages."""

    recording: str
    due: Due | None
    nl: str
    en: str
    regime: str
    """`Wpg` once a police report or a demand has held it, `AVG` otherwise (Q11)."""


def fate(vault: Vault, by: Actor, recording_id: str) -> Fate:
    """`vault why`. Of a destroyed recording: when and why. Raises NotAllowed, UnknownRecording."""
    demand(Action.ASK_WHY, by)
    with vault.reading() as tx:
        row = catalogue.get_recording(tx, recording_id)
        gone = registers.destruction_of(tx, recording_id)
        facts = facts_of(tx, row) if row is not None else None
    if row is None or facts is None:
        raise UnknownRecording(f"There is no recording {recording_id}.")
    if gone is not None:
        local = utc_moment(gone.destroyed_utc).astimezone(ZONE)
        return Fate(
            recording_id,
            None,
            f"Deze opname is vernietigd op {local:%d-%m-%Y} om {local:%H:%M} uur ({_GONE[gone.because][0]}).",
            f"This recording was destroyed on {local:%d-%m-%Y} at {local:%H:%M} ({_GONE[gone.because][1]}).",
            _regime(facts),
        )
    return Fate(recording_id, due(facts), why(facts, ZONE, "nl"), why(facts, ZONE, "en"), _regime(facts))


def _regime(facts: Facts) -> str:
    return "Wpg" if any(CaseKind(hold.kind) in HAND_OVER_KINDS for hold in facts.holds) else "AVG"


_GONE = {
    "retention": ("de bewaartermijn van 28 dagen was om", "its 28 days were over"),
    "late_docking": ("laat ingelezen; 7 dagen daarna", "docked late; 7 days after that"),
    "hold_lifted": ("de laatste zaak die haar vasthield was gesloten", "the last case that held it was closed"),
    "by_hand": ("door clustermanager en privacy officer samen", "by cluster manager and privacy officer together"),
}


def soon_due(vault: Vault, by: Actor) -> list[tuple[datetime, str]]:
    """What falls due within seven days, soonest first (Q2). Raises NotAllowed."""
    demand(Action.LIST_RECORDINGS, by)
    now = vault.clock.now()
    with vault.reading() as tx:
        return falls_due(candidates(tx, now, LIST_AHEAD), now)


def _standing(tx: sa.Connection, recording_id: str) -> RecordingRow:
    row = catalogue.get_recording(tx, recording_id)
    if row is None or row.destroyed_utc is not None:
        raise UnknownRecording(f"There is no recording {recording_id}.")
    return row
