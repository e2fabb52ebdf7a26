"""The boxes, held against an independent reader and against PyAV."""

import io

import av
import pytest

from device_sim.camera import fmp4
from device_sim.camera.encoder import AudioEncoder, VideoEncoder, silence
from device_sim.camera.scene import Scene
from tests.support.camera_contract import boxes, read_segment
from tests.support.cameras import small

PROFILE = small()


@pytest.fixture(scope="module")
def film() -> tuple[fmp4.VideoTrack, list[bytes]]:
    scene, encoder = Scene(160, 90, 5, 0), VideoEncoder(PROFILE)
    frames = [
        encoder.encode(scene.draw(number, "2026"), number, number % 5 == 0) for number in range(15)
    ]
    return fmp4.VideoTrack(160, 90, 90_000, encoder.parameter_sets), [
        frame.data for frame in frames
    ]


def test_init_has_one_spelling(film: tuple[fmp4.VideoTrack, list[bytes]]) -> None:
    """Proves ruling 17: the init depends on the tracks and on nothing else."""
    video, _ = film
    audio = fmp4.AudioTrack(16_000, AudioEncoder(16_000).config)
    again = fmp4.VideoTrack(160, 90, 90_000, VideoEncoder(PROFILE).parameter_sets)
    assert fmp4.init(video, audio) == fmp4.init(again, audio)
    assert fmp4.init(video, None) != fmp4.init(video, audio)
    assert [kind for kind, _ in boxes(fmp4.init(video, audio))] == [b"ftyp", b"moov"]


def test_codec_is_named_by_the_parameter_sets() -> None:
    """RFC 6381, section 3.3: the three bytes behind the SPS's first."""
    video = fmp4.VideoTrack(
        160, 90, 90_000, (bytes.fromhex("6742c00bda"), bytes.fromhex("68ce09c8"))
    )
    assert video.codec == "avc1.42C00B"


def test_fragments_say_when_they_are_and_where_their_data_lies(
    film: tuple[fmp4.VideoTrack, list[bytes]],
) -> None:
    video, samples = film
    sound = AudioEncoder(16_000)
    spoken = [one for _ in range(20) for one in sound.encode(silence())]
    audio = fmp4.AudioTrack(16_000, sound.config)
    data = fmp4.init(video, audio) + b"".join(
        fmp4.fragment(
            group + 1,
            [
                fmp4.Run(
                    fmp4.VIDEO_TRACK, group * 90_000, 18_000, samples[group * 5 : group * 5 + 5]
                ),
                fmp4.Run(
                    fmp4.AUDIO_TRACK, group * 5 * 1024, 1024, spoken[group * 5 : group * 5 + 5]
                ),
            ],
        )
        for group in range(3)
    )
    _, fragments = read_segment(data)
    assert [fragment.tracks[1] for fragment in fragments] == [
        (group * 90_000, 18_000, 5, True) for group in range(3)
    ]
    assert [fragment.tracks[2] for fragment in fragments] == [
        (group * 5120, 1024, 5, True) for group in range(3)
    ]
    with av.open(io.BytesIO(data), mode="r") as container:
        packets = [
            (packet.stream.type, packet.pts, bytes(packet))
            for packet in container.demux()
            if packet.size
        ]
    assert [data for kind, _, data in packets if kind == "video"] == samples
    assert [pts for kind, pts, _ in packets if kind == "video"] == [
        number * 18_000 for number in range(15)
    ]
    assert [data for kind, _, data in packets if kind == "audio"] == spoken[:15]
    assert [pts for kind, pts, _ in packets if kind == "audio"] == [
        number * 1024 for number in range(15)
    ]


def test_a_fragment_without_sound_plays() -> None:
    """A last group of a single frame may end before the next AAC frame begins."""
    run = fmp4.Run(fmp4.AUDIO_TRACK, 1024, 1024, [])
    assert (
        read_segment(b"".join([b"\0\0\0\x08ftyp", b"\0\0\0\x08moov", fmp4.fragment(1, [run])]))[1][
            0
        ].tracks[2][2]
        == 0
    )
