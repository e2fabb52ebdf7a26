"""The command line as a person meets it: sentences, tables, exit codes."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_sim.clock import ManualClock
from device_sim.usb.hub import Hub
from device_sim.usb.usb import UsbCamera
from tests.support.dockd_process import Pier, Service


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
        "The boa-coördinator can register it: `vault camera add`. The camera keeps its "
        "recordings. [vault.unknown_camera]",
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


@pytest.fixture
def hub(pier: Pier) -> Iterator[Hub]:
    """A USB in this process, which the pier's dockd looks at."""
    hub = Hub()
    settings = pier.config.read_text().replace(
        'usb_backend = "off"', f'usb_backend = "usbip:127.0.0.1:{hub.serve()}"'
    )
    pier.config.write_text(settings)
    yield hub
    hub.close()


def test_look_shows_every_place_and_name_and_what_is_refused(
    pier: Pier, hub: Hub, tmp_path: Path
) -> None:
    pier.camera("BWC0001", 1)
    hub.plug(UsbCamera.of_folder(tmp_path, "CAM7", ManualClock(0)), 3)
    hub.plug(UsbCamera.of_folder(tmp_path, "EVIL", ManualClock(0), beside=[(3, 1, 1)]), 1)
    done = pier.call("look")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert any("BWC0001" in line and "folder" in line for line in lines)
    assert any("usb:1-3" in line and "USB-1209-0007-CAM7" in line for line in lines)
    assert any("usb:1-1" in line and "keyboard" in line for line in lines)


def test_once_over_usb_takes_in_the_camera_at_the_port(
    pier: Pier, hub: Hub, tmp_path: Path
) -> None:
    maker = pier.camera("BWC0042", 1, place=tmp_path / "card")
    hub.plug(UsbCamera.of_folder(maker.root, "BWC0042", ManualClock(0)), 2)
    done = pier.call("once", "usb:1-2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "safe to take: 1 recording in the vault and erased from the camera." in done.stdout
    assert pier.states() == {"BWC0042-000001": "erased"}


def test_a_place_where_nothing_stands_is_told_with_what_there_is(
    pier: Pier, hub: Hub, tmp_path: Path
) -> None:
    hub.plug(UsbCamera.of_folder(tmp_path, "CAM7", ManualClock(0)), 3)
    done = pier.call("once", "usb:1-9")
    assert done.returncode == 75
    assert done.stderr.splitlines() == [
        "There is no camera at usb 1-9. On the USB there is usb 1-3.",
        "Run `dockd look` to see what is where. [dock.nothing_there]",
    ]
    assert pier.call("once", tmp_path / "nowhere").returncode == 75


def test_a_device_with_a_keyboard_is_refused_in_words(pier: Pier, hub: Hub, tmp_path: Path) -> None:
    """Fault A12."""
    hub.plug(UsbCamera.of_folder(tmp_path, "EVIL", ManualClock(0), beside=[(3, 1, 1)]), 1)
    done = pier.call("once", "usb:1-1")
    assert done.returncode == 65
    first = done.stderr.splitlines()[0]
    assert (
        first
        == "The device at usb 1-1 offers a keyboard or another input device beside its camera "
        "interface."
    )


def test_the_doctor_says_what_is_missing_and_what_to_do(
    pier: Pier, hub: Hub, tmp_path: Path
) -> None:
    """Without a daemon, with a keyboard on the bus, without the folder for cards and without the
    door.
    """
    hub.plug(UsbCamera.of_folder(tmp_path, "CAM7", ManualClock(0)), 3)
    hub.plug(UsbCamera.of_folder(tmp_path, "EVIL", ManualClock(0), beside=[(3, 1, 1)]), 1)
    done = pier.call("doctor")
    assert done.returncode == 70, done.stderr
    lines = {line[6:].partition(":")[0]: line for line in done.stdout.splitlines()}
    assert lines["reader"] == "good  reader: One can be started."
    assert lines["usb"].startswith(
        "look  usb: 1 cameras stand there. The device at usb 1-1 offers a keyboard"
    )
    assert lines["cards"].startswith("good  cards: 0 cards")
    assert lines["dockd"].endswith("Look with `systemctl status dockd`.")
    pier.config.write_text(pier.config.read_text() + f'erase_socket = "{tmp_path}/none"\n')
    pier.bays.rmdir()
    lines = {line[6:].partition(":")[0]: line for line in pier.call("doctor").stdout.splitlines()}
    assert "systemctl start dock-erase.socket" in lines["erase"]
    assert "Make it" in lines["cards"]


def test_the_doctor_waits_for_an_answer_of_a_reader(pier: Pier) -> None:
    """A service manager accepts each connection, also where it then can't start
    what should answer.
    """
    path = pier.sockets / "reader"
    pier.config.write_text(pier.config.read_text() + f'reader_socket = "{path}"\n')
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as manager:
        manager.bind(str(path))
        manager.listen()
        threading.Thread(target=lambda: manager.accept()[0].close(), daemon=True).start()
        done = pier.call("doctor")
    assert done.returncode == 70
    assert done.stdout.startswith("look  reader: None answers."), done.stdout
    assert "systemctl status dock-reader.socket" in done.stdout.splitlines()[0]


def test_the_doctor_is_content_with_a_dock_that_runs(pier: Pier) -> None:
    with Service(pier) as service:
        service.until("READY=1")
        done = pier.call("doctor")
        assert service.stop() == 0
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.splitlines()[-1] == "good  dockd: It serves 0 bays."
