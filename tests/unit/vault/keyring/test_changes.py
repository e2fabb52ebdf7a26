"""The key ceremony and every change after it: nobody alone reaches both halves of anything (rulings
1 to 4).
"""

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.vault_world import CHEAP, PASSPHRASES
from vault.crypto.canonical_json import from_base64, to_base64
from vault.crypto.hpke import new_data_key
from vault.crypto.shares import WrappedKey, join
from vault.errors import (
    CannotOpen,
    Failure,
    KeyringRefused,
    PairRefused,
    UnknownPerson,
    WrongPassphrase,
)
from vault.keyring.changes import (
    Appoint,
    Dismiss,
    Edit,
    Enrol,
    Leave,
    NameSigner,
    SetOfficer,
    change_keyring,
    change_passphrase,
)
from vault.keyring.first import Founders, found_keyring
from vault.keyring.form import BodyForm
from vault.keyring.keyring import Identity, Keyring, read_keyring
from vault.keyring.seats import Founder, check_seats
from vault.rules.roles import ESCROW_HOLDERS, PAIRS, Function, Role, officer_receiver

VAULT = "5f0c8f1e-0000-4000-8000-000000000001"
MADE = "2026-11-23T18:00:00.000Z"
LATER = "2026-12-01T09:00:00.000Z"
ESCROW = {holder: PASSPHRASES[holder] for holder in ESCROW_HOLDERS}
OFFICE = (
    Founder("Bea", "the coordinator's own", Function.COORDINATOR, officer="boa-09"),
    Founder("Carel", "the manager's own words", Function.CLUSTER_MANAGER),
    Founder("Petra", "the privacy officer's", Function.PRIVACY_OFFICER),
    Founder("Geert", "the secretary's own", Function.SECRETARY),
    Founder("Vera", "the safety coordinator's", Function.SAFETY_COORDINATOR),
    Founder("Mo", "an officer on the street", officer="boa-17"),
    Founder("Tim", "administrator of one PC", administrator=True),
)
"""The coordinator wears a camera too."""
SECRETS = {founder.name: founder.passphrase for founder in OFFICE}


@pytest.fixture(scope="module")
def office() -> Keyring:
    founding = found_keyring(VAULT, MADE, Founders(OFFICE, ESCROW), CHEAP)
    return read_keyring(founding.keyring).held_by(founding.pins)


def identity(keyring: Keyring, name: str, passphrase: str | None = None) -> Identity:
    return keyring.identify(name, passphrase or SECRETS[name])


def changed(keyring: Keyring, edits: Sequence[Edit], *helpers: str) -> Keyring:
    """The next keyring, changed by its signers with these persons beside them."""
    signers = [keyring.person(person).name for person in keyring.body.signers]
    present = [identity(keyring, name) for name in dict.fromkeys((*signers, *helpers))]
    change = change_keyring(keyring, edits, present, LATER, CHEAP)
    for edit in edits:
        if isinstance(edit, Enrol):
            SECRETS[edit.founder.name] = edit.founder.passphrase
    return read_keyring(change.content).held_by(keyring.next_pins(), keyring.version + 1)


def recorded(keyring: Keyring, officer: str | None = None) -> tuple[bytes, tuple[WrappedKey, ...]]:
    """A data key and its wrapping, as intake makes them for a recording of this officer's code."""
    data_key = new_data_key()
    return data_key, keyring.wrapper().wrap(data_key, "recording", keyring.officer(officer))


def opened(
    keyring: Keyring, who: Iterable[Identity], keys: Iterable[WrappedKey]
) -> set[tuple[str, str]]:
    """The pairs that these persons open with all that they reach, whatever the policy would say."""
    have = keyring.reach(who)
    return {wrapped.pair for wrapped in keys if all(half.key in have for half in wrapped.halves)}


def anybody(keyring: Keyring) -> list[Identity]:
    return [identity(keyring, form.name) for form in keyring.persons()]


def test_nobody_alone_opens_anything_and_every_pair_of_the_policy_does(office: Keyring) -> None:
    """Proves P40: a coordinator who wears a camera, and holders who keep another function's key as
    standing substitutes.
    """
    data_key, keys = recorded(office, "boa-17")
    for one in anybody(office):
        assert opened(office, [one], keys) == set(), one.name
    holder = {role: office.person(role).name for role in ("BC", "CM", "PO", "GS", "VC")}
    mo = officer_receiver(office.person("Mo").person)
    for wrapped in keys:
        if wrapped.pair[0] in ESCROW_HOLDERS:
            continue
        names = ["Mo" if receiver == mo else holder[receiver] for receiver in wrapped.pair]
        pair = [identity(office, name) for name in names]
        have = office.reach(pair)
        halves = [
            office.unwrapper(receiver, one, have).half(wrapped, "recording")
            for receiver, one in zip(wrapped.pair, pair, strict=True)
        ]
        assert join(*halves) == data_key
    assert len(keys) == len(PAIRS) + 2


