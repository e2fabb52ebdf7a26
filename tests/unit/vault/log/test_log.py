"""The log: with the caller's transaction or not at all (I4), in the register first, its root over
all of it.
"""

import hashlib
import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.support.hand_clock import HandClock
from vault.catalogue import tables
from vault.crypto.canonical_json import parse_object
from vault.errors import StorageFailed
from vault.log import log
from vault.log.log import Entry, Log, read_leaves, read_tree, write_tree
from vault.log.merkle import Head, Tree, leaf_hash
from vault.vault import Vault


def entry(text: str) -> Entry:
    return Entry("test.happened", "test", None, {"text": text})


def root_by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word: the tree's hash by recursion."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(
        b"\1" + root_by_definition(leaves[:split]) + root_by_definition(leaves[split:])
    ).digest()


def test_the_growing_tree_has_the_root_of_the_definition() -> None:
    tree, leaves = Tree(), list[bytes]()
    for count in range(70):
        assert tree.head() == Head(count, root_by_definition(leaves))
        leaves.append(b"leaf %d" % count)
        tree.append(leaf_hash(leaves[-1]))


def test_published_roots() -> None:
    """The empty tree of RFC 6962, and the first of the public test vectors of certificate
    transparency (leaf: no bytes).
    """
    assert (
        Tree().head().root.hex()
        == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    tree = Tree()
    tree.append(leaf_hash(b""))
    assert (
        tree.head().root.hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )


def test_the_name_of_a_register_that_a_killed_process_made_is_flushed(
    tmp_path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faults C1, then C3: killed between the first line and the flush of its folder; the next first
    entry makes it good.
    """
    flushed: list[Path] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{fd}").readlink())
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    folder = tmp_path / "register" / "log"
    folder.mkdir(parents=True)
    (folder / "000000.jsonl").write_bytes(b'{"torn')
    with vault.writing() as tx:
        write_tree(tx, Tree())
        tx.execute(sa.delete(tables.log))
        flushed.clear()
        Log(tmp_path / "register", HandClock()).append(tx, entry("first"))
    assert flushed == [folder / "000000.jsonl", folder]


def test_an_entry_commits_with_what_it_tells_of(vault: Vault) -> None:
    before = _size(vault)
    with pytest.raises(RuntimeError), vault.writing() as tx:
        vault.log.append(tx, entry("never"))
        raise RuntimeError
    assert _size(vault) == before
    with vault.writing() as tx:
        vault.log.append(tx, entry("stands"))
    with vault.reading() as tx:
        leaves = read_leaves(tx)
        assert read_tree(tx).head().root == root_by_definition(leaves)
    assert list(vault.log.lines()) == leaves
    assert parse_object(leaves[-1])["details"] == {"text": "stands"}


def _size(vault: Vault) -> int:
    with vault.reading() as tx:
        return read_tree(tx).size


def test_a_torn_line_is_ended_and_means_nothing(vault: Vault) -> None:
    path = next((vault.settings.root / "register/log").iterdir())
    path.write_bytes(path.read_bytes() + b'{"sequence":1,"time_')
    with vault.writing() as tx:
        vault.log.append(tx, entry("after the cut"))
    with vault.reading() as tx:
        assert list(vault.log.lines()) == read_leaves(tx)


def test_a_missing_line_is_found(vault: Vault) -> None:
    for text in "abc":
        with vault.writing() as tx:
            vault.log.append(tx, entry(text))
    path = next((vault.settings.root / "register/log").iterdir())
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))
    with pytest.raises(StorageFailed, match="lacks entry 1"):
        list(vault.log.lines())


def test_lines_go_to_the_next_file_in_time(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """4096 lines a file: proven over the border with real appends of a log that starts just before
    it.
    """
    with vault.writing() as tx:
        tx.exec_driver_sql("DELETE FROM log")
        log.write_tree(tx, Tree(4095, read_tree(tx).peaks[:1] * 12))
        for text in "abc":
            vault.log.append(tx, entry(text))
    names = sorted(path.name for path in (vault.settings.root / "register/log").iterdir())
    assert names == ["000000.jsonl", "000001.jsonl"]


def test_an_empty_register_has_no_lines(tmp_path: Path) -> None:
    log = Log(tmp_path, HandClock())
    assert (list(log.lines()), log.newest_line()) == ([], -1)
