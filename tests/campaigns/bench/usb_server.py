"""`python -m tests.campaigns.bench.usb_server FOLDER SERIAL`: a folder as a camera on a USB in
software, until its input ends.

A process of its own: what the camera costs is not the dock's. It prints its port, and obeys `plug`,
`unplug`, and `plug without clock`.
"""

import sys
from pathlib import Path

from device_sim.clock import SystemClock
from device_sim.usb.hub import Hub
from device_sim.usb.usb import UsbCamera

root, serial = Path(sys.argv[1]), sys.argv[2]
hub = Hub()
DATE_TIME = 0x5011
cameras = {
    "plug": UsbCamera.of_folder(root, serial, SystemClock()),
    "plug without clock": UsbCamera.of_folder(
        root, serial, SystemClock(), without=frozenset({DATE_TIME})
    ),
}
print(hub.serve(), flush=True)
for line in sys.stdin:
    if line.strip() in cameras:
        hub.plug(cameras[line.strip()], 1)
    else:
        for camera in hub.plugged:
            hub.unplug(camera)
    print("done", flush=True)
hub.close()
