"""A slice of the custody's state machine; the whole of it is `make custody`."""

import pytest

from tests.campaigns.crash import custody
from vault.catalogue import case_rows


def test_custody_holds_whatever_order_persons_clocks_and_crashes_come_in() -> None:
    """Proves P32, P33, P34, P35, P39, P40: 24 runs of 30 steps, I4 to I7 after each."""
    custody.run(24, 30, 1)


def test_the_campaign_finds_a_hold_that_is_not_asked_in_the_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fault F5: with the question left out of the deleting transaction and the plan, a held
    recording goes, and is missed.
    """
    monkeypatch.setattr(case_rows, "is_held", lambda *_: False)
    monkeypatch.setattr(case_rows, "holds_on", lambda *_: [])
    # an assertion of the machine, or a group of them
    with pytest.raises(BaseException):  # noqa: B017
        custody.run(40, 30, 3)
