"""`vault doctor` and `vault alert`: is all well, and who is told where it is not."""

from pathlib import Path

import click
from rich.text import Text

from vault.cli.acting import config_option, opened
from vault.cli.terminal import out
from vault.clock import SystemClock
from vault.config import load_vault_settings
from vault.errors import Reaction
from vault.monitoring.alerts import tell, trial
from vault.monitoring.messenger import channels, this_machine
from vault.monitoring.metrics import figures_of
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


@click.command("alert")
@config_option
@click.option(
    "--try",
    "only_try",
    is_flag=True,
    help="Send a message that nothing is wrong, to see that it arrives.",
)
def alert(config: Path, only_try: bool) -> None:
    """Tell of alarms that began, last for another day, or ended, as `[alerts]` in the settings
    says. For a timer.
    """
    settings = load_vault_settings(config)
    clock = SystemClock()
    ways = channels(settings.alerts)
    if not ways:
        out.print(
            "Nobody is told of alarms: name `mail_to` or `webhook` under [alerts] in vault.toml.",
            soft_wrap=True,
        )
        return
    if only_try:
        trial(ways, clock.now(), this_machine())
        out.print("The message was taken.")
        return
    told = tell(
        settings.alerts.state, ways, figures_of(settings, clock), clock.now(), this_machine()
    )
    for notice in told:
        out.print(
            f"{notice.rule.name} {notice.turn.value}: {notice.rule.summary.en}", soft_wrap=True
        )
    if not told:
        out.print("There is nothing new to tell.")
