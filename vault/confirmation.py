"""Two persons confirm a rebuilt or restored catalogue; only then is anything erased on a camera again."""

from vault import catalogue
from vault.audit import Entry
from vault.errors import PairRefused
from vault.keys import Unwrapper
from vault.policy import pair_of
from vault.vault import UNCONFIRMED, Vault


def unconfirmed_since(vault: Vault) -> str | None:
    """When the catalogue was rebuilt, or None where nothing waits for a confirmation."""
    with vault.reading() as tx:
        return catalogue.get_meta(tx, UNCONFIRMED)


def confirm(vault: Vault, first: Unwrapper, second: Unwrapper) -> None:
    """Both have looked at the list of recordings and found it as it should be. Raises PairRefused."""
    pair = pair_of(first.receiver, second.receiver)
    if pair is None or first.person == second.person:
        raise PairRefused("A rebuilt catalogue is confirmed by two different persons whose functions may view together.")
    with vault.writing() as tx:
        catalogue.delete_meta(tx, UNCONFIRMED)
        details = {"pair": pair.name, "persons": sorted((first.person, second.person))}
        vault.log.append(tx, Entry("vault.confirmed", "vault confirm", None, details))
