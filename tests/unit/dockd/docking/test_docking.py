"""One camera's stay: patience, back-off, and what the lamp says when it leaves."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import structlog
from structlog.testing import capture_logs

from dockd.card.contract import SENTENCE_MAX, CardGoneError, CardTrouble
from dockd.card.transport import MOUNTED
from dockd.docking.bay import Phase, Vigil
from dockd.docking.docking import FIRST_WAIT_S, LONGEST_WAIT_S, OUT_OF_TURN, PATIENCE, Docking
from dockd.docking.pull import SENTENCES_MAX, Port
from dockd.docking.quarantine import Quarantine
from dockd.reader.processes import WorkerDiedError, Workers
from dockd.reader.remote_card import CameraWorker
from tests.support.card_maker import CardMaker
from tests.support.dock import Quay, card_with
from tests.support.memory_card import Medium, path_of
from vault.clock import SystemClock

ENOUGH_S = 30.0
"""How long a thread of a test may take before the test fails; nothing waits for it to pass."""


class Waits:
    """The pause of a docking's thread: each wait is written down, and the test says what happens
    during it.
    """

    def __init__(self, *meanwhile: Callable[[], None]) -> None:
        self.seconds: list[float | None] = []
        self._meanwhile = list(meanwhile)
        self.over: Callable[[], None] = lambda: None

    def __call__(self, event: threading.Event, seconds: float | None) -> None:
        self.seconds.append(seconds)
        if self._meanwhile:
            self._meanwhile.pop(0)()
        else:
            self.over()


def nothing() -> None:
    """A wait in which nothing happens."""


def docking_of(quay: Quay, medium: Medium, waits: Waits) -> Docking:
    """A docking that ends by leaving once the waits' script is through."""
    docking = Docking(
        "1", Port("VOL-1", medium.open, MOUNTED, 0.0), quay.workplace(), quay.board, waits, nothing
    )
    waits.over = docking.note_gone
    return docking


def serve(docking: Docking) -> None:
    docking.start()
    assert docking.join(ENOUGH_S)


def phase_of(quay: Quay) -> Phase | None:
    return next((state.phase for state in quay.board.states()), None)


def test_a_camera_that_is_done_waits_without_end_and_leaves_an_empty_bay(
    quay: Quay, tmp_path: Path
) -> None:
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    phases: list[Phase | None] = []
    waits = Waits(lambda: phases.append(phase_of(quay)))
    serve(docking_of(quay, medium, waits))
    assert phases == [Phase.SAFE]
    assert set(waits.seconds) == {None}
    assert quay.board.states() == ()


def test_what_appears_later_on_a_docked_card_is_taken_in_too(quay: Quay, tmp_path: Path) -> None:
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)

    def add() -> None:
        folder = tmp_path / "more"
        more = CardMaker(folder)
        more.write(more.make(2, previous=None))
        medium.contents.update(Medium.of_folder(folder).contents)

    opened: list[int] = []
    waits = Waits(nothing, lambda: opened.append(medium.opened), add)
    serve(docking_of(quay, medium, waits))
    assert quay.states() == {"BWC0042-000001": "erased", "BWC0042-000002": "erased"}
    assert quay.actions().count("camera.docked") == 1


def test_a_card_that_went_and_came_back_between_two_looks_is_read_anew(
    quay: Quay, tmp_path: Path
) -> None:
    """Faults A1, B1. The dock has seen one card all the time; its reader, walled in with what stood
    there first, has not.
    """
    maker, _ = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    place, away = maker.root, tmp_path / "away"
    place.rename(away)
    reader = CameraWorker(Workers(None), {"place": "volume", "roots": [str(place)]}, SystemClock())

    def another() -> None:
        place.rename(tmp_path / "first")
        more = CardMaker(place)
        more.root.mkdir()
        more.write_device()
        more.write(more.make(2, previous=None))

    phases: list[Phase | None] = []
    port = Port("VOL-1", lambda: reader.open(root=str(place)), MOUNTED, 0.0, lease=reader)
    waits = Waits(lambda: (phases.append(phase_of(quay)), away.rename(place)), another, nothing)
    docking = Docking("1", port, quay.workplace(), quay.board, waits, nothing)
    waits.over = docking.note_gone
    serve(docking)
    assert phases == [Phase.TAKEN_EARLY]
    assert quay.states() == {"BWC0042-000001": "erased", "BWC0042-000002": "erased"}
    assert waits.seconds == [FIRST_WAIT_S, None, None, None]


