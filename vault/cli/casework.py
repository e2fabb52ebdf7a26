"""`vault case` and `vault report`: what holds a recording, and the officers' reports of use."""

from datetime import datetime
from pathlib import Path

import click

from vault import cases, registers, reports
from vault.cases import NewCase, find_case, still_open_because
from vault.cli.base import (
    as_option,
    config_option,
    json_option,
    local,
    moment,
    names,
    opened,
    out,
    recording_id,
    recording_ids,
    show_json,
    show_table,
    signed,
)
from vault.papers import Paper, read_paper
from vault.people import entry
from vault.policy import CASES, Action, CaseKind, demand
from vault.reports import LOCATION_NAMES_NL, Location, UseReport

KINDS = click.Choice([kind.value for kind in CaseKind])


@click.group()
def case() -> None:
    """Police reports, demands, complaints, access requests: what holds recordings, and until when (P32 to P35, P57 to P61)."""


@case.command("register")
@config_option
@as_option()
@click.argument("kind", type=KINDS)
@click.argument("reference")
@click.argument("recordings", nargs=-1)
@click.option("--received", required=True, callback=lambda _, __, value: moment(value), help="When it came in: 2026-11-24 18:05.")
@click.option("--concerned", multiple=True, help="An official who is its subject and takes no part; may be given again.")
@click.option("--text", default="", help="What it is about. Stands apart from the log.")
def register(
    config: Path,
    acting: str,
    kind: str,
    reference: str,
    recordings: tuple[str, ...],
    received: datetime,
    concerned: tuple[str, ...],
    text: str,
) -> None:
    """Register a case: its recordings are held from its receipt."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        ids = tuple(recording_ids(vault, recordings))
        new = NewCase(CaseKind(kind), reference, received, ids, frozenset(concerned), text)
        case_id = cases.register(vault, by, new)
        others = cases.suggestions(vault, ids)
    held = "one recording" if len(ids) == 1 else f"{len(ids)} recordings"
    out.print(f"The case {case_id[:8]} holds {held}.")
    for row in others:
        out.print(f"At the same time: {row.id[:8]} ({row.name}). `vault case extend` adds it.", style="yellow")


@case.command("extend")
@config_option
@as_option()
@click.argument("called")
@click.argument("recordings", nargs=-1, required=True)
def extend(config: Path, acting: str, called: str, recordings: tuple[str, ...]) -> None:
    """Let a case hold further recordings."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        cases.extend(vault, by, find_case(vault, called).id, recording_ids(vault, recordings))
    out.print("They are held.")


@case.command("decide")
@config_option
@as_option()
@click.argument("called")
@click.option("--granted/--refused", required=True)
@click.option("--necessity", required=True, help="What was found on its necessity (P58).")
@click.option("--reasons", required=True)
def decide(config: Path, acting: str, called: str, granted: bool, necessity: str, reasons: str) -> None:
    """Decide one access request (privacy officer)."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        cases.decide(vault, by, find_case(vault, called).id, granted=granted, necessity=necessity, reasons=reasons)
        row = find_case(vault, called)
    out.print("Granted." if granted else f"Refused. An objection can be made until {local(row.objection_until_utc)}.")


@case.command("carried-out")
@config_option
@as_option()
@click.argument("called")
def carried_out(config: Path, acting: str, called: str) -> None:
    """The decision on an access request was carried out."""
    with opened(config) as vault:
        cases.carry_out(vault, signed(vault, acting).actor, find_case(vault, called).id)
    out.print("Carried out.")


@case.command("objection")
@config_option
@as_option()
@click.argument("called")
@click.option("--received", required=True, callback=lambda _, __, value: moment(value))
@click.option("--text", default="")
def objection(config: Path, acting: str, called: str, received: datetime, text: str) -> None:
    """An objection against a refusal came in."""
    with opened(config) as vault:
        cases.register_objection(vault, signed(vault, acting).actor, find_case(vault, called).id, received, text)
    out.print("The objection is registered; the recordings stay.")


@case.command("objection-decided")
@config_option
@as_option()
@click.argument("called")
@click.option("--upheld/--rejected", required=True)
@click.option("--reference", required=True, help="The decision's own reference.")
def objection_decided(config: Path, acting: str, called: str, upheld: bool, reference: str) -> None:
    """The objection was decided."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        cases.decide_objection(vault, by, find_case(vault, called).id, upheld=upheld, reference=reference)
    out.print("The request is decided anew." if upheld else "The refusal is final.")


@case.command("close")
@config_option
@as_option()
@click.argument("called")
@click.option("--reference", default="", help="The prosecutor's agreement, or the letter that ends the complaint.")
def close(config: Path, acting: str, called: str, reference: str) -> None:
    """End a case as its kind ends."""
    with opened(config) as vault:
        cases.close(vault, signed(vault, acting).actor, find_case(vault, called).id, reference=reference)
    out.print("Closed. What no other case holds falls due as `vault why` tells.")


@case.command("list")
@config_option
@as_option()
@json_option
@click.option("--all", "everything", is_flag=True, help="The closed ones too.")
def list_cases(config: Path, acting: str, as_json: bool, everything: bool) -> None:
    """Show the cases."""
    with opened(config) as vault:
        demand(Action.LIST_RECORDINGS, signed(vault, acting).actor)
        now = vault.clock.now()
        with vault.reading() as tx:
            rows = registers.cases(tx, open_only=not everything)
            held = {row.id: len(registers.holds_of_case(tx, row.id)) for row in rows}
    if as_json:
        show_json(rows)
        return
    table = []
    for row in rows:
        stands = f"closed {local(row.closed_utc)}" if row.closed_utc else still_open_because(row, "", now) or "can be closed"
        table.append(
            (row.id[:8], CASES[CaseKind(row.kind)].name_nl, row.reference, local(row.received_utc), held[row.id], stands)
        )
    show_table(("case", "kind", "reference", "received", "recordings", "stands"), table, "No case is open.")


