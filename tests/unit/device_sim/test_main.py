"""The command line, as a person or a script uses it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from device_sim.__main__ import cli, main
from device_sim.clock import SystemClock, parse_utc
from device_sim.errors import DeviceError
from tests.support.camera_contract import frame_numbers, read_card, read_device

CREATE = ["create", "cam", "--serial", "BWC0042", "--width", "160", "--height", "90", "--fps", "5"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "watched").mkdir()
    return tmp_path


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(cli, arguments, input=stdin)


def test_a_camera_from_its_making_to_the_dock_and_back(home: Path) -> None:
    """Proves P15 by the public commands: make, play, dock, take back."""
    public_key = run(*CREATE, "--officer", "BOA-17").output.strip()
    (home / "shift").write_text("standby 31 s\non\n4 s\noff\n")
    played = run("play", "cam", "shift", "--start", "2026-11-23T21:50:19Z")
    assert played.exit_code == 0
    assert (
        "BWC0042-000001: 34.0 s, of which 30.0 s before the switch-on; stopped by: button"
        in played.output
    )
    assert "2026-11-23T21:50:50.000Z  line 2: on -> recording" in played.output
    assert "switched off" in played.output
    assert run("insert", "cam", "watched").output.strip() == str(home / "watched" / "BWC0042")
    (recording,) = read_card(home / "watched" / "BWC0042", public_key)
    assert frame_numbers(recording) == list(range(5, 175))
    assert recording.manifest["officer"] == "BOA-17"
    shown = json.loads(run("show", "cam").output)
    assert (
        shown["public_key"] == public_key == read_device(home / "watched" / "BWC0042")["public_key"]
    )
    assert (shown["mode"], shown["counter"], shown["recordings"]) == (
        "docked",
        1,
        ["BWC0042-000001"],
    )
    assert run("pull", "cam").output.strip() == "off"
    assert (home / "cam" / "card").is_dir()


def test_a_shift_ends_now(home: Path) -> None:
    """Ruling 14: a recording that stops after its docking is not believed, so a played shift lies
    in the past.
    """
    key = run(*CREATE).output.strip()
    before_ms = SystemClock().utc_ms()
    assert run("play", "cam", "-", stdin="standby 60 s\non\n30 s\ndock").exit_code == 0
    (recording,) = read_card(home / "cam" / "card", key)
    assert 0 <= parse_utc(recording.manifest["stopped_utc"]) - before_ms <= 30_000
    assert parse_utc(recording.manifest["stopped_utc"]) <= SystemClock().utc_ms()


def test_a_script_that_stops_short(home: Path) -> None:
    """What was recorded before the wrong line stands, after the next start."""
    key = run(*CREATE).output.strip()
    failed = run("play", "cam", "-", stdin="standby 2 s\non\n12 s\nundock")
    assert isinstance(failed.exception, DeviceError)
    assert str(failed.exception).startswith("Line 4: ")
    run("play", "cam", "-", stdin="standby 1 s")
    (recording,) = read_card(home / "cam" / "card", key)
    assert recording.manifest["stop_reason"] == "recovered"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "nowhere"], "holds no camera"),
        (["create", "cam", "--serial", "bwc"], "serial"),
        (["create", "cam", "--serial", "BWC1", "--width", "161"], "picture"),
        (["create", "cam", "--serial", "BWC1", "--fps", "7"], "7 pictures"),
        (["create", "cam", "--serial", "BWC1", "--gop-seconds", "0.33"], "whole number"),
        (["create", "cam", "--serial", "BWC1", "--gop-seconds", "0"], "keyframe"),
        (["create", "cam", "--serial", "BWC1", "--model", ""], "Model"),
        (["create", "cam", "--serial", "BWC1", "--storage-mb", "0"], "card"),
        (["create", "cam", "--serial", "BWC1", "--battery-percent", "101"], "battery"),
        (["create", "no/where", "--serial", "BWC1"], "not a folder"),
    ],
)
def test_refusals_say_what_and_what_to_do(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["device-sim", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert sentence in lines[0]
    assert not (home / "cam").exists()


def test_wrong_start(home: Path) -> None:
    run(*CREATE)
    for start in ("yesterday", "2026-11-23T21:50:19"):
        assert run("play", "cam", "-", "--start", start, stdin="standby 1 s").exit_code == 2


def test_a_file_that_is_not_there(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*CREATE)
    (home / "cam" / "internal" / "private.key").unlink()
    monkeypatch.setattr("sys.argv", ["device-sim", "show", "cam"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "private.key" in capsys.readouterr().err
