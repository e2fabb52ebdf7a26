"""The dock is stopped while a card is read: in bounded time, and nothing is lost."""

from tests.campaigns.vm.card_reader import Stick, dcim_card
from tests.campaigns.vm.simulator import vfat_files
from tests.campaigns.vm.stage import STOPPED_CAMERA, Stage, mid_pull, until

BYTES_PER_S = 300_000
CLIP_BYTES = 2 << 20
PORT = 3
READERS_GONE = "! systemctl list-units --no-legend 'dock-reader@*' | grep -q ."


def a_stop_in_mid_pull_loses_nothing(stage: Stage) -> str:
    """dockd and the whole target are stopped and restarted, and at last all readers killed, each
    time while a card is read.
    """
    machine, station = stage.machine, stage.station
    stick = Stick(machine, PORT)
    image = dcim_card(stage.folder, STOPPED_CAMERA, stage.clips_of(STOPPED_CAMERA, 3, CLIP_BYTES))
    listed = sorted(vfat_files(image))
    limit_s = int(machine.must("systemctl show -P TimeoutStopUSec dockd").removesuffix("min")) * 60
    machine.must("systemctl start dock-vault.target dockd", 300)
    stick.insert(image, BYTES_PER_S)
    took: list[str] = []
    for words in ("stop dockd", "restart dockd", "stop dock-vault.target"):
        station.wait_bay(mid_pull(STOPPED_CAMERA), 180)
        pid = stage.lives("dockd")[0]
        began_s = stage.clock.monotonic_s()
        machine.must(
            f"systemctl {words} && " + until(f"! test -d /proc/{pid}", limit_s), 2 * limit_s
        )
        stopped_s = stage.clock.monotonic_s() - began_s
        assert stopped_s < limit_s, f"systemctl {words} took {stopped_s:.1f} s"
        assert machine.must("systemctl show -P Result dockd") == "success"
        if words.startswith("stop"):
            machine.must(until(READERS_GONE))
        assert sorted(vfat_files(image)) == listed, vfat_files(image)
        machine.must("systemctl start dock-vault.target dockd", 300)
        took.append(f"{words} {stopped_s:.1f} s")
    station.wait_bay(mid_pull(STOPPED_CAMERA), 180)
    before = stage.lives("dockd")
    machine.must("systemctl kill --signal=KILL 'dock-reader@*'")
    station.wait_phase(STOPPED_CAMERA, "safe to take", 300)
    assert stage.lives("dockd") == before, "dockd was started anew"
    stick.pull()
    assert vfat_files(image) == [], vfat_files(image)
    machine.must("systemctl stop vault-web dock-page", 120)
    return ", ".join(took)
