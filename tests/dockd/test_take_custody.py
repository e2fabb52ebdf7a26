"""systemd/libexec/take-custody, run as it is on a tree of its own: what it leaves, and what it leaves when it is killed."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "systemd" / "libexec" / "take-custody"
DOCK, VAULT = 61001, 61002
STEPS_MAX = 40

DYING = """\
#!/bin/sh
n=$(($(cat {count}) + 1)); echo $n >{count}
if [ $n = {dies_at} ]; then kill -9 0; fi
exec {real} "$@"
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="it changes owners")


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """Two recordings that are stored, and one that is on its way in, all as the dock makes them."""
    root = tmp_path / "footage"
    for name in ("one", "two", "coming"):
        folder = root / "2026" / "11" / name
        folder.mkdir(parents=True)
        for file in ("0000.sealed", "manifest.sealed", *(["record.json"] if name != "coming" else [])):
            (folder / file).write_bytes(b"x")
            (folder / file).chmod(0o660)
    for path in (root, *root.rglob("*")):
        os.chown(path, DOCK, -1)
        if path.is_dir():
            path.chmod(0o2770)
    return root


def take_custody(footage: Path, dies_at: int = 0) -> int:
    """Run the script; it is killed before the step of this number. The exit code."""
    tools = footage.parent / "tools"
    tools.mkdir(exist_ok=True)
    count = footage.parent / "count"
    count.write_text("0")
    for name in ("chown", "chmod"):
        (tools / name).write_text(DYING.format(count=count, dies_at=dies_at, real=shutil.which(name)))
        (tools / name).chmod(0o755)
    text = SCRIPT.read_text().replace("/var/lib/dock-vault/vault/footage", str(footage))
    text = (
        text.replace("-user dockd", f"-user {DOCK}")
        .replace("chown -h vault", f"chown -h {VAULT}")
        .replace("-user vault", f"-user {VAULT}")
    )
    words = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    return subprocess.run(["sh", "-c", text], env=words, start_new_session=True, check=False).returncode


def dock_may_change(footage: Path) -> list[str]:
    """What of the stored recordings the dock, or its group, could still change."""
    stored = [path.parent for path in footage.rglob("record.json")]
    assert len(stored) == 2
    loose = []
    for path in [path for folder in stored for path in (folder, *folder.iterdir())]:
        found = path.stat()
        if found.st_uid != VAULT or stat.S_IMODE(found.st_mode) & 0o022:
            loose.append(f"{path.name} {found.st_uid} {stat.S_IMODE(found.st_mode):o}")
    return loose


@needs_root
def test_what_is_stored_is_the_vaults_and_what_comes_in_is_the_docks(footage: Path) -> None:
    """Ruling 13."""
    assert take_custody(footage) == 0
    assert dock_may_change(footage) == []
    assert {path.stat().st_uid for path in (footage / "2026" / "11" / "coming").iterdir()} == {DOCK}
    assert stat.S_IMODE((footage / "2026" / "11").stat().st_mode) == 0o3770


@needs_root
def test_what_a_kill_leaves_the_next_run_finishes(footage: Path) -> None:
    """A kill before each step in turn: what was given to the vault before its mode was set is not passed over afterwards."""
    fresh = footage.with_name("fresh")
    subprocess.run(["cp", "-a", footage, fresh], check=True)
    for dies_at in range(1, STEPS_MAX):
        shutil.rmtree(footage)
        subprocess.run(["cp", "-a", fresh, footage], check=True)
        ended = take_custody(footage, dies_at)
        if ended == 0:
            assert dies_at > 5
            return
        assert take_custody(footage) == 0
        assert dock_may_change(footage) == [], f"after a kill before step {dies_at}"
    raise AssertionError("it never came to its end")
