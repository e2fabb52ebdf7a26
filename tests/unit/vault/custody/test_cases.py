"""Cases: each kind holds from its receipt and ends as its kind ends (P32 to P35, P57 to P61; Q3,
Q6, Q7, Q9).
"""

from datetime import timedelta

import pytest

from tests.support.office import Office
from vault.catalogue import case_rows, deletion_rows
from vault.custody import cases
from vault.custody.cases import CaseRefused, NewCase, UnknownCase, find_case
from vault.custody.papers import Paper, read_paper
from vault.custody.retention import disposition
from vault.errors import NotAllowed, UnknownRecording
from vault.rules.case_kinds import CaseKind

WEEKS = timedelta(weeks=1)


def opened(
    here: Office,
    kind: CaseKind,
    *recordings: str,
    by: str = "Petra",
    concerned: tuple[str, ...] = (),
) -> str:
    new = NewCase(
        kind,
        f"R-{kind.value}",
        here.clock.now(),
        recordings,
        frozenset(concerned),
        "J. Jansen asks",
    )
    return cases.register(here.vault, here.actor(by), new)


@pytest.mark.parametrize("kind", list(CaseKind))
def test_each_kind_holds_its_recordings_past_day_28(here: Office, kind: CaseKind) -> None:
    """Proves P32, P33, P34, P35."""
    held, free = here.record(), here.record()
    opened(here, kind, held)
    here.days(27.5)
    here.hours(60)
    assert (here.stands(held), here.stands(free)) == (True, False)


def test_a_request_on_day_27_holds_from_its_receipt(here: Office) -> None:
    """Q6: marked already, it stands; and from its receipt, not from its registration."""
    recording = here.record()
    here.days(27.2)
    here.hours(10)
    assert [entry["subject"] for entry in here.told("retention.marked")] == [recording]
    received = here.clock.now() - timedelta(hours=8)
    new = NewCase(CaseKind.ACCESS_REQUEST, "I-1", received, (recording,))
    case = cases.register(here.vault, here.actor("Carel"), new)
    here.hours(40)
    assert here.stands(recording)
    with here.vault.reading() as tx:
        (hold,) = case_rows.holds_of_case(tx, case)
    assert hold.since_utc.startswith(received.strftime("%Y-%m-%dT%H:%M"))


@pytest.mark.parametrize("kind", [CaseKind.COMPLAINT, CaseKind.POLICE_REPORT, CaseKind.DEMAND])
def test_what_ends_with_a_word_from_outside_needs_its_reference(
    here: Office, kind: CaseKind
) -> None:
    """Proves P34, P35: the prosecutor's agreement, the letter that ends the complaint."""
    case = opened(here, kind, here.record())
    with pytest.raises(CaseRefused, match="„"):
        cases.close(here.vault, here.actor("Carel"), case)
    cases.close(here.vault, here.actor("Carel"), case, reference="OM 2026/77")
    with pytest.raises(CaseRefused, match="was closed"):
        cases.close(here.vault, here.actor("Carel"), case, reference="again")


def test_an_access_request_goes_through_decision_and_execution(here: Office) -> None:
    """Proves P33, P57, P58, P60: one by one, with necessity and reasons, by the privacy officer;
    and in a register of its own.
    """
    case = opened(here, CaseKind.ACCESS_REQUEST, here.record())
    petra = here.actor("Petra")
    for step in (
        lambda: cases.carry_out(here.vault, petra, case),
        lambda: cases.close(here.vault, petra, case),
    ):
        with pytest.raises(CaseRefused, match=r"not decided|has not decided"):
            step()
    with pytest.raises(NotAllowed, match="individueel beoordeeld"):
        cases.decide(
            here.vault, here.actor("Carel"), case, granted=True, necessity="n", reasons="r"
        )
    with pytest.raises(CaseRefused, match="necessity and reasons"):
        cases.decide(here.vault, petra, case, granted=True, necessity=" ", reasons="r")
    cases.decide(
        here.vault, petra, case, granted=True, necessity="she is on it", reasons="nobody is harmed"
    )
    with pytest.raises(CaseRefused, match="not carried out"):
        cases.close(here.vault, petra, case)
    cases.carry_out(here.vault, petra, case)
    cases.close(here.vault, petra, case)
    with here.vault.reading() as tx:
        papers = {
            row.action: read_paper(here.vault, Paper(row.id, row.sha256))
            for row in deletion_rows.papers_of(tx, case)
        }
    assert papers["case.registered"] == {
        "kind": "access_request",
        "reference": "R-access_request",
        "text": "J. Jansen asks",
    }
    assert papers["case.decided"] == {
        "necessity": "she is on it",
        "reasons": "nobody is harmed",
        "granted": True,
    }
    assert not any("Jansen" in str(entry) for entry in here.entries())


