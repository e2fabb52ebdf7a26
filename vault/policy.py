"""The protocol as data, and the only place that decides who may do what. Pure.

Every rule stands here once, beside the protocol's own sentence (Dutch, with its lines, as in `obligations.md`) and its English
reading. `demand`, `demand_second` and `demand_viewing` are the questions; their refusal, NotAllowed, quotes the sentence. Where
the protocol is silent a rule names the default it follows (Q1 to Q14) instead of lines.

A *function* is one of the five that the protocol gives access to recordings; a *role* is a function, or one of the parts that
never manage recordings: the wearer, the dock, the technical administrator.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from vault.errors import NotAllowed
from vault.protocol import (
    ACCESS,
    ACCESS_HOLD,
    ADMINISTRATOR,
    AGGRESSION,
    ASSESSED,
    BACK_OFFICE,
    CAMERAS_ONLY,
    COMPLAINT,
    COMPLAINT_HOLD,
    CONCERNED,
    IN_TWOS,
    LEARNING_CONFLICT,
    LEARNING_OWN,
    LEARNING_PAIR,
    LEARNING_REQUEST,
    LOG_READERS,
    MANAGE,
    PROSECUTION,
    PROSECUTION_HOLD,
    PROVIDE,
    REPLACEMENT,
    REPORT,
    RETENTION,
    SECOND_DELETES,
    Sentence,
)


class Function(StrEnum):
    """The five functions that the protocol gives access to recordings (P36)."""

    COORDINATOR = "BC"
    CLUSTER_MANAGER = "CM"
    PRIVACY_OFFICER = "PO"
    SECRETARY = "GS"
    SAFETY_COORDINATOR = "VC"


FUNCTION_NAMES_NL = {
    Function.COORDINATOR: "boa-coördinator",
    Function.CLUSTER_MANAGER: "clustermanager Veiligheid en Handhaving",
    Function.PRIVACY_OFFICER: "privacy officer",
    Function.SECRETARY: "gemeentesecretaris",
    Function.SAFETY_COORDINATOR: "veiligheidscoördinator",
}

ESCROW_HOLDERS = ("ESCROW-A", "ESCROW-B")
"""The organisation's escrow: two halves, kept on paper or token in two places, that open only together."""


class Role(StrEnum):
    """Every part that a person can play. The values of the five functions are those of `Function`."""

    OFFICER = "MW"
    COORDINATOR = "BC"
    CLUSTER_MANAGER = "CM"
    PRIVACY_OFFICER = "PO"
    SECRETARY = "GS"
    SAFETY_COORDINATOR = "VC"
    ADMINISTRATOR = "TB"


ROLE_NAMES_NL = {
    Role.OFFICER: "medewerker (boa of toezichthouder)",
    Role.ADMINISTRATOR: "technisch beheerder",
    **{Role(function.value): name for function, name in FUNCTION_NAMES_NL.items()},
}

STANDING_SUBSTITUTES = {
    Function.PRIVACY_OFFICER: Function.CLUSTER_MANAGER,
    Function.CLUSTER_MANAGER: Function.PRIVACY_OFFICER,
    Function.COORDINATOR: Function.SAFETY_COORDINATOR,
    Function.SAFETY_COORDINATOR: Function.COORDINATOR,
    Function.SECRETARY: Function.SAFETY_COORDINATOR,
}
"""Whose holder also keeps the key of a function, split, so that no key has a sole holder. Custody of a key, not leave to act: for
that an absence and a named replacement must be on record (P41). Chosen so that every pair of the protocol still opens."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two receivers who together open a recording, and the obligations that say so."""

    receivers: tuple[str, str]
    obligations: tuple[str, ...]

    @property
    def name(self) -> str:
        """The receivers in alphabetical order, joined by `+`, as the wrapped keys are bound to it."""
        return "+".join(sorted(self.receivers))


PAIRS = (
    Pair((Function.CLUSTER_MANAGER, Function.SECRETARY), ("P46",)),
    Pair((Function.PRIVACY_OFFICER, Function.COORDINATOR), ("P48",)),
    Pair((Function.PRIVACY_OFFICER, Function.CLUSTER_MANAGER), ("P35", "P44", "P48")),
    Pair((Function.PRIVACY_OFFICER, Function.SECRETARY), ("P48",)),
    Pair((Function.PRIVACY_OFFICER, Function.SAFETY_COORDINATOR), ("P38", "P48")),
    Pair((Function.CLUSTER_MANAGER, Function.SAFETY_COORDINATOR), ("P38", "P44")),
    Pair((ESCROW_HOLDERS[0], ESCROW_HOLDERS[1]), ()),
)
"""The pairs that every recording is sealed for when it is taken in; `officer_pairs` adds those of the officer who recorded."""

