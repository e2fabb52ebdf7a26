"""`vault doctor`: all that the vault stands on."""

from pathlib import Path

import click
from rich.text import Text

from vault.cli.acting import config_option, opened
from vault.cli.output import out
from vault.clock import SystemClock
from vault.errors import Reaction
from vault.operations import doctor


@click.command("doctor")
@config_option
def show_doctor(config: Path) -> None:
    """Look at all that the vault stands on, line by line, with what to do. Ends with 70 where
    something is bad.
    """
    bad = False
    marks = {doctor.Verdict.GOOD: "green", doctor.Verdict.LOOK: "yellow", doctor.Verdict.BAD: "red"}
    with opened(config) as vault:
        for line in doctor.examine(vault, SystemClock()):
            advice = f" {line.advice}" if line.advice else ""
            out.print(
                Text(f"{line.verdict.value:<5}", marks[line.verdict]),
                Text(f"{line.what}: {line.sentence}{advice}"),
                soft_wrap=True,
            )
            bad |= line.verdict is doctor.Verdict.BAD
    if bad:
        raise SystemExit(Reaction.ALARM.value)