def test_the_coordinators_own_footage_is_sealed_for_the_cluster_manager_only(
    office: Keyring,
) -> None:
    """Proves P54 at rest: no pair is sealed whose two seats are one person's."""
    _, keys = recorded(office, "boa-09")
    bea = officer_receiver(office.person("Bea").person)
    assert [wrapped.pair for wrapped in keys if bea in wrapped.pair] == [tuple(sorted(("CM", bea)))]
    assert len(recorded(office, "boa-99")[1]) == len(recorded(office, None)[1]) == len(PAIRS)


@pytest.mark.parametrize("absent", sorted(Function))
def test_a_standing_substitute_takes_a_seat_with_a_second_person_only(
    office: Keyring, absent: Function
) -> None:
    """Proves P41 by mathematics: each function opens when its only holder is gone, and the
    substitute alone opens nothing.
    """
    (substitute,) = office.holders(standing=True)[absent] - office.holders()[absent]
    name = office.person(substitute).name
    _, keys = recorded(office)
    meeting = [pair.receivers for pair in PAIRS if absent in pair.receivers]
    partners = {
        next(receiver for receiver in receivers if receiver != absent) for receivers in meeting
    }
    partners -= set(map(str, office.roles_of(substitute)))
    for partner in partners:
        pair = [identity(office, name), identity(office, office.person(str(partner)).name)]
        assert tuple(sorted((absent, partner))) in opened(office, pair, keys)
    assert partners
    with pytest.raises(CannotOpen, match="split"):
        office.unwrapper(absent, pair[0], office.reach(pair[:1]))


def test_an_officer_who_becomes_coordinator_opens_no_old_footage_of_their_own(
    office: Keyring,
) -> None:
    """Ruling 1: the officer's key was there first, so the coordinator's comes to them in two
    halves, the old keys' too.
    """
    data_key, before = recorded(office, "boa-17")
    mo = office.person("Mo").person
    bea = office.person("Bea").person
    now = changed(
        office, [Appoint(mo, Function.COORDINATOR), Dismiss(bea, Function.COORDINATOR)], "Bea"
    )
    assert now.roles_of(mo) == {Role.OFFICER, Role.COORDINATOR}
    _, after = recorded(now, "boa-17")
    assert tuple(sorted((officer_receiver(mo), "BC"))) not in {wrapped.pair for wrapped in after}
    for one in anybody(now):
        assert opened(now, [one], before) == opened(now, [one], after) == set(), one.name
    assert ("BC", "PO") in opened(now, [identity(now, "Mo"), identity(now, "Petra")], before)
    assert ("BC", "PO") in opened(now, [identity(now, "Mo"), identity(now, "Petra")], after)
    assert data_key


def test_who_left_opens_nothing_new_and_the_successor_opens_the_old(office: Keyring) -> None:
    _, before = recorded(office)
    petra = office.person("Petra").person
    edits: list[Edit] = [
        Enrol(Founder("Pia", "the next privacy officer", Function.PRIVACY_OFFICER)),
    ]
    pair = [identity(office, name) for name in ("Petra", "Carel")]
    first = change_keyring(office, edits, pair, LATER, CHEAP)
    SECRETS["Pia"] = "the next privacy officer"
    both = read_keyring(first.content)
    pia = both.person("Pia").person
    handing_over = [identity(both, name) for name in ("Petra", "Carel", "Pia", "Vera")]
    second = change_keyring(
        both,
        [
            NameSigner(pia, petra),
            Appoint(pia, Function.CLUSTER_MANAGER, standing=True),
            Leave(petra),
        ],
        handing_over,
        LATER,
        CHEAP,
    )
    now = read_keyring(second.content)
    now.held_by(office.next_pins())
    _, after = recorded(now)
    gone = identity(office, "Petra")
    assert opened(office, [gone, identity(office, "Geert")], before) >= {("GS", "PO")}
    assert opened(now, [gone, identity(now, "Geert")], after) == set()
    assert ("GS", "PO") in opened(now, [identity(now, "Pia"), identity(now, "Geert")], before)
    assert ("GS", "PO") in opened(now, [identity(now, "Pia"), identity(now, "Geert")], after)
    with pytest.raises(UnknownPerson):
        now.person("Petra")
    third = change_keyring(
        now,
        [SetOfficer(pia, None)],
        [identity(now, name) for name in ("Pia", "Carel")],
        LATER,
        CHEAP,
    )
    with pytest.raises(KeyringRefused, match="both pinned"):
        read_keyring(third.content).held_by(office.next_pins())
    read_keyring(third.content).held_by(now.next_pins())


