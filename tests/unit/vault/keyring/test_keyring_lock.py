"""Two who change the keyring at once: neither's change is lost."""

import threading

from tests.support.office import Office
from tests.support.vault_world import CHEAP
from vault.custody.keyholders import set_passphrase
from vault.storage.locks import KeyringLock


def test_two_passphrases_changed_at_once_both_stand(here: Office) -> None:
    """Both are proven under the old keyring; the second reads what the first wrote before it
    writes.
    """
    names = ("Bea", "Carel", "Petra", "Geert")
    signed = {name: here.signed(name) for name in names}

    def change(name: str) -> None:
        set_passphrase(here.vault, signed[name], f"the new words of {name}", CHEAP)

    with KeyringLock(here.settings.root):
        threads = [threading.Thread(target=change, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join(30)
    for name in names:
        assert here.vault.keyring.identify(name, f"the new words of {name}").name == name
