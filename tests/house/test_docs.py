"""The documentation, held against the programs: the commands, units, alerts, codes, rooms and links
that it names; and how it reads.
"""

import importlib
import pkgutil
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import dockd
import vault
from dockd.__main__ import cli as dockd_commands
from dockd.display.kiosk.tiles import WORDS
from dockd.docking.bay import Phase
from tests.support.places import REPOSITORY
from vault.__main__ import commands as vault_commands
from vault.errors import Failure

DOCS = REPOSITORY / "docs"
PAGES = {
    "install": "installeren",
    "ceremony": "sleutelceremonie",
    "daily": "dagelijks",
    "restore": "herstellen",
    "alarms": "alarmen",
}
ADMIN = DOCS / "admin"
PAPERS = [REPOSITORY / "SECURITY.md", REPOSITORY / "CHANGELOG.md"]
EVERY = [*sorted(DOCS.rglob("*.md")), *PAPERS]
ALARMS = (ADMIN / "en" / "alarms.md", ADMIN / "nl" / "alarmen.md")
PROGRAMS: dict[str, click.Command] = {"vault": vault_commands, "dockd": dockd_commands}
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
UNIT = re.compile(r"\b((?:vault|dock)[a-z-]*@?)\.(service|timer|socket|path|target)\b")
CALLED_UNIT = re.compile(
    r"(?:systemctl (?:start|stop|restart|status)|journalctl -u) ((?:(?:vault|dock)[a-z.-]*[ `]?)+)"
)
KINDS = ("service", "timer", "socket", "path", "target")
PLACE = re.compile(
    r"`((?:vault|dockd|device_sim|systemd|tests|docs|config)(?:/[\w.@-]+)*/?)(?:::?\w+)?`"
)
WIDTH = 120
SENTENCE_WORDS = 40

each_page = pytest.mark.parametrize(
    "page", EVERY, ids=lambda page: page.relative_to(REPOSITORY).as_posix()
)


def blocks(page: Path, kind: str) -> Iterator[str]:
    for indent, found, content in BLOCK.findall(page.read_text()):
        if found == kind:
            yield from (line.removeprefix(indent) for line in content.splitlines())


def inline(page: Path) -> list[str]:
    return INLINE.findall(BLOCK.sub("", page.read_text()))


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words begin with, and the words that are left for it."""
    at = PROGRAMS[words[0]]
    rest = words[1:]
    while isinstance(at, click.Group) and rest and not rest[0].startswith("-"):
        command = at.get_command(click.Context(at), rest[0])
        assert command is not None, f"there is no command {' '.join(words)}"
        at, rest = command, rest[1:]
    return at, rest


@each_page
def test_every_command_line_is_one_that_the_programs_take(page: Path) -> None:
    """Options, arguments and choices too: what stands in a block can be typed as it stands."""
    for line in blocks(page, "sh"):
        if not line.startswith(("vault ", "dockd ")):
            continue
        command, rest = command_of(shlex.split(line))
        assert not isinstance(command, click.Group), f"{line} is not a whole command"
        context = click.Context(command)
        given, left, _ = command.make_parser(context).parse_args(list(rest))
        assert left == [], f"{line}: {left} belongs to nothing"
        for parameter in command.params:
            value = given.get(str(parameter.name))
            missing = value is None or value == () or type(value).__name__ == "Sentinel"
            assert not (parameter.required and missing), f"{line} lacks {parameter.name}"
            if isinstance(parameter.type, click.Choice) and not missing:
                assert value in parameter.type.choices, line


@each_page
def test_every_command_in_the_text_is_there(page: Path) -> None:
    """`vault confirm`, or with options, which may lack what a whole line has."""
    for words in (
        shlex.split(text) for text in inline(page) if text.startswith(("vault ", "dockd "))
    ):
        command, rest = command_of(words)
        known = {
            option
            for parameter in command.params
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert {word for word in rest if word.startswith("--")} <= known, words


@each_page
def test_every_unit_is_there(page: Path) -> None:
    text = page.read_text()
    units = {path.name for path in (REPOSITORY / "systemd").rglob("*") if path.suffix[1:] in KINDS}
    for name, kind in UNIT.findall(text):
        assert f"{name}.{kind}" in units or f"{name}.{kind}.d" in text, f"{name}.{kind}"
    for names in CALLED_UNIT.findall(text):
        for name in names.replace("`", " ").split():
            if not name.endswith(KINDS):
                assert f"{name}.service" in units, name


@each_page
def test_every_place_in_the_tree_is_there(page: Path) -> None:
    """Rooms, modules and documents, as paths from the top."""
    for place in PLACE.findall(BLOCK.sub("", page.read_text())):
        assert (REPOSITORY / place).exists(), place


@each_page
def test_a_page_is_wrapped_and_its_sentences_are_short(page: Path) -> None:
    """Tables and blocks have lines of their own; what is quoted is somebody else's."""
    text = BLOCK.sub("", page.read_text())
    for line in text.splitlines():
        assert len(line) <= WIDTH or line.startswith("|"), line
    for sentence in sentences(text):
        assert len(sentence.split()) <= SENTENCE_WORDS, sentence


