"""The measure of the walks: it hears every thread, and it sees what climbs."""

from pathlib import Path

from tests.house.floors import floor_of, package_of, rank_of
from tests.house.recorder import Call, Function, Recorder
from tests.house.walks import Walk, a_hand_over

LOW = Function("vault.storage.durable", "write", 2, 2)
LOG = Function("vault.log.log", "Log.append", 4, 5)
VAULT = Function("vault.vault", "Vault.writing", 5, 7)
HIGH = Function("vault.custody.cases", "register", 6, 9)


def heard(*calls: Call) -> Walk:
    recorder = Recorder()
    recorder.keep(*calls)
    return Walk("made up", recorder)


def test_an_edge_that_goes_up_is_a_climb() -> None:
    """Once, however often it is called; and into the vault where that is where it leads."""
    down, up = Call((HIGH,), LOG, (), False, "log"), Call((LOW,), VAULT, (), False, "vault")
    walk = heard(down, up, up, Call((), HIGH, (), True, None))
    assert (walk.climbs, walk.into_the_vault, walk.climbs_by_imports) == ([(LOW, VAULT)],) * 3


def test_a_part_that_is_handed_on_is_told_once_an_edge() -> None:
    handed = Call((HIGH,), LOG, ("log",), False, None)
    walk = heard(handed, handed, Call((HIGH,), LOW, (), False, None))
    assert list(walk.handed) == [(HIGH, LOG, "log")]


def test_a_trip_turns_where_its_next_stay_is_higher() -> None:
    """What the vault takes no part in is no stay, and a function is passed once."""
    whole, part = Call((), HIGH, (), True, None), Call((HIGH,), LOG, (), False, "log")
    alone = Call((HIGH,), LOW, (), False, None)
    walk = heard(whole, part, alone, Call((HIGH,), VAULT, (), False, "vault"), part, whole)
    assert walk.stays == [HIGH, LOG, VAULT]
    assert walk.turns == [(LOG, VAULT)]
    assert walk.turns_by_imports == 1


def test_a_hand_over_is_heard_from_its_page_to_its_bytes(tmp_path: Path) -> None:
    """The request's thread and the one that packs. Callbacks of the packing are seen to climb."""
    walk = Walk("a hand-over", a_hand_over(tmp_path))
    reached = {package_of(call.callee.module) for call in walk.recorder.calls}
    assert {
        "web",
        "viewing",
        "handover",
        "vault",
        "log",
        "catalogue",
        "keyring",
        "crypto",
    } <= reached
    assert walk.climbs_by_imports
    assert walk.into_the_vault == []
    assert {function.rank for function in walk.recorder.tree.children} == {rank_of("vault.web.app")}


def test_floors_follow_imports() -> None:
    assert floor_of("vault.errors") == 1
    assert floor_of("vault.vault") > floor_of("vault.config") > floor_of("vault.errors")
