"""The camera as a USB device: its descriptors, its pipes, and its card behind them.

Descriptors, control requests and the wire's form are those of the package `usbip`; what serves an
object's bytes is ours, as theirs keeps whole files in memory, has no object of 4 GiB, no clock, no
cancel and no honest unplugging.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from usbip import core
from usbip.core import Setup, Stall, Urb
from usbip.device import In, Out, USBDevice

from device_sim.camera.camera import Camera
from device_sim.camera.medium import Disk
from device_sim.clock import Clock
from device_sim.usb.bulk import Asked, BulkIn, Piece
from device_sim.usb.faults import Fault, Script
from device_sim.usb.ptp import HEADER_BYTES, OK
from device_sim.usb.responder import Body, Responder

VENDOR_ID, PRODUCT_ID = 0x1209, 0x0007
STILL_IMAGE = (6, 1, 1)
PACKET_BYTES = 512
CANCEL, RESET, STATUS = 0x64, 0x66, 0x67
INTERFACE_NAME = "MTP"
"""libmtp knows its devices by this word in the interface's string."""

Answer = Callable[[list[Piece], int, bool], None]


class CameraBody:
    """A camera of this package."""

    def __init__(self, camera: Camera) -> None:
        self.manufacturer = "Simulated"
        self.model = camera.profile.model
        self.firmware = camera.profile.firmware
        self.serial = camera.serial
        self.root = camera.card_folder
        self._camera = camera

    def utc_ms(self) -> int:
        return self._camera.utc_ms

    def set_utc_ms(self, utc_ms: int) -> None:
        self._camera.set_clock(utc_ms)

    def battery_percent(self) -> int:
        return self._camera.battery_percent

    def capacity_bytes(self) -> int:
        return self._camera.profile.storage_bytes

    def delete(self, path: Path) -> None:
        self._camera.delete(path)


class FolderBody:
    """Any folder as a card: DCIM cameras, and objects larger than a recording gets."""

    def __init__(self, root: Path, serial: str, clock: Clock) -> None:
        self.manufacturer = "Simulated"
        self.model = "Folder"
        self.firmware = "1"
        self.serial = serial
        self.root = root
        self._clock = clock
        self._ahead_ms = 0

    def utc_ms(self) -> int:
        return self._clock.utc_ms() + self._ahead_ms

    def set_utc_ms(self, utc_ms: int) -> None:
        self._ahead_ms = utc_ms - self._clock.utc_ms()

    def battery_percent(self) -> int:
        return 100

    def capacity_bytes(self) -> int:
        return 1 << 40

    def delete(self, path: Path) -> None:
        medium = Disk()
        if path.is_dir():
            medium.rmdir(path)
        else:
            medium.unlink(path)
        medium.sync(path.parent)


