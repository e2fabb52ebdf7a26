"""Verify, rebuild, release, cameras: what is found, what comes back, who gets in."""

import os
import pwd
import random
import sqlite3
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.hand_clock import HandClock
from tests.support.places import catalogue_of
from tests.support.vault_world import (
    SERIAL,
    claim_of,
    files_below,
    founded,
    plaintexts,
    received,
    stored,
    unlocked,
)
from vault.catalogue import camera_rows, recording_rows
from vault.config import VaultSettings
from vault.crypto.canonical_json import parse_object, to_base64
from vault.custody import cameras
from vault.custody.people import actor
from vault.custody.retention.confirmation import confirm, unconfirmed_since
from vault.custody.viewing.release import open_recording
from vault.errors import (
    CameraExists,
    CannotOpen,
    EraseRefused,
    NotAllowed,
    PairRefused,
    StorageFailed,
    UnknownCamera,
    UnknownRecording,
)
from vault.intake.intake import Intake
from vault.log.log import Entry, read_leaves
from vault.operations.rebuild import rebuild
from vault.operations.verify import (
    CUSTODY_S,
    ROUND_DAYS,
    VERIFIED,
    Finding,
    due_days,
    part_of_day,
    total_bytes,
    verify,
    verify_daily,
)
from vault.recording import Receipt, State
from vault.vault import Vault

CONTENTS = [os.urandom(40_000), os.urandom(20_000)]


@pytest.fixture
def receipt(intake: Intake, clock: HandClock) -> Receipt:
    return stored(intake, claim_of(CONTENTS), CONTENTS, clock)


def folder_of(vault: Vault, receipt: Receipt) -> Path:
    return next((vault.settings.root / "footage").glob(f"*/*/{receipt.recording_id}"))


def sql(vault: Vault, statement: str) -> None:
    with sqlite3.connect(catalogue_of(vault.settings.root)) as raw:
        raw.execute(statement)


HARMS: dict[str, tuple[str, Callable[[Vault, Receipt], object]]] = {
    "a bit of a sealed file": ("file.altered", lambda v, r: _flip(folder_of(v, r) / "0000.sealed")),
    "a sealed file cut": (
        "file.altered",
        lambda v, r: os.truncate(folder_of(v, r) / "0001.sealed", 100),
    ),
    "a sealed file gone": (
        "file.missing",
        lambda v, r: (folder_of(v, r) / "manifest.sealed").unlink(),
    ),
    "a file too many": (
        "file.stray",
        lambda v, r: (folder_of(v, r) / "0009.sealed").write_bytes(b"?"),
    ),
    "record.json edited": (
        "record.altered",
        lambda v, r: _append(folder_of(v, r) / "record.json", b"\n"),
    ),
    "record.json gone": (
        "record.unreadable",
        lambda v, r: (folder_of(v, r) / "record.json").unlink(),
    ),
    "a row edited": ("row.altered", lambda v, r: sql(v, "UPDATE recording SET officer = 'boa-18'")),
    "a file's row edited": (
        "row.altered",
        lambda v, r: sql(v, "UPDATE sealed_file SET size_bytes = 1 WHERE position = 0"),
    ),
    "an entry edited": (
        "log.register",
        lambda v, r: sql(v, "UPDATE log SET leaf = replace(leaf, 'BWC', 'BWD') WHERE sequence = 1"),
    ),
    "an entry and its line edited": ("log.root", lambda v, r: _edit_both(v)),
    "the last entry dropped": (
        "log.root",
        lambda v, r: sql(v, "DELETE FROM log WHERE sequence = (SELECT max(sequence) FROM log)"),
    ),
    "a folder without a row": (
        "folder.without_row",
        lambda v, r: (v.settings.root / "footage" / "2026/11/x").mkdir(),
    ),
    "a part left": (
        "incoming.part",
        lambda v, r: (v.settings.root / "incoming" / "x.part").write_bytes(b""),
    ),
    "a storing not in the log": ("record.not_in_log", lambda v, r: _restate(v)),
}


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _append(path: Path, content: bytes) -> None:
    path.write_bytes(path.read_bytes() + content)


def _edit_both(vault: Vault) -> None:
    sql(vault, "UPDATE log SET leaf = replace(leaf, 'vault init', 'vault INIT') WHERE sequence = 0")
    path = vault.settings.root / "register/log/000000.jsonl"
    path.write_bytes(path.read_bytes().replace(b"vault init", b"vault INIT", 1))


def _restate(vault: Vault) -> None:
    sql(vault, "UPDATE recording SET id = 'other'")
    sql(vault, "UPDATE sealed_file SET recording_id = 'other'")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("left", ["folder", "record"])
