"""One object of a camera, read from start to end, by whichever way of asking does not break."""

from types import TracebackType
from typing import Protocol, Self

from dockd.card.contract import CardFile, CardReadFailedError
from dockd.usb.initiator import (
    CHUNK_BYTES,
    ObjectStream,
    RequestRefusedError,
    TransactionBrokenError,
)
from dockd.usb.ptp import MalformedError, Operation
from dockd.usb.session import PtpSession


class ListedObjects(Protocol):
    """The card that the object was listed on."""

    def handle_of(self, file: CardFile) -> int:
        """Return the handle of a file in this session. The session
        is held. CardFileChangedError.
        """

    def must_be(self, file: CardFile) -> None:
        """CardFileChangedError unless the file still is as it was listed."""


class MtpStream:
    """A `FileStream` over PTP. One thread; between two blocks other readers of the same camera have
    their turn.
    """

    def __init__(
        self,
        card: ListedObjects,
        session: PtpSession,
        file: CardFile,
        offset: int,
        ways: tuple[Operation, ...],
    ) -> None:
        self._card = card
        self._session = session
        self._file = file
        self._position = offset
        self._ways = list(ways)
        self._counts = offset == 0
        self._stream: ObjectStream | None = None

    def readinto(self, buffer: memoryview) -> int:
        """Return the next bytes; 0 at the listed size, once the camera still shows the object as it
        was listed.
        """
        left = self._file.size_bytes - self._position
        if left == 0:
            self._end()
            return 0
        wanted = buffer[: min(len(buffer), CHUNK_BYTES, left)]
        failure: Exception | None = None
        while self._ways:
            try:
                count = self._read(self._ways[0], wanted)
                if count:
                    self._position += count
                    return count
                failure = MalformedError(f"the camera ends {left} bytes too early")
            except (RequestRefusedError, TransactionBrokenError, MalformedError) as error:
                failure = error
            if self._stream is not None:
                # What this stream brought before was never confirmed: it can't be gone on from.
                break
            self._ways.pop(0)
        self._leave_stream()
        self._note()
        raise self._failed(failure)

    def close(self) -> None:
        """Let go of the object. A second call does nothing."""
        self._leave_stream()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self, way: Operation, buffer: memoryview) -> int:
        if way is Operation.GET_OBJECT:
            return self._read_stream(buffer)
        with self._session.held() as initiator:
            handle = self._card.handle_of(self._file)
            low, high = self._position & 0xFFFFFFFF, self._position >> 32
            offset = (low, high) if way is Operation.GET_PARTIAL_OBJECT_64 else (low,)
            return initiator.fill(buffer, way, handle, *offset, len(buffer))

    def _read_stream(self, buffer: memoryview) -> int:
        if self._stream is None:
            self._open_stream()
        assert self._stream is not None
        return self._stream.readinto(buffer)

    def _open_stream(self) -> None:
        """The camera is held until the stream is left; what lies before the position is read and
        thrown away.
        """
        initiator = self._session.hold_wire()
        try:
            stream = initiator.stream(
                self._file.size_bytes, Operation.GET_OBJECT, self._card.handle_of(self._file)
            )
        except BaseException:
            self._session.release_wire()
            raise
        self._stream = stream
        skipped = memoryview(bytearray(min(CHUNK_BYTES, self._position)))
        left = self._position
        while left:
            left -= stream.readinto(skipped[: min(left, len(skipped))])

    def _leave_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                stream.close()
            finally:
                self._session.release_wire()

    def _end(self) -> None:
        """A stream's last word, and that the camera still shows what it showed before."""
        try:
            if self._stream is not None:
                self._stream.readinto(memoryview(bytearray(1)))
        except (RequestRefusedError, TransactionBrokenError) as error:
            self._note()
            raise self._failed(error) from error
        finally:
            self._leave_stream()
        self._note()
        self._card.must_be(self._file)

    def _failed(self, failure: Exception | None) -> CardReadFailedError:
        return CardReadFailedError(
            f"{self._file.shown} can't be read at byte {self._position}: {failure}."
        )

    def _note(self) -> None:
        if self._counts:
            self._counts = False
            self._session.note_reading(self._file.path)
