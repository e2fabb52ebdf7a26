"""A port at which readers die is closed after the third death; nobody else notices."""

from typing import Any

from tests.campaigns.vm.card_reader import Stick, dcim_card
from tests.campaigns.vm.readers import kill_reader
from tests.campaigns.vm.simulator import vfat_files
from tests.campaigns.vm.stage import DEADLY_CAMERA, NEIGHBOUR, Stage, mid_pull, until

CLOSED = "Readers died at this port three times, so it is closed."
CLIP_BYTES = 1 << 20
DEADLY_BYTES_PER_S, NEIGHBOUR_BYTES_PER_S = 50_000, 15_000
DEADLY_PORT, NEIGHBOUR_PORT = 3, 2


def a_port_that_kills_its_readers_is_closed(stage: Stage) -> str:
    """Cards pulled out in mid-read are no deaths; three readers that end by a signal are, and close
    their port, and no other.

    A restart opens it again.
    """
    machine, station = stage.machine, stage.station
    deadly, neighbour = Stick(machine, DEADLY_PORT), Stick(machine, NEIGHBOUR_PORT)
    images = {
        camera: dcim_card(stage.folder, camera, stage.clips_of(camera, 3, CLIP_BYTES))
        for camera in (DEADLY_CAMERA, NEIGHBOUR)
    }
    before = stage.lives("dockd")
    neighbour.insert(images[NEIGHBOUR], NEIGHBOUR_BYTES_PER_S)
    bay = ""
    for _ in range(3):
        deadly.insert(images[DEADLY_CAMERA], DEADLY_BYTES_PER_S)
        bay = station.wait_bay(mid_pull(DEADLY_CAMERA), 180)["bay"]
        pull_early(stage, deadly, bay)
    deadly.insert(images[DEADLY_CAMERA], DEADLY_BYTES_PER_S)
    for _ in range(3):
        bay = station.wait_bay(mid_pull(DEADLY_CAMERA), 180)["bay"]
        machine.must(kill_reader(bay, "SEGV"))
        told = station.wait_bay(died(bay), 120)
    assert CLOSED in told["message"], told
    assert machine.must("journalctl -b --no-pager -u dockd | grep -c 'port quarantined'") == "1"
    still = next(state for state in station.bays() if state["camera"] == NEIGHBOUR)
    assert still["phase"] in ("pulling", "checking"), (
        f"the neighbour was to be read all the while: {still}"
    )
    neighbour.hurry()
    pull_early(stage, deadly, bay)
    deadly.insert(images[DEADLY_CAMERA])
    again = station.wait_bay(lambda state: state["bay"] == bay and state["phase"] == "fault", 120)
    assert again["camera"] is None, f"a card at a closed port was opened: {again}"
    station.wait_phase(NEIGHBOUR, "safe to take", 180)
    assert stage.lives("dockd") == before, "dockd was started anew"
    machine.must("systemctl restart dockd", 300)
    station.wait_phase(DEADLY_CAMERA, "safe to take", 240)
    for stick in (deadly, neighbour):
        stick.pull()
    for image in images.values():
        assert vfat_files(image) == [], vfat_files(image)
    return f"{bay} closed after three deaths, and none of three pulled cards was one"


def pull_early(stage: Stage, stick: Stick, bay: str) -> None:
    """Pull a card out, and wait until the dock has seen it and its mount is gone."""
    stick.pull()
    stage.station.wait_bay(
        lambda state: state["bay"] == bay and state["phase"] == "taken too early", 120
    )
    stage.machine.must(until(f"! grep -q /{bay} /proc/mounts"))


def died(bay: str) -> Any:
    """Whether the dock has noticed that this bay's reader is gone."""
    return lambda state: (
        state["bay"] == bay
        and (
            state["phase"] == "fault"
            or (state["phase"] == "waiting" and "ended" in state["message"])
        )
    )
