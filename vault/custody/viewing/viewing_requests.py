"""Requests for a viewing: who asks, for what purpose, who approves or refuses (P46 to P56)."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from vault.catalogue import case_rows, person_rows, recording_rows, viewing_rows
from vault.catalogue.case_rows import CaseRow
from vault.catalogue.recording_rows import RecordingRow
from vault.catalogue.viewing_rows import ViewingRow
from vault.crypto.canonical_json import Json
from vault.custody.papers import file_paper, papers_of, read_paper
from vault.custody.people import entry
from vault.errors import NotAllowed, Reaction, UnknownRecording, VaultError
from vault.rules.actions import Acting, Action, Actor, acting_as, demand, may
from vault.rules.case_kinds import CASES, CaseKind
from vault.rules.learning import PARTNERS, approver
from vault.rules.protocol import LEARNING_OWN, REASON
from vault.rules.purposes import PURPOSES, Footage, Purpose
from vault.rules.roles import Role
from vault.rules.states import (
    VIEWING_WATCHED,
    CaseState,
    ViewingState,
    case_state,
    is_destroyed,
    viewing_state,
)
from vault.vault import Vault


class UnknownViewing(VaultError):
    """No viewing has this id."""

    code = "viewing.unknown"
    reaction = Reaction.REFUSE
    hint = "`vault view list` shows the viewings."


class ViewingRefused(VaultError):
    """A viewing can't be requested or opened so."""

    code = "viewing.refused"
    reaction = Reaction.REFUSE
    hint = "`vault view show` tells where it stands."


# --- request --------------------------------------------------------------------------------------


def request(
    vault: Vault,
    by: Actor,
    purpose: Purpose,
    recordings: Collection[str],
    *,
    case: str | None,
    reason: str,
) -> str:
    """Ask for a viewing; returns its id.

    It rests on an open case of the purpose's kind that holds the recordings, or, to learn, on the
    officer's own wish (P50, P52). Raises NotAllowed, ViewingRefused, UnknownRecording.
    """
    rule = PURPOSES[purpose]
    ids = list(dict.fromkeys(recordings))
    if not ids:
        raise ViewingRefused("A viewing names at least one recording.")
    acting = demand(Action.REQUEST_LEARNING, by) if rule.case is None else _demand_seat(by, purpose)
    with vault.reading() as tx:
        footages = {recording_id: footage_of(vault, tx, recording_id) for recording_id in ids}
        grounds, held = case_and_holds(tx, case)
    if rule.case is None:
        _demand_own(by, footages)
    else:
        demand_case(purpose, grounds, set(ids) - held)
    paper = file_paper(vault, {"purpose": purpose.value, "reason": reason})
    viewing_id = str(uuid.uuid4())
    details: Json = {
        "purpose": purpose.value,
        "case_id": case,
        "requested_by": acting.person,
        "requested_utc": vault.now_utc(),
        "recordings": ids,
        **paper.details(),
    }
    vault.record(entry(acting, "viewing.requested", viewing_id, details))
    return viewing_id


def case_and_holds(tx: sa.Connection, case_id: str | None) -> tuple[CaseRow | None, set[str]]:
    """The case that a viewing rests on, and the ids of the recordings that it ever held."""
    if not case_id:
        return None, set()
    holds = case_rows.holds_of_case(tx, case_id)
    return case_rows.case_of(tx, case_id), {hold.recording_id for hold in holds}


def _demand_own(by: Actor, footages: Mapping[str, Footage]) -> None:
    """An officer learns from what they made or are on (P52)."""
    for recording_id, footage in footages.items():
        if by.person not in {footage.officer, *footage.present}:
            raise NotAllowed(
                f"{by.name} neither made {recording_id} nor is on it. {LEARNING_OWN.quoted()}"
            )


