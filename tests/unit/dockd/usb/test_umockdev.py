"""A real camera nobody here wrote: the recording of a Canon, played by umockdev to the machine's
own libusb, and dockd on it.

The replay gives the recorded answer to the recorded bytes and an I/O error to all others: that
dockd gets an answer proves that it asks for exactly what gphoto2 asked for when the recording was
made. Its serial is in what the kernel tells of it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.canon_recording import DEVICE, NODE, TRANSFERS, needs_recording
from tests.support.places import REPOSITORY

DEVICE_INFO = "95010000020001100100"
"""How the data of GetDeviceInfo begin: 405 bytes in transaction 1."""

pytestmark = needs_recording


def identify(transfers: Path) -> dict[str, Any]:
    """What dockd makes of the camera.

    A replay that dies of a signal is played again, twice at most: seen once in some hundreds on a
    loaded machine, inside the preloaded library of umockdev.
    """
    replay = ["umockdev-run", f"--device={DEVICE}", f"--ioctl={NODE}={transfers}", "--"]
    python = [sys.executable, "-W", "error", "-m", "tests.support.identify_camera"]
    for _ in range(3):
        ended = subprocess.run(
            [*replay, *python],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if ended.returncode >= 0:
            break
    assert ended.returncode == 0, ended.stderr
    said: dict[str, Any] = json.loads(ended.stdout)
    return said


def test_a_real_camera_is_identified() -> None:
    said = identify(TRANSFERS)
    assert (said["bay"], said["volume_id"], said["refusal"]) == (
        "usb 1-1.5.2.3",
        "USB-04a9-31c0-C767F1C714174C309255F70E4A7B2EE2",
        None,
    )
    device = said["device"]
    assert (device["manufacturer"], device["model"]) == ("Canon Inc.", "Canon PowerShot SX200 IS")
    assert (device["version"], device["serial"]) == (
        "1-6.0.1.0",
        "C767F1C714174C309255F70E4A7B2EE2",
    )
    assert (device["standard_version"], device["extension_id"], device["extension"]) == (100, 6, "")
    assert len(device["operations"]) == 52
    assert {0x1001, 0x1007, 0x1009, 0x101B} <= set(device["operations"])
    assert 0x9013 in device["operations"], "Canon's own codes are kept"
    assert 0xC001 in device["events"]
    assert (len(device["properties"]), device["capture_formats"], device["object_formats"][0]) == (
        20,
        [0x3801],
        0x3001,
    )


def shortened(folder: Path, content: str, count: int, response: str) -> Path:
    """The recording up to GetDeviceInfo, with other data and another response."""
    lines = [
        "USBDEVFS_GET_CAPABILITIES 0 0F000000",
        "USBDEVFS_REAPURBNDELAY 0 3 2 0 0 16 16 0 10000000010002100000000001000000",
        " USBDEVFS_REAPURBNDELAY 0 3 129 0 0 512 12 0 0C0000000300012000000000",
        "USBDEVFS_REAPURBNDELAY 0 3 2 0 0 12 12 0 0C0000000100011001000000",
        f" USBDEVFS_REAPURBNDELAY 0 3 129 0 0 512 {count} 0 {content}",
        f"  USBDEVFS_REAPURBNDELAY 0 3 129 0 0 512 12 0 {response}",
    ]
    path = folder / "canon.ioctl"
    path.write_text("\n".join(lines) + "\n")
    return path


OK = "0C0000000300012001000000"


def test_what_the_camera_did_not_finish_is_not_believed(tmp_path: Path) -> None:
    """Fault A2 over a real libusb: a byte too few, another transaction's response, a length that is
    not what was sent.
    """
    line = next(line for line in TRANSFERS.read_text().splitlines() if DEVICE_INFO in line)
    content = line.split()[-1]
    assert "device" in identify(shortened(tmp_path, content, 405, OK))
    for broken in (
        shortened(tmp_path, content[:-2], 404, OK),
        shortened(tmp_path, content, 405, "0C0000000300012002000000"),
        shortened(tmp_path, "96" + content[2:], 405, OK),
        shortened(tmp_path, content, 405, "0C0000000300022001000000"),
    ):
        assert identify(broken)["code"] == "card.stuck"


THREADS = """
from pathlib import Path
from dockd.usb.bus import find_libraries, watcher_of
from vault.clock import SystemClock

def threads():
    return len(list(Path("/proc/self/task").iterdir()))

find_libraries()
before = threads()
watcher_of("libusb", SystemClock()).look()
print(before, threads())
"""


def test_libusb_begins_behind_the_wall() -> None:
    """It starts a thread, and Landlock shuts off those that are started after it was called, and no
    other.
    """
    replay = ["umockdev-run", f"--device={DEVICE}", "--", sys.executable, "-c", THREADS]
    ended = subprocess.run(
        replay, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True
    )
    before, after = map(int, ended.stdout.split())
    assert (before, after > 1) == (1, True)
