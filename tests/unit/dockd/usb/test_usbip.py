"""USB/IP in user space, against servers that keep to the protocol and servers that don't."""

import array
import contextlib
import errno
import gc
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import usb.core
import usb.util
from usbip.core import SPEED_HIGH, Setup, Stall
from usbip.device import In, Out, USBDevice
from usbip.function import Interface
from usbip.transport import USBIP, Loopback, Transport

from device_sim.clock import ManualClock
from device_sim.usb.hub import Hub
from device_sim.usb.usb import UsbCamera
from dockd.usb.usbip import UsbipBackend
from tests.support.hand_clock import HandClock
from tests.support.scripted_usbip import (
    CONFIGURATION,
    DEVICE,
    PIPES,
    RET_SUBMIT,
    RET_UNLINK,
    SUBMIT,
    UNLINK,
    VERSION,
    GoneError,
    Handler,
    Request,
    Scripted,
    Server,
    Wire,
    configuration,
    endpoint,
    interface,
    ret,
    silence,
)

SHORT_MS = 30
"""For what never comes."""
ENOUGH_S = 30.0


def open_descriptors() -> set[str]:
    """Those that stand; the one that looks is gone by the time it is asked of."""
    return {path.name for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No descriptor and no thread more than before."""
    descriptors, threads = open_descriptors(), set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - threads:
        thread.join(ENOUGH_S)
    assert set(threading.enumerate()) <= threads
    assert open_descriptors() <= descriptors


class Bench:
    """Scripted devices, and the backend that reaches them."""

    def __init__(self, *devices: Scripted, patience_s: float = 5.0) -> None:
        self.server = Server(*devices)
        self.clock = HandClock()
        self.backend = UsbipBackend(self.server.connect, clock=self.clock, patience_s=patience_s)

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self.backend.close()
        self.server.close()

    def devices(self) -> list[Any]:
        return list(usb.core.find(find_all=True, backend=self.backend))

    def device(self) -> Any:
        (device,) = self.devices()
        return device


@contextlib.contextmanager
def failing(number: int) -> Iterator[pytest.ExceptionInfo[usb.core.USBError]]:
    with pytest.raises(usb.core.USBError) as caught:
        yield caught
    assert caught.value.errno == number, caught.value


def echo(wire: Wire, request: Request) -> None:
    """As many bytes as are asked for, each the low byte of the request's length; and thanks for
    what is sent.
    """
    if request.command == UNLINK:
        wire.unlinked(request, 0)
    else:
        wire.answer(
            request, bytes([request.length & 255]) * request.length if request.direction else b""
        )


# Which devices there are


def test_a_device_is_found_where_its_busid_says() -> None:
    devices = Scripted("1-3", address=7), Scripted("3-2.4", address=9, speed=5)
    with Bench(*devices) as bench:
        found = {device.port_numbers: device for device in bench.devices()}
        assert set(found) == {(3,), (2, 4)}
        assert [
            (each.bus, each.address, each.port_number, each.speed) for each in found.values()
        ] == [
            (1, 7, 3, usb.util.SPEED_HIGH),
            (3, 9, 4, usb.util.SPEED_SUPER),
        ]
        assert {
            (each.idVendor, each.idProduct, each.bcdDevice, each.bNumConfigurations)
            for each in found.values()
        } == {(0x1209, 7, 0x100, 1)}
        # The same devices the next time, over the same connections, though the server lists them no
        # more.
        assert [(each.bus, each.address) for each in bench.devices()] == [(1, 7), (3, 9)]
        assert [len(device.requests) for device in devices] == [1, 1]


NO_PORTS = [
    "",
    "1",
    "1-",
    "-1",
    "0-1",
    "1-0",
    "1-01",
    "1-1:1.0",
    "1-1.",
    "1-1..2",
    "٣-1",
    "usb1",
    "1-1-1",
    "1-" + "9" * 29,
]


@pytest.mark.parametrize("busid", NO_PORTS)
def test_a_name_that_is_no_port_is_left_alone(busid: str) -> None:
    """Two names of one port would be one camera twice."""
    with Bench(Scripted(busid), Scripted("1-2")) as bench:
        assert [device.port_numbers for device in bench.devices()] == [(2,)]


def test_the_bus_is_that_of_the_busid() -> None:
    """What a server says beside it would let one device stand in another's place."""
    with Bench(Scripted("4-1")) as bench:
        assert bench.device().bus == 4


def test_unplugged_and_plugged_again() -> None:
    """Gone is gone for those who had it open; what comes after is another device."""
    with Bench(Scripted(address=2, on=echo), Scripted("1-2")) as bench:
        first, _ = bench.devices()
        assert len(first.read(0x81, 512)) == 512
        bench.server.unplug()
        with failing(errno.ENODEV):
            first.read(0x81, 512, 0)
        with failing(errno.ENODEV):
            first.read(0x81, 512)
        with failing(errno.ENODEV):
            first.ctrl_transfer(0xA1, 0x67, 0, 0, 4)
        assert [device.port_numbers for device in bench.devices()] == [(2,)]
        bench.server.devices.append(Scripted(address=3, on=echo))
        second, _ = bench.devices()
        assert (second.address, len(second.read(0x81, 512))) == (3, 512)
        with failing(errno.ENODEV):
            first.write(0x02, b"x")


def test_who_waits_is_told_when_the_cable_goes() -> None:
    """Transfers without a time-out, from several threads."""
    arrived = threading.Semaphore(0)

    def swallow(wire: Wire, request: Request) -> None:
        arrived.release()

    numbers: list[int | None] = []
    with Bench(Scripted(on=swallow)) as bench:
        (link,) = bench.backend.enumerate_devices()
        handle = bench.backend.open_device(link)

        def wait() -> None:
            try:
                bench.backend.bulk_read(handle, 0x81, 0, array.array("B", bytes(512)), 0)
            except usb.core.USBError as error:
                numbers.append(error.errno)

        threads = [threading.Thread(target=wait) for _ in range(5)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert arrived.acquire(timeout=ENOUGH_S)
        bench.server.unplug()
        for thread in threads:
            thread.join(ENOUGH_S)
    assert numbers == [errno.ENODEV] * 5


def test_closing_lets_go_of_all() -> None:
    """A second close does nothing, and a closed backend finds nothing and imports nothing."""
    with Bench(Scripted(on=echo)) as bench:
        device = bench.device()
        bench.backend.close()
        bench.backend.close()
        with failing(errno.ENODEV):
            device.read(0x81, 512)
        connections = bench.server.connections
        assert bench.devices() == []
        assert bench.server.connections == connections


def test_a_backend_that_is_forgotten_lets_go_too() -> None:
    server = Server(Scripted())
    backend = UsbipBackend(server.connect)
    assert len(list(backend.enumerate_devices())) == 1
    del backend
    gc.collect()
    server.close()


def test_plugged_again_and_again() -> None:
    """Descriptors and threads stay as many as they were, with the backend open all the time."""
    with Bench() as bench:
        seen = []
        for address in range(2, 102):
            bench.server.devices.append(Scripted(address=address, on=echo))
            device = bench.device()
            device.read(0x81, 64)
            bench.server.unplug()
            with failing(errno.ENODEV):
                device.read(0x81, 64, 0)
            del device
            assert bench.devices() == []
            if address % 50 == 0:
                gc.collect()
                seen.append(
                    (
                        len(open_descriptors()),
                        sum(t.name.startswith("usbip-") for t in threading.enumerate()),
                    )
                )
        assert seen[0] == seen[1]
        assert seen[0][1] == 0


# What a server may say instead of a list


def listing(count: int, *entries: bytes) -> bytes:
    return struct.pack(">HHII", VERSION, 5, 0, count) + b"".join(
        entry + bytes([6, 1, 1, 0]) for entry in entries
    )


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(listing(1)[:11], id="half a head"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n".ljust(2000), id="another protocol"),
        pytest.param(
            struct.pack(">HHII", VERSION, 3, 0, 1) + Scripted("1-5").facts() + bytes(4),
            id="another answer",
        ),
        pytest.param(
            struct.pack(">HHII", 0x0106, 5, 0, 1) + Scripted("1-5").facts() + bytes(4),
            id="another version",
        ),
        pytest.param(struct.pack(">HHI", VERSION, 5, 1), id="an error"),
        pytest.param(listing(2, Scripted("1-5").facts()), id="fewer than it says"),
        pytest.param(listing(0xFFFFFFFF) + bytes(1 << 20), id="four thousand millions"),
    ],
)
def test_a_list_that_is_none_takes_nothing_away(reply: bytes) -> None:
    """What is imported stays, and nothing is imported on the word of half a list."""
    with Bench(Scripted("1-1", on=echo)) as bench:
        device = bench.device()
        bench.server.on_list = lambda wire: wire.send(reply)
        connections = bench.server.connections
        assert [each.port_numbers for each in bench.devices()] == [(1,)]
        assert bench.server.connections == connections + 1
        assert len(device.read(0x81, 64)) == 64


def test_a_list_that_never_ends_is_not_waited_for() -> None:
    """A byte a second would be in time for ever, if each byte were waited for by itself."""
    with Bench() as bench:

        def drip(wire: Wire) -> None:
            for byte in listing(1024) + bytes(1 << 20):
                bench.clock.pass_time(1)
                wire.send(bytes([byte]))

        bench.server.on_list = drip
        assert bench.devices() == []


def test_a_server_that_says_nothing_is_not_waited_for() -> None:
    """Neither for its list nor for an import; the device behind the one that hangs is found."""
    with Bench(Scripted("1-1"), Scripted("1-2"), patience_s=0.05) as bench:
        regular_list, regular_import = bench.server.on_list, bench.server.on_import
        bench.server.on_list = lambda wire: wire.receive(1) and None
        assert bench.devices() == []
        bench.server.on_list = regular_list
        bench.server.on_import = lambda wire, busid: (
            regular_import(wire, busid) if busid == "1-2" else hang(wire)
        )
        assert [device.port_numbers for device in bench.devices()] == [(2,)]


def hang(wire: Wire) -> None:
    wire.receive(1 << 20)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(struct.pack(">HHI", VERSION, 3, 1), id="taken"),
        pytest.param(
            struct.pack(">HHI", VERSION, 3, 0) + Scripted("1-2").facts(), id="another device"
        ),
        pytest.param(
            struct.pack(">HHI", VERSION, 5, 0) + Scripted("1-1").facts(), id="another answer"
        ),
        pytest.param(struct.pack(">HHI", VERSION, 3, 0) + Scripted("1-1").facts()[:-1], id="half"),
        pytest.param(bytes(400), id="zeros"),
        pytest.param(b"\xff" * 400, id="ones"),
    ],
)
def test_what_can_not_be_imported_is_not_there(reply: bytes) -> None:
    with Bench(Scripted("1-1")) as bench:
        bench.server.on_import = lambda wire, busid: wire.send(reply)
        assert bench.devices() == []
        assert bench.devices() == []


