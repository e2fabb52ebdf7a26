"""One attempt to take in one recording, under a data key of its own that lives in memory alone."""

import contextlib
import threading
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta

from vault.catalogue import camera_rows, recording_rows, report_rows
from vault.catalogue.recording_rows import RecordingRow
from vault.clock import utc_moment, utc_text
from vault.crypto.canonical_json import Json, printable
from vault.crypto.hpke import new_data_key
from vault.errors import (
    ContentDiffers,
    ReadBackDiffers,
    StorageFailed,
    VaultError,
    VaultFull,
)
from vault.intake.receipts import ACTOR, receipt_of
from vault.keyring.receivers import Wrapper
from vault.log.log import Entry
from vault.recording import (
    ClockOffset,
    Observer,
    Receipt,
    RecordingClaim,
    Source,
    StoredSegment,
    TimelineVerdict,
)
from vault.storage.buffers import BufferPool
from vault.storage.record import (
    Record,
    Retention,
    claim_part,
    docking_part,
    file_part,
    file_rows,
    key_part,
    recording_row,
    timeline_part,
)
from vault.storage.sealing import Announced, BytesSource, digest_source
from vault.storage.store import MANIFEST_NAME, FolderName, Target, sha256_of
from vault.vault import Vault


class Attempt:
    """One attempt to take in one recording, under a data key of its own that lives in this object's
    memory alone.

    Segments may be received by several threads at once. Any doubt about what was stored ends the
    whole attempt: folder and key are gone, the camera keeps the recording. A camera taken out
    half-way ends nothing: what stands stays, the segment in hand is dropped, and the attempt goes
    on when the camera is back.
    """

    def __init__(
        self,
        ended: "Callable[[Attempt, BaseException | None], None]",
        vault: Vault,
        wrapper: Wrapper,
        buffers: BufferPool,
        claim: RecordingClaim,
        docking: ClockOffset,
    ) -> None:
        self.recording_id = str(uuid.uuid4())
        self.claim = claim
        self._ended = ended
        self._vault = vault
        self._wrapper = wrapper
        self._buffers = buffers
        self._docking = docking
        self._key = new_data_key()
        self._folder = FolderName.of(self.recording_id, docking.docked_utc)
        self._stored: dict[int, StoredSegment] = {}
        self._confirmed: set[int] = set()
        self._guard = threading.Lock()
        self._in_flight = 0
        self._over = False
        self._cleared = False
        self._failure: VaultError | None = None

    def missing(self) -> tuple[int, ...]:
        """Indexes of segments that do not stand yet, or (not stated by the camera) were not read a
        second time.
        """
        with self._guard:
            return tuple(at for at in range(len(self.claim.segments)) if not self._stands(at))

    def stands(self, index: int) -> bool:
        """True where the segment was received; it may still want its second reading."""
        with self._guard:
            return index in self._stored

    def _stands(self, index: int) -> bool:
        return index in self._stored and (
            self.claim.segments[index].sha256 is not None or index in self._confirmed
        )

    def receive(
        self, index: int, source: Source, observers: Sequence[Observer] = ()
    ) -> StoredSegment:
        """Take in one segment: seal, flush, read back from the medium, open, compare, publish.

        ContentDiffers, ReadBackDiffers, StorageFailed, VaultFull: the attempt is over, nothing of
        it is left. What the source raises passes through, and the attempt stays open.
        """
        segment = self.claim.segments[index]
        target = Target(
            self._folder,
            f"{index:04d}.sealed",
            Announced(segment.name, segment.size_bytes, segment.sha256),
        )
        stored = self._guarded_take_in(target, source, observers)
        with self._guard:
            self._stored[index] = stored
        return stored

    def _guarded_take_in(
        self, target: Target, source: Source, observers: Sequence[Observer]
    ) -> StoredSegment:
        with self._buffers.borrow() as buffers:
            self._enter()
            failure: VaultError | None = None
            try:
                return self._vault.store.take_in(target, self._key, source, observers, buffers)
            except (ContentDiffers, ReadBackDiffers, StorageFailed, VaultFull) as error:
                failure = error
                raise
            finally:
                self._leave(failure)

    def confirm(self, index: int, source: Source) -> None:
        """Read a segment a second time from the camera, where it states no digest. Raises
        ContentDiffers: attempt over.
        """
        stored = self._stored[index]
        with self._buffers.borrow() as buffers:
            self._enter()
            failure: VaultError | None = None
            try:
                if digest_source(source, buffers) != (stored.size_bytes, stored.sha256):
                    raise ContentDiffers(
                        f"{stored.name} came over differently when it was read a second time."
                    )
            except ContentDiffers as error:
                failure = error
                raise
            finally:
                self._leave(failure)
        with self._guard:
            self._confirmed.add(index)

    def commit(self, verdict: TimelineVerdict) -> Receipt:
        """The vault owns the recording once this returns: manifest, record.json, then row and log
        entry in one transaction.

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
        announced = Announced("manifest", len(content), sha256_of(content))
        target = Target(self._folder, MANIFEST_NAME, announced)
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
            sealed_utc=self._vault.now_utc(),
            docking=docking_part(self._docking),
            retention_from_utc=retention.from_utc,
            stop_believed=retention.stop_believed,
            officer_person=officer,
            claim=claim_part(self.claim),
            timeline=timeline_part(verdict),
            files=[file_part(stored) for stored in files],
            keys=[
                key_part(wrapped)
                for wrapped in self._wrapper.wrap(self._key, self.recording_id, officer)
            ],
        )

    def _officer(self) -> str | None:
        """The person who recorded: whom the camera names, else who carried it then, as far as that
        was written down.
        """
        named = self._vault.keyring.officer(self.claim.officer)
        triggered = self.claim.triggered_utc
        if named is not None or triggered is None:
            return named
        with self._vault.reading() as tx:
            return report_rows.carrier_at(tx, self.claim.camera_serial, utc_text(triggered))

    def _retention(self) -> Retention:
        """Q1: the stop time, corrected by the offset measured, if it lies between the previous
        docking and this one.
        """
        docked = self._docking.docked_utc
        with self._vault.reading() as tx:
            previous = camera_rows.last_docking_utc(tx, self.claim.camera_serial, utc_text(docked))
        stopped, offset_ms = self.claim.stopped_utc, self._docking.offset_ms
        if stopped is not None and offset_ms is not None and previous is not None:
            corrected = stopped - timedelta(milliseconds=offset_ms)
            if utc_moment(previous) <= corrected <= docked:
                return Retention(utc_text(corrected), True)
        return Retention(utc_text(docked), False)

    def _commit_row(self, record: Record, digest: str) -> Receipt:
        vault = self._vault
        row = recording_row(
            record,
            self._folder.text,
            digest,
            vault.now_utc(),
            proven=True,
        )
        try:
            with vault.writing() as tx:
                namesakes = recording_rows.recordings_named(
                    tx, record.claim.camera_serial, record.claim.name
                )
                recording_rows.add_recording(tx, row, file_rows(record))
                entry = Entry(
                    "recording.stored",
                    ACTOR,
                    self.recording_id,
                    _stored_details(record, digest, namesakes),
                )
                recording_rows.set_log_sequence(tx, self.recording_id, vault.record(entry, tx))
        except VaultError:
            # A commit that reported an error may stand all the same; only the row itself can tell.
            if not self._row_stands():
                raise
        with vault.reading() as tx:
            return receipt_of(tx, recording_rows.get_recording(tx, self.recording_id))

    def _row_stands(self) -> bool:
        with self._vault.reading() as tx:
            return recording_rows.find_recording(tx, self.recording_id) is not None

    def _enter(self) -> None:
        with self._guard:
            if self._over:
                raise ContentDiffers(
                    f"{printable(self.claim.name)} was given up while other segments of it came in."
                )
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
        self._ended(self, failure)


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