def test_a_refusal_waits_for_the_term_of_objection(here: Office) -> None:
    """Proves P61, Q3: six weeks, to the second; an objection keeps the hold until it is decided;
    upheld it is decided anew.
    """
    case, petra = opened(here, CaseKind.ACCESS_REQUEST, here.record()), here.actor("Petra")
    cases.decide(here.vault, petra, case, granted=False, necessity="n", reasons="r")
    cases.carry_out(here.vault, petra, case)
    here.clock.pass_time((6 * WEEKS).total_seconds() - 1)
    with pytest.raises(CaseRefused, match="can be made until"):
        cases.close(here.vault, petra, case)
    cases.register_objection(here.vault, petra, case, here.clock.now(), "I object")
    here.clock.pass_time(86400 * 100)
    with pytest.raises(CaseRefused, match="pending"):
        cases.close(here.vault, petra, case)
    cases.decide_objection(here.vault, here.actor("Carel"), case, upheld=True, reference="B-1")
    with pytest.raises(CaseRefused, match="decided again"):
        cases.close(here.vault, petra, case)
    here.clock.pass_time(1)
    cases.decide(
        here.vault, petra, case, granted=True, necessity="n", reasons="after the objection"
    )
    cases.carry_out(here.vault, petra, case)
    cases.close(here.vault, petra, case)


def test_the_term_over_without_objection_the_refusal_is_final(here: Office) -> None:
    case, petra = opened(here, CaseKind.ACCESS_REQUEST, here.record()), here.actor("Petra")
    cases.decide(here.vault, petra, case, granted=False, necessity="n", reasons="r")
    cases.carry_out(here.vault, petra, case)
    here.clock.pass_time((6 * WEEKS).total_seconds())
    with pytest.raises(CaseRefused, match="term of objection"):
        cases.register_objection(here.vault, petra, case, here.clock.now() + timedelta(days=1))
    cases.close(here.vault, petra, case)


def test_two_cases_hold_until_both_have_ended(here: Office) -> None:
    recording = here.record()
    one, other = (
        opened(here, CaseKind.COMPLAINT, recording),
        opened(here, CaseKind.DEMAND, recording),
    )
    here.days(40)
    cases.close(here.vault, here.actor("Carel"), one, reference="letter")
    here.hours(50)
    assert here.stands(recording)
    cases.close(here.vault, here.actor("Carel"), other, reference="OM agrees")
    here.hours(23)
    assert here.stands(recording)
    here.hours(4)
    assert not here.stands(recording)


def test_recordings_of_the_same_incident_are_suggested(here: Office) -> None:
    """Q7: by overlap in time; added to the case they are held too."""
    stop = here.clock.now()
    mine = here.record("boa-17", stopped=stop)
    theirs = here.record("boa-18", stopped=stop + timedelta(minutes=3))
    apart = here.record("boa-18", stopped=stop + timedelta(hours=3))
    case = opened(here, CaseKind.COMPLAINT, mine)
    assert [row.id for row in cases.suggestions(here.vault, [mine])] == [theirs]
    cases.extend(here.vault, here.actor("Petra"), case, [mine, theirs])
    here.days(29)
    here.hours(60)
    assert [here.stands(one) for one in (mine, theirs, apart)] == [True, True, False]


def test_who_is_its_subject_neither_closes_nor_decides(here: Office) -> None:
    """Q14."""
    case = opened(here, CaseKind.COMPLAINT, here.record(), concerned=("Carel",))
    with pytest.raises(NotAllowed, match="concerned"):
        cases.close(here.vault, here.actor("Carel"), case, reference="letter")
    cases.close(here.vault, here.actor("Petra"), case, reference="letter")


def test_bad_cases_are_refused_with_what_to_do(here: Office) -> None:
    recording = here.record()
    future = NewCase(CaseKind.COMPLAINT, "K", here.clock.now() + timedelta(hours=1), (recording,))
    nameless = NewCase(CaseKind.COMPLAINT, " ", here.clock.now(), (recording,))
    for bad in (future, nameless):
        with pytest.raises(CaseRefused):
            cases.register(here.vault, here.actor("Petra"), bad)
    with pytest.raises(UnknownRecording):
        opened(here, CaseKind.COMPLAINT, "no such recording")
    with pytest.raises(UnknownCase):
        find_case(here.vault, "K-0")
    with pytest.raises(CaseRefused, match="not a verzoek"):
        cases.decide(
            here.vault,
            here.actor("Petra"),
            opened(here, CaseKind.DEMAND, recording),
            granted=True,
            necessity="n",
            reasons="r",
        )
    assert here.told("case.registered")[0]["details"]["kind"] == "demand"


def test_archiving_lengthens_nothing(here: Office) -> None:
    """Proves P26, Q9."""
    recording = here.record()
    before = disposition.disposition(here.vault, here.actor("Petra"), recording).due
    cases.archive(here.vault, here.actor("Carel"), recording)
    assert disposition.disposition(here.vault, here.actor("Petra"), recording).due == before
    with pytest.raises(NotAllowed, match="archiveren"):
        cases.archive(here.vault, here.actor("Bea"), recording)
