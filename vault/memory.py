"""What a process that holds footage or a key in memory owes them (I5)."""

import ctypes
import os

_PR_SET_DUMPABLE = 4


def forbid_dumps() -> None:
    """No core of this process, neither as a file nor to a collector on the other end of a pipe (prctl(2), core(5)).

    A limit of zero bytes would stop files only. Nor can another user's debugger attach from here on. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
