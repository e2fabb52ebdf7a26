"""pyusb's backend over USB/IP, in user space: the same pyusb above it, a socket in place of a kernel below.

A server shows its devices in a list; each is imported once, over a connection of its own, and is there for as long as that
connection stands: when it falls, the cable was pulled. What comes over it is untrusted.

Sources: the kernel's Documentation/usb/usbip_protocol.rst; USB 2.0, chapter 9 for descriptors.
"""

import array
import contextlib
import errno
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import usb.backend
import usb.core
from usbip import core, protocol
from usbip.core import IN, OUT, Setup

CONTROL_MS = 5000
UNLINK_S = 5.0
SOCKET_BYTES = 4 << 20
_SUBMIT = struct.Struct(">IIIIIIiiii8s")
_UNLINK = struct.Struct(">IIIIII24x")
_RETURN = struct.Struct(">IIIIIiiiii8x")
_GONE = (-19, -108)
_ERRORS = {-32: (errno.EPIPE, "Pipe error"), -75: (errno.EOVERFLOW, "Overflow"), -110: (errno.ETIMEDOUT, "Operation timed out")}

Connect = Callable[[], socket.socket]


def _error(status: int) -> usb.core.USBError:
    """The error that libusb's backend raises for the same thing."""
    if status in _GONE:
        return usb.core.USBError("No such device (it may have been disconnected)", -4, errno.ENODEV)
    number, text = _ERRORS.get(status, (errno.EIO, "Input/Output Error"))
    kind = usb.core.USBTimeoutError if number == errno.ETIMEDOUT else usb.core.USBError
    return kind(text, -1, number)


@dataclass(slots=True, eq=False)
class _Transfer:
    """One request that is under way; `done` once it has its status."""

    direction: int
    view: memoryview
    done: threading.Event = field(default_factory=threading.Event)
    status: int = 0
    actual: int = 0
    unlinked_by: int | None = None


class Link:
    """One imported device, and the connection that carries it. A reader thread of its own; any thread may ask."""

    def __init__(self, connection: socket.socket, busid: str) -> None:
        """Imports the device. Raises OSError, USBError or the package's own."""
        self.busid = busid
        self.claimed: dict[int, object] = {}
        self._socket = connection
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._pending: dict[int, _Transfer] = {}
        self._sequence = 0
        self._gone = False
        info = protocol.client_import(connection, busid.encode())
        self.bus, self.address = int(info["busnum"]), int(info["devnum"])
        self.speed = int(info["speed"])
        self.vendor, self.product, self.version = int(info["idVendor"]), int(info["idProduct"]), int(info["bcdDevice"])
        self.descriptor: SimpleNamespace | None = None
        self.configurations: dict[int, _Configuration | usb.core.USBError] = {}
        connection.settimeout(None)
        self._reader = threading.Thread(target=self._read, name=f"usbip-{busid}", daemon=True)
        self._reader.start()

    @property
    def gone(self) -> bool:
        return self._gone

    def control(self, setup: Setup, buffer: memoryview, timeout_ms: int = CONTROL_MS) -> int:
        """A transfer on endpoint 0; how many bytes moved. Raises USBError."""
        return self.transfer(setup.direction, 0, buffer, timeout_ms, setup.pack())

    def transfer(self, direction: int, endpoint: int, buffer: memoryview, timeout_ms: int, setup: bytes = bytes(8)) -> int:
        """One request and its answer, the bytes straight into or out of the buffer. Raises USBError."""
        transfer = _Transfer(direction, buffer)
        with self._lock:
            sequence = self._next()
            self._pending[sequence] = transfer
        header = _SUBMIT.pack(
            protocol.CMD_SUBMIT, sequence, self._device, direction, endpoint & 15, 0, len(buffer), 0, 0, 0, setup
        )
        self._send(header, buffer if direction == OUT else None)
        if self._gone:
            self._finish(sequence, -19, 0)
        if not transfer.done.wait(timeout_ms / 1000 if timeout_ms else None):
            self._unlink(sequence, transfer)
        if transfer.status:
            raise _error(transfer.status)
        return transfer.actual

    def close(self) -> None:
        """Let go of the device; its thread has ended after this."""
        self._gone = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._reader:
            self._reader.join()
        self._socket.close()

    @property
    def _device(self) -> int:
        return self.bus << 16 | self.address

    def _next(self) -> int:
        self._sequence = self._sequence % 0x7FFFFFFF + 1
        return self._sequence

    def _send(self, header: bytes, content: memoryview | None) -> None:
        try:
            with self._sending:
                self._socket.sendall(header)
                if content is not None and content.nbytes:
                    self._socket.sendall(content)
        except OSError:
            self._fall()

    def _unlink(self, sequence: int, transfer: _Transfer) -> None:
        """Time is up. What arrived before the server heard of it was a transfer that succeeded."""
        with self._lock:
            if sequence not in self._pending:
                return
            number = self._next()
            transfer.unlinked_by = number
        self._send(_UNLINK.pack(protocol.CMD_UNLINK, number, self._device, 0, 0, sequence), None)
        if not transfer.done.wait(UNLINK_S):
            # A server that answers neither: nobody knows what it still does to our buffer.
            self._fall()
            transfer.done.wait()

    def _read(self) -> None:
        header = bytearray(_RETURN.size)
        try:
            while self._fill(memoryview(header)):
                command, sequence, _, _, _, status, actual, _, _, _ = _RETURN.unpack(header)
                if command == protocol.RET_UNLINK:
                    self._unlinked(sequence)
                elif command != protocol.RET_SUBMIT or not self._answered(sequence, status, actual):
                    break
        except OSError:
            pass
        self._fall()
        with self._lock:
            left = list(self._pending)
        for sequence in left:
            self._finish(sequence, -19, 0)

    def _answered(self, sequence: int, status: int, actual: int) -> bool:
        """False where the answer fits nothing that was asked: the stream can't be followed any further."""
        with self._lock:
            transfer = self._pending.get(sequence)
        if transfer is None or not 0 <= actual <= len(transfer.view):
            return False
        if transfer.direction == IN and actual and not self._fill(transfer.view[:actual]):
            return False
        self._finish(sequence, status, actual)
        return True

    def _unlinked(self, number: int) -> None:
        with self._lock:
            found = [sequence for sequence, transfer in self._pending.items() if transfer.unlinked_by == number]
        for sequence in found:
            self._finish(sequence, -110, 0)

    def _finish(self, sequence: int, status: int, actual: int) -> None:
        with self._lock:
            transfer = self._pending.pop(sequence, None)
        if transfer is not None:
            transfer.status, transfer.actual = status, actual
            transfer.done.set()

    def _fill(self, view: memoryview) -> bool:
        while view:
            count = self._socket.recv_into(view)
            if not count:
                return False
            view = view[count:]
        return True

    def _fall(self) -> None:
        """The reader wakes, and ends everything that is under way."""
        self._gone = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True, slots=True)
