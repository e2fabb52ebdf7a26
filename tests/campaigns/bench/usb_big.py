"""`python -m tests.campaigns.bench.usb_big`: objects of 4 GiB and more come over the wire whole, by
each way of asking (fault A5).

The files are holes but for some bytes at their ends and around every border where a 32-bit number
runs out; what comes is compared byte for byte with what stands on the disk.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from dockd.card.contract import Card, CardFile
from tests.support.usb_dock import UsbQuay

GIB = 1 << 30
SIZES = {"A.MP4": 4 * GIB - 1, "B.MP4": 4 * GIB, "C.MP4": 4 * GIB + 1, "D.MP4": 11 * 10**9}
BORDERS = (2 * GIB, 4 * GIB - 12, 4 * GIB, 8 * GIB)
WAYS = {
    "GetPartialObject64": frozenset[int](),
    "GetPartialObject": frozenset({0x95C1}),
    "GetObject": frozenset({0x95C1, 0x101B}),
}
"""What a camera lacks that is read by this way."""
BLOCK_BYTES = 2 << 20
NOISE_BYTES = 600


def make_card(root: Path, sizes: dict[str, int]) -> None:
    """A DCIM card with these files."""
    folder = root / "DCIM" / "100BIG"
    folder.mkdir(parents=True)
    for name, size in sizes.items():
        with (folder / name).open("wb") as file:
            for border in (0, *BORDERS, size):
                at = max(0, border - NOISE_BYTES // 2)
                if at < size:
                    file.seek(at)
                    file.write(os.urandom(min(NOISE_BYTES, size - at)))
            file.truncate(size)


def compared(card: Card, file: CardFile, true: Path) -> Iterator[int]:
    """How far it came, after each block. Raises AssertionError at the first byte that differs, or
    where the end is another.
    """
    ours, theirs = memoryview(bytearray(BLOCK_BYTES)), memoryview(bytearray(BLOCK_BYTES))
    at = 0
    with card.open(file) as reader, true.open("rb", buffering=0) as disk:
        while count := reader.readinto(ours):
            got = 0
            while got < count:
                more = disk.readinto(theirs[got:count])
                assert more, f"{file.shown}: more came than the file has, at byte {at + got}"
                got += more
            assert ours[:count] == theirs[:count], (
                f"{file.shown}: wrong bytes between {at} and {at + count}"
            )
            at += count
            yield at
    assert at == true.stat().st_size, f"{file.shown}: {at} bytes came"


def campaign(folder: Path, ways: Sequence[str], sizes: dict[str, int], console: Console) -> int:
    """How many bytes came over."""
    make_card(folder / "BIG", sizes)
    total = 0
    for way in ways:
        dock = UsbQuay(folder / way)
        try:
            dock.plug(folder / "BIG", "BIG", without=WAYS[way])
            card = dock.card()
            files = card.files()
            assert {file.path[-1]: file.size_bytes for file in files} == sizes
            for file in files:
                with Progress(console=console, transient=True) as progress:
                    task = progress.add_task(f"{way} {file.shown}", total=file.size_bytes)
                    for at in compared(card, file, folder / "BIG" / Path(*file.path)):
                        progress.update(task, completed=at)
                total += file.size_bytes
                console.print(f"{way}: {file.shown}, {file.size_bytes:,} bytes, whole")
            card.close()
        finally:
            dock.close()
    return total


@click.command()
@click.option("--way", "ways", multiple=True, type=click.Choice(list(WAYS)), help="Only these.")
def main(ways: tuple[str, ...]) -> None:
    """Read objects of 4 GiB - 1, 4 GiB, 4 GiB + 1 and 11 GB over USB/IP."""
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        total = campaign(Path(folder), ways or tuple(WAYS), SIZES, console)
    console.print(f"{total:,} bytes came over, each as it stands on the card.")


if __name__ == "__main__":
    sys.exit(main())
