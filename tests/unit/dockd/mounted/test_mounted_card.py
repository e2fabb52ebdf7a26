"""A hostile tree on a real file system: each thing in it gets a clear verdict, and nothing outside
of it is touched.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import socket
import stat
import struct
import threading
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockd.card.contract import (
    CardDeleteFailedError,
    CardFile,
    CardFileChangedError,
    CardGoneError,
    CardLimits,
    CardReadFailedError,
    CardReadOnlyError,
    CardRefusedError,
    edges,
    read_whole,
)
from dockd.mounted.mounted_card import MountedCard
from dockd.mounted.mounted_stream import MountedStream
from tests.support.hand_clock import HandClock
from tests.support.real_mounts import bound, ext4, mount, tmpfs, unmount

FIBMAP = 1
"""ioctl: which block of the device holds a block of a file (linux/fs.h)."""


@pytest.fixture
def card(tmp_path: Path) -> Iterator[MountedCard]:
    root = tmp_path / "card"
    root.mkdir()
    with MountedCard(root, HandClock()) as opened:
        yield opened


def root_of(card: MountedCard) -> Path:
    return Path(card.where)


def put(card: MountedCard, place: str, content: bytes = b"content") -> Path:
    path = root_of(card) / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def verdicts(card: MountedCard) -> dict[str, str]:
    """Path and code of what the listing left out. Every verdict is a sentence on one line."""
    card.files()
    for trouble in card.trouble:
        assert trouble.sentence.isprintable()
        assert trouble.sentence.endswith(".")
    return {"/".join(trouble.path): trouble.code for trouble in card.trouble}


def aligned(size_bytes: int) -> memoryview:
    return memoryview(mmap.mmap(-1, size_bytes))


def read_all(reader: MountedStream, buffer: memoryview) -> bytes:
    content = b""
    while count := reader.readinto(buffer):
        content += bytes(buffer[:count])
    return content


# Listing


def test_lists_regular_files_sorted_with_size_and_time(card: MountedCard) -> None:
    put(card, "RECORDINGS/B-000002/0000.mp4", b"12345")
    path = put(card, "DEVICE/device.json", b"{}")
    assert card.files() == (
        CardFile(("DEVICE", "device.json"), 2, path.stat().st_mtime_ns),
        CardFile(
            ("RECORDINGS", "B-000002", "0000.mp4"),
            5,
            (root_of(card) / "RECORDINGS/B-000002/0000.mp4").stat().st_mtime_ns,
        ),
    )
    assert card.trouble == ()
    assert not card.set_clock(HandClock().now())


HOSTILE_NAMES = [
    b"-rf",
    b"...",
    b"a\nb",
    b"a\tb\x1b[31m",
    "\u202egpm.4".encode(),
    b"\xff\xfe\xed\xa0\x80",
    b"A.MP4",
    b"a.mp4",
    unicodedata.normalize("NFC", "é.mp4").encode(),
    unicodedata.normalize("NFD", "é.mp4").encode(),
    b"n" * 255,
    b" ",
    b"*?",
    b"CON",
    b"$(reboot)",
    b"%s%n",
]


def test_hostile_names_are_metadata_and_can_be_read_and_deleted(card: MountedCard) -> None:
    """Fault A14. Each name is listed as it is, twins apart, and leads to its own content and to no
    other.
    """
    for index, name in enumerate(HOSTILE_NAMES):
        put(card, "DCIM/" + os.fsdecode(name), b"content %d" % index)
    files = card.files()
    assert {os.fsencode(file.path[-1]) for file in files} == set(HOSTILE_NAMES)
    for index, name in enumerate(HOSTILE_NAMES):
        (file,) = [file for file in files if os.fsencode(file.path[-1]) == name]
        assert read_whole(card, file) == b"content %d" % index
        card.delete(file)
    assert card.files() == ()


def test_a_name_of_300_characters_leads_nowhere(card: MountedCard) -> None:
    """Fault A14. A file system holds 255 bytes; a longer name in a CardFile is a
    read that fails.
    """
    with pytest.raises(CardReadFailedError):
        card.open(CardFile(("n" * 300,), 1, 0))


@pytest.mark.parametrize(
    "path",
    [
        ("..", "secret"),
        ("DCIM", "..", "..", "secret"),
        (".", "secret"),
        ("", "secret"),
        ("../secret",),
        ("DCIM/../../secret",),
        ("/etc/passwd",),
        ("secret\0",),
    ],
)
def test_no_path_leads_out_of_the_card(card: MountedCard, path: tuple[str, ...]) -> None:
    """Fault A14. Whoever makes up a CardFile: neither reading, deleting nor removing a folder
    leaves the root.
    """
    outside = root_of(card).parent / "secret"
    outside.write_bytes(b"secret")
    put(card, "DCIM/A.MP4")
    status = outside.stat()
    made_up = CardFile(path, status.st_size, status.st_mtime_ns)
    with pytest.raises(CardReadFailedError):
        card.open(made_up)
    with pytest.raises(CardReadFailedError):
        card.delete(made_up)
    with pytest.raises(CardReadFailedError):
        card.delete_folder(path)
    assert outside.read_bytes() == b"secret"


@settings(derandomize=True, deadline=None, max_examples=200)
@given(path=st.lists(st.text(max_size=8), min_size=1, max_size=5).map(tuple))
def test_made_up_paths_never_reach_outside(
    path: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Fault A14. Any path at all is refused by an error of the card's."""
    with MountedCard(tmp_path_factory.mktemp("card"), HandClock()) as card:
        with pytest.raises((CardReadFailedError, CardFileChangedError)):
            card.open(CardFile(path, 0, 0))


