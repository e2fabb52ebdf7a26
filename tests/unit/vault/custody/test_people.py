"""Persons and their replacements: dated, named, granted by another (P41)."""

from datetime import timedelta

import pytest

from tests.support.office import Office
from vault.custody import people, reports
from vault.custody.papers import Paper, read_paper
from vault.custody.people import BadAbsence
from vault.errors import NotAllowed, UnknownPerson, WrongPassphrase
from vault.rules.roles import Role

DAY = timedelta(days=1)


def away(
    here: Office,
    by: str = "Geert",
    role: Role = Role.PRIVACY_OFFICER,
    absent: str = "Petra",
    instead: str = "Carel",
) -> str:
    now = here.clock.now()
    return people.record_absence(
        here.vault, here.actor(by), role, absent, instead, (now, now + 7 * DAY), "ill"
    )


def test_a_replacement_counts_from_its_first_moment_to_its_last(here: Office) -> None:
    """Proves P41: recorded by whom, for whom, from and until, and ended early where the absent one
    is back.
    """
    away(here)
    assert [one.role for one in here.actor("Carel").replacements] == [Role.PRIVACY_OFFICER]
    here.days(7)
    assert here.actor("Carel").replacements == ()
    again = away(here)
    people.end_absence(here.vault, here.actor("Petra"), again)
    assert here.actor("Carel").replacements == ()
    with pytest.raises(BadAbsence):
        people.end_absence(here.vault, here.actor("Petra"), again)
    told = here.told("absence.recorded")[0]["details"]
    assert told["granted_by"] == here.id("Geert")
    paper = read_paper(here.vault, Paper(told["paper"], told["paper_sha256"]))
    assert paper == {"reason": "ill"}


def test_nobody_grants_a_replacement_to_themselves(here: Office) -> None:
    with pytest.raises(NotAllowed, match="themselves"):
        away(here, by="Carel")
    with pytest.raises(NotAllowed, match="vervanging"):
        away(here, by="Bea")


@pytest.mark.parametrize(
    ("role", "absent", "instead"),
    [
        (Role.PRIVACY_OFFICER, "Petra", "Petra"),
        (Role.SECRETARY, "Petra", "Carel"),
        (Role.OFFICER, "Mo", "Nel"),
        (Role.PRIVACY_OFFICER, "Petra", "Tim"),
    ],
)
def test_a_replacement_that_cannot_be_is_refused(
    here: Office, role: Role, absent: str, instead: str
) -> None:
    """The technical administrator stands in for nobody; nobody stands in where the absent one holds
    nothing.
    """
    with pytest.raises(BadAbsence):
        away(here, role=role, absent=absent, instead=instead)


def test_a_refused_sign_in_stands_in_the_log(here: Office) -> None:
    with pytest.raises(WrongPassphrase, match="Petra"):
        people.sign_in(here.vault, "Petra", "not her passphrase")
    with pytest.raises(UnknownPerson):
        people.sign_in(here.vault, "Nobody", "x")
    assert [entry["actor"] for entry in here.told("person.refused")] == [here.id("Petra")]


def test_reports_go_to_the_cluster_manager_while_the_coordinator_is_away(here: Office) -> None:
    """Proves P21."""
    assert reports.addressee(here.vault) is Role.COORDINATOR
    away(here, role=Role.COORDINATOR, absent="Bea", instead="Carel")
    assert reports.addressee(here.vault) is Role.CLUSTER_MANAGER
