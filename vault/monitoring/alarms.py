"""When somebody is to be told: each rule over the figures once, with what it means and what to do,
in Dutch and in English. Pure.

`config/alerts.yml` has the same rules for Prometheus; a test holds the two against each other at
every boundary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

Figures = Mapping[str, float]
"""Name of a gauge to its value; those that can't be had now are absent."""


class Severity(StrEnum):
    """How soon somebody should look."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Sentence:
    """The same in both languages."""

    nl: str
    en: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One alarm. It is told of once `condition` has held for `lasting`."""

    name: str
    severity: Severity
    lasting: timedelta
    condition: Callable[[Figures], bool]
    summary: Sentence
    action: Sentence

    def holds(self, figures: Figures) -> bool | None:
        """None where a figure that it asks for is absent: then nothing is known."""
        try:
            return self.condition(figures)
        except KeyError:
            return None


def _minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


RULES = (
    Rule(
        "VaultDoesNotOpen",
        Severity.CRITICAL,
        _minutes(10),
        lambda now: now["opens"] == 0,
        Sentence(
            "De kluis gaat niet open. Camera's houden hun opnamen.",
            "The vault does not open. Cameras keep their recordings.",
        ),
        Sentence(
            "Draai vault verify op de dock-pc: het zegt waarom, en wat te doen.",
            "On the docking PC run vault verify: it says why, and what to do.",
        ),
    ),
    Rule(
        "DockDoesNotAnswer",
        Severity.CRITICAL,
        _minutes(10),
        lambda now: now["dock_answers"] == 0,
        Sentence(
            "dockd antwoordt niet. Camera's houden hun opnamen.",
            "dockd does not answer. Cameras keep their recordings.",
        ),
        Sentence(
            "Op de dock-pc: systemctl status dockd, dan journalctl -u dockd.",
            "On the docking PC: systemctl status dockd, then journalctl -u dockd.",
        ),
    ),
    Rule(
        "PullFailing",
        Severity.WARNING,
        _minutes(30),
        lambda now: now["bays_faulty"] > 0 or now["bays_waiting"] > 0,
        Sentence(
            "Een camera in het dock wordt niet ingelezen.",
            "A camera in the dock is not taken in.",
        ),
        Sentence(
            "De pagina van het dock zegt welke plaats en waarom. Houd die camera apart; zij "
            "houdt haar opnamen.",
            "The dock's page says which bay and why. Keep that camera apart; it keeps its "
            "recordings.",
        ),
    ),
    Rule(
        "CameraOverdue",
        Severity.WARNING,
        _minutes(60),
        lambda now: now["cameras_overdue"] > 0,
        Sentence(
            "Een camera is bij iemand en stond twee diensten lang niet in het dock.",
            "A camera is with somebody and was not docked for two shifts.",
        ),
        Sentence(
            "De coördinator vindt haar bij Camera's, en vraagt de medewerker haar in het dock "
            "te zetten.",
            "The coordinator finds it under Cameras, and asks its officer to dock it.",
        ),
    ),
    Rule(
        "DiskNearlyFull",
        Severity.CRITICAL,
        _minutes(10),
        lambda now: (
            now["free_bytes"] < 2 * now["reserve_bytes"] or now["room_bytes"] < now["day_bytes"]
        ),
        Sentence(
            "De schijf van de kluis is bijna vol. Straks wordt geen camera meer ingelezen; "
            "wat er staat blijft, en is te zien.",
            "The vault's disk is nearly full. Soon no camera is taken in; what stands is "
            "kept, and can be seen.",
        ),
        Sentence(
            "Geef de kluis een grotere schijf. Er wordt niets eerder verwijderd om ruimte te "
            "maken.",
            "Give it a larger disk. Nothing is deleted early to make room.",
        ),
    ),
    Rule(
        "SweepStopped",
        Severity.WARNING,
        _minutes(120),
        lambda now: (
            now["sweep_blocked"] == 1 or now["sweep_age_hours"] > 3 or now["sweep_age_hours"] < 0
        ),
        Sentence(
            "Wat vervallen is wordt niet verwijderd: de ronde van verwijdering wacht of loopt "
            "niet.",
            "What is due is not deleted, because the sweep waits or does not run.",
        ),
        Sentence(
            "Draai vault doctor: misschien bevestigen twee personen de klok (vault clock "
            "confirm) of de lijst (vault approve).",
            "Run vault doctor: two persons may have to confirm the clock (vault clock "
            "confirm) or the list (vault approve).",
        ),
    ),
    Rule(
        "ClockNotBelieved",
        Severity.WARNING,
        _minutes(60),
        lambda now: now["clock_trusted"] == 0,
        Sentence(
            "De klok wordt niet geloofd, dus wordt er niets verwijderd.",
            "The clock is not believed, so nothing is deleted.",
        ),
        Sentence(
            "Zet de klok goed; daarna draaien twee personen vault clock confirm.",
            "Set the clock right; then two persons run vault clock confirm.",
        ),
    ),
    Rule(
        "HeadNotSigned",
        Severity.CRITICAL,
        _minutes(60),
        lambda now: now["head_age_hours"] > 1 or now["head_age_hours"] < 0,
        Sentence(
            "De stand van het logboek werd een uur lang niet ondertekend. Bekijken kan daarop "
            "wachten.",
            "The log's head was not signed for an hour. Viewings may wait for it.",
        ),
        Sentence(
            "Op de dock-pc: systemctl status vault-checkpoint, dan vault checkpoint.",
            "On the docking PC: systemctl status vault-checkpoint, then vault checkpoint.",
        ),
    ),
    Rule(
        "WitnessSilent",
        Severity.CRITICAL,
        _minutes(60),
        lambda now: (
            now["witness_named"] == 1
            and (now["witness_age_hours"] > 1 or now["witness_age_hours"] < 0)
        ),
        Sentence(
            "De getuige nam een uur lang geen stand van het logboek aan. Bekijken wacht daarop.",
            "The witness took no head of the log for an hour. Viewings wait for it.",
        ),
        Sentence(
            "Draai vault checkpoint: het zegt waarom de getuige zwijgt. Probeer daarna de "
            "opdracht van de getuige met de hand.",
            "Run vault checkpoint: it says why the witness is silent. Then try the witness's "
            "command by hand.",
        ),
    ),
    Rule(
        "VerifyFailing",
        Severity.CRITICAL,
        _minutes(10),
        lambda now: now["verify_findings"] > 0,
        Sentence(
            "De dagelijkse controle vond iets in de kluis dat niet is zoals het hoort.",
            "The daily check found something in the vault that is not as it should be.",
        ),
        Sentence(
            "Draai vault verify: het noemt elke bevinding. Haal wat beschadigd is uit een back-up.",
            "Run vault verify: it names each finding. Fetch what is damaged from a backup.",
        ),
    ),
    Rule(
        "VerifyOld",
        Severity.WARNING,
        _minutes(360),
        lambda now: now["verify_age_hours"] > 48 or now["verify_age_hours"] < 0,
        Sentence(
            "De dagelijkse controle liep twee dagen niet.",
            "The daily check did not run for two days.",
        ),
        Sentence(
            "Op de dock-pc: systemctl status vault-verify.timer, dan journalctl -u vault-verify.",
            "On the docking PC: systemctl status vault-verify.timer, then journalctl -u "
            "vault-verify.",
        ),
    ),
    Rule(
        "BackupOld",
        Severity.WARNING,
        _minutes(360),
        lambda now: now["backup_age_hours"] > 48 or now["backup_age_hours"] < 0,
        Sentence(
            "Er is twee dagen geen back-up gemaakt.",
            "No backup was made for two days.",
        ),
        Sentence(
            "Koppel het medium aan op /srv/dock-vault-backup; systemctl status vault-backup.",
            "Mount the medium at /srv/dock-vault-backup; systemctl status vault-backup.",
        ),
    ),
    Rule(
        "DrillDue",
        Severity.WARNING,
        _minutes(1440),
        lambda now: now["drill_age_hours"] > 4800 or now["drill_age_hours"] < 0,
        Sentence(
            "De noodsleutel is langer dan een half jaar niet geprobeerd.",
            "The escrow was not tried for more than half a year.",
        ),
        Sentence(
            "Vraag beide houders van een noodhelft te komen, en draai vault drill.",
            "Ask both holders of an escrow paper to come, and run vault drill.",
        ),
    ),
    Rule(
        "RecordingsUnproven",
        Severity.CRITICAL,
        _minutes(10),
        lambda now: now["unproven_recordings"] > 0 or now["unconfirmed"] == 1,
        Sentence(
            "Er zijn niet bewezen opnamen, of een herbouwde catalogus wacht op twee personen.",
            "Recordings are unproven, or a rebuilt catalogue waits for two persons.",
        ),
        Sentence(
            "Draai vault verify; twee personen draaien vault confirm.",
            "Run vault verify; two persons run vault confirm.",
        ),
    ),
    Rule(
        "UnitFailed",
        Severity.WARNING,
        _minutes(30),
        lambda now: now["units_failed"] > 0,
        Sentence(
            "Een dienst van de dock-pc is mislukt.",
            "A service of the docking PC failed.",
        ),
        Sentence(
            "Draai vault doctor en dockd doctor: zij noemen de dienst, en wat te doen.",
            "Run vault doctor and dockd doctor: they name it, and what to do.",
        ),
    ),
    Rule(
        "ServiceRestarts",
        Severity.WARNING,
        _minutes(10),
        lambda now: now["unit_restarts"] > 3,
        Sentence(
            "Een dienst eindigt telkens vanzelf en wordt opnieuw gestart.",
            "A service ends by itself again and again, and is started again.",
        ),
        Sentence(
            "Draai vault doctor en dockd doctor, dan journalctl -u met zijn naam; na "
            "systemctl restart telt het opnieuw.",
            "Run vault doctor and dockd doctor, then journalctl -u with its name; after "
            "systemctl restart it counts anew.",
        ),
    ),
)
