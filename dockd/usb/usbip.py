"""pyusb's backend over USB/IP, in user space: the same pyusb above it, a socket in place of a
kernel below.

A server shows its devices in a list; each is imported once, over a connection of its own, and is
there for as long as that connection stands: when it falls, the cable was pulled. What comes over it
is untrusted, and nothing is waited for without end but what the caller of a transfer wants to wait
for.

Sources: the kernel's Documentation/usb/usbip_protocol.rst; USB 2.0, chapter 9 for standard
requests.
"""

import array
import contextlib
import errno
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import usb.backend
import usb.core
import usb.util
from usbip import core
from usbip.core import IN, OUT, Setup

from dockd.usb.descriptors import Configuration, misframed, parse_configuration
from dockd.usb.usbip_link import Link
from dockd.usb.usbip_opening import UsbipOpening
from dockd.usb.usbip_status import NO_DEVICE, GarbledError, error_of
from vault.clock import Clock, SystemClock

PATIENCE_S = 5.0
KEEPALIVE_S, KEEPALIVE_PROBES = 5, 3
"""A server's machine that fell silent is noticed in 20 seconds, though nobody asks it anything."""

_SPEEDS = {
    1: usb.util.SPEED_LOW,
    2: usb.util.SPEED_FULL,
    3: usb.util.SPEED_HIGH,
    5: usb.util.SPEED_SUPER,
}
_BUSID = re.compile(r"([1-9][0-9]{0,2})-([1-9][0-9]{0,2}(?:\.[1-9][0-9]{0,2}){0,6})")

Connect = Callable[[], socket.socket]


@dataclass(eq=False, slots=True)
class _Handle:
    """A device that somebody opened."""

    link: Link


