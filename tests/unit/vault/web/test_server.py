"""`vault web` as a process: pages and figures on their own addresses, and an end in time that ends
every viewing.
"""

import http.client
import json
import socket
import stat
import subprocess
import sysconfig
import threading
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from tests.support.back_office import free_port
from tests.support.office import office

VAULT = Path(sysconfig.get_path("scripts")) / "vault"


def asked(path: Path, address: str) -> bytes:
    """An HTTP request over a unix socket."""
    with (
        socket.socket(socket.AF_UNIX) as caller,
        closing(http.client.HTTPConnection("x")) as connection,
    ):
        caller.connect(str(path))
        connection.sock = caller
        connection.request("GET", address)
        return connection.getresponse().read()


def page(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=5) as answer:
        content: bytes = answer.read()
        return content


def once_served(ask: Callable[[], bytes], running: "subprocess.Popen[bytes]") -> bytes:
    """What is answered, once somebody answers."""
    for _ in range(300):
        assert running.poll() is None, "the back office ended"
        with suppress(OSError):
            return ask()
        threading.Event().wait(0.1)
    raise AssertionError("nobody answers")


def test_it_serves_pages_and_figures_and_stops(tmp_path: Path) -> None:
    port, figures = free_port(), tmp_path / "m.sock"
    with office(tmp_path / "office") as here:
        config = tmp_path / "vault.toml"
        config.write_text(
            f'root = "{here.settings.root}"\npins = "{here.settings.pins}"\nreserve_mb = 1\n[web]\n'
            f'listen = "127.0.0.1:{port}"\norigin = "http://localhost:{port}"\nmetrics_socket '
            f'= "{figures}"\n'
        )
    figures.write_bytes(b"left by a killed process")
    running = subprocess.Popen(
        [VAULT, "web", "--config", config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        assert b"Wachtwoordzin" in once_served(
            lambda: page(f"http://localhost:{port}/sign-in"), running
        )
        assert json.loads(once_served(lambda: asked(figures, "/health"), running))["ok"] is True
        assert b"dock_vault_recordings 0.0" in asked(figures, "/metrics")
        assert stat.S_IMODE(figures.stat().st_mode) == 0o660
    finally:
        running.terminate()
        told, _ = running.communicate(timeout=30)
    assert b"Traceback" not in told
    assert not figures.exists()
