"""A vault to test with: real files, real SQLite, cheap passphrases, and a clock that the test
moves.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.support.hand_clock import HandClock
from vault.config import VaultSettings
from vault.crypto.passphrase import PassphraseCost
from vault.custody.viewing.release import open_recording
from vault.intake.attempt import Attempt
from vault.intake.intake import Intake
from vault.keyring.first import Founders
from vault.operations.founding import found
from vault.recording import (
    ClockOffset,
    Origin,
    PrerollClaim,
    Receipt,
    RecordingClaim,
    SegmentClaim,
    TimelineVerdict,
    Wholeness,
)
from vault.rules.roles import ESCROW_HOLDERS, Function
from vault.storage.sealing import BytesSource
from vault.vault import Vault

CHEAP = PassphraseCost(memory_kib=64, iterations=1, lanes=1)
PASSPHRASES = {
    str(receiver): f"correct horse of {receiver}" for receiver in (*Function, *ESCROW_HOLDERS)
}
SERIAL = "BWC0042"
WHOLE = TimelineVerdict(Wholeness.WHOLE, 30_000, 60_000, True, ())


def settings_in(folder: Path, **changes: object) -> VaultSettings:
    return VaultSettings.model_validate(
        {"root": folder / "vault", "pins": folder / "pins.json", "reserve_mb": 1, "lanes": 2}
        | changes
    )


def founded(folder: Path, clock: HandClock, **changes: object) -> VaultSettings:
    settings = settings_in(folder, **changes)
    found(settings, clock, Founders.by_function(PASSPHRASES), CHEAP)
    return settings


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def claim_of(
    contents: Sequence[bytes], counter: int = 1, *, stated: bool = True, **changes: object
) -> RecordingClaim:
    """A recording of these segments; with `stated` False the camera states no digests (DCIM)."""
    name = f"{SERIAL}-{counter:06d}"
    manifest = f"manifest of {name}".encode() + b"".join(
        sha256(content).encode() for content in contents
    )
    segments = tuple(
        SegmentClaim(
            f"{at:04d}.mp4",
            len(content),
            sha256(content) if stated else None,
            at * 10_000,
            10_000,
            at < 3,
        )
        for at, content in enumerate(contents)
    )
    values: dict[str, object] = {
        "origin": Origin.MANIFEST if stated else Origin.DCIM,
        "camera_serial": SERIAL,
        "name": name,
        "identity": sha256(manifest),
        "segments": segments,
        "counter": counter,
        "officer": "boa-17",
        "stopped_utc": datetime(2026, 11, 23, 17, 0, tzinfo=UTC),
        "preroll": PrerollClaim(30_000, 30_000, None, False),
        "manifest": manifest if stated else None,
        "signature": b"S" * 64 if stated else None,
    }
    return RecordingClaim(**(values | changes))  # type: ignore[arg-type]


def docking_at(clock: HandClock, offset_ms: int | None = 0) -> ClockOffset:
    return ClockOffset(clock.now(), offset_ms, "card")


def received(
    intake: Intake, claim: RecordingClaim, contents: Sequence[bytes], clock: HandClock
) -> Attempt:
    attempt = intake.begin(claim, docking_at(clock))
    for at in attempt.missing():
        attempt.receive(at, BytesSource(contents[at]))
        if claim.segments[at].sha256 is None:
            attempt.confirm(at, BytesSource(contents[at]))
    return attempt


def stored(
    intake: Intake, claim: RecordingClaim, contents: Sequence[bytes], clock: HandClock
) -> Receipt:
    return received(intake, claim, contents, clock).commit(WHOLE)


def plaintexts(
    vault: Vault, recording_id: str, first: str = "CM", second: str = "GS"
) -> dict[str, bytes]:
    """Every file of a recording, opened by a pair."""
    unlocked = [
        vault.keyring.unlock(receiver, PASSPHRASES[receiver]) for receiver in (first, second)
    ]
    opened = open_recording(vault, recording_id, *unlocked, "test")
    return {
        part.sealed_name: b"".join(bytes(block) for block in opened.blocks(part))
        for part in opened.record.files
    }


def files_below(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
