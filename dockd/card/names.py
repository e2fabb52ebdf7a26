"""Names on a card, compared as FAT compares them: without regard to case."""

Path = tuple[str, ...]
"""The names from the card's root on."""


def ascii_upper(name: str) -> str:
    """Put ASCII names in upper case, and leave others as they are.

    The long s and its kin have capitals in ASCII, and FAT would not fold them.
    """
    return name.upper() if name.isascii() else name


def ascii_upper_path(path: Path) -> Path:
    """Apply `ascii_upper` to each name."""
    return tuple(ascii_upper(name) for name in path)


def ascii_lower(name: str) -> str:
    """Put ASCII names in lower case, and leave others as they are.

    The Kelvin sign and its kin become ASCII in lower case, and FAT would not fold them.
    """
    return name.lower() if name.isascii() else name


def folded(path: Path) -> Path:
    """Fold every name, ASCII or not.

    For what must not be called gone: folding more than FAT does can only make more look as if it
    were still there, never less.
    """
    return tuple(name.upper() for name in path)