def test_failures_are_tried_again_ever_more_slowly(quay: Quay, tmp_path: Path) -> None:
    """An unregistered camera is asked for as long as it stands there: the coordinator may register
    it.
    """
    maker, medium = card_with(tmp_path / "card", count=1)
    times = 8
    waits = Waits(*[nothing] * times, lambda: quay.register(maker))
    serve(docking_of(quay, medium, waits))
    doubling = [min(FIRST_WAIT_S * 2**at, LONGEST_WAIT_S) for at in range(times + 1)]
    assert waits.seconds[: times + 1] == doubling
    assert quay.states() == {"BWC0042-000001": "erased"}
    assert len(quay.said("camera.refused")) == 1


class Teller:
    """A lease whose camera has answered so often."""

    answers = 0

    def leave(self) -> None:
        """Nothing is held."""


def test_a_reader_that_answers_does_not_stand_still(quay: Quay, tmp_path: Path) -> None:
    """Fault G2. One answer may take nearly as long as the watchdog waits; two slow ones must not
    restart all bays.
    """
    _, medium = card_with(tmp_path / "card", count=1)
    teller = Teller()
    docking = Docking(
        "1",
        Port("VOL-1", medium.open, MOUNTED, 0.0, lease=teller),
        quay.workplace(),
        quay.board,
        Waits(),
        nothing,
    )
    vigil = Vigil(120, quay.hand)
    for _ in range(5):
        assert vigil.all_is_well([docking.heartbeat()])
        quay.hand.sleep(110)
        teller.answers += 1
    assert vigil.all_is_well([docking.heartbeat()])
    quay.hand.sleep(121)
    assert not vigil.all_is_well([docking.heartbeat()])


def test_an_unknown_camera_leaves_without_a_word(quay: Quay, tmp_path: Path) -> None:
    _, medium = card_with(tmp_path / "card", count=1)
    phases: list[Phase | None] = []
    serve(docking_of(quay, medium, Waits(lambda: phases.append(phase_of(quay)))))
    assert phases == [Phase.UNKNOWN]
    assert quay.board.states() == ()


def test_who_left_before_its_turn_leaves_no_word_behind(quay: Quay, tmp_path: Path) -> None:
    """Nothing of it was touched. It may be docked in any bay, and nothing is there then to settle a
    complaint of this one.
    """
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    memory = tmp_path / "quarantine.json"
    with ExitStack() as killed:
        life = Quarantine(quay.clock, memory)
        for bay in ("1", "2"):
            killed.enter_context(life.serving(bay))
        quay.quarantine = Quarantine(quay.clock, memory)
        killed.enter_context(quay.quarantine.serving("2"))
        messages: list[str] = []
        serve(
            docking_of(quay, medium, Waits(lambda: messages.append(quay.board.states()[0].message)))
        )
    assert messages == [OUT_OF_TURN]
    assert medium.opened == 0
    assert quay.board.states() == ()


def test_a_card_that_fails_the_same_way_again_and_again_only_keeps_its_bay(
    quay: Quay, tmp_path: Path
) -> None:
    """Poison: no more is tried, the lamp stays red, and the place is not lost to the others."""
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    medium.unreadable = {path_of("RECORDINGS/BWC0042-000001/0002.mp4")}
    messages: list[str] = []
    waits = Waits(
        *[nothing] * (PATIENCE - 1), lambda: messages.append(quay.board.states()[0].message)
    )
    serve(docking_of(quay, medium, waits))
    assert waits.seconds[:PATIENCE] == [5, 10, 20, 40, None]
    assert "Nothing more is tried" in messages[0]


def test_a_failure_of_another_kind_starts_the_count_anew(quay: Quay, tmp_path: Path) -> None:
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    medium.unreadable = {path_of("RECORDINGS/BWC0042-000001/0002.mp4")}

    def mend_and_lie() -> None:
        medium.unreadable = set()
        medium.keeps = {path_of("RECORDINGS/BWC0042-000001/0000.mp4")}

    waits = Waits(*[nothing] * (PATIENCE - 2), mend_and_lie, *[nothing] * (PATIENCE - 1))
    serve(docking_of(quay, medium, waits))
    assert None not in waits.seconds[: 2 * PATIENCE - 2]


