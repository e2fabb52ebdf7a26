"""One process at a time takes recordings into a vault, or rebuilds its catalogue; one person at a
time changes its keyring.
"""

import fcntl
import os
from pathlib import Path

from vault.errors import VaultBusy
from vault.storage.durable import file_mode, storage_errors

LOCK_NAME = "intake.lock"
KEYRING_LOCK_NAME = "keyring.lock"


def _opened(root: Path, name: str) -> int:
    return os.open(
        root / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, file_mode(root)
    )


class IntakeLock:
    """Held from construction to `close`, or to the death of the process. Raises VaultBusy,
    StorageFailed, VaultFull.
    """

    def __init__(self, root: Path) -> None:
        with storage_errors(f"opening {LOCK_NAME}"):
            self._fd = _opened(root, LOCK_NAME)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise VaultBusy(f"Another process takes recordings into {root}.") from None

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> "IntakeLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class KeyringLock:
    """From reading keyring.json to its replacement: whoever comes second waits, and reads what the
    first wrote.

    Raises StorageFailed.
    """

    def __init__(self, root: Path) -> None:
        with storage_errors(f"opening {KEYRING_LOCK_NAME}"):
            self._fd = _opened(root, KEYRING_LOCK_NAME)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __enter__(self) -> "KeyringLock":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
