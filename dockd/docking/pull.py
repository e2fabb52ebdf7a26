"""One docked camera from start to end: who is it, what has it, take in what is missing, erase what
the vault owns.

Everything up to the erase may fail freely and is tried again; the camera still has the recording.
"""

import re
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from dockd.card.contract import (
    NO_LEASE,
    SENTENCE_MAX,
    Card,
    CardError,
    CardFile,
    CardGoneError,
    CardReadFailedError,
    CardReading,
    CardReadOnlyError,
    CardRecording,
    CardStuckError,
    CardTrouble,
    Lease,
    RefusedRecording,
    shown,
)
from dockd.card.description import CameraDescription
from dockd.card.judgement import judge
from dockd.card.kinds import Inspection, Kind, Recognised, recognise
from dockd.card.transport import Transport
from dockd.docking.bay import Bay, Phase
from dockd.docking.docked_cameras import DockedCameras, InHandError
from dockd.docking.erase import Eraser, ObjectDiffersError, StillThereError
from dockd.docking.halt import Halt, Recall
from dockd.docking.outcome import Outcome, Problem, PullReport, outcome_of_refused, shown_name
from dockd.docking.quarantine import Quarantine
from dockd.docking.transfer import SETTLE_BYTES_PER_S, Transfer
from dockd.mounted.erasable import Writable
from vault.clock import Clock
from vault.errors import ContentDiffers, EraseRefused, UnknownCamera, VaultError
from vault.intake.intake import Intake
from vault.recording import Camera, ClockOffset, Receipt, State

log = structlog.get_logger()

SENTENCES_MAX = 200
"""How much is said of one camera at one docking. A hostile card could fill the vault's log with its
names (A13).
"""


@dataclass(frozen=True, slots=True)
class Port:
    """How the card of one docked camera is reached.

    `volume_id` names it where the card does not. `arrived_s` is when the dock saw it come, by the
    monotonic clock; None for what stood there before anybody looked: nobody knows then how old the
    camera's own time is. `writable` opens it for its erase, where `open` does not.
    """

    volume_id: str
    open: Callable[[], Card]
    transport: Transport
    arrived_s: float | None
    writable: Writable | None = None
    lease: Lease = NO_LEASE


@dataclass(frozen=True, slots=True)
class Workplace:
    """What all bays share."""

    intake: Intake
    clock: Clock
    docked_cameras: DockedCameras
    halt: Halt
    buffers: int
    erase: bool
    chapters: re.Pattern[str] | None
    quarantine: Quarantine