def sentences(text: str) -> Iterator[str]:
    """Split a page's text, without blocks, at its sentences, list items, cells and headings."""
    own = "\n".join(line for line in text.splitlines() if not line.startswith(">"))
    for piece in re.split(r"\n\s*\n|\n(?=\s*(?:[-*+]|\d+\.)\s)|\||\n(?=#)", own):
        yield from re.split(r"(?<=[.!?])[*)`\"]*\s+", piece)


def test_a_long_sentence_is_found() -> None:
    long = " ".join(["word"] * (SENTENCE_WORDS + 1))
    text = f"Short. {long}.\n\n- item\n- {long}\n\n| cell | {long} |\n\n> {long}\n"
    found = [one for one in sentences(text) if len(one.split()) > SENTENCE_WORDS]
    assert len(found) == 3


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        led = (page.parent / path).resolve() if path else page
        assert led.is_file(), target
        assert not anchor or anchor in {slug(heading) for _, heading in headings(led)}, target


def headings(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"^(#+) (.+)$", BLOCK.sub("", page.read_text()), re.MULTILINE)


def slug(heading: str) -> str:
    """As GitHub makes them."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_both_languages_have_the_same_pages() -> None:
    assert {path.stem for path in (ADMIN / "en").iterdir()} == set(PAGES)
    assert {path.stem for path in (ADMIN / "nl").iterdir()} == set(PAGES.values())
    index = (DOCS / "README.md").read_text()
    for english, dutch in PAGES.items():
        assert f"admin/en/{english}.md" in index
        assert f"admin/nl/{dutch}.md" in index


@pytest.mark.parametrize(("english", "dutch"), list(PAGES.items()))
def test_both_languages_say_the_same(english: str, dutch: str) -> None:
    """The same headings, the same blocks to copy, the same rows of tables."""
    pages = [ADMIN / "en" / f"{english}.md", ADMIN / "nl" / f"{dutch}.md"]
    levels, copied, rows = ([read(page) for page in pages] for read in (_levels, _copied, _rows))
    assert levels[0] == levels[1]
    assert copied[0] == copied[1]
    assert rows[0] == rows[1]


def _levels(page: Path) -> list[str]:
    return [level for level, _ in headings(page)]


def _copied(page: Path) -> list[str]:
    """Commands to type; what is a camera's make and model may be said in the page's own words."""
    return [re.sub(r'--model "[^"]*"', "--model", line) for line in blocks(page, "sh")]


def _rows(page: Path) -> int:
    return len(re.findall(r"^\|", page.read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", ALARMS, ids=lambda page: page.stem)
def test_every_alert_is_explained(page: Path) -> None:
    alerts = re.findall(r"alert: (\w+)", (REPOSITORY / "config" / "alerts.yml").read_text())
    explained = re.findall(r"^\| (\w+) \|", page.read_text(), re.MULTILINE)
    assert set(alerts) <= set(explained)


@pytest.mark.parametrize("page", ALARMS, ids=lambda page: page.stem)
def test_every_code_is_explained(page: Path) -> None:
    """Of errors, and of what a check finds."""
    named = set(inline(page))
    codes = {kind.code for kind in failures(Failure)}
    source = "".join(
        (REPOSITORY / "vault" / name).read_text()
        for name in ("operations/verify.py", "log/checkpoints.py")
    )
    codes |= set(re.findall(r'(?:Finding|Discrepancy)\(\s*"([a-z._]+)"', source))
    assert codes - named == set()
    unknown = {name for name in named if re.fullmatch(r"[a-z]+\.[a-z_]+", name)} - codes
    assert unknown <= {
        "vault.toml",
        "dockd.toml",
        "keyring.json",
        "manifest.unfinished",
        "dcim.still_written",
    }


def failures(kind: type[Failure]) -> Iterator[type[Failure]]:
    for package in (vault, dockd):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "migrations" not in module.name and not module.name.endswith("reader.__main__"):
                importlib.import_module(module.name)
    yield kind
    for below in kind.__subclasses__():
        if below.__module__.partition(".")[0] in ("vault", "dockd"):
            yield from failures(below)


@pytest.mark.parametrize(
    ("page", "dutch"), [(ALARMS[0], False), (ALARMS[1], True)], ids=("en", "nl")
)
def test_every_state_of_the_dock_and_every_line_of_the_doctors_is_explained(
    page: Path, dutch: bool
) -> None:
    rows = {
        name
        for row in re.findall(r"^\| ([^|]+?) \|", page.read_text(), re.MULTILINE)
        for name in row.split(", ")
    }
    assert {WORDS[phase].nl if dutch else phase.value for phase in Phase} <= rows
    source = "".join(
        (REPOSITORY / place / "doctor.py").read_text()
        for place in ("vault/operations", "dockd/service")
    )
    lines = set(re.findall(r'(?:Line|_since)\(\s*"([a-z ]+)"', source))
    assert len(lines) > 15
    assert lines <= rows
