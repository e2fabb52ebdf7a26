"""The escrow's codes: a slip of the pen is found, whatever the writing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.crypto.escrow_code import (
    ALPHABET,
    BadCode,
    as_typed,
    new_code,
    paper,
    picture_svg,
    read_code,
)

CODE = new_code(bytes(range(20)))


def test_a_code_is_printed_in_nine_groups_of_four() -> None:
    assert "000G-40R4-0M30-E209-185G-R38E-1W81-24GK-" + CODE[-4:] == CODE
    assert len({new_code() for _ in range(50)}) == 50


def test_spaces_small_letters_and_look_alikes_are_forgiven() -> None:
    typed = CODE.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert read_code(typed) == read_code(CODE.replace("-", "")) == CODE


def test_a_holder_types_the_code_as_they_like_or_another_passphrase() -> None:
    for typed in (CODE, CODE.replace("-", ""), CODE.lower().replace("-", " ")):
        assert as_typed(typed) == CODE
    assert as_typed("words of an escrow") == "words of an escrow"
    with pytest.raises(BadCode):
        as_typed(CODE[:-1] + "*")


@given(st.integers(0, 35), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_found(at: int, char: str) -> None:
    text = CODE.replace("-", "")
    wrong = text[:at] + char + text[at + 1 :]
    if wrong != text:
        with pytest.raises(BadCode):
            read_code(wrong)


@pytest.mark.parametrize("typed", ["", CODE[:-1], CODE + "0", CODE.replace("0", "!", 1)])
def test_what_is_no_code_is_refused(typed: str) -> None:
    with pytest.raises(BadCode):
        read_code(typed)


def test_the_paper_says_what_it_is_and_carries_the_code_twice() -> None:
    page = paper("ESCROW-A", "the-vault", "2026-11-24T09:00:00.000Z", CODE)
    assert all(words in page for words in ("ESCROW-A", "the-vault", CODE, "Alone it opens nothing"))
    assert picture_svg(CODE).startswith(b"<?xml")
