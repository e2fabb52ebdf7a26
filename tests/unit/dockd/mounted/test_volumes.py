"""Mounts are noticed, whatever inotify says. Real mounts of tmpfs, as not every kernel has FAT;
which count is a setting.
"""

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dockd.card.contract import CardRefusedError
from dockd.config import DockSettings
from dockd.docking.approach import Approach
from dockd.mounted.volumes import MountWatcher, Volume
from dockd.reader.processes import Workers
from tests.support.places import REPOSITORY
from tests.support.real_mounts import ext4, mount, tmpfs, unmount
from vault.clock import SystemClock

WAIT_S = 10
"""How long a test waits before it calls something lost. What is awaited takes milliseconds."""


class Seen:
    """`on_change` for tests: looks at the volumes each time, and can be waited for."""

    def __init__(self, watcher: MountWatcher) -> None:
        self._watcher = watcher
        self._changed = threading.Condition()
        self.volumes: tuple[Volume, ...] = ()
        self.calls = 0

    def __call__(self) -> None:
        volumes = self._watcher.volumes()
        with self._changed:
            self.calls += 1
            self.volumes = volumes
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> float:
        """Seconds until it held."""
        began_s = time.monotonic()
        with self._changed:
            assert self._changed.wait_for(condition, WAIT_S)
        return time.monotonic() - began_s

    def bays(self) -> list[str]:
        return [volume.bay for volume in self.volumes]


@contextmanager
def watching(
    *roots: Path, watched_folder: Path | None = None, rescan_s: float = 600
) -> Iterator[Seen]:
    watcher = MountWatcher(
        roots, filesystems=("tmpfs",), watched_folder=watched_folder, rescan_s=rescan_s
    )
    seen = Seen(watcher)
    watcher.start(seen)
    try:
        seen.wait_for(lambda: seen.calls > 0)
        yield seen
    finally:
        watcher.stop()


def test_a_mount_is_noticed_and_described(tmp_path: Path) -> None:
    """Fault B1. Within the time of a poll, with no rescan due for minutes."""
    with watching(tmp_path) as seen:
        with tmpfs(tmp_path / "bay1"):
            waited_s = seen.wait_for(lambda: bool(seen.volumes))
            assert seen.volumes == (Volume(tmp_path / "bay1", "bay1", "VOL-bay1", "tmpfs", False),)
            assert waited_s < 5
        seen.wait_for(lambda: not seen.volumes)


@pytest.mark.parametrize("round_", range(5))
def test_a_mount_over_a_watched_folder_is_noticed(tmp_path: Path, round_: int) -> None:
    """Fault B1. inotify gives no event for the mount, nor for any file in it:
    only mountinfo tells.
    """
    bay = tmp_path / "bay1"
    bay.mkdir()
    with watching(tmp_path, watched_folder=bay) as seen:
        for _ in range(2):
            with tmpfs(bay):
                (bay / "DEVICE").mkdir()
                seen.wait_for(
                    lambda: tmp_path / "bay1" in [volume.mountpoint for volume in seen.volumes]
                )
            seen.wait_for(lambda: not seen.volumes)


def test_many_mounts_at_once_are_all_noticed(tmp_path: Path) -> None:
    """Fault B2. No queue that could overflow: each look is at everything."""
    with watching(tmp_path) as seen:
        mounted = [tmp_path / f"bay{index}" for index in range(20)]
        try:
            for place in mounted:
                place.mkdir()
                mount("-t", "tmpfs", "tmpfs", place)
            seen.wait_for(lambda: len(seen.volumes) == 20)
        finally:
            for place in mounted:
                unmount(place, lazily=True)
        seen.wait_for(lambda: not seen.volumes)


def test_a_mount_whose_device_is_gone_is_no_card(tmp_path: Path) -> None:
    """A card that was done with and pulled out stays mounted for a moment; it must not arrive anew
    as another one.
    """
    blocks, bay = tmp_path / "blocks", tmp_path / "cards" / "bay1"
    blocks.mkdir()
    with ext4(tmp_path / "card.img", bay):
        watcher = MountWatcher([bay.parent], filesystems=("ext4",), blocks=blocks)
        assert watcher.volumes() == ()
        device = bay.stat().st_dev
        (blocks / f"{os.major(device)}:{os.minor(device)}").touch()
        assert [volume.bay for volume in watcher.volumes()] == ["bay1"]
        assert [
            volume.bay for volume in MountWatcher([bay.parent], filesystems=("ext4",)).volumes()
        ] == ["bay1"]


