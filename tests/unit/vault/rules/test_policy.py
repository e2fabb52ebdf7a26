"""The matrix, row by row and column by column: every action by every role, normal, standing in,
concerned, twice the same person.

The expectations are typed from the protocol's matrix (obligations, section 2), not from the rules.
A row or a column that is missing here fails the suite.
"""

import itertools
import re

import pytest

from vault.errors import NotAllowed
from vault.rules import protocol
from vault.rules.actions import RULES, Acting, Action, Actor, Replacement, demand, demand_second
from vault.rules.case_kinds import CASES, CaseKind
from vault.rules.purposes import PURPOSES, Footage, Purpose, demand_viewing, receivers_of
from vault.rules.roles import PAIRS, Function, Role, officer_pairs, pair_of

MW, BC, CM, PO, GS, VC, TB = (
    Role.OFFICER,
    Role.COORDINATOR,
    Role.CLUSTER_MANAGER,
    Role.PRIVACY_OFFICER,
    Role.SECRETARY,
    Role.SAFETY_COORDINATOR,
    Role.ADMINISTRATOR,
)
ANYBODY = frozenset({MW, BC, CM, PO, GS, VC})
"""Who may stand in where the regular arrangements for replacement apply: anybody named, but the
technical administrator (P41).
"""

MATRIX: dict[Action, tuple[set[Role], dict[Role, frozenset[Role]]]] = {
    # action: who may; for each of these, who may stand in
    Action.SIGN_IN: ({MW, BC, CM, PO, GS, VC, TB}, {}),
    Action.FILE_REPORT: ({MW}, {MW: frozenset()}),
    Action.RECEIVE_REPORT: ({BC}, {BC: frozenset({CM})}),
    Action.ASSIGN_CAMERA: ({BC}, {BC: ANYBODY}),
    Action.ADD_CAMERA: ({BC}, {BC: ANYBODY}),
    Action.REMOVE_CAMERA: ({BC}, {BC: ANYBODY}),
    Action.LIST_RECORDINGS: ({CM, PO}, {CM: ANYBODY, PO: ANYBODY}),
    Action.ASK_WHY: ({CM, PO}, {CM: ANYBODY, PO: ANYBODY}),
    Action.NAME_PRESENT: ({BC, CM}, {BC: ANYBODY, CM: ANYBODY}),
    Action.REGISTER_CASE: ({CM, PO}, {CM: ANYBODY, PO: ANYBODY}),
    Action.CLOSE_CASE: ({CM, PO}, {CM: ANYBODY, PO: ANYBODY}),
    Action.DECIDE_ACCESS: ({PO}, {PO: ANYBODY}),
    Action.READ_ACCESS_REGISTER: ({PO}, {PO: ANYBODY}),
    Action.ARCHIVE: ({CM, PO}, {CM: ANYBODY, PO: ANYBODY}),
    Action.DELETE: ({CM, PO}, {CM: ANYBODY, PO: ANYBODY}),
    Action.HAND_OVER: ({PO}, {PO: frozenset({CM})}),
    Action.REQUEST_LEARNING: ({MW}, {MW: frozenset()}),
    Action.APPROVE_LEARNING: ({BC}, {BC: frozenset({CM})}),
    Action.RECORD_ABSENCE: ({CM, PO, GS}, {CM: ANYBODY, PO: ANYBODY, GS: ANYBODY}),
    Action.CHANGE_KEYRING: ({CM, PO}, {CM: ANYBODY, PO: ANYBODY}),
    Action.CONFIRM: ({CM, PO}, {CM: ANYBODY, PO: ANYBODY}),
    Action.READ_LOG: ({CM, PO}, {CM: ANYBODY, PO: ANYBODY}),
    Action.READ_OWN_VIEWINGS: ({MW}, {MW: frozenset()}),
    Action.CHECK: ({CM, PO, TB}, {CM: ANYBODY, PO: ANYBODY, TB: frozenset()}),
    Action.READ_FIGURES: ({CM, PO, GS}, {CM: ANYBODY, PO: ANYBODY, GS: ANYBODY}),
    Action.BACK_UP: ({CM, PO, TB}, {CM: ANYBODY, PO: ANYBODY, TB: frozenset()}),
}
SECOND: dict[Action, set[frozenset[Role]]] = {
    Action.DELETE: {frozenset({CM, PO})},
    Action.CHANGE_KEYRING: {frozenset({CM, PO})},
    Action.CONFIRM: {
        frozenset({one, other})
        for one in (CM, PO)
        for other in (BC, CM, PO, GS, VC)
        if one is not other
    },
}
NOT_CONCERNED = {
    Action.CLOSE_CASE,
    Action.DECIDE_ACCESS,
    Action.DELETE,
    Action.HAND_OVER,
    Action.APPROVE_LEARNING,
}

