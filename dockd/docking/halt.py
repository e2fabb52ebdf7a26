"""Being asked to stop, and a camera that is taken out: the two reasons to let go of a segment
half-way.
"""

import threading

from dockd.card.contract import CardGoneError
from vault.clock import Clock
from vault.errors import Failure, Reaction


class StoppingError(Failure):
    """dockd is stopping. What was in hand is dropped, and taken in again at the next start."""

    code = "dock.stopping"
    reaction = Reaction.TRY_AGAIN
    hint = "The camera keeps its recordings until dockd runs again."


class Halt:
    """The wish that dockd stops. Asked for once or more, by one thread; read by all.

    From then on no segment is begun. Those in hand have `grace_s`, as one of them may be the last
    of its recording: then the recording is complete, and would otherwise be read anew. After that
    they are let go at the next block.
    """

    def __init__(self, clock: Clock, grace_s: float) -> None:
        self._clock = clock
        self._grace_s = grace_s
        self._until_s: float | None = None

    def request(self) -> None:
        """Stop. A second request does not shorten or lengthen the grace of the first."""
        if self._until_s is None:
            self._until_s = self._clock.monotonic_s() + self._grace_s

    @property
    def requested(self) -> bool:
        return self._until_s is not None

    @property
    def overdue(self) -> bool:
        return self._until_s is not None and self._clock.monotonic_s() >= self._until_s


class Recall:
    """What a bay's work looks at before it goes on.

    A thread owns its device: it is told to let go, and never has it closed under its hands (fault
    A10).
    """

    def __init__(self, halt: Halt, gone: threading.Event) -> None:
        self._halt = halt
        self._gone = gone

    def before_step(self) -> None:
        """Between segments and between recordings. Raises CardGoneError, StoppingError."""
        self._while_docked()
        if self._halt.requested:
            raise StoppingError("dockd is stopping.")

    def before_block(self) -> None:
        """Within a segment. Raises CardGoneError, StoppingError."""
        self._while_docked()
        if self._halt.overdue:
            raise StoppingError("dockd is stopping, and a segment took too long to finish.")

    def _while_docked(self) -> None:
        if self._gone.is_set():
            raise CardGoneError("The camera was taken out.")
