"""The status socket: one document to whoever asks, and nobody can hold it up."""

import contextlib
import json
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockd.display.status import StatusRefusedError, StatusServer, ask_status
from dockd.docking.bay import Bay, Board, Phase
from tests.support.hand_clock import HandClock


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def server(tmp_path: Path, board: Board) -> Iterator[StatusServer]:
    made = StatusServer(tmp_path / "s", board, HandClock())
    made.start()
    yield made
    made.stop()


def test_it_answers_with_all_bays_and_counters(
    tmp_path: Path, board: Board, server: StatusServer
) -> None:
    clock = HandClock()
    bay = Bay("1", board, clock)
    bay.camera_is("BWC0042", "boa-7")
    bay.enter(Phase.PULLING, count=3)
    bay.plan(1000)
    bay.recording(2)
    clock.pass_time(1)
    bay.advance(400)
    board.count(recordings_stored=1, bytes_stored=77)
    assert ask_status(tmp_path / "s") == {
        "format": "dockd/status/1",
        "now_utc": "2026-11-23T18:00:00.000Z",
        "started_utc": "2026-11-23T18:00:00.000Z",
        "bays": [
            {
                "bay": "1",
                "phase": "pulling",
                "lamp": "blue",
                "since_utc": "2026-11-23T18:00:00.000Z",
                "camera": "BWC0042",
                "officer": "boa-7",
                "recording_number": 2,
                "recording_count": 3,
                "bytes_done": 400,
                "bytes_total": 1000,
                "bytes_per_s": 400,
                "seconds_left": 2,
                "message": "",
                "battery_percent": None,
                "reports_missing": 0,
            }
        ],
        "counters": {
            "cameras_docked": 0,
            "recordings_stored": 1,
            "recordings_erased": 0,
            "bytes_stored": 77,
            "alarms": 0,
        },
    }


def test_only_its_user_and_group_may_ask(tmp_path: Path, server: StatusServer) -> None:
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o660


def test_who_hangs_up_or_talks_first_disturbs_nobody(tmp_path: Path, server: StatusServer) -> None:
    for _ in range(20):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as rude:
            rude.connect(str(tmp_path / "s"))
            with contextlib.suppress(BrokenPipeError):
                rude.send(b"GET / HTTP/1.1\r\n\r\n")
    assert ask_status(tmp_path / "s")["bays"] == []


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(tmp_path / "s"))
    server = StatusServer(tmp_path / "s", Board(), HandClock())
    server.start()
    assert ask_status(tmp_path / "s")["bays"] == []
    server.stop()
    assert not (tmp_path / "s").exists()


def test_a_file_in_its_place_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("mine")
    server = StatusServer(tmp_path / "s", Board(), HandClock())
    with pytest.raises(StatusRefusedError):
        server.start()
    assert (tmp_path / "s").read_text() == "mine"


def test_a_silent_place_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(StatusRefusedError, match="No dockd answers"):
        ask_status(tmp_path / "s")


@pytest.mark.parametrize(
    "answer", [b"", b"no", b"[]", json.dumps({"format": "dockd/status/2"}).encode()]
)
def test_what_is_not_dockd_is_refused(tmp_path: Path, answer: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(tmp_path / "s"))
        other.listen()

        def reply() -> None:
            connection, _ = other.accept()
            with connection:
                connection.sendall(answer)

        replying = threading.Thread(target=reply)
        replying.start()
        with pytest.raises(StatusRefusedError, match="not dockd"):
            ask_status(tmp_path / "s")
        replying.join()
