"""The camera's states and buttons, proven by what can be decoded from its card."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from device_sim.camera.camera import Camera, Mode
from device_sim.camera.encoder import MARKER
from device_sim.clock import ManualClock
from device_sim.errors import CardFullError, NotACameraError, ProfileError, WrongStateError
from tests.support.camera_contract import (
    Recording,
    check_film,
    frame_numbers,
    read_card,
    read_device,
    sound,
)
from tests.support.cameras import Unsynced, new_camera, small

GOP_MS = 1000


@pytest.fixture
def camera(tmp_path: Path) -> Camera:
    made = new_camera(tmp_path / "cam")
    made.power_on()
    return made


def recordings(camera: Camera) -> list[Recording]:
    """The card's recordings, each held against the contract and played to its end."""
    found = read_card(camera.card_folder, camera.public_key)
    for recording in found:
        check_film(recording)
    return found


def assert_whole(recording: Recording, power_on_mono_ms: int, fps: int = 5) -> list[int]:
    """Proves P15 from the pixels: the pictures are those of the stated times, none missing, none
    doubled.
    """
    manifest = recording.manifest
    numbers = frame_numbers(recording)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert abs(numbers[0] * 1000 / fps + power_on_mono_ms - manifest["started_mono_ms"]) < 1
    assert abs((numbers[-1] + 1) * 1000 / fps + power_on_mono_ms - manifest["stopped_mono_ms"]) < 1
    return numbers


def test_a_plain_recording(camera: Camera) -> None:
    """Proves P15, P13: 30 s before the button and all of what follows. Fault: every layer reports
    success, and the event is missing.
    """
    camera.standby(300)
    name = camera.switch_on()
    camera.run(25)
    finished = camera.switch_off()
    (recording,) = recordings(camera)
    assert (finished.recording, finished.reason, finished.delivered_ms) == (name, "button", 30_000)
    manifest = recording.manifest
    assert manifest["triggered_mono_ms"] == 300_000
    assert manifest["preroll"] == {
        "requested_ms": 30_000,
        "delivered_ms": 30_000,
        "short_because": None,
        "audio": False,
    }
    assert assert_whole(recording, 0) == list(range(270 * 5, 325 * 5))
    assert [segment["duration_ms"] for segment in manifest["segments"]] == [10_000] * 5 + [5_000]
    assert [segment["preroll"] for segment in manifest["segments"]] == [True] * 3 + [False] * 3
    assert manifest["started_utc"] == "2026-11-23T21:54:49.123Z"
    assert manifest["triggered_utc"] == "2026-11-23T21:55:19.123Z"
    assert manifest["stopped_utc"] == "2026-11-23T21:55:44.123Z"


def test_long_and_short_standby_film_the_same(tmp_path: Path) -> None:
    """What is not filmed in a long standby is only what the ring would have dropped: the pictures
    are the same.
    """
    films = []
    for steps in ([300.0], [0.7] * 428 + [0.4]):
        made = new_camera(tmp_path / str(len(steps)))
        made.power_on()
        for seconds in steps:
            made.standby(seconds)
        made.switch_on()
        made.run(3)
        made.switch_off()
        (recording,) = recordings(made)
        films.append((recording.manifest["started_mono_ms"], frame_numbers(recording)))
    assert films[0] == films[1]


@pytest.mark.parametrize("standby_s", [0, 0.1, 1, 29.9, 30, 30.1, 300])
def test_standby_around_thirty_seconds(camera: Camera, standby_s: float) -> None:
    """Proves P15: 30 s where standby lasted so long, else all there is and the reason."""
    camera.standby(standby_s)
    camera.switch_on()
    camera.run(2)
    camera.switch_off()
    (recording,) = recordings(camera)
    preroll = recording.manifest["preroll"]
    if standby_s < 30:
        assert preroll["delivered_ms"] == standby_s * 1000
        assert preroll["short_because"] == "just_switched_on"
    else:
        assert 30_000 <= preroll["delivered_ms"] < 30_000 + GOP_MS
        assert preroll["short_because"] is None
    assert_whole(recording, 0)


