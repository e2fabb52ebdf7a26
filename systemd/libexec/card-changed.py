#!/usr/bin/python3 -IS
"""Show the medium that now stands in a card reader that stayed plugged in: `card-changed DISK`.

The reader may also be empty. The file system of the old card must be gone for good before anything
may write to the disk again (card-unmount, card-erase).
"""

import errno
import glob
import os
import subprocess
import sys
import time

RELEASE_TIMEOUT_S = 60.0
POLL_S = 0.2


def main(disk: str) -> None:
    """Unmount the old card, wait until nothing holds the disk, and mount what is known on it."""
    run("systemctl", "stop", f"dock-mount@{disk}.service", f"dock-mount@{disk}[0-9]*.service")
    until_s = time.monotonic() + RELEASE_TIMEOUT_S
    while is_held(disk):
        if time.monotonic() > until_s:
            print(
                f"<3>something still holds the card that was taken out of {disk}: "
                "take the reader out and in",
                file=sys.stderr,
            )
            return
        time.sleep(POLL_S)
    run("/usr/lib/dock-vault/medium", "--open", disk)
    run("blockdev", "--rereadpt", f"/dev/{disk}")
    run("udevadm", "settle", "--timeout=10")
    for device in devices_of(disk):
        if is_known(device):
            run("systemctl", "start", f"dock-mount@{device}.service")


def devices_of(disk: str) -> list[str]:
    """List the disk itself, and its partitions as the kernel has them now."""
    # Unlike Path.glob, this takes a disk that goes away meanwhile for an empty one.
    partitions = glob.glob(f"{disk}*", root_dir=f"/sys/class/block/{disk}")  # noqa: PTH207
    return [disk, *sorted(partitions)]


def is_held(disk: str) -> bool:
    """Tell whether a file system is still on it: nothing else claims a disk exclusively."""
    for device in devices_of(disk):
        try:
            os.close(os.open(f"/dev/{device}", os.O_RDONLY | os.O_EXCL | os.O_NONBLOCK))
        except OSError as error:
            if error.errno == errno.EBUSY:
                return True
    return False


def is_known(device: str) -> bool:
    """Tell whether udev's rules marked it as a card of the dock's."""
    words = ["udevadm", "info", "-q", "property", "-n", device]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return "DOCK_VAULT=1" in done.stdout.splitlines()


def run(*words: str) -> None:
    """Run a command, whether or not it succeeds."""
    subprocess.run(words, capture_output=True, check=False)


if __name__ == "__main__":
    main(sys.argv[1])
