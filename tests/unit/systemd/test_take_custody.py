"""What is stored is taken out of the dock's hands, however it came there. As root, with users of
this machine.
"""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.places import SYSTEMD

SCRIPT = SYSTEMD / "libexec" / "take-custody.py"
DOCK, VAULT = pwd.getpwnam("daemon"), pwd.getpwnam("nobody")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def recording(footage: Path, name: str, owner: pwd.struct_passwd, names: tuple[str, ...]) -> Path:
    folder = footage / "2026" / "11" / str(uuid.uuid5(uuid.NAMESPACE_URL, name))
    folder.mkdir(parents=True)
    for shelf in (footage.parent, footage, folder.parents[1], folder.parent):
        os.chown(shelf, DOCK.pw_uid, DOCK.pw_gid)
    for file in names:
        (folder / file).write_bytes(b"sealed")
        os.chown(folder / file, owner.pw_uid, DOCK.pw_gid)
        (folder / file).chmod(0o660)
    os.chown(folder, owner.pw_uid, DOCK.pw_gid)
    folder.chmod(0o2770)
    return folder


def taken(footage: Path) -> subprocess.CompletedProcess[str]:
    words = [SCRIPT, footage.parent, DOCK.pw_name, VAULT.pw_name]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def held(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_uid, stat.S_IMODE(status.st_mode)


@pytest.mark.parametrize("owner", [DOCK, VAULT], ids=["taken in", "restored"])
def test_a_stored_recording_is_the_vaults_and_nobody_elses_to_change(
    tmp_path: Path, owner: pwd.struct_passwd
) -> None:
    """A restore makes everything as the vault's user, and in the group's modes: without this, the
    dock could delete all of it.
    """
    footage = tmp_path / "vault" / "footage"
    stored = recording(footage, "a", owner, ("0000.sealed", "record.json"))
    unfinished = recording(footage, "b", DOCK, ("0000.sealed",))
    assert taken(footage).returncode == 0
    assert {held(path) for path in stored.iterdir()} == {(VAULT.pw_uid, 0o640)}
    assert held(stored) == (VAULT.pw_uid, 0o2750)
    assert held(unfinished) == (DOCK.pw_uid, 0o2770)
    assert held(unfinished / "0000.sealed") == (DOCK.pw_uid, 0o660)


def test_the_shelves_are_sticky_and_the_vaults(tmp_path: Path) -> None:
    footage = tmp_path / "vault" / "footage"
    recording(footage, "a", DOCK, ("0000.sealed", "record.json"))
    assert taken(footage).returncode == 0
    for shelf in (footage.parent, footage, footage / "2026", footage / "2026" / "11"):
        assert held(shelf) == (VAULT.pw_uid, 0o3770)


STEPS_MAX = 40


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("call", ["fchown", "fchmod"])
def test_what_a_kill_leaves_the_next_run_finishes(tmp_path: Path, call: str) -> None:
    """A kill at each change in turn: what was given to the vault before its mode was set is not
    passed over afterwards.
    """
    for at in range(1, STEPS_MAX):
        footage = tmp_path / str(at) / "vault" / "footage"
        stored = [
            recording(footage, name, DOCK, ("0000.sealed", "manifest.sealed", "record.json"))
            for name in ("a", "b")
        ]
        killing = [
            "strace",
            "-f",
            "-qq",
            "-o",
            tmp_path / "trace",
            "-e",
            f"trace={call}",
            "-e",
            f"inject={call}:signal=KILL:when={at}",
        ]
        words = [*killing, SCRIPT, footage.parent, DOCK.pw_name, VAULT.pw_name]
        ended = subprocess.run(words, capture_output=True, check=False).returncode
        if ended == 0:
            assert at > len(stored) * 4
            return
        assert taken(footage).returncode == 0
        for path in [path for folder in stored for path in folder.iterdir()]:
            assert held(path) == (VAULT.pw_uid, 0o640), f"{path.name} after a kill at {call} {at}"
        assert {held(folder) for folder in stored} == {(VAULT.pw_uid, 0o2750)}
    raise AssertionError("it never came to its end")


TRICKS = (
    "os.rename('footage', 'gone')",
    "os.remove('keyring.json')",
    "open('keyring.json', 'w')",
    "os.rename('register', 'gone')",
    "os.rename('footage/2026', 'footage/2027')",
)


def test_the_vaults_papers_are_the_vaults(tmp_path: Path) -> None:
    """Who deletes keyring.json takes every key; who renames footage hides every recording."""
    footage = tmp_path / "vault" / "footage"
    recording(footage, "a", DOCK, ("0000.sealed", "record.json"))
    root = footage.parent
    (root / "register" / "log").mkdir(parents=True)
    for path in (root / "register", root / "register" / "log"):
        os.chown(path, VAULT.pw_uid, DOCK.pw_gid)
    for name in ("vault.json", "keyring.json"):
        (root / name).write_bytes(b"{}")
        (root / name).chmod(0o660)
        os.chown(root / name, VAULT.pw_uid, DOCK.pw_gid)
    assert taken(footage).returncode == 0
    assert held(root / "register") == held(root / "register" / "log") == (VAULT.pw_uid, 0o3770)
    assert held(root / "keyring.json") == held(root / "vault.json") == (VAULT.pw_uid, 0o640)
    for trick in TRICKS:
        program = (
            f"import os; os.chdir({str(root)!r}); os.setgroups([]); os.setgid({DOCK.pw_gid}); "
            f"os.setuid({DOCK.pw_uid}); {trick}"
        )
        tried = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        assert "PermissionError" in tried.stderr, trick


def test_a_paper_that_somebody_put_there_as_root_keeps_no_recording_with_the_dock(
    tmp_path: Path,
) -> None:
    """Fetched from a backup by hand. It is told, and the recordings are taken all the same; so with
    a shelf that is a link.
    """
    footage = tmp_path / "vault" / "footage"
    stored = recording(footage, "a", DOCK, ("0000.sealed", "record.json"))
    (footage.parent / "keyring.json").write_bytes(b"{}")
    (footage.parent / "checkpoints").symlink_to(tmp_path)
    done = taken(footage)
    assert done.returncode == 1
    assert "keyring.json: keyring.json belongs to neither of the two" in done.stderr
    assert "checkpoints: " in done.stderr
    assert {held(path) for path in stored.iterdir()} == {(VAULT.pw_uid, 0o640)}


@pytest.mark.parametrize(
    "trick", ["link to a file", "link to a folder", "hard link", "fifo", "another's", "year"]
)
def test_nothing_outside_is_ever_changed(tmp_path: Path, trick: str) -> None:
    """A dock in wrong hands puts something else where its files would be: that is left alone and
    told, the others are taken.
    """
    footage = tmp_path / "vault" / "footage"
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    secret = outside / "secret"
    secret.write_bytes(b"of another")
    secret.chmod(0o600)
    stored = recording(footage, "a", DOCK, ("0000.sealed", "record.json"))
    crooked = recording(footage, "b", DOCK, ("0000.sealed", "record.json"))
    target = crooked / "0001.sealed"
    match trick:
        case "link to a file":
            target.symlink_to(secret)
        case "link to a folder":
            target.symlink_to(outside)
        case "hard link":
            target.hardlink_to(secret)
        case "fifo":
            os.mkfifo(target)
        case "another's":
            target.write_bytes(b"root's")
        case "year":
            (footage / "2027").symlink_to(outside)
    before = (
        outside.stat().st_uid,
        outside.stat().st_mode,
        secret.stat().st_uid,
        secret.stat().st_mode,
    )
    done = taken(footage)
    assert done.returncode == 1
    assert done.stderr.startswith("<3>left as it is")
    assert (
        outside.stat().st_uid,
        outside.stat().st_mode,
        secret.stat().st_uid,
        secret.stat().st_mode,
    ) == before
    assert {held(path) for path in stored.iterdir()} == {(VAULT.pw_uid, 0o640)}


def test_a_name_is_only_a_name(tmp_path: Path) -> None:
    """Folders are called after their recordings; what has another name is looked at by nobody."""
    footage = tmp_path / "vault" / "footage"
    crooked = footage / "2026" / "11" / "x\n-delete"
    recording(footage, "a", DOCK, ("0000.sealed", "record.json")).rename(crooked)
    assert taken(footage).returncode == 0
    assert {held(path)[0] for path in crooked.iterdir()} == {DOCK.pw_uid}


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, to be run in this process on tmp_path/vault."""
    loader = SourceFileLoader("take_custody", str(SCRIPT))
    module = ModuleType(loader.name)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    monkeypatch.setattr(
        sys, "argv", [str(SCRIPT), str(tmp_path / "vault"), DOCK.pw_name, VAULT.pw_name]
    )
    return module


class Moments:
    """Time that passes by its pauses alone; each is told how many went before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[int], None]) -> None:
        self._meanwhile = meanwhile
        self.count = 0
        monkeypatch.setattr("time.monotonic", lambda: float(self.count))
        monkeypatch.setattr("time.sleep", self._pause)

    def _pause(self, seconds: float) -> None:
        assert seconds == 1
        self._meanwhile(self.count)
        self.count += 1


