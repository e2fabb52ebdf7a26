"""The catalogue's URL in the settings: what is refused, what is the default, and who goes by it."""

import sqlite3
from pathlib import Path

import pytest

from tests.support.hand_clock import HandClock
from tests.support.office import office
from tests.support.places import catalogue_of
from tests.support.vault_world import CHEAP, PASSPHRASES, founded, settings_in
from vault.catalogue.database import ENGINES, SCHEMA_VERSION, place_of
from vault.catalogue.migration import migrate, upgrade
from vault.config import CATALOGUE_SCHEMES, load_vault_settings, sqlite_url
from vault.errors import CatalogueFailed, ConfigurationError, VaultExists
from vault.keyring.first import Founders
from vault.operations import founding
from vault.operations.backup import back_up
from vault.operations.rebuild import rebuild
from vault.operations.restore import restore
from vault.operations.verify import verify
from vault.vault import Vault


def settings_file(folder: Path, more: str) -> Path:
    path = folder / "vault.toml"
    path.write_text(f'root = "vault"\npins = "pins.json"\n{more}\n')
    return path


def test_without_the_setting_the_catalogue_is_where_it_was(tmp_path: Path) -> None:
    settings = load_vault_settings(settings_file(tmp_path, ""))
    assert settings.catalogue_url == f"sqlite:///{tmp_path}/vault/catalogue/catalogue.db"
    assert str(place_of(settings.catalogue_url)) == str(catalogue_of(settings.root))


def test_a_catalogue_is_named_by_its_absolute_path(tmp_path: Path) -> None:
    named = load_vault_settings(settings_file(tmp_path, 'catalogue = "sqlite:////srv/c/one.db"'))
    assert named.catalogue_url == "sqlite:////srv/c/one.db"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://host/vault", "no engine that this program knows"),
        ("/srv/c/one.db", "no engine that this program knows"),
        ("", "no engine that this program knows"),
        ("sqlite:///one.db", "absolute path"),
        ("sqlite://host/one.db", "absolute path"),
        ("sqlite:////srv/c/", "absolute path"),
        ("sqlite:////srv/one.db?mode=ro", "absolute path"),
        ("sqlite:///", "absolute path"),
    ],
)
def test_any_other_url_is_refused_and_a_good_one_shown(
    tmp_path: Path, url: str, sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as refused:
        load_vault_settings(settings_file(tmp_path, f'catalogue = "{url}"'))
    assert "vault.toml: catalogue:" in refused.value.sentence
    assert "sqlite:////srv/catalogue/catalogue.db" in refused.value.sentence


def test_each_engine_that_settings_may_name_is_one_that_the_catalogue_knows() -> None:
    assert set(CATALOGUE_SCHEMES) == set(ENGINES)
    with pytest.raises(CatalogueFailed, match="'oracle'"):
        place_of("oracle://host/vault")


def test_a_vault_goes_by_its_settings_from_founding_to_restore(tmp_path: Path) -> None:
    """Founded, opened, backed up, rebuilt and restored with a catalogue elsewhere."""
    url = sqlite_url(tmp_path / "elsewhere" / "one.db")
    with office(tmp_path, catalogue=url) as here:
        here.record()
        assert (tmp_path / "elsewhere" / "one.db").is_file()
        assert not catalogue_of(here.settings.root).exists()
        assert back_up(here.vault, tmp_path / "backup", lambda _: None).whole
        with pytest.raises(VaultExists, match="is a vault, not a backup"):
            back_up(here.vault, here.settings.root, lambda _: None)
    place_of(url).discard()
    assert rebuild(here.settings, here.clock).recordings == 1
    with Vault.open(here.settings, here.clock) as vault:
        assert verify(vault, lambda _: None).findings == ()
    new = here.settings.model_copy(
        update={
            "root": tmp_path / "new",
            "catalogue": sqlite_url(tmp_path / "third" / "two.db"),
        }
    )
    restore(new, tmp_path / "backup", here.clock, frozenset(), lambda _: None)
    assert (tmp_path / "third" / "two.db").is_file()
    assert not catalogue_of(new.root).exists()
    with Vault.open(new, here.clock) as vault:
        assert verify(vault, lambda _: None).findings == ()


def test_neither_founding_nor_restore_takes_another_vaults_catalogue(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "elsewhere" / "one.db")
    with office(tmp_path, catalogue=url) as here:
        back_up(here.vault, tmp_path / "backup", lambda _: None)
    before = (tmp_path / "elsewhere" / "one.db").read_bytes()
    new = here.settings.model_copy(update={"root": tmp_path / "new"})
    with pytest.raises(VaultExists, match="old vault's catalogue"):
        restore(new, tmp_path / "backup", here.clock, frozenset(), lambda _: None)
    (tmp_path / "other").mkdir()
    with pytest.raises(VaultExists, match="another vault's catalogue"):
        founded(tmp_path / "other", here.clock, catalogue=url)
    empty = settings_in(tmp_path / "other", catalogue=url)
    assert not founding.discard_unfinished(
        empty.model_copy(update={"root": here.settings.root, "pins": here.settings.pins})
    )
    assert (tmp_path / "elsewhere" / "one.db").read_bytes() == before


def test_a_ceremony_that_was_cut_off_takes_its_own_catalogue_along(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, catalogue=sqlite_url(tmp_path / "elsewhere" / "one.db"))
    founded_by = founding.unprinted(settings)
    founding.found(founded_by, HandClock(), Founders.by_function(PASSPHRASES), CHEAP)
    assert founding.discard_unfinished(settings)
    assert not (tmp_path / "elsewhere" / "one.db").exists()
    assert founded(tmp_path, HandClock(), catalogue=settings.catalogue_url).catalogue_url


def test_an_older_catalogue_elsewhere_is_brought_up_where_it_is(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "one.db")
    migrate(url, tmp_path / "register", "0001")
    kept = upgrade(url, tmp_path / "register")
    assert kept == str(tmp_path / "catalogue-0001.db")
    with sqlite3.connect(tmp_path / "one.db") as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchone() == (
            SCHEMA_VERSION,
        )
