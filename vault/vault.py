"""The vault: store, catalogue, log and clock, opened together."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from vault import catalogue
from vault.audit import Log
from vault.catalogue import Catalogue
from vault.clock import Clock
from vault.config import VaultSettings
from vault.errors import KeyringRefused, NotAVault, StorageFailed
from vault.jsonform import parse_object
from vault.keyring import Keyring, read_keyring, read_pins
from vault.store import Store, read_small

FORMAT = "dock-vault/vault/1"
KEYRING_LIMIT_BYTES = 4 << 20
_KEYRING_VERSION = "keyring_version"
UNCONFIRMED = "unconfirmed_since"
"""Set by a rebuild: until two persons have confirmed, nothing is erased on a camera and nothing expires."""


@dataclass(frozen=True, slots=True)
class Vault:
    """An opened vault. Its parts are thread-safe; every write goes through `catalogue.writing()`."""

    settings: VaultSettings
    id: str
    clock: Clock
    store: Store
    catalogue: Catalogue
    log: Log
    keyring: Keyring

    @classmethod
    def open(cls, settings: VaultSettings, clock: Clock) -> "Vault":
        """Open a vault and check its keyring against the pins.

        Raises NotAVault, CatalogueFailed, KeyringRefused. Changes nothing but the last keyring version seen.
        """
        return cls._open(settings, clock, Catalogue.opened(_demand_vault(settings.root) / "catalogue.db"))

    @classmethod
    def _open(cls, settings: VaultSettings, clock: Clock, opened: Catalogue) -> "Vault":
        vault_id = read_vault_id(settings.root)
        keyring = _pinned_keyring(settings, opened)
        if keyring.vault_id != vault_id:
            raise KeyringRefused("The keyring belongs to another vault.")
        store = Store(settings.root, vault_id, settings.reserve_bytes)
        return cls(settings, vault_id, clock, store, opened, Log(settings.root / "register", clock), keyring)

    def close(self) -> None:
        self.catalogue.dispose()

    def __enter__(self) -> "Vault":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        with self.catalogue.writing() as tx:
            yield tx

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with self.catalogue.reading() as tx:
            yield tx


def _demand_vault(root: Path) -> Path:
    if not (root / "vault.json").is_file():
        raise NotAVault(f"There is no vault in {root}.")
    return root


def read_vault_id(root: Path) -> str:
    """The id in vault.json. Raises NotAVault."""
    _demand_vault(root)
    try:
        found = parse_object(read_small(root / "vault.json", 65536))
    except (ValueError, StorageFailed) as error:
        raise NotAVault(f"vault.json in {root} can't be read.") from error
    if found.get("format") != FORMAT or not isinstance(found.get("vault"), str):
        raise NotAVault(f"The vault in {root} has the format {found.get('format')!r}; this program knows {FORMAT}.")
    return str(found["vault"])


def _pinned_keyring(settings: VaultSettings, opened: Catalogue) -> Keyring:
    try:
        pins = read_pins(read_small(settings.pins, 65536))
        keyring = read_keyring(read_small(settings.root / "keyring.json", KEYRING_LIMIT_BYTES))
    except StorageFailed as error:
        raise KeyringRefused(error.sentence) from error
    with opened.reading() as tx:
        seen = int(catalogue.get_meta(tx, _KEYRING_VERSION) or 0)
    keyring.held_by(pins, seen)
    if keyring.version > seen:
        with opened.writing() as tx:
            catalogue.set_meta(tx, _KEYRING_VERSION, str(keyring.version))
    return keyring
