"""How high a function of the vault stands: by the order of packages, and by imports."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.house.test_house import CUSTODY, ORDER, imported, level
from tests.support.places import REPOSITORY

ROWS = (*ORDER[: level(ORDER, "custody")], *CUSTODY, *ORDER[level(ORDER, "custody") + 1 :])
"""The import rule's order, with that within custody in custody's place."""


def package_of(module: str) -> str:
    """The package of a module, as the order names it; a file directly in `vault/` is its own."""
    first, *rest = module.split(".")[1:]
    return rest[0] if first == "custody" else first


def rank_of(module: str) -> int:
    """How high a module stands by the order of packages: the row of its own."""
    return level(ROWS, package_of(module))


@cache
def floor_of(module: str) -> int:
    """How high a module stands by its imports: one above the highest that it imports."""
    return 1 + max((floor_of(name) for name in _vault_imports(module)), default=0)


def _vault_imports(module: str) -> Iterator[str]:
    path = (REPOSITORY / Path(*module.split("."))).with_suffix(".py")
    if path.is_file():
        # A package's own __init__.py defines nothing.
        yield from (name for name in imported(path) if name.startswith("vault."))
