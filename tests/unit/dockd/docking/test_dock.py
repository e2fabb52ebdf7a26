"""Bays: arrivals and leavings as the difference of what stands there, and many cameras at once."""

import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from dockd.docking.bay import Phase
from dockd.docking.dock import Dock, Docked, mounted
from dockd.docking.docking import pause
from dockd.mounted.mounted_card import MountedCard
from dockd.mounted.volumes import Volume
from tests.support.card_maker import BOOT
from tests.support.dock import Quay, card_with
from tests.support.memory_card import Medium, MemoryCard
from tests.unit.dockd.docking.test_docking import ENOUGH_S

LOOK_S = 0.005


class Shelf:
    """The mounted volumes of a test, each with a card in memory."""

    def __init__(self, quay: Quay) -> None:
        self._quay = quay
        self._media: dict[Path, Medium] = {}
        self._present: dict[Path, Volume] = {}
        self._on_change = threading.Semaphore(0)
        self.dock = Dock(
            self.standing, quay.workplace(), quay.board, pause, self._on_change.release
        )

    def standing(self) -> list[Docked]:
        return [mounted(volume, self._open) for volume in self._present.values()]

    def insert(self, place: str, medium: Medium, volume_id: str = "VOL-1") -> None:
        path = Path("/media") / place
        medium.gone = False
        self._media[path] = medium
        self._present[path] = Volume(path, path.name, volume_id, "vfat", False)

    def remove(self, place: str) -> None:
        path = Path("/media") / place
        self._media[path].gone = True
        del self._present[path]

    def remount_for_writing(self, place: str) -> None:
        path = Path("/media") / place
        self._present[path] = replace(self._present[path], read_only=True)

    def until_free(self) -> None:
        """Take a turn whenever the dock asks for one, until no bay is served."""
        self.dock.turn()
        while self.dock.heartbeats():
            assert self._on_change.acquire(timeout=ENOUGH_S)
            self.dock.turn()

    def until(self, bay: str, *phases: Phase) -> None:
        """Wait for the bay to show one of these phases."""
        never = threading.Event()
        for _ in range(round(ENOUGH_S / LOOK_S)):
            if any(
                state.bay == bay and state.phase in phases for state in self._quay.board.states()
            ):
                return
            never.wait(LOOK_S)
        raise AssertionError(f"{bay} does not come to {phases}: {self._quay.board.states()}")

    def _open(self, root: Path) -> MemoryCard:
        return self._media[root].open()

    def end(self) -> None:
        self._quay.halt.request()
        assert self.dock.stop(ENOUGH_S)


def test_a_camera_comes_is_served_and_leaves(quay: Quay, tmp_path: Path) -> None:
    maker, medium = card_with(tmp_path / "card", count=1)
    quay.register(maker)
    shelf = Shelf(quay)
    shelf.dock.turn()
    assert shelf.dock.heartbeats() == ()
    shelf.insert("bay1", medium)
    shelf.dock.turn()
    shelf.until("bay1", Phase.SAFE)
    shelf.remount_for_writing("bay1")
    shelf.dock.turn()
    assert len(shelf.dock.heartbeats()) == 1
    shelf.remove("bay1")
    shelf.until_free()
    assert quay.board.states() == ()
    shelf.end()
    assert quay.actions().count("camera.docked") == 1


def test_only_who_was_seen_arriving_has_its_clock_measured(quay: Quay, tmp_path: Path) -> None:
    early, early_medium = card_with(tmp_path / "early", count=1, serial="BWC0001")
    late, late_medium = card_with(tmp_path / "late", count=1, serial="BWC0002")
    quay.register(early)
    quay.register(late)
    shelf = Shelf(quay)
    shelf.insert("bay1", early_medium)
    shelf.dock.turn()
    shelf.insert("bay2", late_medium)
    shelf.dock.turn()
    shelf.until("bay1", Phase.SAFE)
    shelf.until("bay2", Phase.SAFE)
    shelf.end()
    dockings = {
        entry["subject"]: entry["details"]
        for entry in quay.entries()
        if entry["action"] == "camera.docked"
    }
    assert dockings["BWC0001"]["offset_ms"] is None
    assert dockings["BWC0002"]["offset_source"] == "card"


def test_another_card_in_the_same_place_waits_for_the_thread_of_the_first(
    quay: Quay, tmp_path: Path
) -> None:
    first, slow = card_with(tmp_path / "first", count=1, serial="BWC0001")
    second, medium = card_with(tmp_path / "second", count=1, serial="BWC0002")
    quay.register(first)
    quay.register(second)
    reached, go_on = threading.Event(), threading.Event()

    def hang(path: tuple[str, ...], position: int) -> None:
        if path[-1] == "0001.mp4":
            reached.set()
            assert go_on.wait(ENOUGH_S)

    slow.before_read = hang
    shelf = Shelf(quay)
    shelf.insert("bay1", slow)
    shelf.dock.turn()
    assert reached.wait(ENOUGH_S)
    shelf.remove("bay1")
    shelf.insert("bay1", medium, "VOL-2")
    came = quay.clock.now()
    shelf.dock.turn()
    assert medium.opened == 0
    quay.hand.pass_time(100)
    go_on.set()
    while not medium.opened:
        shelf.dock.turn()
    shelf.until("bay1", Phase.SAFE)
    shelf.end()
    assert quay.states() == {"BWC0002-000001": "erased"}
    docked = next(
        entry
        for entry in quay.entries()
        if entry["action"] == "camera.docked" and entry["subject"] == "BWC0002"
    )
    offset = BOOT + timedelta(hours=1) - came
    assert docked["details"]["offset_ms"] == round(offset / timedelta(milliseconds=1)), (
        "of when it came, not of when it was read"
    )


