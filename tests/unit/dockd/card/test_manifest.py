"""A card with manifests, one thing wrong at a time: each recording gets its own verdict, and the
others are read.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockd.card.chain import chain_findings
from dockd.card.contract import (
    CardGoneError,
    CardReading,
    CardStuckError,
    CardTrouble,
    RefusedRecording,
)
from dockd.card.device import read_device
from dockd.card.document import ManifestRefusedError
from dockd.card.left_out import LeftOut
from dockd.card.manifest import read_recordings
from dockd.mounted.mounted_card import MountedCard
from tests.support.card_maker import CardMaker, MadeRecording
from tests.support.hand_clock import HandClock
from tests.support.memory_card import Medium, Path_
from tests.support.real_mounts import tmpfs, unmount
from vault.recording import Origin, PrerollClaim, RecordingClaim


@pytest.fixture
def camera(tmp_path: Path) -> CardMaker:
    maker = CardMaker(tmp_path / "card")
    maker.write_device()
    return maker


def read(camera: CardMaker, public_key: bytes | None = None) -> CardReading:
    with MountedCard(camera.root, HandClock()) as card:
        files = card.files()
        device = read_device(card, files)
        assert device is not None
        reading = read_recordings(
            card, files, camera.serial, camera.public_key if public_key is None else public_key
        )
    for refused in [*reading.refused, *[remnant.refused for remnant in reading.remnants]]:
        assert refused.name.isprintable()
        assert refused.sentence.isprintable()
    return reading


def codes(reading: CardReading) -> dict[str, str]:
    return {refused.name: refused.code for refused in reading.refused}


def chain(camera: CardMaker, count: int) -> list[MadeRecording]:
    """Recordings from counter 1 on, each naming the one before, all on the card."""
    made: list[MadeRecording] = []
    for counter in range(1, count + 1):
        made.append(
            camera.make(
                counter, previous=made[-1].sha256() if made else None, seconds=20, preroll_ms=10_000
            )
        )
        camera.write(made[-1])
    return made


# What is well


def test_a_whole_recording_becomes_a_claim_with_its_files(camera: CardMaker) -> None:
    made = camera.make(2)
    camera.write(made)
    (recording,) = read(camera).recordings
    claim = recording.claim
    assert (claim.origin, claim.camera_serial, claim.name, claim.counter) == (
        Origin.MANIFEST,
        "BWC0042",
        made.name,
        2,
    )
    assert claim.identity == hashlib.sha256(made.raw()).hexdigest()
    assert claim.manifest == made.raw()
    assert claim.signature == camera.key.sign(made.raw())
    assert claim.preroll == PrerollClaim(30_000, 30_000, None, False)
    assert (claim.started_mono_ms, claim.triggered_mono_ms, claim.stopped_mono_ms) == (
        2_000_000,
        2_030_000,
        2_040_000,
    )
    assert claim.stopped_utc is not None
    assert claim.stopped_utc.utcoffset() is not None
    assert claim.size_bytes == sum(map(len, made.segments.values()))
    assert [file.path for file in recording.files if file] == [
        ("RECORDINGS", made.name, name) for name in made.segments
    ]
    assert [segment.name for segment in claim.segments] == list(made.segments)
    assert [file.path[-1] for file in recording.trailing] == ["recording.sig", "recording.json"]
    assert recording.folder == ("RECORDINGS", made.name)


def test_recordings_come_oldest_first(camera: CardMaker) -> None:
    made = chain(camera, 12)
    assert [recording.claim.name for recording in read(camera).recordings] == [
        entry.name for entry in made
    ]


def test_names_are_found_in_any_case(camera: CardMaker) -> None:
    """FAT may show them either way; the card's own spelling is what is opened."""
    made = camera.make(2)
    folder = camera.write(made)
    for name in ("recording.json", "recording.sig", "0000.mp4"):
        (folder / name).rename(folder / name.upper())
    folder.rename(folder.parent / folder.name.lower())
    (camera.root / "RECORDINGS").rename(camera.root / "recordings")
    (camera.root / "DEVICE").rename(camera.root / "Device")
    (recording,) = read(camera).recordings
    assert recording.claim.name == made.name
    assert recording.files[0] is not None
    assert recording.files[0].path == ("recordings", made.name.lower(), "0000.MP4")


