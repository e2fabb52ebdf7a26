"""The seam's own promises: names for people, and edges by which a file is known again."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockd.card.contract import CardFileChangedError, edges, edges_of, read_whole, shown
from dockd.mounted.mounted_card import MountedCard
from tests.support.hand_clock import HandClock
from vault.recording import EDGE_BYTES

names = st.text(st.characters(exclude_characters="\0", categories=None), min_size=1, max_size=40)
paths = st.lists(names, min_size=1, max_size=4).map(tuple)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(paths, paths)
def test_shown_paths_are_printable_and_never_two_alike(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    """Fault A14. Any text, lone surrogates among it, becomes one printable line that stands for
    this path only.
    """
    assert shown(one).isprintable()
    shown(one).encode("utf-8")
    assert (shown(one) == shown(other)) == (one == other)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("-rf", "-rf"),
        ("a\nb", "a\\x0ab"),
        ("\u202egpm.exe", "\\u202egpm.exe"),
        ("\udcff", "\\udcff"),
        ("a\\x0ab", "a\\x5cx0ab"),
        ("a/b", "a\\x2fb"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_shown_escapes_what_misleads(name: str, text: str) -> None:
    """Fault A14."""
    assert shown((name,)) == text


@pytest.mark.parametrize(
    "size_bytes",
    [
        0,
        1,
        4095,
        4096,
        EDGE_BYTES - 1,
        EDGE_BYTES,
        EDGE_BYTES + 1,
        2 * EDGE_BYTES - 1,
        3 * EDGE_BYTES + 77,
    ],
)
def test_edges_of_a_file_are_those_of_its_bytes(tmp_path: Path, size_bytes: int) -> None:
    """Fault E4. At every border of the edge's size, direct and through the page cache."""
    content = hashlib.shake_128(b"content").digest(size_bytes)
    (tmp_path / "A.MP4").write_bytes(content)
    with MountedCard(tmp_path, HandClock()) as card:
        (file,) = card.files()
        assert edges(card, file) == edges_of(content)
        assert read_whole(card, file) == content
    edge_bytes = min(size_bytes, EDGE_BYTES)
    head, tail = content[:edge_bytes], content[size_bytes - edge_bytes :]
    assert edges_of(content) == (hashlib.sha256(head).hexdigest(), hashlib.sha256(tail).hexdigest())


def test_edges_tell_a_replaced_file(tmp_path: Path) -> None:
    """Fault E4. Another content under the same name and size has other edges, or is no longer what
    was listed.
    """
    path = tmp_path / "A.MP4"
    path.write_bytes(b"a" * 200_000)
    with MountedCard(tmp_path, HandClock()) as card:
        (file,) = card.files()
        before = edges(card, file)
        path.write_bytes(b"a" * 199_999 + b"b")
        with pytest.raises(CardFileChangedError):
            edges(card, file)
        (again,) = card.files()
        assert edges(card, again)[0] == before[0]
        assert edges(card, again)[1] != before[1]
