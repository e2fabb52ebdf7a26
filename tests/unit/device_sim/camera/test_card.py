"""The card after a power cut: nothing that was closed is lost, nothing unreadable stands, the chain
goes on.

The states are counted: a change that takes the steps out of the test's sight makes them few, and
fails.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from device_sim.camera.camera import Camera, Mode
from device_sim.camera.medium import Medium
from device_sim.clock import ManualClock
from device_sim.errors import NotACameraError
from tests.support.camera_contract import (
    check_film,
    check_head,
    frame_numbers,
    parse,
    read_card,
    read_device,
)
from tests.support.cameras import START_UTC, Unsynced, new_camera, small
from tests.support.power_cuts import Step, Tree, Watched, at, cuts, lay_out, take

LATER_UTC = "2026-11-23T23:00:00.000Z"


@dataclass(frozen=True)
class Evening:
    """A camera with one old recording, and the steps by which it made two more and was docked."""

    start: Tree
    steps: list[Step]
    public_key: str


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    root = tmp_path_factory.mktemp("evening") / "cam"
    before = new_camera(root, audio=False)
    before.power_on()
    before.switch_on()
    before.run(1)
    before.power_off()
    start = take(root)
    medium = Watched(root)
    camera = Camera.open(root, ManualClock.at(START_UTC, 60_000), medium)
    camera.power_on()
    camera.standby(3)
    camera.switch_on()
    camera.run(19)
    camera.switch_off()
    camera.standby(1)
    camera.switch_on()
    camera.run(1)
    camera.dock()
    assert len(read_card(camera.card_folder, camera.public_key)) == 3
    return Evening(start, medium.steps, camera.public_key)


def journaled(steps: list[Step]) -> dict[str, dict[str, str]]:
    """The segments that count after these steps: recording to name to digest."""
    counted: dict[str, dict[str, str]] = {}
    for place, step in enumerate(steps):
        is_flushed = Step("sync", step.path) in steps[place:]
        if step.verb == "append" and step.path.endswith("journal.jsonl") and is_flushed:
            entry = json.loads(step.data)
            counted.setdefault(step.path.split("/")[2], {})[entry["name"]] = entry["sha256"]
    return counted


def assert_kept(root: Path, done: list[Step], before: Tree, public_key: str) -> None:
    """What the camera promises of its card after its next start, given the steps it had done when
    the power failed.
    """
    recordings = read_card(root / "card", public_key)
    by_name = {recording.folder.name: recording for recording in recordings}
    assert [recording.manifest["counter"] for recording in recordings] == list(
        range(1, len(recordings) + 1)
    )
    for name, segments in journaled(done).items():
        held = {
            segment["name"]: segment["sha256"] for segment in by_name[name].manifest["segments"]
        }
        assert segments.items() <= held.items()
    for path, data in before.items():
        if path.startswith("card/RECORDINGS/") and data is not None:
            assert (root / path).read_bytes() == data
    for recording in recordings:
        if recording.manifest["segments"]:
            check_film(recording)


def started(root: Path, medium: Medium) -> Camera:
    """The camera in this folder, switched on or taken out of the dock."""
    camera = Camera.open(root, ManualClock.at(LATER_UTC), medium)
    camera.undock() if camera.mode is Mode.DOCKED else camera.power_on()
    return camera


def published(steps: list[Step]) -> list[str]:
    """The recordings whose manifest was there for good after these steps."""
    return [
        step.other.split("/")[2]
        for place, step in enumerate(steps)
        if step.verb == "rename"
        and step.other.endswith("/recording.json")
        and Step("sync", step.other.rpartition("/")[0]) in steps[place:]
    ]


def test_power_cut_at_every_step(evening: Evening, tmp_path: Path) -> None:
    """Proves the contract's 2.3 and 2.4. A cut after each step, with every fate of what was not
    flushed; then the camera starts, and makes one more recording.
    """
    tried = 0
    for done, tree in cuts(evening.start, evening.steps):
        root = tmp_path / str(tried)
        lay_out(tree, root)
        steps = evening.steps[:done]
        camera = started(root, Unsynced())
        assert_kept(root, steps, evening.start, evening.public_key)
        # As published at the cut, so at the next start: a signed manifest is never replaced.
        for name in published(steps):
            assert (
                tree[f"card/RECORDINGS/{name}/recording.json"]
                == (root / f"card/RECORDINGS/{name}/recording.json").read_bytes()
            )
        counter = camera.counter
        camera.switch_on()
        camera.run(1)
        camera.dock()
        recordings = read_card(root / "card", evening.public_key)
        assert recordings[-1].manifest["counter"] == counter + 1 == len(recordings)
        read_device(root / "card")
        shutil.rmtree(root)
        tried += 1
    assert tried > 150


def test_power_cut_while_it_recovers(evening: Evening, tmp_path: Path) -> None:
    """A second cut at every step of the recovery, after first cuts all along the evening. The third
    start is the good one.
    """
    tried = 0
    firsts = list(cuts(evening.start, evening.steps))
    for done, tree in firsts[:: max(1, len(firsts) // 25)]:
        root = tmp_path / f"first-{tried}"
        lay_out(tree, root)
        medium = Watched(root)
        started(root, medium)
        seconds = list(cuts(tree, medium.steps))
        for _, again in seconds[:: max(1, len(seconds) // 8)]:
            second = tmp_path / f"second-{tried}"
            lay_out(again, second)
            camera = Camera.open(second, ManualClock.at(LATER_UTC), Unsynced())
            camera.dock() if camera.mode is Mode.OFF else camera.undock()
            assert_kept(second, evening.steps[:done], evening.start, evening.public_key)
            shutil.rmtree(second)
            tried += 1
        shutil.rmtree(root)
    assert tried > 150


def test_power_cut_while_it_is_made(tmp_path: Path) -> None:
    """A camera is made to the end or not at all: it opens, or can be made again in
    the same place.
    """
    root = tmp_path / "cam"
    medium = Watched(tmp_path)
    Camera.create(root, small(), ManualClock.at(START_UTC), medium)
    outcomes = set()
    for number, (_, tree) in enumerate(cuts({}, medium.steps)):
        place = tmp_path / str(number)
        lay_out(tree, place)
        try:
            camera = Camera.open(place / "cam", ManualClock.at(START_UTC), Unsynced())
            outcomes.add("opens")
        except NotACameraError:
            camera = new_camera(place / "cam")
            outcomes.add("made again")
        camera.dock()
        assert read_device(place / "cam" / "card")["public_key"] == camera.public_key
    assert outcomes == {"opens", "made again"}


def test_steps_come_in_the_contracts_order(evening: Evening) -> None:
    """Proves the contract's 2.3: each line of the journal stands behind its flushed segment;
    signature before manifest; every new name is followed by its folder's flush before the next name
    is made.
    """
    verbs = [
        (step.verb, step.path.rpartition("/")[2]) for step in evening.steps if "000002" in step.path
    ]
    assert verbs == [
        ("mkdir", "BWC0042-000002"),
        ("write", "journal.jsonl"),
        ("sync", "journal.jsonl"),
        ("sync", "BWC0042-000002"),
        *(
            one
            for name in ("0000.mp4", "0001.mp4", "0002.mp4")
            for one in [
                ("write", name),
                ("sync", name),
                ("sync", "BWC0042-000002"),
                ("append", "journal.jsonl"),
                ("sync", "journal.jsonl"),
            ]
        ),
        ("write", "recording.sig"),
        ("sync", "recording.sig"),
        ("sync", "BWC0042-000002"),
        ("write", "recording.json.tmp"),
        ("sync", "recording.json.tmp"),
        ("sync", "BWC0042-000002"),
        ("rename", "recording.json.tmp"),
        ("sync", "BWC0042-000002"),
        ("unlink", "journal.jsonl"),
        ("sync", "BWC0042-000002"),
    ]


def test_journal_while_it_records(tmp_path: Path) -> None:
    """The journal's keys are those of the contract, and its lines those of the manifest that
    follows.
    """
    camera = new_camera(tmp_path / "cam")
    camera.power_on()
    camera.standby(31)
    name = camera.switch_on()
    camera.run(1)
    folder = camera.card_folder / "RECORDINGS" / name
    head, *lines = (folder / "journal.jsonl").read_bytes().splitlines()
    document = parse(head, 65536)
    check_head(document)
    assert document.pop("format") == "bodycam-card/journal/1"
    camera.switch_off()
    (recording,) = read_card(camera.card_folder, camera.public_key)
    assert document.items() <= recording.manifest.items()
    assert set(recording.manifest) - set(document) == {
        "format",
        "segments",
        "stop_reason",
        "stopped_utc",
        "stopped_mono_ms",
    }
    assert [json.loads(line) for line in lines] == recording.manifest["segments"][:3]
    assert not (folder / "journal.jsonl").exists()


def cut_camera(folder: Path) -> tuple[Camera, Path]:
    """A camera whose power failed while it recorded, and that recording's folder."""
    camera = new_camera(folder, audio=False)
    camera.power_on()
    camera.standby(31)
    name = camera.switch_on()
    camera.run(15)
    camera.battery_cut()
    return camera, camera.card_folder / "RECORDINGS" / name


