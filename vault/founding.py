"""`vault init`: a new vault with its keyring, and the pins that stand outside it."""

import uuid
from pathlib import Path

from vault.audit import Entry, Log
from vault.catalogue import Catalogue
from vault.ceremony import Founders, found_keyring
from vault.clock import Clock, utc_text
from vault.config import VaultSettings
from vault.durable import make_folder, write_new
from vault.errors import VaultExists
from vault.jsonform import readable
from vault.keys import PassphraseCost
from vault.migration import migrate
from vault.vault import FORMAT


def found(settings: VaultSettings, clock: Clock, founders: Founders, cost: PassphraseCost) -> str:
    """Make a vault in `settings.root` (new or empty) and its pins; returns the vault's id.

    `vault.json` is written last: a folder without it is no vault, and `init` can be run again on it once it is emptied.
    Raises VaultExists, PairRefused, StorageFailed.
    """
    root = settings.root
    if root.exists() and any(root.iterdir()):
        raise VaultExists(f"{root} is not empty.")
    if settings.pins.exists():
        raise VaultExists(
            f"{settings.pins} exists: it pins the keyring of a vault.", hint="Move it away first, or name another file."
        )
    vault_id = str(uuid.uuid4())
    made_utc = utc_text(clock.now())
    founding = found_keyring(vault_id, made_utc, founders, cost)
    for folder in (root / "incoming", root / "footage", root / "register", root / "checkpoints", settings.pins.parent):
        make_folder(folder)
    migrate(root / "catalogue.db")
    catalogue = Catalogue.opened(root / "catalogue.db")
    with catalogue.writing() as tx:
        signers = len(founding.pins.signers)
        Log(root / "register", clock).append(
            tx, Entry("vault.founded", "vault init", vault_id, {"keyring_version": 1, "signers": signers})
        )
    catalogue.dispose()
    _write(root, root / "keyring.json", founding.keyring)
    _write(settings.pins.parent, settings.pins, founding.pins.content())
    _write(root, root / "vault.json", readable({"format": FORMAT, "vault": vault_id, "made_utc": made_utc}))
    return vault_id


def _write(folder: Path, path: Path, content: bytes) -> None:
    write_new(folder / f".{path.name}.part", path, content)