def test_only_named_file_systems_below_named_roots_count(tmp_path: Path) -> None:
    """Fault B7. The default takes FAT and exFAT only; elsewhere nothing is looked at."""
    with (
        tmpfs(tmp_path / "roots" / "bay1"),
        tmpfs(tmp_path / "elsewhere"),
        tmpfs(tmp_path / "roots" / "a b\\c\n"),
    ):
        roots = [tmp_path / "roots"]
        assert MountWatcher(roots).volumes() == ()
        assert MountWatcher([tmp_path / "roots" / "bay1"], filesystems=("tmpfs",)).volumes() == ()
        found = MountWatcher(roots, filesystems=("tmpfs",)).volumes()
        assert [(volume.mountpoint.name, volume.bay) for volume in found] == [
            ("a b\\c\n", "a b\\x5cc\\x0a"),
            ("bay1", "bay1"),
        ]


def test_a_card_that_could_not_be_mounted_is_there_and_can_not_be_read(tmp_path: Path) -> None:
    """systemd/libexec/card-mount puts something in its place, so that its bay says so."""
    place = tmp_path / "card-1-2-0-1"
    place.mkdir()
    mount("-t", "tmpfs", "-o", "ro,size=4k", "unreadable-card", place)
    try:
        (volume,) = MountWatcher([tmp_path]).volumes()
    finally:
        unmount(place)
    settings = DockSettings(vault=tmp_path / "vault.toml")
    with pytest.raises(
        CardRefusedError,
        match="card-1-2-0-1 can't be mounted: its file system is damaged, or "
        "neither vfat nor exfat",
    ):
        Approach(settings, Workers(None), SystemClock()).volume(volume).open()


def test_a_read_only_mount_says_so(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "bay1", "ro"):
        (volume,) = MountWatcher([tmp_path], filesystems=("tmpfs",)).volumes()
        assert volume.read_only


def test_of_mounts_in_one_place_the_topmost_counts(tmp_path: Path) -> None:
    """A volume that another one hides can't be reached by its path; it is not offered under that
    path.
    """
    with tmpfs(tmp_path / "bay1", "size=1m"), tmpfs(tmp_path / "bay1", "size=2m"):
        (volume,) = MountWatcher([tmp_path], filesystems=("tmpfs",)).volumes()
        assert (
            os.statvfs(volume.mountpoint).f_blocks * os.statvfs(volume.mountpoint).f_frsize
            == 2 << 20
        )
    with tmpfs(tmp_path / "roots" / "bay1"), tmpfs(tmp_path / "roots"):
        (tmp_path / "roots" / "bay1").mkdir()
        assert MountWatcher([tmp_path / "roots"], filesystems=("tmpfs",)).volumes() == ()


def test_a_volume_is_named_by_its_identifier(tmp_path: Path) -> None:
    """By the device number behind the link, as udev makes it; a link that leads nowhere is passed
    over.
    """
    by_uuid = tmp_path / "by-uuid"
    by_uuid.mkdir()
    with tmpfs(tmp_path / "roots" / "bay1") as place:
        (by_uuid / "0000-0000").symlink_to(tmp_path / "nothing")
        os.mknod(tmp_path / "device", stat.S_IFBLK | 0o600, place.stat().st_dev)
        (by_uuid / "1A2B-3C4D").symlink_to(tmp_path / "device")
        (volume,) = MountWatcher(
            [tmp_path / "roots"], filesystems=("tmpfs",), by_uuid=by_uuid
        ).volumes()
        assert volume.volume_id == "VOL-1A2B-3C4D"
        assert volume.bay == "bay1"


def test_a_card_that_was_pulled_out_and_is_still_mounted_is_not_there(tmp_path: Path) -> None:
    """Its name at udev is gone first: under another name it would be a camera that arrived, and was
    taken too early.
    """
    blocks = tmp_path / "blocks"
    blocks.mkdir()
    with ext4(tmp_path / "card.img", tmp_path / "roots" / "bay1") as place:
        device = place.stat().st_dev
        entry = blocks / f"{os.major(device)}:{os.minor(device)}"
        entry.touch()
        watcher = MountWatcher([tmp_path / "roots"], filesystems=("ext4",), blocks=blocks)
        assert [volume.bay for volume in watcher.volumes()] == ["bay1"]
        entry.unlink()
        assert watcher.volumes() == ()


