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
    """One kind of case: the protocol's word for it, the sentence that holds its recordings, and
    what ends it.
    """

    name_nl: str
    obligations: tuple[str, ...]
    sentence: Sentence
    ends_with: str


CASES: Mapping[CaseKind, CaseRule] = {
    CaseKind.COMPLAINT: CaseRule(
        "klacht", ("P34",), COMPLAINT_HOLD, "the complaint procedure is finished"
    ),
    CaseKind.ACCESS_REQUEST: CaseRule(
        "verzoek tot inzage",
        ("P33", "P61"),
        ACCESS_HOLD,
        "the privacy officer's decision is final (no objection can be made or is pending) and "
        "was carried out",
    ),
    CaseKind.POLICE_REPORT: CaseRule(
        "aangifte", ("P35",), PROSECUTION_HOLD, "the prosecutor agrees to destruction"
    ),
    CaseKind.DEMAND: CaseRule(
        "vordering", ("P35",), PROSECUTION_HOLD, "the prosecutor agrees to destruction"
    ),
}

HAND_OVER_KINDS = frozenset({CaseKind.POLICE_REPORT, CaseKind.DEMAND})
"""The only grounds on which a recording leaves the vault (P43)."""