OFFICER_PREFIX = "MW-"


def officer_receiver(person: str) -> str:
    """The receiver's name of an officer's own key: `MW-` and the person's id."""
    return OFFICER_PREFIX + person


def officer_pairs(person: str, holders: Mapping[str, frozenset[str]]) -> tuple[Pair, ...]:
    """The pairs of the officer who recorded (P53, P54). `holders`: function to the persons that hold it.

    No pair whose two seats are one person's: a coordinator's own footage is sealed for the officer with the cluster manager only.
    """
    partners = (Function.COORDINATOR, Function.CLUSTER_MANAGER)
    obligations = {Function.COORDINATOR: ("P53",), Function.CLUSTER_MANAGER: ("P54",)}
    return tuple(
        Pair((officer_receiver(person), partner), obligations[partner])
        for partner in partners
        if person not in holders.get(partner, frozenset())
    )


def pair_of(first: str, second: str) -> Pair | None:
    """The pair of these two receivers, or None where the protocol names none (P40, P42)."""
    for pair in PAIRS:
        if {first, second} == set(pair.receivers):
            return pair
    officers = [name for name in (first, second) if name.startswith(OFFICER_PREFIX)]
    partners = [name for name in (first, second) if name in (Function.COORDINATOR, Function.CLUSTER_MANAGER)]
    if len(officers) == len(partners) == 1:
        return Pair((officers[0], partners[0]), ("P53",) if partners[0] == Function.COORDINATOR else ("P54",))
    return None


# --- actions ------------------------------------------------------------------------------------------------------------


class Action(StrEnum):
    """What a person can do with the vault, besides viewing, which `PURPOSES` rules."""

    SIGN_IN = "sign_in"
    FILE_REPORT = "file_report"
    RECEIVE_REPORT = "receive_report"
    ASSIGN_CAMERA = "assign_camera"
    ADD_CAMERA = "add_camera"
    REMOVE_CAMERA = "remove_camera"
    LIST_RECORDINGS = "list_recordings"
    ASK_WHY = "ask_why"
    NAME_PRESENT = "name_present"
    REGISTER_CASE = "register_case"
    CLOSE_CASE = "close_case"
    DECIDE_ACCESS = "decide_access"
    READ_ACCESS_REGISTER = "read_access_register"
    ARCHIVE = "archive"
    DELETE = "delete"
    HAND_OVER = "hand_over"
    REQUEST_LEARNING = "request_learning"
    APPROVE_LEARNING = "approve_learning"
    RECORD_ABSENCE = "record_absence"
    CHANGE_KEYRING = "change_keyring"
    CONFIRM = "confirm"
    READ_LOG = "read_log"
    READ_OWN_VIEWINGS = "read_own_viewings"
    CHECK = "check"
    READ_FIGURES = "read_figures"
    BACK_UP = "back_up"


