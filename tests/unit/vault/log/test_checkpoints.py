"""Checkpoints: accepted by a reader of the texts alone, refused when touched, never signed over a
fork.
"""

import hashlib
import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.support.note_reader import NotANote, read_note, tree_root
from tests.support.office import Office, office
from tests.support.places import catalogue_of
from vault.catalogue import tables
from vault.custody.witness import (
    WitnessFailed,
    hand_to,
    log_key,
    new_log_key,
    read_witnessed,
    sign_head,
)
from vault.errors import Failure, VaultExists
from vault.log.checkpoints import (
    Checkpoint,
    Checkpoints,
    LogForked,
    inclusion_path,
    parse_checkpoint,
    verify_since,
)
from vault.log.log import Entry
from vault.log.merkle import Head, Tree, leaf_hash
from vault.log.signed_note import CheckpointRefused, LogKey, LogVerifier
from vault.vault import Vault

SEED = bytes(range(32))
NAME = "dock-vault/5f0c8f1e-0000-4000-8000-000000000001"


def entries(here: Office, count: int) -> None:
    for number in range(count):
        with here.vault.writing() as tx:
            here.vault.log.append(tx, Entry("test.entry", "test", None, {"number": number}))


def test_a_note_is_what_the_texts_say_byte_for_byte() -> None:
    """Golden bytes, typed from the specification: text, blank line, em dash, name, key ID and
    signature.
    """
    key = LogKey(NAME, SEED)
    root = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    note = key.sign(Checkpoint(NAME, 0, root, ()).text())
    lines = note.decode().split("\n")
    assert lines[:4] == [NAME, "0", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", ""]
    assert lines[4].startswith(f"\u2014 {NAME} ")
    assert (lines[5], len(lines)) == ("", 6)
    assert key.verifier.text() == f"{NAME}+ac0dc1d3+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
    assert (
        LogKey.read(key.content()).verifier == key.verifier == LogVerifier.read(key.verifier.text())
    )


def test_a_reader_of_the_texts_alone_accepts_ours(tmp_path: Path) -> None:
    with office(tmp_path) as here:
        for grown in (1, 2, 5):
            entries(here, grown)
            note = sign_head(here.vault)
            head = read_note(note, log_key(here.vault).verifier.text())
            leaves = list(here.vault.leaves())
            assert (head.origin, head.size, head.root) == (
                f"dock-vault/{here.vault.id}",
                len(leaves),
                tree_root(leaves),
            )


@pytest.mark.parametrize("at", range(0, 300, 7))
def test_a_touched_note_is_refused_by_both_readers(at: int) -> None:
    key = LogKey(NAME, SEED)
    note = bytearray(
        key.sign(Checkpoint(NAME, 7, os.urandom(32), ("time 2026-11-24T09:00:00.000Z",)).text())
    )
    note[at % len(note)] ^= 1
    with pytest.raises((CheckpointRefused, NotANote, ValueError)):
        read_note(bytes(note), key.verifier.text())
    with pytest.raises(CheckpointRefused):
        parse_checkpoint(bytes(note), key.verifier)


def test_others_may_cosign() -> None:
    """A witness adds a line of its own; ours still holds, and another key's alone
    does not serve.
    """
    key, witness = LogKey(NAME, SEED), LogKey("witness.example/w1", bytes(32))
    checkpoint = Checkpoint(NAME, 3, bytes(32), ())
    note = key.sign(checkpoint.text()) + witness.sign(checkpoint.text()).split(b"\n\n")[1]
    assert (
        parse_checkpoint(note, key.verifier)
        == parse_checkpoint(note, witness.verifier)
        == checkpoint
    )
    with pytest.raises(CheckpointRefused, match="no valid signature"):
        parse_checkpoint(witness.sign(checkpoint.text()), key.verifier)


@pytest.mark.parametrize(
    "content", [b"", b"PRIVATE+KEY+a+00000000+AQ==", b"PRIVATE+KEY+x", b"\xff"]
)
def test_a_damaged_key_is_refused(content: bytes) -> None:
    with pytest.raises(CheckpointRefused):
        LogKey.read(content)
    with pytest.raises(CheckpointRefused):
        LogVerifier.read(content.decode("latin-1"))


def test_the_same_head_is_signed_once(tmp_path: Path) -> None:
    with office(tmp_path) as here:
        first = sign_head(here.vault)
        here.clock.pass_time(60)
        assert sign_head(here.vault) == first
        assert len(list((here.settings.root / "checkpoints").iterdir())) == 1


@pytest.mark.parametrize("kind", ["edit", "truncate", "peaks"])
def test_a_head_that_does_not_go_on_from_the_last_is_not_signed(tmp_path: Path, kind: str) -> None:
    """Ruling 12: the log refuses to sign a fork."""
    with office(tmp_path) as here:
        entries(here, 3)
        sign_head(here.vault)
        entries(here, 2)
        with here.vault.writing() as tx:
            size = tx.execute(sa.select(tables.log_head.c.size)).scalar_one()
            if kind == "edit":
                tx.execute(
                    sa.update(tables.log)
                    .where(tables.log.c.sequence == size - 1)
                    .values(leaf=b"{}")
                )
            else:
                tree = Tree()
                for leaf in list(here.vault.leaves())[: size - 3 if kind == "truncate" else size]:
                    tree.append(leaf_hash(leaf if kind == "truncate" else leaf + b" "))
                tx.execute(
                    sa.update(tables.log_head).values(size=tree.size, peaks=b"".join(tree.peaks))
                )
        with pytest.raises(LogForked):
            sign_head(here.vault)
        assert len(list((here.settings.root / "checkpoints").iterdir())) == 1


def test_a_catalogue_older_than_a_signed_head_is_refused_even_by_one_entry(tmp_path: Path) -> None:
    """One entry back looks like a process that died before its commit; the signed head tells them
    apart.
    """
    with office(tmp_path) as here:
        kept = catalogue_of(here.settings.root).read_bytes()
        entries(here, 1)
        sign_head(here.vault)
        catalogue_of(here.settings.root).write_bytes(kept)
        with pytest.raises(Failure, match="were signed"):
            Vault.open(here.settings, here.clock)


def test_inclusion_paths_lead_to_the_root() -> None:
    leaves = [bytes([at]) for at in range(13)]
    for size in range(1, 14):
        hashes = [leaf_hash(leaf) for leaf in leaves[:size]]
        for at in range(size):
            assert _climbed(hashes[at], at, size, inclusion_path(hashes, at)) == tree_root(
                leaves[:size]
            )


def _climbed(node: bytes, at: int, size: int, path: list[bytes]) -> bytes:
    """RFC 9162, 2.1.3.2."""
    last = size - 1
    for step in path:
        if at % 2 or at == last:
            node = hashlib.sha256(b"\1" + step + node).digest()
            while at % 2 == 0 and at:
                at, last = at >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\1" + node + step).digest()
        at, last = at >> 1, last >> 1
    return node


def test_the_witness_gets_the_head_and_the_tombstones(tmp_path: Path) -> None:
    note = LogKey(NAME, SEED).sign(Checkpoint(NAME, 3, bytes(32), ()).text())
    hand_to(["tee", str(tmp_path / "witnessed")], note, ["b", "a"])
    checkpoint, destroyed = read_witnessed((tmp_path / "witnessed").read_bytes())
    assert (checkpoint, destroyed) == (note, frozenset({"a", "b"}))


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["false"], "ended with 1"),
        (["no-such-command"], "failed"),
        (["sh", "-c", "echo no paper >&2; exit 3"], "no paper"),
    ],
)
def test_a_witness_that_fails_is_told(command: list[str], says: str) -> None:
    with pytest.raises(WitnessFailed, match=says):
        hand_to(command, b"note", [])


