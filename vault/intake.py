"""Taking recordings in: receive, prove, commit, receipt; then the erase's three entries; and recovery at the start.

DESIGN.md has the numbered steps. One process takes in at a time (a lock on the vault); within it one `Intake` serves all bays'
threads.
"""

import contextlib
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from vault import cameras, catalogue, registers
from vault.audit import Entry, read_tree
from vault.catalogue import RecordingRow
from vault.clock import utc_moment, utc_text
from vault.durable import flush_folder
from vault.errors import (
    CannotOpen,
    CatalogueFailed,
    ContentDiffers,
    EraseRefused,
    ReadBackDiffers,
    StorageFailed,
    UnknownRecording,
    VaultError,
    VaultFull,
    VaultReadOnly,
)
from vault.jsonform import Json, printable
from vault.keys import Wrapper, new_data_key
from vault.lane import Lanes
from vault.lock import IntakeLock
from vault.memory import forbid_dumps
from vault.record import (
    LIMIT_BYTES,
    Record,
    Retention,
    claim_part,
    docking_part,
    file_part,
    file_rows,
    key_part,
    parse_record,
    recording_row,
    timeline_part,
)
from vault.recording import (
    Camera,
    Docking,
    Observer,
    Receipt,
    RecordingClaim,
    Source,
    State,
    StoredSegment,
    TimelineVerdict,
)
from vault.store import MANIFEST_NAME, RECORD_NAME, BytesSource, Target, read_small
from vault.vault import UNCONFIRMED, Vault