def test_temporary_files_mean_nothing(camera: CardMaker) -> None:
    """What a power cut may leave anywhere; a journal beside a signed manifest waits only for its
    removal.
    """
    made = camera.make(2)
    folder = camera.write(made)
    (folder / "recording.json.tmp").write_bytes(b"{")
    (folder / "journal.jsonl").write_bytes(b"{}\n")
    camera.put("RECORDINGS/x.tmp", b"x")
    camera.put("RECORDINGS/BWC0042-000003/0000.mp4.tmp", b"x")
    reading = read(camera)
    assert codes(reading) == {}
    assert [file.path[-1] for file in reading.recordings[0].trailing] == [
        "journal.jsonl",
        "recording.sig",
        "recording.json",
    ]


def test_a_recovered_recording_without_segments_is_whole(camera: CardMaker) -> None:
    made = camera.make(2)
    made.document |= {
        "stop_reason": "recovered",
        "segments": [],
        "stopped_mono_ms": made.document["started_mono_ms"],
    }
    made.segments = {}
    camera.write(made)
    (recording,) = read(camera).recordings
    assert recording.files == ()


def test_without_a_signature_even_an_empty_recording_is_a_remnant(camera: CardMaker) -> None:
    """Nothing is missing from it but the proof; what nothing proves is never taken in."""
    made = camera.make(2)
    made.document |= {
        "stop_reason": "recovered",
        "segments": [],
        "stopped_mono_ms": made.document["started_mono_ms"],
    }
    made.segments = {}
    (camera.write(made) / "recording.sig").unlink()
    reading = read(camera)
    assert reading.recordings == ()
    assert reading.remnants[0].refused.code == "manifest.unsigned"


def test_a_card_without_a_device_is_a_dcim_camera(tmp_path: Path) -> None:
    (tmp_path / "DCIM").mkdir()
    with MountedCard(tmp_path, HandClock()) as card:
        assert read_device(card, card.files()) is None


def test_the_device_is_read(camera: CardMaker) -> None:
    with MountedCard(camera.root, HandClock()) as card:
        device = read_device(card, card.files())
    assert device is not None
    assert (device.serial, device.public_key, device.battery_percent) == (
        "BWC0042",
        camera.public_key,
        80,
    )


# What is refused


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{}", "manifest.invalid"),
        (b"", "manifest.not_json"),
        (b" " * 70_000, "manifest.too_large"),
    ],
)
def test_a_bad_device_is_refused(camera: CardMaker, content: bytes, code: str) -> None:
    """Fault A15. The bound holds before a byte is read."""
    camera.put("DEVICE/device.json", content)
    with (
        MountedCard(camera.root, HandClock()) as card,
        pytest.raises(ManifestRefusedError) as caught,
    ):
        read_device(card, card.files())
    assert caught.value.code == code


def test_two_devices_are_refused(camera: CardMaker) -> None:
    """Fault A14. Case twins: which of the two would be the camera?"""
    camera.put("device/DEVICE.JSON", b"{}")
    with (
        MountedCard(camera.root, HandClock()) as card,
        pytest.raises(ManifestRefusedError, match="case"),
    ):
        read_device(card, card.files())


@dataclass(frozen=True)
class Wrong:
    """What is done to recording 2 of three, and the verdict on it."""

    code: str
    says: str


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _sparse(path: Path, size_bytes: int) -> None:
    path.write_bytes(b"")
    os.truncate(path, size_bytes)


WRONGS = {
    "no manifest": (
        lambda folder: (folder / "recording.json").unlink(),
        Wrong("manifest.unfinished", "dock it again"),
    ),
    "empty manifest": (
        lambda folder: _sparse(folder / "recording.json", 0),
        Wrong("manifest.signature_wrong", "key"),
    ),
    "huge manifest": (
        lambda folder: _sparse(folder / "recording.json", 1 << 30),
        Wrong("manifest.too_large", "1048576"),
    ),
    "altered manifest": (
        lambda folder: _flip(folder / "recording.json"),
        Wrong("manifest.signature_wrong", "registered"),
    ),
    "altered signature": (
        lambda folder: _flip(folder / "recording.sig"),
        Wrong("manifest.signature_wrong", "registered"),
    ),
    "no signature": (
        lambda folder: (folder / "recording.sig").unlink(),
        Wrong("manifest.unsigned", "nothing proves"),
    ),
    "empty signature": (
        lambda folder: _sparse(folder / "recording.sig", 0),
        Wrong("manifest.signature_wrong", "key"),
    ),
    "huge signature": (
        lambda folder: _sparse(folder / "recording.sig", 1 << 30),
        Wrong("manifest.signature_wrong", "key"),
    ),
    "longer segment": (
        lambda folder: _sparse(folder / "0001.mp4", 99_999_999),
        Wrong("manifest.size_differs", "damaged"),
    ),
    "empty segment": (
        lambda folder: _sparse(folder / "0001.mp4", 0),
        Wrong("manifest.size_differs", "0001.mp4 has 0 bytes"),
    ),
    "twin files": (lambda folder: _sparse(folder / "0001.MP4", 1), Wrong("manifest.twins", "case")),
}


