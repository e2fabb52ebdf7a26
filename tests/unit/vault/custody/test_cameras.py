"""Cameras are registered by an identifier of the form that their kind has."""

from pathlib import Path

import pytest

from tests.support.hand_clock import HandClock
from tests.support.vault_world import founded
from vault.crypto.canonical_json import to_base64
from vault.custody import cameras
from vault.errors import UnknownCamera
from vault.recording import CameraKind
from vault.vault import Vault

KEYS = {CameraKind.MANIFEST: to_base64(bytes(32)), CameraKind.DCIM: ""}


def test_every_kind_has_a_form_of_identifier() -> None:
    assert set(cameras.IDENTIFIERS) == set(CameraKind)


@pytest.mark.parametrize(
    ("kind", "identifier", "accepted"),
    [
        (CameraKind.MANIFEST, "BWC0042", True),
        (CameraKind.MANIFEST, "bwc0042", False),
        (CameraKind.MANIFEST, "VOL-1A2B-3C4D", False),
        (CameraKind.DCIM, "VOL-1A2B-3C4D", True),
        (CameraKind.DCIM, "USB-1209-0007-CAM2", True),
        (CameraKind.DCIM, "../VOL", False),
    ],
)
def test_a_camera_is_registered_by_its_kinds_identifier(
    tmp_path: Path, kind: CameraKind, identifier: str, accepted: bool
) -> None:
    clock = HandClock()
    with Vault.open(founded(tmp_path, clock), clock) as vault, vault.writing() as tx:
        words = (identifier, KEYS[kind], "test")
        if accepted:
            assert cameras.register(tx, vault.log, clock, words, "test").kind is kind
        else:
            with pytest.raises(UnknownCamera):
                cameras.register(tx, vault.log, clock, words, "test")
