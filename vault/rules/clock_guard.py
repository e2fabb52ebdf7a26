"""Whether the wall clock can be believed enough to delete by it (faults F1, F2; ruling 14; I7).
Pure.

What is kept between two looks is an *anchor*: a wall time that was believed, and beside it the
clock that counts from the start of the machine (`boot_s`, suspended time included). A step of the
wall moves one against the other, drift does not, so within one start of the machine the wall must
agree with the anchor to five minutes, and the anchor is not moved: small steps don't add up.

- Within one start: believed when it agrees, and is vouched for: by network time, or by two persons
  who compared the clock within the last week. A wall that jumped is believed by nobody's word but
  two persons', not even network time's: network time may be what lies.
- After a restart: believed when it is not before the anchor, not more than a month ahead of it, and
  network time vouches. A machine without network, or one that was off for longer, waits for two
  persons.
- Not believed, the anchor stays where it is: a clock that comes back to the truth is believed
  again.

A catalogue that was made anew has no anchor: then network time is not enough, and two persons
confirm the clock. The first anchor is set at the ceremony, where persons are.

What this can't see: network time that lies, within that month, across a restart. Then the list of
what falls due, the cap on one run and the day between mark and destruction are what stands. Apart
from all that, `running_s` counts the time that the vault ran, by the monotonic clock alone: no jump
of the wall makes it longer.
"""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

from vault.clock import MachineClock, utc_moment, utc_text

SEEN = "clock_seen"
"""Under which fact of the catalogue the guard keeps what it saw."""

TOLERANCE = timedelta(minutes=5)
"""How far the wall may be from the anchor within one start of the machine."""
VOUCHED = timedelta(days=7)
"""How long two persons' word for the clock holds (ruling 14)."""
OFF_AT_MOST = timedelta(days=31)
"""How far ahead of the anchor network time alone is believed after a restart."""
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Look:
    """The clocks at one moment.

    `monotonic_s` stands still while the machine is suspended, `boot_s` does not; both start anew
    with each `boot_id`. `synced`: whether network time vouches for the wall.
    """

    wall: datetime
    monotonic_s: float
    boot_s: float
    boot_id: str
    synced: bool


@dataclass(frozen=True, slots=True)
class Anchor:
    """A wall time that was believed. `confirmed_s`: `boot_s` when two persons last gave their word,
    None where they did not.
    """

    wall: datetime
    boot_s: float
    boot_id: str
    confirmed_s: float | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept from the last look."""

    anchor: Anchor | None
    boot_id: str
    monotonic_s: float
    running_s: float


@dataclass(frozen=True, slots=True)
class Trust:
    """Whether anything may expire now, why or why not in one sentence, and what to keep for the
    next look.
    """

    trusted: bool
    because: str
    seen: Seen


def judge(seen: Seen | None, look: Look) -> Trust:
    """Judge the wall clock at a look."""
    kept = _counted(seen, look)
    anchor = kept.anchor
    said = f"{look.wall:%Y-%m-%d %H:%M} UTC"
    if not EARLIEST <= look.wall < LATEST:
        return Trust(False, f"The clock says {said}, which can't be.", kept)
    if anchor is None:
        return Trust(
            False, "No two persons have confirmed the clock since this catalogue was made.", kept
        )
    if anchor.boot_id != look.boot_id:
        return _after_restart(kept, anchor, look, said)
    away = look.wall - (anchor.wall + timedelta(seconds=look.boot_s - anchor.boot_s))
    if abs(away) > TOLERANCE:
        return Trust(
            False, f"The clock jumped: it says {said}. Two persons have to confirm it.", kept
        )
    if look.synced:
        return Trust(True, "The clock runs as it should, and network time vouches for it.", kept)
    if (
        anchor.confirmed_s is not None
        and look.boot_s - anchor.confirmed_s <= VOUCHED.total_seconds()
    ):
        return Trust(
            True, "The clock runs as it should, and two persons confirmed it within a week.", kept
        )
    return Trust(
        False,
        "Nobody vouches for the clock: there is no network time, and no confirmation within a "
        "week.",
        kept,
    )


def confirm(seen: Seen | None, look: Look) -> Seen:
    """What is kept once two persons have compared the wall with another clock and
    found it right.
    """
    kept = _counted(seen, look)
    return replace(kept, anchor=Anchor(look.wall, look.boot_s, look.boot_id, look.boot_s))


def _after_restart(kept: Seen, anchor: Anchor, look: Look, said: str) -> Trust:
    if look.wall < anchor.wall - TOLERANCE:
        return Trust(
            False,
            f"Since the restart the clock says {said}, earlier than the last time believed.",
            kept,
        )
    if not look.synced:
        return Trust(
            False,
            "Since the restart nobody vouches for the clock: no network time, no confirmation.",
            kept,
        )
    if look.wall > anchor.wall + OFF_AT_MOST:
        return Trust(
            False,
            f"Since the restart the clock says {said}, over a month ahead. Two persons have "
            f"to confirm it.",
            kept,
        )
    return Trust(
        True, "Since the restart network time vouches for the clock.", _anchored(kept, look)
    )


def _counted(seen: Seen | None, look: Look) -> Seen:
    """The running time up to now: what the monotonic clock moved within one start
    of the machine.
    """
    if seen is None:
        return Seen(None, look.boot_id, look.monotonic_s, 0.0)
    ran_s = max(0.0, look.monotonic_s - seen.monotonic_s) if seen.boot_id == look.boot_id else 0.0
    return Seen(seen.anchor, look.boot_id, look.monotonic_s, seen.running_s + ran_s)


def _anchored(kept: Seen, look: Look) -> Seen:
    return replace(kept, anchor=Anchor(look.wall, look.boot_s, look.boot_id, None))


def look_at(clock: MachineClock) -> Look:
    """The clocks now."""
    return Look(
        clock.now(), clock.monotonic_s(), clock.since_boot_s(), clock.boot_id(), clock.is_synced()
    )


def seen_text(seen: Seen) -> str:
    """What is kept, as text."""
    values = asdict(seen)
    if seen.anchor is not None:
        values["anchor"]["wall"] = utc_text(seen.anchor.wall)
    return json.dumps(values)


def read_seen(text: str | None) -> Seen | None:
    """What `seen_text` wrote; None where nothing was kept."""
    if text is None:
        return None
    values = json.loads(text)
    anchor = values["anchor"]
    if anchor is not None:
        anchor = Anchor(
            utc_moment(anchor["wall"]), anchor["boot_s"], anchor["boot_id"], anchor["confirmed_s"]
        )
    return Seen(anchor, values["boot_id"], values["monotonic_s"], values["running_s"])
