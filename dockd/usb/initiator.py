"""PTP transactions with one camera: command, data, response, in this order and one at a time.

What a transaction has brought is worth something only when all three hold: the bytes are as many as
the container announced, the announcement is what was asked for, and the response says OK (faults A2
to A4). Everything else is `TransactionBrokenError`: the camera is brought back to a known state first, and then the
caller may try another way.
"""

import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dockd.card.contract import CardError, CardStuckError
from dockd.usb.pipes import PipeBrokenError, Pipes, PipeStalledError
from dockd.usb.ptp import (
    HEADER_BYTES,
    WHOLE_LENGTH_UNKNOWN,
    Container,
    DeviceInfo,
    Header,
    Kind,
    MalformedError,
    Operation,
    Response,
    command,
)
from vault.clock import Clock

DATASET_MAX = 1 << 20
"""A dataset larger than this is none: 100,000 handles are 400 kB."""
CHUNK_BYTES = 2 << 20
"""How much of an object one transfer brings: what the vault's buffers take at a time."""
EMPTY_PACKETS_MAX = 2
"""So many empty packets in a row may stand where one or none belongs (fault A3)."""
BUSY_TURNS, BUSY_PAUSE_S = 40, 0.05
LAST_TRANSACTION = 0xFFFFFFFE
SESSION = 1


class RequestRefusedError(Exception):
    """The camera ended a transaction in good order, with a response other than OK."""

    def __init__(self, operation: int, code: int) -> None:
        super().__init__(f"operation {operation:#06x} was answered with {code:#06x}")
        self.code = code


class TransactionBrokenError(Exception):
    """A transaction that did not keep to the protocol. The camera answers again; nothing of what
    came may be used.
    """