class _Configuration:
    """A parsed configuration descriptor: interfaces in the order of their numbers, each a list of alternate settings."""

    fields: SimpleNamespace
    interfaces: tuple[tuple[SimpleNamespace, ...], ...]


def parse_configuration(blob: bytes) -> _Configuration:
    """Descriptors of a configuration and all below it. Raises USBError for whatever does not add up (fault A12)."""
    if len(blob) < 9 or blob[0] != 9 or blob[1] != core.DT_CONFIG:
        raise _misframed("has no configuration descriptor at its start")
    total = int.from_bytes(blob[2:4], "little")
    if total != len(blob):
        raise _misframed(f"says that it has {total} bytes, and has {len(blob)}")
    fields = SimpleNamespace(bLength=9, bDescriptorType=core.DT_CONFIG, extra_descriptors=[])
    _unpack_into(
        fields, "<HBBBBB", blob[2:9], "wTotalLength bNumInterfaces bConfigurationValue iConfiguration bmAttributes bMaxPower"
    )
    interfaces: dict[int, list[SimpleNamespace]] = {}
    last, current = fields, None
    at = 9
    while at < total:
        length = blob[at]
        if length < 2 or at + length > total:
            raise _misframed(f"has a descriptor of {length} bytes at byte {at} of {total}")
        piece = blob[at : at + length]
        if piece[1] == core.DT_INTERFACE:
            current = last = _interface(piece)
            settings = interfaces.setdefault(current.bInterfaceNumber, [])
            if current.bAlternateSetting != len(settings):
                raise _misframed(f"describes interface {current.bInterfaceNumber} in no order")
            settings.append(current)
        elif piece[1] == core.DT_ENDPOINT:
            if current is None:
                raise _misframed("has an endpoint before any interface")
            last = _endpoint(piece)
            current.endpoints.append(last)
        else:
            last.extra_descriptors.extend(piece)
        at += length
    settings_of = [tuple(interfaces[number]) for number in sorted(interfaces)]
    if len(settings_of) != fields.bNumInterfaces:
        raise _misframed(f"says that it has {fields.bNumInterfaces} interfaces, and describes {len(settings_of)}")
    for setting in (setting for settings in settings_of for setting in settings):
        if setting.bNumEndpoints != len(setting.endpoints):
            raise _misframed(f"says that interface {setting.bInterfaceNumber} has {setting.bNumEndpoints} endpoints")
    return _Configuration(fields, tuple(settings_of))


