"""Hand-over to police and prosecutor: the only way out of the vault (P43 to P45, P9).

Order of steps, each before the next: the policy's leave, for a police report or a demand that holds
the recordings; the entry `handover.begun` and the log's head signed and with the witness; the
package, encrypted to its receiver while the recordings open; the entry `handover.made` with the
package's digest. A package without that entry is removed. The receiver's receipt is the last entry:
from then on police or prosecutor are responsible.

It opens through a viewing for that purpose: the session's two persons are there, and its keys end
with it.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vault.catalogue import (
    camera_rows,
    case_rows,
    person_rows,
    recording_rows,
    report_rows,
    viewing_rows,
)
from vault.catalogue.case_rows import CaseRow
from vault.catalogue.viewing_rows import HandOverRow
from vault.clock import utc_moment, utc_text
from vault.crypto.canonical_json import Json, canonical, parse_object, readable, to_base64
from vault.custody.handover.custody_report import CustodyFacts, RecordingFacts, Step, custody_report
from vault.custody.handover.package import (
    Bag,
    Blocks,
    PackageFile,
    Packed,
    check_text,
    joined,
    of_bytes,
    recipient_of,
    write_package,
)
from vault.custody.people import actor, entry
from vault.custody.viewing.release import Manifest, Opened
from vault.custody.viewing.viewing_requests import footage_of
from vault.custody.viewing.viewing_session import Session
from vault.custody.witness import log_key, sign_head
from vault.errors import NotAllowed, Reaction, VaultError
from vault.log.checkpoints import inclusion_path
from vault.log.merkle import leaf_hash
from vault.recording import Wholeness
from vault.rules.actions import Acting, Action, Actor, demand
from vault.rules.case_kinds import CASES, HAND_OVER_KINDS, CaseKind
from vault.rules.protocol import PROSECUTION, PROVIDE
from vault.rules.purposes import PURPOSES
from vault.rules.states import CaseState, ReceiptState, case_state, receipt_state
from vault.storage.durable import make_folder, remove_file, storage_errors
from vault.storage.record import FilePart
from vault.storage.store import MANIFEST_NAME
from vault.vault import Vault


class HandOverRefused(VaultError):
    """A hand-over can't be made or received so."""

    code = "handover.refused"
    reaction = Reaction.REFUSE
    hint = (
        "It takes a viewing for a police report or a demand, open, with the privacy officer in it."
    )


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked: who receives it, their age key, the municipality's name for the letterhead,
    the folder for the package.
    """

    receiver: str
    recipient: str
    municipality: str
    folder: Path


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A package that stands: its id, place, size and digest, which go into the letter."""

    id: str
    path: Path
    packed: Packed


def hand_over(vault: Vault, session: Session, order: Order) -> HandedOver:
    """Make the package of an open viewing's recordings.

    Raises NotAllowed, HandOverRefused, BadRecipient, VaultFull, PackageFailed, and what the log and
    the witness raise.
    """
    recipient_of(order.recipient)
    if not PURPOSES[session.purpose].copy:
        raise NotAllowed(
            f"No copy is made of what is viewed for this purpose. "
            f"{PURPOSES[session.purpose].sentence.quoted()}"
        )
    with vault.reading() as tx:
        case = _demand_grounds(tx, session.case_id)
        involved = frozenset().union(
            *(footage_of(vault, tx, recording).involved for recording in session.recordings)
        )
        payload_bytes = sum(
            file.size_bytes
            for recording in session.recordings
            for file in recording_rows.files_of(tx, recording)
        )
    acting, second = _provider(vault, session, involved)
    make_folder(order.folder)
    if order.folder.stat().st_dev == vault.settings.root.stat().st_dev:
        vault.store.demand_free(payload_bytes, "this package")
    hand_over_id = str(uuid.uuid4())
    begun: Json = {
        "case_id": case.id,
        "recordings": list(session.recordings),
        "receiver": order.receiver,
        "recipient": order.recipient.strip(),
        "second": second,
    }
    vault.record(entry(acting, "handover.begun", hand_over_id, begun))
    note = sign_head(vault)
    now = vault.clock.now()
    name = f"overdracht-{hand_over_id[:8]}"
    path = order.folder / f"{name}.zip.age"
    bag = _bag(vault, session, order, case, (acting, second), note, name, now)
    packed = write_package(path, order.recipient, bag)
    made: Json = {
        "case_id": case.id,
        "by_person": acting.person,
        "made_utc": utc_text(now),
        "receiver": order.receiver,
        "sha256": packed.sha256,
        "bytes": packed.size_bytes,
    }
    try:
        vault.record(entry(acting, "handover.made", hand_over_id, made))
    except VaultError:
        remove_file(path)
        raise
    return HandedOver(hand_over_id, path, packed)


