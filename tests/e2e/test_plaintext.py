"""I5: footage is found nowhere outside the memory of the process that seals it. Proves P29, with
fault C1 on the way.
"""

import contextlib
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from device_sim.camera.camera import Camera
from device_sim.camera.profile import Profile
from device_sim.clock import ManualClock
from device_sim.scenario.shift import Shift
from tests.e2e.conftest import NewStation
from tests.support.station import PROGRAMS, Station

SHIFT = "standby 40 s\non\n60 s\noff\nstandby 5 s\non\n30 s\ndock\n"


def needles(card: Path) -> list[bytes]:
    """32 bytes out of the middle of every second kilobyte of the footage: whatever leaks, some of
    these are in it.
    """
    found = []
    for path in sorted(card.rglob("*.mp4")):
        content = path.read_bytes()
        found += [content[at : at + 32] for at in range(600, len(content) - 32, 2048)]
    return found


def leaks(folders: list[Path], searched: list[bytes]) -> list[str]:
    wanted = set(searched)
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                found += [f"{path}: {needle.hex()}" for needle in wanted if needle in content]
    return found


@pytest.fixture
def station(new_station: NewStation, tmp_path: Path) -> Station:
    return new_station(tmp_path / "station")


@pytest.fixture
def camera(station: Station) -> Camera:
    camera = Camera.create(
        station.folder / "camera", Profile("BWC0042"), ManualClock.at("2026-11-23T18:00:00.000Z")
    )
    station.register(camera)
    Shift.parse(SHIFT).play(camera)
    station.insert(camera)
    return camera


def test_the_search_would_find_a_leak(station: Station, camera: Camera) -> None:
    """The control: the same search finds the footage on the card itself."""
    assert leaks([camera.card_folder], needles(camera.card_folder))


def test_no_plaintext_anywhere_over_a_run_with_crashes(
    station: Station, camera: Camera, tmp_path: Path
) -> None:
    searched = needles(camera.card_folder)
    assert len(searched) > 200
    temporary, working = tmp_path / "tmp", tmp_path / "cwd"
    for folder in (temporary, working):
        folder.mkdir()
    environment = os.environ | {"TMPDIR": str(temporary)}
    for number in (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, None):
        with (tmp_path / "output").open("ab") as output:
            dock = subprocess.Popen(
                [
                    PROGRAMS / "dockd",
                    "once",
                    station.place(camera),
                    "--config",
                    station.dock_config,
                ],
                cwd=working,
                env=environment,
                stdout=output,
                stderr=output,
                preexec_fn=lambda: resource.setrlimit(
                    resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
                ),
            )
            if number is not None:
                wait_for_footage(station, dock)
                dock.send_signal(number)
            dock.wait(timeout=120)
        (working / "output").write_bytes((tmp_path / "output").read_bytes())
        assert leaks([station.settings.root, temporary, working], searched) == []
        assert not list(working.glob("core*"))
    assert {row.state for row in station.rows() if row.proven} == {"erased"}
    assert station.findings() == ()


def wait_for_footage(station: Station, dock: "subprocess.Popen[bytes]") -> None:
    """Until the process has sealed footage of its own beside what an earlier one left (or has ended
    already).
    """
    before = sealed(station)
    while dock.poll() is None and not sealed(station) - before:
        time.sleep(0.002)


def sealed(station: Station) -> set[Path]:
    """What stands below footage/, while the process drops and publishes: a folder that goes under
    the look has nothing new.
    """
    found = set()
    for folder in station.settings.root.glob("footage/*/*/*"):
        with contextlib.suppress(FileNotFoundError):
            found |= set(folder.iterdir())
    return found


def test_vault_open_leaves_no_half_of_a_file(
    station: Station, camera: Camera, tmp_path: Path
) -> None:
    """The only way to plaintext on a disk takes both escrow holders, and names no file before it
    has opened to its end.
    """
    assert station.once(station.place(camera)).returncode == 0
    row = station.rows()[0]
    (station.settings.root / row.folder / "0001.sealed").write_bytes(b"no longer what was sealed")
    opened = station.call(
        "vault", "open", row.id[:8], "-o", tmp_path / "out", "--config", station.vault_config,
        typed="correct horse of ESCROW-A\ncorrect horse of ESCROW-B\n",
    )  # fmt: skip
    assert opened.returncode == 70, opened.stdout
    assert "0001.sealed is truncated" in opened.stdout
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["0000.mp4"]