def _interface(piece: bytes) -> SimpleNamespace:
    if len(piece) < 9:
        raise _misframed(f"has an interface descriptor of {len(piece)} bytes")
    interface = SimpleNamespace(bLength=len(piece), bDescriptorType=piece[1], extra_descriptors=[], endpoints=[])
    names = "bInterfaceNumber bAlternateSetting bNumEndpoints bInterfaceClass bInterfaceSubClass bInterfaceProtocol iInterface"
    _unpack_into(interface, "<7B", piece[2:9], names)
    return interface


def _endpoint(piece: bytes) -> SimpleNamespace:
    if len(piece) < 7:
        raise _misframed(f"has an endpoint descriptor of {len(piece)} bytes")
    endpoint = SimpleNamespace(bLength=len(piece), bDescriptorType=piece[1], extra_descriptors=[], bRefresh=0, bSynchAddress=0)
    _unpack_into(endpoint, "<BBHB", piece[2:7], "bEndpointAddress bmAttributes wMaxPacketSize bInterval")
    return endpoint


def _unpack_into(target: SimpleNamespace, form: str, content: bytes, names: str) -> None:
    for name, value in zip(names.split(), struct.unpack(form, content), strict=True):
        setattr(target, name, value)


def _misframed(what: str) -> usb.core.USBError:
    return usb.core.USBError(f"its configuration {what}", -1, errno.EPROTO)


@dataclass(eq=False, slots=True)
class _Handle:
    """A device that somebody opened."""

    link: Link


