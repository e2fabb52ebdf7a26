"""PTP and MTP as bytes: containers and datasets, decoded and encoded, no I/O.

Sources: ISO 15740 (PTP) for operations, datasets and strings; PIMA 15740 annex D, the USB Still
Image Capture Device class 1.0, for containers; MTP 1.1 for the 64-bit operations and object
properties. All integers are little-endian.

What comes from a device is untrusted: every length is held against the bytes that are there before
it is used, and whatever does not fit raises Malformed, never anything else. Codes that are not
known here are kept as the numbers they are.
"""

import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import Self

HEADER_BYTES = 12
PARAMETERS_MAX = 5
TEXT_UNITS_MAX = 254
"""Of UTF-16, without the closing NUL."""
WHOLE_LENGTH_UNKNOWN = 0xFFFFFFFF
"""What a 32-bit length says where the true one does not fit: a container's length, or an object's
size.
"""

ALL_FORMATS = 0
ROOT = 0xFFFFFFFF
"""As the parent in GetObjectHandles: the objects that lie in no folder."""
FOLDER = 0x3001
"""The object format of an association, of which a folder is one."""


class MalformedError(Exception):
    """Bytes from a device that are not what the specification says. The text says which part, and
    where.
    """


class Kind(IntEnum):
    """Container types."""

    COMMAND = 1
    DATA = 2
    RESPONSE = 3
    EVENT = 4


class Operation(IntEnum):
    """The operations that the dock asks for."""

    GET_DEVICE_INFO = 0x1001
    OPEN_SESSION = 0x1002
    CLOSE_SESSION = 0x1003
    GET_STORAGE_IDS = 0x1004
    GET_STORAGE_INFO = 0x1005
    GET_OBJECT_HANDLES = 0x1007
    GET_OBJECT_INFO = 0x1008
    GET_OBJECT = 0x1009
    DELETE_OBJECT = 0x100B
    GET_DEVICE_PROP_VALUE = 0x1015
    SET_DEVICE_PROP_VALUE = 0x1016
    GET_PARTIAL_OBJECT = 0x101B
    GET_PARTIAL_OBJECT_64 = 0x95C1
    GET_OBJECT_PROP_VALUE = 0x9803


class Response(IntEnum):
    """The response codes that mean something of their own to the dock. All others are failures."""

    OK = 0x2001
    SESSION_NOT_OPEN = 0x2003
    OPERATION_NOT_SUPPORTED = 0x2005
    INVALID_OBJECT_HANDLE = 0x2009
    OBJECT_WRITE_PROTECTED = 0x200D
    STORE_READ_ONLY = 0x200E
    ACCESS_DENIED = 0x200F
    PARTIAL_DELETION = 0x2012
    STORE_NOT_AVAILABLE = 0x2013
    DEVICE_BUSY = 0x2019
    SESSION_ALREADY_OPEN = 0x201E


class Property(IntEnum):
    """Device and object properties."""

    BATTERY_LEVEL = 0x5001
    DATE_TIME = 0x5011
    OBJECT_SIZE = 0xDC04


@dataclass(frozen=True, slots=True)
class Header:
    """The 12 bytes in front of every container. `length` counts them, and may be
    WHOLE_LENGTH_UNKNOWN for data.
    """

    length: int
    kind: Kind
    code: int
    transaction: int

    @classmethod
    def decode(cls, content: bytes | memoryview) -> Self:
        if len(content) < HEADER_BYTES:
            raise MalformedError(f"a container of {len(content)} bytes is shorter than its header")
        length, kind, code, transaction = struct.unpack_from("<IHHI", content)
        if kind not in (1, 2, 3, 4):
            raise MalformedError(f"a container of the unknown type {kind}")
        if length < HEADER_BYTES:
            raise MalformedError(f"a container that says it has {length} bytes")
        return cls(length, Kind(kind), code, transaction)

    def encode(self) -> bytes:
        return struct.pack("<IHHI", self.length, self.kind, self.code, self.transaction)


@dataclass(frozen=True, slots=True)
class Container:
    """A whole container: a header and its payload."""

    kind: Kind
    code: int
    transaction: int
    payload: bytes = b""

    @classmethod
    def decode(cls, content: bytes) -> Self:
        header = Header.decode(content)
        if header.length != len(content):
            raise MalformedError(
                f"a container that says it has {header.length} bytes, and has {len(content)}"
            )
        return cls(header.kind, header.code, header.transaction, content[HEADER_BYTES:])

    def encode(self) -> bytes:
        return (
            Header(
                HEADER_BYTES + len(self.payload), self.kind, self.code, self.transaction
            ).encode()
            + self.payload
        )

    @property
    def parameters(self) -> tuple[int, ...]:
        """The parameters of a command, a response or an event."""
        count, rest = divmod(len(self.payload), 4)
        if rest or count > PARAMETERS_MAX:
            raise MalformedError(f"parameters of {len(self.payload)} bytes")
        return struct.unpack(f"<{count}I", self.payload)


