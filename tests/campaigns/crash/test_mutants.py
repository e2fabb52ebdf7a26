"""The mutants still fit today's source; `python -m tests.campaigns.crash.mutants` is whether
each is caught.
"""

import ast

import pytest

from tests.campaigns.crash.mutants import MUTANTS, Mutant, mutated
from tests.support.places import REPOSITORY


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_still_applies(mutant: Mutant) -> None:
    """Each of its texts stands in the source exactly once, and what it makes of it is Python."""
    texts = mutated(mutant, REPOSITORY)
    assert texts
    for path, text in texts.items():
        assert text != path.read_text()
        ast.parse(text)


def test_every_mutant_has_a_name_of_its_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 12