def _demand_seat(by: Actor, purpose: Purpose) -> Acting:
    """Who asks for a viewing can take one of its seats."""
    rule = PURPOSES[purpose]
    roles = (*rule.first, *rule.second)
    for role in roles:
        if role in by.roles:
            return Acting(by.person, role)
    for replacement in by.replacements:
        if replacement.role in roles:
            return Acting(by.person, replacement.role, replacement.absent)
    raise NotAllowed(
        f"{by.name} has no seat in a viewing for {purpose.value.replace('_', ' ')}. "
        f"{REASON.quoted()}"
    )


def demand_case(purpose: Purpose, case: CaseRow | None, not_held: set[str]) -> None:
    kind = PURPOSES[purpose].case
    if case is None or kind is None or case.kind != kind.value:
        ground = CASES[kind].name_nl if kind else "case"
        raise ViewingRefused(
            f"A viewing for this purpose rests on a registered {ground}. {REASON.quoted()}"
        )
    if case_state(case) is CaseState.CLOSED:
        raise ViewingRefused(
            f"The case {case.reference} was closed on {case.closed_utc}. {REASON.quoted()}"
        )
    if not_held:
        raise ViewingRefused(
            f"{sorted(not_held)[0]} is not a recording of the case {case.reference}.",
            hint="Add it first: `vault case extend`.",
        )


def approve(vault: Vault, by: Actor, viewing_id: str) -> None:
    """The coordinator agrees to an officer's wish to learn;

    where the coordinator is in conflict, the cluster manager (P50, P54).
    """
    with vault.reading() as tx:
        row = _waiting(tx, viewing_id)
        involved = _involved(vault, tx, viewing_id) | {row.requested_by}
    acting = approver(by, vault.keyring.holders()[Role.COORDINATOR.value], involved)
    with vault.writing() as tx:
        _waiting(tx, viewing_id)
        vault.record(
            entry(acting, "viewing.approved", viewing_id, {"approved_by": acting.person}), tx
        )


def refuse(vault: Vault, by: Actor, viewing_id: str, reason: str) -> None:
    """The wish to learn is not granted."""
    with vault.reading() as tx:
        row = _waiting(tx, viewing_id)
        involved = _involved(vault, tx, viewing_id) | {row.requested_by}
    acting = approver(by, vault.keyring.holders()[Role.COORDINATOR.value], involved)
    paper = file_paper(vault, {"reason": reason})
    details = {"refused_utc": vault.now_utc(), **paper.details()}
    with vault.writing() as tx:
        _waiting(tx, viewing_id)
        vault.record(entry(acting, "viewing.refused", viewing_id, details), tx)


def _waiting(tx: sa.Connection, viewing_id: str) -> ViewingRow:
    row = viewing_rows.viewing_of(tx, viewing_id)
    if row is None:
        raise UnknownViewing(f"There is no viewing {viewing_id}.")
    if viewing_state(row) is not ViewingState.AWAITING_APPROVAL:
        raise ViewingRefused(f"Viewing {viewing_id} is not awaiting approval.")
    return row


def _involved(vault: Vault, tx: sa.Connection, viewing_id: str) -> frozenset[str]:
    recordings = viewing_rows.recordings_of_viewing(tx, viewing_id)
    return frozenset().union(
        *(footage_of(vault, tx, recording_id).involved for recording_id in recordings)
    )


def footage_of(vault: Vault, tx: sa.Connection, recording_id: str) -> Footage:
    """What the policy asks of a recording. Who is the subject of a case that holds it is concerned.
    Raises UnknownRecording.
    """
    row = recording_rows.get_recording(tx, recording_id)
    if is_destroyed(row):
        raise UnknownRecording(
            f"The recording {recording_id} was destroyed on {row.destroyed_utc}."
        )
    there = person_rows.persons_present(tx, recording_id)
    subjects = {
        person
        for hold, case in case_rows.holds_on(tx, recording_id)
        if hold.lifted_utc is None
        for person in case.concerned_persons
    }
    return Footage(
        row.officer_person,
        frozenset(person for person, how in there.items() if how != "concerned"),
        frozenset(person for person, how in there.items() if how == "concerned") | subjects,
        vault.keyring.holders()[Role.COORDINATOR.value],
    )