def command(operation: int, transaction: int, *parameters: int) -> bytes:
    """A command container. At most five parameters of 32 bits each."""
    if len(parameters) > PARAMETERS_MAX:
        raise ValueError("PTP knows at most five parameters")
    return Container(
        Kind.COMMAND, operation, transaction, struct.pack(f"<{len(parameters)}I", *parameters)
    ).encode()


class _Reader:
    """Takes fields from the front of a dataset. `what` names it in errors."""

    def __init__(self, content: bytes, what: str) -> None:
        self._content = content
        self._what = what
        self._at = 0

    def _take(self, size: int, field: str) -> bytes:
        end = self._at + size
        if end > len(self._content):
            raise MalformedError(f"{self._what} ends in its field {field}")
        piece, self._at = self._content[self._at : end], end
        return piece

    def u8(self, field: str) -> int:
        return self._take(1, field)[0]

    def u16(self, field: str) -> int:
        return int.from_bytes(self._take(2, field), "little")

    def u32(self, field: str) -> int:
        return int.from_bytes(self._take(4, field), "little")

    def u64(self, field: str) -> int:
        return int.from_bytes(self._take(8, field), "little")

    def text(self, field: str) -> str:
        """A count of UTF-16 units with the closing NUL among them, then the units. What stands
        behind a NUL is nothing.
        """
        units = self._take(2 * self.u8(field), field)
        text, end, _ = units.decode("utf-16-le", "surrogatepass").partition("\0")
        if not end and len(units) > 2 * TEXT_UNITS_MAX:
            raise MalformedError(f"{self._what} has a string without an end as its {field}")
        return text

    def array(self, unit_bytes: int, field: str) -> tuple[int, ...]:
        count = self.u32(field)
        if count * unit_bytes > len(self._content) - self._at:
            raise MalformedError(
                f"{self._what} says that {field} has {count} entries, and ends before"
            )
        letter = {2: "H", 4: "I"}[unit_bytes]
        return struct.unpack(f"<{count}{letter}", self._take(count * unit_bytes, field))


