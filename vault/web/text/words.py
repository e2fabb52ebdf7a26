"""The protocol's words for pages, in both languages: functions, purposes, cases, states, times and
sizes. Pure.

A word stands as a pair, Dutch and English beside each other, so that neither can be missing.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from vault.custody.reports import LOCATION_NAMES_NL, Location
from vault.rules.case_kinds import CASES, CaseKind
from vault.rules.purposes import PURPOSES, Purpose
from vault.rules.roles import FUNCTION_NAMES_NL, ROLE_NAMES_NL, Function, Role
from vault.rules.states import ViewingMoments, ViewingState, viewing_state

ZONE = ZoneInfo("Europe/Amsterdam")
LANGUAGES = ("nl", "en")

_ROLES_EN = {
    Role.OFFICER: "officer",
    Role.COORDINATOR: "boa coordinator",
    Role.CLUSTER_MANAGER: "cluster manager",
    Role.PRIVACY_OFFICER: "privacy officer",
    Role.SECRETARY: "municipal secretary",
    Role.SAFETY_COORDINATOR: "safety coordinator",
    Role.ADMINISTRATOR: "technical administrator",
}
_VIEWING_STATES = {
    ViewingState.AWAITING_APPROVAL: ("wacht op de coördinator", "waits for the coordinator"),
    ViewingState.READY: ("kan geopend worden", "can be opened"),
    ViewingState.REFUSED: ("afgewezen", "refused"),
    ViewingState.OPENED: ("geopend", "opened"),
    ViewingState.ENDED: ("afgelopen", "ended"),
}
_PLACES_EN = {place: place.value.replace("_", " ") for place in Location}
_PAIRS = {
    "stored": ("op de camera en in de kluis", "on the camera and in the vault"),
    "erasing": ("wissen van de camera begonnen", "being erased from the camera"),
    "erased": ("in de kluis, van de camera gewist", "in the vault, erased from the camera"),
    "whole": ("nagezien: heel", "checked: whole"),
    "broken": ("nagezien: niet heel", "checked: not whole"),
    "not_stated": ("niet na te zien", "could not be checked"),
    "present": ("was erbij", "was present"),
    "on_it": ("staat erop", "is on it"),
    "concerned": ("is betrokken", "is concerned"),
    "retention": ("28 dagen om", "28 days were over"),
    "late_docking": ("laat ingelezen", "docked late"),
    "hold_lifted": ("laatste zaak gesloten", "last case closed"),
    "by_hand": ("met de hand, door twee", "by hand, by two"),
}

_ACTIONS = {
    "access.read": ("register gelezen", "register read"),
    "absence.ended": ("vervanging beëindigd", "replacement ended"),
    "absence.recorded": ("vervanging vastgelegd", "replacement recorded"),
    "backup.made": ("back-up gemaakt", "backup made"),
    "camera.added": ("camera geregistreerd", "camera registered"),
    "camera.alarm": ("alarm van het dock over een camera", "the dock's alarm about a camera"),
    "camera.assigned": ("camera toegewezen", "camera assigned"),
    "camera.docked": ("camera in het dock gezet", "camera docked"),
    "camera.finding": ("bijzonderheid van een camera", "finding about a camera"),
    "camera.refused": ("camera of opname geweigerd", "camera or recording refused"),
    "camera.removed": ("camera verwijderd", "camera removed"),
    "camera.returned": ("camera ingeleverd", "camera handed in"),
    "case.carried_out": ("besluit uitgevoerd", "decision carried out"),
    "case.closed": ("zaak gesloten", "case closed"),
    "case.decided": ("besluit genomen", "decision taken"),
    "case.extended": ("opname aan zaak toegevoegd", "recording added to a case"),
    "case.objected": ("bezwaar geregistreerd", "objection registered"),
    "case.objection_decided": ("op bezwaar beslist", "objection decided"),
    "case.read": ("zaak gelezen", "case read"),
    "case.registered": ("zaak geregistreerd", "case registered"),
    "destruction.confirmed": ("vernietiging nagezien", "destruction seen to be done"),
    "drill.done": ("hersteloefening gedaan", "restore drill done"),
    "drill.failed": ("hersteloefening mislukt", "restore drill failed"),
    "erase.done": ("op de camera gewist", "erased on the camera"),
    "erase.failed": ("wissen van de camera mislukt", "erasing on the camera failed"),
    "erase.intended": ("wissen van de camera begonnen", "erasing on the camera begun"),
    "figures.read": ("cijfers gelezen", "figures read"),
    "handover.begun": ("overdracht begonnen", "hand-over begun"),
    "handover.made": ("overdracht gemaakt", "hand-over made"),
    "handover.received": ("overdracht ontvangen", "hand-over received"),
    "keyring.changed": ("sleutelbos gewijzigd", "keyring changed"),
    "log.key_changed": ("nieuwe sleutel van het logboek", "new key of the log"),
    "log.read": ("logboek gelezen", "log read"),
    "paper.removed": ("stuk verwijderd", "paper removed"),
    "person.present": ("vastgelegd wie erbij was", "who was there, written down"),
    "person.refused": ("aanmelding geweigerd", "sign-in refused"),
    "person.security_key_added": ("beveiligingssleutel toegevoegd", "security key added"),
    "person.security_key_removed": ("beveiligingssleutel verwijderd", "security key removed"),
    "recording.adopted": ("na een storing teruggevonden", "found again after a crash"),
    "recording.refused": ("opname niet ingelezen", "recording not taken in"),
    "recording.archived": ("opname gearchiveerd", "recording archived"),
    "recording.destroyed": ("opname vernietigd", "recording destroyed"),
    "recording.opened": ("opname geopend", "recording opened"),
    "recording.sealed_later": ("sleutel voor een later tweetal", "key for a later pair"),
    "recording.stored": ("opname opgeslagen en bewezen", "recording stored and proven"),
    "report.filed": ("gebruik vastgelegd", "use reported"),
    "report.read": ("vastlegging gelezen", "report read"),
    "report.received": ("vastlegging ontvangen", "report received"),
    "retention.marked": ("gemerkt voor vernietiging", "marked for destruction"),
    "retention.unmarked": ("merk ingetrokken", "mark withdrawn"),
    "vault.confirmed": ("herstelde lijst bevestigd", "rebuilt list confirmed"),
    "vault.founded": ("kluis gesticht", "vault founded"),
    "vault.rebuilt": ("lijst van opnamen hersteld", "list of recordings rebuilt"),
    "vault.restored": ("kluis teruggezet uit een back-up", "vault restored from a backup"),
    "vault.verified": ("kluis nagelezen", "vault checked"),
    "viewing.approved": ("terugkijken goedgekeurd", "looking back approved"),
    "viewing.denied": ("bekijken geweigerd", "viewing denied"),
    "viewing.ended": ("bekijken beëindigd", "viewing ended"),
    "viewing.opened": ("bekijken begonnen", "viewing begun"),
    "viewing.refused": ("terugkijken afgewezen", "looking back refused"),
    "viewing.requested": ("bekijken aangevraagd", "viewing requested"),
    "viewing.shown": ("beeld getoond", "picture shown"),
}
_KEYS = {
    "reference": ("kenmerk", "reference"),
    "text": ("tekst", "text"),
    "necessity": ("noodzaak", "necessity"),
    "reasons": ("motivering", "reasons"),
    "reason": ("reden", "reason"),
    "purpose": ("doel", "purpose"),
}


class Words:
    """A page's words in one language."""

    def __init__(self, language: str) -> None:
        self.language = language if language in LANGUAGES else "nl"

    def t(self, nl: str, en: str) -> str:
        return nl if self.language == "nl" else en

    def role(self, role: str) -> str:
        found = Role(role)
        return self.t(ROLE_NAMES_NL[found], _ROLES_EN[found])

    def roles(self, roles: Iterable[str]) -> str:
        return ", ".join(self.role(role) for role in sorted(roles)) or self.t(
            "geen functie", "no function"
        )

    def function(self, function: str) -> str:
        found = Function(function)
        return self.t(FUNCTION_NAMES_NL[found], _ROLES_EN[Role(found.value)])

    def purpose(self, purpose: str) -> str:
        rule = PURPOSES[Purpose(purpose)]
        return self.t(rule.name_nl, rule.name_en)

    def viewing_state(self, row: ViewingMoments) -> str:
        """How far a viewing has come."""
        return self.t(*_VIEWING_STATES[viewing_state(row)])

    def kind(self, kind: str) -> str:
        rule = CASES[CaseKind(kind)]
        return self.t(rule.name_nl, rule.name_en)

    def place(self, place: str) -> str:
        found = Location(place)
        return self.t(LOCATION_NAMES_NL[found], _PLACES_EN[found])

    def word(self, code: str) -> str:
        """A stored code in words; one that is not known stands as it is."""
        return self.t(*_PAIRS[code]) if code in _PAIRS else code.replace("_", " ")

    def action(self, action: str) -> str:
        """What an entry of the log says was done."""
        return self.t(*_ACTIONS[action]) if action in _ACTIONS else action

    def key(self, key: str) -> str:
        """What a part of a paper is called."""
        return self.t(*_KEYS[key]) if key in _KEYS else key

    def when(self, utc: str | datetime | None) -> str:
        """A stored moment in the municipality's own time: `24-11-2026 18:05`."""
        if not utc:
            return "–"
        moment = datetime.fromisoformat(utc) if isinstance(utc, str) else utc
        return moment.astimezone(ZONE).strftime("%d-%m-%Y %H:%M")

    def length(self, duration_ms: int | None) -> str:
        """`4 min 30 s`."""
        if duration_ms is None:
            return self.t("niet vermeld", "not stated")
        seconds = round(duration_ms / 1000)
        if seconds < 60:
            return (
                f"{duration_ms / 1000:.1f} s"
                if self.language == "en"
                else f"{duration_ms / 1000:.1f} s".replace(".", ",")
            )
        hours, minutes = divmod(seconds // 60, 60)
        return (f"{hours} {self.t('u', 'h')} " if hours else "") + f"{minutes} min {seconds % 60} s"

    def size(self, size_bytes: int) -> str:
        text = (
            f"{size_bytes / 1e6:,.1f} MB"
            if size_bytes >= 1_000_000
            else f"{size_bytes / 1e3:,.1f} kB"
        )
        return text if self.language == "en" else text.replace(",", " ").replace(".", ",")

    def offset(self, offset_ms: int | None) -> str:
        """How far a camera's clock was from this machine's."""
        if offset_ms is None:
            return self.t("niet gemeten", "not measured")
        seconds = f"{abs(offset_ms) / 1000:.1f} s"
        if self.language == "nl":
            seconds = seconds.replace(".", ",")
        if abs(offset_ms) < 100:
            return self.t("gelijk", "right")
        return (
            f"{seconds} {self.t('voor', 'ahead') if offset_ms > 0 else self.t('achter', 'behind')}"
        )


def local_input(moment: datetime) -> str:
    """A moment as a browser's `datetime-local` field takes it, in the municipality's own time."""
    return moment.astimezone(ZONE).strftime("%Y-%m-%dT%H:%M")


def read_local(text: str) -> datetime | None:
    """What such a field gives; None where it is no moment."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=ZONE)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
