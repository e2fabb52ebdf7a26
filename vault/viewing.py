"""Four eyes: a viewing from its request to its end (P36 to P42, P46 to P56).

Order of steps of an opening, each before the next: the policy's seats for every recording; the purpose's conditions, each
confirmed; the log's entry of the viewing and of each recording, durable; the log's head signed and with the witness; only then
a byte. Each span shown is an entry before it is given out: a log that can't be written ends the viewing. A viewing ends when
one of the two leaves, when its time is over, or with the process; the keys go with it.
"""

import contextlib
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from vault import catalogue, registers
from vault.audit import Entry
from vault.clock import utc_text
from vault.errors import NotAllowed, Reaction, UnknownRecording, VaultError
from vault.jsonform import Json
from vault.ledger import enter
from vault.papers import file_paper
from vault.people import Signed, actor, entry
from vault.policy import (
    CASES,
    PURPOSES,
    Acting,
    Action,
    Actor,
    Footage,
    Pair,
    Purpose,
    Role,
    demand,
    demand_viewing,
    pair_of,
    receivers_of,
)
from vault.protocol import LEARNING_OWN, REASON
from vault.record import FilePart
from vault.reel import Reel, reel_of
from vault.registers import CaseRow, ViewingRow
from vault.release import Manifest, Opened, manifest_of, open_recording, seal_later
from vault.store import MANIFEST_NAME
from vault.vault import Vault
from vault.witness import sign_head

_INIT_MAX_BYTES = 65536
SESSION = timedelta(minutes=60)
"""How long a viewing lasts at most; the two may open another."""


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


class ViewingOver(VaultError):
    """The viewing has ended; nothing more is shown."""

    code = "viewing.over"
    reaction = Reaction.REFUSE
    hint = "The two open another viewing."


# --- request ------------------------------------------------------------------------------------------------------------


def request(vault: Vault, by: Actor, purpose: Purpose, recordings: Collection[str], *, case: str | None, reason: str) -> str:
    """Ask for a viewing; returns its id.

    It rests on an open case of the purpose's kind that holds the recordings, or, to learn, on the officer's own wish (P50, P52).
    Raises NotAllowed, ViewingRefused, UnknownRecording.
    """
    rule = PURPOSES[purpose]
    ids = list(dict.fromkeys(recordings))
    if not ids:
        raise ViewingRefused("A viewing names at least one recording.")
    acting = demand(Action.REQUEST_LEARNING, by) if rule.case is None else _demand_seat(by, purpose)
    with vault.reading() as tx:
        footages = [footage_of(vault, tx, recording_id) for recording_id in ids]
        grounds = registers.case_of(tx, case) if case is not None else None
        held = {hold.recording_id for hold in registers.holds_of_case(tx, case)} if case is not None else set()
    if rule.case is None:
        strangers = [
            at for at, footage in zip(ids, footages, strict=True) if by.person not in {footage.officer, *footage.present}
        ]
        if strangers:
            raise NotAllowed(f"{by.name} neither made {strangers[0]} nor is on it. {LEARNING_OWN.quoted()}")
    else:
        _demand_case(purpose, grounds, set(ids) - held)
    paper = file_paper(vault, {"purpose": purpose.value, "reason": reason})
    viewing_id = str(uuid.uuid4())
    details: Json = {
        "purpose": purpose.value,
        "case_id": case,
        "requested_by": acting.person,
        "requested_utc": utc_text(vault.clock.now()),
        "recordings": ids,
        **paper.details(),
    }
    with vault.writing() as tx:
        enter(vault.log, tx, entry(acting, "viewing.requested", viewing_id, details))
    return viewing_id


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
    raise NotAllowed(f"{by.name} has no seat in a viewing for {purpose.value.replace('_', ' ')}. {REASON.quoted()}")


def _demand_case(purpose: Purpose, case: CaseRow | None, not_held: set[str]) -> None:
    kind = PURPOSES[purpose].case
    if case is None or kind is None or case.kind != kind.value:
        wanted = CASES[kind].name_nl if kind else "case"
        raise ViewingRefused(f"A viewing for this purpose rests on a registered {wanted}. {REASON.quoted()}")
    if case.closed_utc is not None:
        raise ViewingRefused(f"The case {case.reference} was closed on {case.closed_utc}. {REASON.quoted()}")
    if not_held:
        raise ViewingRefused(
            f"{sorted(not_held)[0]} is not a recording of the case {case.reference}.", hint="Add it first: `vault case extend`."
        )


