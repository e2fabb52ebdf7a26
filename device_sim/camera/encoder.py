"""PyAV's H.264 and AAC encoders as this camera uses them: one frame in, one frame out, at once.

No B-frames and no look-ahead, so that decoding order is display order and the ring holds every
frame that was filmed. Keyframes are IDR pictures (closed groups) and come when the caller asks. The
parameter sets are not repeated in the stream: they are `parameter_sets`, and stand in the init of
every segment, so no window of time can miss them.
"""

from __future__ import annotations

import re
from fractions import Fraction

import av
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

from device_sim.camera.profile import TIMESCALE_HZ, Profile
from device_sim.camera.ring import EncodedFrame
from device_sim.camera.scene import Picture

MARKER = b"PLAINTEXT-OF-A-BODY-CAMERA"
"""Stands in the clear in every keyframe's sample. Where these bytes are found on a disk, footage
lies there unsealed.
"""

MARKER_UUID = bytes.fromhex("5d2e7a91c4b84f6e9b13f0a6d7e8c245")
SEI_USER_DATA_UNREGISTERED = 5
START_CODE = re.compile(b"\x00\x00\x00?\x01")
GLOBAL_HEADER = 0x0040_0000
AAC_FRAME_SAMPLES = 1024
NAL_SEI = 6


class VideoEncoder:
    """H.264 from pictures. One encoder runs from power-on to power-off, through standby and
    recordings alike.
    """

    def __init__(self, profile: Profile) -> None:
        context = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = profile.width, profile.height, "yuv420p"
        context.time_base = Fraction(1, profile.fps)
        context.framerate = Fraction(profile.fps)
        context.thread_count = 1
        context.flags |= GLOBAL_HEADER
        # The interval between keyframes is the caller's, so x264's own is set out of reach.
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "crf": "28",
            "forced-idr": "1",
            "g": "1000000000",
            "sc_threshold": "0",
        }
        context.open()
        self._context = context
        self._frame_90k = TIMESCALE_HZ // profile.fps
        units = [
            unit for unit in _nal_units(bytes(context.extradata or b"")) if unit[0] & 0x1F in (7, 8)
        ]
        self.parameter_sets: tuple[bytes, ...] = tuple(units)
        """SPS and PPS, without start codes."""

    def encode(self, picture: Picture, number: int, key: bool) -> EncodedFrame:
        """Encode frame `number` since power-on; numbers must rise, and need not be adjacent where
        `key` is true.
        """
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, frame.time_base = number, self._context.time_base
        frame.pict_type = PictureType.I if key else PictureType.NONE
        (packet,) = self._context.encode(frame)
        units = [unit for unit in _nal_units(bytes(packet)) if unit[0] & 0x1F != NAL_SEI]
        if key:
            units.insert(0, _marker_sei(number))
        sample = b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)
        return EncodedFrame(number * self._frame_90k, self._frame_90k, key, sample)


class AudioEncoder:
    """AAC-LC, mono, for one recording: sample 0 is the recording's first. Silence costs next to
    nothing.
    """

    def __init__(self, sample_rate: int) -> None:
        context = av.CodecContext.create("aac", "w")
        context.sample_rate, context.layout, context.format = sample_rate, "mono", "fltp"
        context.bit_rate = 32_000
        # The careful coder costs more than all pictures together.
        context.options = {"aac_coder": "fast"}
        context.time_base = Fraction(1, sample_rate)
        context.flags |= GLOBAL_HEADER
        context.open()
        self._context = context
        self._pts = 0
        self.sample_rate = sample_rate
        self.config = bytes(context.extradata or b"")
        """The AudioSpecificConfig of ISO/IEC 14496-3."""

    def encode(self, samples: NDArray[np.float32]) -> list[bytes]:
        """Exactly 1024 samples in; the AAC frames that are finished out.

        The encoder's first frame only primes the decoder and carries no sample of ours: it is left
        out, so that the n-th frame given out starts at sample 1024 * n.
        """
        frame = av.AudioFrame.from_ndarray(
            samples.reshape(1, AAC_FRAME_SAMPLES), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = (
            self.sample_rate,
            self._pts,
            self._context.time_base,
        )
        self._pts += AAC_FRAME_SAMPLES
        return [bytes(packet) for packet in self._context.encode(frame) if (packet.pts or 0) >= 0]


def street_sound(first_sample: int, sample_rate: int, seed: int) -> NDArray[np.float32]:
    """1024 samples of traffic: a hum that beeps once a second, the same for the same
    place in time.
    """
    place = np.arange(first_sample, first_sample + AAC_FRAME_SAMPLES)
    hum = 0.05 * np.sin(2 * np.pi * (90 + seed % 40) * place / sample_rate)
    beep = (
        0.3
        * np.sin(2 * np.pi * 880 * place / sample_rate)
        * (place % sample_rate < sample_rate // 10)
    )
    return (hum + beep).astype(np.float32)


def silence() -> NDArray[np.float32]:
    """1024 samples of nothing."""
    return np.zeros(AAC_FRAME_SAMPLES, dtype=np.float32)


def _nal_units(stream: bytes) -> list[bytes]:
    """Return the units of a byte stream (ITU-T H.264, Annex B), without start codes and trailing
    zeros.
    """
    return [unit for unit in (part.rstrip(b"\x00") for part in START_CODE.split(stream)) if unit]


def _marker_sei(number: int) -> bytes:
    # ASCII digits and letters hold no two zero bytes in a row, so nothing needs to be escaped.
    payload = MARKER_UUID + MARKER + f" FRAME {number:010d}".encode("ascii")
    return bytes([NAL_SEI, SEI_USER_DATA_UNREGISTERED, len(payload)]) + payload + b"\x80"
