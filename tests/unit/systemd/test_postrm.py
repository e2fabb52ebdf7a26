"""What the package's purge deletes: footage and keys only on the vault's own number, and never
because something is missing.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.places import SYSTEMD

SCRIPT = SYSTEMD / "debian" / "postrm"
NUMBER = "0b9a2f6e-6d6c-4a58-9d0f-3a3c1c5f8a11"


@pytest.fixture
def pc(tmp_path: Path) -> Path:
    """The root of a PC with a vault, from which the package was removed."""
    footage = tmp_path / "var/lib/dock-vault/vault/footage/2026/11/a"
    footage.mkdir(parents=True)
    (footage / "0000.sealed").write_bytes(b"sealed")
    (tmp_path / "var/lib/dock-vault/vault/vault.json").write_text(
        f'{{\n  "vault": "{NUMBER}"\n}}\n'
    )
    keys = tmp_path / "etc/dock-vault/keys"
    keys.mkdir(parents=True)
    for name in ("pins.json", "log.key"):
        (keys / name).write_text("kept")
    (tmp_path / "opt").mkdir()
    return tmp_path


def purge(pc: Path) -> str:
    script = pc / "postrm"
    text = SCRIPT.read_text()
    for place in ("/var/lib/", "/etc/", "/opt/", "/run/"):
        text = text.replace(place, f"{pc}{place}")
    script.write_text(text)
    return subprocess.run(
        ["sh", script, "purge"], check=True, capture_output=True, text=True
    ).stderr


def left(pc: Path) -> set[str]:
    return {
        path.name
        for root in ("var/lib/dock-vault", "etc/dock-vault")
        for path in (pc / root).rglob("*")
        if path.is_file()
    }


def test_footage_and_keys_stay_without_the_number(pc: Path) -> None:
    (pc / "etc/dock-vault/delete-all-footage").write_text("yes, delete")
    before = left(pc)
    assert NUMBER in purge(pc)
    assert left(pc) == before


def test_they_go_on_the_vaults_own_number(pc: Path) -> None:
    (pc / "etc/dock-vault/delete-all-footage").write_text(f"{NUMBER}\n")
    purge(pc)
    assert left(pc) == set()
    assert not (pc / "etc/dock-vault").exists()


def test_a_vault_without_its_number_is_kept(pc: Path) -> None:
    """Damaged, or a restore that is not finished: vault.json is what it gets last."""
    (pc / "var/lib/dock-vault/vault/vault.json").unlink()
    shutil.rmtree(pc / "etc/dock-vault/keys")
    purge(pc)
    assert left(pc) == {"0000.sealed"}


def test_keys_of_a_vault_whose_disk_is_not_mounted_are_kept(pc: Path) -> None:
    shutil.rmtree(pc / "var/lib/dock-vault")
    purge(pc)
    assert left(pc) == {"pins.json", "log.key"}


def test_a_pc_that_never_had_a_vault_is_left_clean(pc: Path) -> None:
    shutil.rmtree(pc / "var/lib/dock-vault/vault")
    shutil.rmtree(pc / "etc/dock-vault/keys")
    purge(pc)
    assert not (pc / "var/lib/dock-vault").exists()
    assert not (pc / "etc/dock-vault").exists()
