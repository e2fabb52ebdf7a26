"""The log, the figures, the accountability report, and the health of vault and dock (P39, P62)."""

from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from vault.crypto.canonical_json import Json
from vault.custody.figures import (
    HEADINGS_EN,
    HEADINGS_NL,
    accountability,
    as_csv,
    figures,
    report_csv,
    report_pdf,
)
from vault.custody.log_reading import read_log
from vault.monitoring.dock_status import ask_dock
from vault.operations.health import health
from vault.rules.actions import Action
from vault.web.request import FormWrong, Visit
from vault.web.routing import Routes
from vault.web.text.words import ZONE, local_input

routes = Routes()

LINES = 100
LONGEST_SEARCH = 200_000
"""How many entries back a search by subject looks."""


@routes.page("/log", Action.READ_LOG)
def show_log(visit: Visit) -> Response:
    """The newest entries, or those about a subject. That it was read stands in it first."""
    about, number = visit.query("about"), visit.page_number()
    found = read_log(
        visit.vault, visit.by, about=about, count=LINES, page=number, deepest=LONGEST_SEARCH
    )
    return visit.page(
        "log.html",
        rows=found.entries,
        about=about,
        size=found.size,
        names=visit.names(),
        pages=1 if about else max(1, -(-found.size // LINES)),
        number=number,
    )


@routes.page("/figures", Action.READ_FIGURES)
def show_figures(visit: Visit) -> Response:
    """A year's figures by month, without personal data."""
    year = _year(visit)
    headings = HEADINGS_NL if visit.words.language == "nl" else HEADINGS_EN
    today = visit.vault.clock.now()
    return visit.page(
        "figures.html",
        year=year,
        months=figures(visit.vault, visit.by, year),
        headings=headings,
        begin=local_input(today - timedelta(days=365)),
        end=local_input(today),
    )


@routes.page("/figures.csv", Action.READ_FIGURES)
def download_figures(visit: Visit) -> Response:
    year = _year(visit)
    return _file(
        as_csv(figures(visit.vault, visit.by, year)).encode(),
        "text/csv; charset=utf-8",
        f"cijfers-{year}.csv",
    )


def _year(visit: Visit) -> int:
    text = visit.query("year")
    now: datetime = visit.vault.clock.now().astimezone(ZONE)
    return (
        int(text) if text.isascii() and text.isdigit() and 2000 <= int(text) <= 2200 else now.year
    )


@routes.page("/accountability", Action.READ_LOG)
def show_accountability(visit: Visit) -> Response:
    """The report for the council or the yearly audit: PDF, or CSV with `form=csv`."""
    period = [_day(visit, name) for name in ("from", "until")]
    report = accountability(visit.vault, visit.by, period[0], period[1])
    if visit.query("form") == "csv":
        return _file(report_csv(report).encode(), "text/csv; charset=utf-8", "verantwoording.csv")
    return _file(report_pdf(report), "application/pdf", "verantwoording.pdf")


def _day(visit: Visit, name: str) -> datetime:
    try:
        return datetime.fromisoformat(visit.query(name)).replace(tzinfo=ZONE).astimezone(UTC)
    except (ValueError, OverflowError):
        raise FormWrong(
            visit.words.t("Geef een begin en een einde.", "Give a start and an end.")
        ) from None


def _file(content: bytes, media_type: str, name: str) -> Response:
    return Response(
        content,
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@routes.page("/state", Action.CHECK)
def show_health(visit: Visit) -> Response:
    """Whether vault and dock are sound: no recording, nobody's data."""
    dock: Json | None = ask_dock(visit.vault.settings.web.dock_status)
    return visit.page("state.html", health=health(visit.vault, visit.by), dock=dock)