ACTOR = "dockd"
STORAGE_FAILURES_BEFORE_READ_ONLY = 3


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the last stop had left: parts and folders dropped, whole recordings adopted, folders that need a person."""

    dropped_parts: int
    dropped_folders: int
    adopted: tuple[str, ...]
    damaged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """The newest recording of a camera that the vault owns: its counter and the SHA-256 of its manifest."""

    counter: int
    identity: str


class Intake:
    """The dock's door into the vault. Thread-safe."""

    def __init__(self, vault: Vault) -> None:
        """Take the vault's intake lock. Raises VaultBusy, KeyringRefused."""
        forbid_dumps()
        self._vault = vault
        self._wrapper = vault.keyring.wrapper()
        self._wrapper_guard = threading.Lock()
        self._lanes = Lanes(vault.settings.lanes)
        self._open_attempts: dict[tuple[str, str, str], Attempt] = {}
        self._guard = threading.Lock()
        self._storage_failures = 0
        self._lock = IntakeLock(vault.settings.root)

    def close(self) -> None:
        """Drop attempts that are still open, forget the footage in the buffers, and give the lock back."""
        for attempt in list(self._open_attempts.values()):
            attempt.abandon()
        self._lanes.wipe()
        self._lock.close()

    def __enter__(self) -> "Intake":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- recovery -------------------------------------------------------------------------------------------------

    def recover(self) -> Recovery:
        """Mend what a crash left. Call once, before anything else.

        Parts are dropped, and folders without `record.json`: their keys are gone, and the cameras still have the recordings.
        A folder with `record.json` and without a row is adopted as unproven. Nothing that has a row is ever dropped here.
        Raises CatalogueFailed where the catalogue is older than the register.
        """
        vault = self._vault
        with vault.reading() as tx:
            known = catalogue.recording_folders(tx)
            log_size = read_tree(tx).size
        if vault.log.newest_line() > log_size:
            raise CatalogueFailed(
                "The catalogue is older than the register of the log.",
                hint="It was restored or rolled back: run `vault rebuild`.",
            )
        parts, folders = vault.store.drop_parts(), 0
        adopted, damaged = [], []
        for folder in vault.store.folders():
            if folder.name in known:
                continue
            if not (folder / RECORD_NAME).exists():
                vault.store.drop_recording(folder)
                folders += 1
            elif self._adopt(folder.name, vault.store.relative(folder)):
                adopted.append(folder.name)
            else:
                damaged.append(folder.name)
        return Recovery(parts, folders, tuple(adopted), tuple(damaged))

    def _adopt(self, recording_id: str, relative: str) -> bool:
        vault = self._vault
        folder = vault.store.folder_at(relative)
        try:
            content = read_small(folder / RECORD_NAME, LIMIT_BYTES)
            record = parse_record(content)
            if (record.vault, record.recording) != (vault.id, recording_id):
                return False
            for part in record.files:
                if vault.store.file_digest(folder / part.sealed_name) != (part.sealed_bytes, part.sealed_sha256):
                    return False
        except (CannotOpen, StorageFailed):
            return False
        # Seen is not durable: the process that was killed may not have flushed the name of record.json, or the folder's.
        for place in (folder, *folder.parents):
            flush_folder(place)
            if place == vault.store.footage:
                break
        digest = vault.store.digest_of(content)
        row = recording_row(record, relative, digest, utc_text(vault.clock.now()), proven=False)
        with vault.writing() as tx:
            catalogue.add_recording(tx, row, file_rows(record))
            details = {"camera": record.claim.camera_serial, "name": record.claim.name, "record_sha256": digest}
            sequence = vault.log.append(tx, Entry("recording.adopted", ACTOR, recording_id, details))
            catalogue.set_log_sequence(tx, recording_id, sequence)
        return True

    # --- cameras --------------------------------------------------------------------------------------------------

    def camera(self, serial: str) -> Camera | None:
        """The registered camera of this serial, None where there is none or it was removed."""
        with self._vault.reading() as tx:
            row = catalogue.standing_camera(tx, serial)
        return cameras.camera_of(row) if row else None

    def docked(self, serial: str, docking: Docking) -> None:
        """Remember a docking: its time bounds what the camera's clock may claim, its offset is kept with the recordings."""
        part = docking_part(docking).model_dump()
        with self._vault.writing() as tx:
            catalogue.add_docking(tx, {"camera_serial": serial, **part})
            self._vault.log.append(tx, Entry("camera.docked", ACTOR, serial, part))

    def note(self, serial: str, action: str, sentence: str) -> None:
        """An entry about a camera that changes no row: a refusal, an alarm, a gap in the chain."""
        with self._vault.writing() as tx:
            self._vault.log.append(tx, Entry(action, ACTOR, printable(serial), {"sentence": printable(sentence)}))

    def whose(self, serial: str, officer: str | None) -> str | None:
        """The name of who wore a camera: by the code that it gives, else by who carries it now; the code where it is nobody's."""
        keyring = self._vault.keyring
        person = keyring.officer(officer)
        if person is None:
            with self._vault.reading() as tx:
                person = registers.carrier_at(tx, serial, utc_text(self._vault.clock.now())) if officer is None else None
        names = {form.person: form.name for form in keyring.persons()}
        return names.get(person, officer) if person is not None else officer

    def missing_reports(self, serial: str) -> tuple[str, ...]:
        """The camera's names of its recordings that no report of use speaks of yet (P21), for the dock's own page."""
        with self._vault.reading() as tx:
            rows = registers.recordings_without_report(tx)
        return tuple(row.name for row in rows if row.camera_serial == serial)

    def chain_end(self, serial: str) -> ChainEnd | None:
        """Where this camera's chain of recordings ends in the vault."""
        with self._vault.reading() as tx:
            row = catalogue.newest_counter(tx, serial)
        return ChainEnd(row.counter, row.identity) if row and row.counter is not None else None

    # --- what is held ---------------------------------------------------------------------------------------------

    def standing(self, claim: RecordingClaim) -> Receipt | None:
        """The receipt of this very content where the vault owns it: same camera, same name, same identity, proven."""
        with self._vault.reading() as tx:
            for row in catalogue.recordings_named(tx, claim.camera_serial, printable(claim.name)):
                if row.proven and row.identity == claim.identity:
                    return _receipt(tx, row)
        return None

    def named(self, serial: str, name: str) -> tuple[Receipt, ...]:
        """The receipts of every proven recording of this camera under this name, whatever their content."""
        with self._vault.reading() as tx:
            return tuple(_receipt(tx, row) for row in catalogue.recordings_named(tx, serial, printable(name)) if row.proven)

    def erasing(self, serial: str) -> tuple[Receipt, ...]:
        """The receipts of this camera whose erase was begun and not yet confirmed."""
        with self._vault.reading() as tx:
            return tuple(_receipt(tx, row) for row in catalogue.recordings_in_state(tx, serial, State.ERASING) if row.proven)

    # --- taking in ------------------------------------------------------------------------------------------------

    def begin(self, claim: RecordingClaim, docking: Docking) -> "Attempt":
        """Start to take a recording in, or go on with the attempt that was left open for the same content.

        Raises VaultFull, VaultReadOnly, KeyringRefused.
        """
        key = (claim.camera_serial, claim.name, claim.identity)
        with self._guard:
            if key in self._open_attempts:
                return self._open_attempts[key]
            if self._storage_failures >= STORAGE_FAILURES_BEFORE_READ_ONLY:
                raise VaultReadOnly(f"The vault's disk failed {self._storage_failures} times; nothing more is taken in.")
            self._vault.store.demand_room(claim.size_bytes)
            attempt = Attempt(self, self._vault, self._newest_wrapper(), self._lanes, claim, docking)
            self._open_attempts[key] = attempt
            return attempt

    def _newest_wrapper(self) -> Wrapper:
        """The wrapper of the keyring as it is now: who joined or left counts from the next recording on."""
        with self._wrapper_guard:
            keyring = self._vault.keyring
            if keyring.version != self._wrapper.keyring_version:
                self._wrapper = keyring.wrapper()
            return self._wrapper

    def ended(self, attempt: "Attempt", failure: BaseException | None) -> None:
        """Called by the attempt itself when it is committed or abandoned."""
        claim = attempt.claim
        with self._guard:
            self._open_attempts.pop((claim.camera_serial, claim.name, claim.identity), None)
            if isinstance(failure, StorageFailed | ReadBackDiffers):
                self._storage_failures += 1

    # --- the erase's entries --------------------------------------------------------------------------------------

    def intend_erase(self, receipt: Receipt) -> Receipt:
        """The intent to erase a recording on its camera, durable before the first delete. Raises EraseRefused."""
        with self._vault.writing() as tx:
            row = _demand_row(tx, receipt)
            if not row.proven:
                raise EraseRefused(f"{row.name} is in the vault without proof; it is taken in anew first.")
            if catalogue.get_meta(tx, UNCONFIRMED):
                raise EraseRefused(
                    "The catalogue was rebuilt; nothing is erased on a camera before two persons have confirmed it.",
                    hint="Two officials run `vault confirm`. The recordings stay on the cameras and in the vault.",
                )
            return self._set_state(tx, row, State.ERASING, "erase.intended", {})

    def erased(self, receipt: Receipt) -> Receipt:
        """The camera, listed anew, shows nothing of the recording any more.

        Of a destroyed recording the rows that knew its files again on the camera go now too.
        """
        with self._vault.writing() as tx:
            row = _demand_row(tx, receipt)
            if row.destroyed_utc is not None:
                catalogue.drop_files(tx, row.id)
            return self._set_state(tx, row, State.ERASED, "erase.done", {})

    def erase_failed(self, receipt: Receipt, sentence: str) -> None:
        """The erase was begun and something of the recording still stands on the camera; the state stays."""
        with self._vault.writing() as tx:
            row = _demand_row(tx, receipt)
            self._set_state(tx, row, State(row.state), "erase.failed", {"sentence": printable(sentence)})

    def _set_state(self, tx: sa.Connection, row: RecordingRow, state: State, action: str, details: Json) -> Receipt:
        catalogue.set_state(tx, row.id, state)
        self._vault.log.append(tx, Entry(action, ACTOR, row.id, {"camera": row.camera_serial, "name": row.name, **details}))
        changed = catalogue.get_recording(tx, row.id)
        if changed is None or changed.state != state.value:
            raise CatalogueFailed(f"The state of {row.id} could not be set.")
        return _receipt(tx, changed)


