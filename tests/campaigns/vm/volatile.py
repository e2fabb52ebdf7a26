"""A disk that loses what was not flushed: an image behind an NBD socket, with a write cache that a
power cut throws away.

QEMU passes a guest's flushes on (NBD, github.com/NetworkBlockDevice/nbd, doc/proto.md). What was
written since the last one is held here, and at the cut each such write is kept, lost or torn, as a
drive without power may leave it. Several disks on one `Power` go dark at the same moment: at the
n-th write or flush that reaches any of them.

Everything that reached a disk is also kept in order, so that the disks of a life that nobody cut
can be laid out as a cut at any other of its moments would have left them.
"""

import contextlib
import mmap
import os
import random
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

SECTOR_BYTES = 512
BLOCK_BYTES = 1 << 20

_GREETING = b"NBDMAGIC" + b"IHAVEOPT" + struct.pack(">H", 1 | 2)
_OPTION = struct.Struct(">8sII")
_OPTION_REPLY = struct.Struct(">QIII")
_OPTION_REPLY_MAGIC = 0x3E889045565A9
_GO, _INFO, _ABORT = 7, 6, 2
_ACK, _REP_INFO, _UNSUPPORTED = 1, 3, (1 << 31) + 1
_EXPORT = struct.Struct(">HQH")
_FEATURES = 1 | 4
"""Flags and flush; no trim, so a hole is written as zeros, and no FUA: QEMU flushes instead."""
_REQUEST = struct.Struct(">IHHQQI")
_REQUEST_MAGIC, _REPLY_MAGIC = 0x25609513, 0x67446698
_REPLY = struct.Struct(">IIQ")
_READ, _WRITE, _DISCONNECT, _FLUSH = 0, 1, 2, 3
_EIO, _EINVAL = 5, 22


class Power:
    """What the disks of one machine hang on. It counts writes and flushes over all of them, in the
    one order they happened in.

    `cut_after`: at this one it is gone. `answers_after`: a disk that is pulled out of a machine
    that runs on gives errors; one whose machine is dark gives nothing at all.
    """

    def __init__(self, cut_after: int | None = None, *, answers_after: bool = False) -> None:
        self.lock = threading.Lock()
        self.gone = threading.Event()
        self.answers_after = answers_after
        self.count = 0
        self._cut_after = cut_after

    def tick(self) -> None:
        """One more write or flush has reached a disk. The lock is held."""
        self.count += 1
        if self.count == self._cut_after:
            self.gone.set()

    def cut(self) -> None:
        with self.lock:
            self.gone.set()


@dataclass(frozen=True, slots=True)
class Event:
    """What reached a disk: `at` counts over all disks of a power. A flush has no content."""

    at: int
    offset: int
    content: bytes | None


