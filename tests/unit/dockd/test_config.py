"""dockd's settings: nothing is passed over in silence."""

import tomllib
from pathlib import Path

import pytest

from dockd.config import DockSettings, load_dock_settings
from tests.support.places import CONFIG
from vault.errors import ConfigurationError

SHIPPED = CONFIG / "dockd.toml"
VAULT = 'vault = "/etc/dock-vault/vault.toml"\n'


def settings_of(folder: Path, text: str) -> DockSettings:
    path = folder / "dockd.toml"
    path.write_text(text)
    return load_dock_settings(path)


def test_the_shipped_file_is_valid_and_changes_no_default(tmp_path: Path) -> None:
    assert load_dock_settings(SHIPPED) == settings_of(tmp_path, VAULT)


def test_the_shipped_file_explains_every_key_with_its_default(tmp_path: Path) -> None:
    """Each commented key, uncommented, is accepted; all keys stand there; the stated defaults are
    the defaults.
    """
    text = SHIPPED.read_text()
    uncommented = "\n".join(
        line.removeprefix("# ")
        if line.startswith("# ") and " = " in line and line[2:3].islower()
        else line
        for line in text.splitlines()
    )
    assert set(tomllib.loads(uncommented)) == set(DockSettings.model_fields)
    shown = settings_of(tmp_path, uncommented)
    defaults = settings_of(tmp_path, VAULT)
    examples = {"watched_folder", "dcim_chapters", "reader_socket", "erase_socket"}
    assert shown.model_dump(exclude=examples) == defaults.model_dump(exclude=examples)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["`vault`", "missing"]),
        (VAULT + "erasse = false\n", ["`erasse`", "unknown"]),
        (VAULT + 'erase = "no"\n', ["`erase`"]),
        (VAULT + "erase = 0\n", ["`erase`"]),
        (VAULT + "rescan_seconds = 0\n", ["`rescan_seconds`"]),
        (VAULT + "rescan_seconds = 1.5\n", ["`rescan_seconds`"]),
        ('vault = "vault.toml"\n', ["`vault`", "absolute"]),
        (VAULT + 'mount_roots = ["media"]\n', ["`mount_roots.0`", "absolute"]),
        (VAULT + "filesystems = [1]\n", ["`filesystems.0`"]),
        (VAULT + "filesystems = []\n", ["`filesystems`"]),
        (VAULT + "dcim_chapters = '('\n", ["`dcim_chapters`", "regular expression"]),
        (VAULT + 'dcim_chapters = "GX.*"\n', ["`dcim_chapters`", "groups"]),
        (VAULT + 'log_level = "loud"\n', ["`log_level`"]),
        (VAULT + 'usb_backend = "usb"\n', ["`usb_backend`", "`libusb`", "`usbip:HOST:PORT`"]),
        (VAULT + 'usb_backend = "usbip:somewhere"\n', ["`usb_backend`"]),
        (VAULT + "[erase]\n", ["`erase`"]),
        ("vault = \n", ["is not TOML"]),
    ],
)
def test_what_is_not_understood_names_file_and_key(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        settings_of(tmp_path, text)
    assert str(tmp_path / "dockd.toml") in refusal.value.sentence
    for word in words:
        assert word in refusal.value.sentence


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load_dock_settings(tmp_path / "none.toml")


def test_the_chapter_pattern_of_the_shipped_file_joins_its_example() -> None:
    line = next(line for line in SHIPPED.read_text().splitlines() if "dcim_chapters =" in line)
    pattern = DockSettings.model_validate(tomllib.loads(VAULT + line.removeprefix("# "))).chapters()
    assert pattern is not None
    match = pattern.fullmatch("GX020017.MP4")
    assert match is not None
    assert (match["recording"], match["chapter"]) == ("0017", "02")
