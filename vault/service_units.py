"""The package's units as the service manager tells of them: installed, enabled, running, failed,
and how often restarted.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

RUNTIME = Path("/run/systemd/system")
"""There where systemd is the machine's service manager (sd_booted(3))."""
LIMIT_S = 10
PROPERTIES = "Id,LoadState,UnitFileState,ActiveState,Result,NRestarts"

RUNNING = (
    "dock-clock.service",
    "vault-web.service",
    "vault-custody.path",
    "vault-custody.timer",
    "vault-sweep.timer",
    "vault-checkpoint.timer",
    "vault-verify.timer",
    "vault-backup.timer",
    "vault-alert.timer",
)
"""The vault's units that run for as long as the machine does."""
CALLED = (
    "vault-ceremony.service",
    "vault-custody.service",
    "vault-migrate.service",
    "vault-sweep.service",
    "vault-checkpoint.service",
    "vault-verify.service",
    "vault-backup.service",
    "vault-alert.service",
)
"""The vault's units that come, do their work, and go."""
DOCK = (
    "dock-vault.target",
    "dockd.service",
    "dock-page.service",
    "dock-reader.socket",
    "dock-erase.socket",
)
"""The dock's own units. All of them run for as long as the machine does."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit, in systemd's own words. `restarts`: how often it was started again by itself since
    somebody started it.
    """

    name: str
    load: str
    enabled: str
    active: str
    result: str
    restarts: int

    @property
    def failed(self) -> bool:
        return self.active == "failed"


def parse_units(text: str) -> tuple[Unit, ...]:
    """What `systemctl show` printed of one unit or more: `Key=value` lines, a blank line between
    two units. Pure.
    """
    found = []
    for block in text.split("\n\n"):
        told = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in told:
            load, enabled, active, result = (
                told.get(key, "") for key in ("LoadState", "UnitFileState", "ActiveState", "Result")
            )
            found.append(
                Unit(told["Id"], load, enabled, active, result, int(told.get("NRestarts") or 0))
            )
    return tuple(found)


def ask_units(names: tuple[str, ...], runtime: Path = RUNTIME) -> tuple[Unit, ...] | None:
    """The units of these names as they are now; None where there is no systemd, or it does not
    answer.
    """
    if not runtime.is_dir():
        return None
    command = ["systemctl", "show", f"--property={PROPERTIES}", *names]
    try:
        done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_units(done.stdout.decode(errors="replace"))


@dataclass(frozen=True, slots=True)
class UnitTrouble:
    """What is not well with a unit, and what to do. `bad`: it does not do its work now; else
    somebody should look.
    """

    sentence: str
    advice: str
    bad: bool


def judge_unit(unit: Unit) -> UnitTrouble | None:
    """Say what is not well with a unit; None where all is."""
    journal = f"Look with `journalctl -u {unit.name}`."
    if unit.load == "not-found":
        return UnitTrouble("It is not installed.", "Install the package dock-vault anew.", bad=True)
    if unit.load == "masked":
        advice = f"Run `systemctl unmask {unit.name}` where that is not meant."
        return UnitTrouble("It is masked, so it never runs.", advice, bad=False)
    if unit.failed:
        return UnitTrouble(f"It failed ({unit.result}).", journal, bad=True)
    if unit.name in RUNNING + DOCK and unit.active not in ("active", "activating", "reloading"):
        return UnitTrouble(
            "It does not run.", f"Run `systemctl start {unit.name}`. {journal}", bad=True
        )
    if unit.enabled == "disabled":
        advice = f"Run `systemctl enable {unit.name}`."
        return UnitTrouble(
            "It is not enabled: after a restart of the machine it stays away.", advice, bad=False
        )
    if unit.restarts:
        sentence = f"It ended by itself and was started again {unit.restarts} times."
        return UnitTrouble(sentence, journal, bad=False)
    return None
