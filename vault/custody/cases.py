"""Cases: what holds a recording beyond 28 days, from its receipt to an end of its own (P32 to P35,
P57 to P61).

A case holds its recordings from the moment it was received. It ends only as its kind ends: a
complaint when its procedure is finished, an access request when the decision is final and carried
out, a police report or a demand when the prosecutor agrees.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from vault.catalogue import case_rows, recording_rows, viewing_rows
from vault.catalogue.case_rows import CaseRow, HoldRow
from vault.catalogue.recording_rows import RecordingRow
from vault.catalogue.viewing_rows import HandOverRow, ViewingRow
from vault.clock import utc_moment, utc_text
from vault.crypto.canonical_json import Json
from vault.custody.papers import file_paper, papers_of, read_paper
from vault.custody.people import entry
from vault.errors import Reaction, UnknownRecording, VaultError
from vault.rules.actions import Action, Actor, demand, may
from vault.rules.case_kinds import CASES, CaseKind
from vault.rules.protocol import ASSESSED, OBJECTION
from vault.rules.states import CaseState, case_state, is_destroyed
from vault.vault import Vault

OBJECTION_TERM = timedelta(weeks=6)
"""How long an objection can be made after a refusal (Q3; Awb 6:7)."""


class UnknownCase(VaultError):
    """No case has this id or reference."""

    code = "cases.unknown"
    reaction = Reaction.REFUSE
    hint = "`vault case list` shows the cases."


class CaseRefused(VaultError):
    """A case can't be registered, decided or closed so. The sentence says what is missing."""

    code = "cases.refused"
    reaction = Reaction.REFUSE
    hint = "`vault case show` tells where the case stands."


@dataclass(frozen=True, slots=True)
class NewCase:
    """What is registered: kind, the sender's reference, when it was received, the recordings it
    concerns, officials who are its subject. `text` holds what may name other persons: who asks,
    why, the incident.
    """

    kind: CaseKind
    reference: str
    received: datetime
    recordings: tuple[str, ...]
    concerned: frozenset[str] = frozenset()
    text: str = ""


def register(vault: Vault, by: Actor, new: NewCase) -> str:
    """Register a case; its recordings are held from its receipt. Returns its id.

    Raises NotAllowed, CaseRefused, UnknownRecording, UnknownPerson.
    """
    acting = demand(Action.REGISTER_CASE, by)
    now = vault.clock.now()
    if not new.reference.strip():
        raise CaseRefused(
            "A case needs a reference.",
            hint="Give the number under which the sender or the municipality knows it.",
        )
    if new.received > now:
        raise CaseRefused(
            f"The case would be received on {utc_text(new.received)}, which is still to come."
        )
    concerned = sorted(vault.keyring.person(person).person for person in new.concerned)
    paper = file_paper(
        vault, {"kind": new.kind.value, "reference": new.reference, "text": new.text}
    )
    case_id = str(uuid.uuid4())
    details: Json = {
        "kind": new.kind.value,
        "reference": new.reference,
        "received_utc": utc_text(new.received),
        "registered_utc": utc_text(now),
        "registered_by": acting.person,
        "concerned": concerned,
        "recordings": list(dict.fromkeys(new.recordings)),
        **paper.details(),
    }
    with vault.writing() as tx:
        _demand_kept(tx, new.recordings)
        vault.record(entry(acting, "case.registered", case_id, details), tx)
    return case_id


def extend(vault: Vault, by: Actor, case_id: str, recordings: Collection[str]) -> None:
    """Let a case hold further recordings, from its receipt. Raises NotAllowed, UnknownCase,
    CaseRefused, UnknownRecording.
    """
    acting = demand(Action.REGISTER_CASE, by)
    with vault.writing() as tx:
        case = _open_case(tx, case_id)
        held = {hold.recording_id for hold in case_rows.holds_of_case(tx, case.id)}
        further = [recording for recording in dict.fromkeys(recordings) if recording not in held]
        _demand_kept(tx, further)
        details = {"recordings": further, "since_utc": case.received_utc}
        vault.record(entry(acting, "case.extended", case.id, details), tx)


