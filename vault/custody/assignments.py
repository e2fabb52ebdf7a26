"""Who carried which camera, as the coordinator reads it (P25)."""

from vault.catalogue import report_rows
from vault.catalogue.report_rows import AssignmentRow
from vault.rules.actions import Action, Actor, demand
from vault.vault import Vault


def listed(vault: Vault, by: Actor, serial: str | None = None) -> list[AssignmentRow]:
    """Who had a camera, or each camera, from and until, in order of time. Raises NotAllowed."""
    demand(Action.ASSIGN_CAMERA, by)
    with vault.reading() as tx:
        return report_rows.assignments(tx, serial)
