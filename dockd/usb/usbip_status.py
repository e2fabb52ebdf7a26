"""What a USB/IP server's statuses mean, in the errors that pyusb's libusb backend raises."""

import errno

import usb.core

NO_DEVICE, TIMED_OUT = -19, -110
CANCELLED = (-104, -2)
_TIMEOUT = (usb.core.USBTimeoutError, "Operation timed out", -7, errno.ETIMEDOUT)
_GONE = (usb.core.USBError, "No such device (it may have been disconnected)", -4, errno.ENODEV)
_ERRORS = {
    NO_DEVICE: _GONE,
    -108: _GONE,
    TIMED_OUT: _TIMEOUT,
    **dict.fromkeys(CANCELLED, _TIMEOUT),
    -32: (usb.core.USBError, "Pipe error", -9, errno.EPIPE),
    -75: (usb.core.USBError, "Overflow", -8, errno.EOVERFLOW),
}
"""A kernel's status of a request, and what pyusb's libusb backend raises for it: kind, text,
libusb's number, errno.
"""


def error_of(status: int) -> usb.core.USBError:
    """The error that libusb's backend raises for the same thing."""
    kind, text, code, number = _ERRORS.get(
        status, (usb.core.USBError, "Input/Output Error", -1, errno.EIO)
    )
    return kind(text, code, number)


class GarbledError(Exception):
    """What came fits nothing that was asked: the stream can't be followed any further."""