class VolatileDisk:
    """Serves one machine. `image` is never written: what the guest sees and what is durable are
    copies in memory.
    """

    def __init__(self, image: Path, place: Path, power: Power) -> None:
        self.socket_path = place
        self.power = power
        self._image = image
        self.events: list[Event] = []
        with image.open("rb") as file:
            self._seen = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            self._durable = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._pending: list[tuple[int, bytes]] = []
        self._entrance = socket.socket(socket.AF_UNIX)
        self._entrance.bind(str(place))
        self._entrance.listen()
        threading.Thread(target=self._serve, name="volatile", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._entrance.shutdown(socket.SHUT_RDWR)
        self._entrance.close()

    def options(self, name: str) -> dict[str, object]:
        """What QEMU calls this disk's block device, as `blockdev-add` takes it."""
        return {
            "driver": "nbd",
            "node-name": name,
            "server": {"type": "unix", "path": str(self.socket_path)},
            "export": "disk",
        }

    @property
    def unflushed(self) -> int:
        """How many writes a cut may lose now."""
        with self.power.lock:
            return len(self._pending)

    def left_behind(self, image: Path, chance: random.Random) -> str:
        """Write what the disk holds after the cut; returns what became of the un-flushed writes,
        for the report.
        """
        with self.power.lock:
            assert self.power.gone.is_set(), "the power is still on"
            told = _befall(self._durable, self._pending, chance)
            _write(image, self._durable)
            return told

    def as_cut_at(self, at: int, image: Path, chance: random.Random) -> str:
        """Write what the disk would hold, had the power gone with the `at`-th write or flush of the
        life that it has served.
        """
        with (
            self._image.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as content,
        ):
            pending: list[tuple[int, bytes]] = []
            for event in self.events:
                if event.at > at or (event.at == at and event.content is None):
                    break
                if event.content is None:
                    for offset, written in pending:
                        content[offset : offset + len(written)] = written
                    pending.clear()
                else:
                    pending.append((event.offset, event.content))
            told = _befall(content, pending, chance)
            _write(image, content)
            return told

    def save(self, image: Path) -> None:
        """Write what the guest sees: after an orderly end."""
        with self.power.lock:
            _write(image, self._seen)

    # --- the wire ---------------------------------------------------------------------------------

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._entrance.accept()
                threading.Thread(
                    target=self._talk, args=(connection,), name="volatile-wire", daemon=True
                ).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, EOFError):
            connection.sendall(_GREETING)
            _exactly(connection, 4)
            if self._agree(connection):
                while self._answer(connection):
                    pass

    def _agree(self, connection: socket.socket) -> bool:
        while True:
            _, option, length = _OPTION.unpack(_exactly(connection, _OPTION.size))
            _exactly(connection, length)
            if option in (_GO, _INFO):
                export = _EXPORT.pack(0, len(self._seen), _FEATURES)
                connection.sendall(
                    _OPTION_REPLY.pack(_OPTION_REPLY_MAGIC, option, _REP_INFO, len(export)) + export
                )
                connection.sendall(_OPTION_REPLY.pack(_OPTION_REPLY_MAGIC, option, _ACK, 0))
                if option == _GO:
                    return True
            elif option == _ABORT:
                return False
            else:
                connection.sendall(_OPTION_REPLY.pack(_OPTION_REPLY_MAGIC, option, _UNSUPPORTED, 0))

    def _answer(self, connection: socket.socket) -> bool:
        magic, flags, kind, handle, offset, length = _REQUEST.unpack(
            _exactly(connection, _REQUEST.size)
        )
        assert magic == _REQUEST_MAGIC
        if kind == _DISCONNECT:
            return False
        content = _exactly(connection, length) if kind == _WRITE else b""
        with self.power.lock:
            if self.power.gone.is_set():
                error, given = _EIO, b""
            else:
                error, given = self._do(kind, flags, offset, length, content)
            dark = self.power.gone.is_set()
        if dark and not self.power.answers_after:
            # Whoever waits for this answer waits until the machine is killed.
            while connection.recv(BLOCK_BYTES):
                pass
            return False
        connection.sendall(
            _REPLY.pack(_REPLY_MAGIC, _EIO if dark else error, handle) + (b"" if dark else given)
        )
        return True

    def _do(
        self, kind: int, flags: int, offset: int, length: int, content: bytes
    ) -> tuple[int, bytes]:
        if kind == _READ:
            return 0, self._seen[offset : offset + length]
        if kind == _WRITE:
            self._seen[offset : offset + length] = content
            self._pending.append((offset, content))
        elif kind != _FLUSH:
            return _EINVAL, b""
        self.power.tick()
        if kind == _WRITE:
            self.events.append(Event(self.power.count, offset, content))
        if not self.power.gone.is_set() and kind == _FLUSH:
            self.events.append(Event(self.power.count, 0, None))
            for at, written in self._pending:
                self._durable[at : at + len(written)] = written
            self._pending.clear()
        return 0, b""


def _befall(durable: mmap.mmap, pending: Sequence[tuple[int, bytes]], chance: random.Random) -> str:
    """What becomes of un-flushed writes: all lost, all kept, or each by itself, some of them in
    part.
    """
    fate = chance.choices(("lost", "mixed", "kept"), (4, 5, 1))[0]
    kept = torn = 0
    for offset, content in pending:
        survives = {"lost": 0.0, "mixed": 0.5, "kept": 1.0}[fate] > chance.random()
        size = len(content)
        if fate == "mixed" and survives and size > SECTOR_BYTES and chance.random() < 0.2:
            size = chance.randrange(SECTOR_BYTES, size, SECTOR_BYTES)
            torn += 1
        if survives:
            durable[offset : offset + size] = content[:size]
            kept += 1
    return f"{kept} of {len(pending)} un-flushed writes kept, {torn} torn"


def _exactly(connection: socket.socket, size_bytes: int) -> bytes:
    pieces = []
    while size_bytes:
        piece = connection.recv(min(size_bytes, BLOCK_BYTES))
        if not piece:
            raise EOFError
        pieces.append(piece)
        size_bytes -= len(piece)
    return b"".join(pieces)


def _write(image: Path, content: mmap.mmap) -> None:
    """With holes where it is zero, as a disk of some hundred MiB mostly is."""
    zeros = bytes(BLOCK_BYTES)
    with image.open("wb") as file:
        for at in range(0, len(content), BLOCK_BYTES):
            block = content[at : at + BLOCK_BYTES]
            if block != zeros[: len(block)]:
                os.pwrite(file.fileno(), block, at)
        file.truncate(len(content))