class UsbipBackend(usb.backend.IBackend):  # type: ignore[misc]
    """What the methods promise is pyusb's text (`usb.backend.IBackend`). Any thread."""

    def __init__(
        self, connect: Connect, *, clock: Clock | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        """`connect` gives a fresh connection to the server, or raises OSError.

        `patience_s` is how long the server may take for what it owes at once: its list, an import,
        a descriptor, to read what is sent, to give back a request.
        """
        self._connect = connect
        self._clock = clock or SystemClock()
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._claiming = threading.Lock()
        self._links: dict[str, Link] = {}
        self._closed = False

    @classmethod
    def over_tcp(cls, host: str, port: int) -> "UsbipBackend":
        return cls(lambda: _tcp(host, port))

    def close(self) -> None:
        """Let go of all devices. None is found from now on."""
        with self._lock:
            self._closed = True
            links, self._links = list(self._links.values()), {}
        for link in links:
            link.close()

    def _finalize_object(self) -> None:
        self.close()

    def enumerate_devices(self) -> Iterator[Link]:
        """Imports what has come, and lets go of what has left. Who is here already stays, whatever
        the server lists.
        """
        with self._lock:
            for busid in [busid for busid, link in self._links.items() if link.gone]:
                self._links.pop(busid).close()
            for busid in () if self._closed else sorted(self._listed() - set(self._links)):
                link = self._imported(busid)
                if link is not None:
                    self._links[busid] = link
            return iter(sorted(self._links.values(), key=lambda link: _place(link.busid)))

    def get_parent(self, dev: Link) -> None:
        return None

    def get_device_descriptor(self, dev: Link) -> SimpleNamespace:
        """What the server's list says stands in for a device that does not answer: it must not hide
        the others.
        """
        if dev.descriptor is None:
            bus, *ports = _place(dev.busid)
            fields = vars(self._device_descriptor(dev))
            dev.descriptor = SimpleNamespace(
                bLength=18,
                bDescriptorType=core.DT_DEVICE,
                bus=bus,
                address=dev.address,
                speed=_SPEEDS.get(dev.speed, usb.util.SPEED_UNKNOWN),
                port_numbers=tuple(ports),
                port_number=ports[-1],
                **fields,
            )
        return dev.descriptor

    def get_configuration_descriptor(self, dev: Link, config: int) -> SimpleNamespace:
        return self._configuration(dev, config).fields

    def get_interface_descriptor(
        self, dev: Link, intf: int, alt: int, config: int
    ) -> SimpleNamespace:
        return self._configuration(dev, config).interfaces[intf][alt]

    def get_endpoint_descriptor(self, dev: Link, ep: int, intf: int, alt: int, config: int) -> Any:
        return self.get_interface_descriptor(dev, intf, alt, config).endpoints[ep]

    def open_device(self, dev: Link) -> _Handle:
        if dev.gone:
            raise error_of(NO_DEVICE)
        return _Handle(dev)

    def close_device(self, dev_handle: _Handle) -> None:
        claimed = dev_handle.link.claimed
        with self._claiming:
            for interface in [number for number, holder in claimed.items() if holder is dev_handle]:
                del claimed[interface]

    def set_configuration(self, dev_handle: _Handle, config_value: int) -> None:
        self._order(dev_handle, Setup(0, 9, config_value, 0, 0))

    def get_configuration(self, dev_handle: _Handle) -> int:
        answer = bytearray(1)
        dev_handle.link.control(Setup(0x80, 8, 0, 0, 1), memoryview(answer), self._patience_ms)
        return answer[0]

    def set_interface_altsetting(self, dev_handle: _Handle, intf: int, altsetting: int) -> None:
        self._order(dev_handle, Setup(1, 11, altsetting, intf, 0))

    def claim_interface(self, dev_handle: _Handle, intf: int) -> None:
        if dev_handle.link.gone:
            raise error_of(NO_DEVICE)
        with self._claiming:
            if dev_handle.link.claimed.setdefault(intf, dev_handle) is not dev_handle:
                raise usb.core.USBError("Resource busy", -6, errno.EBUSY)

    def release_interface(self, dev_handle: _Handle, intf: int) -> None:
        with self._claiming:
            if dev_handle.link.claimed.get(intf) is dev_handle:
                del dev_handle.link.claimed[intf]

    def bulk_write(
        self, dev_handle: _Handle, ep: int, intf: int, data: "array.array[int]", timeout: int
    ) -> int:
        return dev_handle.link.transfer(OUT, ep, memoryview(data).cast("B"), timeout)

    def bulk_read(
        self, dev_handle: _Handle, ep: int, intf: int, buff: "array.array[int]", timeout: int
    ) -> int:
        return dev_handle.link.transfer(IN, ep, memoryview(buff).cast("B"), timeout)

    def intr_write(
        self, dev_handle: _Handle, ep: int, intf: int, data: "array.array[int]", timeout: int
    ) -> int:
        return dev_handle.link.transfer(OUT, ep, memoryview(data).cast("B"), timeout, interval=1)

    def intr_read(
        self, dev_handle: _Handle, ep: int, intf: int, size: "array.array[int]", timeout: int
    ) -> int:
        """A kernel that serves the device refuses an interrupt request without an interval."""
        return dev_handle.link.transfer(IN, ep, memoryview(size).cast("B"), timeout, interval=1)

    def ctrl_transfer(
        self,
        dev_handle: _Handle,
        bmRequestType: int,
        bRequest: int,
        wValue: int,
        wIndex: int,
        data: "array.array[int]",
        timeout: int,
    ) -> int:
        view = memoryview(data).cast("B")
        return dev_handle.link.control(
            Setup(bmRequestType, bRequest, wValue, wIndex, len(view)), view, timeout
        )

    def clear_halt(self, dev_handle: _Handle, ep: int) -> None:
        self._order(dev_handle, Setup(2, 1, 0, ep, 0))

    def reset_device(self, dev_handle: _Handle) -> None:
        """Servers in user space know no reset of a port, and a kernel does it at each import."""

    def is_kernel_driver_active(self, dev_handle: _Handle, intf: int) -> bool:
        return False

    def detach_kernel_driver(self, dev_handle: _Handle, intf: int) -> None:
        """No kernel driver is ever bound here."""

    @property
    def _patience_ms(self) -> int:
        return int(self._patience_s * 1000)

    def _order(self, handle: _Handle, setup: Setup) -> None:
        handle.link.control(setup, memoryview(b""), self._patience_ms)

    def _listed(self) -> set[str]:
        """Names of ports that the server offers; nothing where it can't be reached, or does not
        speak USB/IP.
        """
        try:
            with self._connect() as connection:
                return {
                    busid
                    for busid in UsbipOpening(connection, self._clock, self._patience_s).offered()
                    if _BUSID.fullmatch(busid)
                }
        except (OSError, GarbledError):
            return set()

    def _imported(self, busid: str) -> Link | None:
        """None where somebody else was faster, or the device left meanwhile."""
        with contextlib.ExitStack() as undo:
            try:
                connection = undo.enter_context(self._connect())
                facts = UsbipOpening(connection, self._clock, self._patience_s).take_over(busid)
            except (OSError, GarbledError):
                return None
            link = Link(connection, busid, facts, self._patience_s)
            undo.pop_all()
            return link

    def _device_descriptor(self, dev: Link) -> core.DeviceDescriptor:
        buffer = bytearray(18)
        with contextlib.suppress(usb.core.USBError):
            if self._descriptor(dev, core.DT_DEVICE, 0, buffer) == 18 and buffer[:2] == bytes(
                [18, core.DT_DEVICE]
            ):
                return core.DeviceDescriptor.parse(bytes(buffer))
        return core.DeviceDescriptor(
            idVendor=dev.vendor, idProduct=dev.product, bcdDevice=dev.version
        )

    def _descriptor(self, dev: Link, kind: int, index: int, buffer: bytearray) -> int:
        return dev.control(
            Setup(0x80, 6, kind << 8 | index, 0, len(buffer)), memoryview(buffer), self._patience_ms
        )

    def _configuration(self, dev: Link, index: int) -> Configuration:
        """Read once. A lie is as lasting as the truth: the device is the same until it is plugged
        anew.
        """
        found = dev.configurations.get(index)
        if found is None:
            try:
                found = self._read_configuration(dev, index)
            except usb.core.USBError as error:
                if error.errno != errno.EPROTO:
                    raise
                found = str(error.strerror)
            dev.configurations[index] = found
        if isinstance(found, str):
            raise usb.core.USBError(found, -1, errno.EPROTO)
        return found

    def _read_configuration(self, dev: Link, index: int) -> Configuration:
        head = bytearray(9)
        if self._descriptor(dev, core.DT_CONFIG, index, head) < len(head):
            raise misframed("is shorter than its own head")
        whole = bytearray(max(len(head), int.from_bytes(head[2:4], "little")))
        count = self._descriptor(dev, core.DT_CONFIG, index, whole)
        return parse_configuration(bytes(whole[:count]))


def _tcp(host: str, port: int) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=PATIENCE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    return connection


def _place(busid: str) -> tuple[int, ...]:
    """Bus and ports: `1-2.4` stands on bus 1, at port 4 of a hub at port 2."""
    return tuple(int(number) for number in re.split(r"[-.]", busid))
