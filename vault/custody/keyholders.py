"""Changes of who holds the keys, in a vault: the keyring's file replaced in one step, and its pins
where a signer changed.

Order of steps: the new keyring is made and checked in memory; its file is flushed beside the old
one and takes its place in one step; whoever opens the vault next, or has it open, meets the new
version, and with that it stands in the log. The pins lie outside the vault, in the hands of the
administrator: a keyring with another signer is taken once they name that signer.
"""

from collections.abc import Iterable, Sequence

from vault.crypto.passphrase import PassphraseCost
from vault.custody.people import Signed
from vault.keyring.changes import Changed, Edit, change_keyring, change_passphrase
from vault.keyring.keyring import Identity, Keyring
from vault.rules.actions import Action, demand, demand_second
from vault.storage.durable import remove_file, replace_new
from vault.storage.locks import KeyringLock
from vault.storage.small_files import read_small
from vault.vault import KEYRING_LIMIT_BYTES, Vault


def change(
    vault: Vault,
    edits: Sequence[Edit],
    first: Signed,
    second: Signed,
    helpers: Sequence[Identity],
    cost: PassphraseCost,
    escrow: Iterable[bytes] = (),
) -> Changed:
    """Change persons and seats. `first` and `second` sign; `helpers` are there to open what the
    signers can't.

    Raises NotAllowed, PairRefused, CannotOpen, and KeyringRefused where the pins must follow first
    (`vault ceremony pin`).
    """
    acting = demand(Action.CHANGE_KEYRING, first.actor)
    demand_second(Action.CHANGE_KEYRING, acting, second.actor)
    present = [first.identity, second.identity, *helpers]
    with KeyringLock(vault.settings.root):
        changed = change_keyring(vault.keyring, edits, present, vault.now_utc(), cost, escrow)
        write_keyring(vault, changed.content)
    return changed


def set_passphrase(vault: Vault, who: Signed, passphrase: str, cost: PassphraseCost) -> None:
    """Put a person's keys under another passphrase. Whoever has an older copy of the file and the
    old passphrase still opens those: where a passphrase leaked, the person's keys must change, by
    leaving and enrolling anew.
    """
    with KeyringLock(vault.settings.root):
        content = read_small(vault.settings.root / "keyring.json", KEYRING_LIMIT_BYTES)
        write_keyring(
            vault, change_passphrase(vault.keyring, content, who.identity, passphrase, cost)
        )


def write_keyring(vault: Vault, content: bytes) -> None:
    """Put a new keyring in the place of the one that stands. Raises StorageFailed."""
    root = vault.settings.root
    remove_file(root / ".keyring.json.part")
    replace_new(root / ".keyring.json.part", root / "keyring.json", content)


def fingerprint_lines(keyring: Keyring) -> list[str]:
    """The two signers and their keys, as they are held against the paper of the ceremony."""
    lines = []
    for person in keyring.body.signers:
        form = keyring.person(person)
        lines.append(f"{form.name}: {form.signing_key}")
    return lines
