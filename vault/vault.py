"""The vault: store, catalogue, log and clock, opened together."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from vault.catalogue import facts, recording_rows
from vault.catalogue.database import Catalogue
from vault.catalogue.recording_rows import RecordingRow
from vault.clock import Clock, utc_text
from vault.config import VaultSettings
from vault.crypto.canonical_json import parse_object
from vault.errors import CatalogueFailed, KeyringRefused, NotAVault, StorageFailed
from vault.keyring.keyring import Keyring, read_keyring, read_pins
from vault.log.checkpoints import Checkpoints
from vault.log.log import Entry, Log, read_leaves, read_tree
from vault.log.projections import enter
from vault.storage.file_store import FileStore
from vault.storage.small_files import read_small
from vault.storage.store import Store

FORMAT = "dock-vault/vault/1"
KEYRING_LIMIT_BYTES = 4 << 20
KEYRING_VERSION = "keyring_version"
CLOCK_TRUSTED, CLOCK_SURE = "clock_trusted", "clock_sure"
"""Whether the clock was believed at the last look (`yes`, `no`), and how many entries the log had
when it last was.
"""
PINS_LOST = (
    "Put the file of pins back, or make it with the paper of the key ceremony at hand: `vault "
    "ceremony pin`."
)
BACKUP_WHOLE = "backup_whole_utc"
"""When a backup was last brought up to date with nothing left out."""
UNCONFIRMED = "unconfirmed_since"
"""Set by a rebuild: until two persons have confirmed, nothing is erased on a camera and nothing
expires.
"""


@dataclass(frozen=True, slots=True)
class Vault:
    """An opened vault. Its parts are thread-safe; every write
    goes through `catalogue.writing()`.
    """

    settings: VaultSettings
    id: str
    clock: Clock
    store: Store
    catalogue: Catalogue
    log: Log
    _keyring_file: "_KeyringFile"

    @property
    def keyring(self) -> Keyring:
        """The keyring as its file has it now. Raises KeyringRefused."""
        return self._keyring_file.read()

    @classmethod
    def open(cls, settings: VaultSettings, clock: Clock, store: Store | None = None) -> "Vault":
        """Open a vault and check its keyring against the pins. `store`: where the sealed files are;
        by default in folders of the vault's own.

        Raises NotAVault, CatalogueFailed, KeyringRefused. Writes nothing but the entry of a keyring
        that is new to it.
        """
        _demand_vault(settings.root)
        opened = Catalogue.opened(settings.catalogue_url)
        return cls._open(settings, clock, opened, store)

    @classmethod
    def _open(
        cls, settings: VaultSettings, clock: Clock, opened: Catalogue, store: Store | None
    ) -> "Vault":
        vault_id = read_vault_id(settings.root)
        store = store or FileStore(settings.root, vault_id, settings.reserve_bytes)
        log = Log(settings.root / "register", clock)
        _demand_signed_entries(settings.root, opened)
        keyring_file = _KeyringFile(settings, vault_id, opened, log, clock)
        keyring_file.read()
        return cls(settings, vault_id, clock, store, opened, log, keyring_file)

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

    def leaves(self) -> Iterator[bytes]:
        """Every leaf of the log as the catalogue has it, in order, a batch a transaction."""
        first = 0
        while True:
            with self.reading() as tx:
                batch = read_leaves(tx, first)
            yield from batch
            if not batch:
                return
            first += len(batch)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with self.catalogue.reading() as tx:
            yield tx

    def record(self, entry: Entry, tx: sa.Connection | None = None) -> int:
        """Append an entry to the log and project it to the rows, in `tx` or in its own transaction.

        Returns the entry's sequence. Raises StorageFailed, VaultFull, CatalogueFailed.
        """
        if tx is not None:
            return enter(self.log, tx, entry)
        with self.writing() as own:
            return enter(self.log, own, entry)

    def get_recording(self, recording_id: str) -> RecordingRow:
        """The recording's row, also of a destroyed one. Raises UnknownRecording."""
        with self.reading() as tx:
            return recording_rows.get_recording(tx, recording_id)

    def now_utc(self) -> str:
        """This moment as the rows and the log write it (FORMAT.md)."""
        return utc_text(self.clock.now())


def _demand_signed_entries(root: Path, opened: Catalogue) -> None:
    """A catalogue with fewer entries than were signed for is an older one, even by one entry.
    Raises CatalogueFailed.
    """
    signed = Checkpoints(root / "checkpoints").newest_size()
    with opened.reading() as tx:
        size = read_tree(tx).size
    if size < signed:
        raise CatalogueFailed(
            f"The catalogue has {size} entries of the log, and {signed} were signed.",
            hint="It was restored or rolled back: run `vault rebuild`.",
        )


def _demand_vault(root: Path) -> None:
    if not (root / "vault.json").is_file():
        raise NotAVault(f"There is no vault in {root}.")


def read_vault_id(root: Path) -> str:
    """The id in vault.json. Raises NotAVault."""
    _demand_vault(root)
    try:
        stored = parse_object(read_small(root / "vault.json", 65536))
    except (ValueError, StorageFailed) as error:
        raise NotAVault(f"vault.json in {root} can't be read.") from error
    if stored.get("format") != FORMAT or not isinstance(stored.get("vault"), str):
        raise NotAVault(
            f"The vault in {root} has the format {stored.get('format')!r}; this program knows "
            f"{FORMAT}."
        )
    return str(stored["vault"])


class _KeyringFile:
    """keyring.json, read again when it was replaced.

    A version that is new to this vault becomes an entry of the log. Thread-safe.
    """

    def __init__(
        self, settings: VaultSettings, vault_id: str, opened: Catalogue, log: Log, clock: Clock
    ) -> None:
        self._settings = settings
        self._vault_id = vault_id
        self._catalogue = opened
        self._log = log
        self._clock = clock
        self._guard = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._keyring: Keyring | None = None

    def read(self) -> Keyring:
        with self._guard:
            state = self._state()
            if self._keyring is None or state != self._seen:
                self._keyring = self._pinned()
                self._seen = state
            return self._keyring

    def _state(self) -> tuple[int, int, int]:
        try:
            status = (self._settings.root / "keyring.json").stat()
        except OSError as error:
            raise KeyringRefused(f"keyring.json can't be read: {error.strerror}.") from error
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _pinned(self) -> Keyring:
        try:
            pins = read_pins(read_small(self._settings.pins, 65536))
            keyring = read_keyring(
                read_small(self._settings.root / "keyring.json", KEYRING_LIMIT_BYTES)
            )
        except StorageFailed as error:
            lost = (
                isinstance(error.__cause__, FileNotFoundError) and not self._settings.pins.exists()
            )
            raise KeyringRefused(error.sentence, hint=PINS_LOST if lost else None) from error
        if keyring.vault_id != self._vault_id:
            raise KeyringRefused("The keyring belongs to another vault.")
        with self._catalogue.reading() as tx:
            seen = int(facts.get_meta(tx, KEYRING_VERSION) or 0)
        keyring.held_by(pins, seen)
        if keyring.version > seen:
            with self._catalogue.writing() as tx:
                facts.set_meta(tx, KEYRING_VERSION, str(keyring.version))
                summary = keyring.summary(utc_text(self._clock.now()))
                enter(self._log, tx, Entry("keyring.changed", "vault", self._vault_id, summary))
        return keyring
