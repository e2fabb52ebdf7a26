"""The back office as a process: pages on one address, figures on a socket of their own, a ticker
that ends what was left.
"""

import asyncio
import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool

from vault.clock import MachineClock
from vault.config import VaultSettings
from vault.crypto.passphrase import PassphraseCost
from vault.custody.handover.package import discard_packages
from vault.storage.durable import remove_file
from vault.storage.process_memory import forbid_dumps, give_back_memory
from vault.vault import Vault
from vault.web.app import build_app, build_application
from vault.web.founding import Ceremony, build_ceremony
from vault.web.metrics import build_metrics
from vault.web.request import Application

log = structlog.get_logger()

TICK_S = 1.0


def serve(vault: Vault, clock: MachineClock, demo: Mapping[str, str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Every open viewing ends before this returns."""
    forbid_dumps()
    give_back_memory()
    log_to_journal()
    settings = vault.settings.web
    if settings.packages.is_dir():
        for folder in settings.packages.iterdir():
            discard_packages(folder)
    application = build_application(vault, clock, demo)
    try:
        asyncio.run(_serve(application, settings.listen, settings.metrics_socket))
    finally:
        application.live_viewings.end_all("the back office stopped")


def log_to_journal() -> None:
    """One JSON line an event on standard error. A trace names files and lines, and never what
    variables held.
    """
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


def hold_ceremony(
    settings: VaultSettings, clock: MachineClock, shown: Callable[[str], None]
) -> Ceremony:
    """Serve the first start until the papers are printed, or the process is told to stop; what came
    of it.

    `shown` is given the word that lets the ceremony begin.
    """
    forbid_dumps()
    log_to_journal()
    host, _, port = settings.web.listen.rpartition(":")
    stop = threading.Event()
    ceremony = Ceremony(settings, clock, PassphraseCost(), stop.set)
    shown(ceremony.word)
    server = _Server(_config(build_ceremony(ceremony), host=host, port=int(port)))

    async def run() -> None:
        _stop_on_signals(stop.set)
        task = asyncio.create_task(server.serve())
        while not stop.is_set() and not task.done():
            await asyncio.sleep(0.2)
        server.should_exit = True
        await task

    asyncio.run(run())
    return ceremony


async def _serve(application: Application, listen: str, metrics_socket: Path | None) -> None:
    host, _, port = listen.rpartition(":")
    serving: list[tuple[_Server, list[socket.socket] | None]] = []
    serving.append((_Server(_config(build_app(application), host=host, port=int(port))), None))
    if metrics_socket is not None:
        serving.append((_Server(_config(build_metrics(application))), [_bound(metrics_socket)]))
    ticker = asyncio.create_task(_tick(application))
    try:
        await _until_one_ends(serving)
    finally:
        ticker.cancel()
        if metrics_socket is not None:
            remove_file(metrics_socket)


def _bound(path: Path) -> socket.socket:
    """A unix socket for owner and group; one that a killed process left is replaced."""
    remove_file(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(path))
    path.chmod(0o660)
    return made


class _Server(uvicorn.Server):
    """One that leaves signals alone: uvicorn raises them again at its end, and the process would
    die before it has tidied up.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _stop_on_signals(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


async def _until_one_ends(serving: list[tuple[_Server, list[socket.socket] | None]]) -> None:
    """When one was told to stop, both do."""

    def stop() -> None:
        for server, _ in serving:
            server.should_exit = True

    _stop_on_signals(stop)
    tasks = [asyncio.create_task(server.serve(sockets)) for server, sockets in serving]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    stop()
    await asyncio.gather(*tasks)


def _config(app: Starlette, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
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


async def _tick(application: Application) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        await run_in_threadpool(application.sessions.sweep)
        await run_in_threadpool(application.live_viewings.tend)
