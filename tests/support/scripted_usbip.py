"""A USB/IP server that does what a test tells it, byte by byte.

Written from the kernel's Documentation/usb/usbip_protocol.rst, without the package that the backend
uses.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

VERSION = 0x0111
DEVLIST, IMPORT = 0x8005, 0x8003
SUBMIT, UNLINK, RET_SUBMIT, RET_UNLINK = 1, 2, 3, 4
HEADER_BYTES = 48

DEVICE = bytes.fromhex("12 01 0002 00 00 00 40 0912 0700 0001 00 00 00 01")
"""USB 2.0, class 0 (in the interfaces), 64 bytes at endpoint 0, 1209:0007, no strings, one
configuration.
"""


def configuration(*parts: bytes, interfaces: int = 1, total: int | None = None) -> bytes:
    """A configuration descriptor before these."""
    body = b"".join(parts)
    return (
        struct.pack(
            "<BBHBBBBB", 9, 2, 9 + len(body) if total is None else total, interfaces, 1, 0, 0x80, 50
        )
        + body
    )


def interface(number: int = 0, setting: int = 0, endpoints: int = 2) -> bytes:
    """A still image interface's descriptor."""
    return bytes([9, 4, number, setting, endpoints, 6, 1, 1, 0])


def endpoint(address: int) -> bytes:
    """A bulk endpoint's descriptor, of 512 bytes."""
    return bytes([7, 5, address, 2, 0, 2, 0])


PIPES = endpoint(0x81) + endpoint(0x02)
CONFIGURATION = configuration(interface(), PIPES)


@dataclass(frozen=True, slots=True)
class Request:
    """USBIP_CMD_SUBMIT, or USBIP_CMD_UNLINK of the request `unlinks`."""

    command: int
    sequence: int
    device: int
    direction: int
    endpoint: int
    length: int
    interval: int
    setup: bytes
    content: bytes
    unlinks: int


class GoneError(Exception):
    """The host let go."""


class Wire:
    """The server's end of a connection."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def take(self) -> Request:
        """The host's next request. Raises GoneError."""
        head = self.receive(HEADER_BYTES)
        command, sequence, device, direction, number, fourth, length, _, _, interval = (
            struct.unpack_from(">IIIIIIiiii", head)
        )
        content = self.receive(length) if command == SUBMIT and direction == 0 else b""
        return Request(
            command,
            sequence,
            device,
            direction,
            number,
            length,
            interval,
            head[40:],
            content,
            fourth,
        )

    def answer(
        self, request: Request, content: bytes = b"", *, status: int = 0, actual: int | None = None
    ) -> None:
        """USBIP_RET_SUBMIT. `actual` is what it says of its length, the truth if nothing else."""
        length = (
            (len(content) if request.direction else len(request.content))
            if actual is None
            else actual
        )
        self.send(ret(RET_SUBMIT, request.sequence, status, length) + content)

    def unlinked(self, request: Request, status: int = -104) -> None:
        """USBIP_RET_UNLINK."""
        self.send(ret(RET_UNLINK, request.sequence, status, 0))

    def send(self, content: bytes) -> None:
        try:
            self._end.sendall(content)
        except OSError as error:
            raise GoneError from error

    def receive(self, count: int) -> bytes:
        content = b""
        while len(content) < count:
            try:
                piece = self._end.recv(count - len(content))
            except OSError as error:
                raise GoneError from error
            if not piece:
                raise GoneError
            content += piece
        return content

    def cut(self) -> None:
        """The cable."""
        self._end.close()


def ret(command: int, sequence: int, status: int, actual: int) -> bytes:
    """The head of an answer. The kernel leaves device, direction and endpoint 0."""
    return struct.pack(">IIIIIiiiii8x", command, sequence, 0, 0, 0, status, actual, 0, 0, 0)


Handler = Callable[[Wire, Request], None]


def silence(wire: Wire, request: Request) -> None:
    """Nothing comes, and what the host takes back it may have."""
    if request.command == UNLINK:
        wire.unlinked(request)


