"""The dock's units as the service manager tells of them, and what is not well with one.

`vault/units.py` is the vault's own look at its units: neither package leans on the other for it.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

RUNTIME = Path("/run/systemd/system")
"""There where systemd is the machine's service manager (sd_booted(3))."""
LIMIT_S = 10

UNITS = ("dock-vault.target", "dockd.service", "dock-page.service", "dock-reader.socket", "dock-erase.socket")
"""All of them run for as long as the machine does."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit, in systemd's own words. `restarts`: how often it was started again by itself since somebody started it."""

    name: str
    load: str
    enabled: str
    active: str
    result: str
    restarts: int


def parse_units(text: str) -> tuple[Unit, ...]:
    """What `systemctl show` printed: `Key=value` lines, a blank line between two units. Pure."""
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.split("\n\n")]
    return tuple(
        Unit(
            name=told["Id"],
            load=told.get("LoadState", ""),
            enabled=told.get("UnitFileState", ""),
            active=told.get("ActiveState", ""),
            result=told.get("Result", ""),
            restarts=int(told.get("NRestarts") or 0),
        )
        for told in blocks
        if "Id" in told
    )


def ask_units(runtime: Path = RUNTIME) -> tuple[Unit, ...] | None:
    """The dock's units as they are now; None where there is no systemd, or it does not answer."""
    if not runtime.is_dir():
        return None
    command = ["systemctl", "show", "--property=Id,LoadState,UnitFileState,ActiveState,Result,NRestarts", *UNITS]
    try:
        done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_units(done.stdout.decode(errors="replace"))


def judge_unit(unit: Unit) -> tuple[str, str] | None:
    """What is not well with it, and what to do; None where all is."""
    journal = f"Look with `journalctl -u {unit.name}`."
    if unit.load == "not-found":
        return "It is not installed.", "Install the package dock-vault anew."
    if unit.load == "masked":
        return "It is masked, so it never runs.", f"Run `systemctl unmask {unit.name}` where that is not meant."
    if unit.active == "failed":
        return f"It failed ({unit.result}).", journal
    if unit.active not in ("active", "activating", "reloading"):
        return "It does not run.", f"Run `systemctl start {unit.name}`. {journal}"
    if unit.enabled == "disabled":
        return "It is not enabled: after a restart of the machine it stays away.", f"Run `systemctl enable {unit.name}`."
    if unit.restarts:
        return f"It ended by itself and was started again {unit.restarts} times.", journal
    return None
