"""What a bay's tile says, in Dutch and English, from the status document. Pure.

One word for what is happening, one sentence for what to do; colour, sign and word say the same.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dockd.docking.bay import Phase


@dataclass(frozen=True, slots=True)
class Words:
    """A phase as the officer reads it: the sign beside the colour, the word, what to do."""

    sign: str
    nl: str
    en: str
    nl_do: str
    en_do: str


WORDS: Mapping[Phase, Words] = {
    Phase.IDENTIFYING: Words(
        "…", "herkennen", "identifying", "Laat de camera staan.", "Leave the camera."
    ),
    Phase.PULLING: Words("↓", "inlezen", "pulling", "Laat de camera staan.", "Leave the camera."),
    Phase.CHECKING: Words("↻", "nazien", "checking", "Laat de camera staan.", "Leave the camera."),
    Phase.ERASING: Words("⌫", "wissen", "erasing", "Laat de camera staan.", "Leave the camera."),
    Phase.SAFE: Words(
        "✓",
        "veilig te pakken",
        "safe to take",
        "U kunt de camera pakken.",
        "You can take the camera.",
    ),
    Phase.WAITING: Words(
        "‖",
        "wacht",
        "waiting",
        "Laat de camera staan; het gaat vanzelf verder.",
        "Leave it; it goes on by itself.",
    ),
    Phase.TAKEN_EARLY: Words(
        "!",
        "te vroeg gepakt",
        "taken too early",
        "Zet de camera terug in het dock.",
        "Put the camera back.",
    ),
    Phase.VAULT_FULL: Words(
        "!",
        "kluis vol",
        "vault full",
        "Laat de camera staan en roep hulp.",
        "Leave it and call for help.",
    ),
    Phase.UNKNOWN: Words(
        "?",
        "onbekende camera",
        "unknown camera",
        "Roep de boa-coördinator.",
        "Call the coordinator.",
    ),
    Phase.BROKEN: Words(
        "!",
        "kapotte opname",
        "broken recording",
        "Laat de camera staan en roep de boa-coördinator.",
        "Leave it and call the coordinator.",
    ),
    Phase.NOT_ERASED: Words(
        "!",
        "niet gewist",
        "not erased",
        "Laat de camera staan en roep de boa-coördinator.",
        "Leave it and call the coordinator.",
    ),
    Phase.FAULT: Words(
        "!", "storing", "fault", "Laat de camera staan en roep hulp.", "Leave it and call for help."
    ),
}


@dataclass(frozen=True, slots=True)
class Tile:
    """One bay as its tile shows it. `part` is how much of the pull is done, 0 to 100; None where
    nothing is counted.
    """

    bay: str
    lamp: str
    sign: str
    word: str
    do: str
    camera: str
    whose: str
    count: str
    part: int | None
    rate: str
    left: str
    battery: str
    reports: str
    detail: str


def tiles(document: Mapping[str, Any], language: str) -> list[dict[str, Any]]:
    """The tiles of a status document, in the order of the bays."""
    return [asdict(tile(bay, language)) for bay in document["bays"]]


def tile(bay: Mapping[str, Any], language: str) -> Tile:
    """One bay of a status document as its tile."""
    dutch = language == "nl"
    phase = Phase(bay["phase"])
    words = WORDS[phase]
    missing = int(bay.get("reports_missing") or 0)
    return Tile(
        bay=str(bay["bay"]),
        lamp=str(bay["lamp"]),
        sign=words.sign,
        word=words.nl if dutch else words.en,
        do=words.nl_do if dutch else words.en_do,
        camera=str(bay["camera"] or ""),
        whose=str(bay["officer"] or ""),
        count=_count(bay, dutch),
        part=_part(bay, phase),
        rate=_rate(bay, phase, dutch),
        left=_left(bay["seconds_left"], dutch),
        battery=_battery(bay.get("battery_percent"), dutch),
        reports=_reports(missing, dutch),
        detail="" if phase.busy or phase is Phase.SAFE else str(bay["message"]),
    )


def _count(bay: Mapping[str, Any], dutch: bool) -> str:
    if not bay["recording_count"]:
        return ""
    return f"{bay['recording_number']} {'van' if dutch else 'of'} {bay['recording_count']}"


def _counts(bay: Mapping[str, Any], phase: Phase) -> bool:
    """Whether the bay pulls, and says how much."""
    return phase is Phase.PULLING and bool(bay["bytes_total"])


def _part(bay: Mapping[str, Any], phase: Phase) -> int | None:
    if not _counts(bay, phase):
        return None
    return min(100, round(100 * int(bay["bytes_done"]) / int(bay["bytes_total"])))


def _rate(bay: Mapping[str, Any], phase: Phase, dutch: bool) -> str:
    if not _counts(bay, phase) or not bay["bytes_per_s"]:
        return ""
    return _decimal(bay["bytes_per_s"] / 1e6, dutch) + " MB/s"


def _battery(percent: int | None, dutch: bool) -> str:
    return "" if percent is None else f"{'accu' if dutch else 'battery'} {percent} %"


def _left(seconds: int | None, dutch: bool) -> str:
    if seconds is None:
        return ""
    text = f"{seconds} s" if seconds < 90 else f"{-(-seconds // 60)} min"
    return f"nog {text}" if dutch else f"{text} left"


def _reports(missing: int, dutch: bool) -> str:
    if not missing:
        return ""
    if dutch:
        return f"{missing} {'opname' if missing == 1 else 'opnamen'} zonder vastlegging"
    return f"{missing} {'recording' if missing == 1 else 'recordings'} without a report"


def _decimal(value: float, dutch: bool) -> str:
    text = f"{value:.1f}"
    return text.replace(".", ",") if dutch else text
