"""Every test of the whole way runs over each transport."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.station import Station, Transport

NewStation = Callable[[Path], Station]


@pytest.fixture(params=list(Transport))
def new_station(request: pytest.FixtureRequest) -> Iterator[NewStation]:
    """Makes stations in given folders, and closes them after the test."""
    made: list[Station] = []

    def make(folder: Path) -> Station:
        made.append(Station(folder, request.param))
        return made[-1]

    yield make
    for station in made:
        station.close()
