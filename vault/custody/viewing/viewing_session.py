"""An open viewing: the pair's keys, the spans shown, the end (P36 to P42, P46 to P56).

Order of steps of an opening, each before the next: the policy's seats for every recording; the
purpose's conditions, each confirmed; the log's entry of the viewing and of each recording, durable;
the log's head signed and with the witness; only then a byte. Each span shown is an entry before it
is given out: a log that can't be written ends the viewing. A viewing ends when one of the two
leaves, when its time is over, or with the process; the keys go with it.
"""

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from vault.catalogue import camera_rows, viewing_rows
from vault.catalogue.viewing_rows import ViewingRow
from vault.clock import utc_text
from vault.crypto.canonical_json import Json
from vault.custody.people import Signed, actor, entry
from vault.custody.viewing.release import Manifest, Opened, manifest_of, open_recording, seal_later
from vault.custody.viewing.timeline import Reel, reel_of
from vault.custody.viewing.viewing_requests import (
    UnknownViewing,
    ViewingRefused,
    case_and_holds,
    demand_case,
    footage_of,
)
from vault.custody.witness import sign_head
from vault.errors import NotAllowed, Reaction, UnknownRecording, VaultError
from vault.log.log import Entry
from vault.rules.actions import Acting
from vault.rules.protocol import REASON
from vault.rules.purposes import PURPOSES, Purpose, demand_viewing, receivers_of
from vault.rules.roles import Pair, pair_of
from vault.rules.states import ViewingState, viewing_state
from vault.storage.record import FilePart
from vault.storage.store import MANIFEST_NAME
from vault.vault import Vault

_INIT_MAX_BYTES = 65536
SESSION = timedelta(minutes=60)
"""How long a viewing lasts at most; the two may open another."""


class ViewingOver(VaultError):
    """The viewing has ended; nothing more is shown."""

    code = "viewing.over"
    reaction = Reaction.REFUSE
    hint = "The two open another viewing."


# --- session --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """What is shown: a file of a recording, from and to which byte of its plaintext."""

    recording: str
    sealed_name: str
    start: int
    stop: int


class Session:
    """A viewing that is open: two persons, their recordings, until it ends. Not thread-safe."""

    def __init__(
        self, vault: Vault, row: ViewingRow, seats: tuple[Acting, Acting], opened: dict[str, Opened]
    ) -> None:
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
        """The recording's time line. The start of its first file is opened for the length of the
        init, and given to nobody.

        Raises ViewingOver, UnknownRecording, CannotOpen.
        """
        opened = self._recording(recording_id)
        first = next(
            (part for part in opened.record.files if part.sealed_name != MANIFEST_NAME), None
        )
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
        """The plaintext of a span. Its entry stands in the log before a byte is given out; where it
        can't, the viewing ends.

        Raises ViewingOver, UnknownRecording, CannotOpen, and what the log raises.
        """
        opened = self._recording(span.recording)
        part = opened.part(span.sealed_name)
        self._log(span, part)
        return opened.span(part, span.start, span.stop)

    def manifest(self, recording_id: str) -> Manifest | None:
        """The camera's statement, and whether its signature holds (ruling 8: checked at the first
        viewing).
        """
        opened = self._recording(recording_id)
        with self._vault.reading() as tx:
            serial = opened.record.claim.camera_serial
            keys = [row.public_key for row in camera_rows.all_cameras(tx) if row.serial == serial]
        return manifest_of(opened, keys)

    def opened(self, recording_id: str) -> Opened:
        """The recording itself, for the hand-over. Raises ViewingOver, UnknownRecording."""
        return self._recording(recording_id)

    def admit(self, recording_id: str, receivers: tuple[str, str]) -> None:
        """Seal a recording of this viewing for a pair that joined later (ruling 4). Raises
        NotAllowed, ViewingOver.
        """
        pair: Pair | None = pair_of(*receivers)
        if pair is None:
            raise NotAllowed(
                f"{receivers[0]} and {receivers[1]} are no pair of the protocol. {REASON.quoted()}"
            )
        first, second = (seat.person for seat in self.seats)
        seal_later(
            self._vault,
            self._recording(recording_id),
            pair,
            self._vault.keyring.wrapper(),
            (first, second),
        )

    def leave(self, person: str) -> None:
        """One of the two leaves: the viewing ends for both (P40)."""
        if person in {seat.person for seat in self.seats}:
            self.end(f"{person} left")

    def end(self, because: str = "both left") -> None:
        """Forget the keys and say so in the log. Once over it stays over."""
        if self._over is not None:
            return
        self._close(because)
        details = {"ended_utc": self._vault.now_utc(), "because": because}
        self._vault.record(entry(self.seats[0], "viewing.ended", self.id, details))
        with contextlib.suppress(VaultError):
            # The pictures were covered before the first byte; what fails here is told by the next
            # head that is asked for.
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
            self._vault.record(entry(self.seats[0], "viewing.shown", self.id, details))
        except VaultError:
            self._close("the log could not be written")
            raise

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def open_viewing(
    vault: Vault, viewing_id: str, first: Signed, second: Signed, confirmed: Collection[str]
) -> Session:
    """Open a requested viewing with the two who are there. `confirmed`: the codes of the conditions
    that both confirmed.

    A refusal stands in the log too. Raises UnknownViewing, ViewingRefused, NotAllowed, PairRefused,
    CannotOpen, LogForked, WitnessFailed.
    """
    with vault.reading() as tx:
        row = viewing_rows.viewing_of(tx, viewing_id)
    if row is None:
        raise UnknownViewing(f"There is no viewing {viewing_id}.")
    try:
        seats = _seats(vault, row, first, second, confirmed)
    except (NotAllowed, ViewingRefused, UnknownRecording) as refusal:
        with vault.writing() as tx:
            details = {"second": second.identity.person, "sentence": refusal.sentence}
            vault.record(Entry("viewing.denied", first.identity.person, viewing_id, details), tx)
        raise
    return _opened_session(vault, row, seats, first, second, sorted(confirmed))


