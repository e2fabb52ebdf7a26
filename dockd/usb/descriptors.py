"""A device's configuration descriptor, as bytes that nobody vouches for, into what pyusb asks a
backend for.

The device lays down every length in it, and every count; none is believed. What does not add up is
refused whole, so that no interface can hide behind a length that readers take differently (fault
A12).

Source: USB 2.0, 9.5 and 9.6.3 to 9.6.6.
"""

import errno
from dataclasses import dataclass
from types import SimpleNamespace

import usb.core
from usbip import core

_HEAD_BYTES = 9
_INTERFACE_BYTES = 9
_ENDPOINT_BYTES = 7
_AUDIO_ENDPOINT_BYTES = 9
"""Two more bytes, of a class that came before the others (USB Audio 1.0, 4.6.1.1)."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Interfaces in the order of their numbers, each with its alternate settings in order. Fields
    bear the names of USB.
    """

    fields: SimpleNamespace
    interfaces: tuple[tuple[SimpleNamespace, ...], ...]


def misframed(what: str) -> usb.core.USBError:
    """Return the error for whatever a device says of itself that does not add up."""
    return usb.core.USBError(f"its configuration {what}", -1, errno.EPROTO)


def parse_configuration(blob: bytes) -> Configuration:
    """Descriptors of a configuration and all below it. Raises USBError for whatever does not add
    up.
    """
    if len(blob) < _HEAD_BYTES or blob[0] != _HEAD_BYTES or blob[1] != core.DT_CONFIG:
        raise misframed("has no configuration descriptor at its start")
    fields = _described(blob[:_HEAD_BYTES], core.ConfigurationDescriptor)
    if fields.wTotalLength != len(blob):
        raise misframed(f"says that it has {fields.wTotalLength} bytes, and has {len(blob)}")
    interfaces = _interfaces(blob, fields)
    if len(interfaces) != fields.bNumInterfaces:
        raise misframed(
            f"says that it has {fields.bNumInterfaces} interfaces, and describes {len(interfaces)}"
        )
    for setting in (setting for settings in interfaces for setting in settings):
        if setting.bNumEndpoints != len(setting.endpoints):
            raise misframed(
                f"says that interface {setting.bInterfaceNumber} has {setting.bNumEndpoints} "
                f"endpoints,"
                f" and describes {len(setting.endpoints)}"
            )
    return Configuration(fields, interfaces)


def _interfaces(blob: bytes, fields: SimpleNamespace) -> tuple[tuple[SimpleNamespace, ...], ...]:
    """Return what stands below the head. A descriptor of a kind unknown here belongs to the one
    before it.
    """
    found: dict[int, list[SimpleNamespace]] = {}
    last, current = fields, None
    at = _HEAD_BYTES
    while at < len(blob):
        piece = _piece(blob, at)
        if piece[1] == core.DT_INTERFACE:
            last = current = _interface(piece)
            settings = found.setdefault(current.bInterfaceNumber, [])
            if current.bAlternateSetting != len(settings):
                raise misframed(f"describes interface {current.bInterfaceNumber} in no order")
            settings.append(current)
        elif piece[1] == core.DT_ENDPOINT:
            if current is None:
                raise misframed("has an endpoint before any interface")
            last = _endpoint(piece)
            current.endpoints.append(last)
        else:
            last.extra_descriptors.extend(piece)
        at += len(piece)
    return tuple(tuple(found[number]) for number in sorted(found))


def _piece(blob: bytes, at: int) -> bytes:
    """Return the descriptor there, at least its length and its type."""
    length = blob[at]
    if length < 2 or at + length > len(blob):
        raise misframed(f"has a descriptor of {length} bytes at byte {at} of {len(blob)}")
    return blob[at : at + length]


def _interface(piece: bytes) -> SimpleNamespace:
    if len(piece) < _INTERFACE_BYTES:
        raise misframed(f"has an interface descriptor of {len(piece)} bytes")
    interface = _described(piece, core.InterfaceDescriptor)
    interface.endpoints = []
    return interface


def _endpoint(piece: bytes) -> SimpleNamespace:
    if len(piece) < _ENDPOINT_BYTES:
        raise misframed(f"has an endpoint descriptor of {len(piece)} bytes")
    endpoint = _described(piece, core.EndpointDescriptor)
    endpoint.bRefresh, endpoint.bSynchAddress = (
        piece[7:9] if len(piece) >= _AUDIO_ENDPOINT_BYTES else (0, 0)
    )
    return endpoint


def _described(
    piece: bytes,
    form: type[core.ConfigurationDescriptor | core.InterfaceDescriptor | core.EndpointDescriptor],
) -> SimpleNamespace:
    fields = vars(form.parse(piece))
    return SimpleNamespace(
        bLength=len(piece), bDescriptorType=piece[1], extra_descriptors=[], **fields
    )
