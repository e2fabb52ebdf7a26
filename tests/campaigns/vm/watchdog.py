"""The watchdog's two sides: a slow camera is left alone, and a dock that hangs is started anew."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.campaigns.vm.card_reader import Stick, dcim_card
from tests.campaigns.vm.simulator import vfat_files
from tests.campaigns.vm.stage import HUNG_CAMERA, SLOW_CAMERA, Stage, mid_pull, until

WATCHDOG_S = 20
"""For the test; the unit's own is two minutes."""
BYTES_PER_S = 200_000
CLIP_BYTES = 2 << 20
PORT = 3
DROP_IN = "/run/systemd/system/dockd.service.d"
FIRED = "journalctl -b --no-pager -u dockd --after-cursor='{cursor}' | grep -q 'Watchdog timeout'"


def the_watchdog_leaves_a_slow_camera_alone(stage: Stage) -> str:
    """Its card takes more than twice the watchdog's time, and moves: no sign of
    life is withheld.
    """
    stick = Stick(stage.machine, PORT)
    image = dcim_card(stage.folder, SLOW_CAMERA, stage.clips_of(SLOW_CAMERA, 3, CLIP_BYTES))
    with watched(stage):
        before = stage.lives("dockd")
        stick.insert(image, BYTES_PER_S)
        stage.station.wait_bay(mid_pull(SLOW_CAMERA), 180)
        began_s = stage.clock.monotonic_s()
        stage.station.wait_phase(SLOW_CAMERA, "safe to take", 300)
        taken_in_s = stage.clock.monotonic_s() - began_s
        stick.pull()
        assert taken_in_s > 2 * WATCHDOG_S, f"it was not slow: {taken_in_s:.1f} s"
        assert stage.lives("dockd") == before, "dockd was started anew"
    assert vfat_files(image) == [], vfat_files(image)
    return f"pulled for {taken_in_s:.1f} s, the watchdog waits {WATCHDOG_S} s"


def the_watchdog_ends_a_hang(stage: Stage) -> str:
    """The vault's file system is frozen in mid-pull: a lane stands in the kernel while the main
    loop turns, and gives no sign.
    """
    machine, station = stage.machine, stage.station
    stick = Stick(machine, PORT)
    image = dcim_card(stage.folder, HUNG_CAMERA, stage.clips_of(HUNG_CAMERA, 3, CLIP_BYTES))
    with watched(stage):
        pid, restarts = stage.lives("dockd")
        stick.insert(image, BYTES_PER_S)
        station.wait_bay(mid_pull(HUNG_CAMERA), 180)
        cursor = machine.must("journalctl -b -n0 --show-cursor").rpartition("cursor: ")[2]
        machine.must("fsfreeze -f /var/lib/dock-vault")
        began_s = stage.clock.monotonic_s()
        try:
            answered = station.bays()
            machine.must(until(FIRED.format(cursor=cursor), 6 * WATCHDOG_S), 8 * WATCHDOG_S)
            fired_s = stage.clock.monotonic_s() - began_s
        finally:
            machine.must("fsfreeze -u /var/lib/dock-vault")
        assert any(bay["phase"] == "pulling" for bay in answered), answered
        risen = (
            f"test $(systemctl show -P NRestarts dockd) = {int(restarts) + 1} && systemctl -q "
            f"is-active dockd"
        )
        machine.must(until(risen, 240), 300)
        assert stage.lives("dockd")[0] != pid
        station.wait_phase(HUNG_CAMERA, "safe to take", 300)
        stick.pull()
    assert vfat_files(image) == [], vfat_files(image)
    return f"fired {fired_s:.1f} s after the hang began, the watchdog waits {WATCHDOG_S} s"


@contextmanager
def watched(stage: Stage) -> Iterator[None]:
    """dockd under a shorter watchdog."""
    setting = (
        f"mkdir -p {DROP_IN} && printf '[Service]\\nWatchdogSec={WATCHDOG_S}\\n' "
        f">{DROP_IN}/watchdog.conf"
    )
    stage.machine.must(f"{setting} && systemctl daemon-reload && systemctl restart dockd", 300)
    try:
        yield
    finally:
        stage.machine.must(
            f"rm -r {DROP_IN} && systemctl daemon-reload && systemctl restart dockd", 300
        )
