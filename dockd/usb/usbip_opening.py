"""The first words on a USB/IP connection: what the server offers, and the import of one device.

Source: the kernel's Documentation/usb/usbip_protocol.rst.
"""

import socket
import struct
from typing import Any

from usbip import protocol

from dockd.usb.usbip_status import GarbledError
from vault.clock import Clock

LISTED_MAX = 1024
"""A list that says it is longer is none: a bus has 127 addresses."""
_OPERATION = struct.Struct(">HHI")
_ENTRY = struct.Struct(">256s32sIIIHHH6B")
_TRIPLE_BYTES = 4


class UsbipOpening:
    """What is said on a connection before there is a device on it. Its answers have one deadline
    together: a server that sends a byte now and then is not waited for either.
    """

    def __init__(self, connection: socket.socket, clock: Clock, patience_s: float) -> None:
        self._connection = connection
        self._clock = clock
        self._until_s = clock.monotonic_s() + patience_s

    def offered(self) -> list[str]:
        """Bus ids of what may be imported. Raises OSError, GarbledError."""
        self._ask(protocol.OP_REQ_DEVLIST, protocol.OP_REP_DEVLIST, b"")
        count = int.from_bytes(self._take(4), "big")
        if count > LISTED_MAX:
            raise GarbledError
        found = []
        for _ in range(count):
            facts = protocol.parse_usb_device(self._take(_ENTRY.size))
            self._take(_TRIPLE_BYTES * facts["bNumInterfaces"])
            found.append(facts["busid"])
        return found

    def take_over(self, busid: str) -> dict[str, Any]:
        """Import a device; what the server says of it. Raises OSError, GarbledError."""
        self._ask(
            protocol.OP_REQ_IMPORT, protocol.OP_REP_IMPORT, busid.encode("ascii").ljust(32, b"\0")
        )
        facts: dict[str, Any] = protocol.parse_usb_device(self._take(_ENTRY.size))
        if facts["busid"] != busid:
            raise GarbledError
        return facts

    def _ask(self, code: int, answer: int, content: bytes) -> None:
        self._connection.settimeout(self._left_s())
        self._connection.sendall(_OPERATION.pack(protocol.VERSION, code, 0) + content)
        if _OPERATION.unpack(self._take(_OPERATION.size)) != (protocol.VERSION, answer, 0):
            raise GarbledError

    def _take(self, count: int) -> bytes:
        content = bytearray(count)
        view = memoryview(content)
        while view:
            self._connection.settimeout(self._left_s())
            taken = self._connection.recv_into(view)
            if not taken:
                raise GarbledError
            view = view[taken:]
        return bytes(content)

    def _left_s(self) -> float:
        left_s = self._until_s - self._clock.monotonic_s()
        if left_s <= 0:
            raise TimeoutError
        return left_s
