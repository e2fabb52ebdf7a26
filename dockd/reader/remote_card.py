"""A card that another process holds: the dock's end of the line to a worker (`worker.py`).

What a worker says is believed no more than the camera behind it: lengths and shapes are checked
here, and every byte is held against what the camera signed, as ever. The bytes come through shared
memory whose size is fixed, and are copied out of it before anybody looks at them: nothing changes
between the look and the use.
"""

import mmap
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from fcntl import F_ADD_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, fcntl
from types import TracebackType
from typing import Any, Protocol, Self

import structlog

from dockd.card.contract import CardFile, CardFileChangedError, CardStuckError, CardTrouble
from dockd.card.timeline import SegmentFacts
from dockd.reader.processes import WorkerDiedError, WorkerProcess
from dockd.reader.wire import (
    BYTES,
    END,
    FACTS_MAX,
    FAILED,
    GIVEN,
    STREAM_BYTES,
    WANTED,
    Deadline,
    LineBrokenError,
    exactly,
    facts_of,
    failure_of,
    file_of,
    file_words,
    parsed,
    path_of,
    printable_text,
)
from vault.clock import Clock

log = structlog.get_logger()

ANSWER_S = 110.0
"""How long a worker may take for one answer. Less than systemd's watchdog gives the dock, and more
than a listing is given.
"""


class Starts(Protocol):
    """Whoever starts workers."""

    def start(self, greeting: dict[str, Any]) -> WorkerProcess:
        """A worker of what the greeting names. Raises WorkerAbsentError, WorkerDiedError."""


class CameraWorker:
    """The worker of one camera during one docking. It is started at the first opening, and anew
    after it died. Any thread.
    """

    def __init__(
        self, workers: Starts, greeting: dict[str, Any], clock: Clock, *, answer_s: float = ANSWER_S
    ) -> None:
        self._workers = workers
        self._greeting = greeting
        self._clock = clock
        self.answer_s = answer_s
        self.answers = 0
        self._lock = threading.Lock()
        self._process: WorkerProcess | None = None

    def open(self, **question: Any) -> "RemoteCard":
        """A card on the worker. Raises what opening the card raises, WorkerDiedError, WorkerAbsentError."""
        process = self._started()
        answer = self.ask(process, {"do": "card", **question})
        match answer:
            case {"card": int(number), "where": str(where)}:
                return RemoteCard(self, process, number, printable_text(where))
        raise self.died(process, "it opened a card that is none")

    def greet(self) -> None:
        """Have a worker answer, and open nothing. Raises WorkerAbsentError, WorkerDiedError, CardStuckError."""
        self.ask(self._started(), {"do": "greet"})

    def _started(self) -> WorkerProcess:
        with self._lock:
            if self._process is None:
                self._process = self._workers.start(self._greeting)
            return self._process

    def end(self) -> None:
        """The docking is over: let the process go. Whoever still waits for an answer of it gets
        WorkerDiedError.
        """
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.end()

    def ask(self, process: WorkerProcess, question: dict[str, Any], *descriptors: int) -> Any:
        """An answer. Raises the card's errors, WorkerDiedError, and CardStuckError where none
        comes in time.
        """
        with self._lock:
            if self._process is not process:
                raise WorkerDiedError("The process that read the camera is gone.")
            deadline = self.deadline()
            try:
                process.line.send(question, *descriptors, deadline=deadline)
                answer = process.line.receive_answer(deadline)
                failure = failure_of(answer["failure"]) if "failure" in answer else None
            except TimeoutError as error:
                self._forget(process)
                raise CardStuckError(
                    f"The camera's reader has not answered for {self.answer_s:.0f} s."
                ) from error
            except LineBrokenError as error:
                self._forget(process)
                raise _died(str(error)) from error
        self.answers += 1
        if failure is not None:
            raise failure
        return answer.get("ok")

    def deadline(self) -> Deadline:
        """For an answer that is asked for now."""
        return Deadline(self._clock, self.answer_s)

    def died(self, process: WorkerProcess, why: str) -> WorkerDiedError:
        """Forget a process that died or speaks nonsense, so that the next opening starts another
        one; what to raise.
        """
        with self._lock:
            self._forget(process)
        return _died(why)

    def _forget(self, process: WorkerProcess) -> None:
        if self._process is process:
            self._process = None
            process.end()


