"""Cameras on the USB: which stand there now, in which bay, and how each is opened. The one place
that chooses the backend.

A bay is a bus and a path of ports: the third socket of a dock is the third bay, whichever camera
stands in it. Arrival and leaving are seen by looking at the bus once a second, and at once where
udev says that something happened.
"""

import contextlib
import ctypes
import ctypes.util
import os
import re
import select
import threading
from collections.abc import Callable, Hashable, Iterable
from ctypes.util import find_library
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import pyudev
import structlog
import usb.backend.libusb1
import usb.core
import usb.util

from dockd.card.contract import NO_LEASE, Card, Lease, shown
from dockd.usb.mtp_card import MtpCard
from dockd.usb.pipes import STILL_IMAGE, DeviceRefusedError, Patience, Pipes
from dockd.usb.session import PtpSession
from dockd.usb.usbip import UsbipBackend
from vault.clock import Clock

log = structlog.get_logger()

LOOK_S = 1.0
SERIAL_MAX = 64
HUB_CLASS = 9
KERNEL_DEVICES = Path("/sys/bus/usb/devices")

_BESIDE = frozenset({1, 6, 8, 14, 255})
"""Interface classes that a camera may have beside its camera interface: sound, still image,
storage, video, the maker's own.
"""
_WORDS = {
    2: "a serial or network interface",
    3: "a keyboard or another input device",
    10: "a serial or network interface",
    224: "a network or radio interface",
    239: "a network interface",
}

USBIP = re.compile(r"usbip:(?P<host>[^:]+|\[[^\]]+\]):(?P<port>[0-9]{1,5})")


class UsbAbsentError(Exception):
    """This machine has no USB that can be asked: no bus, or no libusb."""


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """A camera, or something that is refused, at one port now.

    `bay` is "usb" with bus and ports, as in "usb 1-2.4". `key` is another one after each plugging.
    `volume_id` names a camera whose card names none; the serial in it is what the wire says, and
    proves nothing (fault A11). `refusal` says why it is not opened, where it is not.
    """

    key: Hashable
    bay: str
    volume_id: str
    refusal: str | None
    open: Callable[[], Card]
    lease: Lease = NO_LEASE


class Bus(Protocol):
    """All devices there are now, as pyusb shows them."""

    def __call__(self) -> Iterable[usb.core.Device]: ...


def bus_of(setting: str) -> Bus | None:
    """The bus that a setting `usb_backend` names: `libusb`, `usbip:HOST:PORT`, or
    none for `off`.
    """
    if setting == "off":
        return None
    match = USBIP.fullmatch(setting)
    if match is None:
        return _libusb
    backend = UsbipBackend.over_tcp(match["host"].strip("[]"), int(match["port"]))
    return lambda: usb.core.find(find_all=True, backend=backend)


def _libusb() -> Iterable[usb.core.Device]:
    """A fresh list each time. pyusb keeps one libusb context for the process; libusb itself follows
    the kernel's list.
    """
    backend = usb.backend.libusb1.get_backend(find_library=_found)
    if backend is None:
        raise UsbAbsentError(
            "libusb finds no USB on this machine, or is not installed (Debian: libusb-1.0-0)"
        )
    devices: Iterable[usb.core.Device] = usb.core.find(find_all=True, backend=backend)
    return devices


class _Version(ctypes.Structure):
    """libusb.h, `struct libusb_version`."""

    _fields_ = (
        ("major", ctypes.c_uint16),
        ("minor", ctypes.c_uint16),
        ("micro", ctypes.c_uint16),
        ("nano", ctypes.c_uint16),
        ("rc", ctypes.c_char_p),
        ("describe", ctypes.c_char_p),
    )


def libusb_version() -> str | None:
    """Of the libusb that is found, without asking it for a bus; None where none is found."""
    name = ctypes.util.find_library("usb-1.0")
    if name is None:
        return None
    ask = ctypes.CDLL(name).libusb_get_version
    ask.restype = ctypes.POINTER(_Version)
    found = ask().contents
    return f"{found.major}.{found.minor}.{found.micro}"


@cache
def _found(name: str) -> str | None:
    return find_library(name)


@cache
def _udev() -> pyudev.Context:
    return pyudev.Context()


def find_libraries() -> None:
    """Look where libusb and libudev are. It is done by running the linker's tools, which a confined
    process may not.

    libusb itself must begin later: it starts a thread, and a thread from before the wall stands
    outside of it (landlock(7)).
    """
    _found("usb-1.0")
    with contextlib.suppress(ImportError):
        _udev()


def watcher_of(setting: str, clock: Clock) -> "UsbWatcher":
    """Who looks at the bus that a setting names. On the kernel's own it opens no device: what the
    kernel has read is enough.
    """
    bus = bus_of(setting)
    assert bus is not None, setting
    return UsbWatcher(bus, clock, serial_of=_serial_told if bus is _libusb else _serial_asked)


