"""Readers of the installed dock, found by what they hold open, and sent a signal."""

READERS = "/sys/fs/cgroup/system.slice/system-dock*reader.slice/*/cgroup.procs"
"""The processes of all instances of dock-reader@.service."""


def kill_reader(bay: str, signal: str) -> str:
    """A line of bash: a signal to the reader that has the card in this bay open. It ends badly
    where there is none.
    """
    return _kill(f"ls -l /proc/$p/fd 2>/dev/null | grep -q '/{bay}\\b'", signal)


def kill_bus_reader(signal: str) -> str:
    """The same to the reader of the bus: where no camera stands on it, it alone of all readers has
    loaded libusb.
    """
    return _kill("grep -qs libusb /proc/$p/maps", signal)


def _kill(found: str, signal: str) -> str:
    return (
        f"for p in $(cat {READERS} 2>/dev/null); do {found} && kill -{signal} $p && exit 0; done; "
        f"exit 1"
    )
