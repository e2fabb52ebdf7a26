"""What stands outside the vault, in its machine's keeping: the pins and the log's key. A machine that is lost takes them along.

The pins can be made anew from the keyring itself, once persons have held the two signers it names against the paper of the
ceremony. The log's key can't: no backup has a copy of it (ruling 12). A new one takes its place, which the log tells of, and the
heads that the old key signed are set aside. Whoever has those heads outside, and the old public key on paper, still holds the log
against them.
"""

from pathlib import Path

from vault.checkpoint import Checkpoints, LogKey
from vault.config import VaultSettings
from vault.durable import make_folder, remove_file, write_new
from vault.keyring import Keyring, Pins, read_keyring, read_pins
from vault.store import read_small

KEY_LIMIT_BYTES = 4096
PINS_LIMIT_BYTES = 65536
KEYRING_LIMIT_BYTES = 4 << 20
FORMER = "former-"


def keyring_in(folder: Path) -> Keyring:
    """The keyring of a vault or of its backup, held against no pins yet. Raises KeyringRefused, StorageFailed."""
    return read_keyring(read_small(folder / "keyring.json", KEYRING_LIMIT_BYTES))


def demand_pinned(settings: VaultSettings, keyring: Keyring, pins: Pins | None) -> None:
    """The machine's own pins carry this keyring, or, where it has none, these do. Raises KeyringRefused, StorageFailed."""
    if pins is None or settings.pins.exists():
        pins = read_pins(read_small(settings.pins, PINS_LIMIT_BYTES))
    keyring.held_by(pins)


def write_pins(settings: VaultSettings, pins: Pins | None) -> None:
    """Pin where nothing is pinned yet."""
    if pins is not None and not settings.pins.exists():
        _write(settings.pins, pins.content())


def is_key_lost(settings: VaultSettings, backup: Path) -> bool:
    """Whether this machine lacks the log's key. Raises CheckpointRefused where another one signed the backup's heads."""
    if not settings.log_key_path.exists():
        return True
    key = LogKey.read(read_small(settings.log_key_path, KEY_LIMIT_BYTES))
    Checkpoints(backup / "checkpoints").newest(key.verifier)
    return False


def new_log_key(settings: VaultSettings, vault_id: str) -> LogKey:
    """The key that follows one that was lost; the one that stands where an earlier attempt has made it."""
    if not settings.log_key_path.exists():
        _write(settings.log_key_path, LogKey.generate(f"dock-vault/{vault_id}").content())
    return LogKey.read(read_small(settings.log_key_path, KEY_LIMIT_BYTES))


def next_former(checkpoints: Path) -> str:
    """The folder beside the heads for those of a key that is gone."""
    return f"{FORMER}{sum(1 for _ in checkpoints.glob(FORMER + '*')) + 1}"


def _write(path: Path, content: bytes) -> None:
    make_folder(path.parent)
    part = path.with_name(f".{path.name}.part")
    remove_file(part)
    write_new(part, path, content)