_ALL_ROLES = tuple(Role)
_FIVE = (Role.COORDINATOR, Role.CLUSTER_MANAGER, Role.PRIVACY_OFFICER, Role.SECRETARY, Role.SAFETY_COORDINATOR)
_TWO = (Role.CLUSTER_MANAGER, Role.PRIVACY_OFFICER)


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may do an action.

    `roles` may. `substitutes` limits who may stand in for a role of `roles`: the roles listed; a role that is not a key there may
    be stood in for by anybody whom a record of absence names (P41); an empty tuple means nobody. `second`: the roles of a second,
    other person who must agree. `not_concerned`: nobody who is concerned in it.
    """

    roles: tuple[Role, ...]
    obligations: tuple[str, ...]
    sentence: Sentence
    substitutes: Mapping[Role, tuple[Role, ...]] = field(default_factory=dict)
    second: tuple[Role, ...] = ()
    not_concerned: bool = False


RULES: Mapping[Action, Rule] = {
    Action.SIGN_IN: Rule(_ALL_ROLES, ("P24",), BACK_OFFICE),
    Action.FILE_REPORT: Rule((Role.OFFICER,), ("P21", "P22"), REPORT, {Role.OFFICER: ()}),
    Action.RECEIVE_REPORT: Rule((Role.COORDINATOR,), ("P21",), REPORT, {Role.COORDINATOR: (Role.CLUSTER_MANAGER,)}),
    Action.ASSIGN_CAMERA: Rule((Role.COORDINATOR,), ("P25",), CAMERAS_ONLY),
    Action.ADD_CAMERA: Rule((Role.COORDINATOR,), ("P25",), CAMERAS_ONLY),
    Action.REMOVE_CAMERA: Rule((Role.COORDINATOR,), ("P25",), CAMERAS_ONLY),
    Action.LIST_RECORDINGS: Rule(_TWO, ("P23", "P24"), BACK_OFFICE),
    Action.ASK_WHY: Rule(_TWO, ("P31",), RETENTION),
    Action.NAME_PRESENT: Rule((Role.COORDINATOR, Role.CLUSTER_MANAGER), ("P52", "P54"), LEARNING_OWN),
    Action.REGISTER_CASE: Rule(_TWO, ("P32", "P60"), RETENTION),
    Action.CLOSE_CASE: Rule(_TWO, ("P34", "P35"), PROSECUTION_HOLD, not_concerned=True),
    Action.DECIDE_ACCESS: Rule((Role.PRIVACY_OFFICER,), ("P33", "P57", "P58"), ASSESSED, not_concerned=True),
    Action.READ_ACCESS_REGISTER: Rule((Role.PRIVACY_OFFICER,), ("P60",), ASSESSED),
    Action.ARCHIVE: Rule(_TWO, ("P26",), MANAGE),
    Action.DELETE: Rule(_TWO, ("P26",), SECOND_DELETES, second=_TWO, not_concerned=True),
    Action.HAND_OVER: Rule(
        (Role.PRIVACY_OFFICER,), ("P43", "P44"), PROVIDE, {Role.PRIVACY_OFFICER: (Role.CLUSTER_MANAGER,)}, not_concerned=True
    ),
    Action.REQUEST_LEARNING: Rule((Role.OFFICER,), ("P50", "P52"), LEARNING_REQUEST, {Role.OFFICER: ()}),
    Action.APPROVE_LEARNING: Rule(
        (Role.COORDINATOR,), ("P50", "P54"), LEARNING_CONFLICT, {Role.COORDINATOR: (Role.CLUSTER_MANAGER,)}, not_concerned=True
    ),
    Action.RECORD_ABSENCE: Rule((*_TWO, Role.SECRETARY), ("P41",), REPLACEMENT),
    Action.CHANGE_KEYRING: Rule(_TWO, ("P23", "P41"), REPLACEMENT, second=_TWO),
    Action.CONFIRM: Rule(_TWO, ("P40",), IN_TWOS, second=_FIVE),
    Action.READ_LOG: Rule(_TWO, ("P39",), LOG_READERS),
    Action.READ_OWN_VIEWINGS: Rule((Role.OFFICER,), ("P39",), LOG_READERS, {Role.OFFICER: ()}),
    Action.CHECK: Rule((*_TWO, Role.ADMINISTRATOR), ("P30",), ADMINISTRATOR, {Role.ADMINISTRATOR: ()}),
    Action.READ_FIGURES: Rule((*_TWO, Role.SECRETARY), ("P62",), BACK_OFFICE),
    Action.BACK_UP: Rule((*_TWO, Role.ADMINISTRATOR), ("P30",), ADMINISTRATOR, {Role.ADMINISTRATOR: ()}),
}


@dataclass(frozen=True, slots=True)
class Replacement:
    """Leave to stand in: for which role, for whom, granted by whom. Dated: the caller gives those in force at the moment."""

    role: Role
    absent: str
    granted_by: str


@dataclass(frozen=True, slots=True)
class Actor:
    """A person at one moment: the roles held, and the replacements in force. `person` is the immutable id."""

    person: str
    name: str
    roles: frozenset[Role]
    replacements: tuple[Replacement, ...] = ()


@dataclass(frozen=True, slots=True)
class Acting:
    """A person in a role. `acting_for` is the absent person's id where it is a replacement, else None."""

    person: str
    role: Role
    acting_for: str | None = None


def demand(action: Action, actor: Actor, *, concerned: frozenset[str] = frozenset()) -> Acting:
    """The role in which this person may do this. `concerned`: persons who are the subject, recorded, or were present.

    Raises NotAllowed.
    """
    rule = RULES[action]
    if rule.not_concerned and actor.person in concerned:
        raise NotAllowed(f"{actor.name} is concerned in this and takes no part. {CONCERNED.quoted()}")
    acting = _acting(actor, rule.roles, rule.substitutes)
    if acting is None:
        raise NotAllowed(f"{_described(actor)} may not do this ({_said(action)}). {rule.sentence.quoted()}")
    return acting