def may_take_seat(row: ViewingRow, by: Actor) -> bool:
    """Whether a person's functions, held or stood in for, give a seat in a requested viewing. Who
    is in conflict, the opening finds.
    """
    purpose = Purpose(row.purpose)
    mine = by.roles | {one.role for one in by.replacements}
    if purpose is Purpose.LEARNING:
        return row.requested_by == by.person or (
            row.approved_by is not None and bool(mine & set(PARTNERS))
        )
    return bool(mine & {*PURPOSES[purpose].first, *PURPOSES[purpose].second})


def find_viewing(vault: Vault, called: str) -> ViewingRow:
    """The one viewing whose id begins so. Raises UnknownViewing."""
    with vault.reading() as tx:
        found = viewing_rows.viewings_starting(tx, called) if called else []
        row = viewing_rows.viewing_of(tx, found[0]) if len(found) == 1 else None
    if row is None:
        raise UnknownViewing(f"{len(found)} viewings have an id that starts with {called!r}.")
    return row


# --- reading --------------------------------------------------------------------------------------

Viewing = ViewingRow
"""A viewing as the catalogue has it, for who shows it."""
VIEWERS = tuple(role for role in Role if role is not Role.ADMINISTRATOR)
"""Everybody who can have a seat in a viewing."""


@dataclass(frozen=True, slots=True)
class ListedViewing:
    """A viewing on a list, and its recordings."""

    row: ViewingRow
    recordings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadViewing:
    """A viewing with all that its page shows. `present`: for each recording person to how.

    `reasons`: why it was asked for and why refused, for who asked, who decides, and who answers for
    all of it; else empty.
    """

    row: ViewingRow
    recordings: tuple[RecordingRow, ...]
    present: Mapping[str, Mapping[str, str]]
    case: CaseRow | None
    reasons: tuple[str, ...]
    awaits_approval: bool
    may_decide: bool
    may_unlock: bool


def listed(vault: Vault, by: Actor) -> list[ListedViewing]:
    """Every viewing for who may read the log, and that it was read is an entry there; for others
    those that concern them. In the order of their requests. Raises NotAllowed.
    """
    _demand_viewer(by)
    found = all_viewings(vault)
    if not may(Action.READ_LOG, by):
        return [one for one in found if concerns(one.row, by)]
    acting = demand(Action.READ_LOG, by)
    vault.record(entry(acting, "log.read", None, {"what": "viewings"}))
    return found


def read(vault: Vault, by: Actor, viewing_id: str) -> ReadViewing:
    """Where a viewing that concerns this person stands, and what they can do in it. Raises
    NotAllowed, UnknownViewing, StorageFailed.
    """
    row = demand_part(vault, by, viewing_id)
    with vault.reading() as tx:
        ids = viewing_rows.recordings_of_viewing(tx, row.id)
        recordings = [recording_rows.find_recording(tx, one) for one in ids]
        case = case_rows.case_of(tx, row.case_id) if row.case_id else None
        present = {one: person_rows.persons_present(tx, one) for one in ids}
        papers = papers_of(tx, row.id)
    asked = row.requested_by == by.person
    knows = asked or may(Action.APPROVE_LEARNING, by) or may(Action.READ_LOG, by)
    texts = [read_paper(vault, paper) for _, paper in papers] if knows else []
    awaits = awaits_approval(row)
    return ReadViewing(
        row,
        tuple(found for found in recordings if found is not None),
        present,
        case,
        tuple(text["reason"] for text in texts if text and text.get("reason")),
        awaits,
        awaits and not asked and decides(by),
        may_take_seat(row, by) and not row.refused_utc and not awaits,
    )


