"""A second, strict reading of the camera contract: what a card must look like, written from its
text alone.

Everything is an assertion. Nothing of the camera's own code is used, neither for JSON nor for MP4
nor for signatures.
"""

import hashlib
import io
import itertools
import json
import re
import struct
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
DIGEST = re.compile(r"[0-9a-f]{64}")

MANIFEST_KEYS = {
    "format", "recording", "counter", "previous_sha256", "camera", "officer", "started_utc", "triggered_utc", "stopped_utc",
    "started_mono_ms", "triggered_mono_ms", "stopped_mono_ms", "stop_reason", "preroll", "video", "audio", "segments",
    "overlaps",
}  # fmt: skip
JOURNAL_KEYS = MANIFEST_KEYS - {"stopped_utc", "stopped_mono_ms", "stop_reason", "segments"}
SEGMENT_KEYS = {"name", "bytes", "sha256", "start_ms", "duration_ms", "preroll"}
DEVICE_KEYS = {
    "format", "serial", "model", "firmware", "public_key", "battery_percent", "storage_bytes", "free_bytes", "clock_utc",
}  # fmt: skip


@dataclass(frozen=True)
class Recording:
    """A recording that passed: its folder, its manifest, the manifest's digest."""

    folder: Path
    manifest: dict[str, Any]
    sha256: str

    @property
    def film(self) -> bytes:
        """The plain concatenation of its segments."""
        return b"".join(
            (self.folder / segment["name"]).read_bytes() for segment in self.manifest["segments"]
        )


@dataclass(frozen=True)
class Fragment:
    """One moof: for each track its decode time, the duration of a sample, the number of samples,
    and whether the first is a sync sample.
    """

    sequence: int
    tracks: dict[int, tuple[int, int, int, bool]]


def read_card(root: Path, public_key: str) -> list[Recording]:
    """All recordings of a card, each complete and each rule kept, and nothing else on the card that
    would matter.
    """
    recordings = []
    names = sorted(path.name for path in (root / "RECORDINGS").iterdir())
    for name in names:
        recordings.append(read_recording(root / "RECORDINGS" / name, public_key))
    for before, after in itertools.pairwise(recordings):
        assert after.manifest["counter"] == before.manifest["counter"] + 1
        assert after.manifest["previous_sha256"] == before.sha256
        assert after.manifest["started_mono_ms"] >= before.manifest["started_mono_ms"]
        assert after.manifest["triggered_mono_ms"] >= before.manifest["triggered_mono_ms"]
    return recordings


def read_device(root: Path) -> dict[str, Any]:
    document = parse((root / "DEVICE" / "device.json").read_bytes(), 64 * 1024)
    assert set(document) == DEVICE_KEYS
    assert document["format"] == "bodycam-card/device/1"
    assert len(b64decode(document["public_key"], validate=True)) == 32
    assert 0 <= document["battery_percent"] <= 100
    assert 0 <= document["free_bytes"] <= document["storage_bytes"]
    assert UTC.fullmatch(document["clock_utc"])
    return document


def read_recording(folder: Path, public_key: str) -> Recording:
    raw = (folder / "recording.json").read_bytes()
    signature = (folder / "recording.sig").read_bytes()
    assert len(signature) == 64
    Ed25519PublicKey.from_public_bytes(b64decode(public_key)).verify(signature, raw)
    manifest = parse(raw, 1024 * 1024)
    check_manifest(manifest)
    assert manifest["recording"] == folder.name
    listed = {segment["name"] for segment in manifest["segments"]}
    there = {path.name for path in folder.iterdir() if path.suffix != ".tmp"}
    assert there == listed | {"recording.json", "recording.sig"}
    for segment in manifest["segments"]:
        data = (folder / segment["name"]).read_bytes()
        assert len(data) == segment["bytes"]
        assert hashlib.sha256(data).hexdigest() == segment["sha256"]
    return Recording(folder, manifest, hashlib.sha256(raw).hexdigest())


def parse(raw: bytes, bytes_max: int) -> dict[str, Any]:
    assert len(raw) <= bytes_max

    def no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({key for key, _ in pairs}) == len(pairs)
        return dict(pairs)

    def refuse(number: str) -> None:
        raise AssertionError(number)

    document = json.loads(
        raw.decode("utf-8"), object_pairs_hook=no_twins, parse_constant=refuse, parse_float=refuse
    )
    assert isinstance(document, dict)
    return document


def check_manifest(manifest: dict[str, Any]) -> None:
    assert set(manifest) == MANIFEST_KEYS
    assert manifest["format"] == "bodycam-card/recording/1"
    check_head(manifest)
    assert UTC.fullmatch(manifest["stopped_utc"])
    assert manifest["stop_reason"] in ("button", "docked", "battery", "full", "recovered")
    assert type(manifest["stopped_mono_ms"]) is int
    recovered = manifest["stop_reason"] == "recovered"
    assert (
        manifest["stopped_mono_ms"]
        >= manifest["started_mono_ms" if recovered else "triggered_mono_ms"]
    )
    assert manifest["segments"] or recovered
    end_ms = 0
    for number, segment in enumerate(manifest["segments"]):
        assert set(segment) == SEGMENT_KEYS
        assert segment["name"] == f"{number:04d}.mp4"
        assert type(segment["bytes"]) is int
        assert DIGEST.fullmatch(segment["sha256"])
        assert segment["start_ms"] == end_ms
        assert segment["duration_ms"] > 0
        assert segment["preroll"] is (segment["start_ms"] < manifest["preroll"]["delivered_ms"])
        end_ms += segment["duration_ms"]
    assert manifest["stopped_mono_ms"] - manifest["started_mono_ms"] == end_ms


