"""A camera in real time, for a person at a keyboard: one key is one button, one line shows the state.

The terminal gives its keys without waiting for Enter where it is one; otherwise (a pipe) each line's first letter is a key.
"""

from __future__ import annotations

import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from device_sim.camera import Camera, Finished, Mode
from device_sim.errors import DeviceError
from device_sim.profile import PREROLL_MS

KEYS = "[r]ecord on/off   [d]ock/undock   [p]ower on/off   [c]ut the power   [q]uit"
TICK_S = 0.1


def live(camera: Camera, say: Callable[[str], None]) -> None:
    """Run until `q`, the end of the input, or an interrupt; then the camera is switched off in order."""
    say(KEYS)
    reported = 0
    with _keys() as keys, suppress(KeyboardInterrupt):
        for key in keys:
            if key == "q":
                break
            try:
                _press(camera, key)
                camera.run(TICK_S)
            except DeviceError as error:
                say(f"\r{error}")
            for finished in camera.finished[reported:]:
                say(f"\r{describe(finished)}")
            reported = len(camera.finished)
            sys.stdout.write(f"\r{status_line(camera):<70}")
            sys.stdout.flush()
    if camera.mode in (Mode.STANDBY, Mode.RECORDING):
        camera.power_off()
    for finished in camera.finished[reported:]:
        say(f"\r{describe(finished)}")


def status_line(camera: Camera) -> str:
    """The state in one line."""
    filled = min(10, camera.ring_ms * 10 // PREROLL_MS)
    ring = "#" * filled + "." * (10 - filled)
    seconds = camera.ring_ms / 1000
    return f"{camera.mode.value:<9}  ring {ring} {seconds:4.1f} s  battery {camera.battery_percent} %  last {camera.counter:06d}"


def describe(finished: Finished) -> str:
    """A closed recording in one line."""
    return (
        f"{finished.recording}: {finished.duration_ms / 1000:.1f} s, of which {finished.delivered_ms / 1000:.1f} s before "
        f"the switch-on; stopped by: {finished.reason}"
    )


def _press(camera: Camera, key: str) -> None:
    match key:
        case "r" if camera.mode is Mode.RECORDING:
            camera.switch_off()
        case "r":
            camera.switch_on()
        case "d" if camera.mode is Mode.DOCKED:
            camera.undock()
        case "d":
            camera.dock()
        case "p" if camera.mode is Mode.OFF:
            camera.power_on()
        case "p":
            camera.power_off()
        case "c":
            camera.battery_cut()


@contextmanager
def _keys() -> Iterator[Iterator[str]]:
    """Keys as they are pressed; an empty string whenever none was."""
    if not sys.stdin.isatty():
        yield _read_keys(sys.stdin.readline)
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield _read_keys(lambda: sys.stdin.read(1))
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _read_keys(read: Callable[[], str]) -> Iterator[str]:
    while True:
        if not select.select([sys.stdin], [], [], 0)[0]:
            yield ""
            continue
        text = read()
        if not text:
            return
        yield text.strip().lower()[:1]
