"""A whole station to test with: simulated cameras, the real `dockd` as a process, a real vault."""

import io
import os
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from device_sim.camera import Camera
from device_sim.insertion import insert, pull
from device_sim.scene import read_counter
from tests.vault.world import HandClock, founded, plaintexts
from vault import cameras, catalogue
from vault.catalogue import RecordingRow
from vault.clock import SystemClock
from vault.config import VaultSettings
from vault.vault import Vault
from vault.verify import Finding, verify

PROGRAMS = Path(sysconfig.get_path("scripts"))


@dataclass(frozen=True, slots=True)
class Frames:
    """What a recording shows when it is played: the burnt-in counters, and the time stamps in units of the timescale."""

    counters: list[int | None]
    stamps: list[int]
    frame_ticks: int


class Station:
    """One docking PC in a folder: vault, settings, and a watched folder for cards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.settings: VaultSettings = founded(folder, HandClock())
        self.bays = folder / "bays"
        self.bays.mkdir()
        self.vault_config, self.dock_config = folder / "vault.toml", folder / "dockd.toml"
        self.vault_config.write_text(f'root = "{self.settings.root}"\npins = "{self.settings.pins}"\nreserve_mb = 1\nlanes = 2\n')
        self.write_dock_config()

    def write_dock_config(self, *lines: str) -> None:
        basics = (
            f'vault = "{self.vault_config}"',
            f'watched_folder = "{self.bays}"',
            f'status_socket = "{self.folder / "s.sock"}"',
        )
        self.dock_config.write_text("\n".join((*basics, *lines)) + "\n")

    def vault(self) -> Vault:
        return Vault.open(self.settings, SystemClock())

    def register(self, camera: Camera) -> None:
        with self.vault() as vault, vault.writing() as tx:
            cameras.register(tx, vault.log, vault.clock, (camera.serial, camera.public_key, "sim"), "test")

    def dock(self, camera: Camera) -> subprocess.CompletedProcess[str]:
        """Insert, take in with `dockd once`, and take the camera out again."""
        place = insert(camera, self.bays)
        done = self.once(place)
        pull(camera)
        return done

    def once(self, place: Path) -> subprocess.CompletedProcess[str]:
        return self.call("dockd", "once", place, "--config", self.dock_config)

    def call(self, program: str, *words: object, typed: str = "") -> subprocess.CompletedProcess[str]:
        """One of the project's programs, with its error output joined to its output."""
        return subprocess.run(
            [PROGRAMS / program, *map(str, words)],
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=os.environ | {"COLUMNS": "140"},
        )

    def rows(self) -> list[RecordingRow]:
        with self.vault() as vault, vault.reading() as tx:
            return catalogue.all_recordings(tx)

    def findings(self) -> tuple[Finding, ...]:
        with self.vault() as vault:
            return verify(vault, lambda _: None).findings

    def files(self, row: RecordingRow) -> dict[str, bytes]:
        """What two officials get to see of a recording: sealed name to plaintext."""
        with self.vault() as vault:
            return plaintexts(vault, row.id)

    def frames(self, row: RecordingRow) -> Frames:
        """The recording's segments, joined end to end and played as one file."""
        files = self.files(row)
        return played(b"".join(files[name] for name in sorted(files) if name != "manifest.sealed"))


def played(content: bytes) -> Frames:
    """Decode every picture of an fMP4. Raises what PyAV raises where it does not play."""
    counters, stamps = [], []
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        ticks = int(1 / stream.time_base / stream.average_rate) if stream.average_rate else 0
        for frame in container.decode(stream):
            counters.append(read_counter(np.asarray(frame.to_ndarray(format="gray"))))
            stamps.append(int(frame.pts or 0))
    return Frames(counters, stamps, ticks)
