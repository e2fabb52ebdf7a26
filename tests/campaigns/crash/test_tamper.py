"""A slice of the tamperings; the whole of it is `make tamper`."""

from tests.campaigns.crash.tamper import KINDS, round_of


def test_every_tampering_is_found_with_a_checkpoint_outside_and_a_rebuild_with_nothing_else() -> (
    None
):
    """Proves P39: 350 tamperings by whoever has the machine and its key. Without a witness a log
    written anew is sound.
    """
    done = [round_of(seed) for seed in range(350)]
    assert all(one.found for one in done)
    assert {one.kind for one in done} == set(KINDS)
    assert not any(
        one.inside for one in done if one.kind in ("truncate", "roll back", "rebuild all")
    )
    assert any(one.inside for one in done if one.kind == "drop")
