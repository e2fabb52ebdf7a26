"""The units: systemd accepts them without a word, they stay as tight as they are, and they carry
what the services promise.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dockd.daemon import STOP_S
from dockd.reader.bus import SILENCE_S
from dockd.reader.remote_card import ANSWER_S
from dockd.reader.worker import BEAT_S
from tests.support.places import SYSTEMD, UNIT_FILES

SERVICES = sorted(UNIT_FILES.glob("*.service"))
UNITS = sorted(UNIT_FILES.iterdir())
SCRIPTS = sorted(path for path in (SYSTEMD / "libexec").iterdir() if path.is_file())

EXPOSURE_MAX = {
    "dockd": 0.8,
    "dock-reader@": 1.2,
    "dock-page": 1.0,
    "dock-clock": 0.8,
    "vault-web": 1.0,
    "vault-ceremony": 1.0,
    "vault-sweep": 0.5,
    "vault-verify": 0.5,
    "vault-checkpoint": 1.0,
    "vault-backup": 0.5,
    "vault-alert": 1.0,
    "vault-custody": 1.5,
    "dock-card-changed@": 2.2,
    "vault-migrate": 0.5,
    "dock-mount@": 5.0,
    "dock-erase@": 5.0,
}
"""As `systemd-analyze security` scores. The two that mount have the machine's own view of its
files, half of the score.
"""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *map(str, words)], capture_output=True, text=True, check=False
    )


def settings(unit: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


def setting(name: str, unit: str = "dockd.service") -> str:
    found = settings(UNIT_FILES / unit, name)
    assert found, name
    return str(found[-1])


@needs_systemd
def test_systemd_finds_nothing_to_remark(tmp_path: Path) -> None:
    """With a program in each place where the package puts one: systemd looks whether it
    can be run.
    """
    here = tmp_path / "units"
    here.mkdir()
    for unit in UNITS:
        text = re.sub(
            r"(?m)^(Exec\w+=[+]?)(/opt/dock-vault/bin|/usr/lib/dock-vault)/\S+",
            r"\1/bin/true",
            unit.read_text(),
        )
        (here / unit.name).write_text(text)
    named = [here / unit.name.replace("@.", "@x.") for unit in UNITS]
    for unit, name in zip(UNITS, named, strict=True):
        if name.name != unit.name:
            shutil.copy(here / unit.name, name)
    done = analyze("verify", "--man=no", *named)
    ours = [
        line
        for line in (done.stdout + done.stderr).splitlines()
        if str(here) in line or "dock" in line or "vault" in line
    ]
    assert (done.returncode, ours) == (0, [])


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_it_is_as_tight_as_it_was(unit: Path) -> None:
    done = analyze("security", "--offline=yes", unit)
    score = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert score is not None, done.stderr
    assert float(score[1]) <= EXPOSURE_MAX[unit.stem]


def test_it_is_told_and_watched_and_never_given_up() -> None:
    """Faults G1, G2, G3."""
    assert setting("Type") == "notify"
    assert setting("NotifyAccess") == "main"
    assert int(setting("WatchdogSec")) > ANSWER_S
    assert setting("Restart") == "always"
    for unit in ("dockd.service", "vault-web.service", "dock-page.service"):
        assert setting("StartLimitIntervalSec", unit) == "0"


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_nothing_leaves_a_core_and_everything_has_its_bounds(unit: Path) -> None:
    """I5; and a service that runs wild takes nothing from the others."""
    assert settings(unit, "LimitCORE") == ["0"]
    assert settings(unit, "MemoryMax")
    assert settings(unit, "TasksMax")
    assert settings(unit, "NoNewPrivileges") == ["yes"]
    if "/opt/dock-vault/bin/vault" in unit.read_text() or unit.stem in ("dockd", "dock-reader@"):
        assert settings(unit, "MemorySwapMax") == ["0"], "plaintext and keys stay out of swap"


def test_it_has_longer_to_stop_than_it_takes() -> None:
    assert int(setting("TimeoutStopSec")) > STOP_S


def test_who_touches_devices_has_no_vault_and_who_has_the_vault_no_devices() -> None:
    """Ruling 13."""
    reader, dock = UNIT_FILES / "dock-reader@.service", UNIT_FILES / "dockd.service"
    hidden = settings(reader, "InaccessiblePaths")[0].split()
    assert {"-/var/lib/dock-vault", "-/etc/dock-vault"} <= set(hidden)
    assert not settings(reader, "LoadCredential")
    assert not settings(reader, "ReadWritePaths")
    assert not settings(dock, "DeviceAllow")
    assert settings(dock, "PrivateNetwork") == ["yes"]


def test_each_reader_is_a_user_of_its_own() -> None:
    """One in wrong hands kills no other: three deaths close a port. The instance's name makes the
    user's.
    """
    reader = UNIT_FILES / "dock-reader@.service"
    assert settings(reader, "DynamicUser") == ["yes"]
    assert settings(reader, "User") == ["dr-%i"]
    assert settings(reader, "Group") == []
    assert settings(reader, "SupplementaryGroups") == ["dock-reader"]
    assert "g dock-reader - -" in (SYSTEMD / "debian" / "sysusers.conf").read_text().splitlines()
    assert (
        'GROUP="dock-reader", MODE="0660"'
        in (SYSTEMD / "udev" / "72-dock-vault-cameras.rules").read_text()
    )
    assert "gid=$group,umask=0007" in (SYSTEMD / "libexec" / "card-mount").read_text()


def test_a_deadly_port_is_remembered_over_a_crash() -> None:
    """Fault G3. An orderly stop empties what was remembered itself."""
    assert setting("RuntimeDirectoryPreserve") == "restart"


def test_the_bus_is_given_up_before_the_watchdog_would() -> None:
    assert BEAT_S * 3 < SILENCE_S < int(setting("WatchdogSec"))


def test_hotplug_reaches_the_reader() -> None:
    """Traps: a network of its own hears nothing of devices, and ProtectClock closes the way to all
    of them.
    """
    reader = UNIT_FILES / "dock-reader@.service"
    assert settings(reader, "PrivateNetwork") == []
    assert "AF_NETLINK" in settings(reader, "RestrictAddressFamilies")[0]
    assert settings(reader, "PrivateDevices") == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_each_script_is_one_that_its_program_reads(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    if "python" in script.read_text().splitlines()[0]:
        compile(script.read_text(), script.name, "exec")
        return
    done = subprocess.run(["sh", "-n", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("kind", "name", "known"),
    [
        ("camera", "1209:0007", True),
        ("camera", "1209:0008", False),
        ("card", "1-3", True),
        ("card", "1-3.1", True),
        ("card", "7-1", True),
        ("card", "2-3", False),
        ("card", "", False),
        ("other", "1209:0007", False),
    ],
)
def test_devices_are_known_by_their_lines(
    tmp_path: Path, kind: str, name: str, known: bool
) -> None:
    assert (
        known_device(
            tmp_path, "# a comment\n\ncamera 1209:0007   # ours\ncard 1-*\ncard 7-1", kind, name
        )
        is known
    )


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("7-1", True),
        ("1-3", False),
        ("2-3", False),
        ("1-4", False),
        ("7-12", False),
        ("7-1*", False),
    ],
)
def test_a_named_port_is_named_in_full(tmp_path: Path, name: str, known: bool) -> None:
    """A backup disk of another kind than a card's is no fault where any port is a card's."""
    assert (
        known_device(
            tmp_path, "card *\ncard 1-*\ncard 1-?\ncard [12]-3\ncard 7-1", "--named", "card", name
        )
        is known
    )


@pytest.mark.parametrize(
    "bay", ["../etc", "card-1/../..", "card-1;reboot", "", "sda1", "card-$(id)", "card-1-3-0-1"]
)
def test_the_door_opens_for_cards_alone(tmp_path: Path, bay: str) -> None:
    """No word of dockd's makes it mount anything but a card that stands in its bay:
    here none does.
    """
    script = tmp_path / "card-erase"
    script.write_text(
        (SYSTEMD / "libexec" / "card-erase").read_text().replace("/run/dock-vault", str(tmp_path))
    )
    done = subprocess.run(
        ["sh", script], input=bay + "\n", capture_output=True, text=True, check=True
    )
    assert done.stdout in (f"{bay} is no bay of a card\n", "no card stands there\n")
    assert "open" not in done.stdout.split()


@pytest.mark.parametrize(
    "unit",
    [unit for unit in SERVICES if "bin/vault " in unit.read_text()],
    ids=lambda unit: unit.stem,
)
def test_a_service_that_sees_no_kernel_settings_is_told_the_boot(unit: Path) -> None:
    """The clock guard asks for it, and ProcSubset=pid hides it."""
    assert settings(unit, "ProcSubset") == ["pid"]
    assert settings(unit, "Environment") == ["BOOT_ID=%b"]


def test_the_target_wants_all_that_is_enabled() -> None:
    """What the package enables, and what starting the target starts after a stop, is the same."""
    wanted = {
        name
        for line in settings(UNIT_FILES / "dock-vault.target", "Wants")
        for name in line.split()
    }
    enabled = {
        unit.name
        for unit in UNITS
        if "[Install]" in unit.read_text() and unit.suffix != ".target" and "@" not in unit.name
    }
    assert enabled <= wanted


def known_device(tmp_path: Path, lines: str, *words: str) -> bool:
    """What udev is told of a device, where `lines` stand in /etc/dock-vault/devices."""
    devices = tmp_path / "devices"
    devices.write_text(lines)
    script = tmp_path / "known-device"
    script.write_text(
        (SYSTEMD / "libexec" / "known-device")
        .read_text()
        .replace("/etc/dock-vault/devices", str(devices))
    )
    done = subprocess.run(["sh", script, *words], capture_output=True, text=True, check=True)
    assert done.stdout in ("", "DOCK_VAULT=1\n")
    return bool(done.stdout)


def calls(name: str) -> set[str]:
    """The system calls of a group."""
    if not name.startswith("@"):
        return {name}
    lines = analyze("syscall-filter", "--no-pager", name).stdout.splitlines()
    listed = [
        line.strip()
        for line in lines[1:]
        if line.startswith("    ") and not line.strip().startswith("#")
    ]
    return set().union(*(calls(listed_name) for listed_name in listed))


def may_call(unit: str) -> set[str]:
    """What the filter of a unit lets through: its lines one after another (systemd.exec(5))."""
    allowed: set[str] = set()
    for line in settings(UNIT_FILES / unit, "SystemCallFilter"):
        named = set().union(*(calls(name) for name in line.removeprefix("~").split()))
        allowed = allowed - named if line.startswith("~") else allowed | named
    return allowed


@needs_systemd
def test_who_tells_of_the_clock_may_ask_the_kernel_and_nobody_else() -> None:
    """A later line of the filter takes away what an earlier one gave: asked in vain, the clock
    would never be vouched for.
    """
    assert {"adjtimex", "clock_adjtime"} <= may_call("dock-clock.service")
    assert "clock_settime" not in may_call("dock-clock.service")
    assert "adjtimex" not in may_call("vault-sweep.service")


@needs_systemd
def test_a_reader_may_shut_itself_off() -> None:
    assert {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"} <= may_call(
        "dock-reader@.service"
    )