def test_a_mistake_of_ours_keeps_to_its_bay(quay: Quay, tmp_path: Path) -> None:
    """The one outermost `except Exception`: logged with its traceback, the bay red, the back-off
    kept.
    """
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)

    def mistake() -> None:
        raise ZeroDivisionError

    medium.before_listing = mistake
    phases: list[Phase | None] = []

    def mend() -> None:
        phases.append(phase_of(quay))
        medium.before_listing = nothing

    waits = Waits(mend)
    structlog.reset_defaults()
    with capture_logs() as told:
        serve(docking_of(quay, medium, waits))
    assert phases == [Phase.FAULT]
    assert waits.seconds[0] == FIRST_WAIT_S
    assert [
        entry["log_level"] for entry in told if entry["event"] == "bay failed" and entry["exc_info"]
    ] == ["error"]
    assert quay.states() == {"BWC0042-000001": "erased"}


def test_taken_half_way_it_says_taken_too_early_until_it_is_back(
    quay: Quay, tmp_path: Path
) -> None:
    """Fault A1, for the officer: and the second docking goes on."""
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)

    def pull_out(path: tuple[str, ...], position: int) -> None:
        if path[-1] == "0002.mp4":
            medium.gone = True

    medium.before_read = pull_out
    serve(docking_of(quay, medium, Waits()))
    (state,) = quay.board.states()
    assert state.phase is Phase.TAKEN_EARLY
    assert state.camera == "BWC0042"
    assert "Dock it again" in state.message

    medium.gone, medium.before_read = False, lambda path, position: None
    medium.forget_readings()
    serve(docking_of(quay, medium, Waits()))
    assert quay.board.states() == ()
    assert medium.read_bytes[path_of("RECORDINGS/BWC0042-000001/0003.mp4")] > 0
    assert quay.states() == {"BWC0042-000001": "erased"}


def test_the_dock_may_say_that_it_left_before_the_card_does(quay: Quay, tmp_path: Path) -> None:
    """A read from a lazily unmounted card would go on for ever: the thread lets go at its next
    block.
    """
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    docking = docking_of(quay, medium, Waits())

    def leave(path: tuple[str, ...], position: int) -> None:
        if path[-1] == "0001.mp4":
            docking.note_gone()

    medium.before_read = leave
    serve(docking)
    assert phase_of(quay) is Phase.TAKEN_EARLY
    assert quay.rows() == []


def test_a_stop_ends_a_wait(quay: Quay, tmp_path: Path) -> None:
    _, medium = card_with(tmp_path / "card", count=1)
    waits = Waits(quay.halt.request)
    docking = docking_of(quay, medium, waits)
    serve(docking)
    assert len(waits.seconds) == 1
    assert quay.docked_cameras.add("2", "BWC0042")


def test_a_camera_fills_neither_the_log_nor_the_journal(quay: Quay, tmp_path: Path) -> None:
    """Fault A13. One that says it is gone whenever it has told its tales can't tell them anew for
    ever, nor at any length.
    """
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    medium.trouble = tuple(
        CardTrouble((f"{number}", "n" * 9000), "card.other", f"{number} " + "s" * 9000)
        for number in range(500)
    )

    def go_and_come(path: tuple[str, ...], position: int) -> None:
        if path[-1].endswith(".mp4"):
            raise CardGoneError("The card is no longer there. " + "s" * 9000)

    medium.before_read = go_and_come
    states: list[str] = []
    waits = Waits(nothing, nothing, nothing, lambda: states.append(quay.board.states()[0].message))
    structlog.reset_defaults()
    with capture_logs() as told:
        serve(docking_of(quay, medium, waits))
    assert len(states[0]) == SENTENCE_MAX
    assert max(len(entry.get("sentence", "")) for entry in told) == SENTENCE_MAX
    refused = quay.said("recording.refused")
    assert len(refused) == SENTENCES_MAX
    assert max(map(len, refused)) == SENTENCE_MAX
    assert quay.actions().count("camera.docked") == 5, "each time it came its clock was measured"


def test_a_reader_that_dies_at_a_look_again_counts_as_any_other(quay: Quay, tmp_path: Path) -> None:
    """A card that kills its reader once it is done with, and then whenever it is opened: the third
    death closes the port.
    """
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    messages: list[str] = []

    def die() -> None:
        raise WorkerDiedError("The process that read the camera ended.")

    def become_deadly() -> None:
        medium.before_listing = die

    waits = Waits(become_deadly, nothing, lambda: messages.append(quay.board.states()[0].message))
    serve(docking_of(quay, medium, waits))
    assert waits.seconds[:3] == [None, FIRST_WAIT_S, None], (
        "one death at the look again, two in rounds"
    )
    assert "closed" in messages[0]
