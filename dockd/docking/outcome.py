"""How a pull went: what the bay shows, what the terminal prints and what the exit code says are
read from here.
"""

from dataclasses import dataclass

from dockd.card.contract import RefusedRecording, shown
from dockd.docking.bay import Phase
from vault.errors import Failure, Reaction
from vault.recording import Receipt, RecordingClaim, State, TimelineVerdict, Wholeness

_WEIGHT = {Reaction.TRY_AGAIN: 1, Reaction.REFUSE: 2, Reaction.ALARM: 3}

STILL_WRITTEN = frozenset({"manifest.unfinished", "dcim.still_written"})
"""Verdicts that pass by themselves: the camera closes the recording, or stops writing."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a recording did not come to its end; a Failure's own words, without its trace."""

    code: str
    sentence: str
    reaction: Reaction

    @classmethod
    def of_failure(cls, failure: Failure) -> "Problem":
        return cls(failure.code, f"{failure.sentence} {failure.hint}", failure.reaction)

    @classmethod
    def of_refused(cls, refused: RefusedRecording) -> "Problem":
        reaction = Reaction.TRY_AGAIN if refused.code in STILL_WRITTEN else Reaction.REFUSE
        return cls(refused.code, refused.sentence, reaction)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One recording of one pull. `verdict` is None where the vault held the recording before this
    pull.
    """

    name: str
    claim: RecordingClaim | None = None
    verdict: TimelineVerdict | None = None
    receipt: Receipt | None = None
    problem: Problem | None = None

    @property
    def stored(self) -> bool:
        return self.receipt is not None

    @property
    def erased(self) -> bool:
        return (
            self.receipt is not None and self.receipt.state is State.ERASED and self.problem is None
        )

    @property
    def broken(self) -> bool:
        return self.verdict is not None and self.verdict.wholeness is Wholeness.BROKEN


def outcome_of_refused(refused: RefusedRecording) -> Outcome:
    return Outcome(refused.name, problem=Problem.of_refused(refused))


def shown_name(claim: RecordingClaim) -> str:
    """The camera's name for a recording, safe to show: DCIM names are whatever the card says."""
    return shown(tuple(claim.name.split("/")))


@dataclass(frozen=True, slots=True)
class PullReport:
    """One pull from start to end. `erase_wanted` is false where the configuration keeps recordings
    on the cameras.
    """

    serial: str
    outcomes: tuple[Outcome, ...]
    erase_wanted: bool
    doubled: bool = False
    remarks: tuple[str, ...] = ()
    """What was said of this camera at this docking: refusals, gaps, alarms."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(outcome.problem for outcome in self.outcomes if outcome.problem is not None)

    @property
    def done(self) -> bool:
        """All stored, and all erased where that is wanted: what "safe to take" says."""
        return (
            not self.problems
            and not self.doubled
            and all(
                outcome.erased if self.erase_wanted else outcome.stored for outcome in self.outcomes
            )
        )

    @property
    def reaction(self) -> Reaction | None:
        """The gravest of what went wrong, None when all went well."""
        reactions = [problem.reaction for problem in self.problems]
        if self.doubled:
            reactions.append(Reaction.ALARM)
        return max(reactions, key=_WEIGHT.__getitem__, default=None)

    @property
    def likeness(self) -> tuple[str, ...]:
        """Equal for two pulls that failed the same way."""
        return tuple(
            sorted(
                {problem.code for problem in self.problems}
                | ({"dock.doubled"} if self.doubled else set())
            )
        )

    @property
    def phase(self) -> Phase:
        if self.done:
            return Phase.SAFE
        if self.doubled or all(outcome.stored for outcome in self.outcomes):
            return Phase.NOT_ERASED
        return Phase.WAITING if self.reaction is Reaction.TRY_AGAIN else Phase.BROKEN

    @property
    def message(self) -> str:
        """One or two sentences for the bay's line."""
        count = len(self.outcomes)
        if self.done:
            broken = sum(outcome.broken for outcome in self.outcomes)
            if not count:
                return "Nothing was recorded."
            remark = f" {broken} of them not whole: see the log." if broken else ""
            if not self.erase_wanted:
                return (
                    f"{_recordings(count)} in the vault. The erase is switched off: they stay on "
                    f"the camera.{remark}"
                )
            return f"{_recordings(count)} in the vault and erased from the camera.{remark}"
        if self.doubled:
            return f"Two cameras say that they are {self.serial}. All is stored; neither is erased."
        failed = len(self.problems)
        return (
            f"{failed} of {_recordings(count)}: {self.problems[0].sentence}"
            if failed
            else "Not finished."
        )


def _recordings(count: int) -> str:
    return "1 recording" if count == 1 else f"{count} recordings"
