"""The explorer's parts by hand, and a slice of its run (faults C2, C3, E1)."""

import random
import shutil
from pathlib import Path

import pytest

from tests.campaigns.crash.explorer import Plan, explore, promised
from tests.campaigns.crash.image import Disk, Image
from tests.campaigns.crash.trace import NotUnderstood, Reader, Step

SLICE = Plan(images=300, seed=20261123)


def hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def images(disk: Disk) -> list[Image]:
    return list(disk.images(random.Random(1), 1000))


def contents(disk: Disk, path: str) -> set[bytes | None]:
    """Every content that a file may have after a cut; None: it isn't there."""
    return {image.files[path].data if path in image.files else None for image in images(disk)}


def done(
    *steps: Step, files: dict[str, bytes] | None = None, folders: tuple[str, ...] = ("in", "out")
) -> Disk:
    disk = Disk(files or {}, folders)
    for step in steps:
        disk.do(step)
    return disk


def written(path: str, data: bytes) -> tuple[Step, ...]:
    return Step("create", path), Step("write", path, data)


# --- the model of the disk ------------------------------------------------------------------------


def test_what_was_not_flushed_may_be_lost_kept_or_torn() -> None:
    """Fault C3. The name stands; the bytes are gone, there, cut at a sector, or zeros."""
    new = b"n" * 1536
    disk = done(*written("in/a", new), Step("sync", "in"))
    assert {b"", new, new[:512], new[:1024], bytes(1536), new[:512] + bytes(1024)} <= contents(
        disk, "in/a"
    )
    assert None not in contents(disk, "in/a")


def test_a_flushed_file_without_a_flushed_name_may_be_gone() -> None:
    """Fault C3. fsync of a file says nothing of its folder."""
    disk = done(*written("in/a", b"new"), Step("sync", "in/a"))
    assert contents(disk, "in/a") == {None, b"new"}


def test_both_flushed_stands() -> None:
    disk = done(*written("in/a", b"new"), Step("sync", "in/a"), Step("sync", "in"))
    assert contents(disk, "in/a") == {b"new"}


def test_a_folder_whose_parent_was_not_flushed_takes_its_files_with_it() -> None:
    """Fault C3. The new month's folder."""
    made = (
        Step("mkdir", "out/month"),
        *written("out/month/a", b"new"),
        Step("sync", "out/month/a"),
        Step("sync", "out/month"),
    )
    assert contents(done(*made), "out/month/a") == {None, b"new"}
    assert contents(done(*made, Step("sync", "out")), "out/month/a") == {b"new"}


def test_names_are_lost_each_on_its_own() -> None:
    """A link that lasts and an unlink that doesn't, and the other way round."""
    disk = done(*written("in/a", b"new"), Step("sync", "in/a"), Step("sync", "in"))
    disk.do(Step("link", "in/a", target="out/b"))
    disk.do(Step("unlink", "in/a"))
    assert {tuple(sorted(image.files)) for image in images(disk)} == {
        (),
        ("in/a",),
        ("in/a", "out/b"),
        ("out/b",),
    }


def test_a_renaming_is_one_change() -> None:
    disk = done(
        Step("rename", "in/new", target="in/old"), files={"in/new": b"new", "in/old": b"old"}
    )
    found = {
        tuple((path, content.data) for path, content in sorted(image.files.items()))
        for image in images(disk)
    }
    assert found == {(("in/new", b"new"), ("in/old", b"old")), (("in/old", b"new"),)}


def test_room_that_was_reserved_is_zeros() -> None:
    disk = done(
        Step("create", "in/a"),
        Step("sync", "in"),
        Step("allocate", "in/a", offset=1024),
        Step("sync", "in/a"),
    )
    disk.do(Step("write", "in/a", b"n" * 1024))
    assert {bytes(1024), b"n" * 1024, b"n" * 512 + bytes(512)} <= contents(disk, "in/a")


def test_overwriting_tears_into_the_old_bytes() -> None:
    disk = done(Step("write", "in/a", b"n" * 1024), files={"in/a": b"o" * 1024})
    assert {b"o" * 1024, b"n" * 1024, b"n" * 512 + b"o" * 512} <= contents(disk, "in/a")


def test_what_a_killed_process_left_is_seen_whole_and_still_unsure() -> None:
    """Faults C1, then C3."""
    disk = done(Step("mkdir", "out/month"), *written("out/month/a", b"new"))
    assert disk.seen().files["out/month/a"].data == b"new"
    disk.do(Step("sync", "out/month/a"))
    disk.do(Step("sync", "out/month"))
    assert contents(disk, "out/month/a") == {None, b"new"}


def test_a_step_that_this_disk_can_not_take_is_refused() -> None:
    with pytest.raises(NotUnderstood):
        done(Step("unlink", "in/none"))


