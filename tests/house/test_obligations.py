"""The protocol's obligations, held against the tests that prove them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.obligations import (
    PAGE,
    TESTS,
    Citation,
    Obligation,
    Reference,
    citations,
    numbers_in,
    read_reference,
    unknown,
    unproven,
)
from tests.support.places import REPOSITORY

PAGE_OF_TWO = """\
### P1 · Something is enforced

SYS/HUM, lines 5–7

> Zin.

### P2 · Something to read

INFO, line 8

### Q1 · A default
"""


@pytest.fixture(scope="module")
def reference() -> Reference:
    return read_reference(PAGE.read_text())


def test_the_page_has_every_obligation_and_default(reference: Reference) -> None:
    assert sorted(reference.obligations) == list(range(1, 64))
    assert reference.defaults == frozenset(range(1, 15))
    assert sum(one.needs_proof for one in reference.obligations.values()) == 52


def test_every_obligation_that_needs_proof_is_proven(reference: Reference) -> None:
    assert unproven(list(citations(TESTS)), reference) == []


def test_no_test_cites_an_obligation_that_does_not_exist(reference: Reference) -> None:
    assert unknown(list(citations(TESTS)), reference) == []


def test_a_missing_proof_is_found(reference: Reference) -> None:
    """Naming an obligation is no proof, and neither is a proof of another one."""
    page = read_reference(PAGE_OF_TWO)
    assert unproven([], page) == [1]
    assert unproven(
        [Citation("test_x", "P", 1, False), Citation("test_x", "P", 2, True)], page
    ) == [1]
    assert unproven([Citation("test_x", "P", 1, True)], page) == []
    others = [one for one in citations(TESTS) if (one.letter, one.number) != ("P", 3)]
    assert unproven(others, reference) == [3]


def test_an_unknown_citation_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text('def test_a():\n    """Proves P3, Q2 and P1."""\n')
    page = read_reference(PAGE_OF_TWO)
    strays = unknown(list(citations(tmp_path)), page)
    assert strays == ["test_x::test_a cites P3", "test_x::test_a cites Q2"]


def test_the_page_is_read_strictly() -> None:
    page = read_reference(PAGE_OF_TWO)
    assert page.obligations[1] == Obligation("Something is enforced", "SYS/HUM")
    assert page.defaults == frozenset({1})
    with pytest.raises(ValueError, match="P1 stands twice"):
        read_reference(PAGE_OF_TWO + PAGE_OF_TWO)
    with pytest.raises(ValueError, match="P2 has no line with its type"):
        read_reference(PAGE_OF_TWO.replace("INFO, line 8", "line 8"))


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
        Citation("test_x::test_a", "P", number, True) for number in (21, 22, 30, 31, 32)
    ]
    assert {one.number for one in found if not one.proves} == {1, 63}
    assert numbers_in("PO P5, Q1–Q3") == {("P", 5), ("Q", 1), ("Q", 2), ("Q", 3)}


def quoted_sentences() -> Iterator[tuple[str, str]]:
    """Read the sentences that refusals quote: the protocol's lines, or a default, and the Dutch."""
    (source,) = (REPOSITORY / "vault").rglob("protocol.py")
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Sentence":
            lines, dutch, _ = (ast.literal_eval(argument) for argument in node.args)
            yield lines, dutch


def test_every_sentence_that_a_refusal_quotes_stands_on_the_page(reference: Reference) -> None:
    """In the protocol's own words; a default is one of the page's."""
    page = " ".join(PAGE.read_text().replace("\n> ", " ").split()).replace("’", "'")
    sentences = list(quoted_sentences())
    assert len(sentences) > 25
    for lines, dutch in sentences:
        if lines.startswith("Q"):
            assert int(lines[1:]) in reference.defaults, lines
            continue
        for words in dutch.replace("’", "'").rstrip(".").split(". "):
            assert words.removeprefix("In dit kader ")[1:] in page, f"{lines}: {words}"
