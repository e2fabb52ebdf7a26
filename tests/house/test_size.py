"""How large a module, a function and a folder may be, and how many ways may lead through a
function. Each test names every place that is over, not the first alone.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from radon.complexity import cc_visit
from radon.visitors import Class, Function

from tests.support.places import REPOSITORY

PRODUCT = ("dockd", "vault", "device_sim", "systemd")
MODULE_LINES = 500
FUNCTION_LINES = 60
COMPLEXITY = 12
TEST_COMPLEXITY = 20
"""Without its assertions: an oracle compares many things in one place."""
FOLDER_MODULES = 20
PUBLIC_MODULES = 10
"""Files directly in `vault/`: what others may import of it."""
MIGRATIONS = REPOSITORY / "vault" / "catalogue" / "migrations"
"""A migration is one list of steps, written once and never read in parts."""


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((REPOSITORY / folder).rglob("*.py"))


def functions_of(source: str, *, no_assert: bool = False) -> Iterator[Function]:
    """Every function and method of a file, once, as radon sees it; those within a function count
    into it.
    """
    blocks = list(cc_visit(source, no_assert=no_assert))
    found: dict[int, Function] = {}
    while blocks:
        block = blocks.pop()
        if isinstance(block, Class):
            blocks += [*block.methods, *block.inner_classes]
        else:
            found[block.lineno] = block
    yield from sorted(found.values(), key=lambda block: block.lineno)


def place(path: Path, lineno: int, name: str) -> str:
    return f"{path.relative_to(REPOSITORY)}:{lineno} {name}"


def too_complex(path: Path, limit: int = COMPLEXITY, *, no_assert: bool = False) -> set[str]:
    return {
        f"{place(path, block.lineno, block.name)}: {block.complexity}"
        for block in functions_of(path.read_text(), no_assert=no_assert)
        if block.complexity > limit
    }


def demand_none(over: set[str]) -> None:
    assert not over, "\n".join(["", *sorted(over)])


def long_functions(source: str) -> Iterator[tuple[str, int, int]]:
    """Name, line and length of each function that is too long."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield node.name, node.lineno, lines


def too_long(path: Path) -> set[str]:
    return {
        f"{place(path, lineno, name)}: {lines} lines"
        for name, lineno, lines in long_functions(path.read_text())
    }


def modules_in(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.py") if path.name != "__init__.py"]


def test_modules_are_short() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in sources(*PRODUCT)}
    demand_none(
        {place(path, lines, "lines") for path, lines in lengths.items() if lines > MODULE_LINES}
    )


def test_functions_are_short() -> None:
    mended = (path for path in sources(*PRODUCT) if MIGRATIONS not in path.parents)
    demand_none(set().union(*map(too_long, mended)))


@pytest.mark.parametrize("package", PRODUCT)
def test_few_ways_lead_through_a_function(package: str) -> None:
    demand_none(set().union(*map(too_complex, sources(package))))


def test_few_ways_lead_through_a_test() -> None:
    """An assertion is no way: it ends the test."""
    over = (too_complex(path, TEST_COMPLEXITY, no_assert=True) for path in sources("tests"))
    demand_none(set().union(*over))


def test_folders_are_small() -> None:
    counts = {path.parent: len(modules_in(path.parent)) for path in sources(*PRODUCT)}
    demand_none({place(folder, n, "modules") for folder, n in counts.items() if n > FOLDER_MODULES})


def test_few_files_of_the_vault_are_public() -> None:
    assert len(modules_in(REPOSITORY / "vault")) <= PUBLIC_MODULES


def test_the_measures_see_what_is_over() -> None:
    """The measures themselves, on functions that break them."""
    branches = "\n".join(f"        if n == {at}:\n            n += 1" for at in range(COMPLEXITY))
    lines = "\n".join("    n += 1" for _ in range(FUNCTION_LINES))
    source = f"class A:\n    def wide(self, n):\n{branches}\n\ndef long(n):\n{lines}\n"
    measured = {block.name: block.complexity for block in functions_of(source)}
    assert measured == {"wide": COMPLEXITY + 1, "long": 1}
    assert list(long_functions(source)) == [("long", 28, FUNCTION_LINES + 1)]