def test_links_are_reported_and_not_followed(card: MountedCard) -> None:
    """Fault B7. Links to a file, a folder, /etc/passwd, themselves, each other, and to nothing."""
    put(card, "DCIM/real.mp4")
    outside = root_of(card).parent / "outside"
    outside.mkdir()
    (outside / "private.mp4").write_bytes(b"private")
    links = {
        "to-file": "real.mp4",
        "to-passwd": "/etc/passwd",
        "to-dir": str(outside),
        "to-self": "to-self",
    }
    links |= {
        "to-other": "to-another",
        "to-another": "to-other",
        "to-nothing": "nothing",
        "to-root": "..",
        "to-here": ".",
    }
    for name, target in links.items():
        (root_of(card) / "DCIM" / name).symlink_to(target)
    assert verdicts(card) == {f"DCIM/{name}": "card.not_a_file" for name in links}
    assert [file.path for file in card.files()] == [("DCIM", "real.mp4")]


def test_special_files_are_reported_and_not_opened(
    card: MountedCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault B7. A FIFO without a writer would hold the reader for ever; a device would do whatever
    it does.
    """
    root = root_of(card)
    os.mkfifo(root / "pipe.mp4")
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.mp4")
        expected = {"pipe.mp4": "card.not_a_file", "socket.mp4": "card.not_a_file"}
        if os.geteuid() == 0:
            os.mknod(root / "null.mp4", stat.S_IFCHR | 0o666, os.makedev(1, 3))
            os.mknod(root / "disk.mp4", stat.S_IFBLK | 0o600, os.makedev(7, 200))
            expected |= {"null.mp4": "card.not_a_file", "disk.mp4": "card.not_a_file"}
        assert verdicts(card) == expected
    assert card.files() == ()


@pytest.mark.parametrize("swap", ["fifo", "link", "folder", "device", "nothing", "other"])
def test_a_file_that_became_something_else_is_not_opened_or_deleted(
    card: MountedCard, swap: str
) -> None:
    """Faults B7, E4. Between the listing and the opening the name is given to something else."""
    path = put(card, "DCIM/A.MP4")
    outside = root_of(card).parent / "outside"
    outside.write_bytes(b"outside")
    (file,) = card.files()
    path.unlink()
    if swap == "fifo":
        os.mkfifo(path)
    elif swap == "link":
        path.symlink_to(outside)
    elif swap == "folder":
        path.mkdir()
    elif swap == "device":
        if os.geteuid() != 0:
            pytest.skip("a device node needs root")
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    elif swap == "other":
        path.write_bytes(b"content")
        os.utime(path, ns=(1, 1))
    for act in (card.open, card.delete, lambda listed: edges(card, listed)):
        with pytest.raises(CardFileChangedError):
            act(file)
    assert os.path.lexists(path) == (swap != "nothing")
    assert outside.read_bytes() == b"outside"


def test_an_empty_file_that_became_a_pipe_is_not_opened(card: MountedCard) -> None:
    """Fault B7. Size and time can be the same; the kind can't."""
    path = put(card, "A.MP4", b"")
    (file,) = card.files()
    path.unlink()
    os.mkfifo(path)
    os.utime(path, ns=(file.modified_ns, file.modified_ns))
    for act in (card.open, card.delete):
        with pytest.raises(CardFileChangedError, match="no longer a regular file"):
            act(file)


def test_a_folder_that_became_a_link_is_not_entered(card: MountedCard) -> None:
    """Fault B7. The same for a folder on the way."""
    put(card, "DCIM/A.MP4")
    (file,) = card.files()
    (root_of(card) / "DCIM").rename(root_of(card).parent / "moved")
    (root_of(card) / "DCIM").symlink_to(root_of(card).parent / "moved")
    for act in (card.open, card.delete):
        with pytest.raises(CardFileChangedError):
            act(file)
    assert (root_of(card).parent / "moved" / "A.MP4").exists()


def test_an_unreadable_folder_is_trouble_and_stops_nothing(tmp_path: Path) -> None:
    """Fault B4. As somebody without rights; root reads everything."""
    root = tmp_path / "card"
    (root / "closed").mkdir(parents=True)
    (root / "closed" / "hidden.mp4").write_bytes(b"hidden")
    (root / "open.mp4").write_bytes(b"open")
    (root / "closed.mp4").write_bytes(b"closed")
    (root / "closed").chmod(0)
    (root / "closed.mp4").chmod(0)
    read_end, write_end = os.pipe()
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        report = []
        with MountedCard(root, HandClock()) as card:
            for file in card.files():
                try:
                    report.append(read_whole(card, file).decode())
                except CardReadFailedError as error:
                    report.append(error.code)
            report += [f"{trouble.path} {trouble.code}" for trouble in card.trouble]
        os.write(write_end, "\n".join(report).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write_end)
    with os.fdopen(read_end) as reported:
        assert reported.read().split("\n") == [
            "card.read_failed",
            "open",
            "('closed',) card.read_failed",
        ]


def test_depth_is_bounded(card: MountedCard) -> None:
    """Fault A13. Deeper folders are reported and not entered; 300 levels cost no more than 32, and
    no recursion.
    """
    put(card, "DCIM/A.MP4")
    put(card, "/".join(["d"] * 32) + "/at-the-bound.mp4")
    descriptor = os.open(root_of(card), os.O_RDONLY)
    for _ in range(300):
        os.mkdir("e", dir_fd=descriptor)
        inner = os.open("e", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    assert verdicts(card) == {"/".join(["e"] * 33): "card.too_deep"}
    assert len(card.files()) == 2


def test_number_of_objects_is_bounded(tmp_path: Path) -> None:
    """Fault A13. The whole card is refused, as half a listing would call recordings incomplete that
    are not.
    """
    for index in range(101):
        (tmp_path / f"{index}.mp4").touch()
    with MountedCard(tmp_path, HandClock(), CardLimits(objects=100)) as card:
        with pytest.raises(CardRefusedError, match="more than 100 files and folders"):
            card.files()
        (tmp_path / "0.mp4").unlink()
        assert len(card.files()) == 100


def test_100_000_objects_are_listed_in_seconds(tmp_path: Path) -> None:
    """Fault A13. The real bound, on a real file system."""
    with tmpfs(tmp_path / "card", "size=64m,nr_inodes=200000") as root:
        for folder in range(100):
            inner = root / f"{folder:03d}"
            inner.mkdir()
            descriptor = os.open(inner, os.O_RDONLY)
            for index in range(999):
                os.close(os.open(f"{index}.mp4", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
            os.close(descriptor)
        with MountedCard(root, HandClock()) as card:
            began_s = time.monotonic()
            assert len(card.files()) == 99_900
            assert time.monotonic() - began_s < 30
            (root / "one-more.mp4").touch()
            with pytest.raises(CardRefusedError, match="more than 100000"):
                card.files()


def test_time_of_a_listing_is_bounded(tmp_path: Path) -> None:
    """Fault A13. On a clock of which each look takes a second."""
    for index in range(50):
        (tmp_path / f"{index}.mp4").touch()
    with MountedCard(tmp_path, HandClock(tick_s=1), CardLimits(listing_s=10)) as card:
        with pytest.raises(CardRefusedError, match="longer than 10 seconds"):
            card.files()


def test_sizes_beyond_the_volume_are_refused(tmp_path: Path) -> None:
    """Fault A13. A damaged directory may state any size; one entry is left out, too much together
    refuses the card.
    """
    with tmpfs(tmp_path / "card", "size=1m") as root:
        (root / "good.mp4").write_bytes(b"good")
        os.truncate(os.open(root / "huge.mp4", os.O_CREAT | os.O_WRONLY), 1 << 40)
        with MountedCard(root, HandClock()) as card:
            assert verdicts(card) == {"huge.mp4": "card.impossible_size"}
            assert [file.path for file in card.files()] == [("good.mp4",)]
            for name in ("half.mp4", "other-half.mp4"):
                os.truncate(os.open(root / name, os.O_CREAT | os.O_WRONLY), 600 << 10)
            with pytest.raises(CardRefusedError, match="has room for 1048576"):
                card.files()


def test_a_ring_of_bind_mounts_is_not_entered(tmp_path: Path) -> None:
    """Fault A13. A folder that shows its own grandparent has no end; the same device number does
    not give it away.
    """
    with tmpfs(tmp_path / "card") as root:
        (root / "DCIM" / "inner").mkdir(parents=True)
        (root / "DCIM" / "A.MP4").write_bytes(b"a")
        with bound(root, root / "DCIM" / "inner"), MountedCard(root, HandClock()) as card:
            assert verdicts(card) == {"DCIM/inner": "card.file_changed"}
            assert [file.path for file in card.files()] == [("DCIM", "A.MP4")]


def test_other_mounts_inside_of_a_card_are_not_read(tmp_path: Path) -> None:
    """Fault B7. A folder and a file of another file system, and a file bound from elsewhere in the
    same one.
    """
    outside = tmp_path / "outside.mp4"
    outside.write_bytes(b"outside")
    with tmpfs(tmp_path / "card") as root:
        (root / "other").mkdir()
        for name in ("bound.mp4", "same.mp4", "source.mp4"):
            (root / name).write_bytes(b"")
        with (
            tmpfs(root / "other"),
            bound(outside, root / "bound.mp4"),
            bound(root / "source.mp4", root / "same.mp4"),
        ):
            (root / "other" / "B.MP4").write_bytes(b"b")
            with MountedCard(root, HandClock()) as card:
                assert verdicts(card) == {
                    "other": "card.other_mount",
                    "bound.mp4": "card.other_mount",
                }
                same, source = card.files()
                with pytest.raises(CardFileChangedError, match="another mount"):
                    card.open(same)
                assert read_whole(card, source) == b""
        assert outside.read_bytes() == b"outside"


# Reading


@pytest.mark.parametrize("size_bytes", [0, 1, 511, 512, 4095, 4096, 4097, 65536, 1_000_003])
@pytest.mark.parametrize("buffer_bytes", [4096, 5000, 65536])
def test_reads_every_byte_once_and_proves_the_end(
    card: MountedCard, size_bytes: int, buffer_bytes: int
) -> None:
    """Fault B6. Any size, into buffers that suit direct reading and others."""
    content = os.urandom(size_bytes)
    put(card, "A.MP4", content)
    (file,) = card.files()
    with card.open(file) as reader:
        assert read_all(reader, aligned(buffer_bytes)) == content
        assert reader.readinto(aligned(4096)) == 0


@pytest.mark.parametrize("offset", [0, 1, 512, 4096, 99_999, 100_000])
def test_reads_from_any_offset_into_any_memory(card: MountedCard, offset: int) -> None:
    """Memory that starts at an odd address is taken as well, through the page cache."""
    content = os.urandom(100_000)
    put(card, "A.MP4", content)
    (file,) = card.files()
    for buffer in (aligned(8192), memoryview(bytearray(8193))[1:]):
        with card.open(file, offset) as reader:
            assert read_all(reader, buffer) == content[offset:]


def test_reads_directly_from_a_block_device_and_leaves_nothing_in_memory(tmp_path: Path) -> None:
    """On a medium of its own: O_DIRECT holds, the page cache stays empty, a tail of any length
    comes over.
    """
    with ext4(tmp_path / "image", tmp_path / "card") as root:
        content = os.urandom(3 * 65536 + 1234)
        (root / "A.MP4").write_bytes(content)
        os.sync()
        with MountedCard(root, HandClock()) as card:
            (file,) = [file for file in card.files() if file.path == ("A.MP4",)]
            with card.open(file) as reader:
                assert reader._direct
                assert read_all(reader, aligned(65536)) == content
            assert _cached_pages(root / "A.MP4") == 0
            with card.open(file, 1) as reader:
                assert read_all(reader, aligned(4096)) == content[1:]
            assert _cached_pages(root / "A.MP4") == 0


def _cached_pages(path: Path) -> int:
    """How many pages of a file the kernel holds, by mincore(2); looking does not bring any in."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(path, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    pages = (ctypes.c_ubyte * (len(mapped) // 4096 + 1))()
    start = ctypes.c_char.from_buffer(mapped)
    assert (
        libc.mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(len(mapped)), pages)
        == 0
    )
    return sum(page & 1 for page in pages)


def test_a_second_reading_is_of_the_medium(tmp_path: Path) -> None:
    """Two readings that agree prove something only if the second one does not come from memory."""
    with ext4(tmp_path / "image", tmp_path / "card") as root:
        (root / "A.MP4").write_bytes(bytes(65536))
        os.sync()
        (root / "A.MP4").read_bytes()
        assert _cached_pages(root / "A.MP4") > 0
        with MountedCard(root, HandClock()) as card:
            (file,) = [file for file in card.files() if file.path == ("A.MP4",)]
            with card.open(file):
                assert _cached_pages(root / "A.MP4") == 0


@pytest.mark.parametrize("kept_bytes", [0, 1, 4095, 4096, 4097, 8192, 99_999])
def test_a_file_that_shrinks_is_never_taken_as_whole(card: MountedCard, kept_bytes: int) -> None:
    """Fault B6. At every kind of border: 0 bytes before the listed size is an error,
    not the end.
    """
    path = put(card, "A.MP4", os.urandom(100_000))
    (file,) = card.files()
    with card.open(file) as reader:
        buffer = aligned(4096)
        assert reader.readinto(buffer) == 4096
        os.truncate(path, kept_bytes)
        with pytest.raises(CardFileChangedError, match="ends before the 100000 bytes"):
            read_all(reader, buffer)


@pytest.mark.parametrize("size_bytes", [4095, 4096, 10_000, 65536])
def test_a_file_that_grows_is_never_taken_as_whole(card: MountedCard, size_bytes: int) -> None:
    """Faults A13, A16. Not one byte more than was announced, wherever the end lies."""
    path = put(card, "A.MP4", os.urandom(size_bytes))
    (file,) = card.files()
    for buffer_bytes in (4096, 65536, 131072):
        with card.open(file) as reader:
            with open(path, "ab") as growing:
                growing.write(b"x" * 5000)
            with pytest.raises(
                CardFileChangedError, match=f"goes on beyond the {size_bytes} bytes"
            ):
                read_all(reader, aligned(buffer_bytes))
        os.truncate(path, size_bytes)
        os.utime(path, ns=(file.modified_ns, file.modified_ns))


def test_not_one_byte_beyond_the_listed_size_is_handed_on(card: MountedCard) -> None:
    """Fault A13. What grew in is not shown to anybody, not even before the refusal."""
    path = put(card, "A.MP4", b"a" * 5000)
    (file,) = card.files()
    buffer = aligned(4096)
    with card.open(file) as reader:
        with open(path, "ab") as growing:
            growing.write(b"x" * 5000)
        assert reader.readinto(buffer) == 4096
        with pytest.raises(CardFileChangedError, match="goes on beyond"):
            reader.readinto(buffer)


def test_a_file_that_is_written_to_while_it_is_read_is_not_whole(card: MountedCard) -> None:
    """Fault A16. Same size, other content: its time gives it away."""
    path = put(card, "A.MP4", bytes(10_000))
    (file,) = card.files()
    with card.open(file) as reader:
        with open(path, "r+b") as file_again:
            file_again.write(b"x")
        with pytest.raises(CardFileChangedError, match="written to while it was read"):
            read_all(reader, aligned(4096))


def test_access_times_stay(card: MountedCard) -> None:
    """What a card says of itself is evidence: reading it changes nothing."""
    path = put(card, "DCIM/A.MP4")
    for place in (path, path.parent, root_of(card)):
        os.utime(place, ns=(1, 1))
    (file,) = card.files()
    read_whole(card, file)
    assert [place.stat().st_atime_ns for place in (path, path.parent)] == [1, 1]


def test_a_card_that_is_unmounted_is_gone_and_not_empty(tmp_path: Path) -> None:
    """Fault A1. Listing, opening, deleting: gone. An empty mount point is never taken for an erased
    card.
    """
    with tmpfs(tmp_path / "card") as root:
        (root / "A.MP4").write_bytes(bytes(10_000))
        with MountedCard(root, HandClock()) as card:
            (file,) = card.files()
            unmount(root, lazily=True)
            for act in (lambda: card.files(), lambda: card.open(file), lambda: card.delete(file)):
                with pytest.raises(CardGoneError):
                    act()
            with pytest.raises(CardGoneError):
                card.delete_folder(("DCIM",))


def test_another_card_in_the_same_place_is_not_this_card(tmp_path: Path) -> None:
    """Fault E4. Taken out, and another one put in: the old object never reads or erases the new
    card.
    """
    with tmpfs(tmp_path / "card") as root:
        (root / "A.MP4").write_bytes(b"one")
        with MountedCard(root, HandClock()) as card:
            (file,) = card.files()
            unmount(root, lazily=True)
            with tmpfs(root):
                (root / "A.MP4").write_bytes(b"two")
                os.utime(root / "A.MP4", ns=(file.modified_ns, file.modified_ns))
                with pytest.raises(CardGoneError):
                    card.delete(file)
                assert (root / "A.MP4").read_bytes() == b"two"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE])
def test_a_read_error_is_gone_or_failed_by_whether_the_mount_stands(
    tmp_path: Path, number: int
) -> None:
    """Fault B6. No medium here fails on demand, so the answer is asked for what the kernel would
    say.
    """
    with tmpfs(tmp_path / "card") as root:
        with MountedCard(root, HandClock()) as card:
            error = OSError(number, os.strerror(number))
            assert isinstance(card._failure(error, "A.MP4 can't be read"), CardReadFailedError)
            unmount(root, lazily=True)
            assert isinstance(card._failure(error, "A.MP4 can't be read"), CardGoneError)


def test_one_file_on_bad_blocks_is_one_failure(tmp_path: Path) -> None:
    """Fault A8. The image under a loop device is cut off in front of the last file's blocks: that
    file alone fails.
    """
    image = tmp_path / "image"
    with ext4(image, tmp_path / "card") as root:
        last_blocks = {}
        for name in ("A.MP4", "B.MP4"):
            with open(root / name, "wb") as file:
                file.write(name.encode() * 200_000)
                os.fsync(file.fileno())
                last_index = struct.pack(
                    "i", (file.tell() - 1) // os.fstatvfs(file.fileno()).f_bsize
                )
                last_blocks[name] = struct.unpack("i", fcntl.ioctl(file, FIBMAP, last_index))[0]
        bad, good = sorted(last_blocks, key=lambda name: -last_blocks[name])
        os.sync()
        with MountedCard(root, HandClock()) as card:
            files = {file.path[-1]: file for file in card.files()}
            os.truncate(image, last_blocks[bad] * os.statvfs(root).f_bsize)
            assert read_whole(card, files[good]) == good.encode() * 200_000
            with pytest.raises(CardReadFailedError, match=f"{bad} can't be read at byte"):
                read_whole(card, files[bad])


def test_no_such_root_is_gone(tmp_path: Path) -> None:
    with pytest.raises(CardGoneError):
        MountedCard(tmp_path / "nothing", HandClock())
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(CardGoneError):
        MountedCard(tmp_path / "link", HandClock())


def test_close_lets_the_card_be_unmounted(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "card") as root:
        (root / "A.MP4").write_bytes(b"a")
        card = MountedCard(root, HandClock())
        (file,) = card.files()
        with card.open(file) as reader:
            read_all(reader, aligned(4096))
        card.close()
        card.close()
        unmount(root)
        assert not (root / "A.MP4").exists()
        with pytest.raises(CardGoneError):
            card.files()


def test_descriptors_do_not_leak(card: MountedCard) -> None:
    """Fault G5. Neither in listing and reading nor in any refusal."""
    put(card, "DCIM/deep/A.MP4")
    (root_of(card) / "DCIM" / "link").symlink_to("/etc/passwd")
    (file,) = card.files()
    before = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(20):
        card.files()
        read_whole(card, file)
        for wrong in (
            CardFile(file.path, 1, 1),
            CardFile(("DCIM", "link"), 1, 1),
            CardFile(("..",), 1, 1),
        ):
            with pytest.raises((CardFileChangedError, CardReadFailedError)):
                card.open(wrong)
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_threads_list_and_read_at_once(card: MountedCard) -> None:
    for index in range(50):
        put(card, f"DCIM/{index:03d}/A.MP4", b"%d" % index * 9000)
    listed: list[int] = []

    def work() -> None:
        for _ in range(5):
            files = card.files()
            listed.append(len(files))
            assert all(len(read_whole(card, file)) == file.size_bytes for file in files[:10])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert listed == [50] * 20


# Deleting


def test_deletes_one_file_and_then_its_empty_folder(card: MountedCard) -> None:
    put(card, "RECORDINGS/B-000001/0000.mp4")
    put(card, "RECORDINGS/B-000001/recording.json")
    first, last = card.files()
    folder = ("RECORDINGS", "B-000001")
    card.delete(first)
    assert card.files() == (last,)
    assert not card.delete_folder(folder)
    card.delete(last)
    assert card.delete_folder(folder)
    assert card.delete_folder(folder)
    assert card.delete_folder(("NEVER", "WAS"))
    assert (root_of(card) / "RECORDINGS").is_dir()
    assert not (root_of(card) / "RECORDINGS" / "B-000001").exists()


def test_what_is_deleted_is_held_until_its_name_is_gone_for_good(
    card: MountedCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault B9. FAT frees the clusters at the last closing: before the name is gone, they would be
    another file's beside it.
    """
    place = put(card, "RECORDINGS/B-000001/0000.mp4")
    (file,) = card.files()
    flushed: list[tuple[str, list[str]]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        held = [
            str(link.readlink())
            for link in links
            if str(link.readlink()).startswith(str(place.parent))
        ]
        flushed.append(
            (
                Path(f"/proc/self/fd/{descriptor}").readlink().name,
                [name for name in held if "(deleted)" in name],
            )
        )

    monkeypatch.setattr(os, "fsync", fsync)
    card.delete(file)
    assert card.delete_folder(("RECORDINGS", "B-000001"))
    held, folder = f"{place} (deleted)", f"{place.parent} (deleted)"
    assert flushed == [("B-000001", []), ("B-000001", [held]), ("RECORDINGS", [folder])]


def test_delete_folder_removes_no_link_and_no_file(card: MountedCard) -> None:
    """Fault B7. The empty folder that a link leads to stays, and so does the link."""
    outside = root_of(card).parent / "outside"
    outside.mkdir()
    (root_of(card) / "link").symlink_to(outside)
    put(card, "file")
    assert not card.delete_folder(("link",))
    assert not card.delete_folder(("file",))
    assert outside.is_dir()
    assert (root_of(card) / "link").is_symlink()


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_file_that_changed_since_the_listing_is_not_deleted(
    card: MountedCard, change: str
) -> None:
    """Fault E4. Listed, replaced under the same name: the deletion is refused and the new file
    stays.
    """
    path = put(card, "A.MP4")
    (file,) = card.files()
    if change == "size":
        path.write_bytes(b"another content")
        os.utime(path, ns=(file.modified_ns, file.modified_ns))
    else:
        os.utime(path, ns=(5, file.modified_ns + 2_000_000_000))
    with pytest.raises(CardFileChangedError):
        card.delete(file)
    assert path.exists()


def test_a_read_only_card_says_what_to_do(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "card") as root:
        (root / "folder").mkdir()
        (root / "A.MP4").write_bytes(b"a")
        mount("-o", "remount,ro", root)
        with MountedCard(root, HandClock()) as card:
            (file,) = card.files()
            assert read_whole(card, file) == b"a"
            for act in (lambda: card.delete(file), lambda: card.delete_folder(("folder",))):
                with pytest.raises(
                    CardReadOnlyError,
                    match=r"write-protected or mounted for reading.*lock.*safe in the vault",
                ):
                    act()
            mount("-o", "remount,rw", root)
            card.delete(file)
            assert card.files() == ()


def test_a_file_that_can_not_be_deleted_is_an_error_and_not_a_success(tmp_path: Path) -> None:
    """Fault A7. A mount on the file itself: the kernel answers EBUSY."""
    with tmpfs(tmp_path / "card") as root:
        (root / "A.MP4").write_bytes(b"a")
        (root / "DCIM" / "inner").mkdir(parents=True)
        with MountedCard(root, HandClock()) as card:
            (file,) = card.files()
            with tmpfs(root / "DCIM" / "inner"):
                with pytest.raises(CardDeleteFailedError):
                    card.delete_folder(("DCIM", "inner"))
            card.delete(file)
            with pytest.raises(CardFileChangedError):
                card.delete(file)