class Attempt:
    """One attempt to take in one recording, under a data key of its own that lives in this object's memory alone.

    Segments may be received by several threads at once. Any doubt about what was stored ends the whole attempt: folder and
    key are gone, the camera keeps the recording. A camera taken out half-way ends nothing: what stands stays, the segment
    in hand is dropped, and the attempt goes on when the camera is back.
    """

    def __init__(
        self, intake: Intake, vault: Vault, wrapper: Wrapper, lanes: Lanes, claim: RecordingClaim, docking: Docking
    ) -> None:
        self.recording_id = str(uuid.uuid4())
        self.claim = claim
        self._intake = intake
        self._vault = vault
        self._wrapper = wrapper
        self._lanes = lanes
        self._docking = docking
        self._key = new_data_key()
        self._folder = vault.store.folder_of(self.recording_id, docking.docked_utc)
        self._stored: dict[int, StoredSegment] = {}
        self._confirmed: set[int] = set()
        self._guard = threading.Lock()
        self._in_flight = 0
        self._over = False
        self._cleared = False
        self._failure: VaultError | None = None

    def missing(self) -> tuple[int, ...]:
        """Indexes of segments that do not stand yet, or (not stated by the camera) were not read a second time."""
        with self._guard:
            return tuple(at for at in range(len(self.claim.segments)) if not self._stands(at))

    def stands(self, index: int) -> bool:
        """True where the segment was received; it may still want its second reading."""
        with self._guard:
            return index in self._stored

    def _stands(self, index: int) -> bool:
        return index in self._stored and (self.claim.segments[index].sha256 is not None or index in self._confirmed)

    def receive(self, index: int, source: Source, observers: Sequence[Observer] = ()) -> StoredSegment:
        """Take in one segment: seal, flush, read back from the medium, open, compare, publish.

        ContentDiffers, ReadBackDiffers, StorageFailed, VaultFull: the attempt is over, nothing of it is left. What the
        source raises passes through, and the attempt stays open.
        """
        segment = self.claim.segments[index]
        target = Target(
            recording_id=self.recording_id,
            folder=self._folder,
            sealed_name=f"{index:04d}.sealed",
            name=segment.name,
            size_bytes=segment.size_bytes,
            sha256=segment.sha256,
        )
        stored = self._guarded_take_in(target, source, observers)
        with self._guard:
            self._stored[index] = stored
        return stored

    def _guarded_take_in(self, target: Target, source: Source, observers: Sequence[Observer]) -> StoredSegment:
        with self._lanes.lane() as lane:
            self._enter()
            failure: VaultError | None = None
            try:
                return self._vault.store.take_in(target, self._key, source, observers, lane)
            except (ContentDiffers, ReadBackDiffers, StorageFailed, VaultFull) as error:
                failure = error
                raise
            finally:
                self._leave(failure)

    def confirm(self, index: int, source: Source) -> None:
        """Read a segment a second time from the camera, where it states no digest. Raises ContentDiffers: attempt over."""
        stored = self._stored[index]
        with self._lanes.lane() as lane:
            self._enter()
            failure: VaultError | None = None
            try:
                if self._vault.store.source_digest(source, lane) != (stored.size_bytes, stored.sha256):
                    raise ContentDiffers(f"{stored.name} came over differently when it was read a second time.")
            except ContentDiffers as error:
                failure = error
                raise
            finally:
                self._leave(failure)
        with self._guard:
            self._confirmed.add(index)

    def commit(self, verdict: TimelineVerdict) -> Receipt:
        """The vault owns the recording once this returns: manifest, record.json, then row and log entry in one transaction.

        Raises what `receive` raises, and CatalogueFailed; the attempt is then over.
        """
        if self.missing():
            raise ValueError(f"segments {self.missing()} are missing")
        try:
            record = self._record(verdict, self._sealed_manifest())
            content = record.content()
            digest = self._vault.store.write_record(self._folder, content)
            receipt = self._commit_row(record, digest)
        except VaultError as error:
            self._end(error)
            raise
        self._forget(None)
        return receipt

    def abandon(self) -> None:
        """Drop everything of this attempt, key and all."""
        self._end(None)

    def _sealed_manifest(self) -> StoredSegment | None:
        claim = self.claim
        if claim.manifest is None or claim.signature is None:
            return None
        content = claim.signature + claim.manifest
        target = Target(
            recording_id=self.recording_id,
            folder=self._folder,
            sealed_name=MANIFEST_NAME,
            name="manifest",
            size_bytes=len(content),
            sha256=self._vault.store.digest_of(content),
        )
        return self._guarded_take_in(target, BytesSource(content), ())

    def _record(self, verdict: TimelineVerdict, manifest: StoredSegment | None) -> Record:
        files = [self._stored[at] for at in sorted(self._stored)] + ([manifest] if manifest else [])
        retention = self._retention()
        officer = self._officer()
        return Record(
            format="dock-vault/record/1",
            vault=self._vault.id,
            recording=self.recording_id,
            keyring_version=self._wrapper.keyring_version,
            sealed_utc=utc_text(self._vault.clock.now()),
            docking=docking_part(self._docking),
            retention_from_utc=retention.from_utc,
            stop_believed=retention.stop_believed,
            officer_person=officer,
            claim=claim_part(self.claim),
            timeline=timeline_part(verdict),
            files=[file_part(stored) for stored in files],
            keys=[key_part(wrapped) for wrapped in self._wrapper.wrap(self._key, self.recording_id, officer)],
        )

    def _officer(self) -> str | None:
        """The person who recorded: whom the camera names, else who carried it then, as far as that was written down."""
        named = self._vault.keyring.officer(self.claim.officer)
        triggered = self.claim.triggered_utc
        if named is not None or triggered is None:
            return named
        with self._vault.reading() as tx:
            return registers.carrier_at(tx, self.claim.camera_serial, utc_text(triggered))

    def _retention(self) -> Retention:
        """Q1: the stop time, corrected by the offset measured, if it lies between the previous docking and this one."""
        docked = self._docking.docked_utc
        with self._vault.reading() as tx:
            previous = catalogue.last_docking_utc(tx, self.claim.camera_serial, utc_text(docked))
        stopped, offset_ms = self.claim.stopped_utc, self._docking.offset_ms
        if stopped is not None and offset_ms is not None and previous is not None:
            corrected = stopped - timedelta(milliseconds=offset_ms)
            if utc_moment(previous) <= corrected <= docked:
                return Retention(utc_text(corrected), True)
        return Retention(utc_text(docked), False)

    def _commit_row(self, record: Record, digest: str) -> Receipt:
        vault = self._vault
        row = recording_row(record, vault.store.relative(self._folder), digest, utc_text(vault.clock.now()), proven=True)
        try:
            with vault.writing() as tx:
                namesakes = catalogue.recordings_named(tx, record.claim.camera_serial, record.claim.name)
                catalogue.add_recording(tx, row, file_rows(record))
                told = Entry("recording.stored", ACTOR, self.recording_id, _stored_details(record, digest, namesakes))
                catalogue.set_log_sequence(tx, self.recording_id, vault.log.append(tx, told))
        except VaultError:
            # A commit that reported an error may stand all the same; only the row itself can tell.
            if not self._row_stands():
                raise
        with vault.reading() as tx:
            return _receipt(tx, _demand_row_id(tx, self.recording_id))

    def _row_stands(self) -> bool:
        with self._vault.reading() as tx:
            return catalogue.get_recording(tx, self.recording_id) is not None

    def _enter(self) -> None:
        with self._guard:
            if self._over:
                raise ContentDiffers(f"{printable(self.claim.name)} was given up while other segments of it came in.")
            self._in_flight += 1

    def _leave(self, failure: VaultError | None) -> None:
        with self._guard:
            self._in_flight -= 1
            self._over = self._over or failure is not None
            self._failure = self._failure or failure
            over = self._over
        if over:
            self._end(failure)

    def _end(self, failure: VaultError | None) -> None:
        """Over: the last one out removes the folder, unless a row may stand on it."""
        with self._guard:
            self._over = True
            self._failure = self._failure or failure
            if self._in_flight or self._cleared:
                return
        self._forget(self._failure)
        if self._row_may_stand():
            return
        with contextlib.suppress(StorageFailed):
            # What can't be removed now has no key any more, and is dropped at the next start.
            self._vault.store.drop_recording(self._folder)

    def _row_may_stand(self) -> bool:
        try:
            return self._row_stands()
        except VaultError:
            return True

    def _forget(self, failure: VaultError | None) -> None:
        with self._guard:
            self._over = self._cleared = True
        self._key = b""
        self._intake.ended(self, failure)