def test_what_stays_the_docks_is_found_after_a_while(
    vault: Vault, receipt: Receipt, clock: HandClock, left: str
) -> None:
    """Custody may take some minutes; that it never comes is no matter of a journal's line alone."""
    dock = pwd.getpwnam("daemon").pw_uid
    folder = folder_of(vault, receipt)
    os.chown(folder / "record.json" if left == "record" else folder, dock, -1)
    clock.pass_time(CUSTODY_S - 1)
    assert verify(vault, quiet).findings == ()
    clock.pass_time(2)
    assert [finding.code for finding in verify_daily(vault, quiet).findings] == ["custody.open"]


def test_a_sound_vault_has_no_findings(vault: Vault, receipt: Receipt) -> None:
    seen: list[int] = []
    verdict = verify(vault, seen.append)
    assert (verdict.recordings, verdict.files, verdict.findings) == (1, 3, ())
    assert sum(seen) == total_bytes(vault) == verdict.sealed_bytes


@pytest.mark.parametrize("harm", HARMS)
def test_each_harm_is_named(vault: Vault, receipt: Receipt, harm: str) -> None:
    """Fault C7."""
    code, do = HARMS[harm]
    do(vault, receipt)
    before = files_below(vault.settings.root)
    assert code in {finding.code for finding in verify(vault, lambda _: None).findings}
    assert files_below(vault.settings.root) == before


def test_a_rebuilt_catalogue_is_the_one_that_was_lost(
    settings: VaultSettings, clock: HandClock
) -> None:
    """Fault D5, ruling 7: rows, cameras, states and log come back from the folders and the
    register.
    """
    with Vault.open(settings, clock) as vault:
        with vault.writing() as tx:
            cameras.register(tx, vault.log, clock, (SERIAL, to_base64(bytes(32)), "Model"), "test")
        with Intake(vault) as intake:
            intake.recover()
            first = stored(intake, claim_of(CONTENTS, 1), CONTENTS, clock)
            second = stored(intake, claim_of(CONTENTS, 2), CONTENTS, clock)
            intake.erased(intake.intend_erase(first))
        with vault.reading() as tx:
            rows, known = recording_rows.all_recordings(tx), camera_rows.all_cameras(tx)
    catalogue_of(settings.root).unlink()
    assert rebuild(settings, clock).recordings == 2
    with Vault.open(settings, clock) as vault, Intake(vault) as intake:
        with vault.reading() as tx:
            assert recording_rows.all_recordings(tx) == rows
            assert camera_rows.all_cameras(tx) == known
        assert verify(vault, lambda _: None).findings == ()
        assert unconfirmed_since(vault) is not None
        with pytest.raises(EraseRefused, match="two persons"):
            intake.intend_erase(second)
        confirm(vault, *(actor(vault, name) for name in ("PO", "CM")))
        assert intake.intend_erase(second).state is State.ERASING


def test_a_rebuild_takes_up_a_planted_folder_as_unproven(
    settings: VaultSettings, clock: HandClock
) -> None:
    """Ruling 8."""
    with Vault.open(settings, clock) as vault, Intake(vault) as intake:
        receipt = stored(intake, claim_of(CONTENTS), CONTENTS, clock)
        record = folder_of(vault, receipt) / "record.json"
        _append(record, b"\n")
    rebuilt = rebuild(settings, clock)
    assert (rebuilt.recordings, rebuilt.unproven) == (1, 1)


def test_a_rebuild_with_a_hole_in_the_register_is_refused(
    settings: VaultSettings, clock: HandClock
) -> None:
    with Vault.open(settings, clock) as vault, Intake(vault) as intake:
        stored(intake, claim_of(CONTENTS), CONTENTS, clock)
    path = settings.root / "register/log/000000.jsonl"
    path.write_bytes(path.read_bytes().split(b"\n", 1)[1])
    before = catalogue_of(settings.root).read_bytes()
    with pytest.raises(StorageFailed, match="entry 0"):
        rebuild(settings, clock)
    assert catalogue_of(settings.root).read_bytes() == before


@pytest.mark.parametrize(
    "pair",
    [("BC", "CM"), ("BC", "GS"), ("BC", "VC"), ("GS", "VC"), ("CM", "ESCROW-A"), ("CM", "CM")],
)
def test_a_pair_that_the_protocol_does_not_name_gets_nothing(
    vault: Vault, receipt: Receipt, pair: tuple[str, str]
) -> None:
    """P40, P42: refused before the log or a half is touched."""
    with vault.reading() as tx:
        before = len(read_leaves(tx))
    with pytest.raises(PairRefused):
        open_recording(vault, receipt.recording_id, *unlocked(vault, *pair), "test")
    with vault.reading() as tx:
        assert len(read_leaves(tx)) == before


