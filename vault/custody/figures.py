"""Figures for the website, without personal data (P62), and the accountability report for a council
or the yearly Wpg audit.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from vault.catalogue import deletion_rows, person_rows
from vault.catalogue.person_rows import AbsenceRow, HoldingRow
from vault.clock import utc_moment, utc_text
from vault.crypto.canonical_json import Json, parse_object
from vault.custody.handover.custody_report import ZONE, latin
from vault.custody.papers import Paper, read_reason, reason_paper
from vault.custody.people import entry
from vault.log.log import read_tree
from vault.rules.actions import Action, Actor, demand
from vault.rules.case_kinds import CASES, CaseKind
from vault.rules.purposes import PURPOSES, Purpose
from vault.rules.roles import ROLE_NAMES_NL, Role
from vault.vault import Vault


def _headings() -> Iterator[tuple[str, str, str]]:
    """What is counted, and its heading in Dutch and in English: each kind of case has its column,
    and what was decided on access requests follows theirs.
    """
    yield "recording.stored", "opnamen", "recordings"
    yield "report.filed", "meldingen van gebruik", "reports"
    yield "viewing.opened", "keren bekeken", "viewings"
    for kind, rule in CASES.items():
        yield kind.value, rule.many_nl, rule.many_en
        if kind is CaseKind.ACCESS_REQUEST:
            yield "granted", "inzage toegewezen", "granted"
            yield "refused", "inzage afgewezen", "refused"
    yield "handover.made", "keren verstrekt", "handed over"
    yield "recording.destroyed", "opnamen vernietigd", "destroyed"


HEADINGS_NL = {name: dutch for name, dutch, _ in _headings()}
HEADINGS_EN = {name: english for name, _, english in _headings()}
_BECAUSE_NL = {
    "retention": "de 28 dagen waren om",
    "late_docking": "laat ingelezen, 7 dagen daarna",
    "hold_lifted": "de laatste zaak was gesloten",
    "by_hand": "door twee functionarissen",
}
_PROGRAMS_NL = {"dockd": "dockingstation", "vault sweep": "kluis"}
EXCEPTIONS_NL = {
    "person.refused": "aanmelding geweigerd",
    "viewing.denied": "bekijken geweigerd",
    "clock.doubted": "klok niet vertrouwd",
    "recording.refused": "opname geweigerd",
    "recording.failed": "opname mislukt",
    "recording.adopted": "opname na storing teruggevonden",
    "camera.refused": "camera geweigerd",
    "camera.alarm": "alarm bij een camera",
    "erase.failed": "wissen op camera mislukt",
    "drill.failed": "oefening mislukt",
    "vault.rebuilt": "catalogus opnieuw opgebouwd",
    "vault.restored": "kluis teruggezet",
    "log.key_changed": "nieuwe sleutel van het logboek",
}


@dataclass(frozen=True, slots=True)
class Month:
    """One month's figures; `counts` in the order of the headings."""

    month: str
    counts: dict[str, int]


def figures(vault: Vault, by: Actor, year: int) -> list[Month]:
    """The figures of a year, by month of the municipality's own time, from the log alone. Raises
    NotAllowed.
    """
    acting = demand(Action.READ_FIGURES, by)
    counted: dict[int, Counter[str]] = {month: Counter() for month in range(1, 13)}
    for leaf in vault.leaves():
        parsed = parse_object(leaf)
        moment = utc_moment(parsed["time_utc"]).astimezone(ZONE)
        if moment.year == year:
            counted[moment.month].update(_counts(parsed["action"], parsed["details"]))
    vault.record(entry(acting, "figures.read", None, {"year": year}))
    return [
        Month(f"{year}-{month:02d}", {name: counts[name] for name in HEADINGS_NL})
        for month, counts in counted.items()
    ]


def _counts(action: str, details: dict[str, object]) -> list[str]:
    match action:
        case "case.registered":
            return [str(details["kind"])]
        case "case.decided":
            return ["granted" if details["granted"] else "refused"]
        case _:
            return [action] if action in HEADINGS_NL else []


def as_csv(months: Sequence[Month]) -> str:
    """For the website: Dutch headings, a row a month, the year's sum."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("maand", *HEADINGS_NL.values()))
    for month in months:
        writer.writerow((month.month, *month.counts.values()))
    writer.writerow(
        ("totaal", *(sum(month.counts[name] for month in months) for name in HEADINGS_NL))
    )
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report: a part of it, when, who, what, and about which subject."""

    part: str
    moment: str
    who: str
    what: str
    about: str


