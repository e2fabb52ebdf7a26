"""What is tried in the machine, in order. Each scenario leaves the stage as the next one expects it, or as it found it."""

import hashlib
import mmap
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from device_sim.clock import SystemClock
from device_sim.hub import Hub
from device_sim.usb import UsbCamera
from tests.vm.cable import Cable
from tests.vm.machine import Machine
from tests.vm.simulator import Simulator, Worn, files_below, vfat_card, vfat_files
from tests.vm.station import Held, Station, attach_file
from vault.clock import Clock

FIRST, SECOND, CARD = "BWC0061", "BWC0062", "BWC0063"
"""Two cameras on the USB, and one whose card is put into a reader."""

QEMU_SERIAL = "QEMU0064"
QEMU_CAMERA = f"USB-46f4-0004-{QEMU_SERIAL}"
"""What dockd calls QEMU's own MTP device: vendor, product and serial are all that it says of itself."""

STOPPED_CAMERA = "VOL-CA3D-0066"
"""A DCIM card, named by its volume."""

SWAPPED = ("VOL-CA3D-0067", "VOL-CA3D-0068", "VOL-CA3D-0069")
"""DCIM cards that are put one after the other into a reader that stays where it is."""

WAITING = "VOL-CA3D-006A"
"""A DCIM card that is docked while the vault's disk is full."""

SLOW_BYTES_PER_S = 2_000_000
"""A card that is read in some seconds, so that it can be pulled out in the middle."""

GPHOTO_STORE = "/store_00010001"
"""What gphoto2 calls the camera's one storage."""

MARKED = 20
"""A stretch of 32 bytes with more different ones than this stands nowhere by chance."""

HELD_S = 60.0
"""How long the first half of a camera's footage may take."""

HOST = "10.0.2.2"
"""This machine, as QEMU's user network shows it to the guest."""


@dataclass
class Stage:
    """All that a scenario may touch."""

    folder: Path
    machine: Machine
    station: Station
    simulator: Simulator
    cable: Cable
    """The first camera's way to the guest, until it is torn out."""
    cameras: dict[str, Worn]
    clock: Clock
    stopped: dict[str, bytes] = field(default_factory=dict)
    """What stood on the card whose taking in was stopped."""
    swapped: dict[str, bytes] = field(default_factory=dict)
    """What stood on each card that was put into a reader in another's place."""
    footage: dict[str, bytes] = field(default_factory=dict)
    """What stood on QEMU's device, by path."""

    def attach(self, serial: str, port: int | None = None, bus_id: str | None = None) -> None:
        """Ask the guest's kernel to take a served camera as its own, and wait until udev has named it."""
        arguments = f"--tcp-port {port or self.simulator.port} attach -r {HOST} -b {bus_id or self.simulator.bus_ids[serial]}"
        self.machine.must(f"usbip {arguments} && " + until('test -n "$(' + FIND.format(serial=serial) + ')"'))
        self.machine.must("udevadm settle")

    def properties(self, serial: str) -> dict[str, str]:
        """What udev knows of the device with this serial."""
        said = self.machine.must("udevadm info -q property -p $(" + FIND.format(serial=serial) + ")")
        return dict(line.split("=", 1) for line in said.splitlines())

    def bay(self, serial: str) -> str:
        """What dockd calls the port at which this camera is."""
        return "usb " + self.properties(serial)["DEVPATH"].rpartition("/")[2]

    def complaints(self) -> str:
        """What the guest's kernel says only when it is in trouble."""
        return self.machine.run(
            "journalctl -k -b --no-pager | grep -E 'BUG:|Oops|WARNING:|Call Trace|hung task|I/O error.*EXT4'"
        ).output


CONFINED = """
import os, sys
from pathlib import Path
from dockd.reader.child import confine
from dockd.usb import find_libraries, watcher_of
from vault.clock import SystemClock

find_libraries()
assert len(list(Path("/proc/self/task").iterdir())) == 1, "a thread from before the wall stands outside of it"
bus, address = map(int, sys.argv[1].split("/")[-2:])
confine({"place": "usb", "bus": "libusb", "key": [bus, None, address]})
for node in sys.argv[1:]:
    for way, flag in (("w", os.O_RDWR), ("r", os.O_RDONLY)):
        try:
            os.close(os.open(node, flag))
            print(node, way)
        except PermissionError:
            pass
watcher = watcher_of("libusb", SystemClock())
watcher.look()
print(*(device.volume_id for device in watcher.devices()))
"""
"""The reader of the first device that is named, behind its wall: which of all it can open, and what it sees on the bus."""

