"""A reader that stays plugged in gets another card: what was mounted goes, what is known comes."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.system_programs import Commands, load, moved

STOPPED = "systemctl stop dock-mount@sdz.service dock-mount@sdz[0-9]*.service"
SETTLED = ["medium --open sdz", "blockdev --rereadpt {dev}/sdz", "udevadm settle --timeout=10"]
MOUNTED = [
    "udevadm info -q property -n sdz",
    "udevadm info -q property -n sdz1",
    "systemctl start dock-mount@sdz1.service",
    "udevadm info -q property -n sdz2",
]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    commands = Commands(tmp_path / "bin", monkeypatch)
    for name in ("systemctl", "blockdev", "medium"):
        commands.add(name)
    commands.add(
        "udevadm", 'case "$*" in *sdz1) echo DOCK_VAULT=1;; *sdz2) echo DOCK_VAULT=0;; esac'
    )
    return commands


@pytest.fixture
def program(tmp_path: Path, commands: Commands) -> ModuleType:
    """The program, for a PC whose reader sdz holds a card of two partitions."""
    (tmp_path / "dev").mkdir()
    for name in ("sdz", "sdz1", "sdz2"):
        (tmp_path / "dev" / name).touch()
    for name in ("sdz1", "sdz2", "queue"):
        (tmp_path / "sys" / "sdz" / name).mkdir(parents=True)
    places: dict[str, str | Path] = {
        "/sys/class/block": tmp_path / "sys",
        "/dev/": f"{tmp_path}/dev/",
        "/usr/lib/dock-vault": tmp_path / "bin",
    }
    return load(moved("card-changed", tmp_path, places))


class Clock:
    """Time that passes by the program's pauses alone."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        self.now_s = 0.0
        self._meanwhile = meanwhile
        monkeypatch.setattr("time.monotonic", lambda: self.now_s)
        monkeypatch.setattr("time.sleep", self._pause)

    def _pause(self, seconds: float) -> None:
        self._meanwhile()
        self.now_s += seconds


def hold(monkeypatch: pytest.MonkeyPatch, clock: Clock, device: str, until_s: float) -> None:
    """Answer as the kernel does for a device with a mounted file system, until then."""
    real = os.open

    def opened(path: str, flags: int, *more: int, **named: int) -> int:
        if str(path).endswith(f"/dev/{device}") and clock.now_s < until_s:
            assert flags & os.O_EXCL
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
        return real(path, flags, *more, **named)

    monkeypatch.setattr("os.open", opened)


def settled(folder: Path) -> list[str]:
    return [call.format(dev=folder / "dev") for call in SETTLED]


def test_the_new_card_is_mounted_where_udev_knows_it(
    program: ModuleType, commands: Commands, tmp_path: Path
) -> None:
    program.main("sdz")
    assert commands.calls == [STOPPED, *settled(tmp_path), *MOUNTED]


@pytest.mark.parametrize("device", ["sdz", "sdz2"])
def test_nothing_is_shown_while_the_old_card_is_held(
    program: ModuleType,
    commands: Commands,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
) -> None:
    """Its file system writes when it ends: until then that would go to another card."""
    seen: list[list[str]] = []
    clock = Clock(monkeypatch, meanwhile=lambda: seen.append(commands.calls))
    hold(monkeypatch, clock, device, until_s=3.0)
    program.main("sdz")
    assert 3 <= clock.now_s < 4
    assert seen
    assert all(calls == [STOPPED] for calls in seen)
    assert commands.calls == [STOPPED, *settled(tmp_path), *MOUNTED]


def test_a_card_that_is_held_for_good_is_told_and_nothing_is_opened(
    program: ModuleType,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock(monkeypatch)
    hold(monkeypatch, clock, "sdz1", until_s=1e9)
    program.main("sdz")
    assert commands.calls == [STOPPED]
    assert 60 < clock.now_s < 61
    told = capsys.readouterr().err
    assert told == (
        "<3>something still holds the card that was taken out of sdz: take the reader out and in\n"
    )


def test_an_empty_reader_has_nothing_to_mount(
    program: ModuleType, commands: Commands, tmp_path: Path
) -> None:
    """Its disk can't be opened (no medium), and has no partitions. That is not a file system."""
    for path in sorted((tmp_path / "sys").rglob("*"), reverse=True):
        path.rmdir()
    for path in (tmp_path / "dev").iterdir():
        path.unlink()
    program.main("sdz")
    assert commands.calls == [STOPPED, *settled(tmp_path), MOUNTED[0]]


def test_a_command_that_fails_keeps_no_card_from_being_mounted(
    program: ModuleType, commands: Commands
) -> None:
    """As where no unit is loaded that could be stopped, or where nothing was shut."""
    commands.add("blockdev", "exit 1")
    commands.add("medium", "exit 1")
    program.main("sdz")
    assert MOUNTED[2] in commands.calls