def _seats(
    vault: Vault, row: ViewingRow, first: Signed, second: Signed, confirmed: Collection[str]
) -> tuple[Acting, Acting]:
    purpose = Purpose(row.purpose)
    _demand_granted(row)
    _demand_confirmed(purpose, confirmed)
    with vault.reading() as tx:
        recordings = viewing_rows.recordings_of_viewing(tx, row.id)
        footages = [footage_of(vault, tx, recording_id) for recording_id in recordings]
        case, held = case_and_holds(tx, row.case_id)
    if PURPOSES[purpose].case is not None:
        demand_case(purpose, case, set(recordings) - held)
    one, other = (actor(vault, signed.identity.person) for signed in (first, second))
    seats = {demand_viewing(purpose, one, other, footage) for footage in footages}
    if len(seats) != 1:
        raise ViewingRefused(
            "The two would take other seats for some of these recordings.",
            hint="Request them apart.",
        )
    return seats.pop()


def _demand_granted(row: ViewingRow) -> None:
    """A request that was refused, or that waits for the coordinator, opens nothing."""
    match viewing_state(row):
        case ViewingState.REFUSED:
            raise ViewingRefused(f"The request was refused on {row.refused_utc}.")
        case ViewingState.AWAITING_APPROVAL:
            raise ViewingRefused(
                "The coordinator has not agreed to this request yet.", hint="`vault view approve`."
            )
        case ViewingState.READY | ViewingState.OPENED | ViewingState.ENDED:
            return


def _demand_confirmed(purpose: Purpose, confirmed: Collection[str]) -> None:
    for condition in PURPOSES[purpose].conditions:
        if condition.code not in confirmed:
            raise ViewingRefused(
                f"Not confirmed: „{condition.nl}” ({condition.en})",
                hint=f"Both confirm it: --confirm {condition.code}.",
            )


def _opened_session(
    vault: Vault,
    row: ViewingRow,
    seats: tuple[Acting, Acting],
    first: Signed,
    second: Signed,
    confirmed: list[str],
) -> Session:
    identities = {signed.identity.person: signed.identity for signed in (first, second)}
    have = vault.keyring.reach(identities.values())
    unwrappers = [
        vault.keyring.unwrapper(receiver, identities[seat.person], have)
        for receiver, seat in zip(receivers_of(seats), seats, strict=True)
    ]
    with vault.reading() as tx:
        recordings = viewing_rows.recordings_of_viewing(tx, row.id)
    now = vault.clock.now()
    details: Json = {
        "purpose": row.purpose,
        "case_id": row.case_id,
        "recordings": recordings,
        "seats": [
            {"person": seat.person, "role": seat.role.value, "acting_for": seat.acting_for}
            for seat in seats
        ],
        "confirmed": confirmed,
        "opened_utc": utc_text(now),
        "ends_utc": utc_text(now + SESSION),
    }
    vault.record(entry(seats[0], "viewing.opened", row.id, details))
    opened: dict[str, Opened] = {}
    session = Session(vault, row, seats, opened)
    try:
        for recording_id in recordings:
            opened[recording_id] = open_recording(
                vault, recording_id, unwrappers[0], unwrappers[1], row.purpose
            )
        sign_head(vault)
    except VaultError as failure:
        session.end(f"it could not be opened: {failure.code}")
        raise
    finally:
        for unwrapper in unwrappers:
            unwrapper.wipe()
    return session


def open_count(vault: Vault) -> int:
    """How many viewings are open now: what a process that died did not end is over
    with its time.
    """
    with vault.reading() as tx:
        return viewing_rows.viewings_open(tx, utc_text(vault.clock.now() - SESSION))