def _demand_grounds(tx: sa.Connection, case_id: str | None) -> CaseRow:
    """The open police report or demand on which recordings leave (P43)."""
    case = case_rows.case_of(tx, case_id) if case_id else None
    if (
        case is None
        or CaseKind(case.kind) not in HAND_OVER_KINDS
        or case_state(case) is CaseState.CLOSED
    ):
        raise HandOverRefused(
            f"There is no open police report or demand to hand over for. {PROSECUTION.quoted()}"
        )
    return case


def written_bytes(folder: Path) -> int:
    """How much of the package in this folder is written so far."""
    return max((path.stat().st_size for path in folder.glob("*") if path.is_file()), default=0)


def read_package(path: Path) -> Iterator[bytes]:
    """A package, block by block: it is encrypted to its receiver. Raises StorageFailed."""
    with storage_errors(f"reading {path.name}"), path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block


def discard_packages(folder: Path) -> None:
    """Remove what waited in this folder to be fetched."""
    for path in folder.glob("overdracht-*"):
        remove_file(path)


@dataclass(frozen=True, slots=True)
class ListedHandOver:
    """A hand-over, and the reference of the case that it was made for."""

    row: HandOverRow
    case_reference: str | None


def listed(vault: Vault, by: Actor) -> list[ListedHandOver]:
    """Every hand-over, by when it was made. Raises NotAllowed."""
    demand(Action.LIST_RECORDINGS, by)
    with vault.reading() as tx:
        references = {row.id: row.reference for row in case_rows.cases(tx)}
        rows = viewing_rows.hand_overs(tx)
    return [ListedHandOver(row, references.get(row.case_id)) for row in rows]


def receive(vault: Vault, by: Actor, called: str, received_by: str, received: datetime) -> None:
    """The receiver's receipt: from here on police or prosecutor are responsible (P45).

    `called`: the start of the hand-over's id. Raises NotAllowed, HandOverRefused.
    """
    acting = demand(Action.HAND_OVER, by)
    with vault.writing() as tx:
        rows = viewing_rows.hand_overs(tx)
        found = [row for row in rows if called and row.id.startswith(called)]
        if len(found) != 1 or receipt_state(found[0]) is ReceiptState.RECEIVED:
            raise HandOverRefused(
                f"No hand-over {called} waits for its receipt.",
                hint="`vault handover list` shows them.",
            )
        row = found[0]
        if not utc_moment(row.made_utc) <= received <= vault.clock.now():
            raise HandOverRefused(
                "It can't have been received before it was made, or later than now."
            )
        details = {
            "received_utc": utc_text(received),
            "received_by": received_by,
            "responsibility": "passed_on",
        }
        vault.record(entry(acting, "handover.received", row.id, details), tx)


def _provider(vault: Vault, session: Session, involved: frozenset[str]) -> tuple[Acting, str]:
    """Who of the two hands over, and the other: the privacy officer, or the cluster manager in an
    absence on record.
    """
    refusal: NotAllowed | None = None
    for seat, other in (session.seats, session.seats[::-1]):
        try:
            return demand(
                Action.HAND_OVER, actor(vault, seat.person), concerned=involved
            ), other.person
        except NotAllowed as error:
            refusal = refusal or error
    raise refusal or NotAllowed(PROVIDE.quoted())


# --- the bag --------------------------------------------------------------------------------------


