"""Reports of use, and who carried which camera (P11, P17, P18, P21, P22, P63)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.office import CAMERA, Office
from vault.catalogue import deletion_rows, report_rows
from vault.custody import reports
from vault.custody.papers import Paper, read_paper
from vault.custody.reports import GRACE, Location, ReportRefused, UseReport
from vault.errors import NotAllowed, UnknownCamera


def use_of(here: Office, *recordings: str) -> UseReport:
    return UseReport(
        recordings,
        here.clock.now() - timedelta(hours=1),
        Location.HOME,
        "called to a quarrel",
        "a man pushed",
        announced=False,
        announcement="no time: the door opened and he came at me",
        informed=True,
        information="leaflet, at the station",
    )


def test_a_report_holds_what_the_protocol_asks_and_goes_to_the_coordinator(here: Office) -> None:
    """Proves P11, P17, P18, P21, P22, P63: in the log what, when and where; the words in a paper of
    their own.
    """
    recording = here.record()
    report = reports.file_report(here.vault, here.actor("Mo"), use_of(here, recording))
    with here.vault.reading() as tx:
        row = report_rows.report_of(tx, report)
        (paper,) = deletion_rows.papers_of(tx, report)
    assert row is not None
    assert (row.addressee, row.location, row.announced, row.informed) == ("BC", "home", False, True)
    text = read_paper(here.vault, Paper(paper.id, paper.sha256))
    assert text is not None
    assert text["announcement"].startswith("no time")
    assert not any("quarrel" in str(entry) for entry in here.entries())
    reports.receive(here.vault, here.actor("Bea"), report)
    with pytest.raises(NotAllowed, match="boa-coördinator"):
        reports.receive(here.vault, here.actor("Vera"), report)


def test_an_incident_is_registered_with_every_recording_of_it(here: Office) -> None:
    """Proves P3: the dock asks for a report until there is one; the log ties it to its recordings,
    a paper tells what happened.
    """
    first, second = here.record(), here.record()
    assert len(here.intake.missing_reports(CAMERA)) == 2
    report = reports.file_report(here.vault, here.actor("Mo"), use_of(here, first, second))
    assert here.intake.missing_reports(CAMERA) == ()
    (filed,) = here.told("report.filed")
    assert (filed["subject"], filed["details"]["recordings"]) == (report, [first, second])
    with here.vault.reading() as tx:
        (paper,) = deletion_rows.papers_of(tx, report)
    text = read_paper(here.vault, Paper(paper.id, paper.sha256))
    assert text is not None
    assert (text["cause"], text["event"]) == ("called to a quarrel", "a man pushed")


@pytest.mark.parametrize("field", ["cause", "event", "announcement", "information"])
def test_no_field_is_left_empty(here: Office, field: str) -> None:
    """Proves P22, P63: what has no answer is said in words."""
    with pytest.raises(ReportRefused, match=f"lacks its {field}"):
        reports.file_report(here.vault, here.actor("Mo"), replace(use_of(here), **{field: "  "}))


def test_missing_reports_are_listed_and_become_overdue(here: Office) -> None:
    """Proves P21: due at the end of the shift; the list says whose and since when."""
    recording = here.record("boa-17")
    other = here.record("boa-18")
    (mine,) = reports.missing_reports(here.vault, here.id("Mo"))
    assert (mine.recording.id, mine.overdue) == (recording, False)
    here.clock.pass_time(GRACE.total_seconds() + 1)
    assert [one.overdue for one in reports.missing_reports(here.vault)] == [True, True]
    assert sorted(here.intake.missing_reports(CAMERA)) == ["BWC0042-000001", "BWC0042-000002"]
    assert here.intake.missing_reports("BWC9999") == ()
    reports.file_report(here.vault, here.actor("Mo"), use_of(here, recording))
    assert [one.recording.id for one in reports.missing_reports(here.vault)] == [other]
    assert [row.person for row in reports.late_reports(here.vault)] == [here.id("Mo")]


def test_nobody_reports_anothers_recording(here: Office) -> None:
    recording = here.record("boa-18")
    with pytest.raises(ReportRefused, match="another officer"):
        reports.file_report(here.vault, here.actor("Mo"), use_of(here, recording))
    with pytest.raises(NotAllowed, match="dienst"):
        reports.file_report(here.vault, here.actor("Petra"), use_of(here))


def test_a_use_without_a_recording_is_seen(here: Office) -> None:
    report = reports.file_report(here.vault, here.actor("Mo"), use_of(here))
    assert [row.id for row in reports.reports_without_recording(here.vault)] == [report]


def test_who_carried_the_camera_is_who_recorded(here: Office) -> None:
    """A camera that names nobody is its carrier's; what was on while nobody had it is listed."""
    alone = here.record(None)
    assert [row.id for row in reports.on_without_carrier(here.vault)] == [alone]
    reports.assign(here.vault, here.actor("Bea"), CAMERA, "Nel")
    here.clock.pass_time(7200)
    hers = here.record(None)
    reports.take_back(here.vault, here.actor("Bea"), CAMERA)
    here.clock.pass_time(7200)
    nobodys = here.record(None)
    assert [one.recording.id for one in reports.missing_reports(here.vault, here.id("Nel"))] == [
        hers
    ]
    assert {row.id for row in reports.on_without_carrier(here.vault)} == {alone, nobodys}
    with pytest.raises(ReportRefused, match="wears no camera"):
        reports.assign(here.vault, here.actor("Bea"), CAMERA, "Petra")
    with pytest.raises(UnknownCamera):
        reports.assign(here.vault, here.actor("Bea"), "BWC9999", "Nel")


def test_a_reports_text_goes_with_its_last_recording(here: Office) -> None:
    recording, other = here.record(), here.record()
    reports.file_report(here.vault, here.actor("Mo"), use_of(here, recording, other))
    papers = here.settings.root / "register/papers"
    assert len(list(papers.iterdir())) == 1
    here.days(28)
    here.hours(50)
    assert not here.stands(recording)
    assert list(papers.iterdir()) == []
    assert len(here.told("paper.removed")) == 1
