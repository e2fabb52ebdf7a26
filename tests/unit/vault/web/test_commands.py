"""Each command that shows what a page shows × every function: the page's own answer, and the
page's own trace in the log. Without a name nothing is shown.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import click
import pytest

from tests.support.back_office import BackOffice, backoffice
from tests.support.desk import Desk
from tests.support.permissions import COMMANDS, EVERYBODY, MAY, readers
from vault.__main__ import COMMANDS as NAMES
from vault.__main__ import commands
from vault.clock import SystemClock
from vault.custody.people import record_absence
from vault.custody.reports import Location, UseReport, assign, file_report
from vault.rules.roles import Role

WITHOUT_A_NAME = {
    *("alert", "backup", "checkpoint", "doctor", "drill", "init", "migrate", "open", "rebuild"),
    *("restore", "sweep", "verify", "web", "ceremony pin", "ceremony show", "clock show"),
    "view conditions",
}
"""What serves the machine's own services, or the holders of the escrow; and what shows nobody."""


class Furnished:
    """An office with something on every list, its pages and its terminal."""

    def __init__(self, back: BackOffice, folder: Path) -> None:
        here = back.office
        self.back = back
        self.desk = Desk(here, folder)
        self.file = folder / "account.csv"
        recording = back.film(officer="boa-17")
        back.viewing(recording)
        now = here.clock.now()
        use = UseReport((recording,), now, Location.HOME, "a", "b", True, "c", True, "d")
        file_report(here.vault, here.actor("Mo"), use)
        back.film(officer="boa-18")
        assign(here.vault, here.actor("Bea"), "BWC0042", "Nel")
        period = (now + timedelta(days=100), now + timedelta(days=107))
        record_absence(
            here.vault, here.actor("Petra"), Role.SECRETARY, "Geert", "Vera", period, "verlof"
        )
        self.about = {
            "recording": recording,
            "case": f"complaint-{recording[:6]}",
            "serial": "BWC0042",
            "file": str(self.file),
        }

    def words(self, command: tuple[str, ...]) -> list[str]:
        self.file.unlink(missing_ok=True)
        return [word.format(**self.about) for word in command]

    def size(self) -> int:
        return len(self.back.office.entries())

    def told_since(self, size: int, name: str) -> list[tuple[str, str | None]]:
        """What the log was told from then on of a person's deeds: action and subject."""
        person = self.back.office.id(name)
        entries = self.back.office.entries()[size:]
        return [(one["action"], one["subject"]) for one in entries if one["actor"] == person]


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    folder = tmp_path_factory.mktemp("commands")
    with backoffice(folder / "office") as back:
        # The program has the machine's own clock, so the office has its time.
        back.office.clock.moment = SystemClock().now()
        yield Furnished(back, folder)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("name", sorted(EVERYBODY))
def test_a_command_answers_as_its_page(
    furnished: Furnished, name: str, command: tuple[str, ...]
) -> None:
    """Proves P24, P25, P36, P39: the same persons, and the same entry in the log."""
    page = COMMANDS[command]
    screen = furnished.back.screen(name)
    before = furnished.size()
    shown = screen.get(page.format(**furnished.about))
    by_page = furnished.told_since(before, name)
    before = furnished.size()
    result = furnished.desk.type(*furnished.words(command), by=(name,))
    by_command = furnished.told_since(before, name)
    if name in readers(page):
        assert (shown.status_code, result.exit_code) == (200, 0), (shown.text, result.output)
    else:
        assert shown.status_code == 403
        assert getattr(result.exception, "code", None) == "policy.not_allowed", result.output
        assert result.output == ""
    assert by_command == by_page


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_a_name_a_command_shows_nothing(
    furnished: Furnished, command: tuple[str, ...]
) -> None:
    """Root is nobody: it is told what to type, and what tells of the vault's health."""
    before = furnished.size()
    result = furnished.desk.type(*furnished.words(command))
    assert result.exit_code == 2
    told = " ".join(result.output.split())
    assert all(word in told for word in ("--as", "vault doctor", "vault verify", "metrics"))
    assert not any(name in told for name in (*EVERYBODY, furnished.about["recording"][:8]))
    assert furnished.size() == before


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_wrong_passphrase_shows_nothing(furnished: Furnished, command: tuple[str, ...]) -> None:
    words = furnished.words(command)
    result = furnished.desk.type(*words, "--as", "Petra", typed=("not her passphrase",))
    assert getattr(result.exception, "code", None) == "vault.wrong_passphrase"
    assert result.output == ""


def test_every_other_command_is_known() -> None:
    """A command that is new says who acts, or is named above with its reason."""
    found = set()
    for name in NAMES:
        command = commands.get_command(click.Context(commands), name)
        assert command is not None
        below = command.commands if isinstance(command, click.Group) else {"": command}
        found |= {
            f"{name} {sub}".strip()
            for sub, one in below.items()
            if "acting" not in {param.name for param in one.params}
        }
    assert found == WITHOUT_A_NAME


def test_every_page_of_the_table_is_a_page() -> None:
    assert {("GET", page.partition("?")[0]) for page in COMMANDS.values()} <= set(MAY)


def test_an_officer_reads_of_others_neither_reports_nor_viewings(furnished: Furnished) -> None:
    """Proves P39: on a terminal as on a page, one's own alone."""
    nel = furnished.back.office.id("Nel")
    everybody = furnished.desk.done("report", "list", "--json", by=("Bea",))
    assert {json.loads(line)["person"] for line in everybody.splitlines()} != {nel}
    assert furnished.desk.done("report", "list", "--json", by=("Nel",)) == ""
    assert furnished.desk.done("view", "list", "--json", by=("Nel",)) == ""
    missing = furnished.desk.done("report", "missing", "--json", by=("Nel",))
    assert {json.loads(line)["person"] for line in missing.splitlines()} == {nel}
