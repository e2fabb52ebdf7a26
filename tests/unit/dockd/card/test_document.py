"""The two documents as untrusted bytes: any bytes are a checked value or a refusal, and never
anything else. Fault A15.
"""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockd.card.document import (
    DEVICE_MAX_BYTES,
    RECORDING_MAX_BYTES,
    ManifestRefusedError,
    device_document,
    recording_document,
)
from tests.support.card_maker import CardMaker

CAMERA = CardMaker(Path("nowhere"))


def raw_with(place: str, value: object) -> bytes:
    """A well-formed recording.json with one value put at a dotted place; a list's index is a
    number.
    """
    document: Any = CAMERA.make(counter=2).document
    inner = document
    *way, last = place.split(".")
    for step in way:
        inner = inner[int(step)] if step.isdigit() else inner[step]
    inner[int(last) if last.isdigit() else last] = value
    return json.dumps(document).encode()


def said(raw: bytes) -> str:
    """The refusal's sentence, empty for what was read."""
    try:
        recording_document(raw)
    except ManifestRefusedError as error:
        return error.sentence
    return ""


def refusal(raw: bytes) -> ManifestRefusedError:
    with pytest.raises(ManifestRefusedError) as caught:
        recording_document(raw)
    assert caught.value.sentence.isprintable()
    assert len(caught.value.sentence) < 500
    return caught.value


@pytest.mark.parametrize("counter", [1, 2, 999_999])
@pytest.mark.parametrize("preroll_ms", [0, 15_000, 30_000])
@pytest.mark.parametrize("audio", [True, False])
def test_what_the_contract_names_is_read(counter: int, preroll_ms: int, audio: bool) -> None:
    made = CAMERA.make(counter, preroll_ms=preroll_ms, audio=audio)
    document = recording_document(made.raw())
    assert document.recording == made.name
    assert document.preroll.delivered_ms == preroll_ms
    assert [segment.bytes for segment in document.segments] == [
        len(content) for content in made.segments.values()
    ]


def test_a_device_is_read() -> None:
    document = device_document(json.dumps(CAMERA.device()).encode())
    assert document.serial == "BWC0042"
    assert document.public_key == CAMERA.public_key


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("serial", "bwc0042"),
        ("serial", "B"),
        ("serial", "../../X"),
        ("serial", "BWC0042\n"),
        ("serial", "Ｂwc0042"),
        ("model", "m" * 65),
        ("model", 7),
        ("public_key", "AAAA"),
        ("public_key", "not base64!"),
        ("public_key", CAMERA.device()["public_key"] + "\n"),
        ("public_key", CAMERA.device()["public_key"][:-2] + "9="),
        ("public_key", None),
        ("battery_percent", 101),
        ("battery_percent", True),
        ("free_bytes", -1),
        ("storage_bytes", "32"),
        ("clock_utc", "2026-11-23T21:50:19Z"),
        ("clock_utc", "2026-11-23T21:50:19.123+00:00"),
        ("clock_utc", "2026-02-30T21:50:19.123Z"),
        ("clock_utc", "２026-11-23T21:50:19.123Z"),
        ("clock_utc", 1_700_000_000),
        ("format", "bodycam-card/device/2"),
        ("extra", 1),
    ],
)
def test_a_device_with_one_wrong_value_is_refused(key: str, value: object) -> None:
    with pytest.raises(ManifestRefusedError) as caught:
        device_document(json.dumps(CAMERA.device(**{key: value})).encode())
    assert caught.value.code == "manifest.invalid"
    assert key in caught.value.sentence


@pytest.mark.parametrize("key", sorted(CAMERA.make(2).document))
def test_every_key_must_stand(key: str) -> None:
    document = CAMERA.make(2).document
    del document[key]
    assert f"`{key}`" in refusal(json.dumps(document).encode()).sentence


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        # Other formats, other names, other types.
        ("format", "bodycam-card/recording/2", "format"),
        ("unknown", 1, "unknown"),
        ("camera.unknown", 1, "camera.unknown"),
        ("segments.0.unknown", 1, "segments.0.unknown"),
        ("counter", True, "counter"),
        ("counter", 2.0, "integer"),
        ("counter", "2", "counter"),
        ("counter", 0, "counter"),
        ("counter", -2, "counter"),
        ("counter", 1_000_000, "counter"),
        ("officer", 5, "officer"),
        ("officer", "o" * 65, "officer"),
        ("officer", "\ud800", "officer"),
        ("camera", None, "camera"),
        ("camera", [], "camera"),
        ("segments", {}, "segments"),
        ("stop_reason", "dropped", "stop_reason"),
        ("preroll.audio", 0, "preroll.audio"),
        ("preroll.requested_ms", 15_000, "preroll.requested_ms"),
        ("preroll.short_because", "tired", "preroll.short_because"),
        ("video.codec", "hvc1.1.6", "video.codec"),
        ("video.fps", 0, "video.fps"),
        ("video.fps", 29.97, "integer"),
        ("audio.codec", "opus", "audio.codec"),
        ("previous_sha256", "A" * 64, "previous_sha256"),
        ("previous_sha256", "a" * 63, "previous_sha256"),
        ("segments.0.sha256", "a" * 64 + "\n", "segments.0.sha256"),
        ("segments.0.name", "../../etc/passwd", "segments.0.name"),
        ("segments.0.bytes", 0, "segments.0.bytes"),
        ("segments.0.bytes", 2**32 - 1, "segments.0.bytes"),
        ("segments.0.preroll", 1, "segments.0.preroll"),
        ("segments.0.start_ms", -1, "segments.0.start_ms"),
        # What contradicts itself.
        ("recording", "BWC0042-000003", "serial and counter"),
        ("counter", 3, "serial and counter"),
        ("camera.serial", "BWC0043", "serial and counter"),
        ("previous_sha256", None, "null for counter 1"),
        ("overlaps", "BWC0042-000002", "no earlier recording"),
        ("overlaps", "BWC0042-000000", "no earlier recording"),
        ("overlaps", "BWC0043-000001", "no earlier recording"),
        ("started_mono_ms", 2_031_000, "in this order"),
        ("stopped_mono_ms", 2_029_999, "in this order"),
        ("preroll.delivered_ms", 29_999, "from start to switch-on"),
        ("triggered_mono_ms", 2_029_999, "from start to switch-on"),
        ("segments.1.name", "0002.mp4", "segment 1 is named 0002.mp4"),
        ("segments.0.name", "0001.mp4", "segment 0 is named"),
        ("segments.0.start_ms", 1, "starts at 1 ms"),
        ("segments.1.start_ms", 10_002, "not at 10000 ms"),
        ("segments.2.start_ms", 19_998, "not at 20000 ms"),
        ("segments.0.duration_ms", 9_000, "0001.mp4 starts at"),
        ("segments.0.preroll", False, "other side of the switch-on"),
        ("segments.3.preroll", True, None),
        ("segments", [], "not stopped by a power cut"),
    ],
)
def test_one_wrong_value_is_refused_and_named(place: str, value: object, says: str | None) -> None:
    raw = raw_with(place, value)
    if says is None:
        recording_document(raw)
    else:
        assert says in refusal(raw).sentence


def test_a_short_preroll_must_say_why() -> None:
    document = CAMERA.make(2, preroll_ms=12_000).document
    document["preroll"]["short_because"] = None
    assert "short_because says nothing" in refusal(json.dumps(document).encode()).sentence


def test_one_millisecond_of_rounding_is_no_fault() -> None:
    for start_ms in (9_999, 10_000, 10_001):
        document = CAMERA.make(2).document
        document["segments"][1]["start_ms"] = start_ms
        document["segments"][1]["duration_ms"] = 20_000 - start_ms
        recording_document(json.dumps(document).encode())


def test_a_recovered_recording_may_have_stopped_before_its_switch_on() -> None:
    """The power failed while the pre-roll was still being written, or before the first segment was
    closed.
    """
    document = CAMERA.make(2).document
    document |= {
        "stop_reason": "recovered",
        "stopped_mono_ms": document["started_mono_ms"] + 10_000,
    }
    document["segments"] = document["segments"][:1]
    recording_document(json.dumps(document).encode())
    document |= {"segments": [], "stopped_mono_ms": document["started_mono_ms"]}
    recording_document(json.dumps(document).encode())
    document["stopped_mono_ms"] -= 1
    assert "in this order" in refusal(json.dumps(document).encode()).sentence