@pytest.mark.parametrize("what", WRONGS)
def test_one_wrong_recording_is_refused_and_its_neighbours_are_read(
    camera: CardMaker, what: str
) -> None:
    """Faults A8, A15. The verdict names the recording, the rule, and what to do."""
    make_wrong, wrong = WRONGS[what]
    made = chain(camera, 3)
    make_wrong(camera.root / "RECORDINGS" / made[1].name)
    reading = read(camera)
    assert codes(reading) == {made[1].name: wrong.code}
    assert wrong.says in reading.refused[0].sentence
    assert [recording.claim.name for recording in reading.recordings] == [
        made[0].name,
        made[2].name,
    ]
    assert reading.remnants == ()


def test_signed_by_another_key_is_refused(camera: CardMaker) -> None:
    """The registered key decides, not the one on the card."""
    camera.write(camera.make(2))
    stranger = CardMaker(camera.root, "BWC0099")
    assert codes(read(camera, stranger.public_key)) == {
        "BWC0042-000002": "manifest.signature_wrong"
    }


def test_a_key_of_another_length_is_no_key(camera: CardMaker) -> None:
    with pytest.raises(ManifestRefusedError, match="registered without a key"):
        read(camera, b"")


def test_a_signed_document_that_lies_is_refused(camera: CardMaker) -> None:
    """A camera that signs nonsense: counters, times and order that contradict each other."""
    lies: list[dict[str, object]] = [
        {"counter": 7},
        {"recording": "BWC0042-000099"},
        {"stopped_mono_ms": 0},
        {"segments": []},
        {"unknown": 1},
        {"officer": ["a"]},
    ]
    for counter, lie in enumerate(lies, start=2):
        made = camera.make(counter, seconds=20, preroll_ms=10_000)
        made.document |= lie
        camera.write(made)
    reading = read(camera)
    assert set(codes(reading).values()) == {"manifest.invalid"}
    assert len(reading.refused) == len(lies)


def test_a_manifest_in_another_recordings_folder_is_refused(camera: CardMaker) -> None:
    """A replay: an old signed manifest and its files under a new name."""
    made = camera.make(2)
    camera.write(made)
    (camera.root / "RECORDINGS" / made.name).rename(camera.root / "RECORDINGS" / "BWC0042-000005")
    assert codes(read(camera)) == {"BWC0042-000005": "manifest.other_name"}


def test_a_recording_of_another_camera_is_refused(camera: CardMaker) -> None:
    other = CardMaker(camera.root, "BWC0043")
    other.write(other.make(2))
    reading = read(camera)
    assert codes(reading) == {"BWC0043-000002": "manifest.other_camera"}
    assert "BWC0043" in reading.refused[0].sentence


def test_a_lie_about_a_digest_passes_the_reader_and_is_the_vaults_to_find(
    camera: CardMaker,
) -> None:
    """The reader reads no footage: it hands the stated digest on, and what comes over is held
    against it.
    """
    made = camera.make(2)
    made.document["segments"][0]["sha256"] = "0" * 64
    camera.write(made)
    (recording,) = read(camera).recordings
    assert recording.claim.segments[0].sha256 == "0" * 64


@pytest.mark.parametrize(
    "name", ["-rf", "a\nb", "\u202eX", "BWC0042-17", "ＢWC0042-000001", "bwc0042-00000１", "\udcff"]
)
def test_folders_with_hostile_names_are_refused_by_a_printable_name(
    camera: CardMaker, name: str
) -> None:
    """Fault A14."""
    chain(camera, 1)
    camera.put(f"RECORDINGS/{name}/recording.json", b"{}")
    reading = read(camera)
    assert set(codes(reading).values()) == {"manifest.foreign_name"}
    assert len(reading.recordings) == 1


