"""The keyring: two signatures, a rising version, pins (rulings 2; fault H2), and who can unlock
what.
"""

import json
from collections.abc import Callable

import pytest

from tests.support.vault_world import CHEAP, PASSPHRASES
from vault.crypto.canonical_json import from_base64, to_base64
from vault.crypto.hpke import new_data_key
from vault.crypto.passphrase import PassphraseCost
from vault.crypto.shares import join
from vault.errors import KeyringRefused, PairRefused, WrongPassphrase
from vault.keyring.first import Founders, Founding, found_keyring
from vault.keyring.keyring import Keyring, Pins, read_keyring, read_pins

VAULT = "5f0c8f1e-0000-4000-8000-000000000001"
MADE = "2026-11-23T18:00:00.000Z"


@pytest.fixture(scope="module")
def founding() -> Founding:
    return found_keyring(VAULT, MADE, Founders.by_function(PASSPHRASES), CHEAP)


@pytest.fixture(scope="module")
def keyring(founding: Founding) -> Keyring:
    return read_keyring(founding.keyring).held_by(founding.pins)


def test_pins_come_back(founding: Founding) -> None:
    assert read_pins(founding.pins.content()) == founding.pins


@pytest.mark.parametrize(
    "first", ["signature", "payload", "one signer", "twice one signer", "stranger", "not json"]
)
def test_a_keyring_that_was_touched_is_refused(founding: Founding, first: str) -> None:
    """Fault H2: whoever can write the vault's folder can put no key of their own among the
    receivers.
    """
    envelope = json.loads(founding.keyring)
    match first:
        case "signature":
            raw = bytearray(from_base64(envelope["signatures"][0]["sig"]))
            raw[5] ^= 1
            envelope["signatures"][0]["sig"] = to_base64(bytes(raw))
        case "payload":
            body = json.loads(from_base64(envelope["payload"]))
            body["version"] = 2
            envelope["payload"] = to_base64(json.dumps(body).encode())
        case "one signer":
            del envelope["signatures"][1]
        case "twice one signer":
            envelope["signatures"][1] = envelope["signatures"][0]
        case "stranger":
            envelope["signatures"][0]["keyid"] = "nobody"
    content = b"{" if first == "not json" else json.dumps(envelope).encode()
    with pytest.raises(KeyringRefused):
        read_keyring(content)


def test_another_founding_is_not_the_pinned_one(founding: Founding) -> None:
    other = read_keyring(
        found_keyring(VAULT, MADE, Founders.by_function(PASSPHRASES), CHEAP).keyring
    )
    with pytest.raises(KeyringRefused, match="pinned persons"):
        other.held_by(founding.pins)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda pins: Pins("other", pins.signers, 1), "another vault"),
        (lambda pins: Pins(pins.vault_id, pins.signers, 2), "older"),
    ],
)
def test_pins_decide(founding: Founding, change: Callable[[Pins], Pins], says: str) -> None:
    with pytest.raises(KeyringRefused, match=says):
        read_keyring(founding.keyring).held_by(change(founding.pins))


def test_a_version_already_surpassed_is_refused(founding: Founding) -> None:
    with pytest.raises(KeyringRefused, match="older"):
        read_keyring(founding.keyring).held_by(founding.pins, seen_version=2)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"format":"dock-vault/pins/1"}', b'{"a":1,"a":2}']
)
def test_pins_are_read_strictly(content: bytes) -> None:
    with pytest.raises(KeyringRefused):
        read_pins(content)


def test_each_half_alone_says_nothing_and_both_give_the_key(keyring: Keyring) -> None:
    """The split is fresh for each pair: no receiver's half is the same twice."""
    data_key = new_data_key()
    halves: dict[str, list[bytes]] = {}
    for wrapped in keyring.wrapper().wrap(data_key, "recording"):
        first, second = (
            keyring.unlock(name, PASSPHRASES[name]).half(wrapped, "recording")
            for name in wrapped.pair
        )
        assert join(first, second) == data_key
        assert data_key not in (first, second)
        for name, half in zip(wrapped.pair, (first, second), strict=True):
            halves.setdefault(name, []).append(half)
    for found in halves.values():
        assert len(set(found)) == len(found)


@pytest.mark.parametrize("receiver", sorted(PASSPHRASES))
def test_a_wrong_passphrase_opens_nothing(keyring: Keyring, receiver: str) -> None:
    others = [passphrase for name, passphrase in PASSPHRASES.items() if name != receiver]
    for passphrase in ("", "guess", *others):
        with pytest.raises(WrongPassphrase):
            keyring.unlock(receiver, passphrase)


def test_an_unknown_receiver_is_refused(keyring: Keyring) -> None:
    with pytest.raises(PairRefused):
        keyring.unlock("TB", "anything")


def test_the_same_passphrase_in_other_letters_is_the_same(keyring: Keyring) -> None:
    """Composed and decomposed letters are one passphrase: keyboards differ."""
    composed = dict(PASSPHRASES, PO="café met ijs en slagroom")
    founding = found_keyring(VAULT, MADE, Founders.by_function(composed), CHEAP)
    read_keyring(founding.keyring).unlock("PO", "cafe\u0301 met ijs en slagroom")


@pytest.mark.parametrize(
    "change",
    [{"PO": "short"}, {"PO": PASSPHRASES["CM"]}, {"XX": "one too many here"}],
    ids=["short", "same", "extra"],
)
def test_the_founding_asks_for_seven_good_passphrases(change: dict[str, str]) -> None:
    with pytest.raises(PairRefused):
        found_keyring(VAULT, MADE, Founders.by_function(PASSPHRASES | change), CHEAP)


def test_a_passphrase_costs_at_least_what_rfc_9106_asks() -> None:
    assert PassphraseCost() == PassphraseCost(memory_kib=65536, iterations=3, lanes=4)
