"""A process that shuts itself off from files, for good, by the kernel's Landlock (landlock(7), from
Linux 5.13 on).

There is no library for it in Debian 12, and three system calls are all of it. What was open before
stays open. What is not granted can't be opened, run, made or removed, whatever the file's mode says
and whoever asks.
"""

import contextlib
import ctypes
import os
import struct
from collections.abc import Mapping
from enum import IntFlag
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_GET_VERSION = 1
_RULE_PATH_BENEATH = 1
_SET_NO_NEW_PRIVS = 38

_HANDLED = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
"""All rights over files that a version of the interface knows: to run, read, write, remove, make,
link, truncate.
"""
_OF_FILES = 0b111 | 1 << 14
"""Those that a rule on a single file may name."""

_RULESET = struct.Struct("=Q")
_PATH_BENEATH = struct.Struct("=Qi")


class Rights(IntFlag):
    """What may be done at and below a path."""

    LISTING = 1 << 3
    """List folders, and open nothing in them."""
    READING = 1 << 2 | LISTING
    """Read files and list folders."""
    CARD = READING | 1 << 4 | 1 << 5
    """And remove: a card is read and erased, nothing on it is made or written."""
    DEVICES = READING | 1 << 1
    """And write to what stands there."""


def restrict(granted: Mapping[Path, Rights]) -> bool:
    """Leave this process, its threads and all that it starts with what is granted and no more. Call
    it before any thread starts.

    What does not exist is passed over. False: this kernel has no Landlock, and nothing was
    restricted. Raises OSError.
    """
    library = ctypes.CDLL(None, use_errno=True)
    version = library.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _GET_VERSION)
    if version < 1:
        return False
    handled = _HANDLED[min(version, max(_HANDLED))]
    ruleset = _checked(
        library.syscall(_CREATE_RULESET, _RULESET.pack(handled), ctypes.c_size_t(_RULESET.size), 0)
    )
    try:
        for path, rights in granted.items():
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                _grant(library, ruleset, path, rights & handled)
        _checked(library.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(library.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def _grant(library: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PATH_BENEATH.pack(rights if path.is_dir() else rights & _OF_FILES, descriptor)
        _checked(library.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0))
    finally:
        os.close(descriptor)


def _checked(answer: int) -> int:
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer
