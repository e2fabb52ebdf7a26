"""Every parser of untrusted bytes in dockd, with good inputs to begin from (fault A15)."""

import json
import struct
from pathlib import Path

import usb.core

from dockd.card.document import ManifestRefusedError, device_document, recording_document
from dockd.card.judgement import judge
from dockd.card.mp4_boxes import BrokenBoxError, SampleDefaults, read_moof, read_moov
from dockd.card.timeline import SegmentFacts, SegmentTimeline
from dockd.usb import ptp
from dockd.usb.descriptors import parse_configuration
from tests.campaigns.fuzz.conversation import CONFIGURATION, WITH_KEYBOARD, converse
from tests.campaigns.fuzz.mutation import Seed, fit_boxes
from tests.campaigns.fuzz.parser import Bound, Differs, Hand, Parser
from tests.campaigns.fuzz.server import ANSWER, IMPORT, LIST, device, enumerate_server
from tests.support import golden_ptp as golden
from tests.support.card_maker import CardMaker, Gop, box, fragment, full_box, init
from vault.recording import Origin, RecordingClaim, TimelineVerdict

_DEFAULTS = {1: SampleDefaults(3000, 0x0101_0000)}
_MAKER = CardMaker(Path("unused"))
_RECORDING = _MAKER.make(seconds=4, preroll_ms=2000, segment_s=2)
_SEGMENT = (
    init()
    + fragment(1, Gop(0, 3, audio_start=0, aac_frames=2, payload=24))
    + fragment(2, Gop(9000, 3, payload=24))
)
_PIECE_BYTES = 7
"""Odd and small: the cuts between two blocks fall everywhere in a box."""


def _header(content: bytes) -> object:
    header = ptp.Header.decode(content)
    if header.encode() != content[: ptp.HEADER_BYTES]:
        raise Differs("another header is written than was read")
    return header


def _container(content: bytes) -> object:
    container = ptp.Container.decode(content)
    if container.encode() != content:
        raise Differs("another container is written than was read")
    return container, container.parameters


def _device_info(content: bytes) -> object:
    info = ptp.DeviceInfo.decode(content)
    if ptp.DeviceInfo.decode(info.encode()) != info:
        raise Differs("another DeviceInfo is written than was read")
    return info


def _storage_info(content: bytes) -> object:
    info = ptp.StorageInfo.decode(content)
    if ptp.StorageInfo.decode(info.encode()) != info:
        raise Differs("another StorageInfo is written than was read")
    return info


def _object_info(content: bytes) -> object:
    info = ptp.ObjectInfo.decode(content)
    if ptp.ObjectInfo.decode(info.encode()) != info:
        raise Differs("another ObjectInfo is written than was read")
    return info


def _text(content: bytes) -> object:
    text = ptp.decode_text(content, "a text")
    if ptp.decode_text(ptp.encode_text(text), "a text") != text:
        raise Differs("another string is written than was read")
    return text


def _handles(content: bytes) -> object:
    return ptp.decode_handles(content, "handles")


def _u64(content: bytes) -> object:
    return ptp.decode_u64(content, "a size")


def _time(content: bytes) -> object:
    moment = ptp.DateTime.decode(ptp.decode_text(content, "a time"))
    if ptp.DateTime.decode(moment.encode()) != moment:
        raise Differs("another time is written than was read")
    return moment, moment.utc()


def _moof(content: memoryview) -> object:
    return read_moof(content, 1, _DEFAULTS)


def _timeline(content: memoryview) -> object:
    """The facts must not depend on how the bytes were cut into blocks."""
    facts = _facts(content, len(content) + 1)
    if _facts(content, _PIECE_BYTES) != facts:
        raise Differs("the timeline depends on how its bytes are cut into blocks")
    return facts, judge(_CLAIM, [facts, None]), judge(_CLAIM, [_GOOD_FACTS, facts])


def _facts(content: bytes | memoryview, block_bytes: int) -> SegmentFacts:
    timeline, view = SegmentTimeline(), memoryview(content)
    for start in range(0, len(view), block_bytes):
        timeline(view[start : start + block_bytes])
    return timeline.facts()


def _claim(manifest: bytes) -> RecordingClaim:
    return RecordingClaim(
        Origin.MANIFEST, _MAKER.serial, _RECORDING.name, "", (), manifest=manifest
    )


def _recording(content: bytes) -> tuple[object, TimelineVerdict]:
    """The document, and the verdict on good segments by what it states."""
    return recording_document(content), judge(_claim(bytes(content)), [_GOOD_FACTS, None])


_CLAIM = _claim(_RECORDING.raw())
_GOOD_FACTS = _facts(_SEGMENT, len(_SEGMENT))


def _ptp(*examples: golden.Golden) -> tuple[Seed, ...]:
    return tuple(Seed(example.pieces) for example in examples)


def fit_container(content: bytes) -> bytes:
    """A container that states its own length, so that a parser looks inside at all."""
    return (
        struct.pack("<I", len(content)) + content[4:]
        if len(content) >= ptp.HEADER_BYTES
        else content
    )


_TIMES = tuple(
    Seed.cut(ptp.encode_text(text), range(1, 2 * len(text), 2))
    for text in (
        "20261123T215019-0930",
        "20261123T215019.7Z",
        "00010101T000000+2359",
        "99991231T235959.9-0001",
        "20240229T000000",
    )
)


def _children(content: bytes, kind: bytes) -> Seed:
    """What stands in the first box of this kind."""
    start = content.index(kind) + 4
    (size,) = struct.unpack_from(">I", content, start - 8)
    return Seed.of_boxes(content[start : start - 8 + size])


_LONG_TIMES = full_box(b"mvhd", 1, 0, struct.pack(">QQIQ", 0, 0, 600, 600 * 3600)) + box(
    b"trak",
    full_box(b"tkhd", 1, 0, struct.pack(">QQI", 0, 0, 7)),
    box(b"mdia", full_box(b"mdhd", 1, 0, struct.pack(">QQIQ", 0, 0, 12_800, 0))),
)
_EVERY_FIELD = box(
    b"traf",
    full_box(b"tfhd", 0, 0x3B, struct.pack(">IQIIII", 1, 5, 6, 40, 9, 0x0200_0000)),
    full_box(b"tfdt", 0, 0, struct.pack(">I", 9000)),
    full_box(
        b"trun", 0, 0xF05, struct.pack(">IiI8I", 2, 16, 0x0200_0000, 7, 99, 0, 55, 8, 99, 0, 55)
    ),
)

_JSON_TOKENS = (
    b"null",
    b"true",
    b"false",
    b"0",
    b"-1",
    b"-0",
    b"1.0",
    b"1e999",
    b"NaN",
    b"-Infinity",
    b"30000",
    b"9007199254740991",
    b"9007199254740992",
    b"-9007199254740992",
    b"9" * 5000,
    b'""',
    b'"0000.mp4"',
    b'"0001.mp4"',
    b'"BWC0042-000001"',
    b'"\\ud800"',
    b'"\\u0000"',
    b'"\\ud83d\\udcf7"',
    b'"\xc3\xa4\xe2\x80\xae"',
    b'"\xff"',
    b'"' + b"A" * 65 + b'"',
    b'"' + b"f" * 64 + b'"',
    b'"recovered"',
    b'"just_switched_on"',
    b'"2026-02-30T12:00:00.000Z"',
    b'"9999-12-31T23:59:59.999Z"',
    b'"0000-01-01T00:00:00.000Z"',
    b'"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="',
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b'"',
    b"\\",
    b"[" * 9,
    b"[" * 3000,
    b'{"a":' * 100,
    b"]" * 9,
    b"[]",
    b"{}",
    b"\xef\xbb\xbf",
    b"\0",
    b"\xed\xa0\x80",
    b'"counter": 1,',
    b'"x": 1,',
)
_RECORDING_JSON = json.dumps(_RECORDING.document).encode()
_RECOVERED_JSON = json.dumps(
    _RECORDING.document
    | {
        "segments": [],
        "stop_reason": "recovered",
        "audio": None,
        "officer": None,
        "counter": 2,
        "overlaps": _RECORDING.name,
    }
    | {"recording": f"{_MAKER.serial}-000002", "previous_sha256": "0" * 64}
).encode()


def fit_descriptors(content: bytes) -> bytes:
    """A configuration that states its own length, so that a parser looks inside at all."""
    return content[:2] + struct.pack("<H", len(content) & 0xFFFF) + content[4:]


def _orders(*orders: tuple[int, int, int, int]) -> Seed:
    return Seed(
        tuple(piece for turn, act, at, value in orders for piece in _order(turn, act, at, value))
    )


def _order(turn: int, act: int, at: int, value: int) -> tuple[bytes, ...]:
    return bytes([turn]), bytes([act]), struct.pack("<H", at), struct.pack("<I", value)


