"""A slice of the campaign, with every transfer in it."""

from pathlib import Path

from tests.crash.unplug import campaign

POINTS = 535
MIN = 500


def test_pulled_out_at_every_transfer_and_within_many(tmp_path: Path) -> None:
    """Fault A1."""
    assert campaign(tmp_path, POINTS) >= MIN
