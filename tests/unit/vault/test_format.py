"""What the vault writes is what FORMAT.md says: opened and checked by a reader that shares no code
with it.
"""

import base64
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support import second_reader
from tests.support.hand_clock import HandClock
from tests.support.vault_world import PASSPHRASES, claim_of, sha256, stored
from vault.crypto.sealed_file import CHUNK_BYTES, PIECE_BYTES
from vault.intake.intake import Intake
from vault.keyring.keyring import read_pins
from vault.log.log import read_tree
from vault.rules.roles import PAIRS
from vault.vault import Vault

CONTENTS = [
    os.urandom(size) for size in (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 300_000)
]


@pytest.mark.parametrize(
    "pair", [pair.receivers for pair in PAIRS], ids=[pair.name for pair in PAIRS]
)
def test_the_second_reader_opens_a_recording_with_every_pair(
    intake: Intake, vault: Vault, clock: HandClock, pair: tuple[str, str]
) -> None:
    """Sealed files, wrapped keys, keyring, manifest, log: all from the text alone."""
    camera = Ed25519PrivateKey.generate()
    manifest = b'{"format": "bodycam-card/recording/1"}'
    claim = claim_of(
        CONTENTS, manifest=manifest, signature=camera.sign(manifest), identity=sha256(manifest)
    )
    receipt = stored(intake, claim, CONTENTS, clock)
    first, second = ((str(receiver), PASSPHRASES[receiver]) for receiver in pair)
    opened = second_reader.read_recording(
        vault.settings.root,
        receipt.recording_id,
        first,
        second,
        signers=read_pins(vault.settings.pins.read_bytes()).signers,
        camera_key=camera.public_key().public_bytes_raw(),
    )
    assert [file.read() for file in opened.files] == [*CONTENTS, camera.sign(manifest) + manifest]
    assert opened.manifest is not None
    assert (opened.manifest.statement, opened.manifest.signature_holds) == (manifest, True)
    assert opened.stored_at is not None
    assert not opened.claim_differs
    with vault.reading() as tx:
        head = read_tree(tx).head()
    assert (len(opened.log.leaves), opened.log.root) == (head.size, head.root)


def test_the_second_reader_seeks_in_a_file_of_several_pieces(
    intake: Intake, vault: Vault, clock: HandClock
) -> None:
    """Ruling 18: any stretch of a long file is opened without the rest of it."""
    content = os.urandom(PIECE_BYTES + 100_000)
    receipt = stored(intake, claim_of([content]), [content], clock)
    opened = second_reader.read_recording(
        vault.settings.root,
        receipt.recording_id,
        *((name, PASSPHRASES[name]) for name in ("PO", "CM")),
    )
    (path,) = (vault.settings.root / "footage").glob(f"*/*/{receipt.recording_id}/0000.sealed")
    for start, stop in (
        (0, 10),
        (PIECE_BYTES - 5, PIECE_BYTES + 5),
        (PIECE_BYTES + 99_990, PIECE_BYTES + 100_000),
    ):
        found = second_reader.read_range(
            path, opened.files[0].key, opened.files[0].place, start, stop
        )
        assert found == content[start:stop]


def test_the_passphrases_of_no_two_others_open_anything(
    intake: Intake, vault: Vault, clock: HandClock
) -> None:
    """With every file of the vault, and two officials that the protocol does not pair: refused by
    the mathematics.
    """
    receipt = stored(intake, claim_of([b"x"]), [b"x"], clock)
    for pair in (("BC", "CM"), ("GS", "VC"), ("ESCROW-A", "PO")):
        with pytest.raises(second_reader.Refused):
            second_reader.read_recording(
                vault.settings.root,
                receipt.recording_id,
                *((name, PASSPHRASES[name]) for name in pair),
            )


def test_no_key_material_stands_in_the_catalogue(
    intake: Intake, vault: Vault, clock: HandClock
) -> None:
    """Destroying record.json destroys the footage: no wrapped half is anywhere else."""
    receipt = stored(intake, claim_of([b"x"]), [b"x"], clock)
    (record,) = (vault.settings.root / "footage").glob(f"*/*/{receipt.recording_id}/record.json")
    halves = [
        half
        for entry in second_reader._parse(record.read_bytes(), "record")["keys"]
        for half in entry["halves"]
    ]
    sealed = [half["sealed"].encode() for half in halves]
    assert len(sealed) == 2 * len(PAIRS)
    for path in vault.settings.root.rglob("*"):
        if path.is_file() and path != record:
            content = path.read_bytes()
            assert not [
                text for text in sealed if text in content or base64.b64decode(text) in content
            ], path


def test_a_path_names_no_person_and_no_camera(
    intake: Intake, vault: Vault, clock: HandClock
) -> None:
    stored(intake, claim_of([b"x"]), [b"x"], clock)
    for path in vault.settings.root.rglob("*"):
        assert not [
            name
            for name in ("BWC", "boa-17", "000001")
            if name in Path(path.relative_to(vault.settings.root)).as_posix()
        ], path
