"""Two persons confirm a rebuilt or restored catalogue; only then is anything erased on a camera, or
destroyed, again.
"""

from vault.catalogue import facts
from vault.custody.people import entry
from vault.rules.actions import Action, Actor, demand, demand_second
from vault.vault import UNCONFIRMED, Vault


def unconfirmed_since(vault: Vault) -> str | None:
    """When the catalogue was rebuilt, or None where nothing waits for a confirmation."""
    with vault.reading() as tx:
        return facts.get_meta(tx, UNCONFIRMED)


def confirm(vault: Vault, first: Actor, second: Actor) -> None:
    """Both have looked at the list of recordings and holds, and found it as it should be. Raises
    NotAllowed.
    """
    acting = demand(Action.CONFIRM, first)
    other = demand_second(Action.CONFIRM, acting, second)
    with vault.writing() as tx:
        facts.delete_meta(tx, UNCONFIRMED)
        vault.record(
            entry(
                acting,
                "vault.confirmed",
                None,
                {"second": other.person, "second_role": other.role.value},
            ),
            tx,
        )