def test_one_person_in_two_seats_gets_nothing(vault: Vault, receipt: Receipt) -> None:
    """P40: four eyes are of two persons, whatever functions they hold."""
    manager, secretary = unlocked(vault, "CM", "GS")
    secretary.person = manager.person
    with pytest.raises(PairRefused, match="one person"):
        open_recording(vault, receipt.recording_id, manager, secretary, "test")
    with pytest.raises(NotAllowed, match="both persons"):
        confirm(vault, actor(vault, "CM"), actor(vault, "CM"))
    with pytest.raises(NotAllowed, match="tweetal"):
        confirm(vault, actor(vault, "BC"), actor(vault, "CM"))


def test_the_log_tells_of_an_opening_before_the_first_byte(vault: Vault, receipt: Receipt) -> None:
    """I6, fault I2: where the log can't be written nothing is opened."""
    register = vault.settings.root / "register/log/000000.jsonl"
    content = register.read_bytes()
    register.unlink()
    register.mkdir()
    with pytest.raises(StorageFailed):
        open_recording(vault, receipt.recording_id, *unlocked(vault, "CM", "GS"), "test")
    register.rmdir()
    register.write_bytes(content)
    plaintexts(vault, receipt.recording_id)
    with vault.reading() as tx:
        last = parse_object(read_leaves(tx)[-1])
    assert (last["action"], last["details"]["pair"]) == ("recording.opened", "CM+GS")


def test_an_altered_record_is_not_opened(vault: Vault, receipt: Receipt) -> None:
    _append(folder_of(vault, receipt) / "record.json", b" ")
    with pytest.raises(CannotOpen, match="not the one that was stored"):
        open_recording(vault, receipt.recording_id, *unlocked(vault, "CM", "GS"), "test")
    with pytest.raises(UnknownRecording):
        open_recording(vault, "none", *unlocked(vault, "CM", "GS"), "test")


@pytest.mark.parametrize(
    "camera",
    [
        ("bwc", "", ""),
        ("A/../B", "", ""),
        ("BWC1", "AAAA", ""),
        ("BWC1", "not base64!", ""),
        ("bwc1", "A" * 44, ""),
    ],
)
def test_a_bad_camera_is_not_registered(
    vault: Vault, clock: HandClock, camera: tuple[str, str, str]
) -> None:
    if camera[0] == "bwc":
        camera = ("b", "", "")
    with pytest.raises(UnknownCamera), vault.writing() as tx:
        cameras.register(tx, vault.log, clock, camera, "test")


def test_a_camera_is_registered_once_and_can_come_back_with_a_new_key(
    vault: Vault, intake: Intake, clock: HandClock
) -> None:
    """P25."""
    with vault.writing() as tx:
        cameras.register(tx, vault.log, clock, (SERIAL, to_base64(bytes(32)), "M"), "test")
    with pytest.raises(CameraExists), vault.writing() as tx:
        cameras.register(tx, vault.log, clock, (SERIAL, to_base64(bytes(32)), "M"), "test")
    with vault.writing() as tx:
        cameras.remove(tx, vault.log, clock, SERIAL, "test")
    assert intake.camera(SERIAL) is None
    with vault.writing() as tx:
        cameras.register(tx, vault.log, clock, (SERIAL, to_base64(b"k" * 32), "M"), "test")
    found = intake.camera(SERIAL)
    assert found is not None
    assert found.public_key == b"k" * 32
    with pytest.raises(UnknownCamera), vault.writing() as tx:
        cameras.remove(tx, vault.log, clock, "BWC9999", "test")


def test_the_daily_part_reads_every_recording_once_in_28_days() -> None:
    """The log, the folders and the papers are checked every day."""
    ids = [str(uuid.UUID(int=random.Random(seed).getrandbits(128))) for seed in range(500)]
    days = range(739_000, 739_000 + ROUND_DAYS)
    read = [[day for day in days if part_of_day(recording, day)] for recording in ids]
    assert all(len(on) == 1 for on in read)
    assert len({on[0] for on in read}) == ROUND_DAYS


def test_the_days_on_which_nothing_was_read_are_made_up_for(tmp_path: Path) -> None:
    """A docking PC that was off for days does not let recordings pass unread."""
    clock = HandClock()
    with Vault.open(founded(tmp_path, clock), clock) as vault:
        today = clock.now().toordinal()
        assert due_days(vault) == range(today, today + 1)
        verify_daily(vault, quiet)
        assert due_days(vault) == range(today, today + 1)
        clock.pass_time(3 * 86400)
        assert due_days(vault) == range(today + 1, today + 4)
        clock.pass_time(60 * 86400)
        assert len(due_days(vault)) == ROUND_DAYS