def test_a_function_whose_holder_is_gone_is_reached_by_the_escrow(office: Keyring) -> None:
    """Ruling 3: who forgets leaves nobody outside. The signers alone can't; with both escrow codes
    they can.
    """
    geert = office.person("Geert").person
    edits: list[Edit] = [
        Enrol(Founder("Gijs", "the next municipal secretary", Function.SECRETARY)),
        Leave(geert),
    ]
    signers = [identity(office, name) for name in ("Petra", "Carel")]
    with pytest.raises(CannotOpen, match="GS"):
        change_keyring(office, edits, signers, LATER, CHEAP)
    escrow = [office.escrow_private(holder, code) for holder, code in ESCROW.items()]
    now = read_keyring(change_keyring(office, edits, signers, LATER, CHEAP, escrow).content)
    assert now.person("GS").name == "Gijs"
    _, before = recorded(office)
    assert ("CM", "GS") in opened(
        now, [now.identify("Gijs", "the next municipal secretary"), identity(now, "Carel")], before
    )


def test_one_escrow_code_opens_nothing(office: Keyring) -> None:
    _, keys = recorded(office)
    for holder, code in ESCROW.items():
        have = office.reach([], [office.escrow_private(holder, code)])
        assert not any(all(half.key in have for half in wrapped.halves) for wrapped in keys)


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ([Dismiss("Geert", Function.SECRETARY)], "Nobody would hold GS"),
        ([Appoint("Tim", Function.SECRETARY)], "administrator"),
        ([SetOfficer("Tim", "boa-18")], "administrator"),
        ([SetOfficer("Carel", "boa-17")], "same code"),
        ([Enrol(Founder("mo", "twelve characters"))], "same name"),
        ([Enrol(Founder("Nel", "short"))], "fewer than 12"),
        ([Leave("Petra")], "Nobody would hold PO|two different signers"),
        ([NameSigner("Petra", "Carel")], "two different signers"),
        ([NameSigner("Geert", "Carel")], "two different signers who are present"),
        ([NameSigner("Vera", "Carel")], "signed by a privacy officer and a cluster manager"),
        (
            [Appoint("Vera", Function.CLUSTER_MANAGER), Dismiss("Carel", Function.CLUSTER_MANAGER)],
            "signed by a privacy officer",
        ),
        ([Appoint("nobody", Function.SECRETARY)], "no person"),
    ],
)
def test_edits_that_break_the_rules_are_refused(
    office: Keyring, edits: list[Any], says: str
) -> None:
    ids = {form.name: form.person for form in office.persons()}

    def by_id(edit: Any) -> Any:
        fields = {
            name: ids.get(getattr(edit, name), getattr(edit, name))
            for name in edit.__dataclass_fields__
        }
        return edit if isinstance(edit, Enrol) else type(edit)(**fields)

    present = [
        identity(office, name) for name in ("Petra", "Carel", "Geert", "Vera") if name != "Geert"
    ]
    with pytest.raises(Failure, match=says):
        change_keyring(office, [by_id(edit) for edit in edits], [*present], LATER, CHEAP)


@pytest.mark.parametrize("present", [("Petra",), ("Carel", "Geert"), ("Petra", "Petra"), ()])
def test_only_both_signers_change_the_keyring(office: Keyring, present: tuple[str, ...]) -> None:
    with pytest.raises(PairRefused, match="two signers"):
        change_keyring(
            office,
            [SetOfficer(office.person("Mo").person, None)],
            [identity(office, name) for name in present],
            LATER,
            CHEAP,
        )


def test_a_passphrase_is_changed_by_its_person_alone(office: Keyring) -> None:
    founding = found_keyring(VAULT, MADE, Founders(OFFICE, ESCROW), CHEAP)
    keyring = read_keyring(founding.keyring)
    content = change_passphrase(
        keyring, founding.keyring, identity(keyring, "Mo"), "a new one for the street", CHEAP
    )
    now = read_keyring(content).held_by(founding.pins)
    assert now.identify("Mo", "a new one for the street").person == keyring.person("Mo").person
    with pytest.raises(WrongPassphrase):
        now.identify("Mo", SECRETS["Mo"])
    with pytest.raises(PairRefused, match="fewer"):
        change_passphrase(keyring, founding.keyring, identity(keyring, "Mo"), "short", CHEAP)


