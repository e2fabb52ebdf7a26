"""The journal of a whole run: no unit of ours complains but where a scenario saw to it, and the
kernel never does.
"""

from tests.campaigns.vm.stage import Stage

PROVOKED = {
    "the reader of the USB died": "a_stop_in_mid_pull_loses_nothing kills all readers",
    "Watchdog timeout (limit 20s)!": "the_watchdog_ends_a_hang",
    "a bay stands still": "the_watchdog_ends_a_hang",
    "port quarantined": "a_port_that_kills_its_readers_is_closed",
}
"""What the journal may say at level err or worse, and which scenario has it say so."""


def the_journal_is_clean(stage: Stage) -> str:
    """Every line at level err or worse of our units was provoked; the kernel saw no trouble."""
    said = stage.machine.run(
        "journalctl -b --no-pager -o short-monotonic -p err -u 'vault-*' -u 'dock*' | grep -v "
        "'^-- '"
    ).output
    lines = said.splitlines()
    surprises = [line for line in lines if not any(words in line for words in PROVOKED)]
    assert not surprises, "\n".join(surprises)
    assert not stage.complaints(), stage.complaints()
    return f"{len(lines)} complaints, all provoked"
