"""A slice of the campaign, every tenth moment; others with another CRASH_SEED. All of them: `python
-m tests.campaigns.crash.unplug`.
"""

from pathlib import Path

from tests.campaigns.crash.unplug import campaign

POINTS = 136
MIN = 125


def test_pulled_out_at_transfers_and_within_them(tmp_path: Path) -> None:
    """Fault A1."""
    assert campaign(tmp_path, POINTS) >= MIN
