"""The camera's side of PTP/MTP: commands in, transfers out. No sockets, no USB; one thread.

What it answers follows from the card's folder, the camera's clock and battery, and the script of
faults. An object's bytes are never read here: they are named, and read when they are sent.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from device_sim.usb import ptp
from device_sim.usb.bulk import BulkIn, FilePiece, Outgoing, Piece, pieces_of
from device_sim.usb.faults import Kind, Script
from device_sim.usb.ptp import HEADER_BYTES, Message
from device_sim.usb.tree import Object, Tree

STORAGE = 0x00010001
ROOT = 0xFFFFFFFF
READS = frozenset({ptp.GET_OBJECT, ptp.GET_PARTIAL_OBJECT, ptp.GET_PARTIAL_OBJECT_64})
OBJECT_PROPS = (
    ptp.STORAGE_ID_PROP,
    ptp.OBJECT_FORMAT_PROP,
    ptp.OBJECT_SIZE_PROP,
    ptp.OBJECT_NAME_PROP,
)
VENDOR_MICROSOFT = 6


class Body(Protocol):
    """The camera behind the responder."""

    manufacturer: str
    model: str
    firmware: str
    serial: str
    root: Path

    def utc_ms(self) -> int: ...

    def set_utc_ms(self, utc_ms: int) -> None: ...

    def battery_percent(self) -> int: ...

    def capacity_bytes(self) -> int: ...

    def delete(self, path: Path) -> None:
        """Remove a file or an empty folder, durably. Raises OSError."""


class RefusalError(Exception):
    """A response other than OK."""

    def __init__(self, code: int) -> None:
        super().__init__(hex(code))
        self.code = code


@dataclass(frozen=True, slots=True)
class _Answer:
    """The data phase, if there is one, and the response's parameters."""

    data: list[Piece] | None = None
    parameters: tuple[int, ...] = ()
    path: str = ""
    end: int | None = None
    """Where the object's bytes in the data end, for those that lie about them."""