@dataclass(frozen=True, slots=True)
class Accountability:
    """The report: who holds which function, every viewing and hand-over, every destruction with its
    confirmation, exceptions.
    """

    vault: str
    start: datetime
    end: datetime
    made: datetime
    lines: tuple[Line, ...]
    entries: int
    root: str


def accountability(vault: Vault, by: Actor, start: datetime, end: datetime) -> Accountability:
    """What a council or an auditor asks of a period. Names of officials, and nobody else's. Raises
    NotAllowed.
    """
    acting = demand(Action.READ_LOG, by)
    with vault.reading() as tx:
        called = {row.id: row.name for row in person_rows.persons(tx)}
        held = person_rows.holdings(tx)
        replaced = person_rows.absences(tx)
        reasons = {row.id: reason_paper(tx, row.id, "absence.recorded") for row in replaced}
        confirmed = {row.recording_id: row.confirmed_utc for row in deletion_rows.destructions(tx)}
    period = (utc_text(start), utc_text(end))
    texts = {key: read_reason(vault, paper) for key, paper in reasons.items()}
    lines = [*_held_lines(held, called, period), *_replaced_lines(replaced, texts, called, period)]
    entries = 0
    for leaf in vault.leaves():
        entries += 1
        parsed = parse_object(leaf)
        if period[0] <= parsed["time_utc"] < period[1]:
            reason = _reason_of_deletion(vault, parsed["details"])
            lines += _lines_of(parsed, called, confirmed, reason)
    what = {"what": "accountability", "from_utc": period[0], "until_utc": period[1]}
    vault.record(entry(acting, "log.read", None, what))
    with vault.reading() as tx:
        root = read_tree(tx).head().root.hex()
    return Accountability(
        vault.id, start, end, vault.clock.now().astimezone(UTC), tuple(lines), entries, root
    )


def _held_lines(
    held: Iterable[HoldingRow], called: Mapping[str, str], period: tuple[str, str]
) -> Iterator[Line]:
    """Who held which function at any time of a period."""
    first, last = period
    for row in held:
        if row.from_utc < last and (row.until_utc or last) >= first:
            yield Line(
                "functies",
                row.from_utc,
                called.get(row.person, row.person),
                _function(row.function, row.standing),
                row.until_utc or "",
            )


def _replaced_lines(
    replaced: Iterable[AbsenceRow],
    reasons: Mapping[str, str | None],
    called: Mapping[str, str],
    period: tuple[str, str],
) -> Iterator[Line]:
    """Who stood in for whom at any time of a period."""
    first, last = period
    for row in replaced:
        if row.from_utc < last and row.until_utc >= first:
            yield Line(
                "vervanging",
                row.from_utc,
                called.get(row.substitute, row.substitute),
                f"vervangt {called.get(row.absent, row.absent)} als {_function(row.role, False)}"
                f"{_in_brackets(reasons[row.id])}",
                row.ended_utc or row.until_utc,
            )


def _function(role: str, key_only: bool) -> str:
    return ROLE_NAMES_NL[Role(role)] + (" (bewaart alleen de sleutel)" if key_only else "")


def _lines_of(
    parsed: Json,
    called: Mapping[str, str],
    confirmed: Mapping[str, str | None],
    reason_of_deletion: str | None,
) -> Iterator[Line]:
    """The line that an entry of the log is worth, if any."""
    action, subject, details = (
        str(parsed["action"]),
        str(parsed["subject"] or ""),
        parsed["details"],
    )
    actor = str(parsed["actor"])
    who = called.get(actor, _PROGRAMS_NL.get(actor, actor))
    when = str(parsed["time_utc"])
    match action:
        case "viewing.opened":
            both = " en ".join(
                f"{called.get(seat['person'], seat['person'])} ({seat['role']})"
                for seat in details["seats"]
            )
            purpose = PURPOSES[Purpose(str(details["purpose"]))].name_nl
            yield Line("bekeken", when, both, purpose, ", ".join(details["recordings"]))
        case "handover.made":
            to = f"aan {details['receiver']}"
            yield Line("verstrekt", when, who, to, str(details["sha256"]))
        case "recording.destroyed":
            both = " en ".join(filter(None, (who, called.get(str(details.get("second"))))))
            what = _destroyed_because(details, reason_of_deletion, confirmed.get(subject))
            yield Line("vernietigd", when, both, what, subject)
        case _ if action in EXCEPTIONS_NL:
            what = f"{EXCEPTIONS_NL[action]}: {details.get('sentence', '')}".rstrip(": ")
            yield Line("bijzonder", when, who, what, subject)


