"""The vault's command line."""

import importlib
import os
import sys

import click
from click.exceptions import NoSuchCommand

from vault.cli.terminal import err
from vault.errors import Failure

COMMANDS = {
    "account": "account.account",
    "alert": "health.alert",
    "approve": "retention.approve_sweep",
    "archive": "retention.archive_recording",
    "assign": "assignments.assign",
    "backup": "backup.back_up",
    "camera": "cameras.camera",
    "case": "cases.case",
    "ceremony": "ceremony.ceremony",
    "checkpoint": "log.checkpoint",
    "clock": "retention.clock",
    "confirm": "catalogue.confirm_catalogue",
    "delete": "retention.delete",
    "doctor": "health.show_doctor",
    "drill": "backup.run_drill",
    "due": "retention.soon_due",
    "figures": "account.show_figures",
    "handover": "handovers.hand_over_group",
    "init": "founding.init",
    "list": "recordings.list_recordings",
    "log": "log.show_log",
    "migrate": "catalogue.migrate_catalogue",
    "open": "recordings.open_files",
    "person": "persons.person",
    "rebuild": "catalogue.rebuild_catalogue",
    "report": "reports.report",
    "restore": "backup.restore",
    "sweep": "retention.sweep_vault",
    "verify": "verify.verify_vault",
    "view": "viewings.view",
    "web": "web.web",
    "why": "retention.why",
}
"""Each command, and where it stands in `vault.cli`."""


class Commands(click.Group):
    """Imports a command when it is called: what a timer runs every few minutes starts with what it
    needs itself.
    """

    def list_commands(self, _: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(".")
        command: click.Command = getattr(importlib.import_module(f"vault.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as unknown:
            raise NoSuchCommand(unknown.command_name, possibilities=COMMANDS, ctx=ctx) from None


@click.group(cls=Commands)
def commands() -> None:
    """Keeps the recordings of body cameras: sealed, proven, under four eyes."""


def main() -> None:
    # Nobody beside owner and group, whatever the caller allows.
    os.umask(os.umask(0o077) | 0o007)
    try:
        commands()
    except Failure as failure:
        err.print(failure.sentence, style="red")
        err.print(f"{failure.hint} [{failure.code}]")
        sys.exit(failure.reaction.value)


if __name__ == "__main__":
    main()
