"""pyusb's backend over USB/IP, in user space: the same pyusb above it, a socket in place of a
kernel below.

A server shows its devices in a list; each is imported once, over a connection of its own, and is
there for as long as that connection stands: when it falls, the cable was pulled. What comes over it
is untrusted, and nothing is waited for without end but what the caller of a transfer wants to wait
for.

Sources: the kernel's Documentation/usb/usbip_protocol.rst; USB 2.0, chapter 9 for standard
requests.
"""

import array
import contextlib
import errno
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import usb.backend
import usb.core
import usb.util
from usbip import core, protocol
from usbip.core import IN, OUT, Setup

from dockd.usb.descriptors import Configuration, misframed, parse_configuration
from vault.clock import Clock, SystemClock

PATIENCE_S = 5.0
LISTED_MAX = 1024
"""A list that says it is longer is none: a bus has 127 addresses."""
KEEPALIVE_S, KEEPALIVE_PROBES = 5, 3
"""A server's machine that fell silent is noticed in 20 seconds, though nobody asks it anything."""

_OPERATION = struct.Struct(">HHI")
_ENTRY = struct.Struct(">256s32sIIIHHH6B")
_TRIPLE_BYTES = 4
_SUBMIT = struct.Struct(">IIIIIIiiii8s")
_UNLINK = struct.Struct(">IIIIII24x")
_RETURN = struct.Struct(">IIIIIiiiii8x")

_NO_DEVICE, _TIMED_OUT = -19, -110
_CANCELLED = (-104, -2)
_TIMEOUT = (usb.core.USBTimeoutError, "Operation timed out", -7, errno.ETIMEDOUT)
_GONE = (usb.core.USBError, "No such device (it may have been disconnected)", -4, errno.ENODEV)
_ERRORS = {
    _NO_DEVICE: _GONE,
    -108: _GONE,
    _TIMED_OUT: _TIMEOUT,
    **dict.fromkeys(_CANCELLED, _TIMEOUT),
    -32: (usb.core.USBError, "Pipe error", -9, errno.EPIPE),
    -75: (usb.core.USBError, "Overflow", -8, errno.EOVERFLOW),
}
"""A kernel's status of a request, and what pyusb's libusb backend raises for it: kind, text,
libusb's number, errno.
"""
_SPEEDS = {
    1: usb.util.SPEED_LOW,
    2: usb.util.SPEED_FULL,
    3: usb.util.SPEED_HIGH,
    5: usb.util.SPEED_SUPER,
}
_BUSID = re.compile(r"([1-9][0-9]{0,2})-([1-9][0-9]{0,2}(?:\.[1-9][0-9]{0,2}){0,6})")

Connect = Callable[[], socket.socket]


def _error(status: int) -> usb.core.USBError:
    """The error that libusb's backend raises for the same thing."""
    kind, text, code, number = _ERRORS.get(
        status, (usb.core.USBError, "Input/Output Error", -1, errno.EIO)
    )
    return kind(text, code, number)


class _Garbled(Exception):
    """What came fits nothing that was asked: the stream can't be followed any further."""


class _Opening:
    """What is said on a connection before there is a device on it. Its answers have one deadline
    together: a server that sends a byte now and then is not waited for either.
    """

    def __init__(self, connection: socket.socket, clock: Clock, patience_s: float) -> None:
        self._connection = connection
        self._clock = clock
        self._until_s = clock.monotonic_s() + patience_s

    def offered(self) -> list[str]:
        """Bus ids of what may be imported. Raises OSError, _Garbled."""
        self._ask(protocol.OP_REQ_DEVLIST, protocol.OP_REP_DEVLIST, b"")
        count = int.from_bytes(self._take(4), "big")
        if count > LISTED_MAX:
            raise _Garbled
        found = []
        for _ in range(count):
            facts = protocol.parse_usb_device(self._take(_ENTRY.size))
            self._take(_TRIPLE_BYTES * facts["bNumInterfaces"])
            found.append(facts["busid"])
        return found

    def take_over(self, busid: str) -> dict[str, Any]:
        """Import a device; what the server says of it. Raises OSError, _Garbled."""
        self._ask(
            protocol.OP_REQ_IMPORT, protocol.OP_REP_IMPORT, busid.encode("ascii").ljust(32, b"\0")
        )
        facts: dict[str, Any] = protocol.parse_usb_device(self._take(_ENTRY.size))
        if facts["busid"] != busid:
            raise _Garbled
        return facts

    def _ask(self, code: int, answer: int, content: bytes) -> None:
        self._connection.settimeout(self._left_s())
        self._connection.sendall(_OPERATION.pack(protocol.VERSION, code, 0) + content)
        if _OPERATION.unpack(self._take(_OPERATION.size)) != (protocol.VERSION, answer, 0):
            raise _Garbled

    def _take(self, count: int) -> bytes:
        content = bytearray(count)
        view = memoryview(content)
        while view:
            self._connection.settimeout(self._left_s())
            taken = self._connection.recv_into(view)
            if not taken:
                raise _Garbled
            view = view[taken:]
        return bytes(content)

    def _left_s(self) -> float:
        left_s = self._until_s - self._clock.monotonic_s()
        if left_s <= 0:
            raise TimeoutError
        return left_s