def _destroyed_because(details: Json, reason: str | None, confirmed_utc: str | None) -> str:
    confirmed = (
        f"nagezien dat zij weg is: {confirmed_utc}" if confirmed_utc else "NOG NIET NAGEZIEN"
    )
    why = f": {reason}" if reason else ""
    return f"{_BECAUSE_NL[str(details['because'])]}{why}; {confirmed}"


def _in_brackets(text: str | None) -> str:
    return f" ({text})" if text else ""


def _reason_of_deletion(vault: Vault, details: Json) -> str | None:
    """Why two officials deleted a recording: from its paper; from an entry of a vault of schema
    0002, which holds it itself.
    """
    if details.get("because") != "by_hand":
        return None
    if "paper" in details:
        return read_reason(vault, Paper(details["paper"], details["paper_sha256"]))
    return str(details["reason"]) if "reason" in details else None


def report_csv(report: Accountability) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("deel", "wanneer", "wie", "wat", "waarover"))
    for line in report.lines:
        writer.writerow((line.part, line.moment, line.who, line.what, line.about))
    return out.getvalue()


_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def _local(utc: str) -> str:
    return f"{utc_moment(utc).astimezone(ZONE):%d-%m-%Y %H:%M}"


def _locals(text: str) -> str:
    """A text with its times as people write them; the CSV keeps them as the log has them."""
    return _UTC.sub(lambda found: _local(found[0]), text)


def report_pdf(report: Accountability) -> bytes:
    """The report as a PDF in Dutch."""
    # Imported where it draws, as in custody_report.py.
    from fpdf import FPDF  # noqa: PLC0415

    pdf = FPDF(orientation="landscape", format="A4")
    pdf.set_creation_date(report.made)
    pdf.set_title("Verantwoording bodycams")
    pdf.set_lang("nl")
    pdf.set_margins(15, 15, 15)
    pdf.set_auto_page_break(True, margin=15)
    pdf.add_page()
    pdf.set_font("Helvetica", "B", 16)
    pdf.cell(0, 10, "Verantwoording bodycams", new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("Helvetica", size=10)
    period = f"{report.start.astimezone(ZONE):%d-%m-%Y} tot {report.end.astimezone(ZONE):%d-%m-%Y}"
    summary = (
        f"Over {period}. Gemaakt {report.made.astimezone(ZONE):%d-%m-%Y %H:%M}, uit "
        f"{report.entries} regels van het logboek."
    )
    pdf.multi_cell(
        0,
        6,
        latin(f"{summary} Kluis {report.vault}. Wortel van het logboek: {report.root}."),
        align="L",
        new_x="LMARGIN",
        new_y="NEXT",
    )
    for part in ("functies", "vervanging", "bekeken", "verstrekt", "vernietigd", "bijzonder"):
        lines = [line for line in report.lines if line.part == part]
        pdf.ln(3)
        if pdf.will_page_break(30 if lines else 16):
            pdf.add_page()
        pdf.set_font("Helvetica", "B", 12)
        pdf.cell(0, 8, latin(f"{part.capitalize()} ({len(lines)})"), new_x="LMARGIN", new_y="NEXT")
        pdf.set_font("Helvetica", size=8)
        if not lines:
            pdf.cell(0, 5, "Geen.", new_x="LMARGIN", new_y="NEXT")
            continue
        with pdf.table(
            col_widths=(38, 60, 95, 74), text_align="LEFT", line_height=4.2, padding=0.6
        ) as table:
            for cells in (
                ("wanneer", "wie", "wat", "waarover of tot"),
                *(
                    (_local(one.moment), one.who, _locals(one.what), _locals(one.about))
                    for one in lines
                ),
            ):
                row = table.row()
                for cell in cells:
                    row.cell(latin(cell))
    return bytes(pdf.output())
