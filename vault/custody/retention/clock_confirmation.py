"""The vault's clock: what the clock guard saw, and the two officials who confirm it."""

from vault.catalogue import facts
from vault.clock import MachineClock, utc_text
from vault.custody.people import entry
from vault.custody.retention.deletion import ACTOR
from vault.log.log import Entry, read_tree
from vault.rules.actions import Acting, Action, Actor, demand, demand_second
from vault.rules.clock_guard import SEEN, Trust, confirm, judge, look_at, read_seen, seen_text
from vault.vault import CLOCK_SURE, CLOCK_TRUSTED, Vault


def demand_two(first: Actor, second: Actor) -> tuple[Acting, Acting]:
    acting = demand(Action.CONFIRM, first)
    return acting, demand_second(Action.CONFIRM, acting, second)


# --- the clock ------------------------------------------------------------------------------------


def look_at_clock(vault: Vault, clock: MachineClock) -> Trust:
    """Judge the wall clock and keep what was seen. A change of the verdict is an entry of the log.

    With it goes where in the log the clock was last believed: whatever came in since then has no
    time that means anything.
    """
    with vault.writing() as tx:
        trust = judge(read_seen(facts.get_meta(tx, SEEN)), look_at(clock))
        facts.set_meta(tx, SEEN, seen_text(trust.seen))
        sure = int(facts.get_meta(tx, CLOCK_SURE) or 0)
        before = facts.get_meta(tx, CLOCK_TRUSTED)
        verdict = "yes" if trust.trusted else "no"
        if before != verdict:
            facts.set_meta(tx, CLOCK_TRUSTED, verdict)
            action = "clock.trusted" if trust.trusted else "clock.doubted"
            details = {
                "sentence": trust.because,
                "since_sequence": sure,
                "wall_utc": utc_text(clock.now()),
            }
            vault.record(Entry(action, ACTOR, vault.id, details), tx)
        if trust.trusted:
            facts.set_meta(tx, CLOCK_SURE, str(read_tree(tx).size))
    return trust


def confirm_clock(vault: Vault, clock: MachineClock, first: Actor, second: Actor) -> None:
    """Two persons compared the clock with another and found it right (ruling 14). Raises
    NotAllowed.
    """
    acting, other = demand_two(first, second)
    with vault.writing() as tx:
        look = look_at(clock)
        seen = confirm(read_seen(facts.get_meta(tx, SEEN)), look)
        facts.set_meta(tx, SEEN, seen_text(seen))
        details = {"second": other.person, "wall_utc": utc_text(look.wall)}
        vault.record(entry(acting, "clock.confirmed", None, details), tx)