def test_without_its_key_nothing_is_signed(tmp_path: Path) -> None:
    with office(tmp_path) as here:
        here.settings.log_key_path.unlink()
        with pytest.raises(Failure, match="log's key"):
            sign_head(here.vault)


def test_a_new_key_goes_on_from_the_head_that_the_lost_one_signed(tmp_path: Path) -> None:
    """The last note is read with either public key; heads that follow with the new one alone; the
    log names it.
    """
    with office(tmp_path) as here:
        entries(here, 3)
        sign_head(here.vault)
        old = log_key(here.vault).verifier
        with pytest.raises(VaultExists):
            new_log_key(here.vault)
        here.settings.log_key_path.unlink()
        new = new_log_key(here.vault)
        (last,) = (here.settings.root / "checkpoints").glob("*.note")
        assert {read_note(last.read_bytes(), key.text()).size for key in (old, new)} == {
            Checkpoints(last.parent).newest_size()
        }
        entries(here, 2)
        note = sign_head(here.vault)
        assert read_note(note, new.text()).root == tree_root(list(here.vault.leaves()))
        with pytest.raises(CheckpointRefused, match="no valid signature"):
            parse_checkpoint(note, old)
        assert [entry["details"]["key"] for entry in here.told("log.key_changed")] == [new.text()]


def test_a_new_key_does_not_vouch_for_a_fork(tmp_path: Path) -> None:
    with office(tmp_path) as here:
        entries(here, 3)
        sign_head(here.vault)
        here.settings.log_key_path.unlink()
        with here.vault.writing() as tx:
            tree = Tree()
            for leaf in here.vault.leaves():
                tree.append(leaf_hash(leaf + b" "))
            tx.execute(sa.update(tables.log_head).values(peaks=b"".join(tree.peaks)))
        with pytest.raises(LogForked):
            new_log_key(here.vault)
        assert not here.settings.log_key_path.exists()


def test_outside_checkpoints_bracket_the_place() -> None:
    leaves = [b'{"sequence":%d}' % at for at in range(10)]
    notes = []
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
        notes.append(Checkpoint(NAME, tree.size, tree.head().root, ()))
    assert verify_since(notes, leaves) == []
    edited = [*leaves[:6], b'{"sequence":6,"x":1}', *leaves[7:]]
    (found,) = verify_since([notes[3], notes[8]], edited)
    assert (found.code, found.first, found.last) == ("log.rewritten", 4, 8)
    assert verify_since([notes[9]], leaves[:8])[0].code == "log.truncated"
    assert Head(10, notes[9].root) == tree.head()
    assert Checkpoints(Path("nowhere")).newest_size() == 0
