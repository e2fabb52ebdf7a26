"""The restore drill: a recording opened with the escrow alone, in memory, and what came of it in
the log (P30; rulings, costs).

It proves that the two codes, the keyring and the sealed files still belong together, before the day
they are needed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from vault.catalogue import recording_rows
from vault.custody.viewing.release import open_recording
from vault.errors import CannotOpen, UnknownRecording, VaultError
from vault.log.log import Entry
from vault.rules.roles import ESCROW_HOLDERS
from vault.vault import Vault

ACTOR = "vault drill"


@dataclass(frozen=True, slots=True)
class Drilled:
    """What a drill opened."""

    recording: str
    files: int
    plain_bytes: int


def drill(vault: Vault, codes: Mapping[str, str], chance: Random) -> Drilled:
    """Open a random recording with both escrow codes and hold every file against its digest.
    Nothing is kept.

    Raises WrongPassphrase, PairRefused, CannotOpen, UnknownRecording for an empty vault. A failure
    stands in the log as well.
    """
    first, second = (vault.keyring.unlock(holder, codes[holder]) for holder in ESCROW_HOLDERS)
    with vault.reading() as tx:
        ids = [row.id for row in recording_rows.all_recordings(tx)]
    if not ids:
        raise UnknownRecording("The vault holds no recording to drill with.")
    recording_id = chance.choice(ids)
    try:
        opened = open_recording(vault, recording_id, first, second, "drill")
        total = 0
        for part in opened.record.files:
            digest = hashlib.sha256()
            for block in opened.blocks(part):
                digest.update(block)
                total += len(block)
            if digest.hexdigest() != part.sha256:
                raise CannotOpen(
                    f"{recording_id}/{part.sealed_name} opens to other bytes than were taken in."
                )
        opened.close()
    except VaultError as failure:
        vault.record(Entry("drill.failed", ACTOR, recording_id, {"sentence": failure.sentence}))
        raise
    drilled = Drilled(recording_id, len(opened.record.files), total)
    with vault.writing() as tx:
        details = {"files": drilled.files, "bytes": drilled.plain_bytes}
        vault.record(Entry("drill.done", ACTOR, recording_id, details), tx)
    return drilled
