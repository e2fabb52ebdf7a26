"""The reader: a process that holds one camera, and nothing else. It serves one connection, and ends
with it.

It touches the device and its card, and looks at the footage's boxes on the way (`timeline.py`). It
has no vault, no key and no network: as a service by its unit (`dock-reader@.service`), and wherever
the kernel has Landlock by its own doing as well. What kills it kills one connection.
"""

import contextlib
import json
import mmap
import os
import resource
import select
import socket
import sys
import threading
from collections.abc import Callable, Hashable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog

from dockd.card.contract import Card, CardError, CardGoneError, CardRefusedError, FileStream
from dockd.card.timeline import SegmentTimeline
from dockd.journal import log_to_journal
from dockd.mounted.mounted_card import MountedCard
from dockd.reader.landlock import Rights, restrict
from dockd.reader.wire import (
    BYTES,
    END,
    FACTS,
    FAILED,
    GIVEN,
    STREAM_BYTES,
    WANTED,
    Line,
    LineBrokenError,
    TooMuchError,
    close_all,
    exactly,
    failure_words,
    file_of,
    file_words,
    frozen,
    path_of,
)
from dockd.usb.bus import UsbDevice, UsbWatcher, find_libraries, watcher_of
from vault.clock import Clock, SystemClock

log = structlog.get_logger()

OpenVolume = Callable[[Path], Card]

MEMORY_MAX = 2 << 30
"""Address space, thread stacks included. A card that asks for more kills its reader."""
BEAT_S = 10.0
"""How often the dock hears at least that the bus is looked at."""
DIED = 70
"""The exit code after a mistake of ours in a thread."""

SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc",
    "/proc",
    "/sys",
    "/run/udev",
    sys.prefix,
    sys.base_prefix,
)
"""What a process that reads a device has to read beside it. Vault and settings lie elsewhere, or
are shut out by the unit.

Nothing of sys.path: it may name the working directory, which is / for a service. What comes from
elsewhere was imported before.
"""
USB_NODES = Path("/dev/bus/usb")


class Worker:
    """Serves one connection: first what is to be read, then questions about it, answered one by one
    in order.

    Files that are open have a socket and a thread each. When the connection ends the process does,
    whatever its threads do.
    """

    def __init__(self, line: Line, clock: Clock, open_volume: OpenVolume) -> None:
        self._line = line
        self._clock = clock
        self._open_volume = open_volume
        self._cards: dict[int, Card] = {}
        self._numbers = iter(range(1 << 62))
        self._answers: dict[str, Callable[[dict[str, Any]], Any]] = {
            "card": self._card,
            "files": self._files,
            "delete": self._delete,
            "delete_folder": self._delete_folder,
            "offset": self._offset,
            "set_clock": self._set_clock,
            "close": self._close,
            "greet": self._greet,
        }

    def serve(self, greeting: dict[str, Any]) -> None:
        """Until the dock hangs up."""
        if greeting["place"] == "bus":
            BusReporter(self._line, watcher_of(greeting["bus"], self._clock), self._clock).serve()
        elif greeting["place"] == "volume":
            self.answer(lambda question: self._open_volume(Path(question["root"])))
        else:
            # As this process's own look at the bus finds it; it must be the very docking that the
            # dock means.
            self.answer(
                opener_of(watcher_of(greeting["bus"], self._clock).find(frozen(greeting["key"])))
            )

    def answer(self, opener: Callable[[dict[str, Any]], Card]) -> None:
        """Questions about the cards that `opener` opens, until the dock hangs up."""
        self._opener = opener
        while True:
            question, descriptors = self._line.receive_message()
            try:
                verb = question["do"]
                content = (
                    self._open(question, descriptors)
                    if verb == "open"
                    else self._answers[verb](question)
                )
                answer = {"ok": content}
            except CardError as failure:
                answer = {"failure": failure_words(failure)}
            finally:
                close_all(descriptors)
            try:
                self._line.send(answer)
            except TooMuchError:
                self._line.send(
                    {
                        "failure": failure_words(
                            CardRefusedError("The card lists more than any camera has.")
                        )
                    }
                )

    def _greet(self, question: dict[str, Any]) -> Any:  # noqa: ARG002
        return True

    def _card(self, question: dict[str, Any]) -> Any:
        card = self._opener(question)
        number = next(self._numbers)
        self._cards[number] = card
        return {"card": number, "where": card.where}

    def _files(self, question: dict[str, Any]) -> Any:
        card = self._cards[question["card"]]
        files = card.files(path_of(question["below"]))
        trouble = [[list(entry.path), entry.code, entry.sentence] for entry in card.trouble]
        return {"files": [file_words(file) for file in files], "trouble": trouble}

    def _open(self, question: dict[str, Any], descriptors: list[int]) -> Any:
        file, offset = file_of(question["file"]), int(question["offset"])
        opened = self._cards[question["card"]].open(file, offset)
        channel, memory = descriptors
        descriptors.clear()
        stream = StreamServer(socket.socket(fileno=channel), memory, opened, watched=offset == 0)
        threading.Thread(target=stream.serve, name="stream", daemon=True).start()
        return True

    def _delete(self, question: dict[str, Any]) -> Any:
        self._cards[question["card"]].delete(file_of(question["file"]))
        return True

    def _delete_folder(self, question: dict[str, Any]) -> Any:
        return self._cards[question["card"]].delete_folder(path_of(question["path"]))

    def _offset(self, question: dict[str, Any]) -> Any:
        return self._cards[question["card"]].clock_offset_ms()

    def _set_clock(self, question: dict[str, Any]) -> Any:
        return self._cards[question["card"]].set_clock(datetime.fromisoformat(question["moment"]))

    def _close(self, question: dict[str, Any]) -> Any:
        self._cards.pop(question["card"]).close()
        return True


