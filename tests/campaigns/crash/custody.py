"""The whole of custody as a state machine: persons act in any order, clocks jump, processes die,
older catalogues come back.

After each step (I4 to I7, rulings 7 and 9):

- what a case holds stands, with its keys; what was not destroyed stands; what was destroyed and
  finished has no key left anywhere;
- nothing was destroyed before its true 28 days but by two persons' hands, and never under hold;
- the log goes on from every head that was signed, and numbers without a hole;
- nobody saw a byte but in a session of two persons that the policy names, with an entry for each
  span.

At the end of each run the catalogue is made anew from the register alone, and holds the same rows.

    python -m tests.campaigns.crash.custody --runs 2000 --steps 50 --processes 2
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.office import Office, office
from tests.support.places import catalogue_of
from vault.catalogue import case_rows
from vault.catalogue.database import Catalogue
from vault.crypto.canonical_json import parse_object
from vault.custody import cases
from vault.custody.cases import CaseRefused, NewCase
from vault.custody.retention import clock_confirmation, deletion, sweep
from vault.custody.retention.confirmation import confirm
from vault.custody.viewing import viewing_requests
from vault.custody.viewing.viewing_session import Session, Span, ViewingOver, open_viewing
from vault.custody.witness import log_key, sign_head
from vault.errors import CatalogueFailed, Failure, NotAllowed
from vault.intake.intake import Intake
from vault.log.checkpoints import parse_checkpoint, verify_since
from vault.log.log import Entry
from vault.operations.rebuild import rebuild
from vault.rules.case_kinds import CaseKind
from vault.rules.purposes import Purpose
from vault.vault import Vault

PEOPLE = ("Bea", "Carel", "Petra", "Geert", "Vera", "Mo", "Nel", "Tim")
PAIRS_FOR = {
    Purpose.COMPLAINT: {frozenset(("Carel", "Geert"))},
    Purpose.ACCESS_REQUEST: {
        frozenset(("Petra", other)) for other in ("Carel", "Bea", "Geert", "Vera")
    },
    Purpose.POLICE_REPORT: {frozenset((one, "Vera")) for one in ("Petra", "Carel")},
    Purpose.DEMAND: {frozenset(("Petra", "Carel"))},
}
EVERYTHING = ("location", "nobody_else", "no_copy", "on_it", "rights", "not_appraisal")


class Died(BaseException):
    """The process was killed here."""


@contextmanager
def dying(after: int) -> Iterator[None]:
    """The process dies before its n-th flush from here."""
    left = [after]
    flush = os.fsync

    def counted(fd: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Died
        flush(fd)

    os.fsync = counted  # type: ignore[assignment]
    try:
        yield
    finally:
        os.fsync = flush


class Custody(RuleBasedStateMachine):
    """One vault and the truth about it, kept beside."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="custody-"))
        self._office = office(self.folder / "office")
        self.here: Office = self._office.__enter__()
        self.stops: dict[str, datetime] = {}
        self.by_hand: set[str] = set()
        self.cases: dict[str, tuple[CaseKind, set[str]]] = {}
        self.wanted: dict[str, tuple[Purpose, str]] = {}
        self.session: Session | None = None
        self.shown = 0
        self.kept: bytes | None = None
        self.wrong = timedelta(0)
        self.heads: list[bytes] = []
        self.gone: set[str] = set()

    def teardown(self) -> None:
        try:
            self.close_session()
            self.same_rows_from_the_register()
        finally:
            self._office.__exit__(None, None, None)
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- the dock ---------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.here.clock.pass_time(3600)
        self.dock("boa-17", 0)

    @rule(officer=st.sampled_from(["boa-17", "boa-18", None]), age=st.sampled_from([0, 1, 27, 30]))
    def dock(self, officer: str | None, age: int) -> None:
        """Intake goes on whatever the clock says."""
        stopped = self.here.clock.now() - timedelta(days=age, hours=1)
        recording = self.here.record(officer, (b"seen " * 9,), stopped=stopped)
        # What the vault believes is the wall's time; the truth is without what the wall is wrong
        # by.
        self.stops[recording] = stopped - self.wrong

    # --- cases ------------------------------------------------------------------------------------

    @rule(kind=st.sampled_from(list(CaseKind)), by=st.sampled_from(PEOPLE), data=st.data())
    def hold(self, kind: CaseKind, by: str, data: st.DataObject) -> None:
        if not self.standing():
            return
        recordings = data.draw(
            st.lists(st.sampled_from(self.standing()), min_size=1, max_size=3, unique=True)
        )
        new = NewCase(kind, f"Z-{len(self.cases)}", self.here.clock.now(), tuple(recordings))
        try:
            case = cases.register(self.here.vault, self.here.actor(by), new)
        except NotAllowed:
            assert by not in ("Carel", "Petra")
            return
        assert by in ("Carel", "Petra")
        self.cases[case] = (kind, set(recordings))

    @precondition(lambda self: self.cases)
    @rule(data=st.data(), granted=st.booleans(), by=st.sampled_from(["Petra", "Carel", "Bea"]))
    def decide(self, data: st.DataObject, granted: bool, by: str) -> None:
        case = data.draw(st.sampled_from(list(self.cases)))
        try:
            cases.decide(
                self.here.vault,
                self.here.actor(by),
                case,
                granted=granted,
                necessity="looked",
                reasons="because",
            )
            cases.carry_out(self.here.vault, self.here.actor(by), case)
        except (NotAllowed, CaseRefused):
            return
        assert by == "Petra"

    @precondition(lambda self: self.cases)
    @rule(data=st.data(), upheld=st.sampled_from([None, True, False]))
    def object(self, data: st.DataObject, upheld: bool | None) -> None:
        case = data.draw(st.sampled_from(list(self.cases)))
        try:
            cases.register_objection(
                self.here.vault, self.here.actor("Carel"), case, self.here.clock.now()
            )
            if upheld is not None:
                cases.decide_objection(
                    self.here.vault, self.here.actor("Carel"), case, upheld=upheld, reference="B-1"
                )
        except CaseRefused:
            return

    @precondition(lambda self: self.cases)
    @rule(data=st.data(), reference=st.sampled_from(["", "agreed"]))
    def release(self, data: st.DataObject, reference: str) -> None:
        case = data.draw(st.sampled_from(list(self.cases)))
        with self.here.vault.reading() as tx:
            row = case_rows.case_of(tx, case)
        try:
            cases.close(self.here.vault, self.here.actor("Petra"), case, reference=reference)
        except CaseRefused:
            return
        assert row is not None
        if row.kind == CaseKind.ACCESS_REQUEST.value:
            assert row.carried_out_utc is not None
            assert row.objected_utc is None or row.objection_decided_utc is not None
        else:
            assert reference == "agreed"
        del self.cases[case]

    # --- viewing ----------------------------------------------------------------------------------

    @precondition(lambda self: self.cases)
    @rule(data=st.data(), purpose=st.sampled_from(sorted(PAIRS_FOR)), by=st.sampled_from(PEOPLE))
    def request(self, data: st.DataObject, purpose: Purpose, by: str) -> None:
        case = data.draw(st.sampled_from(list(self.cases)))
        kind, recordings = self.cases[case]
        try:
            wanted = viewing_requests.request(
                self.here.vault,
                self.here.actor(by),
                purpose,
                sorted(recordings),
                case=case,
                reason="asked",
            )
        except Failure:
            return
        assert kind.value == purpose.value
        assert any(by in pair for pair in PAIRS_FOR[purpose])
        self.wanted[wanted] = (purpose, case)

    @precondition(lambda self: self.wanted)
    @rule(
        data=st.data(),
        one=st.sampled_from(PEOPLE),
        other=st.sampled_from(PEOPLE),
        all_said=st.booleans(),
    )
    def join(self, data: st.DataObject, one: str, other: str, all_said: bool) -> None:
        wanted = data.draw(st.sampled_from(list(self.wanted)))
        purpose, case = self.wanted[wanted]
        right = data.draw(st.booleans())
        if right:
            one, other = sorted(data.draw(st.sampled_from(sorted(PAIRS_FOR[purpose], key=sorted))))
        self.close_session()
        said = EVERYTHING if all_said else ("location",)
        try:
            session = open_viewing(
                self.here.vault, wanted, self.here.signed(one), self.here.signed(other), said
            )
        except Failure:
            assert not (right and all_said and case in self.cases)
            return
        assert all_said
        assert case in self.cases
        assert frozenset((one, other)) in PAIRS_FOR[purpose]
        self.session = session

    @precondition(lambda self: self.session is not None)
    @rule(wait=st.sampled_from([0, 600, 7200]))
    def view(self, wait: int) -> None:
        assert self.session is not None
        self.here.clock.pass_time(wait)
        recording = self.session.recordings[0]
        try:
            shown = self.session.show(Span(recording, "0000.sealed", 0, 9))
        except (ViewingOver, Failure):
            self.session = None
            return
        assert shown == b"seen seen"
        self.shown += 1

    @precondition(lambda self: self.session is not None)
    @rule(who=st.integers(0, 1))
    def leave(self, who: int) -> None:
        session = self.session
        assert session is not None
        session.leave(session.seats[who].person)
        try:
            session.show(Span(session.recordings[0], "0000.sealed", 0, 9))
            raise AssertionError("a picture after one had left")
        except ViewingOver:
            self.session = None

    def close_session(self) -> None:
        if self.session is not None:
            self.session.end()
            self.session = None

    # --- deletion ---------------------------------------------------------------------------------

    @precondition(lambda self: self.standing())
    @rule(data=st.data(), one=st.sampled_from(PEOPLE), other=st.sampled_from(PEOPLE))
    def delete(self, data: st.DataObject, one: str, other: str) -> None:
        recording = data.draw(st.sampled_from(self.standing()))
        held = recording in self.held()
        try:
            deletion.delete(
                self.here.vault,
                self.here.actor(one),
                self.here.actor(other),
                recording,
                "made by mistake",
            )
        except Failure:
            return
        assert {one, other} == {"Carel", "Petra"}
        assert not held
        self.by_hand.add(recording)

    @rule(hours=st.sampled_from([1, 5, 26]), days=st.sampled_from([0, 0, 5, 13, 29]))
    def sweep(self, hours: int, days: int) -> None:
        """Days pass with the vault running; then the timer's hours."""
        self.here.days(days)
        for _ in range(hours if hours < 26 else 3):
            self.here.clock.pass_time(3600 if hours < 26 else 9 * 3600)
            sweep.sweep(self.here.vault, self.here.clock)

    @rule(
        jump=st.sampled_from(
            [
                timedelta(days=40),
                timedelta(days=-40),
                timedelta(days=3650),
                timedelta(minutes=3),
                None,
            ]
        )
    )
    def clock_jump(self, jump: timedelta | None) -> None:
        """The wall jumps, or two persons put it right."""
        if jump is None:
            self.here.clock.moment -= self.wrong
            self.wrong = timedelta(0)
            clock_confirmation.confirm_clock(
                self.here.vault, self.here.clock, self.here.actor("Carel"), self.here.actor("Petra")
            )
            return
        self.here.clock.moment += jump
        self.wrong += jump

    # --- machines ---------------------------------------------------------------------------------

    @rule()
    def restart(self) -> None:
        self.close_session()
        self.reopen()

    @rule(after=st.integers(0, 14), doing=st.sampled_from(["sweep", "dock", "delete", "hold"]))
    def crash(self, after: int, doing: str) -> None:
        """The process dies in the middle; the next one finds what it left."""
        self.close_session()
        standing = self.standing()
        try:
            with dying(after):
                if doing == "sweep":
                    sweep.sweep(self.here.vault, self.here.clock)
                elif doing == "dock":
                    self.dock("boa-17", 0)
                elif doing == "delete" and standing:
                    self.by_hand.add(standing[0])
                    deletion.delete(
                        self.here.vault,
                        self.here.actor("Carel"),
                        self.here.actor("Petra"),
                        standing[0],
                        "by mistake",
                    )
                elif doing == "hold" and standing:
                    new = NewCase(
                        CaseKind.COMPLAINT, "Z-crash", self.here.clock.now(), (standing[0],)
                    )
                    case = cases.register(self.here.vault, self.here.actor("Petra"), new)
                    self.cases[case] = (CaseKind.COMPLAINT, {standing[0]})
        except (Died, Failure):
            pass
        self.reopen()

    @rule()
    def keep_catalogue(self) -> None:
        self.kept = catalogue_of(self.here.settings.root).read_bytes()

    @precondition(lambda self: self.kept is not None)
    @rule()
    def older_catalogue(self) -> None:
        """An older catalogue is put in the place of today's: it is refused, made anew, and
        confirmed by two.
        """
        self.close_session()
        assert self.kept is not None
        catalogue_of(self.here.settings.root).write_bytes(self.kept)
        self.kept = None
        self.reopen()

    @rule()
    def sign(self) -> None:
        self.heads.append(sign_head(self.here.vault))

    def reopen(self) -> None:
        here = self.here
        here.intake.close()
        here.vault.close()
        try:
            self.open_again()
        except CatalogueFailed:
            here.intake.close()
            here.vault.close()
            rebuild(here.settings, here.clock)
            self.open_again()
            confirm(here.vault, here.actor("Carel"), here.actor("Petra"))
        deletion.finish(here.vault)
        self.take_note()

    def open_again(self) -> None:
        here = self.here
        here.vault = Vault.open(here.settings, here.clock)
        here.intake = Intake(here.vault)
        here.intake.recover()

    def take_note(self) -> None:
        """What a killed process had begun stands or does not: the truth is asked of the log, once,
        after the crash.
        """
        logged = {entry["subject"]: entry["details"] for entry in self.told("case.registered")}
        closed = {entry["subject"] for entry in self.told("case.closed")}
        self.cases = {
            case: (CaseKind(details["kind"]), set(details["recordings"]))
            for case, details in logged.items()
            if case not in closed
        }
        for entry in self.told("recording.stored", "recording.adopted"):
            self.stops.setdefault(entry["subject"], self.here.clock.now() - self.wrong)

    # --- what must hold ---------------------------------------------------------------------------

    def told(self, *actions: str) -> list[dict[str, Any]]:
        """The log as the catalogue has it: what a killed process had only written to the register
        is not told yet.
        """
        return [
            found
            for leaf in self.here.vault.leaves()
            if (found := parse_object(leaf))["action"] in actions
        ]

    def destroyed(self) -> dict[str, dict[str, Any]]:
        return {entry["subject"]: entry for entry in self.told("recording.destroyed")}

    def standing(self) -> list[str]:
        """What stands, in the order in which it was taken in: ids are random, and a run must be the
        same when it is played again.
        """
        with self.here.vault.reading() as tx:
            rows = {
                str(row.id)
                for row in tx.execute(
                    sa.text("SELECT id FROM recording WHERE destroyed_utc IS NULL")
                )
            }
        assert rows <= set(self.stops)
        return [recording for recording in self.stops if recording in rows]

    def held(self) -> set[str]:
        return {recording for _, recordings in self.cases.values() for recording in recordings}

    @invariant()
    def what_is_held_and_what_is_not_destroyed_stands(self) -> None:
        destroyed = self.destroyed()
        assert not self.held() & set(destroyed)
        store = self.here.vault.store
        folders = {folder.recording_id: folder for folder in store.recordings()}
        for recording in self.standing():
            assert store.size_of(folders[recording], "record.json") is not None, recording
        for recording in destroyed:
            assert recording not in folders, recording

    @invariant()
    def nothing_was_destroyed_early_but_by_two_persons_hands(self) -> None:
        for recording, entry in self.destroyed().items():
            if recording in self.gone:
                continue
            self.gone.add(recording)
            if entry["details"]["because"] == "by_hand":
                assert recording in self.by_hand
                continue
            truth = self.here.clock.now() - self.wrong
            assert truth - self.stops[recording] >= timedelta(days=28) - timedelta(minutes=6), (
                recording
            )

    @invariant()
    def every_span_has_its_entry(self) -> None:
        assert len(self.told("viewing.shown")) >= self.shown

    @invariant()
    def the_log_goes_on_from_every_signed_head(self) -> None:
        leaves = list(self.here.vault.leaves())
        assert [parse_object(leaf)["sequence"] for leaf in leaves] == list(range(len(leaves)))
        verifier = log_key(self.here.vault).verifier
        assert verify_since([parse_checkpoint(note, verifier) for note in self.heads], leaves) == []

    def same_rows_from_the_register(self) -> None:
        """The registers follow from the log: made anew they hold the same rows.

        One more entry first, so that a line which a killed process left in the register is told
        again and means nothing.
        """
        with self.here.vault.writing() as tx:
            self.here.vault.log.append(tx, Entry("test.end", "test", None, {}))
        before = self.rows()
        self.here.intake.close()
        self.here.vault.close()
        rebuild(self.here.settings, self.here.clock)
        self.here.vault = Vault.open(self.here.settings, self.here.clock)
        self.here.intake = Intake(self.here.vault)
        assert self.rows() == before

    def rows(self) -> dict[str, list[Any]]:
        found = {}
        catalogue = Catalogue.opened(self.here.settings.catalogue_url)
        with catalogue.reading() as tx:
            for name in (
                "person",
                "absence",
                "report",
                "case_file",
                "hold",
                "viewing",
                "viewing_recording",
                "destruction",
                "paper",
            ):
                found[name] = sorted(map(repr, tx.execute(sa.text(f"SELECT * FROM {name}")).all()))
            query = (
                "SELECT id, camera_serial, name, identity, state, officer_person, destroyed_utc "
                "FROM recording"
            )
            found["recording"] = sorted(map(repr, tx.execute(sa.text(query)).all()))
        catalogue.dispose()
        return found


def run(runs: int, steps: int, number: int, *, shrink: bool = False) -> None:
    chosen = settings(
        max_examples=runs,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    run_state_machine_as_test(seed(number)(Custody), settings=chosen)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shrink", action="store_true")
    asked = parser.parse_args()
    began_s = time.monotonic()
    if asked.processes > 1:
        share = -(-asked.runs // asked.processes)
        words = [
            sys.executable,
            "-m",
            "tests.campaigns.crash.custody",
            "--runs",
            str(share),
            "--steps",
            str(asked.steps),
        ]
        parts = [
            subprocess.Popen([*words, "--seed", str(asked.seed + at)])
            for at in range(asked.processes)
        ]
        failed = [part.wait() for part in parts]
        print(
            f"{share * asked.processes} runs of {asked.steps} steps in "
            f"{time.monotonic() - began_s:.0f} s"
        )
        raise SystemExit(any(failed))
    run(asked.runs, asked.steps, asked.seed, shrink=asked.shrink)
    print(
        f"{asked.runs} runs of {asked.steps} steps, seed {asked.seed}: no invariant broken, "
        f"{time.monotonic() - began_s:.0f} s"
    )


if __name__ == "__main__":
    main()
