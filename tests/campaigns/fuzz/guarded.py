"""Bytes that notice a reading past their end, a count of the steps that a call takes, and the
weight of what it gives.
"""

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from types import FrameType, SimpleNamespace
from typing import Any, SupportsIndex, cast

from pydantic import BaseModel

CPU_MAX_S = 20.0
"""Of the processor, for one input that needs a thousandth of it: what is no step of Python, such as
an expression, ends here.
"""


class Past(BaseException):
    """A slice or an index beyond the end. No `except Exception` of a parser may swallow it."""


class TooLong(BaseException):
    """More steps, or more of the processor, than an input of this size may take."""


class Guarded(bytes):
    """Slices of bytes stop at the end in silence, which hides a read beyond it. These do not."""

    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        if isinstance(key, slice):
            for edge in (key.start, key.stop):
                if edge is not None and not -len(self) <= edge <= len(self):
                    raise Past(f"bytes [{key.start}:{key.stop}] of {len(self)}")
            return Guarded(super().__getitem__(key))
        return super().__getitem__(key)


class Steps:
    """Counts the lines of Python that a call runs through, wherever they stand, and ends it at the
    limit.
    """

    def __init__(self) -> None:
        self.taken = 0
        self._limit = 0

    @contextmanager
    def counted(self, limit: int) -> Iterator[None]:
        """Raises TooLong inside of the call. Main thread only; a tracer that was there before is
        put back.
        """
        self.taken, self._limit = 0, limit
        before = sys.gettrace()
        handler = signal.signal(signal.SIGVTALRM, self._ring)
        # Python stops tracing where a tracer raised, and a parser may go on while it lets go: the
        # clock rings again and again.
        signal.setitimer(signal.ITIMER_VIRTUAL, CPU_MAX_S, CPU_MAX_S / 20)
        sys.settrace(self._count)
        try:
            yield
        finally:
            sys.settrace(before)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, handler)

    def _count(self, _frame: FrameType, event: str, _argument: object) -> Any:
        self.taken += 1
        if self.taken > self._limit:
            raise TooLong(f"more than {self._limit} steps")
        return self._count

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        raise TooLong(f"more than {CPU_MAX_S:g} s of the processor")


def weight(value: object) -> int:
    """How much a value holds: one for each object in it, one for each byte or character, one for
    each 8 bits of a number.
    """
    total = 0
    todo = [value]
    while todo:
        part = todo.pop()
        total += 1
        if isinstance(part, (str, bytes, bytearray)):
            total += len(part)
        elif isinstance(part, memoryview):
            total += part.nbytes
        elif isinstance(part, int):
            total += part.bit_length() // 8
        elif isinstance(part, (tuple, list, set, frozenset)):
            todo.extend(part)
        elif isinstance(part, Mapping):
            todo.extend(part.keys())
            todo.extend(part.values())
        elif isinstance(part, (BaseModel, SimpleNamespace)):
            todo.extend(vars(part).values())
        elif is_dataclass(part):
            todo.extend(getattr(part, each.name) for each in fields(cast(Any, part)))
    return total
