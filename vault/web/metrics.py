"""`/metrics` (Prometheus) and `/health` on a unix socket of their own: figures, no name, no id of a
recording.

Who may open the socket may read them; the back office itself serves neither.
"""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vault.errors import VaultError
from vault.monitoring.metrics import CLOSED, read_gauges
from vault.operations.health import Health, measure
from vault.vault import Vault
from vault.web.request import Application


class _Figures(Collector):
    """Measured when they are asked for."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def collect(self) -> list[Metric]:
        try:
            gauges = read_gauges(self._vault)
        except VaultError:
            gauges = CLOSED
        families: list[Metric] = []
        for gauge in gauges:
            family = GaugeMetricFamily(f"dock_vault_{gauge.name}", gauge.text)
            family.add_metric([], gauge.value)
            families.append(family)
        return families


def build_metrics(application: Application) -> Starlette:
    """The application behind the socket."""
    registry = CollectorRegistry()
    registry.register(_Figures(application.vault))

    def metrics(_: Request) -> Response:
        return Response(
            generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    def health(_: Request) -> Response:
        try:
            found = measure(application.vault)
        except VaultError as failure:
            return JSONResponse({"ok": False, "code": failure.code}, 503)
        return JSONResponse(
            {
                "ok": _well(found),
                "free_bytes": found.free_bytes,
                "clock_trusted": found.clock_trusted,
            }
        )

    return Starlette(routes=[Route("/metrics", metrics), Route("/health", health)])


def _well(found: Health) -> bool:
    return found.room and found.unconfirmed_utc is None
