"""What is tried in the machine, in order. Each scenario leaves the stage as the next one expects
it, or as it found it.
"""

import mmap
import re
from collections.abc import Callable
from pathlib import Path
from shlex import quote

from device_sim.clock import SystemClock
from device_sim.usb.hub import Hub
from device_sim.usb.usb import UsbCamera
from tests.campaigns.vm.card_reader import insert_stick
from tests.campaigns.vm.card_swaps import (
    a_damaged_card_says_so_at_its_bay,
    a_full_disk_keeps_cameras_waiting,
    another_card_in_the_same_reader,
)
from tests.campaigns.vm.deadly_port import a_port_that_kills_its_readers_is_closed
from tests.campaigns.vm.guest_station import Held, attach_file
from tests.campaigns.vm.journal import the_journal_is_clean
from tests.campaigns.vm.machine import Machine
from tests.campaigns.vm.simulator import Worn, files_below, vfat_card, vfat_files
from tests.campaigns.vm.stage import Stage, answers, sha256, until
from tests.campaigns.vm.stop_in_mid_pull import a_stop_in_mid_pull_loses_nothing
from tests.campaigns.vm.watchdog import (
    the_watchdog_ends_a_hang,
    the_watchdog_leaves_a_slow_camera_alone,
)

FIRST, SECOND, CARD = "BWC0061", "BWC0062", "BWC0063"
"""Two cameras on the USB, and one whose card is put into a reader."""

QEMU_SERIAL = "QEMU0064"
QEMU_CAMERA = f"USB-46f4-0004-{QEMU_SERIAL}"
"""What dockd calls QEMU's own MTP device: vendor, product and serial are all that it says of
itself.
"""

SLOW_BYTES_PER_S = 2_000_000
"""A card that is read in some seconds, so that it can be pulled out in the middle."""

GPHOTO_STORE = "/store_00010001"
"""What gphoto2 calls the camera's one storage."""

MARKED = 20
"""A stretch of 32 bytes with more different ones than this stands nowhere by chance."""

HELD_S = 60.0
"""How long the first half of a camera's footage may take."""