# --- the record -----------------------------------------------------------------------------------


def steps_of(*lines: str) -> list[Step]:
    reader = Reader()
    reader.below(Path("/w"))
    whole = [joined for line in lines if (joined := reader.whole(line)) is not None]
    return [step for line in whole for step in reader.steps(line)]


def test_a_record_is_read_call_by_call() -> None:
    path, other, cwd = hexed("/w/v/a"), hexed("/w/v/b"), hexed("/")
    assert steps_of(
        f'7 openat(AT_FDCWD<{cwd}>, "{path}", O_RDWR|O_CREAT|O_EXCL, 0600) = 5<{path}>',
        f"7 fallocate(5<{path}>, 0, 0, 9) = 0",
        f'7 write(5<{path}>, "{hexed("abc")}", 3) = 2',
        f'7 write(5<{path}>, "{hexed("c")}", 1)     = 1',
        f'7 pwrite64(5<{path}>, "{hexed("z")}", 1, 70) = 1',
        f"7 ftruncate(5<{path}>, 8) = 0",
        f"7 fsync(5<{path}>) = 0",
        f'7 linkat(AT_FDCWD<{cwd}>, "{path}", 3<{hexed("/w/v")}>, "{hexed("b")}", 0) = 0',
        f'7 rename("{other}", "{path}") = -1 EIO (Input/output error)',
        f'7 unlinkat(3<{hexed("/w/v")}>, "{hexed("b")}", 0) = 0',
        f'7 unlinkat(3<{hexed("/w")}>, "{hexed("v")}", AT_REMOVEDIR) = 0',
    ) == [
        Step("create", "v/a"),
        Step("allocate", "v/a", offset=9),
        Step("write", "v/a", b"ab", 0),
        Step("write", "v/a", b"c", 2),
        Step("write", "v/a", b"z", 70),
        Step("truncate", "v/a", offset=8),
        Step("sync", "v/a"),
        Step("link", "v/a", target="v/b"),
        Step("unlink", "v/b"),
        Step("rmdir", "v"),
    ]


def test_a_call_that_another_thread_interrupted_counts_when_it_ends() -> None:
    path = hexed("/w/a")
    assert steps_of(
        f"7 fsync(5<{path}> <unfinished ...>",
        f"8 fsync(6<{path}>) = 0",
        "7 <... fsync resumed>) = 0",
    ) == [
        Step("sync", "a"),
        Step("sync", "a"),
    ]


def test_outside_of_the_world_nothing_is_a_step() -> None:
    assert not steps_of(f'7 unlink("{hexed("/wx/a")}") = 0')


@pytest.mark.parametrize(
    "line",
    [
        f'7 symlink("{hexed("a")}", "{hexed("/w/b")}") = 0',
        f'7 rename("{hexed("/x/a")}", "{hexed("/w/b")}") = 0',
        f"7 fallocate(5<{hexed('/w/a')}>, FALLOC_FL_PUNCH_HOLE, 0, 9) = 0",
        f"7 copy_file_range(4<{hexed('/x')}>, NULL, 5<{hexed('/w/a')}>, NULL, 9, 0) = 9",
    ],
)
def test_a_change_that_the_model_does_not_know_stops_the_reading(line: str) -> None:
    """Else the images would be of another disk, and the explorer would call it sound."""
    with pytest.raises(NotUnderstood):
        steps_of(line)


def test_promised_is_all_but_the_newest_entry() -> None:
    """The transaction of the newest may not have ended; of one number the last
    whole line counts.
    """
    assert promised(b"") == ()
    lines = (
        b'{"sequence":0}',
        b'{"sequence":1,"first":1}',
        b'{"seq',
        b'{"sequence":1}',
        b'{"sequence":2}',
    )
    assert promised(b"\n".join(lines) + b'\n{"sequence":3') == (lines[0], lines[3])


# --- the slice ------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace records the docking")
def test_no_power_cut_loses_a_recording() -> None:
    """Faults C2, C3, E1: I1 to I5 hold in each image and after its recovery, and the same docking
    again finishes it.
    """
    report = explore(SLICE)
    assert not report.violations, "\n".join(report.examples)
    assert report.first == SLICE.first
    assert report.second >= SLICE.second * 0.9


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace records the docking")
def test_what_is_done_after_a_commit_does_not_outlive_it() -> None:
    """A process dies between SQLite's removal of its journal and the flush of the folder: the
    commit is seen by all, and a power cut would take it back, from under what the next process did
    since.
    """
    report = explore(Plan(images=120, died_at="unlink vault/catalogue/catalogue.db-journal"))
    assert not report.violations, "\n".join(report.examples)
    assert report.recoveries >= 3
    assert report.second >= 60
