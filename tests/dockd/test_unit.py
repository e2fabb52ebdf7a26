"""The service's unit: systemd accepts it without a word, and it stays as tight as it is."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dockd.daemon import STOP_S

UNIT = Path(__file__).resolve().parents[2] / "systemd" / "dockd.service"
EXPOSURE_MAX = 1.0

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *map(str, words)], capture_output=True, text=True, check=False)


def setting(name: str) -> str:
    found = re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert found, name
    return found[-1]


def test_systemd_finds_nothing_to_remark(tmp_path: Path) -> None:
    """With a program in the place where the package puts one: systemd looks whether it can be run."""
    here = tmp_path / UNIT.name
    here.write_text(UNIT.read_text().replace("/opt/dock-vault/bin/dockd", sys.executable))
    done = analyze("verify", "--man=no", here)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_it_is_as_tight_as_it_was() -> None:
    done = analyze("security", "--offline=yes", UNIT)
    score = re.search(r"exposure level for dockd.service: ([0-9.]+)", done.stdout)
    assert score is not None
    assert float(score[1]) <= EXPOSURE_MAX


def test_it_is_told_and_watched_and_never_given_up() -> None:
    """Faults G1, G2, G3; no core, no swap (I5)."""
    assert setting("Type") == "notify"
    assert setting("NotifyAccess") == "main"
    assert int(setting("WatchdogSec")) > 0
    assert setting("Restart") == "on-failure"
    assert setting("StartLimitIntervalSec") == "0"
    assert setting("LimitCORE") == "0"
    assert setting("MemorySwapMax") == "0"


def test_it_has_longer_to_stop_than_it_takes() -> None:
    assert int(setting("TimeoutStopSec")) > STOP_S
