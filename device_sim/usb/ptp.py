"""The responder's side of PTP as bytes: it takes commands, and gives data sets and responses.

Written from ISO 15740, PIMA 15740 annex D and MTP 1.1, apart from what the dock reads them with.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

COMMAND, DATA, RESPONSE = 1, 2, 3
HEADER_BYTES = 12
LENGTH_MAX = 0xFFFFFFFF

GET_DEVICE_INFO, OPEN_SESSION, CLOSE_SESSION = 0x1001, 0x1002, 0x1003
GET_STORAGE_IDS, GET_STORAGE_INFO, GET_NUM_OBJECTS = 0x1004, 0x1005, 0x1006
GET_OBJECT_HANDLES, GET_OBJECT_INFO, GET_OBJECT = 0x1007, 0x1008, 0x1009
DELETE_OBJECT = 0x100B
GET_DEVICE_PROP_DESC, GET_DEVICE_PROP_VALUE, SET_DEVICE_PROP_VALUE = 0x1014, 0x1015, 0x1016
GET_PARTIAL_OBJECT = 0x101B
GET_PARTIAL_OBJECT_64 = 0x95C1
GET_OBJECT_PROPS_SUPPORTED, GET_OBJECT_PROP_DESC, GET_OBJECT_PROP_VALUE = 0x9801, 0x9802, 0x9803

OK, GENERAL_ERROR, SESSION_NOT_OPEN = 0x2001, 0x2002, 0x2003
OPERATION_NOT_SUPPORTED, PARAMETER_NOT_SUPPORTED = 0x2005, 0x2006
INVALID_STORAGE_ID, INVALID_OBJECT_HANDLE, DEVICE_PROP_NOT_SUPPORTED = 0x2008, 0x2009, 0x200A
PARTIAL_DELETION, DEVICE_BUSY, INVALID_PARENT = 0x2012, 0x2019, 0x201A
INVALID_PARAMETER, SESSION_ALREADY_OPEN = 0x201D, 0x201E
INVALID_PROP_CODE, INVALID_DATASET = 0xA801, 0x2015

BATTERY_LEVEL, DATE_TIME = 0x5001, 0x5011
STORAGE_ID_PROP, OBJECT_FORMAT_PROP, OBJECT_SIZE_PROP, OBJECT_NAME_PROP = (
    0xDC01,
    0xDC02,
    0xDC04,
    0xDC07,
)
FOLDER, UNDEFINED, MP4 = 0x3001, 0x3000, 0xB982


@dataclass(frozen=True, slots=True)
class Message:
    """A container from the host: a command with its parameters, or the data of one."""

    kind: int
    code: int
    transaction: int
    payload: bytes

    @classmethod
    def parse(cls, content: bytes) -> Message | None:
        """None where it is no container."""
        if len(content) < HEADER_BYTES:
            return None
        length, kind, code, transaction = struct.unpack_from("<IHHI", content)
        return (
            cls(kind, code, transaction, content[HEADER_BYTES:]) if length == len(content) else None
        )

    @property
    def parameters(self) -> tuple[int, ...]:
        """Always five: those that were left out are 0."""
        count = min(5, len(self.payload) // 4)
        return (*struct.unpack_from(f"<{count}I", self.payload), *[0] * (5 - count))


def header(length: int, kind: int, code: int, transaction: int) -> bytes:
    return struct.pack("<IHHI", min(length, LENGTH_MAX), kind, code, transaction)


def response(code: int, transaction: int, parameters: Sequence[int] = ()) -> bytes:
    content = struct.pack(f"<{len(parameters)}I", *parameters)
    return header(HEADER_BYTES + len(content), RESPONSE, code, transaction) + content


def text(value: str) -> bytes:
    """Return a string; what is longer than 254 units is cut."""
    units = value.encode("utf-16-le", "surrogatepass")[: 2 * 254]
    return bytes([len(units) // 2 + 1]) + units + b"\0\0" if units else b"\0"


def parse_text(content: bytes) -> str | None:
    """Return the one string of a data set; None where it is none."""
    if not content or len(content) < 1 + 2 * content[0]:
        return None
    return content[1 : 1 + 2 * content[0]].decode("utf-16-le", "replace").rstrip("\0")


def numbers16(values: Sequence[int]) -> bytes:
    return struct.pack(f"<I{len(values)}H", len(values), *values)


def numbers32(values: Sequence[int]) -> bytes:
    return struct.pack(f"<I{len(values)}I", len(values), *values)
