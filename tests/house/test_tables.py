"""A table keyed by an enum has every member, and so has a `match` over one: whoever adds a purpose,
a kind of case, a role or a state is told here by name of every place that lacks it.

Tables of a module are looked at as they are at run time, however they were built; those within a
function, and `match` statements, in the source. A table that has the stored text of more than half
of an enum's members counts as one keyed by the enum. A wildcard excuses nothing: it is how a new
member is silently dropped.
"""

import ast
import importlib
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jinja2 import Environment, nodes

from tests.support.places import REPOSITORY
from vault.rules.case_kinds import CASES, CaseKind
from vault.rules.purposes import PURPOSES, Purpose
from vault.rules.roles import Role

TEMPLATES = REPOSITORY / "vault" / "web" / "templates"

Members = frozenset[str]

NEVER_DESTROYED = (frozenset({"HELD"}), "What a case holds is not destroyed.")
PARTS: dict[tuple[str, str], tuple[Members, str]] = {
    ("vault.custody.figures._BECAUSE_NL", "Because"): NEVER_DESTROYED,
    ("vault.custody.retention.disposition._GONE", "Because"): NEVER_DESTROYED,
    ("vault.web.text.words._PAIRS", "Because"): NEVER_DESTROYED,
    ("vault.rules.purposes:_learning_seats", "Role"): (
        frozenset(Role.__members__) - {"COORDINATOR"},
        "A role that is no key here may be stood in for by anybody.",
    ),
    ("vault.rules.roles:officer_pairs", "Function"): (
        frozenset({"PRIVACY_OFFICER", "SECRETARY", "SAFETY_COORDINATOR"}),
        "Two functions alone watch with an officer (P53, P54).",
    ),
}
"""Tables that hold a part of an enum: where it is, which enum, exactly what it lacks, and why."""


def source_modules() -> dict[str, Path]:
    """The modules of `vault` and `dockd`, by name, but those that run as a program."""
    return {
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts): path
        for package in ("vault", "dockd")
        for path in sorted((REPOSITORY / package).rglob("*.py"))
        if path.stem not in ("__init__", "__main__") and "migrations" not in path.parts
    }


@pytest.fixture(scope="module")
def modules() -> dict[str, ModuleType]:
    return {name: importlib.import_module(name) for name in source_modules()}


def enums_of(modules: Mapping[str, ModuleType]) -> set[type[Enum]]:
    """Every enum that the modules define."""
    return {
        value
        for name, module in modules.items()
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Enum) and value.__module__ == name
    }


def lacking(where: str, enum: type[Enum], members: Iterable[Enum]) -> Iterator[str]:
    """A sentence for what a table lacks, unless it is known to be a part."""
    missing = frozenset(member.name for member in set(enum) - set(members))
    part, _ = PARTS.get((where, enum.__name__), (frozenset(), ""))
    if missing != part:
        names = ", ".join(sorted(missing ^ part))
        yield f"{where} lacks {names} of {enum.__module__}.{enum.__name__}"


def of_mapping(where: str, table: Mapping[Any, object], enums: set[type[Enum]]) -> Iterator[str]:
    """What a table of a module lacks; nothing where it is keyed by no enum."""
    keyed_by = {type(key) for key in table}
    if len(keyed_by) == 1 and (enum := keyed_by.pop()) in enums:
        yield from lacking(where, enum, table)  # type: ignore[arg-type]
        return
    texts = [enum for enum in enums if issubclass(enum, StrEnum)]
    whole = {member.value for text in texts if set(text) <= set(table) for member in text}
    for text in texts:
        members = [member for member in text if member.value in set(table) - whole]
        if 2 * len(members) > len(text):
            yield from lacking(where, text, members)


def of_modules(modules: Mapping[str, ModuleType], enums: set[type[Enum]]) -> Iterator[str]:
    for name, module in modules.items():
        seen = ast.parse(Path(str(module.__file__)).read_text())
        for own in assigned_names(seen):
            table = vars(module).get(own)
            if isinstance(table, Mapping) and table:
                yield from of_mapping(f"{name}.{own}", table, enums)


def assigned_names(tree: ast.Module) -> Iterator[str]:
    """What a module itself assigns: a table that it imports is another's."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else ()
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def member_of(node: ast.expr, scope: Mapping[str, object]) -> Enum | None:
    """The member that an expression like `Purpose.DEMAND` names, in the module's own names."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        enum = scope.get(node.value.id)
        if isinstance(enum, type) and issubclass(enum, Enum):
            return enum.__members__.get(node.attr)
    return None


