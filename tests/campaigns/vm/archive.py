"""A vault with a past, for the guest to go on with: recordings that fall due now, one that a case
holds, and viewings that wait.

Its forty days pass by the hand clock, out here, before the guest gets it; its last looks at the
clock are of today.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.film import film
from tests.support.hand_clock import HandClock
from tests.support.office import Office, office
from vault.config import VaultSettings
from vault.custody import cameras
from vault.custody.cases import NewCase, register
from vault.custody.retention.clock_confirmation import look_at_clock
from vault.custody.retention.sweep import sweep
from vault.custody.viewing.viewing_requests import request
from vault.recording import SegmentClaim
from vault.rules.case_kinds import CaseKind
from vault.rules.purposes import PURPOSES, Purpose

DUE = 6
VIEWINGS = 2
FIRST, SECOND = "Carel", "Geert"
"""Cluster manager and secretary: the pair of a complaint (P46)."""
CONDITIONS = tuple(one.code for one in PURPOSES[Purpose.COMPLAINT].conditions)
FOUNDED_DAYS = 40
RESTARTED_DAYS = 12
"""A restart within the month, so that today is not too far from the last time that was believed."""


@dataclass(frozen=True)
class Archive:
    """What stands in the vault when the guest gets it. `plain`: recording id to its files' bytes,
    in order.
    """

    settings: VaultSettings
    secrets: dict[str, str]
    due: tuple[str, ...]
    held: str
    watched: str
    viewings: tuple[str, ...]
    plain: dict[str, list[bytes]]

    @property
    def kept(self) -> tuple[str, ...]:
        """What no sweep may touch."""
        return (self.held, self.watched)


def archive(folder: Path, enrolled: dict[str, str]) -> Archive:
    """Make one in `folder`; it falls due ten minutes before now. `enrolled`: cameras by serial,
    with their public keys.
    """
    now = datetime.now(UTC)
    root = folder / "vault-disk" / "vault"
    root.parent.mkdir()
    with office(
        folder, clock=HandClock(now - timedelta(days=FOUNDED_DAYS)), lanes=2, root=root
    ) as here:
        for serial, public_key in enrolled.items():
            with here.vault.writing() as tx:
                cameras.register(
                    tx, here.vault.log, here.clock, (serial, public_key, "simulated"), "test"
                )
        stopped = now - timedelta(days=28, minutes=10)
        _go_on(here, stopped + timedelta(hours=1))
        old = [
            here.record(contents=(b"due %d" % at * 900, b"due too" * 700), stopped=stopped)
            for at in range(DUE + 1)
        ]
        _go_on(here, now - timedelta(days=RESTARTED_DAYS))
        _restart(here)
        watched = _filmed(here)
        case = NewCase(CaseKind.COMPLAINT, "K-1", here.clock.now(), (old[-1], watched))
        held = register(here.vault, here.actor("Petra"), case)
        viewings = tuple(
            request(
                here.vault, here.actor(FIRST), Purpose.COMPLAINT, [watched], case=held, reason=""
            )
            for _ in range(VIEWINGS)
        )
        # Marked a day before, and the vault has been running since: the next sweep destroys.
        _go_on(here, now - timedelta(hours=24, minutes=5))
        assert len(sweep(here.vault, here.clock).marked) == DUE
        _go_on(here, now - timedelta(minutes=1))
        assert look_at_clock(here.vault, here.clock).trusted
        return Archive(
            here.settings,
            dict(here.secrets),
            tuple(old[:-1]),
            old[-1],
            watched,
            viewings,
            dict(here.plain),
        )


def _go_on(here: Office, moment: datetime) -> None:
    here.clock.pass_time((moment - here.clock.now()).total_seconds())


def _restart(here: Office) -> None:
    here.clock.boot = f"boot of {here.clock.now()}"
    look_at_clock(here.vault, here.clock)


def _filmed(here: Office) -> str:
    """A recording that a player plays."""
    shot = film()
    stated: Any = shot.statement["segments"]
    segments = tuple(
        SegmentClaim(
            one["name"],
            one["bytes"],
            one["sha256"],
            one["start_ms"],
            one["duration_ms"],
            one["preroll"],
        )
        for one in stated
    )
    return here.record(contents=shot.segments, segments=segments)
