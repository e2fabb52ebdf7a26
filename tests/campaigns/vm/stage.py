"""The stage of all scenarios: the machine, the docking PC in it, cameras, and what is asked of them
again and again.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.campaigns.vm.guest_station import Station
from tests.campaigns.vm.held_connection import Cable
from tests.campaigns.vm.machine import Machine
from tests.campaigns.vm.simulator import Simulator, Worn
from vault.clock import Clock

DCIM_CAMERAS = tuple(f"VOL-CA3D-{number:04d}" for number in range(66, 76))
"""Cameras without a manifest, named by their cards' volumes."""
STOPPED_CAMERA, SLOW_CAMERA, HUNG_CAMERA, DEADLY_CAMERA, NEIGHBOUR, *SWAPPED, WAITING, DAMAGED = (
    DCIM_CAMERAS
)

HOST = "10.0.2.2"
"""This machine, as QEMU's user network shows it to the guest."""


@dataclass
class Stage:
    """All that a scenario may touch."""

    folder: Path
    machine: Machine
    station: Station
    simulator: Simulator
    cable: Cable
    """The first camera's way to the guest, until it is torn out."""
    cameras: dict[str, Worn]
    clock: Clock
    footage: dict[str, bytes] = field(default_factory=dict)
    """What stood on QEMU's device, by path."""
    clips: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """What stood on further cards, by camera and name."""

    def attach(self, serial: str, port: int | None = None, bus_id: str | None = None) -> None:
        """Ask the guest's kernel to take a served camera as its own, and wait until udev has named
        it.
        """
        arguments = (
            f"--tcp-port {port or self.simulator.port} attach -r {HOST} -b "
            f"{bus_id or self.simulator.bus_ids[serial]}"
        )
        self.machine.must(
            f"usbip {arguments} && " + until('test -n "$(' + FIND.format(serial=serial) + ')"')
        )
        self.machine.must("udevadm settle")

    def properties(self, serial: str) -> dict[str, str]:
        """What udev knows of the device with this serial."""
        said = self.machine.must(
            "udevadm info -q property -p $(" + FIND.format(serial=serial) + ")"
        )
        return dict(line.split("=", 1) for line in said.splitlines())

    def bay(self, serial: str) -> str:
        """What dockd calls the port at which this camera is."""
        return "usb " + self.properties(serial)["DEVPATH"].rpartition("/")[2]

    def clips_of(self, camera: str, count: int, size_bytes: int) -> dict[str, bytes]:
        """Clips for a DCIM camera's card, different ones for every camera, and remembered."""
        content = b"".join(
            content for worn in self.cameras.values() for content in worn.card.values()
        )
        while len(content) < size_bytes + 100 * count:
            content += content
        start = int(sha256(camera.encode())[:4], 16) % (len(content) - size_bytes - 100 * count + 1)
        self.clips[camera] = {
            f"CLIP{at:04d}.MP4": content[start + 100 * at :][:size_bytes] for at in range(count)
        }
        return self.clips[camera]

    def lives(self, unit: str) -> tuple[str, str]:
        """A service's main process, and how often systemd restarted it."""
        said = self.machine.must(
            f"systemctl show -P MainPID {unit}; systemctl show -P NRestarts {unit}"
        ).split()
        return said[0], said[1]

    def complaints(self) -> str:
        """What the guest's kernel says only when it is in trouble."""
        return self.machine.run(
            "journalctl -k -b --no-pager | grep -E 'BUG:|Oops|WARNING:|Call Trace|hung "
            "task|I/O error.*EXT4'"
        ).output


FIND = "grep -ls {serial} /sys/bus/usb/devices/*/serial | sed 's,/serial,,' | xargs -r readlink -f"


def until(condition: str, timeout_s: int = 20) -> str:
    """A line of bash that ends well once the condition holds, and badly after `timeout_s`."""
    return (
        f"{{ SECONDS=0; while ((SECONDS < {timeout_s})); do {condition} && exit 0; sleep 0.2; "
        f"done; exit 1; }}"
    )


def answers(port: int) -> str:
    """A condition in bash: a web server at this port gives its first page, or leads to it."""
    asked = (
        f"exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'GET / HTTP/1.0\\r\\nHost: "
        f"127.0.0.1:{port}\\r\\n\\r\\n' >&3"
    )
    return f"({asked} && head -n1 <&3 | grep -q ' [23]0') 2>/dev/null"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def mid_pull(camera: str) -> Callable[[dict[str, Any]], bool]:
    """Whether a bay reads this camera, and has some of it."""
    return lambda bay: bool(
        bay["camera"] == camera and bay["phase"] == "pulling" and bay["bytes_done"] > 0
    )
