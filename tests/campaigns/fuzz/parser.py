"""A parser of bytes that nobody vouches for, how it is handed one input, and what it
must never do.
"""

import random
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from pathlib import Path

from tests.campaigns.fuzz.guarded import Guarded, Past, Steps, TooLong, weight
from tests.campaigns.fuzz.mutation import Mutator, Seed

SENTENCE_MAX = 1000
"""Characters of a refusal: it goes into a log."""
WARM_SEEDS, WARM_STEPS = 20, 1_000_000
_BEHIND = (b"\0" * 600, b"\xff" * 600)
"""Two kinds of bytes behind the input, longer than a string of PTP can be. What depends on them was
read past the end.
"""


class Hand(Enum):
    """How an input is handed over, so that reading past its end is seen."""

    BYTES = auto()
    """As bytes whose slices don't stop at their end in silence."""
    DATASET = auto()
    """So too; and what was read is read again from the same bytes with others behind them, which
    must change nothing.
    """
    VIEW = auto()
    """As a view into more bytes, and again into others: what is read, or refused, must
    be the same.
    """


@dataclass(frozen=True)
class Bound:
    """At most so much for an input of no bytes, and so much more for each of its bytes."""

    least: int
    each: int

    def of(self, content: bytes) -> int:
        return self.least + self.each * len(content)


class Differs(AssertionError):
    """A parser contradicts itself. Raised by `read` where it compares two readings of one input."""


@dataclass(frozen=True)
class Parser:
    """One parser, and its contract: it answers, or raises one of `refusals`, within these steps,
    with no more than this weight.

    `read` is given what `hand` says. `share`: how many inputs of a hundred or so it gets.
    """

    name: str
    read: Callable[..., object]
    refusals: tuple[type[Exception], ...]
    seeds: tuple[Seed, ...]
    hand: Hand = Hand.BYTES
    tokens: tuple[bytes, ...] = ()
    mend: Callable[[bytes], bytes] | None = None
    steps: Bound = Bound(3000, 10)
    weight: Bound = Bound(500, 4)
    share: int = 1

    @cached_property
    def mutator(self) -> Mutator:
        return Mutator(self.seeds, self.tokens, self.mend)

    def input(self, seed: int, number: int) -> bytes:
        """The input of this number. The same seed gives the same, whatever was drawn before."""
        return self.mutator.draw(random.Random(seed << 40 | number))


@dataclass(frozen=True)
class Finding:
    """What a parser did that it never may, and the input that makes it do so."""

    parser: str
    what: str
    content: bytes

    def __str__(self) -> str:
        return f"{self.parser}: {self.what}\n  bytes.fromhex({self.content.hex()!r})"


class _Broke(Exception):
    """The contract is broken."""


def examine(parser: Parser, content: bytes, steps: Steps) -> tuple[bool, Finding | None]:
    """Hand one input to a parser: whether it was read rather than refused, and what is wrong with
    that.
    """
    try:
        if parser.hand is Hand.VIEW:
            return _examine_view(parser, content, steps), None
        is_read, value = _outcome(parser, Guarded(content), parser.steps.of(content), steps)
        if is_read:
            _check_weight(parser, content, value)
            if parser.hand is Hand.DATASET:
                _check_behind(parser, content, value)
        return is_read, None
    except _Broke as broke:
        return False, Finding(parser.name, str(broke), content)


def warm(parser: Parser, steps: Steps) -> None:
    """Have the parser read some seeds, so that what it compiles and remembers is done: those are no
    steps of one input.
    """
    for example in parser.seeds[:: len(parser.seeds) // WARM_SEEDS + 1]:
        with suppress(_Broke):
            handed = memoryview(example.content) if parser.hand is Hand.VIEW else example.content
            _outcome(parser, handed, WARM_STEPS, steps)


def _outcome(
    parser: Parser, handed: bytes | memoryview, limit: int, steps: Steps
) -> tuple[bool, object]:
    """True and the value, or False and the refusal's text."""
    try:
        with steps.counted(limit):
            return True, parser.read(handed)
    except parser.refusals as refusal:
        if len(str(refusal)) > SENTENCE_MAX:
            raise _Broke(f"refuses in {len(str(refusal))} characters") from None
        return False, str(refusal)
    except (Past, TooLong) as wrong:
        raise _Broke(f"{_place(wrong)}: {wrong}") from None
    except Exception as error:  # noqa: BLE001 - any other exception is what is looked for
        raise _Broke(
            f"{_place(error)}: {type(error).__name__}: {str(error)[:SENTENCE_MAX]}"
        ) from None


def _examine_view(parser: Parser, content: bytes, steps: Steps) -> bool:
    outcomes = []
    for behind in _BEHIND:
        view = memoryview(behind[:16] + content + behind)[16 : 16 + len(content)]
        outcomes.append(_outcome(parser, view, parser.steps.of(content), steps))
    if outcomes[0] != outcomes[1]:
        raise _Broke("depends on what stands around its input")
    is_read, value = outcomes[0]
    if is_read:
        _check_weight(parser, content, value)
    return is_read


def _check_weight(parser: Parser, content: bytes, value: object) -> None:
    if weight(value) > parser.weight.of(content):
        raise _Broke(f"makes a value of weight {weight(value)} out of {len(content)} bytes")


def _check_behind(parser: Parser, content: bytes, value: object) -> None:
    for behind in _BEHIND:
        try:
            again = parser.read(Guarded(content + behind))
        except parser.refusals as refusal:
            raise _Broke(f"depends on what stands behind its input: {refusal}") from None
        if again != value:
            raise _Broke("depends on what stands behind its input")


def _place(error: BaseException) -> str:
    """The innermost line of the parser's, which tells one finding from another."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.endswith("guarded.py")
    ]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
