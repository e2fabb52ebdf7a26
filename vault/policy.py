"""The protocol as data. Pure.

Here: the functions, and which two of them may together open a recording. Each pair stands beside the lines of the protocol
that name it (`obligations.md`, sections 1 and 2); nobody else, and no machine, gets a half of a key.
"""

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
"""The organisation's escrow: two halves, kept on paper or token in two places, that open only together."""


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
"""The pairs a recording is sealed for when it is taken in. Learning (P53, P54) pairs the officer's own key with BC or CM and
joins this list with the officers' keys."""


def pair_of(first: str, second: str) -> Pair | None:
    """The pair of these two receivers, or None where the protocol names none (P40, P42)."""
    for pair in PAIRS:
        if {first, second} == set(pair.receivers):
            return pair
    return None