def test_two_places_of_one_name_are_two_bays(quay: Quay, tmp_path: Path) -> None:
    first, one = card_with(tmp_path / "first", count=1, serial="BWC0001")
    second, two = card_with(tmp_path / "second", count=1, serial="BWC0002")
    quay.register(first)
    quay.register(second)
    shelf = Shelf(quay)
    shelf.insert("a/CARD", one)
    shelf.insert("b/CARD", two)
    shelf.dock.turn()
    shelf.until("CARD", Phase.SAFE)
    shelf.until("/media/b/CARD", Phase.SAFE)
    shelf.end()


def test_two_cameras_of_one_serial_at_once_are_taken_in_and_neither_is_erased(
    quay: Quay, tmp_path: Path
) -> None:
    """Fault A11, through the dock: the same recordings in both, at the same time, and one more in
    the second.
    """
    maker, first = card_with(tmp_path / "card", count=2)
    _, second = card_with(tmp_path / "twin", count=3)
    quay.register(maker)
    both = threading.Barrier(2, timeout=ENOUGH_S)
    waited: set[int] = set()

    def together(medium: Medium) -> None:
        # Both have said who they are before either takes anything in.
        def wait(path: tuple[str, ...], position: int) -> None:
            if path[-1] == "recording.json" and id(medium) not in waited:
                waited.add(id(medium))
                both.wait()

        medium.before_read = wait

    together(first)
    together(second)
    shelf = Shelf(quay)
    shelf.insert("bay1", first)
    shelf.insert("bay2", second)
    shelf.dock.turn()
    # Whoever meets the other over one recording leaves it to them, and comes back later: here it is
    # taken out instead.
    shelf.until("bay1", Phase.NOT_ERASED, Phase.WAITING)
    shelf.until("bay2", Phase.NOT_ERASED, Phase.WAITING)
    shelf.end()
    assert first.deleted == second.deleted == []
    assert set(quay.states().values()) == {"stored"}
    assert len(quay.said("camera.alarm")) >= 1
    assert len(quay.rows()) == 3
    assert quay.findings() == ()


def test_ten_cameras_at_once_all_finish_and_none_starves(tmp_path: Path) -> None:
    """Fairness in bytes: while all ten have something left, none is far ahead of its share."""
    quay = Quay(tmp_path / "quay", lanes=4)
    shelf = Shelf(quay)
    served: list[str] = []
    all_here = threading.Barrier(10, timeout=ENOUGH_S)
    contents: dict[str, int] = {}
    for number in range(10):
        serial = f"BWC{number:04d}"
        maker, medium = card_with(tmp_path / serial, count=4, serial=serial, seconds=60)
        quay.register(maker)
        contents[serial] = 4 * 6
        started: set[str] = set()

        def note(
            path: tuple[str, ...], position: int, serial: str = serial, started: set[str] = started
        ) -> None:
            if path[-1] == "recording.json" and not started:
                started.add(serial)
                all_here.wait()
            if path[-1].endswith(".mp4") and position == 0 and quay_is_pulling(serial):
                served.append(serial)

        def quay_is_pulling(serial: str) -> bool:
            return any(
                state.camera == serial and state.phase is Phase.PULLING
                for state in quay.board.states()
            )

        medium.before_read = note
        shelf.insert(serial, medium)
    shelf.dock.turn()
    for serial in contents:
        shelf.until(serial, Phase.SAFE)
    shelf.end()
    assert Counter(served) == contents
    assert len(quay.rows()) == 40
    assert set(quay.states().values()) == {"erased"}
    # Served in turn: in the first half of all segments every camera has had its part, none more
    # than three times its share.
    half = Counter(served[: len(served) // 2])
    share = len(served) / 2 / 10
    assert len(half) == 10
    assert max(half.values()) <= 3 * share
    assert min(half.values()) >= share / 3
    quay.close()


def test_a_real_folder_is_taken_in_and_erased(quay: Quay, tmp_path: Path) -> None:
    """`MountedCard` and the dock together, on real files."""
    maker, _ = card_with(tmp_path / "bays" / "card", count=2)
    quay.register(maker)
    place = tmp_path / "bays" / "card"

    def standing() -> list[Docked]:
        volume = Volume(place, "card", "card", "folder", False)
        return [mounted(volume, lambda root: MountedCard(root, quay.clock))]

    dock = Dock(standing, quay.workplace(), quay.board, pause, lambda: None)
    dock.turn()
    Shelf(quay).until("card", Phase.SAFE)
    quay.halt.request()
    assert dock.stop(ENOUGH_S)
    assert [path.relative_to(place).as_posix() for path in place.rglob("*")] == [
        "DEVICE",
        "RECORDINGS",
        "DEVICE/device.json",
    ]
    assert quay.states() == {"BWC0042-000001": "erased", "BWC0042-000002": "erased"}
