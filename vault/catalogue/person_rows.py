"""Rows of persons: who is enrolled, which functions they hold, who is absent and
who replaces them.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from vault.catalogue.rows import all_rows
from vault.catalogue.tables import absence, holding, person, present


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person, for good: who left keeps the id and the name."""

    id: str
    name: str
    officer: str | None
    administrator: bool
    enrolled_utc: str
    left_utc: str | None


@dataclass(frozen=True, slots=True)
class HoldingRow:
    """A function held, or kept as standing substitute, from and until."""

    id: int
    person: str
    function: str
    standing: bool
    from_utc: str
    until_utc: str | None


@dataclass(frozen=True, slots=True)
class AbsenceRow:
    """A dated, named replacement (P41). Its reason is a paper."""

    id: str
    role: str
    absent: str
    substitute: str
    granted_by: str
    from_utc: str
    until_utc: str
    ended_utc: str | None


# --- persons --------------------------------------------------------------------------------------


def persons(tx: sa.Connection) -> list[PersonRow]:
    """Everybody who ever was enrolled, by name."""
    return all_rows(tx, PersonRow, sa.select(person).order_by(person.c.name))


def person_name(tx: sa.Connection, person_id: str) -> str:
    """A person's name; the id where nobody of it was ever enrolled."""
    found = tx.execute(
        sa.select(person.c.name).where(person.c.id == person_id)
    ).scalar_one_or_none()
    return str(found) if found is not None else person_id


def holdings(tx: sa.Connection, person_id: str | None = None) -> list[HoldingRow]:
    query = sa.select(holding).order_by(holding.c.id)
    return all_rows(
        tx, HoldingRow, query if person_id is None else query.where(holding.c.person == person_id)
    )


def absences_at(tx: sa.Connection, now_utc: str, substitute: str | None = None) -> list[AbsenceRow]:
    """The replacements in force at a moment."""
    query = sa.select(absence).where(
        absence.c.from_utc <= now_utc,
        absence.c.until_utc > now_utc,
        sa.or_(absence.c.ended_utc.is_(None), absence.c.ended_utc > now_utc),
    )
    if substitute is not None:
        query = query.where(absence.c.substitute == substitute)
    return all_rows(tx, AbsenceRow, query.order_by(absence.c.from_utc, absence.c.id))


def absences(tx: sa.Connection) -> list[AbsenceRow]:
    return all_rows(tx, AbsenceRow, sa.select(absence).order_by(absence.c.from_utc, absence.c.id))


def persons_present(tx: sa.Connection, recording_id: str) -> dict[str, str]:
    """Person to how: `present`, `on_it` or `concerned`."""
    query = sa.select(present.c.person, present.c.how).where(present.c.recording_id == recording_id)
    return {str(who): str(how) for who, how in tx.execute(query)}
