"""The package by itself: streamed, whole or not there, and what it refuses."""

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pyrage
import pytest

from vault.custody.handover.package import (
    BadRecipient,
    Bag,
    PackageFailed,
    PackageFile,
    joined,
    of_bytes,
    recipient_of,
    write_package,
)

MADE = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
MEASURE = """
import json, resource, sys
from datetime import UTC, datetime
from pathlib import Path
from vault.custody.handover.package import Bag, PackageFile, write_package
block = bytes(1 << 20)
count = int(sys.argv[2])
files = [PackageFile("opname-1/opname.mp4", count << 20, None, lambda: (block for _ in range(count)))]
write_package(Path(sys.argv[1]), sys.argv[3], Bag("b", files, {}, datetime(2026, 11, 24, tzinfo=UTC)))
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""


@pytest.fixture
def receiver() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


def opened(path: Path, receiver: pyrage.x25519.Identity) -> zipfile.ZipFile:
    return zipfile.ZipFile(BytesIO(pyrage.decrypt(path.read_bytes(), [receiver])))


def bag(*files: PackageFile) -> Bag:
    return Bag("overdracht", files, {"Source-Organization": "gemeente Heusden"}, MADE)


def test_a_package_holds_its_payload_and_both_manifests(
    tmp_path: Path, receiver: pyrage.x25519.Identity
) -> None:
    one, other = of_bytes("a/0000.mp4", b"one" * 900), of_bytes("a/0001.mp4", b"two" * 900)
    packed = write_package(
        tmp_path / "p.zip.age",
        str(receiver.to_public()),
        bag(one, other, joined("a/opname.mp4", [one, other])),
    )
    assert packed.sha256 == hashlib.sha256((tmp_path / "p.zip.age").read_bytes()).hexdigest()
    archive = opened(tmp_path / "p.zip.age", receiver)
    assert archive.testzip() is None
    assert archive.read("overdracht/data/a/opname.mp4") == b"one" * 900 + b"two" * 900
    for name, kind in (("manifest-sha256.txt", "sha256"), ("manifest-sha512.txt", "sha512")):
        for line in archive.read(f"overdracht/{name}").decode().splitlines():
            digest, path = line.split("  ")
            assert hashlib.new(kind, archive.read(f"overdracht/{path}")).hexdigest() == digest
    assert "Payload-Oxum: 10800.3" in archive.read("overdracht/bag-info.txt").decode()
    assert [path.name for path in tmp_path.iterdir()] == ["p.zip.age"]


@pytest.mark.parametrize(
    "recipient", ["", "age1", "ssh-ed25519 AAAA", "AGE-SECRET-KEY-1QQ", "somebody@politie.nl"]
)
def test_only_an_age_key_is_a_recipient(recipient: str) -> None:
    with pytest.raises(BadRecipient):
        recipient_of(recipient)


def test_another_digest_size_or_a_failing_source_leaves_nothing(
    tmp_path: Path, receiver: pyrage.x25519.Identity
) -> None:
    def broken() -> Iterator[bytes]:
        yield b"first"
        raise PackageFailed("the medium failed")

    for file in (
        PackageFile("a", 3, "0" * 64, lambda: [b"abc"]),
        PackageFile("a", 4, None, lambda: [b"abc"]),
        PackageFile("a", 9, None, broken),
    ):
        with pytest.raises(PackageFailed):
            write_package(tmp_path / "p.zip.age", str(receiver.to_public()), bag(file))
        assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_package(
    tmp_path: Path, receiver: pyrage.x25519.Identity
) -> None:
    """Eight times the size, the same resident memory: no more than a few blocks stand at once."""
    peaks = []
    for count in (24, 192):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                MEASURE,
                str(tmp_path / f"{count}.age"),
                str(count),
                str(receiver.to_public()),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(json.loads(done.stdout))
    assert peaks[1] - peaks[0] < 16 << 10, peaks
    assert (tmp_path / "192.age").stat().st_size > 192 << 20
