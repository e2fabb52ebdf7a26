"""The back office as a process: pages on one address, figures on a socket of their own, a ticker that ends what was left."""

import asyncio
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool

from vault.clock import MachineClock
from vault.config import VaultSettings
from vault.durable import remove_file
from vault.handover import discard_packages
from vault.keys import PassphraseCost
from vault.memory import forbid_dumps
from vault.vault import Vault
from vault.web.app import build_app, build_office
from vault.web.founding import Ceremony, build_ceremony
from vault.web.metrics import build_metrics
from vault.web.visit import Office

log = structlog.get_logger()

TICK_S = 1.0


def serve(vault: Vault, clock: MachineClock, demo: Mapping[str, str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Every open viewing ends before this returns."""
    forbid_dumps()
    log_to_journal()
    settings = vault.settings.web
    if settings.packages.is_dir():
        for folder in settings.packages.iterdir():
            discard_packages(folder)
    office = build_office(vault, clock, demo)
    try:
        asyncio.run(_serve(office, settings.listen, settings.metrics_socket))
    finally:
        office.rooms.end_all("the back office stopped")


def log_to_journal() -> None:
    """One JSON line an event on standard error. A trace names files and lines, and never what variables held."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )


def hold_ceremony(settings: VaultSettings, clock: MachineClock, shown: Callable[[str], None]) -> None:
    """Serve the first start until the papers are printed. `shown` is given the word that lets the ceremony begin."""
    forbid_dumps()
    log_to_journal()
    host, _, port = settings.web.listen.rpartition(":")
    stop = threading.Event()
    ceremony = Ceremony(settings, clock, PassphraseCost(), stop.set)
    shown(ceremony.word)
    server = uvicorn.Server(_config(build_ceremony(ceremony), host=host, port=int(port)))

    async def run() -> None:
        task = asyncio.create_task(server.serve())
        while not stop.is_set() and not task.done():
            await asyncio.sleep(0.2)
        server.should_exit = True
        await task

    asyncio.run(run())


async def _serve(office: Office, listen: str, metrics_socket: Path | None) -> None:
    host, _, port = listen.rpartition(":")
    servers = [uvicorn.Server(_config(build_app(office), host=host, port=int(port)))]
    if metrics_socket is not None:
        remove_file(metrics_socket)
        servers.append(uvicorn.Server(_config(build_metrics(office), uds=str(metrics_socket))))
    ticker = asyncio.create_task(_tick(office))
    try:
        await _until_one_ends(servers)
    finally:
        ticker.cancel()


async def _until_one_ends(servers: list[uvicorn.Server]) -> None:
    """When one was told to stop, both do."""
    tasks = [asyncio.create_task(server.serve()) for server in servers]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*tasks)


def _config(app: Starlette, host: str = "127.0.0.1", port: int = 0, uds: str | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        uds=uds,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        # A proxy's word for where a visitor is counts from this machine alone.
        proxy_headers=True,
        forwarded_allow_ips="127.0.0.1",
        timeout_graceful_shutdown=5,
        lifespan="on",
    )


async def _tick(office: Office) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        await run_in_threadpool(office.sessions.sweep)
        await run_in_threadpool(office.rooms.tend)
