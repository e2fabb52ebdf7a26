"""A Merkle tree over leaves (RFC 6962): its peaks, its root."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Head:
    """The state of the log: how many leaves, and the root over them."""

    size: int
    root: bytes


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\0" + leaf).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """The peaks of a growing tree: the roots of its perfect subtrees, largest first. Appending
    costs O(log n).
    """

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size = size
        self.peaks = list(peaks)

    def append(self, hashed_leaf: bytes) -> None:
        node, rest = hashed_leaf, self.size
        while rest & 1:
            node = _node_hash(self.peaks.pop(), node)
            rest >>= 1
        self.peaks.append(node)
        self.size += 1

    def head(self) -> Head:
        if not self.peaks:
            return Head(0, hashlib.sha256(b"").digest())
        node = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            node = _node_hash(peak, node)
        return Head(self.size, node)