def demand_part(vault: Vault, by: Actor, viewing_id: str) -> ViewingRow:
    """A viewing in which this person has a part, or which they may read about in the log. Raises
    NotAllowed, UnknownViewing.
    """
    _demand_viewer(by)
    with vault.reading() as tx:
        row = viewing_rows.viewing_of(tx, viewing_id)
    if row is None:
        raise UnknownViewing("There is no such viewing.")
    if not (concerns(row, by) or may(Action.READ_LOG, by) or may_take_seat(row, by)):
        raise NotAllowed(f"{by.name} has no part in this viewing.")
    return row


def concerns(row: ViewingRow, by: Actor) -> bool:
    """Whether a viewing is this person's, waits for their decision, or has a seat for them that is
    not over.
    """
    if by.person in (row.requested_by, row.first, row.second):
        return True
    waits = row.opened_utc is None and row.refused_utc is None
    if waits and awaits_approval(row):
        return decides(by)
    return may_take_seat(row, by) and (waits or row.ended_utc is None)


def decides(by: Actor) -> bool:
    """Whether this person is one who agrees to an officer's wish to learn, or refuses it."""
    return may(Action.APPROVE_LEARNING, by) or Role.CLUSTER_MANAGER in by.roles


def purposes_for(by: Actor, case: CaseRow | None) -> list[Purpose]:
    """The purposes for which this person can ask for a viewing; with a case those that rest on its
    kind.
    """
    learns = may(Action.REQUEST_LEARNING, by)
    mine = by.roles | {one.role for one in by.replacements}
    found = []
    for purpose, rule in PURPOSES.items():
        fits = rule.case is None or case is None or rule.case.value == case.kind
        seated = learns if rule.case is None else bool(mine & {*rule.first, *rule.second})
        if fits and seated:
            found.append(purpose)
    return found


def case_to_view(vault: Vault, by: Actor, case_id: str) -> CaseRow | None:
    """The case that a request would rest on; None where there is none of this id. Raises
    NotAllowed.
    """
    _demand_viewer(by)
    with vault.reading() as tx:
        return case_rows.case_of(tx, case_id)


def _demand_viewer(by: Actor) -> None:
    if acting_as(by, VIEWERS, {}) is None:
        raise NotAllowed(f"{by.name} has no part in this.")


def awaits_approval(row: ViewingRow) -> bool:
    """Whether it is an officer's wish to learn, and nobody agreed to it or refused it yet."""
    asked = row.approved_by is None and row.refused_utc is None
    return asked and row.purpose == Purpose.LEARNING.value


def all_viewings(vault: Vault) -> list[ListedViewing]:
    """Every viewing, for the queries that choose those that are a person's to see."""
    with vault.reading() as tx:
        return [
            ListedViewing(row, tuple(viewing_rows.recordings_of_viewing(tx, row.id)))
            for row in viewing_rows.viewings(tx)
        ]


def purpose_for(kind: CaseKind) -> Purpose:
    """The purpose of viewing that rests on a case of this kind."""
    return next(purpose for purpose, rule in PURPOSES.items() if rule.case is kind)


# --- who watched ----------------------------------------------------------------------------------


def viewings_of(vault: Vault, by: Actor, recording_id: str) -> list[ViewingRow]:
    """Who viewed a recording and when: for whoever may read the log, and for the officer who made
    it (P39).
    """
    with vault.reading() as tx:
        row = recording_rows.get_recording(tx, recording_id)
        found = viewing_rows.viewings_of_recording(tx, recording_id)
    own = row.officer_person == by.person
    acting = demand(
        Action.READ_OWN_VIEWINGS if own and Role.OFFICER in by.roles else Action.READ_LOG, by
    )
    vault.record(entry(acting, "log.read", recording_id, {"what": "viewings"}))
    return [viewing for viewing in found if viewing_state(viewing) in VIEWING_WATCHED]
