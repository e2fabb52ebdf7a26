"""The Python programs of systemd/, loaded into this process, and stand-ins for what they call."""

import os
import sys
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.places import SYSTEMD


def load(path: Path) -> ModuleType:
    """Load a program by its path, and leave no bytecode beside it."""
    spec = spec_from_file_location(path.stem.replace("-", "_"), path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def moved(name: str, folder: Path, places: Mapping[str, str | Path]) -> Path:
    """Copy a program of libexec/ into a folder, with other places written into it than its own."""
    text = (SYSTEMD / "libexec" / f"{name}.py").read_text()
    for place, instead in places.items():
        assert place in text, place
        text = text.replace(place, str(instead))
    copy = folder / f"{name}.py"
    copy.write_text(text)
    copy.chmod(0o755)
    return copy


class Commands:
    """Commands that note how they are called, first in the path."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Keep the commands and their notes in this folder."""
        self._folder = folder
        self._notes = folder / "calls"
        folder.mkdir()
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    def add(self, name: str, script: str = "") -> Path:
        """Add a command that runs this line of shell. Return its path."""
        path = self._folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self._notes}\n{script}\n')
        path.chmod(0o755)
        return path

    @property
    def calls(self) -> list[str]:
        """List the calls so far, in their order."""
        return self._notes.read_text().splitlines() if self._notes.exists() else []
