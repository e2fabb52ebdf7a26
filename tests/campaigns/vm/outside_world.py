"""The world outside the guest, in which a power cut changes nothing: the witness's notes, and what
a viewer was shown.

Guests connect to a port of this machine (10.0.2.2 to them) and send one message: a word, a line
feed, and its content to the end. The answer `ok` says that it is kept.
"""

import contextlib
import json
import socket
import threading
from types import TracebackType
from typing import Any, Self

from tests.campaigns.vm.volatile import Power

NOTE, SHOWN = "note", "shown"
LAST = 1 << 62


class Outside:
    """Keeps messages in the order in which they came, from its start to `close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[tuple[int, str, bytes]] = []
        self.power: Power | None = None
        """Of the machine that is heard: how far its disks were when a message came."""
        self._entrance = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._entrance.getsockname()[1]
        threading.Thread(target=self._serve, name="outside", daemon=True).start()

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

    def forget(self) -> None:
        """A new machine begins."""
        with self._lock:
            self._kept.clear()

    def notes(self, before: int = LAST) -> list[bytes]:
        """What the witness was handed, before a moment of the disks."""
        with self._lock:
            return [content for at, word, content in self._kept if word == NOTE and at < before]

    def shown(self, before: int = LAST) -> list[dict[str, Any]]:
        """What the viewer got before a moment of the disks: {viewing,
        recording, name, size_bytes}.
        """
        with self._lock:
            return [
                json.loads(content)
                for at, word, content in self._kept
                if word == SHOWN and at < before
            ]

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._entrance.accept()
                threading.Thread(target=self._hear, args=(connection,), daemon=True).start()

    def _hear(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            pieces = []
            while piece := connection.recv(1 << 16):
                pieces.append(piece)
            word, _, content = b"".join(pieces).partition(b"\n")
            with self._lock:
                self._kept.append(
                    (self.power.count if self.power is not None else 0, word.decode(), content)
                )
            connection.sendall(b"ok")