def quiet(_: int) -> None:
    pass


def verified(vault: Vault) -> list[dict[str, object]]:
    """The details of every daily check that the log tells of."""
    entries = [parse_object(leaf) for leaf in vault.leaves()]
    return [entry["details"] for entry in entries if entry["action"] == VERIFIED]


def on_its_day(clock: HandClock, receipt: Receipt) -> None:
    """Let days pass until the recording's turn has come."""
    while not part_of_day(receipt.recording_id, clock.now().toordinal()):
        clock.pass_time(86400)


def test_the_daily_check_alone_says_in_the_log_how_it_went(
    vault: Vault, receipt: Receipt, clock: HandClock
) -> None:
    on_its_day(clock, receipt)
    entries = verify(vault, quiet).log_entries
    assert verified(vault) == []
    assert verify_daily(vault, quiet).findings == ()
    assert verified(vault) == [
        {
            "recordings": 1,
            "files": 3,
            "log_entries": entries,
            "findings": 0,
            "codes": [],
            "subjects": [],
        }
    ]
    _flip(folder_of(vault, receipt) / "0000.sealed")
    (folder_of(vault, receipt) / "0001.sealed").unlink()
    assert len(verify_daily(vault, quiet, ["log.truncated"]).findings) == 2
    told = verified(vault)[-1]
    assert (told["findings"], told["codes"]) == (
        3,
        ["file.altered", "file.missing", "log.truncated"],
    )


def test_a_daily_check_that_breaks_off_is_a_finding(vault: Vault, receipt: Receipt) -> None:
    register = vault.settings.root / "register/log/000000.jsonl"
    with vault.writing() as tx:
        vault.log.append(tx, Entry("test.entered", "test", None, {}))
    lines = register.read_bytes().splitlines(keepends=True)
    register.write_bytes(b"".join(lines[:1] + lines[2:]))
    with pytest.raises(StorageFailed, match="lacks entry 1"):
        verify_daily(vault, quiet)
    assert [(told["findings"], told["codes"]) for told in verified(vault)] == [
        (1, ["vault.storage_failed"])
    ]


def test_what_dockd_has_in_hand_is_no_finding_of_the_daily_check(
    vault: Vault, intake: Intake, clock: HandClock
) -> None:
    """The folder without a row and the part of an intake that goes on; a folder that only looks
    stored is one.
    """
    received(intake, claim_of(CONTENTS), CONTENTS, clock)
    (vault.settings.root / "incoming" / "x.part").write_bytes(b"")
    assert {finding.code for finding in verify(vault, quiet).findings} == {
        "folder.without_row",
        "incoming.part",
    }
    assert verify_daily(vault, quiet).findings == ()
    planted = vault.settings.root / "footage" / "2026/11" / str(uuid.uuid4())
    planted.mkdir()
    (planted / "record.json").write_bytes(b"{}")
    assert [finding.code for finding in verify_daily(vault, quiet).findings] == [
        "folder.without_row"
    ]


def test_entries_that_come_while_the_log_is_read_are_no_findings(
    vault: Vault, receipt: Receipt
) -> None:
    def enter() -> None:
        for _ in range(100):
            with vault.writing() as tx:
                vault.log.append(tx, Entry("test.entered", "test", None, {}))

    writer = threading.Thread(target=enter)
    writer.start()
    found: list[Finding] = []
    while writer.is_alive():
        found += verify(vault, quiet).findings
    writer.join()
    assert found == []
    assert verify(vault, quiet).log_entries > 100


def test_what_the_daily_check_found_it_reads_again_until_it_is_mended(
    vault: Vault, receipt: Receipt, clock: HandClock
) -> None:
    """Its part of the recordings is another one the next day; the alarm may not end by that."""
    sealed = folder_of(vault, receipt) / "0000.sealed"
    content = sealed.read_bytes()
    _flip(sealed)
    found: list[str] = []
    while not found:
        clock.pass_time(86400)
        found = [finding.code for finding in verify_daily(vault, quiet).findings]
    for _ in range(3):
        clock.pass_time(86400)
        assert [finding.code for finding in verify_daily(vault, quiet).findings] == ["file.altered"]
    sealed.write_bytes(content)
    clock.pass_time(86400)
    assert verify_daily(vault, quiet).findings == ()
    clock.pass_time(86400)
    assert verify_daily(vault, quiet).recordings == 0
