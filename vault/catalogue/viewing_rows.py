"""Rows of viewings and hand-overs."""

from dataclasses import dataclass

import sqlalchemy as sa

from vault.catalogue.rows import all_rows, one_row
from vault.catalogue.tables import hand_over, viewing, viewing_recording


@dataclass(frozen=True, slots=True)
class ViewingRow:
    """A viewing, from its request to its end."""

    id: str
    purpose: str
    case_id: str | None
    requested_by: str
    requested_utc: str
    approved_by: str | None
    refused_utc: str | None
    opened_utc: str | None
    first: str | None
    second: str | None
    ended_utc: str | None
    ended_because: str | None


@dataclass(frozen=True, slots=True)
class HandOverRow:
    """A package made for the police or the prosecutor, and its receipt."""

    id: str
    case_id: str
    by_person: str
    made_utc: str
    receiver: str
    sha256: str
    received_utc: str | None
    received_by: str | None


# --- viewings -------------------------------------------------------------------------------------


def viewing_of(tx: sa.Connection, viewing_id: str) -> ViewingRow | None:
    return one_row(tx, ViewingRow, sa.select(viewing).where(viewing.c.id == viewing_id))


def viewings(tx: sa.Connection) -> list[ViewingRow]:
    return all_rows(
        tx, ViewingRow, sa.select(viewing).order_by(viewing.c.requested_utc, viewing.c.id)
    )


def viewings_open(tx: sa.Connection, since_utc: str) -> int:
    """How many viewings were opened since then and are not ended."""
    query = sa.select(sa.func.count()).where(
        viewing.c.opened_utc > since_utc, viewing.c.ended_utc.is_(None)
    )
    count: int = tx.execute(query).scalar_one()
    return count


def viewings_starting(tx: sa.Connection, start: str) -> list[str]:
    query = sa.select(viewing.c.id).where(viewing.c.id.startswith(start, autoescape=True))
    return [str(found) for (found,) in tx.execute(query)]


def recordings_of_viewing(tx: sa.Connection, viewing_id: str) -> list[str]:
    query = sa.select(viewing_recording.c.recording_id).where(
        viewing_recording.c.viewing_id == viewing_id
    )
    return [str(found) for (found,) in tx.execute(query.order_by(viewing_recording.c.recording_id))]


def viewings_of_recording(tx: sa.Connection, recording_id: str) -> list[ViewingRow]:
    query = sa.select(viewing).join(
        viewing_recording, viewing_recording.c.viewing_id == viewing.c.id
    )
    return all_rows(
        tx,
        ViewingRow,
        query.where(viewing_recording.c.recording_id == recording_id).order_by(
            viewing.c.requested_utc
        ),
    )


# --- hand-over ------------------------------------------------------------------------------------


def hand_overs(tx: sa.Connection) -> list[HandOverRow]:
    return all_rows(
        tx, HandOverRow, sa.select(hand_over).order_by(hand_over.c.made_utc, hand_over.c.id)
    )


def hand_over_of(tx: sa.Connection, hand_over_id: str) -> HandOverRow | None:
    return one_row(tx, HandOverRow, sa.select(hand_over).where(hand_over.c.id == hand_over_id))
