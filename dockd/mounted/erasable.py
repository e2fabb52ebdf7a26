"""A mounted card that is made writable for its erase, and for nothing else.

Cards are mounted for reading. A service of the docking PC that may do nothing but this
(`dock-erase@.service`) shows a card for writing at a second place, for as long as the dock holds a
connection to it; then it is flushed, and mounted for reading again.
"""

import contextlib
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from dockd.card.contract import Card, CardReadOnlyError

Writable = Callable[[], AbstractContextManager[Callable[[], Card]]]
"""While it is entered, what it gives opens the card for its erase."""

ANSWER_S = 60.0
WORD_MAX = 4096


class EraseDoor:
    """Asks the service at `socket_path`. Cards appear below `root`, under the names of their mount
    points.
    """

    def __init__(self, socket_path: Path, root: Path) -> None:
        self._socket_path = socket_path
        self._root = root

    def place(self, bay: str) -> Path:
        """Where the card of this bay appears for its erase."""
        return self._root / bay

    @contextmanager
    def opened(self, bay: str) -> Iterator[Path]:
        """The place at which the card may be erased; flushed and closed again at the end. Raises
        CardReadOnlyError.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_S)
            try:
                connection.connect(str(self._socket_path))
                connection.sendall(bay.encode("ascii", "backslashreplace") + b"\n")
                answer = connection.recv(WORD_MAX).decode("utf-8", "replace").strip()
            except OSError as error:
                raise CardReadOnlyError(
                    f"The card in {bay} can't be erased: nobody makes it writable "
                    f"({error.strerror})."
                ) from error
            if answer != "open":
                raise CardReadOnlyError(
                    f"The card in {bay} can't be erased: "
                    f"{answer or 'the service that makes it writable ended'}."
                )
            try:
                yield self.place(bay)
            finally:
                # The service hangs up once the card is flushed. A card that was pulled out
                # meanwhile is flushed no more.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(WORD_MAX)
