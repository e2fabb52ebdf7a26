"""Functions, roles and pairs: who may hold a seat, and which two open a recording together. Pure.

A *function* is one of the five that the protocol gives access to recordings; a *role* is a
function, or one of the parts that never manage recordings: the wearer, the dock, the technical
administrator.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


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
"""The organisation's escrow: two halves, kept on paper or token in two places, that open only
together.
"""


class Role(StrEnum):
    """Every part that a person can play. The values of the five functions are
    those of `Function`.
    """

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
"""Whose holder also keeps the key of a function, split, so that no key has a sole holder. Custody
of a key, not leave to act: for that an absence and a named replacement must be on record (P41).
Chosen so that every pair of the protocol still opens.
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two receivers who together open a recording, and the obligations that say so."""

    receivers: tuple[str, str]
    obligations: tuple[str, ...]

    @property
    def name(self) -> str:
        """The receivers in alphabetical order, joined by `+`, as the wrapped keys are
        bound to it.
        """
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
"""The pairs that every recording is sealed for when it is taken in; `officer_pairs` adds those of
the officer who recorded.
"""

OFFICER_PREFIX = "MW-"


def officer_receiver(person: str) -> str:
    """The receiver's name of an officer's own key: `MW-` and the person's id."""
    return OFFICER_PREFIX + person


def officer_pairs(person: str, holders: Mapping[str, frozenset[str]]) -> tuple[Pair, ...]:
    """The pairs of the officer who recorded (P53, P54). `holders`: function to the persons that
    hold it.

    No pair whose two seats are one person's: a coordinator's own footage is sealed for the officer
    with the cluster manager only.
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
    partners = [
        name for name in (first, second) if name in (Function.COORDINATOR, Function.CLUSTER_MANAGER)
    ]
    if len(officers) == len(partners) == 1:
        return Pair(
            (officers[0], partners[0]),
            ("P53",) if partners[0] == Function.COORDINATOR else ("P54",),
        )
    return None
