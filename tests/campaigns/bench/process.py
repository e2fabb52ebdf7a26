"""Runs whole processes and says what they cost.

Each is started by a small Python of its own (this file as a program): a new process begins as a
copy of the one that starts it, and its peak would be at least what that one holds.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


class CommandFailed(RuntimeError):
    """A command that is measured did not do its work: its figures mean nothing."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process and all its children cost. `cpu_s` is user and system; `peak_bytes` the
    largest of them, resident.

    What the kernel's own threads did for it, as in writing back the page cache, is in `wall_s`
    only.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.wall_s + other.wall_s,
            self.cpu_s + other.cpu_s,
            max(self.peak_bytes, other.peak_bytes),
        )


NOTHING = Cost(0.0, 0.0, 0)


def measured(command: Sequence[str], environment: Mapping[str, str], told: Path) -> Cost:
    """Run a command to its end; what it prints goes to the file `told`. Raises CommandFailed with
    the last it said.
    """
    starter = [sys.executable, "-I", "-S", __file__, str(told), *command]
    answer = subprocess.run(
        starter, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True
    ).stdout
    code, cost = json.loads(answer)
    if code != 0:
        last = told.read_text(errors="replace")[-2000:]
        raise CommandFailed(f"{' '.join(command)} ended with {code}:\n{last}")
    return Cost(**cost)


def _run(told: Path, command: Sequence[str]) -> tuple[int, Cost]:
    with told.open("wb") as sink:
        began_s = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - began_s
    # Popen has not seen the end that wait4 took: without this it would wait for a process that is
    # gone.
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


if __name__ == "__main__":
    exit_code, what_it_cost = _run(Path(sys.argv[1]), sys.argv[2:])
    print(json.dumps([exit_code, asdict(what_it_cost)]))
