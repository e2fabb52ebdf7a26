"""Backup and restore, drilled: what was destroyed opens nowhere, and comes back from nowhere (P30,
P31; what it must show, 6).
"""

import shutil
import sqlite3
from datetime import datetime
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from tests.support import second_reader
from tests.support.hand_clock import HandClock
from tests.support.note_reader import read_note, tree_root
from tests.support.office import ESCROW, Office
from tests.support.places import catalogue_of
from vault.catalogue.facts import delete_meta
from vault.catalogue.recording_rows import all_recordings
from vault.config import VaultSettings
from vault.crypto.canonical_json import parse_object
from vault.custody import cases
from vault.custody.cases import NewCase
from vault.custody.people import actor
from vault.custody.retention import clock_confirmation, deletion, disposition, sweep
from vault.custody.retention.confirmation import confirm
from vault.custody.witness import log_key, new_log_key, read_witnessed, sign_head
from vault.errors import (
    CannotOpen,
    Failure,
    UnknownRecording,
    VaultExists,
    VaultFull,
    WrongPassphrase,
)
from vault.log.checkpoints import LogForked, parse_checkpoint, verify_since
from vault.log.signed_note import CheckpointRefused, LogKey
from vault.operations import backup
from vault.operations.backup import READING_PARTS, BackedUp, OtherLog
from vault.operations.drill import drill
from vault.operations.health import measure
from vault.operations.rebuild import rebuild
from vault.operations.restore import Restored, restore
from vault.operations.verify import verify, verify_daily
from vault.rules.case_kinds import CaseKind
from vault.vault import Vault


def quiet(_: str) -> None:
    pass


def back_up(here: Office, target: Path) -> BackedUp:
    return backup.back_up(here.vault, target, quiet)


def elsewhere(here: Office, folder: Path) -> VaultSettings:
    """The same vault's settings on a new machine: pins and log key were kept outside."""
    return here.settings.model_copy(update={"root": folder / "restored"})


def restored(
    here: Office, target: Path, folder: Path, witnessed: frozenset[str] = frozenset()
) -> tuple[VaultSettings, Restored]:
    settings = elsewhere(here, folder)
    settings.root.mkdir()
    return settings, restore(settings, target, here.clock, witnessed, quiet)


def delete(here: Office, recording: str) -> None:
    deletion.delete(
        here.vault, here.actor("Carel"), here.actor("Petra"), recording, "made by mistake"
    )


def keys_below(folder: Path, recording: str) -> list[Path]:
    """Every file that still holds a wrapped key of a recording."""
    return [
        path
        for path in folder.rglob("*.json")
        if recording in str(path) and b'"halves"' in path.read_bytes()
    ]


def test_after_the_next_backup_nothing_opens_what_was_destroyed(
    here: Office, tmp_path: Path
) -> None:
    """Not in the vault, the catalogue, its journal, or the target: no wrapped key, no sealed file,
    no plaintext.
    """
    recording, other = here.record(contents=(b"seen on the street " * 400,)), here.record()
    assert back_up(here, tmp_path / "b").copied == 2
    (record,) = keys_below(here.settings.root, recording)
    halves = [
        half["sealed"].encode()
        for entry in second_reader._parse(record.read_bytes(), "r")["keys"]
        for half in entry["halves"]
    ]
    delete(here, recording)
    done = back_up(here, tmp_path / "b")
    assert (done.copied, done.kept, done.destroyed) == (0, 1, 1)
    for root in (here.settings.root, tmp_path / "b"):
        assert keys_below(root, recording) == []
        for path in (path for path in root.rglob("*") if path.is_file()):
            content = path.read_bytes()
            assert not any(half in content for half in halves), path
            assert b"seen on the street" not in content, path
        assert keys_below(root, other) != []
    assert not list((here.settings.root / "catalogue").glob("catalogue.db-*"))
    assert verify(here.vault, quiet_progress).findings == ()


def quiet_progress(_: int) -> None:
    pass


