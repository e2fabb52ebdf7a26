"""The camera at the keyboard: a real terminal, keys as a person presses them, time as it passes."""

import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.camera_contract import frame_numbers, read_card
from tests.support.cameras import new_camera

RING = re.compile(rb"ring \S+ +(\d+\.\d) s")
SCREEN_BYTES_MAX = 100_000
"""Some twenty minutes of status lines: what has not been shown by then never will be."""


def test_worn_for_a_moment(tmp_path: Path) -> None:
    """Power, record, stop, quit; each key is pressed when the screen shows what the
    last one did.
    """
    camera = new_camera(tmp_path / "cam")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "device_sim", "live", str(tmp_path / "cam")]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        try:
            for shown, key in [
                (shows(b"off "), b"p"),
                (shows(b"standby"), b"x"),
                (ring_holds(0.4), b"r"),
                (shows(b"recording"), b"u"),
                (ring_holds(1.0), b"r"),
                (shows(b"stopped by: button"), b"q"),
            ]:
                await_screen(ours, shown)
                os.write(ours, key)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
            os.close(ours)
    (recording,) = read_card(tmp_path / "cam" / "card", camera.public_key)
    numbers = frame_numbers(recording)
    assert numbers == list(range(len(numbers)))
    assert recording.manifest["preroll"]["delivered_ms"] >= 400
    assert recording.manifest["preroll"]["short_because"] == "just_switched_on"


def shows(text: bytes) -> Callable[[bytes], bool]:
    return lambda screen: text in screen


def ring_holds(seconds: float) -> Callable[[bytes], bool]:
    return lambda screen: any(float(shown) >= seconds for shown in RING.findall(screen))


def await_screen(terminal: int, shown: Callable[[bytes], bool]) -> None:
    screen = b""
    while not shown(screen):
        assert len(screen) < SCREEN_BYTES_MAX
        assert select.select([terminal], [], [], 30)[0], f"nothing more after {screen[-500:]!r}"
        screen += os.read(terminal, 4096)
