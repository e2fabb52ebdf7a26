# mypy: ignore-errors
# ruff: noqa
# Kept as it ran: it names modules of version 0.1.0, and later versions name theirs otherwise.
"""Makes the golden vault: `python -m tests.golden.make_vault_0_1_0 FOLDER`.

It runs under the program of version 0.1.0 alone, whose catalogue has the schema 0002. It writes
`vault-0.1.0.tar.gz` and `vault-0.1.0.json` into FOLDER. The two beside this file were made by it
once, and are kept: a vault of that version opens under every later one. Clock and contents are
fixed. Keys and ids are drawn anew at each run, so another run gives other bytes.
"""

import gzip
import io
import json
import sys
import tarfile
import tempfile
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pyrage
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.webauthn import AttestedCredentialData

from tests.golden.office_0_1_0 import (
    CHEAP,
    ESCROW,
    HELMET,
    JOOST,
    SIGNED,
    SPARE,
    Office,
    day,
    footage,
)
from vault import (
    cameras,
    cases,
    catalogue,
    handover,
    keyholders,
    people,
    registers,
    reports,
    retention,
    securitykeys,
    viewing,
    witness,
)
from vault.backup import back_up
from vault.ceremony import Appoint, Enrol, Leave, device_lock, with_security_keys
from vault.clock import utc_moment, utc_text
from vault.confirmation import confirm
from vault.drill import drill
from vault.errors import WrongPassphrase
from vault.figures import accountability, figures
from vault.jsonform import parse_object, to_base64
from vault.keyring_form import SecurityKeyForm
from vault.people import sign_in
from vault.policy import CaseKind, Function, Purpose, Role, officer_receiver
from vault.rebuild import rebuild
from vault.recording import (
    Docking,
    TimelineVerdict,
    Wholeness,
)
from vault.store import read_small
from vault.vault import Vault
from vault.verify import verify, verify_daily
from vault.viewing import Span

NAME = "vault-0.1.0"
WORDS = {
    "ended_absence": "griep met koorts (merkwoord koortsvlinder)",
    "absence": "operatie aan de knie (merkwoord knieschaduw)",
    "deletion": "opgenomen in de kleedkamer van Sanne (merkwoord wisvlinder)",
}
"""Free texts that name persons or their health, each with a word that stands nowhere else."""
LOCATION, NOBODY_ELSE, NO_COPY, APPRAISAL = "location", "nobody_else", "no_copy", "not_appraisal"
OUT_OF_REACH = "witness.note"


