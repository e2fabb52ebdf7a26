"""The first keyring, made at the key ceremony (FORMAT.md, section 4)."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from vault.crypto.canonical_json import to_base64
from vault.crypto.hpke import key_id, new_agreement_key, public_of
from vault.crypto.passphrase import PassphraseCost, lock_secret
from vault.errors import PairRefused
from vault.keyring.form import (
    EscrowForm,
    Lock,
)
from vault.keyring.keyring import Pins, binding, read_keyring
from vault.keyring.seats import (
    SIGNING_FUNCTIONS,
    Founder,
    SeatMaker,
    Seats,
    check_administrator,
    check_codes,
    check_names,
    check_passphrase,
    check_seats,
    new_person,
    person_lock,
    sealed_envelope,
)
from vault.rules.roles import ESCROW_HOLDERS, STANDING_SUBSTITUTES, Function


@dataclass(frozen=True, slots=True)
class Founders:
    """Everybody at the ceremony, and the codes of the two escrow holders."""

    persons: tuple[Founder, ...]
    escrow: Mapping[str, str]

    @classmethod
    def by_function(cls, passphrases: Mapping[str, str]) -> "Founders":
        """One person for each function, named by it. `passphrases`: one for each function and
        escrow holder.
        """
        unknown = set(passphrases) - {*map(str, Function), *ESCROW_HOLDERS}
        if unknown:
            raise PairRefused(f"There is no function {', '.join(sorted(unknown))}.")
        persons = tuple(Founder(str(name), passphrases.get(name, ""), name) for name in Function)
        return cls(persons, {holder: passphrases.get(holder, "") for holder in ESCROW_HOLDERS})


@dataclass(frozen=True, slots=True)
class Founding:
    """A first keyring, and what must be remembered outside the vault."""

    keyring: bytes
    pins: Pins


# --- the founding ---------------------------------------------------------------------------------


def found_keyring(
    vault_id: str, made_utc: str, founders: Founders, cost: PassphraseCost
) -> Founding:
    """Make the keys of a new vault. The privacy officer and the cluster manager sign. Raises
    PairRefused.
    """
    _check_founders(founders)
    persons, locks, identities = [], {}, []
    for founder in founders.persons:
        form, identity = new_person(founder, made_utc)
        persons.append(form)
        identities.append(identity)
        locks[form.person] = person_lock(vault_id, identity, founder.passphrase, cost)
    first_of = {
        founder.function: form.person
        for founder, form in zip(founders.persons, persons, strict=True)
        if founder.function
    }
    plan = {}
    for function in Function:
        holders = tuple(
            form.person
            for founder, form in zip(founders.persons, persons, strict=True)
            if founder.function is function
        )
        plan[function.value] = Seats(holders, (first_of[STANDING_SUBSTITUTES[function]],))
    escrow = []
    for holder in ESCROW_HOLDERS:
        private = new_agreement_key()
        escrow.append(
            EscrowForm(
                holder=holder,
                agreement_key=to_base64(public_of(private)),
                key=key_id(public_of(private)),
            )
        )
        locks[holder] = Lock.of(
            lock_secret(private, founders.escrow[holder], binding("escrow", vault_id, holder), cost)
        )
    signers = [first_of[function] for function in SIGNING_FUNCTIONS]
    body = SeatMaker(vault_id, made_utc, persons, escrow).body(1, signers, plan, {})
    check_seats(body)
    signing = [
        identity for person in signers for identity in identities if identity.person == person
    ]
    keyring = sealed_envelope(body, locks, signing)
    return Founding(keyring, read_keyring(keyring).next_pins())


def _check_founders(founders: Founders) -> None:
    for function in Function:
        if not any(founder.function is function for founder in founders.persons):
            raise PairRefused(
                f"Nobody at the ceremony holds {function.value}.",
                hint="Each of the five functions needs a holder.",
            )
    if set(founders.escrow) != set(ESCROW_HOLDERS):
        raise PairRefused("Both escrow holders need a code.")
    check_names([*(founder.name for founder in founders.persons), *founders.escrow])
    check_codes([founder.officer for founder in founders.persons])
    _check_passphrases(founders)
    for founder in founders.persons:
        check_administrator(
            founder.administrator,
            founder.name,
            founder.function is not None or founder.officer is not None,
        )


def _check_passphrases(founders: Founders) -> None:
    """Each is long enough, and no two are the same."""
    chosen = [(founder.name, founder.passphrase) for founder in founders.persons]
    chosen += founders.escrow.items()
    for name, passphrase in chosen:
        check_passphrase(name, passphrase)
    if len({unicodedata.normalize("NFC", passphrase) for _, passphrase in chosen}) != len(chosen):
        raise PairRefused(
            "Two persons were given the same passphrase.",
            hint="Each holder chooses their own, unseen by the others.",
        )