FIND = "grep -ls {serial} /sys/bus/usb/devices/*/serial | sed 's,/serial,,' | xargs -r readlink -f"


def until(condition: str, timeout_s: int = 20) -> str:
    """A line of bash that ends well once the condition holds, and badly after `timeout_s`."""
    return f"for i in $(seq {timeout_s * 20}); do {condition} && exit 0; sleep 0.05; done; exit 1"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def udev_sees_the_cameras(stage: Stage) -> str:
    """vhci-hcd attaches two; udev names them, gives them to the dock alone, and marks them for no desktop's photo importer."""
    stage.attach(FIRST, stage.cable.port)
    stage.attach(SECOND)
    for serial in (FIRST, SECOND):
        properties = stage.properties(serial)
        assert properties["ID_SERIAL_SHORT"] == serial, properties
        assert ":060101:" in properties["ID_USB_INTERFACES"], properties
        access = stage.machine.must(f"stat -c '%G %a' {properties['DEVNAME']}")
        assert access == "dock-reader 660", access
        marks = {"ID_GPHOTO2", "GPHOTO2_DRIVER", "ID_MTP_DEVICE", "ID_MEDIA_PLAYER"} & set(properties)
        assert not marks, f"udev marks {serial} with {sorted(marks)}"
        assert "uaccess" not in properties.get("CURRENT_TAGS", ""), properties
    return ", ".join(stage.bay(serial) for serial in (FIRST, SECOND))


def a_reader_opens_its_own_camera_alone(stage: Stage) -> str:
    """Its user may open both. Behind its wall it opens one, also for reading, and still sees who stands there."""
    own, other = (stage.properties(serial)["DEVNAME"] for serial in (FIRST, SECOND))
    unit = "systemd-run --quiet --wait --pipe -p DynamicUser=yes -p SupplementaryGroups=dock-reader --"
    said = stage.machine.must(f"{unit} /opt/dock-vault/bin/python -I -c {quote(CONFINED)} {own} {other} /dev/null /dev/zero")
    *opened, seen = said.splitlines()
    assert opened == [f"{own} w", f"{own} r", "/dev/null w", "/dev/null r"], said
    assert [name.rpartition("-")[2] for name in seen.split()] == [FIRST, SECOND], said
    return f"{own} and not {other}"


def users_of_readers(machine: Machine) -> list[str]:
    """Of each reader that lives, sorted."""
    units = "systemctl list-units --plain --no-legend 'dock-reader@*' | cut -d' ' -f1"
    said = machine.must(f'for unit in $({units}); do stat -c %u /proc/"$(systemctl show -P MainPID "$unit")"; done')
    return sorted(said.split())


def dockd_takes_in_over_usb(stage: Stage) -> str:
    """The service starts with two docked. One is torn out in mid-pull, and docked again; the other is not disturbed."""
    station, simulator = stage.station, stage.simulator
    bay = stage.bay(FIRST)
    station.start()
    assert stage.cable.held.wait(HELD_S), f"{FIRST} was not pulled: {station.bays()}"
    torn_in = station.wait_bay(lambda state: state["bay"] == bay)
    assert torn_in["phase"] == "pulling", torn_in
    users = users_of_readers(stage.machine)
    assert len(set(users)) == len(users) > 1, f"readers share a user: {users}"
    assert all(61184 <= int(user) <= 65519 for user in users), f"users that do not come and go: {users}"
    simulator.tell("unplug", FIRST)
    station.wait_bay(lambda state: state["bay"] == bay and state["phase"] == "taken too early")
    simulator.tell("plug", FIRST)
    stage.attach(FIRST)
    for serial in (SECOND, FIRST):
        station.wait_phase(serial, "safe to take", 90)
    for serial in (FIRST, SECOND):
        assert not stage.cameras[serial].left(), f"{serial} still has {sorted(stage.cameras[serial].left())}"
        simulator.tell("unplug", serial)
    return f"torn out at {torn_in['bytes_done']} of {torn_in['bytes_total']} bytes; readers were {', '.join(users)}"


