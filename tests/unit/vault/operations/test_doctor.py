"""The doctor: each line says how it stands, and what to do where it is not well."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.hand_clock import HandClock
from tests.support.vault_world import founded
from vault.__main__ import commands
from vault.clock import told_synced
from vault.custody.witness import sign_head
from vault.operations import doctor
from vault.operations.doctor import Line, Verdict
from vault.operations.verify import verify_daily
from vault.vault import Vault


def lines(vault: Vault) -> dict[str, Line]:
    assert isinstance(vault.clock, HandClock)
    return {line.what: line for line in doctor.examine(vault, vault.clock)}


def test_every_line_that_is_not_good_says_what_to_do(vault: Vault) -> None:
    found = lines(vault)
    assert {
        "keyring",
        "space",
        "disk",
        "clock",
        "catalogue",
        "pins",
        "log key",
        "head of the log",
        "folder",
        "witness",
        "verify",
        "units",
        "sweep",
        "backup",
        "drill",
    } <= set(found)
    for line in found.values():
        assert (line.advice == "") == (line.verdict is Verdict.GOOD), line
    assert found["keyring"].verdict is Verdict.GOOD
    assert found["log key"].verdict is Verdict.GOOD
    assert found["drill"].verdict is Verdict.LOOK
    assert list((vault.settings.root / "incoming").iterdir()) == []


def test_a_head_grows_old(vault: Vault) -> None:
    assert lines(vault)["head of the log"].verdict is Verdict.LOOK
    sign_head(vault)
    when = vault.settings.root / "checkpoints"
    assert lines(vault)["head of the log"].sentence.startswith("Last on ")
    assert len(list(when.glob("*.note"))) == 1


def test_a_vault_that_others_may_enter_is_bad(vault: Vault) -> None:
    root = vault.settings.root
    assert lines(vault)["folder"].verdict is Verdict.GOOD
    root.chmod(0o2775)
    assert lines(vault)["folder"].verdict is Verdict.BAD
    assert f"chmod o= {root}" in lines(vault)["folder"].advice
    root.chmod(0o2770)
    assert "drwxrws---" in lines(vault)["folder"].sentence


def test_a_witness_that_is_silent_is_not_one_that_is_not_named(
    vault: Vault, clock: HandClock
) -> None:
    assert "None is named" in lines(vault)["witness"].sentence
    vault.settings.witness[:] = ["cat"]
    assert "took no head yet" in lines(vault)["witness"].sentence
    sign_head(vault)
    took = lines(vault)["witness"]
    assert (took.verdict, took.sentence) == (
        Verdict.GOOD,
        "It took a head last on 2026-11-23T18:00:00.000Z.",
    )
    clock.pass_time(3601)
    silent = lines(vault)["witness"]
    assert (silent.verdict, silent.sentence) == (Verdict.LOOK, took.sentence)
    assert "vault checkpoint" in silent.advice


def test_a_daily_check_grows_old_and_its_findings_are_bad(vault: Vault, clock: HandClock) -> None:
    assert lines(vault)["verify"].verdict is Verdict.LOOK
    verify_daily(vault, lambda _: None)
    assert lines(vault)["verify"].verdict is Verdict.GOOD
    clock.pass_time(48 * 3600 + 1)
    assert "vault-verify.timer" in lines(vault)["verify"].advice
    (vault.settings.root / "footage" / "2026" / "11" / "x").mkdir(parents=True)
    (vault.settings.root / "footage" / "2026" / "11" / "x" / "record.json").write_bytes(b"{}")
    verify_daily(vault, lambda _: None)
    bad = lines(vault)["verify"]
    assert (bad.verdict, "had 1 findings" in bad.sentence, "vault verify" in bad.advice) == (
        Verdict.BAD,
        True,
        True,
    )


def test_units_are_told_where_systemd_runs(tmp_path: Path) -> None:
    (line,) = doctor._units(tmp_path / "nothing")
    assert (line.verdict, line.sentence) == (
        Verdict.GOOD,
        "No service manager here: whoever started the vault looks after it.",
    )


def test_a_log_key_that_others_may_read_is_bad(vault: Vault) -> None:
    key = vault.settings.log_key_path
    key.chmod(0o644)
    assert lines(vault)["log key"].verdict is Verdict.BAD
    key.unlink()
    assert "put it back" in lines(vault)["log key"].advice


def test_a_full_disk_is_bad(tmp_path: Path) -> None:
    clock = HandClock()
    settings = founded(tmp_path, clock)
    with Vault.open(settings.model_copy(update={"reserve_mb": 1 << 30}), clock) as opened:
        assert lines(opened)["space"].verdict is Verdict.BAD


@pytest.mark.parametrize(
    ("swaps", "uuid", "verdict"),
    [
        ([], None, Verdict.GOOD),
        (["/dev/sda2"], None, Verdict.BAD),
        (["/dev/zram0"], None, Verdict.GOOD),
        (["/dev/dm-0"], "CRYPT-PLAIN-swap", Verdict.GOOD),
        (["/dev/dm-0"], "LVM-abc", Verdict.BAD),
        (["/swapfile"], None, Verdict.BAD),
    ],
)
def test_swap_is_none_or_encrypted(
    tmp_path: Path, swaps: list[str], uuid: str | None, verdict: Verdict
) -> None:
    table = tmp_path / "swaps"
    table.write_text(
        "Filename Type Size Used Priority\n"
        + "".join(f"{name} partition 1 0 -2\n" for name in swaps)
    )
    if uuid is not None:
        (tmp_path / "block" / "dm-0" / "dm").mkdir(parents=True)
        (tmp_path / "block" / "dm-0" / "dm" / "uuid").write_text(uuid)
    assert [line.verdict for line in doctor._swap(table, tmp_path / "block")] == [verdict]


def test_swap_in_a_volume_of_an_encrypted_disk_is_encrypted(tmp_path: Path) -> None:
    """LVM in LUKS, as Debian's installer makes it; one plain disk below is enough to make it a
    plain one.
    """
    table, block = tmp_path / "swaps", tmp_path / "block"
    table.write_text("Filename Type Size Used Priority\n/dev/dm-7 partition 1 0 -2\n")
    for name, uuid in (("dm-7", "LVM-swap"), ("dm-8", "CRYPT-LUKS2-disk"), ("sdz9", None)):
        (block / name / "dm").mkdir(parents=True)
        if uuid is not None:
            (block / name / "dm" / "uuid").write_text(uuid)
    slaves = block / "dm-7" / "slaves"
    slaves.mkdir()
    (slaves / "dm-8").symlink_to(block / "dm-8")
    assert [line.verdict for line in doctor._swap(table, block)] == [Verdict.GOOD]
    (slaves / "sdz9").symlink_to(block / "sdz9")
    assert [line.verdict for line in doctor._swap(table, block)] == [Verdict.BAD]


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("quiet fsck.repair=yes rw\n", Verdict.GOOD),
        ("quiet rw\n", Verdict.LOOK),
        ("fsck.repair=preen\n", Verdict.LOOK),
        ("xfsck.repair=yes\n", Verdict.LOOK),
    ],
)
def test_a_torn_file_system_is_mended_at_the_start_or_somebody_is_told(
    tmp_path: Path, words: str, verdict: Verdict
) -> None:
    kernel_line = tmp_path / "cmdline"
    kernel_line.write_text(words)
    assert [line.verdict for line in doctor._repair(kernel_line, tmp_path)] == [verdict]
    assert not list(doctor._repair(kernel_line, tmp_path / "no service manager"))


def test_the_command_ends_badly_only_for_what_is_bad(tmp_path: Path) -> None:
    clock = HandClock()
    settings = founded(tmp_path, clock)
    config = tmp_path / "vault.toml"
    config.write_text(f'root = "{settings.root}"\npins = "{settings.pins}"\nreserve_mb = 1\n')
    settings.log_key_path.chmod(0o644)
    done = CliRunner().invoke(commands, ["doctor", "--config", str(config)])
    assert done.exit_code == 70
    assert "bad   log key:" in done.output
    assert "chmod 640" in done.output


@pytest.mark.parametrize(
    ("text", "synced"),
    [
        ("1000 synced\n", True),
        ("1000 unsynced\n", False),
        ("800 synced\n", False),
        ("1100 synced\n", False),
        ("", False),
        ("x synced", False),
    ],
)
def test_the_clocks_watch_is_believed_while_it_is_fresh(
    tmp_path: Path, text: str, synced: bool
) -> None:
    """A service that may not ask the kernel: what is stale, from the future or no word at all is no
    vouching.
    """
    told = tmp_path / "synced"
    told.write_text(text)
    assert told_synced(told, 1030.0) is synced
    assert not told_synced(tmp_path / "nothing", 1030.0)
