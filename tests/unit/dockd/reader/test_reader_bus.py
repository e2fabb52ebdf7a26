"""The bus as a reader tells it: who stands there, and that a reader which sees nothing any more is
not waited for.
"""

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dockd.card.contract import CardStuckError
from dockd.reader.bus import DEVICES_MAX, RemoteBus
from dockd.reader.processes import Workers
from dockd.reader.wire import TEXT_MAX, Deadline
from vault.clock import SystemClock

ENOUGH_S = 60.0

READER = """
import json, os, socket, sys
from dockd.reader.wire import Line

line = Line(socket.socket(fileno=os.dup(0)))
line.receive_message()
with open(sys.argv[1], "a") as starts:
    print("started", file=starts)
for message in json.loads(sys.argv[2]):
    line.send(message)
line.receive_message()
"""
"""Tells what it was given to tell, and from then on nothing."""


STICKY = """
import sys, threading
from pathlib import Path
from dockd.reader import worker
from dockd.usb.bus import UsbWatcher

def bus():
    while Path(sys.argv[1]).exists():
        threading.Event().wait(0.01)
    return ()

worker.BEAT_S = 0.05
worker.watcher_of = lambda setting, clock: UsbWatcher(bus, clock, look_s=0.01)
worker.main()
"""
"""The real reader of a bus on which nothing stands, and on which a look does not come back as long
as a file is there.
"""


def device(number: int) -> list[object]:
    return [[1, [number], number], f"usb 1-{number}", f"CAM{number}", None]


class Told:
    """A bus whose readers say this each."""

    def __init__(self, folder: Path, messages: str, silence_s: float) -> None:
        self._starts = folder / "starts"
        program = folder / "reader.py"
        program.write_text(READER)
        readers = Workers(None, (sys.executable, str(program), str(self._starts), messages))
        self.bus = RemoteBus(readers, "libusb", SystemClock(), silence_s=silence_s)

    @property
    def starts(self) -> int:
        return len(self._starts.read_text().splitlines()) if self._starts.exists() else 0


def message(*devices: object) -> str:
    return str({"devices": list(devices), "absent": ""}).replace("None", "null").replace("'", '"')


def test_a_reader_that_falls_silent_is_replaced(tmp_path: Path) -> None:
    """It is stuck in something on the bus: without this the USB was blind for ever. What is told
    again is no change.
    """
    told = Told(tmp_path, f"[{message(device(1))}, {message(device(1))}]", silence_s=1.0)
    changed = threading.Semaphore(0)
    told.bus.start(changed.release)
    try:
        assert changed.acquire(timeout=ENOUGH_S)
        assert until(lambda: told.starts > 1)
        assert [each.bay for each in told.bus.devices()] == ["usb 1-1"], "nobody said that it left"
    finally:
        told.bus.stop()
    assert not changed.acquire(blocking=False)


@pytest.mark.parametrize(
    "messages",
    [
        "[]",
        '[{"devices": []}]',
        '[{"devices": 7, "absent": ""}]',
        f"[{message(*map(device, range(DEVICES_MAX + 1)))}]",
        f"[{message([[1, [{}], 2], 'usb 1-2', 'CAM', None])}]",
        f"[{message([[1, [2], 'x'], 'usb 1-2', 'CAM', None])}]",
        f"[{message([[1, [2], 2], 'usb 1-2', 7, None])}]",
    ],
    ids=[
        "nothing",
        "no absence",
        "no devices",
        "too many",
        "an odd port",
        "an odd address",
        "an odd name",
    ],
)
def test_a_look_at_nonsense_or_silence_has_an_end(tmp_path: Path, messages: str) -> None:
    told = Told(tmp_path, messages, silence_s=2.0 if messages == "[]" else ENOUGH_S)
    with pytest.raises(CardStuckError, match="can't be looked at"):
        told.bus.look()
    told.bus.stop()


def test_words_of_a_device_are_cut(tmp_path: Path) -> None:
    told = Told(
        tmp_path, f"[{message([[1, [2], 2], 'b' * 5000, 'v' * 5000, 'r' * 5000])}]", ENOUGH_S
    )
    told.bus.look()
    (seen,) = told.bus.devices()
    assert (len(seen.bay), len(seen.volume_id), len(seen.refusal or "")) == (
        TEXT_MAX,
        TEXT_MAX,
        TEXT_MAX,
    )
    told.bus.stop()


def test_a_reader_tells_that_it_looks_only_while_it_does(tmp_path: Path) -> None:
    """Fault G2. A sign of life from a thread beside the one that looks would hide that this one is
    stuck.
    """
    held, program, clock = tmp_path / "held", tmp_path / "reader.py", SystemClock()
    program.write_text(STICKY)
    process = Workers(None, (sys.executable, str(program), str(held))).start(
        {"place": "bus", "bus": "libusb"}
    )
    for _ in range(5):
        assert process.line.receive_answer(Deadline(clock, ENOUGH_S)) == {
            "devices": [],
            "absent": "",
        }
    held.touch()
    with pytest.raises(TimeoutError):
        # What was looked at before may still be told.
        for _ in range(5):
            process.line.receive_answer(Deadline(clock, 1.0))
    held.unlink()
    process.line.receive_answer(Deadline(clock, ENOUGH_S))
    process.end()


def test_words_of_a_device_are_printable(tmp_path: Path) -> None:
    """A lone surrogate can't be sent on, and ended dockd's main loop; an escape reaches the
    administrator's terminal.
    """
    told = Told(
        tmp_path,
        json.dumps([{"devices": [[[1, [2], 2], "usb \ud800", "v\x1b[2J", None]], "absent": ""}]),
        ENOUGH_S,
    )
    told.bus.look()
    (found,) = told.bus.devices()
    told.bus.stop()
    assert (found.bay, found.volume_id) == ("usb \\ud800", "v\\x1b[2J")


def test_a_bus_whose_reader_dies_says_so_until_one_stays(tmp_path: Path) -> None:
    """A device whose descriptors kill the reader at each look: no camera on the bus would show
    anywhere.
    """
    told = Told(tmp_path, f"[{message(device(1))}]", silence_s=0.2)
    changed = threading.Semaphore(0)
    told.bus.start(changed.release)
    try:
        assert until(lambda: "its reader died" in told.bus.trouble)
        assert until(lambda: told.starts > 1)
        assert "its reader died" in told.bus.trouble, "one word of the next reader is not enough"
    finally:
        told.bus.stop()
    steady = Told(tmp_path, f"[{message(device(1))}, {message(device(1))}]", silence_s=ENOUGH_S)
    steady.bus._say_died("its reader died")
    steady.bus.start(changed.release)
    try:
        assert until(lambda: not steady.bus.trouble)
    finally:
        steady.bus.stop()


def until(holds: Callable[[], bool]) -> bool:
    never = threading.Event()
    for _ in range(round(ENOUGH_S / 0.02)):
        if holds():
            return True
        never.wait(0.02)
    return False
