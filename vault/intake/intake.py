"""Taking recordings in: receive, prove, commit, receipt; then the erase's three entries; and
recovery at the start.

DESIGN.md has the numbered steps. One process takes in at a time (a lock on the vault); within it
one `Intake` serves all bays' threads.
"""

import threading
from dataclasses import dataclass

import sqlalchemy as sa

from vault.catalogue import camera_rows, facts, recording_rows, report_rows
from vault.catalogue.recording_rows import RecordingRow
from vault.crypto.canonical_json import Json, printable
from vault.custody import cameras
from vault.errors import (
    CannotOpen,
    CatalogueFailed,
    EraseRefused,
    ReadBackDiffers,
    StorageFailed,
    VaultReadOnly,
)
from vault.intake.attempt import Attempt
from vault.intake.receipts import ACTOR, demand_row, receipt_of
from vault.keyring.receivers import Wrapper
from vault.log.log import Entry, read_tree
from vault.recording import (
    Camera,
    ClockOffset,
    Receipt,
    RecordingClaim,
    State,
)
from vault.storage.buffers import BufferPool
from vault.storage.locks import IntakeLock
from vault.storage.process_memory import forbid_dumps
from vault.storage.record import docking_part, file_rows, parse_record, recording_row
from vault.storage.store import RECORD_NAME, FolderName, sha256_of
from vault.vault import UNCONFIRMED, Vault

