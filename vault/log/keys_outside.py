"""What stands outside the vault, in its machine's keeping: the pins and the log's key. A machine
that is lost takes them along.

The pins can be made anew from the keyring itself, once persons have held the two signers it names
against the paper of the ceremony. The log's key can't: no backup has a copy of it (ruling 12). A
new one takes its place: the log tells of it, and the head that the old key signed last bears the
new one's signature as well, once the log was seen to go on from there. Whoever has older heads
outside, and the old public key on paper, still holds the log against them.
"""

from pathlib import Path

from vault.catalogue.database import Catalogue
from vault.config import VaultSettings
from vault.errors import KeyringRefused
from vault.keyring.keyring import Keyring, Pins, read_keyring, read_pins
from vault.log.checkpoints import Checkpoints
from vault.log.log import Entry, Log
from vault.log.signed_note import LogKey, LogVerifier
from vault.storage.durable import make_folder, remove_file, replace_new, write_new
from vault.storage.small_files import read_small

KEY_LIMIT_BYTES = 4096
PINS_LIMIT_BYTES = 65536
KEYRING_LIMIT_BYTES = 4 << 20


def keyring_in(folder: Path) -> Keyring:
    """The keyring of a vault or of its backup, held against no pins yet. Raises KeyringRefused,
    StorageFailed.
    """
    return read_keyring(read_small(folder / "keyring.json", KEYRING_LIMIT_BYTES))


def demand_pinned(settings: VaultSettings, keyring: Keyring, pins: Pins | None) -> None:
    """The machine's own pins carry this keyring, or, where it has none, these do. Raises
    KeyringRefused, StorageFailed.
    """
    if pins is None or settings.pins.exists():
        pins = read_pins(read_small(settings.pins, PINS_LIMIT_BYTES))
    keyring.held_by(pins)


def following_pins(settings: VaultSettings, keyring: Keyring) -> Pins:
    """The pins of the two signers whom the keyring names, once it is signed by them, and by those
    who are pinned here.

    Where nothing is pinned, because the file is lost, or a pinned signer can't sign any more and it
    was moved away, the paper of the ceremony alone says whether these are the two: persons compare.
    Raises KeyringRefused, StorageFailed.
    """
    if settings.pins.exists():
        demand_pinned(settings, keyring, None)
    pins = keyring.next_pins()
    if not set(pins.signers) <= keyring.signers:
        raise KeyringRefused("The keyring names a signer who has not signed it.")
    return pins


def write_pins(settings: VaultSettings, pins: Pins) -> None:
    replace_new(_part_of(settings.pins), settings.pins, pins.content())


def is_key_lost(settings: VaultSettings, backup: Path) -> bool:
    """Whether this machine lacks the log's key. Raises CheckpointRefused where another one signed
    the backup's heads.
    """
    if not settings.log_key_path.exists():
        return True
    key = LogKey.read(read_small(settings.log_key_path, KEY_LIMIT_BYTES))
    Checkpoints(backup / "checkpoints").newest(key.verifier)
    return False


def follow_log_key(
    settings: VaultSettings, vault_id: str, catalogue: Catalogue, log: Log, actor: str
) -> LogVerifier:
    """A new key in the place of one that was lost, or the one that stands there from an attempt
    that was cut off.

    Its signature under the last head, beside the old key's; then the entry, then the key: cut off
    anywhere, it is done again. Returns the public half, for the paper and the witness. Raises
    LogForked, CheckpointRefused, StorageFailed.
    """
    place = settings.log_key_path
    made = not place.exists()
    key = (
        LogKey.generate(f"dock-vault/{vault_id}")
        if made
        else LogKey.read(read_small(place, KEY_LIMIT_BYTES))
    )
    with catalogue.reading() as tx:
        Checkpoints(settings.root / "checkpoints").vouch(tx, key)
    with catalogue.writing() as tx:
        log.append(tx, Entry("log.key_changed", actor, vault_id, {"key": key.verifier.text()}))
    if made:
        write_new(_part_of(place), place, key.content())
    return key.verifier


def _part_of(path: Path) -> Path:
    make_folder(path.parent)
    part = path.with_name(f".{path.name}.part")
    remove_file(part)
    return part