def test_a_restore_brings_everything_back_and_waits_for_two(here: Office, tmp_path: Path) -> None:
    """Ruling 7: recordings, cases, holds, persons, log; and nothing expires before two persons have
    confirmed.
    """
    recording = here.record(contents=(b"kept",))
    cases.register(
        here.vault,
        here.actor("Petra"),
        NewCase(CaseKind.DEMAND, "OM-1", here.clock.now(), (recording,)),
    )
    free = here.record()
    back_up(here, tmp_path / "b")
    settings, done = restored(here, tmp_path / "b", tmp_path)
    assert (done.rebuilt.recordings, done.rebuilt.unproven, done.left_out) == (2, 0, ())
    with Vault.open(settings, here.clock) as vault:
        assert verify(vault, quiet_progress).findings == ()
        here.days(60)
        for _ in range(30):
            here.clock.pass_time(3600)
            assert sweep.sweep(vault, here.clock).destroyed == ()
        confirm(vault, actor(vault, here.id("Carel")), actor(vault, here.id("Petra")))
        clock_confirmation.confirm_clock(
            vault, here.clock, actor(vault, here.id("Carel")), actor(vault, here.id("Petra"))
        )
        gone = []
        for _ in range(30):
            here.clock.pass_time(3600)
            gone += sweep.sweep(vault, here.clock).destroyed
        assert gone == [free]
        assert "OM-1" in disposition.disposition(vault, actor(vault, here.id("Petra")), recording).nl


