"""Cameras that are worn, docked, found empty, and worn again, as long as a campaign lasts; and what
stood on their cards.
"""

import shutil
import subprocess
import threading
from pathlib import Path

from tests.campaigns.vm.card_reader import Stick
from tests.campaigns.vm.guest_station import Station
from tests.campaigns.vm.machine import MachineFailed
from tests.campaigns.vm.simulator import Worn, files_below, vfat_card, vfat_files
from vault.clock import Clock

SHIFT = "standby 2 s\non\n3 s\noff\nstandby 2 s\non\n2 s\noff\n"
"""Two recordings, some ten thousand bytes each: what takes its time in the guest are the steps, not
the bytes.
"""
CARD_MIB = 4
POLL_S = 1.0
"""Each question costs the guest, which has better things to do, some hundredths of a second."""
TAKEN_IN_S = 1200.0
"""How long a camera may wait to be taken in while all around it is killed."""

Files = dict[str, bytes]


class Ledger:
    """What stood on the cards: by camera and recording, each file with its content. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._docked: dict[tuple[str, str], Files] = {}
        self.cards = 0

    def add(self, serial: str, card: Files) -> None:
        with self._lock:
            self.cards += 1
            for path, content in card.items():
                if path.startswith("RECORDINGS/"):
                    _, recording, name = path.split("/")
                    self._docked.setdefault((serial, recording), {})[name] = content

    def docked(self) -> dict[tuple[str, str], Files]:
        with self._lock:
            return {key: dict(files) for key, files in self._docked.items()}


class Carrier:
    """One camera and the reader its card is put into. `go_on` runs in a thread of its own.

    `bay` is the dock's name for the reader, once it was seen there; `taken_in_s` how long the last
    docking took, `dockings` how many came to their end.
    """

    def __init__(
        self, station: Station, worn: Worn, stick: Stick, ledger: Ledger, clock: Clock
    ) -> None:
        self.serial = worn.serial
        self.bay: str | None = None
        self.taken_in_s = 0.0
        self.dockings = 0
        self._station = station
        self._worn = worn
        self._stick = stick
        self._ledger = ledger
        self._clock = clock
        self._image = worn.folder.with_suffix(".img")

    def go_on(self, over: threading.Event, complain: "Complaints") -> None:
        """Docking after docking until `over`; the last one is brought to its end."""
        while not over.is_set():
            try:
                self.dock_once(complain)
            except (MachineFailed, OSError, subprocess.SubprocessError) as error:
                complain.add(f"{self.serial} was not taken in: {error}")
                return

    def dock_once(self, complain: "Complaints") -> None:
        """Raises MachineFailed where it does not come to its end."""
        self._worn.wear(SHIFT)
        card = files_below(self._worn.folder / "card")
        self._image.unlink(missing_ok=True)
        vfat_card(self._worn.folder / "card", self._image, f"CA3D{self.serial[-4:]}", CARD_MIB)
        self._ledger.add(self.serial, card)
        docked_utc = self._station.machine.must("date -u +%FT%T.%3NZ")
        began_s = self._clock.monotonic_s()
        self._stick.insert(self._image)
        try:
            self._wait_safe(docked_utc, began_s)
        finally:
            self._stick.pull()
        self.taken_in_s = self._clock.monotonic_s() - began_s
        left = [path for path in vfat_files(self._image) if not path.startswith("DEVICE/")]
        if left:
            complain.add(f"{self.serial} was called safe to take and still has {left}")
        self._erased()

    def _wait_safe(self, docked_utc: str, began_s: float) -> None:
        """What the dock said of this camera before it was docked now does not count."""
        while True:
            try:
                bays = [
                    bay
                    for bay in self._station.bays()
                    if bay["camera"] == self.serial and bay["since_utc"] >= docked_utc
                ]
            except MachineFailed:
                bays = []
            for bay in bays:
                self.bay = bay["bay"]
                if bay["phase"] == "safe to take":
                    self.dockings += 1
                    return
            if self._clock.monotonic_s() - began_s > TAKEN_IN_S:
                raise MachineFailed(f"after {TAKEN_IN_S:.0f} s its bay says {bays}")
            self._clock.sleep(POLL_S)

    def _erased(self) -> None:
        """The card in the camera's folder becomes what the one in the reader is."""
        for folder in (self._worn.folder / "card" / "RECORDINGS").iterdir():
            shutil.rmtree(folder)


class Complaints:
    """What was not as it has to be. Any thread; each is printed at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sentences: list[str] = []

    def add(self, sentence: str) -> None:
        with self._lock:
            self.sentences.append(sentence)
            print(f"  VIOLATION {sentence}", flush=True)


def worn_cameras(folder: Path, serials: tuple[str, ...]) -> list[Worn]:
    """Cameras with the smallest picture."""
    return [Worn(folder / serial, serial, 160, 90) for serial in serials]
