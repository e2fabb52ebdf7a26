"""A USB/IP server that says whatever the input says, and dockd's backend as its client."""

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self, cast

from dockd.usb.usbip import UsbipBackend
from tests.campaigns.fuzz.parser import Differs

LIST = struct.pack(">HHII", 0x0111, 5, 0, 2)
"""The head of the reply to OP_REQ_DEVLIST: version 1.1.1, no error, two devices."""
IMPORT = struct.pack(">HHI", 0x0111, 3, 0)
ANSWER = struct.pack(">IIIII iiiii 8x", 3, 1, 0, 0, 0, 0, 18, 0, 0, 0)
"""The head of USBIP_RET_SUBMIT to request 1, 18 bytes."""


def device(port: int) -> tuple[bytes, ...]:
    """struct usbip_usb_device, in its fields."""
    busid = f"1-{port}".encode()
    path = b"/sys/devices/platform/vhci_hcd.0/usb1/" + busid
    numbers = (
        struct.pack(">III", 1, 6 + port, 3),
        struct.pack(">HHH", 0x1209, 7, 0x100),
        bytes([0, 0, 0, 1, 1]),
        b"\1",
    )
    return path.ljust(256, b"\0"), busid.ljust(32, b"\0"), *numbers


class Connection:
    """In the place of a socket: gives the bytes of a reply, then its end."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self._at = 0

    def recv(self, size: int) -> bytes:
        piece = bytes(self._reply[self._at : min(self._at + size, len(self._reply))])
        self._at += len(piece)
        return piece

    def recv_into(self, view: memoryview) -> int:
        piece = self.recv(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def sendall(self, content: bytes) -> None: ...

    def settimeout(self, seconds: float | None) -> None: ...

    def shutdown(self, how: int) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_trouble: object) -> None:
        self.close()


def enumerate_server(content: bytes) -> list[tuple[str, int, int, int]]:
    """List and import twice. The input begins with the length of the list; what follows is the
    reply to each import.
    """
    size = int.from_bytes(content[:2], "little") if len(content) > 1 else 0
    border = min(2 + size, len(content))
    replies = [bytes(content[min(2, border) : border])]

    def connect() -> Any:
        return Connection(replies.pop() if replies else bytes(content[border:]))

    backend = UsbipBackend(cast(Any, connect))
    with _threads_watched() as died:
        found = [
            (link.busid, link.bus, link.address, link.vendor)
            for link in backend.enumerate_devices()
        ]
        replies.append(replies[0] if replies else b"")
        found += [
            (link.busid, link.bus, link.address, link.vendor)
            for link in backend.enumerate_devices()
        ]
        backend.close()
    if died:
        raise Differs(f"a thread died: {died[0]!r}")
    return found


@contextmanager
def _threads_watched() -> Iterator[list[BaseException | None]]:
    """What threads die of meanwhile."""
    died: list[BaseException | None] = []
    before = threading.excepthook
    threading.excepthook = lambda arguments: died.append(arguments.exc_value)
    try:
        yield died
    finally:
        threading.excepthook = before
