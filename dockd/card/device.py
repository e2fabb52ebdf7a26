"""`DEVICE/device.json`: what a camera that signs manifests says of itself."""

from collections.abc import Sequence

from dockd.card.contract import Card, CardFile, CardTrouble, read_whole
from dockd.card.description import CameraDescription
from dockd.card.document import (
    DEVICE_MAX_BYTES,
    DeviceDocument,
    ManifestRefusedError,
    device_document,
)
from dockd.card.left_out import LeftOut
from dockd.card.names import ascii_upper_path

_PATH = ("DEVICE", "DEVICE.JSON")


def read_device(card: Card, files: Sequence[CardFile]) -> CameraDescription | None:
    """Read what the camera says of itself; None for a card without `DEVICE/device.json`.

    Raises ManifestRefusedError for any other content than the contract's, and the card's own errors.
    """
    documents = [file for file in files if ascii_upper_path(file.path) == _PATH]
    if not documents:
        return None
    if len(documents) > 1:
        raise ManifestRefusedError(
            "manifest.twins",
            "There are several device.json on the card, by the case of their names.",
        )
    if documents[0].size_bytes > DEVICE_MAX_BYTES:
        raise ManifestRefusedError(
            "manifest.too_large", f"device.json is larger than {DEVICE_MAX_BYTES} bytes."
        )
    return _description(device_document(read_whole(card, documents[0])))


def device_trouble(card: Card) -> CardTrouble | None:
    """Find what the listing left out at or above `DEVICE/device.json`.

    A card that shows no such file may have one then.
    """
    return LeftOut(card.trouble).at(_PATH)


def _description(document: DeviceDocument) -> CameraDescription:
    return CameraDescription(
        serial=document.serial,
        model=document.model,
        firmware=document.firmware,
        public_key=document.public_key,
        battery_percent=document.battery_percent,
        storage_bytes=document.storage_bytes,
        free_bytes=document.free_bytes,
        clock_utc=document.clock_utc,
    )
