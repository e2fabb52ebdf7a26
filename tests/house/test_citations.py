"""Every citation in code, tests and documents leads to an entry of the reference.

Four things are cited by a short name: an obligation (P15) or a default (Q8) of the protocol, a
ruling or decision (ruling 9, decision 0021), a fault (A13), an invariant (I6).
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.places import REPOSITORY

REFERENCE = REPOSITORY / "docs" / "reference"
DECISIONS = REPOSITORY / "docs" / "decisions"
FOLDERS = ("vault", "dockd", "device_sim", "config", "systemd", "docs", "tests")
UNITS = (".service", ".timer", ".socket", ".path", ".target")
KINDS = (".py", ".md", ".toml", ".yml", ".sh", ".html", *UNITS)

PROTOCOL = re.compile(r"\b([PQ])(\d{1,3})\b")
RULING = re.compile(
    r"\brulings?(?:\s+|\s+\[)(\d+(?:(?:,\s+|\s+and\s+|\s+to\s+|–)\d+)*)\b", re.IGNORECASE
)
DECISION = re.compile(r"\bdecisions?\s+\[?(\d{4})\b", re.IGNORECASE)
CODE = r"[A-I]\d{1,2}"
FAULT = re.compile(
    rf"\bfaults?:?\s+({CODE}(?:(?:,\s+|,?\s+and\s+|,\s+then\s+|\s+to\s+|–){CODE})*)\b",
    re.IGNORECASE,
)
BARE = re.compile(rf"\b({CODE})\b")
SPAN = re.compile(r"(\d+)(?:\s+to\s+|–)[A-I]?(\d+)")


PAGE = re.compile(r"(?<![\w/.-])((?:(?:docs|vault|dockd|device_sim|tests)/)?[\w/-]+\.md)\b")


@dataclass(frozen=True)
class Entries:
    """What can be cited: names as they are cited, such as `P15`, `Q8`, `A13`, `I6`, `0009`."""

    protocol: frozenset[str]
    codes: frozenset[str]
    decisions: frozenset[str]


def read_entries() -> Entries:
    obligations = (REFERENCE / "obligations.md").read_text()
    faults = (REFERENCE / "faults.md").read_text()
    invariants = {
        name
        for page in documents()
        for name in re.findall(r"^\| (I\d) \|", page.read_text(), re.MULTILINE)
    }
    return Entries(
        frozenset(re.findall(r"^### ([PQ]\d+) ·", obligations, re.MULTILINE)),
        frozenset(re.findall(rf"^### ({CODE}) ·", faults, re.MULTILINE)) | invariants,
        frozenset(path.name[:4] for path in DECISIONS.glob("[0-9]*.md")),
    )


def documents() -> list[Path]:
    return [*sorted(REPOSITORY.glob("*.md")), *(path for path in sources() if path.suffix == ".md")]


def sources() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if path.suffix in KINDS and "vendor" not in path.parts:
                yield path


def prose_of(path: Path, text: str) -> str:
    """Keep what people write for people, and blank out the rest. Lines stay where they are.

    Of code these are comments and docstrings, of a document the text outside of code blocks.
    """
    if path.suffix == ".py":
        return _comments_and_docstrings(text)
    if path.suffix == ".md":
        return re.sub(r"```.*?```|`[^`\n]*`", lambda code: _blank(code[0]), text, flags=re.DOTALL)
    return "\n".join(line.lstrip("# ") for line in text.splitlines())


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _comments_and_docstrings(source: str) -> str:
    lines = source.splitlines()
    kept = [""] * len(lines)
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                kept[number] = lines[number]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            kept[token.start[0] - 1] = token.string.lstrip("# ")
    return "\n".join(kept)


def strays(path: Path, text: str, entries: Entries) -> list[str]:
    """Name each citation that leads nowhere, with its place."""
    prose = prose_of(path, text)
    cited = [
        *(
            (text.count("\n", 0, at), name)
            for at, name in cited_of_protocol(text)
            if name not in entries.protocol
        ),
        *(
            (prose.count("\n", 0, at), name)
            for at, name in cited_decisions(prose)
            if name not in entries.decisions
        ),
        *(
            (prose.count("\n", 0, at), name)
            for at, name in cited_codes(prose, path.suffix)
            if name not in entries.codes
        ),
    ]
    return [f"{path}:{line + 1}: {name}" for line, name in sorted(set(cited))]


def cited_of_protocol(text: str) -> Iterator[tuple[int, str]]:
    """Find obligations and defaults anywhere, in strings of code too."""
    for match in PROTOCOL.finditer(text):
        yield match.start(), match[0]


def cited_decisions(prose: str) -> Iterator[tuple[int, str]]:
    """Find `ruling 9`, `rulings 1 to 4` and `decision 0021`."""
    for match in RULING.finditer(prose):
        for number in numbers(match[1]):
            yield match.start(), f"{number:04d}"
    for match in DECISION.finditer(prose):
        yield match.start(), match[1]


def cited_codes(prose: str, suffix: str) -> Iterator[tuple[int, str]]:
    """Find faults and invariants; without the word "fault" only in code and documents."""
    for match in FAULT.finditer(prose):
        yield from ((match.start(), code) for code in BARE.findall(match[1].upper()))
        letter = match[1][0].upper()
        yield from ((match.start(), f"{letter}{number}") for number in between(match[1]))
    if suffix in (".py", ".md"):
        yield from ((match.start(), match[1]) for match in BARE.finditer(prose))


def numbers(text: str) -> set[int]:
    """Read a list of numbers as people write it: `7 and 9`, `1 to 4`."""
    return {int(number) for number in re.findall(r"\d+", text)} | between(text)


def between(text: str) -> set[int]:
    """List what lies within the spans of a text: `A13 to A16` has 14 and 15 within."""
    return {
        number for first, last in SPAN.findall(text) for number in range(int(first) + 1, int(last))
    }


@pytest.fixture(scope="module")
def entries() -> Entries:
    return read_entries()


def test_every_citation_leads_somewhere(entries: Entries) -> None:
    top = [*sorted(REPOSITORY.glob("*.md")), REPOSITORY / "Makefile", REPOSITORY / "pyproject.toml"]
    found = [
        stray
        for path in (*top, *sources())
        for stray in strays(path.relative_to(REPOSITORY), path.read_text(), entries)
    ]
    assert found == []


def lost_pages(path: Path, text: str, known: frozenset[str]) -> list[str]:
    """Name each document that a comment or docstring names and that is not in the tree.

    One of ours is named by its path from the top, or by its name alone.
    """
    named = {match[1] for match in PAGE.finditer(prose_of(path, text))}
    ours = {name for name in named if "/" not in name or name.partition("/")[0] in FOLDERS}
    return [f"{path}: {name}" for name in sorted(ours - known)]


def test_every_document_that_code_names_is_there() -> None:
    pages = [page.relative_to(REPOSITORY) for page in documents()]
    known = frozenset(page.as_posix() for page in pages) | frozenset(page.name for page in pages)
    found = [
        page
        for path in sources()
        if path.suffix != ".md"
        for page in lost_pages(path.relative_to(REPOSITORY), path.read_text(), known)
    ]
    assert found == []
    assert lost_pages(Path("x.py"), "# As docs/gone.md has it.", known) == ["x.py: docs/gone.md"]
    assert lost_pages(Path("x.py"), '"""See GONE.md."""', known) == ["x.py: GONE.md"]
    assert lost_pages(Path("x.py"), "# See nbd/proto.md and FORMAT.md.", known) == []


def test_there_is_something_to_cite(entries: Entries) -> None:
    assert len([name for name in entries.protocol if name.startswith("P")]) == 63
    assert {f"I{number}" for number in range(1, 8)} <= entries.codes
    assert {f"A{number}" for number in range(1, 17)} <= entries.codes
    assert {f"{number:04d}" for number in range(1, 26)} == entries.decisions


def test_the_index_of_decisions_names_each_page() -> None:
    index = (DECISIONS / "README.md").read_text()
    for page in DECISIONS.glob("[0-9]*.md"):
        title = page.read_text().splitlines()[0].removeprefix(f"# {page.name[:4]} · ")
        assert f"| [{page.name[:4]}]({page.name}) | {title} |" in index


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("x.py", '"""Proves P@64."""', ["x.py:1: P@64"]),
        ("x.py", 'RULE = ("P@70",)', ["x.py:1: P@70"]),
        ("x.py", "# From the stop (Q@15).", ["x.py:1: Q@15"]),
        ("x.py", '"""Fine.\n\nRulings 7 and @26: no.\n"""', ["x.py:3: 0026"]),
        ("x.py", "# rulings 19 to @27", ["x.py:1: 0026", "x.py:1: 0027"]),
        ("x.py", "# faults\n# A2 to A@18", ["x.py:1: A17", "x.py:1: A18", "x.py:2: A18"]),
        ("x.py", "x = 1  # taken as the end (A@17)", ["x.py:1: A17"]),
        ("x.py", "# I@8 holds", ["x.py:1: I8"]),
        ("x.md", "See decision [@0099](x.md).", ["x.md:1: 0099"]),
        ("x.md", "one\n\ntwo (fault E@9)", ["x.md:3: E9"]),
        ("x.service", "# Fault G@9.", ["x.service:1: G9"]),
        ("x.py", 'PAPER = "A@99"', []),
        ("x.md", "`B@99` and\n```\nC@99\n```\n", []),
        ("x.py", '"""Proves P15, Q8; faults A13 to A15, I6; ruling 9, decision 0021."""', []),
    ],
)
def test_a_citation_that_leads_nowhere_is_found(
    entries: Entries, name: str, text: str, found: list[str]
) -> None:
    """The `@` keeps these examples out of the sight of the check itself."""
    expected = [stray.replace("@", "") for stray in found]
    assert strays(Path(name), text.replace("@", ""), entries) == expected
