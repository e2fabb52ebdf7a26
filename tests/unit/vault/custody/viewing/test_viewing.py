"""Viewings: two persons, a purpose, every span told before it shows (P36 to P42, P46 to P56)."""

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.office import Office
from vault.custody import cases, people
from vault.custody.cases import NewCase
from vault.custody.viewing import viewing_requests
from vault.custody.viewing.viewing_requests import ViewingRefused
from vault.custody.viewing.viewing_session import SESSION, Session, Span, ViewingOver, open_viewing
from vault.custody.witness import WitnessFailed
from vault.errors import CannotOpen, Failure, NotAllowed, StorageFailed, UnknownRecording
from vault.rules.case_kinds import CaseKind
from vault.rules.purposes import PURPOSES, Purpose
from vault.rules.roles import Role, officer_receiver

ALL = ("location", "nobody_else", "no_copy", "not_appraisal", "on_it", "rights")


def case_for(here: Office, kind: CaseKind, *recordings: str) -> str:
    return cases.register(
        here.vault,
        here.actor("Petra"),
        NewCase(kind, f"R-{kind.value}", here.clock.now(), recordings),
    )


def wanted(here: Office, purpose: Purpose, by: str, *recordings: str) -> str:
    kind = PURPOSES[purpose].case
    case = case_for(here, kind, *recordings) if kind else None
    return viewing_requests.request(
        here.vault, here.actor(by), purpose, recordings, case=case, reason="to see"
    )


def opened(here: Office, viewing_id: str, one: str, other: str, *said: str) -> Session:
    return open_viewing(here.vault, viewing_id, here.signed(one), here.signed(other), said or ALL)


@pytest.fixture
def recording(here: Office) -> str:
    return here.record()


def test_when_and_by_whom_is_registered_before_the_first_byte(here: Office, recording: str) -> None:
    """Proves P39, P40, P46: seats, purpose, conditions; then each span; then the end."""
    with opened(
        here, wanted(here, Purpose.COMPLAINT, "Carel", recording), "Geert", "Carel"
    ) as session:
        told = here.told("viewing.opened")[0]["details"]
        assert [(seat["person"], seat["role"]) for seat in told["seats"]] == [
            (here.id("Carel"), "CM"),
            (here.id("Geert"), "GS"),
        ]
        assert here.told("viewing.shown") == []
        assert session.show(Span(recording, "0000.sealed", 3, 9)) == b"oneone"
        (shown,) = here.told("viewing.shown")
        assert {name: shown["details"][name] for name in ("recording", "from_byte", "to_byte")} == {
            "recording": recording,
            "from_byte": 3,
            "to_byte": 9,
        }
    assert len(here.told("viewing.ended")) == 1


def test_the_head_is_with_the_witness_before_the_first_byte(
    here: Office, recording: str, tmp_path: Path
) -> None:
    """Ruling 12: a witness that fails ends it, without a byte; with one that works the note covers
    the opening.
    """
    asked = wanted(here, Purpose.COMPLAINT, "Carel", recording)
    here.settings.witness[:] = ["false"]
    with pytest.raises(WitnessFailed):
        opened(here, asked, "Carel", "Geert")
    assert here.told("viewing.ended")[0]["details"]["because"].endswith("log.witness_failed")
    here.settings.witness[:] = [
        sys.executable,
        "-c",
        f"import sys; open({str(tmp_path / 'note')!r}, 'wb').write(sys.stdin.buffer.read())",
    ]
    with opened(here, asked, "Carel", "Geert"):
        size = int((tmp_path / "note").read_text().split("\n")[1])
        newest = max(entry["sequence"] for entry in here.told("viewing.opened", "recording.opened"))
        assert size == newest + 1


def test_a_log_that_cannot_be_written_shows_nothing(here: Office, recording: str) -> None:
    """Failure to log means no picture, and the end."""
    session = opened(here, wanted(here, Purpose.COMPLAINT, "Carel", recording), "Carel", "Geert")
    log = here.settings.root / "register/log"
    log.rename(log.with_name("away"))
    log.write_bytes(b"")
    with pytest.raises(StorageFailed):
        session.show(Span(recording, "0000.sealed", 0, 9))
    log.unlink()
    log.with_name("away").rename(log)
    with pytest.raises(ViewingOver):
        session.show(Span(recording, "0000.sealed", 0, 9))