def test_a_server_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    backend = UsbipBackend.over_tcp("127.0.0.1", port)
    assert list(backend.enumerate_devices()) == []
    backend.close()


# Descriptors


HOSTILE = [
    pytest.param(configuration(bytes([0, 4]) + interface()[2:], PIPES), id="bLength 0"),
    pytest.param(configuration(interface(), PIPES, bytes([1])), id="bLength 1"),
    pytest.param(configuration(interface(), PIPES, bytes([255, 0x24, 0])), id="beyond the end"),
    pytest.param(configuration(interface(), PIPES, total=0xFFFF), id="wTotalLength too much"),
    pytest.param(configuration(interface(), PIPES, total=25), id="wTotalLength too little"),
    pytest.param(configuration(interface(), PIPES, total=0), id="wTotalLength 0"),
    pytest.param(b"", id="nothing"),
    pytest.param(CONFIGURATION[:8], id="half a head"),
    pytest.param(b"\x09\x04" + CONFIGURATION[2:], id="no configuration"),
    pytest.param(configuration(PIPES, interface()), id="endpoints before any interface"),
    pytest.param(configuration(interface(), PIPES, interface(), PIPES), id="an interface twice"),
    pytest.param(configuration(interface(0, 1), PIPES), id="an alternate setting of nothing"),
    pytest.param(configuration(interface()), id="missing endpoints"),
    pytest.param(
        configuration(interface(endpoints=255), endpoint(0x81) * 254), id="254 of 255 endpoints"
    ),
    pytest.param(configuration(interface(endpoints=0), endpoint(0x81) * 9000), id="9000 endpoints"),
    pytest.param(configuration(interface(), PIPES, interfaces=2), id="missing interface"),
    pytest.param(configuration(interface(), PIPES, interfaces=0), id="an interface too many"),
    pytest.param(configuration(interface()[:8], PIPES), id="short interface"),
    pytest.param(configuration(interface(endpoints=1), bytes([3, 5, 0x81])), id="short endpoint"),
]


