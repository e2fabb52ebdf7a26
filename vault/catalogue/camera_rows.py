"""Rows of registered cameras and their dockings."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from vault.catalogue.tables import camera, docking


@dataclass(frozen=True, slots=True)
class CameraRow:
    """A registration of a camera; `removed_utc` ends it."""

    id: int
    serial: str
    kind: str
    public_key: bytes
    model: str
    added_utc: str
    removed_utc: str | None


def add_camera(tx: sa.Connection, values: dict[str, Any]) -> None:
    tx.execute(sa.insert(camera).values(**values))


def end_camera(tx: sa.Connection, serial: str, removed_utc: str) -> int:
    """End the registration that stands; returns how many did (0 or 1)."""
    ended = tx.execute(
        sa.update(camera)
        .where(camera.c.serial == serial, camera.c.removed_utc.is_(None))
        .values(removed_utc=removed_utc)
    )
    return ended.rowcount


def standing_camera(tx: sa.Connection, serial: str) -> CameraRow | None:
    """The registration of a camera that was not removed."""
    row = tx.execute(
        sa.select(camera).where(camera.c.serial == serial, camera.c.removed_utc.is_(None))
    ).one_or_none()
    return CameraRow(**row._mapping) if row else None


def all_cameras(tx: sa.Connection) -> list[CameraRow]:
    return [
        CameraRow(**row._mapping) for row in tx.execute(sa.select(camera).order_by(camera.c.id))
    ]


def add_docking(tx: sa.Connection, values: dict[str, Any]) -> None:
    tx.execute(sa.insert(docking).values(**values))


def last_docking_utc(tx: sa.Connection, serial: str, before_utc: str) -> str | None:
    """When this camera was docked last, before the given moment."""
    found: str | None = tx.execute(
        sa.select(sa.func.max(docking.c.docked_utc)).where(
            docking.c.camera_serial == serial, docking.c.docked_utc < before_utc
        )
    ).scalar_one_or_none()
    return found