def suggestions(vault: Vault, recordings: Collection[str]) -> list[RecordingRow]:
    """Recordings whose time overlaps these: perhaps other officers' of the same incident (Q7)."""
    with vault.reading() as tx:
        return case_rows.overlapping(tx, recordings)


def decide(
    vault: Vault, by: Actor, case_id: str, *, granted: bool, necessity: str, reasons: str
) -> None:
    """The privacy officer's decision on one access request: assessed by itself, with reasons (P57,
    P58).

    A refusal opens the term of objection. After an objection was upheld the request is decided
    anew. Raises NotAllowed, UnknownCase, CaseRefused.
    """
    with vault.reading() as tx:
        case = _open_case(tx, case_id)
    acting = demand(Action.DECIDE_ACCESS, by, concerned=case.concerned_persons)
    _demand_kind(case, CaseKind.ACCESS_REQUEST)
    if not necessity.strip() or not reasons.strip():
        raise CaseRefused(f"A decision states necessity and reasons. {ASSESSED.quoted()}")
    now = vault.clock.now()
    paper = file_paper(vault, {"necessity": necessity, "reasons": reasons, "granted": granted})
    details: Json = {
        "granted": granted,
        "decided_utc": utc_text(now),
        "decided_by": acting.person,
        "objection_until_utc": None if granted else utc_text(now + OBJECTION_TERM),
        **paper.details(),
    }
    with vault.writing() as tx:
        case = _open_case(tx, case_id)
        if case_state(case) is not CaseState.OPEN and not case.objection_upheld:
            raise CaseRefused(f"The request {case.reference} was decided on {case.decided_utc}.")
        vault.record(entry(acting, "case.decided", case.id, details), tx)


def carry_out(vault: Vault, by: Actor, case_id: str) -> None:
    """The decision was carried out: the footage was shown, or the requester was told of the refusal
    (P33).
    """
    with vault.writing() as tx:
        case = _open_case(tx, case_id)
        acting = demand(Action.DECIDE_ACCESS, by, concerned=case.concerned_persons)
        _demand_kind(case, CaseKind.ACCESS_REQUEST)
        if case_state(case) is CaseState.OPEN:
            raise CaseRefused(f"The request {case.reference} is not decided yet.")
        vault.record(
            entry(
                acting,
                "case.carried_out",
                case.id,
                {"carried_out_utc": vault.now_utc()},
            ),
            tx,
        )


def register_objection(
    vault: Vault, by: Actor, case_id: str, received: datetime, text: str = ""
) -> None:
    """An objection against a refusal came in, within its term (P61). Raises NotAllowed,
    UnknownCase, CaseRefused.
    """
    acting = demand(Action.REGISTER_CASE, by)
    paper = file_paper(vault, {"text": text})
    with vault.writing() as tx:
        case = _open_case(tx, case_id)
        if case.granted is not False or case.objection_until_utc is None:
            raise CaseRefused(f"The request {case.reference} was not refused. {OBJECTION.quoted()}")
        if (
            not utc_moment(case.decided_utc or "")
            <= received
            <= min(vault.clock.now(), utc_moment(case.objection_until_utc))
        ):
            raise CaseRefused(
                f"The term of objection of {case.reference} ran to {case.objection_until_utc}."
            )
        details = {"objected_utc": utc_text(received), **paper.details()}
        vault.record(entry(acting, "case.objected", case.id, details), tx)


def decide_objection(
    vault: Vault, by: Actor, case_id: str, *, upheld: bool, reference: str
) -> None:
    """The objection was decided: upheld, and the request is decided anew, or not, and the refusal
    is final.
    """
    acting = demand(Action.REGISTER_CASE, by)
    with vault.writing() as tx:
        case = _open_case(tx, case_id)
        if case.objected_utc is None:
            raise CaseRefused(f"No objection to {case.reference} is registered.")
        details = {
            "objection_decided_utc": vault.now_utc(),
            "objection_upheld": upheld,
            "reference": reference,
        }
        vault.record(entry(acting, "case.objection_decided", case.id, details), tx)


