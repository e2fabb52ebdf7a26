"""How high a function of the vault stands: by the order of packages, and by imports.

The order is the import rule's. A module that lies flat in `vault/` has the package that its nouns
belong to. So the same order measures a tree with packages and one without.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent

ORDER = (
    ("public",),
    ("rules", "crypto"),
    ("storage", "keyring"),
    ("catalogue",),
    ("log",),
    ("vault",),
    ("custody",),
    ("operations", "intake"),
    ("monitoring",),
    ("web",),
    ("cli",),
)
"""From low to high. Packages of one row do not import each other."""

_NOUNS: Mapping[str, str] = {
    "public": "recording clock errors config service_units units",
    "rules": "policy protocol due sweep_plan clockguard",
    "crypto": "keys sealed escrow jsonform",
    "storage": "durable store lane lock memory record",
    "keyring": "keyring keyring_form ceremony",
    "catalogue": "catalogue registers migration",
    "log": "audit checkpoint ledger tombstone outside",
    "vault": "vault",
    "custody": (
        "people keyholders securitykeys cameras cases reports papers viewing release reel handover "
        "package custody_report retention confirmation search figures witness fleet"
    ),
    "operations": "founding backup rebuild drill verify health doctor",
    "intake": "intake",
    "monitoring": "gauges alarms alerts messenger dock",
    "cli": "__main__",
}
_FLAT = {noun: package for package, nouns in _NOUNS.items() for noun in nouns.split()}
_ELSEWHERE = {"vault.keys": ("keyring", ("Wrapper", "Unwrapper"))}
"""Definitions whose package is another than their module's: package, and the names."""
_RANKS = {package: rank for rank, row in enumerate(ORDER) for package in row}


def package_of(module: str, qualname: str) -> str:
    """The package in which a function stands. Raises KeyError for a module that has none."""
    if module in _ELSEWHERE and qualname.split(".")[0] in _ELSEWHERE[module][1]:
        return _ELSEWHERE[module][0]
    _, first, *rest = module.split(".")
    return first if rest and first in _RANKS else _FLAT[first]


def rank_of(module: str, qualname: str) -> int:
    """How high a function stands by the order of packages: the row of its own."""
    return _RANKS[package_of(module, qualname)]


@cache
def floor_of(module: str) -> int:
    """How high a module stands by its imports: one above the highest that it imports."""
    return 1 + max((floor_of(name) for name in _imported(module)), default=0)


@cache
def _path_of(module: str) -> Path | None:
    path = REPOSITORY / Path(*module.split("."))
    found = (path.with_suffix(".py"), path / "__init__.py")
    return next((one for one in found if one.is_file()), None)


def _imported(module: str) -> Iterator[str]:
    """The vault's modules that a module names in its imports; a package's face is none of them."""
    path = _path_of(module)
    assert path is not None, module
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        for name in (f"{node.module}.{alias.name}" for alias in node.names):
            found = name if _path_of(name) is not None else node.module
            if found.startswith("vault.") and found != module:
                yield found