class Responder:
    """`receive` takes what came on bulk-out; what there is to say goes to `pipe`."""

    def __init__(self, body: Body, pipe: BulkIn, script: Script, without: frozenset[int]) -> None:
        self.calls: list[int] = []
        self._body = body
        self._pipe = pipe
        self._script = script
        self._without = without
        self._sessions = 0
        self._session = 0
        self._hung = False
        self._tree: Tree | None = None
        self._awaiting: Message | None = None
        self._growth: dict[str, int] = {}
        self._operations: dict[int, Callable[[Message], _Answer]] = {
            ptp.GET_DEVICE_INFO: self._device_info,
            ptp.OPEN_SESSION: self._open_session,
            ptp.CLOSE_SESSION: self._close_session,
            ptp.GET_STORAGE_IDS: lambda _: _Answer([ptp.numbers32([STORAGE])]),
            ptp.GET_STORAGE_INFO: self._storage_info,
            ptp.GET_NUM_OBJECTS: lambda message: _Answer(parameters=(len(self._handles(message)),)),
            ptp.GET_OBJECT_HANDLES: self._object_handles,
            ptp.GET_OBJECT_INFO: self._object_info,
            ptp.GET_OBJECT: self._get_object,
            ptp.GET_PARTIAL_OBJECT: lambda message: self._partial(
                message, message.parameters[1], message.parameters[2]
            ),
            ptp.GET_PARTIAL_OBJECT_64: lambda message: self._partial(
                message, message.parameters[1] | message.parameters[2] << 32, message.parameters[3]
            ),
            ptp.DELETE_OBJECT: self._delete,
            ptp.GET_DEVICE_PROP_DESC: self._property_desc,
            ptp.GET_DEVICE_PROP_VALUE: self._property_value,
            ptp.SET_DEVICE_PROP_VALUE: lambda _: _Answer(),
            ptp.GET_OBJECT_PROPS_SUPPORTED: lambda _: _Answer(
                [ptp.numbers16(self._object_props())]
            ),
            ptp.GET_OBJECT_PROP_DESC: self._object_prop_desc,
            ptp.GET_OBJECT_PROP_VALUE: self._object_prop_value,
        }
        for code in without:
            self._operations.pop(code, None)

    def receive(self, content: bytes) -> None:
        """A transfer from the host: a command, or the data of one that waits for them."""
        message = Message.parse(content)
        if message is None or self._hung:
            return
        if message.kind == ptp.DATA and self._awaiting is not None:
            command, self._awaiting = self._awaiting, None
            self._respond(message, lambda: self._set_property(command, message.payload))
        elif message.kind == ptp.COMMAND:
            self.calls.append(message.code)
            operation = self._operations.get(message.code)
            if message.code == ptp.SET_DEVICE_PROP_VALUE and operation is not None:
                self._awaiting = message
            else:
                self._respond(message, lambda: self._run(message, operation))

    def cancel(self) -> None:
        """The host gave up the transaction, or resets the device: what was to be
        said is forgotten.
        """
        self._hung = False
        self._awaiting = None
        self._pipe.clear()

    def reset(self) -> None:
        """As after plugging: no session."""
        self.cancel()
        self._session = 0

    def _run(self, message: Message, operation: Callable[[Message], _Answer] | None) -> _Answer:
        if operation is None:
            raise RefusalError(ptp.OPERATION_NOT_SUPPORTED)
        if self._script.due(Kind.BUSY, message.code) is not None:
            raise RefusalError(ptp.DEVICE_BUSY)
        if not self._session and message.code not in (ptp.GET_DEVICE_INFO, ptp.OPEN_SESSION):
            raise RefusalError(ptp.SESSION_NOT_OPEN)
        return operation(message)

    def _respond(self, message: Message, run: Callable[[], _Answer]) -> None:
        code, answer = ptp.OK, _Answer()
        try:
            answer = run()
        except RefusalError as refusal:
            code = refusal.code
        goes_on = answer.data is None or self._send_data(message, answer)
        if not goes_on or self._script.due(Kind.NO_ANSWER, message.code, answer.path) is not None:
            self._hung = goes_on is False or self._hung
            self._pipe.serve()
            return
        if self._script.due(Kind.EXTRA_ZLP, message.code, answer.path) is not None:
            self._pipe.send([])
        wrong = self._script.due(Kind.WRONG_TRANSACTION, message.code, answer.path) is not None
        self._pipe.send([ptp.response(code, message.transaction + wrong, answer.parameters)])
        self._pipe.serve()

    def _send_data(self, message: Message, answer: _Answer) -> bool:
        """Queue the data phase as the script wants it. False if nothing follows it."""
        script, operation, path = self._script, message.code, answer.path
        data = answer.data or []
        size = _size(data)
        if (
            script.due(Kind.HANG, operation, path, at=size % 512) is not None
            and operation != ptp.GET_OBJECT
        ):
            return False
        if script.due(Kind.STALL, operation, path) is not None:
            self._pipe.stall()
            return False
        longer = script.due(Kind.LONG_ANSWER, operation, path)
        if longer is not None:
            data, size = [*data, b"\xa5" * longer.at], size + longer.at
        head = ptp.header(HEADER_BYTES + size, ptp.DATA, operation, message.transaction)
        tail = script.due(Kind.GARBAGE_TAIL, operation, path)
        garbage: list[Piece] = [b"\x5a" * tail.at] if tail is not None else []
        has_zlp = script.due(Kind.NO_ZLP, operation, path) is None
        if script.due(Kind.HEADER_APART, operation, path) is not None:
            self._pipe.send([head])
            sent = self._pipe.send([*data, *garbage], has_zlp=has_zlp)
        else:
            sent = self._pipe.send([head, *data, *garbage], has_zlp=has_zlp)
        self._disturb(sent, operation, path)
        return True

    def _disturb(self, sent: Outgoing, operation: int, path: str) -> None:
        cut = self._script.due(Kind.UNPLUG_IN_DATA, operation, path)
        if cut is not None:
            sent.cut_at = max(0, cut.at if cut.at >= 0 else sent.length + cut.at)
        split = self._script.due(Kind.SPLIT, operation, path)
        if split is not None:
            sent.breaks.add(split.at)
        for kind in (Kind.SHORT_READ, Kind.DROP):
            fault = self._script.due(kind, operation, path)
            if fault is not None:
                at = fault.at // 512 * 512
                sent.breaks.add(at)
                if kind is Kind.DROP:
                    sent.drops.add(at)

    # Session and device

    def _open_session(self, message: Message) -> _Answer:
        if self._session:
            raise RefusalError(ptp.SESSION_ALREADY_OPEN)
        if not message.parameters[0]:
            raise RefusalError(ptp.INVALID_PARAMETER)
        self._session = message.parameters[0]
        self._sessions += 1
        self._tree = Tree(self._body.root, self._script, self._sessions)
        return _Answer()

    def _close_session(self, _: Message) -> _Answer:
        self._session = 0
        self._tree = None
        return _Answer()

    def _device_info(self, _: Message) -> _Answer:
        properties = [
            code for code in (ptp.BATTERY_LEVEL, ptp.DATE_TIME) if code not in self._without
        ]
        body = self._body
        head = (
            struct.pack("<HIH", 100, VENDOR_MICROSOFT, 100)
            + ptp.text("microsoft.com: 1.0;")
            + struct.pack("<H", 0)
        )
        lists = (sorted(self._operations), (), properties, (), (ptp.UNDEFINED, ptp.FOLDER, ptp.MP4))
        names = (body.manufacturer, body.model, body.firmware, body.serial)
        return _Answer(
            [head + b"".join(map(ptp.numbers16, lists)) + b"".join(map(ptp.text, names))]
        )

    def _storage_info(self, message: Message) -> _Answer:
        if message.parameters[0] != STORAGE:
            raise RefusalError(ptp.INVALID_STORAGE_ID)
        capacity = self._body.capacity_bytes()
        used = sum(path.lstat().st_size for path in self._body.root.rglob("*") if path.is_file())
        numbers = struct.pack("<HHHQQI", 4, 2, 0, capacity, max(0, capacity - used), 0xFFFFFFFF)
        return _Answer([numbers + ptp.text("Card") + ptp.text("")])

    def _property_desc(self, message: Message) -> _Answer:
        code = message.parameters[0]
        value = self._value(code)
        if code == ptp.BATTERY_LEVEL:
            return _Answer(
                [
                    struct.pack("<HHB", code, 2, 0)
                    + b"\x64"
                    + value
                    + struct.pack("<BBBB", 1, 0, 100, 1)
                ]
            )
        return _Answer([struct.pack("<HHB", code, 0xFFFF, 1) + ptp.text("") + value + b"\0"])

    def _property_value(self, message: Message) -> _Answer:
        return _Answer([self._value(message.parameters[0])])

    def _value(self, code: int) -> bytes:
        if code in self._without:
            raise RefusalError(ptp.DEVICE_PROP_NOT_SUPPORTED)
        if code == ptp.BATTERY_LEVEL:
            return bytes([self._body.battery_percent()])
        if code == ptp.DATE_TIME:
            return ptp.text(_date_time(self._body.utc_ms()))
        raise RefusalError(ptp.DEVICE_PROP_NOT_SUPPORTED)

    def _set_property(self, command: Message, payload: bytes) -> _Answer:
        if not self._session:
            raise RefusalError(ptp.SESSION_NOT_OPEN)
        if command.parameters[0] != ptp.DATE_TIME or ptp.DATE_TIME in self._without:
            raise RefusalError(ptp.DEVICE_PROP_NOT_SUPPORTED)
        utc_ms = _parse_date_time(ptp.parse_text(payload) or "")
        if utc_ms is None:
            raise RefusalError(ptp.INVALID_DATASET)
        self._body.set_utc_ms(utc_ms)
        return _Answer()

    # Objects

    def _handles(self, message: Message) -> list[int]:
        storage, form, parent = message.parameters[:3]
        if storage not in (STORAGE, ROOT):
            raise RefusalError(ptp.INVALID_STORAGE_ID)
        tree = self._objects()
        found = tree.everything() if parent == 0 else tree.children(0 if parent == ROOT else parent)
        if found is None:
            raise RefusalError(ptp.INVALID_PARENT)
        objects = [tree.get(handle) for handle in found] if form else []
        return (
            [each.handle for each in objects if each is not None and each.format == form]
            if form
            else found
        )

    def _object_handles(self, message: Message) -> _Answer:
        endless = self._script.first(Kind.ENDLESS)
        if endless is not None and endless.at == 1:
            return _Answer([struct.pack("<I", 0xFFFFFFFF) + bytes(1 << 16)])
        return _Answer([ptp.numbers32(self._handles(message))])

    def _object_info(self, message: Message) -> _Answer:
        found = self._object(message.parameters[0])
        size = self._stated_size(found)
        fields = struct.pack("<IHHI", STORAGE, found.format, 0, min(size, ptp.LENGTH_MAX))
        picture = struct.pack("<HIIIIII", 0, 0, 0, 0, 0, 0, 0)
        place = struct.pack("<IHII", found.parent, 1 if found.is_folder else 0, 0, 0)
        time = _date_time(found.modified_s * 1000)[:15] + "Z"
        return _Answer(
            [
                fields
                + picture
                + place
                + ptp.text(found.name)
                + ptp.text(time)
                + ptp.text(time)
                + ptp.text("")
            ],
            path=found.path,
        )

    def _get_object(self, message: Message) -> _Answer:
        found = self._file(message)
        return self._bytes_of(message, found, 0, found.size_bytes)

    def _partial(self, message: Message, offset: int, wanted: int) -> _Answer:
        found = self._file(message)
        count = max(0, min(wanted, found.size_bytes - offset))
        answer = self._bytes_of(message, found, offset, count)
        return _Answer(answer.data, (_size(answer.data or []) & 0xFFFFFFFF,), found.path)

    def _bytes_of(self, message: Message, found: Object, offset: int, count: int) -> _Answer:
        if self._script.due(Kind.UNREADABLE, message.code, found.path) is not None:
            raise RefusalError(ptp.GENERAL_ERROR)
        shorter = self._script.due(Kind.SHORT_ANSWER, message.code, found.path)
        if shorter is not None:
            count = max(0, count - shorter.at)
        if found.fiction:
            return _Answer([bytes(count)], path=found.path)
        descriptor = os.open(
            self._objects().on_disk(found), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        )
        data: list[Piece] = [FilePiece(descriptor, offset, count)]
        wrong = self._script.due(Kind.WRONG_BYTES, message.code, found.path)
        if wrong is not None and offset <= wrong.at < offset + count:
            content = bytearray(b"".join(pieces_of(data)))
            content[wrong.at - offset] ^= 0xFF
            os.close(descriptor)
            data = [bytes(content)]
        return _Answer(data, path=found.path)

    def _delete(self, message: Message) -> _Answer:
        found = self._object(message.parameters[0])
        tree = self._objects()
        if self._script.due(Kind.DELETE_LIES, message.code, found.path) is not None:
            tree.hidden.add(found.path)
            return _Answer(path=found.path)
        try:
            self._body.delete(tree.on_disk(found))
        except OSError:
            raise RefusalError(ptp.PARTIAL_DELETION) from None
        if self._script.due(Kind.DELETE_UNSAID, message.code, found.path) is not None:
            raise RefusalError(ptp.GENERAL_ERROR)
        return _Answer(path=found.path)

    def _object_props(self) -> list[int]:
        return [code for code in OBJECT_PROPS if code not in self._without]

    def _object_prop_desc(self, message: Message) -> _Answer:
        code = message.parameters[0]
        kinds = {
            ptp.STORAGE_ID_PROP: 6,
            ptp.OBJECT_FORMAT_PROP: 4,
            ptp.OBJECT_SIZE_PROP: 8,
            ptp.OBJECT_NAME_PROP: 0xFFFF,
        }
        if code not in self._object_props():
            raise RefusalError(ptp.INVALID_PROP_CODE)
        empty = {6: bytes(4), 4: bytes(2), 8: bytes(8), 0xFFFF: ptp.text("")}[kinds[code]]
        return _Answer(
            [struct.pack("<HHB", code, kinds[code], 0) + empty + struct.pack("<IB", 0, 0)]
        )

    def _object_prop_value(self, message: Message) -> _Answer:
        found, code = self._object(message.parameters[0]), message.parameters[1]
        if code not in self._object_props():
            raise RefusalError(ptp.INVALID_PROP_CODE)
        values = {
            ptp.STORAGE_ID_PROP: struct.pack("<I", STORAGE),
            ptp.OBJECT_FORMAT_PROP: struct.pack("<H", found.format),
            ptp.OBJECT_SIZE_PROP: struct.pack("<Q", self._stated_size(found)),
            ptp.OBJECT_NAME_PROP: ptp.text(found.name),
        }
        return _Answer([values[code]], path=found.path)

    def _stated_size(self, found: Object) -> int:
        size = found.size_bytes
        lie = self._script.due(Kind.SIZE_LIES, path=found.path)
        if lie is not None:
            size += lie.at
        grows = self._script.due(Kind.GROWS, path=found.path)
        if grows is not None:
            self._growth[found.path] = self._growth.get(found.path, 0) + grows.at
            size += self._growth[found.path]
        return max(0, size)

    def _file(self, message: Message) -> Object:
        found = self._object(message.parameters[0])
        if found.is_folder:
            raise RefusalError(ptp.INVALID_OBJECT_HANDLE)
        return found

    def _object(self, handle: int) -> Object:
        found = self._objects().get(handle)
        if found is None:
            raise RefusalError(ptp.INVALID_OBJECT_HANDLE)
        return found

    def _objects(self) -> Tree:
        if self._tree is None:
            raise RefusalError(ptp.SESSION_NOT_OPEN)
        return self._tree


def _size(data: list[Piece]) -> int:
    return sum(piece.length if isinstance(piece, FilePiece) else len(piece) for piece in data)


def _date_time(utc_ms: int) -> str:
    moment = datetime.fromtimestamp(utc_ms // 1000, UTC)
    return f"{moment:%Y%m%dT%H%M%S}.{utc_ms % 1000 // 100}Z"


def _parse_date_time(value: str) -> int | None:
    """Tenths and `Z`, or without either: UTC all the same. None where it is no time."""
    seconds, _, tenth = value.rstrip("Z").partition(".")
    try:
        moment = datetime.strptime(seconds, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        return round(moment.timestamp()) * 1000 + 100 * int(tenth or "0")
    except ValueError:
        return None