VIEWERS: dict[Purpose, set[tuple[Role, Role]]] = {
    Purpose.COMPLAINT: {(CM, GS)},
    Purpose.ACCESS_REQUEST: {(PO, BC), (PO, CM), (PO, GS), (PO, VC)},
    Purpose.LEARNING: {(MW, BC)},
    Purpose.POLICE_REPORT: {(PO, VC), (CM, VC)},
    Purpose.DEMAND: {(PO, CM)},
}
OWN = Footage(officer=None)


def person(role: Role | None, name: str, *replaced: Role, absent: str = "absent") -> Actor:
    replacements = tuple(Replacement(one, absent, "grantor") for one in replaced)
    return Actor(name, name.capitalize(), frozenset({role} if role else set()), replacements)


def allowed(action: Action, actor: Actor, concerned: frozenset[str] = frozenset()) -> Acting | None:
    try:
        return demand(action, actor, concerned=concerned)
    except NotAllowed as refusal:
        if "„" not in refusal.sentence:
            pytest.fail(f"no sentence is quoted: {refusal.sentence}")
        return None


def test_every_action_role_purpose_and_case_has_its_row() -> None:
    assert set(MATRIX) == set(RULES) == set(Action)
    assert set(VIEWERS) == set(PURPOSES) == set(Purpose)
    assert set(CASES) == set(CaseKind)
    assert {role for roles, _ in MATRIX.values() for role in roles} == set(Role)
    assert set(SECOND) == {action for action, rule in RULES.items() if rule.second}


@pytest.mark.parametrize(("action", "role"), list(itertools.product(Action, Role)))
def test_each_action_by_each_role(action: Action, role: Role) -> None:
    """Proves P23, P24, P25, P26, P30, P33, P39, P50, P57, P60, P62: who may, and nobody else."""
    acting = allowed(action, person(role, "somebody"))
    assert (acting is not None) == (role in MATRIX[action][0])
    assert acting is None or acting == Acting("somebody", role)


@pytest.mark.parametrize(("action", "own", "taken"), list(itertools.product(Action, Role, Role)))
def test_each_action_by_each_role_standing_in_for_each_other(
    action: Action, own: Role, taken: Role
) -> None:
    """Proves P41, P44, P54, P21: a replacement on record counts where the text names no narrower
    one.
    """
    acting = allowed(action, person(own, "somebody", taken))
    may, substitutes = MATRIX[action]
    if own in may:
        assert acting == Acting("somebody", own)
    elif taken in may and own in substitutes[taken]:
        assert acting == Acting("somebody", taken, "absent")
    else:
        assert acting is None


@pytest.mark.parametrize(("action", "role"), list(itertools.product(Action, Role)))
def test_nobody_concerned_takes_part(action: Action, role: Role) -> None:
    """Q14: the subject, the recorder, who was present."""
    acting = allowed(action, person(role, "somebody"), frozenset({"somebody"}))
    assert (acting is not None) == (role in MATRIX[action][0] and action not in NOT_CONCERNED)


@pytest.mark.parametrize(
    ("action", "one", "other"), list(itertools.product(sorted(SECOND), Role, Role))
)
def test_what_takes_two_takes_these_two(action: Action, one: Role, other: Role) -> None:
    """Proves P26 with Q8, P40: two different persons in two different functions."""
    first = allowed(action, person(one, "one"))
    if first is None:
        return
    try:
        second: Acting | None = demand_second(action, first, person(other, "other"))
    except NotAllowed:
        second = None
    assert (second is not None) == (frozenset({one, other}) in SECOND[action])
    with pytest.raises(NotAllowed, match="both persons"):
        demand_second(action, first, person(other, "one", one))


def viewed(
    purpose: Purpose, one: Actor, other: Actor, footage: Footage
) -> tuple[Acting, Acting] | None:
    try:
        return demand_viewing(purpose, one, other, footage)
    except NotAllowed as refusal:
        if "„" not in refusal.sentence:
            pytest.fail(f"no sentence is quoted: {refusal.sentence}")
        return None