STORAGE_FAILURES_BEFORE_READ_ONLY = 3


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the last stop had left: parts and folders dropped, whole recordings adopted, folders
    that need a person.
    """

    dropped_parts: int
    dropped_folders: int
    adopted: tuple[str, ...]
    damaged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """The newest recording of a camera that the vault owns: its counter and the SHA-256 of its
    manifest.
    """

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
        self._buffers = BufferPool(vault.settings.lanes)
        self._open_attempts: dict[tuple[str, str, str], Attempt] = {}
        self._guard = threading.Lock()
        self._storage_failures = 0
        self._lock = IntakeLock(vault.settings.root)

    def close(self) -> None:
        """Drop attempts that are still open, forget the footage in the buffers, and give the lock
        back.
        """
        for attempt in list(self._open_attempts.values()):
            attempt.abandon()
        self._buffers.wipe()
        self._lock.close()

    def __enter__(self) -> "Intake":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- recovery ---------------------------------------------------------------------------------

    def recover(self) -> Recovery:
        """Mend what a crash left. Call once, before anything else.

        Parts are dropped, and folders without `record.json`: their keys are gone, and the cameras
        still have the recordings. A folder with `record.json` and without a row is adopted as
        unproven. Nothing that has a row is ever dropped here. Raises CatalogueFailed where the
        catalogue is older than the register.
        """
        vault = self._vault
        with vault.reading() as tx:
            known = recording_rows.recording_folders(tx)
            log_size = read_tree(tx).size
        if vault.log.newest_line() > log_size:
            raise CatalogueFailed(
                "The catalogue is older than the register of the log.",
                hint="It was restored or rolled back: run `vault rebuild`.",
            )
        parts, folders = vault.store.drop_parts(), 0
        adopted, damaged = [], []
        for folder in vault.store.recordings():
            if folder.recording_id in known:
                continue
            if vault.store.size_of(folder, RECORD_NAME) is None:
                vault.store.drop_recording(folder)
                folders += 1
            elif self._adopt(folder):
                adopted.append(folder.recording_id)
            else:
                damaged.append(folder.recording_id)
        return Recovery(parts, folders, tuple(adopted), tuple(damaged))

    def _adopt(self, folder: FolderName) -> bool:
        vault, recording_id = self._vault, folder.recording_id
        try:
            content = vault.store.read_record(folder)
            record = parse_record(content)
            if (record.vault, record.recording) != (vault.id, recording_id):
                return False
            for part in record.files:
                if vault.store.file_digest(folder, part.sealed_name) != (
                    part.sealed_bytes,
                    part.sealed_sha256,
                ):
                    return False
        except (CannotOpen, StorageFailed):
            return False
        # Visible is not durable: the process that was killed may not have flushed the name of
        # record.json, or the folder's.
        vault.store.settle(folder)
        digest = sha256_of(content)
        row = recording_row(record, folder.text, digest, vault.now_utc(), proven=False)
        with vault.writing() as tx:
            recording_rows.add_recording(tx, row, file_rows(record))
            details = {
                "camera": record.claim.camera_serial,
                "name": record.claim.name,
                "record_sha256": digest,
            }
            sequence = vault.record(Entry("recording.adopted", ACTOR, recording_id, details), tx)
            recording_rows.set_log_sequence(tx, recording_id, sequence)
        return True

    # --- cameras ----------------------------------------------------------------------------------

    def camera(self, serial: str) -> Camera | None:
        """The registered camera of this serial, None where there is none or it was removed."""
        with self._vault.reading() as tx:
            row = camera_rows.standing_camera(tx, serial)
        return cameras.camera_of(row) if row else None

    def docked(self, serial: str, docking: ClockOffset) -> None:
        """Remember a docking: its time bounds what the camera's clock may claim, its offset is kept
        with the recordings.
        """
        part = docking_part(docking).model_dump()
        with self._vault.writing() as tx:
            camera_rows.add_docking(tx, {"camera_serial": serial, **part})
            self._vault.record(Entry("camera.docked", ACTOR, serial, part), tx)

    def note(self, serial: str, action: str, sentence: str) -> None:
        """An entry about a camera that changes no row: a refusal, an alarm, a gap in the chain."""
        self._vault.record(
            Entry(action, ACTOR, printable(serial), {"sentence": printable(sentence)})
        )

    def whose(self, serial: str, officer: str | None) -> str | None:
        """The name of who wore a camera: by the code that it gives, else by who carries it now; the
        code where it is nobody's.
        """
        keyring = self._vault.keyring
        person = keyring.officer(officer)
        if person is None:
            with self._vault.reading() as tx:
                person = (
                    report_rows.carrier_at(tx, serial, self._vault.now_utc())
                    if officer is None
                    else None
                )
        names = {form.person: form.name for form in keyring.persons()}
        return names.get(person, officer) if person is not None else officer

    def missing_reports(self, serial: str) -> tuple[str, ...]:
        """The camera's names of its recordings that no report of use speaks of yet (P21), for the
        dock's own page.
        """
        with self._vault.reading() as tx:
            rows = report_rows.recordings_without_report(tx)
        return tuple(row.name for row in rows if row.camera_serial == serial)

    def chain_end(self, serial: str) -> ChainEnd | None:
        """Where this camera's chain of recordings ends in the vault."""
        with self._vault.reading() as tx:
            row = recording_rows.newest_counter(tx, serial)
        return ChainEnd(row.counter, row.identity) if row and row.counter is not None else None

    # --- what is held -----------------------------------------------------------------------------

    def receipt_for(self, claim: RecordingClaim) -> Receipt | None:
        """The receipt of this very content where the vault owns it: same camera, same name, same
        identity, proven.
        """
        with self._vault.reading() as tx:
            for row in recording_rows.recordings_named(
                tx, claim.camera_serial, printable(claim.name)
            ):
                if row.proven and row.identity == claim.identity:
                    return receipt_of(tx, row)
        return None

    def named(self, serial: str, name: str) -> tuple[Receipt, ...]:
        """The receipts of every proven recording of this camera under this name, whatever their
        content.
        """
        with self._vault.reading() as tx:
            return tuple(
                receipt_of(tx, row)
                for row in recording_rows.recordings_named(tx, serial, printable(name))
                if row.proven
            )

    def erasing(self, serial: str) -> tuple[Receipt, ...]:
        """The receipts of this camera whose erase was begun and not yet confirmed."""
        with self._vault.reading() as tx:
            return tuple(
                receipt_of(tx, row)
                for row in recording_rows.recordings_in_state(tx, serial, State.ERASING)
                if row.proven
            )

    # --- taking in --------------------------------------------------------------------------------

    def begin(self, claim: RecordingClaim, docking: ClockOffset) -> "Attempt":
        """Start to take a recording in, or go on with the attempt that was left open for the same
        content.

        Raises VaultFull, VaultReadOnly, KeyringRefused.
        """
        key = (claim.camera_serial, claim.name, claim.identity)
        with self._guard:
            if key in self._open_attempts:
                return self._open_attempts[key]
            if self._storage_failures >= STORAGE_FAILURES_BEFORE_READ_ONLY:
                raise VaultReadOnly(
                    f"The vault's disk failed {self._storage_failures} times; nothing more is "
                    f"taken in."
                )
            self._vault.store.demand_room(claim.size_bytes)
            attempt = Attempt(
                self.ended, self._vault, self._newest_wrapper(), self._buffers, claim, docking
            )
            self._open_attempts[key] = attempt
            return attempt

    def _newest_wrapper(self) -> Wrapper:
        """The wrapper of the keyring as it is now: who joined or left counts from the next
        recording on.
        """
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

    # --- the erase's entries ----------------------------------------------------------------------

    def intend_erase(self, receipt: Receipt) -> Receipt:
        """The intent to erase a recording on its camera, durable before the first delete. Raises
        EraseRefused.
        """
        with self._vault.writing() as tx:
            row = demand_row(tx, receipt)
            if not row.proven:
                raise EraseRefused(
                    f"{row.name} is in the vault without proof; it is taken in anew first."
                )
            if facts.get_meta(tx, UNCONFIRMED):
                raise EraseRefused(
                    "The catalogue was rebuilt; nothing is erased on a camera before two "
                    "persons have confirmed it.",
                    hint="Two officials run `vault confirm`. The recordings stay on the cameras "
                    "and in the vault.",
                )
            return self._set_state(tx, row, State.ERASING, "erase.intended", {})

    def erased(self, receipt: Receipt) -> Receipt:
        """The camera, listed anew, shows nothing of the recording any more.

        Of a destroyed recording the rows that knew its files again on the camera go now too.
        """
        with self._vault.writing() as tx:
            row = demand_row(tx, receipt)
            if row.destroyed_utc is not None:
                recording_rows.drop_files(tx, row.id)
            return self._set_state(tx, row, State.ERASED, "erase.done", {})

    def erase_failed(self, receipt: Receipt, sentence: str) -> None:
        """The erase was begun and something of the recording still stands on the camera; the state
        stays.
        """
        with self._vault.writing() as tx:
            row = demand_row(tx, receipt)
            self._set_state(
                tx, row, State(row.state), "erase.failed", {"sentence": printable(sentence)}
            )

    def _set_state(
        self, tx: sa.Connection, row: RecordingRow, state: State, action: str, details: Json
    ) -> Receipt:
        recording_rows.set_state(tx, row.id, state)
        self._vault.record(
            Entry(
                action, ACTOR, row.id, {"camera": row.camera_serial, "name": row.name, **details}
            ),
            tx,
        )
        changed = recording_rows.find_recording(tx, row.id)
        if changed is None or changed.state != state.value:
            raise CatalogueFailed(f"The state of {row.id} could not be set.")
        return receipt_of(tx, changed)
