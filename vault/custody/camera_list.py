"""The cameras as the coordinator looks after them: who has which, its last docking, its clock, what
was said of it (P25).
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from vault.catalogue import camera_rows, recording_rows, report_rows
from vault.catalogue.camera_rows import CameraRow
from vault.catalogue.tables import docking
from vault.clock import utc_moment
from vault.crypto.canonical_json import parse_object
from vault.custody import cameras
from vault.errors import VaultError
from vault.log.log import newest_leaves
from vault.recording import Camera
from vault.rules.actions import Action, Actor, demand
from vault.storage.record import parse_record
from vault.storage.store import FolderName
from vault.vault import Vault

OVERDUE = timedelta(hours=36)
"""A camera that is with somebody and was not docked for so long is overdue: two shifts."""
REMARKS_AMONG = 5000
"""How many of the log's newest entries are looked through for what the dock said of cameras."""


@dataclass(frozen=True, slots=True)
class Remark:
    """What the dock said of a camera: a refusal, an alarm, a gap in its chain."""

    time_utc: str
    action: str
    sentence: str


@dataclass(frozen=True, slots=True)
class ListedCamera:
    """One registered camera. `offset_ms`: camera minus dock at its last docking.

    `overdue`: it is with somebody, and was not docked for long.
    """

    camera: CameraRow
    carrier: str | None
    docked_utc: str | None
    offset_ms: int | None
    firmware: str | None
    overdue: bool
    remarks: tuple[Remark, ...]
    """The newest first, ten at most."""


def fingerprint(public_key: bytes) -> str:
    """A camera key's digest in groups that two people can read to each other; empty where there is
    no key.
    """
    digest = hashlib.sha256(public_key).hexdigest()[:32]
    return " ".join(digest[at : at + 4] for at in range(0, 32, 4)) if public_key else ""


def add_camera(vault: Vault, by: Actor, serial: str, public_key: str, model: str) -> Camera:
    """Register a camera. `public_key` in base64; empty for one that signs nothing.

    Raises NotAllowed, CameraExists, UnknownCamera.
    """
    acting = demand(Action.ADD_CAMERA, by)
    with vault.writing() as tx:
        return cameras.register(
            tx, vault.log, vault.clock, (serial, public_key, model), acting.person
        )


def remove_camera(vault: Vault, by: Actor, serial: str) -> None:
    """End a registration; the camera's recordings stay. Raises NotAllowed, UnknownCamera."""
    acting = demand(Action.REMOVE_CAMERA, by)
    with vault.writing() as tx:
        cameras.remove(tx, vault.log, vault.clock, serial, acting.person)


def listed(vault: Vault, by: Actor) -> list[ListedCamera]:
    """Every registered camera. Raises NotAllowed."""
    demand(Action.ADD_CAMERA, by)
    with vault.reading() as tx:
        rows = [row for row in camera_rows.all_cameras(tx) if row.removed_utc is None]
        docked = {row.serial: _last_docking(tx, row.serial) for row in rows}
        carried = _carried(tx)
        newest = {row.serial: recording_rows.newest_counter(tx, row.serial) for row in rows}
        remarks = _remarks(tx)
    found = []
    for row in rows:
        last, offset_ms = docked[row.serial]
        carrier = carried.get(row.serial)
        recorded = newest[row.serial]
        firmware = (
            _firmware(vault, recorded.folder)
            if recorded is not None and recorded.destroyed_utc is None
            else None
        )
        said = tuple(remarks.get(row.serial, ())[:10])
        overdue = _overdue(vault, carrier, last)
        found.append(
            ListedCamera(
                row, carrier.person if carrier else None, last, offset_ms, firmware, overdue, said
            )
        )
    return found


def registrations(vault: Vault, by: Actor) -> list[CameraRow]:
    """Every registration there ever was, the ended ones too. Raises NotAllowed."""
    demand(Action.ADD_CAMERA, by)
    with vault.reading() as tx:
        return camera_rows.all_cameras(tx)


def overdue_count(vault: Vault) -> int:
    """How many cameras are overdue: a figure, for the metrics."""
    with vault.reading() as tx:
        carried = {
            serial: (carrier, _last_docking(tx, serial)[0])
            for serial, carrier in _carried(tx).items()
        }
    return sum(_overdue(vault, carrier, last) for carrier, last in carried.values())


def _carried(tx: sa.Connection) -> dict[str, report_rows.AssignmentRow]:
    """Who has which camera now, by its serial."""
    return {one.camera_serial: one for one in report_rows.assignments(tx) if one.until_utc is None}


def _overdue(
    vault: Vault, carrier: report_rows.AssignmentRow | None, docked_utc: str | None
) -> bool:
    if carrier is None:
        return False
    return (
        vault.clock.now() - utc_moment(max(filter(None, (docked_utc, carrier.from_utc)))) > OVERDUE
    )


def _last_docking(tx: sa.Connection, serial: str) -> tuple[str | None, int | None]:
    query = (
        sa.select(docking.c.docked_utc, docking.c.offset_ms)
        .where(docking.c.camera_serial == serial)
        .order_by(docking.c.id.desc())
        .limit(1)
    )
    row = tx.execute(query).first()
    return (row.docked_utc, row.offset_ms) if row is not None else (None, None)


def _remarks(tx: sa.Connection) -> dict[str, list[Remark]]:
    found: dict[str, list[Remark]] = {}
    for leaf in newest_leaves(tx, REMARKS_AMONG):
        if b'"camera.' not in leaf:
            continue
        told = parse_object(leaf)
        if str(told["action"]).startswith("camera.") and "sentence" in told["details"]:
            remark = Remark(told["time_utc"], told["action"], told["details"]["sentence"])
            found.setdefault(str(told["subject"]), []).append(remark)
    return found


def _firmware(vault: Vault, folder: str) -> str | None:
    """The firmware that the camera stated with its newest recording; None where its record can't be
    read.
    """
    try:
        content = vault.store.read_record(FolderName(folder))
        return parse_record(content).claim.firmware
    except VaultError:
        return None
