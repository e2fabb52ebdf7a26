"""The one place where plaintext leaves the vault, and the sole caller of an Unwrapper (I6)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vault import catalogue
from vault.audit import Entry
from vault.durable import MediumReader, publish, remove_file
from vault.errors import CannotOpen, PairRefused, UnknownRecording
from vault.keys import Unwrapper, join
from vault.lane import BLOCK_READ_BYTES, Lane
from vault.memory import forbid_dumps
from vault.policy import pair_of
from vault.record import LIMIT_BYTES, FilePart, Record, parse_record
from vault.sealed import Opener, Place
from vault.store import RECORD_NAME, read_small
from vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Opened:
    """A recording that two persons have opened: its record, and the key in memory."""

    vault_id: str
    folder: Path
    record: Record
    key: bytes

    def blocks(self, part: FilePart) -> Iterator[memoryview]:
        """The plaintext of one file in order. Nothing of it may be used unless the iteration ends without an error: only the end
        proves that nothing is missing. Raises CannotOpen."""
        lane = Lane()
        opener = Opener(self.key, Place(self.vault_id, self.record.recording, part.sealed_name, part.size_bytes))
        with MediumReader(self.folder / part.sealed_name) as reader:
            while count := reader.readinto(lane.sealed[:BLOCK_READ_BYTES]):
                opened = opener.update_into(lane.sealed[:count], lane.plain)
                yield lane.plain[:opened]
        opened = opener.finish(lane.plain)
        yield lane.plain[:opened]


def open_recording(vault: Vault, recording_id: str, first: Unwrapper, second: Unwrapper, purpose: str) -> Opened:
    """Join two halves to a recording's key. The log's entry is durable before the halves are opened.

    Raises PairRefused where it is one person, or a pair that the protocol does not name; UnknownRecording; CannotOpen.
    """
    forbid_dumps()
    pair = pair_of(first.receiver, second.receiver)
    if pair is None:
        raise PairRefused(f"{first.receiver} and {second.receiver} may not open a recording together.")
    if first.person == second.person:
        raise PairRefused("Both seats are held by one person; four eyes are of two persons (P40).")
    with vault.reading() as tx:
        row = catalogue.get_recording(tx, recording_id)
    if row is None:
        raise UnknownRecording(f"There is no recording {recording_id}.")
    details = {"pair": pair.name, "persons": sorted((first.person, second.person)), "purpose": purpose}
    with vault.writing() as tx:
        vault.log.append(tx, Entry("recording.opened", "vault open", recording_id, details))
    folder = vault.store.folder_at(row.folder)
    content = read_small(folder / RECORD_NAME, LIMIT_BYTES)
    if vault.store.digest_of(content) != row.record_sha256:
        raise CannotOpen(f"record.json of {recording_id} is not the one that was stored.")
    record = parse_record(content)
    wrapped = record.wrapped_key(pair.name)
    key = join(first.half(wrapped, recording_id), second.half(wrapped, recording_id))
    return Opened(vault.id, folder, record, key)


def extract(opened: Opened, part: FilePart, target: Path) -> None:
    """Write the plaintext of one file to `target`, which gets its name only once the whole file has opened (tests, disaster)."""
    unfinished = target.with_name(target.name + ".part")
    try:
        with unfinished.open("xb") as file:
            for block in opened.blocks(part):
                file.write(block)
        publish(unfinished, target)
    finally:
        remove_file(unfinished)