def encode_text(text: str) -> bytes:
    """A PTP string of at most 254 UTF-16 units; the empty one is a single zero."""
    units = text.encode("utf-16-le", "surrogatepass")
    if len(units) > 2 * TEXT_UNITS_MAX or "\0" in text:
        raise ValueError("a PTP string has at most 254 units, and no NUL")
    return bytes([len(units) // 2 + 1]) + units + b"\0\0" if text else b"\0"


def decode_text(content: bytes, what: str) -> str:
    """A dataset that is one string, such as the value of DateTime."""
    return _Reader(content, what).text("value")


def encode_array(values: tuple[int, ...], unit_bytes: int) -> bytes:
    letter = {2: "H", 4: "I"}[unit_bytes]
    return struct.pack(f"<I{len(values)}{letter}", len(values), *values)


def decode_handles(content: bytes, what: str) -> tuple[int, ...]:
    """The dataset of GetObjectHandles and of GetStorageIDs."""
    return _Reader(content, what).array(4, "handles")


def decode_u64(content: bytes, what: str) -> int:
    """The dataset of an object property such as ObjectSize."""
    return _Reader(content, what).u64("value")


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """Who a device says it is, and what it can do. ISO 15740, 5.5.1."""

    standard_version: int
    extension_id: int
    extension_version: int
    extension: str
    functional_mode: int
    operations: tuple[int, ...]
    events: tuple[int, ...]
    properties: tuple[int, ...]
    capture_formats: tuple[int, ...]
    object_formats: tuple[int, ...]
    manufacturer: str
    model: str
    version: str
    serial: str

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """What stands behind the last field is passed over: vendors put their own there."""
        reader = _Reader(content, "DeviceInfo")
        return cls(
            reader.u16("StandardVersion"),
            reader.u32("VendorExtensionID"),
            reader.u16("VendorExtensionVersion"),
            reader.text("VendorExtensionDesc"),
            reader.u16("FunctionalMode"),
            reader.array(2, "OperationsSupported"),
            reader.array(2, "EventsSupported"),
            reader.array(2, "DevicePropertiesSupported"),
            reader.array(2, "CaptureFormats"),
            reader.array(2, "ImageFormats"),
            reader.text("Manufacturer"),
            reader.text("Model"),
            reader.text("DeviceVersion"),
            reader.text("SerialNumber"),
        )

    def encode(self) -> bytes:
        lists = (
            self.operations,
            self.events,
            self.properties,
            self.capture_formats,
            self.object_formats,
        )
        return b"".join(
            (
                struct.pack(
                    "<HIH", self.standard_version, self.extension_id, self.extension_version
                ),
                encode_text(self.extension),
                struct.pack("<H", self.functional_mode),
                *(encode_array(values, 2) for values in lists),
                *(
                    encode_text(text)
                    for text in (self.manufacturer, self.model, self.version, self.serial)
                ),
            )
        )


@dataclass(frozen=True, slots=True)
class StorageInfo:
    """One storage. `access` 0 is read and write. ISO 15740, 5.5.3."""

    storage_type: int
    filesystem_type: int
    access: int
    capacity_bytes: int
    free_bytes: int
    free_objects: int
    description: str
    label: str

    @classmethod
    def decode(cls, content: bytes) -> Self:
        reader = _Reader(content, "StorageInfo")
        return cls(
            reader.u16("StorageType"),
            reader.u16("FilesystemType"),
            reader.u16("AccessCapability"),
            reader.u64("MaxCapacity"),
            reader.u64("FreeSpaceInBytes"),
            reader.u32("FreeSpaceInImages"),
            reader.text("StorageDescription"),
            reader.text("VolumeLabel"),
        )

    def encode(self) -> bytes:
        numbers = (
            self.storage_type,
            self.filesystem_type,
            self.access,
            self.capacity_bytes,
            self.free_bytes,
            self.free_objects,
        )
        return (
            struct.pack("<HHHQQI", *numbers)
            + encode_text(self.description)
            + encode_text(self.label)
        )


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object: a file or a folder. `compressed_size` is 32 bits wide; WHOLE_LENGTH_UNKNOWN says
    "look at ObjectSize".

    ISO 15740, 5.5.2.
    """

    storage: int
    format: int
    protection: int
    compressed_size: int
    thumb_format: int
    thumb_compressed_size: int
    thumb_width: int
    thumb_height: int
    image_width: int
    image_height: int
    image_depth: int
    parent: int
    association_type: int
    association_desc: int
    sequence_number: int
    name: str
    captured: str
    modified: str
    keywords: str

    @classmethod
    def decode(cls, content: bytes) -> Self:
        reader = _Reader(content, "ObjectInfo")
        return cls(
            reader.u32("StorageID"),
            reader.u16("ObjectFormat"),
            reader.u16("ProtectionStatus"),
            reader.u32("ObjectCompressedSize"),
            reader.u16("ThumbFormat"),
            reader.u32("ThumbCompressedSize"),
            reader.u32("ThumbPixWidth"),
            reader.u32("ThumbPixHeight"),
            reader.u32("ImagePixWidth"),
            reader.u32("ImagePixHeight"),
            reader.u32("ImageBitDepth"),
            reader.u32("ParentObject"),
            reader.u16("AssociationType"),
            reader.u32("AssociationDesc"),
            reader.u32("SequenceNumber"),
            reader.text("Filename"),
            reader.text("CaptureDate"),
            reader.text("ModificationDate"),
            reader.text("Keywords"),
        )

    def encode(self) -> bytes:
        numbers = struct.pack(
            "<IHHIHIIIIIIIHII",
            self.storage,
            self.format,
            self.protection,
            self.compressed_size,
            self.thumb_format,
            self.thumb_compressed_size,
            self.thumb_width,
            self.thumb_height,
            self.image_width,
            self.image_height,
            self.image_depth,
            self.parent,
            self.association_type,
            self.association_desc,
            self.sequence_number,
        )
        return numbers + b"".join(
            encode_text(text) for text in (self.name, self.captured, self.modified, self.keywords)
        )


_DATE_TIME = re.compile(r"(\d{8}T\d{6})(\.\d)?(Z|[+-]\d{4})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class DateTime:
    """`YYYYMMDDThhmmss`, with a tenth of a second and a zone where the device states them. ISO
    15740, 5.3.5.

    `zone` None: the camera's local time, in a zone that it does not tell.
    """

    moment: datetime
    """Naive, as the device shows it."""
    has_tenths: bool
    zone: timezone | None

    @classmethod
    def decode(cls, text: str) -> Self:
        match = _DATE_TIME.fullmatch(text)
        if match is None:
            raise MalformedError("a time that is not of the form YYYYMMDDThhmmss")
        seconds, tenth, zone = match.groups()
        try:
            moment = datetime.strptime(seconds, "%Y%m%dT%H%M%S")  # noqa: DTZ007 - the zone stands beside it
            return cls(
                moment + timedelta(milliseconds=100 * int((tenth or ".0")[1:])),
                tenth is not None,
                _zone(zone),
            )
        except (ValueError, OverflowError) as error:
            raise MalformedError("a time that no calendar has") from error

    def utc(self) -> datetime:
        """The moment in UTC. Raises MalformedError on the calendar's first and last day, where UTC may
        have none.
        """
        try:
            return self.moment.replace(tzinfo=self.zone).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise MalformedError("a time that UTC has no year for") from error

    def encode(self) -> str:
        tenth = f".{self.moment.microsecond // 100_000}" if self.has_tenths else ""
        zone = ""
        if self.zone is not None:
            offset_min = round(self.zone.utcoffset(None) / timedelta(minutes=1))
            zone = (
                "Z"
                if self.zone is UTC
                else f"{'-' if offset_min < 0 else '+'}{abs(offset_min) // 60:02d}{abs(offset_min) % 60:02d}"
            )
        return f"{self.moment.year:04d}{self.moment:%m%dT%H%M%S}{tenth}{zone}"


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text == "Z":
        return UTC
    sign = -1 if text[0] == "-" else 1
    hours, minutes = int(text[1:3]), int(text[3:5])
    if minutes > 59:
        raise ValueError("an hour has 60 minutes")
    return timezone(sign * timedelta(hours=hours, minutes=minutes))
