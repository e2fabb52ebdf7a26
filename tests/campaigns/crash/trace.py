"""What a process did to a disk, written down by strace from outside: no hook in the program, and
SQLite's own I/O included.

A line of strace becomes a `Step`: one change below the world's folder, or one flush. Nothing that
changes a file may be passed over, as an image rebuilt from such a record would be of another disk:
a call that is not understood stops the reading.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

CALLS = (
    "open,openat,openat2,creat,write,pwrite64,writev,pwritev,pwritev2,lseek,fsync,fdatasync,sync_file_range,fallocate,"
    "truncate,ftruncate,link,linkat,symlink,symlinkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,"
    "sendfile,splice,copy_file_range"
)
LONGEST_WRITE_BYTES = 64 << 20
_MARK = "/dev/null"
_BEGIN, _END = b"begin", b"end"

_LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (.*)")
_UNFINISHED = re.compile(r"(\d+) +(.*) <unfinished \.\.\.>")
_RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)")
_FD = re.compile(r"(\w+)<((?:\\x[0-9a-f]{2})*)>(\(deleted\))?")


_NAME_CALLS = {
    "unlink": "unlink",
    "unlinkat": "unlink",
    "mkdir": "mkdir",
    "mkdirat": "mkdir",
    "rmdir": "rmdir",
    "link": "link",
    "linkat": "link",
    "rename": "rename",
    "renameat": "rename",
    "renameat2": "rename",
}


class NotUnderstood(Exception):
    """A call changes the world in a way that the model of the disk does not know."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change, or one flush, of one path below the world's folder. `offset` None: at the end of
    the file.
    """

    call: str
    path: str
    data: bytes = b""
    offset: int | None = 0
    target: str = ""

    def __str__(self) -> str:
        place = f" {self.path}" + (f" -> {self.target}" if self.target else "")
        size = (
            f" {len(self.data)} at {self.offset}"
            if self.call == "write"
            else f" {self.offset}"
            if self.offset
            else ""
        )
        return self.call + place + size


@dataclass(slots=True)
class _Open:
    """An open file of the traced process."""

    path: str
    append: bool
    position: int = 0


class Reader:
    """Turns the lines of one process into steps. Keeps what is open, for the calls that name no
    offset.
    """

    def __init__(self) -> None:
        self._folder = ""
        self._open: dict[int, _Open] = {}
        self._unfinished: dict[str, str] = {}

    def below(self, folder: Path) -> None:
        """From now on only changes below `folder` are steps, with paths relative to it."""
        self._folder = f"{folder}/"
        self._open.clear()

    def whole(self, line: str) -> str | None:
        """The line, joined where another thread's came between; None where its rest is still to
        come.
        """
        if found := _UNFINISHED.fullmatch(line):
            self._unfinished[found[1]] = found[2]
            return None
        if found := _RESUMED.fullmatch(line):
            return f"{found[1]} {self._unfinished.pop(found[1])}{found[2]}"
        return line

    def marked(self, line: str) -> bytes | None:
        """What the worker wrote to its marker, None for any other line."""
        if " write(" not in line or _hex(_MARK) not in line:
            return None
        found = _LINE.fullmatch(line)
        return _bytes(found[3].split(", ")[1]) if found else None

    def steps(self, line: str) -> Iterator[Step]:
        """The steps of one whole line: none for a failed call, or one outside of the world."""
        found = _LINE.fullmatch(line)
        if not found or found[4].startswith("-1 "):
            return
        name, arguments, result = found[2], found[3].split(", "), found[4]
        match name:
            case "openat" | "open" | "creat" | "openat2":
                yield from self._opened(name, arguments, result)
            case "write" | "pwrite64":
                yield from self._written(name, arguments, int(result))
            case "lseek":
                self._open_of(arguments[0]).position = int(result)
            case "fsync" | "fdatasync":
                yield from self._on(arguments[0], "sync", 0)
            case "ftruncate":
                yield from self._on(arguments[0], "truncate", int(arguments[1]))
            case "fallocate":
                yield from self._allocated(arguments)
            case "sync_file_range":
                pass
            case _:
                yield from self._named(name, arguments)

    # --- open files -------------------------------------------------------------------------------

    def _opened(self, name: str, arguments: list[str], result: str) -> Iterator[Step]:
        fd = _FD.match(result)
        if fd is None:
            raise NotUnderstood(f"{name}: {result}")
        path, flags = _text(fd[2]), "|".join(arguments)
        self._open[int(fd[1])] = _Open(path, "O_APPEND" in flags)
        inside = self._inside(path)
        if inside is None:
            return
        if name not in ("openat", "open") or "O_TMPFILE" in flags:
            raise NotUnderstood(f"{name} of {path}")
        if "O_CREAT" in flags:
            yield Step("create", inside)
        if "O_TRUNC" in flags:
            yield Step("truncate", inside)

    def _written(self, name: str, arguments: list[str], count: int) -> Iterator[Step]:
        file = self._open_of(arguments[0])
        inside = self._inside(file.path)
        offset = int(arguments[3]) if name == "pwrite64" else None if file.append else file.position
        if name == "write":
            file.position += count
        if inside is not None and "(deleted)" not in arguments[0]:
            if arguments[1].endswith("..."):
                raise NotUnderstood(
                    f"a write of {count} bytes to {inside} was cut short in the record"
                )
            yield Step("write", inside, _bytes(arguments[1])[:count], offset)

    def _allocated(self, arguments: list[str]) -> Iterator[Step]:
        steps = list(self._on(arguments[0], "allocate", int(arguments[2]) + int(arguments[3])))
        if steps and arguments[1] != "0":
            raise NotUnderstood(f"fallocate with the mode {arguments[1]}")
        yield from steps

    def _on(self, descriptor: str, call: str, size: int) -> Iterator[Step]:
        inside = self._inside(self._open_of(descriptor).path)
        if inside is not None and "(deleted)" not in descriptor:
            yield Step(call, inside, offset=size)

    def _open_of(self, descriptor: str) -> _Open:
        """By number: what strace shows behind it is the same, or what the program
        was started with.
        """
        found = _FD.match(descriptor)
        if found is None:
            raise NotUnderstood(f"a descriptor {descriptor}")
        path = _text(found[2])
        held = self._open.get(int(found[1]))
        if held is None or held.path != path:
            held = self._open[int(found[1])] = _Open(path, append=False)
        return held

    # --- names ------------------------------------------------------------------------------------

    def _named(self, name: str, arguments: list[str]) -> Iterator[Step]:
        call = _NAME_CALLS.get(name)
        paths = [self._inside(path) for path in (self._paths if call else self._all)(arguments)]
        if not any(path is not None for path in paths):
            return
        match call, paths:
            case ("unlink", [str() as path]):
                yield Step("rmdir" if arguments[-1] == "AT_REMOVEDIR" else "unlink", path)
            case ("rmdir" | "mkdir", [str() as path]):
                yield Step(call, path)
            case ("link" | "rename", [str() as path, str() as target]) if (
                "RENAME_EXCHANGE" not in arguments[-1]
            ):
                yield Step(call, path, target=target)
            case _:
                raise NotUnderstood(f"{name} of {paths}")

    def _paths(self, arguments: list[str]) -> Iterator[str]:
        """The names that a call gives, each in the folder whose descriptor stands before it."""
        folder = ""
        for argument in arguments:
            if argument.startswith('"'):
                yield os.path.normpath(os.path.join(folder, _text(argument)))  # noqa: PTH118
            elif found := _FD.match(argument):
                folder = _text(found[2])

    def _all(self, arguments: list[str]) -> Iterator[str]:
        """Everything that a call may be about: names and open files."""
        yield from self._paths(arguments)
        yield from (_text(found[2]) for argument in arguments if (found := _FD.match(argument)))

    def _inside(self, path: str) -> str | None:
        if not self._folder or not f"{path}/".startswith(self._folder):
            return None
        return path[len(self._folder) :]


def _hex(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def _bytes(argument: str) -> bytes:
    return bytes.fromhex(argument.strip('".').replace("\\x", ""))


def _text(argument: str) -> str:
    return _bytes(argument).decode("utf-8", "surrogateescape")


class Recorder:
    """A long-lived worker under strace that works on one world after another, and the record of
    each.

    The worker reads a folder a line, writes a marker, works, writes a marker, and answers with one
    line.
    """

    def __init__(self, module: str) -> None:
        trace_end, strace_end = os.pipe()
        command = [
            "strace",
            "-f",
            "--seccomp-bpf",
            "-qq",
            "-y",
            "-xx",
            "-s",
            str(LONGEST_WRITE_BYTES),
        ]
        command += ["-e", f"trace={CALLS}", "-e", "signal=none", "-o", f"/dev/fd/{strace_end}"]
        self._process = subprocess.Popen(
            [*command, sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=(strace_end,),
        )
        os.close(strace_end)
        self._trace = os.fdopen(trace_end, encoding="ascii", errors="replace")
        self._reader = Reader()

    def record(self, folder: Path) -> tuple[list[Step], str]:
        """Let the worker work on a world; returns its steps and the worker's answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{folder}\n")
        self._process.stdin.flush()
        self._reader.below(folder)
        steps = list(self._between_marks())
        return steps, self._process.stdout.readline().rstrip("\n")

    def _between_marks(self) -> Iterator[Step]:
        begun = False
        for line in self._whole_lines():
            mark = self._reader.marked(line)
            if mark == _END:
                return
            if begun:
                yield from self._reader.steps(line)
            begun = begun or mark == _BEGIN
        raise NotUnderstood(f"the worker died with {self._process.wait()}")

    def _whole_lines(self) -> Iterable[str]:
        for line in self._trace:
            whole = self._reader.whole(line.rstrip("\n"))
            if whole is not None:
                yield whole

    def close(self) -> None:
        """Let the worker end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        for _ in self._trace:
            pass
        self._trace.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Marker:
    """The worker's side of the marks."""

    def __init__(self) -> None:
        self._fd = os.open(_MARK, os.O_WRONLY | os.O_CLOEXEC)

    def begin(self) -> None:
        os.write(self._fd, _BEGIN)

    def end(self) -> None:
        os.write(self._fd, _END)
