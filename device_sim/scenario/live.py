"""A camera in real time, for a person at a keyboard: one key is one button, one line shows the
state.

A terminal gives its keys without waiting for Enter; from a pipe each letter is a key as well.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from device_sim.camera.camera import Camera, Finished, Mode
from device_sim.camera.profile import PREROLL_MS
from device_sim.errors import DeviceError

KEYS = "[r]ecord on/off   [d]ock/undock   [p]ower on/off   [c]ut the power   [q]uit"
TICK_S = 0.1


def live(camera: Camera, say: Callable[[str], None]) -> None:
    """Run until `q`, the end of the input, or an interrupt; then the camera is switched off in
    order.
    """
    reported = 0
    with _keys() as keys, suppress(KeyboardInterrupt):
        say(KEYS)
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
    """Return the state in one line."""
    filled = min(10, camera.ring_ms * 10 // PREROLL_MS)
    ring = "#" * filled + "." * (10 - filled)
    seconds = camera.ring_ms / 1000
    return (
        f"{camera.mode.value:<9}  ring {ring} {seconds:4.1f} s  battery {camera.battery_percent} "
        f"%  last {camera.counter:06d}"
    )


def describe(finished: Finished) -> str:
    """Return a closed recording in one line."""
    return (
        f"{finished.recording}: {finished.duration_ms / 1000:.1f} s, of which "
        f"{finished.delivered_ms / 1000:.1f} s before "
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
    descriptor = sys.stdin.fileno()
    if not os.isatty(descriptor):
        yield _read_keys(descriptor)
        return
    before = termios.tcgetattr(descriptor)
    try:
        # Draining, not flushing: what was typed while the camera was opened counts.
        tty.setcbreak(descriptor, termios.TCSADRAIN)
        yield _read_keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _read_keys(descriptor: int) -> Iterator[str]:
    while True:
        if not select.select([descriptor], [], [], 0)[0]:
            yield ""
            continue
        pressed = os.read(descriptor, 64)
        if not pressed:
            return
        yield from "".join(pressed.decode("ascii", "ignore").lower().split())