class RemoteCard:
    """A `Card` in a worker. Any thread; the worker takes questions one by one."""

    def __init__(
        self, worker: CameraWorker, process: WorkerProcess, number: int, where: str
    ) -> None:
        self._worker = worker
        self._process = process
        self._number = number
        self._where = where
        self._trouble: tuple[CardTrouble, ...] = ()
        self._open = True

    @property
    def where(self) -> str:
        return self._where

    @property
    def trouble(self) -> tuple[CardTrouble, ...]:
        return self._trouble

    def files(self, below: tuple[str, ...] = ()) -> tuple[CardFile, ...]:
        """As `Card.files`."""
        answer = self._ask("files", below=list(below))
        with self._in_form():
            files = tuple(file_of(words) for words in answer["files"])
            trouble = tuple(
                CardTrouble(path_of(path), printable_text(code), printable_text(sentence))
                for path, code, sentence in answer["trouble"]
            )
        self._trouble = trouble
        return files

    def open(self, file: CardFile, offset: int = 0) -> "RemoteStream":
        """As `Card.open`."""
        near, far = socket.socketpair()
        memory = os.memfd_create("dock-block", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with far:
                os.ftruncate(memory, STREAM_BYTES)
                # A worker that made it smaller would kill the dock at its next look.
                fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
                self._ask("open", far.fileno(), memory, file=file_words(file), offset=offset)
            shared = mmap.mmap(memory, STREAM_BYTES, prot=mmap.PROT_READ)
            return RemoteStream(self, file, near, shared)
        except BaseException:
            near.close()
            raise
        finally:
            os.close(memory)

    def deadline(self) -> Deadline:
        """For an answer that is asked for now."""
        return self._worker.deadline()

    def answered(self) -> None:
        """The worker gave bytes."""
        self._worker.answers += 1

    def died(self, why: str) -> WorkerDiedError:
        """The worker died or speaks nonsense: what to raise."""
        return self._worker.died(self._process, why)

    def delete(self, file: CardFile) -> None:
        """As `Card.delete`."""
        self._ask("delete", file=file_words(file))

    def delete_folder(self, path: tuple[str, ...]) -> bool:
        """As `Card.delete_folder`."""
        return self._ask("delete_folder", path=list(path)) is True

    def clock_offset_ms(self) -> int | None:
        """As `Card.clock_offset_ms`."""
        answer = self._ask("offset")
        return answer if isinstance(answer, int) and not isinstance(answer, bool) else None

    def set_clock(self, moment: datetime) -> bool:
        """As `Card.set_clock`."""
        return self._ask("set_clock", moment=moment.isoformat()) is True

    def close(self) -> None:
        """As `Card.close`. A worker that is gone holds nothing any more."""
        if self._open:
            self._open = False
            try:
                self._ask("close")
            except CardStuckError:
                log.debug("reader gone before its card was closed", where=self._where)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, verb: str, *descriptors: int, **question: Any) -> Any:
        return self._worker.ask(
            self._process, {"do": verb, "card": self._number, **question}, *descriptors
        )

    @contextmanager
    def _in_form(self) -> Iterator[None]:
        try:
            yield
        except (LineBrokenError, KeyError, TypeError, ValueError) as error:
            raise self.died(f"it spoke what it should not of {self._where}") from error


class RemoteStream:
    """A `FileStream` in a worker; and a witness of the footage, as the worker looked at its boxes
    while it read. One thread.
    """

    def __init__(
        self, card: RemoteCard, file: CardFile, channel: socket.socket, shared: mmap.mmap
    ) -> None:
        self._card = card
        self._file = file
        self._channel = channel
        self._shared = shared
        self._facts: SegmentFacts | None = None

    def readinto(self, buffer: memoryview) -> int:
        """As `FileStream.readinto`."""
        wanted = min(buffer.nbytes, STREAM_BYTES)
        deadline = self._card.deadline()
        try:
            deadline.grant(self._channel)
            self._channel.sendall(WANTED.pack(wanted))
            kind, size_bytes = GIVEN.unpack(exactly(self._channel, GIVEN.size, deadline))
            if kind == BYTES and 0 < size_bytes <= wanted:
                buffer[:size_bytes] = memoryview(self._shared)[:size_bytes]
                self._card.answered()
                return int(size_bytes)
            if kind in (END, FAILED) and size_bytes <= FACTS_MAX:
                return self._ended(kind, exactly(self._channel, size_bytes, deadline))
            raise LineBrokenError("an answer that is none")
        except TimeoutError as error:
            raise CardStuckError(
                f"The camera has not given the next bytes of {self._file.shown} in time."
            ) from error
        except (OSError, LineBrokenError, ValueError, struct.error) as error:
            raise self._card.died(f"{self._file.shown}: {error}") from error

    def facts(self) -> SegmentFacts:
        """What the worker saw of the footage, once it came to the end. Raises CardFileChangedError
        before.
        """
        if self._facts is None:
            raise CardFileChangedError(
                f"{self._file.shown} was not read from its start to its end."
            )
        return self._facts

    def close(self) -> None:
        """As `FileStream.close`."""
        self._channel.close()
        self._shared.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ended(self, kind: int, text: bytes) -> int:
        if kind == FAILED:
            raise failure_of(parsed(text))
        self._facts = facts_of(text)
        return 0


def _died(why: str) -> WorkerDiedError:
    return WorkerDiedError(f"The process that read the camera ended: {why}.")