def approve(vault: Vault, by: Actor, viewing_id: str) -> None:
    """The coordinator agrees to an officer's wish to learn;

    where the coordinator is in conflict, the cluster manager (P50, P54).
    """
    with vault.reading() as tx:
        row = _waiting(tx, viewing_id)
        involved = _involved(vault, tx, viewing_id) | {row.requested_by}
    acting = _approver(vault, by, involved)
    with vault.writing() as tx:
        _waiting(tx, viewing_id)
        enter(vault.log, tx, entry(acting, "viewing.approved", viewing_id, {"approved_by": acting.person}))


def refuse(vault: Vault, by: Actor, viewing_id: str, reason: str) -> None:
    """The wish to learn is not granted."""
    with vault.reading() as tx:
        row = _waiting(tx, viewing_id)
        involved = _involved(vault, tx, viewing_id) | {row.requested_by}
    acting = _approver(vault, by, involved)
    paper = file_paper(vault, {"reason": reason})
    details = {"refused_utc": utc_text(vault.clock.now()), **paper.details()}
    with vault.writing() as tx:
        _waiting(tx, viewing_id)
        enter(vault.log, tx, entry(acting, "viewing.refused", viewing_id, details))


def _approver(vault: Vault, by: Actor, involved: set[str]) -> Acting:
    coordinators = vault.keyring.holders()[Role.COORDINATOR.value]
    if Role.CLUSTER_MANAGER in by.roles and by.person not in involved and coordinators <= involved:
        return Acting(by.person, Role.CLUSTER_MANAGER)
    return demand(Action.APPROVE_LEARNING, by, concerned=frozenset(involved))


def _waiting(tx: sa.Connection, viewing_id: str) -> ViewingRow:
    row = registers.viewing_of(tx, viewing_id)
    if row is None:
        raise UnknownViewing(f"There is no viewing {viewing_id}.")
    if row.purpose != Purpose.LEARNING.value or row.approved_by or row.refused_utc:
        raise ViewingRefused(f"The viewing {viewing_id} waits for nobody's approval.")
    return row


def _involved(vault: Vault, tx: sa.Connection, viewing_id: str) -> set[str]:
    found: set[str] = set()
    for recording_id in registers.recordings_of_viewing(tx, viewing_id):
        found |= footage_of(vault, tx, recording_id).involved
    return found


