"""Deadly ports: counted from docking to docking, and from one life of dockd to the next."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from dockd.docking.quarantine import DEATHS_MAX, TURN_S, Quarantine
from tests.support.dockd_process import Pier, Service
from tests.support.hand_clock import HandClock


def test_deaths_count_until_something_goes_well() -> None:
    quarantine = Quarantine(CLOCK)
    for _ in range(DEATHS_MAX - 1):
        quarantine.died("usb 1-1")
    quarantine.well("usb 1-1")
    for _ in range(DEATHS_MAX - 1):
        quarantine.died("usb 1-1")
    assert not quarantine.holds("usb 1-1")
    quarantine.died("usb 1-1")
    assert (quarantine.holds("usb 1-1"), quarantine.holds("usb 1-2")) == (True, False)


def lives_and_dies(memory: Path, *bays: str) -> list[str]:
    """dockd starts, serves whom it may, in this order, and is killed; whom it served."""
    life = Quarantine(CLOCK, memory)
    return [bay for bay in bays if not life.holds(bay) and KILLED.enter_context(life.serving(bay))]


CLOCK = HandClock()

KILLED = ExitStack()
"""What a killed process was in the middle of, it never leaves."""


def test_a_life_that_ends_in_the_middle_counts_for_who_was_served(tmp_path: Path) -> None:
    """Fault G3. Who was done with does not count; nor does a life that served nobody."""
    memory = tmp_path / "quarantine.json"
    for _ in range(DEATHS_MAX):
        with Quarantine(CLOCK, memory).serving("done with"):
            pass
        assert lives_and_dies(memory, "deadly") == ["deadly"]
    life = Quarantine(CLOCK, memory)
    assert [bay for bay in ("deadly", "done with") if life.holds(bay)] == ["deadly"]
    assert Quarantine(CLOCK, memory).holds("deadly"), (
        "a life in which it was not opened keeps it closed"
    )
    life.forget()
    assert not Quarantine(CLOCK, memory).holds("deadly")


def test_who_stood_beside_a_deadly_camera_is_not_blamed(tmp_path: Path) -> None:
    """After a death that any of them may have caused, they are served one after another: the deadly
    one alone is closed.
    """
    memory = tmp_path / "quarantine.json"
    assert lives_and_dies(memory, "a", "deadly", "b") == ["a", "deadly", "b"]
    for _ in range(DEATHS_MAX):
        life = Quarantine(CLOCK, memory)
        for innocent in ("a", "b"):
            with life.serving(innocent) as turn:
                assert turn
                with life.serving("deadly") as beside:
                    assert not beside, "two suspects at once"
        assert KILLED.enter_context(life.serving("deadly"))
    life = Quarantine(CLOCK, memory)
    assert [bay for bay in ("a", "b", "deadly") if life.holds(bay)] == ["deadly"]


def test_a_dock_that_is_killed_again_and_again_blames_nobody_for_long(tmp_path: Path) -> None:
    """What kills it stands at no port: who has fewer deaths goes first, so that they are shared
    out.
    """
    memory = tmp_path / "quarantine.json"
    lives_and_dies(memory, "a", "b", "c")
    for _ in range(3 * (DEATHS_MAX - 1)):
        assert len(set(lives_and_dies(memory, "a", "b", "c", "a", "b", "c"))) == 1
    life = Quarantine(CLOCK, memory)
    assert not any(life.holds(bay) for bay in "abc")


def test_a_suspect_that_was_served_well_is_none(tmp_path: Path) -> None:
    memory = tmp_path / "quarantine.json"
    lives_and_dies(memory, "a", "b")
    life = Quarantine(CLOCK, memory)
    with life.serving("a") as turn:
        assert turn
    life.well("a")
    with Quarantine(CLOCK, memory).serving("b") as turn:
        assert turn
    with life.serving("b"), life.serving("a") as beside:
        assert beside


def test_a_new_camera_is_served_beside_a_suspect_and_becomes_one(tmp_path: Path) -> None:
    memory = tmp_path / "quarantine.json"
    lives_and_dies(memory, "a", "b")
    assert lives_and_dies(memory, "a", "new") == ["a", "new"]
    assert lives_and_dies(memory, "new", "b") == ["new"]


def test_a_suspect_with_much_to_pull_keeps_the_others_for_the_length_of_a_turn(
    tmp_path: Path,
) -> None:
    """And what then kills dockd beside it counts for neither, until it is alone again."""
    memory, clock = tmp_path / "quarantine.json", HandClock()
    lives_and_dies(memory, "slow", "b", "c")
    for number in range(DEATHS_MAX + 1):
        life = Quarantine(clock, memory)
        assert KILLED.enter_context(life.serving("slow"))
        clock.sleep(TURN_S * 2**number - 1)
        with life.serving("b") as turn:
            assert not turn
        clock.sleep(1)
        assert KILLED.enter_context(life.serving("b"))
        with life.serving("c") as turn:
            assert not turn, "b has its turn now"
    life = Quarantine(clock, memory)
    assert not any(life.holds(bay) for bay in ("slow", "b", "c"))


def test_a_death_beside_a_camera_under_no_suspicion_counts_for_neither(tmp_path: Path) -> None:
    """A new camera may be the deadly one: it goes in turn with the suspect from then on, and the
    deadly one alone is closed.
    """
    memory = tmp_path / "quarantine.json"
    lives_and_dies(memory, "a", "b")
    for at in range(DEATHS_MAX):
        assert lives_and_dies(memory, "a", f"new {at}") == ["a", f"new {at}"]
    assert not Quarantine(CLOCK, memory).holds("a")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"deaths": {"a": "b"}, "served": []}', b"\xff"]
)
def test_a_memory_that_is_none_closes_nothing(tmp_path: Path, content: bytes) -> None:
    memory = tmp_path / "quarantine.json"
    memory.write_bytes(content)
    assert not Quarantine(CLOCK, memory).holds("a")


def test_a_memory_that_can_not_be_written_stops_nobody(tmp_path: Path) -> None:
    with Quarantine(CLOCK, tmp_path / "not there" / "quarantine.json").serving("a"):
        pass


def test_a_device_that_kills_dockd_is_found_in_its_third_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault G3, with the real process: killed three times in the middle of the same camera. An
    orderly stop opens the port.
    """
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


def test_cameras_beside_each_other_take_turns_after_a_death(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real process: it died beside two cameras, and then twice beside one; both are taken
    in.
    """
    pier = Pier(tmp_path / "pier")
    for serial in ("BWC0042", "BWC0043"):
        pier.camera(serial, count=1)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(pier.sockets))
    lives_and_dies(pier.sockets / "quarantine.json", "BWC0042", "BWC0043")
    for _ in range(DEATHS_MAX - 1):
        with Service(pier, held_at="0002.mp4", first_wait_s=0.1) as service:
            service.until("READY=1")
            while sorted(bay["phase"] for bay in service.bays()) != ["pulling", "waiting"]:
                service.next()
            service.until_held()
            service.process.kill()
            service.process.wait()
        service.held.unlink()
    with Service(pier, held_at="nowhere", first_wait_s=0.1) as service:
        service.until("READY=1")
        while [bay["phase"] for bay in service.bays()] != ["safe to take"] * 2:
            service.next()
        assert service.stop() == 0
    assert set(pier.states().values()) == {"erased"}
