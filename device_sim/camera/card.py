"""The card: what is written in which order, so that power may fail at any byte, and what is put
right afterwards.

A recording is written so (the camera's memory holds the head before step 1, and the manifest's
digest before step 6):

1. its folder is made, `RECORDINGS` flushed; 2. `journal.jsonl` with the first line, flushed, folder
   flushed;
3. for each segment: the file, flushed, folder flushed; 4. its journal line, flushed: from here on
   it counts;
5. `recording.sig`, flushed, folder flushed; 6. `recording.json.tmp`, flushed, folder flushed; 7.
   renamed to `recording.json`, folder flushed: the recording is complete; 8. the journal removed,
   folder flushed.

So at every moment either the journal counts all whole segments, or a signed manifest does. What has
neither name is a piece of a segment that nobody was promised, and is swept away at the next start.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from device_sim.camera.manifest import Entry, Head, entry_line, read_journal
from device_sim.camera.medium import Medium

MANIFEST, SIGNATURE, JOURNAL = "recording.json", "recording.sig", "journal.jsonl"
CLUSTER_BYTES = 4096


class Card:
    """The tree of the camera contract below `root`."""

    def __init__(self, root: Path, medium: Medium) -> None:
        self.root = root
        self._medium = medium
        self._device = root / "DEVICE"
        self._recordings = root / "RECORDINGS"

    def format(self) -> None:
        """Make the folders of an empty card."""
        for folder in (self.root, self._device, self._recordings):
            self._medium.mkdir(folder)
            self._medium.sync(folder.parent)

    def write_device(self, document: dict[str, Any]) -> None:
        """Put `device.json` in place of the one before it, in one step."""
        data = json.dumps(document, indent=2, allow_nan=False).encode("ascii") + b"\n"
        self._publish(self._device / "device.json", data)

    def used_bytes(self) -> int:
        """Return what the files take up, in whole clusters. The dock may have erased some since the
        last look.
        """
        sizes = [path.stat().st_size for path in self.root.rglob("*") if path.is_file()]
        return sum(-(-size // CLUSTER_BYTES) * CLUSTER_BYTES for size in sizes)

    def names(self) -> list[str]:
        """Return the folders of recordings, closed or not, in order."""
        return sorted(path.name for path in self._recordings.iterdir() if path.is_dir())

    def begin(self, head: Head) -> None:
        """Steps 1 and 2. What they left unfinished at a power cut may be done again."""
        folder = self._make_folder(head.recording)
        journal = folder / JOURNAL
        self._medium.write(journal, head.journal_line())
        self._medium.sync(journal)
        self._medium.sync(folder)

    def add_segment(self, recording: str, data: bytes, entry: Entry) -> None:
        """Steps 3 and 4. `entry` describes `data`."""
        folder = self._recordings / recording
        segment = folder / entry.name
        self._medium.write(segment, data)
        self._medium.sync(segment)
        self._medium.sync(folder)
        self._medium.append(folder / JOURNAL, entry_line(entry))
        self._medium.sync(folder / JOURNAL)

    def close(self, recording: str, manifest: bytes, signature: bytes) -> None:
        """Steps 5 to 8. On a folder that a power cut left, it may be done again from the start."""
        folder = self._make_folder(recording)
        self._medium.write(folder / SIGNATURE, signature)
        self._medium.sync(folder / SIGNATURE)
        self._medium.sync(folder)
        self._publish(folder / MANIFEST, manifest)
        self.sweep(recording, keep=None)

    def manifest(self, recording: str) -> bytes | None:
        """Return the bytes of a closed recording's manifest, or None."""
        path = self._recordings / recording / MANIFEST
        return path.read_bytes() if path.exists() else None

    def journal(self, recording: str) -> list[Entry] | None:
        """Return the segments that count in a recording that is not closed, or None where no
        journal stands.
        """
        path = self._recordings / recording / JOURNAL
        return read_journal(path.read_bytes()) if path.exists() else None

    def holds(self, recording: str, entries: Sequence[Entry]) -> bool:
        """Whether every one of these segments is there by name."""
        return all((self._recordings / recording / entry.name).exists() for entry in entries)

    def sweep(self, recording: str, keep: Sequence[Entry] | None) -> None:
        """Remove what a power cut left over: temporary names, and segments that are not among
        `keep`.

        With `keep` None the recording is closed: its segments are left as the dock left them, and
        the journal goes.
        """
        folder = self._recordings / recording
        if not folder.is_dir():
            return
        kept = {entry.name for entry in keep or ()}
        for path in sorted(folder.iterdir()):
            is_stray = path.suffix == ".mp4" and keep is not None and path.name not in kept
            is_done = path.name == JOURNAL and keep is None
            if is_stray or is_done or path.suffix == ".tmp":
                self._medium.unlink(path)
        self._medium.sync(folder)

    def _make_folder(self, recording: str) -> Path:
        folder = self._recordings / recording
        self._medium.mkdir(folder)
        self._medium.sync(self._recordings)
        return folder

    def _publish(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(path.name + ".tmp")
        self._medium.write(temporary, data)
        self._medium.sync(temporary)
        self._medium.sync(path.parent)
        self._medium.rename(temporary, path)
        self._medium.sync(path.parent)


def entry_of(data: bytes, number: int, start_ms: int, duration_ms: int, preroll: bool) -> Entry:
    """What the journal says of segment `number` with these bytes."""
    return Entry(
        f"{number:04d}.mp4",
        len(data),
        hashlib.sha256(data).hexdigest(),
        start_ms,
        duration_ms,
        preroll,
    )