@pytest.mark.parametrize(
    "tail", [b'{"name":"0004.mp4","by', b'{"name":"0004.mp4"}\n', b"\n\n", b"\0" * 100 + b"\n"]
)
def test_a_torn_line_of_the_journal(tmp_path: Path, tail: bytes) -> None:
    """A last line that does not end, or does not parse, is not there."""
    camera, folder = cut_camera(tmp_path / "cam")
    with (folder / "journal.jsonl").open("ab") as journal:
        journal.write(tail)
    (folder / "0009.mp4").write_bytes(b"half a segment")
    camera.power_on()
    (recording,) = read_card(camera.card_folder, camera.public_key)
    assert len(recording.manifest["segments"]) == 4
    assert frame_numbers(recording)[-1] - frame_numbers(recording)[0] == 40 * 5 - 1


def erase(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)


def test_what_the_dock_has_begun_to_erase_is_left_alone(tmp_path: Path) -> None:
    """Proves the contract's 2.6: a manifest whose segments are gone stays as it is."""
    camera = new_camera(tmp_path / "cam")
    for _ in range(2):
        camera.power_on()
        camera.switch_on()
        camera.run(12)
        camera.power_off()
    folder = camera.card_folder / "RECORDINGS" / "BWC0042-000001"
    erase(folder, ["0000.mp4", "recording.sig"])
    before = take(folder)
    camera.power_on()
    camera.standby(3)
    camera.switch_on()
    camera.run(1)
    camera.dock()
    assert take(folder) == before


