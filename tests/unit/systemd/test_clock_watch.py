"""Services that may not ask the kernel read in a file whether network time keeps the clock."""

import re
import time
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.system_programs import load, moved


@pytest.fixture
def program(tmp_path: Path) -> ModuleType:
    return load(moved("clock-watch", tmp_path, {"/run/dock-clock": tmp_path}))


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (0, "synced"),
        (1, "synced"),
        (4, "synced"),
        (5, "unsynced"),
        (-1, "unsynced"),
    ],
)
def test_the_kernels_answer_becomes_a_word(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: int, word: str
) -> None:
    """adjtimex(2): TIME_OK to TIME_WAIT, TIME_ERROR, and a call that failed."""
    monkeypatch.setattr("time.clock_gettime", {time.CLOCK_BOOTTIME: 1234.6}.__getitem__)
    (tmp_path / "synced").write_text("0 from before\n")
    program.write_report(state)
    assert (tmp_path / "synced").read_text() == f"1235 {word}\n"
    assert not (tmp_path / "synced.new").exists()


def test_the_kernel_is_asked_twice_a_minute(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[str] = []

    def pause(seconds: float) -> None:
        assert seconds == 30
        reports.append((tmp_path / "synced").read_text())
        (tmp_path / "synced").unlink()
        if len(reports) == 2:
            raise TimeoutError

    monkeypatch.setattr("time.sleep", pause)
    with pytest.raises(TimeoutError):
        program.main()
    assert all(re.fullmatch(r"\d+ (synced|unsynced)\n", report) for report in reports)
    assert len(reports) == 2
