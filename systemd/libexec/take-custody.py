#!/usr/bin/python3 -IS
"""Make stored recordings the vault's property: from then on dockd can only read them.

A recording is stored once its record.json exists. The program gives its folder to the vault first,
so that nobody can swap a file that it is looking at. The files follow, record.json last: while that
file belongs to the dock, or its group may write it, the next run repeats all of this. The folders
above the recording, the register and the checkpoints become the vault's too. They are sticky: who
may create a file in them can't remove another's.

This runs as root in folders that the dock can write to. It opens each name relative to a folder
that is already open, follows no link, and changes only the descriptor that it checked. Anything
that the dock would not have made stays as it is, and is reported.
"""

import contextlib
import os
import pwd
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator

ROOT = "/var/lib/dock-vault/vault"
DOCK, VAULT = "dockd", "vault"
SHELF_MODE, FOLDER_MODE, FILE_MODE = 0o3770, 0o2750, 0o640
RECORD = "record.json"
SHELVES = ("checkpoints", "register", "register/log", "register/tombstones")
PAPERS = ("vault.json", "keyring.json")
PASSES_MAX = 200
"""The dock keeps storing while this program runs."""
STORING_S, PAUSE_S = 120, 1
"""How long record.json may have a second name, and the pause between two passes.

The dock links record.json beside its part, flushes it, and then removes the part. If it is killed
in between, its next start removes the part. The program measures with its own clock: the dock can
change a file's times.
"""
NAMES_WHILE_STORING = 2

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
YEAR, MONTH = re.compile("[0-9]{4}"), re.compile("[0-9]{2}")
RECORDING = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class RefusedError(Exception):
    """Something is not as the dock makes it."""

    def __init__(self, what: str, fault: str) -> None:
        """Say what it is, and what is wrong with it."""
        super().__init__(f"{what} {fault}")


class BeingStoredError(RefusedError):
    """record.json has a second name."""