def _stored_details(record: Record, digest: str, namesakes: list[RecordingRow]) -> Json:
    claim = record.claim
    details: Json = {
        "camera": claim.camera_serial,
        "name": claim.name,
        "counter": claim.counter,
        "record_sha256": digest,
        "files": len(record.files),
        "bytes": sum(segment.size_bytes for segment in claim.segments),
        "wholeness": record.timeline.wholeness.value,
        "findings": record.timeline.findings,
    }
    others = [row.id for row in namesakes if row.identity != claim.identity]
    unproven = [row.id for row in namesakes if row.identity == claim.identity and not row.proven]
    if others:
        details["other_content_under_this_name"] = others
    if unproven:
        details["proves_anew"] = unproven
    return details


def _receipt(tx: sa.Connection, row: RecordingRow) -> Receipt:
    files = catalogue.files_of(tx, row.id)
    segments = tuple(file for file in files if file.sealed_name != MANIFEST_NAME)
    return Receipt(row.id, row.camera_serial, row.name, row.identity, State(row.state), utc_moment(row.stored_utc), segments)


def _demand_row(tx: sa.Connection, receipt: Receipt) -> RecordingRow:
    return _demand_row_id(tx, receipt.recording_id)


def _demand_row_id(tx: sa.Connection, recording_id: str) -> RecordingRow:
    row = catalogue.get_recording(tx, recording_id)
    if row is None:
        raise UnknownRecording(f"There is no recording {recording_id}.")
    return row
