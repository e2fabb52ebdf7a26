"""Who called whom in the vault's own code while something was done: every thread, in order.

The interpreter tells of each call (`sys.setprofile`). A function of another project is looked
through: whoever of ours stands above it is the caller. A comprehension belongs to its function.
"""

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType

from tests.house.floors import floor_of, rank_of
from tests.support.places import REPOSITORY
from vault.vault import Vault

_SOURCE = str(REPOSITORY / "vault") + "/"
PARTS = ("settings", "clock", "store", "catalogue", "log", "keyring")
_INNER = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>", "<module>")


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the vault's: where it is defined, and how high that is.

    `rank` counts rows of the order of packages, `floor` modules that import each other.
    """

    module: str
    qualname: str
    rank: int
    floor: int

    def __str__(self) -> str:
        return f"{self.module.removeprefix('vault.')}:{self.qualname}"


@dataclass(slots=True)
class Node:
    """A function in the tree of calls: what it called, in order, and how often it was called so."""

    times: int = 0
    children: dict[Function, "Node"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `parts`: the vault's parts that it was handed; `whole`: it was handed the vault."""

    above: tuple[Function, ...]
    """Who of ours stood above it, the outermost first."""
    callee: Function
    parts: tuple[str, ...]
    whole: bool
    owner: str | None
    """The part of the vault whose own method it is; `vault` for the vault's."""

    @property
    def caller(self) -> Function | None:
        return self.above[-1] if self.above else None


class Recorder:
    """Listens from its start; keeps what is called inside `recording`."""

    def __init__(self) -> None:
        self._threads: list[list[Call]] = []
        self._own = threading.local()
        self._on = False
        self._known: dict[CodeType, Function | None] = {}
        self._parts: Mapping[int, str] = {}

    @property
    def calls(self) -> list[Call]:
        """All that was heard: in order within a thread, and thread after thread."""
        return [call for heard in self._threads for call in heard]

    @property
    def tree(self) -> Node:
        """All that was heard, as a tree."""
        root = Node()
        for call in self.calls:
            node = root
            for function in (*call.above, call.callee):
                node = node.children.setdefault(function, Node())
            node.times += 1
        return root

    def keep(self, *calls: Call) -> None:
        """Add calls of this thread."""
        if not hasattr(self._own, "calls"):
            self._own.calls = []
            self._threads.append(self._own.calls)
        self._own.calls.extend(calls)

    @contextmanager
    def listening(self) -> Iterator["Recorder"]:
        """Threads that begin inside the block are heard too."""
        threading.setprofile(self._heard)
        sys.setprofile(self._heard)
        try:
            yield self
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keep the calls of this block."""
        self._on = True
        try:
            yield
        finally:
            self._on = False

    def _watch(self, vault: Vault) -> None:
        """From now on this vault and its parts are known again, by identity."""
        named = {name: getattr(vault, name) for name in PARTS}
        self._parts = {id(part): name for name, part in named.items()} | {id(vault): "vault"}

    def _heard(self, frame: FrameType, event: str, _: object) -> None:
        if not self._on or event != "call":
            return
        callee = self._function(frame.f_code)
        if callee is None:
            return
        self.keep(self._call(frame, callee))

    def _call(self, frame: FrameType, callee: Function) -> Call:
        code, found = frame.f_code, frame.f_locals
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        for value in (found.get(name) for name in names):
            if isinstance(value, Vault) and id(value) not in self._parts:
                self._watch(value)
        given = {name: self._parts.get(id(found[name])) for name in names if name in found}
        owner = given.pop("self", None)
        parts = tuple(part for part in given.values() if part not in (None, "vault"))
        whole = "vault" in given.values()
        named = tuple(str(part) for part in parts)
        return Call(self._above(frame), callee, named, whole, owner)

    def _above(self, frame: FrameType) -> tuple[Function, ...]:
        """The functions of ours that stand above a frame, the outermost first."""
        found, at = [], frame.f_back
        while at is not None:
            function = self._function(at.f_code)
            if function is not None:
                found.append(function)
            at = at.f_back
        return tuple(found[::-1])

    def _function(self, code: CodeType) -> Function | None:
        if code not in self._known:
            self._known[code] = self._read(code)
        return self._known[code]

    def _read(self, code: CodeType) -> Function | None:
        if not code.co_filename.startswith(_SOURCE) or code.co_name in _INNER:
            return None
        place = Path(code.co_filename).relative_to(REPOSITORY).with_suffix("")
        module = ".".join(place.parts).removesuffix(".__init__")
        return Function(module, code.co_qualname, rank_of(module), floor_of(module))