def _bag(
    vault: Vault,
    session: Session,
    order: Order,
    case: CaseRow,
    persons: tuple[Acting, str],
    note: bytes,
    name: str,
    now: datetime,
) -> Bag:
    files: list[PackageFile] = []
    facts: list[RecordingFacts] = []
    signed: dict[str, bool] = {}
    for number, recording in enumerate(session.recordings, 1):
        folder = f"opname-{number}"
        opened, manifest = session.opened(recording), session.manifest(recording)
        files += _recording_files(vault, opened, manifest, folder)
        signed[folder] = manifest is not None and manifest.holds is True
        facts.append(_recording_facts(opened, manifest))
    entries = _entries(vault, session.recordings, case.id)
    acting, second = persons
    with vault.reading() as tx:
        called = {row.id: row.name for row in person_rows.persons(tx)}
    names = {recording.id: recording.name for recording in facts}
    ground = CASES[CaseKind(case.kind)].name_nl
    report = custody_report(
        CustodyFacts(
            vault=vault.id,
            made=now,
            ground=ground,
            reference=case.reference,
            received=utc_moment(case.received_utc),
            by=called.get(acting.person, acting.person),
            in_place_of=called.get(acting.acting_for, acting.acting_for)
            if acting.acting_for
            else None,
            second=called.get(second, second),
            receiver=order.receiver,
            recordings=facts,
            steps=[_step(parsed, called, names) for _, parsed in entries],
            checkpoint=note.decode(),
            sentence=f"{PROVIDE.nl} (protocol, regel {PROVIDE.lines})",
        )
    )
    files += [
        of_bytes("logboek/entries.jsonl", b"".join(leaf + b"\n" for leaf, _ in entries)),
        of_bytes(
            "logboek/bewijzen.json",
            _proofs(vault, note, [parsed["sequence"] for _, parsed in entries]),
        ),
        of_bytes("overdracht.pdf", report),
        of_bytes("CONTROLE.txt", check_text(name, f"{name}.zip.age", signed).encode()),
    ]
    info = {
        "Source-Organization": order.municipality,
        "External-Identifier": case.reference,
        "External-Description": f"Opnamen, verstrekt op grond van een {ground}",
        "Contact-Name": called.get(acting.person, acting.person),
    }
    return Bag(name, files, info, now)


def _recording_files(
    vault: Vault, opened: Opened, manifest: Manifest | None, folder: str
) -> list[PackageFile]:
    segments = [
        PackageFile(
            f"{folder}/segmenten/{_safe(part, at)}",
            part.size_bytes,
            part.sha256,
            _blocks(opened, part),
        )
        for at, part in enumerate(
            part for part in opened.record.files if part.sealed_name != MANIFEST_NAME
        )
    ]
    files = [*segments, joined(f"{folder}/opname.mp4", segments)]
    if manifest is not None:
        files += [
            of_bytes(f"{folder}/recording.json", manifest.statement),
            of_bytes(f"{folder}/recording.sig", manifest.signature),
        ]
        files += [of_bytes(f"{folder}/camera.pub.pem", pem) for pem in _camera_pem(vault, opened)]
    return files


def _safe(part: FilePart, at: int) -> str:
    """The camera's own name where it is a plain one, so that its manifest finds it;
    else a number.
    """
    plain = all(char.isalnum() or char in "._-" for char in part.name) and not part.name.startswith(
        "."
    )
    return part.name if plain else f"{at:04d}{Path(part.name).suffix.lower()[:5]}"


def _blocks(opened: Opened, part: FilePart) -> Blocks:
    return lambda: opened.blocks(part)


def _camera_pem(vault: Vault, opened: Opened) -> list[bytes]:
    with vault.reading() as tx:
        serial, stored = opened.record.claim.camera_serial, opened.record.sealed_utc
        rows = [
            row
            for row in camera_rows.all_cameras(tx)
            if row.serial == serial and row.public_key and row.added_utc <= stored
        ]
    if not rows:
        return []
    key = Ed25519PublicKey.from_public_bytes(rows[-1].public_key)
    return [key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)]


def _recording_facts(opened: Opened, manifest: Manifest | None) -> RecordingFacts:
    record, claim = opened.record, opened.record.claim

    def at(text: str | None) -> datetime | None:
        return utc_moment(text) if text else None

    signature = "geen: deze camera ondertekent niets"
    if manifest is not None:
        signature = {True: "klopt", False: "KLOPT NIET", None: "geen openbare sleutel bekend"}[
            manifest.holds
        ]
    stated = claim.preroll
    seen = _WHOLENESS_NL[record.timeline.wholeness]
    preroll = (
        "door de camera niet vermeld"
        if stated is None
        else f"{stated.delivered_ms / 1000:.1f} s ({seen})"
    )
    return RecordingFacts(
        name=claim.name,
        id=record.recording,
        camera=" ".join(
            part for part in (claim.camera_serial, claim.model, claim.firmware) if part
        ),
        officer=claim.officer or "door de camera niet vermeld",
        started=at(claim.started_utc),
        triggered=at(claim.triggered_utc),
        stopped=at(claim.stopped_utc),
        offset_ms=record.docking.offset_ms,
        preroll=preroll,
        signature=signature,
        files=[(part.name, part.size_bytes, part.sha256) for part in record.files],
    )


# --- the log's part -------------------------------------------------------------------------------

