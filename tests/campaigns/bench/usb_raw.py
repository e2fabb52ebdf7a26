"""`python -m tests.campaigns.bench.usb_raw PORT`: everything a camera has, by the backend's own
bulk transfers and nothing around them.

The least that any program over this backend costs: commands are sent, bytes land in one buffer and
are forgotten. It prints how many bytes of objects came.
"""

import array
import struct
import sys

import usb.core
import usb.util

from dockd.usb.usbip import UsbipBackend

IN, OUT = 0x81, 0x02
HEADER_BYTES = 12
TRANSFER_BYTES = 2 << 20
OPEN_SESSION, GET_OBJECT_HANDLES, GET_OBJECT = 0x1002, 0x1007, 0x1009
ALL = 0xFFFFFFFF
DATA = 2


def read_everything(port: int) -> int:
    backend = UsbipBackend.over_tcp("127.0.0.1", port)
    device = usb.core.find(backend=backend)
    device.set_configuration()
    usb.util.claim_interface(device, 0)
    buffer = array.array("B", bytes(TRANSFER_BYTES))
    transaction = 0

    def ask(operation: int, *parameters: int) -> tuple[int, bytes]:
        """How many bytes of data came, and the last of them that are in the buffer."""
        nonlocal transaction
        transaction += 1
        command = struct.pack(
            "<IHHI", HEADER_BYTES + 4 * len(parameters), 1, operation, transaction
        )
        device.write(OUT, command + struct.pack(f"<{len(parameters)}I", *parameters))
        count = device.read(IN, buffer)
        length, kind = struct.unpack_from("<IH", buffer)
        if kind != DATA:
            return 0, b""
        came = count
        while came < length:
            count = device.read(IN, buffer)
            came += count
        last = buffer[:count].tobytes()
        if length % 512 == 0:
            device.read(IN, buffer)
        device.read(IN, buffer)
        return length - HEADER_BYTES, last

    ask(OPEN_SESSION, 1)
    _, dataset = ask(GET_OBJECT_HANDLES, ALL, 0, 0)
    handles = struct.unpack_from(
        f"<{(len(dataset) - HEADER_BYTES) // 4 - 1}I", dataset, HEADER_BYTES + 4
    )
    total = sum(ask(GET_OBJECT, handle)[0] for handle in handles)
    backend.close()
    return total


if __name__ == "__main__":
    print(read_everything(int(sys.argv[1])))
