"""Bad inputs by the million for every parser of untrusted bytes (fault A15).

    python -m tests.campaigns.fuzz --inputs 1000000 --seed 1 --processes 2

One seed gives one choice of inputs, however many processes share them. Exit code 1: something was
found, and stands below as bytes that can become a test.
"""

import argparse
import sys
import time

from tests.campaigns.fuzz.campaign import Report, run, run_in_processes
from tests.campaigns.fuzz.parsers import PARSERS


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m tests.campaigns.fuzz")
    words.add_argument("--inputs", type=int, default=1_000_000)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--processes", type=int, default=1)
    words.add_argument(
        "--only",
        action="append",
        choices=[parser.name for parser in PARSERS],
        help="this parser; may be repeated",
    )
    given = words.parse_args()
    parsers = [parser for parser in PARSERS if given.only is None or parser.name in given.only]
    begun_s = time.monotonic()
    if given.processes == 1:
        report = run(parsers, given.inputs, given.seed)
    else:
        report = run_in_processes(parsers, given.inputs, given.seed, given.processes)
    _show(report, time.monotonic() - begun_s)
    return 1 if report.findings else 0


def _show(report: Report, took_s: float) -> None:
    print(f"{'parser':<26}{'inputs':>10}{'read':>10}{'refused':>10}{'most steps':>12}")
    for name, count in report.counts.items():
        print(
            f"{name:<26}{count.inputs:>10,}{count.read:>10,}{count.inputs - count.read:>10,}{count.steps_max:>12,}"
        )
    print(
        f"{report.inputs:,} inputs in {took_s:.0f} s, {report.inputs / took_s:,.0f} inputs/s, "
        f"{len(report.findings)} findings"
    )
    for finding in report.findings.values():
        print(finding)


if __name__ == "__main__":
    sys.exit(main())
