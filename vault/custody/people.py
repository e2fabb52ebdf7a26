"""Persons as actors: what somebody may act as at a moment, and the dated, named replacements (P41).

Functions are held by the keyring's signed word; a replacement is an entry of the log by one who may
grant it. Being a standing substitute keeps a key, and is no leave to act.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from vault.catalogue import person_rows
from vault.catalogue.person_rows import AbsenceRow, PersonRow
from vault.clock import utc_moment, utc_text
from vault.crypto.canonical_json import Json
from vault.custody.papers import file_paper, read_reason, reason_paper
from vault.errors import NotAllowed, Reaction, VaultError
from vault.keyring.keyring import Identity
from vault.log.log import Entry
from vault.rules.actions import Acting, Action, Actor, Replacement, demand, demand_any
from vault.rules.protocol import IN_TWOS
from vault.rules.roles import Role
from vault.vault import Vault


class BadAbsence(VaultError):
    """A replacement with dates or persons that can't be."""

    code = "people.bad_absence"
    reaction = Reaction.REFUSE
    hint = (
        "Give a start before the end, and a substitute who is another person than the absent one."
    )


@dataclass(frozen=True, slots=True)
class Signed:
    """A person who has proven who they are, and what they may act as now."""

    identity: Identity
    actor: Actor


def sign_in(vault: Vault, called: str, passphrase: str) -> Signed:
    """Prove a person by the passphrase that opens their keys. Both outcomes stand in the log.

    Raises UnknownPerson, WrongPassphrase, KeyringRefused, and NotAllowed for a person without any
    role.
    """
    return _proven(vault, called, lambda person: vault.keyring.identify(person, passphrase))


def sign_in_by_device(vault: Vault, called: str, credential: bytes, answer: bytes) -> Signed:
    """Prove a person by what their security key answered (`securitykeys.py` has checked that it is
    theirs, touched now).

    Raises as `sign_in`.
    """
    return _proven(
        vault, called, lambda person: vault.keyring.identify_by_device(person, credential, answer)
    )


def _proven(vault: Vault, called: str, identify: Callable[[str], Identity]) -> Signed:
    form = vault.keyring.person(called)
    try:
        identity = identify(form.person)
    except VaultError as error:
        vault.record(Entry("person.refused", form.person, None, {"sentence": error.sentence}))
        raise
    found = actor(vault, form.person)
    demand(Action.SIGN_IN, found)
    return Signed(identity, found)


def actor(vault: Vault, person: str, at: datetime | None = None) -> Actor:
    """A person with the roles held and the replacements in force at a moment (now)."""
    form = vault.keyring.person(person)
    moment = utc_text(at or vault.clock.now())
    with vault.reading() as tx:
        granted = person_rows.absences_at(tx, moment, form.person)
    replacements = tuple(Replacement(Role(row.role), row.absent, row.granted_by) for row in granted)
    return Actor(form.person, form.name, vault.keyring.roles_of(form.person), replacements)


def entry(acting: Acting, action: str, subject: str | None, details: Json) -> Entry:
    """An entry of the log by a person in a role: the actor is the person, the role stands with the
    details.
    """
    return Entry(
        action, acting.person, subject, {**details, "role": acting.role.value}, acting.acting_for
    )


