"""A whole station to test with: simulated cameras, the real `dockd` as a process, a real vault.

Cameras come as cards in a watched folder, or over USB: a bus in this process, reached by `dockd`
over USB/IP in user space.
"""

import io
import os
import subprocess
import sysconfig
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import av
import numpy as np

from device_sim.camera.camera import Camera, Mode
from device_sim.camera.scene import read_counter
from device_sim.scenario.insertion import insert, pull
from device_sim.usb.hub import Hub
from device_sim.usb.usb import UsbCamera
from tests.support.hand_clock import HandClock
from tests.support.vault_world import founded, plaintexts
from vault.catalogue import recording_rows
from vault.catalogue.recording_rows import RecordingRow
from vault.clock import SystemClock
from vault.config import VaultSettings
from vault.custody import cameras
from vault.operations.verify import Finding, verify
from vault.vault import Vault

PROGRAMS = Path(sysconfig.get_path("scripts"))


class Transport(StrEnum):
    """How a camera's card reaches the dock."""

    CARD = "card"
    USB = "usb"


@dataclass(frozen=True, slots=True)
class Frames:
    """What a recording shows when it is played: the burnt-in counters, and the time stamps in units
    of the timescale.
    """

    counters: list[int | None]
    stamps: list[int]
    frame_ticks: int


class Station:
    """One docking PC in a folder: vault, settings, and a watched folder for cards or a USB. `close`
    it.
    """

    def __init__(self, folder: Path, transport: Transport = Transport.CARD) -> None:
        self.folder = folder
        self.transport = transport
        self.hub: Hub | None = None
        self._plugged: dict[str, tuple[UsbCamera, str]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.settings: VaultSettings = founded(folder, HandClock())
        self.bays = folder / "bays"
        self.bays.mkdir()
        self.vault_config, self.dock_config = folder / "vault.toml", folder / "dockd.toml"
        self.vault_config.write_text(
            f'root = "{self.settings.root}"\npins = "{self.settings.pins}"\nreserve_mb = '
            f"1\nlanes = 2\n"
        )
        self.usb_backend = "off"
        if transport is Transport.USB:
            self.hub = Hub()
            self.usb_backend = f"usbip:127.0.0.1:{self.hub.serve()}"
        self.write_dock_config()

    def write_dock_config(self, *lines: str) -> None:
        basics = (
            f'vault = "{self.vault_config}"',
            f'watched_folder = "{self.bays}"',
            f'status_socket = "{self.folder / "s.sock"}"',
            f'usb_backend = "{self.usb_backend}"',
        )
        self.dock_config.write_text("\n".join((*basics, *lines)) + "\n")

    def vault(self) -> Vault:
        return Vault.open(self.settings, SystemClock())

    def register(self, camera: Camera) -> None:
        with self.vault() as vault, vault.writing() as tx:
            cameras.register(
                tx, vault.log, vault.clock, (camera.serial, camera.public_key, "sim"), "test"
            )

    def close(self) -> None:
        if self.hub is not None:
            self.hub.close()

    def insert(self, camera: Camera) -> None:
        """Put the camera into the dock: its card into the watched folder, or its plug
        into the USB.
        """
        if self.hub is None:
            insert(camera, self.bays)
            return
        if camera.mode is not Mode.DOCKED:
            camera.dock()
        device = UsbCamera(camera)
        self._plugged[camera.serial] = (device, self.hub.plug(device))

    def take_out(self, camera: Camera) -> None:
        """Out of the dock, at any moment."""
        if self.hub is None:
            pull(camera)
        else:
            self.hub.unplug(self._plugged.pop(camera.serial)[0])

    def bay(self, camera: Camera) -> str:
        """What `dockd` calls the bay in which the camera stands."""
        return camera.serial if self.hub is None else f"usb {self._plugged[camera.serial][1]}"

    def place(self, camera: Camera) -> str:
        """What `dockd once` is given."""
        return (
            str(self.bays / camera.serial)
            if self.hub is None
            else self.bay(camera).replace(" ", ":")
        )

    def dock(self, camera: Camera) -> subprocess.CompletedProcess[str]:
        """Insert, take in with `dockd once`, and take the camera out again."""
        self.insert(camera)
        done = self.once(self.place(camera))
        self.take_out(camera)
        return done

    def once(self, place: str) -> subprocess.CompletedProcess[str]:
        return self.call("dockd", "once", place, "--config", self.dock_config)

    def call(
        self, program: str, *words: object, typed: str = ""
    ) -> subprocess.CompletedProcess[str]:
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
            return recording_rows.all_recordings(tx)

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
    with av.open(io.BytesIO(content), mode="r") as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        ticks = int(1 / stream.time_base / stream.average_rate) if stream.average_rate else 0
        for frame in container.decode(stream):
            counters.append(read_counter(np.asarray(frame.to_ndarray(format="gray"))))
            stamps.append(int(frame.pts or 0))
    return Frames(counters, stamps, ticks)
