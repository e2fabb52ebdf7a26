"""The kinds of case, and what each requires. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from vault.rules.protocol import (
    ACCESS_HOLD,
    COMPLAINT_HOLD,
    PROSECUTION_HOLD,
    Sentence,
)

# --- cases ----------------------------------------------------------------------------------------


class CaseKind(StrEnum):
    """What may hold a recording beyond 28 days (P32)."""

    COMPLAINT = "complaint"
    ACCESS_REQUEST = "access_request"
    POLICE_REPORT = "police_report"
    DEMAND = "demand"


@dataclass(frozen=True, slots=True)
class CaseRule:
    """One kind of case: what it is called, the sentence that holds its recordings, and what ends
    it.

    `name` is the protocol's word, `one` has its article, `many` heads its column in the public
    figures. `leaves`: its recordings may be handed over (P43).
    """

    name_nl: str
    name_en: str
    one_nl: str
    one_en: str
    many_nl: str
    many_en: str
    obligations: tuple[str, ...]
    sentence: Sentence
    ends_with: str
    leaves: bool


CASES: Mapping[CaseKind, CaseRule] = {
    CaseKind.COMPLAINT: CaseRule(
        name_nl="klacht",
        name_en="complaint",
        one_nl="een klacht",
        one_en="a complaint",
        many_nl="klachten",
        many_en="complaints",
        obligations=("P34",),
        sentence=COMPLAINT_HOLD,
        ends_with="the complaint procedure is finished",
        leaves=False,
    ),
    CaseKind.ACCESS_REQUEST: CaseRule(
        name_nl="verzoek tot inzage",
        name_en="access request",
        one_nl="een verzoek tot inzage",
        one_en="an access request",
        many_nl="verzoeken tot inzage",
        many_en="access requests",
        obligations=("P33", "P61"),
        sentence=ACCESS_HOLD,
        ends_with="the privacy officer's decision is final (no objection can be made or is "
        "pending) and was carried out",
        leaves=False,
    ),
    CaseKind.POLICE_REPORT: CaseRule(
        name_nl="aangifte",
        name_en="police report",
        one_nl="een aangifte",
        one_en="a police report",
        many_nl="aangiften",
        many_en="police reports",
        obligations=("P35",),
        sentence=PROSECUTION_HOLD,
        ends_with="the prosecutor agrees to destruction",
        leaves=True,
    ),
    CaseKind.DEMAND: CaseRule(
        name_nl="vordering",
        name_en="demand",
        one_nl="een vordering van het Openbaar Ministerie",
        one_en="a demand of the public prosecutor",
        many_nl="vorderingen",
        many_en="demands",
        obligations=("P35",),
        sentence=PROSECUTION_HOLD,
        ends_with="the prosecutor agrees to destruction",
        leaves=True,
    ),
}

HAND_OVER_KINDS = frozenset(kind for kind, rule in CASES.items() if rule.leaves)
"""The only grounds on which a recording leaves the vault (P43)."""
