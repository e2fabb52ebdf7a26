"""Which obligations of the protocol are proven, by which tests: a table from the tests' docstrings.

The obligations are those of `docs/reference/obligations.md`. A test that proves one says so
(`Proves P15.`, `Proves P21, P22.`); one that is about it names it. A citation of an obligation or
default that the page lacks is an error. `--strict` also fails where one of type SYS or REC is
proven by no test.

    python -m tests.house.obligations [--strict]
"""

import argparse
import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.support.places import REPOSITORY

TESTS = REPOSITORY / "tests"
PAGE = REPOSITORY / "docs" / "reference" / "obligations.md"

_ENTRY = re.compile(r"^### ([PQ])(\d+) · (.+)$")
_KIND = re.compile(r"^((?:SYS|REC|HUM|INFO)(?:/(?:SYS|REC|HUM))?), lines? \d+(?:–\d+)?$")
_NUMBER = re.compile(r"\b([PQ])(\d+)\b")
_RANGE = re.compile(r"\b([PQ])(\d+)(?: to |–)\1?(\d+)\b")


@dataclass(frozen=True)
class Obligation:
    """One obligation of the protocol. `kind`: SYS, REC, HUM, INFO, or two of them as `SYS/HUM`."""

    title: str
    kind: str

    @property
    def needs_proof(self) -> bool:
        """Whether the software enforces or records it, so that a test can prove it."""
        return "SYS" in self.kind or "REC" in self.kind


@dataclass(frozen=True)
class Reference:
    """What the page of obligations defines: the obligations, and the numbers of the defaults."""

    obligations: Mapping[int, Obligation]
    defaults: frozenset[int]

    def knows(self, letter: str, number: int) -> bool:
        """Whether `P` or `Q` with this number has an entry."""
        return number in (self.obligations if letter == "P" else self.defaults)


@dataclass(frozen=True)
class Citation:
    """A docstring that names an obligation (`P`) or a default (`Q`); `proves`: it says so."""

    test: str
    letter: str
    number: int
    proves: bool


def read_reference(text: str) -> Reference:
    """Parse the page. ValueError on a number that stands twice or an obligation without type."""
    obligations: dict[int, Obligation] = {}
    defaults: set[int] = set()
    lines = text.splitlines()
    for index, line in enumerate(lines):
        entry = _ENTRY.match(line)
        if entry is None:
            continue
        letter, number, title = entry[1], int(entry[2]), entry[3]
        if number in (obligations if letter == "P" else defaults):
            raise ValueError(f"{letter}{number} stands twice")
        if letter == "Q":
            defaults.add(number)
            continue
        kind = _KIND.match(lines[index + 2]) if index + 2 < len(lines) else None
        if kind is None:
            raise ValueError(f"P{number} has no line with its type and its lines of the protocol")
        obligations[number] = Obligation(title, kind[1])
    return Reference(obligations, frozenset(defaults))


def citations(folder: Path) -> Iterator[Citation]:
    """Find every citation in the docstring of a test, of its module or of its class."""
    for path in sorted(folder.rglob("test_*.py")):
        tree = ast.parse(path.read_text())
        module = path.relative_to(folder).with_suffix("").as_posix()
        for node in ast.walk(tree):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                continue
            is_test = isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
            if isinstance(node, ast.FunctionDef) and not is_test:
                continue
            text = ast.get_docstring(node) or ""
            label = module if isinstance(node, ast.Module) else f"{module}::{node.name}"
            for letter, number in sorted(numbers_in(text)):
                yield Citation(label, letter, number, is_test and "Proves" in text)


def numbers_in(text: str) -> set[tuple[str, int]]:
    """List what a text cites: `P21, P22`, `P32 to P35` with what lies between, `Q8`."""
    found = {(letter, int(number)) for letter, number in _NUMBER.findall(text)}
    for letter, first, last in _RANGE.findall(text):
        found |= {(letter, number) for number in range(int(first), int(last) + 1)}
    return found


def unknown(found: list[Citation], reference: Reference) -> list[str]:
    """Name each citation that the page has no entry for, with its place."""
    return [
        f"{citation.test} cites {citation.letter}{citation.number}"
        for citation in found
        if not reference.knows(citation.letter, citation.number)
    ]


def unproven(found: list[Citation], reference: Reference) -> list[int]:
    """List the obligations of type SYS or REC that no test proves."""
    proven = {citation.number for citation in found if citation.letter == "P" and citation.proves}
    return [
        number
        for number, obligation in sorted(reference.obligations.items())
        if obligation.needs_proof and number not in proven
    ]


def table_of(found: list[Citation], reference: Reference) -> Table:
    """Lay out every obligation beside the tests that prove it."""
    table = Table("", "type", "obligation", "proven by")
    for number, obligation in sorted(reference.obligations.items()):
        citing = [one for one in found if (one.letter, one.number) == ("P", number)]
        proving = [citation.test for citation in citing if citation.proves]
        rest = len(proving) - 2
        cell = "\n".join(proving[:2]) + (f"\nand {rest} more" if rest > 0 else "")
        if not proving:
            cell = f"named by {citing[0].test}" if citing else "-"
            if not citing and not obligation.needs_proof:
                cell = "not for software"
        table.add_row(f"P{number}", obligation.kind, obligation.title, cell)
    return table


def main() -> None:
    """Print the table; exit with 1 on an unknown citation or, if strict, on a missing proof."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--strict", action="store_true")
    strict = parser.parse_args().strict
    reference = read_reference(PAGE.read_text())
    found = list(citations(TESTS))
    Console(width=130).print(table_of(found, reference))
    strays = unknown(found, reference)
    missing = unproven(found, reference)
    for stray in strays:
        print("unknown:", stray)
    if missing:
        print("not proven:", ", ".join(f"P{number}" for number in missing))
    raise SystemExit(bool(strays or (strict and missing)))


if __name__ == "__main__":
    main()