def demand_second(action: Action, first: Acting, second: Actor, *, concerned: frozenset[str] = frozenset()) -> Acting:
    """The role in which the second person agrees to an action that takes two. Raises NotAllowed."""
    rule = RULES[action]
    if second.person == first.person:
        raise NotAllowed(f"{second.name} can't be both persons. {rule.sentence.quoted()}")
    if rule.not_concerned and second.person in concerned:
        raise NotAllowed(f"{second.name} is concerned in this and takes no part. {CONCERNED.quoted()}")
    roles = tuple(role for role in rule.second if role is not first.role)
    acting = _acting(second, roles, rule.substitutes)
    if acting is None:
        raise NotAllowed(
            f"{_described(second)} may not be the second person ({_said(action)}, beside {first.role}). {rule.sentence.quoted()}"
        )
    return acting


def _acting(actor: Actor, roles: tuple[Role, ...], substitutes: Mapping[Role, tuple[Role, ...]]) -> Acting | None:
    for role in roles:
        if role in actor.roles:
            return Acting(actor.person, role)
    for role in roles:
        for replacement in actor.replacements:
            if replacement.role is role and _may_stand_in(actor, role, substitutes):
                return Acting(actor.person, role, replacement.absent)
    return None


def _may_stand_in(actor: Actor, role: Role, substitutes: Mapping[Role, tuple[Role, ...]]) -> bool:
    """The technical administrator stands in for nobody: no content, ever."""
    if Role.ADMINISTRATOR in actor.roles:
        return False
    return role not in substitutes or bool(actor.roles & set(substitutes[role]))


def _described(actor: Actor) -> str:
    held = ", ".join(sorted(actor.roles)) or "no function"
    stands_in = "".join(f", standing in as {replacement.role}" for replacement in actor.replacements)
    return f"{actor.name} ({held}{stands_in})"


def _said(action: StrEnum) -> str:
    return action.value.replace("_", " ")


# --- cases --------------------------------------------------------------------------------------------------------------


class CaseKind(StrEnum):
    """What may hold a recording beyond 28 days (P32)."""

    COMPLAINT = "complaint"
    ACCESS_REQUEST = "access_request"
    POLICE_REPORT = "police_report"
    DEMAND = "demand"


@dataclass(frozen=True, slots=True)
class CaseRule:
    """One kind of case: the protocol's word for it, the sentence that holds its recordings, and what ends it."""

    name_nl: str
    obligations: tuple[str, ...]
    sentence: Sentence
    ends_with: str


CASES: Mapping[CaseKind, CaseRule] = {
    CaseKind.COMPLAINT: CaseRule("klacht", ("P34",), COMPLAINT_HOLD, "the complaint procedure is finished"),
    CaseKind.ACCESS_REQUEST: CaseRule(
        "verzoek tot inzage",
        ("P33", "P61"),
        ACCESS_HOLD,
        "the privacy officer's decision is final (no objection can be made or is pending) and was carried out",
    ),
    CaseKind.POLICE_REPORT: CaseRule("aangifte", ("P35",), PROSECUTION_HOLD, "the prosecutor agrees to destruction"),
    CaseKind.DEMAND: CaseRule("vordering", ("P35",), PROSECUTION_HOLD, "the prosecutor agrees to destruction"),
}

HAND_OVER_KINDS = frozenset({CaseKind.POLICE_REPORT, CaseKind.DEMAND})
"""The only grounds on which a recording leaves the vault (P43)."""


# --- viewing ------------------------------------------------------------------------------------------------------------


class Purpose(StrEnum):
    """The closed list of reasons to view (P5, P7, P42). There is no other, and none for a performance interview (P51)."""

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


LOCATION = Condition("location", "Wij kijken op de gemeentelocatie.", "We view at the municipal location.")
NOBODY_ELSE = Condition("nobody_else", "Geen derde kan meekijken.", "No third party can watch along.")
NO_COPIES = Condition(
    "no_copy", "Wij maken geen kopie van beeld, geluid of opname.", "We make no copy of picture, sound or recording."
)
ON_IT = Condition("on_it", "De betrokkene staat zelf op deze beelden.", "The person concerned is on these recordings.")
RIGHTS = Condition(
    "rights", "Rechten of vrijheden van anderen worden niet geschaad.", "No rights or freedoms of others are harmed."
)
NOT_APPRAISAL = Condition(
    "not_appraisal", "Dit is niet voor het Paspoortgesprek.", "This is not for the performance interview (Paspoortgesprek)."
)


