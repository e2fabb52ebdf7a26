"""A station in a folder for the real `dockd` processes: a founded vault, settings, a watched
folder, a notification socket.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
from pathlib import Path
from typing import Any

from dockd.display.status import ask_status
from tests.support.card_maker import CardMaker
from tests.support.hand_clock import HandClock
from tests.support.places import BAD_READERS, REPOSITORY
from tests.support.vault_world import founded
from vault.catalogue import recording_rows
from vault.clock import SystemClock
from vault.crypto.canonical_json import to_base64
from vault.custody import cameras
from vault.vault import Vault

DOCKD = Path(sysconfig.get_path("scripts")) / "dockd"
WITH_READER = BAD_READERS / "dockd_with_reader.py"
HELD = BAD_READERS / "held_reader.py"
ENOUGH_S = 60.0
LOOK_S = 0.01


class Pier:
    """Everything of one station. The sockets have a folder of their own: a unix socket's path must
    be short.
    """

    def __init__(self, folder: Path, lanes: int = 2) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.vault_settings = founded(folder, HandClock())
        self.sockets = Path(tempfile.mkdtemp(prefix="pier-"))
        self.bays = folder / "bays"
        self.bays.mkdir()
        self.config = folder / "dockd.toml"
        vault_config = folder / "vault.toml"
        vault_config.write_text(
            f'root = "{self.vault_settings.root}"\npins = '
            f'"{self.vault_settings.pins}"\nreserve_mb = 1\nlanes = {lanes}\n'
        )
        self.config.write_text(
            f'vault = "{vault_config}"\nwatched_folder = "{self.bays}"\n'
            f'status_socket = "{self.sockets / "s"}"\nusb_backend = "off"\n'
        )

    def camera(
        self,
        serial: str = "BWC0042",
        count: int = 2,
        *,
        registered: bool = True,
        place: Path | None = None,
    ) -> CardMaker:
        """A card with so many recordings, docked unless it is made elsewhere."""
        maker = CardMaker(place or self.bays / serial, serial)
        maker.root.mkdir()
        maker.write_device()
        previous = None
        for counter in range(1, count + 1):
            made = maker.make(counter, previous=previous)
            maker.write(made)
            previous = made.sha256()
        if registered:
            with self.vault() as vault, vault.writing() as tx:
                cameras.register(
                    tx,
                    vault.log,
                    vault.clock,
                    (serial, to_base64(maker.public_key), "test"),
                    "test",
                )
        return maker

    def vault(self) -> Vault:
        return Vault.open(self.vault_settings, SystemClock())

    def states(self) -> dict[str, str]:
        with self.vault() as vault, vault.reading() as tx:
            return {row.name: row.state for row in recording_rows.all_recordings(tx)}

    def call(self, *words: object) -> subprocess.CompletedProcess[str]:
        """A command of dockd that ends by itself."""
        command = [str(DOCKD), *map(str, words), "--config", str(self.config)]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"COLUMNS": "160"},
        )


class Service:
    """`dockd run` as systemd would start it: with a notification socket and, if asked for, a
    watchdog. Context manager.
    """

    def __init__(
        self,
        pier: Pier,
        *,
        watchdog_s: float | None = None,
        held_at: str = "",
        stop_s: float = 30.0,
        reader: Path | None = None,
        first_wait_s: float = 5.0,
    ) -> None:
        self._pier = pier
        self.held = pier.folder / "held"
        self.go = pier.folder / "go"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = pier.sockets / "notify"
        address.unlink(missing_ok=True)
        self._socket.bind(str(address))
        self._socket.settimeout(ENOUGH_S)
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(address),
            "PYTHONPATH": str(REPOSITORY),
        }
        if watchdog_s is not None:
            environment["WATCHDOG_USEC"] = str(round(watchdog_s * 1_000_000))
        command: list[object] = [DOCKD, "run", "--config", pier.config]
        if held_at:
            command = [
                sys.executable,
                WITH_READER,
                pier.config,
                stop_s,
                first_wait_s,
                HELD,
                held_at,
                self.held,
                self.go,
            ]
        elif reader is not None:
            command = [sys.executable, WITH_READER, pier.config, stop_s, first_wait_s, reader]
        self._journal = pier.folder / "journal"
        with self._journal.open("ab") as journal:
            self.process = subprocess.Popen([*map(str, command)], stderr=journal, env=environment)

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._socket.close()

    def next(self) -> str:
        """The next message to the service manager."""
        return self._socket.recv(4096).decode()

    def until(self, start: str, *, containing: str = "") -> list[str]:
        """All messages up to and with the first that starts so and contains that."""
        heard = [self.next()]
        while not (heard[-1].startswith(start) and containing in heard[-1]):
            heard.append(self.next())
        return heard

    def until_held(self) -> None:
        never = threading.Event()
        for _ in range(round(ENOUGH_S / LOOK_S)):
            if self.held.exists() and self.held.stat().st_size:
                return
            never.wait(LOOK_S)
        raise AssertionError("the card was never read up to there")

    def until_bay(self, name: str, containing: str) -> None:
        """Until the bay says so."""
        while not any(bay["bay"] == name and containing in bay["message"] for bay in self.bays()):
            self.next()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(ENOUGH_S)

    def bays(self) -> list[dict[str, Any]]:
        return list(ask_status(self._pier.sockets / "s")["bays"])

    def journal_lines(self) -> list[str]:
        return self._journal.read_text().splitlines()

    def journal(self) -> list[dict[str, Any]]:
        """Its events, without the level's prefix."""
        return [json.loads(line[3:]) for line in self.journal_lines()]
