"""The card in a watched folder."""

import errno
from pathlib import Path

import pytest

from device_sim.camera.camera import Camera, Mode
from device_sim.errors import DockError, WrongStateError
from device_sim.scenario.insertion import insert, pull
from device_sim.scenario.volume import insert_volume
from tests.support.camera_contract import read_card, read_device
from tests.support.cameras import Unsynced, new_camera


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    folder = tmp_path / "watched"
    folder.mkdir()
    return folder


@pytest.fixture
def camera(tmp_path: Path) -> Camera:
    made = new_camera(tmp_path / "cam")
    made.power_on()
    made.standby(5)
    made.switch_on()
    made.run(3)
    return made


def test_inserted_and_pulled(camera: Camera, watched: Path) -> None:
    """Proves the contract's 2.5: it is docked before its card appears, whole, under the serial;
    nothing is copied.
    """
    inode = (camera.folder / "card").stat().st_ino
    place = insert(camera, watched)
    assert place == watched / "BWC0042"
    assert place.stat().st_ino == inode
    assert camera.mode is Mode.DOCKED
    (recording,) = read_card(place, camera.public_key)
    assert recording.manifest["stop_reason"] == "docked"
    assert read_device(place)["serial"] == "BWC0042"
    assert not (camera.folder / "card").exists()
    pull(camera)
    assert list(watched.iterdir()) == []
    camera.undock()
    assert camera.mode is Mode.STANDBY
    camera.switch_on()
    camera.run(1)
    camera.dock()
    assert len(read_card(camera.card_folder, camera.public_key)) == 2


def test_without_its_card_it_does_nothing(camera: Camera, watched: Path) -> None:
    insert(camera, watched)
    again = Camera.open(camera.folder, medium=Unsynced())
    assert again.card_folder == watched / "BWC0042"
    assert again.recordings() == ["BWC0042-000001"]
    with pytest.raises(WrongStateError, match="still in the dock"):
        again.undock()
    with pytest.raises(DockError, match="already"):
        insert(again, watched)
    pull(again)
    with pytest.raises(DockError, match="in the camera"):
        pull(again)


def test_no_place_for_the_card(camera: Camera, watched: Path) -> None:
    """It stays in the camera, and the camera as it was."""
    with pytest.raises(DockError, match="not a folder"):
        insert(camera, watched / "nowhere")
    (watched / "BWC0042").mkdir()
    with pytest.raises(DockError, match="there already"):
        insert(camera, watched)
    assert camera.mode is Mode.RECORDING
    assert camera.card_folder == camera.folder / "card"


@pytest.mark.parametrize(
    ("number", "sentence"), [(errno.EXDEV, "another file system"), (errno.EACCES, "cannot be put")]
)
def test_the_rename_fails(
    camera: Camera, watched: Path, monkeypatch: pytest.MonkeyPatch, number: int, sentence: str
) -> None:
    """The note that the card is away is taken back."""

    def fail(path: Path, target: Path) -> None:
        raise OSError(number, "refused")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(DockError, match=sentence):
            insert(camera, watched)
    assert Camera.open(camera.folder, medium=Unsynced()).card_folder == camera.folder / "card"
    insert(camera, watched)


def test_the_power_fails_between_the_note_and_the_card(camera: Camera, watched: Path) -> None:
    camera.dock()
    camera.note_card_at(watched / "BWC0042")
    again = Camera.open(camera.folder, medium=Unsynced())
    assert again.card_folder == camera.folder / "card"
    again.undock()


def test_a_kernel_without_vfat_is_named(camera: Camera, watched: Path) -> None:
    """Where no volume can be made, nothing has happened yet."""
    if "vfat" in Path("/proc/filesystems").read_text():
        pytest.skip("this kernel knows vfat")
    with pytest.raises(DockError, match="vfat"):
        insert_volume(camera, watched)
    assert camera.mode is Mode.RECORDING
