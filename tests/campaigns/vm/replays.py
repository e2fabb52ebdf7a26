"""One life that nobody cut, as a cut at any of its moments would have left its disks.

What was written and flushed in the machine is laid out anew for each moment
(`VolatileDisk.as_cut_at`), and out here, with the same programs, put in order: `dockd once` with
the card as it was left, and a sweep. The machine itself restarts in `cuts.py`.
"""

import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.campaigns.vm.aftermath import unpacked
from tests.campaigns.vm.cuts import Ended, Ground, Life, clock
from tests.campaigns.vm.outside_world import Outside
from tests.campaigns.vm.simulator import files_below, vfat_content
from tests.campaigns.vm.volatile import VolatileDisk
from tests.support.hand_clock import HandClock
from tests.support.places import REPOSITORY
from vault.custody.retention.sweep import sweep
from vault.vault import Vault

ONCE_S = 300

DOCK = """\
vault = "{folder}/vault.toml"
usb_backend = "off"
status_socket = "{folder}/status.sock"
"""
VAULT = """\
root = "{root}"
pins = "{pins}"
reserve_mb = 1
lanes = 2
"""


def campaign(on: Ground, folder: Path, count: int, lives: int, lanes: int, seed: int) -> int:
    """`count` moments over so many lives. How many had violations."""
    violations = done = 0
    for life in range(lives):
        place = folder / f"told-{life}"
        place.mkdir()
        with Outside() as outside:
            lived = Life(on, place, outside)
            vault, card, power = lived.live(None)
            assert not lived.failures, lived.failures
            share = count // lives + (life < count % lives)
            chances = [random.Random(f"{seed}-{life}-{number}") for number in range(share)]
            moments = [
                1 + int((number + chance.random()) * power.count / share)
                for number, chance in enumerate(chances)
            ]

            media = (vault, card)

            def replay(
                number: int,
                chances: list[random.Random] = chances,
                moments: list[int] = moments,
                media: tuple[VolatileDisk, VolatileDisk] = media,
            ) -> Ended:
                return replayed(on, media, outside, folder, moments[number], chances[number])

            with ThreadPoolExecutor(lanes) as pool:
                for ended in pool.map(replay, range(share)):
                    done += 1
                    violations += bool(ended.violations)
                    print(
                        f"{done:4} of {count} replayed  life {life + 1}, {power.count} "
                        f"writes, cut at {ended.at:5}"
                        f"  {ended.seconds:5.1f} s  {ended.fate}",
                        *(f"\n     VIOLATION {line}" for line in ended.violations),
                        flush=True,
                    )
    print(f"{done} moments of {lives} lives laid out, {violations} with violations", flush=True)
    return violations


def replayed(
    on: Ground,
    disks: tuple[VolatileDisk, VolatileDisk],
    outside: Outside,
    folder: Path,
    at: int,
    chance: random.Random,
) -> Ended:
    """The disks as a cut at this moment would have left them: looked at, put in order, and looked
    at again.
    """
    began_s = clock.monotonic_s()
    vault, card = disks
    with tempfile.TemporaryDirectory(prefix="r-", dir=folder) as name:
        place = Path(name)
        fate = vault.as_cut_at(at, place / "vault.img", chance)
        card.as_cut_at(at, place / "card.img", chance)
        root = unpacked(place / "vault.img", place / "cut")
        left = vfat_content(place / "card.img")
        found = on.aftermath.at_the_cut(root, place / "vault.img", left)
        found += put_in_order(on, root, left, place)
        after = files_below(place / "card")
        found += on.aftermath.at_the_end(root, after, outside.notes(at), outside.shown(at))
    return Ended(at, fate, tuple(found), clock.monotonic_s() - began_s)


def put_in_order(on: Ground, root: Path, left: dict[str, bytes], place: Path) -> list[str]:
    """The next start, by the same programs: what was begun is finished, the card taken in and
    erased, what is due destroyed.
    """
    for path, content in left.items():
        (place / "card" / path).parent.mkdir(parents=True, exist_ok=True)
        (place / "card" / path).write_bytes(content)
    (place / "dockd.toml").write_text(DOCK.format(folder=place))
    (place / "vault.toml").write_text(VAULT.format(root=root, pins=on.archive.settings.pins))
    words = [
        sys.executable,
        "-m",
        "dockd",
        "once",
        str(place / "card"),
        "--config",
        str(place / "dockd.toml"),
    ]
    done = subprocess.run(
        words, cwd=REPOSITORY, capture_output=True, text=True, timeout=ONCE_S, check=False
    )
    # The next day: all that was due before the cut is due now.
    later = HandClock(datetime.now(UTC) + timedelta(hours=1), boot="after the cut")
    with Vault.open(on.archive.settings.model_copy(update={"root": root}), later) as vault:
        sweep(vault, later)
    return (
        [f"recovery: dockd ended with {done.returncode}: {done.stdout[-800:]}{done.stderr[-800:]}"]
        if done.returncode
        else []
    )
