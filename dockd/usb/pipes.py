"""The pipes of a camera's still image interface, on a pyusb device: bulk in, bulk out, and the
class requests.

Only what pyusb promises is relied on. **A bulk read that timed out half-way is given as a success
by pyusb**, so the length of a read says nothing here: it is what came so far. Whether it is all is
decided by who knows what was announced (fault A2).

Source: USB Still Image Capture Device class 1.0, 5.2 (class requests) and 6 (interface).
"""

import array
import errno
import struct
from dataclasses import dataclass

import usb.core
import usb.util

from dockd.card.contract import CardError, CardGoneError
from vault.errors import Reaction

STILL_IMAGE = (6, 1, 1)
"""Class, subclass and protocol of an interface that speaks PTP."""

DRAIN_READS_MAX = 1024
"""Of 64 packets each: more than any camera has under way, and less than its card holds."""

_CANCEL, _RESET, _STATUS = 0x64, 0x66, 0x67
_CANCEL_CODE = 0x4001
_TO_INTERFACE, _FROM_INTERFACE = 0x21, 0xA1
_GONE = frozenset({errno.ENODEV, errno.ESHUTDOWN, errno.ENOENT, errno.ENXIO})


class CardBusyError(CardError):
    """Another program holds the camera's interface (fault A9)."""

    code = "usb.busy"
    reaction = Reaction.TRY_AGAIN
    hint = (
        "Stop what else looks for cameras on this machine (often gvfs-gphoto2-volume-monitor). "
        "The dock tries again by itself."
    )


class CardForbiddenError(CardError):
    """dockd may not open the device."""

    code = "usb.forbidden"
    hint = (
        "Install the udev rule of the project's systemd folder, so that the user dockd may open "
        "cameras, and dock again."
    )


class DeviceRefusedError(CardError):
    """What stands at the port is not opened: no camera, or more than a camera."""

    code = "usb.refused"
    reaction = Reaction.REFUSE
    hint = "Take it out. If it is a camera, keep it apart: its recordings were not touched."


class PipeBrokenError(Exception):
    """A transfer failed; what it belonged to is lost, and the device is still there as far as
    anybody knows.
    """


class PipeStalledError(PipeBrokenError):
    """The device refused the transfer."""


class PipeTimedOutError(PipeBrokenError):
    """Nothing came, or nothing was taken, for as long as patience lasts."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the wire is waited for.

    `transfer_ms` is for one transfer in which not a byte moves; a camera that wakes its card needs
    a second or two. `drain_ms` is how long the pipe must be silent to be called empty.
    """

    transfer_ms: int = 5000
    drain_ms: int = 100


