"""The custody report: a PDF in Dutch that tells a recording's every step from switch-on to
hand-over.

Pure: facts in, bytes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Amsterdam")
RESPONSIBLE = "De politie of het OM is hierna verantwoordelijk voor het beeldmateriaal."
_REPLACED = str.maketrans(
    {"„": '"', "”": '"', "“": '"', "’": "'", "–": "-", "—": "-", "…": "...", "→": ">", "✓": "x"}
)


@dataclass(frozen=True, slots=True)
class RecordingFacts:
    """One recording, as the report shows it. Times in UTC or None where the camera states none."""

    name: str
    id: str
    camera: str
    officer: str
    started: datetime | None
    triggered: datetime | None
    stopped: datetime | None
    offset_ms: int | None
    preroll: str
    signature: str
    files: Sequence[tuple[str, int, str]]
    """Name, bytes, SHA-256."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the custody: when, who, what, and where it stands in the log."""

    moment: datetime
    who: str
    what: str
    entry: int


@dataclass(frozen=True, slots=True)
class CustodyFacts:
    """Everything that the report tells."""

    vault: str
    made: datetime
    ground: str
    reference: str
    received: datetime
    by: str
    in_place_of: str | None
    second: str
    receiver: str
    recordings: Sequence[RecordingFacts]
    steps: Sequence[Step]
    checkpoint: str
    sentence: str


def custody_report(facts: CustodyFacts) -> bytes:
    """The PDF."""
    page = _Page(facts)
    page.heading("Overdracht van opnamen")
    page.rows(
        [
            (
                "Grond",
                f"{facts.ground}, kenmerk {facts.reference}, ontvangen {_moment(facts.received)}",
            ),
            (
                "Verstrekt door",
                facts.by + (f", in de plaats van {facts.in_place_of}" if facts.in_place_of else ""),
            ),
            ("In aanwezigheid van", facts.second),
            ("Aan", facts.receiver),
            ("Gemaakt", _moment(facts.made)),
            ("Kluis", facts.vault),
        ]
    )
    page.text(facts.sentence)
    page.text(RESPONSIBLE)
    for recording in facts.recordings:
        page.heading(f"Opname {recording.name}")
        page.rows(_recording_rows(recording))
        page.table(
            ("bestand", "bytes", "SHA-256"),
            [(name, str(size), digest) for name, size, digest in recording.files],
            (28, 24, 118),
        )
    page.heading("Elke stap")
    page.table(
        ("wanneer", "wie", "wat", "regel"),
        [(_moment(step.moment), step.who, step.what, str(step.entry)) for step in facts.steps],
        (40, 38, 78, 14),
    )
    page.heading("Het logboek")
    page.text(
        "De laatste ondertekende stand van het logboek bij deze overdracht. CONTROLE.txt zegt "
        "hoe u haar narekent."
    )
    page.code(facts.checkpoint)
    return bytes(page.pdf.output())


def _recording_rows(recording: RecordingFacts) -> list[tuple[str, str]]:
    offset = (
        "niet gemeten"
        if recording.offset_ms is None
        else f"{recording.offset_ms} ms (camera min dock)"
    )
    return [
        ("Kenmerk", recording.id),
        ("Camera", recording.camera),
        ("Medewerker", recording.officer),
        ("Eerste beeld", _stated(recording.started)),
        ("Aangezet", _stated(recording.triggered)),
        ("Uitgezet", _stated(recording.stopped)),
        ("Klok van de camera", offset),
        ("Vóór het aanzetten", recording.preroll),
        ("Handtekening camera", recording.signature),
    ]


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(ZONE):%d-%m-%Y %H:%M:%S}"


def _stated(moment: datetime | None) -> str:
    return (
        "door de camera niet vermeld"
        if moment is None
        else f"{_moment(moment)} ({moment:%Y-%m-%dT%H:%M:%SZ})"
    )


class _Page:
    """The report while it is laid out. Core fonts, Latin-1: what has no letter there gets its
    nearest.
    """

    def __init__(self, facts: CustodyFacts) -> None:
        # Imported where it draws: with what it brings (fontTools, Pillow) it makes a start of the
        # back office half as long again.
        from fpdf import FPDF  # noqa: PLC0415

        reference = latin(facts.reference)

        class Paged(FPDF):
            def footer(self) -> None:
                self.set_y(-14)
                self.set_font("Helvetica", size=8)
                self.set_text_color(90)
                self.cell(0, 6, f"{reference} - bladzijde {self.page_no()} van {{nb}}", align="C")

        self.pdf = Paged(format="A4")
        self.pdf.set_creation_date(facts.made)
        self.pdf.set_title(latin(f"Overdracht {facts.reference}"))
        self.pdf.set_lang("nl")
        self.pdf.set_margins(20, 18, 20)
        self.pdf.set_auto_page_break(True, margin=20)
        self.pdf.add_page()

    def heading(self, text: str) -> None:
        self.pdf.ln(3)
        if self.pdf.will_page_break(40):
            self.pdf.add_page()
        self.pdf.set_font("Helvetica", "B", 14)
        self._line(text, 9)

    def text(self, text: str) -> None:
        self.pdf.set_font("Helvetica", size=10)
        self.pdf.multi_cell(0, 5, latin(text), align="L", new_x="LMARGIN", new_y="NEXT")
        self.pdf.ln(1)

    def code(self, text: str) -> None:
        self.pdf.set_font("Courier", size=8)
        self.pdf.multi_cell(0, 4, latin(text), align="L", new_x="LMARGIN", new_y="NEXT")

    def rows(self, rows: Sequence[tuple[str, str]]) -> None:
        for name, value in rows:
            self.pdf.set_font("Helvetica", "B", 10)
            self.pdf.cell(45, 6, latin(name))
            self.pdf.set_font("Helvetica", size=10)
            self.pdf.multi_cell(0, 6, latin(value), align="L", new_x="LMARGIN", new_y="NEXT")
        self.pdf.ln(1)

    def table(
        self, headings: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]
    ) -> None:
        self.pdf.set_font("Helvetica", size=8)
        with self.pdf.table(
            col_widths=tuple(widths), text_align="LEFT", line_height=4.2, padding=0.6
        ) as table:
            for cells in (headings, *rows):
                row = table.row()
                for cell in cells:
                    row.cell(latin(cell))

    def _line(self, text: str, height: float) -> None:
        self.pdf.cell(0, height, latin(text), new_x="LMARGIN", new_y="NEXT")


def latin(text: str) -> str:
    """Text as the core fonts can show it: what has no letter in Latin-1 gets its nearest."""
    return text.translate(_REPLACED).encode("latin-1", "replace").decode("latin-1")