def footage_of(vault: Vault, tx: sa.Connection, recording_id: str) -> Footage:
    """What the policy asks of a recording. Who is the subject of a case that holds it is concerned. Raises UnknownRecording."""
    row = catalogue.get_recording(tx, recording_id)
    if row is None:
        raise UnknownRecording(f"There is no recording {recording_id}.")
    if row.destroyed_utc is not None:
        raise UnknownRecording(f"The recording {recording_id} was destroyed on {row.destroyed_utc}.")
    there = registers.persons_present(tx, recording_id)
    subjects = {
        person
        for hold, case in registers.holds_on(tx, recording_id)
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
    """Whether a person's functions, held or stood in for, give a seat in a requested viewing. Who is in conflict, the opening
    finds."""
    purpose = Purpose(row.purpose)
    mine = by.roles | {one.role for one in by.replacements}
    if purpose is Purpose.LEARNING:
        return row.requested_by == by.person or (row.approved_by is not None and bool(mine & _LEARNING_PARTNERS))
    return bool(mine & {*PURPOSES[purpose].first, *PURPOSES[purpose].second})


_LEARNING_PARTNERS = {Role.COORDINATOR, Role.CLUSTER_MANAGER}


def find_viewing(vault: Vault, called: str) -> ViewingRow:
    """The one viewing whose id begins so. Raises UnknownViewing."""
    with vault.reading() as tx:
        found = registers.viewings_starting(tx, called) if called else []
        row = registers.viewing_of(tx, found[0]) if len(found) == 1 else None
    if row is None:
        raise UnknownViewing(f"{len(found)} viewings have an id that starts with {called!r}.")
    return row


# --- session ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """What is shown: a file of a recording, from and to which byte of its plaintext."""

    recording: str
    sealed_name: str
    start: int
    stop: int


class Session:
    """A viewing that is open: two persons, their recordings, until it ends. Not thread-safe."""

    def __init__(self, vault: Vault, row: ViewingRow, seats: tuple[Acting, Acting], opened: dict[str, Opened]) -> None:
        self.id = row.id
        self.purpose = Purpose(row.purpose)
        self.case_id = row.case_id
        self.seats = seats
        self._vault = vault
        self._opened = opened
        self._ends_s = vault.clock.monotonic_s() + SESSION.total_seconds()
        self._over: str | None = None

    @property
    def recordings(self) -> tuple[str, ...]:
        return tuple(self._opened)

    def files(self, recording_id: str) -> tuple[FilePart, ...]:
        """The files of a recording, in order. Raises ViewingOver, UnknownRecording."""
        return tuple(self._recording(recording_id).record.files)

    def reel(self, recording_id: str) -> Reel:
        """The recording's time line. The start of its first file is opened for the length of the init, and given to nobody.

        Raises ViewingOver, UnknownRecording, CannotOpen.
        """
        opened = self._recording(recording_id)
        first = next((part for part in opened.record.files if part.sealed_name != MANIFEST_NAME), None)
        start = opened.span(first, 0, _INIT_MAX_BYTES) if first is not None else b""
        return reel_of(opened.record, start)

    @property
    def over(self) -> str | None:
        """Why the viewing has ended; None while it lasts. Past its time it ends here."""
        if self._over is None and self._vault.clock.monotonic_s() >= self._ends_s:
            self.end("its time was over")
        return self._over

    @property
    def seconds_left(self) -> int:
        """How long the viewing may still last."""
        return max(0, int(self._ends_s - self._vault.clock.monotonic_s()))

    def show(self, span: Span) -> bytes:
        """The plaintext of a span. Its entry stands in the log before a byte is given out; where it can't, the viewing ends.

        Raises ViewingOver, UnknownRecording, CannotOpen, and what the log raises.
        """
        opened = self._recording(span.recording)
        part = opened.part(span.sealed_name)
        self._log(span, part)
        return opened.span(part, span.start, span.stop)

    def manifest(self, recording_id: str) -> Manifest | None:
        """The camera's statement, and whether its signature holds (ruling 8: checked at the first viewing)."""
        opened = self._recording(recording_id)
        with self._vault.reading() as tx:
            serial = opened.record.claim.camera_serial
            keys = [row.public_key for row in catalogue.all_cameras(tx) if row.serial == serial]
        return manifest_of(opened, keys)

    def opened(self, recording_id: str) -> Opened:
        """The recording itself, for the hand-over. Raises ViewingOver, UnknownRecording."""
        return self._recording(recording_id)

    def admit(self, recording_id: str, receivers: tuple[str, str]) -> None:
        """Seal a recording of this viewing for a pair that joined later (ruling 4). Raises NotAllowed, ViewingOver."""
        pair: Pair | None = pair_of(*receivers)
        if pair is None:
            raise NotAllowed(f"{receivers[0]} and {receivers[1]} are no pair of the protocol. {REASON.quoted()}")
        first, second = (seat.person for seat in self.seats)
        seal_later(self._vault, self._recording(recording_id), pair, self._vault.keyring.wrapper(), (first, second))

    def leave(self, person: str) -> None:
        """One of the two leaves: the viewing ends for both (P40)."""
        if person in {seat.person for seat in self.seats}:
            self.end(f"{person} left")

    def end(self, because: str = "both left") -> None:
        """Forget the keys and say so in the log. Once over it stays over."""
        if self._over is not None:
            return
        self._close(because)
        details = {"ended_utc": utc_text(self._vault.clock.now()), "because": because}
        with self._vault.writing() as tx:
            enter(self._vault.log, tx, entry(self.seats[0], "viewing.ended", self.id, details))
        with contextlib.suppress(VaultError):
            # The pictures were covered before the first byte; what fails here is told by the next head that is asked for.
            sign_head(self._vault)

    def _close(self, because: str) -> None:
        self._over = because
        for opened in self._opened.values():
            opened.close()

    def _recording(self, recording_id: str) -> Opened:
        if self.over is not None:
            raise ViewingOver(f"The viewing {self.id} is over: {self._over}.")
        if recording_id not in self._opened:
            raise UnknownRecording(f"The recording {recording_id} is not part of this viewing.")
        return self._opened[recording_id]

    def _log(self, span: Span, part: FilePart) -> None:
        details = {
            "recording": span.recording,
            "file": part.name,
            "from_byte": span.start,
            "to_byte": min(span.stop, part.size_bytes),
        }
        try:
            with self._vault.writing() as tx:
                enter(self._vault.log, tx, entry(self.seats[0], "viewing.shown", self.id, details))
        except VaultError:
            self._close("the log could not be written")
            raise

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def open_viewing(vault: Vault, viewing_id: str, first: Signed, second: Signed, confirmed: Collection[str]) -> Session:
    """Open a requested viewing with the two who are there. `confirmed`: the codes of the conditions that both confirmed.

    A refusal stands in the log too. Raises UnknownViewing, ViewingRefused, NotAllowed, PairRefused, CannotOpen, LogForked,
    WitnessFailed.
    """
    with vault.reading() as tx:
        row = registers.viewing_of(tx, viewing_id)
    if row is None:
        raise UnknownViewing(f"There is no viewing {viewing_id}.")
    try:
        seats = _seats(vault, row, first, second, confirmed)
    except (NotAllowed, ViewingRefused, UnknownRecording) as refusal:
        with vault.writing() as tx:
            details = {"second": second.identity.person, "sentence": refusal.sentence}
            vault.log.append(tx, Entry("viewing.denied", first.identity.person, viewing_id, details))
        raise
    return _opened_session(vault, row, seats, first, second, sorted(confirmed))


def _seats(vault: Vault, row: ViewingRow, first: Signed, second: Signed, confirmed: Collection[str]) -> tuple[Acting, Acting]:
    purpose = Purpose(row.purpose)
    if row.refused_utc is not None:
        raise ViewingRefused(f"The request was refused on {row.refused_utc}.")
    if purpose is Purpose.LEARNING and row.approved_by is None:
        raise ViewingRefused("The coordinator has not agreed to this request yet.", hint="`vault view approve`.")
    for condition in PURPOSES[purpose].conditions:
        if condition.code not in confirmed:
            raise ViewingRefused(
                f"Not confirmed: „{condition.nl}” ({condition.en})", hint=f"Both confirm it: --confirm {condition.code}."
            )
    with vault.reading() as tx:
        case = registers.case_of(tx, row.case_id) if row.case_id else None
        recordings = registers.recordings_of_viewing(tx, row.id)
        footages = [footage_of(vault, tx, recording_id) for recording_id in recordings]
        held = {hold.recording_id for hold in registers.holds_of_case(tx, row.case_id)} if row.case_id else set()
    if purpose is not Purpose.LEARNING:
        _demand_case(purpose, case, set(recordings) - held)
    one, other = (actor(vault, signed.identity.person) for signed in (first, second))
    found = {demand_viewing(purpose, one, other, footage) for footage in footages}
    if len(found) != 1:
        raise ViewingRefused("The two would take other seats for some of these recordings.", hint="Request them apart.")
    return found.pop()


def _opened_session(
    vault: Vault, row: ViewingRow, seats: tuple[Acting, Acting], first: Signed, second: Signed, confirmed: list[str]
) -> Session:
    identities = {signed.identity.person: signed.identity for signed in (first, second)}
    have = vault.keyring.reach(identities.values())
    unwrappers = [
        vault.keyring.unwrapper(receiver, identities[seat.person], have)
        for receiver, seat in zip(receivers_of(seats), seats, strict=True)
    ]
    with vault.reading() as tx:
        recordings = registers.recordings_of_viewing(tx, row.id)
    now = vault.clock.now()
    details: Json = {
        "purpose": row.purpose,
        "case_id": row.case_id,
        "recordings": recordings,
        "seats": [{"person": seat.person, "role": seat.role.value, "acting_for": seat.acting_for} for seat in seats],
        "confirmed": confirmed,
        "opened_utc": utc_text(now),
        "ends_utc": utc_text(now + SESSION),
    }
    with vault.writing() as tx:
        enter(vault.log, tx, entry(seats[0], "viewing.opened", row.id, details))
    opened: dict[str, Opened] = {}
    session = Session(vault, row, seats, opened)
    try:
        for recording_id in recordings:
            opened[recording_id] = open_recording(vault, recording_id, unwrappers[0], unwrappers[1], row.purpose)
        sign_head(vault)
    except VaultError as failure:
        session.end(f"it could not be opened: {failure.code}")
        raise
    finally:
        for unwrapper in unwrappers:
            unwrapper.wipe()
    return session


def open_count(vault: Vault) -> int:
    """How many viewings are open now: what a process that died did not end is over with its time."""
    with vault.reading() as tx:
        return registers.viewings_open(tx, utc_text(vault.clock.now() - SESSION))


# --- who watched --------------------------------------------------------------------------------------------------------


def viewings_of(vault: Vault, by: Actor, recording_id: str) -> list[ViewingRow]:
    """Who viewed a recording and when: for whoever may read the log, and for the officer who made it (P39)."""
    with vault.reading() as tx:
        row = catalogue.get_recording(tx, recording_id)
        found = registers.viewings_of_recording(tx, recording_id)
    if row is None:
        raise UnknownRecording(f"There is no recording {recording_id}.")
    own = row.officer_person == by.person
    acting = demand(Action.READ_OWN_VIEWINGS if own and Role.OFFICER in by.roles else Action.READ_LOG, by)
    with vault.writing() as tx:
        vault.log.append(tx, entry(acting, "log.read", recording_id, {"what": "viewings"}))
    return [viewing for viewing in found if viewing.opened_utc is not None]
