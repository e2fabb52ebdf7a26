"""The reader apart: a card in another process is the same card, and nothing that happens to that
process happens to the dock.
"""

import contextlib
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import tracemalloc
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dockd.card.contract import (
    CardFile,
    CardFileChangedError,
    CardGoneError,
    CardReadFailedError,
    CardRefusedError,
    CardStuckError,
    edges,
    read_whole,
)
from dockd.card.timeline import SegmentTimeline
from dockd.config import DockSettings
from dockd.docking.approach import Approach
from dockd.mounted.mounted_card import MountedCard
from dockd.mounted.volumes import Volume
from dockd.reader.landlock import Rights, restrict
from dockd.reader.processes import Workers
from dockd.reader.remote_card import CameraWorker, RemoteCard
from dockd.reader.wire import (
    MARKS_MAX,
    MESSAGE_MAX,
    TEXT_MAX,
    Line,
    LineBrokenError,
    failure_of,
    failure_words,
    file_of,
    file_words,
)
from dockd.reader.worker import granted
from tests.support.card_maker import CardMaker
from tests.support.dockd_process import ENOUGH_S, Pier, Service
from tests.support.places import BAD_READERS
from vault.clock import SystemClock

CONFINED = """
import os, sys
from dockd.reader.worker import confine
confine({"place": "usb", "bus": "libusb", "key": [1, [2, 3], 47]})
for path in sys.argv[1:]:
    try:
        os.close(os.open(path, os.O_RDWR))
        print(path)
    except PermissionError:
        pass
"""
"""A camera's reader that is through with its own work, and says which other files it could open."""
NEEDS_LANDLOCK = pytest.mark.skipif(
    os.system(
        f"{sys.executable} -c 'from dockd.reader.landlock import restrict; import sys; "
        f"sys.exit(not restrict({{}}))'"
    )
    != 0,
    reason="this kernel has no Landlock",
)


