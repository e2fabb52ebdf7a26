"""What will happen to a recording, when, and by which rule."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from vault.catalogue import deletion_rows, recording_rows
from vault.catalogue.deletion_rows import DestructionRow
from vault.clock import utc_moment
from vault.custody.retention.sweep import candidates, facts_of
from vault.rules.actions import Action, Actor, demand
from vault.rules.case_kinds import HAND_OVER_KINDS, CaseKind
from vault.rules.due import LIST_AHEAD, Due, Facts, due, why
from vault.rules.sweep_plan import falls_due
from vault.vault import Vault

ZONE = ZoneInfo("Europe/Amsterdam")


# --- questions ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Disposition:
    """When a recording will be deleted, and why, in one sentence in two languages."""

    recording: str
    due: Due | None
    nl: str
    en: str
    regime: str
    """`Wpg` once a police report or a demand has held it, `AVG` otherwise (Q11)."""


def disposition(vault: Vault, by: Actor, recording_id: str) -> Disposition:
    """`vault why`. Of a destroyed recording: when and why. Raises NotAllowed, UnknownRecording."""
    demand(Action.ASK_WHY, by)
    with vault.reading() as tx:
        row = recording_rows.get_recording(tx, recording_id)
        gone = deletion_rows.destruction_of(tx, recording_id)
        facts = facts_of(tx, row)
    if gone is not None:
        local = utc_moment(gone.destroyed_utc).astimezone(ZONE)
        return Disposition(
            recording_id,
            None,
            f"Deze opname is vernietigd op {local:%d-%m-%Y} om {local:%H:%M} uur "
            f"({_GONE[gone.because][0]}).",
            f"This recording was destroyed on {local:%d-%m-%Y} at {local:%H:%M} "
            f"({_GONE[gone.because][1]}).",
            _regime(facts),
        )
    return Disposition(
        recording_id, due(facts), why(facts, ZONE, "nl"), why(facts, ZONE, "en"), _regime(facts)
    )


def _regime(facts: Facts) -> str:
    return "Wpg" if any(CaseKind(hold.kind) in HAND_OVER_KINDS for hold in facts.holds) else "AVG"


_GONE = {
    "retention": ("de bewaartermijn van 28 dagen was om", "its 28 days were over"),
    "late_docking": ("laat ingelezen; 7 dagen daarna", "docked late; 7 days after that"),
    "hold_lifted": (
        "de laatste zaak die haar vasthield was gesloten",
        "the last case that held it was closed",
    ),
    "by_hand": (
        "door clustermanager en privacy officer samen",
        "by cluster manager and privacy officer together",
    ),
}


def soon_due(vault: Vault, by: Actor) -> list[tuple[datetime, str]]:
    """What falls due within seven days, soonest first (Q2). Raises NotAllowed."""
    demand(Action.LIST_RECORDINGS, by)
    now = vault.clock.now()
    with vault.reading() as tx:
        return falls_due(candidates(tx, now, LIST_AHEAD), now)


def destroyed(vault: Vault, by: Actor, newest: int) -> list[DestructionRow]:
    """The newest destructions, the newest first. Raises NotAllowed."""
    demand(Action.ASK_WHY, by)
    with vault.reading() as tx:
        return deletion_rows.destructions(tx)[-newest:][::-1]
