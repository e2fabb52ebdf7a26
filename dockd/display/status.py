"""The status socket: whoever connects is given one JSON document of all bays, and nothing is asked
of them.

Who may connect is decided by the permissions of the socket and its folder. Nothing is read from a
caller, so nothing can be parsed wrongly; a caller that does not read is dropped after
`SEND_TIMEOUT_S`.
"""

import contextlib
import json
import socket
import threading
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from dockd.docking.bay import BayState, Board
from vault.clock import Clock, utc_text
from vault.errors import Failure, Reaction

FORMAT = "dockd/status/1"
SEND_TIMEOUT_S = 2.0
ANSWER_MAX_BYTES = 4 * 1024 * 1024


class StatusRefusedError(Failure):
    """The status socket can't be made, or does not answer."""

    code = "dock.status_refused"
    reaction = Reaction.TRY_AGAIN
    hint = "Look whether dockd runs: `systemctl status dockd`."


def status_document(board: Board, started_utc: datetime, now_utc: datetime) -> dict[str, Any]:
    """All bays and counters as JSON values. Times are RFC 3339 in UTC, sizes bytes of plaintext."""
    return {
        "format": FORMAT,
        "now_utc": utc_text(now_utc),
        "started_utc": utc_text(started_utc),
        "bays": [_bay_document(state) for state in board.states()],
        "counters": asdict(board.counters()),
    }


def _bay_document(state: BayState) -> dict[str, Any]:
    return {
        **asdict(state),
        "phase": state.phase.value,
        "lamp": state.phase.lamp.value,
        "since_utc": utc_text(state.since_utc),
        "seconds_left": state.seconds_left,
    }


class StatusServer:
    """Answers on a unix socket from a thread of its own, between `start` and `stop`."""

    def __init__(self, path: Path, board: Board, clock: Clock) -> None:
        self._path = path
        self._board = board
        self._clock = clock
        self._started_utc = clock.now()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._thread = threading.Thread(target=self._serve, name="status", daemon=True)
        self._stopping = False

    def start(self) -> None:
        """Bind and answer. Raises StatusRefusedError.

        A socket that a killed process left behind is replaced. Another dockd can't be behind it:
        the vault's intake lock was taken before.
        """
        try:
            if self._path.is_socket():
                self._path.unlink()
            self._socket.bind(str(self._path))
            self._path.chmod(0o660)
            self._socket.listen(128)
        except OSError as error:
            self._socket.close()
            raise StatusRefusedError(
                f"The status socket {self._path} can't be made: {error.strerror}.",
                hint="Name another path with the key `status_socket`, or make its folder.",
            ) from error
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        # close() alone leaves accept() waiting for ever; shutdown() wakes it.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if self._thread.is_alive():
            self._thread.join(SEND_TIMEOUT_S)
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while not self._stopping:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            document = status_document(self._board, self._started_utc, self._clock.now())
            with connection, contextlib.suppress(OSError):
                connection.settimeout(SEND_TIMEOUT_S)
                connection.sendall(json.dumps(document).encode() + b"\n")


def ask_status(path: Path) -> dict[str, Any]:
    """The document of the dockd that serves `path`. Raises StatusRefusedError."""
    answer = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.settimeout(SEND_TIMEOUT_S * 2)
            caller.connect(str(path))
            while block := caller.recv(65536):
                answer += block
                if len(answer) > ANSWER_MAX_BYTES:
                    raise StatusRefusedError(f"What answers on {path} is not dockd.")
        document = json.loads(answer)
    except OSError as error:
        raise StatusRefusedError(
            f"No dockd answers on {path}: {error.strerror or error}."
        ) from error
    except ValueError as error:
        raise StatusRefusedError(f"What answers on {path} is not dockd.") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StatusRefusedError(f"What answers on {path} is not dockd of this version.")
    return document