@pytest.mark.parametrize("blob", HOSTILE)
def test_a_configuration_that_lies_hides_nobody(blob: bytes) -> None:
    """It is found, as a device whose configuration can't be read, every time it is asked (fault
    A12).
    """
    with Bench(Scripted("1-1", config=blob), Scripted("1-2")) as bench:
        for _ in range(2):
            hostile, honest = bench.devices()
            with failing(errno.EPROTO) as caught:
                list(hostile)
            assert caught.value.strerror.startswith("its configuration ")
            assert [
                len(list(interface)) for configuration in honest for interface in configuration
            ] == [2]
            with failing(errno.EPROTO):
                hostile.set_configuration()


@pytest.mark.parametrize("repeats", [1, 7000])
def test_what_else_a_configuration_holds_is_kept(repeats: int) -> None:
    """Descriptors of classes belong to what stands before them; 64 KiB of them are read as well."""
    extra = bytes([9, 0x24, 1, 2, 3, 4, 5, 6, 7]) * repeats
    blob = configuration(
        interface(3),
        PIPES,
        interface(0, 0, 0),
        extra,
        interface(0, 1, 1),
        endpoint(0x83),
        interfaces=2,
    )
    with Bench(Scripted(config=blob)) as bench:
        (found,) = bench.device()
        described = [
            (each.bInterfaceNumber, each.bAlternateSetting, len(each.extra_descriptors))
            for each in found
        ]
        assert described == [(0, 0, len(extra)), (0, 1, 0), (3, 0, 0)]
        assert [each.bEndpointAddress for each in found[(1, 0)]] == [0x81, 0x02]
        assert [(each.bEndpointAddress, each.wMaxPacketSize) for each in found[(0, 1)]] == [
            (0x83, 512)
        ]


