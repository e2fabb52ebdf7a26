"""The kinds of camera that the dock knows: what each says of itself, how its recordings are read,
and how their traces are known on a card.

A kind says nothing of the transport: each may stand in a card reader or on the USB.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from dockd.card import dcim, manifest
from dockd.card.chain import ChainEnd, chain_findings
from dockd.card.contract import Card, CardFile, CardReading, CardTrouble, shown
from dockd.card.description import CameraDescription
from dockd.card.device import device_trouble, read_device
from dockd.card.names import Path, folded
from vault.clock import Clock
from vault.recording import Camera, CameraKind, Receipt


@dataclass(frozen=True, slots=True)
class Inspection:
    """A registered camera's card, listed just now, and what a kind may ask for while it reads it.

    `chain_end` gives the newest recording of the camera that the vault owns.
    """

    card: Card
    files: Sequence[CardFile]
    camera: Camera
    chain_end: Callable[[], ChainEnd | None]
    chapters: re.Pattern[str] | None
    clock: Clock


class Kind(Protocol):
    """One kind of camera."""

    @property
    def kind(self) -> CameraKind:
        """The kind that a camera of this sort is registered with."""

    def describe(self, card: Card, files: Sequence[CardFile]) -> CameraDescription | None:
        """Read what the camera says of itself; None where the card is of another kind.

        Raises the card's errors, and ManifestRefusedError.
        """

    def read_recordings(self, inspection: Inspection) -> CardReading:
        """Read all recordings, each with its verdict, and what is to be said of them together."""

    def folder_of(self, receipt: Receipt) -> Path | None:
        """Name the folder that an erase of this recording may leave empty; None where there is
        none.
        """

    def traces_of(self, receipt: Receipt) -> Callable[[Path], bool]:
        """Give the test of whether a folded path may belong to this recording."""


class SignedManifests:
    """Cameras that follow CAMERA.md: `device.json`, and a signed manifest for each recording."""

    kind = CameraKind.MANIFEST

    def describe(self, card: Card, files: Sequence[CardFile]) -> CameraDescription | None:
        """As `Kind.describe`: `DEVICE/device.json`."""
        return read_device(card, files)

    def read_recordings(self, inspection: Inspection) -> CardReading:
        """As `Kind.read_recordings`: held against the registered key, and against the chain."""
        card, camera = inspection.card, inspection.camera
        reading = manifest.read_recordings(card, inspection.files, camera.serial, camera.public_key)
        claims = [recording.claim for recording in reading.recordings]
        claims += [remnant.recording.claim for remnant in reading.remnants]
        findings = chain_findings(claims, inspection.chain_end(), reading.refused, card.trouble)
        return replace(reading, findings=findings)

    def folder_of(self, receipt: Receipt) -> Path | None:
        """As `Kind.folder_of`."""
        return ("RECORDINGS", receipt.name)

    def traces_of(self, receipt: Receipt) -> Callable[[Path], bool]:
        """As `Kind.traces_of`: at, below or above the recording's folder."""
        folder = folded(("RECORDINGS", receipt.name))
        return lambda path: path[:2] == folder[: len(path)]


class PlainFiles:
    """DCIM cameras: files, and nothing said of them."""

    kind = CameraKind.DCIM

    def describe(self, card: Card, files: Sequence[CardFile]) -> CameraDescription | None:  # noqa: ARG002
        """As `Kind.describe`: every card may be one of these, and none says whose it is."""
        return CameraDescription()

    def read_recordings(self, inspection: Inspection) -> CardReading:
        """As `Kind.read_recordings`."""
        return dcim.read_recordings(
            inspection.card,
            inspection.files,
            inspection.camera.serial,
            inspection.chapters,
            inspection.clock,
        )

    def folder_of(self, receipt: Receipt) -> Path | None:  # noqa: ARG002
        """As `Kind.folder_of`: the camera's folders are its own affair."""
        return None

    def traces_of(self, receipt: Receipt) -> Callable[[Path], bool]:
        """As `Kind.traces_of`: a file of that name."""
        names = {segment.name.upper() for segment in receipt.segments}
        return lambda path: shown(path) in names


KINDS: Mapping[CameraKind, Kind] = {kind.kind: kind for kind in (SignedManifests(), PlainFiles())}
"""In the order in which a card is tried. The last one takes every card."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """A card's kind, and what its camera says of itself.

    `hidden` is set where another kind's description may stand where the listing could not look.
    """

    kind: Kind
    description: CameraDescription
    hidden: CardTrouble | None


def recognise(card: Card, files: Sequence[CardFile]) -> Recognised:
    """Recognise the kind of a card by its last listing.

    Raises the card's errors, and ManifestRefusedError.
    """
    descriptions = ((kind, kind.describe(card, files)) for kind in KINDS.values())
    kind, description = next(
        (kind, description) for kind, description in descriptions if description is not None
    )
    hidden = device_trouble(card) if description == CameraDescription() else None
    return Recognised(kind, description, hidden)