class Pull:
    """One camera's stay in a bay. `run` may be called again and again: it goes on where it stands,
    and what was measured and said once at this docking is not measured or said again. One thread.
    """

    def __init__(self, port: Port, workplace: Workplace, bay: Bay, gone: threading.Event) -> None:
        self._port = port
        self._work = workplace
        self._intake = workplace.intake
        self._bay = bay
        self._recall = Recall(workplace.halt, gone)
        self._sentences: dict[tuple[str, str], None] = {}
        self._clock_offset: ClockOffset | None = None
        self._left: tuple[CardFile, ...] = ()

    def run(self) -> PullReport:
        """Take in and erase what can be.

        Raises what stops the camera as a whole: UnknownCamera (nothing was read), CardGoneError,
        CardRefusedError, ManifestRefusedError, Stopping, and whatever the vault can't do. What
        concerns one recording only is in the report.
        """
        self._bay.enter(Phase.IDENTIFYING)
        with closing(self._port.open()) as card:
            files = card.files()
            recognised = recognise(card, files)
            camera = self._registered(recognised)
            offset = self._docked(card, camera, recognised.description)
            reading = self._read(card, files, camera, recognised.kind)
            taken = self._take_in_all(card, reading, offset)
            report = self._erase_all(card, camera, recognised.kind, taken, reading)
            card.set_clock(self._work.clock.now())
            self._left = card.files()
        return report

    def changed(self) -> bool:
        """Whether the card shows other files than when `run` was through with it. Raises the card's
        errors.
        """
        with closing(self._port.open()) as card:
            return card.files() != self._left

    def begin_anew(self) -> None:
        """The camera was gone, and comes back as a new docking, unseen: its clock is asked anew
        where it runs. What was said is not said again.
        """
        self._clock_offset = None
        self._port = replace(self._port, arrived_s=None)

    # Who is it

    def _registered(self, recognised: Recognised) -> Camera:
        """Find the camera among the registered ones. Raises UnknownCamera, CardReadFailedError."""
        description, kind = recognised.description, recognised.kind.kind
        serial = description.serial or self._port.volume_id
        self._bay.camera_is(serial, battery_percent=description.battery_percent)
        camera = self._intake.camera(serial)
        if camera is None:
            if recognised.hidden is not None:
                raise CardReadFailedError(
                    f"Who the camera is can't be read: {recognised.hidden.sentence}"
                )
            sentence = f"The camera {serial} is not registered. Nothing of it was read."
            self._say(serial, "camera.refused", sentence)
            raise UnknownCamera(sentence)
        if camera.kind is not kind:
            sentence = (
                f"{serial} is registered as a {camera.kind} camera, and its card is that of a "
                f"{kind} camera."
            )
            self._say(serial, "camera.refused", sentence)
            raise UnknownCamera(
                sentence, hint="Keep it apart: it is another camera than the registered one."
            )
        if description.public_key is not None and description.public_key != camera.public_key:
            # Not a reason to stop: each recording is held against the registered key, and refused
            # if another signed it.
            self._say(
                serial,
                "camera.alarm",
                f"{serial} shows another public key than the registered one.",
            )
        return camera

    def _docked(self, card: Card, camera: Camera, description: CameraDescription) -> ClockOffset:
        """Once a docking."""
        if not self._work.docked_cameras.add(self._bay.name, camera.serial):
            self._say(
                camera.serial,
                "camera.alarm",
                f"Two docked cameras say that they are {camera.serial}. Neither is erased.",
            )
        if self._clock_offset is None:
            offset = self._measured(card, camera, description)
            self._intake.docked(camera.serial, offset)
            self._bay.board.count(cameras_docked=1)
            self._bay.board.forget_early(camera.serial)
            self._clock_offset = offset
        return self._clock_offset

    def _measured(self, card: Card, camera: Camera, description: CameraDescription) -> ClockOffset:
        """Measure the camera's clock minus the dock's.

        A transport that shows a running clock is asked for it. A description shows the time at
        which the camera entered the dock: that is compared with when the dock saw it come, however
        long it has waited since.
        """
        offset_ms = card.clock_offset_ms()
        now = self._work.clock.now()
        if offset_ms is not None:
            return ClockOffset(now, offset_ms, self._port.transport.name)
        if description.clock_utc is None:
            return ClockOffset(now, None, "the card shows no clock")
        if not self._work.docked_cameras.clock_is_new(camera.serial, description.clock_utc):
            return ClockOffset(now, None, "the camera has not looked at its clock since")
        if self._port.arrived_s is None:
            return ClockOffset(now, None, "the dock did not see the camera come")
        arrived = now - timedelta(seconds=self._work.clock.monotonic_s() - self._port.arrived_s)
        offset = description.clock_utc - arrived
        return ClockOffset(now, round(offset / timedelta(milliseconds=1)), "card")

    # What has it

    def _read(
        self, card: Card, files: Sequence[CardFile], camera: Camera, kind: Kind
    ) -> CardReading:
        reading = kind.read_recordings(
            Inspection(
                card,
                files,
                camera,
                lambda: self._intake.chain_end(camera.serial),
                self._work.chapters,
                self._work.clock,
            )
        )
        for finding in reading.findings:
            self._say(camera.serial, "camera.finding", finding)
        reading = replace(
            reading, refused=(*reading.refused, *_unmentioned(card.trouble, reading.refused))
        )
        for refused in reading.refused:
            self._say(camera.serial, "recording.refused", refused.sentence)
        for recording in reading.recordings:
            for finding in recording.findings:
                self._say(camera.serial, "camera.finding", finding)
        officers = [
            recording.claim.officer for recording in reading.recordings if recording.claim.officer
        ]
        self._bay.camera_is(
            camera.serial, self._intake.whose(camera.serial, officers[-1] if officers else None)
        )
        return reading

    # Take in

    def _take_in_all(
        self, card: Card, reading: CardReading, offset: ClockOffset
    ) -> list[tuple[CardRecording, Outcome]]:
        taken: list[tuple[CardRecording, Outcome]] = []
        missing: list[CardRecording] = []
        for recording in reading.recordings:
            receipt = self._intake.receipt_for(recording.claim)
            if receipt is None:
                missing.append(recording)
            else:
                taken.append(
                    (
                        recording,
                        Outcome(shown_name(recording.claim), recording.claim, receipt=receipt),
                    )
                )
        self._bay.plan(sum(recording.claim.size_bytes for recording in missing))
        transfer = Transfer(
            card,
            min(self._port.transport.parallel_reads, self._work.buffers),
            self._bay,
            self._recall,
        )
        for number, recording in enumerate(missing, start=1):
            if self._bay.state.phase is not Phase.PULLING:
                self._bay.enter(Phase.PULLING, count=len(missing))
            taken.append((recording, self._take_in_one(recording, number, offset, transfer)))
        return taken

    def _take_in_one(
        self, recording: CardRecording, number: int, offset: ClockOffset, transfer: Transfer
    ) -> Outcome:
        """What fails for this recording alone becomes its outcome, and the next one is tried (A8).
        What the vault can't do, it can't do for the next one either: that passes through, and the
        camera stays as it is.
        """
        claim = recording.claim
        if any(
            other.identity != claim.identity
            for other in self._intake.named(claim.camera_serial, claim.name)
        ):
            sentence = (
                f"{shown_name(claim)} has other content than the vault holds under this name. "
                f"Both are kept."
            )
            self._say(claim.camera_serial, "camera.alarm", sentence)
        largest_bytes = max((segment.size_bytes for segment in claim.segments), default=0)
        self._bay.recording(number, allowance_s=largest_bytes / SETTLE_BYTES_PER_S)
        outcome = Outcome(shown_name(claim), claim)
        try:
            self._recall.before_step()
            with self._work.docked_cameras.in_hand(claim):
                # A twin in another bay may have brought it in since this card was read.
                receipt = self._intake.receipt_for(claim)
                if receipt is not None:
                    return replace(outcome, receipt=receipt)
                return self._store(recording, offset, transfer, outcome)
        except (CardGoneError, CardStuckError):
            raise
        except (CardError, ContentDiffers, InHandError) as failure:
            self._say(claim.camera_serial, "recording.failed", failure.sentence)
            return replace(outcome, problem=Problem.of_failure(failure))

    def _store(
        self, recording: CardRecording, offset: ClockOffset, transfer: Transfer, outcome: Outcome
    ) -> Outcome:
        claim = recording.claim
        attempt = self._intake.begin(claim, offset)
        facts = self._work.docked_cameras.facts_of(attempt.recording_id)
        self._bay.already(sum(claim.segments[index].size_bytes for index in facts))
        try:
            transfer.take(recording, attempt, facts)
            transfer.read_again(recording, attempt)
            seen = [facts.get(index) for index in range(len(claim.segments))]
            verdict = judge(claim, seen, recording.findings)
            receipt = attempt.commit(verdict)
        except VaultError:
            # The vault threw the attempt away, key and all: its next one starts from nothing.
            self._work.docked_cameras.forget_facts(attempt.recording_id)
            raise
        self._work.docked_cameras.forget_facts(attempt.recording_id)
        self._bay.board.count(recordings_stored=1, bytes_stored=claim.size_bytes)
        log.info(
            "recording stored",
            bay=self._bay.name,
            camera=claim.camera_serial,
            recording_id=receipt.recording_id,
            size_bytes=claim.size_bytes,
            wholeness=verdict.wholeness.value,
        )
        return replace(outcome, verdict=verdict, receipt=receipt)

    # Erase

    def _erase_all(
        self,
        card: Card,
        camera: Camera,
        kind: Kind,
        taken: list[tuple[CardRecording, Outcome]],
        reading: CardReading,
    ) -> PullReport:
        """Its own phase: on receipts only, when everything that can be taken in is."""
        outcomes = [outcome_of_refused(refused) for refused in reading.refused]
        for remnant in reading.remnants:
            receipt = self._intake.receipt_for(remnant.recording.claim)
            if receipt is None:
                self._say(camera.serial, "recording.refused", remnant.refused.sentence)
                outcomes.append(outcome_of_refused(remnant.refused))
            else:
                claim = remnant.recording.claim
                taken.append(
                    (remnant.recording, Outcome(shown_name(claim), claim, receipt=receipt))
                )
        if self._work.erase and (
            any(outcome.stored for _, outcome in taken) or self._intake.erasing(camera.serial)
        ):
            with self._erasable(card) as (card, reopen):
                eraser = Eraser(card, reopen, self._intake, self._bay, self._recall)
                taken = self._erase_each(eraser, camera, taken)
                self._finish_erases(eraser, camera, kind)
        outcomes += [outcome for _, outcome in taken]
        doubled = self._work.docked_cameras.doubled(self._bay.name)
        remarks = tuple(sentence for _, sentence in self._sentences)
        return PullReport(camera.serial, tuple(outcomes), self._work.erase, doubled, remarks)

    @contextmanager
    def _erasable(self, card: Card) -> Iterator[tuple[Card, Callable[[], Card]]]:
        """The card as it may be erased, and how it is opened anew. Raises CardReadOnlyError."""
        if self._port.writable is None:
            yield card, self._port.open
            return
        with self._port.writable() as reopen, closing(reopen()) as writable:
            yield writable, reopen

    def _erase_each(
        self, eraser: Eraser, camera: Camera, taken: list[tuple[CardRecording, Outcome]]
    ) -> list[tuple[CardRecording, Outcome]]:
        owned = sum(outcome.stored for _, outcome in taken)
        if owned:
            self._bay.enter(Phase.ERASING, count=owned)
        number = 0
        results: list[tuple[CardRecording, Outcome]] = []
        write_protected: Problem | None = None
        for recording, outcome in taken:
            receipt = outcome.receipt
            if receipt is not None and write_protected is not None:
                outcome = replace(outcome, problem=write_protected)
            elif receipt is not None and not self._work.docked_cameras.doubled(self._bay.name):
                self._recall.before_step()
                number += 1
                self._bay.recording(number)
                try:
                    outcome = replace(outcome, receipt=self._erase_one(eraser, recording, receipt))
                except (CardGoneError, CardStuckError):
                    raise
                except (CardError, EraseRefused, ObjectDiffersError, StillThereError) as failure:
                    self._say(camera.serial, "erase.stopped", failure.sentence)
                    outcome = replace(outcome, problem=Problem.of_failure(failure))
                    if isinstance(failure, CardReadOnlyError):
                        write_protected = outcome.problem
            results.append((recording, outcome))
        return results

    def _finish_erases(self, eraser: Eraser, camera: Camera, kind: Kind) -> None:
        if self._work.docked_cameras.doubled(self._bay.name):
            return
        for receipt in self._intake.erasing(camera.serial):
            if eraser.finish(receipt, kind).state is State.ERASED:
                self._bay.board.count(recordings_erased=1)
                log.info(
                    "erase confirmed",
                    bay=self._bay.name,
                    camera=camera.serial,
                    recording_id=receipt.recording_id,
                )

    def _erase_one(self, eraser: Eraser, recording: CardRecording, receipt: Receipt) -> Receipt:
        if receipt.state is State.ERASED:
            # FAT keeps no journal: a card that was pulled right after the erase may show its files
            # again (B9).
            sentence = (
                f"{shown_name(recording.claim)} was erased before and stands on the camera again."
            )
            self._say(receipt.camera_serial, "camera.finding", sentence)
        erased = eraser.erase(recording, receipt)
        self._bay.board.count(recordings_erased=1)
        log.info(
            "recording erased",
            bay=self._bay.name,
            camera=receipt.camera_serial,
            recording_id=receipt.recording_id,
        )
        return erased

    def _say(self, serial: str, action: str, sentence: str) -> None:
        """Into the vault's log, and the journal; once a docking."""
        sentence = sentence[:SENTENCE_MAX]
        if (action, sentence) in self._sentences or len(self._sentences) > SENTENCES_MAX:
            return
        if len(self._sentences) == SENTENCES_MAX:
            action, sentence = (
                "camera.alarm",
                f"More is wrong with {serial} than the {SENTENCES_MAX} things that are told.",
            )
        self._sentences[action, sentence] = None
        self._intake.note(serial, action, sentence)
        if action == "camera.alarm":
            self._bay.board.count(alarms=1)
        log.warning(action, bay=self._bay.name, camera=serial, sentence=sentence)


def _unmentioned(
    trouble: Sequence[CardTrouble], refused: Sequence[RefusedRecording]
) -> Iterator[RefusedRecording]:
    """What the listing left out, but for what a recording was refused for: its sentence begins with
    the other's.
    """
    told = sorted(one.sentence.removeprefix(f"{one.name}: ") for one in refused)
    for entry in trouble:
        at = bisect_left(told, entry.sentence)
        if at == len(told) or not told[at].startswith(entry.sentence):
            yield RefusedRecording(shown(entry.path), entry.code, entry.sentence)
