"""Which of the protocol's obligations are proven, by which tests: a table made from the tests' own
docstrings.

A test that proves an obligation says so (`Proves P15.`, `Proves P21, P22.`); one that is about it
names it. `--strict` fails where one of type SYS or REC from P17 on is neither cited nor on the list
of what waits for a screen.

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

TESTS = Path(__file__).resolve().parents[1]

OBLIGATIONS: Mapping[int, tuple[str, str]] = {
    1: ("INFO", "protects boa's and supervisors"),
    2: ("INFO", "personal protective equipment"),
    3: ("REC", "unwanted behaviour is registered"),
    4: ("HUM", "worn visibly it prevents"),
    5: ("SYS", "a closed list of purposes"),
    6: ("INFO", "how data are registered, kept, used"),
    7: ("SYS", "used for nothing else"),
    8: ("SYS", "only what was switched on"),
    9: ("SYS/HUM", "never online"),
    10: ("HUM", "used when found necessary"),
    11: ("REC", "where it was"),
    12: ("HUM", "worn clearly"),
    13: ("SYS", "standby overwrites 30 seconds"),
    14: ("HUM", "switched on deliberately"),
    15: ("SYS", "the 30 seconds before"),
    16: ("INFO", "so that the cause is seen"),
    17: ("HUM/REC", "announced"),
    18: ("HUM/REC", "switched on at once where it can't be"),
    19: ("SYS/HUM", "switched off, back to standby"),
    20: ("INFO", "a work instruction"),
    21: ("REC", "reported before the end of the shift"),
    22: ("REC", "cause, event, who was informed"),
    23: ("SYS", "managed by three functions"),
    24: ("SYS", "who has the back office"),
    25: ("SYS", "the coordinator: cameras only"),
    26: ("SYS", "archive, transfer, delete: two functions"),
    27: ("SYS", "read out in the dock only"),
    28: ("SYS", "automatically"),
    29: ("SYS", "stored encrypted"),
    30: ("SYS/HUM", "in a secured environment"),
    31: ("SYS", "kept 28 days"),
    32: ("SYS", "then deleted automatically, unless"),
    33: ("SYS", "access request holds until carried out"),
    34: ("SYS", "complaint holds until finished"),
    35: ("SYS", "police report or demand holds until the OM agrees"),
    36: ("SYS", "five functions view"),
    37: ("SYS", "municipal secretary: complaints"),
    38: ("SYS", "safety coordinator: police reports"),
    39: ("REC", "when and by whom is registered"),
    40: ("SYS", "always in twos"),
    41: ("SYS/HUM", "regular replacement"),
    42: ("SYS", "access depends on the reason"),
    43: ("SYS", "shared with police and OM on a ground"),
    44: ("SYS", "by the privacy officer, else the cluster manager"),
    45: ("REC", "they are responsible afterwards"),
    46: ("SYS", "complaint: cluster manager and secretary"),
    47: ("SYS/HUM", "access: on it, nobody harmed"),
    48: ("SYS", "access: two, one the privacy officer"),
    49: ("SYS", "access: no copy"),
    50: ("REC/SYS", "an officer may ask to learn"),
    51: ("SYS", "not for the performance interview"),
    52: ("SYS", "own footage only"),
    53: ("SYS", "together with the coordinator"),
    54: ("SYS", "the cluster manager in a conflict"),
    55: ("SYS/HUM", "at the municipal location, nobody else"),
    56: ("SYS", "learning: no copy"),
    57: ("REC", "each access request by itself"),
    58: ("REC", "its necessity"),
    59: ("INFO", "privacy statement"),
    60: ("REC", "registered apart"),
    61: ("REC/SYS", "objection"),
    62: ("INFO", "residents are informed"),
    63: ("HUM/REC", "those involved are informed"),
}
"""Number to type and title."""

WAITS_FOR_A_SCREEN: Mapping[int, str] = {}
"""Obligations of type SYS or REC from P17 on that only a page can show, each with the reason."""

_NUMBER = re.compile(r"P(\d+)")


@dataclass(frozen=True)
class Citation:
    """A test, and an obligation that its docstring names; `proves`: it says so."""

    test: str
    obligation: int
    proves: bool


def citations(folder: Path) -> Iterator[Citation]:
    """Every obligation named in the docstring of a test, of its module or of its class."""
    for path in sorted(folder.rglob("test_*.py")):
        tree = ast.parse(path.read_text())
        name = path.relative_to(folder).with_suffix("").as_posix()
        for node in ast.walk(tree):
            is_test = isinstance(
                node, (ast.FunctionDef, ast.AsyncFunctionDef)
            ) and node.name.startswith("test_")
            if not is_test and not isinstance(node, (ast.Module, ast.ClassDef)):
                continue
            text = ast.get_docstring(node) or ""
            label = (
                f"{name}::{node.name}"
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
                else name
            )
            for number in sorted(numbers_in(text)):
                yield Citation(label, number, is_test and "Proves" in text)


def numbers_in(text: str) -> set[int]:
    """The obligations that a text names: `P21, P22`, `P32 to P35` with what lies between."""
    found = {int(number) for number in _NUMBER.findall(text)}
    for first, last in re.findall(r"P(\d+)(?: to |–)P?(\d+)", text):
        found |= set(range(int(first), int(last) + 1))
    return found


def unproven(found: Mapping[int, list[Citation]]) -> list[int]:
    """Obligations of type SYS or REC from P17 on that no test proves and that do not wait for a
    screen.
    """
    return [
        number
        for number, (kind, _) in OBLIGATIONS.items()
        if number >= 17
        and ("SYS" in kind or "REC" in kind)
        and not any(one.proves for one in found.get(number, []))
        and number not in WAITS_FOR_A_SCREEN
    ]


def collected(folder: Path = TESTS) -> dict[int, list[Citation]]:
    """Obligation to its citations, those that prove it first."""
    found: dict[int, list[Citation]] = {}
    for citation in citations(folder):
        found.setdefault(citation.obligation, []).append(citation)
    return {
        number: sorted(them, key=lambda one: (not one.proves, one.test))
        for number, them in sorted(found.items())
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--strict", action="store_true")
    asked = parser.parse_args()
    found = collected()
    table = Table("", "type", "obligation", "proven by")
    for number, (kind, title) in OBLIGATIONS.items():
        them = found.get(number, [])
        proving = [one.test for one in them if one.proves]
        rest = len(proving) - 2
        said = "\n".join(proving[:2]) + (f"\nand {rest} more" if rest > 0 else "")
        if not proving:
            fallback = (
                "a rule for people"
                if kind in ("HUM", "INFO")
                else f"named by {them[0].test}"
                if them
                else "-"
            )
            said = WAITS_FOR_A_SCREEN.get(number, fallback)
        table.add_row(f"P{number}", kind, title, said)
    Console(width=130).print(table)
    missing = unproven(found)
    if missing:
        print("not proven:", ", ".join(f"P{number}" for number in missing))
    raise SystemExit(bool(asked.strict and missing))


if __name__ == "__main__":
    main()
