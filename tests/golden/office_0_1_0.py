# mypy: ignore-errors
# ruff: noqa
# Kept as it ran: it names modules of version 0.1.0, and later versions name theirs otherwise.
"""One vault under the program of version 0.1.0: its persons, its cameras, and days that pass."""

import hashlib
import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device_sim.camera import Camera
from device_sim.clock import ManualClock
from device_sim.profile import Profile
from vault import cases, reports, retention, viewing
from vault.ceremony import Founder, Founders
from vault.config import VaultSettings
from vault.founding import found
from vault.intake import Intake
from vault.jsonform import readable
from vault.keys import PassphraseCost
from vault.people import actor, sign_in
from vault.policy import CaseKind, Function, Purpose
from vault.recording import (
    Docking,
    Origin,
    PrerollClaim,
    RecordingClaim,
    SegmentClaim,
    TimelineVerdict,
    Wholeness,
)
from vault.store import BytesSource
from vault.vault import Vault
from vault.viewing import open_viewing

CHEAP = PassphraseCost(memory_kib=64, iterations=1, lanes=1)
ESCROW = {"ESCROW-A": "escrow code of ESCROW-A", "ESCROW-B": "escrow code of ESCROW-B"}
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
JOOST = Founder("Joost", "an officer for some weeks", officer="boa-19")
SIGNED, SPARE, HELMET = "BWC0042", "BWC0043", "HELMET_7"


@dataclass
class Clock:
    """A clock that only the office moves."""

    moment: datetime = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)
    ticks_s: float = 1000.0
    boot: str = "golden-boot"

    def now(self) -> datetime:
        return self.moment

    def monotonic_s(self) -> float:
        return self.ticks_s

    def since_boot_s(self) -> float:
        return self.ticks_s

    def boot_id(self) -> str:
        return self.boot

    def is_synced(self) -> bool:
        return True

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.ticks_s += seconds


def day(month: int, number: int, hour: int = 9, minute: int = 0) -> datetime:
    return datetime(2026, month, number, hour, minute, tzinfo=UTC)


