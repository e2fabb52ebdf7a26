"""`/metrics` (Prometheus) and `/health` on a unix socket of their own: figures, no name, no id of a recording.

Who may open the socket may read them; the back office itself serves neither.
"""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vault.checkpoint import Checkpoints
from vault.clock import utc_moment, utc_text
from vault.errors import VaultError
from vault.fleet import overdue_count
from vault.health import Health, measure
from vault.reports import missing_reports
from vault.web.dock import ask_dock
from vault.web.visit import Office


class _Figures(Collector):
    """Measured when they are asked for."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def collect(self) -> list[Metric]:
        vault = self._office.vault
        found = measure(vault)
        now = utc_text(vault.clock.now())
        hours = found.hours_since_sweep(now)
        missing = missing_reports(vault)
        signed = Checkpoints(vault.settings.root / "checkpoints").newest_utc()
        dock = ask_dock(vault.settings.web.dock_status)
        bays = dock["bays"] if dock is not None else []
        return [
            _gauge("recordings", "Recordings that stand in the vault.", found.recordings),
            _gauge("bytes", "Bytes of plaintext that they hold.", found.bytes),
            _gauge("broken_recordings", "Recordings whose timeline was found not whole.", found.broken),
            _gauge("unproven_recordings", "Recordings that the log does not say were stored as they stand.", found.unproven),
            _gauge("free_bytes", "Free bytes on the vault's disk.", found.free_bytes),
            _gauge("reserve_bytes", "Free bytes that intake leaves untouched.", found.reserve_bytes),
            _gauge("log_entries", "Entries of the log.", found.log_entries),
            _gauge("clock_trusted", "1 while the clock is believed enough to delete by it.", int(found.clock_trusted)),
            _gauge("unconfirmed", "1 while a rebuilt catalogue waits for two persons.", int(found.unconfirmed_utc is not None)),
            _gauge("sweep_age_hours", "Hours since the last sweep; -1 where none ran.", -1 if hours is None else hours),
            _gauge("sweep_blocked", "1 while a sweep waits for persons or for the clock.", int(bool(found.sweep_waits_because))),
            _gauge("reports_missing", "Recordings that no report of use speaks of.", len(missing)),
            _gauge("reports_overdue", "Those whose report is overdue.", sum(one.overdue for one in missing)),
            _gauge("cameras_overdue", "Cameras that are with somebody and were not docked for two shifts.", overdue_count(vault)),
            _gauge("backup_age_hours", "Hours since the last backup; -1 where none was made.", _age(found.last_backup_utc, now)),
            _gauge("drill_age_hours", "Hours since the last escrow drill; -1 where none was.", _age(found.last_drill_utc, now)),
            _gauge("head_age_hours", "Hours since the log's head was signed; -1 where it never was.", _age(signed, now)),
            _gauge("witness_named", "1 where signed heads are handed to a witness.", int(found.witness_named)),
            _gauge("dock_answers", "1 while dockd answers on its status socket.", int(dock is not None)),
            _gauge("bays_faulty", "Bays whose lamp is red.", sum(bay.get("lamp") == "red" for bay in bays)),
            _gauge("viewings_open", "Viewings that are open now.", len(self._office.rooms.open_ids())),
        ]


def _age(utc: str | None, now_utc: str) -> float:
    """In hours; -1 where it never was."""
    return -1 if utc is None else (utc_moment(now_utc) - utc_moment(utc)).total_seconds() / 3600


def _gauge(name: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(f"dock_vault_{name}", text)
    family.add_metric([], value)
    return family


def build_metrics(office: Office) -> Starlette:
    """The application behind the socket."""
    registry = CollectorRegistry()
    registry.register(_Figures(office))

    def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    def health(_: Request) -> Response:
        try:
            found = measure(office.vault)
        except VaultError as failure:
            return JSONResponse({"ok": False, "code": failure.code}, 503)
        return JSONResponse({"ok": _well(found), "free_bytes": found.free_bytes, "clock_trusted": found.clock_trusted})

    return Starlette(routes=[Route("/metrics", metrics), Route("/health", health)])


def _well(found: Health) -> bool:
    return found.room and found.unconfirmed_utc is None
