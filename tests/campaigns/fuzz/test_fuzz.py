"""A slice of the fuzzer's run (fault A15), and parsers with planted mistakes, each of which it has
to find.
"""

import os
import re
import struct
from collections.abc import Callable

import pytest

from tests.campaigns.fuzz.campaign import quotas, run, run_in_processes
from tests.campaigns.fuzz.conversation import converse
from tests.campaigns.fuzz.guarded import Guarded, Past, Steps, weight
from tests.campaigns.fuzz.mutation import Seed, fit_boxes
from tests.campaigns.fuzz.parser import Bound, Hand, Parser, examine
from tests.campaigns.fuzz.parsers import PARSERS
from tests.campaigns.fuzz.server import enumerate_server

SLICE = 20_000
SEED = 20261123
GOOD = Seed((b"\x04", b"abcd", b"\x02\0", b"xy"))


class Refused(Exception):
    """What the parsers below may raise."""


def test_a_slice_finds_nothing() -> None:
    report = run(PARSERS, SLICE, SEED)
    assert not report.findings, "\n".join(str(finding) for finding in report.findings.values())
    assert report.inputs == SLICE


def test_inputs_are_neither_all_read_nor_all_refused() -> None:
    """What is refused at its first byte every time says nothing of the bytes behind it."""
    report = run(PARSERS, 2000, SEED)
    for parser in PARSERS:
        count = report.counts[parser.name]
        assert count.read >= count.inputs // 50 + 1, parser.name
        assert not parser.refusals or count.read < count.inputs, parser.name


def test_every_parser_reads_its_own_seeds() -> None:
    for parser in PARSERS:
        for example in parser.seeds[::201]:
            parser.read(
                memoryview(example.content) if parser.hand is Hand.VIEW else example.content
            )


def test_a_camera_without_sabotage_is_read_and_erased() -> None:
    """With every way of reading that a camera may have; what is lied to below begins from here."""
    listed = [
        ("DCIM/100MEDIA/A.MP4", 1283),
        ("DCIM/100MEDIA/B.MP4", 1012),
        ("DCIM/EMPTY.TXT", 0),
        ("NOTE.TXT", 1),
    ]
    for lacks in (0, 1, 2):
        (said,) = converse(bytes([lacks]) + bytes(7))
        assert said[:2] == [listed, []]
        assert said[3:] == [True, 1283, 1012, 0, 1, 0, True]


def test_a_second_configuration_is_asked_for() -> None:
    """Two configurations are rare and allowed; the one that can't be read has the device refused,
    and ends no thread.
    """
    second = struct.pack("<BBHI", 0, 18, 17, 2)
    assert len(converse(second)) == 1
    unreadable = struct.pack("<BBHI", 0, 19, 0, 0)
    assert "can't be read" in converse(second + unreadable)[0][1]


def test_a_server_is_believed_as_far_as_it_goes() -> None:
    parser = next(parser for parser in PARSERS if parser.name == "usbip.enumeration")
    assert enumerate_server(parser.seeds[0].content)[0] == ("1-3", 1, 9, 0x1209)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "usb.conversation",
            struct.pack("<BBHI", 40, 16, 0, 3),
        ),  # nothing but empty packets from its 40th answer on
        ("usb.conversation", struct.pack("<BBHI", 1, 16, 0, 3)),
        (
            "usb.conversation",
            struct.pack("<BBHI", 52, 13, 0, 0),
        ),  # pulled out while its pipe was drained
        (
            "usb.conversation",
            struct.pack("<BBHI", 215, 0, 0, 1),
        ),  # a clock that jumps to the calendar's first day
        ("usb.conversation", struct.pack("<BBHI", 215, 0, 0, 2)),  # and to its last
        ("usb.conversation", struct.pack("<BBHI", 0, 18, 17, 9)),  # nine configurations
        (
            "timeline",
            bytes.fromhex("0000000866747970 0000000c6d6f6f76 00000003"),
        ),  # a box too small, wherever a block ends
    ],
)
def test_what_was_found_once_is_not_found_again(name: str, content: bytes) -> None:
    parser = next(parser for parser in PARSERS if parser.name == name)
    _, finding = examine(parser, content, Steps())
    assert finding is None


def careful(content: bytes) -> object:
    """Two texts, each behind its length."""
    texts, at = [], 0
    for width in (1, 2):
        size = int.from_bytes(
            content[at : at + width] if at + width <= len(content) else b"", "little"
        )
        if at + width + size > len(content):
            raise Refused("too short")
        texts.append(bytes(content[at + width : at + width + size]))
        at += width + size
    return texts


def short_of_breath(content: bytes) -> object:
    """Believes that a length is there."""
    (size,) = struct.unpack_from("<H", content, 5)
    return size


def past_the_end(content: bytes) -> object:
    """Believes the length, and takes what a slice gives."""
    if not content:
        raise Refused("nothing")
    return bytes(content[1 : 1 + content[0]])


def past_the_view(content: memoryview) -> object:
    """Finds its way around the view that it was given."""
    whole = memoryview(content.obj)
    return bytes(whole[len(content) : len(content) + 20])


