"""What may be done by whom: each rule once, beside the protocol's own sentence and its English
reading. Pure.

`demand` and `demand_second` are the questions; their refusal, NotAllowed, quotes the sentence.
Where the protocol is silent a rule names the default it follows (Q1 to Q14) instead of lines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from vault.errors import NotAllowed
from vault.rules.protocol import (
    ADMINISTRATOR,
    ASSESSED,
    BACK_OFFICE,
    CAMERAS_ONLY,
    CONCERNED,
    IN_TWOS,
    LEARNING_CONFLICT,
    LEARNING_OWN,
    LEARNING_REQUEST,
    LOG_READERS,
    MANAGE,
    PROSECUTION_HOLD,
    PROVIDE,
    REPLACEMENT,
    REPORT,
    RETENTION,
    SECOND_DELETES,
    Sentence,
)
from vault.rules.roles import Role

# --- actions --------------------------------------------------------------------------------------


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
_FIVE = (
    Role.COORDINATOR,
    Role.CLUSTER_MANAGER,
    Role.PRIVACY_OFFICER,
    Role.SECRETARY,
    Role.SAFETY_COORDINATOR,
)
_TWO = (Role.CLUSTER_MANAGER, Role.PRIVACY_OFFICER)


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may do an action.

    `roles` may. `substitutes` limits who may stand in for a role of `roles`: the roles listed; a
    role that is not a key there may be stood in for by anybody whom a record of absence names
    (P41); an empty tuple means nobody. `second`: the roles of a second, other person who must
    agree. `not_concerned`: nobody who is concerned in it.
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
    Action.RECEIVE_REPORT: Rule(
        (Role.COORDINATOR,), ("P21",), REPORT, {Role.COORDINATOR: (Role.CLUSTER_MANAGER,)}
    ),
    Action.ASSIGN_CAMERA: Rule((Role.COORDINATOR,), ("P25",), CAMERAS_ONLY),
    Action.ADD_CAMERA: Rule((Role.COORDINATOR,), ("P25",), CAMERAS_ONLY),
    Action.REMOVE_CAMERA: Rule((Role.COORDINATOR,), ("P25",), CAMERAS_ONLY),
    Action.LIST_RECORDINGS: Rule(_TWO, ("P23", "P24"), BACK_OFFICE),
    Action.ASK_WHY: Rule(_TWO, ("P31",), RETENTION),
    Action.NAME_PRESENT: Rule(
        (Role.COORDINATOR, Role.CLUSTER_MANAGER), ("P52", "P54"), LEARNING_OWN
    ),
    Action.REGISTER_CASE: Rule(_TWO, ("P32", "P60"), RETENTION),
    Action.CLOSE_CASE: Rule(_TWO, ("P34", "P35"), PROSECUTION_HOLD, not_concerned=True),
    Action.DECIDE_ACCESS: Rule(
        (Role.PRIVACY_OFFICER,), ("P33", "P57", "P58"), ASSESSED, not_concerned=True
    ),
    Action.READ_ACCESS_REGISTER: Rule((Role.PRIVACY_OFFICER,), ("P60",), ASSESSED),
    Action.ARCHIVE: Rule(_TWO, ("P26",), MANAGE),
    Action.DELETE: Rule(_TWO, ("P26",), SECOND_DELETES, second=_TWO, not_concerned=True),
    Action.HAND_OVER: Rule(
        (Role.PRIVACY_OFFICER,),
        ("P43", "P44"),
        PROVIDE,
        {Role.PRIVACY_OFFICER: (Role.CLUSTER_MANAGER,)},
        not_concerned=True,
    ),
    Action.REQUEST_LEARNING: Rule(
        (Role.OFFICER,), ("P50", "P52"), LEARNING_REQUEST, {Role.OFFICER: ()}
    ),
    Action.APPROVE_LEARNING: Rule(
        (Role.COORDINATOR,),
        ("P50", "P54"),
        LEARNING_CONFLICT,
        {Role.COORDINATOR: (Role.CLUSTER_MANAGER,)},
        not_concerned=True,
    ),
    Action.RECORD_ABSENCE: Rule((*_TWO, Role.SECRETARY), ("P41",), REPLACEMENT),
    Action.CHANGE_KEYRING: Rule(_TWO, ("P23", "P41"), REPLACEMENT, second=_TWO),
    Action.CONFIRM: Rule(_TWO, ("P40",), IN_TWOS, second=_FIVE),
    Action.READ_LOG: Rule(_TWO, ("P39",), LOG_READERS),
    Action.READ_OWN_VIEWINGS: Rule((Role.OFFICER,), ("P39",), LOG_READERS, {Role.OFFICER: ()}),
    Action.CHECK: Rule(
        (*_TWO, Role.ADMINISTRATOR), ("P30",), ADMINISTRATOR, {Role.ADMINISTRATOR: ()}
    ),
    Action.READ_FIGURES: Rule((*_TWO, Role.SECRETARY), ("P62",), BACK_OFFICE),
    Action.BACK_UP: Rule(
        (*_TWO, Role.ADMINISTRATOR), ("P30",), ADMINISTRATOR, {Role.ADMINISTRATOR: ()}
    ),
}


@dataclass(frozen=True, slots=True)
class Replacement:
    """Leave to stand in: for which role, for whom, granted by whom. Dated: the caller gives those
    in force at the moment.
    """

    role: Role
    absent: str
    granted_by: str


@dataclass(frozen=True, slots=True)
class Actor:
    """A person at one moment: the roles held, and the replacements in force. `person` is the
    immutable id.
    """

    person: str
    name: str
    roles: frozenset[Role]
    replacements: tuple[Replacement, ...] = ()


@dataclass(frozen=True, slots=True)
class Acting:
    """A person in a role. `acting_for` is the absent person's id where it is a replacement, else
    None.
    """

    person: str
    role: Role
    acting_for: str | None = None


def demand(action: Action, actor: Actor, *, concerned: frozenset[str] = frozenset()) -> Acting:
    """The role in which this person may do this. `concerned`: persons who are the subject,
    recorded, or were present.

    Raises NotAllowed.
    """
    rule = RULES[action]
    if rule.not_concerned and actor.person in concerned:
        raise NotAllowed(
            f"{actor.name} is concerned in this and takes no part. {CONCERNED.quoted()}"
        )
    acting = acting_as(actor, rule.roles, rule.substitutes)
    if acting is None:
        raise NotAllowed(
            f"{described(actor)} may not do this ({role_names(action)}). {rule.sentence.quoted()}"
        )
    return acting


def demand_any(actions: Sequence[Action], actor: Actor) -> Acting:
    """The role in which this person may do the first of these actions that they may do at all.
    Raises NotAllowed with the first refusal.
    """
    permitted = (action for action in actions if may(action, actor))
    return demand(next(permitted, actions[0]), actor)


def may(action: Action, actor: Actor) -> bool:
    """Whether this person may do this."""
    return acting_as(actor, RULES[action].roles, RULES[action].substitutes) is not None


def demand_second(
    action: Action, first: Acting, second: Actor, *, concerned: frozenset[str] = frozenset()
) -> Acting:
    """The role in which the second person agrees to an action that takes two. Raises NotAllowed."""
    rule = RULES[action]
    if second.person == first.person:
        raise NotAllowed(f"{second.name} can't be both persons. {rule.sentence.quoted()}")
    if rule.not_concerned and second.person in concerned:
        raise NotAllowed(
            f"{second.name} is concerned in this and takes no part. {CONCERNED.quoted()}"
        )
    roles = tuple(role for role in rule.second if role is not first.role)
    acting = acting_as(second, roles, rule.substitutes)
    if acting is None:
        raise NotAllowed(
            f"{described(second)} may not be the second person ({role_names(action)}, beside "
            f"{first.role}). {rule.sentence.quoted()}"
        )
    return acting


def acting_as(
    actor: Actor, roles: tuple[Role, ...], substitutes: Mapping[Role, tuple[Role, ...]]
) -> Acting | None:
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


def described(actor: Actor) -> str:
    held = ", ".join(sorted(actor.roles)) or "no function"
    stands_in = "".join(
        f", standing in as {replacement.role}" for replacement in actor.replacements
    )
    return f"{actor.name} ({held}{stands_in})"


def role_names(action: StrEnum) -> str:
    return action.value.replace("_", " ")