def test_a_lock_with_other_keys_in_it_is_refused(office: Keyring) -> None:
    """The locks are not signed: one made by a stranger under the person's id opens, and is refused
    for what it holds.
    """
    mine = found_keyring(VAULT, MADE, Founders(OFFICE, ESCROW), CHEAP)
    theirs = found_keyring(VAULT, MADE, Founders(OFFICE, ESCROW), CHEAP)
    keyring = read_keyring(mine.keyring)
    stranger = Identity(
        keyring.person("Mo").person,
        "Mo",
        b"\1" * 32,
        read_keyring(theirs.keyring).identify("Mo", SECRETS["Mo"]).agreement,
    )
    content = change_passphrase(keyring, mine.keyring, stranger, "a stranger's passphrase", CHEAP)
    with pytest.raises(KeyringRefused, match="did not sign"):
        read_keyring(content).identify("Mo", "a stranger's passphrase")


def test_a_person_is_found_by_id_name_code_and_sole_function(office: Keyring) -> None:
    mo = office.person("Mo")
    assert office.person(mo.person) is office.person("mo") is office.person("BOA-17") is mo
    assert office.person("GS").name == "Geert"
    for unknown in ("", "Nel", "TB"):
        with pytest.raises(UnknownPerson):
            office.person(unknown)


def test_a_signed_keyring_with_a_whole_second_seat_is_not_made(office: Keyring) -> None:
    """`check_seats` holds the finished keyring against the rules, whoever wrote it."""
    body = json.loads(json.dumps(office.body.model_dump()))
    seat = next(
        seat for entry in body["functions"] for seat in entry["keys"][0]["seats"] if seat["others"]
    )
    kept, seat["others"] = seat["others"], []
    with pytest.raises(PairRefused, match="whole"):
        check_seats(BodyForm.model_validate(body))
    seat["others"] = [dict(kept[0], to=officer_receiver(seat["person"]))]
    with pytest.raises(PairRefused, match="their own"):
        check_seats(BodyForm.model_validate(body))


FIVE = sorted(Function)


@given(data=st.data())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_after_any_changes_nobody_alone_opens_anything(
    office: Keyring, data: st.DataObject
) -> None:
    """Rule by rule, in any order: after each change every person alone opens no recording, new or
    old, and the pairs still do.
    """
    keyring = office
    recordings = [recorded(keyring, "boa-17")[1]]
    for step in range(data.draw(st.integers(1, 3))):
        names = sorted(form.name for form in keyring.persons() if not form.administrator)
        name = data.draw(st.sampled_from(names))
        person = keyring.person(name).person
        function = data.draw(st.sampled_from(FIVE))
        kind = data.draw(st.sampled_from(["appoint", "standing", "dismiss", "officer", "enrol"]))
        edits: dict[str, Edit] = {
            "appoint": Appoint(person, function),
            "standing": Appoint(person, function, standing=True),
            "dismiss": Dismiss(person, function),
            "officer": SetOfficer(
                person, None if keyring.person(name).officer else f"boa-{50 + step}"
            ),
            "enrol": Enrol(
                Founder(f"New {keyring.version}", f"passphrase of new {step}", function)
            ),
        }
        edit = edits[kind]
        escrow = [keyring.escrow_private(holder, code) for holder, code in ESCROW.items()]
        if isinstance(edit, Enrol):
            SECRETS[edit.founder.name] = edit.founder.passphrase
        try:
            change = change_keyring(keyring, [edit], anybody(keyring), LATER, CHEAP, escrow)
        except PairRefused:
            continue
        keyring = read_keyring(change.content)
        recordings += [
            recorded(keyring, code)[1] for code in ("boa-17", "boa-09", f"boa-{50 + step}")
        ]
        everybody = anybody(keyring)
        for one in everybody:
            for keys in recordings:
                assert opened(keyring, [one], keys) == set(), (one.name, edit)
        for wrapped in itertools.chain.from_iterable(recordings):
            assert wrapped.pair[0] in ESCROW_HOLDERS or wrapped.pair in opened(
                keyring, everybody, [wrapped]
            )


def test_signatures_are_over_the_payload_and_locks_are_not(office: Keyring) -> None:
    founding = found_keyring(VAULT, MADE, Founders(OFFICE, ESCROW), CHEAP)
    envelope = json.loads(founding.keyring)
    envelope["locks"] = {}
    stripped = read_keyring(json.dumps(envelope).encode()).held_by(founding.pins)
    with pytest.raises(KeyringRefused, match="no lock"):
        stripped.identify("Mo", SECRETS["Mo"])
    payload = json.loads(from_base64(envelope["payload"]))
    payload["persons"][0]["name"] = "Eve"
    envelope["payload"] = to_base64(json.dumps(payload).encode())
    with pytest.raises(KeyringRefused, match="signature"):
        read_keyring(json.dumps(envelope).encode())
