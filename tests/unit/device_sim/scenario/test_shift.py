"""Shifts as scripts."""

from pathlib import Path

import pytest

from device_sim.camera.camera import Mode
from device_sim.clock import SystemClock
from device_sim.errors import ScriptError
from device_sim.scenario.shift import Shift, Step
from tests.support.camera_contract import read_card
from tests.support.cameras import new_camera

EVENING = """
# an evening in the shopping street
standby 40 s

on              # somebody shouts
25 s
off
standby 100 ms
on
0.2 min
battery cut
standby 20s
on
clock -1 h
  12   s
dock
"""


def test_an_evening(tmp_path: Path) -> None:
    """Proves P15, ruling 16: a whole shift from a script, with its two overlapping recordings and
    its power cut.
    """
    camera = new_camera(tmp_path / "cam")
    shift = Shift.parse(EVENING)
    seen: list[tuple[int, Mode]] = []
    shift.play(camera, lambda step, played: seen.append((step.line, played.mode)))
    assert shift.duration_ms == 40_000 + 25_000 + 100 + 12_000 + 20_000 + 12_000
    assert seen[-1] == (16, Mode.DOCKED)
    first, second, third = read_card(camera.card_folder, camera.public_key)
    assert [one.manifest["stop_reason"] for one in (first, second, third)] == [
        "button",
        "recovered",
        "docked",
    ]
    assert second.manifest["overlaps"] == first.folder.name
    assert third.manifest["preroll"]["delivered_ms"] == 20_000
    assert third.manifest["stopped_utc"] < third.manifest["started_utc"]


def test_every_verb(tmp_path: Path) -> None:
    camera = new_camera(tmp_path / "cam")
    script = (
        "power on\non\n1 s\nbattery flat\npower on\npower "
        "off\non\noff\ndock\nundock\ndock\nstandby 1 s\npower off"
    )
    with pytest.raises(ScriptError, match="Line 5: The battery is flat"):
        Shift.parse(script).play(camera)
    script = "dock\n30 min\nundock\non\n1 s\npower off\non\noff\ndock\nstandby 1 s\nbattery cut"
    Shift.parse(script).play(camera)
    assert camera.mode is Mode.OFF
    assert [finished.reason for finished in camera.finished] == ["battery", "button", "button"]


def test_lines_as_they_are_read() -> None:
    assert Shift.parse("standby 1.5 h\n\n 250ms #x\nclock +90 s").steps == (
        Step(1, "standby", 5_400_000),
        Step(3, "run", 250),
        Step(4, "clock", 90_000),
    )


@pytest.mark.parametrize(
    "line",
    [
        "fly",
        "standby",
        "standby 5",
        "5",
        "on 5 s",
        "-5 s",
        "standby -1 s",
        "25 h",
        "5 s 5 s",
        "clock",
        "ON",
        "1e9 s",
    ],
)
def test_a_line_that_is_not_understood_is_named(line: str) -> None:
    with pytest.raises(ScriptError, match="Line 3: ") as caught:
        Shift.parse(f"# shift\non\n{line}\noff")
    assert caught.value.line == 3


def test_a_line_that_cannot_be_played_is_named(tmp_path: Path) -> None:
    camera = new_camera(tmp_path / "cam")
    with pytest.raises(
        ScriptError, match="Line 2: The camera is standby and cannot stop recording"
    ):
        Shift.parse("standby 1 s\noff").play(camera)


def test_the_machines_clock_is_not_set(tmp_path: Path) -> None:
    camera = new_camera(tmp_path / "cam")
    camera._world = SystemClock()
    with pytest.raises(ScriptError, match="not set"):
        Shift.parse("clock 1 s").play(camera)