@pytest.mark.parametrize("pause_s", [0, 0.1, 1, 15, 29.9, 30, 31, 40])
def test_a_second_switch_on_has_its_thirty_seconds(camera: Camera, pause_s: float) -> None:
    """Proves P15, P19, ruling 16: off is standby again, the ring goes on while recording, what is
    repeated is stated.
    """
    camera.standby(45)
    camera.switch_on()
    camera.run(12)
    camera.switch_off()
    camera.standby(pause_s)
    camera.switch_on()
    camera.run(4)
    camera.switch_off()
    first, second = recordings(camera)
    assert second.manifest["preroll"]["short_because"] is None
    assert second.manifest["preroll"]["delivered_ms"] >= 30_000
    repeats = set(assert_whole(first, 0)) & set(assert_whole(second, 0))
    assert second.manifest["overlaps"] == (first.folder.name if repeats else None)
    assert bool(repeats) == (pause_s < 30)


def test_button_pressed_twice_at_once(camera: Camera) -> None:
    """A recording has its trigger in it, and a frame at least: the one that was being filmed is
    finished.
    """
    camera.standby(3.05)
    camera.switch_on()
    camera.switch_off()
    camera.power_off()
    camera.power_on()
    camera.switch_on()
    camera.switch_off()
    first, second = recordings(camera)
    assert first.manifest["stopped_mono_ms"] == 3200
    assert_whole(first, 0)
    assert frame_numbers(second) == [0]
    assert second.manifest["preroll"]["delivered_ms"] == 0


