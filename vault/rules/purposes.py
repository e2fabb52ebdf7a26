"""The purposes of a viewing: its seats, its conditions, its footage. `demand_viewing` is the
question. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from vault.errors import NotAllowed
from vault.rules.actions import Acting, Actor, acting_as, described, role_names
from vault.rules.case_kinds import CaseKind
from vault.rules.protocol import (
    ACCESS,
    ADMINISTRATOR,
    AGGRESSION,
    COMPLAINT,
    CONCERNED,
    IN_TWOS,
    LEARNING_CONFLICT,
    LEARNING_OWN,
    LEARNING_PAIR,
    PROSECUTION,
    Sentence,
)
from vault.rules.roles import Role, officer_receiver

# --- viewing --------------------------------------------------------------------------------------


class Purpose(StrEnum):
    """The closed list of reasons to view (P5, P7, P42). There is no other, and none for a
    performance interview (P51).
    """

    COMPLAINT = "complaint"
    ACCESS_REQUEST = "access_request"
    LEARNING = "learning"
    POLICE_REPORT = "police_report"
    DEMAND = "demand"


@dataclass(frozen=True, slots=True)
class Condition:
    """What both viewers confirm before a picture shows."""

    code: str
    nl: str
    en: str


LOCATION = Condition(
    "location", "Wij kijken op de gemeentelocatie.", "We view at the municipal location."
)
NOBODY_ELSE = Condition(
    "nobody_else", "Geen derde kan meekijken.", "No third party can watch along."
)
NO_COPIES = Condition(
    "no_copy",
    "Wij maken geen kopie van beeld, geluid of opname.",
    "We make no copy of picture, sound or recording.",
)
ON_IT = Condition(
    "on_it",
    "De betrokkene staat zelf op deze beelden.",
    "The person concerned is on these recordings.",
)
RIGHTS = Condition(
    "rights",
    "Rechten of vrijheden van anderen worden niet geschaad.",
    "No rights or freedoms of others are harmed.",
)
NOT_APPRAISAL = Condition(
    "not_appraisal",
    "Dit is niet voor het Paspoortgesprek.",
    "This is not for the performance interview (Paspoortgesprek).",
)


@dataclass(frozen=True, slots=True)
class PurposeRule:
    """Who views together for a purpose: one person of `first` with one of `second`; what it rests
    on; what both confirm.

    `case` None: it rests on an officer's own request (P50). `copy`: whether a hand-over may follow.
    """

    name_nl: str
    name_en: str
    first: tuple[Role, ...]
    second: tuple[Role, ...]
    case: CaseKind | None
    conditions: tuple[Condition, ...]
    copy: bool
    obligations: tuple[str, ...]
    sentence: Sentence

    @property
    def needs_approval(self) -> bool:
        """It rests on an officer's own wish, which the coordinator grants (P50)."""
        return self.case is None


PURPOSES: Mapping[Purpose, PurposeRule] = {
    Purpose.COMPLAINT: PurposeRule(
        "klachtafhandeling",
        "complaint",
        (Role.CLUSTER_MANAGER,),
        (Role.SECRETARY,),
        CaseKind.COMPLAINT,
        (LOCATION, NOBODY_ELSE, NO_COPIES),
        False,
        ("P37", "P46"),
        COMPLAINT,
    ),
    Purpose.ACCESS_REQUEST: PurposeRule(
        "verzoek tot inzage",
        "access request",
        (Role.PRIVACY_OFFICER,),
        (Role.CLUSTER_MANAGER, Role.COORDINATOR, Role.SECRETARY, Role.SAFETY_COORDINATOR),
        CaseKind.ACCESS_REQUEST,
        (LOCATION, ON_IT, RIGHTS, NO_COPIES),
        False,
        ("P47", "P48", "P49"),
        ACCESS,
    ),
    Purpose.LEARNING: PurposeRule(
        "leerervaring",
        "to learn from it",
        (Role.OFFICER,),
        (Role.COORDINATOR,),
        None,
        (LOCATION, NOBODY_ELSE, NO_COPIES, NOT_APPRAISAL),
        False,
        ("P50", "P51", "P52", "P53", "P54", "P55", "P56"),
        LEARNING_PAIR,
    ),
    Purpose.POLICE_REPORT: PurposeRule(
        "aangifte",
        "police report",
        (Role.PRIVACY_OFFICER, Role.CLUSTER_MANAGER),
        (Role.SAFETY_COORDINATOR,),
        CaseKind.POLICE_REPORT,
        (LOCATION, NOBODY_ELSE),
        True,
        ("P38", "P43"),
        AGGRESSION,
    ),
    Purpose.DEMAND: PurposeRule(
        "vordering",
        "demand of the prosecutor",
        (Role.PRIVACY_OFFICER,),
        (Role.CLUSTER_MANAGER,),
        CaseKind.DEMAND,
        (LOCATION, NOBODY_ELSE),
        True,
        ("P43", "P44"),
        PROSECUTION,
    ),
}


