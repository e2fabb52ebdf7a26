"""The vault's command line, as an administrator or an official types it: answers, refusals, exit
codes.
"""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tests.support.hand_clock import HandClock
from tests.support.vault_world import PASSPHRASES, SERIAL, claim_of, founded, stored
from vault.__main__ import COMMANDS, commands
from vault.clock import SystemClock
from vault.config import load_vault_settings
from vault.crypto.canonical_json import to_base64
from vault.errors import Failure
from vault.intake.intake import Intake
from vault.vault import Vault


@pytest.fixture
def config(tmp_path: Path, clock: HandClock) -> Path:
    settings = founded(tmp_path, clock)
    path = tmp_path / "vault.toml"
    path.write_text(f'root = "{settings.root}"\npins = "pins.json"\nreserve_mb = 1\n')
    return path


def run(*words: object, typed: str = "") -> Result:
    return CliRunner().invoke(
        commands, [str(word) for word in words], input=typed, catch_exceptions=True
    )


def refused(result: Result) -> Failure:
    assert isinstance(result.exception, Failure), result.output
    return result.exception


def take_in(config: Path, content: bytes = b"footage") -> str:
    with Vault.open(load_vault_settings(config), SystemClock()) as vault, Intake(vault) as intake:
        intake.recover()
        return stored(intake, claim_of([content]), [content], HandClock()).recording_id


def typed_for(*receivers: str) -> str:
    return "".join(PASSPHRASES[receiver] + "\n" for receiver in receivers)


def test_init_asks_each_person_and_makes_a_sound_vault(tmp_path: Path) -> None:
    """The ceremony: five names and passphrases, each passphrase twice;

    the escrow's two codes are printed, nothing else secret.
    """
    typed = "".join(
        f"Person {number}\n\n" + f"a passphrase of {number}\n" * 2 for number in range(5)
    )
    made = run(
        "init",
        "--config",
        tmp_path / "vault.toml",
        "--root",
        tmp_path / "v",
        "--papers",
        tmp_path / "papers",
        typed=typed,
    )
    assert made.exit_code == 0, made.output
    assert "a passphrase of 3" not in made.output
    papers = [(tmp_path / f"papers/ESCROW-{half}.txt").read_text() for half in "AB"]
    codes = [
        next(line.strip() for line in page.splitlines() if line.count("-") == 8) for page in papers
    ]
    assert codes[0] != codes[1]
    assert not any(code in made.output for code in codes)
    checked = run("verify", "--config", tmp_path / "vault.toml")
    assert (checked.exit_code, "All is well" in checked.output) == (0, True)
    listed = run(
        *("person", "list", "--as", "PO", "--config", tmp_path / "vault.toml"),
        typed="a passphrase of 2\n",
    )
    assert "Person 2" in listed.output


def test_init_looks_for_room_for_the_papers_before_it_makes_anything(tmp_path: Path) -> None:
    """Codes that can't be written would be codes that nobody has."""
    words = (
        "init",
        "--config",
        tmp_path / "vault.toml",
        "--root",
        tmp_path / "v",
        "--papers",
        tmp_path / "papers",
    )
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "ESCROW-B.txt").write_text("another vault's")
    assert refused(run(*words)).code == "vault.exists"
    assert not (tmp_path / "v").exists()


def test_init_never_touches_a_vault_that_stands(config: Path) -> None:
    before = (config.parent / "vault/keyring.json").read_bytes()
    assert refused(run("init", "--config", config, "--demo")).code == "vault.exists"
    assert (
        refused(run("init", "--config", config, "--demo", "--root", config.parent / "w")).code
        == "vault.exists"
    )
    assert (config.parent / "vault/keyring.json").read_bytes() == before


def test_cameras_are_added_listed_and_removed(config: Path, tmp_path: Path) -> None:
    """P25."""
    (tmp_path / "card/DEVICE").mkdir(parents=True)
    device = {"serial": SERIAL, "model": "Model X", "public_key": to_base64(bytes(32))}
    (tmp_path / "card/DEVICE/device.json").write_text(json.dumps(device))
    coordinator = {"typed": typed_for("BC")}
    assert (
        run(
            "camera", "add", SERIAL, "--card", tmp_path / "card", "--config", config, **coordinator
        ).exit_code
        == 0
    )
    another = run(
        "camera", "add", "BWC9999", "--card", tmp_path / "card", "--config", config, **coordinator
    )
    assert refused(another).code == "config.invalid"
    assert (
        run("camera", "add", "VOL-1A2B-3C4D", "--dcim", "--config", config, **coordinator).exit_code
        == 0
    )
    listed = run("camera", "list", "--as", "BC", "--config", config, **coordinator).output
    assert all(word in listed for word in (SERIAL, "Model X", "VOL-1A2B-3C4D", "dcim"))
    assert run("camera", "remove", SERIAL, "--config", config, **coordinator).exit_code == 0
    assert (
        refused(run("camera", "remove", SERIAL, "--config", config, **coordinator)).code
        == "vault.unknown_camera"
    )
    assert run("camera", "add", SERIAL, "--config", config).exit_code == 2


