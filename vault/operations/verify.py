"""Checks a vault without opening anything and without changing anything: rows, files, digests, log.

The daily check alone leaves something: an entry in the log of how it went, so that one which fails,
or does not run, is seen.

What it can't see without a key, an altered file whose digest was altered with it in `record.json`,
in the row **and** in the log's entry, only a pair or the escrow drill can, and a checkpoint of the
log held elsewhere.
"""

import contextlib
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice

from vault.catalogue import deletion_rows, recording_rows
from vault.clock import utc_moment
from vault.crypto.canonical_json import Json, parse_object
from vault.errors import CannotOpen, StorageFailed, VaultError
from vault.log.log import Entry, count_leaves, read_tree
from vault.log.merkle import Tree, leaf_hash
from vault.log.tombstones import read_tombstones
from vault.operations.health import last_told
from vault.recording import StoredSegment
from vault.rules.due import RETENTION
from vault.rules.states import RECORDING_KEPT, RecordingState, recording_state
from vault.storage.record import Record, file_rows, parse_record, recording_row
from vault.storage.store import RECORD_NAME, FolderName, sha256_of
from vault.vault import Vault

ACTOR = "vault verify"
VERIFIED = "vault.verified"
SUBJECTS_MAX = 100
"""So many things that something is wrong with are named in the entry; the next check of all of them
names the others.
"""
CUSTODY_S = 900.0
"""Custody is taken when something was entered in the log, and every five minutes
(`vault-custody.timer`).
"""
Progress = Callable[[int], None]
"""Is told how many more bytes were checked."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be: a stable code, where, and a sentence."""

    code: str
    subject: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was checked and what was found."""

    recordings: int
    files: int
    sealed_bytes: int
    log_entries: int
    findings: tuple[Finding, ...]


def total_bytes(vault: Vault, wanted: Callable[[str], bool] = lambda _: True) -> int:
    """How many sealed bytes a check reads, for a progress bar."""
    with vault.reading() as tx:
        rows = recording_rows.all_recordings(tx)
        return sum(
            file.sealed_bytes
            for row in rows
            if wanted(row.id)
            for file in recording_rows.files_of(tx, row.id)
        )


ROUND_DAYS = RETENTION.days
"""In so many days a daily check that reads one part a day has read everything: as long as a
recording is kept.
"""


def part_of_day(recording_id: str, day: int) -> bool:
    """Whether this recording is read on this day, counted from any."""
    return uuid.UUID(recording_id).int % ROUND_DAYS == day % ROUND_DAYS


def due_days(vault: Vault) -> range:
    """The days whose parts the daily check reads now: today's, and those on which it did not run,
    at most a whole round.
    """
    today = vault.clock.now().toordinal()
    with vault.reading() as tx:
        told = last_told(tx).get(VERIFIED)
    last = utc_moment(str(told["time_utc"])).toordinal() if told is not None else today - 1
    return range(max(min(last + 1, today), today - ROUND_DAYS + 1), today + 1)


def is_due(recording_id: str, days: Iterable[int]) -> bool:
    return any(part_of_day(recording_id, day) for day in days)


def verify_daily(vault: Vault, progress: Progress, beside: Sequence[str] = ()) -> Verdict:
    """The check of one part of the recordings, of more where a day was missed, and of all else; an
    entry tells how it went, also where it could not be finished.

    It runs beside the services, so what they have in hand is no finding. `beside`: codes of what
    the caller found besides.
    """
    try:
        verdict = verify(vault, progress, daily_part(vault))
    except VaultError as failure:
        _enter(vault, Verdict(0, 0, 0, 0, ()), [*beside, failure.code], _found_last(vault))
        raise
    verdict = replace(
        verdict, findings=tuple(one for one in verdict.findings if not _in_hand(vault, one))
    )
    _enter(
        vault,
        verdict,
        [*beside, *(finding.code for finding in verdict.findings)],
        {one.subject for one in verdict.findings},
    )
    return verdict


def daily_part(vault: Vault) -> Callable[[str], bool]:
    """Whether the daily check reads a recording now, by its id."""
    days, again = due_days(vault), _found_last(vault)
    return lambda recording: recording in again or is_due(recording, days)


def _found_last(vault: Vault) -> set[str]:
    """What the last daily check found something of is read again, until it is as it should be: else
    the alarm would end by itself the next day.
    """
    with vault.reading() as tx:
        told = last_told(tx).get(VERIFIED)
    return set(told["details"].get("subjects", ())) if told is not None else set()


def _enter(vault: Vault, verdict: Verdict, codes: Sequence[str], subjects: Collection[str]) -> None:
    details: Json = {
        "recordings": verdict.recordings,
        "files": verdict.files,
        "log_entries": verdict.log_entries,
        "findings": len(codes),
        "codes": sorted(set(codes)),
        "subjects": sorted(subjects)[:SUBJECTS_MAX],
    }
    vault.record(Entry(VERIFIED, ACTOR, None, details))


def _in_hand(vault: Vault, finding: Finding) -> bool:
    """Whether a service was only half-way when the check came by: dockd with what it takes in, a
    sweep with what it destroys.

    What an interrupted intake left looks the same; dockd drops it at its next start, and the camera
    still has the recording. So does an interrupted destruction; the next sweep goes on with it.
    """
    if finding.code == "incoming.part":
        return True
    with vault.reading() as tx:
        row = recording_rows.find_recording(tx, finding.subject)
    state = None if row is None else recording_state(row)
    match finding.code.split("."):
        case ["tombstone", "without_entry"]:
            # It is written before the row changes and the entry is made, in one transaction; the
            # recording is kept until then.
            return state in RECORDING_KEPT
        case ["folder", "without_row"]:
            folders = _folders_of(vault, finding.subject)
            return state is not None or not any(
                vault.store.may_hold(folder, RECORD_NAME) for folder in folders
            )
        case ["destroyed", "remains"]:
            return not _folders_of(vault, finding.subject)
        case ["record" | "row" | "file" | "keys", _]:
            # It was kept when the check began, and its files went while they were read.
            return state is RecordingState.DESTROYED
    return False


def _folders_of(vault: Vault, recording_id: str) -> list[FolderName]:
    return [folder for folder in vault.store.recordings() if folder.recording_id == recording_id]


def verify(
    vault: Vault, progress: Progress, wanted: Callable[[str], bool] = lambda _: True
) -> Verdict:
    """Check everything, or of the recordings those that are wanted, by id; always all of the log,
    the folders and the papers.

    Findings come in the order of recordings, then folders, then log.
    """
    with vault.reading() as tx:
        every = recording_rows.all_recordings(tx)
        rows = [(row, recording_rows.files_of(tx, row.id)) for row in every if wanted(row.id)]
    findings: list[Finding] = []
    records_in_log, later_keys, tombstones = _logged(vault)
    for row, files in rows:
        findings += _check_recording(vault, row, files, records_in_log, later_keys, progress)
    findings += _check_custody(vault, every)
    findings += _check_strays(vault, {row.id for row in every})
    findings += _check_tombstones(vault, tombstones)
    findings += _check_papers(vault)
    entries, log_findings = _check_log(vault)
    findings += log_findings
    sealed = sum(file.sealed_bytes for _, files in rows for file in files)
    return Verdict(
        len(rows), sum(len(files) for _, files in rows), sealed, entries, tuple(findings)
    )


def _check_recording(
    vault: Vault,
    row: recording_rows.RecordingRow,
    files: tuple[StoredSegment, ...],
    records_in_log: dict[str, str],
    later_keys: dict[str, dict[str, str]],
    progress: Progress,
) -> Iterator[Finding]:
    """Hold a recording's record against catalogue and log, and each of its files against both."""
    folder = FolderName(row.folder)
    try:
        content = vault.store.read_record(folder)
        record = parse_record(content)
    except (StorageFailed, CannotOpen) as error:
        yield Finding("record.unreadable", row.id, f"record.json of {row.id}: {error.sentence}")
        return
    yield from _check_record(row, files, record, content, records_in_log.get(row.id))
    yield from _check_files(vault, row.id, folder, record, progress)
    keys = later_keys.get(row.id, {})
    yield from _check_later_keys(vault, row.id, folder, keys)
    expected = {part.sealed_name for part in record.files} | {RECORD_NAME, *keys}
    for name in vault.store.names(folder):
        if name not in expected:
            yield Finding("file.stray", row.id, f"{row.id}/{name} belongs to nothing.")