def past_the_dataset(content: bytes) -> object:
    """Takes as much of a string as there is, where the bytes are no longer guarded."""
    plain = bytes(content)
    if not plain:
        raise Refused("nothing")
    return plain[1:].ljust(plain[0])[: plain[0]]


def counting(content: bytes) -> object:
    """Counts as far as the input says."""
    total = 0
    for number in range(int.from_bytes(content.ljust(4, b"\0")[:4], "little")):
        total += number
    return total


def thinking(content: bytes) -> object:
    """Tries every way to cut a text that is not the one it knows."""
    return content == GOOD.content or _SLOW.fullmatch(b"a" * 100)


def generous(content: bytes) -> object:
    """Makes room for as much as the input says."""
    return bytes(int.from_bytes(content[:2], "little"))


def talkative(content: bytes) -> object:
    raise Refused(f"can't read {content!r:>5000}")


def swallowing(content: bytes) -> object:
    """Hides a reading past the end."""
    try:
        return bytes(content[1:99])
    except Exception:  # noqa: BLE001
        raise Refused("some trouble") from None


def forgetful(content: bytes) -> object:
    """Answers something else every time."""
    _SEEN.append(content)
    return len(_SEEN)


def deadly(content: bytes) -> object:
    if len(content) > 9:
        os._exit(23)
    return content


_SEEN: list[bytes] = []
_SLOW = re.compile(rb"(a?a?)*b")


def planted(read: Callable[..., object], hand: Hand = Hand.BYTES) -> Parser:
    return Parser(
        "planted", read, (Refused,), (GOOD,), hand, steps=Bound(200, 20), weight=Bound(100, 4)
    )


@pytest.mark.parametrize("hand", Hand)
def test_a_careful_parser_passes(hand: Hand) -> None:
    report = run([planted(careful, hand)], 2000, SEED)
    assert not report.findings
    assert 0 < report.counts["planted"].read < 2000


@pytest.mark.parametrize(
    ("read", "hand", "what"),
    [
        (short_of_breath, Hand.BYTES, r"struct\.error|error: unpack_from"),
        (past_the_end, Hand.BYTES, r"bytes \[1:\d+\] of \d+"),
        (past_the_view, Hand.VIEW, "around its input"),
        (past_the_dataset, Hand.DATASET, "behind its input"),
        (counting, Hand.BYTES, "more than .* steps"),
        (generous, Hand.BYTES, "weight"),
        (talkative, Hand.BYTES, "refuses in .* characters"),
        (swallowing, Hand.BYTES, r"bytes \[1:99\]"),
        (forgetful, Hand.DATASET, "behind its input"),
    ],
)
def test_a_planted_mistake_is_found(read: Callable[..., object], hand: Hand, what: str) -> None:
    report = run([planted(read, hand)], 500, SEED)
    assert any(re.search(what, finding.what) for finding in report.findings.values()), list(
        report.findings
    )
    for finding in report.findings.values():
        assert bytes.fromhex(str(finding).split("'")[-2]) == finding.content


def test_what_takes_no_steps_is_ended_by_the_processors_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.campaigns.fuzz.guarded.CPU_MAX_S", 0.2)
    report = run([planted(thinking)], 1, SEED)
    assert any("s of the processor" in finding.what for finding in report.findings.values()), list(
        report.findings
    )


def test_the_death_of_a_process_is_a_finding() -> None:
    report = run_in_processes([planted(deadly)], 400, SEED, 1)
    (finding,) = report.findings.values()
    assert "exit code 23" in finding.what
    assert len(finding.content) > 9


def test_processes_share_the_same_inputs() -> None:
    """Whatever their number, one seed gives one choice of inputs."""
    parsers = [parser for parser in PARSERS if parser.name in ("ptp.Container", "ptp.DateTime")]
    alone, shared = run(parsers, 1000, SEED), run_in_processes(parsers, 1000, SEED, 3)
    assert alone.counts == shared.counts


def test_quotas_add_up() -> None:
    for inputs in (0, 1, 17, 1_000_000):
        assert sum(quotas(PARSERS, inputs)) == inputs


def test_guarded_bytes_end_where_they_end() -> None:
    content = Guarded(b"abcd")
    assert (content[1:3], content[-1], content[4:], content[:]) == (b"bc", ord("d"), b"", b"abcd")
    for edges in (slice(2, 5), slice(5, None), slice(-5, None)):
        with pytest.raises(Past):
            content[edges]
    with pytest.raises(Past):
        content[1:][0:4]
    with pytest.raises(IndexError):
        content[4]


def test_weight_counts_what_a_value_holds() -> None:
    assert weight(b"12345678") == 9
    assert weight(1 << 800) == 101
    assert weight({"ab": (1, [2, "c"])}) == 1 + 3 + 1 + 1 + 1 + 1 + 2
    assert weight(Bound(1, 2)) == 3


def test_boxes_are_made_to_fit() -> None:
    inner = struct.pack(">I4s", 0xFFFFFFFF, b"tkhd") + b"four"
    outer = struct.pack(">I4s", 3, b"trak") + inner
    assert (
        fit_boxes(outer)
        == struct.pack(">I4s", 20, b"trak") + struct.pack(">I4s", 12, b"tkhd") + b"four"
    )
