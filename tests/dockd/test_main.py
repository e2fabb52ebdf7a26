"""The command line as a person meets it: sentences, tables, exit codes."""

from pathlib import Path

import pytest

from tests.dockd.pier import Pier, Service


@pytest.fixture
def pier(tmp_path: Path) -> Pier:
    return Pier(tmp_path / "pier")


def test_once_takes_in_one_card_and_says_what_became_of_each_recording(pier: Pier) -> None:
    maker = pier.camera(count=2)
    done = pier.call("once", maker.root)
    assert (done.returncode, done.stderr) == (0, "")
    row = next(line for line in done.stdout.splitlines() if "BWC0042-000002" in line)
    cells = [cell.strip() for cell in row.strip("│┃|").split("│")]
    assert cells[0] == "BWC0042-000002"
    assert cells[2:4] == ["40.0 s", "30.0 s, verified"]
    assert cells[5:] == ["yes", "yes", "yes"]
    assert "safe to take: 2 recordings in the vault and erased from the camera." in done.stdout
    assert pier.states() == {"BWC0042-000001": "erased", "BWC0042-000002": "erased"}


def test_once_again_finds_nothing_to_do(pier: Pier) -> None:
    maker = pier.camera(count=1)
    pier.call("once", maker.root)
    done = pier.call("once", maker.root)
    assert done.returncode == 0
    assert "Nothing was recorded." in done.stdout


def test_a_finding_is_told_and_the_recording_kept(pier: Pier) -> None:
    maker = pier.camera(count=1)
    made = maker.make(2, preroll_ms=30_000)
    made.segments["0001.mp4"] = made.segments["0000.mp4"]
    made.restate()
    maker.write(made)
    done = pier.call("once", maker.root)
    assert done.returncode == 0
    assert "NOT as stated" in done.stdout
    assert "1 of them not whole" in done.stdout
    assert len(pier.states()) == 2


def test_an_unknown_camera_ends_with_its_sentence_and_no_traceback(pier: Pier) -> None:
    maker = pier.camera("BWC0099", registered=False)
    done = pier.call("once", maker.root)
    assert done.returncode == 65
    assert done.stderr.splitlines() == [
        "The camera BWC0099 is not registered. Nothing of it was read.",
        "The boa-coördinator can register it: `vault camera add`. The camera keeps its recordings. [vault.unknown_camera]",
    ]


def test_a_refused_recording_gives_65_and_what_is_worth_another_try_75(pier: Pier) -> None:
    maker = pier.camera(count=2)
    (maker.root / "RECORDINGS/BWC0042-000002/recording.json").unlink()
    assert pier.call("once", maker.root).returncode == 75
    (maker.root / "RECORDINGS/BWC0042-000002/recording.json").write_bytes(b"{}")
    assert pier.call("once", maker.root).returncode == 65


def test_a_damaged_recording_gives_70(pier: Pier) -> None:
    maker = pier.camera(count=1)
    segment = maker.root / "RECORDINGS/BWC0042-000001/0001.mp4"
    content = segment.read_bytes()
    segment.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    done = pier.call("once", maker.root)
    assert done.returncode == 70
    assert "broken recording" in done.stdout
    assert segment.exists()


def test_only_one_process_takes_in(pier: Pier) -> None:
    maker = pier.camera(count=1)
    with Service(pier) as service:
        service.until("READY=1")
        done = pier.call("once", maker.root)
        service.stop()
    assert done.returncode == 75
    assert "[vault.busy]" in done.stderr


def test_status_shows_the_bays_of_the_running_dock(pier: Pier) -> None:
    pier.camera(count=1)
    with Service(pier) as service:
        service.until("STATUS=", containing="safe to take")
        table = pier.call("status")
        document = pier.call("status", "--json")
        service.stop()
    assert table.returncode == document.returncode == 0
    assert "safe to take" in table.stdout
    assert "1 recordings stored" in table.stdout
    assert '"format": "dockd/status/1"' in document.stdout


def test_status_without_a_dock_says_so(pier: Pier) -> None:
    done = pier.call("status")
    assert done.returncode == 75
    assert "[dock.status_refused]" in done.stderr


def test_a_mistyped_setting_is_named(pier: Pier) -> None:
    pier.config.write_text(pier.config.read_text() + "erasse = false\n")
    done = pier.call("run")
    assert done.returncode == 65
    assert done.stderr.startswith(f"{pier.config}: the key `erasse` is unknown.\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [(), ("run", "--no-such"), ("once",)])
def test_a_wrong_call_ends_with_the_usage(pier: Pier, words: tuple[str, ...]) -> None:
    done = pier.call(*words)
    assert done.returncode == 2
    assert "Usage:" in done.stderr
