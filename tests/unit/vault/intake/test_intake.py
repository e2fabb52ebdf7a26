"""Taking in: order of steps, doubt, resumption, recovery."""

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.hand_clock import HandClock
from tests.support.places import catalogue_of
from tests.support.vault_world import (
    SERIAL,
    WHOLE,
    claim_of,
    docking_at,
    files_below,
    founded,
    plaintexts,
    received,
    sha256,
    stored,
)
from vault.catalogue import recording_rows
from vault.config import VaultSettings
from vault.crypto.canonical_json import parse_object
from vault.errors import (
    CatalogueFailed,
    ContentDiffers,
    EraseRefused,
    StorageFailed,
    VaultBusy,
    VaultFull,
    VaultReadOnly,
)
from vault.intake.intake import ChainEnd, Intake
from vault.log.log import read_leaves
from vault.operations.verify import verify
from vault.recording import ClockOffset, State
from vault.storage.sealing import BytesSource
from vault.vault import Vault

CONTENTS = [os.urandom(300_000), b"", os.urandom(65_537)]


def actions(vault: Vault) -> list[str]:
    with vault.reading() as tx:
        return [parse_object(leaf)["action"] for leaf in read_leaves(tx)]


def test_a_recording_stands_whole_and_opens_to_what_the_camera_gave(
    intake: Intake, vault: Vault, clock: HandClock
) -> None:
    """I1, steps 5 to 9. Proves P29."""
    claim = claim_of(CONTENTS)
    receipt = stored(intake, claim, CONTENTS, clock)
    opened = plaintexts(vault, receipt.recording_id)
    assert [opened[f"{at:04d}.sealed"] for at in range(3)] == CONTENTS
    assert opened["manifest.sealed"] == b"S" * 64 + (claim.manifest or b"")
    assert receipt.state is State.STORED
    assert intake.receipt_for(claim) == receipt
    assert actions(vault)[-2:] == ["recording.stored", "recording.opened"]
    assert verify(vault, lambda _: None).findings == ()
    assert not list((vault.settings.root / "incoming").iterdir())


def test_every_pair_of_the_policy_opens_and_each_recording_has_a_key_of_its_own(
    intake: Intake, vault: Vault, clock: HandClock
) -> None:
    first = stored(intake, claim_of(CONTENTS, 1), CONTENTS, clock)
    second = stored(intake, claim_of(CONTENTS, 2), CONTENTS, clock)
    for pair in (
        ("CM", "GS"),
        ("PO", "BC"),
        ("PO", "CM"),
        ("PO", "GS"),
        ("PO", "VC"),
        ("CM", "VC"),
        ("ESCROW-A", "ESCROW-B"),
    ):
        assert plaintexts(vault, first.recording_id, *pair)["0000.sealed"] == CONTENTS[0]
    sealed = [
        ((vault.settings.root / _folder(vault, receipt.recording_id)) / "0000.sealed").read_bytes()
        for receipt in (first, second)
    ]
    assert sealed[0] != sealed[1]
    assert CONTENTS[0][:32] not in sealed[0]


def _folder(vault: Vault, recording_id: str) -> str:
    with vault.reading() as tx:
        row = recording_rows.find_recording(tx, recording_id)
    assert row is not None
    return row.folder


@pytest.mark.parametrize(
    "given",
    [
        CONTENTS[0][:-1],
        CONTENTS[0] + b"x",
        bytes([CONTENTS[0][0] ^ 1]) + CONTENTS[0][1:],
        b"",
    ],
    ids=["short", "long", "one bit", "nothing"],
)
def test_content_that_differs_leaves_nothing(
    intake: Intake, vault: Vault, clock: HandClock, given: bytes
) -> None:
    """Step 6: the part is thrown away, key and all; the camera keeps its copy; a new attempt takes
    it in.
    """
    claim = claim_of(CONTENTS)
    attempt = intake.begin(claim, docking_at(clock))
    attempt.receive(2, BytesSource(CONTENTS[2]))
    with pytest.raises(ContentDiffers):
        attempt.receive(0, BytesSource(given))
    assert not {
        path
        for path in files_below(vault.settings.root)
        if path.startswith(("incoming/", "footage/"))
    }
    with pytest.raises(ContentDiffers):
        attempt.receive(1, BytesSource(CONTENTS[1]))
    again = received(intake, claim, CONTENTS, clock)
    assert again is not attempt
    assert again.recording_id != attempt.recording_id
    again.commit(WHOLE)


