"""The chain of a camera's recordings: each manifest names the one before it, so a recording that is
missing shows.
"""

from collections.abc import Sequence
from typing import Protocol

from dockd.card.contract import CardTrouble, RefusedRecording
from dockd.card.manifest import FOLDER_NAME
from dockd.card.names import ascii_upper_path
from vault.recording import RecordingClaim

_COUNTER_DIGITS = 6


class ChainEnd(Protocol):
    """The newest recording of a camera that the vault owns."""

    @property
    def counter(self) -> int: ...

    @property
    def identity(self) -> str: ...


def chain_findings(
    claims: Sequence[RecordingClaim],
    end: ChainEnd | None,
    refused: Sequence[RefusedRecording] = (),
    trouble: Sequence[CardTrouble] = (),
) -> tuple[str, ...]:
    """Say what is wrong with the chain, in sentences; empty when each recording follows the one
    before.

    `claims` are all of the card, held ones and remnants too; `end` is the newest that the vault
    owns. A recording that was refused stands on the card, so it is not called missing; nor is one
    that may stand where the listing could not look.
    """
    seen = {claim.counter: claim for claim in claims if claim.counter is not None}
    identities = {end.counter: end.identity} if end is not None else {}
    identities |= {counter: claim.identity for counter, claim in seen.items()}
    left_out = _left_out_recordings(trouble)
    complete = all(len(path) > 1 for path in left_out)
    on_card = _counters(refused, left_out)
    before = end.counter if end is not None else 0
    findings = _held_differs(seen, end)
    for counter in sorted(seen):
        if complete and counter > before:
            findings += _missing(before + 1, counter, on_card)
        before = max(before, counter)
        findings += _break(counter, seen[counter], identities.get(counter - 1))
    return tuple(findings)


def _left_out_recordings(trouble: Sequence[CardTrouble]) -> list[tuple[str, ...]]:
    """List where the listing could not look and a recording may stand."""
    paths = (ascii_upper_path(entry.path) for entry in trouble)
    return [path for path in paths if path[:1] in ((), ("RECORDINGS",))]


def _counters(refused: Sequence[RefusedRecording], left_out: list[tuple[str, ...]]) -> set[int]:
    """Collect the counters of recordings that stand on the card without a claim."""
    names = [entry.name for entry in refused] + [path[1] for path in left_out if len(path) > 1]
    return {int(name[-_COUNTER_DIGITS:]) for name in names if FOLDER_NAME.fullmatch(name)}


def _held_differs(seen: dict[int, RecordingClaim], end: ChainEnd | None) -> list[str]:
    """Compare the newest recording that the vault holds with the camera's of that number."""
    if end is None or end.counter not in seen or seen[end.counter].identity == end.identity:
        return []
    return [
        f"Recording {end.counter} on the camera is not the recording {end.counter} that the "
        f"vault holds."
    ]


def _break(counter: int, claim: RecordingClaim, predecessor: str | None) -> list[str]:
    """Compare what a recording says of the one before it with what is known of that one."""
    if predecessor is None or claim.previous_sha256 == predecessor:
        return []
    return [
        f"Recording {counter} does not follow recording {counter - 1}: it names another content "
        f"of it."
    ]


def _missing(first: int, beyond: int, on_card: set[int]) -> list[str]:
    """One sentence for each run of counters in `first <= counter < beyond` that stands nowhere."""
    findings: list[str] = []
    start = first
    for stop in [*sorted(counter for counter in on_card if first <= counter < beyond), beyond]:
        if stop - start == 1:
            findings.append(
                f"Recording {start} is missing: neither the vault nor the camera holds it."
            )
        elif stop > start:
            findings.append(
                f"Recordings {start} to {stop - 1} are missing: neither the vault nor the "
                f"camera holds them."
            )
        start = stop + 1
    return findings
