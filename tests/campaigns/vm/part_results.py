"""How a part of a run went, said at once; and how long each of its steps took."""

import subprocess
from collections.abc import Callable

from tests.campaigns.vm.machine import MachineFailed
from vault.clock import Clock

SENTENCE_MAX = 4000
FAILURES = (
    AssertionError,
    MachineFailed,
    OSError,
    LookupError,
    ValueError,
    StopIteration,
    subprocess.SubprocessError,
)


class Course:
    """The course of a run: parts that pass or fail, and measured steps."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.measured: dict[str, float] = {}
        self.failed = 0

    def now_s(self) -> float:
        return self.clock.monotonic_s()

    def step(self, name: str, began_s: float) -> float:
        """Keep and say how long something took, in seconds."""
        took_s = self.now_s() - began_s
        self.measured[name] = took_s
        print(f"     {took_s:6.1f} s  {name}", flush=True)
        return took_s

    def part(self, name: str, run: Callable[[], str]) -> bool:
        """Run a part and say how it went."""
        began_s = self.now_s()
        try:
            info = run()
        except FAILURES as error:
            self.failed += 1
            said = f"{type(error).__name__}: {str(error)[:SENTENCE_MAX]}"
            print(f"FAIL {self.now_s() - began_s:6.1f} s  {name}: {said}", flush=True)
            return False
        print(f"PASS {self.now_s() - began_s:6.1f} s  {name}: {info}", flush=True)
        return True