def close(vault: Vault, by: Actor, case_id: str, *, reference: str = "") -> None:
    """End a case as its kind ends; its recordings are held by it no longer.

    `reference`: for a police report or a demand the prosecutor's agreement to destruction; for a
    complaint the letter that ends it. Raises NotAllowed, UnknownCase, CaseRefused.
    """
    now = vault.clock.now()
    with vault.writing() as tx:
        case = _open_case(tx, case_id)
        acting = demand(Action.CLOSE_CASE, by, concerned=case.concerned_persons)
        missing = still_open_because(case, reference, now)
        if missing is not None:
            rule = CASES[CaseKind(case.kind)]
            raise CaseRefused(
                f"{case.reference} can't be closed: {missing}. {rule.sentence.quoted()}"
            )
        details = {"closed_utc": utc_text(now), "reference": reference}
        vault.record(entry(acting, "case.closed", case.id, details), tx)


def still_open_because(case: CaseRow, reference: str, now: datetime) -> str | None:
    """What a case still lacks before it can be closed; None when nothing. Pure."""
    if CaseKind(case.kind) is CaseKind.ACCESS_REQUEST:
        return _undecided_because(case, now)
    if reference.strip():
        return None
    return f"it ends when {CASES[CaseKind(case.kind)].ends_with}, and no reference says so"


def _undecided_because(case: CaseRow, now: datetime) -> str | None:
    """What an access request still lacks before its decision is final and carried out."""
    state = case_state(case)
    if state is CaseState.OPEN:
        return "the privacy officer has not decided"
    if state is CaseState.UPHELD:
        return "the objection was upheld, and the request has not been decided again"
    if case.carried_out_utc is None:
        return "the decision was not carried out"
    if state is CaseState.OBJECTED:
        return "an objection is pending"
    if state is CaseState.REFUSED:
        return _objection_possible(case, now)
    return None


def _objection_possible(case: CaseRow, now: datetime) -> str | None:
    if case.objection_until_utc is not None and now < utc_moment(case.objection_until_utc):
        return f"an objection can be made until {case.objection_until_utc}"
    return None


def archive(vault: Vault, by: Actor, recording_id: str) -> None:
    """Put a recording away from the working list (P26). It lengthens nothing (Q9). Raises
    NotAllowed, UnknownRecording.
    """
    acting = demand(Action.ARCHIVE, by)
    with vault.writing() as tx:
        _demand_kept(tx, [recording_id])
        vault.record(
            entry(
                acting,
                "recording.archived",
                recording_id,
                {"archived_utc": vault.now_utc()},
            ),
            tx,
        )


def name_present(vault: Vault, by: Actor, recording_id: str, person: str, how: str) -> None:
    """Who is on a recording (`on_it`), was `present`, or is `concerned` in it (P52, P54, Q14).
    Raises NotAllowed.
    """
    acting = demand(Action.NAME_PRESENT, by)
    if how not in ("on_it", "present", "concerned"):
        raise CaseRefused(
            f"{how!r} is no way to be on a recording.", hint="Use on_it, present or concerned."
        )
    form = vault.keyring.person(person)
    with vault.writing() as tx:
        _demand_kept(tx, [recording_id])
        vault.record(
            entry(acting, "person.present", recording_id, {"person": form.person, "how": how}), tx
        )


# --- reading --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListedCase:
    """A case on a list: how many recordings it ever held, and what it still lacks (None: it can be
    closed).
    """

    row: CaseRow
    recordings: int
    lacks: str | None


