"""The units: what `systemctl show` prints becomes values, and what is not well becomes a line with
what to do.
"""

import os
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.places import UNIT_FILES
from vault import service_units
from vault.service_units import CALLED, DOCK, RUNNING, Unit, ask_units, judge_unit, parse_units

SHOWN = """\
Result=success
NRestarts=3
Id=vault-web.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled

Result=exit-code
NRestarts=0
Id=vault-verify.service
LoadState=loaded
ActiveState=failed
UnitFileState=static

Result=success
Id=vault-sweep.timer
LoadState=loaded
ActiveState=inactive
UnitFileState=enabled

Id=dock-vault.target
LoadState=loaded
ActiveState=active
UnitFileState=enabled

Id=vault-alert.timer
LoadState=not-found
ActiveState=inactive
UnitFileState=
"""
"""Five units as systemctl of systemd 252 prints these properties: in its own order, and only those
that a kind of unit has.
"""


def test_what_systemctl_prints_becomes_values() -> None:
    assert parse_units(SHOWN) == (
        Unit("vault-web.service", "loaded", "enabled", "active", "success", 3),
        Unit("vault-verify.service", "loaded", "static", "failed", "exit-code", 0),
        Unit("vault-sweep.timer", "loaded", "enabled", "inactive", "success", 0),
        Unit("dock-vault.target", "loaded", "enabled", "active", "", 0),
        Unit("vault-alert.timer", "not-found", "", "inactive", "", 0),
    )
    assert parse_units("") == ()


WELL = Unit("vault-web.service", "loaded", "enabled", "active", "success", 0)
CASES = {
    "well": (WELL, None, ""),
    "called, and not there now": (
        Unit("vault-sweep.service", "loaded", "static", "inactive", "success", 0),
        None,
        "",
    ),
    "called, and at work": (
        Unit("vault-sweep.service", "loaded", "static", "activating", "success", 0),
        None,
        "",
    ),
    "not installed": (
        Unit("vault-web.service", "not-found", "", "inactive", "", 0),
        True,
        "Install the package",
    ),
    "masked": (
        Unit("vault-web.service", "masked", "masked", "inactive", "", 0),
        False,
        "systemctl unmask vault-web.service",
    ),
    "failed": (
        Unit("vault-sweep.service", "loaded", "static", "failed", "exit-code", 0),
        True,
        "journalctl -u vault-sweep.service",
    ),
    "stopped": (
        Unit("vault-sweep.timer", "loaded", "enabled", "inactive", "success", 0),
        True,
        "systemctl start vault-sweep.timer",
    ),
    "not enabled": (
        Unit("vault-web.service", "loaded", "disabled", "active", "success", 0),
        False,
        "systemctl enable vault-web.service",
    ),
    "in a crash loop": (
        Unit("vault-web.service", "loaded", "enabled", "activating", "success", 163_000),
        False,
        "journalctl -u vault-web.service",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_well_says_what_to_do(case: str) -> None:
    """Fault G3: a service that is started again and again by itself is seen."""
    unit, bad, advice = CASES[case]
    trouble = judge_unit(unit)
    if bad is None:
        assert trouble is None
        return
    assert trouble is not None
    assert trouble.bad is bad
    assert advice in trouble.advice
    if unit.restarts:
        assert "163000 times" in trouble.sentence
    at_the_dock = judge_unit(replace(unit, name="dockd.service"))
    if unit.name in RUNNING:
        assert at_the_dock is not None
        assert advice.replace(unit.name, "dockd.service") in at_the_dock.advice


def test_each_unit_of_the_package_is_looked_at() -> None:
    """Templates alone are not: they have no state of their own, and each of their instances is gone
    with what it served.
    """
    here = {
        path.name
        for path in UNIT_FILES.iterdir()
        if re.fullmatch(r"[^@]+\.(service|socket|timer|path|target)", path.name)
    }
    assert here == {*RUNNING, *CALLED, *DOCK}
    installed = {path.name for path in UNIT_FILES.iterdir() if "[Install]" in path.read_text()}
    assert {*RUNNING, *DOCK} <= installed


def systemctl(folder: Path, script: str) -> None:
    program = folder / "systemctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_systemctl_is_asked_where_systemd_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program is a stand-in; how it is called, and what is made of its answer and of its
    silence, is ours.
    """
    (tmp_path / "answer").write_text(SHOWN)
    systemctl(tmp_path, f'echo "$@" >{tmp_path}/asked; cat {tmp_path}/answer')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert ask_units(("vault-web.service",), tmp_path / "nothing") is None
    assert not (tmp_path / "asked").exists()
    assert ask_units(("vault-web.service", "vault-sweep.timer"), tmp_path) == parse_units(SHOWN)
    assert (
        (tmp_path / "asked").read_text()
        == f"show --property={service_units.PROPERTIES} vault-web.service vault-sweep.timer\n"
    )
    systemctl(tmp_path, "echo 'Failed to connect to bus' >&2; exit 1")
    assert ask_units(("vault-web.service",), tmp_path) is None
