"""The table of what is proven, itself held to account."""

from pathlib import Path

from tests.house.obligations import (
    OBLIGATIONS,
    Citation,
    citations,
    collected,
    numbers_in,
    unproven,
)


def test_every_obligation_of_custody_is_proven() -> None:
    """Each of custody's obligations has a test that says so, or stands on the list of what waits
    for a screen.
    """
    assert unproven(collected()) == []


def test_no_test_cites_an_obligation_that_does_not_exist() -> None:
    assert set(collected()) <= set(OBLIGATIONS) == set(range(1, 64))


def test_docstrings_are_read_as_they_are_written(tmp_path: Path) -> None:
    bodies = {
        "test_a": "Proves P21, P22 and P30 to P32.",
        "test_b": "P63.",
        "helper": "Proves P40.",
    }
    written = "".join(f'\n\ndef {name}():\n    """{text}"""\n' for name, text in bodies.items())
    (tmp_path / "test_x.py").write_text(f'"""About P1."""\n{written}')
    found = list(citations(tmp_path))
    assert [one for one in found if one.proves] == [
        Citation("test_x::test_a", number, True) for number in (21, 22, 30, 31, 32)
    ]
    assert {one.obligation for one in found if not one.proves} == {1, 63}
    assert numbers_in("PO P5") == {5}
    assert 40 in unproven({})