_CONVERSATIONS = (
    *[
        _orders((turn % 3, 20, 0, 0), (turn, act, 12 + 7 * turn, act + turn))
        for turn in range(250)
        for act in range(20)
    ],
    *[
        _orders((turn % 3, 20, 0, 0), (turn, 0, 0, kind))
        for turn in range(192, 250)
        for kind in range(50)
    ],
    *[
        _orders((turn, turn % 17, 12, turn), (7 * turn % 160, turn % 13, 300, 2**31))
        for turn in range(160)
    ],
    _orders((0, 15, 0, 0), (0, 19, 12, 7)),
)
"""One or two sabotages, of every kind, at many turns."""

_LISTED = (LIST, *device(3), b"\6\1\1\0", *device(4), b"\6\1\1\0")
_SERVERS = (
    Seed((struct.pack("<H", sum(map(len, _LISTED))), *_LISTED, IMPORT, *device(3))),
    Seed(
        (struct.pack("<H", sum(map(len, _LISTED))), *_LISTED, IMPORT, *device(3), ANSWER, bytes(18))
    ),
)

PARSERS = (
    Parser(
        "ptp.Header",
        _header,
        (ptp.Malformed,),
        _ptp(*golden.CONTAINERS, golden.LONG_DATA),
        Hand.DATASET,
        share=6,
    ),
    Parser(
        "ptp.Container",
        _container,
        (ptp.Malformed,),
        _ptp(*golden.CONTAINERS),
        mend=fit_container,
        share=10,
    ),
    Parser(
        "ptp.DeviceInfo",
        _device_info,
        (ptp.Malformed,),
        _ptp(golden.DEVICE_INFO, golden.BARE_DEVICE_INFO),
        Hand.DATASET,
        share=16,
    ),
    Parser(
        "ptp.StorageInfo",
        _storage_info,
        (ptp.Malformed,),
        _ptp(golden.STORAGE_INFO),
        Hand.DATASET,
        share=8,
    ),
    Parser(
        "ptp.ObjectInfo",
        _object_info,
        (ptp.Malformed,),
        _ptp(*golden.OBJECT_INFOS),
        Hand.DATASET,
        share=16,
    ),
    Parser(
        "ptp.decode_handles",
        _handles,
        (ptp.Malformed,),
        _ptp(golden.HANDLES, golden.NO_HANDLES),
        Hand.DATASET,
        share=6,
    ),
    Parser("ptp.decode_text", _text, (ptp.Malformed,), _ptp(*golden.TEXTS), Hand.DATASET, share=6),
    Parser(
        "ptp.decode_u64", _u64, (ptp.Malformed,), _ptp(golden.OBJECT_SIZE), Hand.DATASET, share=2
    ),
    Parser("ptp.DateTime", _time, (ptp.Malformed,), _TIMES, Hand.DATASET, share=6),
    Parser(
        "boxes.read_moov",
        read_moov,
        (BrokenBoxError, struct.error),
        (_children(init(), b"moov"), Seed.of_boxes(_LONG_TIMES)),
        Hand.VIEW,
        mend=fit_boxes,
        share=8,
    ),
    Parser(
        "boxes.read_moof",
        _moof,
        (BrokenBoxError, struct.error),
        (_children(_SEGMENT, b"moof"), Seed.of_boxes(_EVERY_FIELD)),
        Hand.VIEW,
        mend=fit_boxes,
        share=8,
    ),
    Parser(
        "timeline",
        _timeline,
        (),
        (Seed.of_boxes(_SEGMENT),),
        Hand.VIEW,
        mend=fit_boxes,
        steps=Bound(20_000, 60),
        weight=Bound(20_000, 8),
        share=3,
    ),
    Parser(
        "document.device.json",
        device_document,
        (ManifestRefusedError,),
        (Seed.of_json(json.dumps(_MAKER.device()).encode()),),
        tokens=_JSON_TOKENS,
        share=8,
    ),
    Parser(
        "document.recording.json",
        _recording,
        (ManifestRefusedError,),
        (Seed.of_json(_RECORDING_JSON), Seed.of_json(_RECOVERED_JSON)),
        tokens=_JSON_TOKENS,
        weight=Bound(10_000, 8),
        share=8,
    ),
    Parser(
        "descriptors.parse_configuration",
        parse_configuration,
        (usb.core.USBError,),
        (Seed.of_descriptors(CONFIGURATION), Seed.of_descriptors(WITH_KEYBOARD)),
        mend=fit_descriptors,
        steps=Bound(1000, 30),
        share=12,
    ),
    Parser("usbip.enumeration", enumerate_server, (), _SERVERS, steps=Bound(10_000, 40), share=2),
    Parser(
        "usb.conversation",
        converse,
        (),
        _CONVERSATIONS,
        steps=Bound(3_000_000, 0),
        weight=Bound(200_000, 0),
        share=2,
    ),
)
"""All of them."""