@dataclass(slots=True, eq=False)
class _Transfer:
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
        if self.status and not (self.status in _CANCELLED and self.actual):
            raise _error(self.status)
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
        self._pending: dict[int, _Transfer] = {}
        self._sequence = 0
        self._gone = False
        # For sending: the reader waits on when it passes.
        connection.settimeout(patience_s)
        self._reader = threading.Thread(target=self._read, name=f"usbip-{busid}", daemon=True)
        self._reader.start()

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
        transfer = _Transfer(direction, buffer)
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
        if threading.current_thread() is not self._reader:
            self._reader.join()
        with self._sending:
            self._socket.close()

    @property
    def _device(self) -> int:
        return int(self.bus << 16 | self.address) & 0xFFFFFFFF

    def _begin(self, transfer: _Transfer) -> int:
        """From now on the reader sees to it that the transfer ends."""
        with self._lock:
            if self._gone:
                raise _error(_NO_DEVICE)
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

    def _take_back(self, sequence: int, transfer: _Transfer) -> None:
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
        except (OSError, _Garbled):
            pass
        finally:
            self._fall()
            with self._lock:
                left, self._pending = list(self._pending.values()), {}
            for transfer in left:
                transfer.finish(_NO_DEVICE, 0)

    def _returned(self, command: int, sequence: int, *rest: int) -> None:
        if command == protocol.RET_UNLINK:
            self._unlinked(sequence)
        elif command == protocol.RET_SUBMIT:
            self._submitted(sequence, *rest[3:5])
        else:
            raise _Garbled

    def _submitted(self, sequence: int, status: int, actual: int) -> None:
        with self._lock:
            transfer = self._pending.get(sequence)
        if transfer is None or not 0 <= actual <= len(transfer.view):
            raise _Garbled
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
                self._pending.pop(sequence).finish(_TIMED_OUT, 0)

    def _fill(self, view: memoryview) -> None:
        while view:
            try:
                count = self._socket.recv_into(view)
            except TimeoutError:
                continue
            if not count:
                raise _Garbled
            view = view[count:]


@dataclass(eq=False, slots=True)
class _Handle:
    """A device that somebody opened."""

    link: Link