@dataclass(frozen=True, slots=True)
class Footage:
    """What viewing depends on: who recorded it, who is on it or was present, who else is concerned;
    who the coordinators are.

    All are persons' ids.
    """

    officer: str | None
    present: frozenset[str] = frozenset()
    concerned: frozenset[str] = frozenset()
    coordinators: frozenset[str] = frozenset()

    @property
    def coordinator_in_conflict(self) -> bool:
        """Every coordinator made it or was present (P54)."""
        return bool(self.coordinators) and self.coordinators <= self.involved

    @property
    def involved(self) -> frozenset[str]:
        """Everybody who may not judge it."""
        return (
            self.present
            | self.concerned
            | (frozenset({self.officer}) if self.officer else frozenset())
        )


def demand_viewing(
    purpose: Purpose, one: Actor, other: Actor, footage: Footage
) -> tuple[Acting, Acting]:
    """The two seats in which these persons view this recording for this purpose, the first seat
    first.

    Raises NotAllowed: one person twice (P40), a function the purpose does not name (P42), an
    officer who is not on it (P52), a person concerned (P54, Q14).
    """
    rule = PURPOSES[purpose]
    if one.person == other.person:
        raise NotAllowed(f"{one.name} can't take both seats. {IN_TWOS.quoted()}")
    for first, second in ((one, other), (other, one)):
        seats = _seats(purpose, rule, first, second, footage)
        if seats is not None:
            return seats
    raise _viewing_refusal(purpose, rule, one, other, footage)


def _seats(
    purpose: Purpose, rule: PurposeRule, first: Actor, second: Actor, footage: Footage
) -> tuple[Acting, Acting] | None:
    if purpose is Purpose.LEARNING:
        return _learning_seats(first, second, footage)
    if {first.person, second.person} & footage.involved:
        return None
    left = acting_as(first, rule.first, {})
    right = acting_as(
        second, tuple(role for role in rule.second if left is None or role is not left.role), {}
    )
    return (left, right) if left and right else None


def _learning_seats(
    officer: Actor, partner: Actor, footage: Footage
) -> tuple[Acting, Acting] | None:
    """The officer who recorded it or is on it, with the coordinator; with the cluster manager where
    a coordinator is in conflict.

    A coordinator who views their own recording to learn is the officer, and the cluster manager the
    partner.
    """
    if Role.OFFICER not in officer.roles or officer.person not in footage.present | {
        footage.officer
    }:
        return None
    if partner.person in footage.involved:
        return None
    substitutes = {Role.COORDINATOR: (Role.CLUSTER_MANAGER,)}
    acting = acting_as(partner, (Role.COORDINATOR,), substitutes)
    if acting is None and footage.coordinator_in_conflict and Role.CLUSTER_MANAGER in partner.roles:
        acting = Acting(partner.person, Role.CLUSTER_MANAGER)
    elif acting is not None and acting.acting_for is not None:
        acting = Acting(partner.person, Role.CLUSTER_MANAGER, acting.acting_for)
    return (Acting(officer.person, Role.OFFICER), acting) if acting else None


def _viewing_refusal(
    purpose: Purpose, rule: PurposeRule, one: Actor, other: Actor, footage: Footage
) -> NotAllowed:
    for actor in (one, other):
        if Role.ADMINISTRATOR in actor.roles:
            return NotAllowed(
                f"{actor.name} is technical administrator and sees nothing. "
                f"{ADMINISTRATOR.quoted()}"
            )
    if purpose is Purpose.LEARNING:
        return _learning_refusal(rule, one, other, footage)
    concerned = [actor for actor in (one, other) if actor.person in footage.involved]
    if concerned:
        return NotAllowed(
            f"{concerned[0].name} is concerned in this recording. {CONCERNED.quoted()}"
        )
    return NotAllowed(
        f"{described(one)} and {described(other)} may not view together for "
        f"{role_names(purpose)}. {rule.sentence.quoted()}"
    )


def _learning_refusal(rule: PurposeRule, one: Actor, other: Actor, footage: Footage) -> NotAllowed:
    officers = [actor for actor in (one, other) if Role.OFFICER in actor.roles]
    on_it = footage.present | {footage.officer}
    if officers and not {actor.person for actor in officers} & on_it:
        return NotAllowed(
            f"{officers[0].name} neither made this recording nor is on it. {LEARNING_OWN.quoted()}"
        )
    partners = [
        actor
        for actor in (one, other)
        if Role.COORDINATOR in actor.roles and actor.person in footage.involved
    ]
    if partners:
        return NotAllowed(
            f"{partners[0].name} made this recording or was present. {LEARNING_CONFLICT.quoted()}"
        )
    return NotAllowed(
        f"{described(one)} and {described(other)} may not view this together for "
        f"{role_names(Purpose.LEARNING)}. {rule.sentence.quoted()}"
    )


def receivers_of(seats: tuple[Acting, Acting]) -> tuple[str, str]:
    """The receivers whose halves the two seats join."""
    first, second = (
        officer_receiver(seat.person) if seat.role is Role.OFFICER else seat.role.value
        for seat in seats
    )
    return first, second