def test_twin_folders_are_refused(camera: CardMaker) -> None:
    """Fault A14. Which of them the signature speaks for can't be said; together they would be a
    third recording.
    """
    folder = camera.write(camera.make(2))
    (folder.parent / folder.name.lower()).mkdir()
    (folder / "0003.mp4").rename(folder.parent / folder.name.lower() / "0003.mp4")
    assert codes(read(camera)) == {"BWC0042-000002": "manifest.twins"}


def test_strays_are_named_and_stop_nothing(camera: CardMaker) -> None:
    """A file that no manifest names stays on the camera, and so does its folder."""
    made = chain(camera, 1)
    camera.put(f"RECORDINGS/{made[0].name}/0009.mp4", b"unsigned footage")
    camera.put(f"RECORDINGS/{made[0].name}/deep/file", b"x")
    camera.put("RECORDINGS/file", b"x")
    reading = read(camera)
    assert len(reading.recordings) == 1
    assert set(codes(reading).values()) == {"manifest.stray_file"}
    assert set(codes(reading)) == {
        "RECORDINGS/BWC0042-000001/0009.mp4",
        "RECORDINGS/BWC0042-000001/deep/file",
        "RECORDINGS/file",
    }


def test_thousands_of_strays_do_not_fill_the_log(camera: CardMaker) -> None:
    """Fault A13."""
    for index in range(2000):
        camera.put(f"RECORDINGS/{index}", b"")
    reading = read(camera)
    assert len(reading.refused) == 51
    assert "1950 more files" in reading.refused[-1].sentence


def test_links_in_a_recording_are_not_its_files(camera: CardMaker, tmp_path: Path) -> None:
    """Fault B7. A segment, a manifest and a signature that are links to the real thing."""
    for counter, name in enumerate(("0000.mp4", "recording.json", "recording.sig"), start=2):
        path = camera.write(camera.make(counter, seconds=20, preroll_ms=10_000)) / name
        path.rename(tmp_path / f"outside-{counter}")
        path.symlink_to(tmp_path / f"outside-{counter}")
    reading = read(camera)
    assert codes(reading) == {
        "BWC0042-000002": "card.not_a_file",
        "BWC0042-000003": "card.not_a_file",
        "BWC0042-000004": "manifest.unsigned",
    }
    assert reading.recordings == reading.remnants == ()


# What an erase leaves behind


def test_every_step_of_an_erase_leaves_something_that_can_be_finished(camera: CardMaker) -> None:
    """Faults E1, E4. Cut after each deletion, in the contract's order: a remnant with the same
    identity, to the last file.
    """
    made = camera.make(2)
    camera.write(made)
    (whole,) = read(camera).recordings
    in_order = [*whole.files, *whole.trailing]
    for done, file in enumerate(in_order[:-1], start=1):
        assert file is not None
        camera.root.joinpath(*file.path).unlink()
        reading = read(camera)
        assert reading.recordings == ()
        assert reading.refused == ()
        (remnant,) = reading.remnants
        left = [
            entry
            for entry in (*remnant.recording.files, *remnant.recording.trailing)
            if entry is not None
        ]
        assert left == in_order[done:]
        assert remnant.recording.claim.identity == whole.claim.identity
        assert remnant.recording.claim.segments == whole.claim.segments
        assert len(remnant.recording.files) == len(made.segments)
        assert remnant.recording.folder == whole.folder
        assert (remnant.recording.claim.signature is None) == (done == len(in_order) - 1)
        assert "the vault does not hold this recording" in remnant.refused.sentence
    assert in_order[-1] is not None
    camera.root.joinpath(*in_order[-1].path).unlink()
    assert read(camera) == CardReading()


def test_a_missing_segment_is_a_remnant_and_never_a_recording(camera: CardMaker) -> None:
    """Lost from the middle, not by an erase: the same shape, and the vault will not know it."""
    made = camera.make(2)
    (camera.write(made) / "0001.mp4").unlink()
    (remnant,) = read(camera).remnants
    assert [file is None for file in remnant.recording.files] == [False, True, False, False]
    assert remnant.refused.code == "manifest.segments_missing"
    assert "segments 0001.mp4 are not on the card" in remnant.refused.sentence


def test_what_could_not_be_listed_is_not_called_missing(camera: CardMaker) -> None:
    """Fault B4. A segment that the listing had to leave out may still be there: no remnant, so no
    erase is finished.
    """
    made = camera.make(2)
    path = camera.write(made) / "0001.mp4"
    path.unlink()
    os.mkfifo(path)
    reading = read(camera)
    assert reading.remnants == ()
    assert codes(reading) == {made.name: "card.not_a_file"}


