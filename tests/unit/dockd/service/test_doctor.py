"""The dock's doctor, where the machine is another than the one that tests: libusb, udev, units."""

from pathlib import Path

import pytest

from dockd.service import doctor
from dockd.usb.bus import libusb_version
from tests.support.places import SYSTEMD


def test_the_libusb_that_is_found_says_its_version() -> None:
    version = libusb_version()
    assert version is not None
    assert version.startswith("1.0.")
    assert doctor._libusb(version).advice == ""
    assert "libusb-1.0-0" in doctor._libusb(None).advice


@pytest.mark.parametrize(
    ("rules", "runs", "sentence", "advice"),
    [
        (
            (),
            True,
            "72-dock-vault-cameras.rules and 85-dock-vault-cards.rules are not installed.",
            "Install the package anew",
        ),
        (
            doctor.RULES[:1],
            True,
            "85-dock-vault-cards.rules is not installed.",
            "Install the package anew",
        ),
        (doctor.RULES, False, "It does not run", "systemctl start systemd-udevd"),
        (doctor.RULES, True, "It runs, with the rules for cameras and cards.", ""),
    ],
)
def test_udev_has_the_rules_and_runs(
    tmp_path: Path, rules: tuple[str, ...], runs: bool, sentence: str, advice: str
) -> None:
    for name in rules:
        (tmp_path / name).touch()
    if runs:
        (tmp_path / "control").touch()
    line = doctor._udev((tmp_path / "none", tmp_path), tmp_path / "control")
    assert sentence in line.sentence
    assert advice in line.advice
    assert bool(line.advice) == bool(advice)


def test_the_rules_are_the_packages() -> None:
    there = SYSTEMD / "udev"
    assert {path.name for path in there.iterdir()} == set(doctor.RULES)


def test_without_a_service_manager_there_are_no_units(tmp_path: Path) -> None:
    (line,) = doctor._units(tmp_path / "nothing")
    assert line.advice == ""
    assert "No service manager" in line.sentence


def test_each_unit_that_is_not_well_has_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemctl is a stand-in that answers as systemd 252 does."""
    program = tmp_path / "systemctl"
    answer = "Result=success\nNRestarts=7\nId=dockd.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n"
    program.write_text(
        f"#!/bin/sh\ncat "
        f"<<'END'\n{answer}\n{answer.replace('dockd', 'dock-page').replace('=7', '=0')}END\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    restarted, rest = doctor._units(tmp_path)
    assert restarted.what == "unit dockd.service"
    assert "7 times" in restarted.sentence
    assert "journalctl -u dockd.service" in restarted.advice
    assert rest.sentence == "1 of 2 are as they should be."
    program.write_text("#!/bin/sh\nexit 1\n")
    (silent,) = doctor._units(tmp_path)
    assert "as root" in silent.advice