class UsbCamera:
    """One plug. A `Hub` plugs it in and out, and serves it from one thread at a time."""

    def __init__(
        self,
        camera: Camera,
        *,
        faults: Sequence[Fault] = (),
        without: frozenset[int] = frozenset(),
        usb_serial: str | None = None,
        beside: Sequence[tuple[int, int, int]] = (),
        config: bytes | None = None,
    ) -> None:
        """A docked camera.

        `without` are operations and properties that it lacks. `usb_serial` is what the wire says
        instead of its serial ("": nothing), `beside` what else it offers by class, subclass and
        protocol, and `config` the bytes it shows as its configuration descriptor instead of the
        true ones.
        """
        self._build(CameraBody(camera), faults, without, usb_serial, beside, config)

    @classmethod
    def of_folder(
        cls,
        root: Path,
        serial: str,
        clock: Clock,
        *,
        faults: Sequence[Fault] = (),
        without: frozenset[int] = frozenset(),
        usb_serial: str | None = None,
        beside: Sequence[tuple[int, int, int]] = (),
        config: bytes | None = None,
    ) -> UsbCamera:
        """Any folder as a camera's card."""
        device = cls.__new__(cls)
        device._build(FolderBody(root, serial, clock), faults, without, usb_serial, beside, config)
        return device

    def _build(
        self,
        body: Body,
        faults: Sequence[Fault],
        without: frozenset[int],
        usb_serial: str | None,
        beside: Sequence[tuple[int, int, int]],
        config: bytes | None,
    ) -> None:
        self._body = body
        self._faults = tuple(faults)
        self._without = without
        self.device = _Descriptors(body, body.serial if usb_serial is None else usb_serial, config)
        group = self.device.add_group()
        number = group.claim_interface()
        name = self.device.add_string(INTERFACE_NAME)
        group.add(core.InterfaceDescriptor(number, 0, 3, *STILL_IMAGE, name).pack())
        self._in = group.add_endpoint(In(1, "bulk", PACKET_BYTES))
        self._out = group.add_endpoint(Out(2, "bulk", PACKET_BYTES))
        group.add_endpoint(In(3, "interrupt", 28, 6))
        self.device.on_control(number, self._class_request)
        self.device.add_reset_hook(self._reset)
        for triple in beside:
            group = self.device.add_group()
            group.add(core.InterfaceDescriptor(group.claim_interface(), 0, 0, *triple).pack())
        self.plugged()

    def plugged(self) -> None:
        """Power comes: everything begins anew, the script of faults too."""
        self.urbs = 0
        """Transfers since plugging."""
        self.bytes_in = 0
        """Bulk-in bytes since plugging."""
        self.script = Script(self._faults)
        self._pipe = BulkIn()
        self._responder = Responder(self._body, self._pipe, self.script, self._without)
        self._received = bytearray()
        self._interrupts: dict[int, Urb] = {}

    @property
    def calls(self) -> list[int]:
        """The operations that were asked for since plugging, in order."""
        return self._responder.calls

    @property
    def serial(self) -> str:
        return self._body.serial

    def set_clock(self, utc_ms: int) -> None:
        """Set the camera's clock by hand."""
        self._body.set_utc_ms(utc_ms)

    def imported(self) -> None:
        """A host takes it over: a bus reset."""
        self._interrupts.clear()
        self.device.reset_io()

    def submit(self, urb: Urb, answer: Callable[[Urb], None], answer_data: Answer) -> None:
        """One transfer. `answer` is called once it is done, now or later, and `answer_data` instead
        where it brings bulk data.
        """
        if urb.ep == 0:
            answer(self.device.handle_urb(urb))
            self._see_halt_cleared(Setup.parse(urb.setup))
        elif urb.direction == core.OUT:
            self._take(urb, answer)
        elif urb.ep == self._in.number:
            self._pipe.ask(Asked(urb.seqnum, urb.length, answer_data))
        else:
            self._interrupts[urb.seqnum] = urb

    def unlink(self, sequence: int) -> bool:
        """The host takes a transfer back. False if it is done already."""
        return self._interrupts.pop(sequence, None) is not None or self._pipe.forget(sequence)

    def sent(self, count: int) -> None:
        """So many bulk-in bytes are with the host."""
        self.bytes_in += count
        self._pipe.release()

    def let_go(self) -> None:
        """The host is gone."""
        self._pipe.clear()
        self._interrupts.clear()

    def _take(self, urb: Urb, answer: Callable[[Urb], None]) -> None:
        """A command may come in more than one transfer; what it announces says when it is whole."""
        self._received += urb.buffer
        urb.actual, urb.status = len(urb.buffer), 0
        answer(urb)
        while len(self._received) >= HEADER_BYTES:
            length = max(HEADER_BYTES, int.from_bytes(self._received[:4], "little"))
            if len(self._received) < length:
                return
            content = bytes(self._received[:length])
            del self._received[:length]
            self._responder.receive(content)

    def _class_request(self, setup: Setup, _: bytes) -> bytes:
        if setup.bRequest == STATUS:
            return struct.pack("<HH", 4, OK)
        if setup.bRequest not in (CANCEL, RESET):
            raise Stall
        self._received.clear()
        if setup.bRequest == RESET:
            self._responder.reset()
        else:
            self._responder.cancel()
        return b""

    def _see_halt_cleared(self, setup: Setup) -> None:
        is_clear = (setup.bmRequestType, setup.bRequest, setup.wValue) == (
            0x02,
            1,
            core.FEATURE_ENDPOINT_HALT,
        )
        if is_clear and setup.wIndex == self._in.addr:
            self._pipe.halted = False
            self._pipe.serve()

    def _reset(self) -> None:
        self._received.clear()
        self._responder.reset()
        self._pipe.halted = False


class _Descriptors(USBDevice):  # type: ignore[misc]
    """What the device shows of itself; `config` in place of the true configuration where it is
    given.
    """

    def __init__(self, body: Body, serial: str, config: bytes | None) -> None:
        super().__init__(
            VENDOR_ID,
            PRODUCT_ID,
            manufacturer=body.manufacturer,
            product=body.model,
            serial=serial or None,
        )
        self.set_speed(core.SPEED_HIGH)
        self._shown = config

    def config_bytes(self) -> bytes:
        true: bytes = super().config_bytes()
        return true if self._shown is None else self._shown
