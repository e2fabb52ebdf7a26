"""A card full of segments, as CAMERA.md has it: real H.264 and AAC, of which no two segments are
equal.

Ten seconds of 1080p are encoded once, at the size that a body camera gives them. Every further
segment is this one with its own times and with fresh bytes inside of its coded pictures: encoding
each would take longer than all that is measured, and to who copies, hashes, seals or compresses,
coded pictures are random bytes.
"""

import argparse
import base64
import hashlib
import json
import os
import struct
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from device_sim.camera.encoder import AudioEncoder, VideoEncoder, silence
from device_sim.camera.fmp4 import (
    AUDIO_TRACK,
    VIDEO_TRACK,
    AudioTrack,
    Run,
    VideoTrack,
    fragment,
    init,
)
from device_sim.camera.manifest import Entry, Head, Stop
from device_sim.camera.profile import TIMESCALE_HZ, Profile
from device_sim.camera.scene import Scene
from device_sim.clock import SystemClock, format_utc

SERIAL = "BENCH01"
FPS, GOP_FRAMES, GOPS_A_SEGMENT = 25, 50, 5
GOP_MS = 1000 * GOP_FRAMES // FPS
SEGMENT_MS = GOP_MS * GOPS_A_SEGMENT
SEGMENTS_A_RECORDING = 30
NOISE = 20
"""How much the picture's brightness trembles: chosen for about 8 Mbit/s."""
SAMPLE_RATE, AAC_SAMPLES = 16_000, 1024
SLICE_HEAD_BYTES = 32
"""What stays as it was at the start of a coded picture: length, type and slice header."""