def record_absence(
    vault: Vault,
    by: Actor,
    role: Role,
    absent: str,
    substitute: str,
    period: tuple[datetime, datetime],
    reason: str,
) -> str:
    """Put a replacement on record: who stands in for whom, in which role, from and until, and why;
    returns its id.

    A substitute takes no seat of theirs twice: whoever holds the role needs no record, and nobody
    grants it to themselves. Raises NotAllowed, BadAbsence, UnknownPerson.
    """
    acting = demand(Action.RECORD_ABSENCE, by)
    start, end = period
    away, stands_in = vault.keyring.person(absent), vault.keyring.person(substitute)
    if start >= end or away.person == stands_in.person:
        raise BadAbsence(
            f"A replacement of {away.name} by {stands_in.name} from {utc_text(start)} to "
            f"{utc_text(end)} can't be."
        )
    if role not in vault.keyring.roles_of(away.person) or role in (
        Role.OFFICER,
        Role.ADMINISTRATOR,
    ):
        raise BadAbsence(
            f"{away.name} does not hold {role.value}, so nobody stands in for them there."
        )
    if stands_in.administrator:
        raise BadAbsence(f"{stands_in.name} is technical administrator and stands in for nobody.")
    if stands_in.person == by.person:
        raise NotAllowed(
            f"{by.name} can't grant a replacement to themselves. {IN_TWOS.quoted()}",
            hint="Another official records it.",
        )
    absence_id = str(uuid.uuid4())
    details: Json = {
        "role": role.value,
        "absent": away.person,
        "substitute": stands_in.person,
        "granted_by": acting.person,
        "from_utc": utc_text(start),
        "until_utc": utc_text(end),
        **file_paper(vault, {"reason": reason}).details(),
    }
    vault.record(Entry("absence.recorded", acting.person, absence_id, details, acting.acting_for))
    return absence_id


def end_absence(vault: Vault, by: Actor, called: str) -> None:
    """The absent person is back before the date. `called`: the start of the replacement's id.

    Raises NotAllowed, BadAbsence.
    """
    acting = demand(Action.RECORD_ABSENCE, by)
    now = vault.now_utc()
    with vault.writing() as tx:
        rows = person_rows.absences(tx)
        found = [row for row in rows if called and row.id.startswith(called)]
        if (
            len(found) != 1
            or found[0].ended_utc is not None
            or utc_moment(found[0].until_utc) <= vault.clock.now()
        ):
            raise BadAbsence(
                f"No replacement {called} is in force or to come.",
                hint="`vault person absences` shows them.",
            )
        vault.record(entry(acting, "absence.ended", found[0].id, {"ended_utc": now}), tx)


# --- who is there ---------------------------------------------------------------------------------

READERS = (Action.RECORD_ABSENCE, Action.CHANGE_KEYRING)
"""Who may read the list of persons: whoever records a replacement, or changes the keyring."""


@dataclass(frozen=True, slots=True)
class EnrolledPerson:
    """Somebody who is or was enrolled. `keeps`: the functions whose key they keep as standing
    substitute.
    """

    row: PersonRow
    roles: frozenset[Role]
    keeps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Absence:
    """A replacement, and why; `reason` is None where its paper is gone."""

    row: AbsenceRow
    reason: str | None


def listed(vault: Vault, by: Actor) -> list[EnrolledPerson]:
    """Everybody who ever was enrolled, by name. Raises NotAllowed, KeyringRefused."""
    demand_any(READERS, by)
    with vault.reading() as tx:
        rows = person_rows.persons(tx)
    keyring = vault.keyring
    holders, standing = keyring.holders(), keyring.holders(standing=True)
    return [
        EnrolledPerson(
            row,
            keyring.roles_of(row.id) if row.left_utc is None else frozenset(),
            tuple(sorted(name for name in holders if row.id in standing[name] - holders[name])),
        )
        for row in rows
    ]


def absences(vault: Vault, by: Actor) -> list[Absence]:
    """Every replacement, past and to come, with its reason. Raises NotAllowed, StorageFailed."""
    demand_any(READERS, by)
    with vault.reading() as tx:
        rows = person_rows.absences(tx)
        papers = [reason_paper(tx, row.id, "absence.recorded") for row in rows]
    return [
        Absence(row, read_reason(vault, paper)) for row, paper in zip(rows, papers, strict=True)
    ]


def names(vault: Vault, by: Actor) -> dict[str, str]:
    """Every person's id and name, those who left too: for a list that `by` may read. Raises
    NotAllowed.
    """
    demand(Action.SIGN_IN, by)
    with vault.reading() as tx:
        return {row.id: row.name for row in person_rows.persons(tx)}


def is_absent(vault: Vault, role: Role) -> bool:
    """Whether everybody who holds a role is on record as replaced now."""
    with vault.reading() as tx:
        away = {
            row.absent
            for row in person_rows.absences_at(tx, vault.now_utc())
            if row.role == role.value
        }
    return vault.keyring.holders().get(role.value, frozenset()) <= away
