"""The log that shows tampering: leaves of a Merkle tree (RFC 6962), appended inside the caller's
transaction (I4).

A leaf's line in `register/log/` is flushed before the transaction that carries it can commit, so
that the catalogue can be rebuilt; the catalogue's row and the tree's peaks are in that transaction.
FORMAT.md, section 5.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from vault.catalogue import facts, tables
from vault.clock import Clock, utc_text
from vault.crypto.canonical_json import Json, canonical, parse_object
from vault.errors import StorageFailed
from vault.log.merkle import HASH_BYTES, Tree, leaf_hash
from vault.storage.durable import append_line, flush_folder, make_folder, storage_errors

LINES_A_FILE = 4096


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened. Never holds footage, a passphrase or a key."""

    action: str
    actor: str
    subject: str | None
    details: Json
    acting_for: str | None = None


REMEMBERED = ("drill.done", "backup.made", "vault.verified")
"""Of these the newest entry is kept at hand in the catalogue, however many others came since."""


def newest_of(tx: sa.Connection, action: str) -> Json | None:
    """The newest entry of a remembered action, None where there was none."""
    leaf = facts.get_meta(tx, f"newest {action}")
    return None if leaf is None else parse_object(leaf.encode())


def remember(tx: sa.Connection, action: str, leaf: bytes) -> None:
    """This leaf is the newest of its action now."""
    if action in REMEMBERED:
        facts.set_meta(tx, f"newest {action}", leaf.decode())


class Log:
    """The log of one vault. Appends are serialised by the catalogue's write transaction."""

    def __init__(self, register: Path, clock: Clock) -> None:
        self._folder = register / "log"
        self._clock = clock

    def append(self, tx: sa.Connection, entry: Entry) -> int:
        """Add an entry to the caller's write transaction; returns its sequence. Raises
        StorageFailed, VaultFull: then the caller's transaction must not commit.
        """
        tree = read_tree(tx)
        leaf = canonical(
            {
                "sequence": tree.size,
                "time_utc": utc_text(self._clock.now()),
                "actor": entry.actor,
                "acting_for": entry.acting_for,
                "action": entry.action,
                "subject": entry.subject,
                "details": entry.details,
            }
        )
        make_folder(self._folder)
        append_line(self._folder / _file_name(tree.size), leaf)
        if tree.size % LINES_A_FILE == 0:
            # A killed process may have made the file already; its name counts from the first entry
            # that commits.
            flush_folder(self._folder)
        tx.execute(sa.insert(tables.log).values(sequence=tree.size, leaf=leaf))
        remember(tx, entry.action, leaf)
        tree.append(leaf_hash(leaf))
        write_tree(tx, tree)
        return tree.size - 1

    def lines(self) -> Iterator[bytes]:
        """The leaves as the register has them, in order of their sequence: for one sequence the
        last whole line.

        Raises StorageFailed where a sequence is missing, or where one is told again after a later
        one stood.
        """
        held: bytes | None = None
        at = -1
        for path in sorted(self._folder.glob("*.jsonl")) if self._folder.is_dir() else ():
            for sequence, leaf in _whole_lines(path):
                if sequence not in (at, at + 1):
                    raise StorageFailed(
                        f"The register of the log lacks entry {at + 1}, or has entry "
                        f"{sequence} out of order."
                    )
                if sequence > at and held is not None:
                    yield held
                at, held = sequence, leaf
        if held is not None:
            yield held

    def newest_line(self) -> int:
        """The highest sequence that the register holds, -1 where it is empty."""
        for path in (
            sorted(self._folder.glob("*.jsonl"), reverse=True) if self._folder.is_dir() else ()
        ):
            if found := _whole_lines(path):
                return max(sequence for sequence, _ in found)
        return -1


def _file_name(sequence: int) -> str:
    return f"{sequence // LINES_A_FILE:06d}.jsonl"


def _whole_lines(path: Path) -> list[tuple[int, bytes]]:
    """Sequence and leaf of each line that is whole and is an entry, in the order they stand."""
    found = []
    with storage_errors(f"reading {path.name}"):
        content = path.read_bytes()
    for line in content[: content.rfind(b"\n") + 1].split(b"\n")[:-1]:
        try:
            sequence = parse_object(line)["sequence"]
        except (ValueError, KeyError):
            continue
        if isinstance(sequence, int):
            found.append((sequence, line))
    return found


def read_tree(tx: sa.Connection) -> Tree:
    """The tree as the catalogue has it."""
    row = tx.execute(sa.select(tables.log_head.c.size, tables.log_head.c.peaks)).one_or_none()
    if row is None:
        return Tree()
    peaks = [row.peaks[at : at + HASH_BYTES] for at in range(0, len(row.peaks), HASH_BYTES)]
    return Tree(row.size, peaks)


def write_tree(tx: sa.Connection, tree: Tree) -> None:
    tx.execute(sa.delete(tables.log_head))
    tx.execute(
        sa.insert(tables.log_head).values(only=1, size=tree.size, peaks=b"".join(tree.peaks))
    )


def newest_leaves(tx: sa.Connection, back: int) -> Iterator[bytes]:
    """The catalogue's newest `back` leaves, the newest first, a thousand in memory at a time."""
    stop = read_tree(tx).size
    least = max(0, stop - back)
    while stop > least:
        first = max(least, stop - 1000)
        yield from reversed(read_leaves(tx, first, stop - first))
        stop = first


def count_leaves(tx: sa.Connection) -> int:
    """How many leaves the catalogue has, whatever its tree says."""
    count: int = tx.execute(sa.select(sa.func.count()).select_from(tables.log)).scalar_one()
    return count


def read_leaves(tx: sa.Connection, first: int = 0, count: int = 10_000) -> list[bytes]:
    """The catalogue's leaves from `first` on, at most `count`. One that an edit left as text comes
    as its bytes.
    """
    query = (
        sa.select(tables.log.c.leaf)
        .where(tables.log.c.sequence >= first)
        .order_by(tables.log.c.sequence)
    )
    return [
        leaf if isinstance(leaf, bytes) else str(leaf).encode()
        for (leaf,) in tx.execute(query.limit(count))
    ]
