"""A transport, a kind and a description are three things: each is known without the others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dockd.card.contract import Card, CardTrouble
from dockd.card.description import CameraDescription
from dockd.card.kinds import KINDS, recognise
from dockd.card.names import folded
from dockd.mounted.mounted_card import MountedCard
from tests.support.card_maker import CardMaker
from tests.support.hand_clock import HandClock
from tests.support.memory_card import Medium
from vault.recording import CameraKind, Receipt, State, StoredSegment


@pytest.fixture
def maker(tmp_path: Path) -> CardMaker:
    """A camera that signs manifests, with one recording."""
    maker = CardMaker(tmp_path / "card")
    maker.write_device()
    maker.write(maker.make(1))
    return maker


@pytest.fixture(params=["mounted", "in memory"])
def card(maker: CardMaker, request: pytest.FixtureRequest) -> Iterator[Card]:
    """The same card, reached in two ways."""
    if request.param == "mounted":
        with MountedCard(maker.root, HandClock()) as card:
            yield card
    else:
        yield Medium.of_folder(maker.root).open()


def test_every_kind_that_can_be_registered_is_known() -> None:
    assert set(KINDS) == set(CameraKind)
    assert all(kind.kind is name for name, kind in KINDS.items())


def test_a_kind_is_recognised_by_the_card_whatever_the_transport(
    card: Card, maker: CardMaker
) -> None:
    recognised = recognise(card, card.files())
    assert recognised.kind.kind is CameraKind.MANIFEST
    assert recognised.description.serial == maker.serial
    assert recognised.description.public_key == maker.public_key
    assert recognised.hidden is None


def test_a_card_without_a_description_is_a_dcim_cameras(tmp_path: Path) -> None:
    """It states nothing, not even nothing in particular: an empty card is one of these too."""
    for name in ("empty", "film"):
        (tmp_path / name).mkdir()
    (tmp_path / "film" / "DCIM").mkdir()
    (tmp_path / "film" / "DCIM" / "A.MP4").write_bytes(b"film")
    for name in ("empty", "film"):
        with MountedCard(tmp_path / name, HandClock()) as card:
            recognised = recognise(card, card.files())
        assert recognised.kind.kind is CameraKind.DCIM
        assert recognised.description == CameraDescription()
        assert recognised.hidden is None


def test_a_description_that_could_not_be_looked_at_is_not_called_absent(tmp_path: Path) -> None:
    (tmp_path / "card" / "DEVICE").mkdir(parents=True)
    (tmp_path / "card" / "DEVICE" / "device.json").symlink_to("elsewhere")
    with MountedCard(tmp_path / "card", HandClock()) as card:
        recognised = recognise(card, card.files())
    assert recognised.kind.kind is CameraKind.DCIM
    assert isinstance(recognised.hidden, CardTrouble)
    assert recognised.hidden.path == ("DEVICE", "device.json")


@pytest.mark.parametrize(
    ("kind", "path", "belongs"),
    [
        (CameraKind.MANIFEST, ("recordings", "bwc0042-000001", "0000.mp4"), True),
        (CameraKind.MANIFEST, ("RECORDINGS", "BWC0042-000001"), True),
        (CameraKind.MANIFEST, ("RECORDINGS",), True),
        (CameraKind.MANIFEST, (), True),
        (CameraKind.MANIFEST, ("RECORDINGS", "BWC0042-000002", "0000.mp4"), False),
        (CameraKind.MANIFEST, ("DCIM", "A.MP4"), False),
        (CameraKind.DCIM, ("dcim", "a.mp4"), True),
        (CameraKind.DCIM, ("DCIM", "B.MP4"), False),
        (CameraKind.DCIM, ("RECORDINGS", "BWC0042-000001", "0000.mp4"), False),
    ],
)
def test_a_recordings_traces_are_known_by_its_kind(
    kind: CameraKind, path: tuple[str, ...], belongs: bool
) -> None:
    """What was left out above a recording's folder may hide it, so it counts as a trace."""
    name = "DCIM/A.MP4" if kind is CameraKind.DCIM else "BWC0042-000001"
    digest = "0" * 64
    segment = StoredSegment(name, 1, digest, digest, digest, "0.sealed", 1, digest)
    receipt = Receipt("id", "BWC0042", name, digest, State.ERASING, HandClock().now(), (segment,))
    assert KINDS[kind].traces_of(receipt)(folded(path)) is belongs
