"""The cameras that the coordinator registered (P25): nobody else's are read."""

import re
from collections.abc import Mapping

import sqlalchemy as sa

from vault.catalogue import camera_rows
from vault.catalogue.camera_rows import CameraRow
from vault.clock import Clock, utc_moment, utc_text
from vault.crypto.canonical_json import from_base64, to_base64
from vault.errors import CameraExists, UnknownCamera
from vault.log.log import Entry, Log
from vault.recording import Camera, CameraKind

IDENTIFIERS: Mapping[CameraKind, re.Pattern[str]] = {
    CameraKind.MANIFEST: re.compile(r"[A-Z0-9]{3,16}"),
    CameraKind.DCIM: re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{2,63}"),
}
"""The form of the identifier that a camera of each kind is registered by."""
_KEY_BYTES = 32


def camera_of(row: CameraRow) -> Camera:
    return Camera(
        row.serial, CameraKind(row.kind), row.public_key, row.model, utc_moment(row.added_utc)
    )


def register(
    tx: sa.Connection, log: Log, clock: Clock, camera_text: tuple[str, str, str], actor: str
) -> Camera:
    """Register a camera: `(serial, public key in base64, model)`; an empty key registers a DCIM
    camera.

    The log's entry holds all of it, so that a rebuild finds it again. Raises CameraExists,
    UnknownCamera for bad values.
    """
    serial, key_text, model = camera_text
    kind = CameraKind.MANIFEST if key_text else CameraKind.DCIM
    if not IDENTIFIERS[kind].fullmatch(serial):
        raise UnknownCamera(
            f"{serial!r} is no camera's serial.",
            hint="Type it as the camera shows it: 3 to 16 capitals and digits.",
        )
    public_key = _public_key(key_text)
    if camera_rows.standing_camera(tx, serial):
        raise CameraExists(f"The camera {serial} is registered already.")
    added = clock.now()
    details = {
        "kind": kind.value,
        "public_key": to_base64(public_key),
        "model": model,
        "added_utc": utc_text(added),
    }
    camera_rows.add_camera(tx, camera_values(serial, details))
    log.append(tx, Entry("camera.added", actor, serial, details))
    return Camera(serial, kind, public_key, model, added)


def camera_values(serial: str, details: dict[str, str]) -> dict[str, object]:
    """The row that a `camera.added` entry stands for."""
    return {
        "serial": serial,
        "kind": details["kind"],
        "public_key": from_base64(details["public_key"]),
        "model": details["model"],
        "added_utc": details["added_utc"],
    }


def remove(tx: sa.Connection, log: Log, clock: Clock, serial: str, actor: str) -> None:
    """End a registration; the camera's recordings stay. Raises UnknownCamera."""
    removed_utc = utc_text(clock.now())
    if not camera_rows.end_camera(tx, serial, removed_utc):
        raise UnknownCamera(
            f"No camera {serial} is registered.",
            hint="`vault camera list` shows the registered ones.",
        )
    log.append(tx, Entry("camera.removed", actor, serial, {"removed_utc": removed_utc}))


def _public_key(key_text: str) -> bytes:
    if not key_text:
        return b""
    try:
        public_key = from_base64(key_text)
    except ValueError:
        public_key = b""
    if len(public_key) != _KEY_BYTES:
        raise UnknownCamera(
            "The public key is not 32 bytes in base64.",
            hint="`device.json` on the camera's card shows it.",
        )
    return public_key