def _check_record(
    row: recording_rows.RecordingRow,
    files: tuple[StoredSegment, ...],
    record: Record,
    content: bytes,
    logged_sha256: str | None,
) -> Iterator[Finding]:
    digest = sha256_of(content)
    if digest != row.record_sha256:
        yield Finding(
            "record.altered", row.id, f"record.json of {row.id} is not the one the catalogue knows."
        )
    if row.proven and logged_sha256 != digest:
        yield Finding(
            "record.not_in_log",
            row.id,
            f"The log has no entry that {row.id} was stored as it stands.",
        )
    if not _row_agrees(record, row, files):
        yield Finding(
            "row.altered", row.id, f"The catalogue's row of {row.id} differs from its record.json."
        )


def _check_files(
    vault: Vault, recording_id: str, folder: FolderName, record: Record, progress: Progress
) -> Iterator[Finding]:
    for part in record.files:
        name = f"{recording_id}/{part.sealed_name}"
        try:
            size_bytes, digest = vault.store.file_digest(folder, part.sealed_name)
        except StorageFailed as error:
            yield Finding("file.missing", recording_id, f"{name}: {error.sentence}")
            continue
        progress(size_bytes)
        if (size_bytes, digest) != (part.sealed_bytes, part.sealed_sha256):
            yield Finding("file.altered", recording_id, f"{name} is not the file that was sealed.")


