"""Health: what was done last, told by the log and the catalogue."""

import pytest

from tests.support.office import Office
from vault.custody.witness import WitnessFailed, sign_head
from vault.log.log import read_tree
from vault.operations.health import measure
from vault.operations.verify import verify_daily


def test_the_last_daily_check_and_what_it_found(here: Office) -> None:
    assert (measure(here.vault).last_verify_utc, measure(here.vault).last_verify_findings) == (
        None,
        0,
    )
    verify_daily(here.vault, lambda _: None)
    first = measure(here.vault)
    assert (first.last_verify_utc, first.last_verify_findings) == (
        here.told("vault.verified")[0]["time_utc"],
        0,
    )
    here.clock.pass_time(86400)
    verify_daily(here.vault, lambda _: None, ["log.truncated", "log.edited"])
    second = measure(here.vault)
    assert second.last_verify_utc is not None
    assert first.last_verify_utc is not None
    assert second.last_verify_utc > first.last_verify_utc
    assert second.last_verify_findings == 2


def test_the_witness_is_remembered_when_it_takes_a_head_and_not_when_it_refuses(
    here: Office,
) -> None:
    """And the log does not grow by it: an entry each time would ask for a new head each time."""
    assert (measure(here.vault).last_head_utc, measure(here.vault).last_witness_utc) == (None, None)
    sign_head(here.vault)
    with here.vault.reading() as tx:
        size = read_tree(tx).size
    unnamed = measure(here.vault)
    assert unnamed.last_head_utc is not None
    assert unnamed.last_witness_utc is None
    here.settings.witness[:] = ["cat"]
    here.clock.pass_time(300)
    sign_head(here.vault)
    taken = measure(here.vault)
    assert taken.last_head_utc == taken.last_witness_utc
    assert taken.last_head_utc is not None
    assert taken.last_head_utc > unnamed.last_head_utc, "also where the log has not grown since"
    here.settings.witness[:] = ["false"]
    here.clock.pass_time(300)
    with pytest.raises(WitnessFailed):
        sign_head(here.vault)
    refused = measure(here.vault)
    assert refused.last_witness_utc == taken.last_witness_utc
    assert refused.last_head_utc is not None
    assert refused.last_head_utc > taken.last_head_utc
    with here.vault.reading() as tx:
        assert read_tree(tx).size == size
