"""What a camera does at its start with a recording that it began and never closed.

The memory knows the head (written before the card was touched) and, from the moment a manifest was
about to appear, its digest. So the counter never has a hole and the chain never breaks, whatever
the card still holds.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device_sim.camera.card import Card
from device_sim.camera.manifest import Head, Stop
from device_sim.camera.memory import Memory, State


def close_recording(
    card: Card, memory: Memory, state: State, key: Ed25519PrivateKey, stop: Stop
) -> State:
    """Sign and publish the manifest of the recording that `state` holds open, and give the state
    that follows, saved.

    May be interrupted anywhere and done again. Segments are those of the journal: what it does not
    count does not exist.
    """
    head = _open_head(state)
    manifest = head.manifest(card.journal(head.recording) or [], stop)
    digest = hashlib.sha256(manifest).hexdigest()
    state = state.closing(digest)
    memory.save(state)
    card.close(head.recording, manifest, key.sign(manifest))
    state = state.closed(digest)
    memory.save(state)
    return state


def recover(
    card: Card, memory: Memory, state: State, key: Ed25519PrivateKey
) -> tuple[State, Stop | None]:
    """Close what the last power cut left open. Gives the state that follows, and where a recovered
    recording stopped.
    """
    if state.open_head is None:
        return state, None
    head = state.open_head
    manifest = card.manifest(head.recording)
    entries = card.journal(head.recording)
    if manifest is not None:
        digest = hashlib.sha256(manifest).hexdigest()
    elif state.closing_sha256 is not None and (
        entries is None or not card.holds(head.recording, entries)
    ):
        # The journal outlives the manifest's appearance, and its segments do too: where they are
        # gone, the manifest stood, and the dock has taken and erased the recording while the camera
        # had no power.
        digest = state.closing_sha256
    else:
        if not entries:
            # Nobody knows whether the journal's name is durable, and what stands above leans on it.
            card.begin(head)
        stop = head.recovered(entries or [])
        card.sweep(head.recording, keep=entries or [])
        return close_recording(card, memory, state, key, stop), stop
    card.sweep(head.recording, keep=None)
    state = state.closed(digest)
    memory.save(state)
    return state, None


def _open_head(state: State) -> Head:
    if state.open_head is None:
        raise ValueError("no recording is open")
    return state.open_head