def stalling(wire: Wire, request: Request) -> None:
    wire.answer(request, status=-32)


def saying(content: bytes) -> Handler:
    return lambda wire, request: wire.answer(request, content[: request.length])


@pytest.mark.parametrize(
    "on_setup",
    [
        pytest.param(stalling, id="stalls"),
        pytest.param(silence, id="silent"),
        pytest.param(saying(b""), id="empty"),
        pytest.param(saying(DEVICE[:17]), id="short"),
        pytest.param(saying(b"\0" + DEVICE[1:]), id="bLength 0"),
        pytest.param(saying(DEVICE[:1] + b"\2" + DEVICE[2:]), id="of another type"),
    ],
)
def test_a_device_that_does_not_say_what_it_is_hides_nobody(on_setup: Handler) -> None:
    """What the server's list says of it stands in."""
    with Bench(Scripted("1-1", on_setup=on_setup), Scripted("1-2"), patience_s=0.05) as bench:
        found = [
            (each.port_numbers, each.idVendor, each.idProduct, each.bDeviceClass)
            for each in bench.devices()
        ]
        assert found == [((1,), 0x1209, 7, 0), ((2,), 0x1209, 7, 0)]


def test_255_configurations_are_asked_for_one_by_one() -> None:
    with Bench(Scripted(device=DEVICE[:17] + b"\xff")) as bench:
        assert len(list(bench.device())) == 255


def test_a_configuration_that_was_silent_once_is_asked_again() -> None:
    """Time-outs pass; lies stay."""
    silent = True

    def on_setup(wire: Wire, request: Request) -> None:
        if request.setup[3] != 2 or not silent:
            device.standard(wire, request)

    device = Scripted(on_setup=on_setup)
    with Bench(device, patience_s=0.05) as bench:
        found = bench.device()
        with failing(errno.ETIMEDOUT):
            list(found)
        silent = False
        assert len(list(found)) == 1


# Transfers


def test_transfers_in_all_directions() -> None:
    said = []

    def on(wire: Wire, request: Request) -> None:
        said.append(
            (
                request.direction,
                request.endpoint,
                request.length,
                request.setup.hex(),
                request.content,
            )
        )
        wire.answer(request, b"abcd"[: request.length] if request.direction else b"")

    with Bench(Scripted(on=on)) as bench:
        device = bench.device()
        assert device.read(0x81, 512).tobytes() == b"abcd"
        assert device.write(0x02, b"hello") == 5
        assert device.write(0x02, b"") == 0
        assert device.ctrl_transfer(0xA1, 0x67, 1, 2, 4).tobytes() == b"abcd"
        assert device.ctrl_transfer(0x21, 0x64, 0, 0, b"cancel") == 6
        assert device.ctrl_transfer(0x21, 0x66, 0, 0) == 0
        buffer = array.array("I", [0] * 128)
        assert device.read(0x81, buffer) == 4
        assert buffer.tobytes()[:5] == b"abcd\0"
    nothing = "00" * 8
    assert said == [
        (1, 1, 512, nothing, b""),
        (0, 2, 5, nothing, b"hello"),
        (0, 2, 0, nothing, b""),
        (1, 0, 4, "a167010002000400", b""),
        (0, 0, 6, "2164000000000600", b"cancel"),
        (0, 0, 0, "2166000000000000", b""),
        (1, 1, 512, nothing, b""),
    ]