@dataclass
class Scripted:
    """A device. Descriptors and configuration are answered; all the rest is given to `on`, with a
    RET_UNLINK as well.
    """

    busid: str = "1-1"
    on: Handler = silence
    device: bytes = DEVICE
    config: bytes = CONFIGURATION
    address: int = 2
    speed: int = 3
    on_setup: Handler | None = None
    requests: list[Request] = field(default_factory=list)

    def facts(self, busid: str | None = None) -> bytes:
        """struct usbip_usb_device."""
        name = (self.busid if busid is None else busid).encode()
        numbers = struct.pack(
            ">IIIHHHBBBBBB", 1, self.address, self.speed, 0x1209, 7, 0x100, 0, 0, 0, 1, 1, 1
        )
        return (b"/sys/devices/" + name).ljust(256, b"\0") + name.ljust(32, b"\0") + numbers

    def run(self, wire: Wire) -> None:
        """Until the host lets go."""
        while True:
            request = wire.take()
            self.requests.append(request)
            standard = (
                request.command == SUBMIT and request.endpoint == 0 and request.setup[0] & 0x60 == 0
            )
            if standard and self.on_setup is not None:
                self.on_setup(wire, request)
            elif standard:
                self.standard(wire, request)
            else:
                self.on(wire, request)

    def standard(self, wire: Wire, request: Request) -> None:
        match request.setup[1], request.setup[3]:
            case 6, 1:
                wire.answer(request, self.device[: request.length])
            case 6, 2:
                wire.answer(request, self.config[: request.length])
            case 8, _:
                wire.answer(request, b"\1")
            case _ if request.direction:
                wire.answer(request, status=-32)
            case _:
                wire.answer(request)


class Server:
    """Lists its devices, and serves each to who imports it. `close` it."""

    def __init__(self, *devices: Scripted) -> None:
        self.devices = list(devices)
        self.on_list: Callable[[Wire], None] = self._list
        self.on_import: Callable[[Wire, str], None] = self._import
        self.connections = 0
        self._threads: list[threading.Thread] = []
        self._ends: dict[str, socket.socket] = {}
        self._open: set[socket.socket] = set()

    def connect(self) -> socket.socket:
        """A host's end."""
        return self.adopt(*socket.socketpair())

    def adopt(self, ours: socket.socket, theirs: socket.socket) -> socket.socket:
        """Serve `ours`, from a thread of its own."""
        self.connections += 1
        self._open.add(ours)
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=self._serve, args=(ours,), name="scripted-usbip")
        self._threads.append(thread)
        thread.start()
        return theirs

    def unplug(self, busid: str = "1-1") -> None:
        """No longer listed, and its connection cut."""
        self.devices = [device for device in self.devices if device.busid != busid]
        if busid in self._ends:
            _shut(self._ends.pop(busid))

    def close(self) -> None:
        for end in list(self._open):
            _shut(end)
        for thread in self._threads:
            thread.join()

    def _serve(self, end: socket.socket) -> None:
        wire = Wire(end)
        with end:
            try:
                _, code, _ = struct.unpack(">HHI", wire.receive(8))
                if code == DEVLIST:
                    self.on_list(wire)
                elif code == IMPORT:
                    busid = wire.receive(32).rstrip(b"\0").decode()
                    self._ends[busid] = end
                    self.on_import(wire, busid)
            except GoneError:
                pass
            finally:
                self._open.discard(end)
                for busid in [busid for busid, held in self._ends.items() if held is end]:
                    del self._ends[busid]

    def _list(self, wire: Wire) -> None:
        free = [device for device in self.devices if device.busid not in self._ends]
        entries = b"".join(device.facts() + bytes([6, 1, 1, 0]) for device in free)
        wire.send(struct.pack(">HHII", VERSION, 5, 0, len(free)) + entries)

    def _import(self, wire: Wire, busid: str) -> None:
        for device in self.devices:
            if device.busid == busid:
                wire.send(struct.pack(">HHI", VERSION, 3, 0) + device.facts())
                device.run(wire)
        wire.send(struct.pack(">HHI", VERSION, 3, 1))


def _shut(end: socket.socket) -> None:
    """The other side may have left already."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
