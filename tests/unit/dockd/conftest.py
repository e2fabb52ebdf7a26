from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dock import Quay


@pytest.fixture
def quay(tmp_path: Path) -> Iterator[Quay]:
    made = Quay(tmp_path / "quay")
    yield made
    made.close()
