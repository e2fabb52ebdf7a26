"""Hand-over packages in the making: each beside the request that began it, in its viewing's own
folder until the viewing ends.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from vault.custody.handover.handover import HandedOver
from vault.custody.handover.package import discard_packages, written_bytes
from vault.errors import Failure

log = structlog.get_logger()


@dataclass(slots=True)
class Package:
    """One package. `total_bytes` is what its recordings take, so that how far it is can be told."""

    total_bytes: int
    folder: Path
    thread: threading.Thread
    made: HandedOver | None = None
    failure: Failure | None = None

    @property
    def done_bytes(self) -> int:
        """How much of it is written."""
        return written_bytes(self.folder)


class Packages:
    """By viewing. Any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._found: dict[str, Package] = {}

    def folder_of(self, viewing_id: str) -> Path:
        return self._folder / re.sub(r"[^0-9a-f-]", "", viewing_id)

    def begin(self, viewing_id: str, total_bytes: int, make: Callable[[Path], HandedOver]) -> None:
        """Make a package in a thread of its own; one that is in the making is not begun twice."""

        def work() -> None:
            try:
                package.made = make(package.folder)
            except Failure as failure:
                package.failure = failure
                log.warning(
                    "a hand-over failed",
                    viewing=viewing_id,
                    code=failure.code,
                    sentence=failure.sentence,
                )

        thread = threading.Thread(target=work, name="handover", daemon=True)
        package = Package(total_bytes, self.folder_of(viewing_id), thread)
        with self._lock:
            old = self._found.get(viewing_id)
            if old is not None and old.made is None and old.failure is None:
                return
            self._found[viewing_id] = package
        thread.start()

    def of(self, viewing_id: str) -> Package | None:
        with self._lock:
            return self._found.get(viewing_id)

    def discard(self, viewing_id: str) -> None:
        """The viewing ended: its packages, which were for fetching while it lasted, go."""
        with self._lock:
            package = self._found.pop(viewing_id, None)
        if package is not None:
            discard_packages(package.folder)