class Film:
    """Ten seconds of coded pictures, and the segments that are made of them."""

    def __init__(self) -> None:
        profile = Profile(SERIAL, width=1920, height=1080, fps=FPS, gop_frames=GOP_FRAMES)
        encoder, scene = VideoEncoder(profile), Scene(profile.width, profile.height, FPS, 1)
        random = np.random.default_rng(1)
        self._pictures = [
            encoder.encode(
                _noisy(scene.draw(number, "2026-11-23T21:50:19Z"), random),
                number,
                number % GOP_FRAMES == 0,
            ).data
            for number in range(GOP_FRAMES * GOPS_A_SEGMENT)
        ]
        audio = AudioEncoder(SAMPLE_RATE)
        self._sound = [frame for _ in range(8) for frame in audio.encode(silence())][-1]
        video_track = VideoTrack(
            profile.width, profile.height, TIMESCALE_HZ, encoder.parameter_sets
        )
        self.codec = video_track.codec
        self._init = init(video_track, AudioTrack(SAMPLE_RATE, audio.config))

    def segment(self, number: int) -> bytes:
        """The `number`th segment of a recording, unlike any other."""
        fragments = [
            self._fragment(number * GOPS_A_SEGMENT + place, place)
            for place in range(GOPS_A_SEGMENT)
        ]
        return self._init + b"".join(fragments)

    def _fragment(self, gop: int, place: int) -> bytes:
        pictures = [
            _varied(picture)
            for picture in self._pictures[place * GOP_FRAMES : (place + 1) * GOP_FRAMES]
        ]
        first, beyond = (at * GOP_MS * SAMPLE_RATE // (1000 * AAC_SAMPLES) for at in (gop, gop + 1))
        runs = [
            Run(VIDEO_TRACK, gop * GOP_FRAMES * TIMESCALE_HZ // FPS, TIMESCALE_HZ // FPS, pictures),
            Run(AUDIO_TRACK, first * AAC_SAMPLES, AAC_SAMPLES, [self._sound] * (beyond - first)),
        ]
        return fragment(gop + 1, runs)


def make_card(root: Path, wanted_bytes: int) -> None:
    """A signed card at `root` with at least so many bytes of segments, in recordings of five
    minutes.
    """
    key = Ed25519PrivateKey.generate()
    (root / "DEVICE").mkdir(parents=True)
    film = Film()
    written_bytes, counter, previous = 0, 0, None
    while written_bytes < wanted_bytes:
        counter += 1
        folder = root / "RECORDINGS" / f"{SERIAL}-{counter:06d}"
        folder.mkdir(parents=True)
        entries: list[Entry] = []
        while written_bytes < wanted_bytes and len(entries) < SEGMENTS_A_RECORDING:
            entries.append(_write_segment(folder, film, len(entries)))
            written_bytes += entries[-1].bytes
        manifest = _manifest(film, counter, previous, entries)
        (folder / "recording.sig").write_bytes(key.sign(manifest))
        (folder / "recording.json").write_bytes(manifest)
        previous = hashlib.sha256(manifest).hexdigest()
    public_key = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    device = {
        "format": "bodycam-card/device/1",
        "serial": SERIAL,
        "model": "Bench",
        "firmware": "1",
        "public_key": public_key,
        "battery_percent": 80,
        "storage_bytes": 128_000_000_000,
        "free_bytes": 1,
        "clock_utc": format_utc(SystemClock().utc_ms()),
    }
    (root / "DEVICE" / "device.json").write_text(json.dumps(device))


def make_dcim_card(root: Path, size_bytes: int) -> None:
    """A card with one MP4 of this size, its picture data a hole in the file: the dock reads it like
    any other.
    """
    folder = root / "DCIM" / "100BENCH"
    folder.mkdir(parents=True)
    head = struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + struct.pack(
        ">I4sQ", 1, b"mdat", size_bytes - 16
    )
    path = folder / "BENCH001.MP4"
    path.write_bytes(head)
    os.truncate(path, size_bytes)


def _write_segment(folder: Path, film: Film, number: int) -> Entry:
    content = film.segment(number)
    name = f"{number:04d}.mp4"
    (folder / name).write_bytes(content)
    start_ms = number * SEGMENT_MS
    return Entry(
        name,
        len(content),
        hashlib.sha256(content).hexdigest(),
        start_ms,
        SEGMENT_MS,
        start_ms < 30_000,
    )


def _manifest(film: Film, counter: int, previous: str | None, entries: list[Entry]) -> bytes:
    length_ms = len(entries) * SEGMENT_MS
    preroll_ms = min(30_000, length_ms)
    started_mono_ms = counter * 10_000_000
    started_utc_ms = 1_795_470_000_000 + started_mono_ms
    head = Head(
        recording=f"{SERIAL}-{counter:06d}",
        counter=counter,
        previous_sha256=previous,
        serial=SERIAL,
        model="Bench",
        firmware="1",
        officer=None,
        started_utc_ms=started_utc_ms,
        triggered_utc_ms=started_utc_ms + preroll_ms,
        started_mono_ms=started_mono_ms,
        triggered_mono_ms=started_mono_ms + preroll_ms,
        short_because=None if preroll_ms == 30_000 else "just_switched_on",
        preroll_audio=False,
        codec=film.codec,
        width=1920,
        height=1080,
        fps=FPS,
        sample_rate=SAMPLE_RATE,
        overlaps=None,
    )
    return head.manifest(
        entries, Stop("button", started_utc_ms + length_ms, started_mono_ms + length_ms)
    )


def _noisy(picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    noise = random.integers(-(NOISE // 2), NOISE // 2, picture.shape, dtype=np.int16)
    noisy: NDArray[np.uint8] = np.clip(picture + noise, 16, 235).astype(np.uint8)
    return noisy


def _varied(picture: bytes) -> bytes:
    """The picture's units, each of its length and with its head (ISO/IEC 14496-15: four bytes of
    length, then the unit).
    """
    units, at = [], 0
    while at < len(picture):
        beyond = at + 4 + int.from_bytes(picture[at : at + 4], "big")
        head = picture[at : min(beyond, at + SLICE_HEAD_BYTES)]
        units.append(head + os.urandom(beyond - at - len(head)))
        at = beyond
    return b"".join(units)


if __name__ == "__main__":
    # In a process of its own: the encoder's memory would count as that of every command which is
    # measured afterwards.
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("wanted_bytes", type=int)
    asked = parser.parse_args()
    make_card(asked.root, asked.wanted_bytes)
