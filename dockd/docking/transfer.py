"""The bytes of one recording, from its card into the vault, over as many buffers as the card and the
vault have.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from dockd.card.contract import Card, CardFile, CardFileChangedError, CardRecording, FileStream
from dockd.card.timeline import SegmentFacts, SegmentTimeline, Witness
from dockd.docking.bay import Bay, Phase
from dockd.docking.halt import Recall
from vault.errors import Failure
from vault.intake.attempt import Attempt

SETTLE_BYTES_PER_S = 10_000_000
"""How slow a disk may be while it flushes a segment and gives it back, before the watchdog calls
that a standstill.
"""


class WatchedSource:
    """A card's stream that counts what passes, and lets go at the next block when it is told to."""

    def __init__(self, stream: FileStream, bay: Bay, recall: Recall) -> None:
        self.bytes_read = 0
        self.reading = False
        self._stream = stream
        self._bay = bay
        self._recall = recall

    def readinto(self, buffer: memoryview) -> int:
        if not self.reading:
            self.reading = True
            self._bay.buffer_reading(+1)
        self._recall.before_block()
        size_bytes = self._stream.readinto(buffer)
        self.bytes_read += size_bytes
        self._bay.advance(size_bytes)
        return size_bytes


class Transfer:
    """Takes what is missing of one recording's attempt. One recording at a time; `width` segments
    at once.
    """

    def __init__(self, card: Card, width: int, bay: Bay, recall: Recall) -> None:
        self._card = card
        self._width = width
        self._bay = bay
        self._recall = recall

    def take(
        self, recording: CardRecording, attempt: Attempt, facts: dict[int, SegmentFacts]
    ) -> None:
        """Receive every segment that does not stand yet, and add its facts.

        Errors of card and vault pass through: the first one, once all reads are at rest. What was
        received before it stands.
        """

        def transfer_segment(index: int) -> None:
            with self._card.open(_present(recording, index)) as stream:
                # A worker has looked at the boxes there.
                witness: Witness = stream if isinstance(stream, Witness) else SegmentTimeline()
                source = WatchedSource(stream, self._bay, self._recall)
                taken = False
                try:
                    attempt.receive(
                        index, source, (witness,) if isinstance(witness, SegmentTimeline) else ()
                    )
                    taken = True
                finally:
                    self._settle(source, keep_bytes=taken)
                facts[index] = witness.facts()

        self._each(
            transfer_segment, [index for index in attempt.missing() if not attempt.stands(index)]
        )

    def read_again(self, recording: CardRecording, attempt: Attempt) -> None:
        """The second complete reading of a camera that states no digests. Nothing to do where all
        digests were stated.
        """

        def confirm(index: int) -> None:
            with self._card.open(_present(recording, index)) as stream:
                source = WatchedSource(stream, self._bay, self._recall)
                try:
                    attempt.confirm(index, source)
                finally:
                    self._settle(source, keep_bytes=False)

        unconfirmed = attempt.missing()
        if unconfirmed:
            self._bay.enter(Phase.CHECKING, "Reading the camera a second time.")
        self._each(confirm, unconfirmed)

    def _settle(self, source: WatchedSource, *, keep_bytes: bool) -> None:
        if source.reading:
            self._bay.buffer_reading(-1)
        if not keep_bytes:
            self._bay.advance(-source.bytes_read)

    def _each(self, work: Callable[[int], None], indexes: Iterable[int]) -> None:
        failures: list[Failure] = []

        def run_one(index: int) -> None:
            self._bay.buffer_asked(+1)
            try:
                self._recall.before_step()
                work(index)
            except Failure as failure:
                failures.append(failure)
                raise
            finally:
                self._bay.buffer_asked(-1)

        if self._width == 1:
            for index in indexes:
                run_one(index)
            return
        with ThreadPoolExecutor(self._width, thread_name_prefix=f"read-{self._bay.name}") as pool:
            futures = [pool.submit(run_one, index) for index in indexes]
            done, waiting = wait(futures, return_when=FIRST_EXCEPTION)
            for future in waiting:
                future.cancel()
        if failures:
            # The first one is the cause: where it ended the attempt, the other reads only report
            # that it is over.
            raise failures[0]
        for future in done:
            future.result()


def _present(recording: CardRecording, index: int) -> CardFile:
    file = recording.files[index]
    if file is None:
        raise CardFileChangedError(f"Segment {index} of {recording.claim.name} is not on the card.")
    return file