@case.command("show")
@config_option
@as_option()
@click.argument("called")
def show_case(config: Path, acting: str, called: str) -> None:
    """Show a case with its papers. That it was read stands in the log."""
    with opened(config) as vault:
        by = signed(vault, acting).actor
        row = find_case(vault, called)
        register = row.kind == CaseKind.ACCESS_REQUEST.value
        acting_as = demand(Action.READ_ACCESS_REGISTER if register else Action.LIST_RECORDINGS, by)
        with vault.reading() as tx:
            held = registers.holds_of_case(tx, row.id)
            papers = registers.papers_of(tx, row.id)
        with vault.writing() as tx:
            vault.log.append(tx, entry(acting_as, "case.read", row.id, {}))
        show_json([row, *held])
        for paper in papers:
            show_json([{"paper": paper.action, "text": read_paper(vault, Paper(paper.id, paper.sha256))}])


@click.group()
def report() -> None:
    """The officer's report of use, and what is still missing (P21, P22)."""


@report.command("file")
@config_option
@as_option()
@click.argument("recordings", nargs=-1)
@click.option("--used", required=True, callback=lambda _, __, value: moment(value), help="When: 2026-11-24 18:05.")
@click.option("--location", type=click.Choice([place.value for place in Location]), required=True)
@click.option("--cause", required=True, help="What gave the cause.")
@click.option("--event", required=True, help="What happened.")
@click.option("--announced/--not-announced", required=True)
@click.option("--announcement", required=True, help="How and when it was announced, or why it was not.")
@click.option("--informed/--not-informed", required=True)
@click.option("--information", required=True, help="How those involved were informed, or why they were not.")
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
        ids = tuple(recording_ids(vault, recordings))
        use = UseReport(ids, used, Location(location), cause, event, announced, announcement, informed, information)
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
        with vault.reading() as tx:
            found = [row.id for row in registers.reports(tx) if row.id.startswith(called)]
        reports.receive(vault, by, found[0] if len(found) == 1 else called)
    out.print("Received.")


@report.command("list")
@config_option
@json_option
def list_reports(config: Path, as_json: bool) -> None:
    """Show the reports, without their texts."""
    with opened(config) as vault:
        with vault.reading() as tx:
            rows = registers.reports(tx)
        called = names(vault)
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
    show_table(("report", "officer", "used", "where", "filed", "to", "received"), table, "No report was filed.")


@report.command("missing")
@config_option
@json_option
def missing(config: Path, as_json: bool) -> None:
    """Recordings without a report, reports without a recording, and recordings while nobody had the camera."""
    with opened(config) as vault:
        lacking = reports.missing_reports(vault)
        alone = reports.reports_without_recording(vault)
        unknown = reports.on_without_carrier(vault)
        called = names(vault)
    if as_json:
        show_json(
            {"recording": one.recording.id, "person": one.person, "due": one.due, "overdue": one.overdue} for one in lacking
        )
        return
    table = [
        (
            one.recording.id[:8],
            called.get(one.person or "", "not known"),
            one.due.strftime("%Y-%m-%d %H:%M UTC"),
            "overdue" if one.overdue else "",
        )
        for one in lacking
    ]
    show_table(("recording", "officer", "due", ""), table, "Every recording has its report.")
    for row in alone:
        out.print(f"Report {row.id[:8]} speaks of a use on {local(row.used_utc)} of which there is no recording.", style="yellow")
    for recording in unknown:
        out.print(
            f"Recording {recording.id[:8]} ({recording.name}): nobody is written down as having the camera.", style="yellow"
        )


@click.group()
def assign() -> None:
    """Who carries which camera (boa-coördinator)."""


@assign.command("to")
@config_option
@as_option("BC")
@click.argument("serial")
@click.argument("person")
@click.option("--since", callback=lambda _, __, value: moment(value) if value else None, help="As 2026-11-24 18:05; now.")
def assign_to(config: Path, acting: str, serial: str, person: str, since: datetime | None) -> None:
    """A person carries a camera from now on."""
    with opened(config) as vault:
        reports.assign(vault, signed(vault, acting).actor, serial, person, since)
    out.print(f"{serial} is with {person}.")


@assign.command("back")
@config_option
@as_option("BC")
@click.argument("serial")
def assign_back(config: Path, acting: str, serial: str) -> None:
    """Nobody carries a camera from now on."""
    with opened(config) as vault:
        reports.take_back(vault, signed(vault, acting).actor, serial)
    out.print(f"{serial} is with nobody.")


@assign.command("list")
@config_option
@json_option
def list_assignments(config: Path, as_json: bool) -> None:
    """Who carried which camera, when."""
    with opened(config) as vault:
        with vault.reading() as tx:
            rows = registers.assignments(tx)
        called = names(vault)
    if as_json:
        show_json(rows)
        return
    table = [(row.camera_serial, called.get(row.person), local(row.from_utc), local(row.until_utc)) for row in rows]
    show_table(("camera", "person", "from", "until"), table, "No camera was ever assigned.")


@case.command("present")
@config_option
@as_option()
@click.argument("recording")
@click.argument("person")
@click.argument("how", type=click.Choice(["on_it", "present", "concerned"]))
def present(config: Path, acting: str, recording: str, person: str, how: str) -> None:
    """Write down who is on a recording, was present, or is concerned."""
    with opened(config) as vault:
        cases.name_present(vault, signed(vault, acting).actor, recording_id(vault, recording), person, how)
    out.print("Written down.")