def test_a_restore_that_would_fill_the_disk_copies_nothing(
    here: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The practice restore of the drill stands on the vault's own disk: log and viewing must have
    their room (fault C5).
    """
    recording = here.record(contents=(b"kept" * 5000,))
    back_up(here, tmp_path / "b")
    sealed_bytes = sum(path.stat().st_size for path in (tmp_path / "b").glob("footage/*/*/*/*"))
    free_bytes = (here.settings.reserve_mb << 20) + sealed_bytes
    monkeypatch.setattr("vault.storage.file_store.free_bytes", lambda _: free_bytes - 1)
    with pytest.raises(VaultFull, match="what the backup holds and the reserve"):
        restored(here, tmp_path / "b", tmp_path)
    assert not list((tmp_path / "restored").glob("footage/**/*.sealed"))
    monkeypatch.setattr("vault.storage.file_store.free_bytes", lambda _: free_bytes)
    restore(elsewhere(here, tmp_path), tmp_path / "b", here.clock, frozenset(), quiet)
    assert list((tmp_path / "restored").glob(f"footage/*/*/{recording}/record.json"))


def test_an_older_backup_does_not_bring_back_what_a_witness_names(
    here: Office, tmp_path: Path
) -> None:
    """The backup was made before the destruction and knows nothing of it; the
    witness's note does.
    """
    recording, other = here.record(), here.record()
    back_up(here, tmp_path / "old")
    here.settings.witness[:] = ["tee", str(tmp_path / "note")]
    delete(here, recording)
    sign_head(here.vault)
    _, witnessed = read_witnessed((tmp_path / "note").read_bytes())
    assert witnessed == {recording}
    settings, done = restored(here, tmp_path / "old", tmp_path, witnessed)
    assert done.left_out == (recording,)
    assert [
        folder.recording_id for folder in Vault.open(settings, here.clock).store.recordings()
    ] == [other]


def test_a_folder_put_back_by_hand_is_destroyed_again(here: Office, tmp_path: Path) -> None:
    """A copy of the folder from somewhere: the tombstone knows it."""
    recording = here.record()
    (folder,) = here.settings.root.glob(f"footage/*/*/{recording}")
    shutil.copytree(folder, tmp_path / "copy")
    delete(here, recording)
    shutil.copytree(tmp_path / "copy", folder)
    assert "destroyed.remains" in {
        finding.code for finding in verify(here.vault, quiet_progress).findings
    }
    here.reopen()
    deletion.finish(here.vault)
    sweep.sweep(here.vault, here.clock)
    assert not here.stands(recording)


def test_a_backup_goes_on_where_it_was_cut_off_and_refuses_strangers(
    here: Office, tmp_path: Path
) -> None:
    first = here.record()
    back_up(here, tmp_path / "b")
    (copied,) = (tmp_path / "b").glob(f"footage/*/*/{first}/0001.sealed")
    copied.write_bytes(b"torn")
    (tmp_path / "b" / "vault.json").unlink()
    done = back_up(here, tmp_path / "b")
    assert (done.copied, done.files > 0) == (1, True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine.txt").write_text("x")
    for target in (tmp_path / "other", here.settings.root):
        with pytest.raises(VaultExists):
            back_up(here, target)
    with pytest.raises(VaultExists, match="not empty"):
        restore(here.settings, tmp_path / "b", here.clock, frozenset(), quiet)


def test_a_damaged_vault_is_not_backed_up_over_a_good_copy(here: Office, tmp_path: Path) -> None:
    recording = here.record()
    flip(here.settings.root, recording)
    assert "another file" in back_up(here, tmp_path / "b").failed[recording]
    assert not list((tmp_path / "b").glob("footage/*/*/*/0000.sealed"))


def flip(root: Path, recording: str) -> None:
    (sealed,) = root.glob(f"footage/*/*/{recording}/0000.sealed")
    content = bytearray(sealed.read_bytes())
    content[9] ^= 1
    sealed.write_bytes(content)


def test_one_damaged_recording_keeps_nothing_else_from_the_backup(
    here: Office, tmp_path: Path
) -> None:
    """And the backup does not count as made until it is whole: the age that the alarm goes by stays
    what it was.
    """
    first = here.record()
    back_up(here, tmp_path / "b")
    whole = measure(here.vault).last_backup_utc
    assert whole is not None
    here.days(1)
    damaged, after = here.record(), here.record()
    flip(here.settings.root, damaged)
    (record,) = here.settings.root.glob(f"footage/*/*/{first}/record.json")
    record.unlink()
    done = back_up(here, tmp_path / "b")
    assert (done.copied, set(done.failed)) == (1, {first, damaged})
    assert list((tmp_path / "b").glob(f"footage/*/*/{after}/record.json"))
    assert list((tmp_path / "b").glob(f"footage/*/*/{first}/record.json")), (
        "the good copy of a damaged one"
    )
    told = b"".join(path.read_bytes() for path in (tmp_path / "b" / "register" / "log").iterdir())
    assert told.count(b'"backup.made"') == 2
    assert measure(here.vault).last_backup_utc == whole


def test_the_last_copy_of_what_a_rebuild_could_not_take_up_is_kept(
    here: Office, tmp_path: Path
) -> None:
    """No row of the catalogue is no word of destruction."""
    recording, other = here.record(), here.record()
    back_up(here, tmp_path / "b")
    (record,) = here.settings.root.glob(f"footage/*/*/{recording}/record.json")
    record.unlink()
    here.vault.close()
    rebuilt = rebuild(here.settings, here.clock)
    assert (rebuilt.recordings, len(rebuilt.damaged)) == (1, 1)
    with Vault.open(here.settings, here.clock) as vault:
        done = backup.back_up(vault, tmp_path / "b", quiet)
        assert (done.destroyed, done.unknown, done.whole) == (0, (recording,), False)
    (copy,) = (tmp_path / "b").glob(f"footage/*/*/{recording}/record.json")
    record.write_bytes(copy.read_bytes())
    assert rebuild(here.settings, here.clock).damaged == ()
    with Vault.open(here.settings, here.clock) as vault:
        assert verify(vault, quiet_progress).findings == ()
        assert backup.back_up(vault, tmp_path / "b", quiet).whole
    assert {path.name for path in (tmp_path / "b").glob("footage/*/*/*")} == {recording, other}


def test_a_newer_backup_is_not_cut_back_to_an_older_vault(here: Office, tmp_path: Path) -> None:
    """Two media in turn: the vault was restored from the older one, and the newer one is mounted
    again.
    """
    here.record()
    back_up(here, tmp_path / "old")
    here.days(1)
    newest = here.record()
    back_up(here, tmp_path / "new")
    settings, _ = restored(here, tmp_path / "old", tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "new").rglob("*") if path.is_file()}
    with Vault.open(settings, here.clock) as vault:
        with pytest.raises(OtherLog, match="differs from this vault"):
            backup.back_up(vault, tmp_path / "new", quiet)
        assert backup.back_up(vault, tmp_path / "old", quiet).whole
    assert {
        path: path.read_bytes() for path in (tmp_path / "new").rglob("*") if path.is_file()
    } == before
    assert any(newest in str(path) for path in before)


def test_a_newer_backup_whose_log_has_a_hole_is_newer_all_the_same(
    here: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vault.log.log.LINES_A_FILE", 2)
    here.record()
    back_up(here, tmp_path / "old")
    here.record()
    back_up(here, tmp_path / "new")
    settings, _ = restored(here, tmp_path / "old", tmp_path)
    sorted((tmp_path / "new" / "register" / "log").iterdir())[1].unlink()
    sorted((tmp_path / "old" / "register" / "log").iterdir())[1].unlink()
    with Vault.open(settings, here.clock) as vault:
        with pytest.raises(OtherLog):
            backup.back_up(vault, tmp_path / "new", quiet)
        assert backup.back_up(vault, tmp_path / "old", quiet).whole, "what is older is made whole"


def test_a_restore_that_goes_on_keeps_what_it_has_brought(
    here: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The medium dies more and more: what it can't give a second time stands already."""
    recording = here.record()
    back_up(here, tmp_path / "b")
    settings = elsewhere(here, tmp_path)
    settings.root.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(
            "vault.operations.restore.rebuild", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            restore(settings, tmp_path / "b", here.clock, frozenset(), quiet)
    (copy,) = (tmp_path / "b").glob(f"footage/*/*/{recording}/record.json")
    copy.write_bytes(b"{")
    done = restore(settings, tmp_path / "b", here.clock, frozenset(), quiet)
    assert (done.rebuilt.recordings, done.rebuilt.unproven, done.lost) == (1, 0, {})


def test_what_was_done_last_is_at_hand_and_is_looked_for_where_it_is_not(
    here: Office, tmp_path: Path
) -> None:
    """A catalogue of an older program kept none of it; a rebuild brings it back from the log."""
    here.record()
    drill(here.vault, ESCROW, Random(1))
    back_up(here, tmp_path / "b")
    verify_daily(here.vault, quiet_progress)
    before = measure(here.vault)
    assert None not in (before.last_drill_utc, before.last_backup_utc, before.last_verify_utc)
    with here.vault.writing() as tx:
        delete_meta(tx, "newest drill.done")
    assert measure(here.vault).last_drill_utc == before.last_drill_utc
    here.vault.close()
    rebuild(here.settings, here.clock)
    with Vault.open(here.settings, here.clock) as vault:
        after = measure(vault)
    assert (after.last_drill_utc, after.last_verify_utc) == (
        before.last_drill_utc,
        before.last_verify_utc,
    )
    assert after.last_backup_utc == before.last_backup_utc


def test_what_a_witness_names_as_destroyed_is_destroyed_on_every_medium(
    here: Office, tmp_path: Path
) -> None:
    """The restored vault has no tombstone of it, only the entry of its restore."""
    recording = here.record()
    back_up(here, tmp_path / "a")
    settings, _ = restored(here, tmp_path / "a", tmp_path, frozenset({recording}))
    with Vault.open(settings, here.clock) as vault:
        done = backup.back_up(vault, tmp_path / "a", quiet)
    assert (done.destroyed, done.whole) == (1, True)


def test_what_a_medium_has_lost_is_copied_anew_within_a_round(here: Office, tmp_path: Path) -> None:
    recordings = {here.record(), here.record()}
    back_up(here, tmp_path / "b")
    for recording in recordings:
        flip(tmp_path / "b", recording)
    (copy,) = (tmp_path / "b").glob(f"footage/*/*/{max(recordings)}/record.json")
    copy.write_bytes(copy.read_bytes()[:-2] + b" }")
    mended = 0
    for _ in range(28):
        here.days(1)
        mended += back_up(here, tmp_path / "b").mended
    assert mended == 2
    for recording in recordings:
        for name in ("0000.sealed", "record.json"):
            (copy,), (sealed,) = (
                root.glob(f"footage/*/*/{recording}/{name}")
                for root in (tmp_path / "b", here.settings.root)
            )
            assert copy.read_bytes() == sealed.read_bytes()


def test_a_medium_that_is_away_every_other_week_is_read_all_the_same() -> None:
    """Within four weeks, whatever day it is changed on."""
    for first in range(14):
        days = [first + week * 14 + day for week in (0, 1) for day in range(7)]
        read = {
            part
            for day in days
            for part in range(READING_PARTS)
            if backup._is_read_today(str(UUID(int=part)), day)
        }
        assert read == set(range(READING_PARTS))


def test_what_a_medium_has_lost_keeps_nothing_else_from_being_restored(
    here: Office, tmp_path: Path
) -> None:
    """It is told, nothing of it is left half-way, and once fetched from another medium it is as it
    was.
    """
    lost, kept = here.record(), here.record()
    for medium in ("b", "other"):
        back_up(here, tmp_path / medium)
    flip(tmp_path / "b", lost)
    settings, done = restored(here, tmp_path / "b", tmp_path)
    assert (done.rebuilt.recordings, done.left_out, set(done.lost)) == (1, (), {lost})
    assert not list(settings.root.glob(f"footage/*/*/{lost}"))
    (folder,) = (tmp_path / "other").glob(f"footage/*/*/{lost}")
    shutil.copytree(folder, settings.root / folder.relative_to(tmp_path / "other"))
    assert rebuild(settings, here.clock).unproven == 0
    with Vault.open(settings, here.clock) as vault:
        assert verify(vault, quiet_progress).findings == ()
        with vault.reading() as tx:
            assert {row.id for row in all_recordings(tx)} == {lost, kept}


def test_the_escrow_alone_opens_a_random_recording_in_the_drill(here: Office) -> None:
    """Proves P30: twice a year; it says so in the log, and when it fails too."""
    with pytest.raises(UnknownRecording):
        drill(here.vault, ESCROW, Random(1))
    recordings = {here.record(), here.record()}
    drilled = drill(here.vault, ESCROW, Random(1))
    assert drilled.recording in recordings
    assert [entry["subject"] for entry in here.told("drill.done")] == [drilled.recording]
    with pytest.raises(WrongPassphrase):
        drill(here.vault, dict(ESCROW, **{"ESCROW-B": "not the code at all"}), Random(1))
    for sealed in here.settings.root.glob("footage/*/*/*/0000.sealed"):
        sealed.write_bytes(sealed.read_bytes()[:-1])
    with pytest.raises(CannotOpen):
        drill(here.vault, ESCROW, Random(1))
    assert len(here.told("drill.failed")) == 1


def test_no_key_stands_in_the_catalogue_even_before_a_destruction(here: Office) -> None:
    here.record()
    connection = sqlite3.connect(catalogue_of(here.settings.root))
    dump = "\n".join(connection.iterdump())
    connection.close()
    assert "halves" not in dump


def new_machine(here: Office, folder: Path) -> VaultSettings:
    """A machine that has the settings alone."""
    return here.settings.model_copy(
        update={"root": folder / "new" / "vault", "pins": folder / "new" / "keys" / "pins.json"}
    )


def test_a_machine_that_lost_pins_and_log_key_gets_both_anew(here: Office, tmp_path: Path) -> None:
    """The log goes on under a new key, and says so: the last head of the lost one bears both
    signatures, wherever it stands.
    """
    here.record(contents=(b"kept",))
    old_note = sign_head(here.vault)
    old_key = log_key(here.vault).verifier
    back_up(here, tmp_path / "b")
    settings = new_machine(here, tmp_path)
    with pytest.raises(Failure):
        restore(settings, tmp_path / "b", here.clock, frozenset(), quiet)
    done = restore(
        settings, tmp_path / "b", here.clock, frozenset(), quiet, here.vault.keyring.next_pins()
    )
    with Vault.open(settings, here.clock) as vault:
        sign_head(vault)
        new_key = log_key(vault).verifier
        assert done.log_key == new_key.text() != old_key.text()
        assert verify(vault, quiet_progress).findings == ()
        assert verify_since([parse_checkpoint(old_note, old_key)], vault.leaves()) == []
        changed = [
            entry
            for entry in map(parse_object, vault.leaves())
            if entry["action"] == "log.key_changed"
        ]
        assert [entry["details"] for entry in changed] == [{"key": new_key.text()}]
        backup.back_up(vault, tmp_path / "b", quiet)
        heads = sorted((tmp_path / "b" / "checkpoints").iterdir())
        for root in (settings.root, tmp_path / "b"):
            kept, following = (root / "checkpoints" / path.name for path in heads)
            assert kept.read_bytes().startswith(old_note)
            assert {
                read_note(kept.read_bytes(), key.text()).size for key in (old_key, new_key)
            } == {int(kept.stem)}
            assert read_note(following.read_bytes(), new_key.text()).root == tree_root(
                list(vault.leaves())[: int(following.stem)]
            )
    again = new_machine(here, tmp_path / "second")
    done = restore(
        again, tmp_path / "b", here.clock, frozenset(), quiet, here.vault.keyring.next_pins()
    )
    assert [path.name for path in sorted((again.root / "checkpoints").iterdir())] == [
        path.name for path in heads
    ]
    last = (again.root / "checkpoints" / heads[-1].name).read_bytes()
    assert read_note(last, new_key.text()) == read_note(last, done.log_key or "")


@pytest.mark.parametrize("how", ["edited", "truncated", "no note"])
def test_a_backup_whose_log_was_altered_is_restored_and_nothing_is_signed(
    here: Office, tmp_path: Path, how: str
) -> None:
    """No key is made that would sign another log than the head names; what was recorded is there
    for whoever looks into it.
    """
    recording = here.record(contents=(b"kept",))
    sign_head(here.vault)
    back_up(here, tmp_path / "b")
    (lines,) = (tmp_path / "b" / "register" / "log").iterdir()
    (note,) = (tmp_path / "b" / "checkpoints").iterdir()
    content = lines.read_bytes().splitlines(keepends=True)
    match how:
        case "edited":
            content[0] = content[0].replace(b"Petra", b"Peter")
            lines.write_bytes(b"".join(content))
        case "truncated":
            lines.write_bytes(b"".join(content[: int(note.stem) - 1]))
        case _:
            note.write_bytes(b"torn")
    settings = new_machine(here, tmp_path)
    with pytest.raises(CheckpointRefused if how == "no note" else LogForked):
        restore(
            settings, tmp_path / "b", here.clock, frozenset(), quiet, here.vault.keyring.next_pins()
        )
    with Vault.open(settings, here.clock) as vault:
        assert [folder.recording_id for folder in vault.store.recordings()] == [recording]
        assert not settings.log_key_path.exists()
        assert not [leaf for leaf in vault.leaves() if b"log.key_changed" in leaf]
        with pytest.raises((LogForked, CheckpointRefused)):
            new_log_key(vault)
        with pytest.raises(CheckpointRefused):
            sign_head(vault)


def test_a_backup_that_was_cut_off_holds_no_head_without_its_entries(
    here: Office, tmp_path: Path
) -> None:
    """Power goes, or the medium, before the register's newest lines are there."""
    here.record()
    sign_head(here.vault)
    back_up(here, tmp_path / "b")
    heads = sorted(path.name for path in (tmp_path / "b" / "checkpoints").iterdir())
    here.record()
    sign_head(here.vault)
    obstacle = tmp_path / "b" / "register" / "log" / ".000000.jsonl.part"
    obstacle.mkdir()
    with pytest.raises(Failure):
        back_up(here, tmp_path / "b")
    obstacle.rmdir()
    assert sorted(path.name for path in (tmp_path / "b" / "checkpoints").iterdir()) == heads
    settings, done = restored(here, tmp_path / "b", tmp_path)
    assert done.rebuilt.recordings == 2
    with Vault.open(settings, here.clock) as vault:
        sign_head(vault)


def test_another_vaults_log_key_is_refused_before_anything_is_copied(
    here: Office, tmp_path: Path
) -> None:
    here.record()
    sign_head(here.vault)
    back_up(here, tmp_path / "b")
    settings = new_machine(here, tmp_path)
    settings.pins.parent.mkdir(parents=True)
    settings.log_key_path.write_bytes(LogKey.generate(f"dock-vault/{here.vault.id}").content())
    with pytest.raises(CheckpointRefused):
        restore(
            settings, tmp_path / "b", here.clock, frozenset(), quiet, here.vault.keyring.next_pins()
        )
    assert not settings.root.exists()


class CutClock(HandClock):
    """Power goes at the nth look at the clock, from wherever it is looked at."""

    def __init__(self, moment: datetime, looks: int) -> None:
        super().__init__(moment)
        self.looks = looks

    def now(self) -> datetime:
        self.looks -= 1
        if self.looks < 0:
            raise KeyboardInterrupt
        return super().now()


def cut_off(here: Office, target: Path, settings: VaultSettings, cut: tuple[str, int]) -> None:
    """A restore that ends at a recording, at a look at the clock, or where the place of the keys
    can't be written.
    """
    what, at = cut
    copied: list[str] = []

    def tell(recording: str) -> None:
        copied.append(recording)
        if what == "recording" and len(copied) == at:
            raise KeyboardInterrupt

    clock = CutClock(here.clock.moment, at if what == "look" else 1000)
    if what == "keys":
        settings.pins.parent.parent.mkdir()
        settings.pins.parent.write_text("no folder")
    with pytest.raises((KeyboardInterrupt, Failure, NotADirectoryError)):
        restore(settings, target, clock, frozenset(), tell, here.vault.keyring.next_pins())
    if what == "keys":
        settings.pins.parent.unlink()


@pytest.mark.parametrize(
    "cut", [("recording", 1), ("recording", 2), *(("look", at) for at in range(5)), ("keys", 0)]
)
def test_a_restore_that_was_cut_off_goes_on(
    here: Office, tmp_path: Path, cut: tuple[str, int]
) -> None:
    """And ends as one that was not: whole, and with one entry of each thing that was done."""
    recordings = {here.record(contents=(b"kept",)), here.record()}
    sign_head(here.vault)
    back_up(here, tmp_path / "b")
    settings = new_machine(here, tmp_path)
    pins = here.vault.keyring.next_pins()
    cut_off(here, tmp_path / "b", settings, cut)
    done = restore(settings, tmp_path / "b", here.clock, frozenset(), quiet, pins)
    assert (done.rebuilt.recordings, done.left_out) == (2, ())
    with Vault.open(settings, here.clock) as vault:
        assert verify(vault, quiet_progress).findings == ()
        assert {folder.recording_id for folder in vault.store.recordings()} == recordings
        actions = [parse_object(leaf)["action"] for leaf in vault.leaves()]
        assert [
            actions.count(action)
            for action in ("vault.restored", "log.key_changed", "vault.rebuilt")
        ] == [1, 1, 1]
        assert log_key(vault).verifier.text() == done.log_key
        sign_head(vault)
    with pytest.raises(VaultExists):
        restore(settings, tmp_path / "b", here.clock, frozenset(), quiet, pins)
