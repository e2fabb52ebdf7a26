"""Who agrees to a wish to learn: the coordinator, else the cluster manager."""

import pytest

from vault.errors import NotAllowed
from vault.rules.actions import Acting, Actor, Replacement
from vault.rules.learning import approver, may_be_asked
from vault.rules.roles import Role

COORDINATOR = Actor("p-bc", "Bo", frozenset({Role.COORDINATOR}))
MANAGER = Actor("p-cm", "Cor", frozenset({Role.CLUSTER_MANAGER}))
OFFICER = Actor("p-mw", "Mo", frozenset({Role.OFFICER}))
NO_LEASE: frozenset[str] = frozenset()
THE_COORDINATOR = frozenset({"p-bc"})


def stands_in(*roles: Role) -> Actor:
    return Actor("p-x", "Xi", frozenset(roles), (Replacement(Role.COORDINATOR, "p-bc", "p-cm"),))


def test_who_may_be_asked() -> None:
    assert may_be_asked(COORDINATOR)
    assert may_be_asked(MANAGER)
    assert may_be_asked(stands_in(Role.CLUSTER_MANAGER))
    assert not may_be_asked(stands_in(Role.SAFETY_COORDINATOR))
    assert not may_be_asked(OFFICER)


def test_the_coordinator_approves_unless_in_conflict() -> None:
    assert approver(COORDINATOR, THE_COORDINATOR, NO_LEASE) == Acting("p-bc", Role.COORDINATOR)
    with pytest.raises(NotAllowed):
        approver(COORDINATOR, THE_COORDINATOR, THE_COORDINATOR)


def test_the_cluster_manager_approves_where_every_coordinator_is_in_conflict() -> None:
    assert approver(MANAGER, THE_COORDINATOR, THE_COORDINATOR) == Acting(
        "p-cm", Role.CLUSTER_MANAGER
    )
    with pytest.raises(NotAllowed):
        approver(MANAGER, THE_COORDINATOR, NO_LEASE)
    with pytest.raises(NotAllowed):
        approver(MANAGER, frozenset({"p-bc", "p-two"}), THE_COORDINATOR)
    with pytest.raises(NotAllowed):
        approver(MANAGER, THE_COORDINATOR, THE_COORDINATOR | {"p-cm"})