def footage_for(purpose: Purpose, officer: str = "one") -> Footage:
    return Footage(officer) if purpose is Purpose.LEARNING else OWN


@pytest.mark.parametrize(("purpose", "one", "other"), list(itertools.product(Purpose, Role, Role)))
def test_each_purpose_by_each_pair(purpose: Purpose, one: Role, other: Role) -> None:
    """Proves P36, P37, P38, P40, P42, P46, P48, P53: these pairs, in either order, and no other."""
    recorder = "one" if one is MW else "other"
    seats = viewed(
        purpose, person(one, "one"), person(other, "other"), footage_for(purpose, recorder)
    )
    may = (one, other) in VIEWERS[purpose] or (other, one) in VIEWERS[purpose]
    assert (seats is not None) == may
    if seats is not None:
        assert tuple(seat.role for seat in seats) in VIEWERS[purpose]
        assert pair_of(*receivers_of(seats)) is not None


@pytest.mark.parametrize(("purpose", "one", "other"), list(itertools.product(Purpose, Role, Role)))
def test_one_person_never_takes_both_seats(purpose: Purpose, one: Role, other: Role) -> None:
    """Proves P40: whatever functions and replacements a person holds."""
    both = Actor(
        "one",
        "One",
        frozenset({one, other}),
        (Replacement(one, "x", "y"), Replacement(other, "x", "y")),
    )
    assert viewed(purpose, both, both, footage_for(purpose)) is None


@pytest.mark.parametrize(
    ("purpose", "taken", "own"),
    list(
        itertools.product([one for one in Purpose if one is not Purpose.LEARNING], Function, Role)
    ),
)
def test_a_named_replacement_takes_a_seat(purpose: Purpose, taken: Function, own: Role) -> None:
    """Proves P41: whoever is on record stands in, but never the technical administrator."""
    role = Role(taken.value)
    for first, second in VIEWERS[purpose]:
        if role not in (first, second):
            continue
        partner = second if role is first else first
        seats = viewed(purpose, person(own, "one", role), person(partner, "other"), OWN)
        if own is TB:
            assert seats is None
        else:
            assert seats is not None
            assert any(seat == Acting("one", role, "absent") for seat in seats) or any(
                own in pair for pair in VIEWERS[purpose]
            )


@pytest.mark.parametrize("purpose", [one for one in Purpose if one is not Purpose.LEARNING])
@pytest.mark.parametrize("how", ["officer", "present", "concerned"])
def test_who_is_on_it_or_its_subject_views_it_for_no_other_purpose(
    purpose: Purpose, how: str
) -> None:
    """Q14: a named delegate takes the seat."""
    footage = Footage("one") if how == "officer" else Footage(None, **{how: frozenset({"one"})})
    for first, second in VIEWERS[purpose]:
        assert viewed(purpose, person(first, "one"), person(second, "other"), footage) is None
        assert viewed(purpose, person(second, "one"), person(first, "other"), footage) is None
        delegate = person(None, "delegate", first)
        assert viewed(purpose, delegate, person(second, "other"), footage) is not None


def test_learning_is_of_ones_own_footage_with_the_coordinator() -> None:
    """Proves P50, P52, P53."""
    officer, coordinator = person(MW, "one"), person(BC, "other")
    assert viewed(Purpose.LEARNING, officer, coordinator, Footage("one")) is not None
    assert (
        viewed(Purpose.LEARNING, coordinator, officer, Footage(None, present=frozenset({"one"})))
        is not None
    )
    assert viewed(Purpose.LEARNING, officer, coordinator, Footage("somebody else")) is None


def test_the_cluster_manager_takes_the_coordinators_place_in_a_conflict() -> None:
    """Proves P54: where the coordinator recorded it or was present; otherwise only in an absence on
    record.
    """
    coordinator_and_officer = Actor("one", "One", frozenset({MW, BC}))
    manager = person(CM, "other")
    own = Footage("one", coordinators=frozenset({"one"}))
    seats = viewed(Purpose.LEARNING, coordinator_and_officer, manager, own)
    assert seats == (Acting("one", MW), Acting("other", CM))
    officer, coordinator = person(MW, "one"), person(BC, "bea")
    there = Footage("one", present=frozenset({"bea"}), coordinators=frozenset({"bea"}))
    free = Footage("one", coordinators=frozenset({"bea", "bo"}), present=frozenset({"bea"}))
    assert viewed(Purpose.LEARNING, officer, manager, free) is None
    assert viewed(Purpose.LEARNING, officer, coordinator, there) is None
    assert viewed(Purpose.LEARNING, officer, manager, there) == (
        Acting("one", MW),
        Acting("other", CM),
    )
    replacing = person(CM, "other", BC)
    assert viewed(Purpose.LEARNING, officer, replacing, Footage("one")) == (
        Acting("one", MW),
        Acting("other", CM, "absent"),
    )
    assert viewed(Purpose.LEARNING, officer, person(GS, "other", BC), Footage("one")) is None


