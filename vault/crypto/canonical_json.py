"""JSON as the vault writes and reads it: canonical out, strict in. Pure."""

import base64
import binascii
import json
from typing import Any

Json = dict[str, Any]


def canonical(value: object) -> bytes:
    """Keys sorted, no white space, UTF-8: one value has one form, so that a digest of it means
    something.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def readable(value: object) -> bytes:
    """The form of files that a person may open: indented, UTF-8, a line feed at the end."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def parse_object(content: bytes) -> Json:
    """A JSON object without doubled keys. Raises ValueError for anything else."""

    def once(pairs: list[tuple[str, Any]]) -> Json:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key stands twice")
        return found

    try:
        value = json.loads(content.decode(), object_pairs_hook=once)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def to_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def from_base64(text: str) -> bytes:
    """Raises ValueError for anything but standard base64 with padding."""
    try:
        return base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("not base64") from error


def printable(name: str) -> str:
    """A camera's name as text that any reader can show: bytes that are not UTF-8 become backslash
    escapes.
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
