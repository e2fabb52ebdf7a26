"""A destruction: decided in the log, carried out on the medium, seen to be done (P31, P32; I5, I7;
Q8).

Order of steps of a destruction, each before the next, whichever way it came about:

1. In one write transaction: the recording stands, no case holds it (asked there, so that no hold
   comes between), the catalogue is confirmed; the tombstone is published; the entry
   `recording.destroyed` and the row's end.
2. `record.json` and later keys are overwritten and removed: from here no copy of the sealed bytes
   opens any more.
3. The sealed files and the folder are removed; the texts of reports that speak of nothing else.
4. The folder is seen to be gone: `destruction.confirmed`.

A crash after 1 leaves the rest to the next sweep, which finds what is not confirmed.
"""

from collections.abc import Callable

from vault.catalogue import case_rows, deletion_rows, facts, person_rows, recording_rows
from vault.catalogue.recording_rows import RecordingRow
from vault.crypto.canonical_json import Json
from vault.custody.papers import file_paper, remove_paper
from vault.custody.people import entry
from vault.errors import Reaction, VaultError
from vault.log.log import Entry
from vault.log.tombstones import publish_tombstone, tombstone_of
from vault.recording import State
from vault.rules.actions import Action, Actor, demand, demand_second
from vault.rules.protocol import RETENTION as RETENTION_SENTENCE
from vault.storage.store import FolderName
from vault.vault import UNCONFIRMED, Vault

ACTOR = "vault sweep"


class Held(VaultError):
    """A case holds the recording; nothing deletes it."""

    code = "retention.held"
    reaction = Reaction.REFUSE
    hint = "`vault why` tells which case; it ends as its kind ends (`vault case close`)."


class SweepBlocked(VaultError):
    """Nothing may be deleted now."""

    code = "retention.blocked"
    reaction = Reaction.TRY_AGAIN
    hint = (
        "Two officials confirm: `vault clock confirm` for the clock, `vault confirm` for a "
        "rebuilt catalogue."
    )


class ReasonMissing(VaultError):
    """A deletion by hand gives its reason."""

    code = "retention.reason_missing"
    reaction = Reaction.REFUSE
    hint = "Say why in a sentence: --reason."


def destroy_recording(
    vault: Vault,
    recording_id: str,
    because: str,
    told: Callable[[Json], Entry],
    more: Json | None = None,
) -> bool:
    """Steps 1 to 4; False where a hold came between or it is gone already."""
    now = vault.now_utc()
    with vault.writing() as tx:
        row = recording_rows.find_recording(tx, recording_id)
        if row is None or row.destroyed_utc is not None or case_rows.is_held(tx, recording_id):
            return False
        if facts.get_meta(tx, UNCONFIRMED):
            raise SweepBlocked(
                "The catalogue was rebuilt, and two persons have not confirmed it yet."
            )
        erased = row.state == State.ERASED.value
        stone = tombstone_of(
            row, () if erased else recording_rows.files_of(tx, row.id), now, because
        )
        digest = publish_tombstone(vault.settings.root / "register", stone)
        details: Json = {
            "destroyed_utc": now,
            "because": because,
            "camera": row.camera_serial,
            "name": row.name,
            "record_sha256": row.record_sha256,
            "tombstone_sha256": digest,
            **(more or {}),
        }
        vault.record(told({"id": recording_id, "details": details}), tx)
        if erased:
            recording_rows.drop_files(tx, recording_id)
    _finish(vault, row)
    return True


def finish(vault: Vault) -> int:
    """Bring every destruction that was begun to its end, and destroy again what came back; returns
    how many there were.
    """
    standing = {folder.recording_id for folder in vault.store.recordings()}
    with vault.reading() as tx:
        left = [
            recording_rows.find_recording(tx, row.recording_id)
            for row in deletion_rows.unconfirmed_destructions(tx)
        ]
        left += recording_rows.destroyed_among(tx, standing)
    for row in left:
        if row is not None:
            _finish(vault, row)
    return len(left)


def _finish(vault: Vault, row: RecordingRow) -> None:
    folder = FolderName(row.folder)
    vault.store.destroy(folder)
    with vault.reading() as tx:
        texts = deletion_rows.report_papers_to_remove(tx, row.id)
    for text in texts:
        remove_paper(vault, text.id)
    now = vault.now_utc()
    with vault.writing() as tx:
        for text in texts:
            vault.record(Entry("paper.removed", ACTOR, text.id, {"removed_utc": now}), tx)
        if not vault.store.exists(folder):
            vault.record(Entry("destruction.confirmed", ACTOR, row.id, {"confirmed_utc": now}), tx)


# --- by hand --------------------------------------------------------------------------------------


def delete(vault: Vault, first: Actor, second: Actor, recording_id: str, reason: str) -> None:
    """Delete a recording before its time: cluster manager and privacy officer together, with a
    reason, never under hold (P26, Q8).

    Raises NotAllowed, Held, ReasonMissing, UnknownRecording, SweepBlocked.
    """
    if len(reason.strip()) < 5:
        raise ReasonMissing("A deletion by hand gives its reason.")
    with vault.reading() as tx:
        row = recording_rows.kept_recording(tx, recording_id)
        concerned = frozenset({row.officer_person} if row.officer_person else set()) | frozenset(
            person_rows.persons_present(tx, recording_id)
        )
        held = [
            case for hold, case in case_rows.holds_on(tx, recording_id) if hold.lifted_utc is None
        ]
    acting = demand(Action.DELETE, first, concerned=concerned)
    other = demand_second(Action.DELETE, acting, second, concerned=concerned)
    if held:
        raise Held(f"The recording is held by {held[0].reference}. {RETENTION_SENTENCE.quoted()}")

    def told(given: Json) -> Entry:
        return entry(acting, "recording.destroyed", given["id"], given["details"])

    paper = file_paper(vault, {"reason": reason})
    more = {**paper.details(), "second": other.person, "second_role": other.role.value}
    if not destroy_recording(vault, recording_id, "by_hand", told, more):
        remove_paper(vault, paper.id)
        raise Held(f"A case holds the recording {recording_id} since a moment ago.")
