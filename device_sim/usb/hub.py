"""A USB bus in software: cameras are plugged into its ports, and hosts import them over USB/IP.

A kernel's vhci-hcd makes a real USB device of what it imports here; a backend in user space drives
the same device without one. Unplugging cuts the connection at the byte at which it stands.

Source of the wire's form: the kernel's Documentation/usb/usbip_protocol.rst.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading

from usbip import core, protocol
from usbip.core import Urb

from device_sim.errors import DockError
from device_sim.usb.bulk import FilePiece, Piece
from device_sim.usb.faults import Kind
from device_sim.usb.usb import UsbCamera

SOCKET_BYTES = 4 << 20
PORTS = 127
_RETURN = struct.Struct(">IIIIIiiiii8x")
_UNLINKED = -104
_BUSY = 1


class _UnpluggedError(Exception):
    """The cable went while this connection was served."""


class Hub:
    """Any thread may plug, unplug, serve and close; each connection has a thread of its own."""

    def __init__(self, bus: int = 1) -> None:
        self._bus = bus
        self._lock = threading.Lock()
        self._ports: dict[int, UsbCamera] = {}
        self._hosts: dict[UsbCamera, socket.socket] = {}
        self._address = 1
        self._listener: socket.socket | None = None
        self._threads: set[threading.Thread] = set()
        self._connections: set[socket.socket] = set()

    @property
    def plugged(self) -> tuple[UsbCamera, ...]:
        """What stands in the ports now."""
        with self._lock:
            return tuple(self._ports.values())

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen for hosts; the TCP port. Raises OSError."""
        self._listener = socket.create_server((host, port))
        self._start(self._accept, self._listener)
        return int(self._listener.getsockname()[1])

    def connect(self) -> socket.socket:
        """A host's end of a connection within this process."""
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        self._start(self._serve, ours)
        return theirs

    def plug(self, camera: UsbCamera, port: int | None = None) -> str:
        """Put it into a port, the lowest free one if none is named; its bus id. Its address is one
        that nobody had before.

        Raises DockError where the port is taken.
        """
        with self._lock:
            free = [number for number in range(1, PORTS + 1) if number not in self._ports]
            place = free[0] if port is None else port
            if place not in free or camera in self._ports.values():
                raise DockError(
                    f"Port {place} is taken, or the camera is plugged in already.",
                    "Unplug it first.",
                )
            self._address += 1
            busid = f"{self._bus}-{place}"
            camera.device.busid, camera.device.busnum, camera.device.devnum = (
                busid,
                self._bus,
                self._address,
            )
            camera.plugged()
            self._ports[place] = camera
        return busid

    def unplug(self, camera: UsbCamera) -> None:
        """Pull it out, now. Nothing happens if it is not plugged in."""
        with self._lock:
            for place in [place for place, each in self._ports.items() if each is camera]:
                del self._ports[place]
            host = self._hosts.pop(camera, None)
            if host is not None:
                _cut(host)

    def close(self) -> None:
        """Unplug everything and let go of all sockets and threads."""
        for camera in self.plugged:
            self.unplug(camera)
        if self._listener is not None:
            _cut(self._listener)
            self._listener.close()
        for connection in list(self._connections):
            _cut(connection)
        while self._threads:
            for thread in list(self._threads):
                thread.join()

    def _start(self, work: object, *arguments: object) -> None:
        def run() -> None:
            try:
                work(*arguments)  # type: ignore[operator]
            finally:
                self._threads.discard(thread)

        thread = threading.Thread(target=run, name="usb-hub", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        camera: UsbCamera | None = None
        self._connections.add(connection)
        with connection, contextlib.suppress(OSError, _UnpluggedError):
            try:
                camera = self._greet(connection)
                if camera is not None:
                    _Service(self, camera, connection).run()
            finally:
                self._connections.discard(connection)
                if camera is not None:
                    self._let_go(camera, connection)

    def _greet(self, connection: socket.socket) -> UsbCamera | None:
        """What a host wants first: the list of what nobody has, or one of these."""
        request = _received(connection, 8)
        code = struct.unpack(">HHI", request)[1]
        if code == protocol.OP_REQ_DEVLIST:
            with self._lock:
                free = [camera for camera in self._ports.values() if camera not in self._hosts]
            entries = b"".join(_entry(camera) for camera in free)
            connection.sendall(
                struct.pack(">HHII", protocol.VERSION, protocol.OP_REP_DEVLIST, 0, len(free))
                + entries
            )
            return None
        if code != protocol.OP_REQ_IMPORT:
            return None
        busid = _received(connection, 32).split(b"\0")[0].decode("ascii", "replace")
        with self._lock:
            camera = next(
                (each for each in self._ports.values() if each.device.busid == busid), None
            )
            if camera is None or camera in self._hosts:
                connection.sendall(
                    struct.pack(">HHI", protocol.VERSION, protocol.OP_REP_IMPORT, _BUSY)
                )
                return None
            self._hosts[camera] = connection
            camera.imported()
        shown: bytes = protocol.pack_usb_device(camera.device)
        connection.sendall(struct.pack(">HHI", protocol.VERSION, protocol.OP_REP_IMPORT, 0) + shown)
        return camera

    def _let_go(self, camera: UsbCamera, connection: socket.socket) -> None:
        with self._lock:
            if self._hosts.get(camera) is connection:
                del self._hosts[camera]
        camera.let_go()


class _Service:
    """One imported camera, for as long as its connection stands."""

    def __init__(self, hub: Hub, camera: UsbCamera, connection: socket.socket) -> None:
        self._hub = hub
        self._camera = camera
        self._connection = connection

    def run(self) -> None:
        """Raises OSError or _UnpluggedError at its end."""
        while True:
            urb = protocol.read_cmd(self._connection, self._camera.device)
            if urb is None:
                return
            if urb.command == protocol.CMD_UNLINK:
                status = _UNLINKED if self._camera.unlink(urb.flags) else 0
                self._return(protocol.RET_UNLINK, urb, status, 0, [])
                continue
            fault = self._camera.script.first(Kind.UNPLUG_AT_URB)
            if fault is not None and fault.at == self._camera.urbs:
                self._pull_out()
            self._camera.urbs += 1
            self._submit(urb)

    def _submit(self, urb: Urb) -> None:
        def answer(done: Urb) -> None:
            content: list[Piece] = [done.buffer[: done.actual]] if done.direction == core.IN else []
            self._return(protocol.RET_SUBMIT, done, done.status, done.actual, content)

        def answer_data(pieces: list[Piece], status: int, cut: bool) -> None:
            length = sum(map(_length, pieces))
            fault = self._camera.script.first(Kind.UNPLUG_AT_BYTE)
            if fault is not None and self._camera.bytes_in + length > fault.at:
                pieces, cut = _first(pieces, fault.at - self._camera.bytes_in), True
            # What the host is promised and does not get is what it had in mid-air when the cable
            # went.
            self._return(protocol.RET_SUBMIT, urb, status, urb.length if cut else length, pieces)
            self._camera.sent(length)
            if cut:
                self._pull_out()

        self._camera.submit(urb, answer, answer_data)

    def _pull_out(self) -> None:
        self._hub.unplug(self._camera)
        raise _UnpluggedError

    def _return(
        self, command: int, urb: Urb, status: int, actual: int, content: list[Piece]
    ) -> None:
        head = _RETURN.pack(
            command, urb.seqnum, urb.devid, urb.direction, urb.ep, status, actual, 0, 0, 0
        )
        more = socket.MSG_MORE if content else 0
        self._connection.sendall(head, more)
        for number, piece in enumerate(content, 1):
            if isinstance(piece, FilePiece):
                self._send_file(piece)
            else:
                self._connection.sendall(piece, socket.MSG_MORE if number < len(content) else 0)

    def _send_file(self, piece: FilePiece) -> None:
        """From the page cache to the socket, without passing through this process."""
        done = 0
        while done < piece.length:
            count = os.sendfile(
                self._connection.fileno(),
                piece.descriptor,
                piece.offset + done,
                piece.length - done,
            )
            if not count:
                # The file became shorter after it was looked at: a camera that breaks off in the
                # middle.
                self._pull_out()
            done += count


def _entry(camera: UsbCamera) -> bytes:
    """One device in the list: its facts, and class, subclass, protocol of each interface."""
    facts: bytes = protocol.pack_usb_device(camera.device)
    count = facts[-1]
    triples = [*camera.device.interface_triples(), *[(0, 0, 0)] * count][:count]
    return facts + b"".join(struct.pack(">BBBB", *triple, 0) for triple in triples)


def _received(connection: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        piece = connection.recv(count - len(content))
        if not piece:
            raise ConnectionResetError
        content += piece
    return content


def _length(piece: Piece) -> int:
    return piece.length if isinstance(piece, FilePiece) else len(piece)


def _first(pieces: list[Piece], count: int) -> list[Piece]:
    """The first so many bytes."""
    taken: list[Piece] = []
    for piece in pieces:
        size = min(count, _length(piece))
        taken.append(
            FilePiece(piece.descriptor, piece.offset, size)
            if isinstance(piece, FilePiece)
            else piece[:size]
        )
        count -= size
    return taken


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
