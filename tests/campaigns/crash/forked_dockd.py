"""`dockd` processes that start in a moment: a parent that has imported it once, and forks.

What runs in the child is dockd's own `main`, with its own arguments, threads and exit code; only
the half second of importing is not paid again each time. The child waits until strace has attached
to it, so that nothing of dockd runs unseen.

    python -m tests.campaigns.crash.forked_dockd      reads one JSON object a line: {"arguments", "temporary", "output"}, answers the child's
                                       number, reads an empty line (go), answers the child's exit code
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn, Self

import sqlalchemy.dialects.sqlite.pysqlite  # noqa: F401 - what the first transaction would import

from dockd.__main__ import main as dockd_main

LONGEST_RUN_S = 60
"""A child that runs for longer hangs, and is killed: the caller sees an exit code that it did not
ask for.
"""

_PR_SET_PTRACER = 0x59616D61
_PR_SET_PTRACER_ANY = -1


class Nursery:
    """The parent's keeper. One child at a time; one thread."""

    def __init__(self) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.campaigns.crash.forked_dockd"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._child = 0

    def prepare(self, arguments: list[str], temporary: Path, output: Path) -> int:
        """A child that waits before its first step; its process number."""
        request = json.dumps(
            {"arguments": arguments, "temporary": str(temporary), "output": str(output)}
        )
        self._child = int(self._ask(request))
        return self._child

    def run(self) -> int:
        """Let it run to its end: its exit code, or minus the signal that killed it."""
        return int(self._ask(""))

    def _ask(self, line: str) -> str:
        pipe_in, pipe_out = self._pipes()
        pipe_in.write(line + "\n")
        pipe_in.flush()
        if not select.select([pipe_out], [], [], LONGEST_RUN_S)[0]:
            os.kill(self._child, signal.SIGKILL)
        answer = pipe_out.readline()
        if not answer:
            raise RuntimeError("the parent of the dockd processes has died")
        return answer

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        if self._parent.stdin is None or self._parent.stdout is None:
            raise RuntimeError("no pipes to the parent of the dockd processes")
        return self._parent.stdin, self._parent.stdout

    def close(self) -> None:
        for pipe in self._pipes():
            pipe.close()
        self._parent.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def serve() -> None:
    """The parent: one child for each request, until the requests end."""
    while request := sys.stdin.readline():
        go, start = os.pipe()
        child = os.fork()
        if not child:
            os.close(start)
            _be_born(json.loads(request), go)
        os.close(go)
        print(child, flush=True)
        sys.stdin.readline()
        os.close(start)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _be_born(request: dict[str, Any], go: int) -> NoReturn:
    """The child: wait to be let go, then be a `dockd` process, and never return into the parent's
    code.
    """
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_long(_PR_SET_PTRACER_ANY), 0, 0, 0)
        _take_streams(Path(request["output"]))
        os.environ["TMPDIR"] = request["temporary"]
        tempfile.tempdir = None
        sys.argv = ["dockd", *request["arguments"]]
        os.read(go, 1)
        os.close(go)
        dockd_main()
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 1
    except BaseException:  # noqa: BLE001 - as the interpreter does with what nobody caught
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _take_streams(output: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    said = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(said)


if __name__ == "__main__":
    serve()
