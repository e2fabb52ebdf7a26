from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.back_office import BackOffice, backoffice


@pytest.fixture
def back(tmp_path: Path) -> Iterator[BackOffice]:
    with backoffice(tmp_path / "office") as made:
        yield made