def _check_later_keys(
    vault: Vault, recording_id: str, folder: FolderName, logged: Mapping[str, str]
) -> Iterator[Finding]:
    """`logged`: the name of each file of later keys, and its SHA-256, as the log has it."""
    for name, digest in logged.items():
        if not _has_digest(vault, folder, name, digest):
            yield Finding(
                "keys.altered",
                recording_id,
                f"{recording_id}/{name} is not the file of later keys that the log tells of.",
            )


def _has_digest(vault: Vault, folder: FolderName, name: str, sha256: str) -> bool:
    try:
        return vault.store.file_digest(folder, name)[1] == sha256
    except StorageFailed:
        return False


def _row_agrees(
    record: Record, row: recording_rows.RecordingRow, files: tuple[StoredSegment, ...]
) -> bool:
    expected = recording_row(record, row.folder, row.record_sha256, row.stored_utc, row.proven)
    same = all(getattr(row, key) == value for key, value in expected.items() if key != "state")
    held = [
        {
            "sealed_name": file.sealed_name,
            "name": file.name,
            "size_bytes": file.size_bytes,
            "sha256": file.sha256,
            "head_sha256": file.head_sha256,
            "tail_sha256": file.tail_sha256,
            "sealed_bytes": file.sealed_bytes,
            "sealed_sha256": file.sealed_sha256,
        }
        for file in files
    ]
    return same and held == file_rows(record)


def _check_custody(vault: Vault, rows: Sequence[recording_rows.RecordingRow]) -> Iterator[Finding]:
    """What was stored a while ago is the vault's own, as the folder of it all is: the dock, which
    took it in, can't change it.
    """
    latest = vault.clock.now() - timedelta(seconds=CUSTODY_S)
    for row in rows:
        # What can't be looked at is a finding of its own.
        with contextlib.suppress(StorageFailed):
            is_own = vault.store.is_own(FolderName(row.folder))
            if not is_own and utc_moment(row.stored_utc) < latest:
                sentence = (
                    f"{row.id} was stored at {row.stored_utc} and is still the dock's, which "
                    f"could change it."
                )
                yield Finding("custody.open", row.id, sentence)


def _check_strays(vault: Vault, known: set[str]) -> Iterator[Finding]:
    with vault.reading() as tx:
        destroyed = {row.id for row in recording_rows.destroyed_recordings(tx)}
    for folder in vault.store.recordings():
        if folder.recording_id in destroyed:
            sentence = (
                f"{folder} was destroyed, and something of it stands; the next sweep destroys "
                f"it again."
            )
            yield Finding("destroyed.remains", folder.recording_id, sentence)
        elif folder.recording_id not in known:
            yield Finding(
                "folder.without_row",
                folder.recording_id,
                f"{folder} has no row in the catalogue.",
            )
    for name in vault.store.parts():
        yield Finding(
            "incoming.part",
            name,
            f"incoming/{name} is left from an interrupted intake; dockd drops it.",
        )


