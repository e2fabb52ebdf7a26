"""`vault init`: a new vault with its keyring, and the pins that stand outside it."""

import uuid
from pathlib import Path

from vault.catalogue.database import Catalogue, place_of
from vault.catalogue.facts import set_meta
from vault.catalogue.migration import migrate
from vault.clock import MachineClock, utc_text
from vault.config import VaultSettings
from vault.crypto.canonical_json import readable
from vault.crypto.passphrase import PassphraseCost
from vault.errors import VaultExists
from vault.keyring.first import Founders, found_keyring
from vault.keyring.keyring import read_keyring
from vault.log.log import Entry, Log
from vault.log.projections import enter
from vault.log.signed_note import LogKey
from vault.operations.restore import BEGUN
from vault.rules.clock_guard import SEEN, confirm, look_at, seen_text
from vault.storage.durable import make_folder, remove_file, replace_file, write_new
from vault.storage.file_store import FileStore
from vault.vault import CLOCK_TRUSTED, FORMAT, KEYRING_VERSION


def found(
    settings: VaultSettings, clock: MachineClock, founders: Founders, cost: PassphraseCost
) -> str:
    """Make a vault in `settings.root` (new or empty) and its pins; returns the vault's id.

    `vault.json` is written last: a folder without it is no vault, and `init` can be run again on it
    once it is emptied. Raises VaultExists, PairRefused, StorageFailed.
    """
    _demand_nothing_there(settings)
    root, place = settings.root, place_of(settings.catalogue_url)
    vault_id = str(uuid.uuid4())
    made_utc = utc_text(clock.now())
    key_path = settings.log_key_path
    founding = found_keyring(vault_id, made_utc, founders, cost)
    FileStore(root, vault_id).prepare()
    place.make_folder()
    for folder in (
        root / "register",
        root / "checkpoints",
        settings.pins.parent,
        key_path.parent,
    ):
        make_folder(folder)
    migrate(settings.catalogue_url, settings.root / "register")
    catalogue = Catalogue.opened(settings.catalogue_url)
    with catalogue.writing() as tx:
        summary = read_keyring(founding.keyring).summary(made_utc)
        enter(
            Log(root / "register", clock),
            tx,
            Entry("vault.founded", "vault init", vault_id, summary),
        )
        # Persons are there: the clock as they see it is the guard's first anchor.
        set_meta(tx, SEEN, seen_text(confirm(None, look_at(clock))))
        set_meta(tx, CLOCK_TRUSTED, "yes")
        set_meta(tx, KEYRING_VERSION, str(summary["keyring_version"]))
    catalogue.dispose()
    _write(root, root / "keyring.json", founding.keyring)
    _write(settings.pins.parent, settings.pins, founding.pins.content())
    _write(key_path.parent, key_path, LogKey.generate(f"dock-vault/{vault_id}").content())
    _write(
        root,
        root / "vault.json",
        readable({"format": FORMAT, "vault": vault_id, "made_utc": made_utc}),
    )
    return vault_id


def _demand_nothing_there(settings: VaultSettings) -> None:
    """Raises VaultExists where founding would meet what another vault left."""
    root = settings.root
    if root.exists() and any(path.is_file() for path in root.rglob("*")):
        raise VaultExists(f"{root} is not empty.")
    if settings.pins.exists():
        raise VaultExists(
            f"{settings.pins} exists: it pins the keyring of a vault.",
            hint="Move it away first, or name another file.",
        )
    if settings.log_key_path.exists():
        raise VaultExists(
            f"{settings.log_key_path} exists: it signs another log.",
            hint="Move it away first, or name another file.",
        )
    catalogue = place_of(settings.catalogue_url)
    if catalogue.exists():
        raise VaultExists(
            f"{catalogue} exists: it is another vault's catalogue.",
            hint="Move it away first, or name another file.",
        )


# --- a ceremony whose papers are not printed yet --------------------------------------------------

UNPRINTED = "unprinted-pins.json"


def unprinted(settings: VaultSettings) -> VaultSettings:
    """The settings of a vault whose escrow papers are not printed yet: its pins have another name,
    and nothing starts with it.
    """
    return settings.model_copy(
        update={"pins": settings.pins.with_name(UNPRINTED), "log_key": settings.log_key_path}
    )


def papers_are_printed(settings: VaultSettings) -> None:
    """From now on it is a vault: its pins get their name."""
    replace_file(unprinted(settings).pins, settings.pins)


def discard_unfinished(settings: VaultSettings) -> bool:
    """Remove what a ceremony made that ended before its papers were printed; whether there was any.

    Nobody has that vault's escrow codes, and nothing was ever taken in under keys whose pins have
    no name. What has footage, or pins, or is no such ceremony's, is left alone.
    """
    root, pins = settings.root, unprinted(settings).pins
    if not _is_unfinished(settings):
        return False
    catalogue = place_of(settings.catalogue_url)
    if pins.exists() and catalogue.exists():
        # Outside the vault's folder only those pins prove that it is this ceremony's.
        catalogue.discard()
    # The pins last: as long as they are there, all of this is done again.
    for path in (
        root / "vault.json",
        *(path for path in root.rglob("*") if path.is_file()),
        settings.log_key_path,
        pins,
    ):
        if path.parent.is_dir():
            remove_file(path)
    return True


def _is_unfinished(settings: VaultSettings) -> bool:
    footage = (settings.root / "footage").rglob("*")
    if settings.pins.exists() or any(path.is_file() for path in footage):
        return False
    return unprinted(settings).pins.exists() or (
        not (settings.root / "vault.json").exists() and _begun(settings)
    )


def _begun(settings: VaultSettings) -> bool:
    """Whether `found` stopped on its way: what it makes first is there, and no restore's mark."""
    catalogue = place_of(settings.catalogue_url)
    return catalogue.exists() and not (settings.root / BEGUN).exists()


def _write(folder: Path, path: Path, content: bytes) -> None:
    write_new(folder / f".{path.name}.part", path, content)
