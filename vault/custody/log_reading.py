"""Reading the log (P39): that it was read is an entry of its own, in it before anything is shown."""

from dataclasses import dataclass
from itertools import islice

import sqlalchemy as sa

from vault.crypto.canonical_json import Json, parse_object
from vault.custody.people import entry
from vault.log.log import newest_leaves, read_tree
from vault.rules.actions import Action, Actor, demand
from vault.vault import Vault


@dataclass(frozen=True, slots=True)
class LogPage:
    """Entries, the newest first, and how many the log has in all."""

    entries: tuple[Json, ...]
    size: int


def read_log(
    vault: Vault,
    by: Actor,
    *,
    about: str | None = None,
    count: int = 100,
    page: int = 1,
    deepest: int | None = None,
) -> LogPage:
    """The newest entries, a page of `count`; or the newest `count` about a subject whose id starts
    with `about`, of the newest `deepest` entries where a depth is given.

    What was typed is told to the log only where it names a subject: else it may be anything, a
    person's name among it. Raises NotAllowed, StorageFailed, VaultFull.
    """
    acting = demand(Action.READ_LOG, by)
    found = _about(vault, about, count, deepest) if about else []
    told = {"about": about if found else None, "last": count}
    vault.record(entry(acting, "log.read", None, told))
    with vault.reading() as tx:
        size = read_tree(tx).size
        if not about:
            found = _page(tx, count, max(1, page))
    return LogPage(tuple(found), size)


def _page(tx: sa.Connection, count: int, page: int) -> list[Json]:
    back = page * count
    return [parse_object(leaf) for leaf in islice(newest_leaves(tx, back), back - count, back)]


def _about(vault: Vault, about: str, count: int, deepest: int | None) -> list[Json]:
    mark = about.encode()
    with vault.reading() as tx:
        leaves = newest_leaves(tx, read_tree(tx).size if deepest is None else deepest)
        near = (parse_object(leaf) for leaf in leaves if mark in leaf)
        return list(islice((one for one in near if str(one["subject"]).startswith(about)), count))
