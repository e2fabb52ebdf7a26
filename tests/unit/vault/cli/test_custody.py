"""Custody on the command line, as officials type it: answers, refusals, JSON, and
what never shows.
"""

import json
from pathlib import Path

import pyrage
import pytest
from click.testing import CliRunner, Result

from tests.support.office import ESCROW, Office
from vault.__main__ import commands
from vault.clock import SystemClock
from vault.errors import Failure


class Desk:
    """Somebody at a terminal, with everybody's passphrases to type."""

    def __init__(self, here: Office, folder: Path) -> None:
        self.here = here
        self.config = folder / "vault.toml"
        self.config.write_text(
            f'root = "{here.settings.root}"\npins = "{here.settings.pins}"\nreserve_mb = 1\n'
        )

    def type(self, *words: object, by: tuple[str, ...] = (), typed: tuple[str, ...] = ()) -> Result:
        """Run a command; `by`: whose passphrases are asked, after what else is typed."""
        lines = [*typed, *(self.here.secrets.get(name) or ESCROW[name] for name in by)]
        named = [word for name in by if name not in ESCROW for word in ("--as", name)]
        asked = [str(word) for word in (*words, *named, "--config", self.config)]
        result = CliRunner().invoke(commands, asked, input="".join(f"{line}\n" for line in lines))
        for secret in (*self.here.secrets.values(), *ESCROW.values()):
            assert secret not in result.output
        return result

    def done(self, *words: object, by: tuple[str, ...] = (), typed: tuple[str, ...] = ()) -> str:
        result = self.type(*words, by=by, typed=typed)
        assert result.exit_code == 0, (words, result.output, result.exception)
        return (
            result.output
            if "--json" in words or "--csv" in words
            else " ".join(result.output.split())
        )

    def refused(self, *words: object, by: tuple[str, ...] = ()) -> Failure:
        result = self.type(*words, by=by)
        assert isinstance(result.exception, Failure), (result.output, result.exception)
        return result.exception


@pytest.fixture
def desk(here: Office, tmp_path: Path) -> Desk:
    """The program has the machine's own clock, so the office has its time."""
    here.clock.moment = SystemClock().now()
    return Desk(here, tmp_path)


def test_a_case_from_its_receipt_to_the_hand_over(desk: Desk, tmp_path: Path) -> None:
    """Register, extend, request, view, hand over, receipt, close: each command's answer says what
    comes next.
    """
    first = desk.here.record()
    second = desk.here.record("boa-18")
    now = desk.here.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    told = desk.done(
        "case",
        "register",
        "demand",
        "OM-77",
        first[:8],
        "--received",
        now,
        "--text",
        "robbery",
        by=("Petra",),
    )
    assert f"At the same time: {second[:8]}" in told
    desk.done("case", "extend", "OM-77", second[:8], by=("Carel",))
    assert "OM-77" in desk.done("case", "list", by=("Carel",))
    assert "robbery" in desk.done("case", "show", "OM-77", by=("Petra",))
    assert "vordering van het Openbaar Ministerie (OM-77)" in desk.done(
        "why", first[:8], by=("Petra",)
    )
    desk.done("view", "request", "demand", first[:8], second[:8], "--case", "OM-77", by=("Petra",))
    wanted = json.loads(desk.done("view", "list", "--json", by=("Petra",)).splitlines()[-1])[
        "viewing"
    ]["id"][:8]
    assert (
        "gemeentelocatie" in CliRunner().invoke(commands, ["view", "conditions", "demand"]).output
    )
    missing = desk.refused("view", "open", wanted, by=("Petra", "Carel"))
    assert (missing.code, "--confirm location" in missing.hint) == ("viewing.refused", True)
    said = ("--confirm", "location", "--confirm", "nobody_else")
    assert "signature holds" in desk.done("view", "open", wanted, *said, by=("Petra", "Carel"))
    key = str(pyrage.x25519.Identity.generate().to_public())
    order = ("--to", "Politie", "--key", key, "-o", tmp_path / "out")
    made = desk.done("handover", "make", wanted, *order, *said, by=("Petra", "Carel"))
    assert "SHA-256" in made
    package = made.split("handover received ")[1].split("`")[0]
    received = ("--by", "J. de Vries", "--on", desk.here.clock.now().strftime("%Y-%m-%dT%H:%M:59Z"))
    later = desk.type("handover", "received", package, *received, by=("Petra",))
    assert later.exit_code == 0 or isinstance(later.exception, Failure)
    assert "Politie" in desk.done("handover", "list", by=("Petra",))
    assert desk.refused("case", "close", "OM-77", by=("Petra",)).code == "cases.refused"
    desk.done("case", "close", "OM-77", "--reference", "OM agrees", by=("Petra",))
    assert "No case is open" in desk.done("case", "list", by=("Petra",))
    assert "closed" in desk.done("case", "list", "--all", by=("Petra",))
    for name in ("account.csv", "account.pdf"):
        desk.done(
            "account",
            "--from",
            "2026-01-01",
            "--until",
            "2036-01-01",
            "-o",
            tmp_path / name,
            by=("Petra",),
        )
    told = (tmp_path / "account.csv").read_text()
    assert "Petra (PO) en Carel (CM),vordering," in told
    assert "verstrekt," in told


