"""Four eyes at rest: with every file of the vault and of the docking PC, and any one person's
passphrase, no recording opens.

The attempts are the second reader's: what can be computed from FORMAT.md with everything at hand,
and no rule of the program between.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import second_reader
from tests.support.office import ESCROW, PEOPLE, Office, office
from tests.support.vault_world import CHEAP
from vault.crypto.hpke import new_data_key
from vault.crypto.shares import WrappedKey
from vault.custody import keyholders
from vault.custody.viewing.release import open_recording
from vault.errors import KeyringRefused
from vault.keyring.changes import Appoint, Dismiss, Edit
from vault.keyring.receivers import Wrapper
from vault.keyring.seats import Founder
from vault.rules.roles import ESCROW_HOLDERS, Function, officer_receiver

BEA_TOO = (
    Founder("Bea", "the coordinator's own", Function.COORDINATOR, officer="boa-09"),
    *PEOPLE[1:],
)
"""The coordinator is also a boa."""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path / "office", BEA_TOO) as made:
        made.clock.pass_time(3600)
        yield made


def reachable(here: Office, *names: str) -> set[str]:
    """Digests of every private key that these persons compute together, by the second reader, from
    the files alone.
    """
    keyring = second_reader.verify_keyring((here.settings.root / "keyring.json").read_bytes())
    have: dict[str, bytes] = {}
    agreements = {}
    for name in names:
        person = here.id(name)
        agreements[person] = second_reader.unlock_person(keyring, person, here.secrets[name])[1]
    have |= {
        second_reader._sha256(second_reader._agreement(private)[1]): private
        for private in agreements.values()
    }
    grown = True
    while grown:
        before = len(have)
        for entry in keyring.payload["functions"]:
            for age in range(len(entry["keys"])):
                for person, agreement in agreements.items():
                    try:
                        private = second_reader.unlock_function(
                            keyring, entry["function"], person, agreement, list(have.values()), age
                        )
                    except second_reader.Refused:
                        continue
                    have[entry["keys"][age]["key"]] = private
        grown = len(have) > before
    return set(have)


def opens(here: Office, recording: str, *names: str) -> set[str]:
    """The pairs of a recording that these persons open together."""
    have = reachable(here, *names)
    (path,) = here.settings.root.glob(f"footage/*/*/{recording}/record.json")
    keys = json.loads(path.read_bytes())["keys"]
    return {
        "+".join(entry["pair"])
        for entry in keys
        if all(half["key"] in have for half in entry["halves"])
    }


def test_nobody_alone_opens_a_recording_and_each_pair_does(here: Office) -> None:
    """Proves P40 for root and each person: the files alone, and with any one passphrase; those with
    two seats among them.
    """
    mine, theirs = here.record("boa-09"), here.record("boa-17")
    for recording in (mine, theirs):
        assert opens(here, recording) == set()
        for person in here.vault.keyring.persons():
            assert opens(here, recording, person.name) == set(), person.name
    assert "CM+GS" in opens(here, theirs, "Carel", "Geert")
    assert "PO+VC" in opens(here, theirs, "Petra", "Vera")
    mo = officer_receiver(here.id("Mo"))
    assert f"BC+{mo}" in opens(here, theirs, "Bea", "Mo")
    bea = officer_receiver(here.id("Bea"))
    assert f"CM+{bea}" in opens(here, mine, "Bea", "Carel")


def test_a_cluster_manager_who_stands_in_for_the_privacy_officer_opens_nothing_alone(
    here: Office,
) -> None:
    """Ruling 1: the key that Carel keeps for Petra's place comes to life with a
    second person only.
    """
    recording = here.record("boa-17")
    assert opens(here, recording, "Carel") == set()
    assert "GS+PO" in opens(here, recording, "Carel", "Geert")


def test_an_officer_who_became_coordinator_later_opens_nothing_alone(here: Office) -> None:
    """Neither their own old footage, whose coordinator's half they now hold, nor
    what comes after.
    """
    before = here.record("boa-17")
    petra, carel = here.signed("Petra"), here.signed("Carel")
    edits: list[Edit] = [
        Appoint(here.id("Mo"), Function.COORDINATOR),
        Dismiss(here.id("Bea"), Function.COORDINATOR),
    ]
    keyholders.change(here.vault, edits, petra, carel, [here.signed("Bea").identity], CHEAP)
    after = here.record("boa-17")
    assert here.vault.keyring.version == 2
    for recording in (before, after):
        for person in here.vault.keyring.persons():
            assert opens(here, recording, person.name) == set(), person.name
        assert "BC+PO" in opens(here, recording, "Mo", "Petra")
    assert [entry["details"]["keyring_version"] for entry in here.told("keyring.changed")] == [2]


def test_a_keyring_put_in_its_place_while_the_dock_runs_is_refused_and_nothing_is_sealed_to_it(
    here: Office, tmp_path: Path
) -> None:
    """Fault H2, between two recordings: the file is read again when it changes, and held against
    the pins again.
    """
    here.record()
    path = here.settings.root / "keyring.json"
    kept = path.read_bytes()
    with office(tmp_path / "other") as other:
        path.write_bytes((other.settings.root / "keyring.json").read_bytes())
    with pytest.raises(KeyringRefused):
        here.record()
    path.write_bytes(kept)
    here.record()


def test_the_docking_pcs_own_files_hold_no_key_that_opens(here: Office) -> None:
    """Pins, log key, settings: what a thief of the PC has beside the vault."""
    here.record()
    beside = [path for path in here.settings.root.parent.iterdir() if path.is_file()]
    assert {path.name for path in beside} == {"pins.json", "log.key"}
    keyring = second_reader.verify_keyring((here.settings.root / "keyring.json").read_bytes())
    for path in beside:
        for person in here.vault.keyring.persons():
            with pytest.raises(second_reader.Refused):
                second_reader.unlock_person(keyring, person.person, path.read_text())


def test_both_escrow_codes_open_everything_and_one_opens_nothing(here: Office) -> None:
    recording = here.record()
    first, second = (here.vault.keyring.unlock(holder, ESCROW[holder]) for holder in ESCROW_HOLDERS)
    opened = open_recording(here.vault, recording, first, second, "test")
    assert opened.span(opened.record.files[0], 0, 3) == b"one"


def test_sealing_the_keys_of_a_recording_is_quick(here: Office) -> None:
    """Not timed to the clock of a noisy machine: eighteen seals, each one HPKE encapsulation, and
    no passphrase work.
    """
    wrapper: Wrapper = here.vault.keyring.wrapper()
    wrapped: tuple[WrappedKey, ...] = wrapper.wrap(new_data_key(), "recording", here.id("Mo"))
    assert sum(len(one.halves) for one in wrapped) == 18
