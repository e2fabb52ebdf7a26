"""Simulated cameras of this machine, served to the guest by the real `device-sim` as a process of
its own.
"""

import re
import socket
import subprocess
import sysconfig
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from device_sim.camera.camera import Camera
from device_sim.camera.profile import Profile
from device_sim.clock import ManualClock, SystemClock
from device_sim.scenario.shift import Shift

PROGRAM = Path(sysconfig.get_path("scripts")) / "device-sim"
BUS_ID = re.compile(r"\b\d+-\d+\b")
SERVING_S = 30.0


class Worn:
    """A camera in a folder: made at once, so that it can be enrolled, and then worn for a shift.

    `card` is what stood on it when it was docked.
    """

    def __init__(self, folder: Path, serial: str, width: int = 1280, height: int = 720) -> None:
        profile = Profile(serial, width=width, height=height, fps=10, seed=int(serial[-2:]))
        camera = Camera.create(folder, profile, SystemClock())
        self.folder = folder
        self.serial = serial
        self.public_key = camera.public_key
        self.card: dict[str, bytes] = {}

    def wear(self, script: str) -> None:
        """Play a shift that ends now."""
        shift = Shift.parse(script)
        camera = Camera.open(self.folder, ManualClock(SystemClock().utc_ms() - shift.duration_ms))
        shift.play(camera, lambda step, camera: None)
        camera.power_off()

    def remember(self) -> None:
        """What stands on the card now is what stood on it when it was docked."""
        self.card = files_below(self.folder / "card")

    def left(self) -> set[str]:
        """What stands on the card now, beside what says who the camera is."""
        return {
            path for path in files_below(self.folder / "card") if not path.startswith("DEVICE/")
        }

    def segments(self) -> dict[str, dict[str, bytes]]:
        """Recording to its segments in order."""
        found: dict[str, dict[str, bytes]] = {}
        for path in sorted(path for path in self.card if path.endswith(".mp4")):
            _, recording, name = path.split("/")
            found.setdefault(recording, {})[name] = self.card[path]
        return found


class Simulator:
    """`device-sim dock` with these cameras, from its start to `close`."""

    def __init__(self, cameras: list[Worn]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._said: list[str] = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            [
                PROGRAM,
                "dock",
                *(camera.folder for camera in cameras),
                "--usbip",
                f"127.0.0.1:{self.port}",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self.bus_ids = {camera.serial: self._bus_id(camera.serial) for camera in cameras}
        for camera in cameras:
            camera.remember()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(timeout=SERVING_S)

    def tell(self, verb: str, serial: str) -> None:
        """`plug` or `unplug` one of the cameras."""
        assert self._process.stdin is not None
        print(verb, self.bus_ids[serial], file=self._process.stdin, flush=True)

    def said(self) -> str:
        with self._changed:
            return "\n".join(self._said)

    def _bus_id(self, serial: str) -> str:
        """From the first line that names both the camera and its place on the bus."""

        def found() -> str | None:
            lines = (line for line in self._said if serial in line)
            return next((match[0] for match in map(BUS_ID.search, lines) if match), None)

        with self._changed:
            self._changed.wait_for(
                lambda: found() is not None or self._process.poll() is not None, SERVING_S
            )
            bus_id = found()
        if bus_id is None:
            raise RuntimeError(f"device-sim names no place for {serial}: {self.said()}")
        return bus_id

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with self._changed:
                    self._said.append(line.rstrip())
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


def files_below(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def vfat_card(card: Path, image: Path, volume_id: str, size_mib: int) -> None:
    """A card reader's view of a camera's card: the same files on a FAT volume."""
    subprocess.run(
        ["mkfs.vfat", "-i", volume_id, "-C", image, str(size_mib << 10)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    subprocess.run(["mcopy", "-s", "-m", "-i", image, *card.iterdir(), "::"], check=True)


def vfat_files(image: Path) -> list[str]:
    """The names on a FAT volume that nobody has mounted."""
    done = subprocess.run(
        ["mdir", "-/", "-b", "-i", image, "::"], check=True, capture_output=True, text=True
    )
    return [line.removeprefix("::/") for line in done.stdout.splitlines() if not line.endswith("/")]


def vfat_content(image: Path) -> dict[str, bytes]:
    """Every file on a FAT volume that nobody has mounted."""
    files = {}
    for path in vfat_files(image):
        files[path] = subprocess.run(
            ["mtype", "-i", image, f"::{path}"], check=True, capture_output=True
        ).stdout
    return files
