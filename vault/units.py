"""The package's units as the service manager tells of them: installed, enabled, running, failed, and how often restarted.

`dockd/units.py` is the dock's own look at its units: neither package leans on the other for it.
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
DOCK = ("dock-vault.target", "dockd.service", "dock-page.service", "dock-reader.socket", "dock-erase.socket")
"""The dock's own, for who counts what failed on this machine."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit, in systemd's own words. `restarts`: how often it was started again by itself since somebody started it."""

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
    """What `systemctl show` printed of one unit or more: `Key=value` lines, a blank line between two units. Pure."""
    found = []
    for block in text.split("\n\n"):
        told = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in told:
            load, enabled, active, result = (told.get(key, "") for key in ("LoadState", "UnitFileState", "ActiveState", "Result"))
            found.append(Unit(told["Id"], load, enabled, active, result, int(told.get("NRestarts") or 0)))
    return tuple(found)


def ask_units(names: tuple[str, ...], runtime: Path = RUNTIME) -> tuple[Unit, ...] | None:
    """The units of these names as they are now; None where there is no systemd, or it does not answer."""
    if not runtime.is_dir():
        return None
    command = ["systemctl", "show", f"--property={PROPERTIES}", *names]
    try:
        done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_units(done.stdout.decode(errors="replace"))
