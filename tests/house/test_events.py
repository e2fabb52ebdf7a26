"""The names of events are published: what the programs write to the journal is what
`dockd/EVENTS.md` lists, and no more.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.test_house import modules
from tests.support.places import REPOSITORY

LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
}
CHAPTERS = {"dockd": "dockd", "Workers": "reader", "The back office": "web"}
IN_READERS = ("dockd.reader.worker", "dockd.usb.bus")


def program_of(module: str) -> str:
    """Whose journal a module's events are in."""
    if module in IN_READERS:
        return "reader"
    return "dockd" if module.startswith("dockd") else "web"


def written() -> Iterator[tuple[str, str, str]]:
    """Program, event and level of each line that the code can write."""
    for module, path in (*modules("dockd"), *modules("vault")):
        tree = ast.parse(path.read_text())
        if "structlog.get_logger" not in path.read_text():
            continue
        assert "log = structlog.get_logger()" in path.read_text(), (
            f"{module} calls its log otherwise"
        )
        for call, function in events_in(tree):
            assert isinstance(call.func, ast.Attribute)
            level = LEVELS[call.func.attr]
            for name in names_of(call.args[0], function, tree):
                yield program_of(module), name, level


Function = ast.FunctionDef | ast.AsyncFunctionDef


def events_in(tree: ast.Module) -> Iterator[tuple[ast.Call, Function]]:
    """Each call of the module's log, with a function around it."""
    for function in ast.walk(tree):
        if isinstance(function, Function):
            for node in ast.walk(function):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=attr)) if (
                        attr in LEVELS
                    ):
                        yield node, function


def names_of(event: ast.expr, function: Function, tree: ast.Module) -> set[str]:
    """An event's name as it stands there; of one that is handed to the function, every name that
    the module hands it.
    """
    if isinstance(event, ast.Constant):
        assert isinstance(event.value, str)
        return {event.value}
    assert isinstance(event, ast.Name), f"line {event.lineno}: an event's name is composed"
    place = [argument.arg for argument in function.args.args].index(event.id)
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=attr)) if (
                attr == function.name
            ):
                found.add(node.args[place - 1])
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == event.id:
                found.add(value)
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                named = zip(targets, values, strict=True)
                found |= {
                    value
                    for target, value in named
                    if isinstance(target, ast.Name) and target.id == event.id
                }
    assert found
    assert all(isinstance(value, ast.Constant) for value in found), (
        f"line {event.lineno}: an event's name is not known"
    )
    return {str(ast.literal_eval(value)) for value in found}


def listed() -> Iterator[tuple[str, str, str, str, str]]:
    """Program, event, level, meaning and what to do of each row."""
    text = (REPOSITORY / "dockd" / "EVENTS.md").read_text()
    for chapter in text.split("\n## ")[1:]:
        program = CHAPTERS[chapter.splitlines()[0]]
        for row in re.findall(r"^\| `(.+?)` \| (\w+) \| (.+) \| (.+) \|$", chapter, re.MULTILINE):
            yield program, *row


def test_every_event_is_listed_and_every_listed_event_is_written() -> None:
    rows = [(program, event, level) for program, event, level, _, _ in listed()]
    assert len(set(rows)) == len(rows)
    assert set(written()) == set(rows)


def test_each_row_says_what_it_means_and_what_to_do() -> None:
    for _, event, _, means, do in listed():
        assert len(means) > 15, event
        assert do, event


def test_a_name_is_short_and_holds_nothing_that_changes() -> None:
    """What is particular to one event stands beside its name, so that a search finds all
    of a kind.
    """
    for _, event, _ in written():
        assert re.fullmatch(r"[A-Za-z. -]{6,45}", event), event


def test_names_that_are_handed_on_are_found(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text(
        "class Pull:\n"
        "    def _say(self, serial, action):\n"
        "        if serial:\n"
        "            action, other = 'camera.other', 1\n"
        "        log.warning(action, camera=serial)\n"
        "    def pull(self):\n"
        "        self._say('x', 'camera.alarm')\n"
        "        log.info('camera arrived', bay='1')\n"
    )
    tree = ast.parse(source.read_text())
    found = {
        name
        for call, function in events_in(tree)
        for name in names_of(call.args[0], function, tree)
    }
    assert found == {"camera.other", "camera.alarm", "camera arrived"}
