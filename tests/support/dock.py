"""A dock to test with: the real vault in a folder, cameras in memory, and a clock that the test
moves.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dockd.card.transport import USB
from dockd.docking.bay import Bay, Board
from dockd.docking.docked_cameras import DockedCameras
from dockd.docking.halt import Halt
from dockd.docking.outcome import PullReport
from dockd.docking.pull import Port, Pull, Workplace
from dockd.docking.quarantine import Quarantine
from tests.support.card_maker import CardMaker
from tests.support.hand_clock import HandClock
from tests.support.memory_card import Medium
from tests.support.vault_world import founded, plaintexts
from vault.catalogue import recording_rows
from vault.catalogue.recording_rows import RecordingRow
from vault.clock import Clock
from vault.crypto.canonical_json import Json, parse_object, to_base64
from vault.custody import cameras
from vault.intake.intake import Intake
from vault.log.log import read_leaves
from vault.operations.verify import Finding, verify
from vault.vault import Vault

GRACE_S = 10.0
LANES = 2


class Quay:
    """The vault is founded once; `restart` is a new process on it, without the memory of the old
    one.
    """

    def __init__(self, folder: Path, clock: Clock | None = None, **settings: object) -> None:
        self.folder = folder
        self.hand = HandClock()
        self.clock: Clock = clock or self.hand
        self.settings = founded(folder, self.hand, **settings)
        self.erase = True
        self.chapters = None
        self._start()

    def _start(self) -> None:
        self.vault = Vault.open(self.settings, self.clock)
        self.intake = Intake(self.vault)
        self.recovery = self.intake.recover()
        self.docked_cameras = DockedCameras()
        self.halt = Halt(self.clock, GRACE_S)
        self.board = Board()
        self.quarantine = Quarantine(self.clock)

    def close(self) -> None:
        self.intake.close()
        self.vault.close()

    def restart(self) -> None:
        self.close()
        self._start()

    def workplace(self) -> Workplace:
        return Workplace(
            self.intake,
            self.clock,
            self.docked_cameras,
            self.halt,
            LANES,
            self.erase,
            self.chapters,
            self.quarantine,
        )

    def register(self, maker: CardMaker) -> None:
        with self.vault.writing() as tx:
            cameras.register(
                tx,
                self.vault.log,
                self.clock,
                (maker.serial, to_base64(maker.public_key), "test"),
                "test",
            )

    def register_dcim(self, volume_id: str) -> None:
        with self.vault.writing() as tx:
            cameras.register(tx, self.vault.log, self.clock, (volume_id, "", "test"), "test")

    def pull(
        self,
        medium: Medium,
        bay: str = "bay 1",
        *,
        reads: int = 1,
        volume_id: str = "VOL-1",
        seen: bool = True,
    ) -> Pull:
        """One camera's stay. Its bay is `pull_bay`."""
        self.bay = Bay(bay, self.board, self.clock)
        self.gone = threading.Event()
        transport = replace(USB, parallel_reads=reads)
        port = Port(volume_id, medium.open, transport, self.clock.monotonic_s() if seen else None)
        return Pull(port, self.workplace(), self.bay, self.gone)

    def run(self, medium: Medium, bay: str = "bay 1", **port: object) -> PullReport:
        """A docking that lasts one pull."""
        try:
            return self.pull(medium, bay, **port).run()  # type: ignore[arg-type]
        finally:
            self.docked_cameras.remove(bay)

    def rows(self) -> list[RecordingRow]:
        with self.vault.reading() as tx:
            return sorted(
                recording_rows.all_recordings(tx), key=lambda row: (row.name, row.stored_utc)
            )

    def states(self) -> dict[str, str]:
        return {row.name: row.state for row in self.rows()}

    def entries(self) -> list[Json]:
        with self.vault.reading() as tx:
            return [parse_object(leaf) for leaf in read_leaves(tx)]

    def said(self, action: str) -> list[str]:
        """The sentences of the log's entries of this kind."""
        return [
            entry["details"]["sentence"] for entry in self.entries() if entry["action"] == action
        ]

    def actions(self) -> list[str]:
        return [entry["action"] for entry in self.entries()]

    def findings(self) -> tuple[Finding, ...]:
        """Where sealed files, rows and log disagree, and what is left of something that was given
        up.
        """
        return verify(self.vault, lambda _: None).findings

    def holds(self, row: RecordingRow, contents: Sequence[bytes]) -> bool:
        """The vault opens to exactly these segments (I1)."""
        opened = plaintexts(self.vault, row.id)
        return [opened[name] for name in sorted(opened) if name != "manifest.sealed"] == list(
            contents
        )


def card_with(
    folder: Path, count: int = 2, serial: str = "BWC0042", seconds: int = 40
) -> tuple[CardMaker, Medium]:
    """A camera with so many recordings that follow each other, of four segments each."""
    maker = CardMaker(folder, serial)
    maker.write_device()
    previous = None
    for counter in range(1, count + 1):
        made = maker.make(counter, previous=previous, seconds=seconds)
        maker.write(made)
        previous = made.sha256()
    return maker, Medium.of_folder(folder)


def segments_of(medium: Medium, name: str) -> list[bytes]:
    """The segments of a recording that still stand on the camera, in order."""
    return [
        content
        for path, content in sorted(medium.contents.items())
        if path[1:2] == (name,) and path[-1].endswith(".mp4")
    ]
