"""Who has no Prometheus is told by mail or by a POST: once when an alarm begins, daily while it
lasts, once when it ends.

What is remembered, a small file: how long each condition holds, and for each channel what it was
told last. A channel that fails is told the next time what it was not told, and nothing twice that
it took. A run that dies between a delivery and the flush of the file tells of it again: twice is
better than never.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from vault.clock import utc_moment, utc_text
from vault.crypto.canonical_json import Json, parse_object, readable
from vault.monitoring.alarms import RULES, Figures, Rule, Severity
from vault.monitoring.messenger import Channel, Message, NotDelivered
from vault.storage.durable import make_folder, remove_file, replace_new, storage_errors
from vault.storage.small_files import read_small

FORMAT = "dock-vault/alerts/1"
STATE_FORMAT = "dock-vault/alert-state/1"
STATE_LIMIT_BYTES = 1 << 20
AGAIN = timedelta(hours=24)
GAP = timedelta(hours=1)
"""Looks further apart than this say nothing of the time between them: the machine was off."""


class Turn(StrEnum):
    """What a message says of an alarm."""

    BEGAN = "began"
    LASTS = "lasts"
    ENDED = "ended"


_TURNS_NL = {Turn.BEGAN: "begonnen", Turn.LASTS: "duurt voort", Turn.ENDED: "voorbij"}


@dataclass(frozen=True, slots=True)
class Notice:
    """One alarm in a message. `since_utc`: when its condition was first seen; None for one that
    ended.
    """

    rule: Rule
    turn: Turn
    since_utc: str | None


@dataclass(frozen=True, slots=True)
class Holding:
    """A condition that holds: since when, and how much of that time somebody looked."""

    since_utc: str
    held_s: float


@dataclass(frozen=True, slots=True)
class Remembered:
    """The last look, which rules held at it, and by channel when it was told last of each that
    held.
    """

    looked_utc: str | None = None
    holding: Mapping[str, Holding] = field(default_factory=dict)
    told: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def standing(
    before: Remembered, figures: Figures, now: datetime, rules: Sequence[Rule] = RULES
) -> dict[str, Holding]:
    """The rules that hold now. Of one whose figures are absent nothing changes. Pure."""
    passed = now - utc_moment(before.looked_utc) if before.looked_utc is not None else timedelta(0)
    counted_s = passed.total_seconds() if timedelta(0) <= passed <= GAP else 0.0
    found = {}
    for rule in rules:
        holds, held = rule.holds(figures), before.holding.get(rule.name)
        if holds and held is None:
            found[rule.name] = Holding(utc_text(now), 0.0)
        elif holds and held is not None:
            found[rule.name] = Holding(held.since_utc, held.held_s + counted_s)
        elif holds is None and held is not None:
            found[rule.name] = held
    return found


def notices(
    holding: Mapping[str, Holding],
    told: Mapping[str, str],
    now: datetime,
    rules: Sequence[Rule] = RULES,
) -> list[Notice]:
    """What a channel is to be told now, given what it was told. Pure."""
    found = []
    for rule in rules:
        held, last = holding.get(rule.name), told.get(rule.name)
        if held is None:
            if last is not None:
                found.append(Notice(rule, Turn.ENDED, None))
        elif last is None:
            if held.held_s >= rule.lasting.total_seconds():
                found.append(Notice(rule, Turn.BEGAN, held.since_utc))
        elif not timedelta(0) <= now - utc_moment(last) < AGAIN:
            found.append(Notice(rule, Turn.LASTS, held.since_utc))
    return found


def _after(told: Mapping[str, str], given: Sequence[Notice], now: datetime) -> dict[str, str]:
    """What a channel has been told once it took these."""
    gone = {notice.rule.name for notice in given if notice.turn is Turn.ENDED}
    newly = {notice.rule.name: utc_text(now) for notice in given if notice.turn is not Turn.ENDED}
    return {name: last for name, last in told.items() if name not in gone} | newly


def tell(
    state: Path, ways: Sequence[Channel], figures: Figures, now: datetime, machine: str
) -> list[Notice]:
    """Tell each channel what it is to know now; returns what was told, each notice once.

    Raises NotDelivered when every channel was tried and one did not take its message,
    StorageFailed, VaultFull.
    """
    before = read_state(state)
    holding = standing(before, figures, now)
    told: dict[str, Mapping[str, str]] = {}
    given: dict[tuple[str, Turn], Notice] = {}
    failures: list[NotDelivered] = []
    for way in ways:
        told[way.name] = known = before.told.get(way.name, {})
        due = notices(holding, known, now)
        if not due:
            continue
        try:
            way.deliver(message_of(due, now, machine), now)
        except NotDelivered as failure:
            failures.append(failure)
            continue
        told[way.name] = _after(known, due, now)
        given |= {(notice.rule.name, notice.turn): notice for notice in due}
    write_state(state, Remembered(utc_text(now), holding, told))
    if failures:
        raise NotDelivered(" ".join(failure.sentence for failure in failures))
    return list(given.values())


def trial(ways: Sequence[Channel], now: datetime, machine: str) -> None:
    """Send every channel a message that nothing is wrong. Raises NotDelivered."""
    text = (
        "Dit is een proefbericht: er is niets mis.\n\n---\n\nThis is a trial: nothing is wrong.\n"
    )
    document: Json = {"format": FORMAT, "machine": machine, "sent_utc": utc_text(now), "alerts": []}
    for way in ways:
        way.deliver(Message(f"[dock-vault {machine}] trial", text, document), now)


# --- messages -------------------------------------------------------------------------------------


def message_of(told: Sequence[Notice], now: datetime, machine: str) -> Message:
    """One message of several notices: Dutch, then English, and a document for a program."""
    loudest = "CRITICAL" if any(_is_loud(notice) for notice in told) else ""
    names = ", ".join(f"{notice.rule.name} {notice.turn.value}" for notice in told)
    subject = " ".join(filter(None, (f"[dock-vault {machine}]", loudest, names)))
    halves = [
        *_half(
            told,
            lambda one: f"{one.rule.name}: {_TURNS_NL[one.turn]}",
            lambda one: (one.rule.summary.nl, one.rule.action.nl),
        ),
        "---",
        *_half(
            told,
            lambda one: f"{one.rule.name}: {one.turn.value}",
            lambda one: (one.rule.summary.en, one.rule.action.en),
        ),
    ]
    text = "\n\n".join(halves) + f"\n\n{machine}, {utc_text(now)}\n"
    document: Json = {
        "format": FORMAT,
        "machine": machine,
        "sent_utc": utc_text(now),
        "alerts": [_words(one) for one in told],
    }
    return Message(subject, text, document)


def _is_loud(notice: Notice) -> bool:
    return notice.rule.severity is Severity.CRITICAL and notice.turn is not Turn.ENDED


def _half(
    told: Sequence[Notice],
    heading: Callable[[Notice], str],
    words: Callable[[Notice], tuple[str, str]],
) -> Iterator[str]:
    for notice in told:
        summary, action = words(notice)
        # What is over needs nothing done.
        rest = (summary,) if notice.turn is Turn.ENDED else (summary, action)
        yield "\n".join((heading(notice), *rest))


def _words(notice: Notice) -> Json:
    rule = notice.rule
    return {
        "alert": rule.name,
        "state": notice.turn.value,
        "severity": rule.severity.value,
        "since_utc": notice.since_utc,
        "summary": {"nl": rule.summary.nl, "en": rule.summary.en},
        "action": {"nl": rule.action.nl, "en": rule.action.en},
    }


# --- what is remembered ---------------------------------------------------------------------------


def read_state(path: Path) -> Remembered:
    """What the last run left; nothing where there is no file, or it is none of ours: then all is
    told anew.

    Raises StorageFailed.
    """
    with storage_errors(f"looking for {path.name}"):
        if not path.exists():
            return Remembered()
    content = read_small(path, STATE_LIMIT_BYTES)
    try:
        found = parse_object(content)
        looked = _moment(found["looked_utc"])
        holding = {
            str(name): Holding(_moment(one["since_utc"]), float(one["held_s"]))
            for name, one in found["holding"].items()
        }
        told = {
            str(way): {str(name): _moment(utc) for name, utc in known.items()}
            for way, known in found["told"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return Remembered()
    return (
        Remembered(looked, holding, told) if found.get("format") == STATE_FORMAT else Remembered()
    )


def _moment(utc: object) -> str:
    return utc_text(utc_moment(str(utc)))


def write_state(path: Path, state: Remembered) -> None:
    """Raises StorageFailed, VaultFull."""
    make_folder(path.parent)
    part = path.with_name(f".{path.name}.part")
    # Left by a run that was killed.
    remove_file(part)
    replace_new(part, path, readable({"format": STATE_FORMAT, **asdict(state)}))