class Initiator:
    """The dock's side of PTP. One thread at a time: whoever shares it locks it."""

    def __init__(self, pipes: Pipes, clock: Clock) -> None:
        self._pipes = pipes
        self._clock = clock
        self.sessions = 0
        """How many were begun. Object handles are good for one."""
        self._transaction = 0
        self._ahead = b""
        self._buffers: dict[int, array.array[int]] = {}

    def open_session(self) -> DeviceInfo:
        """A new session, and who the camera says it is. Raises CardGoneError, CardStuckError.

        A session that somebody left open is closed first: its object handles are not ours.
        """
        failure: Exception | None = None
        for _ in range(2):
            try:
                with self.mending(0):
                    self._enter_session()
                return DeviceInfo.decode(self.ask(Operation.GET_DEVICE_INFO))
            except (RequestRefusedError, TransactionBrokenError, MalformedError) as error:
                # Whoever had the camera before may have left it in the middle of something; it is
                # mended now.
                failure = error
        raise CardStuckError(
            f"The camera at {self._pipes.where} opens no session: {failure}."
        ) from failure

    def close_session(self) -> None:
        """Leave in good order, if the camera lets us."""
        try:
            self.order(Operation.CLOSE_SESSION)
        except (RequestRefusedError, TransactionBrokenError, CardError):
            return

    def close(self) -> None:
        self._pipes.close()

    def order(self, operation: int, *parameters: int, data: bytes | None = None) -> tuple[int, ...]:
        """A transaction without data, or with data to the camera; the response's parameters. Raises
        RequestRefusedError, TransactionBrokenError.
        """
        with self._transaction_of(operation, parameters) as transaction:
            if data is not None:
                self._pipes.send(Container(Kind.DATA, operation, transaction, data).encode())
            return self.response(operation, transaction)

    def ask(self, operation: int, *parameters: int) -> bytes:
        """A transaction that brings a dataset. Raises RequestRefusedError, TransactionBrokenError.

        Asking changes nothing, so one that broke is asked once more: a hiccup in one of a listing's
        hundreds is not a camera that can't be read. Not so in a new session, to which the handles
        among the parameters mean nothing.
        """
        session = self.sessions
        try:
            return self._ask(operation, *parameters)
        except TransactionBrokenError:
            if self.sessions != session:
                raise
            return self._ask(operation, *parameters)

    def _ask(self, operation: int, *parameters: int) -> bytes:
        with self._transaction_of(operation, parameters) as transaction:
            # The first packet says how much comes: nothing larger is asked for on a guess.
            phase = _DataPhase(self, operation, transaction, self._pipes.packet_bytes)
            phase.must_bring(0, DATASET_MAX)
            content = b"".join(map(bytes, iter(phase.piece, b"")))
            self.response(operation, transaction)
            return content

    def fill(self, buffer: memoryview, operation: int, *parameters: int) -> int:
        """A transaction that brings at most `len(buffer)` bytes into the buffer; how many. Raises
        RequestRefusedError, TransactionBrokenError.
        """
        with self._transaction_of(operation, parameters) as transaction:
            phase = _DataPhase(self, operation, transaction, HEADER_BYTES + len(buffer))
            phase.must_bring(0, len(buffer))
            filled = 0
            while piece := phase.piece():
                buffer[filled : filled + len(piece)] = piece
                filled += len(piece)
            counted = self.response(operation, transaction)
            if counted and counted[0] != filled:
                raise MalformedError(
                    f"a response that counts {counted[0]} bytes where {filled} came"
                )
            return filled

    def stream(self, size_bytes: int, operation: int, *parameters: int) -> "ObjectStream":
        """A transaction that brings exactly so many bytes, in as many steps as the caller takes.
        Raises RequestRefusedError, TransactionBrokenError.

        Until the stream is closed nothing else may be asked.
        """
        with self._transaction_of(operation, parameters) as transaction:
            phase = _DataPhase(
                self, operation, transaction, HEADER_BYTES + min(CHUNK_BYTES, size_bytes)
            )
            phase.must_bring(size_bytes, size_bytes)
        return ObjectStream(self, operation, transaction, phase)

    # One transaction

    @contextmanager
    def _transaction_of(self, operation: int, parameters: tuple[int, ...]) -> Iterator[int]:
        """Send the command; whatever breaks within is mended before it is told."""
        transaction = self._next_transaction(operation)
        with self.mending(transaction):
            self._ahead = b""
            self._pipes.send(command(operation, transaction, *parameters))
            yield transaction

    @contextmanager
    def mending(self, transaction: int) -> Iterator[None]:
        """What breaks within becomes Broken, and the camera answers again; or CardGoneError, or
        CardStuckError.
        """
        try:
            yield
        except (PipeBrokenError, MalformedError) as error:
            self.mend(transaction)
            raise TransactionBrokenError(f"{error}") from error

    def _next_transaction(self, operation: int) -> int:
        """Sessions begin with transaction 0, which opens them; then they count, and never reach the
        number that means "all".
        """
        if operation == Operation.OPEN_SESSION:
            self._transaction = 0
        else:
            self._transaction = self._transaction % LAST_TRANSACTION + 1
        return self._transaction

    def response(self, operation: int, transaction: int) -> tuple[int, ...]:
        """What the camera says at the end; the parameters where it says OK. Raises RequestRefusedError,
        MalformedError, PipeBrokenError.
        """
        content, self._ahead = self._ahead, b""
        empty = 0
        while not content:
            content = bytes(self.receive_piece(self._pipes.packet_bytes))
            empty += 1
            if empty > EMPTY_PACKETS_MAX and not content:
                raise MalformedError("empty packets where the response belongs")
        response = Container.decode(content)
        if response.kind is not Kind.RESPONSE or response.transaction != transaction:
            raise MalformedError(
                f"{response.kind.name} {response.transaction} where the response to "
                f"{transaction} belongs"
            )
        if response.code != Response.OK:
            raise RequestRefusedError(operation, response.code)
        return response.parameters

    def receive_piece(self, wanted_bytes: int) -> memoryview:
        """One read from the camera, rounded up to whole packets. The view is good until the next
        read of that size.
        """
        packet = self._pipes.packet_bytes
        size = -(-wanted_bytes // packet) * packet
        buffer = self._buffers.get(size)
        if buffer is None:
            buffer = array.array("B", bytes(size))
            # Two sizes come again and again, the packet's and the chunk's; a file's last piece is
            # as long as it is.
            if size == packet or wanted_bytes == HEADER_BYTES + CHUNK_BYTES:
                self._buffers[size] = buffer
        count = self._pipes.receive_packets(buffer)
        return memoryview(buffer)[:count]

    @property
    def packet_bytes(self) -> int:
        return self._pipes.packet_bytes

    def keep_ahead(self, content: memoryview) -> None:
        """Bytes behind the announced ones: the response, from a camera that leaves out the empty
        packet before it (fault A3).
        """
        self._ahead = bytes(content)

    # After a transaction that broke

    def mend(self, transaction: int) -> None:
        """Cancel it, empty the pipes, and see that the camera answers; else reset it and begin a
        new session.

        Raises CardGoneError, CardStuckError.
        """
        for way in (self._cancel, self._reset):
            try:
                way(transaction)
                return
            except (PipeBrokenError, RequestRefusedError, MalformedError):
                continue
        raise CardStuckError(f"The camera at {self._pipes.where} no longer answers.")

    def _cancel(self, transaction: int) -> None:
        try:
            self._pipes.cancel(transaction)
            self._await_ready()
        except PipeStalledError:
            # A camera without class requests; emptying its pipes has to do.
            self._pipes.clear_halts()
        self._empty()
        try:
            self._probe()
        except RequestRefusedError as refused:
            if refused.code != Response.SESSION_NOT_OPEN:
                raise
            self._enter_session()

    def _reset(self, transaction: int) -> None:  # noqa: ARG002
        try:
            self._pipes.reset()
        except PipeStalledError:
            self._pipes.clear_halts()
        self._empty()
        self._enter_session()
        self._probe()

    def _empty(self) -> None:
        self._pipes.clear_halts()
        if not self._pipes.drain():
            raise PipeBrokenError("the camera goes on sending")

    def _await_ready(self) -> None:
        for _ in range(BUSY_TURNS):
            if self._pipes.status() != Response.DEVICE_BUSY:
                return
            self._clock.sleep(BUSY_PAUSE_S)
        raise PipeBrokenError("the camera stays busy")

    def _probe(self) -> None:
        """The smallest question there is: a camera that answers it answers."""
        transaction = self._next_transaction(Operation.GET_STORAGE_IDS)
        self._ahead = b""
        self._pipes.send(command(Operation.GET_STORAGE_IDS, transaction))
        phase = _DataPhase(self, Operation.GET_STORAGE_IDS, transaction, self._pipes.packet_bytes)
        phase.must_bring(0, DATASET_MAX)
        while phase.piece():
            pass
        self.response(Operation.GET_STORAGE_IDS, transaction)

    def _enter_session(self) -> None:
        try:
            self._open_session()
        except RequestRefusedError as refused:
            if refused.code != Response.SESSION_ALREADY_OPEN:
                raise
            transaction = self._next_transaction(Operation.CLOSE_SESSION)
            self._pipes.send(command(Operation.CLOSE_SESSION, transaction))
            self.response(Operation.CLOSE_SESSION, transaction)
            self._open_session()

    def _open_session(self) -> None:
        transaction = self._next_transaction(Operation.OPEN_SESSION)
        self._ahead = b""
        self._pipes.send(command(Operation.OPEN_SESSION, transaction, SESSION))
        self.response(Operation.OPEN_SESSION, transaction)
        self.sessions += 1


class _DataPhase:
    """The data of one transaction, from its header to its announced end."""

    def __init__(self, wire: Initiator, operation: int, transaction: int, first_bytes: int) -> None:
        """Raises RequestRefusedError where the camera answers without data."""
        self._wire = wire
        first = wire.receive_piece(first_bytes)
        for _ in range(EMPTY_PACKETS_MAX):
            # An empty packet too many, from the transaction before.
            first = first or wire.receive_piece(first_bytes)
        header = Header.decode(first)
        if header.kind is Kind.RESPONSE and header.transaction == transaction:
            response = Container.decode(bytes(first))
            if response.code == Response.OK:
                raise MalformedError("OK without the data that were asked for")
            raise RequestRefusedError(operation, response.code)
        if (header.kind, header.code, header.transaction) != (Kind.DATA, operation, transaction):
            raise MalformedError(
                f"{header.kind.name} {header.code:#06x} {header.transaction} where data of "
                f"{operation:#06x} belongs"
            )
        self._announced = header.length
        self._left = header.length - HEADER_BYTES
        self._piece = first[HEADER_BYTES:]
        # Some cameras send the header in a transfer of its own: that one may be short.
        self._ended = len(first) % wire.packet_bytes != 0 and len(first) != HEADER_BYTES

    def must_bring(self, least_bytes: int, most_bytes: int) -> None:
        """Hold the announcement against what was asked for. A length beyond 32 bits must be known
        to the caller.
        """
        if (
            self._announced == WHOLE_LENGTH_UNKNOWN
            and least_bytes == most_bytes >= WHOLE_LENGTH_UNKNOWN - HEADER_BYTES
        ):
            self._left = most_bytes
        if not least_bytes <= self._left <= most_bytes:
            raise MalformedError(
                f"{self._left} bytes are announced, and {most_bytes} were asked for"
            )

    def piece(self) -> memoryview:
        """The next bytes; empty at the end. The view is good until the next piece."""
        empty = 0
        while not self._piece and self._left:
            if self._ended or empty > EMPTY_PACKETS_MAX:
                raise MalformedError(f"the data end {self._left} bytes too early")
            self._piece = self._wire.receive_piece(min(CHUNK_BYTES + HEADER_BYTES, self._left))
            self._ended = len(self._piece) % self._wire.packet_bytes != 0
            empty += 1
        taken, rest = self._piece[: self._left], self._piece[self._left :]
        self._piece = taken[len(taken) :]
        self._left -= len(taken)
        if rest:
            self._wire.keep_ahead(rest)
        return taken

    @property
    def left_bytes(self) -> int:
        return self._left


class ObjectStream:
    """An object that comes in one transaction. Its last byte counts once the response is OK."""

    def __init__(
        self, wire: Initiator, operation: int, transaction: int, phase: _DataPhase
    ) -> None:
        self._wire = wire
        self._operation = operation
        self._transaction = transaction
        self._phase = phase
        self._held = memoryview(b"")
        self._open = True

    def readinto(self, buffer: memoryview) -> int:
        """The next bytes; 0 at the end, after the camera said OK. Raises RequestRefusedError, TransactionBrokenError; the
        stream is closed then.
        """
        try:
            with self._wire.mending(self._transaction):
                if not self._held:
                    self._held = self._phase.piece()
                if not self._held:
                    self._end()
                    return 0
        except (RequestRefusedError, TransactionBrokenError, CardError):
            self._open = False
            raise
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count

    def close(self) -> None:
        """Let go. What was not read is given up, and the camera told so. Raises CardGoneError,
        CardStuckError.
        """
        if not self._open:
            return
        self._open = False
        if self._held or self._phase.left_bytes:
            self._wire.mend(self._transaction)
            return
        # Only the response is left: taking it costs less than giving up. What it says concerns
        # nobody any more.
        with (
            suppress(RequestRefusedError, TransactionBrokenError),
            self._wire.mending(self._transaction),
        ):
            self._wire.response(self._operation, self._transaction)

    def _end(self) -> None:
        if self._open:
            self._wire.response(self._operation, self._transaction)
            self._open = False