def test_an_access_request_on_the_command_line(desk: Desk) -> None:
    recording = desk.here.record()
    now = desk.here.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    desk.done(
        "case", "register", "access_request", "I-1", recording[:8], "--received", now, by=("Carel",)
    )
    reasons = ("--necessity", "looked at it", "--reasons", "others are on it")
    assert (
        desk.refused("case", "decide", "I-1", "--refused", *reasons, by=("Carel",)).code
        == "policy.not_allowed"
    )
    assert "objection can be made until" in desk.done(
        "case", "decide", "I-1", "--refused", *reasons, by=("Petra",)
    )
    desk.done("case", "carried-out", "I-1", by=("Petra",))
    assert desk.refused("case", "close", "I-1", by=("Petra",)).code == "cases.refused"


def test_reports_and_who_carries_what(desk: Desk) -> None:
    recording = desk.here.record()
    assert recording[:8] in desk.done("report", "missing", by=("Bea",))
    words = (
        "--used",
        "2026-11-01 10:00",
        "--location",
        "home",
        "--cause",
        "c",
        "--event",
        "e",
        "--not-announced",
    )
    more = ("--announcement", "no time", "--informed", "--information", "leaflet")
    assert "went to BC" in desk.done("report", "file", recording[:8], *words, *more, by=("Mo",))
    assert "woning" in desk.done("report", "list", by=("Bea",))
    report = json.loads(desk.done("report", "list", "--json", by=("Bea",)))["id"]
    desk.done("report", "receive", report[:8], by=("Bea",))
    assert "Every recording has its report" in desk.done("report", "missing", by=("Bea",))
    desk.done("assign", "to", "BWC0042", "Nel", by=("Bea",))
    assert "Nel" in desk.done("assign", "list", by=("Bea",))
    desk.done("assign", "back", "BWC0042", by=("Bea",))


def test_persons_come_go_and_stand_in(desk: Desk, tmp_path: Path) -> None:
    """The ceremony's commands: both signers, their passphrases unseen; the old keyring's holder is
    gone from the list.
    """
    enrolled = desk.done(
        "ceremony",
        "enrol",
        "Jan",
        "--officer",
        "boa-33",
        by=("Petra", "Carel"),
        typed=("a new officer's own",) * 2,
    )
    assert "version 2" in enrolled
    gijs = ("ceremony", "enrol", "Gijs")
    desk.done(*gijs, by=("Petra", "Carel"), typed=("the next secretary's own",) * 2)
    typed = tuple(desk.here.secrets[name] for name in ("Petra", "Carel", "Geert"))
    words = (
        "ceremony",
        "leave",
        "Geert",
        "--successor",
        "Gijs",
        "--with",
        "Geert",
        "--as",
        "Petra",
        "--as",
        "Carel",
    )
    assert "New keys for GS" in desk.done(*words, typed=typed)
    listed = desk.done("person", "list", by=("Petra",))
    assert all(name in listed for name in ("Gijs", "Jan", "Geert"))
    period = ("--from", "2026-11-01", "--until", "2036-01-01", "--reason", "leave")
    refusal = desk.refused(
        "person", "replace", "Petra", "Carel", "--role", "PO", *period, by=("Carel",)
    )
    assert "themselves" in refusal.sentence
    told = desk.done("person", "replace", "Carel", "Petra", "--role", "CM", *period, by=("Carel",))
    absence = told.split("record: ")[1].split(".")[0]
    assert "leave" in desk.done("person", "absences", by=("Petra",))
    desk.done("person", "back", absence, by=("Petra",))
    assert "signed by" in desk.done("ceremony", "show")
    words = ("ceremony", "passphrase", "--as", "Mo")
    desk.done(*words, typed=(desk.here.secrets["Mo"], "another one for Mo", "another one for Mo"))
    assert desk.refused("log", by=("Mo",)).code == "vault.wrong_passphrase"
    assert "Pinned" in desk.done("ceremony", "pin", "--yes")