class UsbWatcher:
    """Looks at a bus. `devices` may be called by any thread, and shows what the last look saw."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        *,
        patience: Patience | None = None,
        look_s: float = LOOK_S,
        serial_of: Callable[[usb.core.Device], str | None] | None = None,
    ) -> None:
        self._bus = bus
        self._serial_of = serial_of or _serial_asked
        self._clock = clock
        self._patience = patience or Patience()
        self._look_s = look_s
        self._lock = threading.Lock()
        self._known: dict[Hashable, UsbDevice | None] = {}
        self._absent = ""
        self.looks = 0
        """So many looks have come to their end."""
        self._stopping = False
        self._wake = -1
        self._thread: threading.Thread | None = None

    def start(self, on_change: Callable[[], None]) -> None:
        """Look at once and from then on; call `on_change` from a thread of its own whenever devices
        came or left.
        """
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(
            target=self._watch, args=(on_change,), name="usb", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the watching. `on_change` is not called after this returns."""
        self._stopping = True
        if self._thread is not None:
            os.eventfd_write(self._wake, 1)
            self._thread.join()
            os.close(self._wake)
            self._thread = None

    def devices(self) -> tuple[UsbDevice, ...]:
        """Cameras, and what is refused, sorted by bay."""
        with self._lock:
            return tuple(
                sorted(
                    (device for device in self._known.values() if device is not None),
                    key=lambda device: device.bay,
                )
            )

    @property
    def absent(self) -> str:
        """Why there is no USB to be asked, at the last look; empty where there is one."""
        return self._absent

    def find(self, key: Hashable) -> UsbDevice | None:
        """The one device with this key, if it stands there now. No other one is asked anything."""
        device = next((device for device in self._bus() if _key(device) == key), None)
        return None if device is None else self._recognised(key, device)

    def look(self) -> bool:
        """Look at the bus now. True if something came or left."""
        try:
            present = {
                _key(device): device for device in self._bus() if device.bDeviceClass != HUB_CLASS
            }
        except (UsbAbsentError, usb.core.USBError, usb.core.NoBackendError) as error:
            self._say_absent(str(error))
            present = {}
        else:
            self._absent = ""
        with self._lock:
            before = set(self._known)
            for key in before - set(present):
                del self._known[key]
        # A device is asked who it is once, when it comes; another thread's reading is not disturbed
        # by it.
        found = {
            key: self._recognised(key, device)
            for key, device in present.items()
            if key not in before
        }
        self.looks += 1
        with self._lock:
            self._known.update(found)
            return before != set(self._known)

    def _say_absent(self, sentence: str) -> None:
        if sentence != self._absent:
            self._absent = sentence
            log.warning("no USB", sentence=sentence)

    def _recognised(self, key: Hashable, device: usb.core.Device) -> UsbDevice | None:
        """What dockd makes of a device; None: nothing of ours, and it is left alone."""
        bay = _bay(device)
        try:
            triples = [
                (
                    interface.bInterfaceClass,
                    interface.bInterfaceSubClass,
                    interface.bInterfaceProtocol,
                )
                for configuration in device
                for interface in configuration
            ]
        except usb.core.USBError as error:
            refusal = (
                f"The device at {bay} describes itself in a way that can't be read: "
                f"{error.strerror}."
            )
            return self._refused(key, bay, refusal)
        if STILL_IMAGE not in triples:
            return None
        strange = sorted({triple[0] for triple in triples} - _BESIDE)
        if strange:
            what = _WORDS.get(strange[0], f"an interface of class {strange[0]}")
            return self._refused(
                key, bay, f"The device at {bay} offers {what} beside its camera interface."
            )
        session = PtpSession(lambda: Pipes(device, bay, self._patience), self._clock, bay)
        return UsbDevice(
            key,
            bay,
            _volume_id(device, self._serial_of(device)),
            None,
            lambda: MtpCard(session, self._clock),
        )

    def _refused(self, key: Hashable, bay: str, refusal: str) -> UsbDevice:
        log.warning("device refused", bay=bay, sentence=refusal)

        def refuse() -> Card:
            raise DeviceRefusedError(refusal)

        return UsbDevice(key, bay, bay, refusal, refuse)

    def _watch(self, on_change: Callable[[], None]) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        monitor = _monitor()
        if monitor is not None:
            poll.register(monitor, select.POLLIN)
        while not self._stopping:
            if self.look() and not self._stopping:
                on_change()
            poll.poll(self._look_s * 1000)
            while monitor is not None and monitor.poll(timeout=0) is not None:
                pass


def _monitor() -> pyudev.Monitor | None:
    """What udev has to say of USB devices, once its rules were applied. None where there is no
    udev: looking has to do.
    """
    try:
        monitor = pyudev.Monitor.from_netlink(_udev())
        monitor.filter_by("usb", "usb_device")
        monitor.start()
    except (OSError, ImportError):
        return None
    return monitor


def _key(device: usb.core.Device) -> Hashable:
    return (device.bus, device.port_numbers, device.address)


def _place(device: usb.core.Device) -> str:
    """Bus and ports, as the kernel writes them too."""
    return f"{device.bus}-" + ".".join(
        str(port) for port in device.port_numbers or (device.address,)
    )


def _bay(device: usb.core.Device) -> str:
    return f"usb {_place(device)}"


def _serial_told(device: usb.core.Device) -> str | None:
    """As the kernel read it when the device came. Nothing is opened for it."""
    try:
        return (
            (KERNEL_DEVICES / _place(device) / "serial")
            .read_text("utf-8", "surrogateescape")
            .removesuffix("\n")
        )
    except OSError:
        return None


def _serial_asked(device: usb.core.Device) -> str | None:
    """Of a device that the kernel does not know."""
    try:
        return usb.util.get_string(device, device.iSerialNumber) if device.iSerialNumber else None
    except (usb.core.USBError, ValueError, NotImplementedError):
        return None
    finally:
        usb.util.dispose_resources(device)


def _volume_id(device: usb.core.Device, serial: str | None) -> str:
    """`USB-`, vendor, product, and the serial where the device tells one."""
    name = f"USB-{device.idVendor:04x}-{device.idProduct:04x}"
    return f"{name}-{shown((serial[:SERIAL_MAX],))}" if serial else name
