"""`vault report` and `vault case present`: officers' reports and who was present."""

from datetime import datetime
from pathlib import Path

import click

from vault.cli.acting import (
    as_option,
    config_option,
    json_option,
    opened,
    reader_option,
    recordings_called,
    signed,
)
from vault.cli.cases import case
from vault.cli.output import out, show_json, show_table
from vault.cli.times import local, moment
from vault.custody import cases, people, reports
from vault.custody.reports import LOCATION_NAMES_NL, Location, UseReport
from vault.custody.search import recording_called


@click.group()
def report() -> None:
    """The officer's report of use, and what is still missing (P21, P22)."""


@report.command("file")
@config_option
@as_option()
@click.argument("recordings", nargs=-1)
@click.option(
    "--used",
    required=True,
    callback=lambda _, __, value: moment(value),
    help="When: 2026-11-24 18:05.",
)
@click.option("--location", type=click.Choice([place.value for place in Location]), required=True)
@click.option("--cause", required=True, help="What gave the cause.")
@click.option("--event", required=True, help="What happened.")
@click.option("--announced/--not-announced", required=True)
@click.option(
    "--announcement", required=True, help="How and when it was announced, or why it was not."
)
@click.option("--informed/--not-informed", required=True)
@click.option(
    "--information", required=True, help="How those involved were informed, or why they were not."
)
def file_report(
    config: Path,
    acting: str,
    recordings: tuple[str, ...],
    used: datetime,
    location: str,
    cause: str,
    event: str,
    announced: bool,
    announcement: str,
    informed: bool,
    information: str,
) -> None:
    """File a report of use."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        ids = tuple(recordings_called(vault, recordings))
        use = UseReport(
            ids,
            used,
            Location(location),
            cause,
            event,
            announced,
            announcement,
            informed,
            information,
        )
        report_id = reports.file_report(vault, by, use)
        to = reports.addressee(vault)
    out.print(f"The report {report_id[:8]} went to {to.value}.")


@report.command("receive")
@config_option
@as_option()
@click.argument("called")
def receive(config: Path, acting: str, called: str) -> None:
    """The addressee has read a report."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        reports.receive(vault, by, called)
    out.print("Received.")


@report.command("list")
@config_option
@reader_option
@json_option
def list_reports(config: Path, acting: str, as_json: bool) -> None:
    """Show the reports, without their texts: one's own, and everybody's to their addressee."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        rows = reports.listed(vault, by).rows
        called = people.names(vault, by)
    if as_json:
        show_json(rows)
        return
    table = [
        (
            row.id[:8],
            called.get(row.person),
            local(row.used_utc),
            LOCATION_NAMES_NL[Location(row.location)],
            "late" if row.filed_utc > row.due_utc else "in time",
            row.addressee,
            local(row.received_utc),
        )
        for row in rows
    ]
    show_table(
        ("report", "officer", "used", "where", "filed", "to", "received"),
        table,
        "No report was filed.",
    )


@report.command("missing")
@config_option
@reader_option
@json_option
def list_missing(config: Path, acting: str, as_json: bool) -> None:
    """Recordings without a report, reports without a recording, and recordings while nobody had the
    camera.
    """
    with opened(config) as vault:
        by = signed(vault, acting).actor
        listed = reports.listed(vault, by)
        called = people.names(vault, by)
    if as_json:
        show_json(
            {
                "recording": one.recording.id,
                "person": one.person,
                "due": one.due,
                "overdue": one.overdue,
            }
            for one in listed.missing
        )
        return
    table = [
        (
            one.recording.id[:8],
            called.get(one.person or "", "not known"),
            one.due.strftime("%Y-%m-%d %H:%M UTC"),
            "overdue" if one.overdue else "",
        )
        for one in listed.missing
    ]
    show_table(("recording", "officer", "due", ""), table, "Every recording has its report.")
    for row in listed.without_recording:
        out.print(
            f"Report {row.id[:8]} speaks of a use on {local(row.used_utc)} of which there is "
            f"no recording.",
            style="yellow",
        )
    for recording in listed.without_carrier:
        out.print(
            f"Recording {recording.id[:8]} ({recording.name}): nobody is written down as "
            f"having the camera.",
            style="yellow",
        )


@case.command("present")
@config_option
@as_option()
@click.argument("recording")
@click.argument("person")
@click.argument("how", type=click.Choice(["on_it", "present", "concerned"]))
def present(config: Path, acting: str, recording: str, person: str, how: str) -> None:
    """Write down who is on a recording, was present, or is concerned."""
    with opened(config) as vault:
        cases.name_present(
            vault, signed(vault, acting).actor, recording_called(vault, recording), person, how
        )
    out.print("Written down.")
