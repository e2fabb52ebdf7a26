"""Recordings that fall due one after another while a campaign runs: the sweep has something to
destroy each time.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from tests.campaigns.vm.guest_station import Station
from tests.campaigns.vm.machine import Machine
from tests.campaigns.vm.stage import until
from tests.support.hand_clock import HandClock
from tests.support.vault_world import claim_of, docking_at, stored
from vault.catalogue import facts
from vault.custody.retention import sweep
from vault.intake.intake import Intake
from vault.rules.clock_guard import SEEN, read_seen, seen_text
from vault.rules.due import RETENTION, RUNNING
from vault.vault import Vault

APART = timedelta(seconds=60)
FOUNDED_BEFORE = timedelta(days=29)

SYNCED = (
    "import ctypes, struct; room = ctypes.create_string_buffer(512);"
    " struct.pack_into('I', room, 0, 0x10 | 0x04);"
    " assert ctypes.CDLL(None, use_errno=True).adjtimex(room) >= 0, ctypes.get_errno()"
)
"""What a time service tells the kernel (ADJ_STATUS without STA_UNSYNC, ADJ_MAXERROR 0): network
time keeps the clock.
"""


def aged_station(folder: Path, now: datetime, count: int) -> Station:
    """A station whose vault holds `count` recordings of four weeks ago, long marked: from `now` on
    one a minute falls due.
    """
    clock = HandClock(now - FOUNDED_BEFORE)
    station = Station(folder, founding=clock)
    with Vault.open(station.settings, clock) as vault:
        with Intake(vault) as intake:
            for number in range(1, count + 1):
                stopped = now - RETENTION + APART * number
                clock.pass_time((stopped + timedelta(minutes=1) - clock.now()).total_seconds())
                claim = claim_of(
                    [b"four weeks old" * 99],
                    number,
                    stopped_utc=stopped,
                    started_utc=None,
                    triggered_utc=None,
                )
                intake.docked(claim.camera_serial, docking_at(clock))
                stored(intake, claim, [b"four weeks old" * 99], clock)
        clock.pass_time((now - timedelta(hours=12) - clock.now()).total_seconds())
        swept = sweep.sweep(vault, clock)
        assert len(swept.marked) == count, swept
        with vault.writing() as tx:
            # Marked twelve hours ago, as far as clocks go; the rest of the day that the vault has
            # to run since is written down.
            seen = read_seen(facts.get_meta(tx, SEEN))
            assert seen is not None
            facts.set_meta(
                tx,
                SEEN,
                seen_text(replace(seen, running_s=seen.running_s + RUNNING.total_seconds())),
            )
    return station


def keep_time(machine: Machine) -> None:
    """As if network time kept the guest's clock, and everybody has been told so."""
    machine.must(f'python3 -c "{SYNCED}" && systemctl restart dock-clock')
    machine.must(until("grep -qs ' synced' /run/dock-clock/synced", 60), 60)