def test_it_ends_when_one_leaves_and_when_its_time_is_over(here: Office, recording: str) -> None:
    """Proves P40: for both; and a stranger's leaving ends nothing."""
    session = opened(here, wanted(here, Purpose.COMPLAINT, "Carel", recording), "Carel", "Geert")
    session.leave(here.id("Petra"))
    assert session.show(Span(recording, "0000.sealed", 0, 3)) == b"one"
    session.leave(here.id("Geert"))
    with pytest.raises(ViewingOver, match="left"):
        session.show(Span(recording, "0000.sealed", 0, 3))
    again = opened(here, session.id, "Carel", "Geert")
    here.clock.pass_time(SESSION.total_seconds())
    with pytest.raises(ViewingOver, match="time was over"):
        again.show(Span(recording, "0000.sealed", 0, 3))
    with pytest.raises(ViewingOver):
        again.files(recording)


@pytest.mark.parametrize(
    "purpose", [purpose for purpose in Purpose if purpose is not Purpose.LEARNING]
)
def test_each_condition_is_confirmed(here: Office, recording: str, purpose: Purpose) -> None:
    """Proves P47, P55: one left out, and nothing opens; the refusal names it in the protocol's
    words.
    """
    pair = {Purpose.COMPLAINT: ("Carel", "Geert"), Purpose.POLICE_REPORT: ("Petra", "Vera")}.get(
        purpose, ("Petra", "Carel")
    )
    asked = wanted(here, purpose, pair[0], recording)
    codes = [condition.code for condition in PURPOSES[purpose].conditions]
    for missing in codes:
        with pytest.raises(ViewingRefused, match="Not confirmed: „"):
            opened(here, asked, *pair, *(code for code in codes if code != missing), "x")
    opened(here, asked, *pair, *codes).end()
    assert len(here.told("viewing.denied")) == len(codes)


def test_a_viewing_rests_on_an_open_case_that_holds_the_recordings(
    here: Office, recording: str
) -> None:
    """Proves P42, P43, P7."""
    other = here.record()
    case = case_for(here, CaseKind.COMPLAINT, recording)
    carel = here.actor("Carel")
    for purpose, named, recordings in (
        (Purpose.COMPLAINT, None, [recording]),
        (Purpose.DEMAND, case, [recording]),
        (Purpose.COMPLAINT, case, [other]),
        (Purpose.COMPLAINT, case, []),
    ):
        with pytest.raises(ViewingRefused):
            viewing_requests.request(here.vault, carel, purpose, recordings, case=named, reason="")
    asked = viewing_requests.request(
        here.vault, carel, Purpose.COMPLAINT, [recording], case=case, reason=""
    )
    cases.close(here.vault, here.actor("Petra"), case, reference="letter")
    with pytest.raises(ViewingRefused, match="was closed"):
        opened(here, asked, "Carel", "Geert")
    for stranger in ("Mo", "Bea", "Tim", "Vera"):
        with pytest.raises(NotAllowed):
            viewing_requests.request(
                here.vault,
                here.actor(stranger),
                Purpose.COMPLAINT,
                [recording],
                case=case,
                reason="",
            )


def test_an_officer_learns_from_their_own_footage_with_the_coordinator(
    here: Office, recording: str
) -> None:
    """Proves P50, P52, P53: asked by the officer, agreed by the coordinator, viewed by both."""
    hers = here.record("boa-18")
    with pytest.raises(NotAllowed, match="zelf op staat"):
        wanted(here, Purpose.LEARNING, "Mo", hers)
    with pytest.raises(NotAllowed):
        wanted(here, Purpose.LEARNING, "Carel", recording)
    asked = wanted(here, Purpose.LEARNING, "Mo", recording)
    with pytest.raises(ViewingRefused, match="not agreed"):
        opened(here, asked, "Mo", "Bea")
    for stranger in ("Carel", "Petra", "Nel"):
        with pytest.raises(NotAllowed):
            viewing_requests.approve(here.vault, here.actor(stranger), asked)
    viewing_requests.approve(here.vault, here.actor("Bea"), asked)
    with opened(here, asked, "Mo", "Bea") as session:
        assert session.show(Span(recording, "0001.sealed", 0, 3)) == b"two"
    with pytest.raises(NotAllowed):
        opened(here, asked, "Mo", "Carel")
    refused = wanted(here, Purpose.LEARNING, "Mo", recording)
    viewing_requests.refuse(here.vault, here.actor("Bea"), refused, "not now")
    with pytest.raises(ViewingRefused, match="refused on"):
        opened(here, refused, "Mo", "Bea")


def test_the_cluster_manager_takes_the_place_of_a_coordinator_who_was_there(
    here: Office, recording: str
) -> None:
    """Proves P54."""
    cases.name_present(here.vault, here.actor("Bea"), recording, "Bea", "present")
    asked = wanted(here, Purpose.LEARNING, "Mo", recording)
    with pytest.raises(NotAllowed, match="concerned"):
        viewing_requests.approve(here.vault, here.actor("Bea"), asked)
    viewing_requests.approve(here.vault, here.actor("Carel"), asked)
    with pytest.raises(NotAllowed, match="overgenomen door de clustermanager"):
        opened(here, asked, "Mo", "Bea")
    with opened(here, asked, "Mo", "Carel") as session:
        assert [seat.role for seat in session.seats] == [Role.OFFICER, Role.CLUSTER_MANAGER]
        assert session.show(Span(recording, "0000.sealed", 0, 3)) == b"one"


