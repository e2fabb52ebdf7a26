"""The one place where plaintext leaves the vault, and the sole caller of an Unwrapper (I6)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vault.crypto.sealed_file import PIECE_BYTES, Opener, Place, open_piece, piece_span
from vault.crypto.shares import WrappedKey, join
from vault.errors import CannotOpen, PairRefused, UnknownRecording
from vault.keyring.receivers import Unwrapper, Wrapper
from vault.log.log import Entry
from vault.rules.roles import Pair, pair_of
from vault.rules.states import is_destroyed
from vault.storage.buffers import BLOCK_READ_BYTES, BufferPair
from vault.storage.durable import publish, remove_file
from vault.storage.process_memory import forbid_dumps
from vault.storage.record import (
    FilePart,
    Record,
    later_keys_content,
    parse_later_keys,
    parse_record,
)
from vault.storage.store import MANIFEST_NAME, FolderName, Store, sha256_of
from vault.vault import Vault

_SIGNATURE_BYTES = 64


class Opened:
    """A recording that two persons have opened: its record, and the key in memory until `close`."""

    def __init__(self, vault: Vault, folder: FolderName, record: Record, key: bytes) -> None:
        self.folder = folder
        self.record = record
        self._vault_id = vault.id
        self._store = vault.store
        self._key: bytes | None = key

    def close(self) -> None:
        """Forget the key."""
        self._key = None

    def key(self) -> bytes:
        """The data key, to seal it to a later pair. Raises CannotOpen once closed."""
        if self._key is None:
            raise CannotOpen(
                f"The recording {self.record.recording} was closed.",
                hint="Two persons open it anew.",
            )
        return self._key

    def part(self, sealed_name: str) -> FilePart:
        """The file of this name. Raises UnknownRecording."""
        for part in self.record.files:
            if part.sealed_name == sealed_name:
                return part
        raise UnknownRecording(
            f"The recording {self.record.recording} has no file {sealed_name!r}."
        )

    def blocks(self, part: FilePart) -> Iterator[memoryview]:
        """The plaintext of one file in order. Nothing of it may be used unless the iteration ends
        without an error: only the end proves that nothing is missing. Raises CannotOpen.
        """
        buffers = BufferPair()
        opener = Opener(self.key(), self._place(part))
        with self._store.open(self.folder, part.sealed_name) as reader:
            while count := reader.readinto(buffers.sealed[:BLOCK_READ_BYTES]):
                opened = opener.update_into(buffers.sealed[:count], buffers.plain)
                yield buffers.plain[:opened]
        opened = opener.finish(buffers.plain)
        yield buffers.plain[:opened]

    def span(self, part: FilePart, start: int, stop: int) -> bytes:
        """Plaintext bytes from `start` to `stop` of one file; the pieces around them were opened to
        their ends first.

        Raises CannotOpen, StorageFailed.
        """
        stop = min(stop, part.size_bytes)
        found: list[bytes] = []
        first, last = start // PIECE_BYTES, max(start, stop - 1) // PIECE_BYTES
        for piece in range(first, last + 1) if start < stop else ():
            offset, length = piece_span(part.size_bytes, piece)
            sealed = self._store.read_span(self.folder, part.sealed_name, offset, length)
            plain = open_piece(self.key(), self._place(part), piece, sealed)
            begin = piece * PIECE_BYTES
            found.append(plain[max(0, start - begin) : stop - begin])
        return found[0] if len(found) == 1 else b"".join(found)

    def _place(self, part: FilePart) -> Place:
        return Place(self._vault_id, self.record.recording, part.sealed_name, part.size_bytes)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The camera's own statement and its signature, as they came; `holds`: whether the signature is
    the registered camera's.

    None where the camera signs nothing, or none of its serial was ever registered.
    """

    statement: bytes
    signature: bytes
    holds: bool | None