CONFINED = """
import os, sys
from pathlib import Path
from dockd.reader.worker import confine
from dockd.usb.bus import find_libraries, watcher_of
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
"""The reader of the first device that is named, behind its wall: which of all it can open, and what
it sees on the bus.
"""


def udev_sees_the_cameras(stage: Stage) -> str:
    """vhci-hcd attaches two; udev names them, gives them to the dock alone, and marks them for no
    desktop's photo importer.
    """
    stage.attach(FIRST, stage.cable.port)
    stage.attach(SECOND)
    for serial in (FIRST, SECOND):
        properties = stage.properties(serial)
        assert properties["ID_SERIAL_SHORT"] == serial, properties
        assert ":060101:" in properties["ID_USB_INTERFACES"], properties
        access = stage.machine.must(f"stat -c '%G %a' {properties['DEVNAME']}")
        assert access == "dock-reader 660", access
        marks = {"ID_GPHOTO2", "GPHOTO2_DRIVER", "ID_MTP_DEVICE", "ID_MEDIA_PLAYER"} & set(
            properties
        )
        assert not marks, f"udev marks {serial} with {sorted(marks)}"
        assert "uaccess" not in properties.get("CURRENT_TAGS", ""), properties
    return ", ".join(stage.bay(serial) for serial in (FIRST, SECOND))


def a_reader_opens_its_own_camera_alone(stage: Stage) -> str:
    """Its user may open both. Behind its wall it opens one, also for reading, and still sees who
    stands there.
    """
    own, other = (stage.properties(serial)["DEVNAME"] for serial in (FIRST, SECOND))
    unit = (
        "systemd-run --quiet --wait --pipe -p DynamicUser=yes -p SupplementaryGroups=dock-reader --"
    )
    said = stage.machine.must(
        f"{unit} /opt/dock-vault/bin/python -I -c {quote(CONFINED)} {own} {other} /dev/null "
        f"/dev/zero"
    )
    *opened, seen = said.splitlines()
    assert opened == [f"{own} w", f"{own} r", "/dev/null w", "/dev/null r"], said
    assert [name.rpartition("-")[2] for name in seen.split()] == [FIRST, SECOND], said
    return f"{own} and not {other}"


def users_of_readers(machine: Machine) -> list[str]:
    """Of each reader that lives, sorted."""
    units = "systemctl list-units --plain --no-legend 'dock-reader@*' | cut -d' ' -f1"
    said = machine.must(
        f'for unit in $({units}); do stat -c %u /proc/"$(systemctl show -P MainPID "$unit")"; done'
    )
    return sorted(said.split())


def dockd_takes_in_over_usb(stage: Stage) -> str:
    """The service starts with two docked. One is torn out in mid-pull, and docked again; the other
    is not disturbed.
    """
    station, simulator = stage.station, stage.simulator
    bay = stage.bay(FIRST)
    station.start()
    assert stage.cable.held.wait(HELD_S), f"{FIRST} was not pulled: {station.bays()}"
    torn_in = station.wait_bay(lambda state: state["bay"] == bay)
    assert torn_in["phase"] == "pulling", torn_in
    users = users_of_readers(stage.machine)
    assert len(set(users)) == len(users) > 1, f"readers share a user: {users}"
    assert all(61184 <= int(user) <= 65519 for user in users), (
        f"users that do not come and go: {users}"
    )
    simulator.tell("unplug", FIRST)
    station.wait_bay(lambda state: state["bay"] == bay and state["phase"] == "taken too early")
    simulator.tell("plug", FIRST)
    stage.attach(FIRST)
    for serial in (SECOND, FIRST):
        station.wait_phase(serial, "safe to take", 90)
    for serial in (FIRST, SECOND):
        assert not stage.cameras[serial].left(), (
            f"{serial} still has {sorted(stage.cameras[serial].left())}"
        )
        simulator.tell("unplug", serial)
    return (
        f"torn out at {torn_in['bytes_done']} of {torn_in['bytes_total']} bytes; readers were "
        f"{', '.join(users)}"
    )


def dockd_takes_in_from_qemu(stage: Stage) -> str:
    """A responder that nobody here wrote, without GetPartialObject64 and clock, and with handles
    that change: a DCIM camera.
    """
    root = stage.folder / "qemu-mtp"
    (root / "DCIM" / "100TEST").mkdir(parents=True)
    content = b"".join(stage.cameras[CARD].card.values())
    for number, size in enumerate((8 << 20, 3 * 512 + 500, 512), 1):
        (root / "DCIM" / "100TEST" / f"CLIP{number:04d}.MP4").write_bytes(
            (content * 9)[number : number + size]
        )
    (root / "DCIM" / "100TEST" / "NOTES.TXT").write_text("no footage: it stays where it is")
    stage.footage = {
        path: content for path, content in files_below(root).items() if path.endswith(".MP4")
    }
    stage.machine.plug(
        "usb-mtp", "qemu-mtp", rootdir=str(root), readonly=False, serial=QEMU_SERIAL, bus="xhci.0"
    )
    stage.station.wait_phase(QEMU_CAMERA, "safe to take", 120)
    assert set(files_below(root)) == {"DCIM/100TEST/NOTES.TXT"}, sorted(files_below(root))
    stage.machine.unplug("qemu-mtp")
    stage.machine.wait_unplugged("qemu-mtp")
    return f"{sum(map(len, stage.footage.values()))} bytes in {len(stage.footage)} files"


def dockd_takes_in_a_card(stage: Stage) -> str:
    """A vfat card in a reader: pulled out in mid-read without a crash, and taken in when it comes
    back.
    """
    machine, station = stage.machine, stage.station
    image = stage.folder / "card.img"
    vfat_card(stage.cameras[CARD].folder / "card", image, "CA3D0063", 64)
    before = machine.must("systemctl show -P MainPID dockd")
    throttle = {"x-bps-read": SLOW_BYTES_PER_S, "x-bps-read-max": SLOW_BYTES_PER_S}
    machine.qmp("object-add", **{"qom-type": "throttle-group", "id": "slow", **throttle})
    slow = {
        "driver": "throttle",
        "throttle-group": "slow",
        "node-name": "slow-card",
        "file": "card",
    }
    attach_file(machine, "card", image)
    machine.qmp("blockdev-add", **slow)
    insert_stick(machine, "slow-card")
    torn_in = station.wait_bay(
        lambda bay: bay["camera"] == CARD and bay["phase"] == "pulling" and bay["bytes_done"] > 0
    )
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


def nobody_reaches_what_is_not_theirs(stage: Stage) -> str:
    """Ruling 13: what is stored the dock can read and not delete; a reader sees cards and no vault;
    the keys are root's.
    """
    machine = stage.machine
    machine.must(
        until("! find /var/lib/dock-vault/vault/footage -name record.json -user dockd | grep -q .")
    )
    stored = machine.must(
        "find /var/lib/dock-vault/vault/footage -name record.json | head -n1"
    ).rpartition("/")[0]
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
            "cat /etc/dock-vault/vault.toml",
        ),
        "vault": (
            "sh -c 'echo >>/etc/dock-vault/keys/pins.json'",
            "cat /run/dock-vault/reader.sock",
        ),
    }
    for user, commands in refusals.items():
        for command in commands:
            done = machine.run(f"runuser -u {user} -- {command}")
            assert done.code, f"{user} may {command}: {done.output}"
            assert (
                "denied" in done.output
                or "not permitted" in done.output
                or "No such device" in done.output
            ), done.output
    machine.must(f"runuser -u dockd -- cat {stored}/record.json >/dev/null")
    machine.must(f"runuser -u vault -- cat {stored}/record.json >/dev/null")
    return f"{sum(map(len, refusals.values()))} attempts refused"


def the_services_do_their_work(stage: Stage) -> str:
    """Sweep, signing and verifying by their units; the back office answers; the doctor looks."""
    machine = stage.machine
    for unit in ("vault-checkpoint", "vault-sweep", "vault-verify"):
        machine.must(f"systemctl start {unit}", 120)
        assert machine.must(f"systemctl show -P Result {unit}") == "success"
    machine.must("systemctl start vault-web dock-page dock-clock")
    for port in (8480, 8470):
        machine.must(until(answers(port), 90), 120)
    machine.must(until("test -S /run/vault-web/metrics.sock"))
    said = machine.run("vault doctor", 240)
    lines = said.output.splitlines()
    assert any(line.startswith("good  keyring:") for line in lines), said.output
    assert any(line.startswith("good  head of the log:") for line in lines), said.output
    machine.must("systemctl stop vault-web dock-page", 60)
    return f"{len(lines)} lines of the doctor"


def no_plaintext_lies_anywhere(stage: Stage) -> str:
    """I5, on the raw disks: the footage that was taken in is in no block of the system's or the
    vault's, journal included.
    """
    stage.machine.must("journalctl --sync; sync")
    clips = [
        content for path, content in stage.cameras[FIRST].card.items() if path.endswith(".mp4")
    ]
    clips += [*stage.cameras[CARD].card.values(), *stage.footage.values()]
    clips += [clip for card in stage.clips.values() for clip in card.values()]
    markers = [marker for clip in clips if len(set(marker := clip[len(clip) // 2 :][:32])) > MARKED]
    assert len(markers) > 10, "hardly any footage could be known again"
    disks = [stage.folder / name for name in ("vault.img", "disk.qcow2")]
    assert found_on(disks[0], b"dock-vault/vault/1"), (
        "the vault's disk does not show what lies on it"
    )
    for disk in disks:
        for marker in markers:
            assert not found_on(disk, marker), f"plaintext lies on {disk.name}: {marker.hex()}"
    assert not stage.machine.must("swapon --show"), "the guest swaps"
    return f"{len(markers)} markers in {sum(disk.stat().st_size for disk in disks) >> 20} MiB"


def found_on(disk: Path, marker: bytes) -> bool:
    with disk.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
        return content.find(marker) >= 0


def pull_stick(machine: Machine, *nodes: str) -> None:
    machine.unplug("stick")
    machine.wait_unplugged("stick")
    for node in nodes:
        machine.qmp("blockdev-del", **{"node-name": node})


def dockd_refuses_a_keyboard(stage: Stage) -> str:
    """A camera that would type is not opened: its own kernel driver has the keyboard, and dockd
    says what stands beside what.
    """
    root = stage.folder / "keyboard"
    (root / "DCIM").mkdir(parents=True)
    (root / "DCIM" / "EVIL0001.MP4").write_bytes(b"x" * 4096)
    hub = Hub(2)
    camera = UsbCamera.of_folder(root, "EVIL0065", SystemClock(), beside=((3, 1, 1),))
    try:
        port, bus_id = hub.serve(), hub.plug(camera)
        stage.attach("EVIL0065", port, bus_id)
        bay = stage.bay("EVIL0065")
        refused = stage.station.wait_bay(
            lambda state: state["bay"] == bay and "keyboard" in state["message"]
        )
        assert camera.calls == [], f"it was asked {camera.calls}"
    finally:
        hub.close()
    return str(refused["message"])


def libmtp_reads_the_same(stage: Stage) -> str:
    """mtp-detect, mtp-files and mtp-getfile: every file by name and size, and one segment and its
    manifest byte for byte.
    """
    camera = stage.cameras[CARD]
    stage.machine.must("systemctl stop dockd", 60)
    stage.attach(CARD)
    detected = stage.machine.must("mtp-detect 2>&1")
    assert f"Serial number: {CARD}" in detected, detected
    listed = stage.machine.must("mtp-files 2>/dev/null")
    found = re.findall(r"File ID: (\d+)\s+Filename: (\S+)\s+File size (\d+)", listed)
    wanted = sorted(
        (path.rpartition("/")[2], len(content)) for path, content in camera.card.items()
    )
    assert sorted((name, int(size)) for _, name, size in found) == wanted, listed
    fetched = []
    for name, content in ((path.rpartition("/")[2], camera.card[path]) for path in pair_of(camera)):
        number = next(
            number
            for number, its_name, size in found
            if (its_name, int(size)) == (name, len(content))
        )
        digest = stage.machine.must(
            f"mtp-getfile {number} /tmp/{name} >/dev/null 2>&1; sha256sum </tmp/{name}", 120
        ).split()[0]
        assert digest == sha256(content), f"{name} came over as {digest}"
        fetched.append(len(content))
    return f"{len(found)} files listed, {sum(fetched)} bytes fetched"


def gphoto2_reads_the_same(stage: Stage) -> str:
    """gphoto2 -l, -L and --get-file: every folder and file by name, and one segment and its
    manifest byte for byte.
    """
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
        f"mkdir /tmp/gphoto && cd /tmp/gphoto && gphoto2 --folder "
        f"{GPHOTO_STORE}/{paths[0].rpartition('/')[0]} {fetching}",
        120,
    )
    for name, path in zip(names, paths, strict=True):
        digest = stage.machine.must(f"sha256sum </tmp/gphoto/{name}").split()[0]
        assert digest == sha256(camera.card[path]), f"{path} came over as {digest}"
    return (
        f"{len(listed)} files listed, {sum(len(camera.card[path]) for path in paths)} bytes fetched"
    )


def pair_of(camera: Worn) -> tuple[str, str]:
    """The paths of a segment and of the manifest beside it."""
    segment = min(path for path in camera.card if path.endswith(".mp4"))
    return segment, segment.rpartition("/")[0] + "/recording.json"


def dockd_once_erases_what_is_held(stage: Stage) -> str:
    """The same camera as in the reader, its footage back on it: nothing is taken in twice, and it
    is erased.
    """
    place = stage.bay(CARD).replace(" ", ":")
    said = stage.machine.must(f"dockd once {place}", 120)
    assert not stage.cameras[CARD].left(), f"{sorted(stage.cameras[CARD].left())} is left: {said}"
    return place


def the_vault_holds_it_all(stage: Stage) -> str:
    """`vault verify` in the guest finds nothing; opened by two officials out here, every byte is
    the camera's.
    """
    said = stage.station.verify()
    assert said.startswith("All is well"), said
    held = stage.station.holdings()
    assert all(recording.state == "erased" for recording in held), [
        (recording.name, recording.state) for recording in held
    ]
    for serial in (FIRST, SECOND, CARD):
        assert opened(held, serial) == stage.cameras[serial].segments(), (
            f"{serial} is not held as it was recorded"
        )
    clips = sorted(
        content for files in opened(held, QEMU_CAMERA).values() for content in files.values()
    )
    assert clips == sorted(stage.footage.values()), "QEMU's files are not held as they were"
    demand_clips(stage, held)
    return said


def every_clip_is_held(stage: Stage) -> str:
    """After the faults: `vault verify` finds nothing, and every card's clips open to their very
    bytes.
    """
    said = stage.station.verify()
    assert said.startswith("All is well"), said
    demand_clips(stage, stage.station.holdings())
    return said


def demand_clips(stage: Stage, held: list[Held]) -> None:
    for camera, wanted in stage.clips.items():
        clips = sorted(
            content for files in opened(held, camera).values() for content in files.values()
        )
        assert clips == sorted(wanted.values()), f"{camera} is not held as it was"


def dockd_serves(stage: Stage) -> str:
    """The service starts."""
    stage.station.start()
    return "ready"


def opened(held: list[Held], camera: str) -> dict[str, dict[str, bytes]]:
    """Recording to its segments in order, manifests left out."""
    return {
        recording.name: {
            name.replace(".sealed", ".mp4"): content
            for name, content in recording.files.items()
            if name != "manifest.sealed"
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
    a_damaged_card_says_so_at_its_bay,
    a_full_disk_keeps_cameras_waiting,
    nobody_reaches_what_is_not_theirs,
    the_services_do_their_work,
    no_plaintext_lies_anywhere,
    dockd_refuses_a_keyboard,
    libmtp_reads_the_same,
    gphoto2_reads_the_same,
    dockd_once_erases_what_is_held,
    the_journal_is_clean,
    the_vault_holds_it_all,
)
"""From libmtp's on, dockd has been stopped: it leaves the camera to others."""

FAULTS: tuple[Callable[[Stage], str], ...] = (
    dockd_serves,
    the_watchdog_leaves_a_slow_camera_alone,
    the_watchdog_ends_a_hang,
    a_port_that_kills_its_readers_is_closed,
    every_clip_is_held,
)
"""What takes minutes of waiting: a machine of its own (`make vm-faults`)."""
