"""A camera of the campaigns: worn again and again for a few seconds, each time its card is another
image for a reader.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaigns.vm.simulator import Worn, files_below, vfat_card

SHIFT = "standby 4 s\non\n3 s\noff\nstandby 4 s\non\n3 s\noff\n"
CARD_MIB = 8
MARK_BYTES = 32


@dataclass
class Card:
    """What one shift left on the card: `files` by path."""

    serial: str
    image: Path
    files: dict[str, bytes]

    @property
    def recordings(self) -> dict[str, dict[str, bytes]]:
        """Recording to its segments in order."""
        found: dict[str, dict[str, bytes]] = {}
        for path in sorted(path for path in self.files if path.endswith(".mp4")):
            _, recording, name = path.split("/")
            found.setdefault(recording, {})[name] = self.files[path]
        return found

    @property
    def markers(self) -> tuple[bytes, ...]:
        """Stretches of the footage that stand nowhere by chance."""
        return tuple(
            content[len(content) // 2 :][:MARK_BYTES]
            for path, content in self.files.items()
            if path.endswith(".mp4")
        )


@dataclass
class Wearer:
    """One camera, and its cards in the order in which they were worn."""

    folder: Path
    serial: str
    worn: Worn = field(init=False)

    def __post_init__(self) -> None:
        self.worn = Worn(self.folder / self.serial, self.serial, 160, 120)

    def wear(self, image: Path, script: str = SHIFT) -> Card:
        """A shift, with a card that was empty before."""
        root = self.worn.folder / "card"
        for old in (root / "RECORDINGS").iterdir():
            shutil.rmtree(old)
        self.worn.wear(script)
        image.unlink(missing_ok=True)
        vfat_card(root, image, f"CA4D{self.serial[-4:]}", CARD_MIB)
        return Card(self.serial, image, files_below(root))
