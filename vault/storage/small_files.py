"""The vault's small files that are no footage: keyring, pins, notes, papers, tombstones."""

from pathlib import Path

from vault.errors import StorageFailed


def read_small(path: Path, limit_bytes: int) -> bytes:
    """Read a small file whole. Raises StorageFailed where it is missing, no regular file, or too
    large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except OSError as error:
        raise StorageFailed(f"{path.name} can't be read: {error.strerror}.") from error
    if len(content) > limit_bytes:
        raise StorageFailed(f"{path.name} is larger than {limit_bytes} bytes.")
    return content
