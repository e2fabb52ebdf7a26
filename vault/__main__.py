"""The vault's command line."""

import os
import sys

import click

from vault.cli import alert, casework, custody, ground, people, web
from vault.cli.base import err
from vault.errors import Failure


@click.group()
def commands() -> None:
    """Keeps the recordings of body cameras: sealed, proven, under four eyes."""


for command in (
    ground.init,
    ground.camera,
    ground.list_recordings,
    ground.verify_vault,
    ground.rebuild_catalogue,
    ground.confirm_catalogue,
    ground.open_files,
    ground.migrate_catalogue,
    people.ceremony,
    people.person,
    casework.case,
    casework.report,
    casework.assign,
    custody.view,
    custody.hand_over_group,
    custody.show_figures,
    custody.account,
    custody.why,
    custody.archive_recording,
    custody.delete,
    custody.sweep_vault,
    custody.approve_sweep,
    custody.soon_due,
    custody.clock,
    custody.show_log,
    custody.checkpoint,
    custody.show_doctor,
    custody.run_drill,
    custody.back_up,
    custody.restore,
    alert.alert,
    web.web,
):
    commands.add_command(command)


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
