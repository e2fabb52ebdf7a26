"""`vault figures` and `vault account`: what a council and an auditor ask."""

from datetime import datetime
from pathlib import Path

import click

from vault.cli.acting import config_option, json_option, opened, reader_option, signed
from vault.cli.output import out, show_json, show_table
from vault.cli.times import moment
from vault.custody import figures
from vault.storage.durable import write_new


@click.command("figures")
@config_option
@reader_option
@json_option
@click.option("--year", type=int, required=True)
@click.option(
    "--csv", "as_csv", is_flag=True, help="For the website: a table, without personal data."
)
def show_figures(config: Path, acting: str, as_json: bool, year: int, as_csv: bool) -> None:
    """Figures of a year by month, without personal data (P62)."""
    with opened(config) as vault:
        rows = figures.figures(vault, signed(vault, acting).actor, year)
    if as_json:
        show_json(rows)
        return
    if as_csv:
        click.echo(figures.as_csv(rows), nl=False)
        return
    table = [(row.month, *row.counts.values()) for row in rows]
    show_table(("month", *figures.HEADINGS_EN.values()), table, "No figures.")


@click.command("account")
@config_option
@reader_option
@click.option("--from", "start", required=True, callback=lambda _, __, value: moment(value))
@click.option("--until", "end", required=True, callback=lambda _, __, value: moment(value))
@click.option(
    "-o",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="A new file: .pdf or .csv.",
)
def account(config: Path, acting: str, start: datetime, end: datetime, target: Path) -> None:
    """The accountability report for a council or the yearly Wpg audit: roles, viewings, deletions,
    exceptions.
    """
    with opened(config) as vault:
        report = figures.accountability(vault, signed(vault, acting).actor, start, end)
    content = (
        figures.report_pdf(report)
        if target.suffix == ".pdf"
        else figures.report_csv(report).encode()
    )
    write_new(target.with_name(f".{target.name}.part"), target, content)
    out.print(f"{target} stands.")
