"""What a listing left out, found by path."""

from collections.abc import Sequence

from dockd.card.contract import CardTrouble
from dockd.card.names import ascii_upper_path


class LeftOut:
    """An index of what was left out: a hostile card has as many entries as folders that ask for
    them.
    """

    def __init__(self, trouble: Sequence[CardTrouble]) -> None:
        self._first: dict[tuple[str, ...], tuple[int, CardTrouble]] = {}
        for number, entry in enumerate(trouble):
            self._first.setdefault(ascii_upper_path(entry.path), (number, entry))

    def at(self, path: tuple[str, ...]) -> CardTrouble | None:
        """Find the first entry at this path, in upper case, or above it."""
        above = (self._first.get(path[:depth]) for depth in range(len(path) + 1))
        first = min(
            (numbered for numbered in above if numbered is not None),
            key=lambda numbered: numbered[0],
            default=None,
        )
        return first[1] if first is not None else None