class Pipes:
    """Claims the interface on construction; `close` gives it back. One thread at a time."""

    def __init__(self, device: usb.core.Device, where: str, patience: Patience) -> None:
        """Raises CardGoneError, CardBusyError, CardForbiddenError, DeviceRefusedError."""
        self.where = where
        self._device = device
        self._patience = patience
        try:
            self._interface = self._configured()
            self._in = self._endpoint(usb.util.ENDPOINT_IN)
            self._out = self._endpoint(usb.util.ENDPOINT_OUT)
            self._free_from_kernel()
            usb.util.claim_interface(device, self._interface.bInterfaceNumber)
        except usb.core.USBError as error:
            usb.util.dispose_resources(device)
            raise self._opening_failed(error) from error
        except DeviceRefusedError:
            usb.util.dispose_resources(device)
            raise

    @property
    def packet_bytes(self) -> int:
        """The largest packet of bulk in: what every read must ask a multiple of, or lose bytes to
        an overflow.
        """
        return int(self._in.wMaxPacketSize)

    def send(self, content: bytes) -> None:
        """One transfer to the device, with the empty packet behind it that a full last packet asks
        for.
        """
        try:
            written = self._out.write(content, self._patience.transfer_ms)
            if written != len(content):
                raise PipeTimedOutError(f"{self.where} took {written} of {len(content)} bytes")
            if len(content) % int(self._out.wMaxPacketSize) == 0:
                self._out.write(b"", self._patience.transfer_ms)
        except usb.core.USBError as error:
            raise self._broken(error, "taking a command") from error

    def receive_packets(self, buffer: "array.array[int]") -> int:
        """What comes next from the device, at most the buffer, which is a multiple of the packet
        size; 0 is an empty packet.
        """
        try:
            return int(self._in.read(buffer, self._patience.transfer_ms))
        except usb.core.USBError as error:
            raise self._broken(error, "answering") from error

    def drain(self) -> bool:
        """Throw away what the device still has to say. False if it does not stop, be it with empty
        packets or with stalls.
        """
        buffer = array.array("B", bytes(64 * self.packet_bytes))
        for _ in range(DRAIN_READS_MAX):
            try:
                self._in.read(buffer, self._patience.drain_ms)
            except usb.core.USBError as error:
                broken = self._broken(error, "draining")
                if isinstance(broken, PipeTimedOutError):
                    return True
                if isinstance(broken, CardGoneError):
                    raise broken from error
                if isinstance(broken, PipeStalledError):
                    self.clear_halts()
        return False

    def cancel(self, transaction: int) -> None:
        """Ask the device to give up a transaction (class request 0x64)."""
        self._control(_TO_INTERFACE, _CANCEL, struct.pack("<HI", _CANCEL_CODE, transaction))

    def reset(self) -> None:
        """Bring the device back to where no session is open (class request 0x66)."""
        self._control(_TO_INTERFACE, _RESET, b"")

    def status(self) -> int:
        """The device's own word on how it is: a response code (class request 0x67)."""
        answer = self._control(_FROM_INTERFACE, _STATUS, 32)
        if len(answer) < 4:
            raise PipeBrokenError(f"{self.where} gives a status of {len(answer)} bytes")
        return int.from_bytes(answer[2:4], "little")

    def clear_halts(self) -> None:
        """Let stalled pipes flow again."""
        for endpoint in (self._in, self._out):
            try:
                self._device.clear_halt(endpoint.bEndpointAddress)
            except usb.core.USBError as error:
                raise self._broken(error, "clearing a stall") from error

    def close(self) -> None:
        """Give the interface back. Nothing is raised: the device may be long gone. A second call
        does nothing.
        """
        usb.util.dispose_resources(self._device)

    def _configured(self) -> usb.core.Interface:
        try:
            configuration = self._device.get_active_configuration()
        except usb.core.USBError as error:
            if error.errno is not None:
                raise
            self._device.set_configuration()
            configuration = self._device.get_active_configuration()
        for interface in configuration:
            triple = (
                interface.bInterfaceClass,
                interface.bInterfaceSubClass,
                interface.bInterfaceProtocol,
            )
            if triple == STILL_IMAGE and interface.bAlternateSetting == 0:
                return interface
        raise DeviceRefusedError(f"The device at {self.where} has no interface of a camera.")

    def _endpoint(self, direction: int) -> usb.core.Endpoint:
        for endpoint in self._interface:
            is_bulk = usb.util.endpoint_type(endpoint.bmAttributes) == usb.util.ENDPOINT_TYPE_BULK
            if is_bulk and usb.util.endpoint_direction(endpoint.bEndpointAddress) == direction:
                if endpoint.wMaxPacketSize not in (8, 16, 32, 64, 512, 1024):
                    raise DeviceRefusedError(
                        f"The camera at {self.where} has packets of {endpoint.wMaxPacketSize} "
                        f"bytes."
                    )
                return endpoint
        raise DeviceRefusedError(
            f"The camera at {self.where} lacks one of the two pipes that PTP needs."
        )

    def _free_from_kernel(self) -> None:
        number = self._interface.bInterfaceNumber
        try:
            if self._device.is_kernel_driver_active(number):
                self._device.detach_kernel_driver(number)
        except NotImplementedError:
            return

    def _control(self, request_type: int, request: int, content: bytes | int) -> bytes:
        number = self._interface.bInterfaceNumber
        try:
            answer = self._device.ctrl_transfer(
                request_type, request, 0, number, content, self._patience.transfer_ms
            )
        except usb.core.USBError as error:
            raise self._broken(error, "answering a class request") from error
        return b"" if isinstance(answer, int) else bytes(answer)

    def _broken(self, error: usb.core.USBError, doing: str) -> PipeBrokenError | CardGoneError:
        if error.errno in _GONE:
            return CardGoneError(f"The camera at {self.where} was taken out.")
        if error.errno == errno.EPIPE:
            return PipeStalledError(f"the camera at {self.where} stalled while {doing}")
        if error.errno == errno.ETIMEDOUT or isinstance(error, usb.core.USBTimeoutError):
            return PipeTimedOutError(f"the camera at {self.where} fell silent while {doing}")
        return PipeBrokenError(f"the camera at {self.where} failed while {doing}: {error.strerror}")

    def _opening_failed(self, error: usb.core.USBError) -> CardError:
        if error.errno == errno.EBUSY:
            return CardBusyError(f"Another program holds the camera at {self.where}.")
        if error.errno in (errno.EACCES, errno.EPERM):
            return CardForbiddenError(f"dockd may not open the camera at {self.where}.")
        if error.errno in _GONE:
            return CardGoneError(f"The camera at {self.where} was taken out.")
        return DeviceRefusedError(f"The device at {self.where} can't be opened: {error.strerror}.")