def dockd_takes_in_from_qemu(stage: Stage) -> str:
    """A responder that nobody here wrote, without GetPartialObject64 and clock, and with handles that change: a DCIM camera."""
    root = stage.folder / "qemu-mtp"
    (root / "DCIM" / "100TEST").mkdir(parents=True)
    content = b"".join(stage.cameras[CARD].card.values())
    for number, size in enumerate((8 << 20, 3 * 512 + 500, 512), 1):
        (root / "DCIM" / "100TEST" / f"CLIP{number:04d}.MP4").write_bytes((content * 9)[number : number + size])
    (root / "DCIM" / "100TEST" / "NOTES.TXT").write_text("no footage: it stays where it is")
    stage.footage = {path: content for path, content in files_below(root).items() if path.endswith(".MP4")}
    stage.machine.plug("usb-mtp", "qemu-mtp", rootdir=str(root), readonly=False, serial=QEMU_SERIAL, bus="xhci.0")
    stage.station.wait_phase(QEMU_CAMERA, "safe to take", 120)
    assert set(files_below(root)) == {"DCIM/100TEST/NOTES.TXT"}, sorted(files_below(root))
    stage.machine.unplug("qemu-mtp")
    stage.machine.wait_unplugged("qemu-mtp")
    return f"{sum(map(len, stage.footage.values()))} bytes in {len(stage.footage)} files"


def dockd_takes_in_a_card(stage: Stage) -> str:
    """A vfat card in a reader: pulled out in mid-read without a crash, and taken in when it comes back."""
    machine, station = stage.machine, stage.station
    image = stage.folder / "card.img"
    vfat_card(stage.cameras[CARD].folder / "card", image, "CA3D0063", 64)
    before = machine.must("systemctl show -P MainPID dockd")
    throttle = {"x-bps-read": SLOW_BYTES_PER_S, "x-bps-read-max": SLOW_BYTES_PER_S}
    machine.qmp("object-add", **{"qom-type": "throttle-group", "id": "slow", **throttle})
    slow = {"driver": "throttle", "throttle-group": "slow", "node-name": "slow-card", "file": "card"}
    attach_file(machine, "card", image)
    machine.qmp("blockdev-add", **slow)
    insert_stick(machine, "slow-card")
    torn_in = station.wait_bay(lambda bay: bay["camera"] == CARD and bay["phase"] == "pulling" and bay["bytes_done"] > 0)
    pull_stick(machine, "slow-card", "card")
    station.wait_bay(lambda bay: bay["bay"] == torn_in["bay"] and bay["phase"] == "taken too early")
    machine.must(until("! grep -q ' /run/dock-vault/cards/' /proc/mounts"))
    attach_file(machine, "card", image)
    insert_stick(machine, "card")
    station.wait_phase(CARD, "safe to take", 90)
    mounts = machine.must("grep /run/dock-vault/ /proc/mounts")
    assert len(mounts.splitlines()) == 1, f"the card is still shown for its erase: {mounts}"
    assert " ro," in mounts, f"the card is mounted for writing: {mounts}"
    pull_stick(machine, "card")
    assert vfat_files(image) == ["DEVICE/device.json"], vfat_files(image)
    assert machine.must("systemctl show -P MainPID dockd") == before, "dockd was started anew"
    assert not stage.complaints(), stage.complaints()
    return f"pulled out at {torn_in['bytes_done']} of {torn_in['bytes_total']} bytes"