class UsbipBackend(usb.backend.IBackend):  # type: ignore[misc]
    """What the methods promise is pyusb's text (`usb.backend.IBackend`). Any thread."""

    def __init__(self, connect: Connect) -> None:
        """`connect` gives a fresh connection to the server. Raises OSError."""
        self._connect = connect
        self._lock = threading.Lock()
        self._links: dict[str, Link] = {}

    @classmethod
    def over_tcp(cls, host: str, port: int) -> "UsbipBackend":
        def connect() -> socket.socket:
            connection = socket.create_connection((host, port), timeout=CONTROL_MS / 1000)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection

        return cls(connect)

    def close(self) -> None:
        """Let go of all devices."""
        with self._lock:
            links, self._links = list(self._links.values()), {}
        for link in links:
            link.close()

    def enumerate_devices(self) -> Iterator[Link]:
        with self._lock:
            for busid in [busid for busid, link in self._links.items() if link.gone]:
                self._links.pop(busid).close()
            for busid in self._listed() - set(self._links):
                link = self._imported(busid)
                if link is not None:
                    self._links[busid] = link
            return iter(sorted(self._links.values(), key=lambda link: link.busid))

    def get_parent(self, dev: Link) -> None:
        return None

    def get_device_descriptor(self, dev: Link) -> SimpleNamespace:
        """What the server's list says stands in for a device that does not answer: it must not hide the others."""
        if dev.descriptor is None:
            fields = core.DeviceDescriptor(idVendor=dev.vendor, idProduct=dev.product, bcdDevice=dev.version)
            buffer = bytearray(18)
            with contextlib.suppress(usb.core.USBError):
                if self._descriptor(dev, core.DT_DEVICE, 0, memoryview(buffer)) == 18 and buffer[0] == 18:
                    fields = core.DeviceDescriptor.parse(bytes(buffer))
            dev.descriptor = SimpleNamespace(
                bLength=18,
                bDescriptorType=core.DT_DEVICE,
                bus=dev.bus,
                address=dev.address,
                speed=dev.speed,
                port_numbers=_ports(dev.busid),
                port_number=_ports(dev.busid)[-1],
                **vars(fields),
            )
        return dev.descriptor

    def get_configuration_descriptor(self, dev: Link, config: int) -> SimpleNamespace:
        return self._configuration(dev, config).fields

    def get_interface_descriptor(self, dev: Link, intf: int, alt: int, config: int) -> SimpleNamespace:
        return self._configuration(dev, config).interfaces[intf][alt]

    def get_endpoint_descriptor(self, dev: Link, ep: int, intf: int, alt: int, config: int) -> Any:
        return self.get_interface_descriptor(dev, intf, alt, config).endpoints[ep]

    def open_device(self, dev: Link) -> _Handle:
        if dev.gone:
            raise _error(-19)
        return _Handle(dev)

    def close_device(self, dev_handle: _Handle) -> None:
        claimed = dev_handle.link.claimed
        for interface in [number for number, holder in claimed.items() if holder is dev_handle]:
            del claimed[interface]

    def set_configuration(self, dev_handle: _Handle, config_value: int) -> None:
        dev_handle.link.control(Setup(0, 9, config_value, 0, 0), memoryview(b""))

    def get_configuration(self, dev_handle: _Handle) -> int:
        answer = bytearray(1)
        dev_handle.link.control(Setup(0x80, 8, 0, 0, 1), memoryview(answer))
        return answer[0]

    def set_interface_altsetting(self, dev_handle: _Handle, intf: int, altsetting: int) -> None:
        dev_handle.link.control(Setup(1, 11, altsetting, intf, 0), memoryview(b""))

    def claim_interface(self, dev_handle: _Handle, intf: int) -> None:
        if dev_handle.link.gone:
            raise _error(-19)
        if dev_handle.link.claimed.setdefault(intf, dev_handle) is not dev_handle:
            raise usb.core.USBError("Resource busy", -6, errno.EBUSY)

    def release_interface(self, dev_handle: _Handle, intf: int) -> None:
        dev_handle.link.claimed.pop(intf, None)

    def bulk_write(self, dev_handle: _Handle, ep: int, intf: int, data: "array.array[int]", timeout: int) -> int:
        return dev_handle.link.transfer(OUT, ep, memoryview(data).cast("B"), timeout)

    def bulk_read(self, dev_handle: _Handle, ep: int, intf: int, buff: "array.array[int]", timeout: int) -> int:
        return dev_handle.link.transfer(IN, ep, memoryview(buff).cast("B"), timeout)

    intr_write = bulk_write
    intr_read = bulk_read

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
        return dev_handle.link.control(Setup(bmRequestType, bRequest, wValue, wIndex, len(view)), view, timeout)

    def clear_halt(self, dev_handle: _Handle, ep: int) -> None:
        dev_handle.link.control(Setup(2, 1, 0, ep, 0), memoryview(b""))

    def reset_device(self, dev_handle: _Handle) -> None:
        """USB/IP carries no port reset."""

    def is_kernel_driver_active(self, dev_handle: _Handle, intf: int) -> bool:
        return False

    def detach_kernel_driver(self, dev_handle: _Handle, intf: int) -> None:
        """No kernel driver is ever bound here."""

    def _listed(self) -> set[str]:
        try:
            with self._connect() as connection:
                return {device["busid"] for device in protocol.client_devlist(connection)}
        except (OSError, core.USBError, struct.error):
            return set()

    def _imported(self, busid: str) -> Link | None:
        """None where somebody else was faster, or the device left meanwhile."""
        if not _ports(busid):
            return None
        connection: socket.socket | None = None
        try:
            connection = self._connect()
            return Link(connection, busid)
        except (OSError, core.USBError, struct.error):
            if connection is not None:
                connection.close()
            return None

    def _descriptor(self, dev: Link, kind: int, index: int, buffer: memoryview) -> int:
        return dev.control(Setup(0x80, 6, kind << 8 | index, 0, len(buffer)), buffer)

    def _configuration(self, dev: Link, index: int) -> _Configuration:
        """Read once. What can't be read is as lasting as what can: the device is the same until it is plugged anew."""
        found = dev.configurations.get(index)
        if found is None:
            try:
                found = self._read_configuration(dev, index)
            except usb.core.USBError as error:
                found = error
            dev.configurations[index] = found
        if isinstance(found, usb.core.USBError):
            raise found
        return found

    def _read_configuration(self, dev: Link, index: int) -> _Configuration:
        head = bytearray(9)
        if self._descriptor(dev, core.DT_CONFIG, index, memoryview(head)) < 9:
            raise _misframed("is shorter than its own head")
        whole = bytearray(max(9, int.from_bytes(head[2:4], "little")))
        count = self._descriptor(dev, core.DT_CONFIG, index, memoryview(whole))
        return parse_configuration(bytes(whole[:count]))


def _ports(busid: str) -> tuple[int, ...]:
    """`1-2.4` stands at port 4 of a hub at port 2; nothing for a name that is not of this form."""
    bus, _, ports = busid.partition("-")
    numbers = ports.split(".")
    if not bus.isascii() or not bus.isdigit() or not all(number.isascii() and number.isdigit() for number in numbers):
        return ()
    return tuple(map(int, numbers))