def manifest_of(opened: Opened, public_keys: Iterable[bytes]) -> Manifest | None:
    """What the camera stated; None for a camera that states nothing. `public_keys`: every
    registration's of its serial.
    """
    parts = [part for part in opened.record.files if part.sealed_name == MANIFEST_NAME]
    if not parts:
        return None
    content = opened.span(parts[0], 0, parts[0].size_bytes)
    signature, statement = content[:_SIGNATURE_BYTES], content[_SIGNATURE_BYTES:]
    keys = [key for key in public_keys if key]
    return Manifest(
        statement,
        signature,
        any(_signed(key, signature, statement) for key in keys) if keys else None,
    )


def _signed(public_key: bytes, signature: bytes, statement: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, statement)
    except (InvalidSignature, ValueError):
        return False
    return True


def open_recording(
    vault: Vault, recording_id: str, first: Unwrapper, second: Unwrapper, purpose: str
) -> Opened:
    """Join two halves to a recording's key. The log's entry is durable before the halves are
    opened.

    Whether these two may, for this purpose, `viewing.py` and `drill.py` have asked; here stands
    what no purpose changes. Raises PairRefused where it is one person, or a pair that the protocol
    does not name; UnknownRecording; CannotOpen.
    """
    forbid_dumps()
    pair = pair_of(first.receiver, second.receiver)
    if pair is None:
        raise PairRefused(
            f"{first.receiver} and {second.receiver} may not open a recording together."
        )
    if first.person == second.person:
        raise PairRefused("Both seats are held by one person; four eyes are of two persons (P40).")
    row = vault.get_recording(recording_id)
    if is_destroyed(row):
        raise UnknownRecording(
            f"The recording {recording_id} was destroyed on {row.destroyed_utc}."
        )
    details = {
        "pair": pair.name,
        "persons": sorted((first.person, second.person)),
        "purpose": purpose,
    }
    vault.record(Entry("recording.opened", first.person, recording_id, details))
    folder = FolderName(row.folder)
    content = vault.store.read_record(folder)
    if sha256_of(content) != row.record_sha256:
        raise CannotOpen(f"record.json of {recording_id} is not the one that was stored.")
    record = parse_record(content)
    wrapped = _wrapped(vault.store, folder, record, pair.name)
    key = join(first.half(wrapped, recording_id), second.half(wrapped, recording_id))
    return Opened(vault, folder, record, key)


def _wrapped(store: Store, folder: FolderName, record: Record, pair_name: str) -> WrappedKey:
    """The wrapped key of a pair: from record.json, or sealed later (`keys-N.json`). Raises
    CannotOpen.
    """
    try:
        return record.wrapped_key(pair_name)
    except CannotOpen:
        for name in store.later_keys(folder):
            later = parse_later_keys(store.read_small(folder, name))
            if later.recording == record.recording and (found := later.wrapped_key(pair_name)):
                return found
        raise


def seal_later(
    vault: Vault, opened: Opened, pair: Pair, wrapper: Wrapper, by: tuple[str, str]
) -> None:
    """Seal an opened recording's key for a pair that joined later: an officer on the footage, a
    late assignment, a delegate.

    `keys-N.json` beside record.json, published after the entry of the log that carries its digest
    stands; destroyed with the rest (ruling 4). Raises StorageFailed, VaultFull.
    """
    recording_id = opened.record.recording
    wrapped = wrapper.wrap_for(pair, opened.key(), recording_id)
    content = later_keys_content(vault.id, recording_id, vault.now_utc(), by, [wrapped])
    number = len(vault.store.later_keys(opened.folder)) + 1
    name = f"keys-{number}.json"
    with vault.writing() as tx:
        details = {
            "pair": pair.name,
            "persons": sorted(by),
            "file": name,
            "sha256": sha256_of(content),
        }
        vault.record(Entry("recording.sealed_later", by[0], recording_id, details), tx)
    vault.store.publish(opened.folder, name, content)


def extract(opened: Opened, part: FilePart, target: Path) -> None:
    """Write the plaintext of one file to `target`, which gets its name only once the whole file has
    opened (tests, disaster).
    """
    unfinished = target.with_name(target.name + ".part")
    try:
        with unfinished.open("xb") as file:
            for block in opened.blocks(part):
                file.write(block)
        publish(unfinished, target)
    finally:
        remove_file(unfinished)
