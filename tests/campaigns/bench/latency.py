"""`python -m tests.campaigns.bench latency`: from the mount of a card to the first block of its
first segment in dockd's hands.

`dockd run` serves an empty place; a card's image is mounted there, and the kernel (inotify) tells
of the first reading of a segment. Nothing in dockd knows that it is measured.
"""

import ctypes
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from rich.console import Console

from dockd.display.status import StatusRefusedError, ask_status
from tests.campaigns.bench.disk import folder_on_disk, forget_cache
from tests.campaigns.bench.footage import SERIAL
from tests.campaigns.bench.ground import DOCKD, Ground, made_ground
from tests.campaigns.bench.process import CommandFailed, measured
from tests.campaigns.bench.speed import GIB, MIB

LATENCY_MAX_S = 1.0
CARD_MIB = 60
PATIENCE_S = 30.0
_IN_ACCESS = 0x1
_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


def latency(console: Console, parent: Path, times: int) -> bool:
    """Measure, print, and say whether the target is reached."""
    if os.geteuid() != 0 or not (shutil.which("mkfs.vfat") or shutil.which("mkfs.ext4")):
        console.print(
            "[yellow]Left out: it takes root to mount a card, and mkfs.vfat or mkfs.ext4 to "
            "make one."
        )
        return True
    filesystem = "vfat" if shutil.which("mkfs.vfat") and _mountable("vfat") else "ext4"
    found = []
    with folder_on_disk(parent, GIB) as folder:
        image = _card_image(folder, filesystem)
        for _ in range(times):
            found.append(_measured_once(folder, image, filesystem))
            console.print(f"mount to first byte: {found[-1] * 1000:.0f} ms")
    reached = median(found) < LATENCY_MAX_S
    word = "[green]reached" if reached else "[bold red]missed"
    console.print(
        f"{word}[/]: median {median(found) * 1000:.0f} ms on {filesystem} "
        f"({min(found) * 1000:.0f} to {max(found) * 1000:.0f}), "
        f"under {LATENCY_MAX_S * 1000:.0f} ms"
    )
    return reached


def _measured_once(folder: Path, image: Path, filesystem: str) -> float:
    """Each time a new mount, into an empty vault: dockd would know the recordings of a card that it
    has read before.
    """
    ground = Ground(folder / "empty").copied(folder / "dock")
    root = folder / "cards"
    ground.write_settings(mount_roots=[str(root)], filesystems=[filesystem])
    place = root / "bay1"
    place.mkdir(parents=True)
    try:
        with _loop_device(image) as device, daemon(ground, folder / "dockd.log"):
            forget_cache(folder)
            return _mount_to_first_byte(device, place, filesystem)
    finally:
        shutil.rmtree(ground.folder)
        shutil.rmtree(root)


def _mount_to_first_byte(device: str, place: Path, filesystem: str) -> float:
    began_s = time.monotonic()
    _mount(device, place, filesystem)
    try:
        with watched(place / "RECORDINGS") as watch:
            return first_read(watch, began_s, PATIENCE_S)
    finally:
        _unmount(place)


@contextmanager
def watched(recordings: Path) -> Iterator[int]:
    """A descriptor that tells what is read in these folders from now on (inotify(7))."""
    watch = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        for recording in recordings.iterdir():
            _check(
                _libc.inotify_add_watch(watch, os.fsencode(recording), _IN_ACCESS),
                "inotify_add_watch",
            )
        yield watch
    finally:
        os.close(watch)


def first_read(watch: int, began_s: float, patience_s: float) -> float:
    """Seconds from `began_s` until a segment was read. Raises CommandFailed."""
    while (left_s := began_s + patience_s - time.monotonic()) > 0:
        select.select([watch], [], [], left_s)
        at_s = time.monotonic()
        if any(name.endswith(".mp4") for name in _accessed(watch)):
            return at_s - began_s
    raise CommandFailed(f"dockd read no segment within {patience_s:g} s.")


def _accessed(watch: int) -> Iterator[str]:
    """The names in the events that wait (inotify(7))."""
    try:
        events = os.read(watch, 65536)
    except BlockingIOError:
        return
    at = 0
    while at < len(events):
        length = _EVENT.unpack_from(events, at)[3]
        yield events[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0").decode()
        at += _EVENT.size + length


def _card_image(folder: Path, filesystem: str) -> Path:
    """A file that holds a file system with a card, and a dock that knows the camera."""
    card, image, place = folder / "card", folder / "card.img", folder / "making"
    subprocess.run(
        [sys.executable, "-m", "tests.campaigns.bench.footage", str(card), str(CARD_MIB * MIB)],
        check=True,
    )
    made_ground(folder / "empty", (SERIAL, "--card", str(card)))
    image.write_bytes(b"")
    os.truncate(image, 2 * CARD_MIB * MIB)
    quiet = ("-F",) if filesystem == "ext4" else ("-F", "32")
    measured((f"mkfs.{filesystem}", *quiet, str(image)), {}, folder / "told.log")
    place.mkdir()
    with _loop_device(image) as device:
        _mount(device, place, filesystem)
        try:
            shutil.copytree(card, place, dirs_exist_ok=True)
        finally:
            _unmount(place)
    shutil.rmtree(card)
    return image


@contextmanager
def _loop_device(image: Path) -> Iterator[str]:
    made = subprocess.run(
        ["losetup", "--find", "--show", str(image)], check=True, capture_output=True, text=True
    )
    device = made.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


@contextmanager
def daemon(ground: Ground, told: Path) -> Iterator[None]:
    """`dockd run`, from its first answer on the status socket until it has stopped."""
    with told.open("wb") as sink:
        process = subprocess.Popen(
            (*DOCKD, "run", "--config", str(ground.settings)), stdout=sink, stderr=sink
        )
    try:
        until_s = time.monotonic() + PATIENCE_S
        while not _answers(ground):
            if process.poll() is not None or time.monotonic() > until_s:
                raise CommandFailed(
                    f"dockd did not start:\n{told.read_text(errors='replace')[-2000:]}"
                )
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _answers(ground: Ground) -> bool:
    try:
        return bool(ask_status(ground.folder / "status.sock"))
    except StatusRefusedError:
        return False


def _mountable(filesystem: str) -> bool:
    return any(
        line.split()[-1] == filesystem
        for line in Path("/proc/filesystems").read_text().splitlines()
    )


def _mount(device: str, place: Path, filesystem: str) -> None:
    _check(
        _libc.mount(device.encode(), os.fsencode(place), filesystem.encode(), 0, None),
        f"mounting {filesystem}",
    )


def _unmount(place: Path) -> None:
    """Lazily: dockd may have a file of it open still, and lets go by itself once it sees that the
    mount is gone.
    """
    detach = 2
    _check(_libc.umount2(os.fsencode(place), detach), "unmounting")


def _check(answer: int, doing: str) -> None:
    if answer < 0:
        raise CommandFailed(f"{doing}: {os.strerror(ctypes.get_errno())}")