_WHOLENESS_NL = {
    Wholeness.WHOLE: "nagezien: heel",
    Wholeness.BROKEN: "nagezien: NIET HEEL",
    Wholeness.NOT_STATED: "niet na te zien",
}
_ACTORS_NL = {"dockd": "dockingstation", "vault sweep": "kluis"}
_STEPS_NL = {
    "camera.added": "camera geregistreerd",
    "recording.stored": "ingelezen, versleuteld, teruggelezen en opgeslagen",
    "recording.adopted": "na een storing teruggevonden en opgenomen",
    "erase.intended": "wissen van de camera begonnen",
    "erase.done": "op de camera gewist, opnieuw nagezien",
    "erase.failed": "wissen van de camera mislukt",
    "person.present": "vastgelegd wie op de opname staat of aanwezig was",
    "report.filed": "gebruik door de medewerker vastgelegd",
    "case.registered": "zaak geregistreerd; de opname wordt bewaard",
    "case.extended": "opname aan de zaak toegevoegd; zij wordt bewaard",
    "retention.marked": "gemerkt voor vernietiging",
    "retention.unmarked": "merk voor vernietiging ingetrokken",
    "recording.archived": "gearchiveerd",
    "recording.opened": "geopend door twee personen",
    "recording.sealed_later": "sleutel voor een later tweetal verzegeld",
    "viewing.requested": "bekijken aangevraagd",
    "viewing.approved": "bekijken goedgekeurd",
    "viewing.opened": "bekijken begonnen",
    "viewing.shown": "bekeken",
    "viewing.ended": "bekijken beëindigd",
    "viewing.denied": "bekijken geweigerd",
    "log.read": "logboek hierover gelezen",
    "handover.begun": "overdracht begonnen",
}


def _entries(vault: Vault, recordings: Sequence[str], case_id: str) -> list[tuple[bytes, Json]]:
    """The log's entries about these recordings, their cameras' registration, the case, and their
    viewings; in order.
    """
    subjects, serials = _subjects_about(vault, recordings)
    subjects.add(case_id)
    # Most leaves hold none of these ids: only those that do are parsed.
    ids = [name.encode() for name in (*subjects, *serials)]
    entries = []
    for leaf in vault.leaves():
        if any(name in leaf for name in ids):
            parsed = parse_object(leaf)
            if _is_about(parsed, subjects, serials, case_id):
                entries.append((leaf, parsed))
    return entries


def _subjects_about(vault: Vault, recordings: Sequence[str]) -> tuple[set[str], set[str]]:
    """The ids under which the log tells of these recordings: their own, their viewings' and their
    reports'; and the serials of their cameras.
    """
    subjects, serials = set(recordings), set()
    with vault.reading() as tx:
        for recording in recordings:
            row = recording_rows.find_recording(tx, recording)
            if row is not None:
                serials.add(row.camera_serial)
            subjects |= {row.id for row in viewing_rows.viewings_of_recording(tx, recording)}
            subjects |= {row.id for row in report_rows.reports_about(tx, recording)}
    return subjects, serials


def _is_about(parsed: Json, subjects: set[str], serials: set[str], case_id: str) -> bool:
    match parsed["action"]:
        case "camera.added" if parsed["subject"] in serials:
            return True
        case "handover.begun" if parsed["details"]["case_id"] == case_id:
            return True
    return parsed["subject"] in subjects


def _step(parsed: Json, called: dict[str, str], recordings: dict[str, str]) -> Step:
    actor_id, action = str(parsed["actor"]), str(parsed["action"])
    who = called.get(actor_id, _ACTORS_NL.get(actor_id, actor_id))
    seats = parsed["details"].get("seats")
    if seats:
        who = " en ".join(called.get(seat["person"], seat["person"]) for seat in seats)
    subject = str(parsed["details"].get("recording") or parsed["subject"])
    about = f" ({recordings[subject]})" if subject in recordings else ""
    return Step(
        utc_moment(parsed["time_utc"]),
        who,
        _STEPS_NL.get(action, action) + about,
        parsed["sequence"],
    )


def _proofs(vault: Vault, note: bytes, sequences: Sequence[int]) -> bytes:
    """The signed head, the key that it is checked with, and for each entry the path from its leaf
    to that root (RFC 6962).
    """
    size = int(note.split(b"\n")[1])
    hashes = [leaf_hash(leaf) for leaf in islice(vault.leaves(), size)]
    proofs = [
        {
            "sequence": at,
            "size": size,
            "path": [to_base64(step) for step in inclusion_path(hashes, at)],
        }
        for at in sequences
        if at < size
    ]
    proofs_file = {
        "checkpoint": note.decode(),
        "key": log_key(vault).verifier.text(),
        "proofs": proofs,
    }
    return readable(parse_object(canonical(proofs_file)))
