"""One imported device: its transfers over the connection that carries it.

Source: the kernel's Documentation/usb/usbip_protocol.rst.
"""

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from usbip import protocol
from usbip.core import IN, Setup

from dockd.usb.descriptors import Configuration
from dockd.usb.usbip_status import CANCELLED, NO_DEVICE, TIMED_OUT, GarbledError, error_of

_SUBMIT = struct.Struct(">IIIIIIiiii8s")
_UNLINK = struct.Struct(">IIIIII24x")
_RETURN = struct.Struct(">IIIIIiiiii8x")


@dataclass(slots=True, eq=False)
class Transfer:
    """One request that is under way; `done` once it has its status."""

    direction: int
    view: memoryview
    done: threading.Event = field(default_factory=threading.Event)
    status: int = 0
    actual: int = 0
    unlinked_by: int | None = None

    def finish(self, status: int, actual: int) -> None:
        self.status, self.actual = status, actual
        self.done.set()

    def outcome(self) -> int:
        """How many bytes moved. Raises USBError.

        A request that was taken back and brings bytes all the same has brought them: they are not
        on the wire any more.
        """
        if self.status and not (self.status in CANCELLED and self.actual):
            raise error_of(self.status)
        return self.actual


class Link:
    """One imported device, and the connection that carries it. A reader thread of its own; any
    thread may ask.
    """

    def __init__(
        self, connection: socket.socket, busid: str, facts: dict[str, Any], patience_s: float
    ) -> None:
        """`facts` is what the server said of it. The connection is the link's from now on."""
        self.busid = busid
        self.bus, self.address, self.speed = facts["busnum"], facts["devnum"], facts["speed"]
        self.vendor, self.product, self.version = (
            facts["idVendor"],
            facts["idProduct"],
            facts["bcdDevice"],
        )
        self.claimed: dict[int, object] = {}
        self.descriptor: SimpleNamespace | None = None
        self.configurations: dict[int, Configuration | str] = {}
        self._socket = connection
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._pending: dict[int, Transfer] = {}
        self._sequence = 0
        self._gone = False
        # For sending: the reader waits on when it passes.
        connection.settimeout(patience_s)
        self._receiver = threading.Thread(target=self._read, name=f"usbip-{busid}", daemon=True)
        self._receiver.start()

    @property
    def gone(self) -> bool:
        return self._gone

    def control(self, setup: Setup, buffer: memoryview, timeout_ms: int) -> int:
        """A transfer on endpoint 0; how many bytes moved. Raises USBError."""
        return self.transfer(setup.direction, 0, buffer, timeout_ms, setup=setup.pack())

    def transfer(
        self,
        direction: int,
        endpoint: int,
        buffer: memoryview,
        timeout_ms: int,
        *,
        interval: int = 0,
        setup: bytes = bytes(8),
    ) -> int:
        """One request and its answer, the bytes straight into or out of the buffer; how many. 0 ms:
        for ever. Raises USBError.
        """
        transfer = Transfer(direction, buffer)
        sequence = self._begin(transfer)
        header = _SUBMIT.pack(
            protocol.CMD_SUBMIT,
            sequence,
            self._device,
            direction,
            endpoint & 15,
            0,
            len(buffer),
            0,
            0,
            interval,
            setup,
        )
        self._send(header if direction == IN else header + bytes(buffer))
        if not transfer.done.wait(timeout_ms / 1000 if timeout_ms else None):
            self._take_back(sequence, transfer)
        return transfer.outcome()

    def close(self) -> None:
        """Let go of the device; its thread has ended after this."""
        self._fall()
        if threading.current_thread() is not self._receiver:
            self._receiver.join()
        with self._sending:
            self._socket.close()

    @property
    def _device(self) -> int:
        return int(self.bus << 16 | self.address) & 0xFFFFFFFF

    def _begin(self, transfer: Transfer) -> int:
        """From now on the reader sees to it that the transfer ends."""
        with self._lock:
            if self._gone:
                raise error_of(NO_DEVICE)
            sequence = self._next()
            self._pending[sequence] = transfer
            return sequence

    def _next(self) -> int:
        self._sequence = self._sequence % 0x7FFFFFFF + 1
        return self._sequence

    def _send(self, content: bytes) -> None:
        """One piece, or the link falls: half a request would make garbage of all that follow."""
        try:
            with self._sending:
                self._socket.sendall(content)
        except OSError:
            self._fall()

    def _take_back(self, sequence: int, transfer: Transfer) -> None:
        """Time is up. What arrived before the server heard of it was a transfer that succeeded."""
        with self._lock:
            if sequence not in self._pending:
                # Its last bytes are in the buffer, or it is told this moment.
                number = None
            else:
                number = transfer.unlinked_by = self._next()
        if number is not None:
            self._send(_UNLINK.pack(protocol.CMD_UNLINK, number, self._device, 0, 0, sequence))
        if not transfer.done.wait(self._patience_s):
            # A server that answers neither: nobody knows what it still does to our buffer.
            self._fall()
            transfer.done.wait()

    def _fall(self) -> None:
        """The device is gone. The reader wakes, and ends everything that is under way."""
        with self._lock:
            self._gone = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    # The reader's

    def _read(self) -> None:
        header = bytearray(_RETURN.size)
        try:
            while True:
                self._fill(memoryview(header))
                self._returned(*_RETURN.unpack(header))
        except (OSError, GarbledError):
            pass
        finally:
            self._fall()
            with self._lock:
                left, self._pending = list(self._pending.values()), {}
            for transfer in left:
                transfer.finish(NO_DEVICE, 0)

    def _returned(self, command: int, sequence: int, *rest: int) -> None:
        if command == protocol.RET_UNLINK:
            self._unlinked(sequence)
        elif command == protocol.RET_SUBMIT:
            self._submitted(sequence, *rest[3:5])
        else:
            raise GarbledError

    def _submitted(self, sequence: int, status: int, actual: int) -> None:
        with self._lock:
            transfer = self._pending.get(sequence)
        if transfer is None or not 0 <= actual <= len(transfer.view):
            raise GarbledError
        if transfer.direction == IN:
            self._fill(transfer.view[:actual])
        with self._lock:
            del self._pending[sequence]
        transfer.finish(status, actual)

    def _unlinked(self, number: int) -> None:
        """A request was taken back. If it had been answered before, there is nothing of it here any
        more.
        """
        with self._lock:
            for sequence in [
                each for each, transfer in self._pending.items() if transfer.unlinked_by == number
            ]:
                self._pending.pop(sequence).finish(TIMED_OUT, 0)

    def _fill(self, view: memoryview) -> None:
        while view:
            try:
                count = self._socket.recv_into(view)
            except TimeoutError:
                continue
            if not count:
                raise GarbledError
            view = view[count:]
