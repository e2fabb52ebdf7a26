"""What an administrator looks at when a camera is not taken in, and what to do about each. Nothing
is opened or changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dockd.card.contract import CardError
from dockd.config import DockSettings
from dockd.display.status import StatusRefusedError, ask_status
from dockd.mounted.volumes import MountWatcher
from dockd.reader.bus import RemoteBus
from dockd.reader.processes import WorkerAbsentError, Workers
from dockd.reader.remote_card import CameraWorker
from dockd.usb.bus import libusb_version
from vault.clock import SystemClock
from vault.service_units import DOCK, RUNTIME, ask_units, judge_unit

ANSWER_S = 20.0
RULES = ("72-dock-vault-cameras.rules", "85-dock-vault-cards.rules")
RULE_FOLDERS = (Path("/etc/udev/rules.d"), Path("/usr/lib/udev/rules.d"), Path("/lib/udev/rules.d"))
_NO_BUS = (
    "Install dbus, by which others than root may ask it, or look as root with `systemctl "
    "status 'dock*'`."
)
UDEV = Path("/run/udev/control")
"""The socket of a udev that runs; libudev looks for it as well."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at. `advice` is empty where all is well."""

    what: str
    sentence: str
    advice: str = ""


def examine(settings: DockSettings) -> Iterator[Line]:
    """Every line, as it is found."""
    workers = Workers(settings.reader_socket, log_level="error")
    clock = SystemClock()
    yield _worker(CameraWorker(workers, {"place": "volume", "roots": []}, clock, answer_s=ANSWER_S))
    yield from _usb(settings, RemoteBus(workers, settings.usb_backend, clock))
    if settings.usb_backend == "libusb":
        yield _libusb(libusb_version())
        yield _udev(RULE_FOLDERS, UDEV)
    yield _cards(settings)
    yield _door(settings)
    yield from _units(RUNTIME)
    yield _daemon(settings)


def _worker(worker: CameraWorker) -> Line:
    """A connection says nothing: the service manager accepts it, and then starts what it can."""
    try:
        worker.greet()
    except CardError as failure:
        return Line("reader", f"None answers. {failure.sentence}", WorkerAbsentError.hint)
    finally:
        worker.end()
    return Line("reader", "One can be started.")


def _usb(settings: DockSettings, bus: RemoteBus) -> Iterator[Line]:
    if settings.usb_backend == "off":
        yield Line("usb", "It is left alone (`usb_backend`).")
        return
    try:
        bus.look()
    except CardError as failure:
        yield Line("usb", failure.sentence, failure.hint)
        return
    finally:
        bus.stop()
    if bus.absent:
        yield Line(
            "usb",
            f"There is none: {bus.absent}.",
            "Install libusb-1.0-0, and look with `lsusb` whether the machine has a USB.",
        )
        return
    refused = [device for device in bus.devices() if device.refusal is not None]
    cameras = len(bus.devices()) - len(refused)
    advice = "Take out what is no camera." if refused else ""
    yield Line(
        "usb",
        " ".join([f"{cameras} cameras stand there.", *(str(device.refusal) for device in refused)]),
        advice,
    )


def _libusb(version: str | None) -> Line:
    if version is None:
        return Line(
            "libusb",
            "It is not found: no camera on the USB can be read.",
            "Run `apt-get install libusb-1.0-0`.",
        )
    return Line("libusb", f"Version {version}.")


def _udev(rule_folders: tuple[Path, ...], control: Path) -> Line:
    missing = [
        name for name in RULES if not any((folder / name).exists() for folder in rule_folders)
    ]
    if missing:
        advice = (
            "Install the package anew: without it nobody but root may open cameras, and no card "
            "is shown."
        )
        return Line(
            "udev",
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed.",
            advice,
        )
    if not control.exists():
        return Line(
            "udev",
            "It does not run, so no camera and no card is given to the dock.",
            "Run `systemctl start systemd-udevd`.",
        )
    return Line("udev", "It runs, with the rules for cameras and cards.")


def _units(runtime: Path) -> Iterator[Line]:
    if not runtime.is_dir():
        yield Line("units", "No service manager here: whoever started the dock looks after it.")
        return
    units = ask_units(DOCK, runtime)
    if units is None:
        yield Line("units", "systemd does not say how they are.", _NO_BUS)
        return
    troubles = [(unit, found) for unit in units if (found := judge_unit(unit)) is not None]
    for unit, trouble in troubles:
        yield Line(f"unit {unit.name}", trouble.sentence, trouble.advice)
    yield Line("units", f"{len(units) - len(troubles)} of {len(units)} are as they should be.")


def _cards(settings: DockSettings) -> Line:
    watcher = MountWatcher(
        settings.mount_roots,
        filesystems=settings.filesystems,
        watched_folder=settings.watched_folder,
    )
    if settings.watched_folder is not None and not settings.watched_folder.is_dir():
        return Line(
            "cards",
            f"There is no folder {settings.watched_folder}.",
            "Make it, or name another one (`watched_folder`).",
        )
    return Line("cards", f"{len(watcher.volumes())} cards stand there.")


def _door(settings: DockSettings) -> Line:
    if settings.erase_socket is None:
        return Line("erase", "Cards are erased where they are mounted.")
    if not settings.erase_socket.is_socket():
        return Line(
            "erase",
            f"{settings.erase_socket} is not there: no card can be erased.",
            "Run `systemctl start dock-erase.socket`.",
        )
    return Line("erase", "Cards are shown for writing only while they are erased.")


def _daemon(settings: DockSettings) -> Line:
    try:
        bays = ask_status(settings.status_socket)["bays"]
    except StatusRefusedError as failure:
        return Line("dockd", failure.sentence, "Look with `systemctl status dockd`.")
    return Line("dockd", f"It serves {len(bays)} bays.")
