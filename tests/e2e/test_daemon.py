"""The daemon with several bays: ten cameras at once, a hostile card among good ones, a camera
pulled half-way.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from device_sim.camera.camera import Camera
from device_sim.camera.profile import Profile
from device_sim.clock import ManualClock
from device_sim.scenario.shift import Shift
from tests.e2e.conftest import NewStation
from tests.support.station import PROGRAMS, Station
from vault.crypto.canonical_json import parse_object
from vault.log.log import read_leaves

PATIENCE_S = 120
BUSY = {"identifying", "pulling", "checking", "erasing"}


@contextmanager
def running(station: Station) -> Iterator["subprocess.Popen[bytes]"]:
    """`dockd run`, from READY on; it must end with 0 on SIGTERM."""
    ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    address = station.folder / "notify.sock"
    address.unlink(missing_ok=True)
    ready.bind(str(address))
    ready.settimeout(PATIENCE_S)
    with (station.folder / "journal").open("ab") as journal:
        dock = subprocess.Popen(
            [PROGRAMS / "dockd", "run", "--config", station.dock_config],
            stderr=journal,
            env=os.environ | {"NOTIFY_SOCKET": str(address)},
        )
        try:
            while b"READY=1" not in ready.recv(65536):
                pass
            yield dock
            dock.send_signal(signal.SIGTERM)
            assert dock.wait(timeout=PATIENCE_S) == 0
        finally:
            dock.kill()
            dock.wait()
            ready.close()


def status(station: Station) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_S)
        connection.connect(str(station.folder / "s.sock"))
        answer: dict[str, Any] = json.load(connection.makefile("rb"))
    return answer


def wait_for(
    station: Station, holds: Callable[[dict[str, dict[str, Any]]], bool]
) -> dict[str, dict[str, Any]]:
    """Ask the dock until its bays are as wanted; camera (or bay, before it is known) to document.

    Bounded in turns, each a round trip to the dock.
    """
    for _ in range(100_000):
        bays = {bay["camera"] or bay["bay"]: bay for bay in status(station)["bays"]}
        if holds(bays):
            return bays
    pytest.fail(f"the bays did not come to rest: {bays}")


def camera_with(station: Station, serial: str, shift: str, seed: int = 0) -> Camera:
    camera = Camera.create(
        station.folder / f"camera-{serial}",
        Profile(serial, seed=seed),
        ManualClock.at("2026-11-23T18:00:00.000Z"),
    )
    station.register(camera)
    Shift.parse(shift).play(camera)
    return camera


def test_ten_cameras_at_once_all_finish_and_none_starves(
    new_station: NewStation, tmp_path: Path
) -> None:
    """Proves P27, P28: docked, and everything by itself, ten at once.

    In the order of the log no camera's n-th recording comes later than twice its fair turn.
    """
    station = new_station(tmp_path / "station")
    serials = [f"BWC{number:04d}" for number in range(1, 11)]
    uses = 4
    shift = "standby 31 s\n" + "on\n4 s\noff\n1 s\n" * uses + "dock\n"
    first = camera_with(station, serials[0], shift)
    station.insert(first)
    for number, serial in enumerate(serials[1:], 1):
        station.insert(camera_with(station, serial, shift, number))
    with running(station):
        wait_for(
            station,
            lambda bays: len(bays) == 10 and not any(bay["phase"] in BUSY for bay in bays.values()),
        )
        bays = wait_for(
            station, lambda bays: all(bay["phase"] not in BUSY for bay in bays.values())
        )
    assert {bay["phase"] for bay in bays.values()} == {"safe to take"}
    assert len(station.rows()) == 10 * uses
    with station.vault() as vault, vault.reading() as tx:
        entries = [parse_object(leaf) for leaf in read_leaves(tx)]
    order = [
        entry["details"]["camera"] for entry in entries if entry["action"] == "recording.stored"
    ]
    for serial in serials:
        places = [place for place, camera in enumerate(order, 1) if camera == serial]
        for turn, place in enumerate(places, 1):
            assert place <= 2 * 10 * turn, (
                f"{serial}'s recording {turn} came as number {place} of {order}"
            )
    assert station.findings() == ()


def spoil(card: Path) -> None:
    """One card with much of what a hostile one can hold, beside one recording that is whole."""
    recordings = card / "RECORDINGS"
    whole = sorted(recordings.iterdir())
    (whole[0] / "0000.mp4").write_bytes((whole[0] / "0000.mp4").read_bytes()[:-7])
    manifest = whole[1] / "recording.json"
    manifest.write_bytes(b"[" * 100_000)
    for name in ("-rf", "..\u202e", "a\nb", "x" * 255):
        (recordings / name).mkdir()
    os.mkfifo(recordings / "BWC0042-000099")
    (recordings / "BWC0042-000098").symlink_to("/etc")
    (recordings / "BWC0042-000097").mkdir()
    (recordings / "BWC0042-000097" / "recording.json").symlink_to("/etc/passwd")
    (recordings / "BWC0042-000096").mkdir()
    (recordings / "BWC0042-000096" / "recording.json").write_bytes(b"")


def test_a_hostile_card_has_its_verdicts_and_the_other_bay_goes_on(
    new_station: NewStation, tmp_path: Path
) -> None:
    """Faults A13 to A15, B6, B7: the whole recording is taken in and erased, nothing else is
    touched, the other bay is done.
    """
    station = new_station(tmp_path / "station")
    bad = camera_with(
        station,
        "BWC0042",
        "standby 31 s\non\n3 s\noff\n1 s\non\n3 s\noff\n1 s\non\n3 s\noff\ndock\n",
    )
    good = camera_with(station, "BWC0043", "standby 31 s\non\n3 s\noff\ndock\n")
    spoil(bad.card_folder)
    station.insert(bad)
    card = bad.card_folder
    before = {path for path in card.rglob("*") if "000003" not in path.as_posix()}
    station.insert(good)
    with running(station):
        bays = wait_for(
            station,
            lambda bays: len(bays) == 2 and not any(bay["phase"] in BUSY for bay in bays.values()),
        )
    assert bays["BWC0043"]["phase"] == "safe to take"
    assert bays["BWC0042"]["phase"] == "broken recording"
    assert bays["BWC0042"]["message"]
    assert sorted(row.name for row in station.rows()) == ["BWC0042-000003", "BWC0043-000001"]
    assert {path for path in card.rglob("*") if "000003" not in path.as_posix()} == before
    assert not list((card / "RECORDINGS").glob("BWC0042-000003"))
    assert station.findings() == ()


def test_an_unknown_camera_is_not_read_and_says_what_to_do(
    new_station: NewStation, tmp_path: Path
) -> None:
    """P25, P27: nothing of it is read; the coordinator is told by the bay and the log."""
    station = new_station(tmp_path / "station")
    camera = Camera.create(
        station.folder / "camera", Profile("BWC0099"), ManualClock.at("2026-11-23T18:00:00.000Z")
    )
    Shift.parse("standby 31 s\non\n3 s\noff\ndock\n").play(camera)
    station.insert(camera)
    with running(station):
        bays = wait_for(
            station, lambda bays: any(bay["phase"] == "unknown camera" for bay in bays.values())
        )
    assert "camera add" in bays["BWC0099"]["message"] or "regist" in bays["BWC0099"]["message"]
    assert station.rows() == []
    assert len(list((camera.card_folder / "RECORDINGS").rglob("*.mp4"))) > 0


def test_a_card_taken_out_half_way_comes_back_and_nothing_is_lost(
    new_station: NewStation, tmp_path: Path
) -> None:
    """Fault A1, over the whole daemon: the card goes while it is read, and comes back."""
    station = new_station(tmp_path / "station")
    camera = camera_with(station, "BWC0042", "standby 40 s\non\n200 s\noff\ndock\n")
    station.insert(camera)
    with running(station):
        wait_for(
            station,
            lambda bays: (
                bool(list(station.settings.root.glob("footage/*/*/*/*"))) or "BWC0042" in bays
            ),
        )
        station.take_out(camera)
        wait_for(station, lambda bays: not any(bay["phase"] in BUSY for bay in bays.values()))
        station.insert(camera)
        wait_for(station, lambda bays: bays.get("BWC0042", {}).get("phase") == "safe to take")
    (row,) = [row for row in station.rows() if row.proven]
    assert row.state == "erased"
    assert station.frames(row).counters == list(range(100, 2400))
    assert station.findings() == ()


def test_a_restart_in_the_middle_loses_nothing(new_station: NewStation, tmp_path: Path) -> None:
    """Fault G1: SIGTERM at any moment ends with 0 in bounded time, and the next start takes in what
    was left.
    """
    station = new_station(tmp_path / "station")
    camera = camera_with(
        station, "BWC0042", "standby 31 s\n" + "on\n20 s\noff\n1 s\n" * 3 + "dock\n"
    )
    station.insert(camera)
    with running(station):
        wait_for(station, lambda bays: bool(list(station.settings.root.glob("footage/*/*/*/*"))))
    assert not list((station.settings.root / "incoming").iterdir())
    with running(station):
        wait_for(station, lambda bays: bays.get("BWC0042", {}).get("phase") == "safe to take")
    assert [row.state for row in station.rows() if row.proven] == ["erased"] * 3
    assert station.findings() == ()
    shutil.rmtree(station.bays)
