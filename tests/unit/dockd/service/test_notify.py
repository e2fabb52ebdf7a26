"""sd_notify(3) against a real socket."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockd.service.notify import ServiceManager


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.settimeout(5)
        yield made


def heard(listener: socket.socket) -> str:
    return listener.recv(4096).decode()


def test_each_message_is_one_datagram(listener: socket.socket) -> None:
    manager = ServiceManager.from_environment({"NOTIFY_SOCKET": listener.getsockname()}, 1)
    manager.extend(90.5)
    manager.ready()
    manager.status("bay 1: pulling\nREADY=1")
    manager.alive()
    manager.stopping()
    said = [heard(listener) for _ in range(5)]
    assert said == [
        "EXTEND_TIMEOUT_USEC=90500000",
        "READY=1",
        "STATUS=bay 1: pulling READY=1",
        "WATCHDOG=1",
        "STOPPING=1",
    ]
    manager.close()


def test_an_abstract_socket_is_reached() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("")
        listener.settimeout(5)
        address = "@" + listener.getsockname()[1:].decode()
        manager = ServiceManager.from_environment({"NOTIFY_SOCKET": address}, 1)
        manager.ready()
        assert heard(listener) == "READY=1"
        manager.close()


@pytest.mark.parametrize(
    ("environment", "period_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "120000000"}, 120.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "42"}, 120.0),
        ({"WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "43"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdog_is_kept_where_it_is_meant_for_us(
    environment: dict[str, str], period_s: float | None
) -> None:
    assert ServiceManager.from_environment(environment, 42).watchdog_s == period_s


def test_without_a_manager_nothing_is_said() -> None:
    manager = ServiceManager.from_environment({}, 42)
    manager.ready()
    manager.close()


def test_a_manager_that_is_gone_stops_nobody(tmp_path: Path) -> None:
    manager = ServiceManager.from_environment({"NOTIFY_SOCKET": str(tmp_path / "nobody")}, 42)
    manager.alive()
    manager.close()