def a_stop_in_mid_pull_loses_nothing(stage: Stage) -> str:
    """`systemctl stop` and then `kill -9` of the reader while a card is read: nothing is lost, and it is taken in at the end."""
    machine, station = stage.machine, stage.station
    root = stage.folder / "stopped"
    (root / "DCIM" / "100TEST").mkdir(parents=True)
    content = b"".join(stage.cameras[CARD].card.values())
    stage.stopped = {f"CLIP{number:04d}.MP4": content[number:] + content for number in range(3)}
    for name, clip in stage.stopped.items():
        (root / "DCIM" / "100TEST" / name).write_bytes(clip)
    image = stage.folder / "stopped.img"
    vfat_card(root, image, "CA3D0066", 64)
    attach_file(machine, "stopped", image)
    slow = {"driver": "throttle", "throttle-group": "slow", "node-name": "slow-stopped", "file": "stopped"}
    machine.qmp("blockdev-add", **slow)
    insert_stick(machine, "slow-stopped")
    reading = station.wait_bay(in_mid_pull)
    began_s = stage.clock.monotonic_s()
    machine.must("systemctl stop dockd", 60)
    stopped_s = stage.clock.monotonic_s() - began_s
    assert machine.must("systemctl show -P Result dockd") == "success"
    machine.must(until("! systemctl list-units --no-legend 'dock-reader@*' | grep -q ."))
    assert sorted(vfat_files(image)) == sorted(f"DCIM/100TEST/{name}" for name in stage.stopped), vfat_files(image)
    station.start()
    station.wait_bay(in_mid_pull)
    before = machine.must("systemctl show -P MainPID dockd")
    machine.must("systemctl kill --signal=KILL 'dock-reader@*'")
    station.wait_phase(STOPPED_CAMERA, "safe to take", 120)
    assert machine.must("systemctl show -P MainPID dockd") == before, "dockd was started anew"
    pull_stick(machine, "slow-stopped", "stopped")
    assert vfat_files(image) == [], vfat_files(image)
    return f"stopped at {reading['bytes_done']} of {reading['bytes_total']} bytes within {stopped_s:.1f} s"


def another_card_in_the_same_reader(stage: Stage) -> str:
    """The medium alone is changed. The new card is read, and nothing of the old one's is ever written over it."""
    machine, station = stage.machine, stage.station
    station.start()
    images = [dcim_card(stage, serial, number) for number, serial in enumerate(SWAPPED)]
    for image in images:
        attach_file(machine, image.stem, image)
    insert_stick(machine, images[0].stem)
    bay = station.wait_phase(SWAPPED[0], "safe to take", 180)["bay"]
    change_medium(machine, images[1].stem)
    assert station.wait_phase(SWAPPED[1], "safe to take", 180)["bay"] == bay, "the bay has another name"
    assert vfat_files(images[1]) == [], vfat_files(images[1])
    # Before anybody has noticed, somebody asks for the erase.
    machine.must("udevadm control --stop-exec-queue")
    before = images[2].read_bytes()
    change_medium(machine, images[2].stem)
    refused = machine.must(f"echo {bay} | runuser -u dockd -- python3 -c '{ASK_THE_DOOR}'")
    assert "another card" in refused, refused
    machine.must("sync")
    assert images[2].read_bytes() == before, "the new card was written to"
    machine.must("udevadm control --start-exec-queue")
    station.wait_phase(SWAPPED[2], "safe to take", 180)
    machine.unplug("stick")
    machine.wait_unplugged("stick")
    for image in images:
        machine.qmp("blockdev-del", **{"node-name": image.stem})
    return f"{bay}: {refused}"


ASK_THE_DOOR = (
    'import socket, sys; door = socket.socket(socket.AF_UNIX); door.connect("/run/dock-vault/erase.sock"); '
    "door.sendall(sys.stdin.buffer.read()); print(door.recv(4096).decode())"
)
STICK_DRIVE = "/machine/peripheral/stick/stick.0/legacy[0]"


def dcim_card(stage: Stage, serial: str, number: int) -> Path:
    """The image of a DCIM card with one clip of its own."""
    root = stage.folder / f"swapped-{number}"
    (root / "DCIM" / "100TEST").mkdir(parents=True)
    clip = hashlib.sha256(serial.encode()).digest() * 4096
    (root / "DCIM" / "100TEST" / f"CLIP{number:04d}.MP4").write_bytes(clip)
    stage.swapped[serial] = clip
    image = stage.folder / f"swapped-{number}.img"
    vfat_card(root, image, serial.removeprefix("VOL-").replace("-", ""), 16)
    return image


def change_medium(machine: Machine, node: str) -> None:
    """Open the tray of the reader that stands there, take out what is in it, put another in."""
    machine.qmp("blockdev-open-tray", id=STICK_DRIVE, force=True)
    machine.qmp("blockdev-remove-medium", id=STICK_DRIVE)
    machine.qmp("blockdev-insert-medium", **{"id": STICK_DRIVE, "node-name": node})
    machine.qmp("blockdev-close-tray", id=STICK_DRIVE)