def test_the_wall_clock_may_run_back_while_the_camera_records() -> None:
    recording_document(raw_with("stopped_utc", "2025-01-01T00:00:00.000Z"))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "manifest.not_json"),
        (b"null", "manifest.not_json"),
        (b"[]", "manifest.not_json"),
        (b'"text"', "manifest.not_json"),
        (b"{", "manifest.not_json"),
        (b"{}{}", "manifest.not_json"),
        (b'{"a": 1, "a": 1}', "manifest.not_json"),
        (b'{"a": {"b": 1, "b": 2}}', "manifest.not_json"),
        (b'{"counter": NaN}', "manifest.not_json"),
        (b'{"counter": Infinity}', "manifest.not_json"),
        (b'{"counter": -Infinity}', "manifest.not_json"),
        (b'{"counter": 1e2}', "manifest.not_json"),
        (b'{"counter": 9007199254740992}', "manifest.not_json"),
        (b'{"counter": ' + b"9" * 100_000 + b"}", "manifest.not_json"),
        (b'{"counter": -' + b"9" * 5_000 + b"}", "manifest.not_json"),
        (b'\xef\xbb\xbf{"a": 1}', "manifest.not_json"),
        (b'{"a": "\xff"}', "manifest.not_json"),
        ('{"a": 1}'.encode("utf-16"), "manifest.not_json"),
        (b"[" * 9 + b"]" * 9, "manifest.nested"),
        (b'{"a":' * 9 + b"1" + b"}" * 9, "manifest.nested"),
        (b"[" * 1_000_000, "manifest.nested"),
        (b'{"a":' * 200_000, "manifest.nested"),
        (b'"' + b"[" * 100_000, "manifest.not_json"),
        (b'{"a": "' + b"[{" * 100_000 + b'"}', "manifest.invalid"),
        (b'{"' + b'\\"' * 400_000, "manifest.not_json"),
        (b"{" + b" " * RECORDING_MAX_BYTES + b"}", "manifest.too_large"),
    ],
)
def test_bytes_that_are_no_document_are_refused_quickly(raw: bytes, code: str) -> None:
    """Fault A15. Also what would cost a careless reader its stack, its memory or its afternoon."""
    began_s = time.monotonic()
    assert refusal(raw).code == code
    assert time.monotonic() - began_s < 5


def test_the_largest_documents_are_read_in_bounded_time() -> None:
    """Fault A15. A MiB of empty objects, of brackets, of twins: each is refused in well under
    seconds.
    """
    for piece in (b"{},", b"[],", b"0,", b'"",', b'"\\u0000",'):
        raw = b'{"segments": [' + piece * ((RECORDING_MAX_BYTES - 40) // len(piece)) + b"0]}"
        began_s = time.monotonic()
        refusal(raw)
        assert time.monotonic() - began_s < 10


def test_a_device_has_a_smaller_bound() -> None:
    with pytest.raises(ManifestRefusedError) as caught:
        device_document(json.dumps(CAMERA.device()).encode() + b" " * DEVICE_MAX_BYTES)
    assert caught.value.code == "manifest.too_large"


def test_too_many_segments_are_refused() -> None:
    entry = CAMERA.make(2).document["segments"][0]
    entries = [entry | {"sha256": "", "name": ""}] * 10_001
    assert "segments" in refusal(raw_with("segments", entries)).sentence


@settings(derandomize=True, deadline=None, max_examples=1500)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(raw: bytes) -> None:
    """Fault A15."""
    for read in (recording_document, device_document):
        with pytest.raises(ManifestRefusedError):
            read(raw)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(derandomize=True, deadline=None, max_examples=1500)
@given(st.data())
def test_any_value_in_any_place_is_read_or_refused(data: st.DataObject) -> None:
    """Fault A15. A well-formed document with one or two values replaced by anything at all."""
    document: Any = CAMERA.make(2, seconds=20, preroll_ms=10_000).document
    for _ in range(data.draw(st.integers(1, 2))):
        inner: Any = document
        while True:
            key = data.draw(
                st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner)))
            )
            if isinstance(inner[key], (dict, list)) and inner[key] and data.draw(st.booleans()):
                inner = inner[key]
            else:
                inner[key] = data.draw(JSON_VALUES)
                break
    raw = json.dumps(document).encode()
    assert said(raw).isprintable()


@settings(derandomize=True, deadline=None, max_examples=1000)
@given(st.data())
def test_any_flipped_byte_is_read_or_refused(data: st.DataObject) -> None:
    """Fault A15."""
    raw = bytearray(CAMERA.make(2, seconds=20).raw())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert said(bytes(raw)).isprintable()
