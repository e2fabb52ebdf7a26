"""A municipality's office to test custody with: named persons, a vault, recordings of their
cameras, and days that pass.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.hand_clock import HandClock
from tests.support.vault_world import CHEAP, claim_of, settings_in
from vault.clock import utc_moment
from vault.config import VaultSettings
from vault.crypto.canonical_json import parse_object, readable, to_base64
from vault.custody import cameras
from vault.custody.people import Signed, actor, sign_in
from vault.custody.retention.sweep import Swept, sweep
from vault.intake.intake import Intake
from vault.keyring.first import Founders
from vault.keyring.seats import Founder
from vault.operations.founding import found
from vault.recording import ClockOffset, PrerollClaim, TimelineVerdict, Wholeness
from vault.rules.actions import Actor
from vault.rules.roles import ESCROW_HOLDERS, Function
from vault.storage.sealing import BytesSource
from vault.storage.store import Store
from vault.vault import Vault

ESCROW = {holder: f"escrow code of {holder}" for holder in ESCROW_HOLDERS}
PEOPLE = (
    Founder("Bea", "the coordinator's own", Function.COORDINATOR),
    Founder("Carel", "the manager's own words", Function.CLUSTER_MANAGER),
    Founder("Petra", "the privacy officer's", Function.PRIVACY_OFFICER),
    Founder("Geert", "the secretary's own", Function.SECRETARY),
    Founder("Vera", "the safety coordinator's", Function.SAFETY_COORDINATOR),
    Founder("Mo", "an officer on the street", officer="boa-17"),
    Founder("Nel", "another one on the street", officer="boa-18"),
    Founder("Tim", "administrator of one PC", administrator=True),
)
CAMERA = "BWC0042"


@dataclass
class Office:
    """One vault, opened; every person's passphrase at hand."""

    settings: VaultSettings
    clock: HandClock
    vault: Vault
    intake: Intake
    secrets: dict[str, str]
    camera_key: Ed25519PrivateKey
    counter: int = 0
    plain: dict[str, list[bytes]] = field(default_factory=dict)

    def id(self, name: str) -> str:
        return self.vault.keyring.person(name).person

    def actor(self, name: str) -> Actor:
        return actor(self.vault, self.id(name))

    def signed(self, name: str) -> Signed:
        return sign_in(self.vault, name, self.secrets[name])

    def days(self, days: float) -> None:
        self.clock.pass_time(days * 86400)

    def record(
        self,
        officer: str | None = "boa-17",
        contents: Sequence[bytes] = (b"one" * 50, b"two" * 70),
        **changes: Any,
    ) -> str:
        """A recording of five minutes that ended an hour ago, docked now; returns its id."""
        self.counter += 1
        now = self.clock.now()
        stopped = changes.pop("stopped", now - timedelta(hours=1))
        self.intake.docked(CAMERA, ClockOffset(stopped - timedelta(hours=8), 0, "card"))
        digests = [hashlib.sha256(content).hexdigest() for content in contents]
        segments = [
            {"name": f"{at:04d}.mp4", "sha256": digest} for at, digest in enumerate(digests)
        ]
        statement = readable({"counter": self.counter, "segments": segments})
        claim = claim_of(
            contents,
            self.counter,
            officer=officer,
            manifest=statement,
            signature=self.camera_key.sign(statement),
            identity=hashlib.sha256(statement).hexdigest(),
            started_utc=stopped - timedelta(minutes=5),
            triggered_utc=stopped - timedelta(minutes=4, seconds=30),
            stopped_utc=stopped,
            preroll=PrerollClaim(30_000, 30_000, None, False),
            **changes,
        )
        docking = ClockOffset(now, 0, "card")
        self.intake.docked(CAMERA, docking)
        attempt = self.intake.begin(claim, docking)
        for at, content in enumerate(contents):
            attempt.receive(at, BytesSource(content))
        receipt = attempt.commit(TimelineVerdict(Wholeness.WHOLE, 30_000, 300_000, True, ()))
        self.plain[receipt.recording_id] = list(contents)
        return receipt.recording_id

    def hours(self, count: int) -> list[Swept]:
        """Hours that pass, each with its sweep."""
        done = []
        for _ in range(count):
            self.clock.pass_time(3600)
            done.append(sweep(self.vault, self.clock))
        return done

    def entries(self) -> list[dict[str, Any]]:
        """The log, told by its register."""
        return [parse_object(line) for line in self.vault.log.lines()]

    def told(self, *actions: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries() if entry["action"] in actions]

    def stands(self, recording_id: str) -> bool:
        return any(folder.recording_id == recording_id for folder in self.vault.store.recordings())

    def reopen(self) -> None:
        """As a new process would: everything in memory is gone."""
        self.intake.close()
        self.vault.close()
        self.vault = Vault.open(self.settings, self.clock)
        self.intake = Intake(self.vault)
        self.intake.recover()

    def gone_by(self, recording_id: str) -> str | None:
        """When it was destroyed, by the log."""
        found = [
            entry["details"]["destroyed_utc"]
            for entry in self.told("recording.destroyed")
            if entry["subject"] == recording_id
        ]
        return found[0] if found else None

    def age_days(self, recording_id: str) -> float:
        """How old it was at its destruction, from its stop."""
        gone = self.gone_by(recording_id)
        assert gone is not None
        stored = next(
            entry for entry in self.told("recording.stored") if entry["subject"] == recording_id
        )
        return (utc_moment(gone) - utc_moment(stored["time_utc"])).total_seconds() / 86400 + 1 / 24


@contextmanager
def office(
    folder: Path,
    people: Sequence[Founder] = PEOPLE,
    *,
    clock: HandClock | None = None,
    engine: Callable[[VaultSettings, str], Store] | None = None,
    **changes: object,
) -> Iterator[Office]:
    """A founded vault with its camera registered. `engine` makes its store, of the vault's id."""
    clock = clock or HandClock()
    settings = settings_in(folder, **changes)
    vault_id = found(settings, clock, Founders(tuple(people), ESCROW), CHEAP)
    vault = Vault.open(settings, clock, engine(settings, vault_id) if engine else None)
    camera_key = Ed25519PrivateKey.generate()
    with vault.writing() as tx:
        public = to_base64(camera_key.public_key().public_bytes_raw())
        cameras.register(tx, vault.log, clock, (CAMERA, public, "simulated"), "test")
    opened = Office(
        settings,
        clock,
        vault,
        Intake(vault),
        {one.name: one.passphrase for one in people},
        camera_key,
    )
    try:
        yield opened
    finally:
        opened.intake.close()
        opened.vault.close()