def a_full_disk_keeps_cameras_waiting(stage: Stage) -> str:
    """Fault C5. Intake stops with the camera untouched and says so; log, sweep and check go on; with room it is taken in."""
    machine, station = stage.machine, stage.station
    image = dcim_card(stage, WAITING, len(SWAPPED))
    before = image.read_bytes()
    free_bytes = int(machine.must("stat -f -c '%a %S' /var/lib/dock-vault | awk '{print $1 * $2}'"))
    machine.must(f"fallocate -l {free_bytes - RESERVE_BYTES} /var/lib/dock-vault/ballast")
    attach_file(machine, image.stem, image)
    insert_stick(machine, image.stem)
    full = station.wait_bay(lambda bay: bay["camera"] == WAITING and bay["phase"] == "vault full", 120)
    for unit in ("vault-checkpoint", "vault-sweep", "vault-verify"):
        machine.must(f"systemctl start {unit}", 120)
    machine.must("sync")
    assert image.read_bytes() == before, "the card was written to"
    machine.must("rm /var/lib/dock-vault/ballast")
    station.wait_phase(WAITING, "safe to take", 180)
    pull_stick(machine, image.stem)
    return str(full["message"])


RESERVE_BYTES = 1 << 20
"""What the guest's settings keep for the log and for viewing."""


def nobody_reaches_what_is_not_theirs(stage: Stage) -> str:
    """Ruling 13: what is stored the dock can read and not delete; a reader sees cards and no vault; the keys are root's."""
    machine = stage.machine
    machine.must(until("! find /var/lib/dock-vault/vault/footage -name record.json -user dockd | grep -q ."))
    stored = machine.must("find /var/lib/dock-vault/vault/footage -name record.json | head -n1").rpartition("/")[0]
    refusals = {
        "dockd": (
            f"rm {stored}/record.json",
            f"rm {stored}/0000.sealed",
            f"mv {stored} {stored}-away",
            f"sh -c 'echo >{stored}/0000.sealed'",
            f"touch {stored}/another",
            "sh -c 'echo >>/etc/dock-vault/keys/pins.json'",
            "cat /etc/dock-vault/keys/log.key",
        ),
        "nobody -G dock-reader": (
            f"cat {stored}/record.json",
            "ls /var/lib/dock-vault/vault",
            "cat /etc/dock-vault/keys/pins.json",
        ),
        "vault": ("sh -c 'echo >>/etc/dock-vault/keys/pins.json'", "cat /run/dock-vault/reader.sock"),
    }
    for user, commands in refusals.items():
        for command in commands:
            done = machine.run(f"runuser -u {user} -- {command}")
            assert done.code, f"{user} may {command}: {done.output}"
            assert "denied" in done.output or "not permitted" in done.output or "No such device" in done.output, done.output
    machine.must(f"runuser -u dockd -- cat {stored}/record.json >/dev/null")
    machine.must(f"runuser -u vault -- cat {stored}/record.json >/dev/null")
    return f"{sum(map(len, refusals.values()))} attempts refused"


def the_services_do_their_work(stage: Stage) -> str:
    """Sweep, signing and verifying by their units; the back office answers; the doctor looks; no unit complains."""
    machine = stage.machine
    for unit in ("vault-checkpoint", "vault-sweep", "vault-verify"):
        machine.must(f"systemctl start {unit}", 120)
        assert machine.must(f"systemctl show -P Result {unit}") == "success"
    machine.must("systemctl start vault-web dock-page dock-clock")
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/').status)"
    for port in (8480, 8470):
        machine.must(until(f'test "$(python3 -c "{ask.format(port=port)}" 2>/dev/null)" = 200', 60), 90)
    machine.must(until("test -S /run/vault-web/metrics.sock"))
    said = machine.run("vault doctor", 60)
    lines = said.output.splitlines()
    assert any(line.startswith("good  keyring:") for line in lines), said.output
    assert any(line.startswith("good  head of the log:") for line in lines), said.output
    machine.must("systemctl stop vault-web dock-page", 60)
    complaints = machine.run("journalctl -b --no-pager -o short-monotonic -p err -u 'vault-*' -u 'dock*'").output
    assert complaints in ("", "-- No entries --"), complaints
    return f"{len(lines)} lines of the doctor"