def test_erased_between_the_rename_and_the_next_start(tmp_path: Path) -> None:
    """The power failed when the manifest stood and the journal did too; the dock read and erased
    the card meanwhile. The chain goes on from the manifest that the dock holds.
    """
    root = tmp_path / "cam"
    medium = Watched(root)
    camera = Camera.create(root, small(), ManualClock.at(START_UTC), medium)
    start = take(root)
    medium.steps.clear()
    camera.power_on()
    camera.switch_on()
    camera.run(1)
    camera.switch_off()
    rename = next(
        place for place, step in enumerate(medium.steps) if step.other.endswith("/recording.json")
    )
    for number, extent in enumerate(
        ["segments", "journal", "manifest", "manifest, not journal", "folder"]
    ):
        place = tmp_path / str(number)
        lay_out(at(start, medium.steps[: rename + 2]), place)
        folder = place / "card/RECORDINGS/BWC0042-000001"
        digest = hashlib.sha256((folder / "recording.json").read_bytes()).hexdigest()
        assert (folder / "journal.jsonl").exists()
        erase(folder, ["0000.mp4"])
        if extent in ("journal", "manifest"):
            erase(folder, ["journal.jsonl"])
        if extent.startswith("manifest"):
            erase(folder, ["recording.sig", "recording.json"])
        if extent == "folder":
            shutil.rmtree(folder)
        again = Camera.open(place, ManualClock.at(LATER_UTC), Unsynced())
        again.power_on()
        name = again.switch_on()
        again.run(1)
        again.dock()
        assert again.mode is Mode.DOCKED
        manifest = parse(
            (place / "card/RECORDINGS" / name / "recording.json").read_bytes(), 1 << 20
        )
        assert (manifest["counter"], manifest["previous_sha256"]) == (2, digest)
        if folder.exists():
            assert not (folder / "journal.jsonl").exists()
            assert (folder / "recording.json").exists() == (extent in ("segments", "journal"))


def test_an_erased_card_does_not_end_the_chain(tmp_path: Path) -> None:
    """Proves the contract's 2.4: the counter goes on over an empty card."""
    camera = new_camera(tmp_path / "cam")
    camera.power_on()
    camera.switch_on()
    camera.run(1)
    camera.dock()
    (first,) = read_card(camera.card_folder, camera.public_key)
    shutil.rmtree(first.folder)
    camera.undock()
    camera.switch_on()
    camera.run(1)
    camera.dock()
    (second,) = read_card_from(camera)
    assert second["counter"] == 2
    assert second["previous_sha256"] == first.sha256


def read_card_from(camera: Camera) -> list[dict[str, object]]:
    folders = sorted((camera.card_folder / "RECORDINGS").iterdir())
    return [parse((folder / "recording.json").read_bytes(), 1 << 20) for folder in folders]