class Life(Office):
    """Forty days of one vault, and what is to be known of them later."""

    def first_days(self) -> None:
        """Cameras, persons, and recordings that are gone at the end."""
        with self.vault.writing() as tx:
            for serial, key in self.keys.items():
                public = to_base64(key.public_key().public_bytes_raw())
                cameras.register(
                    tx,
                    self.vault.log,
                    self.clock,
                    (serial, public, "Borstcamera 4"),
                    self.id("Bea"),
                )
            cameras.register(
                tx, self.vault.log, self.clock, (HELMET, "", "Helmcamera"), self.id("Bea")
            )
        reports.assign(self.vault, self.actor("Bea"), SIGNED, "Mo")
        reports.assign(self.vault, self.actor("Bea"), HELMET, "Nel")
        self.security_key("Petra")
        with suppress(WrongPassphrase):
            sign_in(self.vault, "Geert", "not the secretary's own")
        pair = self.signed("Carel"), self.signed("Petra")
        keyholders.change(self.vault, [Enrol(JOOST)], *pair, [], CHEAP)
        long_ago = Docking(day(7, 20, 6), 0, "card")
        self.intake.docked(SPARE, long_ago)
        self.until(day(9, 1, 10))
        self.record("late", SPARE, stopped=day(7, 20, 12))
        self.erase(self.record("swept"))
        self.report("of a destroyed one", "Mo", "swept")
        self.until(day(9, 1, 11))
        self.record("lifted")
        self.until(day(9, 3, 20, 30))
        self.record("deleted")
        self.record("held")
        cases.name_present(self.vault, self.actor("Bea"), self.recordings["held"], "Nel", "on_it")
        self.until(day(9, 5))
        self.case(CaseKind.COMPLAINT, "K-2026-1", "lifted", text="een klacht over de toon")
        self.case(
            CaseKind.POLICE_REPORT, "PL-2026-100", "held", text="mishandeling van een medewerker"
        )
        self.until(day(9, 8))
        with self.vault.writing() as tx:
            cameras.remove(tx, self.vault.log, self.clock, SPARE, self.id("Bea"))
        self.intake.note(SPARE, "camera.refused", "The camera BWC0043 is not registered.")
        for action in (
            "camera.finding",
            "camera.alarm",
            "recording.refused",
            "recording.failed",
            "erase.stopped",
        ):
            self.intake.note(HELMET, action, "Two clips bear one number.")

    def middle(self) -> None:
        """A deletion by hand, an absence, reports, the demand."""
        self.until(day(9, 10))
        deleted = self.recordings["deleted"]
        retention.delete(
            self.vault, self.actor("Carel"), self.actor("Petra"), deleted, WORDS["deletion"]
        )
        self.until(day(9, 12, 15, 30))
        self.record("claimed")
        self.until(day(9, 12, 18, 30))
        self.record("due", officer="boa-99")
        self.until(day(9, 13, 20, 30))
        begun = self.intake.intend_erase(self.record("next", officer=None))
        self.intake.erase_failed(begun, "The camera still shows two files.")
        self.until(day(9, 14))
        vault = self.vault
        week = self.clock.now(), self.clock.now() + timedelta(days=7)
        away = people.record_absence(
            vault,
            self.actor("Geert"),
            Role.COORDINATOR,
            "Bea",
            "Carel",
            week,
            WORDS["ended_absence"],
        )
        self.known["ended absence"] = away
        self.until(day(9, 15))
        reports.receive(
            vault,
            self.actor("Carel"),
            self.report("of two", "Mo", "due", "next", used=day(9, 12, 18)),
        )
        self.report("without recording", "Mo")
        self.until(day(9, 18))
        people.end_absence(vault, self.actor("Geert"), away)
        self.until(day(9, 20))
        self.record("demanded")
        cases.name_present(
            vault, self.actor("Bea"), self.recordings["demanded"], "Vera", "concerned"
        )
        self.case(CaseKind.DEMAND, "OM-2026-77", "demanded", text="een vordering na een overval")
        self.until(day(9, 25))
        self.record("dcim", HELMET)
        self.report("at home", "Nel", "dcim")
        reports.take_back(vault, self.actor("Bea"), HELMET)
        cases.archive(vault, self.actor("Carel"), self.recordings["dcim"])

    def shown(self) -> None:
        """Real footage, and who looked at it."""
        vault = self.vault
        self.until(day(9, 27))
        pair = self.signed("Carel"), self.signed("Petra")
        edit = Appoint(self.id("Vera"), Function.PRIVACY_OFFICER, standing=True)
        keyholders.change(vault, [edit], *pair, [self.signed("Vera").identity], CHEAP)
        self.until(day(9, 28))
        contents, segments = footage()
        self.erase(self.record("shown", contents=contents, segments=segments))
        reports.receive(vault, self.actor("Bea"), self.report("of what was shown", "Mo", "shown"))
        self.case(CaseKind.COMPLAINT, "K-2026-2", "shown", text="een klacht over een duw")
        asked = self.request("ended", "Carel", Purpose.COMPLAINT, "shown", "K-2026-2")
        try:
            self.view(asked, "Carel", "Geert")
        except viewing.ViewingRefused:
            self.known["denied once"] = asked
        with self.view(asked, "Carel", "Geert", LOCATION, NOBODY_ELSE, NO_COPY) as session:
            session.show(Span(self.recordings["shown"], "0000.sealed", 0, 1000))
        self.until(day(9, 29))
        learning = self.request("learned", "Mo", Purpose.LEARNING, "shown")
        viewing.approve(vault, self.actor("Bea"), learning)
        with self.view(learning, "Mo", "Bea", LOCATION, NOBODY_ELSE, NO_COPY, APPRAISAL) as session:
            session.show(Span(self.recordings["shown"], "0001.sealed", 0, 500))
        refused = self.request("refused", "Mo", Purpose.LEARNING, "held")
        viewing.refuse(vault, self.actor("Bea"), refused, "de aangifte loopt nog")
        self.until(day(9, 30))
        self.joins_later()
        self.handed_over()

    def joins_later(self) -> None:
        """A pair that joined later, and its wish to learn, agreed to and not viewed yet."""
        asked = self.request(
            "of the police report", "Petra", Purpose.POLICE_REPORT, "held", "PL-2026-100"
        )
        with self.view(asked, "Petra", "Vera", LOCATION, NOBODY_ELSE) as session:
            session.admit(self.recordings["held"], (officer_receiver(self.id("Nel")), "BC"))
        wish = self.request("to be learned", "Nel", Purpose.LEARNING, "held")
        viewing.approve(self.vault, self.actor("Bea"), wish)

    def handed_over(self) -> None:
        asked = self.request("of the demand", "Petra", Purpose.DEMAND, "demanded", "OM-2026-77")
        key = str(pyrage.x25519.Identity.generate().to_public())
        with tempfile.TemporaryDirectory() as outside:
            order = handover.Order("Politie Oost-Brabant", key, "gemeente Heusden", Path(outside))
            with self.view(asked, "Petra", "Carel", LOCATION, NOBODY_ELSE) as session:
                made = handover.hand_over(self.vault, session, order)
        self.known["hand-over"] = made.id
        self.clock.sleep(3600)
        handover.receive(self.vault, self.actor("Petra"), made.id, "J. de Vries", self.clock.now())

    def an_access_request(self) -> None:
        """Refused, objected to, final; and the complaint that held a recording ends."""
        vault, petra = self.vault, self.actor("Petra")
        wanted = self.case(
            CaseKind.ACCESS_REQUEST, "INZ-2026-1", "shown", text="A. Jansen wil zichzelf zien"
        )
        self.until(day(10, 1))
        reasons = "een ander is herkenbaar in beeld"
        cases.decide(
            vault, petra, wanted, granted=False, necessity="niet gebleken", reasons=reasons
        )
        cases.carry_out(vault, petra, wanted)
        self.until(day(10, 2, 10))
        cases.close(vault, self.actor("Carel"), self.cases["K-2026-1"], reference="brief 2026/311")
        cases.register_objection(
            vault,
            self.actor("Carel"),
            wanted,
            self.clock.now(),
            "A. Jansen is het er niet mee eens",
        )
        self.until(day(10, 4))
        self.unproven()

    def unproven(self) -> None:
        """A process that ended between the folder and its row."""
        contents = (self.content(4000),)
        attempt = self.attempt(
            "unproven", SIGNED, contents, self.clock.now() - timedelta(minutes=30)
        )
        verdict = TimelineVerdict(Wholeness.WHOLE, 30_000, 300_000, True, ())
        record = attempt._record(verdict, attempt._sealed_manifest())
        self.vault.store.write_record(attempt._folder, record.content())
        self.intake._open_attempts.clear()
        self.close()
        self.open()

    def a_rebuild(self) -> None:
        """The catalogue made anew, the clock and the rows confirmed, another log key, a leaver."""
        self.until(day(10, 5))
        self.close()
        rebuild(self.settings, self.clock)
        self.open()
        pair = self.actor("Carel"), self.actor("Petra")
        retention.look_at_clock(self.vault, self.clock)
        confirm(self.vault, *pair)
        retention.confirm_clock(self.vault, self.clock, *pair)
        retention.look_at_clock(self.vault, self.clock)
        self.until(day(10, 6))
        cases.decide_objection(
            self.vault,
            self.actor("Carel"),
            self.cases["INZ-2026-1"],
            upheld=False,
            reference="B-2026-9",
        )
        cases.close(self.vault, self.actor("Petra"), self.cases["INZ-2026-1"])
        self.known["first log key"] = witness.log_key(self.vault).verifier.text()
        self.settings.log_key_path.unlink()
        witness.new_log_key(self.vault)
        signers = self.signed("Carel"), self.signed("Petra")
        keyholders.change(self.vault, [Leave(self.id("Joost"))], *signers, [], CHEAP)

    def last_days(self) -> None:
        """Checks, a backup, a note with the witness, an absence that lasts."""
        vault = self.vault
        self.until(day(10, 8))
        with tempfile.TemporaryDirectory() as outside:
            back_up(vault, Path(outside) / "backup", lambda _: None)
        drill(vault, ESCROW, self.chance)
        figures(vault, self.actor("Geert"), 2026)
        accountability(vault, self.actor("Petra"), day(9, 1), day(10, 1))
        viewing.viewings_of(vault, self.actor("Petra"), self.recordings["shown"])
        retention.approve(
            vault, self.actor("Carel"), self.actor("Petra"), [self.recordings["dcim"]]
        )
        self.until(day(10, 9))
        fortnight = self.clock.now(), self.clock.now() + timedelta(days=14)
        self.known["absence"] = people.record_absence(
            vault,
            self.actor("Geert"),
            Role.COORDINATOR,
            "Bea",
            "Carel",
            fortnight,
            WORDS["absence"],
        )
        self.until(day(10, 10, 7))
        self.case(
            CaseKind.ACCESS_REQUEST,
            "INZ-2026-2",
            "claimed",
            text="B. Pieters wil zien wat er gebeurde",
        )
        cases.extend(
            vault, self.actor("Carel"), self.cases["PL-2026-100"], [self.recordings["claimed"]]
        )
        verify_daily(vault, lambda _: None)
        out_of_reach = self.folder / OUT_OF_REACH
        witnessed = self.settings.model_copy(
            update={"witness": ["sh", "-c", f"cat > '{out_of_reach}'"]}
        )
        self.close()
        with Vault.open(witnessed, self.clock) as told:
            witness.sign_head(told)
        self.open()
        self.request("waiting", "Carel", Purpose.COMPLAINT, "shown", "K-2026-2")
        self.until(day(10, 10, 13))

    def security_key(self, name: str) -> None:
        """A security key whose answer is known: 32 bytes, as its PRF would give them."""
        who = self.signed(name)
        answer, credential = self.content(32), self.content(16)
        cose = ES256.from_cryptography_key(ec.generate_private_key(ec.SECP256R1()).public_key())
        data = AttestedCredentialData.create(bytes(16), credential, cose)
        salt, nonce, sealed = device_lock(self.vault.id, who.identity, answer)
        form = SecurityKeyForm(
            label="sleutel aan de bos",
            host="localhost",
            added_utc=utc_text(self.clock.now()),
            credential=to_base64(credential),
            public=to_base64(bytes(data)),
            salt=to_base64(salt),
            nonce=to_base64(nonce),
            sealed=to_base64(sealed),
        )
        content = read_small(self.settings.root / "keyring.json", 4 << 20)
        keyholders.write_keyring(self.vault, with_security_keys(content, who.actor.person, [form]))
        securitykeys._tell(self.vault, who, "person.security_key_added", form.label)
        self.known["credential"], self.known["answer"] = credential.hex(), answer.hex()

    def facts(self) -> dict[str, object]:
        """What a test holds the vault against."""
        vault = self.vault
        entries = [parse_object(line) for line in vault.log.lines()]
        with vault.reading() as tx:
            holders = {
                one: vault.keyring.roles_of(self.id(one)) for one in self.secrets if one != "Joost"
            }
            marked = sorted(registers.marks(tx))
            return {
                "program": "0.1.0",
                "schema": "0002",
                "clock": {
                    "moment": utc_text(self.clock.moment),
                    "ticks_s": self.clock.ticks_s,
                    "boot": self.clock.boot,
                },
                "vault": vault.id,
                "keyring_version": vault.keyring.version,
                "persons": {
                    name: {
                        "id": self.id(name),
                        "roles": sorted(role.value for role in roles),
                        "passphrase": self.secrets[name],
                    }
                    for name, roles in holders.items()
                },
                "left": {JOOST.name: JOOST.passphrase},
                "escrow": ESCROW,
                "security_key": {
                    "person": "Petra",
                    "credential": self.known["credential"],
                    "answer": self.known["answer"],
                },
                "log": {
                    "entries": len(entries),
                    "actions": dict(sorted(Counter(entry["action"] for entry in entries).items())),
                    "key": witness.log_key(vault).verifier.text(),
                    "first_key": self.known["first log key"],
                },
                "note": {"file": OUT_OF_REACH, "entries": self.noted()},
                "recordings": {label: self.recording(tx, label) for label in self.recordings},
                "cases": {
                    reference: self.about(tx, case) for reference, case in self.cases.items()
                },
                "known": {
                    label: known
                    for label, known in self.known.items()
                    if label not in ("credential", "answer", "first log key")
                },
                "marked": marked,
                "words": WORDS,
                "sweep": {
                    "moment": utc_text(day(10, 11, 6)),
                    "destroys": ["due"],
                    "marks": ["next"],
                },
            }

    def noted(self) -> int:
        return int((self.folder / OUT_OF_REACH).read_text().splitlines()[1])

    def recording(self, tx, label: str) -> dict[str, object]:
        recording_id = self.recordings[label]
        row = catalogue.get_recording(tx, recording_id)
        gone = registers.destruction_of(tx, recording_id)
        return {
            "id": recording_id,
            "camera": row.camera_serial,
            "name": row.name,
            "proven": bool(row.proven),
            "state": row.state,
            "held": registers.is_held(tx, recording_id),
            "destroyed": gone.because if gone else None,
            "plaintext_sha256": self.plain[label],
        }

    def about(self, tx, case_id: str) -> dict[str, object]:
        row = registers.case_of(tx, case_id)
        held = [one.recording_id for one in registers.holds_of_case(tx, case_id)]
        named = {recording: label for label, recording in self.recordings.items()}
        return {
            "id": case_id,
            "kind": row.kind,
            "closed": row.closed_utc is not None,
            "holds": [named[one] for one in held],
        }


def pack(folder: Path) -> bytes:
    """The folder as one archive: names in order, no owner, one time."""
    made, epoch = io.BytesIO(), int(utc_moment("2026-10-10T13:00:00.000Z").timestamp())
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            entry = archive.gettarinfo(path, path.relative_to(folder).as_posix())
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = epoch
            with path.open("rb") if path.is_file() else io.BytesIO() as content:
                archive.addfile(entry, content)
    return gzip.compress(made.getvalue(), compresslevel=9, mtime=0)


def main() -> None:
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        life = Life(Path(folder))
        life.first_days()
        life.middle()
        life.shown()
        life.an_access_request()
        life.a_rebuild()
        life.last_days()
        verdict = verify(life.vault, lambda _: None)
        assert verdict.findings == (), verdict.findings
        facts = life.facts()
        life.close()
        packed = pack(Path(folder))
    (target / f"{NAME}.tar.gz").write_bytes(packed)
    (target / f"{NAME}.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    print(f"{len(packed)} bytes, {facts['log']['entries']} entries of the log")


if __name__ == "__main__":
    main()
