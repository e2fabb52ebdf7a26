"""A reader that stays where it is while the card in it is another one; and a card that comes while
the vault's disk is full.
"""

from pathlib import Path

from tests.campaigns.vm.card_reader import Stick, dcim_card
from tests.campaigns.vm.guest_station import attach_file
from tests.campaigns.vm.machine import Machine
from tests.campaigns.vm.simulator import vfat_files
from tests.campaigns.vm.stage import DAMAGED, SWAPPED, WAITING, Stage

PORT = 4
CLIP_BYTES = 128 << 10
ROOT_ENTRIES_AT = 17
"""Where FAT says how many entries its root has (Microsoft, fatgen103, BPB_RootEntCnt). With one
more it can't be mounted.
"""
SAFE_S = 180.0
RESERVE_BYTES = 1 << 20
"""What the guest's settings keep for the log and for viewing."""

ASK_THE_DOOR = (
    "import socket, sys; door = socket.socket(socket.AF_UNIX); "
    'door.connect("/run/dock-vault/erase.sock"); '
    "door.sendall(sys.stdin.buffer.read()); print(door.recv(4096).decode())"
)


def another_card_in_the_same_reader(stage: Stage) -> str:
    """The medium alone is changed. The new card is read, and nothing of the old one's is ever
    written over it.
    """
    machine, station = stage.machine, stage.station
    station.start()
    first, second, third = (card(stage, serial) for serial in SWAPPED)
    for image in (second, third):
        attach_file(machine, image.stem, image)
    stick = Stick(machine, PORT)
    stick.insert(first)
    bay = station.wait_phase(SWAPPED[0], "safe to take", SAFE_S)["bay"]
    change_medium(machine, second)
    assert station.wait_phase(SWAPPED[1], "safe to take", SAFE_S)["bay"] == bay, (
        "the bay has another name"
    )
    assert vfat_files(second) == [], vfat_files(second)
    # Before anybody has noticed, somebody asks for the erase.
    machine.must("udevadm control --stop-exec-queue")
    before = third.read_bytes()
    change_medium(machine, third)
    refused = machine.must(f"echo {bay} | runuser -u dockd -- python3 -c '{ASK_THE_DOOR}'")
    assert "another card" in refused, refused
    machine.must("sync")
    assert third.read_bytes() == before, "the new card was written to"
    machine.must("udevadm control --start-exec-queue")
    station.wait_phase(SWAPPED[2], "safe to take", SAFE_S)
    stick.pull()
    for image in (second, third):
        machine.qmp("blockdev-del", **{"node-name": image.stem})
    return f"{bay}: {refused}"


def card(stage: Stage, serial: str) -> Path:
    return dcim_card(stage.folder, serial, stage.clips_of(serial, 1, CLIP_BYTES))


def change_medium(machine: Machine, image: Path) -> None:
    """Open the tray of the reader, take out what is in it, put another in."""
    drive = f"/machine/peripheral/stick-{PORT}/stick-{PORT}.0/legacy[0]"
    machine.qmp("blockdev-open-tray", id=drive, force=True)
    machine.qmp("blockdev-remove-medium", id=drive)
    machine.qmp("blockdev-insert-medium", **{"id": drive, "node-name": image.stem})
    machine.qmp("blockdev-close-tray", id=drive)


def a_damaged_card_says_so_at_its_bay(stage: Stage) -> str:
    """What can't be mounted shows as a fault at once, and is not written to; its place is free for
    the next card.

    So does what has no file system at all, where the port is named in full.
    """
    machine, station = stage.machine, stage.station
    station.start()
    healthy = card(stage, DAMAGED)
    content = bytearray(healthy.read_bytes())
    content[ROOT_ENTRIES_AT] += 1
    damaged = healthy.with_suffix(".damaged")
    damaged.write_bytes(content)
    stick = Stick(machine, PORT)
    stick.insert(damaged)
    fault = station.wait_bay(lambda bay: bay["phase"] == "fault", SAFE_S)
    assert "file system is damaged" in fault["message"], fault
    stick.pull()
    assert damaged.read_bytes() == content, "the card was written to"
    stick.insert(healthy)
    assert station.wait_phase(DAMAGED, "safe to take", SAFE_S)["bay"] == fault["bay"]
    stick.pull()
    blank = healthy.with_suffix(".blank")
    blank.write_bytes(bytes(len(content)))
    port, _, _ = str(fault["bay"]).removeprefix("card-").rsplit("-", 2)
    machine.must(f"echo 'card {port}' >>/etc/dock-vault/devices")
    stick.insert(blank)
    assert station.wait_bay(lambda bay: bay["phase"] == "fault", SAFE_S)["bay"] == fault["bay"]
    stick.pull()
    assert not any(blank.read_bytes()), "the card was written to"
    return f"{fault['bay']}: {fault['message']}"


def a_full_disk_keeps_cameras_waiting(stage: Stage) -> str:
    """Fault C5. Intake stops with the camera untouched and says so; log, sweep and check go on;
    with room it is taken in.
    """
    machine, station = stage.machine, stage.station
    image = card(stage, WAITING)
    before = image.read_bytes()
    free_bytes = int(machine.must("stat -f -c '%a %S' /var/lib/dock-vault | awk '{print $1 * $2}'"))
    machine.must(f"fallocate -l {free_bytes - RESERVE_BYTES} /var/lib/dock-vault/ballast")
    stick = Stick(machine, PORT)
    stick.insert(image)
    full = station.wait_phase(WAITING, "vault full", SAFE_S)
    for unit in ("vault-checkpoint", "vault-sweep", "vault-verify"):
        machine.must(f"systemctl start {unit}", 120)
    machine.must("sync")
    assert image.read_bytes() == before, "the card was written to"
    machine.must("rm /var/lib/dock-vault/ballast")
    station.wait_phase(WAITING, "safe to take", SAFE_S)
    stick.pull()
    return str(full["message"])
