"""What a process that holds footage or a key in memory owes them (I5)."""

import ctypes
import resource

_PR_SET_DUMPABLE = 4


def forbid_dumps() -> None:
    """No core of this process, neither as a file nor to a collector on the other end of a pipe.

    A limit of nothing stops files only; a process that is not dumpable leaves no core at all, and no other user can attach to it.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