def test_deletion_the_clock_and_the_list_of_a_week(desk: Desk) -> None:
    recording, other = desk.here.record(), desk.here.record()
    assert "Nothing falls due" in desk.done("due", by=("Carel",))
    assert "0 marked" in desk.done("sweep")
    assert "clock" in desk.done("clock", "show")
    desk.done("clock", "confirm", by=("Carel", "Petra"))
    desk.done("archive", other[:8], by=("Carel",))
    assert (
        desk.refused("delete", recording[:8], "--reason", "by mistake", by=("Carel", "Geert")).code
        == "policy.not_allowed"
    )
    assert "destroyed" in desk.done(
        "delete", recording[:8], "--reason", "by mistake", by=("Carel", "Petra")
    )
    assert "vernietigd op" in desk.done("why", recording[:8], by=("Petra",))
    assert "recording.destroyed" in desk.done("log", "--about", recording[:8], by=("Petra",))
    assert desk.refused("log", by=("Tim",)).code == "policy.not_allowed"
    assert desk.type("approve", other[:8], by=("Carel",)).exit_code == 2


def test_checkpoints_backup_restore_and_the_drill(desk: Desk, tmp_path: Path) -> None:
    desk.here.record()
    (tmp_path / "note").write_text(desk.type("checkpoint").output)
    key = desk.done("checkpoint", "--key").strip()
    assert "goes on from every checkpoint" in desk.done(
        "verify", "--since", tmp_path / "note", "--key", key
    )
    assert "every digest right" in desk.done("drill", by=("ESCROW-A", "ESCROW-B"))
    assert "1 recordings copied" in desk.done("backup", "--to", tmp_path / "b")
    desk.here.intake.close()
    desk.here.vault.close()
    desk.here.settings.root.rename(tmp_path / "lost")
    for outside in (desk.here.settings.pins, desk.here.settings.log_key_path):
        outside.rename(tmp_path / f"lost-{outside.name}")
    wrong = desk.type(
        "restore",
        "--from",
        tmp_path / "b",
        "--yes",
        typed=("not the code of A", ESCROW["ESCROW-B"]),
    )
    assert isinstance(wrong.exception, Failure)
    assert not desk.here.settings.root.exists(), "something was copied for who has not both codes"
    assert desk.type("restore", "--from", tmp_path / "b", typed=("n",)).exit_code == 1
    told = desk.done("restore", "--from", tmp_path / "b", typed=("y", *ESCROW.values()))
    assert "1 recordings stand again" in told
    assert "opened with the escrow alone" in told
    assert desk.done("checkpoint", "--key").strip() in told
    desk.done("confirm", by=("Carel", "Petra"))
    assert "All is well" in desk.done("verify")
    desk.here.reopen()


def demand_the_log_goes_on(desk: Desk, note: Path, old: str, new: str) -> None:
    """Under its new key, and from what the old one signed, for whoever has the old public key."""
    assert (new == old, desk.done("checkpoint", "--key") == new) == (False, True)
    assert desk.refused("checkpoint", "--new-key").code == "vault.exists"
    desk.done("checkpoint")
    assert "--key" in desk.refused("verify", "--since", note).hint
    assert "goes on from every checkpoint" in desk.done("verify", "--since", note, "--key", old)


