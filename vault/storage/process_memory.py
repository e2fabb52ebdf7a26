"""What a process that holds footage or a key in memory owes them (I5)."""

import ctypes
import os

_PR_SET_DUMPABLE = 4
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def forbid_dumps() -> None:
    """No core of this process, neither as a file nor to a collector on the other end of a pipe
    (prctl(2), core(5)).

    A limit of zero bytes would stop files only. Nor can another user's debugger attach from here
    on. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def give_back_memory() -> None:
    """Let large buffers go back to the system when they are freed (mallopt(3)).

    Left alone, glibc raises the size from which a buffer is a mapping of its own with every large
    one that is freed, and keeps the next ones on its heaps: the back office with four recordings of
    8 Mbit/s open held 67 MB more (201 instead of 134).
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for parameter, value in (
            (_M_MMAP_THRESHOLD, 256 << 10),
            (_M_TRIM_THRESHOLD, 1 << 20),
            (_M_ARENA_MAX, 2),
        ):
            libc.mallopt(parameter, value)
