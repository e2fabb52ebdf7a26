"""A small camera that keeps to the protocol but where the input says otherwise, and all that dockd
does with one.

The input is a list of sabotages, eight bytes each: which transfer, what is done to it, where, with
what. So the dock is lied to in the middle of a conversation that otherwise goes on, which no bytes
thought out beforehand could do: transaction ids, sessions and what is asked next depend on what the
dock does. Everything from pyusb's enumeration up is the real thing; there is no other thread, and
no time passes.
"""

import errno
import struct
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import structlog.testing
import usb.core
from usbip.core import IN, Setup

from dockd.card.contract import Card, CardError, CardFile
from dockd.usb.bus import UsbWatcher
from dockd.usb.ptp import (
    HEADER_BYTES,
    ROOT,
    WHOLE_LENGTH_UNKNOWN,
    Container,
    DeviceInfo,
    Kind,
    MalformedError,
    ObjectInfo,
    Operation,
    Response,
    StorageInfo,
    encode_array,
    encode_text,
)
from dockd.usb.usbip import UsbipBackend
from tests.campaigns.fuzz.parser import Differs
from tests.support.hand_clock import HandClock

PACKET_BYTES = 512
STORAGE = 0x00010001
ORDERS_MAX = 40
"""Each is looked at for each container, and those steps count as if they were the dock's."""
MORE_MAX = 8
"""Transfers that one order may repeat: twice as many for each of a thousand orders would be more
than memory holds.
"""
ACTS = 21
"""Kinds of sabotage; the last is none."""
BY_OPERATION = 192
MOMENT = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
DEVICE = bytes.fromhex("12 01 0002 00 00 00 40 0912 0700 0001 01 02 03 01")
"""A device descriptor: USB 2.0, classes by interface, 1209:0007, strings 1 to
3, one configuration.
"""
CONFIGURATION = bytes.fromhex(
    "09 02 2700 01 01 00 C0 01"  # configuration 1, 39 bytes in all, one interface
    "09 04 00 00 03 06 01 01 00"  # interface 0: still image, three endpoints
    "07 05 81 02 0002 00"  # bulk in, packets of 512 bytes
    "07 05 02 02 0002 00"  # bulk out
    "07 05 83 03 0800 09"  # interrupt in
)
WITH_KEYBOARD = bytes.fromhex(
    "09 02 4900 03 01 00 C0 01"
    "09 04 00 00 02 06 01 01 00"
    "07 05 81 02 0002 00"
    "06 30 0F 00 0000"  # a companion of USB 3 behind its endpoint
    "07 05 02 02 0002 00"
    "08 0B 01 02 01 01 00 00"  # an association of two interfaces
    "09 04 01 00 00 01 01 00 00"
    "09 04 02 00 00 03 01 01 00"  # a keyboard
    "09 21 1101 00 01 22 3F00"
)
_STRING = bytes.fromhex("10 03 4200 5700 4300 3000 3000 3400 3200")
_LANGUAGES = bytes.fromhex("04 03 0904")
_TREE: dict[int, tuple[int, str, bytes | None]] = {
    1: (0, "DCIM", None),
    2: (1, "100MEDIA", None),
    3: (2, "A.MP4", bytes(range(256)) * 5 + b"end"),
    4: (2, "B.MP4", b"b" * (PACKET_BYTES * 2 - 12)),
    5: (1, "EMPTY.TXT", b""),
    6: (0, "NOTE.TXT", b"x"),
}
"""By handle: the folder's handle, the name, the content; no content is a folder."""
_DATASETS = (
    *[
        encode_text(text)
        for text in (
            "",
            "00010101T000000+2359",
            "99991231T235959.9-2359",
            "00010101T000000Z",
            "99991231T235959",
        )
    ],
    *[
        encode_text(text)
        for text in (
            "20261123T220001.5",
            "20261123T220001+1400",
            "19691231T235959Z",
            "a" * 254,
            "\ud83d",
        )
    ],
    *[
        encode_array(handles, 4)
        for handles in (
            (),
            (1, 1, 1),
            (0,),
            (ROOT,),
            (2, 1),
            tuple(range(300)),
            (STORAGE, STORAGE + 1),
        )
    ],
    *[struct.pack("<Q", size) for size in (0, 1 << 32, (1 << 64) - 1)],
    *[
        ObjectInfo(
            STORAGE, form, 0, size, 0, 0, 0, 0, 0, 0, 0, parent, 0, 0, 0, name, "", date, ""
        ).encode()
        for name in ("A.MP4", "", "..", "a/b", "\\", "\ud83d", "\u202e", "x" * 254, "DCIM")
        for form, size, parent, date in (
            (0x3001, 0, 2, ""),
            (0xB982, 0xFFFFFFFF, 0, "99991231T235959.9Z"),
            (0xB982, 3, 3, "?"),
        )
    ],
    StorageInfo(4, 3, 1, 1, 0, 0, "", "").encode(),
    DeviceInfo(100, 6, 100, "", 0, (), (), (0x5011,), (), (), "", "", "", "").encode(),
)
"""Well-formed data that a camera may bring where they do not belong, or that no calendar, no path
and no card can have.
"""
_OPERATIONS = tuple(Operation)
_ERRNOS = (
    errno.ETIMEDOUT,
    errno.EPIPE,
    errno.EIO,
    errno.ENODEV,
    errno.EOVERFLOW,
    errno.EBUSY,
    errno.EACCES,
    0,
)
_RECORD = struct.Struct("<BBHI")