def test_a_new_pc_has_neither_pins_nor_log_key(desk: Desk, tmp_path: Path) -> None:
    """A restore makes both anew: the pins by the paper, the log's key as another one. Nothing is
    left to be done by hand.
    """
    desk.here.record()
    (tmp_path / "note").write_text(desk.type("checkpoint").output)
    lines = desk.done("ceremony", "show").partition("signed by ")[2]
    old = desk.done("checkpoint", "--key")
    desk.done("backup", "--to", tmp_path / "b")
    desk.here.intake.close()
    desk.here.vault.close()
    for path in (desk.here.settings.root, desk.here.settings.pins, desk.here.settings.log_key_path):
        path.rename(tmp_path / f"lost-{path.name}")
    told = desk.done("restore", "--from", tmp_path / "b", "--yes", by=("ESCROW-A", "ESCROW-B"))
    assert lines in told
    assert "every digest right" in told
    new = desk.done("checkpoint", "--key")
    assert f"for the witness and the paper: {new}" in told
    desk.done("drill", by=("ESCROW-A", "ESCROW-B"))
    desk.done("confirm", by=("Carel", "Petra"))
    demand_the_log_goes_on(desk, tmp_path / "note", old, new)
    assert "All is well" in desk.done("verify")
    desk.here.reopen()


def test_pins_that_are_lost_alone_are_made_anew_by_the_paper(desk: Desk, tmp_path: Path) -> None:
    desk.here.record()
    lines = desk.done("ceremony", "show").partition("signed by ")[2]
    pinned = desk.here.settings.pins.read_bytes()
    desk.here.settings.pins.unlink()
    refusal = desk.refused("verify")
    assert (refusal.code, "vault ceremony pin" in refusal.hint) == ("vault.keyring_refused", True)
    assert desk.type("ceremony", "pin", typed=("n",)).exit_code == 1
    assert not desk.here.settings.pins.exists()
    assert lines in desk.done("ceremony", "pin", typed=("y",))
    assert desk.here.settings.pins.read_bytes() == pinned
    assert "All is well" in desk.done("verify")


def test_a_log_key_that_is_lost_alone_is_followed_by_another(desk: Desk, tmp_path: Path) -> None:
    desk.here.record()
    (tmp_path / "note").write_text(desk.type("checkpoint").output)
    old = desk.done("checkpoint", "--key")
    desk.here.settings.log_key_path.unlink()
    assert "--new-key" in desk.refused("checkpoint").hint
    demand_the_log_goes_on(desk, tmp_path / "note", old, desk.done("checkpoint", "--new-key"))
    assert "All is well" in desk.done("verify")


def test_a_restore_that_could_not_keep_a_new_key_says_so_first(desk: Desk, tmp_path: Path) -> None:
    """Pins are left, in a folder that is root's, and the log's key is not: told before a code is
    asked or anything is copied.
    """
    desk.here.record()
    desk.done("backup", "--to", tmp_path / "b")
    pins, key = desk.here.settings.pins, tmp_path / "nowhere" / "log.key"
    desk.config.write_text(f'root = "{tmp_path}/new"\npins = "{pins}"\nlog_key = "{key}"\n')
    refusal = desk.refused("restore", "--from", tmp_path / "b")
    assert (refusal.code, "after-ceremony" in refusal.hint) == ("config.invalid", True)
    assert not (tmp_path / "new").exists()


def test_who_may_not_write_the_pins_is_told_how(desk: Desk, tmp_path: Path) -> None:
    desk.config.write_text(
        f'root = "{desk.here.settings.root}"\npins = "{tmp_path}/nowhere/pins.json"\n'
    )
    refusal = desk.refused("ceremony", "pin", "--yes")
    assert (refusal.code, "after-ceremony" in refusal.hint) == ("config.invalid", True)


def test_figures_hold_no_person(desk: Desk, tmp_path: Path) -> None:
    """Proves P62: numbers by month; the accountability report names
    officials, viewings, deletions.
    """
    desk.here.record()
    year = str(desk.here.clock.now().year)
    table = desk.done("figures", "--year", year, "--csv", by=("Geert",))
    assert table.splitlines()[0].startswith("maand,opnamen,meldingen van gebruik")
    assert table.splitlines()[-1].startswith("totaal,1,0,")
    assert not any(name in table for name in ("Mo", "Petra", "boa-17"))
    for name in ("account.pdf", "account.csv"):
        desk.done(
            "account",
            "--from",
            "2026-01-01",
            "--until",
            "2036-01-01",
            "-o",
            tmp_path / name,
            by=("Petra",),
        )
    assert (tmp_path / "account.pdf").read_bytes().startswith(b"%PDF")
    assert "functies," in (tmp_path / "account.csv").read_text()
    assert desk.refused("figures", "--year", year, by=("Mo",)).code == "policy.not_allowed"
