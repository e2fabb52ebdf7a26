"""A shift as a script: one thing that happens on each line, `#` starts a comment.

    standby 40 s        time passes: `40 s`, `2 min`, `1 h`, `100 ms`
                        (a bare line `25 s` lets time pass in any state)
    on                  the record button
    25 s
    off
    battery cut         the power fails, at once
    battery flat        the battery runs down, and the camera closes what it records
    power on, power off
    clock -90 s         the wall clock alone is set forward or back
    dock, undock

`standby` switches the camera on, or takes it out of the dock, if that is what it takes. `battery
cut` and `power on` follow each other as they do in the street: the next line that needs the camera
on switches it on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from device_sim.camera.camera import Camera, Mode
from device_sim.clock import ManualClock
from device_sim.errors import DeviceError, ScriptError

UNITS_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000}
DURATION = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(ms|s|min|h)")
BUTTONS: Mapping[str, Callable[[Camera], object]] = {
    "on": Camera.switch_on,
    "off": Camera.switch_off,
    "dock": Camera.dock,
    "undock": Camera.undock,
    "power on": Camera.power_on,
    "power off": Camera.power_off,
    "battery cut": Camera.battery_cut,
    "battery flat": Camera.battery_flat,
}
DAY_MS = 24 * UNITS_MS["h"]


@dataclass(frozen=True, slots=True)
class Step:
    """One line that does something. `verb` is a button, `standby`, `run` or `clock`; only the last
    three have a length.
    """

    line: int
    verb: str
    length_ms: int = 0


@dataclass(frozen=True, slots=True)
class Shift:
    """A script that was read."""

    steps: tuple[Step, ...]

    @property
    def duration_ms(self) -> int:
        """How long the shift lasts on the camera's clock."""
        return sum(step.length_ms for step in self.steps if step.verb != "clock")

    @classmethod
    def parse(cls, text: str) -> Shift:
        """Raises ScriptError, which names the line."""
        lines = enumerate((line.split("#", 1)[0].strip() for line in text.splitlines()), start=1)
        return cls(tuple(_step(number, " ".join(line.split())) for number, line in lines if line))

    def play(self, camera: Camera, passing: Callable[[Step, Camera], None] | None = None) -> None:
        """Let it happen to `camera`. `passing` is called after each step. Raises ScriptError, which
        names the line.

        A script that ends while the camera is on leaves it so.
        """
        for step in self.steps:
            try:
                _do(step, camera)
            except DeviceError as error:
                raise ScriptError(step.line, error.sentence, error.hint) from error
            if passing is not None:
                passing(step, camera)


def _step(line: int, text: str) -> Step:
    if text in BUTTONS:
        return Step(line, text)
    verb, _, rest = (
        text.partition(" ") if text.startswith(("standby", "clock")) else ("run", "", text)
    )
    match = DURATION.fullmatch(rest)
    if verb not in ("standby", "run", "clock") or match is None:
        raise ScriptError(
            line,
            f"`{text}` is not understood.",
            f"Write a time such as `25 s`, or {_listed(tuple(BUTTONS))}.",
        )
    length_ms = round(float(match[1]) * UNITS_MS[match[2]])
    if verb != "clock" and not 0 <= length_ms <= DAY_MS:
        raise ScriptError(line, f"`{text}` is no length of time.", "Use 0 to 24 hours.")
    return Step(line, verb, length_ms)


def _do(step: Step, camera: Camera) -> None:
    if step.verb in ("standby", "on"):
        _make_ready(camera)
    if step.verb in ("standby", "run"):
        camera.run(step.length_ms / 1000)
    elif step.verb == "clock":
        _jump_clock(step, camera)
    else:
        BUTTONS[step.verb](camera)


def _jump_clock(step: Step, camera: Camera) -> None:
    if not isinstance(camera.clock, ManualClock):
        raise ScriptError(
            step.line, "The wall clock of this machine is not set.", "Leave the line out."
        )
    camera.clock.jump_utc(step.length_ms)


def _make_ready(camera: Camera) -> None:
    if camera.mode is Mode.DOCKED:
        camera.undock()
    elif camera.mode is Mode.OFF:
        camera.power_on()


def _listed(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words[:-1]) + f" or `{words[-1]}`"