def no_plaintext_lies_anywhere(stage: Stage) -> str:
    """I5, on the raw disks: the footage that was taken in is in no block of the system's or the vault's, journal included."""
    stage.machine.must("journalctl --sync; sync")
    clips = [content for path, content in stage.cameras[FIRST].card.items() if path.endswith(".mp4")]
    clips += [*stage.cameras[CARD].card.values(), *stage.footage.values(), *stage.stopped.values()]
    markers = [marker for clip in clips if len(set(marker := clip[len(clip) // 2 :][:32])) > MARKED]
    assert len(markers) > 10, "hardly any footage could be known again"
    disks = [stage.folder / name for name in ("vault.img", "disk.qcow2")]
    assert found_on(disks[0], b"dock-vault/vault/1"), "the vault's disk does not show what lies on it"
    for disk in disks:
        for marker in markers:
            assert not found_on(disk, marker), f"plaintext lies on {disk.name}: {marker.hex()}"
    assert not stage.machine.must("swapon --show"), "the guest swaps"
    return f"{len(markers)} markers in {sum(disk.stat().st_size for disk in disks) >> 20} MiB"


def found_on(disk: Path, marker: bytes) -> bool:
    with disk.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
        return content.find(marker) >= 0


def in_mid_pull(bay: dict[str, Any]) -> bool:
    return bool(bay["camera"] == STOPPED_CAMERA and bay["phase"] == "pulling" and bay["bytes_done"] > 0)


def insert_stick(machine: Machine, node: str) -> None:
    machine.plug("usb-storage", "stick", drive=node, bus="xhci.0", removable=True)


def pull_stick(machine: Machine, *nodes: str) -> None:
    machine.unplug("stick")
    machine.wait_unplugged("stick")
    for node in nodes:
        machine.qmp("blockdev-del", **{"node-name": node})


def dockd_refuses_a_keyboard(stage: Stage) -> str:
    """A camera that would type is not opened: its own kernel driver has the keyboard, and dockd says what stands beside what."""
    root = stage.folder / "keyboard"
    (root / "DCIM").mkdir(parents=True)
    (root / "DCIM" / "EVIL0001.MP4").write_bytes(b"x" * 4096)
    hub = Hub(2)
    camera = UsbCamera.of_folder(root, "EVIL0065", SystemClock(), beside=((3, 1, 1),))
    try:
        port, bus_id = hub.serve(), hub.plug(camera)
        stage.attach("EVIL0065", port, bus_id)
        bay = stage.bay("EVIL0065")
        refused = stage.station.wait_bay(lambda state: state["bay"] == bay and "keyboard" in state["message"])
        assert camera.calls == [], f"it was asked {camera.calls}"
    finally:
        hub.close()
    return str(refused["message"])


def libmtp_reads_the_same(stage: Stage) -> str:
    """mtp-detect, mtp-files and mtp-getfile: every file by name and size, and one segment and its manifest byte for byte."""
    camera = stage.cameras[CARD]
    stage.machine.must("systemctl stop dockd", 60)
    stage.attach(CARD)
    detected = stage.machine.must("mtp-detect 2>&1")
    assert f"Serial number: {CARD}" in detected, detected
    listed = stage.machine.must("mtp-files 2>/dev/null")
    found = re.findall(r"File ID: (\d+)\s+Filename: (\S+)\s+File size (\d+)", listed)
    wanted = sorted((path.rpartition("/")[2], len(content)) for path, content in camera.card.items())
    assert sorted((name, int(size)) for _, name, size in found) == wanted, listed
    fetched = []
    for name, content in ((path.rpartition("/")[2], camera.card[path]) for path in pair_of(camera)):
        number = next(number for number, its_name, size in found if (its_name, int(size)) == (name, len(content)))
        digest = stage.machine.must(f"mtp-getfile {number} /tmp/{name} >/dev/null 2>&1; sha256sum </tmp/{name}", 120).split()[0]
        assert digest == sha256(content), f"{name} came over as {digest}"
        fetched.append(len(content))
    return f"{len(found)} files listed, {sum(fetched)} bytes fetched"


def gphoto2_reads_the_same(stage: Stage) -> str:
    """gphoto2 -l, -L and --get-file: every folder and file by name, and one segment and its manifest byte for byte."""
    camera = stage.cameras[CARD]
    said = stage.machine.must("cd /tmp && gphoto2 -l -L", 120)
    listed = set()
    folder = ""
    for line in said.splitlines():
        if heading := re.search(rf"in folder '{GPHOTO_STORE}/?([^']*)'", line):
            folder = heading[1].strip("/")
        elif entry := re.match(r"#\d+\s+(\S+)", line):
            listed.add(f"{folder}/{entry[1]}".lstrip("/"))
    assert listed == set(camera.card), f"{sorted(listed)} are listed: {said[-1500:]}"
    for recording in camera.segments():
        assert f"- {recording}" in said, said
    paths = pair_of(camera)
    names = [path.rpartition("/")[2] for path in paths]
    fetching = " ".join(f"--get-file {name}" for name in names)
    stage.machine.must(
        f"mkdir /tmp/gphoto && cd /tmp/gphoto && gphoto2 --folder {GPHOTO_STORE}/{paths[0].rpartition('/')[0]} {fetching}", 120
    )
    for name, path in zip(names, paths, strict=True):
        digest = stage.machine.must(f"sha256sum </tmp/gphoto/{name}").split()[0]
        assert digest == sha256(camera.card[path]), f"{path} came over as {digest}"
    return f"{len(listed)} files listed, {sum(len(camera.card[path]) for path in paths)} bytes fetched"


def pair_of(camera: Worn) -> tuple[str, str]:
    """The paths of a segment and of the manifest beside it."""
    segment = min(path for path in camera.card if path.endswith(".mp4"))
    return segment, segment.rpartition("/")[0] + "/recording.json"


def dockd_once_erases_what_is_held(stage: Stage) -> str:
    """The same camera as in the reader, its footage back on it: nothing is taken in twice, and it is erased."""
    place = stage.bay(CARD).replace(" ", ":")
    said = stage.machine.must(f"dockd once {place}", 120)
    assert not stage.cameras[CARD].left(), f"{sorted(stage.cameras[CARD].left())} is left: {said}"
    return place


def the_vault_holds_it_all(stage: Stage) -> str:
    """`vault verify` in the guest finds nothing; opened by two officials out here, every byte is the camera's."""
    said = stage.station.verify()
    assert said.startswith("All is well"), said
    held = stage.station.holdings()
    assert all(recording.state == "erased" for recording in held), [(recording.name, recording.state) for recording in held]
    for serial in (FIRST, SECOND, CARD):
        assert opened(held, serial) == stage.cameras[serial].segments(), f"{serial} is not held as it was recorded"
    clips = sorted(content for files in opened(held, QEMU_CAMERA).values() for content in files.values())
    assert clips == sorted(stage.footage.values()), "QEMU's files are not held as they were"
    clips = sorted(content for files in opened(held, STOPPED_CAMERA).values() for content in files.values())
    assert clips == sorted(stage.stopped.values()), "the card whose taking in was stopped is not held as it was"
    for serial, clip in stage.swapped.items():
        held_clips = [content for files in opened(held, serial).values() for content in files.values()]
        assert held_clips == [clip], f"{serial} is not held as it was"
    return said


def opened(held: list[Held], camera: str) -> dict[str, dict[str, bytes]]:
    """Recording to its segments in order, manifests left out."""
    return {
        recording.name: {
            name.replace(".sealed", ".mp4"): content for name, content in recording.files.items() if name != "manifest.sealed"
        }
        for recording in held
        if recording.camera == camera
    }


SCENARIOS: tuple[Callable[[Stage], str], ...] = (
    udev_sees_the_cameras,
    a_reader_opens_its_own_camera_alone,
    dockd_takes_in_over_usb,
    dockd_takes_in_from_qemu,
    dockd_takes_in_a_card,
    a_stop_in_mid_pull_loses_nothing,
    another_card_in_the_same_reader,
    a_full_disk_keeps_cameras_waiting,
    nobody_reaches_what_is_not_theirs,
    the_services_do_their_work,
    no_plaintext_lies_anywhere,
    dockd_refuses_a_keyboard,
    libmtp_reads_the_same,
    gphoto2_reads_the_same,
    dockd_once_erases_what_is_held,
    the_vault_holds_it_all,
)
"""From libmtp's on, dockd has been stopped: it leaves the camera to others."""
