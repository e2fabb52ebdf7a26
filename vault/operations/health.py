"""Whether the vault is sound, in figures and dates: for the administrator, who sees nothing else
(Q10), and for the metrics.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from vault.catalogue import facts
from vault.catalogue.tables import recording
from vault.crypto.canonical_json import Json, parse_object
from vault.custody.retention.confirmation import unconfirmed_since
from vault.custody.retention.sweep import last_sweep
from vault.custody.witness import HEAD_SIGNED, HEAD_WITNESSED
from vault.log.log import REMEMBERED, newest_leaves, newest_of, read_tree
from vault.recording import Wholeness
from vault.rules.actions import Action, Actor, demand
from vault.rules.due import RETENTION
from vault.vault import BACKUP_WHOLE, CLOCK_TRUSTED, Vault

LOOK_BACK = 50_000
"""How many of the log's newest entries an older catalogue is looked through for, which does not
keep these at hand.
"""


@dataclass(frozen=True, slots=True)
class Health:
    """Sizes in bytes, times as text. `last_*` None: not among the log's newest entries, or for head
    and witness not since the catalogue was made. `last_verify_findings`: what the daily check found
    then.
    """

    recordings: int
    bytes: int
    broken: int
    unproven: int
    free_bytes: int
    reserve_bytes: int
    log_entries: int
    keyring_version: int
    clock_trusted: bool
    unconfirmed_utc: str | None
    last_sweep_utc: str | None
    sweep_waits_because: str | None
    last_backup_utc: str | None
    last_drill_utc: str | None
    last_verify_utc: str | None
    last_verify_findings: int
    last_head_utc: str | None
    last_witness_utc: str | None
    witness_named: bool

    @property
    def room_bytes(self) -> int:
        """What intake may still take, above its reserve; negative where even that is not left."""
        return self.free_bytes - self.reserve_bytes

    @property
    def room(self) -> bool:
        """Whether intake may still take anything."""
        return self.room_bytes > 0

    @property
    def day_bytes(self) -> float:
        """What comes in on an average day: what stands, by the days for which it is kept."""
        return self.bytes / RETENTION.days


def health(vault: Vault, by: Actor) -> Health:
    """For a person. Raises NotAllowed."""
    demand(Action.CHECK, by)
    return measure(vault)


def measure(vault: Vault) -> Health:
    """The figures themselves; no person, no recording's name."""
    last = last_sweep(vault)
    with vault.reading() as tx:
        kept = recording.c.destroyed_utc.is_(None)
        count, size = tx.execute(
            sa.select(
                sa.func.count(), sa.func.coalesce(sa.func.sum(recording.c.size_bytes), 0)
            ).where(kept)
        ).one()
        broken = tx.execute(
            sa.select(sa.func.count()).where(kept, recording.c.wholeness == Wholeness.BROKEN.value)
        ).scalar_one()
        unproven = tx.execute(
            sa.select(sa.func.count()).where(kept, recording.c.proven.is_(False))
        ).scalar_one()
        entries = read_tree(tx).size
        newest = last_told(tx)
        signed, witnessed, whole = (
            facts.get_meta(tx, fact) for fact in (HEAD_SIGNED, HEAD_WITNESSED, BACKUP_WHOLE)
        )
        trusted = facts.get_meta(tx, CLOCK_TRUSTED) == "yes"
    return Health(
        recordings=count,
        bytes=int(size),
        broken=broken,
        unproven=unproven,
        free_bytes=vault.store.free_bytes(),
        reserve_bytes=vault.settings.reserve_bytes,
        log_entries=entries,
        keyring_version=vault.keyring.version,
        clock_trusted=trusted,
        unconfirmed_utc=unconfirmed_since(vault),
        last_sweep_utc=last.swept_utc if last is not None else None,
        sweep_waits_because=last.because if last is not None else None,
        last_backup_utc=_last_backup(newest, whole),
        last_drill_utc=_when(newest, "drill.done"),
        last_verify_utc=_when(newest, "vault.verified"),
        last_verify_findings=newest["vault.verified"]["details"]["findings"]
        if "vault.verified" in newest
        else 0,
        last_head_utc=signed,
        last_witness_utc=witnessed,
        witness_named=bool(vault.settings.witness),
    )


def last_told(tx: sa.Connection) -> dict[str, Json]:
    """Of a drill, a backup and the daily check: the entry that tells of it last, by its action."""
    by_action = {
        action: entry for action in REMEMBERED if (entry := newest_of(tx, action)) is not None
    }
    missing = set(REMEMBERED) - by_action.keys()
    marks = [f'"{action}"'.encode() for action in missing]
    for leaf in newest_leaves(tx, LOOK_BACK) if missing else ():
        if any(mark in leaf for mark in marks):
            entry = parse_object(leaf)
            if entry["action"] in missing:
                by_action.setdefault(str(entry["action"]), entry)
        if len(by_action) == len(REMEMBERED):
            break
    return by_action


def _last_backup(newest: dict[str, Json], whole: str | None) -> str | None:
    """When one was whole; of an older program, which entered no other, the newest entry."""
    if whole is not None or "failed" in newest.get("backup.made", {}).get("details", {}):
        return whole
    return _when(newest, "backup.made")


def _when(newest: dict[str, Json], action: str) -> str | None:
    return str(newest[action]["time_utc"]) if action in newest else None
