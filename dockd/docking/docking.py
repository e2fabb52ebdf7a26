"""One camera's stay in one bay, from its arrival to its leaving: the thread that serves it, and its
patience.
"""

import threading
from collections.abc import Callable
from dataclasses import replace

import structlog

from dockd.card.contract import SENTENCE_MAX, CardError, CardGoneError
from dockd.docking.bay import Bay, Board, Heartbeat, Phase
from dockd.docking.halt import StoppingError
from dockd.docking.outcome import PullReport
from dockd.docking.pull import Port, Pull, Workplace
from dockd.reader.processes import WorkerDiedError
from vault.errors import Failure, Reaction, UnknownCamera, VaultError, VaultFull

log = structlog.get_logger()

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 300.0
PATIENCE = 5
"""How often a card may fail in the same way before it only keeps its bay. What the vault can't do
is tried for ever.
"""

OUT_OF_TURN = (
    "dockd died while it served several cameras, and serves them in turn until each is done."
    " Leave this one docked: it waits for its turn."
)

Pause = Callable[[threading.Event, float | None], None]
"""Waits until the event is set or the seconds are over; None: until it is set. The seam to time of
the waiting thread.
"""


def pause(event: threading.Event, seconds: float | None) -> None:
    event.wait(seconds)


class Docking:
    """Serves one docked camera in a thread of its own. The dock's thread calls it.

    `on_change` is called from the docking's own thread when a round, or all of it, is over.
    """

    def __init__(
        self,
        name: str,
        port: Port,
        workplace: Workplace,
        board: Board,
        pause: Pause,
        on_change: Callable[[], None],
    ) -> None:
        self.bay = Bay(name, board, workplace.clock)
        self._port = port
        self._work = workplace
        self._pause = pause
        self._on_change = on_change
        self._gone = threading.Event()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._pull = Pull(port, workplace, self.bay, self._gone)
        self._content = False
        self._likeness: tuple[str, ...] = ()
        self._failures = 0
        self._wait_s = FIRST_WAIT_S
        self._thread = threading.Thread(target=self._serve, name=f"bay-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def note_gone(self) -> None:
        """Note that the camera is no longer there."""
        self._gone.set()
        self._wake.set()

    def wake(self) -> None:
        """dockd is stopping: a wait is not waited out."""
        self._wake.set()

    def look_again(self) -> None:
        """Something may have changed on a card that was done with. A card that is being waited for
        is left to its wait.
        """
        if self._content:
            self._wake.set()

    def join(self, seconds: float) -> bool:
        """Whether the thread has ended, at the latest after so many seconds."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def ended(self) -> bool:
        """Whether the bay is free: nothing of this docking touches the card, the docked cameras or the board
        any more.
        """
        return self._ended.is_set()

    def heartbeat(self) -> Heartbeat:
        """With each answer of the camera's reader as progress: every single one has its time, many
        together have more.
        """
        heartbeat = self.bay.heartbeat()
        return replace(heartbeat, progress=heartbeat.progress + self._port.lease.answers)

    def _over(self) -> bool:
        return self._gone.is_set() or self._work.halt.requested

    def _serve(self) -> None:
        try:
            while not self._over():
                self._round()
                self._on_change()
                self._rest()
        finally:
            self._end()

    def _round(self) -> None:
        self._content = False
        if self._work.quarantine.holds(self.bay.name):
            self._close_port()
            return
        try:
            with self._work.quarantine.serving(self.bay.name) as turn:
                report = self._pull.run() if turn else None
        except Failure as failure:
            self._failed(failure)
        except Exception as error:
            # The outermost place of a bay's thread: a mistake of ours with this card must not take
            # the other bays with it.
            log.exception("bay failed", bay=self.bay.name)
            self.bay.enter(
                Phase.FAULT,
                "The dock has a fault with this camera. The camera keeps its recordings: call "
                "for help.",
            )
            self._missed((type(error).__name__,), patient=False)
        else:
            if report is None:
                self._wait_for_turn()
            else:
                self._ended_with(report)

    def _wait_for_turn(self) -> None:
        """Asked for anew each few seconds: a camera that holds up the others may be taken away."""
        self._wait_s = FIRST_WAIT_S
        if self.bay.state.message != OUT_OF_TURN:
            self.bay.enter(Phase.WAITING, OUT_OF_TURN)

    def _close_port(self) -> None:
        """Nothing more is opened here."""
        self._failures = PATIENCE
        self.bay.enter(
            Phase.FAULT,
            "Readers, or dockd itself, died three times while they served this port, so it is "
            "closed. The camera keeps its"
            " recordings: keep it apart and call for help. `systemctl restart dockd` opens "
            "the port again.",
        )
        log.error("port quarantined", bay=self.bay.name)

    def _ended_with(self, report: PullReport) -> None:
        self._work.quarantine.well(self.bay.name)
        self._ask_for_reports()
        self.bay.enter(report.phase, report.message)
        log.info(
            "pull ended",
            bay=self.bay.name,
            camera=report.serial,
            phase=report.phase.value,
            sentence=report.message,
        )
        if report.done:
            self._content = True
            self._failures, self._wait_s = 0, FIRST_WAIT_S
        else:
            self._missed(report.likeness, patient=report.reaction is Reaction.TRY_AGAIN)

    def _ask_for_reports(self) -> None:
        """What still needs the officer. That it can't be asked is no reason to hold up a camera."""
        serial = self.bay.state.camera
        try:
            if serial is not None:
                self.bay.reports(len(self._work.intake.missing_reports(serial)))
        except Failure as failure:
            log.warning("missing reports could not be asked", bay=self.bay.name, code=failure.code)

    def _failed(self, failure: Failure) -> None:
        log.warning(
            "pull failed",
            bay=self.bay.name,
            code=failure.code,
            sentence=failure.sentence[:SENTENCE_MAX],
        )
        self.bay.enter(_phase_of(failure), f"{failure.sentence} {failure.hint}")
        self._let_go(failure)
        patient = isinstance(failure, VaultError) or failure.reaction is Reaction.TRY_AGAIN
        self._missed((failure.code,), patient=patient)
        self._count_death(failure)
        if self._work.quarantine.holds(self.bay.name):
            self._close_port()

    def _let_go(self, failure: Failure) -> None:
        """A camera that was gone comes back as a new docking, also where the dock has not seen it
        go between two looks.

        Its reader is walled in with the card that went, and reaches no other, not even one in the
        same place.
        """
        if isinstance(failure, CardGoneError):
            self._pull.begin_anew()
            self._port.lease.end()

    def _count_death(self, failure: Failure) -> None:
        if isinstance(failure, WorkerDiedError):
            self._work.quarantine.died(self.bay.name)

    def _missed(self, likeness: tuple[str, ...], *, patient: bool) -> None:
        self._failures = self._failures + 1 if likeness == self._likeness and not patient else 1
        self._likeness = likeness
        if self._failures >= PATIENCE:
            state = self.bay.state
            self.bay.enter(
                state.phase,
                f"{state.message} Nothing more is tried until the camera is docked again.",
            )
            log.error("bay given up", bay=self.bay.name, codes=list(likeness))

    def _rest(self) -> None:
        if self._content:
            self._until_changed()
        elif self._failures >= PATIENCE:
            self._wait(None)
        else:
            wait_s, self._wait_s = self._wait_s, min(self._wait_s * 2, LONGEST_WAIT_S)
            self._wait(wait_s)

    def _until_changed(self) -> None:
        while not self._over():
            self._wait(None)
            self._ask_for_reports()
            try:
                if self._over() or self._changed():
                    return
            except CardError as failure:
                # Gone: the dock says so in a moment. Unreadable: the next round finds the words for
                # it.
                self._let_go(failure)
                self._count_death(failure)
                return

    def _changed(self) -> bool:
        with self._work.quarantine.serving(self.bay.name) as turn:
            return turn and self._pull.changed()

    def _wait(self, seconds: float | None) -> None:
        if not self._over():
            self._pause(self._wake, seconds)
        self._wake.clear()

    def _end(self) -> None:
        state = self.bay.state
        self._work.docked_cameras.remove(self.bay.name)
        self._port.lease.end()
        if self._gone.is_set():
            if state.phase in (Phase.SAFE, Phase.UNKNOWN) or (
                state.message == OUT_OF_TURN and state.camera is None
            ):
                # All is done, or nothing of it was touched: nobody has to bring it back here.
                self.bay.board.remove(self.bay.name)
            else:
                camera = state.camera or "The camera"
                self.bay.enter(
                    Phase.TAKEN_EARLY,
                    f"{camera} was taken before all was in the vault and erased. Dock it "
                    f"again: it goes on.",
                )
                log.warning(
                    "camera taken too early",
                    bay=self.bay.name,
                    camera=state.camera,
                    phase=state.phase.value,
                )
        elif state.phase.busy:
            self.bay.enter(Phase.WAITING, "dockd is stopping.")
        self._ended.set()
        self._on_change()


def _phase_of(failure: Failure) -> Phase:
    match failure:
        case UnknownCamera():
            return Phase.UNKNOWN
        case VaultFull():
            return Phase.VAULT_FULL
        case CardGoneError():
            return Phase.TAKEN_EARLY
        case StoppingError():
            return Phase.WAITING
    return Phase.WAITING if failure.reaction is Reaction.TRY_AGAIN else Phase.FAULT