@dataclass(frozen=True, slots=True)
class Sabotage:
    """One record of the input. `turn` counts what the camera sends, or is asked for on endpoint 0.

    From BY_OPERATION on it names an operation instead, and which of its answers: all, every second,
    the others, the first.
    """

    turn: int
    act: int
    at: int
    value: int

    def is_due(self, sent: int, operation: int, times: int) -> bool:
        """Whether it concerns the container of this number, which answers the operation for the so
        manieth time.
        """
        if self.turn < BY_OPERATION:
            return self.turn == sent
        which, index = divmod(self.turn - BY_OPERATION, len(_OPERATIONS))
        return (
            operation == _OPERATIONS[index]
            and (True, times % 2 == 0, times % 2 == 1, times == 1)[which % 4]
        )


def sabotages(content: bytes) -> list[Sabotage]:
    """What the first records of the input say; half a record says nothing."""
    whole = min(len(content) // _RECORD.size, ORDERS_MAX) * _RECORD.size
    records = _RECORD.iter_unpack(bytes(content[:whole]))
    return [Sabotage(turn, act % ACTS, at, value) for turn, act, at, value in records]


class Camera:
    """Answers commands, and keeps what was written. Objects are those of the tree until they are
    deleted.
    """

    def __init__(self, lacks: int) -> None:
        partial = (Operation.GET_PARTIAL_OBJECT_64, Operation.GET_PARTIAL_OBJECT)[lacks:]
        self.operations = tuple(
            sorted(
                set(Operation) - {Operation.GET_PARTIAL_OBJECT, Operation.GET_PARTIAL_OBJECT_64}
                | {*partial}
            )
        )
        self._tree = dict(_TREE)
        self._session = 0
        self._looks = 0

    def answer(self, operation: int, parameters: tuple[int, ...]) -> tuple[bytes | None, int]:
        """Data, if there are any, and a response code."""
        if operation == Operation.OPEN_SESSION:
            taken, self._session = self._session, 1
            return None, Response.SESSION_ALREADY_OPEN if taken else Response.OK
        if operation == Operation.GET_DEVICE_INFO:
            return self._device_info(), Response.OK
        if not self._session:
            return None, Response.SESSION_NOT_OPEN
        if operation not in self.operations:
            return None, Response.OPERATION_NOT_SUPPORTED
        return self._answer_in_session(Operation(operation), (*parameters, 0, 0, 0, 0, 0))

    def _answer_in_session(
        self, operation: Operation, parameters: tuple[int, ...]
    ) -> tuple[bytes | None, int]:
        first = parameters[0]
        match operation:
            case Operation.CLOSE_SESSION:
                self._session = 0
                return None, Response.OK
            case Operation.GET_STORAGE_IDS:
                return encode_array((STORAGE,), 4), Response.OK
            case Operation.GET_STORAGE_INFO:
                return StorageInfo(4, 3, 0, 1 << 36, 1 << 35, 0, "SD", "").encode(), Response.OK
            case Operation.GET_OBJECT_HANDLES:
                folder = 0 if parameters[2] == ROOT else parameters[2]
                inside = tuple(
                    handle for handle, (parent, _, _) in self._tree.items() if parent == folder
                )
                return encode_array(inside, 4), Response.OK
            case Operation.GET_DEVICE_PROP_VALUE:
                # A clock of whole seconds that ticks at every third look.
                self._looks += 1
                return encode_text(f"20261123T2200{self._looks // 3 % 60:02d}"), Response.OK
            case Operation.SET_DEVICE_PROP_VALUE:
                return None, Response.OK
        if first not in self._tree:
            return None, Response.INVALID_OBJECT_HANDLE
        return self._answer_of_object(operation, parameters)

    def _answer_of_object(
        self, operation: Operation, parameters: tuple[int, ...]
    ) -> tuple[bytes | None, int]:
        parent, name, content = self._tree[parameters[0]]
        body = content or b""
        match operation:
            case Operation.GET_OBJECT_INFO:
                size = WHOLE_LENGTH_UNKNOWN if name == "B.MP4" else len(body)
                form = 0x3001 if content is None else 0xB982
                numbers = (
                    STORAGE,
                    form,
                    0,
                    size,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    parent,
                    int(content is None),
                    0,
                    0,
                )
                return ObjectInfo(*numbers, name, "", "20261123T215019", "").encode(), Response.OK
            case Operation.GET_OBJECT_PROP_VALUE:
                return struct.pack("<Q", len(body)), Response.OK
            case Operation.GET_OBJECT:
                return body, Response.OK
            case Operation.GET_PARTIAL_OBJECT:
                return body[parameters[1] :][: parameters[2]], Response.OK
            case Operation.GET_PARTIAL_OBJECT_64:
                return body[parameters[1] | parameters[2] << 32 :][: parameters[3]], Response.OK
        del self._tree[parameters[0]]
        return None, Response.OK

    def _device_info(self) -> bytes:
        lists = (self.operations, (), (0x5001, 0x5011), (), (0x3001, 0xB982))
        return DeviceInfo(100, 6, 100, "", 0, *lists, "Acme", "Cam", "1.0", "BWC0042").encode()


class Wire:
    """In the place of `dockd.usb.usbip.Link`: the camera's end of the cable, with the sabotages."""

    def __init__(self, orders: list[Sabotage]) -> None:
        self.busid = "1-3"
        self.bus, self.address, self.speed = 1, 7, 3
        self.vendor, self.product, self.version = 0x1209, 7, 0x100
        self.claimed: dict[int, object] = {}
        self.descriptor: SimpleNamespace | None = None
        self.configurations: dict[int, object] = {}
        self.gone = False
        self._orders = orders
        first = orders[0] if orders else Sabotage(0, ACTS - 1, 0, 0)
        self._camera = Camera(first.turn % 3)
        self._device = _edited(DEVICE, [order for order in orders if order.act == 18])
        whole = WITH_KEYBOARD if first.act == 15 else CONFIGURATION
        self._configuration = _edited(whole, [order for order in orders if order.act == 19])
        self._command: Container | None = None
        self._coming: deque[bytes | usb.core.USBError] = deque()
        self._is_empty = False
        """Nothing but empty packets from now on."""
        self._sent = 0
        self._times: Counter[int] = Counter()
        self._asked = 0

    def control(self, setup: Setup, buffer: memoryview, timeout_ms: int = 0) -> int:
        """Endpoint 0."""
        self._asked += 1
        for order in self._orders:
            if order.act == 17 and order.turn == self._asked:
                if order.at % 2:
                    raise _error(order.value)
                return min(order.value, len(buffer))
        answer = self._answered(setup)
        count = min(len(answer), len(buffer))
        if setup.direction == IN:
            buffer[:count] = answer[:count]
        return count

    def _answered(self, setup: Setup) -> bytes:
        match setup.bmRequestType, setup.bRequest, setup.wValue >> 8, setup.wValue & 255:
            case 0x80, 6, 1, _:
                return self._device
            case 0x80, 6, 2, _:
                return self._configuration
            case 0x80, 6, 3, index:
                return _STRING if index else _LANGUAGES
            case 0x80, 8, _, _:
                return b"\1"
            case 0xA1, 0x67, _, _:
                return struct.pack("<HH", 4, Response.OK)
            case 0x21, _, _, _:
                self._coming.clear()
                self._command = None
        return b""

    def transfer(
        self, direction: int, endpoint: int, buffer: memoryview, timeout_ms: int, setup: bytes = b""
    ) -> int:
        """Bulk in or out."""
        if self.gone:
            raise _error(3)
        if direction == IN:
            return self._give(buffer)
        if len(buffer):
            self._take(bytes(buffer))
        return len(buffer)

    def _take(self, content: bytes) -> None:
        try:
            container = Container.decode(content)
        except MalformedError as error:
            raise Differs(f"the dock sends what is no container: {error}") from error
        if container.kind is Kind.COMMAND and container.code == Operation.SET_DEVICE_PROP_VALUE:
            self._command = container
            return
        command = self._command if container.kind is Kind.DATA else container
        if command is None:
            raise Differs("the dock sends data that belong to no command")
        self._command = None
        data, code = self._camera.answer(command.code, command.parameters)
        if data is not None:
            self._send(
                Container(Kind.DATA, command.code, command.transaction, data).encode(), command.code
            )
        self._send(Container(Kind.RESPONSE, code, command.transaction).encode(), -command.code)

    def _send(self, content: bytes, operation: int) -> None:
        """One container, by the book, or as the orders for this turn want it."""
        self._sent += 1
        self._times[operation] += 1
        pieces: list[bytes | usb.core.USBError] = [content]
        for order in self._orders:
            if order.is_due(self._sent, operation, self._times[operation]):
                pieces = self._sabotaged(pieces, order)
        for piece in pieces:
            self._coming.append(piece)
            if (
                isinstance(piece, bytes)
                and piece
                and len(piece) % PACKET_BYTES == 0
                and len(self._orders) % 2 == 0
            ):
                self._coming.append(b"")

    def _sabotaged(
        self, pieces: list[bytes | usb.core.USBError], order: Sabotage
    ) -> list[bytes | usb.core.USBError]:
        content = next((piece for piece in pieces if isinstance(piece, bytes)), b"")
        at = order.at % (len(content) + 1)
        match order.act:
            case 0 if len(content) >= HEADER_BYTES:
                dataset = _DATASETS[order.value % len(_DATASETS)]
                return [
                    struct.pack("<I", HEADER_BYTES + len(dataset))
                    + content[4:HEADER_BYTES]
                    + dataset,
                    *pieces[1:],
                ]
            case 1 | 2 | 3 | 4 | 8 | 11 | 12 | 14:
                return _altered(content, at, order)
            case 5:
                return []
            case 6:
                return [*pieces, *pieces[:MORE_MAX]]
            case 7:
                return [b"", *pieces]
            case 9:
                return [_error(order.value), *pieces]
            case 10:
                return [*pieces, _error(order.value)]
            case 13:
                self.gone = True
                return []
            case 15:
                before = self._coming.pop() if self._coming else b""
                return [before + content] if isinstance(before, bytes) else [before, *pieces]
            case 16:
                self._is_empty = order.value % 4 == 3
                return [b""] * (order.value % 9)
        return pieces

    def _give(self, buffer: memoryview) -> int:
        if self._is_empty:
            return 0
        if not self._coming:
            raise _error(0)
        piece = self._coming.popleft()
        if not isinstance(piece, bytes):
            raise piece
        count = min(len(piece), len(buffer))
        buffer[:count] = piece[:count]
        if count < len(piece):
            self._coming.appendleft(piece[count:])
        return count


class Backend(UsbipBackend):
    """The real backend with one device, which came from nowhere."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(_nowhere)
        self._wire = wire

    def enumerate_devices(self) -> Iterator[Any]:
        yield self._wire


def converse(content: bytes) -> list[Any]:
    """Enumerate, open, list, read, set the clock, erase. Every trouble has to be a CardError.

    What was read of a file to its end must be as long as the file was listed.
    """
    backend = Backend(Wire(sabotages(content)))
    clock = HandClock(tick_s=0.005)
    watcher = UsbWatcher(lambda: usb.core.find(find_all=True, backend=backend), clock)
    with structlog.testing.capture_logs():
        watcher.look()
    seen: list[Any] = []
    for device in watcher.devices():
        try:
            with closing(device.open()) as card:
                seen.append(_use(card))
        except CardError as error:
            seen.append((device.bay, device.refusal, error.code, error.sentence))
    return seen


def _use(card: Card) -> object:
    files = card.files()
    said: list[object] = [
        [(file.shown, file.size_bytes) for file in files],
        [trouble.code for trouble in card.trouble],
    ]
    said.append(card.clock_offset_ms())
    said.append(card.set_clock(MOMENT))
    for file in files[:4]:
        try:
            said.append(_read(card, file))
            card.delete(file)
        except CardError as error:
            said.append((error.code, error.sentence))
    said.append(len(card.files()))
    try:
        said.append(card.delete_folder(("DCIM", "100MEDIA")))
    except CardError as error:
        said.append((error.code, error.sentence))
    return said


def _read(card: Card, file: CardFile) -> int:
    total = 0
    buffer = memoryview(bytearray(700))
    with card.open(file) as reader:
        while count := reader.readinto(buffer):
            if count > len(buffer):
                raise Differs("a reader counts more than its buffer holds")
            total += count
    if total != file.size_bytes:
        raise Differs(f"{total} bytes were read of a file of {file.size_bytes}")
    return total


def _nowhere() -> Any:
    raise OSError(errno.ECONNREFUSED, "there is no server")


def _error(value: int) -> usb.core.USBError:
    number = _ERRNOS[value % len(_ERRNOS)]
    kind = usb.core.USBTimeoutError if number == errno.ETIMEDOUT else usb.core.USBError
    return kind("a fault", -1, number or None)


def _altered(content: bytes, at: int, order: Sabotage) -> list[bytes | usb.core.USBError]:
    """Cut, patch or lengthen what one transfer gives."""
    match order.act:
        case 1:
            return [content[:at]]
        case 2 | 3 | 4:
            return [_patched(content, at, order.value, {2: 1, 3: 2, 4: 4}[order.act])]
        case 8:
            return [content[:at], content[at:]]
        case 11:
            return [content + order.value.to_bytes(4, "little") * (order.at % 400)]
        case 12:
            return [content[:12], content[12:]]
    return [_longer(content, order.value % 100)]


def _patched(content: bytes, at: int, value: int, width: int) -> bytes:
    lie = (value % (1 << 8 * width)).to_bytes(width, "little")
    return (content[:at] + lie + content[at + width :])[: max(len(content), at)]


def _longer(content: bytes, more: int) -> bytes:
    """A container that announces more bytes, and has them."""
    return struct.pack("<I", len(content) + more) + content[4:] + b"\x11" * more


def _edited(content: bytes, orders: list[Sabotage]) -> bytes:
    for order in orders:
        at = order.at % (len(content) + 1)
        content = (
            content[:at]
            if order.turn > 250
            else _patched(content, at, order.value, 1 + order.turn % 2)
        )
    return content
