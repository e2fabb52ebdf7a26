"""`make power-cuts` and `make yanks`: what is lost when the power goes, or a card, on a docking PC
at work.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.campaigns.vm import cuts, replays, yanks
from tests.campaigns.vm.__main__ import CACHE
from tests.campaigns.vm.guest import Guest
from vault.clock import SystemClock


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.vm.losses", description=__doc__
    )
    parser.add_argument("--cuts", type=int, default=0)
    parser.add_argument(
        "--replays", type=int, default=0, help="cuts that are laid out from lives that nobody cut"
    )
    parser.add_argument("--lives", type=int, default=5, help="so many lives for them")
    parser.add_argument("--yanks", type=int, default=0)
    parser.add_argument("--lanes", type=int, default=1, help="cores to work on")
    parser.add_argument(
        "--real", type=int, default=10, help="every so many recoveries boot for real"
    )
    parser.add_argument(
        "--again", type=int, default=0, help="how often the recovery from a cut is cut as well"
    )
    parser.add_argument(
        "--after", type=int, default=0, help="so many lives were cut before, by the same seed"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    clock = SystemClock()
    began_s = clock.monotonic_s()
    violations = 0
    with tempfile.TemporaryDirectory(prefix="loss-") as name:
        folder = Path(name)
        on, wearer = cuts.ground(Guest.cached(CACHE), folder)
        print(f"the docking PC stands after {clock.monotonic_s() - began_s:.1f} s", flush=True)
        if options.replays:
            violations += replays.campaign(
                on, folder, options.replays, options.lives, options.lanes, options.seed
            )
        if options.yanks:
            violations += yanks.campaign(on, wearer, folder, options.yanks, options.seed)
        if options.cuts:
            # A machine has two processors; two machines that share two cores take longer than one
            # after the other.
            wanted = cuts.Options(
                options.cuts,
                max(1, options.lanes // 2),
                options.seed,
                options.real,
                options.after,
                options.again,
            )
            violations += cuts.campaign(on, folder, wanted)
    print(f"{violations} with violations, {clock.monotonic_s() - began_s:.0f} s in all")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