def test_a_record_that_is_being_stored_is_taken_a_moment_later(
    tmp_path: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dock gives it its name while the part still has one. The others are taken meanwhile."""
    footage = tmp_path / "vault" / "footage"
    stored, other = (
        recording(footage, name, DOCK, ("0000.sealed", "record.json")) for name in ("a", "b")
    )
    part = tmp_path / "record.json.part"
    part.hardlink_to(stored / "record.json")
    owners: list[tuple[int, int]] = []

    def meanwhile(count: int) -> None:
        owners.append((held(stored / "record.json")[0], held(other / "record.json")[0]))
        if count == 2:
            part.unlink()

    Moments(monkeypatch, meanwhile)
    assert script.main() == 0
    assert owners == [(DOCK.pw_uid, VAULT.pw_uid)] * 3
    assert {held(path) for path in stored.iterdir()} == {(VAULT.pw_uid, 0o640)}


def test_a_second_name_that_stays_is_told_whatever_the_file_says_of_its_age(
    tmp_path: Path,
    script: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A dock in wrong hands changes the file again and again, and the file itself for another."""
    footage = tmp_path / "vault" / "footage"
    stored = recording(footage, "a", DOCK, ("0000.sealed", "record.json"))
    record, part = stored / "record.json", tmp_path / "record.json.part"
    part.hardlink_to(record)

    def meanwhile(count: int) -> None:
        record.chmod(0o660)
        if count % 50 == 40:
            part.unlink()
            (stored / "new").write_bytes(b"sealed")
            os.chown(stored / "new", DOCK.pw_uid, DOCK.pw_gid)
            (stored / "new").replace(record)
            part.hardlink_to(record)

    moments = Moments(monkeypatch, meanwhile)
    assert script.main() == 1
    assert moments.count == script.STORING_S
    assert f"{stored.name}: record.json has had a second name for 120 s" in capsys.readouterr().err
    part.unlink()
    assert taken(footage).returncode == 0
    assert {held(path) for path in stored.iterdir()} == {(VAULT.pw_uid, 0o640)}