class Custody:
    """One pass over a vault.

    `refusals` tells what was left alone, and why. `awaited` counts the recordings that are being
    stored. All passes share `seen_s`: when each of those was first seen, by its name.
    """

    def __init__(self, dock: int, vault: int, seen_s: dict[str, float]) -> None:
        """Take the user numbers of the dock and of the vault."""
        self._ours = (dock, vault)
        self._vault = vault
        self._seen_s = seen_s
        self.refusals: list[str] = []
        self.awaited = 0

    def take(self, root: str) -> int:
        """Go over everything once. Return the number of recordings taken."""
        top = os.open(root, FOLDER_FLAGS)
        try:
            self._keep(top, root, SHELF_MODE)
            for name in PAPERS:
                with self._reporting(name), contextlib.suppress(FileNotFoundError):
                    self._keep_file(top, name)
            for shelf in SHELVES:
                with self._reporting(shelf):
                    self._shelve(top, shelf.split("/"))
            return self._take_all(top)
        finally:
            os.close(top)

    @contextlib.contextmanager
    def _reporting(self, what: str) -> Iterator[None]:
        """Note a fault and go on: no fault elsewhere keeps a recording from being taken."""
        try:
            yield
        except (RefusedError, OSError) as refusal:
            self.refusals.append(f"{what}: {refusal}")

    def _shelve(self, top: int, path: list[str]) -> None:
        """Give a folder to the vault, opening each folder of its path in the one before."""
        folder = os.dup(top)
        try:
            for name in path:
                inner = os.open(name, FOLDER_FLAGS, dir_fd=folder)
                os.close(folder)
                folder = inner
            self._keep(folder, path[-1], SHELF_MODE)
        except FileNotFoundError:
            # The vault makes it together with the first file in it.
            return
        finally:
            os.close(folder)

    def _take_all(self, root: int) -> int:
        """Take every stored recording. Return how many there were."""
        taken = 0
        top = os.open("footage", FOLDER_FLAGS, dir_fd=root)
        try:
            self._keep(top, "footage", SHELF_MODE)
            for year_name, year in self._folders(top, YEAR):
                with self._reporting(year_name):
                    self._keep(year, "a year", SHELF_MODE)
                for month_name, month in self._folders(year, MONTH):
                    with self._reporting(f"{year_name}/{month_name}"):
                        self._keep(month, "a month", SHELF_MODE)
                    for name, folder in self._folders(month, RECORDING):
                        try:
                            taken += self._take(folder)
                        except BeingStoredError as being_stored:
                            self._await(name, being_stored)
                        except RefusedError as refusal:
                            self.refusals.append(f"{name}: {refusal}")
        finally:
            os.close(top)
        return taken

    def _await(self, recording: str, being_stored: BeingStoredError) -> None:
        """Count a recording that is being stored, or refuse one that takes too long."""
        since_s = self._seen_s.setdefault(recording, time.monotonic())
        if time.monotonic() - since_s >= STORING_S:
            self.refusals.append(f"{recording}: {being_stored}")
        else:
            self.awaited += 1

    def _folders(self, parent: int, pattern: re.Pattern[str]) -> Iterator[tuple[str, int]]:
        """Yield each folder whose name matches, open until the next one.

        A folder that vanishes meanwhile held no stored recording.
        """
        for name in sorted(os.listdir(parent)):
            if pattern.fullmatch(name):
                try:
                    folder = os.open(name, FOLDER_FLAGS, dir_fd=parent)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    self.refusals.append(f"{name} is no folder: {error.strerror}")
                    continue
                try:
                    yield name, folder
                finally:
                    os.close(folder)

    def _take(self, folder: int) -> bool:
        """Take one recording. Return whether there was anything to do."""
        if not self._is_open(folder):
            return False
        self._keep(folder, "a recording", FOLDER_MODE)
        for name in sorted(os.listdir(folder), key=lambda name: (name == RECORD, name)):
            self._keep_file(folder, name)
        return True

    def _is_open(self, folder: int) -> bool:
        """Tell whether it is stored, and not entirely the vault's yet."""

        def is_open(file: int) -> bool:
            status = os.fstat(file)
            return status.st_uid != self._vault or bool(status.st_mode & stat.S_IWGRP)

        try:
            return self._with_file(folder, RECORD, is_open) or bool(
                os.fstat(folder).st_mode & stat.S_IWGRP
            )
        except FileNotFoundError:
            return False

    def _keep_file(self, folder: int, name: str) -> None:
        """Give one file to the vault."""

        def keep(file: int) -> None:
            self._keep(file, name, FILE_MODE)

        self._with_file(folder, name, keep)

    def _with_file(self, folder: int, name: str, do: Callable[[int], object]) -> bool:
        """Call `do` with the descriptor of a plain file that has one name. Return its truth."""
        try:
            file = os.open(name, FILE_FLAGS, dir_fd=folder)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise RefusedError(name, f"can't be opened: {error.strerror}") from error
        try:
            status = os.fstat(file)
            is_plain = stat.S_ISREG(status.st_mode)
            if name == RECORD and is_plain and status.st_nlink == NAMES_WHILE_STORING:
                raise BeingStoredError(name, f"has had a second name for {STORING_S} s")
            if not is_plain or status.st_nlink != 1:
                raise RefusedError(name, "is no file of its own")
            return bool(do(file))
        finally:
            os.close(file)

    def _keep(self, descriptor: int, what: str, mode: int) -> None:
        """Give what is open to the vault, with this mode."""
        status = os.fstat(descriptor)
        if status.st_uid not in self._ours:
            raise RefusedError(what, "belongs to neither of the two")
        if status.st_uid != self._vault:
            os.fchown(descriptor, self._vault, -1)
        if stat.S_IMODE(status.st_mode) != mode or status.st_uid != self._vault:
            os.fchmod(descriptor, mode)


def main() -> int:
    """Make passes until one finds nothing more to do. Return 1 if anything was refused."""
    root, dock, vault = sys.argv[1:4] or (ROOT, DOCK, VAULT)
    ours = pwd.getpwnam(dock).pw_uid, pwd.getpwnam(vault).pw_uid
    seen_s: dict[str, float] = {}
    for _ in range(PASSES_MAX):
        custody = Custody(*ours, seen_s)
        try:
            taken = custody.take(root)
        except (RefusedError, OSError) as error:
            custody.refusals.append(str(error))
            taken = 0
        if custody.awaited:
            time.sleep(PAUSE_S)
        elif not taken:
            break
    for refusal in custody.refusals:
        print(
            f"<3>left as it is, because the dock makes nothing like it: {refusal}", file=sys.stderr
        )
    return 1 if custody.refusals else 0


if __name__ == "__main__":
    sys.exit(main())