def test_sub_folders_of_the_watched_folder_are_cards(tmp_path: Path) -> None:
    """Links, files and hidden folders are none, and neither is a mount of another file system."""
    watched = tmp_path / "cards"
    (watched / "CAM1").mkdir(parents=True)
    (watched / ".hidden").mkdir()
    (watched / "file").touch()
    (watched / "link").symlink_to("/etc")
    watcher = MountWatcher([], watched_folder=watched)
    assert watcher.volumes() == (Volume(watched / "CAM1", "CAM1", "CAM1", "folder", False),)
    with tmpfs(watched / "CAM2"):
        assert [volume.bay for volume in watcher.volumes()] == ["CAM1"]
        assert [
            volume.filesystem
            for volume in MountWatcher([], filesystems=("tmpfs",), watched_folder=watched).volumes()
        ] == [
            "folder",
            "tmpfs",
        ]


def test_a_card_that_goes_while_it_is_looked_at_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault A1: it was in the folder's list, and is gone a moment later. The dock serves on."""
    (tmp_path / "stays").mkdir()
    listed = [tmp_path / "gone", tmp_path / "stays"]
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter(listed if folder == tmp_path else []))
    watcher = MountWatcher((), watched_folder=tmp_path)
    assert [volume.bay for volume in watcher.volumes()] == ["stays"]


def test_a_new_sub_folder_is_noticed_by_its_hint(tmp_path: Path) -> None:
    with watching(watched_folder=tmp_path) as seen:
        assert seen.bays() == []
        # The hint begins a moment after the watch does; each new folder is another chance, none
        # waits for the rescan.
        deadline_s = time.monotonic() + WAIT_S
        index = 0
        while seen.bays() == [] and time.monotonic() < deadline_s:
            (tmp_path / f"CAM{index}").mkdir()
            index += 1
            time.sleep(0.02)
        assert seen.bays() != []


def test_a_sub_folder_is_noticed_without_any_hint(tmp_path: Path) -> None:
    """Fault B2. The watched folder is not there when the watch begins, so that no hint ever comes:
    the rescan finds it.
    """
    watched = tmp_path / "cards"
    with watching(watched_folder=watched, rescan_s=0.05) as seen:
        (watched / "CAM1").mkdir(parents=True)
        seen.wait_for(lambda: seen.bays() == ["CAM1"])


def test_stop_ends_the_calls_and_does_not_wait_for_watchdog(tmp_path: Path) -> None:
    """Fault B3. The watched folder lies in a volume that is taken away while it is watched."""
    with tmpfs(tmp_path / "card") as place:
        (place / "cards").mkdir()
        with watching(watched_folder=place / "cards", rescan_s=0.05) as seen:
            unmount(place, lazily=True)
            began_s = time.monotonic()
        assert time.monotonic() - began_s < 5
        calls = seen.calls
        time.sleep(0.2)
        assert seen.calls == calls


def test_a_watcher_that_was_never_started_can_be_stopped(tmp_path: Path) -> None:
    MountWatcher([tmp_path]).stop()


def test_watching_does_not_leak(tmp_path: Path) -> None:
    """Fault G5. In a process of its own: threads and descriptors come back after each watch."""
    script = (
        "import os, sys, time, threading\n"
        "from pathlib import Path\n"
        "from dockd.mounted.volumes import MountWatcher\n"
        "def count(): return len(os.listdir('/proc/self/fd')), threading.active_count()\n"
        "def round_():\n"
        "    watcher = MountWatcher([], watched_folder=Path(sys.argv[1]))\n"
        "    called = threading.Event()\n"
        "    watcher.start(called.set)\n"
        "    called.wait(10)\n"
        "    watcher.stop()\n"
        "before = count()\n"
        "for _ in range(20): round_()\n"
        "deadline = time.monotonic() + 10\n"
        "while count() > before and time.monotonic() < deadline: time.sleep(0.05)\n"
        "assert count() <= before, (before, count())\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, tmp_path],
        check=True,
        cwd=REPOSITORY,
        timeout=60,
    )