@pytest.mark.parametrize("other", ["CM", "PO", "GS", "VC"])
def test_only_the_coordinator_adds_and_removes_cameras(config: Path, other: str) -> None:
    """Proves P25: the refusal quotes the protocol's sentence."""
    for words in (("add", "VOL-1A2B-3C4D", "--dcim"), ("remove", SERIAL)):
        refusal = refused(
            run("camera", *words, "--as", other, "--config", config, typed=typed_for(other))
        )
        assert (refusal.code, "alleen bodycams toevoegen" in refusal.sentence) == (
            "policy.not_allowed",
            True,
        )


def test_a_recording_is_listed_and_opened_with_the_escrow(config: Path, tmp_path: Path) -> None:
    recording = take_in(config, b"what the camera saw")
    manager = {"typed": typed_for("CM")}
    words = ("list", "--as", "CM", "--config", config)
    assert recording[:8] in run(*words, **manager).output
    assert json.loads(run(*words, "--json", **manager).output)["id"] == recording
    opened = run(
        "open",
        recording[:8],
        "-o",
        tmp_path / "out",
        "--config",
        config,
        typed=typed_for("ESCROW-A", "ESCROW-B"),
    )
    assert opened.exit_code == 0, opened.output
    assert (tmp_path / "out/0000.mp4").read_bytes() == b"what the camera saw"


@pytest.mark.parametrize(
    "typed", [typed_for("ESCROW-B", "ESCROW-A"), typed_for("CM", "GS"), typed_for("ESCROW-A", "CM")]
)
def test_nobody_else_opens_it_to_files(config: Path, tmp_path: Path, typed: str) -> None:
    """Ruling 6: plaintext goes to files with both escrow codes, and in no other way."""
    result = run("open", take_in(config), "-o", tmp_path / "out", "--config", config, typed=typed)
    assert refused(result).code == "vault.wrong_passphrase"
    assert not (tmp_path / "out").exists()


def test_an_ambiguous_or_unknown_recording_is_refused(config: Path, tmp_path: Path) -> None:
    for start in ("", "zzzz", "%"):
        result = run("open", start, "-o", tmp_path / "out", "--config", config)
        assert refused(result).code == "vault.unknown_recording"


def test_damage_is_named_and_the_exit_code_tells(config: Path) -> None:
    recording = take_in(config)
    (sealed,) = (config.parent / "vault").glob(f"footage/*/*/{recording}/0000.sealed")
    sealed.write_bytes(b"?")
    result = run("verify", "--config", config)
    assert (result.exit_code, "file.altered" in result.output) == (1, True)


def test_a_lost_catalogue_is_rebuilt_and_confirmed(config: Path) -> None:
    take_in(config)
    (config.parent / "vault/catalogue/catalogue.db").unlink()
    lost = refused(run("verify", "--config", config))
    assert (lost.code, "vault rebuild" in lost.hint) == ("vault.catalogue_failed", True)
    assert run("rebuild", "--config", config).exit_code == 0
    assert "two persons" in run("verify", "--config", config).output
    assert (
        run(
            "confirm", "--as", "PO", "--as", "CM", "--config", config, typed=typed_for("PO", "CM")
        ).exit_code
        == 0
    )
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
    failure = refused(run("verify", "--config", tmp_path / "vault.toml"))
    assert (failure.code, says in failure.sentence) == ("config.invalid", True)


def test_no_settings_is_a_clear_error(tmp_path: Path) -> None:
    assert "vault init" in refused(run("verify", "--config", tmp_path / "none.toml")).hint


def test_no_vault_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "vault.toml").write_text("root = 'v'\npins = 'p'\n")
    assert refused(run("verify", "--config", tmp_path / "vault.toml")).code == "vault.not_a_vault"


def test_a_stranger_among_the_receivers_stops_everything(
    config: Path, tmp_path: Path, clock: HandClock
) -> None:
    """Fault H2: another keyring in the vault's folder is refused before anything is
    sealed to it.
    """
    other = founded(tmp_path / "other", clock)
    (config.parent / "vault/keyring.json").write_bytes((other.root / "keyring.json").read_bytes())
    assert refused(run("verify", "--config", config)).code == "vault.keyring_refused"


def test_every_command_stands_where_the_table_says() -> None:
    context = click.Context(commands)
    for name in COMMANDS:
        found = commands.get_command(context, name)
        assert found is not None
        assert found.name == name
    assert commands.get_command(context, "nonsense") is None
    mistyped = CliRunner().invoke(commands, ["swep"])
    assert mistyped.exit_code == 2
    assert "Did you mean 'sweep'?" in mistyped.output


def test_a_timers_command_starts_with_what_it_needs() -> None:
    """With the web, the drawing of PDFs and the migrations, a sweep's start took three times as
    long (measured).
    """
    script = (
        "import sys; from vault.__main__ import commands as vault; vault(['sweep', '--help'], "
        "standalone_mode=False)"
    )
    script += "; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "vault.custody.retention.sweep" in loaded
    assert not loaded & {
        "fpdf",
        "alembic",
        "starlette",
        "uvicorn",
        "vault.web.app",
        "vault.custody.viewing.viewing_session",
    }