def test_there_is_no_purpose_for_an_appraisal_and_no_copy_but_for_the_prosecution() -> None:
    """Proves P5, P7, P43, P49, P51, P56."""
    assert {purpose for purpose, rule in PURPOSES.items() if rule.copy} == {
        Purpose.POLICE_REPORT,
        Purpose.DEMAND,
    }
    assert not any(
        re.search("paspoort|gesprek|appraisal|performance", purpose.value) for purpose in Purpose
    )
    assert "not_appraisal" in {
        condition.code for condition in PURPOSES[Purpose.LEARNING].conditions
    }


def test_each_viewing_confirms_what_its_purpose_asks() -> None:
    """Proves P47, P55."""
    asked = {
        purpose: {condition.code for condition in rule.conditions}
        for purpose, rule in PURPOSES.items()
    }
    assert asked[Purpose.ACCESS_REQUEST] == {"location", "on_it", "rights", "no_copy"}
    assert asked[Purpose.LEARNING] == {"location", "nobody_else", "no_copy", "not_appraisal"}
    assert all("location" in codes for codes in asked.values())


def test_every_pair_that_views_is_sealed_for() -> None:
    """What the policy lets view, the keys let open: no more, no less (the escrow apart)."""
    sealed = {
        frozenset(map(str, pair.receivers))
        for pair in PAIRS
        if not pair.receivers[0].startswith("ESCROW")
    }
    views = {
        frozenset((one.value, other.value))
        for pairs in VIEWERS.values()
        for one, other in pairs
        if one is not MW
    }
    assert sealed == views
    assert {pair.name for pair in officer_pairs("x", {"BC": frozenset(), "CM": frozenset()})} == {
        "BC+MW-x",
        "CM+MW-x",
    }
    assert {
        pair.name for pair in officer_pairs("x", {"BC": frozenset({"x"}), "CM": frozenset()})
    } == {"CM+MW-x"}


ORIGINAL_WORDS = {
    "CAMERAS_ONLY": "mag alleen bodycams toevoegen of verwijderen",
    "MANAGE": "archiveren, overdragen of verwijderen",
    "RETENTION": "De bewaartermijn voor de camerabeelden is 28 dagen",
    "ACCESS_HOLD": "definitief besluit is genomen door de Privacy Officer en uitvoering is gegeven",
    "PROSECUTION_HOLD": "totdat het Openbaar Ministerie akkoord geeft tot vernietiging",
    "IN_TWOS": "altijd in tweetal bekeken",
    "PROVIDE": "door de Privacy officer, bij vervanging de clustermanager "
    "Veiligheid en handhaving, "
    "digitaal verstrekt",
    "COMPLAINT": "bekeken door de clustermanager en de gemeentesecretaris",
    "ACCESS": "twee medewerkers aanwezig, waaronder de privacy officer",
    "NO_COPY": "onder geen beding een kopie",
    "LEARNING_OWN": "waar de medewerker zelf op staat of die de medewerker zelf heeft opgenomen",
    "LEARNING_CONFLICT": "wordt de rol van de boa-coördinator overgenomen door de clustermanager",
}


@pytest.mark.parametrize("name", ORIGINAL_WORDS)
def test_the_sentences_are_the_protocols_own(name: str) -> None:
    sentence: protocol.Sentence = getattr(protocol, name)
    assert ORIGINAL_WORDS[name] in sentence.nl
    assert sentence.quoted().startswith("„")
    assert re.fullmatch(r"\d+(-\d+)?|Q\d+", sentence.lines)


def test_every_obligation_that_is_cited_exists() -> None:
    cited = {code for rule in RULES.values() for code in rule.obligations}
    cited |= {code for rule in PURPOSES.values() for code in rule.obligations}
    cited |= {code for rule in CASES.values() for code in rule.obligations} | {
        code for pair in PAIRS for code in pair.obligations
    }
    assert cited <= {f"P{number}" for number in range(1, 64)}