def test_a_card_taken_out_while_it_is_read_is_gone(tmp_path: Path) -> None:
    """Fault A1. No verdict on any recording comes of it."""
    with tmpfs(tmp_path / "card") as root:
        camera = CardMaker(root)
        camera.write_device()
        camera.write(camera.make(2))
        with MountedCard(root, HandClock()) as card:
            files = card.files()
            device = read_device(card, files)
            assert device is not None
            unmount(root, lazily=True)
            with pytest.raises(CardGoneError):
                read_recordings(card, files, camera.serial, camera.public_key)


def test_a_manifest_that_changes_after_the_listing_is_a_verdict(camera: CardMaker) -> None:
    """Fault A16."""
    made = chain(camera, 2)
    with MountedCard(camera.root, HandClock()) as card:
        files = card.files()
        device = read_device(card, files)
        assert device is not None
        camera.put(f"RECORDINGS/{made[0].name}/recording.json", b"longer than it was" * 1000)
        reading = read_recordings(card, files, camera.serial, camera.public_key)
    assert codes(reading) == {made[0].name: "card.file_changed"}
    assert len(reading.recordings) == 1


@settings(derandomize=True, deadline=None, max_examples=150)
@given(data=st.data())
def test_any_damage_gives_verdicts_and_spares_the_neighbour(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Faults A15, B4. Files of one recording cut, flipped, emptied, removed, doubled, in any
    combination.
    """
    camera = CardMaker(tmp_path_factory.mktemp("card"))
    camera.write_device()
    made = chain(camera, 2)
    folder = camera.root / "RECORDINGS" / made[0].name
    for name in data.draw(
        st.lists(
            st.sampled_from(sorted(path.name for path in folder.iterdir())),
            min_size=1,
            max_size=4,
            unique=True,
        )
    ):
        content = (folder / name).read_bytes()
        how = data.draw(st.sampled_from(["cut", "flip", "remove", "longer", "double"]))
        position = data.draw(st.integers(0, len(content) - 1))
        if how == "cut":
            (folder / name).write_bytes(content[:position])
        elif how == "flip":
            (folder / name).write_bytes(
                content[:position] + bytes([content[position] ^ 255]) + content[position + 1 :]
            )
        elif how == "remove":
            (folder / name).unlink()
        elif how == "longer":
            (folder / name).write_bytes(content + b"x")
        else:
            (folder / name.upper()).write_bytes(content)
    reading = read(camera)
    assert made[1].name in [recording.claim.name for recording in reading.recordings]
    assert len(reading.recordings) + len(reading.remnants) + len(reading.refused) >= 1


# The chain


@dataclass(frozen=True)
class End:
    """`ChainEnd` as the vault gives it."""

    counter: int
    identity: str


def claims_of(camera: CardMaker) -> list[RecordingClaim]:
    return [recording.claim for recording in read(camera).recordings]


def test_a_chain_without_gaps_says_nothing(camera: CardMaker) -> None:
    made = chain(camera, 4)
    claims = claims_of(camera)
    assert chain_findings(claims, None) == ()
    for index, entry in enumerate(made):
        assert chain_findings(claims, End(index + 1, entry.sha256())) == ()
        assert chain_findings(claims[index + 1 :], End(index + 1, entry.sha256())) == ()
    assert chain_findings([], None) == ()
    assert chain_findings([], End(4, made[-1].sha256())) == ()


def test_missing_recordings_are_named(camera: CardMaker) -> None:
    claims = {claim.counter: claim for claim in claims_of_chain(camera, 9)}
    left = [claims[counter] for counter in (3, 5, 9)]
    assert chain_findings(left, None) == (
        "Recordings 1 to 2 are missing: neither the vault nor the camera holds them.",
        "Recording 4 is missing: neither the vault nor the camera holds it.",
        "Recordings 6 to 8 are missing: neither the vault nor the camera holds them.",
    )
    assert chain_findings(left, End(8, claims[8].identity)) == ()
    assert chain_findings([claims[9]], End(5, claims[5].identity))[0].startswith(
        "Recordings 6 to 8 are missing"
    )


def claims_of_chain(camera: CardMaker, count: int) -> list[RecordingClaim]:
    chain(camera, count)
    return claims_of(camera)


def test_a_refused_recording_is_not_missing(camera: CardMaker) -> None:
    made = chain(camera, 5)
    for index in (1, 3):
        _flip(camera.root / "RECORDINGS" / made[index].name / "recording.sig")
    reading = read(camera)
    claims = [recording.claim for recording in reading.recordings]
    assert chain_findings(claims, None, reading.refused) == ()
    assert len(chain_findings(claims, None)) == 2


def test_a_link_that_does_not_hold_is_named(camera: CardMaker) -> None:
    """Between two recordings of the card, and between the card and the vault."""
    first = camera.make(1, seconds=20, preroll_ms=10_000)
    camera.write(first)
    camera.write(camera.make(2, previous="0" * 64, seconds=20, preroll_ms=10_000))
    claims = claims_of(camera)
    says = "Recording 2 does not follow recording 1: it names another content of it."
    assert chain_findings(claims, None) == (says,)
    assert chain_findings(claims[1:], End(1, first.sha256())) == (says,)


def test_another_content_under_the_number_that_the_vault_holds_is_named(camera: CardMaker) -> None:
    claims = claims_of_chain(camera, 2)
    findings = chain_findings(claims, End(2, "f" * 64))
    assert findings == ("Recording 2 on the camera is not the recording 2 that the vault holds.",)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    counters=st.sets(st.integers(1, 40), max_size=12),
    end=st.none() | st.integers(1, 40),
    refused=st.sets(st.integers(1, 40), max_size=5),
)
def test_exactly_the_missing_numbers_are_named(
    counters: set[int], end: int | None, refused: set[int]
) -> None:
    """Against a count done by hand: every number after the vault's newest that is neither on the
    card nor refused.
    """
    claims = [_link(counter) for counter in sorted(counters)]
    named: set[int] = set()
    verdicts = [_refused(counter) for counter in sorted(refused - counters)]
    for finding in chain_findings(claims, End(end, _identity(end)) if end else None, verdicts):
        numbers = [int(word) for word in finding.replace(":", " ").split() if word.isdigit()]
        named |= set(range(numbers[0], numbers[-1] + 1))
    newest = max(counters, default=0)
    assert named == set(range((end or 0) + 1, newest)) - counters - refused


def _identity(counter: int) -> str:
    return hashlib.sha256(b"%d" % counter).hexdigest()


def _link(counter: int) -> RecordingClaim:
    before = _identity(counter - 1) if counter > 1 else None
    name = f"BWC0042-{counter:06d}"
    return RecordingClaim(
        Origin.MANIFEST,
        "BWC0042",
        name,
        _identity(counter),
        (),
        counter=counter,
        previous_sha256=before,
    )


def _refused(counter: int) -> RefusedRecording:
    return RefusedRecording(f"BWC0042-{counter:06d}", "manifest.unsigned", "No.")


def test_a_camera_that_does_not_answer_refuses_no_recording(camera: CardMaker) -> None:
    """One time-out is no verdict: else each further recording would be called refused in the
    vault's log, for good.
    """
    chain(camera, 2)
    medium = Medium.of_folder(camera.root)
    card = medium.open()
    device = read_device(card, card.files())
    assert device is not None

    def stick(path: Path_, position: int) -> None:
        if path[1] == "BWC0042-000002":
            raise CardStuckError("The camera's reader has not answered for 110 s.")

    medium.before_read = stick
    with pytest.raises(CardStuckError):
        read_recordings(card, card.files(), camera.serial, camera.public_key)


def test_what_was_left_out_is_found_as_by_looking_at_all_of_it() -> None:
    """The first at a path or above it. Each of a hostile card's ten thousand folders
    asks for it.
    """
    chance = Random(7)
    names = ("RECORDINGS", "a", "B", "0001.mp4", "")
    trouble = [
        CardTrouble(
            tuple(chance.choice(names) for _ in range(chance.randrange(4))),
            "card.other",
            str(number),
        )
        for number in range(60)
    ]
    left_out = LeftOut(trouble)
    for _ in range(500):
        path = tuple(chance.choice(names).upper() for _ in range(chance.randrange(5)))
        wanted = next(
            (
                entry
                for entry in trouble
                if path[: len(entry.path)] == tuple(map(str.upper, entry.path))
            ),
            None,
        )
        assert left_out.at(path) == wanted
    assert LeftOut(()).at(("DEVICE",)) is None
