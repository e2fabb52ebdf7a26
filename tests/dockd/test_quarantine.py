"""Deadly ports: counted from docking to docking, and from one life of dockd to the next."""

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from dockd.quarantine import DEATHS_MAX, Quarantine
from tests.dockd.pier import Pier, Service


def test_deaths_count_until_something_goes_well() -> None:
    quarantine = Quarantine()
    for _ in range(DEATHS_MAX - 1):
        quarantine.died("usb 1-1")
    quarantine.well("usb 1-1")
    for _ in range(DEATHS_MAX - 1):
        quarantine.died("usb 1-1")
    assert not quarantine.holds("usb 1-1")
    quarantine.died("usb 1-1")
    assert (quarantine.holds("usb 1-1"), quarantine.holds("usb 1-2")) == (True, False)


def test_a_life_that_ends_in_the_middle_counts_for_who_was_served(tmp_path: Path) -> None:
    """Fault G3. Who was done with, or well since, does not count; nor does a life that served nobody."""
    memory = tmp_path / "quarantine.json"
    killed: list[AbstractContextManager[None]] = []
    for _ in range(DEATHS_MAX):
        life = Quarantine(memory)
        assert not life.holds("deadly")
        with life.serving("done with"):
            pass
        life.well("well")
        killed += [life.serving("deadly"), life.serving("well")]
        for serving in killed[-2:]:
            serving.__enter__()
    life = Quarantine(memory)
    life.well("well")
    assert [bay for bay in ("deadly", "done with", "well") if life.holds(bay)] == ["deadly"]
    assert Quarantine(memory).holds("deadly"), "a life in which it was not opened keeps it closed"
    life.forget()
    assert not Quarantine(memory).holds("deadly")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"deaths": {"a": "b"}, "served": []}', b"\xff"])
def test_a_memory_that_is_none_closes_nothing(tmp_path: Path, content: bytes) -> None:
    memory = tmp_path / "quarantine.json"
    memory.write_bytes(content)
    assert not Quarantine(memory).holds("a")


def test_a_memory_that_can_not_be_written_stops_nobody(tmp_path: Path) -> None:
    with Quarantine(tmp_path / "not there" / "quarantine.json").serving("a"):
        pass


def test_a_device_that_kills_dockd_is_found_in_its_third_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault G3, with the real process: killed three times in the middle of the same camera. An orderly stop opens the port."""
    pier = Pier(tmp_path / "pier")
    pier.camera(count=1)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(pier.sockets))
    for _ in range(DEATHS_MAX):
        with Service(pier, held_at="0002.mp4") as service:
            service.until_held()
            service.process.kill()
            service.process.wait()
        service.held.unlink()
    with Service(pier) as service:
        service.until("READY=1")
        service.until_bay("BWC0042", "systemctl restart dockd")
        assert service.stop() == 0
    with Service(pier) as service:
        service.until("STATUS=", containing="safe to take")
        assert service.stop() == 0
    assert pier.states() == {"BWC0042-000001": "erased"}
