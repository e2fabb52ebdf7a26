"""How a reader comes to be: a connection at whose far end a process waits to be told what to read.

On a docking PC systemd starts one for each connection to a socket (`dock-reader.socket`), as a user
of its own, behind the walls of its unit. Without such a socket the dock starts its readers itself:
the same program, which then has Landlock alone.
"""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dockd.card.contract import CardStuckError
from dockd.reader.wire import Line, LineBrokenError

PROGRAM = (sys.executable, "-I", "-m", "dockd.reader")
"""Isolated, as the unit starts it: no module comes from the working directory, or from where the
environment says.
"""
ENDING_S = 2.0
"""How long a reader whose dock has hung up may take to end, before it is killed."""


class WorkerDiedError(CardStuckError):
    """The process that held the camera ended. Nothing else is concerned: what it had not given is
    not in the vault.
    """

    code = "reader.died"
    hint = (
        "Dock the camera again. If its reader dies three times the port is closed, and the camera "
        "is to be kept apart."
    )


class WorkerAbsentError(CardStuckError):
    """No reader can be started."""

    code = "reader.absent"
    hint = (
        "Look with `systemctl status dock-reader.socket` and `journalctl -u 'dock-reader@*'` why; "
        "the dock tries again by itself."
    )


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A reader and the dock's end of the line to it."""

    line: Line
    end: Callable[[], None]
    """Hang up and see to it that the process is gone, where it is the dock's own."""


class Workers:
    """Starts readers: by a socket of the service manager, or itself. Any thread."""

    def __init__(
        self, socket_path: Path | None, program: Sequence[str] = PROGRAM, *, log_level: str = "info"
    ) -> None:
        self._socket_path = socket_path
        self._program = program
        self._log_level = log_level

    def start(self, greeting: dict[str, Any]) -> WorkerProcess:
        """A reader of what the greeting names. Raises WorkerAbsentError, WorkerDiedError."""
        try:
            process = (
                self._activated(self._socket_path)
                if self._socket_path is not None
                else self._spawned()
            )
        except OSError as error:
            raise WorkerAbsentError(
                f"No reader can be started for the camera: {error.strerror or error}."
            ) from error
        try:
            process.line.send({"log": self._log_level, **greeting})
        except LineBrokenError as error:
            process.end()
            raise WorkerDiedError(f"The camera's reader ended at once: {error}.") from error
        return process

    def _activated(self, path: Path) -> WorkerProcess:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(path))
        except OSError:
            connection.close()
            raise
        line = Line(connection)
        return WorkerProcess(line, line.close)

    def _spawned(self) -> WorkerProcess:
        near, far = socket.socketpair()
        with far:
            try:
                process = subprocess.Popen([*self._program], stdin=far.fileno())
            except OSError:
                near.close()
                raise
        line = Line(near)

        def end() -> None:
            line.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(ENDING_S)
                return
            process.kill()
            process.wait()

        return WorkerProcess(line, end)
