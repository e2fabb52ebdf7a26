"""The way of one USB/IP connection, which can be held at a byte: a camera is torn out in mid-pull,
however fast the machine.
"""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

BLOCK_BYTES = 65536


class Cable:
    """Passes one connection on to a port of this machine, and holds it once `hold_after` bytes came
    from there.

    From then on nothing comes through until the far end hangs up, which is passed on at once.
    """

    def __init__(self, port: int, hold_after: int) -> None:
        self.held = threading.Event()
        self._far_port = port
        self._left = hold_after
        self._entrance = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._entrance.getsockname()[1]
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A shutdown wakes the thread where nobody has connected; a close would not.
        with contextlib.suppress(OSError):
            self._entrance.shutdown(socket.SHUT_RDWR)
        self._entrance.close()

    def _carry(self) -> None:
        with contextlib.suppress(OSError):
            near, _ = self._entrance.accept()
            with near, socket.create_connection(("127.0.0.1", self._far_port)) as far:
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                back = threading.Thread(target=_pass, args=(near, far), daemon=True)
                back.start()
                self._pass_held(far, near)
                near.shutdown(socket.SHUT_RDWR)
                back.join()

    def _pass_held(self, far: socket.socket, near: socket.socket) -> None:
        while block := far.recv(BLOCK_BYTES):
            near.sendall(block[: self._left])
            self._left -= min(self._left, len(block))
            if not self._left:
                self.held.set()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(BLOCK_BYTES):
            sink.sendall(block)
        sink.shutdown(socket.SHUT_WR)
