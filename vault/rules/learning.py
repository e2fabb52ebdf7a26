"""Who agrees to an officer's wish to learn from footage, and who watches with the officer: the
coordinator, else the cluster manager (P50, P53, P54). Pure.
"""

from vault.rules.actions import RULES, Acting, Action, Actor, acting_as, demand
from vault.rules.roles import Role

PARTNERS = (Role.COORDINATOR, Role.CLUSTER_MANAGER)
"""The functions that can watch with an officer."""


def may_be_asked(by: Actor) -> bool:
    """Tell whether a wish to learn may be put before this person. Who is in conflict, `approver`
    finds.
    """
    rule = RULES[Action.APPROVE_LEARNING]
    coordinates = acting_as(by, rule.roles, rule.substitutes) is not None
    return coordinates or Role.CLUSTER_MANAGER in by.roles


def approver(by: Actor, coordinators: frozenset[str], involved: frozenset[str]) -> Acting:
    """Name the role in which a person agrees to a wish to learn, or refuses it. `involved`: who
    made the footage, is on it, was present, or asked. Raises NotAllowed.
    """
    manages = Role.CLUSTER_MANAGER in by.roles and by.person not in involved
    if manages and coordinators <= involved:
        return Acting(by.person, Role.CLUSTER_MANAGER)
    return demand(Action.APPROVE_LEARNING, by, concerned=involved)
