"""Cameras docked over USB, for as long as a person or a test wants: what `device-sim dock` does."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from device_sim.camera.camera import Camera, Mode
from device_sim.errors import DeviceError, DockError
from device_sim.usb.hub import Hub
from device_sim.usb.usb import UsbCamera

Say = Callable[[str], None]


def serve_cameras(cameras: Sequence[Camera], host: str, port: int, say: Say) -> None:
    """Dock them, serve them, and take them out at the end. Raises DockError where the address is
    taken.
    """
    hub = Hub()
    try:
        try:
            bound = hub.serve(host, port)
        except OSError as error:
            raise DockError(
                f"{host}:{port} can't be listened on: {error.strerror}.", "Choose another --usbip."
            ) from error
        say(f"USB/IP on {host}:{bound}")
        places = {}
        for camera in cameras:
            if camera.mode is not Mode.DOCKED:
                camera.dock()
            device = UsbCamera(camera)
            busid = hub.plug(device)
            places[busid] = device
            say(f"{busid}  {camera.serial}  docked; usbip attach -r {host} -b {busid}")
        with _lines() as lines:
            for line in lines:
                if line == "quit":
                    break
                try:
                    say(_obey(hub, places, line.split()))
                except DeviceError as error:
                    say(str(error))
    finally:
        hub.close()
    for camera in cameras:
        camera.take_out()
        say(
            f"{camera.serial}: {camera.mode.value}, {len(camera.recordings())} recordings on "
            f"its card"
        )


def _obey(hub: Hub, places: dict[str, UsbCamera], words: list[str]) -> str:
    match words:
        case ["list"]:
            standing = hub.plugged
            return "\n".join(
                f"{busid}  {device.serial}  {'plugged in' if device in standing else 'out'}"
                for busid, device in places.items()
            )
        case ["unplug", busid] if busid in places:
            hub.unplug(places[busid])
            return f"{busid} is out"
        case ["plug", busid] if busid in places:
            hub.plug(places[busid], int(busid.rpartition("-")[2]))
            return f"{busid} is in"
    return "unplug BUSID, plug BUSID, list, quit"


@contextmanager
def _lines() -> Iterator[Iterator[str]]:
    """Give what is typed, until SIGTERM or an interrupt. The end of a pipe is not the end: there
    may never have been one.
    """
    woken, wake = socket.socketpair()
    with woken, wake:
        before = {
            number: signal.signal(number, lambda *_: wake.send(b"!"))
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield _read_lines(woken)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _read_lines(woken: socket.socket) -> Iterator[str]:
    typed, sources = sys.stdin.fileno(), [woken.fileno(), sys.stdin.fileno()]
    waiting = b""
    while True:
        ready, _, _ = select.select(sources, [], [])
        if woken.fileno() in ready:
            return
        content = os.read(typed, 4096)
        *lines, waiting = (waiting + content).split(b"\n")
        yield from (line.decode("utf-8", "replace").strip() for line in lines if line.strip())
        if not content and os.isatty(typed):
            return
        if not content:
            sources.remove(typed)
