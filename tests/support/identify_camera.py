"""What dockd makes of the one camera on this machine's USB, as one line of JSON: run where the
machine's USB is a replay.

umockdev-run --device=... --ioctl=... -- python -m tests.support.identify_camera
"""

import json
from contextlib import closing
from dataclasses import asdict

from dockd.card.contract import CardError
from dockd.usb.bus import watcher_of
from dockd.usb.mtp_card import MtpCard
from vault.clock import SystemClock


def main() -> None:
    watcher = watcher_of("libusb", SystemClock())
    watcher.look()
    (camera,) = watcher.devices()
    said = {"bay": camera.bay, "volume_id": camera.volume_id, "refusal": camera.refusal}
    try:
        with closing(camera.open()) as card:
            assert isinstance(card, MtpCard)
            print(json.dumps(said | {"device": asdict(card.device)}))
    except CardError as error:
        print(json.dumps(said | {"code": error.code, "sentence": error.sentence}))


if __name__ == "__main__":
    main()