def patterns(node: ast.pattern) -> Iterator[ast.expr]:
    if isinstance(node, ast.MatchValue):
        yield node.value
    for inner in getattr(node, "patterns", ()):
        yield from patterns(inner)


def of_source(name: str, tree: ast.AST, scope: Mapping[str, object]) -> Iterator[str]:
    """What the `match` statements of a module lack, and the tables within its functions: those that
    have a name, or in which something is looked up at once.
    """
    for node in ast.walk(tree):
        keys: Iterable[ast.expr]
        if isinstance(node, ast.Match):
            keys = [value for case in node.cases for value in patterns(case.pattern)]
        elif isinstance(node, ast.Assign | ast.Subscript) and isinstance(node.value, ast.Dict):
            keys = [key for key in node.value.keys if key is not None]
        else:
            continue
        place = enclosing(tree, node)
        if place == "module":
            continue
        members = [member for key in keys if (member := member_of(key, scope)) is not None]
        for enum in {type(member) for member in members}:
            of_enum = [member for member in members if type(member) is enum]
            yield from lacking(f"{name}:{place}", enum, of_enum)


def enclosing(tree: ast.AST, node: ast.AST) -> str:
    """The innermost function that a node is in: a place's name that a new line doesn't change."""
    functions = [
        outer.name
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef) and node in ast.walk(outer)
    ]
    return functions[-1] if functions else "module"


def of_templates(texts: Mapping[str, str]) -> Iterator[str]:
    """Purposes that a template compares with: what is special of one stands in its rule."""
    values = {purpose.value for purpose in Purpose}
    for name, text in texts.items():
        for compared in Environment().parse(text).find_all(nodes.Compare):
            for constant in compared.find_all(nodes.Const):
                field = next((node.attr for node in compared.find_all(nodes.Getattr)), None)
                if field == "purpose" and constant.value in values:
                    yield f"{name}:{constant.lineno} asks whether a purpose is {constant.value}"


def test_every_table_keyed_by_an_enum_has_every_member(modules: dict[str, ModuleType]) -> None:
    found = set(of_modules(modules, enums_of(modules)))
    assert not found, "\n".join(["", *sorted(found)])


def test_every_match_over_an_enum_has_every_member(modules: dict[str, ModuleType]) -> None:
    found = {
        lack
        for name, module in modules.items()
        for lack in of_source(name, ast.parse(source_modules()[name].read_text()), vars(module))
    }
    assert not found, "\n".join(["", *sorted(found)])


def test_templates_ask_a_rule_and_not_a_purpose() -> None:
    texts = {path.name: path.read_text() for path in sorted(TEMPLATES.glob("*.html"))}
    found = set(of_templates(texts))
    assert not found, "\n".join(["", *sorted(found)])


def test_a_purpose_and_the_case_it_rests_on_agree() -> None:
    """Every kind of case can be viewed, and a copy leaves only for a kind that may leave (P43)."""
    assert {rule.case for rule in PURPOSES.values() if rule.case is not None} == set(CaseKind)
    for purpose, rule in PURPOSES.items():
        assert rule.copy == (rule.case is not None and CASES[rule.case].leaves), purpose


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


def test_a_member_that_is_missing_is_named() -> None:
    """The test itself: a table of each kind that lacks a member is found, and says which."""
    blue = f"lacks BLUE of {__name__}.Colour"
    enums: set[type[Enum]] = {Colour}
    by_member = {Colour.RED: 1, Colour.GREEN: 2}
    by_text = {"red": 1, "green": 2, "else": 3}
    assert list(of_mapping("m.T", by_member, enums)) == [f"m.T {blue}"]
    assert list(of_mapping("m.T", by_text, enums)) == [f"m.T {blue}"]
    assert not list(of_mapping("m.T", {**by_member, Colour.BLUE: 3}, enums))
    matched = (
        "def f(c):\n    match c:\n        case Colour.RED | Colour.GREEN:\n            pass\n"
        "        case _:\n            pass\n"
    )
    local = "def g(c):\n    return {Colour.RED: 1, Colour.GREEN: 2}[c]\n"
    scope = {"Colour": Colour}
    assert list(of_source("m", ast.parse(matched), scope)) == [f"m:f {blue}"]
    assert list(of_source("m", ast.parse(local), scope)) == [f"m:g {blue}"]
    asks = {"a.html": "{% if row.purpose == 'learning' %}x{% endif %}"}
    assert list(of_templates(asks)) == ["a.html:1 asks whether a purpose is learning"]
