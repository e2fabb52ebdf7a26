"""The camera's internal memory: who it is, its private key, and what the card alone could not tell
after a power cut.

Two slots are written in turn, each with a rising number and a digest of its own. A power cut spoils
at most the slot that was being written, and no rename has to be atomic for it. The private key is
written once, when the camera is made.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device_sim.camera.manifest import Head, head_from_journal
from device_sim.camera.medium import Medium
from device_sim.camera.profile import Profile
from device_sim.errors import NotACameraError

KEY_NAME = "private.key"
SLOT_NAMES = ("state-0.json", "state-1.json")


@dataclass(frozen=True, slots=True)
class State:
    """What survives a power cut.

    `counter` is that of the last recording begun (0: none yet) and `previous_sha256` the digest of
    the last manifest closed. `open_head` is the recording that was begun and not yet closed;
    `closing_sha256` the digest of the manifest that was about to be published for it. `mono_ms` and
    `utc_ms` are the clocks when this was written. `card_at` is the folder that the card was put
    into, or None while it is in the camera. `clock_offset_ms` is how far its wall clock is ahead of
    the world's.
    """

    profile: Profile
    counter: int = 0
    previous_sha256: str | None = None
    open_head: Head | None = None
    closing_sha256: str | None = None
    mode: Literal["off", "docked"] = "off"
    card_at: str | None = None
    battery_percent: float = 100.0
    utc_ms: int = 0
    mono_ms: int = 0
    clock_offset_ms: int = 0

    def opened(self, head: Head) -> State:
        return replace(self, counter=head.counter, open_head=head, closing_sha256=None)

    def closing(self, manifest_sha256: str) -> State:
        return replace(self, closing_sha256=manifest_sha256)

    def closed(self, manifest_sha256: str) -> State:
        return replace(self, previous_sha256=manifest_sha256, open_head=None, closing_sha256=None)


class Memory:
    """The folder `internal/` of a camera."""

    def __init__(self, folder: Path, medium: Medium) -> None:
        self._folder = folder
        self._medium = medium

    def create(self, state: State) -> None:
        """Make the key and the first slot. A camera exists once the slot stands; until then this
        may be done again.
        """
        key = self._folder / KEY_NAME
        self._medium.mkdir(self._folder)
        self._folder.chmod(0o700)
        self._medium.write(key, Ed25519PrivateKey.generate().private_bytes_raw())
        key.chmod(0o600)
        self._medium.sync(key)
        self._medium.sync(self._folder)
        self._medium.sync(self._folder.parent)
        self.save(state)

    def exists(self) -> bool:
        """Whether a camera was made here, to the end."""
        return bool(self._slots())

    def key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes((self._folder / KEY_NAME).read_bytes())

    def load(self) -> State:
        """The newest whole slot. Raises NotACameraError."""
        slots = self._slots()
        if not slots:
            raise NotACameraError(
                f"{self._folder.parent} holds no camera.", "Make one with `device-sim create`."
            )
        return _state(slots[max(slots)])

    def save(self, state: State) -> None:
        """Durable on return."""
        number = max(self._slots(), default=0) + 1
        slot = self._folder / SLOT_NAMES[number % 2]
        is_new = not slot.exists()
        body = json.dumps({"number": number, **_document(state)}).encode("ascii")
        self._medium.write(
            slot, body + b"\n" + hashlib.sha256(body).hexdigest().encode("ascii") + b"\n"
        )
        self._medium.sync(slot)
        if is_new:
            self._medium.sync(self._folder)

    def _slots(self) -> dict[int, dict[str, Any]]:
        """The whole slots by their number."""
        slots = {}
        for name in SLOT_NAMES:
            try:
                body, digest, rest = (self._folder / name).read_bytes().split(b"\n")
            except (FileNotFoundError, ValueError):
                continue
            if rest == b"" and hashlib.sha256(body).hexdigest().encode("ascii") == digest:
                document = json.loads(body)
                slots[document.pop("number")] = document
        return slots


def _document(state: State) -> dict[str, Any]:
    head = state.open_head
    return {
        "profile": state.profile.to_json(),
        "counter": state.counter,
        "previous_sha256": state.previous_sha256,
        "open_head": json.loads(head.journal_line()) if head is not None else None,
        "closing_sha256": state.closing_sha256,
        "mode": state.mode,
        "card_at": state.card_at,
        "battery_percent": state.battery_percent,
        "utc_ms": state.utc_ms,
        "mono_ms": state.mono_ms,
        "clock_offset_ms": state.clock_offset_ms,
    }


def _state(document: dict[str, Any]) -> State:
    head = document.pop("open_head")
    profile = Profile(**document.pop("profile"))
    return State(
        profile=profile, open_head=head_from_journal(head) if head is not None else None, **document
    )
