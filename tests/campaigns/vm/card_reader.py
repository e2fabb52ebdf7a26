"""A card reader at one port of the guest's USB, into which cards are put: vfat images over QEMU's
usb-storage.
"""

from pathlib import Path

from tests.campaigns.vm.guest_station import attach_file
from tests.campaigns.vm.machine import Machine
from tests.campaigns.vm.simulator import vfat_card

HUB = "xhci.0"


def insert_stick(machine: Machine, node: str) -> None:
    """Put one into any free port: the device `stick`."""
    machine.plug("usb-storage", "stick", drive=node, bus=HUB, removable=True)


class Stick:
    """One port. The port's number names the bay: the same port is the same bay, whichever card
    stands in it.
    """

    def __init__(self, machine: Machine, port: int) -> None:
        self._machine = machine
        self._port = port
        self._inserted = 0
        self._nodes: list[str] = []
        self._limit = ""

    def insert(self, image: Path, bytes_per_s: int | None = None) -> None:
        """Put a card in; it is read no faster than `bytes_per_s`."""
        self._inserted += 1
        node = f"card-{self._port}-{image.stem}-{self._inserted}"
        attach_file(self._machine, node, image)
        self._nodes = [node]
        if bytes_per_s is not None:
            self._limit = f"limit-{node}"
            limits = {"bps-read": bytes_per_s, "bps-read-max": bytes_per_s}
            self._machine.qmp(
                "object-add", **{"qom-type": "throttle-group", "id": self._limit, "limits": limits}
            )
            slow = {
                "driver": "throttle",
                "throttle-group": self._limit,
                "node-name": f"slow-{node}"[:31],
                "file": node,
            }
            self._machine.qmp("blockdev-add", **slow)
            self._nodes.insert(0, slow["node-name"])
        self._machine.plug(
            "usb-storage",
            self._name,
            drive=self._nodes[0],
            bus=HUB,
            port=str(self._port),
            removable=True,
        )

    def hurry(self) -> None:
        """The card that stands in it is read as fast as it goes from now on."""
        unlimited = {"bps-read": 0, "bps-read-max": 0}
        self._machine.qmp(
            "qom-set", path=f"/objects/{self._limit}", property="limits", value=unlimited
        )

    def pull(self) -> None:
        """Take the card out, whatever is done with it; its image is this machine's again when this
        returns.
        """
        self._machine.unplug(self._name)
        self._machine.wait_unplugged(self._name)
        for node in self._nodes:
            self._machine.qmp("blockdev-del", **{"node-name": node})
        if self._limit:
            self._machine.qmp("object-del", id=self._limit)
        self._nodes, self._limit = [], ""

    @property
    def _name(self) -> str:
        return f"stick-{self._port}"


def dcim_card(folder: Path, camera: str, clips: dict[str, bytes], size_mib: int = 16) -> Path:
    """The image of a card of a camera that knows no manifest and is called by its card's volume
    (`VOL-CA3D-0066`).
    """
    volume_id = camera.removeprefix("VOL-").replace("-", "")
    place = folder / volume_id / "DCIM" / "100TEST"
    place.mkdir(parents=True)
    for name, clip in clips.items():
        (place / name).write_bytes(clip)
    image = folder / f"{volume_id}.img"
    vfat_card(folder / volume_id, image, volume_id, size_mib)
    return image
