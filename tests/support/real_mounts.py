"""Real mounts for tests, where root allows; elsewhere the test is skipped and says why."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _run(*command: str | Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    done = subprocess.run([*command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"{command[0]} is not possible here: {done.stderr.strip()}")


def mount(*arguments: str | Path) -> None:
    """Run mount, as root does by hand."""
    _run("mount", *arguments)


def unmount(place: Path, *, lazily: bool = False) -> None:
    """umount(8); a place that is no mount any more is fine."""
    subprocess.run(["umount", *(["-l"] if lazily else []), place], capture_output=True, check=False)


@contextmanager
def tmpfs(place: Path, options: str = "size=64m") -> Iterator[Path]:
    """A file system in memory."""
    place.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", options, "tmpfs", place)
    try:
        yield place
    finally:
        unmount(place, lazily=True)


@contextmanager
def bound(source: Path, place: Path) -> Iterator[Path]:
    """A bind mount of a folder or a file."""
    mount("--bind", source, place)
    try:
        yield place
    finally:
        unmount(place, lazily=True)


@contextmanager
def ext4(image: Path, place: Path) -> Iterator[Path]:
    """A file system on a block device of its own, as a card is."""
    place.mkdir(parents=True, exist_ok=True)
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    _run("mkfs.ext4", "-q", "-F", image)
    mount("-o", "loop", image, place)
    try:
        yield place
    finally:
        unmount(place, lazily=True)