def test_dock_while_recording(camera: Camera) -> None:
    """Proves P8, P13: it closes the recording, empties the ring, writes device.json, and touches
    nothing after.
    """
    camera.standby(40)
    camera.switch_on()
    camera.run(7)
    finished = camera.dock()
    assert finished is not None
    assert finished.reason == "docked"
    assert camera.mode is Mode.DOCKED
    assert camera.ring_ms == 0
    (recording,) = recordings(camera)
    assert recording.manifest["stop_reason"] == "docked"
    device = read_device(camera.card_folder)
    assert device["clock_utc"] == "2026-11-23T21:51:06.123Z"
    assert device["public_key"] == camera.public_key
    assert device["free_bytes"] < device["storage_bytes"]
    before = {
        path: (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in camera.card_folder.rglob("*")
    }
    camera.run(600)
    camera.catch_up()
    assert before == {
        path: (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in camera.card_folder.rglob("*")
    }


def test_standby_leaves_no_trace(camera: Camera) -> None:
    """Proves P8, P13, P27: what was only in the ring reaches neither card nor memory."""
    camera.standby(50)
    assert camera.ring_ms >= 30_000
    camera.dock()
    stored = [path for path in camera.folder.rglob("*") if path.is_file()]
    assert not [path for path in stored if MARKER in path.read_bytes()]
    assert camera.recordings() == []


@pytest.mark.parametrize("way", ["dock", "power_off", "battery_cut"])
def test_nothing_from_before_it_was_off(camera: Camera, way: str) -> None:
    """Proves ruling 16: after off or docked the pre-roll starts anew, and overlaps nothing."""
    camera.standby(20)
    camera.switch_on()
    camera.run(5)
    camera.switch_off()
    getattr(camera, way)()
    if camera.mode is Mode.DOCKED:
        camera.undock()
    else:
        camera.power_on()
    camera.standby(4)
    camera.switch_on()
    camera.run(1)
    camera.switch_off()
    second = recordings(camera)[-1]
    assert second.manifest["preroll"]["delivered_ms"] == 4_000
    assert second.manifest["preroll"]["short_because"] == "just_switched_on"
    assert second.manifest["overlaps"] is None
    assert_whole(second, power_on_mono_ms=25_000)


def test_battery_cut(camera: Camera) -> None:
    """Proves the contract's 2.3: whole segments stay, the recording is closed at the next start as
    recovered.
    """
    camera.standby(60)
    camera.switch_on()
    camera.run(15)
    camera.battery_cut()
    camera.run(100)
    camera.power_on()
    (recording,) = recordings(camera)
    assert recording.manifest["stop_reason"] == "recovered"
    assert recording.manifest["stopped_mono_ms"] == 70_000
    assert recording.manifest["stopped_utc"] == "2026-11-23T21:51:29.123Z"
    assert_whole(recording, 0)
    assert camera.finished[-1].reason == "recovered"


def test_battery_cut_at_the_switch_on(camera: Camera) -> None:
    """No segment was closed: an empty recording keeps its place in the chain."""
    camera.standby(2)
    camera.switch_on()
    camera.battery_cut()
    camera.dock()
    recording = read_card(camera.card_folder, camera.public_key)[0]
    assert recording.manifest["segments"] == []
    assert recording.manifest["stop_reason"] == "recovered"


def test_the_monotonic_clock_never_shows_a_time_again(camera: Camera) -> None:
    """The clock was last written down at the switch-on; after the cut it goes on behind what was
    recorded since.
    """
    camera.standby(31)
    camera.switch_on()
    camera.run(25)
    camera.battery_cut()
    again = Camera.open(camera.folder, medium=Unsynced())
    again.power_on()
    again.switch_on()
    again.run(1)
    again.dock()
    first, second = recordings(again)
    assert first.manifest["stopped_mono_ms"] == 51_000
    assert second.manifest["started_mono_ms"] >= 51_000


def test_battery_runs_down(tmp_path: Path) -> None:
    """It closes what it records before the power is gone, and does not start again before it was
    charged.
    """
    camera = new_camera(tmp_path / "cam", battery_percent=2)
    camera.power_on()
    camera.standby(60)
    camera.switch_on()
    camera.run(1_000)
    assert camera.mode is Mode.OFF
    (recording,) = recordings(camera)
    assert recording.manifest["stop_reason"] == "battery"
    assert camera.finished[0].duration_ms > 300_000
    with pytest.raises(WrongStateError, match="flat"):
        camera.power_on()
    camera.dock()
    camera.run(600)
    camera.undock()
    assert camera.battery_percent > 5


def test_full_card(tmp_path: Path) -> None:
    """It stops in order with what fits, and refuses to start what would not fit."""
    camera = new_camera(tmp_path / "cam", storage_bytes=1_500_000)
    camera.power_on()
    camera.standby(31)
    camera.switch_on()
    camera.run(1_800)
    assert camera.mode is Mode.STANDBY
    (recording,) = recordings(camera)
    assert recording.manifest["stop_reason"] == "full"
    assert camera.finished[0].duration_ms > 60_000
    assert_whole(recording, 0)
    with pytest.raises(CardFullError):
        camera.switch_on()
    assert (camera.mode, camera.counter) == (Mode.STANDBY, 1)
    camera.dock()
    assert 0 <= read_device(camera.card_folder)["free_bytes"] < 1_000_000


def test_ring_bounded_in_bytes(tmp_path: Path) -> None:
    """Proves P15: the ring has no room for 30 s, and the manifest says why there are fewer."""
    camera = new_camera(tmp_path / "cam", ring_bytes=20_000)
    camera.power_on()
    camera.standby(90)
    camera.switch_on()
    camera.run(3)
    camera.switch_off()
    (recording,) = recordings(camera)
    assert 0 < recording.manifest["preroll"]["delivered_ms"] < 30_000
    assert recording.manifest["preroll"]["short_because"] == "dropped_frames"
    assert_whole(recording, 0)


def test_a_ring_without_room_still_starts_on_a_keyframe(tmp_path: Path) -> None:
    """The frame that is being filmed at the switch-on becomes a keyframe."""
    camera = new_camera(tmp_path / "cam", ring_bytes=0)
    camera.power_on()
    camera.standby(7.3)
    camera.switch_on()
    camera.run(3)
    camera.switch_off()
    (recording,) = recordings(camera)
    assert recording.manifest["preroll"]["delivered_ms"] == 100
    assert recording.manifest["preroll"]["short_because"] == "dropped_frames"
    assert_whole(recording, 0)


def test_preroll_is_silent(camera: Camera) -> None:
    """Proves P15, Q4, ruling 17: the sound track is there from the first fragment, and silent up to
    the button.
    """
    camera.standby(35)
    camera.switch_on()
    camera.run(3)
    camera.switch_off()
    (recording,) = recordings(camera)
    assert recording.manifest["preroll"]["audio"] is False
    heard = sound(recording)
    trigger = 30 * 16_000
    assert np.abs(heard[: trigger - 1024]).max() < 1e-4
    assert np.abs(heard[trigger + 1024 :]).max() > 0.05
    assert abs(len(heard) - 33 * 16_000) <= 1024


def test_microphone_on_in_standby(tmp_path: Path) -> None:
    """Where it was decided so, the pre-roll has sound, and says so."""
    camera = new_camera(tmp_path / "cam", preroll_audio=True)
    camera.power_on()
    camera.standby(5)
    camera.switch_on()
    camera.run(1)
    camera.switch_off()
    (recording,) = recordings(camera)
    assert recording.manifest["preroll"]["audio"] is True
    assert np.abs(sound(recording)[: 4 * 16_000]).max() > 0.05


def test_no_microphone(tmp_path: Path) -> None:
    camera = new_camera(tmp_path / "cam", audio=False, preroll_audio=True)
    camera.power_on()
    camera.standby(31)
    camera.switch_on()
    camera.run(2)
    camera.switch_off()
    (recording,) = recordings(camera)
    assert recording.manifest["audio"] is None
    assert recording.manifest["preroll"]["audio"] is False


def test_every_group_on_the_card_has_the_marker(camera: Camera) -> None:
    camera.standby(31)
    camera.switch_on()
    camera.run(2)
    camera.switch_off()
    (recording,) = recordings(camera)
    assert recording.film.count(MARKER) == len(check_film(recording)) == 32


def test_wall_clock_set_while_recording(camera: Camera) -> None:
    """The monotonic times tell the truth when the wall clock jumps."""
    camera.standby(40)
    camera.switch_on()
    camera.run(5)
    assert isinstance(camera.clock, ManualClock)
    camera.clock.jump_utc(-3_600_000)
    camera.run(5)
    camera.switch_off()
    manifest = recordings(camera)[0].manifest
    assert manifest["stopped_utc"] < manifest["started_utc"]
    assert manifest["stopped_mono_ms"] - manifest["triggered_mono_ms"] == 10_000


def test_opened_again_it_goes_on(camera: Camera) -> None:
    """Counter, chain, key and monotonic clock go on in another process, whatever
    its clock shows.
    """
    camera.standby(10)
    camera.switch_on()
    camera.run(5)
    camera.power_off()
    again = Camera.open(camera.folder, ManualClock.at("2020-01-01T00:00:00.000Z"), Unsynced())
    assert (again.public_key, again.counter, again.mode) == (camera.public_key, 1, Mode.OFF)
    again.power_on()
    again.standby(1)
    again.switch_on()
    again.run(1)
    again.dock()
    assert len(recordings(again)) == 2
    assert Camera.open(camera.folder).mode is Mode.DOCKED


def test_the_same_shift_twice_is_the_same_film(tmp_path: Path) -> None:
    """A test can be repeated: time, seed and script decide every byte but the key's."""
    films = []
    for name in ("one", "two"):
        made = new_camera(tmp_path / name)
        made.power_on()
        made.standby(33)
        made.switch_on()
        made.run(4)
        made.switch_off()
        films.append(recordings(made)[0].film)
    assert films[0] == films[1]


@pytest.mark.parametrize(
    ("mode", "refused"),
    [
        (Mode.OFF, ["power_off", "switch_on", "switch_off", "undock", "battery_flat"]),
        (Mode.STANDBY, ["power_on", "switch_off", "undock"]),
        (Mode.RECORDING, ["power_on", "switch_on", "undock"]),
        (Mode.DOCKED, ["power_on", "power_off", "switch_on", "switch_off", "dock", "battery_flat"]),
    ],
)
def test_buttons_that_do_nothing(camera: Camera, mode: Mode, refused: list[str]) -> None:
    """A wrong button changes nothing, and says what state it wants."""
    if mode is Mode.OFF:
        camera.power_off()
    elif mode is Mode.RECORDING:
        camera.switch_on()
    elif mode is Mode.DOCKED:
        camera.dock()
    for button in refused:
        with pytest.raises(WrongStateError, match=mode.value):
            getattr(camera, button)()
        assert camera.mode is mode


def test_no_camera(tmp_path: Path) -> None:
    with pytest.raises(NotACameraError):
        Camera.open(tmp_path)
    new_camera(tmp_path / "cam")
    with pytest.raises(ProfileError, match="already"):
        new_camera(tmp_path / "cam")
    with pytest.raises(ProfileError, match="not a folder"):
        new_camera(tmp_path / "no" / "cam")


step = st.one_of(
    st.tuples(
        st.just("wait"),
        st.sampled_from([0.0, 0.05, 0.1, 0.2, 1.0, 9.9, 10.0, 17.3, 29.9, 30.0, 30.1, 40.0, 300.0]),
    ),
    st.tuples(st.sampled_from(["on", "off", "dock", "cut", "power"]), st.just(0.0)),
)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(
    st.lists(step, min_size=4, max_size=14),
    st.sampled_from([{}, {"fps": 12, "gop_frames": 7}, {"audio": False}]),
)
@example(
    [("wait", 30.0), ("on", 0), ("wait", 10.0), ("off", 0), ("wait", 0.1), ("on", 0), ("dock", 0)],
    {},
)
@example(
    [("wait", 40.0), ("on", 0), ("cut", 0), ("power", 0), ("on", 0), ("wait", 10.0), ("cut", 0)], {}
)
def test_any_shift(steps: list[tuple[str, float]], changes: dict[str, int]) -> None:
    """Proves P15 for shifts nobody thought of: each recording on the card is whole, chained, from
    the stated frame on, with the pre-roll that its standby allows.
    """
    fps = changes.get("fps", 5)
    gop_ms = changes.get("gop_frames", 5) * 1000 / fps
    with TemporaryDirectory() as folder:
        camera = new_camera(Path(folder) / "cam", **changes)
        awake_since: dict[int, int] = {}
        awake_ms = 0
        for what, seconds in [("power", 0.0), *steps, ("end", 0.0)]:
            if what == "wait" and not (camera.mode is Mode.RECORDING and seconds > 40):
                camera.run(seconds)
            elif what == "on" and camera.mode is Mode.STANDBY:
                camera.switch_on()
                awake_since[camera.counter] = awake_ms
            elif what == "off" and camera.mode is Mode.RECORDING:
                camera.switch_off()
            elif what == "dock" and camera.mode is not Mode.DOCKED:
                camera.dock()
            elif what == "cut":
                camera.battery_cut()
            elif what == "power" and camera.mode in (Mode.OFF, Mode.DOCKED):
                camera.undock() if camera.mode is Mode.DOCKED else camera.power_on()
                awake_ms = camera.mono_ms
            elif what == "end" and camera.mode is not Mode.DOCKED:
                camera.dock()
        found = recordings_with_empty(camera)
        assert [recording.manifest["counter"] for recording in found] == list(
            range(1, camera.counter + 1)
        )
        for recording in found:
            manifest = recording.manifest
            since_ms = awake_since[manifest["counter"]]
            stood_by_ms = manifest["triggered_mono_ms"] - since_ms
            delivered_ms = manifest["preroll"]["delivered_ms"]
            assert min(30_000, stood_by_ms) <= delivered_ms <= min(30_000 + gop_ms + 1, stood_by_ms)
            if manifest["segments"]:
                assert_whole(recording, since_ms, fps)


def recordings_with_empty(camera: Camera) -> list[Recording]:
    found = read_card(camera.card_folder, camera.public_key)
    for recording in found:
        if recording.manifest["segments"]:
            check_film(recording)
    return found


def test_create_needs_no_clock(tmp_path: Path) -> None:
    """By default a camera's time goes on where it was written down, and only when it is used."""
    camera = Camera.create(tmp_path / "cam", small())
    camera.power_on()
    camera.standby(2)
    camera.power_off()
    again = Camera.open(tmp_path / "cam")
    assert again.clock.utc_ms() == camera.clock.utc_ms()
    assert again.mono_ms == camera.mono_ms