@dataclass(frozen=True, slots=True)
class PurposeRule:
    """Who views together for a purpose: one person of `first` with one of `second`; what it rests on; what both confirm.

    `case` None: it rests on an officer's own request (P50). `copy`: whether a hand-over may follow.
    """

    name_nl: str
    first: tuple[Role, ...]
    second: tuple[Role, ...]
    case: CaseKind | None
    conditions: tuple[Condition, ...]
    copy: bool
    obligations: tuple[str, ...]
    sentence: Sentence


PURPOSES: Mapping[Purpose, PurposeRule] = {
    Purpose.COMPLAINT: PurposeRule(
        "klachtafhandeling",
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
    """What viewing depends on: who recorded it, who is on it or was present, who else is concerned; who the coordinators are.

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
        return self.present | self.concerned | (frozenset({self.officer}) if self.officer else frozenset())


def demand_viewing(purpose: Purpose, one: Actor, other: Actor, footage: Footage) -> tuple[Acting, Acting]:
    """The two seats in which these persons view this recording for this purpose, the first seat first.

    Raises NotAllowed: one person twice (P40), a function the purpose does not name (P42), an officer who is not on it (P52), a
    person concerned (P54, Q14).
    """
    rule = PURPOSES[purpose]
    if one.person == other.person:
        raise NotAllowed(f"{one.name} can't take both seats. {IN_TWOS.quoted()}")
    for first, second in ((one, other), (other, one)):
        seats = _seats(purpose, rule, first, second, footage)
        if seats is not None:
            return seats
    raise _viewing_refusal(purpose, rule, one, other, footage)


def _seats(purpose: Purpose, rule: PurposeRule, first: Actor, second: Actor, footage: Footage) -> tuple[Acting, Acting] | None:
    if purpose is Purpose.LEARNING:
        return _learning_seats(first, second, footage)
    if {first.person, second.person} & footage.involved:
        return None
    left = _acting(first, rule.first, {})
    right = _acting(second, tuple(role for role in rule.second if left is None or role is not left.role), {})
    return (left, right) if left and right else None


def _learning_seats(officer: Actor, partner: Actor, footage: Footage) -> tuple[Acting, Acting] | None:
    """The officer who recorded it or is on it, with the coordinator; with the cluster manager where a coordinator is in conflict.

    A coordinator who views their own recording to learn is the officer, and the cluster manager the partner.
    """
    if Role.OFFICER not in officer.roles or officer.person not in footage.present | {footage.officer}:
        return None
    if partner.person in footage.involved:
        return None
    substitutes = {Role.COORDINATOR: (Role.CLUSTER_MANAGER,)}
    acting = _acting(partner, (Role.COORDINATOR,), substitutes)
    if acting is None and footage.coordinator_in_conflict and Role.CLUSTER_MANAGER in partner.roles:
        acting = Acting(partner.person, Role.CLUSTER_MANAGER)
    elif acting is not None and acting.acting_for is not None:
        acting = Acting(partner.person, Role.CLUSTER_MANAGER, acting.acting_for)
    return (Acting(officer.person, Role.OFFICER), acting) if acting else None


def _viewing_refusal(purpose: Purpose, rule: PurposeRule, one: Actor, other: Actor, footage: Footage) -> NotAllowed:
    both = f"{_described(one)} and {_described(other)}"
    for actor in (one, other):
        if Role.ADMINISTRATOR in actor.roles:
            return NotAllowed(f"{actor.name} is technical administrator and sees nothing. {ADMINISTRATOR.quoted()}")
    if purpose is Purpose.LEARNING:
        officers = [actor for actor in (one, other) if Role.OFFICER in actor.roles]
        if officers and not any(actor.person in footage.present | {footage.officer} for actor in officers):
            return NotAllowed(f"{officers[0].name} neither made this recording nor is on it. {LEARNING_OWN.quoted()}")
        partners = [actor for actor in (one, other) if Role.COORDINATOR in actor.roles and actor.person in footage.involved]
        if partners:
            return NotAllowed(f"{partners[0].name} made this recording or was present. {LEARNING_CONFLICT.quoted()}")
        return NotAllowed(f"{both} may not view this together for {_said(purpose)}. {rule.sentence.quoted()}")
    concerned = [actor for actor in (one, other) if actor.person in footage.involved]
    if concerned:
        return NotAllowed(f"{concerned[0].name} is concerned in this recording. {CONCERNED.quoted()}")
    return NotAllowed(f"{both} may not view together for {_said(purpose)}. {rule.sentence.quoted()}")


def receivers_of(seats: tuple[Acting, Acting]) -> tuple[str, str]:
    """The receivers whose halves the two seats join."""
    first, second = (officer_receiver(seat.person) if seat.role is Role.OFFICER else seat.role.value for seat in seats)
    return first, second