def check_head(head: dict[str, Any]) -> None:
    """What journal and manifest share."""
    assert type(head["counter"]) is int
    assert head["counter"] >= 1
    assert head["recording"] == f"{head['camera']['serial']}-{head['counter']:06d}"
    assert set(head["camera"]) == {"serial", "model", "firmware"}
    if head["counter"] == 1:
        assert head["previous_sha256"] is None
    else:
        assert DIGEST.fullmatch(head["previous_sha256"])
    assert UTC.fullmatch(head["started_utc"])
    assert UTC.fullmatch(head["triggered_utc"])
    preroll = head["preroll"]
    assert set(preroll) == {"requested_ms", "delivered_ms", "short_because", "audio"}
    assert preroll["requested_ms"] == 30000
    assert preroll["delivered_ms"] == head["triggered_mono_ms"] - head["started_mono_ms"] >= 0
    assert preroll["short_because"] in (None, "just_switched_on", "dropped_frames")
    assert (preroll["short_because"] is None) == (preroll["delivered_ms"] >= 30000)
    assert type(preroll["audio"]) is bool
    assert set(head["video"]) == {"codec", "width", "height", "fps", "timescale"}
    assert re.fullmatch(r"avc1\.[0-9A-F]{6}", head["video"]["codec"])
    if head["audio"] is not None:
        assert set(head["audio"]) == {"codec", "sample_rate", "channels"}
        assert head["audio"]["codec"] == "mp4a.40.2"
    if head["overlaps"] is not None:
        serial, counter = head["overlaps"].split("-")
        assert serial == head["camera"]["serial"]
        assert int(counter) < head["counter"]


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and body of the boxes that fill `data` without a rest."""
    place = 0
    while place < len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        assert 8 <= size <= len(data) - place
        yield kind, data[place + 8 : place + size]
        place += size


def read_segment(data: bytes) -> tuple[bytes, list[Fragment]]:
    """The init's bytes and the fragments of one segment: `ftyp`, `moov`, then pairs of `moof` and
    `mdat`.
    """
    found = list(boxes(data))
    kinds = [kind for kind, _ in found]
    assert kinds[:2] == [b"ftyp", b"moov"]
    assert kinds[2:] == [b"moof", b"mdat"] * ((len(kinds) - 2) // 2)
    assert len(kinds) > 2
    init = data[: sum(len(body) + 8 for _, body in found[:2])]
    return init, [read_moof(body) for kind, body in found if kind == b"moof"]


def read_moof(body: bytes) -> Fragment:
    children = list(boxes(body))
    sequence = struct.unpack(">I", dict(children)[b"mfhd"][4:])[0]
    tracks = {}
    for kind, traf in children:
        if kind != b"traf":
            continue
        parts = dict(boxes(traf))
        track, duration, _ = struct.unpack(">III", parts[b"tfhd"][4:])
        assert parts[b"tfdt"][0] == 1
        time = struct.unpack(">Q", parts[b"tfdt"][4:])[0]
        count, _, first_flags = struct.unpack(">IiI", parts[b"trun"][4:16])
        tracks[track] = (time, duration, count, first_flags & 0x1_0000 == 0)
    return Fragment(sequence, tracks)


def check_film(recording: Recording) -> list[Fragment]:
    """Byte-identical inits, fragments without gap or repeat from 0 on, each with every track and
    from a keyframe.
    """
    read = [
        read_segment((recording.folder / entry["name"]).read_bytes())
        for entry in recording.manifest["segments"]
    ]
    assert len({init for init, _ in read}) == 1
    fragments = [fragment for _, of_segment in read for fragment in of_segment]
    tracks = {1} if recording.manifest["audio"] is None else {1, 2}
    expected = dict.fromkeys(tracks, 0)
    for number, fragment in enumerate(fragments, start=1):
        assert fragment.sequence == number
        assert set(fragment.tracks) == tracks
        for track, (time, duration, count, sync) in fragment.tracks.items():
            assert time == expected[track]
            assert sync
            expected[track] += duration * count
    scale = recording.manifest["video"]["timescale"]
    for entry, (_, of_segment) in zip(recording.manifest["segments"], read, strict=True):
        assert abs(of_segment[0].tracks[1][0] * 1000 / scale - entry["start_ms"]) <= 1
    total_ms = recording.manifest["stopped_mono_ms"] - recording.manifest["started_mono_ms"]
    assert abs(expected[1] * 1000 / scale - total_ms) <= 1
    return fragments


def frame_numbers(recording: Recording) -> list[int]:
    """The frame counters as they stand in the decoded pixels of the concatenated segments, in the
    order shown.

    Each picture is shown one frame's time after the one before it, from 0 on.
    """
    scale, fps = recording.manifest["video"]["timescale"], recording.manifest["video"]["fps"]
    numbers = []
    with av.open(io.BytesIO(recording.film), mode="r") as container:
        for place, frame in enumerate(container.decode(video=0)):
            assert frame.pts == place * scale // fps
            numbers.append(counter_in(frame.to_ndarray(format="gray")))
    return numbers


def counter_in(luma: np.ndarray) -> int:
    """The 32 bits of the two upper rows of blocks, a twentieth of the width each; the eight of the
    CRC stand behind.
    """
    block = luma.shape[1] // 20
    centres = luma[block // 2 : 2 * block : block, block // 2 : 20 * block : block]
    return int("".join("1" if bright > 125 else "0" for bright in centres.ravel()[:32]), 2)


def sound(recording: Recording) -> np.ndarray:
    """All samples of the sound track."""
    with av.open(io.BytesIO(recording.film), mode="r") as container:
        return np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])
