"""The dock's own page: a process of its own that asks the status socket and tells every browser
what changed.

It holds no device and nothing of the vault: no footage, no thumbnail, no key. It goes on when dockd
restarts, and says meanwhile that the dock does not answer.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from dockd.display.kiosk.tiles import tiles
from dockd.display.status import StatusRefusedError, ask_status

LOOK_S = 0.25
"""How often the dock is asked while somebody looks on."""
SIGN_OF_LIFE_S = 10.0
"""A browser that hears nothing for longer takes the page for dead."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def build_kiosk(status_socket: Path, back_office: str, hosts: frozenset[str]) -> Starlette:
    """The application. `hosts`: the names under which it may be asked for."""
    page = (
        (files("dockd.display.kiosk") / "page.html")
        .read_text(encoding="utf-8")
        .replace("{{ back_office }}", back_office)
    )

    def look(language: str) -> str:
        try:
            document = ask_status(status_socket)
        except StatusRefusedError:
            return json.dumps({"answers": False, "tiles": []})
        return json.dumps({"answers": True, "tiles": tiles(document, language)})

    async def changes(request: Request, language: str) -> AsyncIterator[str]:
        told, silent_s = "", SIGN_OF_LIFE_S
        while not await request.is_disconnected():
            now = await run_in_threadpool(look, language)
            silent_s += LOOK_S
            if now != told or silent_s >= SIGN_OF_LIFE_S:
                told, silent_s = now, 0.0
                yield f"data: {now}\n\n"
            await asyncio.sleep(LOOK_S)

    def ours(request: Request) -> bool:
        return request.headers.get("host", "") in hosts

    async def front(request: Request) -> Response:
        if not ours(request):
            return PlainTextResponse("This is not the address of the dock's page.", 421)
        language = _language(request)
        return HTMLResponse(page.replace("{{ language }}", language), headers=HEADERS)

    async def live(request: Request) -> Response:
        if not ours(request):
            return PlainTextResponse("This is not the address of the dock's page.", 421)
        stream = changes(request, _language(request))
        return StreamingResponse(
            stream, media_type="text/event-stream", headers=HEADERS | {"X-Accel-Buffering": "no"}
        )

    routes: list[Any] = [
        Route("/", front),
        Route("/live", live),
        Mount("/static", StaticFiles(directory=str(files("dockd.display.kiosk") / "static"))),
    ]
    return Starlette(routes=routes)


def _language(request: Request) -> str:
    return "en" if request.query_params.get("language") == "en" else "nl"


def serve_page(listen: str, status_socket: Path, back_office: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    host, _, port = listen.rpartition(":")
    app = build_kiosk(status_socket, back_office, frozenset({listen, f"localhost:{port}"}))
    config = uvicorn.Config(
        app,
        host=host,
        port=int(port),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run()