class Unplugged(Exception):
    """The camera's own error."""


class FailingSource:
    def readinto(self, buffer: memoryview) -> int:
        raise Unplugged


def test_a_camera_taken_out_half_way_goes_on_with_the_first_missing_segment(
    intake: Intake, clock: HandClock
) -> None:
    claim = claim_of(CONTENTS)
    attempt = intake.begin(claim, docking_at(clock))
    attempt.receive(0, BytesSource(CONTENTS[0]))
    with pytest.raises(Unplugged):
        attempt.receive(1, FailingSource())
    again = intake.begin(claim, docking_at(clock))
    assert again is attempt
    assert again.missing() == (1, 2)


def test_close_drops_what_is_open_and_gives_the_lock_back(vault: Vault, clock: HandClock) -> None:
    with Intake(vault) as intake:
        intake.recover()
        intake.begin(claim_of(CONTENTS), docking_at(clock)).receive(0, BytesSource(CONTENTS[0]))
        with pytest.raises(VaultBusy):
            Intake(vault)
    assert not vault.store.recordings()
    with Intake(vault):
        pass


def test_a_camera_without_digests_is_read_twice(intake: Intake, clock: HandClock) -> None:
    """A DCIM camera states no digest: both readings must agree before the recording can be
    committed.
    """
    claim = claim_of(CONTENTS[:1], stated=False)
    attempt = intake.begin(claim, docking_at(clock))
    attempt.receive(0, BytesSource(CONTENTS[0]))
    assert attempt.missing() == (0,)
    with pytest.raises(ValueError, match="missing"):
        attempt.commit(WHOLE)
    with pytest.raises(ContentDiffers):
        attempt.confirm(0, BytesSource(CONTENTS[0][:-1] + b"?"))
    receipt = stored(intake, claim, CONTENTS, clock)
    assert receipt.segments[0].sha256 == sha256(CONTENTS[0])


def test_other_content_under_a_known_name_is_a_recording_of_its_own(
    intake: Intake, vault: Vault, clock: HandClock
) -> None:
    """Step 4: never an overwrite, and the log says so (E4)."""
    first = stored(intake, claim_of([b"first"]), [b"first"], clock)
    second = stored(intake, claim_of([b"second"]), [b"second"], clock)
    assert first.recording_id != second.recording_id
    assert {receipt.recording_id for receipt in intake.named(SERIAL, first.name)} == {
        first.recording_id,
        second.recording_id,
    }
    with vault.reading() as tx:
        last = parse_object(read_leaves(tx)[-1])
    assert last["details"]["other_content_under_this_name"] == [first.recording_id]


def test_the_erase_is_three_entries_and_can_be_done_again(
    intake: Intake, vault: Vault, clock: HandClock
) -> None:
    """Step 10, and B9: files that are back on the card after a yank are erased again."""
    receipt = stored(intake, claim_of(CONTENTS), CONTENTS, clock)
    erasing = intake.intend_erase(receipt)
    assert erasing.state is State.ERASING
    intake.erase_failed(erasing, "still there")
    assert intake.erasing(SERIAL) == (erasing,)
    erased = intake.erased(erasing)
    assert erased.state is State.ERASED
    assert intake.intend_erase(erased).state is State.ERASING
    assert actions(vault)[-4:] == ["erase.intended", "erase.failed", "erase.done", "erase.intended"]


def test_the_chain_ends_at_the_highest_counter(intake: Intake, clock: HandClock) -> None:
    assert intake.chain_end(SERIAL) is None
    newest = claim_of([b"b"], 2)
    stored(intake, newest, [b"b"], clock)
    stored(intake, claim_of([b"a"], 1), [b"a"], clock)
    assert intake.chain_end(SERIAL) == ChainEnd(2, newest.identity)


