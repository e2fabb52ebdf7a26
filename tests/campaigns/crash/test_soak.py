"""A slice of the campaign."""

from pathlib import Path

from tests.campaigns.crash.soak import campaign


def test_a_dock_holds_nothing_more_after_many_cameras(tmp_path: Path) -> None:
    campaign(tmp_path, 40, warm=15)
