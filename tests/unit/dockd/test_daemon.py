"""The real process: what it tells the service manager, when, and how it stops."""

import re
import signal
from pathlib import Path

import pytest

from tests.support.dockd_process import ENOUGH_S, Pier, Service

ONE, TWO = "BWC0042-000001", "BWC0042-000002"


@pytest.fixture
def pier(tmp_path: Path) -> Pier:
    return Pier(tmp_path / "pier")


def test_ready_is_said_once_the_recovery_is_done_and_the_dock_answers(pier: Pier) -> None:
    """Fault G2: no watchdog before READY=1, and the long step of the start is announced."""
    left = pier.vault_settings.root / "incoming" / "left.part"
    left.write_bytes(b"what a crash left")
    with Service(pier, watchdog_s=60) as service:
        heard = service.until("READY=1")
        assert not left.exists()
        assert service.bays() == []
        assert heard[0].startswith("EXTEND_TIMEOUT_USEC=")
        assert "WATCHDOG=1" not in heard
        assert service.next() == "STATUS=No camera is docked."
        assert service.next() == "WATCHDOG=1"
        assert service.stop() == 0
        assert "STOPPING=1" in service.until("STATUS=Stopping.")


def test_cameras_that_stand_there_and_that_come_are_taken_in(pier: Pier, tmp_path: Path) -> None:
    pier.camera("BWC0001", 1)
    with Service(pier) as service:
        service.until("STATUS=", containing="BWC0001 safe to take")
        maker = pier.camera("BWC0002", 2, place=tmp_path / "elsewhere")
        maker.root.rename(pier.bays / "bay2")
        service.until("STATUS=", containing="bay2: BWC0002 safe to take")
        assert {bay["bay"]: bay["lamp"] for bay in service.bays()} == {
            "BWC0001": "green",
            "bay2": "green",
        }
        (pier.bays / "bay2").rename(maker.root)
        heard = service.until("STATUS=BWC0001: BWC0001 safe to take")
        assert heard
        assert service.stop() == 0
    assert pier.states() == {
        "BWC0001-000001": "erased",
        "BWC0002-000001": "erased",
        "BWC0002-000002": "erased",
    }


def test_a_usb_that_nobody_can_look_at_is_a_bay_by_itself(pier: Pier, tmp_path: Path) -> None:
    """Else a camera that stands there would show nowhere, and no alarm would come."""
    pier.config.write_text(
        pier.config.read_text().replace('usb_backend = "off"', 'usb_backend = "libusb"')
    )
    dies = tmp_path / "dies.py"
    dies.write_text("raise SystemExit(1)")
    with Service(pier, reader=dies) as service:
        service.until("STATUS=", containing="usb")
        service.until_bay("usb", "The USB can't be looked at")
        assert [bay["lamp"] for bay in service.bays()] == ["red"]
        assert service.stop() == 0


def test_a_bay_that_stands_still_withholds_the_sign_of_life(pier: Pier) -> None:
    """Fault G2. The loop goes on turning and telling its status; that alone must not be a sign of
    life.
    """
    pier.camera(count=1)
    with Service(pier, watchdog_s=0.4, held_at="0002.mp4") as service:
        service.until("READY=1")
        service.until("WATCHDOG=1")
        service.until_held()
        silent = 0
        while silent < 4:
            silent = silent + 1 if service.next().startswith("STATUS=") else 0
        service.go.touch()
        service.until("WATCHDOG=1")
        service.until("STATUS=", containing="safe to take")
        service.until("WATCHDOG=1")
        assert service.stop() == 0
    assert "a bay stands still" in {event["event"] for event in service.journal()}


def test_a_stop_in_the_middle_of_a_pull_ends_in_order(tmp_path: Path) -> None:
    """Fault G1: the segment in hand is finished, nothing new is begun, exit 0, and the next start
    takes in all of it.
    """
    pier = Pier(tmp_path / "pier", lanes=1)
    maker = pier.camera(count=2)
    before = {path: path.read_bytes() for path in maker.root.rglob("*") if path.is_file()}
    with Service(pier, held_at=f"{ONE}/0001.mp4") as service:
        service.until_held()
        service.process.send_signal(signal.SIGTERM)
        service.until("STOPPING=1")
        service.process.send_signal(signal.SIGTERM)
        service.go.touch()
        assert service.process.wait(ENOUGH_S) == 0
    assert {path: path.read_bytes() for path in maker.root.rglob("*") if path.is_file()} == before
    assert pier.states() == {}
    assert list((pier.vault_settings.root / "incoming").iterdir()) == []
    with Service(pier) as service:
        service.until("STATUS=", containing="safe to take")
        assert service.stop() == 0
    assert pier.states() == {ONE: "erased", TWO: "erased"}


def test_a_device_that_never_answers_does_not_hold_up_the_stop(pier: Pier) -> None:
    """Fault A10: the device is not closed under its thread, and the process ends all the same."""
    pier.camera(count=1)
    with Service(pier, held_at=f"{ONE}/0001.mp4", stop_s=0.5) as service:
        service.until_held()
        assert service.stop() == 0
        assert service.journal()[-1] | {"timestamp": ""} == {
            "event": "dockd stopped",
            "ended": False,
            "level": "info",
            "timestamp": "",
        }
    with Service(pier) as service:
        service.until("STATUS=", containing="safe to take")
        assert service.stop() == 0
    assert pier.states() == {ONE: "erased"}


def test_a_killed_process_is_followed_by_one_that_works(pier: Pier) -> None:
    """Its status socket stands there, and its lock is free."""
    pier.camera(count=1)
    with Service(pier, held_at=f"{ONE}/0003.mp4") as service:
        service.until_held()
        service.process.kill()
        service.process.wait()
        assert (pier.sockets / "s").exists()
    with Service(pier) as service:
        service.until("STATUS=", containing="safe to take")
        assert service.stop() == 0
    assert pier.states() == {ONE: "erased"}
    assert not (pier.sockets / "s").exists()


def test_its_journal_is_json_with_a_level_and_without_names(pier: Pier) -> None:
    """I5: no officer, no key, no footage in the log."""
    maker = pier.camera(count=1)
    pier.camera("BWC0099", 1, registered=False)
    with Service(pier) as service:
        service.until("STATUS=", containing="BWC0099: BWC0099 unknown camera")
        service.until("STATUS=", containing="BWC0042: BWC0042 safe to take")
        assert service.stop() == 0
    assert all(re.match(r"<[3-7]>\{.*\}$", line) for line in service.journal_lines())
    text = "\n".join(service.journal_lines())
    assert "boa-7" not in text
    assert maker.public_key.hex() not in text
    levels = {
        event["event"]: line[:3]
        for event, line in zip(service.journal(), service.journal_lines(), strict=True)
    }
    assert levels["camera.refused"] == "<4>"
    assert levels["recording stored"] == "<6>"