def test_a_full_disk_refuses_before_anything_is_read(tmp_path: Path, clock: HandClock) -> None:
    """Fault C5."""
    with (
        Vault.open(founded(tmp_path / "v", clock, reserve_mb=1 << 40), clock) as vault,
        Intake(vault) as intake,
    ):
        intake.recover()
        with pytest.raises(VaultFull, match="MiB free"):
            intake.begin(claim_of(CONTENTS), docking_at(clock))
        assert files_below(vault.settings.root / "footage") == set()


def test_storage_that_fails_three_times_makes_intake_read_only(
    intake: Intake, vault: Vault, clock: HandClock
) -> None:
    """Fault C4: the light is red until a person has looked."""
    (vault.settings.root / "footage").rename(vault.settings.root / "moved")
    (vault.settings.root / "footage").write_text("no folder")
    for _ in range(3):
        attempt = intake.begin(claim_of(CONTENTS), docking_at(clock))
        with pytest.raises(StorageFailed):
            attempt.receive(0, BytesSource(CONTENTS[0]))
    with pytest.raises(VaultReadOnly):
        intake.begin(claim_of(CONTENTS), docking_at(clock))


@pytest.mark.parametrize(
    ("offset_ms", "previous_h", "believed"),
    [
        (0, -5, True),
        (0, -1, True),
        (0, -0.5, False),
        (-7_200_000, -5, False),
        (3_600_000, -5, True),
        (None, -5, False),
        (0, None, False),
    ],
)
def test_a_stop_time_is_believed_between_two_dockings(
    intake: Intake,
    vault: Vault,
    clock: HandClock,
    offset_ms: int | None,
    previous_h: float | None,
    believed: bool,
) -> None:
    """Ruling 14, Q1, fault F3. The stop was at 17:00 on the camera's clock, the docking is at
    18:00.
    """
    if previous_h is not None:
        intake.docked(SERIAL, ClockOffset(clock.now() + timedelta(hours=previous_h), 0, "card"))
    docking = docking_at(clock, offset_ms)
    intake.docked(SERIAL, docking)
    attempt = intake.begin(claim_of([b"x"]), docking)
    attempt.receive(0, BytesSource(b"x"))
    receipt = attempt.commit(WHOLE)
    with vault.reading() as tx:
        row = recording_rows.find_recording(tx, receipt.recording_id)
    assert row is not None
    assert row.stop_believed is believed
    expected = (
        datetime(2026, 11, 23, 17, 0, tzinfo=UTC) - timedelta(milliseconds=offset_ms or 0)
        if believed
        else clock.now()
    )
    assert row.retention_from_utc.startswith(expected.strftime("%Y-%m-%dT%H:%M"))


def test_recovery_drops_parts_and_folders_without_a_record(
    settings: VaultSettings, clock: HandClock
) -> None:
    with Vault.open(settings, clock) as vault:
        with Intake(vault) as intake:
            stored(intake, claim_of(CONTENTS), CONTENTS, clock)
        (vault.settings.root / "incoming" / "1-0-0000.sealed.part").write_bytes(b"left")
        orphan = vault.settings.root / "footage" / "2026/11/00000000-0000-4000-8000-000000000000"
        orphan.mkdir()
        (orphan / "0000.sealed").write_bytes(b"no key opens this any more")
        with Intake(vault) as intake:
            recovery = intake.recover()
        assert (
            recovery.dropped_parts,
            recovery.dropped_folders,
            recovery.adopted,
            recovery.damaged,
        ) == (1, 1, (), ())
        assert verify(vault, lambda _: None).findings == ()


def _lose_row(vault: Vault, recording_id: str) -> None:
    """What a crash between record.json and the commit leaves: neither row nor entry."""
    with vault.writing() as tx:
        tx.exec_driver_sql("DELETE FROM sealed_file WHERE recording_id = ?", (recording_id,))
        tx.exec_driver_sql("DELETE FROM recording WHERE id = ?", (recording_id,))