def test_an_officer_who_is_on_anothers_footage_learns_from_it_once_two_let_them(
    here: Office,
) -> None:
    """Proves P52 and ruling 4: a pair that joins later is sealed for by two who can open; logged,
    and destroyed with the rest.
    """
    recording = here.record("boa-18")
    cases.name_present(here.vault, here.actor("Bea"), recording, "Mo", "on_it")
    asked = wanted(here, Purpose.LEARNING, "Mo", recording)
    viewing_requests.approve(here.vault, here.actor("Bea"), asked)
    with pytest.raises(CannotOpen, match="not sealed to the pair"):
        opened(here, asked, "Mo", "Bea")
    with opened(
        here, wanted(here, Purpose.DEMAND, "Petra", recording), "Petra", "Carel"
    ) as session:
        session.admit(recording, (officer_receiver(here.id("Mo")), "BC"))
    with opened(here, asked, "Mo", "Bea") as session:
        assert session.show(Span(recording, "0000.sealed", 0, 3)) == b"one"
    (later,) = here.settings.root.glob(f"footage/*/*/{recording}/keys-1.json")
    (entry,) = here.told("recording.sealed_later")
    assert (entry["details"]["file"], json.loads(later.read_bytes())["recording"]) == (
        "keys-1.json",
        recording,
    )


def test_a_cluster_manager_who_is_the_subject_gives_the_seat_to_a_delegate(
    here: Office, recording: str
) -> None:
    """Q14: blocked by name; the delegate on record, who keeps no key of that function, is told what
    is missing.
    """
    new = NewCase(CaseKind.COMPLAINT, "K-9", here.clock.now(), (recording,), frozenset({"Carel"}))
    case = cases.register(here.vault, here.actor("Petra"), new)
    asked = viewing_requests.request(
        here.vault, here.actor("Geert"), Purpose.COMPLAINT, [recording], case=case, reason=""
    )
    with pytest.raises(NotAllowed, match="concerned"):
        opened(here, asked, "Carel", "Geert")
    now = here.clock.now()
    people.record_absence(
        here.vault,
        here.actor("Geert"),
        Role.CLUSTER_MANAGER,
        "Carel",
        "Petra",
        (now, now + timedelta(days=30)),
        "is the subject",
    )
    with opened(here, asked, "Petra", "Geert") as session:
        assert session.seats[0].acting_for == here.id("Carel")
        assert session.show(Span(recording, "0000.sealed", 0, 3)) == b"one"


def test_who_watched_is_told_to_who_may_know_and_to_the_officer(
    here: Office, recording: str
) -> None:
    """Proves P39: cluster manager and privacy officer; the officer of their own footage; nobody
    else. Reading is an entry too.
    """
    opened(here, wanted(here, Purpose.COMPLAINT, "Carel", recording), "Carel", "Geert").end()
    for who in ("Carel", "Petra", "Mo"):
        assert len(viewing_requests.viewings_of(here.vault, here.actor(who), recording)) == 1
    for who in ("Nel", "Bea", "Geert", "Tim"):
        with pytest.raises(NotAllowed):
            viewing_requests.viewings_of(here.vault, here.actor(who), recording)
    assert len(here.told("log.read")) == 3


def test_what_is_not_part_of_it_is_not_shown(here: Office, recording: str) -> None:
    other = here.record()
    with opened(
        here, wanted(here, Purpose.COMPLAINT, "Carel", recording), "Carel", "Geert"
    ) as session:
        for span in (Span(other, "0000.sealed", 0, 3), Span(recording, "0009.sealed", 0, 3)):
            with pytest.raises(UnknownRecording):
                session.show(span)
        assert session.show(Span(recording, "0000.sealed", 145, 9999)) == (b"one" * 50)[145:]


def test_altered_bytes_are_never_shown(here: Office, recording: str) -> None:
    """Nothing of a piece is given out before its end has opened (ruling 18)."""
    (path,) = here.settings.root.glob(f"footage/*/*/{recording}/0000.sealed")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with (
        opened(
            here, wanted(here, Purpose.COMPLAINT, "Carel", recording), "Carel", "Geert"
        ) as session,
        pytest.raises(Failure),
    ):
        session.show(Span(recording, "0000.sealed", 0, 1))
