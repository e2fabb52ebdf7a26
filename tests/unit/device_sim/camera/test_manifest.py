"""Journal and manifest as bytes."""

import json
from dataclasses import replace

import pytest

from device_sim.camera.manifest import (
    Entry,
    Head,
    Stop,
    entry_line,
    head_from_journal,
    read_journal,
)
from tests.support.camera_contract import check_manifest, parse
from tests.unit.device_sim.camera.test_memory import HEAD

ENTRIES = [
    Entry("0000.mp4", 81_006, "01" * 32, 0, 10_000, True),
    Entry("0001.mp4", 83_042, "23" * 32, 10_000, 10_000, True),
    Entry("0002.mp4", 9_042, "45" * 32, 20_000, 12_345, True),
]


@pytest.mark.parametrize(
    "head", [HEAD, replace(HEAD, sample_rate=16_000, officer="BOA-17", overlaps="BWC0042-000006")]
)
def test_manifest_keeps_the_contract(head: Head) -> None:
    raw = head.manifest(ENTRIES, Stop("button", head.started_utc_ms + 32_345, 37_345))
    check_manifest(parse(raw, 1 << 20))
    assert head_from_journal(json.loads(head.journal_line())) == head


def test_recovered_ends_with_the_last_whole_segment() -> None:
    """Proves the contract's 2.3: also before the switch-on, and at the first frame when nothing was
    closed.
    """
    assert HEAD.recovered(ENTRIES[:2]) == Stop("recovered", HEAD.started_utc_ms + 20_000, 25_000)
    assert HEAD.recovered([]) == Stop("recovered", HEAD.started_utc_ms, 5_000)
    check_manifest(parse(HEAD.manifest(ENTRIES[:2], HEAD.recovered(ENTRIES[:2])), 1 << 20))
    check_manifest(parse(HEAD.manifest([], HEAD.recovered([])), 1 << 20))


def test_every_byte_of_a_journal_that_was_not_written() -> None:
    """Proves the contract's 2.3: a segment counts when its line is whole, and only then."""
    lines = [HEAD.journal_line(), *(entry_line(entry) for entry in ENTRIES)]
    whole = b"".join(lines)
    for length in range(len(whole) + 1):
        ended = whole[:length].count(b"\n")
        assert read_journal(whole[:length]) == ENTRIES[: max(0, ended - 1)]
        assert read_journal(whole[:length] + bytes(40)) == ENTRIES[: max(0, ended - 1)]
        assert read_journal(whole[:length] + b"\0\0\n")[:3] == ENTRIES[: max(0, ended - 1)][:3]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"1",
        b'"0003.mp4"',
        b'{"name":"0003.mp4"}',
        b'{"nam',
        b"\xff\xfe",
        b'{"name":"0003.mp4","other":1}',
    ],
)
def test_nothing_behind_a_line_that_does_not_parse(line: bytes) -> None:
    data = HEAD.journal_line() + entry_line(ENTRIES[0]) + line + b"\n" + entry_line(ENTRIES[1])
    assert read_journal(data) == ENTRIES[:1]
