"""Where the recording of a real Canon lies, which is read from beside the project and is no part of
it.

From the test suite of umockdev. DOCK_CANON_RECORDING names its folder.
"""

import os
from pathlib import Path

import pytest

from tests.support.places import REPOSITORY

FOLDER = Path(os.environ.get("DOCK_CANON_RECORDING", REPOSITORY.parent / "shared" / "data"))
DEVICE = FOLDER / "canon-powershot-sx200.umockdev"
"""Its place in the USB tree, and its descriptors."""
TRANSFERS = FOLDER / "canon-powershot-sx200.ioctl"
"""What went over the wire."""
NODE = "/dev/bus/usb/001/011"

needs_recording = pytest.mark.skipif(
    not (DEVICE.exists() and TRANSFERS.exists()),
    reason=f"the recording of a real Canon is not in {FOLDER}; "
    f"DOCK_CANON_RECORDING may name another "
    f"folder",
)