def test_the_device_s_own_number_is_on_every_request() -> None:
    device = Scripted("5-1", address=9, on=echo)
    with Bench(device) as bench:
        bench.device().read(0x81, 64)
    assert {request.device for request in device.requests} == {1 << 16 | 9}, (
        "bus and address as the import said"
    )


def test_standard_requests() -> None:
    device = Scripted(on=echo)
    with Bench(device) as bench:
        found = bench.device()
        found.set_configuration()
        found.set_interface_altsetting(0, 0)
        found.clear_halt(0x81)
        assert found.get_active_configuration().bConfigurationValue == 1
        assert not found.is_kernel_driver_active(0)
    setups = [request.setup.hex() for request in device.requests if request.direction == 0]
    assert setups == ["0009010000000000", "010b000000000000", "0201000081000000"]


def test_eight_mebibytes_in_one_request() -> None:
    size = 8 << 20
    content = bytes(range(256)) * (size // 256)
    device = Scripted(
        on=lambda wire, request: wire.answer(request, content if request.direction else b"")
    )
    with Bench(device) as bench:
        found = bench.device()
        buffer = array.array("B", bytes(size))
        assert found.read(0x81, buffer) == size
        assert bytes(buffer) == content
        assert found.write(0x02, content) == size
        assert [len(request.content) for request in device.requests if request.endpoint == 2] == [
            size
        ]
        assert len([request for request in device.requests if request.endpoint == 1]) == 1


def test_interrupts_are_polled() -> None:
    """A kernel that serves the device takes an interrupt transfer only with an interval."""
    poll = configuration(interface(endpoints=3), PIPES, bytes([7, 5, 0x83, 3, 28, 0, 6]))
    device = Scripted(config=poll, on=echo)
    with Bench(device) as bench:
        found = bench.device()
        assert len(found.read(0x83, 28)) == 28
        found.read(0x81, 64)
    assert [(each.endpoint, each.interval > 0) for each in device.requests if each.endpoint] == [
        (3, True),
        (1, False),
    ]


@pytest.mark.parametrize(
    ("status", "number", "code"),
    [
        (-32, errno.EPIPE, -9),
        (-75, errno.EOVERFLOW, -8),
        (-19, errno.ENODEV, -4),
        (-108, errno.ENODEV, -4),
        (-110, errno.ETIMEDOUT, -7),
        (-71, errno.EIO, -1),
        (-2147483648, errno.EIO, -1),
        (7, errno.EIO, -1),
    ],
)
def test_errors_are_those_of_libusb(status: int, number: int, code: int) -> None:
    """Data that came with one are taken off the wire: what follows is in its place."""

    def on(wire: Wire, request: Request) -> None:
        wire.answer(
            request,
            b"x" * 5 if request.length == 512 else b"yz",
            status=status if request.length == 512 else 0,
        )

    with Bench(Scripted(on=on)) as bench:
        device = bench.device()
        with failing(number) as caught:
            device.read(0x81, 512)
        assert caught.value.backend_error_code == code
        assert isinstance(caught.value, usb.core.USBTimeoutError) == (number == errno.ETIMEDOUT)
        assert device.read(0x81, 64).tobytes() == b"yz"


def test_threads_share_a_device() -> None:
    """Answers come in another order than they were asked for, each to its own."""
    waiting: list[Request] = []

    def on(wire: Wire, request: Request) -> None:
        waiting.append(request)
        if len(waiting) == 8:
            for each in sorted(waiting, key=lambda request: -request.length):
                echo(wire, each)
            waiting.clear()

    results: list[set[bytes]] = []
    with Bench(Scripted(on=on)) as bench:
        (link,) = bench.backend.enumerate_devices()
        handle = bench.backend.open_device(link)

        def read(size: int) -> None:
            buffer = array.array("B", bytes(size))
            seen = set()
            for _ in range(20):
                assert bench.backend.bulk_read(handle, 0x81, 0, buffer, 0) == size
                seen.add(bytes(buffer))
            results.append(seen)

        threads = [threading.Thread(target=read, args=(1000 + number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(ENOUGH_S)
    assert sorted(results, key=lambda seen: len(max(seen))) == [
        {bytes([size & 255]) * size} for size in range(1000, 1008)
    ]


# Interfaces


def test_an_interface_is_for_one_at_a_time() -> None:
    """As two processes have it with libusb, here for two that look at the bus."""
    with Bench(Scripted(on=echo)) as bench:
        (one,), (two,) = bench.devices(), bench.devices()
        usb.util.claim_interface(one, 0)
        usb.util.claim_interface(one, 0)
        for attempt in (lambda: usb.util.claim_interface(two, 0), lambda: two.read(0x81, 64)):
            with failing(errno.EBUSY):
                attempt()
        # Neither a release nor a close by somebody else frees it.
        (link,) = bench.backend.enumerate_devices()
        stranger = bench.backend.open_device(link)
        bench.backend.release_interface(stranger, 0)
        bench.backend.close_device(stranger)
        with failing(errno.EBUSY):
            usb.util.claim_interface(two, 0)
        usb.util.release_interface(one, 0)
        usb.util.claim_interface(two, 0)
        usb.util.dispose_resources(two)
        usb.util.claim_interface(one, 0)


# Time


def test_a_time_out_takes_the_request_back() -> None:
    device = Scripted(on=silence)
    with Bench(device) as bench:
        found = bench.device()
        for _ in range(2):
            with failing(errno.ETIMEDOUT) as caught:
                found.read(0x81, 512, SHORT_MS)
            assert isinstance(caught.value, usb.core.USBTimeoutError)
        device.on = echo
        assert len(found.read(0x81, 512)) == 512
        asked = [
            request
            for request in device.requests
            if request.endpoint == 1 or request.command == UNLINK
        ]
        submitted = [request.sequence for request in asked if request.command == SUBMIT]
        assert [request.unlinks for request in asked if request.command == UNLINK] == submitted[:2]
        assert len({request.sequence for request in device.requests}) == len(device.requests)


@pytest.mark.parametrize("status", [0, -104])
def test_data_that_came_before_the_taking_back_is_not_lost(status: int) -> None:
    """The device had answered when the request was taken back; or, as some servers do, it gives
    what it had with the error.
    """
    asked: list[Request] = []

    def on(wire: Wire, request: Request) -> None:
        if request.command == SUBMIT:
            asked.append(request)
        else:
            wire.answer(asked[-1], b"just in time", status=status)
            wire.unlinked(request, 0)

    device = Scripted(on=on)
    with Bench(device) as bench:
        found = bench.device()
        assert found.read(0x81, 512, SHORT_MS).tobytes() == b"just in time"
        device.on = echo
        assert found.read(0x81, 64).tobytes() == b"\x40" * 64


def test_a_request_that_was_cancelled_without_data_timed_out() -> None:
    """Answered by the request's own return, and by the return of the taking back as well."""
    asked: list[Request] = []

    def on(wire: Wire, request: Request) -> None:
        if request.command == SUBMIT:
            asked.append(request)
        else:
            wire.answer(asked[-1], status=-104)
            wire.unlinked(request)

    device = Scripted(on=on)
    with Bench(device) as bench:
        found = bench.device()
        with failing(errno.ETIMEDOUT):
            found.read(0x81, 512, SHORT_MS)
        device.on = echo
        assert len(found.read(0x81, 64)) == 64


def test_a_server_that_does_not_take_back_is_given_up() -> None:
    """Nobody knows when it would write into the buffer: the link falls, and the buffer is the
    caller's again.
    """
    with Bench(Scripted(on=lambda wire, request: None), patience_s=0.1) as bench:
        device = bench.device()
        with failing(errno.ENODEV):
            device.read(0x81, 512, SHORT_MS)
        bench.server.devices.clear()
        assert bench.devices() == []


def test_a_server_that_stops_in_the_middle_of_an_answer_is_given_up() -> None:
    def on(wire: Wire, request: Request) -> None:
        if request.command == SUBMIT:
            wire.answer(request, bytes(100), actual=512)

    with Bench(Scripted(on=on), patience_s=0.1) as bench:
        device = bench.device()
        with failing(errno.ENODEV):
            device.read(0x81, 512, SHORT_MS)


def test_a_server_that_does_not_read_is_given_up() -> None:
    """A time-out holds for sending as well."""
    hold = threading.Event()

    def stop_reading(wire: Wire, request: Request) -> None:
        wire.answer(request)
        hold.wait(ENOUGH_S)

    with Bench(Scripted(on=stop_reading), patience_s=0.1) as bench:
        device = bench.device()
        assert device.write(0x02, b"the last that is heard") == 22
        try:
            with failing(errno.ENODEV):
                device.write(0x02, bytes(8 << 20), SHORT_MS)
        finally:
            hold.set()


def test_a_quiet_link_stands() -> None:
    """Longer than the patience with which a send is waited for."""
    go = threading.Event()

    def late(wire: Wire, request: Request) -> None:
        assert not go.wait(0.2)
        echo(wire, request)

    with Bench(Scripted(on=late), patience_s=0.02) as bench:
        assert len(bench.device().read(0x81, 64, 0)) == 64


# A server that lies


def answering(content: bytes) -> Handler:
    return lambda wire, request: wire.send(content)


def too_much(wire: Wire, request: Request) -> None:
    wire.answer(request, bytes(request.length + 1))


def below_nothing(wire: Wire, request: Request) -> None:
    wire.answer(request, actual=-1)


def a_gibibyte(wire: Wire, request: Request) -> None:
    wire.answer(request, bytes(1 << 20), actual=0x7FFFFFFF)


def to_nobody(wire: Wire, request: Request) -> None:
    wire.send(ret(RET_SUBMIT, request.sequence + 1000, 0, 4) + b"boo!")


def twice(wire: Wire, request: Request) -> None:
    wire.answer(request, bytes(4))
    wire.answer(request, bytes(4))


def a_request(wire: Wire, request: Request) -> None:
    wire.send(ret(SUBMIT, request.sequence, 0, 0))


def half_a_head(wire: Wire, request: Request) -> None:
    wire.send(ret(RET_SUBMIT, request.sequence, 0, 4)[:20])
    wire.cut()
    raise GoneError


def half_the_data(wire: Wire, request: Request) -> None:
    wire.answer(request, bytes(100), actual=512)
    wire.cut()
    raise GoneError


@pytest.mark.parametrize(
    "lie",
    [
        too_much,
        below_nothing,
        a_gibibyte,
        to_nobody,
        twice,
        a_request,
        half_a_head,
        half_the_data,
        answering(b"\xa5" * 480),
    ],
    ids=lambda lie: lie.__name__,
)
def test_a_server_that_lies_is_as_good_as_unplugged(lie: Handler) -> None:
    """What follows on the wire can't be told apart any more; the other device is not disturbed."""
    with Bench(Scripted("1-1", on=lie), Scripted("1-2", on=echo)) as bench:
        device, other = bench.devices()
        with failing(errno.ENODEV):
            for _ in range(2):
                device.read(0x81, 512, 0)
        with failing(errno.ENODEV):
            device.read(0x81, 512)
        bench.server.unplug("1-1")
        assert [each.port_numbers for each in bench.devices()] == [(2,)]
        assert len(other.read(0x81, 512)) == 512


def test_nothing_is_written_past_what_was_asked_for() -> None:
    with Bench(Scripted(on=too_much)) as bench:
        (link,) = bench.backend.enumerate_devices()
        handle = bench.backend.open_device(link)
        buffer = array.array("B", b"\x77" * 1024)
        with failing(errno.ENODEV):
            handle.link.transfer(1, 0x81, memoryview(buffer)[256:512], 0)
        assert bytes(buffer) == b"\x77" * 1024


def test_a_return_of_a_taking_back_that_never_was() -> None:
    def on(wire: Wire, request: Request) -> None:
        for number in (0, 1, request.sequence, 0xFFFFFFFF):
            wire.send(ret(RET_UNLINK, number, -104, 0))
        echo(wire, request)

    with Bench(Scripted(on=on)) as bench:
        device = bench.device()
        assert [len(device.read(0x81, 64)) for _ in range(3)] == [64, 64, 64]


# Devices and servers that were not written for these tests


class Parrot(Interface):  # type: ignore[misc]
    """A device of the package: says what it was told."""

    heard = Out(2, "bulk", 512)
    said = In(1, "bulk", 512)

    def on_out(self, ep: object, data: bytes) -> None:
        self.said.write(data)

    def on_control(self, setup: Setup, data: bytes = b"") -> bytes:
        if setup.bRequest == 1:
            return b"polly"
        raise Stall


@pytest.fixture(params=["loopback", "tcp"])
def parrots(request: pytest.FixtureRequest) -> Iterator[tuple[Transport, UsbipBackend]]:
    """The package's own server."""
    if request.param == "loopback":
        transport: Transport = Loopback()
        backend = UsbipBackend(transport.connect)
    else:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        transport = USBIP("127.0.0.1", port)
        backend = UsbipBackend.over_tcp("127.0.0.1", port)
    device = USBDevice(0x1209, 0x0042, product="Parrot", serial="P-1")
    device.set_speed(SPEED_HIGH)
    device.add(Parrot())
    transport.serve(device)
    yield transport, backend
    backend.close()
    if isinstance(transport, USBIP):
        # Closing a socket does not wake who accepts on it.
        transport._listener.socks[0].shutdown(socket.SHUT_RDWR)
    transport.stop()


def test_the_package_s_own_device(parrots: tuple[Transport, UsbipBackend]) -> None:
    _, backend = parrots
    (device,) = usb.core.find(find_all=True, backend=backend)
    assert (device.idVendor, device.idProduct, device.product, device.serial_number) == (
        0x1209,
        0x0042,
        "Parrot",
        "P-1",
    )
    assert (device.bus, device.port_numbers, device.speed) == (1, (1,), usb.util.SPEED_HIGH)
    device.set_configuration()
    for size in (1, 511, 512, 513, 70_000):
        content = bytes(range(256)) * (size // 256 + 1)
        assert device.write(0x02, content[:size]) == size
        answer = b""
        while len(answer) < size:
            answer += device.read(0x81, 65536).tobytes()
        assert answer == content[:size]
    assert device.ctrl_transfer(0xA1, 1, 0, 0, 64).tobytes() == b"polly"
    with failing(errno.EPIPE):
        device.ctrl_transfer(0xA1, 2, 0, 0, 64)
    with failing(errno.ETIMEDOUT):
        device.read(0x81, 512, SHORT_MS)
    assert device.write(0x02, b"still here") == 10
    assert device.read(0x81, 512).tobytes() == b"still here"
    usb.util.dispose_resources(device)


@pytest.mark.parametrize("tcp", [False, True], ids=["in process", "tcp"])
def test_a_simulated_camera(tmp_path: Path, tcp: bool) -> None:
    """Found, asked, unplugged in the middle, plugged again with another address; the camera beside
    it undisturbed.
    """
    hub = Hub()
    backend = UsbipBackend.over_tcp("127.0.0.1", hub.serve()) if tcp else UsbipBackend(hub.connect)
    with contextlib.closing(hub), contextlib.closing(backend):
        cameras = [
            UsbCamera.of_folder(tmp_path, serial, ManualClock(0))
            for serial in ("BWC0042", "BWC0043")
        ]
        for camera in cameras:
            hub.plug(camera)
        first, second = usb.core.find(find_all=True, backend=backend)
        assert [(each.port_numbers, each.serial_number) for each in (first, second)] == [
            ((1,), "BWC0042"),
            ((2,), "BWC0043"),
        ]
        for device in (first, second):
            device.set_configuration()
        info = device_info(first)
        assert b"B\0W\0C\0" in info
        with failing(errno.ETIMEDOUT):
            first.read(0x81, 512, SHORT_MS)
        with failing(errno.EPIPE):
            first.ctrl_transfer(0xA1, 0x55, 0, 0, 4)
        told: list[int | None] = []

        def wait() -> None:
            try:
                first.read(0x81, 512, 0)
            except usb.core.USBError as error:
                told.append(error.errno)

        waiting = threading.Thread(target=wait)
        asked = cameras[0].urbs
        waiting.start()
        while cameras[0].urbs == asked:
            waiting.join(0.001)
        hub.unplug(cameras[0])
        waiting.join(ENOUGH_S)
        assert told == [errno.ENODEV]
        assert [each.port_numbers for each in usb.core.find(find_all=True, backend=backend)] == [
            (2,)
        ]
        assert device_info(second) == device_info(second)
        hub.plug(cameras[0])
        again = next(iter(usb.core.find(find_all=True, backend=backend)))
        assert again.serial_number == "BWC0042"
        assert again.address not in (first.address, second.address)
        again.set_configuration()
        assert device_info(again) == info
        for device in (first, second, again):
            usb.util.dispose_resources(device)


def device_info(device: Any) -> bytes:
    """PTP's GetDeviceInfo, which needs no session."""
    assert device.write(0x02, struct.pack("<IHHI", 12, 1, 0x1001, 0)) == 12
    data = device.read(0x81, 65536).tobytes()
    assert struct.unpack_from("<IH", data) == (len(data), 2)
    assert device.read(0x81, 512).tobytes() == struct.pack("<IHHI", 12, 3, 0x2001, 0)
    return data[12:]
