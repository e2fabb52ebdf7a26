"""What is stored is taken out of the dock's hands, however it came there. As root, with users of this machine."""

import os
import pwd
import stat
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "systemd" / "libexec" / "take-custody"
DOCK, VAULT = pwd.getpwnam("daemon"), pwd.getpwnam("nobody")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def recording(footage: Path, name: str, owner: pwd.struct_passwd, names: tuple[str, ...]) -> Path:
    folder = footage / "2026" / "11" / name
    folder.mkdir(parents=True)
    for file in names:
        (folder / file).write_bytes(b"sealed")
        os.chown(folder / file, owner.pw_uid, DOCK.pw_gid)
        (folder / file).chmod(0o660)
    os.chown(folder, owner.pw_uid, DOCK.pw_gid)
    folder.chmod(0o2770)
    return folder


def taken(footage: Path, tmp_path: Path) -> None:
    script = tmp_path / "take-custody"
    text = SCRIPT.read_text().replace("/var/lib/dock-vault/vault/footage", str(footage))
    script.write_text(text.replace("-user dockd", f"-user {DOCK.pw_name}").replace("-h vault", f"-h {VAULT.pw_name}"))
    subprocess.run(["sh", script], check=True)


def held(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_uid, stat.S_IMODE(status.st_mode)


@pytest.mark.parametrize("owner", [DOCK, VAULT], ids=["taken in", "restored"])
def test_a_stored_recording_is_the_vaults_and_nobody_elses_to_change(tmp_path: Path, owner: pwd.struct_passwd) -> None:
    """A restore makes everything as the vault's user, and in the group's modes: without this, the dock could delete all of it."""
    footage = tmp_path / "footage"
    stored = recording(footage, "a", owner, ("0000.sealed", "record.json"))
    unfinished = recording(footage, "b", DOCK, ("0000.sealed",))
    taken(footage, tmp_path)
    assert {held(path) for path in stored.iterdir()} == {(VAULT.pw_uid, 0o640)}
    assert held(stored) == (VAULT.pw_uid, 0o2750)
    assert held(unfinished) == (DOCK.pw_uid, 0o2770)
    assert held(unfinished / "0000.sealed") == (DOCK.pw_uid, 0o660)


def test_keys_that_came_later_are_not_the_docks_to_change(tmp_path: Path) -> None:
    """`keys-N.json` is made by the vault, in the group's modes, in a folder that was taken into custody long ago."""
    footage = tmp_path / "footage"
    stored = recording(footage, "a", DOCK, ("0000.sealed", "record.json"))
    taken(footage, tmp_path)
    later = stored / "keys-1.json"
    later.write_bytes(b"{}")
    os.chown(later, VAULT.pw_uid, DOCK.pw_gid)
    later.chmod(0o660)
    taken(footage, tmp_path)
    assert held(later) == (VAULT.pw_uid, 0o640)