def _check_tombstones(vault: Vault, logged: dict[str, str]) -> Iterator[Finding]:
    """Each destruction that the log tells of has its tombstone, as it was written; and each
    tombstone its entry.
    """
    try:
        found = read_tombstones(vault.settings.root / "register")
    except StorageFailed as error:
        yield Finding("tombstone.unreadable", "register", error.sentence)
        return
    if not found.keys() <= logged.keys():
        # Destroyed since the log was read, or never told of: what is entered by now shows which.
        now = _logged(vault)[2]
        logged = logged | {recording: now[recording] for recording in found if recording in now}
    for recording, digest in logged.items():
        if recording not in found or found[recording][1] != digest:
            yield Finding(
                "tombstone.altered",
                recording,
                f"The tombstone of {recording} is missing or not the one that was written.",
            )
    for recording in sorted(set(found) - set(logged)):
        yield Finding(
            "tombstone.without_entry",
            recording,
            f"The log does not tell of the destruction of {recording}.",
        )


def _check_papers(vault: Vault) -> Iterator[Finding]:
    with vault.reading() as tx:
        rows = deletion_rows.standing_papers(tx)
    for row in rows:
        path = vault.settings.root / "register" / "papers" / f"{row.id}.json"
        if not path.is_file() or sha256_of(path.read_bytes()) != row.sha256:
            yield Finding(
                "paper.altered",
                row.subject,
                f"The paper {row.id} ({row.action}) is missing or not the one that was filed.",
            )


def _logged(vault: Vault) -> tuple[dict[str, str], dict[str, dict[str, str]], dict[str, str]]:
    """By recording, as the log tells: SHA-256 of record.json, of each file of later keys, and of
    the tombstone.
    """
    stored: dict[str, str] = {}
    later: dict[str, dict[str, str]] = {}
    tombstones: dict[str, str] = {}
    for leaf in vault.leaves():
        entry = _entry(leaf)
        subject, details = str(entry.get("subject")), entry.get("details", {})
        match entry.get("action"):
            case "recording.stored":
                stored[subject] = str(details.get("record_sha256"))
            case "recording.sealed_later":
                later.setdefault(subject, {})[str(details.get("file"))] = str(details.get("sha256"))
            case "recording.destroyed":
                tombstones[subject] = str(details.get("tombstone_sha256"))
    return stored, later, tombstones


def _entry(leaf: bytes) -> Json:
    """The entry of a leaf; empty where the leaf is none, which its number then shows."""
    try:
        return parse_object(leaf)
    except ValueError:
        return {}


def _check_log(vault: Vault) -> tuple[int, list[Finding]]:
    """The catalogue's leaves against their numbering, the tree's peaks, and the register's lines.

    The log as it stands at the beginning: what is entered meanwhile is another check's.
    """
    findings = []
    tree = Tree()
    with vault.reading() as tx:
        stored = read_tree(tx)
        end = count_leaves(tx)
    lines = vault.log.lines()
    for at, leaf in enumerate(islice(vault.leaves(), end)):
        if _entry(leaf).get("sequence") != at:
            findings.append(
                Finding("log.order", str(at), f"Entry {at} of the log carries another number.")
            )
        if next(lines, None) != leaf:
            findings.append(
                Finding(
                    "log.register",
                    str(at),
                    f"Entry {at} of the log is not the one in the register.",
                )
            )
        tree.append(leaf_hash(leaf))
    told = tree.size + sum(1 for _ in lines)
    with vault.reading() as tx:
        # Asked after the lines were read: all but the last of them have committed by now, or never
        # will.
        beyond = told - count_leaves(tx)
    if beyond > 1:
        findings.append(
            Finding(
                "log.rolled_back",
                "log",
                f"The register has {beyond} entries that the catalogue lacks.",
            )
        )
    if (stored.size, stored.peaks) != (tree.size, tree.peaks):
        findings.append(
            Finding("log.root", "log", "The log's root is not the root over its entries.")
        )
    return tree.size, findings