def test_a_whole_folder_without_a_row_is_adopted_as_unproven_and_never_counts_for_an_erase(
    settings: VaultSettings, clock: HandClock
) -> None:
    """Ruling 8: whoever can write the vault's folder can plant a folder; only a proof of this
    process lets a camera be erased.
    """
    claim = claim_of(CONTENTS)
    with Vault.open(settings, clock) as vault:
        with Intake(vault) as intake:
            receipt = stored(intake, claim, CONTENTS, clock)
        _lose_row(vault, receipt.recording_id)
        with Intake(vault) as intake:
            assert intake.recover().adopted == (receipt.recording_id,)
            assert intake.receipt_for(claim) is None
            assert intake.named(SERIAL, claim.name) == ()
            with pytest.raises(EraseRefused, match="without proof"):
                intake.intend_erase(receipt)
            again = stored(intake, claim, CONTENTS, clock)
            assert again.recording_id != receipt.recording_id
        assert plaintexts(vault, receipt.recording_id)["0000.sealed"] == CONTENTS[0]


def test_what_a_killed_process_left_is_durable_before_anything_goes_on_from_it(
    settings: VaultSettings, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faults C1, then C3: what it made is seen by the next process, and nobody else would ever
    flush it. A journal that is back undoes a commit that later entries follow on; an adopted folder
    that is gone leaves a row of nothing.
    """
    flushed: list[Path] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{fd}").readlink())
        real(fd)

    with Vault.open(settings, clock) as vault:
        with Intake(vault) as intake:
            receipt = stored(intake, claim_of(CONTENTS), CONTENTS, clock)
        folder = vault.settings.root / _folder(vault, receipt.recording_id)
        _lose_row(vault, receipt.recording_id)
        monkeypatch.setattr(os, "fsync", fsync)
        with Intake(vault) as intake:
            intake.recover()
        monkeypatch.undo()
    log = settings.root / "register" / "log" / "000000.jsonl"
    assert flushed[: flushed.index(log)] == [
        folder,
        *list(folder.parents)[:3],
        catalogue_of(settings.root).parent,
    ]


@pytest.mark.parametrize("harm", ["flip", "cut", "missing", "garbage", "other place"])
def test_a_damaged_folder_without_a_row_is_left_for_a_person(
    settings: VaultSettings, clock: HandClock, harm: str
) -> None:
    """What can't be proven whole is neither adopted nor deleted."""
    with Vault.open(settings, clock) as vault:
        with Intake(vault) as intake:
            receipt = stored(intake, claim_of(CONTENTS), CONTENTS, clock)
        folder = vault.settings.root / _folder(vault, receipt.recording_id)
        _lose_row(vault, receipt.recording_id)
        sealed = folder / "0000.sealed"
        content = sealed.read_bytes()
        match harm:
            case "flip":
                sealed.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            case "cut":
                sealed.write_bytes(content[:-1])
            case "missing":
                sealed.unlink()
            case "garbage":
                (folder / "record.json").write_bytes(b'{"format":')
            case "other place":
                folder = folder.rename(folder.parent / "11111111-1111-4111-8111-111111111111")
        with Intake(vault) as intake:
            assert intake.recover().damaged == (folder.name,)
        assert folder.is_dir()


def test_a_rolled_back_catalogue_is_refused(settings: VaultSettings, clock: HandClock) -> None:
    """Fault D5: a catalogue older than the register neither erases nor forgets; the error names the
    way out.
    """
    old = catalogue_of(settings.root).read_bytes()
    with Vault.open(settings, clock) as vault, Intake(vault) as intake:
        stored(intake, claim_of(CONTENTS), CONTENTS, clock)
        stored(intake, claim_of(CONTENTS, 2), CONTENTS, clock)
    catalogue_of(settings.root).write_bytes(old)
    with Vault.open(settings, clock) as vault, Intake(vault) as intake:
        with pytest.raises(CatalogueFailed, match="older"):
            intake.recover()


def test_two_bays_take_in_at_once(intake: Intake, vault: Vault, clock: HandClock) -> None:
    """Ten recordings by ten threads over two lanes: all stand, rows and log are whole."""
    receipts = {}

    def take(counter: int) -> None:
        contents = [os.urandom(200_000) for _ in range(3)]
        receipts[counter] = (stored(intake, claim_of(contents, counter), contents, clock), contents)

    threads = [threading.Thread(target=take, args=(counter,)) for counter in range(1, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receipts) == 10
    for receipt, contents in receipts.values():
        opened = plaintexts(vault, receipt.recording_id)
        assert [opened[f"{at:04d}.sealed"] for at in range(3)] == contents
    assert verify(vault, lambda _: None).findings == ()