class StreamServer:
    """One open file: its bytes go into memory that the dock shares, and its boxes are looked at on
    the way.
    """

    def __init__(
        self, channel: socket.socket, memory: int, stream: FileStream, *, watched: bool
    ) -> None:
        self._channel = channel
        self._memory = memory
        self._stream = stream
        self._timeline = SegmentTimeline() if watched else None

    def serve(self) -> None:
        """Until the dock closes the file."""
        with (
            self._channel,
            closing(self._stream),
            mmap.mmap(self._memory, STREAM_BYTES) as shared,
            memoryview(shared) as view,
        ):
            os.close(self._memory)
            answer = b""
            # The dock lets go of a file whenever it likes, also while it is being answered.
            with contextlib.suppress(LineBrokenError, ConnectionError):
                while True:
                    self._channel.sendall(answer)
                    (wanted,) = WANTED.unpack(exactly(self._channel, WANTED.size))
                    answer = self._read(view[: min(wanted, STREAM_BYTES)])

    def _read(self, block: memoryview) -> bytes:
        """The next bytes into the block; the answer that says so."""
        try:
            count = self._stream.readinto(block)
        except CardError as failure:
            text = json.dumps(failure_words(failure)).encode("ascii")
            return GIVEN.pack(FAILED, len(text)) + text
        if count:
            if self._timeline is not None:
                self._timeline(block[:count])
            return GIVEN.pack(BYTES, count)
        text = FACTS.dump_json(self._timeline.facts()) if self._timeline is not None else b"null"
        return GIVEN.pack(END, len(text)) + text