class UsbipBackend(usb.backend.IBackend):  # type: ignore[misc]
    """What the methods promise is pyusb's text (`usb.backend.IBackend`). Any thread."""

    def __init__(
        self, connect: Connect, *, clock: Clock | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        """`connect` gives a fresh connection to the server, or raises OSError.

        `patience_s` is how long the server may take for what it owes at once: its list, an import,
        a descriptor, to read what is sent, to give back a request.
        """
        self._connect = connect
        self._clock = clock or SystemClock()
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._claiming = threading.Lock()
        self._links: dict[str, Link] = {}
        self._closed = False

    @classmethod
    def over_tcp(cls, host: str, port: int) -> "UsbipBackend":
        return cls(lambda: _tcp(host, port))

    def close(self) -> None:
        """Let go of all devices. None is found from now on."""
        with self._lock:
            self._closed = True
            links, self._links = list(self._links.values()), {}
        for link in links:
            link.close()

    def _finalize_object(self) -> None:
        self.close()

    def enumerate_devices(self) -> Iterator[Link]:
        """Imports what has come, and lets go of what has left. Who is here already stays, whatever
        the server lists.
        """
        with self._lock:
            for busid in [busid for busid, link in self._links.items() if link.gone]:
                self._links.pop(busid).close()
            for busid in () if self._closed else sorted(self._listed() - set(self._links)):
                link = self._imported(busid)
                if link is not None:
                    self._links[busid] = link
            return iter(sorted(self._links.values(), key=lambda link: _place(link.busid)))

    def get_parent(self, dev: Link) -> None:
        return None

    def get_device_descriptor(self, dev: Link) -> SimpleNamespace:
        """What the server's list says stands in for a device that does not answer: it must not hide
        the others.
        """
        if dev.descriptor is None:
            bus, *ports = _place(dev.busid)
            fields = vars(self._device_descriptor(dev))
            dev.descriptor = SimpleNamespace(
                bLength=18,
                bDescriptorType=core.DT_DEVICE,
                bus=bus,
                address=dev.address,
                speed=_SPEEDS.get(dev.speed, usb.util.SPEED_UNKNOWN),
                port_numbers=tuple(ports),
                port_number=ports[-1],
                **fields,
            )
        return dev.descriptor

    def get_configuration_descriptor(self, dev: Link, config: int) -> SimpleNamespace:
        return self._configuration(dev, config).fields

    def get_interface_descriptor(
        self, dev: Link, intf: int, alt: int, config: int
    ) -> SimpleNamespace:
        return self._configuration(dev, config).interfaces[intf][alt]

    def get_endpoint_descriptor(self, dev: Link, ep: int, intf: int, alt: int, config: int) -> Any:
        return self.get_interface_descriptor(dev, intf, alt, config).endpoints[ep]

    def open_device(self, dev: Link) -> _Handle:
        if dev.gone:
            raise _error(_NO_DEVICE)
        return _Handle(dev)

    def close_device(self, dev_handle: _Handle) -> None:
        claimed = dev_handle.link.claimed
        with self._claiming:
            for interface in [number for number, holder in claimed.items() if holder is dev_handle]:
                del claimed[interface]

    def set_configuration(self, dev_handle: _Handle, config_value: int) -> None:
        self._order(dev_handle, Setup(0, 9, config_value, 0, 0))

    def get_configuration(self, dev_handle: _Handle) -> int:
        answer = bytearray(1)
        dev_handle.link.control(Setup(0x80, 8, 0, 0, 1), memoryview(answer), self._patience_ms)
        return answer[0]

    def set_interface_altsetting(self, dev_handle: _Handle, intf: int, altsetting: int) -> None:
        self._order(dev_handle, Setup(1, 11, altsetting, intf, 0))

    def claim_interface(self, dev_handle: _Handle, intf: int) -> None:
        if dev_handle.link.gone:
            raise _error(_NO_DEVICE)
        with self._claiming:
            if dev_handle.link.claimed.setdefault(intf, dev_handle) is not dev_handle:
                raise usb.core.USBError("Resource busy", -6, errno.EBUSY)

    def release_interface(self, dev_handle: _Handle, intf: int) -> None:
        with self._claiming:
            if dev_handle.link.claimed.get(intf) is dev_handle:
                del dev_handle.link.claimed[intf]

    def bulk_write(
        self, dev_handle: _Handle, ep: int, intf: int, data: "array.array[int]", timeout: int
    ) -> int:
        return dev_handle.link.transfer(OUT, ep, memoryview(data).cast("B"), timeout)

    def bulk_read(
        self, dev_handle: _Handle, ep: int, intf: int, buff: "array.array[int]", timeout: int
    ) -> int:
        return dev_handle.link.transfer(IN, ep, memoryview(buff).cast("B"), timeout)

    def intr_write(
        self, dev_handle: _Handle, ep: int, intf: int, data: "array.array[int]", timeout: int
    ) -> int:
        return dev_handle.link.transfer(OUT, ep, memoryview(data).cast("B"), timeout, interval=1)

    def intr_read(
        self, dev_handle: _Handle, ep: int, intf: int, size: "array.array[int]", timeout: int
    ) -> int:
        """A kernel that serves the device refuses an interrupt request without an interval."""
        return dev_handle.link.transfer(IN, ep, memoryview(size).cast("B"), timeout, interval=1)

    def ctrl_transfer(
        self,
        dev_handle: _Handle,
        bmRequestType: int,
        bRequest: int,
        wValue: int,
        wIndex: int,
        data: "array.array[int]",
        timeout: int,
    ) -> int:
        view = memoryview(data).cast("B")
        return dev_handle.link.control(
            Setup(bmRequestType, bRequest, wValue, wIndex, len(view)), view, timeout
        )

    def clear_halt(self, dev_handle: _Handle, ep: int) -> None:
        self._order(dev_handle, Setup(2, 1, 0, ep, 0))

    def reset_device(self, dev_handle: _Handle) -> None:
        """Servers in user space know no reset of a port, and a kernel does it at each import."""

    def is_kernel_driver_active(self, dev_handle: _Handle, intf: int) -> bool:
        return False

    def detach_kernel_driver(self, dev_handle: _Handle, intf: int) -> None:
        """No kernel driver is ever bound here."""

    @property
    def _patience_ms(self) -> int:
        return int(self._patience_s * 1000)

    def _order(self, handle: _Handle, setup: Setup) -> None:
        handle.link.control(setup, memoryview(b""), self._patience_ms)

    def _listed(self) -> set[str]:
        """Names of ports that the server offers; nothing where it can't be reached, or does not
        speak USB/IP.
        """
        try:
            with self._connect() as connection:
                return {
                    busid
                    for busid in _Opening(connection, self._clock, self._patience_s).offered()
                    if _BUSID.fullmatch(busid)
                }
        except (OSError, _Garbled):
            return set()

    def _imported(self, busid: str) -> Link | None:
        """None where somebody else was faster, or the device left meanwhile."""
        with contextlib.ExitStack() as undo:
            try:
                connection = undo.enter_context(self._connect())
                facts = _Opening(connection, self._clock, self._patience_s).take_over(busid)
            except (OSError, _Garbled):
                return None
            link = Link(connection, busid, facts, self._patience_s)
            undo.pop_all()
            return link

    def _device_descriptor(self, dev: Link) -> core.DeviceDescriptor:
        buffer = bytearray(18)
        with contextlib.suppress(usb.core.USBError):
            if self._descriptor(dev, core.DT_DEVICE, 0, buffer) == 18 and buffer[:2] == bytes(
                [18, core.DT_DEVICE]
            ):
                return core.DeviceDescriptor.parse(bytes(buffer))
        return core.DeviceDescriptor(
            idVendor=dev.vendor, idProduct=dev.product, bcdDevice=dev.version
        )

    def _descriptor(self, dev: Link, kind: int, index: int, buffer: bytearray) -> int:
        return dev.control(
            Setup(0x80, 6, kind << 8 | index, 0, len(buffer)), memoryview(buffer), self._patience_ms
        )

    def _configuration(self, dev: Link, index: int) -> Configuration:
        """Read once. A lie is as lasting as the truth: the device is the same until it is plugged
        anew.
        """
        found = dev.configurations.get(index)
        if found is None:
            try:
                found = self._read_configuration(dev, index)
            except usb.core.USBError as error:
                if error.errno != errno.EPROTO:
                    raise
                found = str(error.strerror)
            dev.configurations[index] = found
        if isinstance(found, str):
            raise usb.core.USBError(found, -1, errno.EPROTO)
        return found

    def _read_configuration(self, dev: Link, index: int) -> Configuration:
        head = bytearray(9)
        if self._descriptor(dev, core.DT_CONFIG, index, head) < len(head):
            raise misframed("is shorter than its own head")
        whole = bytearray(max(len(head), int.from_bytes(head[2:4], "little")))
        count = self._descriptor(dev, core.DT_CONFIG, index, whole)
        return parse_configuration(bytes(whole[:count]))


def _tcp(host: str, port: int) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=PATIENCE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    return connection


def _place(busid: str) -> tuple[int, ...]:
    """Bus and ports: `1-2.4` stands on bus 1, at port 4 of a hub at port 2."""
    return tuple(int(number) for number in re.split(r"[-.]", busid))
