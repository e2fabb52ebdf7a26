"""The erase of one recording on its camera: the one step of the dock that may never be wrong.

 1. The vault writes down the intent (it may refuse), on a receipt only: sealed, read back, catalogued.
 2. The card is listed anew, and **every** object that is still there is identified again: name, size, head and tail against what
    the vault proved. One that differs stops the erase before anything is deleted.
 3. Object by object, in the order of CAMERA.md: identified once more, deleted. Before the signature goes, and again before the
    manifest, the card is opened anew and listed: nothing that went before may stand there any more. A camera whose deletions are
    lies (A7) so keeps the papers by which the next docking knows what is left. Then the folder.
 4. The card is opened anew and listed again. Gone: the vault writes that down. Still there: it stays "erasing", and says so.

A crash or a pulled camera between any two steps is mended by running all of them again.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from dockd.card.contract import (
    SENTENCE_MAX,
    Card,
    CardError,
    CardFile,
    CardGoneError,
    CardRecording,
    edges,
    edges_of,
    shown,
)
from dockd.card.kinds import Kind
from dockd.card.names import folded
from dockd.docking.bay import Bay
from dockd.docking.halt import Recall
from vault.errors import EraseRefused, Failure, Reaction
from vault.intake.intake import Intake
from vault.recording import Receipt, State

SIGNATURE, MANIFEST = "RECORDING.SIG", "RECORDING.JSON"
PAPERS = (SIGNATURE, MANIFEST)


class ObjectDiffersError(Failure):
    """What stands on the camera under a recording's name is not what the vault holds. Nothing more
    of it is deleted.
    """

    code = "dock.object_differs"
    reaction = Reaction.ALARM
    hint = (
        "Keep the camera apart: what differs was never taken in under this name. Nothing of it "
        "was deleted."
    )


class StillThereError(Failure):
    """The camera said that it deleted, and shows the files again."""

    code = "dock.still_there"
    reaction = Reaction.ALARM
    hint = (
        "The recording is safe in the vault. Dock the camera again; if it stays, keep the camera "
        "apart."
    )


@dataclass(frozen=True, slots=True)
class _Expected:
    """One object of a recording as it must be found. `edges` None: it carries no footage and was
    never vaulted (a journal).
    """

    path: tuple[str, ...]
    size_bytes: int
    edges: tuple[str, str] | None


class Eraser:
    """Erases recordings of one docked camera, one at a time. `reopen` opens its card anew."""

    def __init__(
        self, card: Card, reopen: Callable[[], Card], intake: Intake, bay: Bay, recall: Recall
    ) -> None:
        self._card = card
        self._reopen = reopen
        self._intake = intake
        self._bay = bay
        self._recall = recall

    def erase(self, recording: CardRecording, receipt: Receipt) -> Receipt:
        """The receipt in state ERASED.

        Raises EraseRefused, ObjectDiffersError, StillThereError and the card's errors; but for CardGoneError the
        vault's log has it then. Once begun it is not interrupted by a stop, only by the camera's
        leaving.
        """
        expected = _expected(recording, receipt)
        receipt = self._intake.intend_erase(receipt)
        if receipt.state is not State.ERASING:
            raise EraseRefused(f"The vault does not say that {receipt.name} is being erased.")
        try:
            self._delete(recording, self._identify_all(expected, recording.folder or ()))
            self._demand_gone(_all_paths(recording, expected))
        except CardGoneError:
            raise
        except (CardError, ObjectDiffersError, StillThereError) as failure:
            self._intake.erase_failed(receipt, failure.sentence[:SENTENCE_MAX])
            raise
        return self._intake.erased(receipt)

    def _identify_all(
        self, expected: tuple[_Expected, ...], below: tuple[str, ...]
    ) -> list[tuple[_Expected, CardFile]]:
        """Those of the expected objects that still stand on the card, in the order of deletion,
        each identified.
        """
        listed = {file.path: file for file in self._card.files(below)}
        remaining = [
            (expected_object, listed[expected_object.path])
            for expected_object in expected
            if expected_object.path in listed
        ]
        for expected_object, file in remaining:
            self._identify(expected_object, file)
        return remaining

    def _delete(
        self, recording: CardRecording, remaining: list[tuple[_Expected, CardFile]]
    ) -> None:
        deleted: set[tuple[str, ...]] = set()
        for expected_object, file in remaining:
            if file.path[-1].upper() in PAPERS and deleted:
                self._demand_gone(deleted, below=recording.folder or ())
            # The objects before this one took their time to go; what was true at the start may not
            # be true now (E4).
            self._identify(expected_object, file)
            self._card.delete(file)
            deleted.add(file.path)
        if recording.folder is not None:
            self._card.delete_folder(recording.folder)

    def _identify(self, expected_object: _Expected, file: CardFile) -> None:
        self._bay.step()
        if file.size_bytes != expected_object.size_bytes:
            raise ObjectDiffersError(
                f"{file.shown} has {file.size_bytes} bytes on the camera; the vault holds "
                f"{expected_object.size_bytes}."
            )
        if expected_object.edges is not None and edges(self._card, file) != expected_object.edges:
            raise ObjectDiffersError(
                f"{file.shown} on the camera has other content than the vault holds."
            )

    def finish(self, receipt: Receipt, kind: Kind) -> Receipt:
        """Write down an erase that was complete on the card when the camera was taken, or dockd
        stopped, before the vault knew.

        The receipt is in state ERASED then; in ERASING, as it was, where anything of the recording
        still stands.
        """
        with closing(self._reopen()) as card:
            paths = [folded(file.path) for file in card.files()] + [
                folded(trouble.path) for trouble in card.trouble
            ]
            if any(map(kind.traces_of(receipt), paths)):
                return receipt
            folder = kind.folder_of(receipt)
            if folder is not None:
                card.delete_folder(folder)
        return self._intake.erased(receipt)

    def _demand_gone(self, paths: set[tuple[str, ...]], below: tuple[str, ...] = ()) -> None:
        """A card that was opened anew says what is there; the one that deleted may tell of its
        wishes (A7).
        """
        deleted = {folded(path) for path in paths}
        with closing(self._reopen()) as card:
            still = [file.path for file in card.files(below) if folded(file.path) in deleted]
            unknown = [
                trouble.path
                for trouble in card.trouble
                if any(path[: len(trouble.path)] == folded(trouble.path) for path in deleted)
            ]
        self._bay.step()
        if still:
            raise StillThereError(f"{shown(still[0])} is still on the camera after it was deleted.")
        if unknown:
            raise StillThereError(
                f"{shown(unknown[0])} can't be listed after the erase: nobody can say that it "
                f"is gone."
            )


def _all_paths(recording: CardRecording, expected: tuple[_Expected, ...]) -> set[tuple[str, ...]]:
    """What was there, and what its manifest says should have been."""
    paths = {expected_object.path for expected_object in expected}
    if recording.folder is not None:
        paths.update((*recording.folder, segment.name) for segment in recording.claim.segments)
    return paths


def _expected(recording: CardRecording, receipt: Receipt) -> tuple[_Expected, ...]:
    """Segments as the vault proved them, then the camera's own papers as they were read.

    Raises ObjectDiffersError where claim and receipt do not speak of the same files.
    """
    claim = recording.claim
    if [(segment.name, segment.size_bytes) for segment in claim.segments] != [
        (segment.name, segment.size_bytes) for segment in receipt.segments
    ]:
        raise ObjectDiffersError(
            f"{receipt.name} lists other files on the camera than the vault holds."
        )
    segments = [
        _Expected(file.path, stored.size_bytes, (stored.head_sha256, stored.tail_sha256))
        for file, stored in zip(recording.files, receipt.segments, strict=True)
        if file is not None
    ]
    papers = {MANIFEST: claim.manifest, SIGNATURE: claim.signature}
    trailing: list[_Expected] = []
    for file in recording.trailing:
        name = file.path[-1].upper()
        content = papers.get(name)
        if name in papers and content is None:
            raise ObjectDiffersError(f"{file.shown} was not there when the recording was read.")
        trailing.append(
            _Expected(file.path, file.size_bytes, None if content is None else edges_of(content))
        )
    return (*segments, *trailing)
