"""The witness: signed heads of the log, and the names of what was destroyed, handed out of the
administrator's reach (ruling 12).

The configured command gets a note on its standard input: the checkpoint, a blank line, and a line
for each tombstone. It may print, mail, or put it on another machine; when it ends with 0 the head
is with the witness. With no command the note stays in the vault, and `vault verify` says that
nobody outside could show a log that was written anew.
"""

import subprocess
from collections.abc import Sequence

from vault.catalogue import deletion_rows, facts
from vault.errors import Reaction, StorageFailed, VaultError, VaultExists
from vault.log.checkpoints import Checkpoints
from vault.log.keys_outside import follow_log_key
from vault.log.signed_note import CheckpointRefused, LogKey, LogVerifier
from vault.storage.small_files import read_small
from vault.vault import Vault

LIMIT_S = 30
ACTOR = "vault checkpoint"
HEAD_SIGNED, HEAD_WITNESSED = "head_signed_utc", "head_witnessed_utc"
"""When a head was last signed, and last taken by the witness. Facts of the catalogue: an entry each
would ask for a new head.
"""
TOMBSTONE = "tombstone "


class WitnessFailed(VaultError):
    """The witness did not take the head. What waits for it, a viewing's first byte, waits on."""

    code = "log.witness_failed"
    reaction = Reaction.TRY_AGAIN
    hint = "Try the configured command by hand; `witness` in the vault's settings names it."


def log_key(vault: Vault) -> LogKey:
    """The log's key, from the credential that the settings name. Raises CheckpointRefused."""
    try:
        return LogKey.read(read_small(vault.settings.log_key_path, 4096))
    except StorageFailed as error:
        raise CheckpointRefused(
            f"The log's key can't be read: {error.sentence}",
            hint="Name it with `log_key` in the vault's settings; where it is lost, `vault "
            "checkpoint --new-key` makes another.",
        ) from error


def new_log_key(vault: Vault) -> LogVerifier:
    """A new key where the old one is lost; returns its public half, for the paper and the witness.

    Raises VaultExists, LogForked, CheckpointRefused, StorageFailed.
    """
    place = vault.settings.log_key_path
    if place.exists():
        raise VaultExists(
            f"{place} exists: it signs this log.",
            hint="Move it away only where it is damaged, or somebody else may have it.",
        )
    return follow_log_key(vault.settings, vault.id, vault.catalogue, vault.log, ACTOR)


def sign_head(vault: Vault) -> bytes:
    """Sign the log's head and hand it to the witness; returns the note. When each was done last is
    remembered.

    Raises LogForked, CheckpointRefused, StorageFailed, WitnessFailed.
    """
    key = log_key(vault)
    checkpoints = Checkpoints(vault.settings.root / "checkpoints")
    with vault.reading() as tx:
        destroyed = [row.recording_id for row in deletion_rows.destructions(tx)]
        tree = checkpoints.head_to_sign(tx, key.verifier)
    note = checkpoints.publish(tree, key, vault.clock, destroyed)
    _remember(vault, HEAD_SIGNED)
    if vault.settings.witness:
        hand_to(vault.settings.witness, note, destroyed)
        _remember(vault, HEAD_WITNESSED)
    return note


def _remember(vault: Vault, fact: str) -> None:
    with vault.writing() as tx:
        facts.set_meta(tx, fact, vault.now_utc())


def hand_to(command: Sequence[str], note: bytes, destroyed: Sequence[str]) -> None:
    """Run the witness's command with a note and the tombstones on its standard input. Raises
    WitnessFailed.
    """
    content = note + b"".join(
        f"{TOMBSTONE}{recording}\n".encode() for recording in ("", *sorted(destroyed)) if recording
    )
    try:
        done = subprocess.run(
            list(command), input=content, capture_output=True, timeout=LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WitnessFailed(f"The witness's command {command[0]} failed: {error}.") from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        last = said[-1] if said else "it said nothing"
        raise WitnessFailed(
            f"The witness's command {command[0]} ended with {done.returncode}: {last}."
        )


def read_witnessed(content: bytes) -> tuple[bytes, frozenset[str]]:
    """A note as the witness has it: the checkpoint's own bytes, and the recordings it names as
    destroyed.
    """
    lines = content.splitlines(keepends=True)
    stones = [line for line in lines if line.startswith(TOMBSTONE.encode())]
    note = b"".join(line for line in lines if not line.startswith(TOMBSTONE.encode()))
    return note, frozenset(
        line[len(TOMBSTONE) :].decode(errors="replace").strip() for line in stones
    )
