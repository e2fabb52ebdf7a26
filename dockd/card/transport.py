"""How a card's bytes reach the dock. A transport says nothing of what is on the card, nor of whose
camera it is.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Transport:
    """One way to a card.

    `name` is the source that the vault's log names for a clock that was read this way.
    `parallel_reads` is how many files are worth reading at once. `may_change` says whether the card
    can show something new while the camera stays docked.
    """

    name: str
    parallel_reads: int
    may_change: bool


USB = Transport("usb", parallel_reads=4, may_change=False)
"""PTP/MTP. The wire carries one transfer at a time; meanwhile the other files are sealed and
flushed. A docked camera changes nothing on its card.
"""
MOUNTED = Transport("mounted", parallel_reads=4, may_change=True)
"""A file system of the docking PC. Measured: more than four reads at once give no more. Somebody
may still be copying into a watched folder.
"""
