"""The vault's command line, as an administrator or an official types it: answers, refusals, exit codes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.vault.world import PASSPHRASES, SERIAL, HandClock, claim_of, founded, stored
from vault.__main__ import commands
from vault.clock import SystemClock
from vault.config import load_vault_settings
from vault.errors import Failure
from vault.intake import Intake
from vault.jsonform import to_base64
from vault.vault import Vault


@pytest.fixture
def config(tmp_path: Path, clock: HandClock) -> Path:
    settings = founded(tmp_path, clock)
    path = tmp_path / "vault.toml"
    path.write_text(f'root = "{settings.root}"\npins = "pins.json"\nreserve_mb = 1\n')
    return path


def run(*words: object, typed: str = "") -> Result:
    return CliRunner().invoke(commands, [str(word) for word in words], input=typed, catch_exceptions=True)


def refused(result: Result) -> Failure:
    assert isinstance(result.exception, Failure), result.output
    return result.exception


def take_in(config: Path, content: bytes = b"footage") -> str:
    with Vault.open(load_vault_settings(config), SystemClock()) as vault, Intake(vault) as intake:
        intake.recover()
        return stored(intake, claim_of([content]), [content], HandClock()).recording_id


def typed_for(*receivers: str) -> str:
    return "".join(PASSPHRASES[receiver] + "\n" for receiver in receivers)


def test_init_asks_for_each_passphrase_twice_and_makes_a_sound_vault(tmp_path: Path) -> None:
    typed = "".join(f"a passphrase of {number}\n" * 2 for number in range(7))
    made = run("init", "--config", tmp_path / "vault.toml", "--root", tmp_path / "v", typed=typed)
    assert made.exit_code == 0, made.output
    assert "a passphrase of 3" not in made.output
    checked = run("verify", "--config", tmp_path / "vault.toml")
    assert (checked.exit_code, "All is well" in checked.output) == (0, True)


def test_init_never_touches_a_vault_that_stands(config: Path) -> None:
    before = (config.parent / "vault/keyring.json").read_bytes()
    assert refused(run("init", "--config", config, "--demo")).code == "vault.exists"
    assert refused(run("init", "--config", config, "--demo", "--root", config.parent / "w")).code == "vault.exists"
    assert (config.parent / "vault/keyring.json").read_bytes() == before


def test_cameras_are_added_listed_and_removed(config: Path, tmp_path: Path) -> None:
    """P25."""
    (tmp_path / "card/DEVICE").mkdir(parents=True)
    device = {"serial": SERIAL, "model": "Model X", "public_key": to_base64(bytes(32))}
    (tmp_path / "card/DEVICE/device.json").write_text(json.dumps(device))
    assert run("camera", "add", SERIAL, "--card", tmp_path / "card", "--config", config).exit_code == 0
    assert refused(run("camera", "add", "BWC9999", "--card", tmp_path / "card", "--config", config)).code == "config.invalid"
    assert run("camera", "add", "VOL-1A2B-3C4D", "--dcim", "--config", config).exit_code == 0
    listed = run("camera", "list", "--config", config).output
    assert all(word in listed for word in (SERIAL, "Model X", "VOL-1A2B-3C4D", "dcim"))
    assert run("camera", "remove", SERIAL, "--config", config).exit_code == 0
    assert refused(run("camera", "remove", SERIAL, "--config", config)).code == "vault.unknown_camera"
    assert run("camera", "add", SERIAL, "--config", config).exit_code == 2


def test_a_recording_is_listed_and_opened_by_two(config: Path, tmp_path: Path) -> None:
    recording = take_in(config, b"what the camera saw")
    assert recording[:8] in run("list", "--config", config).output
    assert json.loads(run("list", "--json", "--config", config).output)["id"] == recording
    opened = run(
        "open", recording[:8], "--as", "CM", "--as", "GS", "-o", tmp_path / "out", "--config", config, typed=typed_for("CM", "GS")
    )
    assert opened.exit_code == 0, opened.output
    assert (tmp_path / "out/0000.mp4").read_bytes() == b"what the camera saw"


@pytest.mark.parametrize(
    ("receivers", "typed", "code"),
    [
        (("CM", "GS"), typed_for("GS", "CM"), "vault.wrong_passphrase"),
        (("BC", "CM"), typed_for("BC", "CM"), "vault.pair_refused"),
        (("TB", "CM"), "whatever it is\n" * 2, "vault.pair_refused"),
    ],
)
def test_nobody_else_opens_it(config: Path, tmp_path: Path, receivers: tuple[str, str], typed: str, code: str) -> None:
    """P36, P40, P42."""
    recording = take_in(config)
    first, second = receivers
    result = run("open", recording, "--as", first, "--as", second, "-o", tmp_path / "out", "--config", config, typed=typed)
    assert refused(result).code == code
    assert not (tmp_path / "out").exists()


def test_one_alone_is_told_which_pairs_there_are(config: Path, tmp_path: Path) -> None:
    result = run("open", take_in(config), "--as", "PO", "-o", tmp_path / "out", "--config", config)
    assert result.exit_code == 2
    assert "CM+GS" in result.output


def test_an_ambiguous_or_unknown_recording_is_refused(config: Path, tmp_path: Path) -> None:
    for start in ("", "zzzz", "%"):
        result = run("open", start, "--as", "CM", "--as", "GS", "-o", tmp_path / "out", "--config", config)
        assert refused(result).code == "vault.unknown_recording"


def test_damage_is_named_and_the_exit_code_tells(config: Path) -> None:
    recording = take_in(config)
    (sealed,) = (config.parent / "vault").glob(f"footage/*/*/{recording}/0000.sealed")
    sealed.write_bytes(b"?")
    result = run("verify", "--config", config)
    assert (result.exit_code, "file.altered" in result.output) == (1, True)


def test_a_lost_catalogue_is_rebuilt_and_confirmed(config: Path) -> None:
    take_in(config)
    (config.parent / "vault/catalogue.db").unlink()
    lost = refused(run("list", "--config", config))
    assert (lost.code, "vault rebuild" in lost.hint) == ("vault.catalogue_failed", True)
    assert run("rebuild", "--config", config).exit_code == 0
    assert "two persons" in run("verify", "--config", config).output
    assert run("confirm", "--as", "PO", "--as", "CM", "--config", config, typed=typed_for("PO", "CM")).exit_code == 0
    assert "two persons" not in run("verify", "--config", config).output


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("root = 'v'\n", "pins"),
        ("root = 'v'\npins = 'p'\nlane = 3\n", "lane"),
        ("root = 'v'\npins = 'p'\nlanes = 0\n", "lanes"),
        ("root = ", "vault.toml"),
    ],
)
def test_settings_are_read_strictly(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "vault.toml").write_text(content)
    failure = refused(run("list", "--config", tmp_path / "vault.toml"))
    assert (failure.code, says in failure.sentence) == ("config.invalid", True)


def test_no_settings_is_a_clear_error(tmp_path: Path) -> None:
    assert "vault init" in refused(run("list", "--config", tmp_path / "none.toml")).hint


def test_no_vault_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "vault.toml").write_text("root = 'v'\npins = 'p'\n")
    assert refused(run("list", "--config", tmp_path / "vault.toml")).code == "vault.not_a_vault"


def test_a_stranger_among_the_receivers_stops_everything(config: Path, tmp_path: Path, clock: HandClock) -> None:
    """Fault H2: another keyring in the vault's folder is refused before anything is sealed to it."""
    other = founded(tmp_path / "other", clock)
    (config.parent / "vault/keyring.json").write_bytes((other.root / "keyring.json").read_bytes())
    assert refused(run("list", "--config", config)).code == "vault.keyring_refused"