class Office:
    """One vault with its persons, and a note of what was put into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.settings = VaultSettings(
            root=folder / "vault", pins=folder / "pins.json", reserve_mb=1, lanes=2
        )
        found(self.settings, self.clock, Founders(PEOPLE, ESCROW), CHEAP)
        (folder / "vault.toml").write_text(
            'root = "vault"\npins = "pins.json"\nreserve_mb = 1\nlanes = 2\n'
        )
        self.secrets = {one.name: one.passphrase for one in (*PEOPLE, JOOST)}
        self.keys = {serial: Ed25519PrivateKey.generate() for serial in (SIGNED, SPARE)}
        self.counters: Counter[str] = Counter()
        self.recordings: dict[str, str] = {}
        self.plain: dict[str, dict[str, str]] = {}
        self.cases: dict[str, str] = {}
        self.known: dict[str, str] = {}
        self.chance = Random(20260901)
        self.open()

    def open(self) -> None:
        self.vault = Vault.open(self.settings, self.clock)
        self.intake = Intake(self.vault)
        self.intake.recover()

    def close(self) -> None:
        self.intake.close()
        self.vault.close()

    def id(self, name: str) -> str:
        return self.vault.keyring.person(name).person

    def actor(self, name: str):
        return actor(self.vault, self.id(name))

    def signed(self, name: str):
        return sign_in(self.vault, name, self.secrets[name])

    def until(self, moment: datetime) -> None:
        """Days pass, with a sweep at each sixth hour."""
        while self.clock.now() < moment:
            next_sweep = self.clock.now().replace(minute=0, second=0) + timedelta(
                hours=6 - self.clock.now().hour % 6
            )
            self.clock.sleep((min(moment, next_sweep) - self.clock.now()).total_seconds())
            if self.clock.now() == next_sweep:
                retention.sweep(self.vault, self.clock)

    def content(self, size_bytes: int) -> bytes:
        return self.chance.randbytes(size_bytes)

    def segments(self, contents, stated: bool) -> tuple[SegmentClaim, ...]:
        return tuple(
            SegmentClaim(
                f"{at:04d}.mp4",
                len(content),
                hashlib.sha256(content).hexdigest() if stated else None,
                at * 10_000,
                10_000,
                at < 1,
            )
            for at, content in enumerate(contents)
        )

    def claim(self, serial: str, contents, stopped: datetime, **changes) -> RecordingClaim:
        """What a camera states of five minutes; the helmet states little and signs nothing."""
        stated = serial in self.keys
        self.counters[serial] += 1
        counter = self.counters[serial]
        digests = [
            {"name": f"{at:04d}.mp4", "sha256": hashlib.sha256(one).hexdigest()}
            for at, one in enumerate(contents)
        ]
        statement = readable({"counter": counter, "camera": serial, "segments": digests})
        values = {
            "origin": Origin.MANIFEST if stated else Origin.DCIM,
            "camera_serial": serial,
            "name": f"{serial}-{counter:06d}" if stated else f"DCIM/100MEDIA/CLIP{counter:04d}",
            "identity": hashlib.sha256(statement).hexdigest(),
            "segments": self.segments(contents, stated),
            "counter": counter if stated else None,
            "officer": "boa-17" if stated else None,
            "started_utc": stopped - timedelta(minutes=5),
            "triggered_utc": stopped - timedelta(minutes=4, seconds=30),
            "stopped_utc": stopped,
            "preroll": PrerollClaim(30_000, 30_000, None, False) if stated else None,
            "manifest": statement if stated else None,
            "signature": self.keys[serial].sign(statement) if stated else None,
        }
        return RecordingClaim(**(values | changes))

    def attempt(self, label: str, serial: str, contents, stopped: datetime, **changes):
        """All that comes before a commit."""
        docking = Docking(self.clock.now(), 0, "card")
        self.intake.docked(serial, docking)
        attempt = self.intake.begin(self.claim(serial, contents, stopped, **changes), docking)
        for at, content in enumerate(contents):
            attempt.receive(at, BytesSource(content))
            if attempt.claim.segments[at].sha256 is None:
                attempt.confirm(at, BytesSource(content))
        self.recordings[label] = attempt.recording_id
        self.plain[label] = {
            f"{at:04d}.sealed": hashlib.sha256(one).hexdigest() for at, one in enumerate(contents)
        }
        if attempt.claim.manifest is not None:
            whole = attempt.claim.signature + attempt.claim.manifest
            self.plain[label]["manifest.sealed"] = hashlib.sha256(whole).hexdigest()
        return attempt

    def record(
        self,
        label: str,
        serial: str = SIGNED,
        contents=None,
        stopped: datetime | None = None,
        **changes,
    ):
        """A recording that ended half an hour ago, and is docked now; returns its receipt."""
        shot = contents or (self.content(3000), self.content(1500))
        ended = stopped or self.clock.now() - timedelta(minutes=30)
        wholeness = Wholeness.WHOLE if serial in self.keys else Wholeness.NOT_STATED
        verdict = TimelineVerdict(
            wholeness, 30_000 if serial in self.keys else None, 300_000, True, ()
        )
        return self.attempt(label, serial, shot, ended, **changes).commit(verdict)

    def erase(self, receipt) -> None:
        self.intake.erased(self.intake.intend_erase(receipt))

    def case(
        self, kind: CaseKind, reference: str, *labels: str, text: str, by: str = "Petra"
    ) -> str:
        held = tuple(self.recordings[label] for label in labels)
        new = cases.NewCase(kind, reference, self.clock.now(), held, frozenset(), text)
        self.cases[reference] = cases.register(self.vault, self.actor(by), new)
        return self.cases[reference]

    def request(
        self, label: str, by: str, purpose: Purpose, recording: str, case: str | None = None
    ) -> str:
        grounds = self.cases[case] if case else None
        asked = [self.recordings[recording]]
        self.known[label] = viewing.request(
            self.vault, self.actor(by), purpose, asked, case=grounds, reason="dagrapport"
        )
        return self.known[label]

    def view(self, asked: str, first: str, second: str, *confirmed: str):
        return open_viewing(self.vault, asked, self.signed(first), self.signed(second), confirmed)

    def report(self, label: str, by: str, *labels: str, used: datetime | None = None) -> str:
        use = reports.UseReport(
            tuple(self.recordings[one] for one in labels),
            used or self.clock.now() - timedelta(hours=1),
            reports.Location.PUBLIC_SPACE if label != "at home" else reports.Location.HOME,
            "bedreigd bij een controle",
            "een man duwde de medewerker weg",
            label != "without recording",
            "hardop gezegd",
            True,
            "folder gegeven",
        )
        self.known[label] = reports.file_report(self.vault, self.actor(by), use)
        return self.known[label]


def footage() -> tuple[tuple[bytes, ...], tuple[SegmentClaim, ...]]:
    """A short recording of a simulated camera: real fragmented MP4."""
    with tempfile.TemporaryDirectory() as folder:
        profile = Profile(
            SIGNED, officer="boa-17", width=160, height=90, fps=2, gop_frames=2, audio=False
        )
        camera = Camera.create(
            Path(folder) / "camera", profile, ManualClock.at("2026-09-28T08:00:00.000Z")
        )
        camera.power_on()
        camera.standby(12.0)
        camera.switch_on()
        camera.run(8.0)
        camera.switch_off()
        written = next(iter(sorted((camera.card_folder / "RECORDINGS").iterdir())))
        stated = json.loads((written / "recording.json").read_bytes())["segments"]
        claims = tuple(
            SegmentClaim(
                one["name"],
                one["bytes"],
                one["sha256"],
                one["start_ms"],
                one["duration_ms"],
                one["preroll"],
            )
            for one in stated
        )
        return tuple((written / one["name"]).read_bytes() for one in stated), claims
