"""Where things stand in the checkout."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SYSTEMD = REPOSITORY / "systemd"
UNIT_FILES = SYSTEMD / "units"
CONFIG = REPOSITORY / "config"
BAD_READERS = REPOSITORY / "tests" / "support" / "bad_readers"


def catalogue_of(root: Path) -> Path:
    """The file of a vault's catalogue, where its settings name no other."""
    return root / "catalogue" / "catalogue.db"