@dataclass(frozen=True, slots=True)
class ReadCase:
    """A case with all that belongs to it. `reads_papers`: whether its papers are the reader's to
    read; `others`: recordings of the same time that it does not hold.
    """

    row: CaseRow
    holds: tuple[HoldRow, ...]
    reads_papers: bool
    papers: tuple[tuple[str, Json | None], ...]
    viewings: tuple[ViewingRow, ...]
    hand_overs: tuple[HandOverRow, ...]
    others: tuple[RecordingRow, ...]
    lacks: str | None


def listed(
    vault: Vault, by: Actor, *, kind: CaseKind | None = None, closed_too: bool = False
) -> list[ListedCase]:
    """The open cases, of one kind where it is given, by their receipt; the closed ones too where
    wanted. Raises NotAllowed.
    """
    demand(Action.LIST_RECORDINGS, by)
    now = vault.clock.now()
    with vault.reading() as tx:
        rows = case_rows.cases(tx, open_only=not closed_too)
        return [
            ListedCase(
                row, len(case_rows.holds_of_case(tx, row.id)), still_open_because(row, "", now)
            )
            for row in rows
            if kind is None or row.kind == kind.value
        ]


def read(vault: Vault, by: Actor, called: str) -> ReadCase:
    """A case with its papers; that it was read is an entry of the log.

    The register of access requests is the privacy officer's: who else lists recordings sees that
    the case is there, and not its papers (P60). Raises NotAllowed, UnknownCase, StorageFailed.
    """
    demand(Action.LIST_RECORDINGS, by)
    row = find_case(vault, called)
    apart = row.kind == CaseKind.ACCESS_REQUEST.value
    reads = not apart or may(Action.READ_ACCESS_REGISTER, by)
    action = Action.READ_ACCESS_REGISTER if apart and reads else Action.LIST_RECORDINGS
    acting = demand(action, by)
    with vault.reading() as tx:
        holds = case_rows.holds_of_case(tx, row.id)
        papers = papers_of(tx, row.id) if reads else []
        viewings = [one for one in viewing_rows.viewings(tx) if one.case_id == row.id]
        hand_overs = [one for one in viewing_rows.hand_overs(tx) if one.case_id == row.id]
        ids = [hold.recording_id for hold in holds]
        others = case_rows.overlapping(tx, ids) if row.closed_utc is None and ids else []
    vault.record(entry(acting, "case.read", row.id, {}))
    return ReadCase(
        row,
        tuple(holds),
        reads,
        tuple((named, read_paper(vault, paper)) for named, paper in papers),
        tuple(viewings),
        tuple(hand_overs),
        tuple(others),
        still_open_because(row, "", vault.clock.now()),
    )


def find_case(vault: Vault, called: str) -> CaseRow:
    """The one case of this id, start of an id, or reference. Raises UnknownCase."""
    with vault.reading() as tx:
        found = case_rows.cases_starting(tx, called) if called else []
        case = case_rows.case_of(tx, found[0]) if len(found) == 1 else None
    if case is None:
        raise UnknownCase(f"{len(found)} cases are called {called!r}.")
    return case


def _open_case(tx: sa.Connection, case_id: str) -> CaseRow:
    case = case_rows.case_of(tx, case_id)
    if case is None:
        raise UnknownCase(f"There is no case {case_id}.")
    if case_state(case) is CaseState.CLOSED:
        raise CaseRefused(f"The case {case.reference} was closed on {case.closed_utc}.")
    return case


def _demand_kind(case: CaseRow, kind: CaseKind) -> None:
    if case.kind != kind.value:
        raise CaseRefused(
            f"{case.reference} is a {CASES[CaseKind(case.kind)].name_nl}, not a "
            f"{CASES[kind].name_nl}."
        )


def _demand_kept(tx: sa.Connection, recordings: Collection[str]) -> None:
    for recording_id in recordings:
        row = recording_rows.get_recording(tx, recording_id)
        if is_destroyed(row):
            raise UnknownRecording(
                f"The recording {recording_id} was destroyed on {row.destroyed_utc}."
            )
