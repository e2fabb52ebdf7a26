"""Times as people type them, and as a table shows them: the municipality's own."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click

ZONE = ZoneInfo("Europe/Amsterdam")


def moment(typed: str) -> datetime:
    """A time as a person types it: `2026-11-24 18:05` or `2026-11-24` in the municipality's own
    time, or RFC 3339 with a Z.
    """
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d"):
        try:
            return datetime.strptime(typed, form).replace(tzinfo=ZONE).astimezone(UTC)
        except ValueError:
            continue
    try:
        found = datetime.fromisoformat(typed)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise click.BadParameter(f"{typed!r} is no time: type it as 2026-11-24 18:05.")
    return found.astimezone(UTC)


def local(utc: str | None) -> str:
    """A stored time as a table shows it, in the municipality's own time."""
    if utc is None:
        return ""
    return datetime.fromisoformat(utc).astimezone(ZONE).strftime("%Y-%m-%d %H:%M")
