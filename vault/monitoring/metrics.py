"""The figures of vault and dock, each with its name and what it says: what `/metrics` shows and the
alarms are judged by.

No person, no recording's name.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from vault.clock import Clock, utc_moment
from vault.config import VaultSettings
from vault.custody.camera_list import overdue_count
from vault.custody.reports import missing_reports
from vault.custody.viewing.viewing_session import open_count
from vault.errors import VaultError
from vault.monitoring.dock_status import ask_dock
from vault.operations.health import Health, measure
from vault.service_units import CALLED, DOCK, RUNNING, ask_units
from vault.vault import Vault

_OPENS = "1 while the vault can be opened and asked; else it stands alone."


@dataclass(frozen=True, slots=True)
class Gauge:
    """One figure. Prometheus knows it as `dock_vault_<name>`."""

    name: str
    text: str
    value: float


CLOSED = (Gauge("opens", _OPENS, 0),)
"""All that can be said of a vault that does not open."""


def read_gauges(vault: Vault) -> tuple[Gauge, ...]:
    """Every figure, as it is now. Raises VaultError."""
    found = measure(vault)
    return (Gauge("opens", _OPENS, 1), *_kept(vault, found), *_done(vault, found), *_around(vault))


def figures_of(settings: VaultSettings, clock: Clock) -> dict[str, float]:
    """Every figure by its name; of a vault that does not open, only that."""
    try:
        with Vault.open(settings, clock) as vault:
            gauges = read_gauges(vault)
    except VaultError:
        gauges = CLOSED
    return {gauge.name: gauge.value for gauge in gauges}


def _kept(vault: Vault, found: Health) -> Iterator[Gauge]:
    missing = missing_reports(vault)
    yield Gauge("recordings", "Recordings that stand in the vault.", found.recordings)
    yield Gauge("bytes", "Bytes of plaintext that they hold.", found.bytes)
    yield Gauge(
        "day_bytes", "Bytes that come in on an average day: a 28th of what stands.", found.day_bytes
    )
    yield Gauge("broken_recordings", "Recordings whose timeline was found not whole.", found.broken)
    yield Gauge(
        "unproven_recordings",
        "Recordings that the log does not say were stored as they stand.",
        found.unproven,
    )
    yield Gauge("free_bytes", "Free bytes on the vault's disk.", found.free_bytes)
    yield Gauge("reserve_bytes", "Free bytes that intake leaves untouched.", found.reserve_bytes)
    yield Gauge(
        "room_bytes", "Free bytes beyond these: what intake may still take.", found.room_bytes
    )
    yield Gauge("log_entries", "Entries of the log.", found.log_entries)
    yield Gauge(
        "clock_trusted",
        "1 while the clock is believed enough to delete by it.",
        int(found.clock_trusted),
    )
    yield Gauge(
        "unconfirmed",
        "1 while a rebuilt catalogue waits for two persons.",
        int(found.unconfirmed_utc is not None),
    )
    yield Gauge(
        "sweep_blocked",
        "1 while a sweep waits for persons or for the clock.",
        int(bool(found.sweep_waits_because)),
    )
    yield Gauge("verify_findings", "What the last daily check found.", found.last_verify_findings)
    yield Gauge(
        "witness_named", "1 where signed heads are handed to a witness.", int(found.witness_named)
    )
    yield Gauge("reports_missing", "Recordings that no report of use speaks of.", len(missing))
    yield Gauge(
        "reports_overdue", "Those whose report is overdue.", sum(one.overdue for one in missing)
    )
    yield Gauge(
        "cameras_overdue",
        "Cameras that are with somebody and were not docked for two shifts.",
        overdue_count(vault),
    )
    yield Gauge("viewings_open", "Viewings that are open now.", open_count(vault))


def _done(vault: Vault, found: Health) -> Iterator[Gauge]:
    """How long ago each was done."""

    def age(name: str, text: str, last_utc: str | None) -> Gauge:
        hours = (
            -1.0
            if last_utc is None
            else (vault.clock.now() - utc_moment(last_utc)).total_seconds() / 3600
        )
        return Gauge(f"{name}_age_hours", text, hours)

    yield age("sweep", "Hours since the last sweep; -1 where none ran.", found.last_sweep_utc)
    yield age(
        "backup", "Hours since the last backup; -1 where none was made.", found.last_backup_utc
    )
    yield age(
        "drill", "Hours since the last escrow drill; -1 where none was.", found.last_drill_utc
    )
    yield age(
        "verify", "Hours since the last daily check; -1 where none was.", found.last_verify_utc
    )
    yield age(
        "head", "Hours since the log's head was signed; -1 where it never was.", found.last_head_utc
    )
    yield age(
        "witness",
        "Hours since the witness took a head; -1 where it never did.",
        found.last_witness_utc,
    )


def _around(vault: Vault) -> Iterator[Gauge]:
    """The dock, and the services of this machine."""
    dock = ask_dock(vault.settings.web.dock_status)
    bays = dock["bays"] if dock is not None else []
    yield Gauge(
        "dock_answers", "1 while dockd answers on its status socket.", int(dock is not None)
    )
    yield Gauge(
        "bays_faulty", "Bays whose lamp is red.", sum(bay.get("lamp") == "red" for bay in bays)
    )
    yield Gauge(
        "bays_waiting",
        "Bays at which a camera waits to be tried again.",
        sum(bay.get("phase") == "waiting" for bay in bays),
    )
    units = ask_units((*DOCK, *RUNNING, *CALLED))
    failed = -1 if units is None else sum(unit.failed for unit in units)
    restarts = max((unit.restarts for unit in units or ()), default=-1)
    yield Gauge(
        "units_failed",
        "Units of this package that failed; -1 where no service manager answers.",
        failed,
    )
    yield Gauge(
        "unit_restarts",
        "The most restarts of one service; -1 where no service manager answers.",
        restarts,
    )