def reader_of(root: Path, *program: str) -> CameraWorker:
    readers = Workers(None, (sys.executable, *program)) if program else Workers(None)
    return CameraWorker(
        readers, {"place": "volume", "roots": [str(root)]}, SystemClock(), answer_s=ENOUGH_S
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A signed camera's card, with a name that is no text beside it."""
    maker = CardMaker(tmp_path / "card", "BWC0042")
    maker.root.mkdir()
    maker.write_device()
    maker.write(maker.make(1))
    (maker.root / os.fsdecode(b"odd\xff\n.txt")).write_bytes(b"odd")
    return maker.root


def taken(card: RemoteCard | MountedCard, file: CardFile, block_bytes: int) -> bytes:
    buffer = memoryview(mmap.mmap(-1, block_bytes))
    content = b""
    with card.open(file) as reader:
        while count := reader.readinto(buffer):
            content += buffer[:count]
    return content


def children(pid: int) -> list[int]:
    """Of all its threads."""
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def test_a_card_in_a_reader_is_the_same_card(root: Path) -> None:
    """Listing, trouble, bytes in any blocks, edges, small files: all as without a reader."""
    (root / "loop").symlink_to(root)
    reader = reader_of(root)
    with MountedCard(root, SystemClock()) as near, closing(reader.open(root=str(root))) as far:
        files = near.files()
        assert far.files() == files
        assert far.trouble == near.trouble
        assert far.where == near.where
        assert far.files(("DEVICE",)) == near.files(("DEVICE",))
        assert any("\udcff" in file.path[-1] for file in files)
        for file in files:
            content = root.joinpath(*file.path).read_bytes()
            assert taken(far, file, 1 << 20) == content
            assert taken(far, file, 4096) == content
            assert edges(far, file) == edges(near, file)
            before = reader.answers
            assert read_whole(far, file) == content
            assert reader.answers >= before + 2, "the opening, and the bytes"
    reader.end()


def test_the_reader_saw_what_the_timeline_sees(root: Path) -> None:
    reader = reader_of(root)
    buffer = memoryview(mmap.mmap(-1, 65536))
    with closing(reader.open(root=str(root))) as card:
        segments = [file for file in card.files() if file.path[-1].endswith(".mp4")]
        assert segments
        for file in segments:
            here = SegmentTimeline()
            here(memoryview(root.joinpath(*file.path).read_bytes()))
            with card.open(file) as far:
                with pytest.raises(CardFileChangedError):
                    far.facts()
                while far.readinto(buffer):
                    pass
                assert far.facts() == here.facts()
    reader.end()


def test_what_a_card_refuses_comes_over_as_it_is(root: Path) -> None:
    reader = reader_of(root)
    with closing(reader.open(root=str(root))) as card:
        file = next(file for file in card.files() if file.path[-1] == "device.json")
        root.joinpath(*file.path).write_bytes(b"another")
        with pytest.raises(CardFileChangedError, match="has changed since it was listed"):
            card.open(file)
        with pytest.raises(CardFileChangedError):
            card.delete(file)
        assert card.delete_folder(("DEVICE",)) is False
        card.delete(next(file for file in card.files() if file.path[-1] == "device.json"))
        assert card.delete_folder(("DEVICE",)) is True
        assert not (root / "DEVICE").exists()
        root.rename(root.with_name("gone"))
        with pytest.raises(CardGoneError):
            card.files()
    reader.end()
    another = reader_of(root)
    with pytest.raises(CardGoneError):
        another.open(root=str(root))
    another.end()


def test_a_reader_that_is_killed_kills_only_its_card(root: Path) -> None:
    """The next opening has a new one, and goes on."""
    reader = reader_of(root)
    before = set(children(os.getpid()))
    card = reader.open(root=str(root))
    file = next(file for file in card.files() if file.path[-1].endswith(".mp4"))
    open_file = card.open(file)
    (pid,) = set(children(os.getpid())) - before
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(CardStuckError) as caught:
        open_file.readinto(memoryview(mmap.mmap(-1, 4096)))
    open_file.close()
    assert caught.value.code == "reader.died"
    with pytest.raises(CardStuckError) as caught:
        card.files()
    assert caught.value.code == "reader.died"
    card.close()
    with closing(reader.open(root=str(root))) as again:
        assert taken(again, file, 65536) == root.joinpath(*file.path).read_bytes()
    reader.end()
    assert set(children(os.getpid())) <= before


@pytest.mark.parametrize(
    "lie",
    [
        "no list",
        "no file",
        "a negative size",
        "no trouble",
        "nothing",
        "a name without end",
        "a folder without end",
        "endless",
        "no JSON",
        "deep JSON",
        "an unknown error",
        "where",
    ],
)
def test_a_reader_that_lies_is_a_dead_one(root: Path, lie: str) -> None:
    reader = reader_of(root, str(BAD_READERS / "lying_reader.py"), lie)
    with pytest.raises(CardStuckError) as caught:
        reader.open(root=str(root)).files()
    assert caught.value.code == "reader.died"
    reader.end()


@pytest.mark.parametrize(
    "lie", ["too many bytes", "no kind", "no facts", "no failure", "long facts", "impossible facts"]
)
def test_a_stream_that_lies_is_a_dead_one(root: Path, lie: str) -> None:
    reader = reader_of(root, str(BAD_READERS / "lying_reader.py"), lie)
    card = reader.open(root=str(root))
    with card.open(card.files()[0]) as stream, pytest.raises(CardStuckError) as caught:
        stream.readinto(memoryview(mmap.mmap(-1, 4096)))
    assert caught.value.code == "reader.died"
    reader.end()


def test_what_a_reader_tells_for_people_is_cut(root: Path) -> None:
    """It comes into the vault's log, which is never shortened."""
    reader = reader_of(root, str(BAD_READERS / "lying_reader.py"), "a tale")
    card = reader.open(root=str(root))
    files = card.files()
    assert [(len(entry.code), len(entry.sentence)) for entry in card.trouble] == [
        (TEXT_MAX, TEXT_MAX)
    ]
    with card.open(files[0]) as stream:
        stream.readinto(memoryview(mmap.mmap(-1, 4096)))
        assert [len(sentence) for sentence in stream.facts().odd] == [TEXT_MAX] * 8
    reader.end()
    failure = failure_of(
        {"code": CardReadFailedError.code, "sentence": "s" * 100_000, "hint": "h" * 100_000}
    )
    assert (len(failure.sentence), len(failure.hint)) == (TEXT_MAX, TEXT_MAX)


@pytest.mark.parametrize(
    "pattern", [b"[],", b'{"a":0},', b'"ab",', b"-1234567,", b"[[[[]]]],"], ids=bytes.decode
)
def test_no_message_takes_more_memory_than_there_is(pattern: bytes) -> None:
    """A reader in wrong hands, and the dock's 1 GiB: the largest message that passes, and the
    largest that is sent.
    """
    for size_bytes in (
        MESSAGE_MAX - 64,
        MARKS_MAX * len(pattern) // (sum(map(pattern.count, b"[{,")) + 1),
    ):
        content = (
            b'{"ok":[' + pattern * (min(size_bytes, MESSAGE_MAX - 64) // len(pattern)) + b"0]}"
        )
        near, far = socket.socketpair()
        sender = threading.Thread(
            target=far.sendall, args=(len(content).to_bytes(4, "big") + content,)
        )
        sender.start()
        tracemalloc.start()
        with contextlib.suppress(LineBrokenError):
            Line(near).receive_message()
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        sender.join()
        near.close()
        far.close()
        assert peak_bytes < 200 << 20, f"{len(content)} bytes took {peak_bytes}"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8"])
def test_a_message_is_ascii(encoding: str) -> None:
    """In another encoding what is counted before the parser sees it would be something else."""
    with pytest.raises(LineBrokenError):
        near, far = socket.socketpair()
        with near, far:
            content = '{"ok": "\u00e9"}'.encode(encoding)
            far.sendall(len(content).to_bytes(4, "big") + content)
            Line(near).receive_message()


def test_the_most_that_a_camera_has_can_be_told() -> None:
    """100,000 files in folders as cameras make them."""
    files = [
        file_words(
            CardFile(("RECORDINGS", f"BWC0042-{n:06}", f"{n % 60:04}.mp4"), 1 << 34, n << 40)
        )
        for n in range(100_000)
    ]
    near, far = socket.socketpair()
    with near, far:
        sender = threading.Thread(
            target=Line(far).send, args=({"ok": {"files": files, "trouble": []}},)
        )
        sender.start()
        told, _ = Line(near).receive_message()
        sender.join()
    assert [file_of(words) for words in told["ok"]["files"][:: len(files) - 1]] == [
        file_of(files[0]),
        file_of(files[-1]),
    ]


def test_a_card_that_has_more_than_can_be_told_is_refused(tmp_path: Path) -> None:
    """By its own reader, which lives on: it is the card that is at fault."""
    folder = tmp_path / "card"
    folder.mkdir()
    for number in range(900):
        (folder / (f"{number:03}" + "," * 252)).touch()
    program = tmp_path / "small.py"
    program.write_text(
        "from dockd.reader import worker, wire\nwire.MARKS_MAX = 200_000\nworker.main()\n"
    )
    reader = reader_of(folder, str(program))
    card = reader.open(root=str(folder))
    with pytest.raises(CardRefusedError):
        card.files()
    assert card.files(("nothing",)) == ()
    reader.end()


@pytest.mark.parametrize("lie", ["descriptors", "half a word with descriptors"])
def test_descriptors_that_nobody_asked_for_are_closed(root: Path, lie: str) -> None:
    """Else a reader takes the dock's last one away from it."""
    reader = reader_of(root, str(BAD_READERS / "lying_reader.py"), lie)
    reader.open(root=str(root)).close()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(CardStuckError) as caught:
        reader.open(root=str(root)).files()
    assert caught.value.code == "reader.died"
    assert len(list(Path("/proc/self/fd").iterdir())) == before - 1, (
        "the line is closed, and all that came over it"
    )


@pytest.mark.parametrize("lie", ["a byte now and then", "a stream's byte now and then"])
def test_an_answer_that_trickles_is_late(root: Path, lie: str) -> None:
    """Time for each byte would never be over. The whole answer has one deadline."""
    reader = reader_of(root, str(BAD_READERS / "lying_reader.py"), lie)
    card = reader.open(root=str(root))
    reader.answer_s = 1.0
    with pytest.raises(CardStuckError) as caught:
        with card.open(card.files()[0]) as stream:
            stream.readinto(memoryview(mmap.mmap(-1, 4096)))
    assert caught.value.code == "card.stuck"
    reader.end()


def test_a_reader_can_not_take_the_shared_memory_away(root: Path) -> None:
    """A look at memory that was cut off would kill the dock."""
    reader = reader_of(root, str(BAD_READERS / "lying_reader.py"), "shorter memory")
    card = reader.open(root=str(root))
    with card.open(card.files()[0]) as stream:
        assert stream.readinto(memoryview(mmap.mmap(-1, 4096))) == 0
    reader.end()


def test_a_reader_that_does_not_answer_is_given_up(root: Path, tmp_path: Path) -> None:
    held = str(BAD_READERS / "held_reader.py")
    reader = reader_of(root, held, "device.json", str(tmp_path / "held"), str(tmp_path / "never"))
    before = set(children(os.getpid()))
    card = reader.open(root=str(root))
    file = next(file for file in card.files() if file.path[-1] == "device.json")
    reader.answer_s = 0.5
    with pytest.raises(CardStuckError, match="has not answered"):
        card.open(file)
    assert set(children(os.getpid())) <= before


def test_no_reader_can_be_started(root: Path) -> None:
    with pytest.raises(CardStuckError) as caught:
        CameraWorker(
            Workers(root / "no.sock"), {"place": "volume", "roots": [str(root)]}, SystemClock()
        ).open(root=str(root))
    assert caught.value.code == "reader.absent"


@NEEDS_LANDLOCK
def test_a_reader_reaches_its_card_and_nothing_else(root: Path, tmp_path: Path) -> None:
    """Another card, the vault, settings: whatever lies outside is shut, for root as well. Nothing
    is made on the card.
    """
    other = tmp_path / "other"
    other.mkdir()
    (other / "secret").write_text("secret")
    reader = reader_of(root)
    card = reader.open(root=str(root))
    with pytest.raises(CardGoneError):
        reader.open(root=str(other))
    file = card.files()[0]
    # A hard link on the card to what lies elsewhere is a file of the card; a symbolic one is none.
    (root / "link").symlink_to(other / "secret")
    listed = [found.path[-1] for found in card.files()]
    assert "link" not in listed
    assert file in card.files()
    reader.end()


@NEEDS_LANDLOCK
def test_a_reader_does_not_reach_where_its_dock_works(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service's working directory is /: Python would look for modules there, and the reader be
    granted all files.
    """
    (tmp_path / "dockd").mkdir()
    (tmp_path / "dockd" / "__init__.py").write_text(
        "raise SystemExit('a module from the working directory')"
    )
    monkeypatch.chdir(tmp_path)
    reader = reader_of(root)
    reader.open(root=str(root)).close()
    with pytest.raises(CardGoneError):
        reader.open(root=str(tmp_path))
    reader.end()


def test_a_reader_is_granted_its_own_device_and_no_other() -> None:
    """To write to another camera is to erase it. Who follows the bus opens none at all."""

    def beyond_reading(greeting: dict[str, Any]) -> dict[str, Rights]:
        return {
            str(path): rights
            for path, rights in granted(greeting).items()
            if rights & ~Rights.READING
        }

    null = {"/dev/null": Rights.DEVICES}
    camera = {"place": "usb", "bus": "libusb", "key": [1, [2, 3], 47]}
    assert beyond_reading(camera) == null | {"/dev/bus/usb/001/047": Rights.DEVICES}
    assert beyond_reading({"place": "bus", "bus": "libusb"}) == null
    assert beyond_reading({"place": "usb", "bus": "libusb", "key": [1, [2], "../../sda"]}) == null
    assert beyond_reading({"place": "volume", "roots": ["/card"]}) == null | {"/card": Rights.CARD}
    for greeting in (camera, {"place": "bus", "bus": "libusb"}):
        below_dev = {
            path: rights
            for path, rights in granted(greeting).items()
            if path.is_relative_to("/dev")
        }
        assert below_dev[Path("/dev/bus/usb")] == Rights.LISTING
        assert Path("/dev") not in below_dev
    assert not {Path("/"), Path()} & set(granted(camera))


@NEEDS_LANDLOCK
def test_a_confined_reader_writes_to_no_other_device() -> None:
    """Whatever its user may open."""
    said = subprocess.run(
        [sys.executable, "-c", CONFINED, "/dev/zero", "/dev/full", "/dev/null"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["/dev/null"]


@NEEDS_LANDLOCK
def test_landlock_grants_what_it_was_told_and_no_more(tmp_path: Path) -> None:
    card, vault = tmp_path / "card", tmp_path / "vault"
    for folder in (card, vault):
        folder.mkdir()
        (folder / "file").write_text("content")
    answers: dict[str, bool] = {}
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        restrict({card: Rights.CARD, tmp_path / "not there": Rights.READING})
        tries = {
            "read card": lambda: (card / "file").read_text(),
            "write card": lambda: (card / "file").write_text("other"),
            "make on card": lambda: (card / "new").touch(),
            "remove from card": lambda: (card / "file").unlink(),
            "read vault": lambda: (vault / "file").read_text(),
            "list vault": lambda: list(vault.iterdir()),
            "remove from vault": lambda: (vault / "file").unlink(),
            "link from vault": lambda: os.link(vault / "file", card / "link"),
            "run": lambda: os.execv("/bin/true", ["true"]),
        }
        said = []
        for name, attempt in tries.items():
            try:
                attempt()
                said.append(f"{name}=yes")
            except PermissionError:
                said.append(f"{name}=no")
        os.write(write, ",".join(said).encode())
        os._exit(0)
    os.close(write)
    assert os.waitpid(child, 0)[1] == 0
    answers = {
        name: word == "yes"
        for name, word in (said.split("=") for said in os.read(read, 4096).decode().split(","))
    }
    os.close(read)
    assert {name for name, could in answers.items() if could} == {"read card", "remove from card"}


def test_a_card_that_kills_its_reader_leaves_the_other_bays_running(tmp_path: Path) -> None:
    """After three deaths the port is closed; the dock is the same process, and takes in what stands
    elsewhere.
    """
    pier = Pier(tmp_path / "pier")
    deadly = pier.camera("BWC0666", 1)
    (deadly.root / "deadly.mp4").write_bytes(b"x")
    program = BAD_READERS / "crashing_reader.py"
    with Service(pier, reader=program, first_wait_s=0.01) as service:
        service.until("READY=1")
        service.until("STATUS=", containing="BWC0666: camera fault")
        service.until_bay("BWC0666", "closed")
        pier.camera("BWC0001", 2)
        service.until("STATUS=", containing="BWC0001 safe to take")
        assert service.stop() == 0
    assert pier.states() == {"BWC0001-000001": "erased", "BWC0001-000002": "erased"}
    assert len(list(deadly.root.rglob("*.mp4"))) > 1
    assert [event["event"] for event in service.journal()].count("port quarantined") == 1
    deaths = [
        event
        for event in service.journal()
        if event["event"] == "pull failed" and event["code"] == "reader.died"
    ]
    assert len(deaths) == 3


def test_readers_end_with_their_dock(tmp_path: Path) -> None:
    """Also with one that is killed: what a camera is held by must not outlive who asked for it."""
    pier = Pier(tmp_path / "pier")
    pier.camera(count=1)
    with Service(pier, held_at="0001.mp4") as service:
        service.until_held()
        (reader,) = children(service.process.pid)
        waiting = os.pidfd_open(reader)
        service.process.kill()
        service.process.wait()
        poll = select.poll()
        poll.register(waiting, select.POLLIN)
        assert poll.poll(ENOUGH_S * 1000), "the reader is still there"
        os.close(waiting)


def test_a_volume_is_read_where_it_is_mounted_and_erased_behind_the_door(tmp_path: Path) -> None:
    settings = DockSettings(
        vault=tmp_path / "v.toml",
        erase_socket=tmp_path / "erase.sock",
        erase_root=tmp_path / "erase",
        status_socket=tmp_path / "s",
    )
    card = Volume(tmp_path / "cards" / "1-3", "1-3", "VOL-1", "vfat", True)
    folder = Volume(tmp_path / "bays" / "1", "1", "1", "folder", False)
    approach = Approach(settings, Workers(None), SystemClock())
    assert approach.volume(folder).writable is None
    docked = approach.volume(card)
    assert docked.writable is not None
    with pytest.raises(Exception, match="nobody makes it writable"), docked.writable():
        pass


def test_errors_keep_their_words() -> None:
    failure = CardReadFailedError("The sentence.", hint="The hint.")
    again = failure_of(failure_words(failure))
    assert (type(again), again.sentence, again.hint) == (
        CardReadFailedError,
        "The sentence.",
        "The hint.",
    )
    with pytest.raises(LineBrokenError):
        failure_of({"code": "vault.full", "sentence": "", "hint": ""})
