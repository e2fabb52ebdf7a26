"""Frame-exact, end to end: what the vault gives back is every picture from 30 s before the
switch-on to the stop.
"""

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device_sim.camera.camera import Camera
from device_sim.camera.profile import Profile
from device_sim.clock import ManualClock
from tests.e2e.conftest import NewStation
from tests.support.station import Station, played

FPS, GOP_FRAMES = 10, 10
FRAME_MS, GOP_MS = 1000 // FPS, 1000 * GOP_FRAMES // FPS

Use = tuple[float, float]
"""Seconds of standby, then seconds of recording."""


def first_frame(trigger_ms: int) -> int:
    """The latest keyframe at least 30 s before the switch-on; the first frame where standby was
    shorter.
    """
    return max(0, trigger_ms - 30_000) // GOP_MS * GOP_FRAMES


def play(station: Station, uses: list[Use], ending: str) -> list[tuple[int, int]]:
    """A shift of these uses; for each its first frame and the one after its last. `ending` is how
    the last one stops.
    """
    camera = Camera.create(
        station.folder / "camera",
        Profile("BWC0042", fps=FPS, gop_frames=GOP_FRAMES),
        ManualClock.at("2026-11-23T18:00:00.000Z"),
    )
    station.register(camera)
    camera.power_on()
    at_ms, expected = 0, []
    for number, (standby_s, live_s) in enumerate(uses, 1):
        camera.standby(standby_s)
        at_ms += round(standby_s * 1000)
        camera.switch_on()
        first = first_frame(at_ms)
        camera.run(live_s)
        at_ms += round(live_s * 1000)
        expected.append((first, at_ms // FRAME_MS))
        if number < len(uses) or ending == "off":
            camera.switch_off()
    if ending == "battery cut":
        camera.battery_cut()
        camera.power_on()
    station.dock(camera)
    return expected


def check(station: Station, expected: list[tuple[int, int]], ending: str) -> None:
    rows = station.rows()
    assert len(rows) == len(expected)
    for number, (row, (first, after)) in enumerate(zip(rows, expected, strict=True), 1):
        assert row.state == "erased"
        cut = ending == "battery cut" and number == len(expected)
        if cut and row.size_bytes == 0:
            assert after - first < 10 * FPS + GOP_FRAMES
            continue
        frames = station.frames(row)
        if cut:
            # What was in the segment that was still open is gone with the power; every closed one
            # stands.
            assert frames.counters == list(range(first, first + len(frames.counters)))
            assert after - first - len(frames.counters) <= 10 * FPS + GOP_FRAMES
            assert row.stop_reason == "recovered"
        else:
            assert frames.counters == list(range(first, after))
            assert row.wholeness == "whole", row.findings
        steps = {later - earlier for earlier, later in itertools.pairwise(frames.stamps)}
        assert steps <= {frames.frame_ticks}
    assert station.findings() == ()


@pytest.mark.parametrize("standby_s", [0, 1, 29.9, 30, 30.1, 300])
def test_the_pre_roll_is_exact_at_every_length_of_standby(
    new_station: NewStation, tmp_path: Path, standby_s: float
) -> None:
    """Proves P13, P15: 30 s where standby lasted that long, at most one keyframe interval more; all
    of it where shorter.
    """
    station = new_station(tmp_path)
    expected = play(station, [(standby_s, 4.3)], "off")
    check(station, expected, "off")
    (row,) = station.rows()
    delivered_ms = row.preroll_ms or 0
    if standby_s >= 30:
        assert 30_000 <= delivered_ms < 30_000 + GOP_MS + FRAME_MS
    else:
        assert abs(delivered_ms - standby_s * 1000) <= FRAME_MS
        assert row.preroll_short_because == "just_switched_on"


tenths = st.integers(1, 400).map(lambda number: number / 10)


@settings(
    derandomize=True,
    deadline=None,
    max_examples=6,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    first=st.sampled_from([0.0, 1.0, 29.9, 30.0, 30.1, 300.0]),
    live=st.lists(st.integers(1, 180).map(lambda number: number / 10), min_size=1, max_size=3),
    gaps=st.lists(tenths, min_size=2, max_size=2),
    ending=st.sampled_from(["off", "dock", "battery cut"]),
)
def test_any_shift_is_exact_to_the_frame(
    new_station: NewStation,
    tmp_path_factory: pytest.TempPathFactory,
    first: float,
    live: list[float],
    gaps: list[float],
    ending: str,
) -> None:
    """Proves P15, P16: re-triggered 0.1 to 40 s after a switch-off, docked while recording, battery
    cut.
    """
    station = new_station(tmp_path_factory.mktemp("station"))
    uses = list(zip([first, *gaps], live, strict=False))
    check(station, play(station, uses, ending), ending)


def test_the_segments_play_each_by_itself_and_all_as_one(
    new_station: NewStation, tmp_path: Path
) -> None:
    station = new_station(tmp_path)
    play(station, [(40, 20)], "off")
    (row,) = station.rows()
    files = station.files(row)
    alone = [played(files[name]).counters for name in sorted(files) if name != "manifest.sealed"]
    assert len(alone) >= 5
    assert list(itertools.chain.from_iterable(alone)) == station.frames(row).counters


def test_a_second_use_within_30_s_says_whose_pictures_it_repeats(
    new_station: NewStation, tmp_path: Path
) -> None:
    """Ruling 16."""
    station = new_station(tmp_path)
    play(station, [(40, 5), (2, 5)], "off")
    first, second = (station.frames(row).counters for row in station.rows())
    assert set(first) & set(second)
    with station.vault() as vault:
        record = (vault.settings.root / station.rows()[1].folder / "record.json").read_text()
    assert '"overlaps": "BWC0042-000001"' in record