class BusReporter:
    """Tells what stands on the USB: at once, whenever something came or left, and now and then, as
    long as looks come to an end.

    A bus over USB/IP lends each device to one process only. There this one also reads the cameras:
    a question brings a connection on which a thread then answers, as a reader of its own would.
    """

    def __init__(self, line: Line, watcher: UsbWatcher, clock: Clock) -> None:
        self._line = line
        self._watcher = watcher
        self._clock = clock

    def serve(self) -> None:
        """Until the dock hangs up."""
        threading.Thread(target=self._lodge, name="lodgers", daemon=True).start()
        changed = threading.Event()
        self._watcher.look()
        changed.set()
        self._watcher.start(changed.set)
        told_looks = 0
        while True:
            changed.wait(BEAT_S)
            changed.clear()
            if self._watcher.looks == told_looks:
                # Something on the bus does not let go of who looks at it. The dock hears that from
                # this silence.
                continue
            told_looks = self._watcher.looks
            devices = [device_words(device) for device in self._watcher.devices()]
            self._line.send({"devices": devices, "absent": self._watcher.absent})

    def _lodge(self) -> None:
        while True:
            question, descriptors = self._line.receive_message()
            line = Line(socket.socket(fileno=descriptors[0]))
            threading.Thread(
                target=self._answer,
                args=(line, frozen(question["key"])),
                name="lodger",
                daemon=True,
            ).start()

    def _answer(self, line: Line, key: Hashable) -> None:
        device = next((device for device in self._watcher.devices() if device.key == key), None)
        with contextlib.suppress(LineBrokenError):
            Worker(line, self._clock, _no_volume).answer(opener_of(device))
        line.close()


def opener_of(device: UsbDevice | None) -> Callable[[dict[str, Any]], Card]:
    """What opens the card of this device, where it still stands there."""

    def opened(question: dict[str, Any]) -> Card:  # noqa: ARG001
        if device is None:
            raise CardGoneError("The camera is no longer there.")
        return device.open()

    return opened


def _no_volume(root: Path) -> Card:
    raise CardGoneError(f"There is no card at {root} on a bus.")


def device_words(device: UsbDevice) -> list[Any]:
    return [device.key, device.bay, device.volume_id, device.refusal]


def confine(greeting: dict[str, Any]) -> None:
    """Shut this process off from every file but the system's and what it is to read; and from cores
    and endless memory.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    if not restrict(granted(greeting)):
        log.warning(
            "no Landlock",
            sentence="Only the unit's own walls stand around this reader: this "
            "kernel has no others.",
        )


def granted(greeting: dict[str, Any]) -> dict[Path, Rights]:
    """The files of a reader. Of a bus it lists what stands there (libusb does), and a camera's
    opens that one device.
    """
    # A prefix that is the root of all files would grant all of them.
    rights = {Path(path): Rights.READING for path in SYSTEM if len(Path(path).parts) > 1}
    rights |= {Path("/dev/null"): Rights.DEVICES, Path("/dev/urandom"): Rights.READING}
    match greeting:
        case {"place": "volume", "roots": [*roots]}:
            rights |= {Path(root): Rights.CARD for root in roots}
        case {"place": "usb", "key": [int(bus), _, int(address)]}:
            rights |= {
                USB_NODES: Rights.LISTING,
                USB_NODES / f"{bus:03d}" / f"{address:03d}": Rights.DEVICES,
            }
        case {"place": "bus"}:
            rights[USB_NODES] = Rights.LISTING
    return rights


def main(open_volume: OpenVolume | None = None) -> None:
    """Serve the connection at standard input."""
    clock = SystemClock()
    line = Line(socket.socket(fileno=os.dup(0)))
    try:
        greeting, descriptors = line.receive_message()
    except LineBrokenError:
        return
    close_all(descriptors)
    log_to_journal(greeting["log"])
    if greeting["place"] != "volume":
        find_libraries()
    confine(greeting)
    threading.excepthook = _died
    worker = Worker(line, clock, open_volume or (lambda root: MountedCard(root, clock)))
    threading.Thread(target=worker.serve, args=(greeting,), name="reader", daemon=True).start()
    hung_up = select.poll()
    hung_up.register(line.socket, select.POLLRDHUP)
    hung_up.poll()
    # Whatever a thread is stuck in: what it holds goes with the process.
    os._exit(0)


def _died(args: threading.ExceptHookArgs) -> None:
    """A thread ended by itself. That the dock hung up is the usual end; all else is a death, and
    the dock counts those.
    """
    if args.exc_type is LineBrokenError:
        os._exit(0)
    trace: TracebackType | None = args.exc_traceback
    log.error("reader died", exc_info=(args.exc_type, args.exc_value, trace))
    os._exit(DIED)
